//! Shuts a user out and shows the proof: `cargo run --example offboard -- bob@example.com "left the company"`.
//!
//! Disables the user, revokes every key that is still alive, and shows the entries of the audit log that say so.
#![allow(clippy::print_stderr, reason = "an example says why it cannot go on")]

mod instance;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use instance::say;
use nomic_client::{api_keys, audit_logs, users};

fn main() -> ExitCode {
    instance::finish("offboard", run())
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (nomic, emulator) = instance::connect()?;
    let email = match (arguments.next(), &emulator) {
        (Some(email), _) => email,
        // In the box somebody is there to be shut out.
        (None, Some(_)) => nomic.users(&users::Filter::default()).nth(1).ok_or("no users")??.email,
        (None, None) => return Err("say whom: cargo run --example offboard -- bob@example.com \"the reason\"".into()),
    };
    let reason = arguments.next().unwrap_or_else(|| "offboarding".to_owned());

    // The filter finds parts of addresses too; only the very address is meant.
    let user = nomic
        .users(&users::Filter { email: Some(email.clone()) })
        .find(|user| user.as_ref().map_or(true, |user| user.email.eq_ignore_ascii_case(&email)))
        .ok_or_else(|| format!("nobody has the address {email}"))??;
    // The two clocks need not agree to the second.
    let before = SystemTime::now() - Duration::from_secs(60);

    let said = nomic.disable_user(&user.id, Some(&reason))?;
    let revoked = said.value.and_then(|state| state.revoked_api_keys).unwrap_or_default();
    say!("{email} is disabled; {revoked} API keys went with it");

    let keys = api_keys::Filter { user_id: Some(user.id.clone()), include_revoked: true };
    for key in nomic.api_keys(&keys) {
        let key = key?;
        if key.revoked_at.is_none() {
            nomic.revoke_api_key(&key.id)?;
        }
        say!("key {}… {:?} is revoked", key.key_prefix, key.name.unwrap_or_default());
    }

    say!("\nthe audit log says:");
    let since = audit_logs::Filter { since: Some(before.into()), ..audit_logs::Filter::default() };
    for entry in nomic.audit_logs(&since) {
        let entry = entry?;
        let concerned = entry.targets.iter().any(|target| target.id == user.id.as_str());
        if concerned || entry.action == audit_logs::Action::ApiKeyRevoked {
            let actor = entry.actor.and_then(|actor| actor.name).unwrap_or_else(|| "somebody".to_owned());
            say!("{} {} by {actor}: {}", entry.occurred_at, entry.action, serde_json::to_string(&entry.metadata)?);
        }
    }
    Ok(())
}
