//! Users: listing, reading, disabling and enabling them.

use serde_json::{Value, json};

use crate::api::{ApiResponse, Call};
use crate::clock::rfc3339;
use crate::failure::Failure;
use crate::pages::PageRequest;
use crate::state::lock;
use crate::store::accounts::{Accounts, User};
use crate::store::audit_log::entity;
use crate::validate::{self, Shape, open_object, optional};

static DISABLE: Shape = open_object(&[optional("reason", Shape::Text)]);

pub(crate) fn list(call: &Call) -> Result<ApiResponse, Failure> {
    page(call, 50, None, summary)
}

/// A page of the users whose email address contains the text in the query.
pub(super) fn page(
    call: &Call,
    default: i64,
    maximum: Option<i64>,
    render: impl Fn(&User) -> Value,
) -> Result<ApiResponse, Failure> {
    let page = PageRequest::read(call, default, maximum)?;
    let text = call.query("email").unwrap_or_default().to_lowercase();
    let wanted = |user: &User| text.is_empty() || user.email.to_lowercase().contains(&text);
    let accounts = lock(&call.world.accounts);
    let users = &accounts.users;
    let items = users.iter().enumerate().skip(page.first()).filter(|(_, user)| wanted(user));
    let items = items.map(|(index, user)| (index as u64, render(user)));
    let total = users.iter().filter(|user| wanted(user)).count();
    Ok(page.response(call, items, Some(total as u64)))
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
    let (target, since, revoked) = {
        let mut accounts = lock(&call.world.accounts);
        let (index, user) = find(&accounts, call.value(0))?;
        let (target, disabled) = (target(user), user.disabled);
        (target, disabled.unwrap_or(call.now), accounts.disable(index, call.now))
    };
    if let Some(revoked) = revoked {
        let metadata = json!({ "reason": body.get("reason"), "revokedApiKeys": revoked });
        call.record("user.disabled", vec![target], metadata);
    }
    Ok(ApiResponse::ok(json!({
        "id": call.value(0),
        "disabled": true,
        "disabledAt": rfc3339(since),
        "revokedApiKeys": revoked.unwrap_or(0),
    })))
}

pub(crate) fn enable(call: &Call) -> Result<ApiResponse, Failure> {
    let (target, is_changed) = {
        let mut accounts = lock(&call.world.accounts);
        let (index, user) = find(&accounts, call.value(0))?;
        (target(user), accounts.enable(index, call.now))
    };
    if is_changed {
        call.record("user.enabled", vec![target], json!({}));
    }
    Ok(ApiResponse::ok(json!({ "id": call.value(0), "disabled": false })))
}

fn find<'a>(accounts: &'a Accounts, id: &str) -> Result<(usize, &'a User), Failure> {
    let index = accounts.find_user(id);
    let user = index.and_then(|index| Some((index, accounts.user(index)?)));
    user.ok_or_else(|| Failure::not_found("User"))
}

fn target(user: &User) -> Value {
    entity("user", &user.id, Some(&user.name))
}

fn summary(user: &User) -> Value {
    json!({
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "disabled": user.disabled.is_some(),
        "createdAt": rfc3339(user.created),
        "updatedAt": rfc3339(user.updated),
    })
}
