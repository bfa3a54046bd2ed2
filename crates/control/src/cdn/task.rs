//! Purges and prefetches: asked for, listed, counted.

use cosette_cdn::{Area, Ask, Flush, Kind, Status, Task};
use cosette_model::Timestamp;
use serde_json::{Value, json};

use super::{area, area_name, page, reply, time, wrong};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

/// Tasks of one page.
const PAGE_MAX: usize = 10_000;
/// What the origin hears of who prefetches, if nothing else is said (scf.md 9).
const AGENT: &str = "TencentCdn";
/// Headers of a prefetch, and the longest name and value of one, in bytes.
const HEADERS_MAX: (usize, usize, usize) = (20, 128, 1024);

pub(crate) async fn purge_urls(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    purge(call, &params, Kind::Url, "Urls", Flush::Delete).await
}

pub(crate) async fn purge_paths(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let flush = match params.needed("FlushType")? {
        "flush" => Flush::Flush,
        "delete" => Flush::Delete,
        other => return Err(wrong(format!("FlushType {other} is neither flush nor delete"))),
    };
    purge(call, &params, Kind::Path, "Paths", flush).await
}

async fn purge(
    call: &Call<'_>,
    params: &Params<'_>,
    kind: Kind,
    list: &str,
    flush: Flush,
) -> Result<Reply, ApiError> {
    // An edge that knows things by their decoded paths finds them either way.
    params.flag("UrlEncode")?;
    let area = area(params)?;
    if area == Some(Area::Global) {
        return Err(wrong("Area of a purge is mainland or overseas; both if it is left out"));
    }
    ask(call, params, list, |urls, appid| Ask { appid, kind, urls, flush, area, headers: Vec::new() }).await
}

