//! The settings of a domain, between the API's form and ours. What is set and does nothing here is refused.

use cosette_cdn::{Area, Bucket, Caching, Rule, SECONDS_MAX, Service, Setup, To};
use cosette_model::{BucketName, Region};
use serde_json::{Value, json};

use super::{area, area_name, wrong};
use crate::error::ApiError;
use crate::params::Params;

/// What may be set of a domain.
const KNOWN: &[&str] = &["Domain", "ServiceType", "Origin", "ProjectId", "Area", "Cache", "CacheKey"];

/// The setup of a new domain.
pub(super) fn new(params: &Params<'_>) -> Result<Setup, ApiError> {
    params.known(KNOWN)?;
    let service = service(params)?.ok_or_else(|| ApiError::missing("ServiceType"))?;
    let origin = params.object("Origin")?.ok_or_else(|| ApiError::missing("Origin"))?;
    let mut setup = Setup {
        service,
        area: Area::Mainland,
        project: 0,
        origin: bucket(&origin)?,
        caching: Caching::of(service),
        full_url: true,
    };
    choose(params, &mut setup)?;
    Ok(setup)
}

/// The changes that an update asks for, checked but for the origin, which may build on what there is.
pub(super) fn changed(params: &Params<'_>, setup: &mut Setup) -> Result<(), ApiError> {
    params.known(KNOWN)?;
    if let Some(service) = service(params)? {
        setup.service = service;
    }
    if let Some(origin) = params.object("Origin")? {
        setup.origin = if origin.get("Origins").is_some() {
            bucket(&origin)?
        } else {
            options(&origin, setup.origin.clone())?
        };
    }
    choose(params, setup)
}

fn choose(params: &Params<'_>, setup: &mut Setup) -> Result<(), ApiError> {
    if let Some(area) = area(params)? {
        setup.area = area;
    }
    if let Some(project) = params.count::<u64>("ProjectId")? {
        setup.project = project;
    }
    if let Some(cache) = params.object("Cache")? {
        cache.known(&["SimpleCache"])?;
        if let Some(simple) = cache.object("SimpleCache")? {
            setup.caching = caching(&simple)?;
        }
    }
    if let Some(key) = params.object("CacheKey")? {
        key.known(&["FullUrlCache"])?;
        if let Some(full) = switch(&key, "FullUrlCache")? {
            setup.full_url = full;
        }
    }
    Ok(())
}

fn service(params: &Params<'_>) -> Result<Option<Service>, ApiError> {
    match params.text("ServiceType")? {
        None | Some("") => Ok(None),
        Some("web") => Ok(Some(Service::Web)),
        Some("download") => Ok(Some(Service::Download)),
        Some("media") => Ok(Some(Service::Media)),
        Some(other @ ("hybrid" | "dynamic")) => {
            Err(ApiError::unsupported(format!("ServiceType {other} is not supported by Cosette")))
        }
        Some(other) => Err(wrong(format!("ServiceType {other} is none of web, download and media"))),
    }
}

fn switch(params: &Params<'_>, name: &str) -> Result<Option<bool>, ApiError> {
    match params.text(name)? {
        None | Some("") => Ok(None),
        Some("on") => Ok(Some(true)),
        Some("off") => Ok(Some(false)),
        Some(other) => Err(wrong(format!("{name} {other} is neither on nor off"))),
    }
}

fn bucket(origin: &Params<'_>) -> Result<Bucket, ApiError> {
    let hosts = origin.texts("Origins")?.unwrap_or_default();
    let host = match hosts.as_slice() {
        [] => return Err(ApiError::missing("Origins")),
        [host] => host.to_ascii_lowercase(),
        _ => return Err(ApiError::unsupported("one bucket is behind a domain, not several origins")),
    };
    origin.needed("OriginType")?;
    of_cos(origin)?;
    if !is_bucket(&host) {
        let message = format!("{host} is no bucket's host, <bucket>-<appid>.cos.<region>.myqcloud.com");
        return Err(ApiError::new("InvalidParameter.CdnConfigInvalidHost", message));
    }
    let server_name = host.clone();
    options(origin, Bucket { host, server_name, private: false, protocol: "http".into() })
}

fn of_cos(origin: &Params<'_>) -> Result<(), ApiError> {
    match origin.text("OriginType")? {
        None | Some("" | "cos") => Ok(()),
        Some(other) => {
            Err(ApiError::unsupported(format!("OriginType {other} is not supported by Cosette: it is cos")))
        }
    }
}

