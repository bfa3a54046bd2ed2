//! COS's `OriginConfiguration` (cos-api 6.1). Where SDK and documentation spell an element differently,
//! both are read, and the documentation's is written.

use cosette_model::setting::{
    Origin, OriginCondition, OriginFile, OriginHeaders, OriginHost, OriginKind, OriginParameter,
    OriginProtocol, OriginRule, Redirection,
};
use cosette_model::{Error, ErrorCode};

use super::{filter, malformed};
use crate::origin;
use crate::xml::{Element, Writer};

const HOSTS_MAX: usize = 10;
const NEW_HEADERS_MAX: usize = 10;
const STANDBY_MAX: u32 = 10;

pub(super) fn read(root: &Element) -> Result<Origin, Error> {
    let mut rules = root.all("OriginRule").map(rule).collect::<Result<Vec<_>, _>>()?;
    if rules.is_empty() {
        return Err(malformed());
    }
    rules.sort_by_key(|rule| rule.priority);
    Ok(Origin { rules })
}

fn rule(element: &Element) -> Result<OriginRule, Error> {
    let kind = match element.text_of("OriginType")? {
        Some("Mirror") => OriginKind::Mirror,
        Some("Proxy") => OriginKind::Proxy,
        Some("Redirect") => OriginKind::Redirect,
        _ => return Err(malformed()),
    };
    let parameter = match element.child("OriginParameter")? {
        Some(given) => read_parameter(given, kind)?,
        None => OriginParameter::default(),
    };
    let standby_codes = match element.child("HTTPStandbyCode")? {
        None => None,
        Some(list) => Some(
            list.all("StatusCode")
                .map(|code| match code.text.trim().parse() {
                    Ok(code @ 400..=499) => Ok(code),
                    _ => Err(filter::argument("HTTPStandbyCode holds statuses from 400 to 499.")),
                })
                .collect::<Result<Vec<u16>, _>>()?,
        ),
    };
    let info = element.child("OriginInfo")?.ok_or_else(malformed)?;
    let hosts = info.all("HostInfo").map(host).collect::<Result<Vec<_>, _>>()?;
    let most = if kind == OriginKind::Mirror { HOSTS_MAX } else { 1 };
    if hosts.is_empty() || hosts.len() > most {
        return Err(filter::argument(format!("A rule of this type has 1 to {most} hosts.")));
    }
    Ok(OriginRule {
        priority: filter::number(element, "RulePriority")?,
        kind,
        condition: match element.child("OriginCondition")? {
            Some(condition) => read_condition(condition, kind)?,
            None => OriginCondition::default(),
        },
        parameter,
        standby_codes,
        hosts,
        file: info.child("FileInfo")?.map(file).transpose()?.flatten(),
    })
}

fn read_condition(element: &Element, kind: OriginKind) -> Result<OriginCondition, Error> {
    if element.child("FilterHost")?.is_some() {
        let why = "FilterHost of an origin rule is not implemented.";
        return Err(Error::with(ErrorCode::NotImplemented, why));
    }
    let status = match filter::number(element, "HTTPStatusCode")? {
        None => None,
        Some(status) => match u16::try_from(status) {
            Ok(404) => Some(404),
            Ok(status @ 400..=599) if kind == OriginKind::Redirect => Some(status),
            _ => return Err(filter::argument("HTTPStatusCode is not valid for this type of rule.")),
        },
    };
    let part = |name| Ok::<_, Error>(element.child(name)?.map(|part| part.text.clone()));
    Ok(OriginCondition { status, prefix: part("Prefix")?, suffix: part("Suffix")? })
}

fn read_parameter(element: &Element, kind: OriginKind) -> Result<OriginParameter, Error> {
    let redirect_code = match element.text_of("HttpRedirectCode")? {
        None => None,
        Some(_) if kind == OriginKind::Mirror => {
            return Err(filter::argument("HttpRedirectCode is not for rules of the type Mirror."));
        }
        Some(code @ ("301" | "302" | "307")) => code.parse().ok(),
        Some(_) => return Err(filter::argument("HttpRedirectCode must be 301, 302 or 307.")),
    };
    let redirection = match element.child("FollowRedirectionConfiguration")? {
        None => None,
        Some(how) => Some(Redirection {
            follow_headers: filter::boolean(how, "FollowOriginHeaders")?,
            url_decode: filter::boolean(how, "FollowUrlAutoDecode")?,
        }),
    };
    Ok(OriginParameter {
        protocol: match element.text_of("Protocol")? {
            None => None,
            Some("HTTP") => Some(OriginProtocol::Http),
            Some("HTTPS") => Some(OriginProtocol::Https),
            Some("FOLLOW") => Some(OriginProtocol::Follow),
            Some(_) => return Err(malformed()),
        },
        transparent_error_code: filter::boolean(element, "TransparentErrorCode")?,
        follow_query: filter::boolean(element, "FollowQueryString")?,
        headers: element.child("HttpHeader")?.map(headers).transpose()?,
        follow_redirection: filter::boolean(element, "FollowRedirection")?,
        redirection,
        redirect_code,
        copy_data: filter::boolean(element, "CopyOriginData")?,
    })
}

