//! Analytics: what each user has used.

use serde_json::{Value, json};

use crate::api::{Answer, Call, users};
use crate::clock::rfc3339;
use crate::failure::Failure;
use crate::pages::Window;
use crate::state::lock;
use crate::store::accounts::User;

/// What a user without a cap of their own may spend.
const DEFAULT_CAP_CENTS: u64 = 5000;

pub(crate) fn list(call: &Call) -> Result<Answer, Failure> {
    let window = Window::read(call, 100, Some(1000))?;
    let accounts = lock(&call.world.accounts);
    let (items, total) = users::select(&accounts, &window, call.query("email"), render);
    let mut answer = window.page(call, items, Some(total));
    answer.body["spendLimitsEnabled"] = json!(true);
    answer.body["defaultSpendCapCents"] = json!(DEFAULT_CAP_CENTS);
    Ok(answer)
}

/// Whether a user has spent all that they may.
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
