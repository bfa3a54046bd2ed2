//! Asynchronous events (scf.md 3.10): what triggers and asynchronous calls have sent to functions.

use cosette_model::Timestamp;
use cosette_trigger::{AsyncEvent, Error as TriggerError, EventStatus};
use serde_json::{Value, json};

use super::{Paging, descending, function_of, reply, sort_by_key};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

/// Events looked through for one answer: those that are over are kept up to a number, and so many may wait.
const EVENTS_MAX: usize = 100_000;
const LIMIT_MAX: usize = 100;

pub(crate) async fn list(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let paging = Paging::of(&params)?;
    if paging.limit > LIMIT_MAX {
        return Err(ApiError::invalid_value("Limit", format!("Limit is more than {LIMIT_MAX}")));
    }
    let filter = Filter::of(&params)?;
    let descending = descending(&params, true)?;
    let by: fn(&AsyncEvent) -> Option<Timestamp> = match params.text("Orderby")? {
        None | Some("" | "StartTime") => |event| Some(event.started),
        Some("EndTime") => |event| event.ended,
        Some(other) => {
            let message = format!("Orderby {other} is neither StartTime nor EndTime");
            return Err(ApiError::invalid_value("OrderBy", message));
        }
    };
    let function = function.full_name();
    let is_of = move |of: &cosette_model::function::FunctionRef, _: &str| of.is_of(&function);
    let mut events = call.triggers.async_events(is_of, EVENTS_MAX).await?;
    events.retain(|event| filter.takes(event));
    sort_by_key(&mut events, descending, by);
    let total = events.len();
    let page: Vec<Value> = paging.page(events).map(|event| shown(&event)).collect();
    Ok(reply(json!({"TotalCount": total, "EventList": page})))
}

pub(crate) async fn status(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let event = find(call, params.needed("InvokeRequestId")?).await?;
    // Of one that has not been tried yet there is no code.
    let code = event.code.map_or(0, |code| code.number());
    Ok(reply(json!({"Result": {
        "Status": name(event.status),
        "StatusCode": code,
        "InvokeRequestId": event.id,
    }})))
}

pub(crate) async fn terminate(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let id = params.needed("InvokeRequestId")?;
    let is_gentle = params.flag("GraceShutdown")? == Some(true);
    let event = find(call, id).await?;
    if !event.function.is_of(&function.full_name()) {
        return Err(unknown(id));
    }
    let ended = match is_gentle {
        true => call.triggers.terminate_gently(id).await,
        false => call.triggers.terminate(id).await,
    };
    ended.map_err(|error| match error {
        TriggerError::NoSuchDelivery(_) => unknown(id),
        TriggerError::NotNow { why, .. } => {
            ApiError::new("FailedOperation.AsyncEventStatus", format!("the asynchronous event {id} {why}"))
        }
        other => other.into(),
    })?;
    Ok(Reply::new())
}

/// One of the caller's and of the request's region.
async fn find(call: &Call<'_>, id: &str) -> Result<AsyncEvent, ApiError> {
    let wanted = id.to_owned();
    let found = call.triggers.async_events(move |_, id| id == wanted, 1).await?;
    let event = found.into_iter().next().ok_or_else(|| unknown(id))?;
    let function = call.functions.get(&event.function.full_name())?;
    if function.appid != call.account.appid || function.region != call.region.as_str() {
        return Err(unknown(id));
    }
    Ok(event)
}

fn unknown(id: &str) -> ApiError {
    ApiError::new("ResourceNotFound.AsyncEvent", format!("there is no asynchronous event {id}"))
}

/// Which events `ListAsyncEvents` is asked for.
struct Filter<'a> {
    id: Option<&'a str>,
    qualifier: Option<&'a str>,
    kinds: Vec<&'a str>,
    statuses: Vec<&'a str>,
    started: Option<(Timestamp, Timestamp)>,
    ended: Option<(Timestamp, Timestamp)>,
}

impl<'a> Filter<'a> {
    fn of(params: &Params<'a>) -> Result<Self, ApiError> {
        let some = |name| params.text(name).map(|text| text.filter(|text| !text.is_empty()));
        Ok(Self {
            id: some("InvokeRequestId")?,
            qualifier: some("Qualifier")?,
            kinds: params.texts("InvokeType")?.unwrap_or_default(),
            statuses: params.texts("Status")?.unwrap_or_default(),
            started: interval(params, "StartTimeInterval")?,
            ended: interval(params, "EndTimeInterval")?,
        })
    }

    fn takes(&self, event: &AsyncEvent) -> bool {
        let holds = |(from, to): (Timestamp, Timestamp), at: Timestamp| from <= at && at < to;
        self.id.is_none_or(|id| id == event.id)
            && self.qualifier.is_none_or(|qualifier| qualifier == event.function.qualifier)
            && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && (self.statuses.is_empty() || self.statuses.contains(&name(event.status)))
            && self.started.is_none_or(|interval| holds(interval, event.started))
            && self.ended.is_none_or(|interval| event.ended.is_some_and(|at| holds(interval, at)))
    }
}

/// `Start` and, not included, `End`, in UTC; one that is left out is open.
fn interval(params: &Params<'_>, field: &'static str) -> Result<Option<(Timestamp, Timestamp)>, ApiError> {
    let Some(interval) = params.object(field)? else { return Ok(None) };
    let read = |end, open| match interval.text(end)?.filter(|text| !text.is_empty()) {
        None => Ok(open),
        Some(text) => Timestamp::parse_plain(text).ok_or_else(|| {
            let message = format!("{field}.{end} {text} is not of the form YYYY-MM-DD HH:MM:SS");
            ApiError::invalid_value("DateTime", message)
        }),
    };
    Ok(Some((read("Start", Timestamp::default())?, read("End", Timestamp::END)?)))
}

fn name(status: EventStatus) -> &'static str {
    match status {
        EventStatus::Running => "RUNNING",
        EventStatus::Finished => "FINISHED",
        EventStatus::Aborted => "ABORTED",
        EventStatus::Failed => "FAILED",
    }
}

fn shown(event: &AsyncEvent) -> Value {
    // `2020-04-15 21:48:55.123`
    let time = |at: Timestamp| at.iso_millis().replace('T', " ").replace('Z', "");
    json!({
        "InvokeRequestId": event.id,
        "InvokeType": event.kind,
        "Qualifier": event.function.qualifier,
        "Status": name(event.status),
        "StartTime": time(event.started),
        "EndTime": event.ended.map(time).unwrap_or_default(),
    })
}
