//! The record of invocations, as the API shows it (scf.md 3.10, 7.3): one entry an attempt.

use std::cmp::{Ordering, Reverse};
use std::time::Duration;

use cosette_function::Record;
use cosette_model::Timestamp;
use cosette_model::function::{Outcome, StatusCode};
use serde_json::{Value, json};

use super::invocation::bill_duration;
use super::{Paging, descending, function_of, known_namespace, reply, time};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;

/// The service shows no more than this of a list, and the registry keeps more.
const WINDOW_MAX: usize = 10_000;
/// Records looked through for one answer.
const RECORDS_MAX: usize = 100_000;
const DAY: Duration = Duration::from_secs(86_400);

pub(crate) async fn function_logs(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let paging = Paging::of(&params)?;
    if paging.offset.saturating_add(paging.limit) > WINDOW_MAX {
        let message = format!("Offset and Limit together are more than {WINDOW_MAX}");
        return Err(ApiError::of_field("LimitExceeded", "Offset", message));
    }
    let filter = Filter::of(&params)?;
    let order = Order::of(&params)?;
    let descending = descending(&params, true)?;
    let mut records = records(call, &params)?;
    records.retain(|record| filter.takes(record));
    records.sort_by(|a, b| if descending { order.compare(b, a) } else { order.compare(a, b) });
    let total = records.len();
    let data: Vec<Value> = paging
        .page(records)
        .map(|record| {
            let running = record.outcome.is_none().then(|| call.functions.log_so_far(&record.request_id));
            entry(&record, running.flatten().as_deref())
        })
        .collect();
    Ok(reply(json!({
        "TotalCount": total,
        "Data": data,
        "SearchContext": {"Offset": "", "Limit": 0, "Keyword": "", "Type": ""},
    })))
}

pub(crate) async fn request_status(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let wanted = params.needed("FunctionRequestId")?;
    let times = Times::of(&params)?;
    params.needed("FunctionName")?;
    let mut records = records(call, &params)?;
    records.retain(|record| record.request_id == wanted && times.hold(record.started));
    let data: Vec<Value> = records.iter().map(status).collect();
    Ok(reply(json!({"TotalCount": data.len(), "Data": data})))
}

/// Newest first: of one function, or of all that are the caller's.
fn records(call: &Call<'_>, params: &Params<'_>) -> Result<Vec<Record>, ApiError> {
    if params.text("FunctionName")?.is_some_and(|name| !name.is_empty()) {
        let function = function_of(call, params)?;
        return Ok(call.functions.records(Some(&function.full_name()), RECORDS_MAX)?);
    }
    let namespace = known_namespace(call, params)?;
    let mut records = Vec::new();
    for function in call.functions.list(&call.account.appid, call.region.as_str(), namespace)? {
        records.extend(call.functions.records(Some(&function.full_name()), RECORDS_MAX)?);
    }
    records.sort_by_key(|record| Reverse(record.started));
    records.truncate(RECORDS_MAX);
    Ok(records)
}

/// Which records `GetFunctionLogs` is asked for.
struct Filter<'a> {
    request_id: Option<&'a str>,
    qualifier: Option<&'a str>,
    result: Option<ResultFilter>,
    times: Times,
}

#[derive(Clone, Copy)]
enum ResultFilter {
    Success,
    Failure,
    TimeLimit,
    ResourceLimit,
    UserCode,
}

impl<'a> Filter<'a> {
    fn of(params: &Params<'a>) -> Result<Self, ApiError> {
        let some = |name| params.text(name).map(|text| text.filter(|text| !text.is_empty()));
        let result = match params.object("Filter")? {
            None => None,
            Some(filter) => match filter.text("RetCode")? {
                None | Some("") => None,
                Some("is0") => Some(ResultFilter::Success),
                Some("not0") => Some(ResultFilter::Failure),
                Some("TimeLimitExceeded") => Some(ResultFilter::TimeLimit),
                Some("ResourceLimitExceeded") => Some(ResultFilter::ResourceLimit),
                Some("UserCodeException") => Some(ResultFilter::UserCode),
                Some(other) => {
                    let message = format!("Filter.RetCode {other} is not one of the documented values");
                    return Err(ApiError::invalid_value("RetCode", message));
                }
            },
        };
        Ok(Self {
            request_id: some("FunctionRequestId")?,
            qualifier: some("Qualifier")?,
            result,
            times: Times::of(params)?,
        })
    }

