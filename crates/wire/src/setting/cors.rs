//! `CORSConfiguration{ CORSRule+{ ... }, ResponseVary? }` (cos-api 3.3).

use cosette_model::setting::{Cors, CorsRule};
use cosette_model::{Error, ErrorCode};

use crate::xml::{Element, Writer};

const RULES_MAX: usize = 100;
const METHODS: &[&str] = &["GET", "PUT", "POST", "DELETE", "HEAD"];
/// Longest id of a rule, in characters.
const ID_MAX: usize = 255;

pub(super) fn read(root: &Element) -> Result<Cors, Error> {
    let rules = root.all("CORSRule").map(rule).collect::<Result<Vec<_>, _>>()?;
    if rules.is_empty() || rules.len() > RULES_MAX {
        return Err(ErrorCode::MalformedXml.into());
    }
    let vary = match root.text_of("ResponseVary")? {
        None => false,
        Some(text) => text.parse().map_err(|_| Error::from(ErrorCode::MalformedXml))?,
    };
    Ok(Cors { rules, vary })
}

fn rule(rule: &Element) -> Result<CorsRule, Error> {
    let list = |name| rule.all(name).map(|item| item.text.trim().to_owned()).collect::<Vec<_>>();
    let (origins, methods) = (list("AllowedOrigin"), list("AllowedMethod"));
    let headers = list("AllowedHeader");
    if origins.is_empty() || methods.is_empty() {
        return Err(ErrorCode::MalformedXml.into());
    }
    let refuse = |why: String| Err(Error::with(ErrorCode::InvalidRequest, why));
    if let Some(method) = methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
        return refuse(format!(
            "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
        ));
    }
    let stars = |text: &String| text.matches('*').count() > 1;
    if let Some(origin) = origins.iter().find(|origin| stars(origin)) {
        return refuse(format!("AllowedOrigin \"{origin}\" can not have more than one wildcard."));
    }
    if let Some(header) = headers.iter().find(|header| stars(header)) {
        return refuse(format!("AllowedHeader \"{header}\" can not have more than one wildcard."));
    }
    let expose = list("ExposeHeader");
    if let Some(header) = expose.iter().find(|header| header.contains('*')) {
        return refuse(format!(
            "ExposeHeader \"{header}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
        ));
    }
    let id = rule.text_of("ID")?.map(str::to_owned);
    if id.as_ref().is_some_and(|id| id.chars().count() > ID_MAX) {
        return Err(Error::with(ErrorCode::InvalidArgument, "The ID of a rule is too long."));
    }
    let max_age = match rule.text_of("MaxAgeSeconds")? {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Error::from(ErrorCode::MalformedXml))?),
    };
    Ok(CorsRule { id, origins, methods, headers, expose, max_age })
}

pub(super) fn write(cors: &Cors, xml: &mut Writer) {
    for rule in &cors.rules {
        xml.element("CORSRule", |xml| {
            xml.maybe("ID", rule.id.as_deref());
            for (name, list) in [
                ("AllowedOrigin", &rule.origins),
                ("AllowedMethod", &rule.methods),
                ("AllowedHeader", &rule.headers),
                ("ExposeHeader", &rule.expose),
            ] {
                for item in list {
                    xml.text(name, item);
                }
            }
            if let Some(seconds) = rule.max_age {
                xml.value("MaxAgeSeconds", seconds);
            }
        });
    }
    if cors.vary {
        xml.text("ResponseVary", "true");
    }
}