fn options(origin: &Params<'_>, mut bucket: Bucket) -> Result<Bucket, ApiError> {
    origin.known(&["Origins", "OriginType", "ServerName", "CosPrivateAccess", "OriginPullProtocol"])?;
    of_cos(origin)?;
    if let Some(name) = origin.text("ServerName")?.filter(|name| !name.is_empty()) {
        // The bucket goes by its host.
        if name.to_ascii_lowercase() != bucket.host {
            return Err(wrong(format!("ServerName {name} is not the bucket's host, {}", bucket.host)));
        }
        bucket.server_name = bucket.host.clone();
    }
    if let Some(private) = switch(origin, "CosPrivateAccess")? {
        bucket.private = private;
    }
    match origin.text("OriginPullProtocol")? {
        None | Some("") => {}
        Some(protocol @ ("http" | "https" | "follow")) => bucket.protocol = protocol.to_owned(),
        Some(other) => {
            return Err(wrong(format!("OriginPullProtocol {other} is none of http, https and follow")));
        }
    }
    Ok(bucket)
}

fn is_bucket(host: &str) -> bool {
    let Some(rest) = host.strip_suffix(".myqcloud.com") else { return false };
    let split = rest.split_once(".cos.").or_else(|| rest.split_once(".cos-website."));
    split.is_some_and(|(bucket, region)| {
        Region::new(region).is_ok()
            && BucketName::new(bucket).is_ok_and(|name| name.split_appid().1.is_some())
    })
}

fn caching(simple: &Params<'_>) -> Result<Caching, ApiError> {
    simple.known(&[
        "CacheRules",
        "FollowOrigin",
        "IgnoreCacheControl",
        "IgnoreSetCookie",
        "CompareMaxAge",
    ])?;
    // Buckets set no cookies.
    switch(simple, "IgnoreSetCookie")?;
    let on = |name| Ok::<_, ApiError>(switch(simple, name)?.unwrap_or(false));
    let rules = simple.objects("CacheRules")?.unwrap_or_default();
    let caching = Caching {
        rules: rules.iter().map(rule).collect::<Result<_, _>>()?,
        follow_origin: on("FollowOrigin")?,
        ignore_cache_control: on("IgnoreCacheControl")?,
        compare_max_age: on("CompareMaxAge")?,
    };
    if caching.follow_origin && caching.compare_max_age {
        return Err(wrong("FollowOrigin and CompareMaxAge cannot both be on"));
    }
    Ok(caching)
}

fn rule(params: &Params<'_>) -> Result<Rule, ApiError> {
    params.known(&["CacheType", "CacheContents", "CacheTime"])?;
    let contents = params.texts("CacheContents")?.unwrap_or_default();
    let contents: Vec<String> = contents.into_iter().map(str::to_owned).collect();
    let kind = params.needed("CacheType")?;
    if contents.is_empty() || kind == "directory" && contents.iter().any(|one| !one.starts_with('/')) {
        return Err(wrong(format!("CacheContents of a {kind} rule are missing or do not begin with /")));
    }
    let to = match kind {
        "all" => To::All,
        "index" => To::Index,
        "file" => To::File(contents),
        "directory" => To::Directory(contents),
        "path" => To::Path(contents),
        other => {
            return Err(wrong(format!("CacheType {other} is none of all, file, directory, path and index")));
        }
    };
    let seconds = params.count::<u64>("CacheTime")?.ok_or_else(|| ApiError::missing("CacheTime"))?;
    if seconds > SECONDS_MAX {
        return Err(wrong(format!("CacheTime is at most {SECONDS_MAX}")));
    }
    Ok(Rule { to, seconds })
}

/// `Origin` of an answer.
pub(super) fn origin_json(bucket: &Bucket) -> Value {
    json!({
        "Origins": [bucket.host],
        "OriginType": "cos",
        "ServerName": bucket.server_name,
        "CosPrivateAccess": on_off(bucket.private),
        "OriginPullProtocol": bucket.protocol,
        "BackupOrigins": [],
    })
}

/// The fields of a domain's settings, as the detailed answer has them.
pub(super) fn json(setup: &Setup) -> Value {
    let rules = setup.caching.rules.iter().map(|rule| {
        let (kind, contents) = match &rule.to {
            To::All => ("all", vec!["*".to_owned()]),
            To::Index => ("index", vec!["/".to_owned()]),
            To::File(list) => ("file", list.clone()),
            To::Directory(list) => ("directory", list.clone()),
            To::Path(list) => ("path", list.clone()),
        };
        json!({"CacheType": kind, "CacheContents": contents, "CacheTime": rule.seconds})
    });
    json!({
        "Cache": {"SimpleCache": {
            "CacheRules": rules.collect::<Vec<_>>(),
            "FollowOrigin": on_off(setup.caching.follow_origin),
            "IgnoreCacheControl": on_off(setup.caching.ignore_cache_control),
            "IgnoreSetCookie": "off",
            "CompareMaxAge": on_off(setup.caching.compare_max_age),
        }},
        "CacheKey": {"FullUrlCache": on_off(setup.full_url)},
    })
}

pub(super) fn service_name(service: Service) -> &'static str {
    match service {
        Service::Web => "web",
        Service::Download => "download",
        Service::Media => "media",
    }
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// That of a domain, in words.
pub(super) fn area_of(setup: &Setup) -> &'static str {
    area_name(setup.area)
}
