//! Properties that hold for any input: each takes arbitrary bytes, and panics if it does not hold.
//!
//! All use only the public API of the client, and a server on localhost.
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
pub use crate::corpus::{escape, load, save, unescape};
pub use crate::headers::headers;
pub use crate::requests::{base_urls, cursors, ids, names};
use crate::server::Server;

/// A property: panics if it does not hold for the input.
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

/// Separates the texts of an input. Never occurs in UTF-8.
pub const SEPARATOR: u8 = 0xFF;

/// The API key, which no error may contain.
const KEY: &str = "npk_fuzz-0123456789";

/// The longest allowed error message, in bytes: a body excerpt of 1 KiB, each byte of which may become three, and the text
/// around it.
const MAX_ERROR_LEN: usize = 8 * 1024;

/// Tolerance for deadlines on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

/// A client of this thread's server, without retries.
fn builder() -> Builder {
    Nomic::builder(Server::local().url(), KEY).attempts(1).pacing(false).response_limit(1 << 20)
}

/// Runs a function and checks that it ends within the limit.
fn within<T>(limit: Duration, run: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let outcome = run();
    let took = began.elapsed();
    assert!(took < limit + SLACK, "took {took:?}, not {limit:?}");
    outcome
}

/// Checks what is promised of every error: one line of limited length that names the operation and does not contain the key.
fn check(error: &Error) {
    let line = error.to_string();
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    assert!(!line.contains(breaks), "more than one line: {line:?}");
    assert!(line.len() <= MAX_ERROR_LEN, "a line of {} bytes: {:.200}…", line.len(), line);
    let operation = error.operation().unwrap_or("cannot build the client");
    assert!(line.starts_with(operation), "{line} does not name {operation}");
    assert_eq!(format!("{error:?}"), line);
    // A job's id and a result that cannot be decoded are returned unredacted.
    let unredacted = matches!(error.kind(), ErrorKind::Decode(error) if error.body.is_empty())
        || error.job().is_some_and(|job| format!("{job:?}").contains(KEY));
    assert!(unredacted || !format!("{line}{error:#?}").contains(KEY), "the key is printed: {error:#?}");
}

/// The texts of an input. Invalid UTF-8 is replaced.
fn texts(data: &[u8]) -> impl Iterator<Item = String> {
    data.split(|byte| *byte == SEPARATOR).map(|text| String::from_utf8_lossy(text).into_owned())
}
