//! The text of one invocation's log, in SCF's form (scf.md 7.1). Pure.

use std::time::Duration;

use cosette_model::function::StatusCode;
use cosette_runtime::{Ran, note, without_note};

/// Bytes of a whole log.
pub(crate) const LOG_BYTES_MAX: usize = 256 * 1024;

/// Bytes of the result or error in a line of the platform (scf.md 7.2: 8 KB a line).
const LINE_BYTES_MAX: usize = 8 * 1024;

const MIB: f64 = 1024.0 * 1024.0;

/// The first `max` bytes, or a little less so that no character is cut.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What the user printed, within `left` bytes, ending with a line end.
fn user(text: &str, left: &mut usize, log: &mut String) {
    if text.is_empty() {
        return;
    }
    let (kept, missing) = without_note(text);
    let shown = cut(kept, *left);
    log.push_str(shown);
    if !shown.ends_with('\n') {
        log.push('\n');
    }
    let missing = missing + (kept.len() - shown.len()) as u64;
    if missing > 0 {
        log.push_str(&note(missing));
    }
    *left -= shown.len();
}

fn millis(duration: Duration) -> u128 {
    duration.as_micros().div_ceil(1000)
}

/// `pulled` is how long the code had to be fetched and unpacked for a cold start.
pub(crate) fn text(request_id: &str, memory_mb: u32, pulled: Duration, ran: &Ran) -> String {
    // The platform's own lines are short; this leaves room for all of them.
    let mut left = LOG_BYTES_MAX - 3 * LINE_BYTES_MAX;
    let mut log = format!("START RequestId:{request_id}\n");
    user(&ran.init_output, &mut left, &mut log);
    if let Some(init) = ran.init_duration {
        let runtime = ran.runtime_duration.unwrap_or(init);
        let usage = ran.memory_bytes as f64 / MIB;
        log.push_str(&format!(
            "Init Report RequestId: {request_id} Coldstart: {}ms (PullCode: {}ms InitRuntime: {}ms \
             InitFunction: {}ms) Memory: {memory_mb}MB MemUsage: {usage:.2}MB\n",
            millis(pulled + init),
            millis(pulled),
            millis(runtime),
            millis(init.saturating_sub(runtime)),
        ));
    }
    user(&ran.output, &mut left, &mut log);
    if ran.status != StatusCode::Success {
        // An exception is shown with its stack, which only the error document has.
        let reported = matches!(ran.status, StatusCode::UserCodeException | StatusCode::UserCodeError);
        let error = if reported { &ran.result } else { &ran.error };
        log.push_str(&format!("ERROR RequestId:{request_id} Result:{}\n", cut(error, LINE_BYTES_MAX)));
    }
    log.push_str(&format!("Response RequestId:{request_id} RetMsg:{}\n", cut(&ran.result, LINE_BYTES_MAX)));
    log.push_str(&format!("END RequestId:{request_id}\n"));
    log.push_str(&format!(
        "Report RequestId:{request_id} Duration:{}ms Memory:{memory_mb}MB MemUsage:{:.6}MB",
        millis(ran.duration),
        ran.memory_bytes as f64 / MIB,
    ));
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "09c346d3-8417-49c5-8569-77f4ea3ad7a2";

    fn ran() -> Ran {
        Ran {
            status: StatusCode::Success,
            result: "\"Hello World\"".into(),
            error: String::new(),
            init_output: String::new(),
            output: "one\ntwo".into(),
            init_duration: None,
            runtime_duration: None,
            duration: Duration::from_micros(900),
            memory_bytes: 31_178_752,
            refused: Vec::new(),
        }
    }

    #[test]
    fn a_warm_success() {
        assert_eq!(
            text(ID, 128, Duration::ZERO, &ran()),
            format!(
                "START RequestId:{ID}\none\ntwo\nResponse RequestId:{ID} RetMsg:\"Hello World\"\nEND RequestId:{ID}\n\
                 Report RequestId:{ID} Duration:1ms Memory:128MB MemUsage:29.734375MB"
            )
        );
    }

    #[test]
    fn a_cold_failure() {
        let ran = Ran {
            status: StatusCode::TimeLimitReached,
            result: r#"{"errorCode":-1}"#.into(),
            error: "Invoking task timed out after 3 seconds".into(),
            init_output: "loading\n".into(),
            output: String::new(),
            init_duration: Some(Duration::from_millis(1723)),
            runtime_duration: Some(Duration::from_millis(267)),
            duration: Duration::from_secs(3),
            memory_bytes: 17_354_000,
            refused: Vec::new(),
        };
        assert_eq!(
            text(ID, 3072, Duration::from_millis(427), &ran),
            format!(
                "START RequestId:{ID}\nloading\nInit Report RequestId: {ID} Coldstart: 2150ms (PullCode: 427ms \
                 InitRuntime: 267ms InitFunction: 1456ms) Memory: 3072MB MemUsage: 16.55MB\nERROR RequestId:{ID} \
                 Result:Invoking task timed out after 3 seconds\nResponse RequestId:{ID} \
                 RetMsg:{{\"errorCode\":-1}}\nEND RequestId:{ID}\nReport RequestId:{ID} Duration:3000ms \
                 Memory:3072MB MemUsage:16.550064MB"
            )
        );
    }

    #[test]
    fn the_platforms_lines_are_never_lost() {
        let mut ran = ran();
        ran.init_output = "ü".repeat(LOG_BYTES_MAX);
        ran.output = "x\n".repeat(LOG_BYTES_MAX);
        ran.result = format!("\"{}\"", "y".repeat(LOG_BYTES_MAX));
        ran.init_duration = Some(Duration::from_secs(1));
        let log = text(ID, 128, Duration::ZERO, &ran);
        assert!(log.len() <= LOG_BYTES_MAX, "{}", log.len());
        for line in ["START ", "Init Report ", "Response ", "END ", "Report "] {
            assert!(log.lines().any(|l| l.starts_with(line)), "{line}");
        }
    }

    #[test]
    fn what_was_not_kept_is_counted_once() {
        let mut ran = ran();
        let kept = "x".repeat(LOG_BYTES_MAX - 1) + "\n";
        ran.output = format!("{kept}{}", note(1000));
        let log = text(ID, 128, Duration::ZERO, &ran);
        let shown = log.lines().map(str::len).max().unwrap_or_default();
        assert!(log.contains(&format!("x\n{}Response ", note((kept.len() - shown + 1000) as u64))));
        // One that was short enough says what it said before.
        ran.output = format!("one\n{}", note(1000));
        assert!(text(ID, 128, Duration::ZERO, &ran).contains(&format!("one\n{}Response ", note(1000))));
        assert_eq!(without_note("one\n[7 more]\n"), ("one\n[7 more]\n", 0));
        assert_eq!((without_note(""), without_note(&note(3))), (("", 0), ("", 3)));
    }
}
