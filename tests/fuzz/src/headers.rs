//! Rate-limit headers from the server: `Retry-After`, `X-RateLimit-Limit`, `X-RateLimit-Remaining`, `Date`.

use std::time::Duration;

use nomic_client::agents::Launch;
use nomic_client::{Error, Nomic, codes};

use crate::server::{Server, response};
use crate::{KEY, SEPARATOR, SLACK, check, within};

/// The bits of the first byte select status, pacing, window, method and deadline; the rest are the values of the four
/// headers.
pub fn headers(data: &[u8]) {
    let [flags, values @ ..] = data else { return };
    let status = [429, 429, 200, 503][usize::from(*flags & 3)];
    let (pacing, short_window, write) = (flags & 4 == 0, flags & 8 != 0, flags & 16 != 0);
    // Both are shorter than one second, the shortest whole-second delay; only the longer one leaves time for a retry.
    let deadline = Duration::from_millis(if flags & 32 == 0 { 100 } else { 250 });
    let names = ["Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "Date"];
    let mut lines = Vec::new();
    let mut retry_after = None;
    for (name, value) in names.into_iter().zip(values.split(|byte| *byte == SEPARATOR)) {
        // A line break would start another header.
        let value: Vec<u8> = value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        if name == "Retry-After" {
            retry_after = whole_seconds(&value);
        }
        lines.extend_from_slice(&[name.as_bytes(), b": ", &value, b"\r\n"].concat());
    }

    let server = Server::local();
    let window = if short_window { deadline } else { Duration::from_secs(60) };
    let builder = Nomic::builder(server.url(), KEY).attempts(2).deadline(deadline);
    let nomic = builder.pacing(pacing).rate_window(window).build().expect("a client of this machine");
    let call = |status: u16, lines: &[u8]| {
        server.respond_with([response(status, lines, br#"{"id":"a","status":"RUNNING","content":[]}"#)]);
        let outcome = within(deadline, || match write {
            true => nomic.launch_agent(&Launch::prompt("Go.")).map(drop),
            false => nomic.agent("a").map(drop),
        });
        if let Err(error) = &outcome {
            check(error);
        }
        (outcome, server.requests().len())
    };

    let (first, sent) = call(status, &lines);
    // A response whose head is invalid does not count as a 429.
    let throttled = first.as_ref().err().filter(|error| error.status() == Some(429));
    let retry_after = retry_after.filter(|delay| throttled.is_some() && *delay > Duration::ZERO);
    if let (Some(delay), Some(error)) = (retry_after, throttled) {
        assert_eq!(sent, 1, "retried before {delay:?} had passed");
        assert!(error.retry_after() >= Some(delay), "{:?} instead of {delay:?}", error.retry_after());
    }
    let (second, sent) = call(200, b"");
    match (&second, retry_after) {
        (_, Some(delay)) if pacing => {
            assert_eq!(sent, 0, "sent before {delay:?} had passed");
            let left = second.as_ref().err().and_then(Error::retry_after).unwrap_or_default();
            // One response blocks the tier for at most an hour.
            let blocked = delay.min(Duration::from_secs(3600));
            assert!(left + deadline + SLACK >= blocked, "{left:?} of {blocked:?} left: {second:?}");
        }
        (Ok(()), _) => {}
        (Err(error), _) => assert!(error.is_timeout(), "neither a success nor a timeout: {error}"),
    }
    // Other tiers are unaffected.
    server.respond_with([response(200, b"", br#"{"results":[]}"#)]);
    let other = within(deadline, || {
        nomic.search_codes(&codes::Search::new("door").jurisdiction("texas").code_type("building"))
    });
    assert!(!other.is_err_and(|error| error.is_rate_limited()), "another tier is blocked");
}

/// A delay in whole seconds, as in RFC 9110. One that overflows counts as forever.
fn whole_seconds(value: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.then(|| text.parse().unwrap_or(u64::MAX))?;
    match seconds {
        0..1_000_000_000 => Some(Duration::from_secs(seconds)),
        // A Unix timestamp: the delay depends on `Date`.
        1_000_000_000..1_000_000_000_000 => None,
        // Later than any `Date`. A hundred years stand for forever and do not overflow.
        _ => Some(Duration::from_secs(100 * 365 * 86_400)),
    }
}
