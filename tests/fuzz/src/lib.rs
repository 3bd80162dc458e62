//! What must hold whatever a server or a caller gives: each property takes any bytes, and panics if it does not hold.
//!
//! All go through the public methods of the client, and a socket where one is needed.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod answers;
mod corpus;
mod headers;
mod requests;
mod server;

use std::time::{Duration, Instant};

use nomic_client::{Builder, Error, ErrorKind, Nomic};

pub use crate::answers::{answers, wire};
pub use crate::corpus::{escaped, keep, kept, unescaped};
pub use crate::headers::headers;
pub use crate::requests::{base_urls, cursors, ids, names};
use crate::server::Server;

/// A property.
pub type Property = fn(&[u8]);

/// All properties, by name.
pub const PROPERTIES: [(&str, Property); 7] = [
    ("answers", answers),
    ("base_urls", base_urls),
    ("cursors", cursors),
    ("headers", headers),
    ("ids", ids),
    ("names", names),
    ("wire", wire),
];

/// Stands between the texts of an input: no UTF-8 holds it.
pub const BETWEEN: u8 = 0xFF;

/// The key. What is said in an error must not hold it.
const KEY: &str = "npk_fuzz-0123456789";

/// The longest line of an error, in bytes: a KiB of a body, each byte of which may have become three, and what is said
/// around it.
const LONGEST_LINE: usize = 8 * 1024;

/// How much later than promised something may end on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

/// A client of the server of this thread that sends everything once.
fn builder() -> Builder {
    Nomic::builder(Server::here().url(), KEY).attempts(1).pacing(false).response_limit(1 << 20)
}

/// Runs what has to end in time.
fn within<T>(limit: Duration, run: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let outcome = run();
    let took = began.elapsed();
    assert!(took < limit + SLACK, "took {took:?}, not {limit:?}");
    outcome
}

/// What is promised of every error: one line, not too long, that names the operation and not the key.
fn check(error: &Error) {
    let line = error.to_string();
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    assert!(!line.contains(breaks), "more than a line: {line:?}");
    assert!(line.len() <= LONGEST_LINE, "a line of {} bytes: {:.200}…", line.len(), line);
    let operation = error.operation().unwrap_or("cannot build the client");
    assert!(line.starts_with(operation), "{line} does not name {operation}");
    assert_eq!(format!("{error:?}"), line);
    // An id is needed as it came, and so is a result.
    let kept = matches!(error.kind(), ErrorKind::Decode(error) if error.body.is_empty())
        || error.job().is_some_and(|job| format!("{job:?}").contains(KEY));
    assert!(kept || !format!("{line}{error:#?}").contains(KEY), "the key is shown: {error:#?}");
}

/// The texts of an input. What is no UTF-8 in them is replaced.
fn texts(data: &[u8]) -> impl Iterator<Item = String> {
    data.split(|byte| *byte == BETWEEN).map(|text| String::from_utf8_lossy(text).into_owned())
}
