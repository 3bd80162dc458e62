//! The operations, one area a file, and what they have in common.

pub(crate) mod agents;
pub(crate) mod analytics;
pub(crate) mod api_keys;
pub(crate) mod audit_logs;
pub(crate) mod codes;
pub(crate) mod extract;
pub(crate) mod files;
pub(crate) mod parse;
pub(crate) mod projects;
mod tasks;
pub(crate) mod users;
pub(crate) mod workflows;

use std::sync::Arc;

use serde_json::Value;

use crate::clock::Moment;
use crate::failure::Failure;
use crate::operations::Operation;
use crate::state::{World, lock};
use crate::store::tasks::Fate;
use crate::store::trail::Party;

/// How an operation is executed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Handler {
    /// With the whole body at hand.
    Plain(fn(&Call) -> Result<Answer, Failure>),
    /// With the body still on its way.
    Upload,
}

/// A request that may be executed: its sender is known and has the scope and the quota for it.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) world: &'a Arc<World>,
    pub(crate) operation: &'static Operation,
    /// The values in the path, decoded.
    pub(crate) values: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The place of the user whose key it is.
    pub(crate) user: usize,
    pub(crate) user_agent: Option<String>,
    pub(crate) now: Moment,
    pub(crate) twist: Twist,
}

/// What a fault changes in how a request is executed.
#[derive(Debug, Default)]
pub(crate) struct Twist {
    pub(crate) fate: Fate,
    pub(crate) empty_page: bool,
    pub(crate) cursor_cycle: bool,
}

/// The answer to a request that was executed.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn ok(body: Value) -> Answer {
        Answer { status: 200, body }
    }

    pub(crate) fn created(body: Value) -> Answer {
        Answer { status: 201, body }
    }
}

impl Call<'_> {
    /// The value at this place of the path.
    pub(crate) fn value(&self, place: usize) -> &str {
        self.values.get(place).map_or("", String::as_str)
    }

    /// A parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Writes into the audit trail what this request did.
    pub(crate) fn record(&self, action: &'static str, targets: Vec<Party>, metadata: Value) {
        self.world.record(self.user, action, targets, self.user_agent.clone(), metadata);
    }

    /// When a job begins that is submitted now.
    pub(crate) fn begins(&self) -> Moment {
        lock(&self.world.schedule).take(self.now, self.world.job_time)
    }

    /// Remembers the first cursor of a run through a list.
    pub(crate) fn note_cursor(&self, list: u64, next: &str) {
        let mut cursors = lock(&self.world.first_cursors);
        let first = cursors.entry((self.user, list));
        if self.query("cursor").is_none() {
            first.insert_entry(next.to_owned());
        } else {
            first.or_insert_with(|| next.to_owned());
        }
    }

    /// A cursor that was handed out earlier in this run through a list.
    pub(crate) fn earlier_cursor(&self, list: u64) -> Option<String> {
        let present = self.query("cursor")?;
        let first = lock(&self.world.first_cursors).get(&(self.user, list)).cloned();
        Some(first.unwrap_or_else(|| present.to_owned()))
    }
}
