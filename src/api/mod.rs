//! The areas of the API, one module each. They do not import each other.

pub mod files;
pub mod parse;
pub mod extract;
pub mod agents;
pub mod workflows;
pub mod projects;
pub mod codes;
pub mod users;
pub mod api_keys;
pub mod audit_logs;
pub mod analytics;
pub(crate) mod any;
