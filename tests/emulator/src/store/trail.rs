//! The audit trail: what was done, by whom, to what. Seeded entries are made when they are read.

use serde_json::{Value, json};

use crate::clock::{self, Moment};
use crate::seed;

/// Who or what an entry speaks of.
#[derive(Debug, Clone)]
pub(crate) struct Party {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) name: Option<String>,
}

/// One entry.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) action: &'static str,
    pub(crate) occurred: Moment,
    pub(crate) actor: Party,
    pub(crate) targets: Vec<Party>,
    pub(crate) user_agent: Option<String>,
    pub(crate) metadata: Value,
}

impl Entry {
    pub(crate) fn json(&self) -> Value {
        let party = |party: &Party| json!({ "id": party.id, "type": party.kind, "name": party.name });
        json!({
            "id": self.id,
            "action": self.action,
            "occurredAt": clock::rfc3339(self.occurred),
            "actor": party(&self.actor),
            "targets": self.targets.iter().map(party).collect::<Vec<_>>(),
            "context": { "location": "api", "userAgent": self.user_agent },
            "metadata": self.metadata,
        })
    }
}

/// All entries, numbered from the oldest.
#[derive(Debug)]
pub(crate) struct Trail {
    seeded: u64,
    users: u64,
    recorded: Vec<Entry>,
}

impl Trail {
    pub(crate) fn new(seeded: usize, users: usize) -> Trail {
        Trail { seeded: seeded as u64, users: users.max(1) as u64, recorded: Vec::new() }
    }

    pub(crate) fn record(&mut self, entry: Entry) {
        self.recorded.push(entry);
    }

    /// One more than the number of the newest entry.
    pub(crate) fn end(&self) -> u64 {
        self.seeded + self.recorded.len() as u64
    }

    /// The numbers of the entries older than `before` that fit, newest first.
    pub(crate) fn newest_first<'t>(
        &'t self,
        before: u64,
        action: Option<&'t str>,
        since: Option<Moment>,
    ) -> impl Iterator<Item = u64> + 't {
        let numbers = (0..before.min(self.end())).rev();
        let numbers = numbers.take_while(move |number| since.is_none_or(|since| self.occurred(*number) > since));
        numbers.filter(move |number| action.is_none_or(|action| self.action(*number) == action))
    }

    pub(crate) fn entry(&self, number: u64) -> Option<Entry> {
        match number.checked_sub(self.seeded) {
            None => Some(seed::audit_entry(number, self.seeded, self.users)),
            Some(place) => self.recorded.get(place as usize).cloned(),
        }
    }

    fn recorded(&self, number: u64) -> Option<&Entry> {
        number.checked_sub(self.seeded).and_then(|place| self.recorded.get(place as usize))
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
