#![doc = include_str!("../README.md")]
//!
//! # Map of the crate
//!
//! | look at | for |
//! | --- | --- |
//! | [`Nomic`] | the client: all its methods in one table, and the errors that any call may give |
//! | [`Builder`] | timeouts, attempts, proxy, root certificates |
//! | [`files`], [`parse`], [`extract`], [`agents`], [`codes`], … | one module for each area: its types, options and examples |
//! | [`Listing`] | lists: by item, by page, and from a stored cursor |
//! | [`job`] | waiting: for one job or many, once or in a loop of your own |
//! | [`Error`] | what failed, and what to do next |
//! | [`Request`] | calls that have no method here |
//! | [`operations`] | the table of all operations: path, rate-limit tier, scope, evidence |
//! | [`guide::coming_from_python`] | the calls of the official Python package, and what they are here |

// The house, from the ground up. A room imports from the floors below it, never sideways among the areas.
//
//   0  ids  words  record  json  timestamp  bbox  image      vocabulary
//   1  error  operations  base  pace  retry  multipart  wire
//                                                    what is known and decided; the wire, which alone knows ureq
//   2  call  acknowledged                            a request described, an answer read
//   3  nomic                                         the client, and the one door through which everything leaves
//   4  listing  job                                  what iterates and what waits
//   5  api  guide                                    the areas; pages for newcomers

mod acknowledged;
mod api;
mod base;
mod bbox;
mod call;
mod error;
pub mod guide;
mod ids;
mod image;
pub mod job;
mod json;
mod listing;
mod multipart;
mod nomic;
pub mod operations;
mod pace;
mod record;
mod retry;
mod timestamp;
mod wire;
mod words;

pub use crate::acknowledged::Acknowledged;
pub use crate::api::any::Request;
pub use crate::api::{
    agents, analytics, api_keys, audit_logs, codes, extract, files, parse, projects, users, workflows,
};
pub use crate::bbox::Bbox;
pub use crate::error::{
    ApiError, DeadlineError, DecodeError, Error, ErrorCode, ForeignAnswer, Issue, JobError, JobFailure, JobRef,
    KEPT_OF_BODY, MismatchError, Result, TransportError,
};
pub use crate::ids::{AgentId, ApiKeyId, ArtifactId, FileId, FileVersionId, ProjectId, TaskId, UserId, WorkflowId};
pub use crate::job::{Job, Patience, Poll, Polls, WaitAll};
pub use crate::listing::{Listing, Page, Pages};
pub use crate::nomic::{
    Builder, DEFAULT_ATTEMPTS, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE, DEFAULT_RATE_WINDOW, DEFAULT_RESPONSE_LIMIT,
    DEFAULT_STALL_TIMEOUT, DEFAULT_UPLOAD_DEADLINE, Nomic,
};
pub use crate::timestamp::{InvalidTimestamp, Timestamp};
