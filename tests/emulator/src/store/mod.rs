//! The data of the emulator, independent of HTTP.

pub(crate) mod accounts;
pub(crate) mod agents;
pub(crate) mod library;
pub(crate) mod tasks;
pub(crate) mod audit_log;