pub(crate) async fn push(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    params.flag("UrlEncode")?;
    if !matches!(params.text("Layer")?, None | Some("" | "middle")) {
        return Err(wrong("Layer is middle or left out"));
    }
    let (count, name_max, value_max) = HEADERS_MAX;
    let mut headers = Vec::new();
    for header in params.objects("Headers")?.unwrap_or_default() {
        let (name, value) = (header.needed("Name")?, header.text("Value")?.unwrap_or_default());
        if name.len() > name_max || value.len() > value_max {
            return Err(wrong(format!(
                "a header has at most {name_max} bytes of a name and {value_max} of a value"
            )));
        }
        if http::HeaderName::try_from(name).is_err() || http::HeaderValue::try_from(value).is_err() {
            return Err(wrong(format!("{name} with its value is no header")));
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    if headers.len() > count {
        return Err(wrong(format!("there are at most {count} Headers")));
    }
    let agent = params.text("UserAgent")?.filter(|agent| !agent.is_empty()).unwrap_or(AGENT);
    if http::HeaderValue::try_from(agent).is_err() {
        return Err(wrong("UserAgent is none"));
    }
    headers.push(("user-agent".into(), agent.to_owned()));
    let area = Some(area(&params)?.unwrap_or(Area::Mainland));
    let made = |urls, appid| Ask { appid, kind: Kind::Push, urls, flush: Flush::Flush, area, headers };
    ask(call, &params, "Urls", made).await
}

async fn ask(
    call: &Call<'_>,
    params: &Params<'_>,
    list: &str,
    made: impl FnOnce(Vec<String>, String) -> Ask,
) -> Result<Reply, ApiError> {
    let urls = params.texts(list)?.filter(|urls| !urls.is_empty()).ok_or_else(|| ApiError::missing(list))?;
    let urls = urls.into_iter().map(str::to_owned).collect();
    let id = call.cdn.ask(made(urls, call.account.appid.clone())).await?;
    Ok(reply(json!({"TaskId": id})))
}

pub(crate) async fn purge_tasks(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let kinds: &[Kind] = match params.text("PurgeType")? {
        None | Some("") => &[Kind::Url, Kind::Path],
        Some("url") => &[Kind::Url],
        Some("path") => &[Kind::Path],
        Some(other) => return Err(wrong(format!("PurgeType {other} is neither url nor path"))),
    };
    let found = tasks(call, &params, kinds, &["fail", "done", "process"])?;
    let total = found.len();
    let logs: Vec<Value> = page(&params, 20, PAGE_MAX, found)?.iter().map(purge_log).collect();
    Ok(reply(json!({"PurgeLogs": logs, "TotalCount": total})))
}

fn purge_log(task: &Task) -> Value {
    json!({
        "TaskId": task.id,
        "Url": task.url,
        "Status": status_name(task.status),
        "PurgeType": if task.kind == Kind::Path { "path" } else { "url" },
        // That of a URL is `flush`, whatever it does (scf.md 9).
        "FlushType": if task.kind == Kind::Path && task.flush == Flush::Delete { "delete" } else { "flush" },
        "CreateTime": time(task.created),
    })
}

pub(crate) async fn push_tasks(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let found = tasks(call, &params, &[Kind::Push], &["fail", "done", "process", "invalid"])?;
    let total = found.len();
    let log = |task: &Task| {
        json!({
            "TaskId": task.id,
            "Url": task.url,
            "Status": status_name(task.status),
            "Percent": if task.status == Status::Process { 0 } else { 100 },
            "CreateTime": time(task.created),
            "Area": area_name(task.area),
            "UpdateTime": time(task.updated),
        })
    };
    let logs: Vec<Value> = page(&params, 20, PAGE_MAX, found)?.iter().map(log).collect();
    Ok(reply(json!({"PushLogs": logs, "TotalCount": total})))
}

/// The caller's that the filters let through, newest first.
fn tasks(
    call: &Call<'_>,
    params: &Params<'_>,
    kinds: &[Kind],
    known: &[&str],
) -> Result<Vec<Task>, ApiError> {
    let text = |name| Ok::<_, ApiError>(params.text(name)?.filter(|text| !text.is_empty()));
    let moment = |name| {
        let read = |text: &str| {
            let wrong = || wrong(format!("{name} {text} is not of the form YYYY-MM-DD HH:MM:SS"));
            Timestamp::parse_plain(text).ok_or_else(wrong)
        };
        text(name)?.map(read).transpose()
    };
    let (id, start, end) = (text("TaskId")?, moment("StartTime")?, moment("EndTime")?);
    if id.is_none() && (start.is_none() || end.is_none()) {
        return Err(wrong("TaskId, or StartTime and EndTime, must be given"));
    }
    let (keyword, status, area) = (text("Keyword")?, text("Status")?, area(params)?);
    if let Some(status) = status.filter(|status| !known.contains(status)) {
        return Err(wrong(format!("Status {status} is none of {}", known.join(", "))));
    }
    let keyed = |url: &str| {
        keyword.is_none_or(|keyword| {
            let host =
                |url: &str| Some(url.split_once("://")?.1.split(['/', '?']).next()?.to_ascii_lowercase());
            if keyword.contains("://") {
                url == keyword
            } else {
                host(url) == Some(keyword.to_ascii_lowercase())
            }
        })
    };
    let fits = |task: &Task| {
        kinds.contains(&task.kind)
            && id.is_none_or(|id| task.id == id)
            && start.is_none_or(|start| task.created.as_secs() >= start.as_secs())
            && end.is_none_or(|end| task.created.as_secs() <= end.as_secs())
            && status.is_none_or(|status| status_name(task.status) == status)
            && area.is_none_or(|area| task.area == area)
            && keyed(&task.url)
    };
    Ok(call.cdn.tasks(&call.account.appid, fits)?)
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Process => "process",
        Status::Done => "done",
        Status::Fail => "fail",
        Status::Invalid => "invalid",
    }
}

pub(crate) async fn purge_quota(call: &Call<'_>, _params: Params<'_>) -> Result<Reply, ApiError> {
    Ok(reply(json!({"UrlPurge": quota(call, Kind::Url)?, "PathPurge": quota(call, Kind::Path)?})))
}

pub(crate) async fn push_quota(call: &Call<'_>, _params: Params<'_>) -> Result<Reply, ApiError> {
    Ok(reply(json!({"UrlPush": quota(call, Kind::Push)?})))
}

fn quota(call: &Call<'_>, kind: Kind) -> Result<Vec<Value>, ApiError> {
    let (batch, total) = kind.limits();
    let each = |area| {
        let left = call.cdn.left(&call.account.appid, kind, area)?;
        Ok(json!({"Batch": batch, "Total": total, "Available": left, "Area": area_name(area)}))
    };
    [Area::Mainland, Area::Overseas].into_iter().map(each).collect()
}
