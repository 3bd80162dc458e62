//! Administration: users, API keys, the audit log.

use nomic_client::{ApiKeyId, Timestamp, UserId, api_keys, audit_logs, users};

use crate::args::{KeyCommand, KeyList, Keys, Limit, UserCommand, UserList, Users};
use crate::failure::Failure;
use crate::output::{cell, fields};
use crate::session::Session;
use crate::terminal::{confirm, is_interactive, note};

/// Items per request. The service documents no maximum for these lists.
const PAGE_SIZE: u32 = 100;

pub(crate) fn users(session: &Session, arguments: Users) -> Result<(), Failure> {
    let nomic = &session.nomic;
    match arguments.command.unwrap_or(UserCommand::List(arguments.list)) {
        UserCommand::List(UserList { email, limit }) => {
            let mut filter = users::Filter::default();
            filter.email = email;
            let users = nomic.users_with(&filter);
            let columns = [("id", 36), ("state", 8), ("email", 32), ("name", 0)];
            session.output.list(limit.apply(users, PAGE_SIZE), columns, |user| {
                [user.id.to_string(), state(user.disabled), user.email.clone(), cell(user.name.as_ref())]
            })?;
            Ok(())
        }
        UserCommand::Show { user } => {
            let user = nomic.user(&user_id(session, &user)?)?;
            session.output.value(&user, || {
                fields(&[
                    ("id", Some(user.id.to_string())),
                    ("email", Some(user.email.clone())),
                    ("name", user.name.clone()),
                    ("state", Some(state(user.disabled))),
                    ("disabled", user.disabled_at.as_ref().map(ToString::to_string)),
                    ("created", user.created_at.as_ref().map(ToString::to_string)),
                    ("API keys", user.api_key_count.map(|count| count.to_string())),
                    ("sessions", user.session_count.map(|count| count.to_string())),
                ])
            })
        }
        UserCommand::Disable { user, reason, confirmation } => {
            let question = format!("Disable {user} and permanently revoke the user's API keys?");
            confirm(&question, confirmation.yes)?;
            let id = user_id(session, &user)?;
            let check = ["users", "show", id.as_str()];
            let mut options = users::DisableOptions::default();
            options.reason = reason;
            let state = session.write("disabling the user", &check, || nomic.disable_user_with(&id, &options))?;
            let revoked = state.as_ref().and_then(|state| state.revoked_api_keys);
            session.output.value(&state, || match revoked {
                Some(revoked) => format!("{user} is disabled; API keys revoked: {revoked}"),
                None => format!("{user} is disabled"),
            })
        }
        UserCommand::Enable { user } => {
            let id = user_id(session, &user)?;
            let check = ["users", "show", id.as_str()];
            let state = session.write("enabling the user", &check, || nomic.enable_user(&id))?;
            session.output.value(&state, || format!("{user} is enabled"))
        }
    }
}

fn state(disabled: Option<bool>) -> String {
    cell(disabled.map(|disabled| if disabled { "disabled" } else { "enabled" }))
}

/// Resolves an ID or an e-mail address to a user's ID.
fn user_id(session: &Session, user: &str) -> Result<UserId, Failure> {
    if !user.contains('@') {
        return Ok(user.into());
    }
    for candidate in session.nomic.users_with(&users::Filter::default().email(user)) {
        let candidate = candidate?;
        session.output.responded.set(true);
        // The filter also matches parts of an address.
        if candidate.email.eq_ignore_ascii_case(user) {
            return Ok(candidate.id);
        }
    }
    Err(Failure::NotFound(format!("no user has the address {user}")))
}

