//! Workflows: listing them.

use serde_json::json;

use crate::api::{ApiResponse, Call};
use crate::failure::Failure;
use crate::pages::PageRequest;
use crate::seed;

pub(crate) fn list(call: &Call) -> Result<ApiResponse, Failure> {
    let page = PageRequest::read(call, 20, None)?;
    let workflows = (0..).zip(&seed::WORKFLOWS).skip(page.first()).take(page.limit + 1);
    let items = workflows
        .map(|(index, workflow)| {
            let inputs: Vec<_> = workflow.inputs.iter().map(|name| json!({ "name": name })).collect();
            let item = json!({
                "id": workflow.id(),
                "name": workflow.name,
                "description": workflow.description,
                "inputs": inputs,
            });
            (index, item)
        })
        .collect();
    Ok(page.response(call, items, None))
}
