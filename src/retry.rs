//! Whether to retry a request, and after how long: pure decisions, so that nothing is paid for twice.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::timestamp::{is_decimal, numbers, unix_seconds};

/// The pause before the first retry, doubled with each further one.
const INITIAL_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause; a server may ask for a longer one.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// As a delay 32 years, which no server asks for; as a Unix time September 2001.
const MIN_UNIX_TIME: Duration = Duration::from_secs(1_000_000_000);

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Attempt {
    /// No byte of the request was handed over.
    NotSent,
    /// The request was handed over, at least in part, and no whole response came.
    NoResponse,
    /// A response came.
    Response {
        /// Its status.
        status: u16,
        /// Whether it is the API's: an error body of its shape.
        from_api: bool,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
}

/// One more attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Retry {
    /// How long to wait before.
    pub(crate) pause: Duration,
    /// Whether it counts against the retry budget. A retry that the server asked for does not.
    pub(crate) uses_budget: bool,
}

/// Decides whether to retry. `tries` counts the attempts so far, with this one; `random` is in 0..1.
pub(crate) fn decide(idempotent: bool, attempt: Attempt, tries: u32, random: f64) -> Option<Retry> {
    let retry = |asked: Option<Duration>, uses_budget| {
        Some(Retry { pause: asked.unwrap_or_default().max(pause(tries, random)), uses_budget })
    };
    match attempt {
        Attempt::NotSent => retry(None, true),
        Attempt::Response { status: 429, retry_after: Some(asked), .. } => retry(Some(asked), false),
        _ if !idempotent => None,
        Attempt::NoResponse => retry(None, true),
        // The API's own 503 means "not on this instance"; with a delay it means "later".
        Attempt::Response { status: 503, from_api: true, retry_after: None } => None,
        Attempt::Response { status: 408 | 500 | 502..=504 | 520..=529, retry_after, .. } => retry(retry_after, true),
        Attempt::Response { .. } => None,
    }
}

/// Exponential, with jitter in the upper half of each step, so that clients do not retry in step.
fn pause(tries: u32, random: f64) -> Duration {
    let step = INITIAL_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(MAX_PAUSE);
    step.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))
}

/// Reads `Retry-After`: seconds, whole or with a fraction, or an HTTP date, or a Unix time, which servers send by mistake.
/// A time is relative to the response's own `Date`, so that the two clocks need not agree; without one to `now`. Of two
/// delays that a proxy has joined (`1, 2`), the longer one counts.
pub(crate) fn retry_after(value: &str, date: Option<&str>, now: SystemTime) -> Option<Duration> {
    if let Some(joined) =
        value.split(',').map(|delay| delay_or_time(delay.trim(), date, now)).collect::<Option<Vec<_>>>()
    {
        return joined.into_iter().max();
    }
    delay_or_time(value, date, now)
}

