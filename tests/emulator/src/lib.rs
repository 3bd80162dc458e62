//! An emulator of the Nomic API. The README is the text of the docs.
//!
#![doc = include_str!("../README.md")]

mod api;
mod auth;
mod chance;
mod clock;
mod delivery;
mod emulator;
mod failure;
mod faults;
mod folder;
mod http;
mod ids;
mod limits;
mod pages;
mod routes;
mod schema;
mod seed;
mod server;
mod snapshot;
mod state;
mod store;
mod upload;
mod validate;
mod work;

pub use chance::Chance;
pub use emulator::{Builder, Emulator};
pub use faults::{Fault, FaultKind, StallPhase};
pub use limits::{LimitModel, Limits};
pub use routes::{Route, routes};
pub use snapshot::Snapshot;
pub use state::{PartHead, Request, StoredUpload};
