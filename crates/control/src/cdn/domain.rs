//! Domains: made, changed, switched, listed. One is served as soon as it is made, if nobody here has its name; nobody
//! looks at whose it is elsewhere.

use cosette_cdn::{Domain, is_name};
use cosette_model::Account;
use serde_json::{Value, json};

use super::{page, reply, setup, time, wrong};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

/// Domains of one page: by default, and at most (`Limit` of the two lists).
const BRIEF: (usize, usize) = (100, 1000);
const DETAIL: (usize, usize) = (100, 100);
/// Values of a filter.
const VALUES_MAX: usize = 5;

pub(crate) async fn add(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let name = named(&params)?;
    if name.starts_with("*.") {
        return Err(ApiError::unsupported("domains with a wildcard are not supported by Cosette"));
    }
    if call.reserved.holds(&name) {
        let message = format!("{name} is a name of the services' or of this server");
        return Err(ApiError::new("InvalidParameter.CdnHostInternalHost", message));
    }
    if !is_name(&name) {
        return Err(wrong(format!("{name} is no name of a host")));
    }
    call.cdn.add(&name, &call.account.appid, setup::new(&params)?).await?;
    Ok(Reply::new())
}

pub(crate) async fn update(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let name = named(&params)?;
    let fields = params.owned();
    let change = move |current: &mut _| setup::changed(&Params::new(&fields), current);
    call.cdn.change::<ApiError>(&name, &call.account.appid, change).await?;
    Ok(Reply::new())
}

pub(crate) async fn start(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    call.cdn.switch(&named(&params)?, &call.account.appid, true).await?;
    Ok(Reply::new())
}

pub(crate) async fn stop(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    call.cdn.switch(&named(&params)?, &call.account.appid, false).await?;
    Ok(Reply::new())
}

pub(crate) async fn delete(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    call.cdn.delete(&named(&params)?, &call.account.appid).await?;
    Ok(Reply::new())
}

fn named(params: &Params<'_>) -> Result<String, ApiError> {
    Ok(params.needed("Domain")?.to_ascii_lowercase())
}

pub(crate) async fn list(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let found = found(call, &params)?;
    let total = found.len();
    let account = &call.account;
    let shown = page(&params, BRIEF.0, BRIEF.1, found)?;
    let shown: Vec<Value> = shown.iter().map(|domain| Value::Object(brief(account, domain))).collect();
    Ok(reply(json!({"Domains": shown, "TotalNumber": total})))
}

pub(crate) async fn configs(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let found = found(call, &params)?;
    let total = found.len();
    let detail = |domain: &Domain| {
        let mut fields = brief(&call.account, domain);
        // Only the short form has it.
        fields.remove("Product");
        fields.extend(reply(setup::json(&domain.setup)));
        Value::Object(fields)
    };
    let shown: Vec<Value> = page(&params, DETAIL.0, DETAIL.1, found)?.iter().map(detail).collect();
    Ok(reply(json!({"Domains": shown, "TotalNumber": total})))
}

fn brief(account: &Account, domain: &Domain) -> Reply {
    reply(json!({
        "ResourceId": domain.id,
        "AppId": account.appid.parse::<u64>().unwrap_or_default(),
        "Domain": domain.name,
        "Cname": domain.cname(),
        "Status": status(domain),
        "ProjectId": domain.setup.project,
        "ServiceType": setup::service_name(domain.setup.service),
        "CreateTime": time(domain.created),
        "UpdateTime": time(domain.modified),
        "Origin": setup::origin_json(&domain.setup.origin),
        "Disable": "normal",
        "Area": setup::area_of(&domain.setup),
        "Readonly": "normal",
        "Product": "cdn",
        "ParentHost": "",
    }))
}

fn status(domain: &Domain) -> &'static str {
    if domain.online { "online" } else { "offline" }
}

/// The caller's that all filters let through, in the order of their names.
fn found(call: &Call<'_>, params: &Params<'_>) -> Result<Vec<Domain>, ApiError> {
    let mut domains = call.cdn.domains(&call.account.appid)?;
    for filter in params.objects("Filters")?.unwrap_or_default() {
        let (name, fuzzy) = (filter.needed("Name")?, filter.flag("Fuzzy")?.unwrap_or(false));
        let values = filter.texts("Value")?.unwrap_or_default();
        if values.is_empty() || values.len() > if fuzzy { 1 } else { VALUES_MAX } {
            return Err(wrong(format!(
                "the filter {name} has one value if it is fuzzy, else one to {VALUES_MAX}"
            )));
        }
        let field: fn(&Domain) -> String = match name {
            "domain" => |domain| domain.name.clone(),
            "origin" => |domain| domain.setup.origin.host.clone(),
            "resourceId" => |domain| domain.id.clone(),
            "status" => |domain| status(domain).to_owned(),
            "serviceType" => |domain| setup::service_name(domain.setup.service).to_owned(),
            "projectId" => |domain| domain.setup.project.to_string(),
            "domainType" => |_| "cos".to_owned(),
            "fullUrlCache" => |domain| if domain.setup.full_url { "on" } else { "off" }.to_owned(),
            "https" => |_| "off".to_owned(),
            "originPullProtocol" => |domain| domain.setup.origin.protocol.clone(),
            other => return Err(wrong(format!("domains cannot be filtered by {other}"))),
        };
        if fuzzy && !matches!(name, "domain" | "origin") {
            return Err(wrong(format!("the filter {name} cannot be fuzzy")));
        }
        domains.retain(|domain| {
            let own = field(domain);
            values.iter().any(|value| if fuzzy { own.contains(value) } else { own == *value })
        });
    }
    Ok(domains)
}