    fn takes(&self, record: &Record) -> bool {
        self.request_id.is_none_or(|id| id == record.request_id)
            && self.qualifier.is_none_or(|qualifier| {
                qualifier == record.function.qualifier
                    || record.version.is_some_and(|version| version.to_string() == qualifier)
            })
            && self.times.hold(record.started)
            && self.result.is_none_or(|result| result.takes(record.outcome.as_ref()))
    }
}

impl ResultFilter {
    /// One that still runs has neither succeeded nor failed.
    fn takes(self, outcome: Option<&Outcome>) -> bool {
        let Some(status) = outcome.map(|outcome| outcome.status) else { return false };
        match self {
            Self::Success => status == StatusCode::Success,
            Self::Failure => status != StatusCode::Success,
            Self::TimeLimit => status == StatusCode::TimeLimitReached,
            Self::ResourceLimit => {
                matches!(status, StatusCode::ResourceLimitReached | StatusCode::MemoryLimitReached)
            }
            Self::UserCode => status == StatusCode::UserCodeException,
        }
    }
}

/// `StartTime` to `EndTime`, whole seconds of UTC, both included.
struct Times(Option<(Timestamp, Timestamp)>);

impl Times {
    fn of(params: &Params<'_>) -> Result<Self, ApiError> {
        let read = |name| match params.text(name)?.filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => Timestamp::parse_plain(text).map(Some).ok_or_else(|| {
                let message = format!("{name} {text} is not of the form YYYY-MM-DD HH:MM:SS");
                ApiError::invalid_value("DateTime", message)
            }),
        };
        match (read("StartTime")?, read("EndTime")?) {
            (None, None) => Ok(Self(None)),
            (Some(start), Some(end)) if start > end => {
                Err(ApiError::invalid_value("StartTime", "StartTime is after EndTime"))
            }
            (Some(start), Some(end)) if end.since(start) > DAY => {
                Err(ApiError::invalid_value("DateTime", "StartTime and EndTime are more than a day apart"))
            }
            (Some(start), Some(end)) => Ok(Self(Some((start, end)))),
            (Some(_), None) | (None, Some(_)) => Err(ApiError::invalid_value(
                "StartTimeOrEndTime",
                "StartTime and EndTime must be given together",
            )),
        }
    }

    fn hold(&self, at: Timestamp) -> bool {
        self.0.is_none_or(|(start, end)| (start.as_secs()..=end.as_secs()).contains(&at.as_secs()))
    }
}

#[derive(Clone, Copy)]
enum Order {
    Start,
    Duration,
    Memory,
    Name,
}

impl Order {
    fn of(params: &Params<'_>) -> Result<Self, ApiError> {
        match params.text("OrderBy")? {
            None | Some("" | "start_time") => Ok(Self::Start),
            Some("duration") => Ok(Self::Duration),
            Some("mem_usage") => Ok(Self::Memory),
            Some("function_name") => Ok(Self::Name),
            Some(other) => {
                let message =
                    format!("OrderBy {other} is not function_name, duration, mem_usage or start_time");
                Err(ApiError::invalid_value("OrderBy", message))
            }
        }
    }

