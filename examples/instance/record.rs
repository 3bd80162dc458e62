//! What a record on disk needs so that a later run can go on from it: of which instance it is, and who writes it now.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use nomic_client::Nomic;
use nomic_emulator::Emulator;
use serde::{Deserialize, Serialize};

use crate::instance::Outcome;

/// The instance that a record is of: what one knows is nothing to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    instance: String,
    /// Whether it was a Nomic in a box, which is gone with the run that had it.
    #[serde(default)]
    in_a_box: bool,
}

impl Origin {
    pub(crate) fn of(nomic: &Nomic, emulator: Option<&Emulator>) -> Self {
        Self { instance: nomic.base_url().to_owned(), in_a_box: emulator.is_some() }
    }

    /// Refuses to go on from a record of `recorded`; `remedy` begins anew.
    pub(crate) fn expect(&self, recorded: &Self, record: &Path, remedy: &str) -> Outcome {
        let (record, theirs, ours) = (record.display(), &recorded.instance, &self.instance);
        if recorded.in_a_box {
            return Err(format!("{record} is of the Nomic in a box at {theirs}, which is gone; {remedy}").into());
        }
        if self != recorded {
            return Err(format!("{record} is of {theirs}, and this is {ours}; go on there, or {remedy}").into());
        }
        Ok(())
    }
}

/// Makes this run the only one that works on `path`, until the file is closed or the process ends, however it ends.
#[expect(clippy::incompatible_msrv, reason = "the library is for Rust 1.85, its examples are for 1.89")]
pub(crate) fn lock(file: &File, path: &Path) -> Outcome {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(format!("{}: another run is at work on it; wait for its end", path.display()).into())
        }
        Err(TryLockError::Error(error)) => Err(at(path)(error)),
    }
}

/// Puts the path before what the system says of it.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Box<dyn std::error::Error + Send + Sync> {
    move |error| format!("{}: {error}", path.display()).into()
}
