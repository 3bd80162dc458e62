//! What the emulator remembers, one kind of thing a file; each knows nothing of HTTP.

pub(crate) mod accounts;
pub(crate) mod agents;
pub(crate) mod library;
pub(crate) mod tasks;
pub(crate) mod trail;
