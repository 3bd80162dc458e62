//! API keys: listing and revoking them.

use serde_json::{Value, json};

use crate::api::{ApiResponse, Call};
use crate::clock::rfc3339;
use crate::failure::Failure;
use crate::pages::PageRequest;
use crate::state::lock;
use crate::store::accounts::{Accounts, ApiKey};
use crate::store::audit_log::entity;

pub(crate) fn list(call: &Call) -> Result<ApiResponse, Failure> {
    let with_revoked = match call.query("includeRevoked") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            let message = format!("Expected one of true, false, received '{other}'");
            return Err(Failure::issue(["includeRevoked"], message));
        }
    };
    let page = PageRequest::read(call, 50, None)?;
    let accounts = lock(&call.world.accounts);
    // A user who does not exist has no keys.
    let owner = call.query("userId").map(|id| accounts.find_user(id));
    let wanted =
        |key: &ApiKey| (with_revoked || key.revoked.is_none()) && owner.is_none_or(|owner| owner == Some(key.owner));
    let keys = &accounts.keys;
    let items = keys.iter().enumerate().skip(page.first()).filter(|(_, key)| wanted(key));
    let items = items.map(|(index, key)| (index as u64, render(key, &accounts)));
    let total = keys.iter().filter(|key| wanted(key)).count();
    Ok(page.response(call, items, Some(total as u64)))
}

pub(crate) fn revoke(call: &Call) -> Result<ApiResponse, Failure> {
    let (key, (since, is_new)) = {
        let mut accounts = lock(&call.world.accounts);
        let index = accounts.find_key(call.value(0));
        let revoked = index.and_then(|index| {
            let revoked = accounts.revoke(index, call.now)?;
            let key = accounts.keys.get(index)?;
            Some((entity("api_key", &key.id, Some(&key.name)), revoked))
        });
        revoked.ok_or_else(|| Failure::not_found("API key"))?
    };
    if is_new {
        call.record("api_key.revoked", vec![key], json!({}));
    }
    Ok(ApiResponse::ok(json!({ "id": call.value(0), "revokedAt": rfc3339(since) })))
}

fn render(key: &ApiKey, accounts: &Accounts) -> Value {
    let user = accounts.user(key.owner).map(|user| json!({ "id": user.id, "email": user.email }));
    json!({
        "id": key.id,
        "keyPrefix": key.prefix,
        "name": key.name,
        "scopes": key.scopes,
        "createdAt": rfc3339(key.created),
        "lastUsedAt": key.last_used.map(rfc3339),
        "expiresAt": key.expires.map(rfc3339),
        "revokedAt": key.revoked.map(rfc3339),
        "user": user,
    })
}
