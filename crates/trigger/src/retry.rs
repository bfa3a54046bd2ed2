//! What an attempt's end means for its delivery: SCF's retry policy (scf.md 6.5). Pure.

use std::time::Duration;

use cosette_model::Timestamp;
use cosette_model::function::{FailureKind, RetryPolicy, StatusCode};

use crate::delivery::{ATTEMPTS_MAX, Attempt, DeliveryState, ERROR_BYTES_MAX, Progress};

/// The delivery after `attempt`. `created` is when its event happened, `interval` lies between attempts.
pub(crate) fn after(
    mut progress: Progress,
    mut attempt: Attempt,
    created: Timestamp,
    policy: RetryPolicy,
    interval: Duration,
) -> Progress {
    if attempt.error.len() > ERROR_BYTES_MAX {
        let end = (0..=ERROR_BYTES_MAX).rev().find(|&end| attempt.error.is_char_boundary(end));
        attempt.error.truncate(end.unwrap_or_default());
    }
    let at = attempt.ended.plus(interval);
    let number = attempt.status.number();
    progress.tries += 1;
    progress.state = match attempt.status.failure() {
        None => DeliveryState::Succeeded,
        // Called off on purpose: no kind of failure (scf.md 6.4).
        Some(_) if attempt.status == StatusCode::Canceled => {
            DeliveryState::Dead { why: format!("{number}: canceled") }
        }
        Some(FailureKind::Execution) => {
            progress.execution_failures += 1;
            if progress.execution_failures <= policy.retries {
                DeliveryState::Retrying { at }
            } else {
                let times = progress.execution_failures;
                DeliveryState::Dead { why: format!("{number}: the function failed {times} times") }
            }
        }
        Some(FailureKind::Overrun | FailureKind::System) => {
            let age_max = Duration::from_secs(policy.max_age_secs.into());
            if at.since(created) <= age_max {
                DeliveryState::Retrying { at }
            } else {
                let age = age_max.as_secs();
                DeliveryState::Dead { why: format!("{number}: the event is older than {age} seconds") }
            }
        }
    };
    if progress.attempts.len() >= ATTEMPTS_MAX {
        progress.attempts.remove(0);
    }
    progress.attempts.push(attempt);
    progress
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Attempts that end at once, each as soon as it is due, until the delivery is finished.
    fn play(policy: RetryPolicy, outcomes: impl IntoIterator<Item = StatusCode>) -> (Progress, Timestamp) {
        let created = Timestamp::from_secs(1000);
        let mut now = created;
        let mut progress = Progress::default();
        for status in outcomes {
            let attempt =
                Attempt { started: now, ended: now, status, error: "é".repeat(2000), answer: String::new() };
            progress = after(progress, attempt, created, policy, MINUTE);
            match progress.state {
                DeliveryState::Retrying { at } => now = at,
                _ => break,
            }
        }
        (progress, now)
    }

    #[test]
    fn success_ends_it() {
        let (progress, _) = play(RetryPolicy::default(), [StatusCode::Success]);
        assert_eq!((progress.state, progress.tries), (DeliveryState::Succeeded, 1));
    }

    #[test]
    fn execution_errors_are_retried_as_often_as_the_policy_says() {
        for retries in 0..=2 {
            let policy = RetryPolicy { retries, max_age_secs: 60 };
            let (progress, last) = play(policy, std::iter::repeat(StatusCode::UserCodeException));
            assert!(matches!(&progress.state, DeliveryState::Dead { why } if why.starts_with("430: ")));
            assert_eq!(progress.tries, retries + 1);
            assert_eq!(last, Timestamp::from_secs(1000 + 60 * u64::from(retries)));
        }
    }

    #[test]
    fn a_late_success_counts() {
        let outcomes = [StatusCode::UserCodeException, StatusCode::TimeLimitReached, StatusCode::Success];
        let (progress, _) = play(RetryPolicy::default(), outcomes);
        assert_eq!(progress.state, DeliveryState::Succeeded);
        assert_eq!(progress.attempts.len(), 3);
    }

    #[test]
    fn overrun_and_system_errors_are_retried_until_the_event_is_too_old() {
        for status in [StatusCode::ResourceLimitReached, StatusCode::InternalError] {
            let policy = RetryPolicy { retries: 0, max_age_secs: 600 };
            let (progress, last) = play(policy, std::iter::repeat(status));
            assert!(matches!(progress.state, DeliveryState::Dead { .. }));
            // The attempt at the age of exactly ten minutes is still made.
            assert_eq!((progress.tries, last), (11, Timestamp::from_secs(1600)));
        }
    }

    #[test]
    fn overrun_does_not_use_up_execution_retries() {
        use StatusCode::{ResourceLimitReached as Overrun, UserCodeException as Failed};
        let policy = RetryPolicy { retries: 1, max_age_secs: 21_600 };
        let (progress, _) = play(policy, [Overrun, Overrun, Failed, Overrun, Failed, Overrun]);
        assert!(matches!(progress.state, DeliveryState::Dead { .. }));
        assert_eq!(progress.tries, 5);
    }

    #[test]
    fn a_missing_function_is_an_execution_error_and_a_canceled_call_none() {
        let (progress, _) = play(RetryPolicy::default(), std::iter::repeat(StatusCode::FunctionNotFound));
        assert_eq!(progress.tries, 3);
        let (progress, _) = play(RetryPolicy::default(), [StatusCode::Canceled]);
        assert!(matches!(progress.state, DeliveryState::Dead { .. }));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (progress, _) = play(RetryPolicy::default(), std::iter::repeat(StatusCode::InternalError));
        assert_eq!(progress.tries, 361);
        assert_eq!(progress.attempts.len(), ATTEMPTS_MAX);
        assert!(progress.attempts.iter().all(|attempt| attempt.error.len() == ERROR_BYTES_MAX));
    }
}
