//! Domains of the users' own that lead to functions (API of 2018-04-16: `CreateCustomDomain` and its kin).

use cosette_cdn::is_name;
use cosette_trigger::{Domain, DomainSettings, Protocols, Rewrite, Route};
use serde_json::{Map, Value, json};

use super::function::tags;
use super::{LATEST, Paging, descending, function_of, qualified, reply, sort_by_key};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

/// Domains of one page at most.
const LIMIT_MAX: usize = 100;

pub(crate) async fn create(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let name = named(&params)?;
    if call.reserved.holds(&name) || !is_name(&name) {
        let message = format!("{name} is no domain of one's own: a name of two parts at least, without *");
        return Err(wrong(message));
    }
    let nothing = Protocols { http: false, https: false };
    let mut settings = DomainSettings { protocols: nothing, certificate: None, routes: Vec::new() };
    for field in ["Protocol", "EndpointsConfig"] {
        if params.get(field).is_none() {
            return Err(ApiError::missing(field));
        }
    }
    Change::of(call, &params)?.make(&mut settings)?;
    call.triggers.create_domain(name, owner(call), settings, tags(&params)?).await?;
    Ok(Reply::new())
}

pub(crate) async fn update(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let change = Change::of(call, &params)?;
    let change = move |settings: &mut DomainSettings| change.make(settings);
    call.triggers.change_domain::<ApiError>(named(&params)?, owner(call), change).await?;
    Ok(Reply::new())
}

pub(crate) async fn delete(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    call.triggers.delete_domain(named(&params)?, owner(call)).await?;
    Ok(Reply::new())
}

pub(crate) async fn get(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let name = named(&params)?;
    let found = call.triggers.domain(&name)?.filter(|domain| is_own(call, domain));
    let found = found.ok_or(cosette_trigger::Error::NoSuchDomain(name))?;
    Ok(reply(shown(&found)))
}

pub(crate) async fn list(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let paging = Paging::of(&params)?;
    if paging.limit > LIMIT_MAX {
        return Err(ApiError::invalid_value("Limit", format!("Limit is more than {LIMIT_MAX}")));
    }
    let by: fn(&Domain) -> _ = match params.text("OrderBy")? {
        None | Some("" | "AddTime") => |domain| domain.created,
        Some("ModTime") => |domain| domain.modified,
        Some(other) => {
            let message = format!("OrderBy {other} is neither AddTime nor ModTime");
            return Err(ApiError::invalid_value("OrderBy", message));
        }
    };
    let descending = descending(&params, true)?;
    let mut domains = call.triggers.domains()?;
    domains.retain(|domain| is_own(call, domain));
    sort_by_key(&mut domains, descending, by);
    let total = domains.len();
    let page: Vec<Value> = paging.page(domains).map(|domain| shown(&domain)).collect();
    Ok(reply(json!({"Total": total, "Domains": page})))
}

/// What a request sets; the rest stays.
struct Change {
    protocols: Option<Protocols>,
    certificate: Option<String>,
    routes: Option<Vec<Route>>,
}

impl Change {
    fn of(call: &Call<'_>, params: &Params<'_>) -> Result<Self, ApiError> {
        if let Some(wall) = params.object("WafConfig")?
            && wall.text("WafOpen")?.is_some_and(|open| !matches!(open, "" | "CLOSE"))
        {
            return Err(ApiError::unsupported(
                "WafConfig is not supported by Cosette; WafOpen can only be CLOSE",
            ));
        }
        let certificate = match params.object("CertConfig")? {
            Some(certificate) => certificate.text("CertificateId")?.filter(|id| !id.is_empty()),
            None => None,
        };
        let routes = match params.objects("EndpointsConfig")? {
            Some(routes) if routes.is_empty() => return Err(ApiError::missing("EndpointsConfig")),
            Some(routes) => Some(routes.iter().map(|one| route(call, one)).collect::<Result<Vec<_>, _>>()?),
            None => None,
        };
        if let Some(routes) = &routes
            && let Some(twice) = routes
                .iter()
                .enumerate()
                .find(|(at, one)| routes[..*at].iter().any(|other| other.path == one.path))
        {
            return Err(path_error(format!("two routes have the path {}", twice.1.path)));
        }
        Ok(Self {
            protocols: params.text("Protocol")?.filter(|text| !text.is_empty()).map(protocols).transpose()?,
            certificate: certificate.map(str::to_owned),
            routes,
        })
    }

    /// Whether the routes are among it.
    fn make(self, settings: &mut DomainSettings) -> Result<bool, ApiError> {
        let routed = self.routes.is_some();
        settings.protocols = self.protocols.unwrap_or(settings.protocols);
        settings.routes = self.routes.unwrap_or_else(|| std::mem::take(&mut settings.routes));
        settings.certificate = self.certificate.or_else(|| settings.certificate.take());
        match settings.protocols.https {
            true if settings.certificate.is_none() => return Err(ApiError::missing("CertConfig")),
            true => {}
            false => settings.certificate = None,
        }
        Ok(routed)
    }
}

