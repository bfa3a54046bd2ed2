//! Function URLs: the API's spelling of triggers of type `http` (scf.md 2.6, 6.7).

use cosette_function::Function;
use cosette_trigger::{Authorization, Cors, NewUrl, Url, UrlChange, UrlSelector, UrlSettings};
use serde_json::{Map, Value, json};

use super::item::{Item, TRIGGER_DESC, description, enabled, resource_id};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::scf::{LATEST, qualified, reference, time, triggers_of};

/// The URLs are only shown, and may come back.
const NET_FIELDS: &[&str] =
    &["EnableIntranet", "EnableExtranet", "IntranetUrl", "ExtranetUrl", "WssIntranetUrl", "WssExtranetUrl"];
const CORS_FIELDS: &[&str] =
    &["Enable", "Origins", "Headers", "Methods", "ExposeHeaders", "MaxAge", "Credentials"];

/// What of the description is left out.
const DEFAULT: UrlSettings =
    UrlSettings { authorization: Authorization::Anybody, intranet: true, extranet: true, cors: None };

pub(super) async fn create(
    call: &Call<'_>,
    params: &Params<'_>,
    function: &Function,
) -> Result<Item, ApiError> {
    let settings = settings(params, DEFAULT)?.ok_or_else(|| ApiError::missing(TRIGGER_DESC))?;
    let of = qualified(call, params, function, LATEST)?;
    let description = description(params)?.unwrap_or_default();
    let enabled = enabled(params)?.unwrap_or(true);
    let name = params.text("TriggerName")?.filter(|text| !text.is_empty()).map(name).transpose()?;
    let new = NewUrl { name, function: of, settings, description, enabled };
    Ok(item(&triggers_of(call, function).create_url(new).await?, function))
}

/// What is left out stays as it is.
pub(super) async fn update(
    call: &Call<'_>,
    params: &Params<'_>,
    function: &Function,
) -> Result<Item, ApiError> {
    let selector = named(params, function)?;
    let now = call.triggers.urls()?.into_iter().find(|url| selector.is(url));
    let now = now.map_or(DEFAULT, |url| url.settings);
    let change = UrlChange {
        settings: settings(params, now)?,
        description: description(params)?,
        enabled: enabled(params)?,
    };
    Ok(item(&triggers_of(call, function).change_url(selector, change).await?, function))
}

pub(super) async fn set_enabled(
    call: &Call<'_>,
    params: &Params<'_>,
    function: &Function,
    enabled: bool,
) -> Result<(), ApiError> {
    let change = UrlChange { enabled: Some(enabled), ..UrlChange::default() };
    triggers_of(call, function).change_url(selector(call, params, function)?, change).await?;
    Ok(())
}

pub(super) async fn delete(
    call: &Call<'_>,
    params: &Params<'_>,
    function: &Function,
) -> Result<(), ApiError> {
    triggers_of(call, function).delete_url(selector(call, params, function)?).await?;
    Ok(())
}

/// Oldest first.
pub(super) fn of_function(call: &Call<'_>, function: &Function) -> Result<Vec<Item>, ApiError> {
    let of = reference(function, LATEST);
    let urls = call.triggers.urls()?;
    Ok(urls.iter().filter(|url| url.is_of(&of)).map(|url| item(url, function)).collect())
}

/// The URL that is to be switched or deleted. A `TriggerDesc` may be left out; otherwise it says which one it is, as
/// far as it says anything.
fn selector(call: &Call<'_>, params: &Params<'_>, function: &Function) -> Result<UrlSelector, ApiError> {
    let named = named(params, function)?;
    // What is described wrongly is told, whether there is any or not.
    if settings(params, DEFAULT)?.is_none() {
        return Ok(named);
    }
    let mut described = Vec::new();
    for url in call.triggers.urls()?.into_iter().filter(|url| named.is(url)) {
        if settings(params, url.settings.clone())?.is_some_and(|settings| settings == url.settings) {
            described.push(url);
        }
    }
    match <[Url; 1]>::try_from(described) {
        Ok([Url { function, settings, .. }]) => {
            Ok(UrlSelector { qualifier: Some(function.qualifier), settings: Some(settings), ..named })
        }
        Err(none) if none.is_empty() => Err(cosette_trigger::Error::NoSuchRule.into()),
        // It says no more than their name.
        Err(_) => Ok(named),
    }
}

/// A qualifier has at most one, so that clients may leave out one or the other.
fn named(params: &Params<'_>, function: &Function) -> Result<UrlSelector, ApiError> {
    let given = |name| params.text(name).map(|text| text.filter(|text| !text.is_empty()).map(str::to_owned));
    Ok(UrlSelector {
        function: reference(function, LATEST),
        qualifier: given("Qualifier")?,
        name: given("TriggerName")?,
        settings: None,
    })
}