pub(crate) fn keys(session: &Session, arguments: Keys) -> Result<(), Failure> {
    match arguments.command.unwrap_or(KeyCommand::List(arguments.list)) {
        KeyCommand::List(KeyList { user, revoked, limit }) => {
            let mut filter = api_keys::Filter::default().include_revoked(revoked);
            filter.user_id = user.map(|user| user_id(session, &user)).transpose()?;
            let keys = session.nomic.api_keys_with(&filter);
            let columns = [("id", 36), ("key", 12), ("state", 7), ("last used", 24), ("owner", 32), ("name", 0)];
            session.output.list(limit.apply(keys, PAGE_SIZE), columns, |key| {
                [
                    key.id.to_string(),
                    format!("{}…", key.key_prefix),
                    if key.revoked_at.is_some() { "revoked" } else { "active" }.to_owned(),
                    cell(key.last_used_at.as_ref()),
                    cell(key.user.as_ref().and_then(|user| user.email.as_ref())),
                    cell(key.name.as_ref()),
                ]
            })?;
            Ok(())
        }
        KeyCommand::Revoke { id, confirmation } => {
            // It may be a complete key, so it is not printed.
            if id.as_str().contains("npk_") {
                let message = "expected the ID of a key, not the key or its prefix (npk_…): `nomic keys` lists the IDs";
                return Err(Failure::Usage(message.to_owned()));
            }
            let question = match !confirmation.yes && is_interactive() {
                true => revoke_question(session, &id)?,
                false => format!("Permanently revoke the API key {id}?"),
            };
            confirm(&question, confirmation.yes)?;
            let check = ["keys", "--revoked"];
            let revoked = session.write("revoking the key", &check, || session.nomic.revoke_api_key(&id))?;
            session.output.value(&revoked, || format!("{id} is revoked"))
        }
    }
}

/// The confirmation question, with the prefix, name and owner of the key.
fn revoke_question(session: &Session, id: &ApiKeyId) -> Result<String, Failure> {
    let filter = api_keys::Filter::default().include_revoked(true);
    for key in session.nomic.api_keys_with(&filter) {
        let key = match key {
            Ok(key) => key,
            // A key with the scope to revoke keys may lack the scope to list them.
            Err(error) if error.is_forbidden() => return Ok(format!("Permanently revoke the API key {id}?")),
            Err(error) => return Err(error.into()),
        };
        if key.id != *id {
            continue;
        }
        if session.uses_key(&key.key_prefix) {
            note("this command uses this key; revoking it makes the next command fail");
        }
        let name = cell(key.name.as_ref());
        let owner = cell(key.user.as_ref().and_then(|user| user.email.as_ref()));
        return Ok(format!("Permanently revoke the API key {}… ({name}) of {owner}?", key.key_prefix));
    }
    Err(Failure::NotFound(format!("there is no API key {id}")))
}

/// Known actions, named in a note if a filter finds nothing.
const KNOWN_ACTIONS: [&str; 5] =
    ["user.disabled", "user.enabled", "api_key.revoked", "parse.submitted", "extract.submitted"];

pub(crate) fn audit(
    session: &Session,
    since: Option<Timestamp>,
    action: Option<audit_logs::Action>,
    limit: Limit,
) -> Result<(), Failure> {
    let mut filter = audit_logs::Filter::default();
    (filter.action, filter.since) = (action, since);
    let entries = session.nomic.audit_logs_with(&filter);
    let columns = [("time", 24), ("action", 18), ("actor", 24), ("targets", 0)];
    let count = session.output.list(limit.apply(entries, audit_logs::MAX_PAGE), columns, |entry| {
        let name = |party: &audit_logs::Party| party.name.clone().unwrap_or_else(|| party.id.clone());
        let targets: Vec<_> = entry.targets.iter().map(name).collect();
        // The id to wait for a submitted job with.
        let task = entry.metadata.get("taskId").and_then(|id| id.as_str());
        let task = task.map(|id| format!(" (task {id})")).unwrap_or_default();
        [
            entry.occurred_at.to_string(),
            entry.action.to_string(),
            cell(entry.actor.as_ref().map(name)),
            targets.join(", ") + &task,
        ]
    })?;
    if let (0, Some(action)) = (count, filter.action.filter(|action| !KNOWN_ACTIONS.contains(&action.as_str()))) {
        let known = KNOWN_ACTIONS.join(", ");
        note(format_args!(
            "no entry has the action {:?}; known actions: {known} (there may be others)",
            action.as_str()
        ));
    }
    Ok(())
}