fn delay_or_time(value: &str, date: Option<&str>, now: SystemTime) -> Option<Duration> {
    let left = |until: Duration| until.saturating_sub(since_1970(date.and_then(http_date).unwrap_or(now)));
    // Some servers write the unit.
    let value = value.strip_suffix('s').unwrap_or(value);
    let seconds = if is_decimal(value) {
        // More than can be counted never ends.
        value.parse().map_or(Duration::MAX, Duration::from_secs)
    } else if let Ok(seconds) = value.parse::<f64>() {
        Duration::try_from_secs_f64(seconds).ok()?
    } else {
        return Some(left(since_1970(http_date(value)?)));
    };
    Some(if seconds < MIN_UNIX_TIME { seconds } else { left(seconds) })
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Reads a date in the form that HTTP lets be sent, `Sun, 06 Nov 1994 08:49:37 GMT`, and in the two that it lets be
/// received: `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`.
fn http_date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split([' ', ',', '-']).filter(|word| !word.is_empty()).collect();
    let (day, month, year, time) = match words[..] {
        // GMT is the only zone that HTTP allows; others write the same one differently.
        [_, day, month, year, time, "GMT" | "UTC" | "UT" | "Z" | "0000" | "+0000"] => (day, month, year, time),
        [_, month, day, time, year] => (day, month, year, time),
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let year = match year.parse::<u16>().ok()?.into() {
        // Two digits, of the hundred years around now as far as this crate will be used.
        short @ 0..=69 => short + 2000,
        short @ 70..=99 => short + 1900,
        year => year,
    };
    let date = [year, month, day.parse::<u8>().ok()?.into()];
    let seconds = unix_seconds(date, numbers(time, ':', [2, 2, 2])?)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// A budget of retries, shared by all clones of a client: an outage is not multiplied.
///
/// It starts full; a retry takes one, a success gives back a tenth.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    left: f64,
}

impl RetryBudget {
    const FULL: f64 = 50.0;
    const PER_SUCCESS: f64 = 0.1;

    pub(crate) fn new() -> Self {
        Self { left: Self::FULL }
    }

    /// Takes one retry, if there is one.
    pub(crate) fn take(&mut self) -> bool {
        let granted = self.left >= 1.0;
        if granted {
            self.left -= 1.0;
        }
        granted
    }

    pub(crate) fn record_success(&mut self) {
        self.left = (self.left + Self::PER_SUCCESS).min(Self::FULL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, from_api: bool, retry_after: Option<u64>) -> Attempt {
        Attempt::Response { status, from_api, retry_after: retry_after.map(Duration::from_secs) }
    }

    fn retries(idempotent: bool, attempt: Attempt) -> bool {
        decide(idempotent, attempt, 1, 0.5).is_some()
    }

    #[test]
    fn a_request_that_was_never_sent_is_retried() {
        assert!(retries(false, Attempt::NotSent));
        assert!(retries(true, Attempt::NotSent));
    }

    #[test]
    fn a_write_of_unknown_effect_is_never_retried() {
        assert!(!retries(false, Attempt::NoResponse));
        for status in [200, 301, 400, 401, 403, 404, 408, 409, 413, 422, 500, 501, 502, 503, 504] {
            for from_api in [true, false] {
                for retry_after in [None, Some(1)] {
                    assert!(!retries(false, response(status, from_api, retry_after)), "{status}");
                }
            }
        }
    }

    #[test]
    fn a_read_is_retried_after_a_transient_failure() {
        assert!(retries(true, Attempt::NoResponse));
        for status in [408, 500, 502, 503, 504] {
            assert!(retries(true, response(status, false, None)), "{status}");
        }
        for status in [200, 302, 400, 401, 403, 404, 409, 413, 422, 501] {
            assert!(!retries(true, response(status, false, None)), "{status}");
        }
    }

    #[test]
    fn a_feature_that_the_instance_does_not_have_is_not_asked_for_again() {
        assert!(!retries(true, response(503, true, None)));
        assert!(!retries(true, response(501, true, Some(1))));
        assert!(retries(true, response(503, true, Some(3))));
    }

    #[test]
    fn a_429_is_retried_only_with_a_delay() {
        for idempotent in [true, false] {
            assert!(retries(idempotent, response(429, true, Some(2))));
            assert!(!retries(idempotent, response(429, true, None)));
        }
        let asked = decide(false, response(429, true, Some(2)), 1, 0.5);
        assert_eq!(asked, Some(Retry { pause: Duration::from_secs(2), uses_budget: false }));
        // A server that keeps saying "now" is not flooded.
        let pause = |tries| decide(false, response(429, true, Some(0)), tries, 1.0);
        assert_eq!(pause(3), Some(Retry { pause: Duration::from_secs(1), uses_budget: false }));
    }

    #[test]
    fn a_pause_grows_up_to_a_limit_and_is_never_shorter_than_the_server_asks() {
        let pauses: Vec<_> = (1..20).map(|tries| pause(tries, 1.0).as_millis()).collect();
        assert_eq!(&pauses[..4], &[250, 500, 1000, 2000]);
        assert_eq!(pauses[18], MAX_PAUSE.as_millis());
        assert_eq!(pause(1, 0.0), Duration::from_millis(125));
        let asked = decide(true, response(503, false, Some(30)), 1, 0.5);
        assert_eq!(asked, Some(Retry { pause: Duration::from_secs(30), uses_budget: true }));
    }

    #[test]
    fn retry_after_is_read_in_every_form() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let read = |value, date| retry_after(value, date, now);
        assert_eq!(read("120", None), Some(Duration::from_secs(120)));
        assert_eq!(read("1.5", None), Some(Duration::from_millis(1500)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:47 GMT", None), Some(Duration::from_secs(10)));
        assert_eq!(read("Sunday, 06-Nov-94 08:49:47 GMT", None), Some(Duration::from_secs(10)));
        assert_eq!(read("Sun Nov  6 08:49:47 1994", None), Some(Duration::from_secs(10)));
        assert_eq!(
            read("Thu, 01 Mar 2096 00:00:05 GMT", Some("Wed, 29 Feb 2096 23:59:50 GMT")),
            Some(Duration::from_secs(15))
        );
        assert_eq!(
            read("Sunday, 05-Apr-26 12:00:15 GMT", Some("Sun, 05 Apr 2026 12:00:00 GMT")),
            Some(Duration::from_secs(15)),
            "a year of two digits is near this one"
        );
        assert_eq!(read("Sun, 06 Nov 1994 08:49:47 UTC", None), Some(Duration::from_secs(10)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:47 +0000", None), Some(Duration::from_secs(10)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:47 -0000", None), Some(Duration::from_secs(10)));
        assert_eq!(read("1, 1", None), Some(Duration::from_secs(1)));
        assert_eq!(read("2,30", None), Some(Duration::from_secs(30)));
        assert_eq!(read("1s", None), Some(Duration::from_secs(1)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:07 GMT", None), Some(Duration::ZERO), "long past");
        for odd in [
            "",
            "-1",
            "soon",
            "NaN",
            "inf",
            "1e400",
            "s",
            "1, soon",
            "Sun, 99 Nov 1994 08:49:07 GMT",
            "Sun, 06 Nov",
            ", 1 Jan 1 1",
        ] {
            assert_eq!(read(odd, None), None, "{odd:?}");
        }
    }

    #[test]
    fn a_number_that_can_only_be_a_unix_time_is_read_as_one() {
        let now = UNIX_EPOCH + Duration::from_secs(1_775_390_370);
        let read = |value, date| retry_after(value, date, now);
        assert_eq!(read("1775390400", None), Some(Duration::from_secs(30)));
        assert_eq!(read("1775390400.5", None), Some(Duration::from_millis(30_500)));
        assert_eq!(read("1.7753904e9", None), Some(Duration::from_secs(30)));
        let date = Some("Sun, 05 Apr 2026 11:59:50 GMT");
        assert_eq!(read("1775390400", date), Some(Duration::from_secs(10)), "by the server's own clock");
        assert_eq!(read("1000000000", None), Some(Duration::ZERO), "long past");
        assert_eq!(read("999999999", None), Some(Duration::from_secs(999_999_999)), "thirty years are a delay");
        // A delay that no clock can count stays one.
        for value in ["18446744073709551616", "1e19"] {
            assert!(read(value, None) > Some(Duration::from_secs(1_000_000_000_000)), "{value}");
        }
    }

    #[test]
    fn an_outage_empties_the_budget_and_successes_fill_it() {
        let mut budget = RetryBudget::new();
        assert_eq!((0..1000).filter(|_| budget.take()).count(), 50);
        for _ in 0..11 {
            budget.record_success();
        }
        assert!(budget.take());
        assert!(!budget.take());
    }
}
