#![doc = include_str!("front.md")]
// Examples and tests print; a library does not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

// The layers, from the ground up. A module imports from lower layers, and never from another area of `api`.
//
//   0  ids  open_enum  lenient  json  text  timestamp  bbox  image               values and how they are decoded
//   1  operations  job_ref  error  endpoint  rate_limit  retry  multipart         decisions; time is an argument
//      rate_limiter                                                              the interface of a limiter, and its default
//      operation_path  disk                                                      paths of operations; files, with a deadline
//      http                                                                      one exchange; the only module that uses ureq
//   2  call  response                                                            requests as values, and their outcome
//   3  testing                                                                   errors for unit tests of programs
//      nomic                                                                     the client, and its one `send`
//   4  listing  waiting                                                          iteration and waiting
//   5  api  guide                                                                the areas of the API
//   6  job_output                                                                jobs of any kind

// Rustdoc shows the methods of `Nomic` in this order.
mod nomic;
mod api;
mod waiting;
mod listing;
mod error;
pub mod operations;
pub mod rate_limiter;
pub mod guide;

mod bbox;
mod call;
mod disk;
mod endpoint;
mod http;
mod ids;
mod image;
mod job_output;
mod job_ref;
mod json;
mod lenient;
mod multipart;
mod open_enum;
mod operation_path;
mod rate_limit;
mod response;
mod retry;
mod testing;
mod text;
mod timestamp;

pub use crate::api::any::Request;
pub use crate::api::{
    agents, analytics, api_keys, audit_logs, codes, extract, files, parse, projects, users, workflows,
};
pub use crate::bbox::Bbox;
pub use crate::error::{
    ApiError, DeadlineError, DecodeError, Effect, Error, ErrorCode, ErrorKind, Issue, JobError, JobFailure,
    MAX_BODY_EXCERPT, Result, TransportError, TransportPhase, UnexpectedResponse,
};
pub use crate::ids::{AgentId, ApiKeyId, ArtifactId, FileId, FileVersionId, ProjectId, TaskId, UserId, WorkflowId};
pub use crate::listing::{Listing, Page, Pages};
pub use crate::nomic::{
    Builder, DEFAULT_ATTEMPTS, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE, DEFAULT_RATE_WINDOW, DEFAULT_RESPONSE_LIMIT,
    DEFAULT_STALL_TIMEOUT, DEFAULT_UPLOAD_DEADLINE, Nomic,
};
pub use crate::timestamp::{InvalidTimestamp, Timestamp};

pub mod job {
    #![doc = include_str!("waiting/guide.md")]

    pub use crate::job_output::JobOutput;
    pub use crate::job_ref::JobRef;
    pub use crate::waiting::{
        DEFAULT_INITIAL_INTERVAL, DEFAULT_INITIAL_PHASE, DEFAULT_MAX_INTERVAL, DEFAULT_WAIT_TIMEOUT,
        FINAL_POLL_TIMEOUT, Job, JobStatus, POLL_TIMEOUT, Poll, Polls, UNREACHABLE_TIMEOUT, WaitAll, WaitOptions,
    };
}

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
