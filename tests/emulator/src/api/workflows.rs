//! Workflows: listing them.

use serde_json::json;

use crate::api::{Answer, Call};
use crate::failure::Failure;
use crate::pages::Window;
use crate::seed;

pub(crate) fn list(call: &Call) -> Result<Answer, Failure> {
    let window = Window::read(call, 20, None)?;
    let workflows = (0..).zip(&seed::WORKFLOWS).skip(window.first()).take(window.limit + 1);
    let items = workflows
        .map(|(place, workflow)| {
            let inputs: Vec<_> = workflow.inputs.iter().map(|name| json!({ "name": name })).collect();
            let item = json!({
                "id": workflow.id(),
                "name": workflow.name,
                "description": workflow.description,
                "inputs": inputs,
            });
            (place, item)
        })
        .collect();
    Ok(window.page(call, items, None))
}