fn protocols(text: &str) -> Result<Protocols, ApiError> {
    let (http, https) = match text {
        "HTTP" => (true, false),
        "HTTPS" => (false, true),
        "HTTP&HTTPS" => (true, true),
        other => {
            let message = format!("Protocol {other} is neither HTTP, HTTPS nor HTTP&HTTPS");
            return Err(ApiError::invalid_value("Protocol", message));
        }
    };
    Ok(Protocols { http, https })
}

fn route(call: &Call<'_>, params: &Params<'_>) -> Result<Route, ApiError> {
    let function = function_of(call, params)?;
    let rewrites = params.objects("PathRewrite")?.unwrap_or_default();
    Ok(Route {
        path: path(params.needed("PathMatch")?)?,
        function: qualified(call, params, &function, LATEST)?,
        rewrites: rewrites.iter().map(rewrite).collect::<Result<_, _>>()?,
    })
}

fn rewrite(params: &Params<'_>) -> Result<Rewrite, ApiError> {
    let exact = match params.needed("Type")? {
        "ExactRules" => true,
        "WildcardRules" => false,
        other => {
            let message = format!("Type {other} is neither WildcardRules nor ExactRules");
            return Err(path_error(message));
        }
    };
    let to = params.needed("Rewrite")?;
    let fits =
        to.starts_with('/') && to.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    if !fits {
        return Err(path_error(format!("{to} is no path that another can become")));
    }
    Ok(Rewrite { path: path(params.needed("Path")?)?, exact, to: to.to_owned() })
}

/// `/`, `/*`, `/xxx`, `/xxx/a` or `/xxx/*`.
fn path(text: &str) -> Result<String, ApiError> {
    let beginning = text.strip_suffix("/*").unwrap_or(text);
    let is_whole = beginning.is_empty() && text == "/*" || beginning.starts_with('/');
    let is_plain = beginning.bytes().all(|byte| byte.is_ascii_graphic() && !b"*?#".contains(&byte));
    if is_whole && is_plain {
        return Ok(text.to_owned());
    }
    Err(path_error(format!("{text} is no path: /, /*, /a, /a/b or /a/*")))
}

fn path_error(message: String) -> ApiError {
    ApiError::invalid_value("EndpointsConfig", message)
}

fn wrong(message: String) -> ApiError {
    ApiError::invalid_value("Domain", message)
}

fn named(params: &Params<'_>) -> Result<String, ApiError> {
    Ok(params.needed("Domain")?.to_ascii_lowercase())
}

/// The account and the region.
fn owner(call: &Call<'_>) -> (String, String) {
    (call.account.appid.clone(), call.region.to_string())
}

fn is_own(call: &Call<'_>, domain: &Domain) -> bool {
    (domain.appid.as_str(), domain.region.as_str()) == (call.account.appid.as_str(), call.region.as_str())
}

fn shown(domain: &Domain) -> Value {
    let DomainSettings { protocols, certificate, routes } = &domain.settings;
    let routes: Vec<Value> = routes.iter().map(shown_route).collect();
    let mut certificate_of = Map::new();
    if let Some(id) = certificate {
        certificate_of.insert("CertificateId".into(), json!(id));
    }
    let tags = domain.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value}));
    json!({
        "Domain": domain.name,
        "Protocol": match (protocols.http, protocols.https) {
            (true, true) => "HTTP&HTTPS",
            (false, true) => "HTTPS",
            _ => "HTTP",
        },
        "EndpointsConfig": routes,
        "CertConfig": certificate_of,
        "WafConfig": {"WafOpen": "CLOSE"},
        "Tags": tags.collect::<Vec<_>>(),
    })
}

fn shown_route(route: &Route) -> Value {
    let rewrites = route.rewrites.iter().map(|Rewrite { path, exact, to }| {
        json!({"Path": path, "Type": if *exact { "ExactRules" } else { "WildcardRules" }, "Rewrite": to})
    });
    json!({
        "Namespace": route.function.namespace,
        "FunctionName": route.function.name,
        "Qualifier": route.function.qualifier,
        "PathMatch": route.path,
        "PathRewrite": rewrites.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for good in ["/", "/*", "/xxx", "/xxx/a", "/xxx/*", "/a%20b"] {
            assert_eq!(path(good).ok().as_deref(), Some(good));
        }
        for bad in ["", "*", "a", "/a*", "/*/a", "/a?b", "/a b", "/ü", "a/*"] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }
}
