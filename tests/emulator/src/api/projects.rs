//! Projects: listing them.

use serde_json::json;

use crate::api::{Answer, Call};
use crate::failure::Failure;
use crate::pages::Window;
use crate::seed;

pub(crate) fn list(call: &Call) -> Result<Answer, Failure> {
    let window = Window::read(call, 20, None, &[])?;
    let first = window.from.map_or(0, |from| from as usize + 1);
    let projects = (0..).zip(seed::projects()).skip(first).take(window.limit + 1);
    let items = projects.map(|(place, (id, name))| (place, json!({ "id": id, "name": name }))).collect();
    Ok(window.page(call, items, None))
}
