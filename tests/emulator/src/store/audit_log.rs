//! The audit log. Seeded entries are generated when they are read.

use serde_json::{Value, json};

use crate::clock::{self, Moment};
use crate::seed;

/// An entry.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) action: &'static str,
    pub(crate) occurred: Moment,
    pub(crate) actor: Value,
    pub(crate) targets: Vec<Value>,
    pub(crate) user_agent: Option<String>,
    pub(crate) metadata: Value,
}

/// The actor or a target of an entry.
pub(crate) fn entity(kind: &str, id: &str, name: Option<&str>) -> Value {
    json!({ "id": id, "type": kind, "name": name })
}

impl Entry {
    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "action": self.action,
            "occurredAt": clock::rfc3339(self.occurred),
            "actor": self.actor,
            "targets": self.targets,
            "context": { "location": "api", "userAgent": self.user_agent },
            "metadata": self.metadata,
        })
    }
}

/// All entries, numbered from the oldest.
#[derive(Debug)]
pub(crate) struct AuditLog {
    seeded: u64,
    users: u64,
    recorded: Vec<Entry>,
}

impl AuditLog {
    pub(crate) fn new(seeded: usize, users: usize) -> AuditLog {
        AuditLog { seeded: seeded as u64, users: users.max(1) as u64, recorded: Vec::new() }
    }

    pub(crate) fn record(&mut self, entry: Entry) {
        self.recorded.push(entry);
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> u64 {
        self.seeded + self.recorded.len() as u64
    }

    /// The numbers of the matching entries with a number less than `before`, newest first.
    pub(crate) fn newest_first<'t>(
        &'t self,
        before: u64,
        action: Option<&'t str>,
        since: Option<Moment>,
    ) -> impl Iterator<Item = u64> + 't {
        let numbers = (0..before.min(self.len())).rev();
        let numbers = numbers.take_while(move |number| since.is_none_or(|since| self.occurred(*number) > since));
        numbers.filter(move |number| action.is_none_or(|action| self.action(*number) == action))
    }

    pub(crate) fn entry(&self, number: u64) -> Option<Entry> {
        match number.checked_sub(self.seeded) {
            None => Some(seed::audit_entry(number, self.seeded, self.users)),
            Some(index) => self.recorded.get(index as usize).cloned(),
        }
    }

    fn recorded(&self, number: u64) -> Option<&Entry> {
        number.checked_sub(self.seeded).and_then(|index| self.recorded.get(index as usize))
    }

    fn occurred(&self, number: u64) -> Moment {
        let recorded = self.recorded(number).map(|entry| entry.occurred);
        recorded.unwrap_or_else(|| seed::audit_moment(number, self.seeded))
    }

    fn action(&self, number: u64) -> &'static str {
        let recorded = self.recorded(number).map(|entry| entry.action);
        recorded.unwrap_or_else(|| seed::audit_action(number))
    }
}
