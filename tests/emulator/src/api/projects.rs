//! Projects: listing them.

use serde_json::json;

use crate::api::{Answer, Call};
use crate::failure::Failure;
use crate::pages::Window;
use crate::seed;

pub(crate) fn list(call: &Call) -> Result<Answer, Failure> {
    let window = Window::read(call, 20, None)?;
    let projects = (0..).zip(seed::projects()).skip(window.first()).take(window.limit + 1);
    let items = projects.map(|(place, (id, name))| (place, json!({ "id": id, "name": name }))).collect();
    Ok(window.page(call, items, None))
}