fn headers(element: &Element) -> Result<OriginHeaders, Error> {
    let list = |name| Ok::<_, Error>(element.child(name)?.map_or(&[][..], |list| &list.children[..]));
    let names = |list: &[Element]| {
        list.iter().map(|header| Ok(header.need("Key")?.to_owned())).collect::<Result<Vec<_>, Error>>()
    };
    let new = list("NewHttpHeaders")?
        .iter()
        .map(|header| {
            let (name, value) = (header.need("Key")?, header.need("Value")?);
            if origin::added(name, value).is_none() {
                return Err(filter::argument("A header of NewHttpHeaders cannot be added.")
                    .detail("ArgumentName", "NewHttpHeaders")
                    .detail("ArgumentValue", name));
            }
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    if new.len() > NEW_HEADERS_MAX {
        return Err(filter::argument("At most 10 headers can be added."));
    }
    let forbid = [names(list("ForbidFollowHeaders")?)?, names(list("ForbidFollowHttpHeaders")?)?].concat();
    Ok(OriginHeaders {
        follow_all: filter::boolean(element, "FollowAllHeaders")?
            .or(filter::boolean(element, "FollowHttpHeader")?),
        new,
        follow: names(list("FollowHttpHeaders")?)?,
        forbid,
    })
}

fn host(element: &Element) -> Result<OriginHost, Error> {
    if let Some(part) = element.children.iter().find(|child| child.name.starts_with("Private")) {
        let why = format!("{} of an origin rule is not implemented.", part.name);
        return Err(Error::with(ErrorCode::NotImplemented, why));
    }
    let mut standby = Vec::new();
    for child in &element.children {
        let Some(number) = child.name.strip_prefix("StandbyHostName_") else { continue };
        match number.parse() {
            Ok(number @ 1..=STANDBY_MAX) => standby.push((number, host_name(child.text.trim())?)),
            _ => return Err(malformed()),
        }
    }
    standby.sort();
    if standby.windows(2).any(|two| two[0].0 == two[1].0) {
        return Err(malformed());
    }
    Ok(OriginHost {
        name: host_name(element.text_of("HostName")?.ok_or_else(malformed)?)?,
        weight: filter::number(element, "Weight")?,
        standby,
    })
}

/// A name or an address, with a port or without.
fn host_name(text: &str) -> Result<String, Error> {
    match text.parse::<http::uri::Authority>() {
        Ok(authority) if !text.contains('@') && !authority.host().is_empty() => Ok(text.to_owned()),
        _ => Err(filter::argument("The host of an origin rule is not valid.")
            .detail("ArgumentName", "HostName")
            .detail("ArgumentValue", text)),
    }
}

fn file(element: &Element) -> Result<Option<OriginFile>, Error> {
    if let Some(part) = element.children.iter().find(|child| child.name.starts_with("ReplacedWith")) {
        let why = format!("{} of an origin rule is not implemented.", part.name);
        return Err(Error::with(ErrorCode::NotImplemented, why));
    }
    if let Some(fixed) = element.child("FixedFileConfiguration")? {
        let path = fixed.text_of("FixedFilePath")?.ok_or_else(malformed)?;
        return Ok(Some(OriginFile::Fixed(path.to_owned())));
    }
    let part = |outer, name| {
        let outer = element.child(outer)?.unwrap_or(element);
        Ok::<_, Error>(outer.child(name)?.map(|part| part.text.clone()))
    };
    let (prefix, suffix) = (part("PrefixConfiguration", "Prefix")?, part("SuffixConfiguration", "Suffix")?);
    Ok((prefix.is_some() || suffix.is_some()).then_some(OriginFile::Around { prefix, suffix }))
}

fn write_boolean(xml: &mut Writer, name: &'static str, value: Option<bool>) {
    if let Some(value) = value {
        xml.value(name, value);
    }
}

pub(super) fn write(origin: &Origin, xml: &mut Writer) {
    for rule in &origin.rules {
        xml.element("OriginRule", |xml| write_rule(rule, xml));
    }
}

fn write_rule(rule: &OriginRule, xml: &mut Writer) {
    if let Some(priority) = rule.priority {
        xml.value("RulePriority", priority);
    }
    xml.text(
        "OriginType",
        match rule.kind {
            OriginKind::Mirror => "Mirror",
            OriginKind::Proxy => "Proxy",
            OriginKind::Redirect => "Redirect",
        },
    );
    xml.element("OriginCondition", |xml| {
        if let Some(status) = rule.condition.status {
            xml.value("HTTPStatusCode", status);
        }
        xml.maybe("Prefix", rule.condition.prefix.as_deref());
        xml.maybe("Suffix", rule.condition.suffix.as_deref());
    });
    xml.element("OriginParameter", |xml| write_parameter(&rule.parameter, xml));
    if let Some(codes) = &rule.standby_codes {
        xml.element("HTTPStandbyCode", |xml| {
            for code in codes {
                xml.value("StatusCode", code);
            }
        });
    }
    xml.element("OriginInfo", |xml| {
        for host in &rule.hosts {
            xml.element("HostInfo", |xml| {
                xml.text("HostName", &host.name);
                if let Some(weight) = host.weight {
                    xml.value("Weight", weight);
                }
                for (number, name) in &host.standby {
                    xml.text(STANDBY[(*number as usize - 1).min(STANDBY.len() - 1)], name);
                }
            });
        }
        match &rule.file {
            None => {}
            Some(OriginFile::Fixed(path)) => xml.element("FileInfo", |xml| {
                xml.element("FixedFileConfiguration", |xml| xml.text("FixedFilePath", path));
            }),
            Some(OriginFile::Around { prefix, suffix }) => xml.element("FileInfo", |xml| {
                if let Some(prefix) = prefix {
                    xml.element("PrefixConfiguration", |xml| xml.text("Prefix", prefix));
                }
                if let Some(suffix) = suffix {
                    xml.element("SuffixConfiguration", |xml| xml.text("Suffix", suffix));
                }
            }),
        }
    });
}

const STANDBY: [&str; STANDBY_MAX as usize] = [
    "StandbyHostName_1",
    "StandbyHostName_2",
    "StandbyHostName_3",
    "StandbyHostName_4",
    "StandbyHostName_5",
    "StandbyHostName_6",
    "StandbyHostName_7",
    "StandbyHostName_8",
    "StandbyHostName_9",
    "StandbyHostName_10",
];

fn write_parameter(parameter: &OriginParameter, xml: &mut Writer) {
    match parameter.protocol {
        None => {}
        Some(OriginProtocol::Http) => xml.text("Protocol", "HTTP"),
        Some(OriginProtocol::Https) => xml.text("Protocol", "HTTPS"),
        Some(OriginProtocol::Follow) => xml.text("Protocol", "FOLLOW"),
    }
    write_boolean(xml, "TransparentErrorCode", parameter.transparent_error_code);
    write_boolean(xml, "FollowQueryString", parameter.follow_query);
    if let Some(headers) = &parameter.headers {
        xml.element("HttpHeader", |xml| {
            write_boolean(xml, "FollowAllHeaders", headers.follow_all);
            if !headers.new.is_empty() {
                xml.element("NewHttpHeaders", |xml| {
                    for (key, value) in &headers.new {
                        xml.element("Header", |xml| {
                            xml.text("Key", key);
                            xml.text("Value", value);
                        });
                    }
                });
            }
            for (name, list) in
                [("FollowHttpHeaders", &headers.follow), ("ForbidFollowHeaders", &headers.forbid)]
            {
                if list.is_empty() {
                    continue;
                }
                xml.element(name, |xml| {
                    for key in list {
                        xml.element("Header", |xml| xml.text("Key", key));
                    }
                });
            }
        });
    }
    write_boolean(xml, "FollowRedirection", parameter.follow_redirection);
    if let Some(how) = parameter.redirection {
        xml.element("FollowRedirectionConfiguration", |xml| {
            write_boolean(xml, "FollowOriginHeaders", how.follow_headers);
            write_boolean(xml, "FollowUrlAutoDecode", how.url_decode);
        });
    }
    if let Some(code) = parameter.redirect_code {
        xml.value("HttpRedirectCode", code);
    }
    write_boolean(xml, "CopyOriginData", parameter.copy_data);
}
