//! Text from outside in the one line of a message: bounded, without control characters.

use std::fmt;
use std::time::Duration;

/// How much of one text a message shows, in characters.
const MAX_EXCERPT: usize = 400;

/// On one line: control characters and runs of white space become one space.
pub(crate) fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// On one line of bounded length.
pub(crate) fn excerpt(text: &str) -> String {
    truncate(&one_line(text))
}

/// Of a length that fits into a line of a log.
pub(crate) fn truncate(text: &str) -> String {
    match text.char_indices().nth(MAX_EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A duration as people read it: `850 ms`, `12.5 s`, `4 min 10 s`.
pub(crate) struct HumanDuration(pub(crate) Duration);

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0 => write!(f, "{} ms", self.0.as_millis()),
            1..60 => write!(f, "{:.1} s", self.0.as_secs_f64()),
            _ => write!(f, "{} min {} s", seconds / 60, seconds % 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_as_people_write_it() {
        let read = |millis| HumanDuration(Duration::from_millis(millis)).to_string();
        assert_eq!(read(850), "850 ms");
        assert_eq!(read(12_500), "12.5 s");
        assert_eq!(read(250_000), "4 min 10 s");
    }

    #[test]
    fn an_excerpt_is_one_bounded_line() {
        assert_eq!(excerpt(" a\r\n\tb\0c "), "a b c");
        assert_eq!(excerpt(&"é".repeat(1000)).chars().count(), MAX_EXCERPT + 1);
    }
}
