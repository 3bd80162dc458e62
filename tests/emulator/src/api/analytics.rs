//! Analytics: the usage of each user.

use serde_json::{Value, json};

use crate::api::{ApiResponse, Call, users};
use crate::clock::rfc3339;
use crate::failure::Failure;
use crate::store::accounts::User;

/// The spend limit of users that do not have their own.
const DEFAULT_CAP_CENTS: u64 = 5000;

pub(crate) fn list(call: &Call) -> Result<ApiResponse, Failure> {
    let mut response = users::page(call, 100, Some(1000), render)?;
    response.body["spendLimitsEnabled"] = json!(true);
    response.body["defaultSpendCapCents"] = json!(DEFAULT_CAP_CENTS);
    Ok(response)
}

/// Whether a user has reached the spend limit.
pub(super) fn is_over_limit(user: &User) -> bool {
    user.usage_cents >= user.cap_cents.unwrap_or(DEFAULT_CAP_CENTS)
}

fn render(user: &User) -> Value {
    json!({
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "disabled": user.disabled.is_some(),
        "role": user.role,
        "joinedAt": rfc3339(user.created),
        "lastActiveAt": user.last_active.map(rfc3339),
        "aiUsageCents": user.usage_cents,
        "spendCapCents": user.cap_cents,
        "spendStatus": if is_over_limit(user) { "over_limit" } else { "within_limit" },
    })
}
