//! The audit trail: listing it, newest first.

use crate::api::{Answer, Call};
use crate::clock::parse_rfc3339;
use crate::failure::Failure;
use crate::pages::{Items, Window};
use crate::state::lock;

pub(crate) fn list(call: &Call) -> Result<Answer, Failure> {
    let window = Window::read(call, 100, Some(1000))?;
    let since = match call.query("since") {
        None => None,
        Some(text) => Some(parse_rfc3339(text).ok_or_else(|| Failure::issue(["since"], "Invalid datetime"))?),
    };
    let action = call.query("action");
    let trail = lock(&call.world.trail);
    // Positions are the entries' own numbers: what is recorded meanwhile shifts nothing.
    let before = window.from.unwrap_or_else(|| trail.end());
    let numbers = trail.newest_first(before, action, since).take(window.limit + 1);
    let items: Items = numbers.filter_map(|number| Some((number, trail.entry(number)?.json()))).collect();
    let total = match (action, since) {
        (None, None) => trail.end(),
        _ => trail.newest_first(trail.end(), action, since).count() as u64,
    };
    Ok(window.page(call, items, Some(total)))
}
