//! Users: listing, reading, disabling and enabling them.

use serde_json::{Value, json};

use crate::api::{ApiResponse, Call};
use crate::clock::{Moment, rfc3339};
use crate::failure::Failure;
use crate::pages::{Items, PageRequest};
use crate::state::lock;
use crate::store::accounts::{Accounts, User};
use crate::store::audit_log::Entity;
use crate::validate::{self, Shape, open_object, optional};

static DISABLE: Shape = open_object(&[optional("reason", Shape::Text)]);

pub(crate) fn list(call: &Call) -> Result<ApiResponse, Failure> {
    let page = PageRequest::read(call, 50, None)?;
    let accounts = lock(&call.world.accounts);
    let (items, total) = select(&accounts, &page, call.query("email"), summary);
    Ok(page.response(call, items, Some(total)))
}

/// The users of a page whose email address contains the text, and the number of all such users.
pub(super) fn select(
    accounts: &Accounts,
    page: &PageRequest,
    email: Option<&str>,
    render: impl Fn(&User) -> Value,
) -> (Items, u64) {
    let text = email.unwrap_or_default().to_lowercase();
    let wanted = |user: &User| text.is_empty() || user.email.to_lowercase().contains(&text);
    let users = accounts.users();
    let items = users.iter().enumerate().skip(page.first()).filter(|(_, user)| wanted(user)).take(page.limit + 1);
    let items = items.map(|(index, user)| (index as u64, render(user))).collect();
    let total = if text.is_empty() { users.len() } else { users.iter().filter(|user| wanted(user)).count() };
    (items, total as u64)
}

pub(crate) fn get(call: &Call) -> Result<ApiResponse, Failure> {
    let accounts = lock(&call.world.accounts);
    let (index, user) = find(&accounts, call.value(0))?;
    let mut body = summary(user);
    body["disabledAt"] = json!(user.disabled.map(rfc3339));
    body["apiKeyCount"] = json!(accounts.active_keys(index));
    body["sessionCount"] = json!(user.sessions);
    Ok(ApiResponse::ok(body))
}

pub(crate) fn disable(call: &Call) -> Result<ApiResponse, Failure> {
    let body = match call.body.is_empty() {
        true => Value::Null,
        false => validate::parse(&call.body, &DISABLE)?,
    };
    let (entity, since, revoked) = {
        let mut accounts = lock(&call.world.accounts);
        let (index, _) = find(&accounts, call.value(0))?;
        let revoked = accounts.disable(index, call.now);
        let (_, user) = find(&accounts, call.value(0))?;
        (entity(user), user.disabled.unwrap_or(call.now), revoked)
    };
    if let Some(revoked) = revoked {
        let metadata = json!({ "reason": body.get("reason"), "revokedApiKeys": revoked });
        call.record("user.disabled", vec![entity.clone()], metadata);
    }
    Ok(ApiResponse::ok(json!({
        "id": entity.id,
        "disabled": true,
        "disabledAt": rfc3339(since),
        "revokedApiKeys": revoked.unwrap_or(0),
    })))
}

pub(crate) fn enable(call: &Call) -> Result<ApiResponse, Failure> {
    let (entity, changed) = {
        let mut accounts = lock(&call.world.accounts);
        let (index, user) = find(&accounts, call.value(0))?;
        let entity = entity(user);
        (entity, accounts.enable(index, call.now))
    };
    if changed {
        call.record("user.enabled", vec![entity.clone()], json!({}));
    }
    Ok(ApiResponse::ok(json!({ "id": entity.id, "disabled": false })))
}

fn find<'a>(accounts: &'a Accounts, id: &str) -> Result<(usize, &'a User), Failure> {
    let index = accounts.find_user(id);
    let user = index.and_then(|index| Some((index, accounts.user(index)?)));
    user.ok_or_else(|| Failure::not_found("User"))
}

fn entity(user: &User) -> Entity {
    Entity { id: user.id.clone(), kind: "user", name: Some(user.name.clone()) }
}

fn summary(user: &User) -> Value {
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
