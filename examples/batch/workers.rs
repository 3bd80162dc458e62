//! The threads that process the documents, and their progress bars.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::folder::Document;
use crate::process::{Batch, Failure, Outcome};

/// The outcome of each document that was tried, by name.
pub(crate) type Outcomes = BTreeMap<String, Outcome>;

/// Processes the documents on several threads. Returns the outcomes, and the reason if the batch was aborted.
pub(crate) fn process_all(batch: &Batch, documents: &[Document], threads: usize) -> (Outcomes, Option<String>) {
    let bars = MultiProgress::new();
    let overall = ProgressBar::new(documents.len() as u64).with_style(style("{pos} of {len} {wide_bar} {eta}"));
    let overall = bars.add(overall);
    let (next, abort_reason) = (AtomicUsize::new(0), OnceLock::new());
    let outcomes = Mutex::new(Outcomes::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(documents.len()) {
            scope.spawn(|| {
                let bar = bars.add(ProgressBar::no_length().with_style(style("  {spinner} {wide_msg} {bytes}")));
                while abort_reason.get().is_none()
                    && let Some(document) = documents.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let outcome = batch.process(document, &bar);
                    if let Err(Failure::Batch(reason)) = &outcome {
                        abort_reason.get_or_init(|| reason.clone());
                    }
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(document.name.clone(), outcome);
                    overall.inc(1);
                }
                bar.finish_and_clear();
            });
        }
    });
    overall.finish_and_clear();
    (outcomes.into_inner().unwrap_or_else(PoisonError::into_inner), abort_reason.into_inner())
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
