//! Standard output: aligned text, or one line of JSON per value.

use std::cell::Cell;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Where results go.
pub(crate) struct Output {
    pub(crate) json: bool,
    /// Whether the service has responded at least once.
    pub(crate) responded: Cell<bool>,
}

impl Output {
    /// Prints one result, as JSON or as text.
    pub(crate) fn value(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        self.responded.set(true);
        let line = if self.json { json(value)? } else { plain(&text()) };
        Ok(writeln!(io::stdout(), "{line}")?)
    }

    /// Prints the items of a list as they arrive, and returns their number. A column is a name and a minimum width.
    pub(crate) fn list<T: Serialize, const N: usize>(
        &self,
        items: impl Iterator<Item = nomic_client::Result<T>>,
        columns: [(&str, usize); N],
        row: impl Fn(&T) -> [String; N],
    ) -> Result<usize, Failure> {
        let mut out = io::stdout().lock();
        let line = |cells: [String; N]| {
            let cells = cells.into_iter().zip(columns);
            let padded: Vec<_> = cells.map(|(cell, (_, width))| format!("{:width$}", plain_line(&cell))).collect();
            padded.join("  ").trim_end().to_owned()
        };
        let mut count = 0;
        for item in items {
            let item = item?;
            self.responded.set(true);
            count += 1;
            if self.json {
                writeln!(out, "{}", json(&item)?)?;
                continue;
            }
            // No header in a pipe.
            if count == 1 && out.is_terminal() {
                writeln!(out, "{}", line(columns.map(|(name, _)| name.to_uppercase())))?;
            }
            writeln!(out, "{}", line(row(&item)))?;
        }
        Ok(count)
    }
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::Output(error.into()))
}

/// Formats names and values, one pair per line. Absent values are omitted.
pub(crate) fn fields(pairs: &[(&str, Option<String>)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let present = pairs.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    present.map(|(name, value)| format!("{name:width$}  {}", plain_line(value))).collect::<Vec<_>>().join("\n")
}

/// Formats a table cell; `-` if the value is absent.
pub(crate) fn cell(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Removes control characters, which could send escape sequences to the terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
}

/// Replaces control characters with spaces: the result is one line.
fn plain_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
