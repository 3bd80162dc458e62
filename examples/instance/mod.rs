//! What every example shares: an instance to talk to, and one line when it cannot go on.

use std::process::ExitCode;

use nomic_client::{Error, Nomic, Result};
use nomic_emulator::Emulator;

/// `println!` for what may be read by `head`: when the reader is gone there is nothing left to do.
macro_rules! say {
    ($($text:tt)*) => {
        if std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($text)*))).is_err() {
            std::process::exit(0);
        }
    };
}
pub(crate) use say;

/// The real service if `NOMIC_API_KEY` is set (with `NOMIC_DOMAIN` or `NOMIC_BASE_URL`), else a Nomic in a box, which
/// lives as long as the second value.
pub(crate) fn connect() -> Result<(Nomic, Option<Emulator>)> {
    let set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if set(&"NOMIC_API_KEY") {
        return Ok((Nomic::from_env()?, None));
    }
    if let Some(name) = ["NOMIC_DOMAIN", "NOMIC_BASE_URL"].iter().find(|name| set(name)) {
        eprintln!("{name} is set, but NOMIC_API_KEY is not: this runs on a Nomic in a box");
    }
    let emulator = Emulator::start().map_err(|error| Error::Config(format!("the emulator did not start: {error}")))?;
    Ok((Nomic::new(emulator.url(), emulator.key())?, Some(emulator)))
}

/// Ends an example: nothing to say, or one line that says what happened and what to do.
pub(crate) fn finish(name: &str, result: Result<(), impl Into<Box<dyn std::error::Error>>>) -> ExitCode {
    match result.map_err(Into::into) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let advice = error.downcast_ref::<Error>().map_or("", advice);
            eprintln!("{name}: {error}{advice}");
            ExitCode::FAILURE
        }
    }
}

/// What to do next, where the error alone does not say it.
fn advice(error: &Error) -> &'static str {
    match error {
        Error::Config(_) => "; without NOMIC_API_KEY this runs on a Nomic in a box",
        Error::Document { .. } | Error::Refused { .. } => "; give a document that can be read, as the last argument",
        _ if error.status() == Some(422) || error.is_job_failed() => "; try another document",
        Error::Transport(_) => "; look at NOMIC_DOMAIN or NOMIC_BASE_URL, and at the network",
        _ => "",
    }
}
