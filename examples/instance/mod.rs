//! Connects an example to the service, or to an emulator if there is no API key.

use std::error::Error;

use nomic_client::{Builder, Nomic};
use nomic_emulator::Emulator;

/// Connects to the real service if `NOMIC_API_KEY` is set (with `NOMIC_DOMAIN` or `NOMIC_BASE_URL`), and to a new
/// emulator otherwise. The emulator runs until it is dropped.
#[allow(dead_code, reason = "an example may change the builder instead")]
pub(crate) fn connect() -> Result<(Nomic, Option<Emulator>), Box<dyn Error>> {
    let (builder, emulator) = builder()?;
    Ok((builder.build()?, emulator))
}

/// Like [`connect`], with a builder that can be changed.
pub(crate) fn builder() -> Result<(Builder, Option<Emulator>), Box<dyn Error>> {
    // Rust ignores SIGPIPE, so that `quickstart | head -1` would panic. Reset, it ends quietly.
    sigpipe::reset();
    if std::env::var_os("NOMIC_API_KEY").is_some_and(|key| !key.is_empty()) {
        return Ok((Builder::from_env()?, None));
    }
    let emulator = Emulator::start()?;
    eprintln!("NOMIC_API_KEY is not set: using an emulator at {}", emulator.url());
    Ok((Nomic::builder(emulator.url(), emulator.key()), Some(emulator)))
}