    fn compare(self, a: &Record, b: &Record) -> Ordering {
        let duration = |record: &Record| record.outcome.as_ref().map_or(0.0, |outcome| outcome.duration_ms);
        let memory = |record: &Record| record.outcome.as_ref().map_or(0, |outcome| outcome.memory_bytes);
        match self {
            Self::Start => a.started.cmp(&b.started),
            Self::Duration => duration(a).total_cmp(&duration(b)),
            Self::Memory => memory(a).cmp(&memory(b)),
            Self::Name => a.function.name.cmp(&b.function.name),
        }
    }
}

/// `RetCode` of a log: 0 success, 2 running, 3 stopped, else the status that failed it.
fn ret_code(outcome: Option<&Outcome>) -> u16 {
    match outcome.map(|outcome| outcome.status) {
        None => 2,
        Some(StatusCode::Success) => 0,
        Some(StatusCode::Canceled) => 3,
        Some(status) => status.number(),
    }
}

/// A `FunctionLog`; of one that runs, with its log so far.
fn entry(record: &Record, so_far: Option<&str>) -> Value {
    let outcome = record.outcome.as_ref();
    let duration = outcome.map_or(0.0, |outcome| outcome.duration_ms);
    json!({
        "FunctionName": record.function.name,
        "RequestId": record.request_id,
        "StartTime": time(record.started),
        "RetCode": ret_code(outcome),
        "RetMsg": outcome.map_or("", |outcome| &outcome.result),
        "InvokeFinished": i32::from(outcome.is_some()),
        "Duration": duration,
        "BillDuration": bill_duration(duration),
        "MemUsage": outcome.map_or(0, |outcome| outcome.memory_bytes),
        "Log": outcome.map_or(so_far.unwrap_or_default(), |outcome| &outcome.log),
        "Level": "",
        "Source": "",
        "RetryNum": record.retry,
    })
}

