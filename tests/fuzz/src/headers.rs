//! What a server says of the rate limit: `Retry-After`, `X-RateLimit-Limit`, `X-RateLimit-Remaining`, `Date`.

use std::time::Duration;

use nomic_client::agents::Launch;
use nomic_client::{Error, Nomic, codes};

use crate::server::{Server, answer};
use crate::{BETWEEN, KEY, SLACK, check, within};

/// The bits of the first byte choose status, pace, window, method and deadline; the rest are the values of the four
/// headers.
pub fn headers(data: &[u8]) {
    let [choice, values @ ..] = data else { return };
    let status = [429, 429, 200, 503][usize::from(*choice & 3)];
    let (paced, narrow, acts) = (choice & 4 == 0, choice & 8 != 0, choice & 16 != 0);
    // Each is less than the shortest delay that is whole seconds; only the longer one leaves time to try again.
    let deadline = Duration::from_millis(if choice & 32 == 0 { 100 } else { 250 });
    let names = ["Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "Date"];
    let mut lines = Vec::new();
    let mut asked = None;
    for (name, value) in names.into_iter().zip(values.split(|byte| *byte == BETWEEN)) {
        // A line break would begin another header.
        let value: Vec<u8> = value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        if name == "Retry-After" {
            asked = whole_seconds(&value);
        }
        lines.extend_from_slice(&[name.as_bytes(), b": ", &value, b"\r\n"].concat());
    }

    let server = Server::here();
    let window = if narrow { deadline } else { Duration::from_secs(60) };
    let builder = Nomic::builder(server.url(), KEY).attempts(2).deadline(deadline);
    let nomic = builder.pacing(paced).rate_window(window).build().expect("a client of this machine");
    let call = |status: u16, lines: &[u8]| {
        server.answers([answer(status, lines, br#"{"id":"a","status":"RUNNING","content":[]}"#)]);
        let outcome = within(deadline, || match acts {
            true => nomic.launch_agent(&Launch::prompt("Go.")).map(drop),
            false => nomic.agent("a").map(drop),
        });
        if let Err(error) = &outcome {
            check(error);
        }
        (outcome, server.requests().len())
    };

    let (first, sent) = call(status, &lines);
    // What the answer's head cannot be read from asks for nothing.
    let refused = first.as_ref().err().filter(|error| error.status() == Some(429));
    let asked = asked.filter(|asked| refused.is_some() && *asked > Duration::ZERO);
    if let (Some(asked), Some(error)) = (asked, refused) {
        assert_eq!(sent, 1, "sent again before {asked:?} had passed");
        assert!(error.retry_after() >= Some(asked), "asked for {asked:?}, told {:?}", error.retry_after());
    }
    let (second, sent) = call(200, b"");
    match (&second, asked) {
        (_, Some(asked)) if paced => {
            assert_eq!(sent, 0, "sent before {asked:?} had passed");
            let left = second.as_ref().err().and_then(Error::retry_after).unwrap_or_default();
            // One answer shuts the tier for an hour at the most.
            let shut = asked.min(Duration::from_secs(3600));
            assert!(left + deadline + SLACK >= shut, "{left:?} of {shut:?} are left: {second:?}");
        }
        (Ok(()), _) => {}
        (Err(error), _) => assert!(error.is_timeout(), "neither done nor out of time: {error}"),
    }
    // The other tiers have nothing to do with it.
    server.answers([answer(200, b"", br#"{"results":[]}"#)]);
    let other = within(deadline, || {
        nomic.search_codes(&codes::Search::new("door").jurisdiction("texas").code_type("building"))
    });
    assert!(!other.is_err_and(|error| error.is_rate_limited()), "another tier is shut");
}

/// A delay as the standard writes it. One that no clock can count is for ever.
fn whole_seconds(value: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.then(|| text.parse().unwrap_or(u64::MAX))?;
    match seconds {
        0..1_000_000_000 => Some(Duration::from_secs(seconds)),
        // A Unix time: how far off it is depends on `Date`.
        1_000_000_000..1_000_000_000_000 => None,
        // Later than any `Date`. A hundred years are as good as ever, and can be added to.
        _ => Some(Duration::from_secs(100 * 365 * 86_400)),
    }
}
