//! Standard output: aligned text for people, or JSON, a line for each value.

use std::cell::Cell;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Where results go.
pub(crate) struct Output {
    pub(crate) json: bool,
    /// Whether anything has come from the service.
    pub(crate) answered: Cell<bool>,
}

impl Output {
    /// One result: as JSON, or as text.
    pub(crate) fn value(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        self.answered.set(true);
        let line = if self.json { json(value)? } else { plain(&text()) };
        Ok(writeln!(io::stdout(), "{line}")?)
    }

    /// A list, as it comes; gives how many there were. Columns have a name and a width, and are as many as the cells of
    /// a row; the last is as wide as it likes.
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
        let mut number = 0;
        for item in items {
            let item = item?;
            self.answered.set(true);
            number += 1;
            if self.json {
                writeln!(out, "{}", json(&item)?)?;
                continue;
            }
            // A program that reads wants rows alone.
            if number == 1 && out.is_terminal() {
                writeln!(out, "{}", line(columns.map(|(name, _)| name.to_uppercase())))?;
            }
            writeln!(out, "{}", line(row(&item)))?;
        }
        Ok(number)
    }
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::Output(error.into()))
}

/// Names with values, one below the other; what is absent is left out.
pub(crate) fn fields(pairs: &[(&str, Option<String>)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let present = pairs.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    present.map(|(name, value)| format!("{name:width$}  {}", plain_line(value))).collect::<Vec<_>>().join("\n")
}

/// A cell of what may be absent.
pub(crate) fn cell(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Text from outside without what steers a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
}

/// The same on one line.
fn plain_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
