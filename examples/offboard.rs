//! Disables a user and shows the evidence: `cargo run --example offboard -- bob@example.com "left the company"`.
//!
//! Revokes every API key of the user that is still active, and prints the matching entries of the audit log.

mod instance;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use instance::{Result, outln, usage_error};
use nomic_client::{Nomic, api_keys, audit_logs, users};

const USAGE: &str = "\
usage: offboard EMAIL [REASON]
Disables the user with this e-mail address, revokes all of the user's API keys, and prints the audit log entries.";

fn main() -> ExitCode {
    instance::run_example("offboard", USAGE, run)
}

fn run(arguments: Vec<OsString>) -> Result {
    let mut arguments = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned());
    let (nomic, emulator) = instance::connect()?;
    let email = match (arguments.next(), &emulator) {
        (Some(email), _) => email,
        // The emulator has users to try this on.
        (None, Some(_)) => nomic.users(&users::Filter::default()).nth(1).ok_or("no users")??.email,
        (None, None) => return Err(usage_error("EMAIL is missing")),
    };
    let reason = arguments.next().unwrap_or_else(|| "offboarding".to_owned());
    if arguments.next().is_some() {
        return Err(usage_error("too many arguments: quote a REASON of several words"));
    }

    // The filter also matches parts of an address; only the exact address counts.
    let user = nomic
        .users(&users::Filter { email: Some(email.clone()) })
        .find(|user| user.as_ref().map_or(true, |user| user.email.eq_ignore_ascii_case(&email)))
        .ok_or_else(|| format!("no user has the address {email}"))??;
    // A margin for clock skew between this machine and the server.
    let start = SystemTime::now() - Duration::from_secs(60);

    // Nothing is printed until everything is done: a closed pipe must not leave a key active.
    let mut report = Vec::new();
    let result = disable(&nomic, &user, &reason, &mut report);
    let printed = report.iter().try_for_each(|line| outln!("{line}"));
    result?;
    printed?;

    outln!("\naudit log:")?;
    let since = audit_logs::Filter { since: Some(start.into()), ..audit_logs::Filter::default() };
    for entry in nomic.audit_logs(&since) {
        let entry = entry?;
        let is_target = entry.targets.iter().any(|target| target.id == user.id.as_str());
        if is_target || entry.action == audit_logs::Action::ApiKeyRevoked {
            let actor = entry.actor.and_then(|actor| actor.name).unwrap_or_else(|| "unknown".to_owned());
            outln!("{} {} by {actor}: {}", entry.occurred_at, entry.action, serde_json::to_string(&entry.metadata)?)?;
        }
    }
    Ok(())
}

/// Disables a user and revokes the user's API keys. `report` lists what was done, even after an error.
fn disable(nomic: &Nomic, user: &users::User, reason: &str, report: &mut Vec<String>) -> Result {
    let state = nomic.disable_user(&user.id, Some(reason))?;
    let revoked = state.and_then(|state| state.revoked_api_keys).unwrap_or_default();
    report.push(format!("{} is disabled; API keys revoked: {revoked}", user.email));
    let keys = api_keys::Filter { user_id: Some(user.id.clone()), include_revoked: true };
    for key in nomic.api_keys(&keys) {
        let key = key?;
        if key.revoked_at.is_none() {
            nomic.revoke_api_key(&key.id)?;
        }
        report.push(format!("key {}… {:?} is revoked", key.key_prefix, key.name.unwrap_or_default()));
    }
    Ok(())
}
