//! The audit log: listing it, newest first.

use crate::api::{ApiResponse, Call};
use crate::clock::parse_rfc3339;
use crate::failure::Failure;
use crate::pages::PageRequest;
use crate::state::lock;

pub(crate) fn list(call: &Call) -> Result<ApiResponse, Failure> {
    let page = PageRequest::read(call, 100, Some(1000))?;
    let since = match call.query("since") {
        None => None,
        Some(text) => Some(parse_rfc3339(text).ok_or_else(|| Failure::issue(["since"], "Invalid datetime"))?),
    };
    let action = call.query("action");
    let audit_log = lock(&call.world.audit_log);
    // Positions are numbers of entries, so that new entries do not shift them.
    let before = page.after.unwrap_or_else(|| audit_log.len());
    let numbers = audit_log.newest_first(before, action, since);
    let items = numbers.filter_map(|number| Some((number, audit_log.entry(number)?.json())));
    let total = match (action, since) {
        (None, None) => audit_log.len(),
        _ => audit_log.newest_first(audit_log.len(), action, since).count() as u64,
    };
    Ok(page.response(call, items, Some(total)))
}
