//! The client.
mod acknowledged;
mod api;
mod base;
mod bbox;
mod call;
mod error;
mod ids;
mod image;
pub mod job;
mod json;
mod listing;
mod multipart;
mod nomic;
pub mod operations;
mod pace;
mod retry;
mod wire;
mod words;

pub use crate::acknowledged::Acknowledged;
pub use crate::api::{agents, extract, files, parse, projects, workflows};
pub use crate::bbox::Bbox;
pub use crate::error::*;
pub use crate::ids::*;
pub use crate::listing::*;
pub use crate::nomic::*;
