//! The organization: users, API keys, the audit log.

use nomic_client::{ApiKeyId, Timestamp, UserId, api_keys, audit_logs, users};

use crate::args::{KeyCommand, KeyList, Keys, Limit, UserCommand, UserList, Users};
use crate::failure::Failure;
use crate::output::{cell, fields};
use crate::session::Session;
use crate::terminal::{confirm, nobody_can_be_asked, note};

/// The service names no largest page for lists of these.
const PAGE: u32 = 100;

pub(crate) fn users(session: &Session, arguments: Users) -> Result<(), Failure> {
    let nomic = &session.nomic;
    match arguments.command.unwrap_or(UserCommand::List(arguments.list)) {
        UserCommand::List(UserList { email, limit }) => {
            let users = nomic.users(&users::Filter { email });
            let columns = [("id", 36), ("state", 8), ("email", 32), ("name", 0)];
            session.output.list(limit.of(users, PAGE), columns, |user| {
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
        UserCommand::Disable { user, reason, sure } => {
            confirm(&format!("Shut {user} out, and revoke the user's API keys for good?"), sure.yes)?;
            let id = user_id(session, &user)?;
            let look = ["users", "show", id.as_str()];
            let said = session.act("disabling the user", &look, || nomic.disable_user(&id, reason.as_deref()))?;
            let revoked = said.as_ref().and_then(|state| state.revoked_api_keys);
            session.output.value(&said, || match revoked {
                Some(revoked) => format!("{user} is disabled; {revoked} API keys were revoked"),
                None => format!("{user} is disabled"),
            })
        }
        UserCommand::Enable { user } => {
            let id = user_id(session, &user)?;
            let look = ["users", "show", id.as_str()];
            let said = session.act("enabling the user", &look, || nomic.enable_user(&id))?;
            session.output.value(&said, || format!("{user} is enabled"))
        }
    }
}

fn state(disabled: Option<bool>) -> String {
    cell(disabled.map(|disabled| if disabled { "disabled" } else { "enabled" }))
}

/// The user with an ID, or with just this address.
fn user_id(session: &Session, user: &str) -> Result<UserId, Failure> {
    if !user.contains('@') {
        return Ok(user.into());
    }
    for found in session.nomic.users(&users::Filter::email(user)) {
        let found = found?;
        session.output.answered.set(true);
        // The filter finds parts of addresses too.
        if found.email.eq_ignore_ascii_case(user) {
            return Ok(found.id);
        }
    }
    Err(Failure::NotFound(format!("nobody has the address {user}")))
}

pub(crate) fn keys(session: &Session, arguments: Keys) -> Result<(), Failure> {
    match arguments.command.unwrap_or(KeyCommand::List(arguments.list)) {
        KeyCommand::List(KeyList { user, revoked, limit }) => {
            let user_id = user.map(|user| user_id(session, &user)).transpose()?;
            let keys = session.nomic.api_keys(&api_keys::Filter { user_id, include_revoked: revoked });
            let columns = [("id", 36), ("key", 12), ("state", 7), ("last used", 24), ("owner", 32), ("name", 0)];
            session.output.list(limit.of(keys, PAGE), columns, |key| {
                [
                    key.id.to_string(),
                    format!("{}…", key.key_prefix),
                    if key.revoked_at.is_some() { "revoked" } else { "alive" }.to_owned(),
                    cell(key.last_used_at.as_ref()),
                    cell(key.user.as_ref().and_then(|user| user.email.as_ref())),
                    cell(key.name.as_ref()),
                ]
            })?;
            Ok(())
        }
        KeyCommand::Revoke { id, sure } => {
            // It may be a whole key: it is not shown.
            if id.as_str().contains("npk_") {
                let words = "npk_… is a key or how one begins, not its ID: `nomic keys` lists the IDs";
                return Err(Failure::Usage(words.to_owned()));
            }
            let question = match sure.yes || nobody_can_be_asked() {
                true => format!("Revoke the API key {id} for good?"),
                false => about_to_revoke(session, &id)?,
            };
            confirm(&question, sure.yes)?;
            let said = session.act("revoking the key", &["keys", "--revoked"], || session.nomic.revoke_api_key(&id))?;
            session.output.value(&said, || format!("{id} is revoked"))
        }
    }
}

/// The question that says which key it is.
fn about_to_revoke(session: &Session, id: &ApiKeyId) -> Result<String, Failure> {
    let all = api_keys::Filter { include_revoked: true, ..Default::default() };
    for key in session.nomic.api_keys(&all) {
        let key = match key {
            Ok(key) => key,
            // Whoever may revoke keys need not be one who may read them.
            Err(error) if error.is_forbidden() => return Ok(format!("Revoke the API key {id} for good?")),
            Err(error) => return Err(error.into()),
        };
        if key.id != *id {
            continue;
        }
        if session.uses_key(&key.key_prefix) {
            note("this is the key that is in use here: it will not be accepted any more");
        }
        let name = cell(key.name.as_ref());
        let owner = cell(key.user.as_ref().and_then(|user| user.email.as_ref()));
        return Ok(format!("Revoke the API key {}… ({name}) of {owner} for good?", key.key_prefix));
    }
    Err(Failure::NotFound(format!("there is no API key {id}")))
}

/// The words that are known: the client's, and those that jobs are looked for with.
const ACTIONS: [&str; 5] = ["user.disabled", "user.enabled", "api_key.revoked", "parse.submitted", "extract.submitted"];

pub(crate) fn audit(
    session: &Session,
    since: Option<Timestamp>,
    action: Option<audit_logs::Action>,
    limit: Limit,
) -> Result<(), Failure> {
    let filter = audit_logs::Filter { action, since };
    let entries = session.nomic.audit_logs(&filter);
    let columns = [("time", 24), ("action", 18), ("actor", 24), ("targets", 0)];
    let number = session.output.list(limit.of(entries, audit_logs::MAX_PAGE), columns, |entry| {
        let name = |party: &audit_logs::Party| party.name.clone().unwrap_or_else(|| party.id.clone());
        let targets: Vec<_> = entry.targets.iter().map(name).collect();
        // What a job that was submitted can be waited for with.
        let task = entry.metadata.get("taskId").and_then(|id| id.as_str());
        let task = task.map(|id| format!(" (task {id})")).unwrap_or_default();
        [
            entry.occurred_at.to_string(),
            entry.action.to_string(),
            cell(entry.actor.as_ref().map(name)),
            targets.join(", ") + &task,
        ]
    })?;
    if let (0, Some(action)) = (number, filter.action.filter(|action| !ACTIONS.contains(&action.as_str()))) {
        let known = ACTIONS.join(", ");
        note(format_args!(
            "no entry has the action {:?}, which is not one of {known}; there may be more",
            action.as_str()
        ));
    }
    Ok(())
}
