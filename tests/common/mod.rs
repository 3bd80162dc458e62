//! What the integration tests share: an emulator without limits, and a client of it that does not wait long.
#![allow(dead_code, reason = "every test binary uses a part of it")]

pub(crate) mod forms;
pub(crate) mod program;
pub(crate) mod temp_dir;

use std::path::PathBuf;
use std::time::Duration;

use nomic_client::files::Upload;
use nomic_client::job::WaitOptions;
use nomic_client::{Builder, FileVersionId, Nomic};
use nomic_emulator::{Emulator, Limits};

/// An emulator without rate limits, whose jobs are done at the first poll.
pub(crate) fn emulator() -> Emulator {
    Emulator::builder().limits(Limits::off()).job_time(Duration::ZERO).start().unwrap()
}

/// A client of the emulator.
pub(crate) fn nomic(emulator: &Emulator) -> Nomic {
    builder(emulator).build().unwrap()
}

/// A builder for a client of the emulator.
pub(crate) fn builder(emulator: &Emulator) -> Builder {
    Nomic::builder(emulator.url(), emulator.key())
}

/// A short document on the emulator.
pub(crate) fn document(nomic: &Nomic) -> FileVersionId {
    let text = "Permit number: OG-2026-114\nOperator: Gulf Star LLC\n";
    nomic.upload(Upload::from_bytes("permit.txt", text)).unwrap().file_version_id
}

/// Polls every few milliseconds.
pub(crate) fn impatient(timeout: Duration) -> WaitOptions {
    WaitOptions::default().timeout(timeout).initial_interval(Duration::from_millis(5))
}

/// The sample document.
pub(crate) fn permit_pdf() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/permit.pdf"))
}
