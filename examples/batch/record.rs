//! What a resumable record on disk needs: the instance that it belongs to, a file lock, and errors with the path.

use std::error::Error;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use nomic_client::Nomic;
use nomic_emulator::Emulator;
use serde::{Deserialize, Serialize};

use crate::Result;

/// The instance that a record belongs to. Its ids mean nothing to another instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    instance: String,
    /// Whether it was an emulator, which ended with the run that started it.
    #[serde(default)]
    emulator: bool,
}

impl Origin {
    pub(crate) fn of(nomic: &Nomic, emulator: Option<&Emulator>) -> Self {
        Self { instance: nomic.base_url().to_owned(), emulator: emulator.is_some() }
    }

    /// Checks that a record with the origin `recorded` can be resumed here. `remedy` says how to start over.
    pub(crate) fn expect(&self, recorded: &Self, record: &Path, remedy: &str) -> Result {
        let (record, theirs, ours) = (record.display(), &recorded.instance, &self.instance);
        if recorded.emulator {
            return Err(format!("{record} belongs to the emulator at {theirs}, which has ended; {remedy}").into());
        }
        if self != recorded {
            return Err(
                format!("{record} belongs to {theirs}, but this run uses {ours}; use that one, or {remedy}").into()
            );
        }
        Ok(())
    }
}

/// Locks `path` for this run, until the file is closed or the process ends.
#[expect(clippy::incompatible_msrv, reason = "the library supports Rust 1.85, its examples need 1.89")]
pub(crate) fn lock(file: &File, path: &Path) -> Result {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(format!("{}: another run is using it; wait until that run has ended", path.display()).into())
        }
        Err(TryLockError::Error(error)) => Err(with_path(path)(error)),
    }
}

/// Prefixes an I/O error with the path.
pub(crate) fn with_path(path: &Path) -> impl FnOnce(io::Error) -> Box<dyn Error> {
    move |error| format!("{}: {error}", path.display()).into()
}