/// A `RequestStatus`, whose codes are others and whose memory is in MB.
fn status(record: &Record) -> Value {
    const MEGABYTE: f64 = 1_048_576.0;
    let outcome = record.outcome.as_ref();
    let code = match outcome.map(|outcome| outcome.status) {
        None => 1,
        Some(StatusCode::Success) => 0,
        Some(_) => -1,
    };
    #[allow(clippy::cast_precision_loss)] // megabytes to a few digits
    let memory = outcome.map_or(0.0, |outcome| outcome.memory_bytes as f64 / MEGABYTE);
    json!({
        "FunctionName": record.function.name,
        "RequestId": record.request_id,
        "StartTime": time(record.started),
        "RetCode": code,
        "RetMsg": outcome.map_or("", |outcome| &outcome.result),
        "Duration": outcome.map_or(0.0, |outcome| outcome.duration_ms),
        "MemUsage": memory,
        "RetryNum": record.retry,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_model::function::FunctionRef;

    use super::*;

    fn record(status: Option<StatusCode>) -> Record {
        let started = Timestamp::parse_plain("2020-04-15 21:48:55").unwrap();
        Record {
            request_id: "id".into(),
            function: FunctionRef {
                appid: "1250000000".into(),
                region: "ap-guangzhou".into(),
                namespace: "default".into(),
                name: "f".into(),
                qualifier: "$DEFAULT".into(),
                routed: None,
            },
            id: None,
            version: None,
            event: "{}".into(),
            source: "COS".into(),
            retry: 1,
            outcome: status.map(|status| Outcome {
                status,
                result: "\"Hello World\"".into(),
                error: String::new(),
                log: "START RequestId:id\nEND RequestId:id".into(),
                started,
                duration_ms: 1.0,
                memory_bytes: 3 << 20,
            }),
            started,
            by: None,
            refused: Vec::new(),
        }
    }

    fn filter(value: &Value) -> Result<Filter<'_>, ApiError> {
        Filter::of(&Params::new(value.as_object().unwrap()))
    }

    #[test]
    fn entries_have_the_services_fields() {
        assert_eq!(
            entry(&record(Some(StatusCode::Success)), None),
            json!({"FunctionName": "f", "RequestId": "id", "StartTime": "2020-04-15 21:48:55", "RetCode": 0,
                   "RetMsg": "\"Hello World\"", "InvokeFinished": 1, "Duration": 1.0, "BillDuration": 1,
                   "MemUsage": 3_145_728, "Log": "START RequestId:id\nEND RequestId:id", "Level": "",
                   "Source": "", "RetryNum": 1})
        );
        assert_eq!(entry(&record(None), None)["RetCode"], 2);
        assert_eq!(entry(&record(None), None)["InvokeFinished"], 0);
        assert_eq!(entry(&record(Some(StatusCode::Canceled)), None)["RetCode"], 3);
        assert_eq!(entry(&record(Some(StatusCode::TimeLimitReached)), None)["RetCode"], 433);
    }

    #[test]
    fn statuses_have_codes_of_their_own() {
        assert_eq!(status(&record(None))["RetCode"], 1);
        assert_eq!(status(&record(Some(StatusCode::Success)))["RetCode"], 0);
        assert_eq!(status(&record(Some(StatusCode::UserCodeException)))["RetCode"], -1);
        assert_eq!(status(&record(Some(StatusCode::Success)))["MemUsage"], 3.0);
    }

    #[test]
    fn result_filters_choose() {
        use StatusCode::{
            MemoryLimitReached, ResourceLimitReached, Success, TimeLimitReached, UserCodeException,
        };
        for (name, taken) in [
            ("is0", vec![Success]),
            ("not0", vec![UserCodeException, TimeLimitReached, ResourceLimitReached, MemoryLimitReached]),
            ("TimeLimitExceeded", vec![TimeLimitReached]),
            ("ResourceLimitExceeded", vec![ResourceLimitReached, MemoryLimitReached]),
            ("UserCodeException", vec![UserCodeException]),
        ] {
            let value = json!({"Filter": {"RetCode": name}});
            let filter = filter(&value).unwrap();
            for code in
                [Success, UserCodeException, TimeLimitReached, ResourceLimitReached, MemoryLimitReached]
            {
                assert_eq!(filter.takes(&record(Some(code))), taken.contains(&code), "{name} {code:?}");
            }
            assert!(!filter.takes(&record(None)), "{name} of a running one");
        }
    }

    #[test]
    fn ids_qualifiers_and_times_choose() {
        let takes = |value: Value| filter(&value).unwrap().takes(&record(None));
        assert!(takes(json!({})));
        assert!(takes(json!({"FunctionRequestId": "id", "Qualifier": "$DEFAULT"})));
        assert!(!takes(json!({"FunctionRequestId": "other"})));
        assert!(!takes(json!({"Qualifier": "$LATEST"})));
        assert!(takes(json!({"StartTime": "2020-04-15 21:48:55", "EndTime": "2020-04-15 21:48:55"})));
        assert!(!takes(json!({"StartTime": "2020-04-15 21:48:56", "EndTime": "2020-04-15 22:00:00"})));
    }

    #[test]
    fn wrong_filters_have_their_codes() {
        let code = |value: Value| filter(&value).map(|_| ()).unwrap_err().code.into_owned();
        assert_eq!(code(json!({"Filter": {"RetCode": "0"}})), "InvalidParameterValue.RetCode");
        assert_eq!(
            code(json!({"StartTime": "2020-04-15 21:48:55"})),
            "InvalidParameterValue.StartTimeOrEndTime"
        );
        assert_eq!(
            code(json!({"StartTime": "yesterday", "EndTime": "today"})),
            "InvalidParameterValue.DateTime"
        );
        assert_eq!(
            code(json!({"StartTime": "2020-04-15 00:00:00", "EndTime": "2020-04-17 00:00:00"})),
            "InvalidParameterValue.DateTime"
        );
        assert_eq!(
            code(json!({"StartTime": "2020-04-15 10:00:00", "EndTime": "2020-04-15 09:00:00"})),
            "InvalidParameterValue.StartTime"
        );
    }
}
