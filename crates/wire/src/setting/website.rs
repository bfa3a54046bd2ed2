//! `WebsiteConfiguration` of both services: S3 has hosts and statuses in its redirects, COS automatic
//! addressing and the status of error documents (cos-api 3.3).

use cosette_model::setting::{ErrorDocument, Redirect, RedirectAll, Replace, RoutingRule, Website};
use cosette_model::{Error, ErrorCode};

use super::{enabled, malformed};
use crate::xml::{Element, Writer};

const RULES_MAX: usize = 100;

pub(super) fn read(root: &Element) -> Result<Website, Error> {
    let redirect_all = root
        .child("RedirectAllRequestsTo")?
        .map(|all| {
            let all = RedirectAll { host: text(all, "HostName")?, protocol: protocol(all)? };
            if all.host.is_none() && all.protocol.is_none() { Err(malformed()) } else { Ok(all) }
        })
        .transpose()?;
    let index = match root.child("IndexDocument")? {
        Some(index) => Some(index.need("Suffix")?.trim().to_owned()),
        None => None,
    };
    match (&index, &redirect_all) {
        (None, None) => return Err(malformed()),
        (Some(_), Some(RedirectAll { host: Some(_), .. })) => {
            return Err(Error::with(
                ErrorCode::InvalidRequest,
                "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
            ));
        }
        (Some(suffix), _) if suffix.is_empty() || suffix.contains('/') => {
            return Err(Error::with(
                ErrorCode::InvalidArgument,
                "The IndexDocument Suffix is not well formed",
            ));
        }
        _ => {}
    }
    let error = root
        .child("ErrorDocument")?
        .map(|error| {
            let key = error.need("Key")?.trim().to_owned();
            let original_status = enabled(error, "OriginalHttpStatus")?.unwrap_or(true);
            if key.is_empty() { Err(malformed()) } else { Ok(ErrorDocument { key, original_status }) }
        })
        .transpose()?;
    let auto_addressing = match root.child("AutoAddressing")? {
        Some(auto) => enabled(auto, "Status")?.ok_or_else(malformed)?,
        None => false,
    };
    let rules = match root.child("RoutingRules")? {
        Some(rules) => rules.all("RoutingRule").map(rule).collect::<Result<Vec<_>, _>>()?,
        None => Vec::new(),
    };
    if rules.len() > RULES_MAX {
        let why = format!(
            "{} routing rules provided, the number of routing rules in a website configuration is limited to {RULES_MAX}.",
            rules.len()
        );
        return Err(Error::with(ErrorCode::InvalidRequest, why));
    }
    Ok(Website { index: index.unwrap_or_default(), error, redirect_all, auto_addressing, rules })
}

fn rule(rule: &Element) -> Result<RoutingRule, Error> {
    let (if_prefix, if_status) = match rule.child("Condition")? {
        None => (None, None),
        Some(condition) => {
            let prefix = condition.child("KeyPrefixEquals")?.map(|prefix| prefix.text.clone());
            let status = status(condition, "HttpErrorCodeReturnedEquals", 400..600)?;
            if prefix.is_none() && status.is_none() {
                return Err(malformed());
            }
            (prefix, status)
        }
    };
    let redirect = rule.child("Redirect")?.ok_or_else(malformed)?;
    let key = redirect.child("ReplaceKeyWith")?.map(|key| Replace::Key(key.text.clone()));
    let prefix = redirect.child("ReplaceKeyPrefixWith")?.map(|prefix| Replace::Prefix(prefix.text.clone()));
    if key.is_some() && prefix.is_some() {
        return Err(Error::with(
            ErrorCode::InvalidRequest,
            "You can only define ReplaceKeyPrefix or ReplaceKey but not both.",
        ));
    }
    let redirect = Redirect {
        protocol: protocol(redirect)?,
        host: text(redirect, "HostName")?,
        status: status(redirect, "HttpRedirectCode", 301..400)?,
        replace: key.or(prefix),
        in_place: enabled(redirect, "URLRedirect")? == Some(false),
    };
    if redirect == Redirect::default() {
        return Err(malformed());
    }
    Ok(RoutingRule { if_prefix, if_status, redirect })
}

fn text(element: &Element, name: &str) -> Result<Option<String>, Error> {
    Ok(element.text_of(name)?.map(str::to_owned))
}

fn protocol(element: &Element) -> Result<Option<String>, Error> {
    match element.text_of("Protocol")? {
        None => Ok(None),
        Some(protocol) if ["http", "https"].contains(&protocol.to_ascii_lowercase().as_str()) => {
            Ok(Some(protocol.to_ascii_lowercase()))
        }
        Some(_) => Err(Error::with(
            ErrorCode::InvalidRequest,
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.",
        )),
    }
}

fn status(element: &Element, name: &str, within: std::ops::Range<u16>) -> Result<Option<u16>, Error> {
    let Some(text) = element.text_of(name)? else { return Ok(None) };
    match text.parse() {
        Ok(status) if within.contains(&status) => Ok(Some(status)),
        _ => {
            let why = format!("The provided HTTP code ({text}) is not valid for {name}.");
            Err(Error::with(ErrorCode::InvalidRequest, why))
        }
    }
}

/// COS says of each rule whether it sends elsewhere; S3 does not know that.
pub(super) fn write(site: &Website, cos: bool, xml: &mut Writer) {
    if let Some(all) = &site.redirect_all {
        xml.element("RedirectAllRequestsTo", |xml| {
            xml.maybe("HostName", all.host.as_deref());
            xml.maybe("Protocol", all.protocol.as_deref());
        });
    }
    if !site.index.is_empty() {
        xml.element("IndexDocument", |xml| xml.text("Suffix", &site.index));
    }
    if let Some(error) = &site.error {
        xml.element("ErrorDocument", |xml| {
            xml.text("Key", &error.key);
            if !error.original_status {
                xml.text("OriginalHttpStatus", "Disabled");
            }
        });
    }
    if site.auto_addressing {
        xml.element("AutoAddressing", |xml| xml.text("Status", "Enabled"));
    }
    if site.rules.is_empty() {
        return;
    }
    xml.element("RoutingRules", |xml| {
        for rule in &site.rules {
            xml.element("RoutingRule", |xml| {
                if rule.if_prefix.is_some() || rule.if_status.is_some() {
                    xml.element("Condition", |xml| {
                        if let Some(status) = rule.if_status {
                            xml.value("HttpErrorCodeReturnedEquals", status);
                        }
                        xml.maybe("KeyPrefixEquals", rule.if_prefix.as_deref());
                    });
                }
                xml.element("Redirect", |xml| write_redirect(&rule.redirect, cos, xml));
            });
        }
    });
}

fn write_redirect(redirect: &Redirect, cos: bool, xml: &mut Writer) {
    xml.maybe("Protocol", redirect.protocol.as_deref());
    xml.maybe("HostName", redirect.host.as_deref());
    match &redirect.replace {
        Some(Replace::Key(key)) => xml.text("ReplaceKeyWith", key),
        Some(Replace::Prefix(prefix)) => xml.text("ReplaceKeyPrefixWith", prefix),
        None => {}
    }
    if let Some(status) = redirect.status {
        xml.value("HttpRedirectCode", status);
    }
    if cos {
        xml.text("URLRedirect", if redirect.in_place { "Disabled" } else { "Enabled" });
    }
}
