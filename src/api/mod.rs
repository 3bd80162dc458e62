//! The areas of the API, one module each; none of them imports another.

pub mod agents;
pub mod analytics;
pub(crate) mod any;
pub mod api_keys;
pub mod audit_logs;
pub mod codes;
pub mod extract;
pub mod files;
pub mod parse;
pub mod projects;
pub mod users;
pub mod workflows;
