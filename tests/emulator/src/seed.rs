//! Seed data: users, keys, audit log entries, files, agents, workflows and projects. The same in every run.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Moment;
use crate::ids::{self, Kind, mix};
use crate::store::accounts::{ApiKey, User};
use crate::store::agents::{Agent, State};
use crate::store::audit_log::{Entry, entity};
use crate::store::library::File;

/// 1 June 2025: nothing seeded is newer.
const NEWEST: Moment = Duration::from_secs(1_748_736_000);
const HOUR: Duration = Duration::from_secs(3600);

const FIRST_NAMES: [&str; 20] = [
    "Alice", "Bob", "Carol", "Dan", "Erin", "Frank", "Grace", "Heidi", "Ivan", "Judy", "Kim", "Liam", "Mallory",
    "Niaj", "Olivia", "Peggy", "Quinn", "Rupert", "Sybil", "Trent",
];
const LAST_NAMES: [&str; 12] = [
    "Johnson", "Smith", "Garcia", "Nguyen", "Okafor", "Müller", "Rossi", "Tanaka", "Kowalski", "Silva", "Haddad",
    "O'Brien",
];

/// A user. The first is Alice Johnson, an admin.
pub(crate) fn user(number: usize) -> User {
    let first = FIRST_NAMES[number % FIRST_NAMES.len()];
    let last = LAST_NAMES[number % LAST_NAMES.len()];
    let email = match number / FIRST_NAMES.len() {
        0 => format!("{}@example.com", first.to_lowercase()),
        round => format!("{}{round}@example.com", first.to_lowercase()),
    };
    let random = mix(number as u64);
    let created = NEWEST - HOUR * 24 * (400 - (number % 300) as u32);
    let cap_cents = if number.is_multiple_of(2) { Some(2000) } else { None };
    User {
        id: ids::seeded(Kind::User, number as u64),
        email,
        name: format!("{first} {last}"),
        role: if number.is_multiple_of(10) { "admin" } else { "member" },
        created,
        updated: created + HOUR * (random % 2000) as u32,
        disabled: None,
        last_active: (number % 7 != 6).then(|| NEWEST - HOUR * (random % 500) as u32),
        sessions: random % 3,
        // The fifth of every eight has reached the spend limit.
        usage_cents: if number % 8 == 4 { 2000 + random % 500 } else { random % 1900 },
        cap_cents,
    }
}

/// The API keys of a user. Nobody knows their secrets.
pub(crate) fn api_keys(owner: usize) -> impl Iterator<Item = ApiKey> {
    const NAMES: [(&str, &[&str]); 3] = [
        ("CI/CD Pipeline", &["developer:parse", "developer:files"]),
        ("Nightly import", &["developer"]),
        ("Old laptop", &["developer:agent"]),
    ];
    (0..owner % 4).map(move |at| {
        let number = (owner * 4 + at) as u64;
        let (name, scopes) = NAMES[at % NAMES.len()];
        let created = NEWEST - HOUR * 24 * (200 - (number % 150) as u32);
        ApiKey {
            id: ids::seeded(Kind::ApiKey, number),
            prefix: format!("npk_{:05x}", mix(number) & 0xf_ffff),
            name: name.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            owner,
            created,
            last_used: (at != 2).then(|| created + HOUR * 5),
            expires: (at == 1).then(|| created + HOUR * 24 * 365 * 5),
            revoked: (at == 2).then(|| created + HOUR * 24),
        }
    })
}

const ACTIONS: [&str; 8] = [
    "file.uploaded",
    "agent.launched",
    "parse.submitted",
    "file.uploaded",
    "extract.submitted",
    "user.disabled",
    "api_key.revoked",
    "user.enabled",
];

/// The time of an audit log entry, given its number and their count.
pub(crate) fn audit_moment(number: u64, of: u64) -> Moment {
    NEWEST - Duration::from_secs(90) * u32::try_from(of - number).unwrap_or(u32::MAX)
}

pub(crate) fn audit_action(number: u64) -> &'static str {
    ACTIONS[(number % ACTIONS.len() as u64) as usize]
}

