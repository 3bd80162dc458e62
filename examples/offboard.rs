//! Shuts a user out and shows the proof: `cargo run --example offboard -- bob@example.com "left the company"`.
//!
//! Disables the user, revokes every key that is still alive, and shows the entries of the audit log that say so.

mod instance;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use instance::{Outcome, misuse, say};
use nomic_client::{Nomic, api_keys, audit_logs, users};

const USAGE: &str = "\
usage: offboard ADDRESS [REASON]
Disables the user of this e-mail address and revokes all keys, and shows what the audit log says of it.";

fn main() -> ExitCode {
    instance::program("offboard", USAGE, run)
}

fn run(arguments: Vec<OsString>) -> Outcome {
    let mut arguments = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned());
    let (nomic, emulator) = instance::connect()?;
    let email = match (arguments.next(), &emulator) {
        (Some(email), _) => email,
        // In the box somebody is there to be shut out.
        (None, Some(_)) => nomic.users(&users::Filter::default()).nth(1).ok_or("no users")??.email,
        (None, None) => return Err(misuse("say whom")),
    };
    let reason = arguments.next().unwrap_or_else(|| "offboarding".to_owned());
    if arguments.next().is_some() {
        return Err(misuse("the reason is one argument: put it in quotes"));
    }

    // The filter finds parts of addresses too; only the very address is meant.
    let user = nomic
        .users(&users::Filter { email: Some(email.clone()) })
        .find(|user| user.as_ref().map_or(true, |user| user.email.eq_ignore_ascii_case(&email)))
        .ok_or_else(|| format!("nobody has the address {email}"))??;
    // The two clocks need not agree to the second.
    let before = SystemTime::now() - Duration::from_secs(60);

    // A reader who is gone must keep no key alive: all is done before anything is said of it.
    let mut done = Vec::new();
    let ended = shut_out(&nomic, &user, &reason, &mut done);
    let shown = done.iter().try_for_each(|line| say!("{line}"));
    ended?;
    shown?;

    say!("\nthe audit log says:")?;
    let since = audit_logs::Filter { since: Some(before.into()), ..audit_logs::Filter::default() };
    for entry in nomic.audit_logs(&since) {
        let entry = entry?;
        let concerned = entry.targets.iter().any(|target| target.id == user.id.as_str());
        if concerned || entry.action == audit_logs::Action::ApiKeyRevoked {
            let actor = entry.actor.and_then(|actor| actor.name).unwrap_or_else(|| "somebody".to_owned());
            say!("{} {} by {actor}: {}", entry.occurred_at, entry.action, serde_json::to_string(&entry.metadata)?)?;
        }
    }
    Ok(())
}

/// Disables a user and revokes the keys; `done` holds what was done, also if not all could be.
fn shut_out(nomic: &Nomic, user: &users::User, reason: &str, done: &mut Vec<String>) -> Outcome {
    let said = nomic.disable_user(&user.id, Some(reason))?;
    let revoked = said.and_then(|state| state.revoked_api_keys).unwrap_or_default();
    done.push(format!("{} is disabled; {revoked} API keys went with it", user.email));
    let keys = api_keys::Filter { user_id: Some(user.id.clone()), include_revoked: true };
    for key in nomic.api_keys(&keys) {
        let key = key?;
        if key.revoked_at.is_none() {
            nomic.revoke_api_key(&key.id)?;
        }
        done.push(format!("key {}… {:?} is revoked", key.key_prefix, key.name.unwrap_or_default()));
    }
    Ok(())
}
