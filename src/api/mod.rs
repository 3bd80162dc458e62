//! The areas of the API, one room each; none of them imports another.

pub mod agents;
pub mod extract;
pub mod files;
pub mod parse;
pub mod projects;
pub mod workflows;
