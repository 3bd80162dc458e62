//! Workflows and projects: listing them.

use serde_json::{Value, json};

use crate::api::{ApiResponse, Call};
use crate::failure::Failure;
use crate::pages::PageRequest;
use crate::seed::CATALOG;

pub(crate) fn workflows(call: &Call) -> Result<ApiResponse, Failure> {
    list(call, "workflows", |workflow| {
        json!({
            "id": workflow["id"],
            "name": workflow["name"],
            "description": workflow["description"],
            "inputs": workflow["inputs"],
        })
    })
}

pub(crate) fn projects(call: &Call) -> Result<ApiResponse, Failure> {
    list(call, "projects", Value::clone)
}

fn list(call: &Call, name: &str, render: impl Fn(&Value) -> Value) -> Result<ApiResponse, Failure> {
    let page = PageRequest::read(call, 20, None)?;
    let items = (0..).zip(CATALOG[name].as_array().into_iter().flatten()).skip(page.first());
    Ok(page.response(call, items.map(|(index, item)| (index, render(item))), None))
}
