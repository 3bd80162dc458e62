//! Projects: listing them.

use serde_json::json;

use crate::api::{ApiResponse, Call};
use crate::failure::Failure;
use crate::pages::PageRequest;
use crate::seed;

pub(crate) fn list(call: &Call) -> Result<ApiResponse, Failure> {
    let page = PageRequest::read(call, 20, None)?;
    let projects = (0..).zip(seed::projects()).skip(page.first()).take(page.limit + 1);
    let items = projects.map(|(index, (id, name))| (index, json!({ "id": id, "name": name }))).collect();
    Ok(page.response(call, items, None))
}
