//! The handlers of the operations, one area per file.

pub(crate) mod agents;
pub(crate) mod analytics;
pub(crate) mod api_keys;
pub(crate) mod audit_logs;
pub(crate) mod catalog;
pub(crate) mod codes;
pub(crate) mod extract;
pub(crate) mod files;
pub(crate) mod parse;
pub(crate) mod tasks;
pub(crate) mod users;

use std::sync::Arc;

use serde_json::Value;

use crate::clock::Moment;
use crate::failure::Failure;
use crate::faults::FaultKind;
use crate::operations::Operation;
use crate::state::{World, lock};
use crate::store::tasks::{Outcome, Promise, catch_panic};

/// The handler of an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Handler {
    /// Called with the whole body.
    Plain(fn(&Call) -> Result<ApiResponse, Failure>),
    /// Reads the body itself.
    Upload,
}

/// A request that is authorized and within the rate limit.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) world: &'a Arc<World>,
    pub(crate) operation: &'static Operation,
    /// The decoded values of the path parameters.
    pub(crate) values: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The index of the key's owner.
    pub(crate) user: usize,
    pub(crate) user_agent: Option<String>,
    pub(crate) now: Moment,
    pub(crate) fault: Option<&'a FaultKind>,
}

/// The response to an executed request.
#[derive(Debug)]
pub(crate) struct ApiResponse {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl ApiResponse {
    pub(crate) fn ok(body: Value) -> ApiResponse {
        ApiResponse { status: 200, body }
    }

    pub(crate) fn created(body: Value) -> ApiResponse {
        ApiResponse { status: 201, body }
    }
}

impl Call<'_> {
    /// The path parameter with this index.
    pub(crate) fn value(&self, index: usize) -> &str {
        self.values.get(index).map_or("", String::as_str)
    }

    /// The query parameter with this name.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Records in the audit log what the request did.
    pub(crate) fn record(&self, action: &'static str, targets: Vec<Value>, metadata: Value) {
        self.world.record(self.user, action, targets, self.user_agent.clone(), metadata);
    }

    /// When a job starts that is submitted now.
    pub(crate) fn job_start(&self) -> Moment {
        lock(&self.world.schedule).take(self.now, self.world.job_time)
    }

    /// Starts the work of a job in the background.
    pub(crate) fn start_work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Outcome<T> {
        let outcome = Promise::new();
        match self.fault {
            Some(FaultKind::JobNeverEnds) => return None,
            Some(FaultKind::JobFails(error)) => outcome.set(Err(error.clone())),
            _ => {
                let outcome = Arc::clone(&outcome);
                self.world.workers.run(move || outcome.set(catch_panic(work).unwrap_or_else(Err)));
            }
        }
        Some(outcome)
    }

    /// Records the first cursor of an iteration of a list.
    pub(crate) fn note_cursor(&self, list: u64, next: &str) {
        let mut cursors = lock(&self.world.first_cursors);
        let first = cursors.entry((self.user, list));
        if self.query("cursor").is_none() {
            first.insert_entry(next.to_owned());
        } else {
            first.or_insert_with(|| next.to_owned());
        }
    }

    /// A cursor from earlier in this iteration of a list.
    pub(crate) fn earlier_cursor(&self, list: u64) -> Option<String> {
        let current = self.query("cursor")?;
        let first = lock(&self.world.first_cursors).get(&(self.user, list)).cloned();
        Some(first.unwrap_or_else(|| current.to_owned()))
    }
}
