//! Disables a user, revokes the user's API keys, and prints the audit log as evidence.

mod instance;

use std::error::Error;
use std::time::{Duration, SystemTime};

use clap::Parser;
use nomic_client::{api_keys, audit_logs, users};

/// Disable a user, revoke the user's API keys, and print the entries of the audit log that show it
#[derive(Parser)]
struct Args {
    /// The user's e-mail address; on an emulator, try bob@example.com
    email: String,
    /// The reason, for the audit log
    #[arg(default_value = "offboarding")]
    reason: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let (nomic, _emulator) = instance::connect()?;

    // The filter also matches parts of an address: only the exact address counts.
    let users = nomic.users_with(&users::Filter::default().email(&args.email)).collect::<Result<Vec<_>, _>>()?;
    let user = users.iter().find(|user| user.email.eq_ignore_ascii_case(&args.email));
    let user = user.ok_or_else(|| format!("no user has the address {}", args.email))?;

    // A minute of tolerance for the clocks of this machine and of the server.
    let start = SystemTime::now() - Duration::from_secs(60);
    nomic.disable_user_with(&user.id, &users::DisableOptions::default().reason(args.reason))?;
    // This revokes the keys too. A key that is still active is revoked one by one.
    let active = api_keys::Filter::default().user_id(&user.id);
    for key in nomic.api_keys_with(&active) {
        nomic.revoke_api_key(&key?.id)?;
    }

    // Nothing is printed before: a closed pipe must not leave a key active.
    println!("{} is disabled and has no active API key", user.email);
    println!("\naudit log:");
    let since = audit_logs::Filter::default().since(start);
    for entry in nomic.audit_logs_with(&since) {
        let entry = entry?;
        if entry.targets.iter().any(|target| target.id == user.id.as_str()) {
            println!("{} {} {}", entry.occurred_at, entry.action, serde_json::to_string(&entry.metadata)?);
        }
    }
    Ok(())
}
