//! Users: listing, reading, disabling and enabling them.

use serde_json::{Value, json};

use crate::api::{Answer, Call};
use crate::clock::{Moment, rfc3339};
use crate::failure::Failure;
use crate::pages::{Items, Window};
use crate::state::lock;
use crate::store::accounts::{Accounts, User};
use crate::store::trail::Party;
use crate::validate::{self, Shape, open_object, optional};

static DISABLE: Shape = open_object(&[optional("reason", Shape::Text)]);

pub(crate) fn list(call: &Call) -> Result<Answer, Failure> {
    let window = Window::read(call, 50, None)?;
    let accounts = lock(&call.world.accounts);
    let (items, total) = select(&accounts, &window, call.query("email"), brief);
    Ok(window.page(call, items, Some(total)))
}

/// The users of a window whose address holds the text, and how many those are in all.
pub(super) fn select(
    accounts: &Accounts,
    window: &Window,
    email: Option<&str>,
    render: impl Fn(&User) -> Value,
) -> (Items, u64) {
    let text = email.unwrap_or_default().to_lowercase();
    let wanted = |user: &User| text.is_empty() || user.email.to_lowercase().contains(&text);
    let users = accounts.users();
    let items = users.iter().enumerate().skip(window.first()).filter(|(_, user)| wanted(user)).take(window.limit + 1);
    let items = items.map(|(place, user)| (place as u64, render(user))).collect();
    let total = if text.is_empty() { users.len() } else { users.iter().filter(|user| wanted(user)).count() };
    (items, total as u64)
}

pub(crate) fn get(call: &Call) -> Result<Answer, Failure> {
    let accounts = lock(&call.world.accounts);
    let (place, user) = find(&accounts, call.value(0))?;
    let mut body = brief(user);
    body["disabledAt"] = json!(user.disabled.map(rfc3339));
    body["apiKeyCount"] = json!(accounts.live_keys(place));
    body["sessionCount"] = json!(user.sessions);
    Ok(Answer::ok(body))
}

pub(crate) fn disable(call: &Call) -> Result<Answer, Failure> {
    let body = match call.body.is_empty() {
        true => Value::Null,
        false => validate::read(&call.body, &DISABLE)?,
    };
    let (party, since, revoked) = {
        let mut accounts = lock(&call.world.accounts);
        let (place, _) = find(&accounts, call.value(0))?;
        let revoked = accounts.disable(place, call.now);
        let (_, user) = find(&accounts, call.value(0))?;
        (party(user), user.disabled.unwrap_or(call.now), revoked)
    };
    if let Some(revoked) = revoked {
        let metadata = json!({ "reason": body.get("reason"), "revokedApiKeys": revoked });
        call.record("user.disabled", vec![party.clone()], metadata);
    }
    Ok(Answer::ok(json!({
        "id": party.id,
        "disabled": true,
        "disabledAt": rfc3339(since),
        "revokedApiKeys": revoked.unwrap_or(0),
    })))
}

pub(crate) fn enable(call: &Call) -> Result<Answer, Failure> {
    let (party, changed) = {
        let mut accounts = lock(&call.world.accounts);
        let (place, user) = find(&accounts, call.value(0))?;
        let party = party(user);
        (party, accounts.enable(place, call.now))
    };
    if changed {
        call.record("user.enabled", vec![party.clone()], json!({}));
    }
    Ok(Answer::ok(json!({ "id": party.id, "disabled": false })))
}

fn find<'a>(accounts: &'a Accounts, id: &str) -> Result<(usize, &'a User), Failure> {
    let place = accounts.find_user(id);
    let user = place.and_then(|place| Some((place, accounts.user(place)?)));
    user.ok_or_else(|| Failure::not_found("User"))
}

fn party(user: &User) -> Party {
    Party { id: user.id.clone(), kind: "user", name: Some(user.name.clone()) }
}

fn brief(user: &User) -> Value {
    let time = |moment: Moment| rfc3339(moment);
    json!({
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "disabled": user.disabled.is_some(),
        "createdAt": time(user.created),
        "updatedAt": time(user.updated),
    })
}