/// A name that clients may give (as of timers); what it leads to is told apart by the id.
fn name(text: &str) -> Result<String, ApiError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.len() <= 100 && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    let message = "the name of a function URL has at most 100 letters, digits, - and _";
    Err(ApiError::invalid_value("TriggerName", message))
}

/// What `TriggerDesc` says, and for the rest what is; `None` without one.
fn settings(params: &Params<'_>, now: UrlSettings) -> Result<Option<UrlSettings>, ApiError> {
    let wrong = |message: String| ApiError::invalid_value(TRIGGER_DESC, message);
    let Some(text) = params.text(TRIGGER_DESC)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let fields: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| wrong(format!("TriggerDesc is not a JSON object: {error}")))?;
    // A wrong type inside is a wrong TriggerDesc.
    read(&Params::new(&fields), now).map(Some).map_err(|error| wrong(error.message))
}

fn read(desc: &Params<'_>, now: UrlSettings) -> Result<UrlSettings, ApiError> {
    desc.only(TRIGGER_DESC, &["AuthType", "NetConfig", "CorsConfig"])?;
    let authorization = match desc.text("AuthType")? {
        None => now.authorization,
        Some("NONE") => Authorization::Anybody,
        Some("CAM") => Authorization::Signed,
        Some(other) => {
            let message = format!("AuthType {other} is neither NONE nor CAM");
            return Err(ApiError::invalid_value(TRIGGER_DESC, message));
        }
    };
    let (mut intranet, mut extranet) = (now.intranet, now.extranet);
    if let Some(net) = desc.object("NetConfig")? {
        net.only(TRIGGER_DESC, NET_FIELDS)?;
        intranet = net.flag("EnableIntranet")?.unwrap_or(intranet);
        extranet = net.flag("EnableExtranet")?.unwrap_or(extranet);
    }
    let cors = match desc.object("CorsConfig")? {
        None => now.cors,
        Some(cors) => {
            cors.only(TRIGGER_DESC, CORS_FIELDS)?;
            Some(Cors {
                enabled: cors.flag("Enable")?.unwrap_or(false),
                origins: owned(cors.texts("Origins")?),
                headers: owned(cors.texts("Headers")?),
                methods: owned(cors.texts("Methods")?),
                exposed: owned(cors.texts("ExposeHeaders")?),
                max_age: cors.count("MaxAge")?.unwrap_or(0),
                credentials: cors.flag("Credentials")?.unwrap_or(false),
            })
        }
    };
    Ok(UrlSettings { authorization, intranet, extranet, cors })
}

fn owned(texts: Option<Vec<&str>>) -> Vec<String> {
    texts.unwrap_or_default().into_iter().map(str::to_owned).collect()
}

/// The host of a URL: public, or with `inside` that inside of the cloud.
pub(super) fn host(url: &Url, function: &Function, inside: bool) -> String {
    let inside = if inside { ".in" } else { "" };
    format!("{}-{}{inside}.{}.tencentscf.com", function.appid, url.id, function.region)
}

fn item(url: &Url, function: &Function) -> Item {
    let UrlSettings { authorization, intranet, extranet, cors } = &url.settings;
    let mut description = json!({
        "AuthType": match authorization {
            Authorization::Anybody => "NONE",
            Authorization::Signed => "CAM",
        },
        "NetConfig": {"EnableIntranet": intranet, "EnableExtranet": extranet},
    });
    if let Some(Cors { enabled, origins, headers, methods, exposed, max_age, credentials }) = cors {
        description["CorsConfig"] = json!({
            "Enable": enabled,
            "Origins": origins,
            "Headers": headers,
            "Methods": methods,
            "ExposeHeaders": exposed,
            "MaxAge": max_age,
            "Credentials": credentials,
        });
    }
    let is_ws = function.configuration.web.as_ref().is_some_and(|web| web.websocket_secs.is_some());
    for (is_on, inside, name) in [(*intranet, true, "Intranet"), (*extranet, false, "Extranet")] {
        let host = host(url, function, inside);
        if is_on {
            description["NetConfig"][format!("{name}Url")] = format!("https://{host}").into();
        }
        if is_on && is_ws {
            description["NetConfig"][format!("Wss{name}Url")] = format!("wss://{host}").into();
        }
    }
    let shown = json!({
        "AddTime": time(url.created),
        "ModTime": time(url.modified),
        "Type": "http",
        "TriggerName": url.name,
        "TriggerDesc": description.to_string(),
        "Enable": i32::from(url.enabled),
        "Qualifier": url.function.qualifier,
        "CustomArgument": "",
        "AvailableStatus": "Available",
        "ResourceId": resource_id(function, &url.id),
        "BindStatus": "on",
        "TriggerAttribute": "single",
        "Description": url.description,
    });
    Item {
        created: url.created,
        modified: url.modified,
        name: url.name.clone(),
        qualifier: url.function.qualifier.clone(),
        description: url.description.clone(),
        shown,
    }
}
