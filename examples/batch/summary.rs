//! The table at the end: a line for each document, and a line of totals.

use std::io::{self, Write};
use std::time::Duration;

use crate::folder::Document;
use crate::process::{Batch, Failure};
use crate::workers::Outcomes;

pub(crate) fn write(
    mut out: impl Write,
    batch: &Batch,
    documents: &[Document],
    outcomes: &Outcomes,
    elapsed: Duration,
) -> io::Result<()> {
    writeln!(out, "{:40} {:>6}  result", "document", "pages")?;
    for (name, outcome) in outcomes {
        match outcome {
            Ok(Some(pages)) => writeln!(out, "{name:40} {pages:>6}  {}", batch.result_path(name).display())?,
            Ok(None) => writeln!(out, "{name:40} {:>6}  already done", "")?,
            Err(Failure::Document(reason) | Failure::Batch(reason)) => {
                writeln!(out, "{name:40} {:>6}  {reason}", "")?;
            }
        }
    }
    let failed = outcomes.values().filter(|outcome| outcome.is_err()).count();
    let not_tried = documents.len() - outcomes.len();
    let not_tried = if not_tried > 0 { format!(", {not_tried} not tried") } else { String::new() };
    let (count, seconds) = (documents.len(), elapsed.as_secs_f64());
    writeln!(out, "{count} documents, {failed} without a result{not_tried}, {seconds:.1} s")
}
