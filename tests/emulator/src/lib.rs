//! An emulator of the Nomic HTTP API for tests. The README is the documentation of the crate.
//!
#![doc = include_str!("../README.md")]

mod api;
mod api_version;
mod auth;
mod clock;
mod delivery;
mod emulator;
mod failure;
mod faults;
mod folder;
mod http;
mod ids;
mod limits;
mod operations;
mod pages;
mod rng;
mod schema;
mod seed;
mod server;
mod state;
mod store;
mod upload;
mod validate;
mod variation;
mod words;
mod work;

pub use api_version::ApiVersion;
pub use emulator::{Builder, Emulator, StoredFile};
pub use faults::{CannedResponse, Fault, FaultKind, StallPhase};
pub use limits::{LimitModel, Limits};
pub use operations::{Operation, operations};
pub use rng::Rng;
pub use state::{FormPart, ReceivedUpload, Request};
pub use variation::Variation;