/// An audit log entry, given its number, their count, and the number of users.
pub(crate) fn audit_entry(number: u64, of: u64, users: u64) -> Entry {
    let action = audit_action(number);
    let random = mix(number);
    let seeded_user = |number: u64| {
        let user = user((number % users) as usize);
        entity("user", &user.id, Some(&user.name))
    };
    let (target, metadata) = match action {
        "user.disabled" => {
            (seeded_user(random >> 8), json!({ "reason": "Left the company", "revokedApiKeys": random % 3 }))
        }
        "user.enabled" => (seeded_user(random >> 8), json!({})),
        "api_key.revoked" => {
            (entity("api_key", &ids::seeded(Kind::ApiKey, random % 1000), Some("Old laptop")), json!({}))
        }
        "file.uploaded" => {
            let file = file((random % 1000) as usize);
            (entity("file", &file.id, Some(&file.name)), json!({ "size": random % 9_000_000 }))
        }
        "agent.launched" => (entity("agent", &ids::seeded(Kind::Agent, random % 1000), None), json!({})),
        _ => (entity("file_version", &ids::seeded(Kind::FileVersion, random % 1000), None), json!({})),
    };
    Entry {
        id: ids::seeded(Kind::AuditEntry, number),
        action,
        occurred: audit_moment(number, of),
        actor: seeded_user(random),
        targets: vec![target],
        user_agent: (!number.is_multiple_of(5)).then(|| "curl/8.5.0".to_owned()),
        metadata,
    }
}

/// The integration that all seeded files belong to.
pub(crate) fn integration() -> String {
    ids::seeded(Kind::Integration, 0)
}

pub(crate) fn file(number: usize) -> File {
    const KINDS: [(&str, &str, &str); 4] = [
        ("floor-plan", "pdf", "application/pdf"),
        ("specification", "pdf", "application/pdf"),
        ("site photo", "jpg", "image/jpeg"),
        ("meeting-minutes", "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ];
    let (stem, extension, mime_type) = KINDS[number % KINDS.len()];
    File {
        id: ids::seeded(Kind::File, number as u64),
        name: format!("{stem}-{number:05}.{extension}"),
        mime_type: mime_type.to_owned(),
        folder: None,
        version: ids::seeded(Kind::FileVersion, number as u64),
        integration: Some(integration()),
    }
}

pub(crate) fn agent(number: usize) -> Agent {
    let serial = number as u64;
    let created = NEWEST - HOUR + Duration::from_millis(serial);
    let title = format!("Review {number}");
    let message =
        |at, kind, text: &str| json!({ "id": ids::seeded(Kind::Message, serial * 2 + at), "type": kind, "text": text });
    let summary = format!("Room {number} was checked against the door schedule.");
    Agent {
        id: ids::seeded(Kind::Agent, serial),
        workflow: None,
        project: None,
        files: Vec::new(),
        created,
        updated: created,
        messages: vec![
            message(0, "user_message", &format!("Check room {number} against the door schedule.")),
            message(1, "assistant_message", &summary),
        ],
        artifacts: vec![json!({
            "id": ids::seeded(Kind::Artifact, serial),
            "type": "markdown",
            "title": title,
            "content": format!("# {title}\n\n{summary}\n"),
        })],
        summary: Some(summary),
        state: State::Ended(["finished", "finished", "stopped", "failed"][number % 4]),
    }
}

/// The `workflows` and `projects`. A workflow has a default `prompt`; with `awaitsTool`, its agents wait for a tool while
/// they run.
pub(crate) static CATALOG: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("catalog.json")).unwrap_or_default());

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn all_users_have_different_addresses() {
        let emails: HashSet<String> = (0..10_000).map(|number| user(number).email).collect();
        assert_eq!(emails.len(), 10_000);
        assert_eq!(user(0).email, "alice@example.com");
    }

    #[test]
    fn audit_log_entries_are_in_chronological_order() {
        let moments: Vec<Moment> = (0..1000).map(|number| audit_moment(number, 1000)).collect();
        assert!(moments.is_sorted_by(|older, newer| older < newer));
    }
}
