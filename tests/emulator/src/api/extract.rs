//! Extract jobs: values from documents, as a JSON Schema describes them.

use serde_json::{Value, json};

use crate::api::tasks::{self, readable_version};
use crate::api::{ApiResponse, Call};
use crate::failure::Failure;
use crate::schema;
use crate::validate::{self, Shape, object, open_object, optional, required};
use crate::work;

static BODY: Shape = object(&[
    required("fileVersionIds", Shape::List { of: &Shape::Uuid, at_least: 1 }),
    required("schema", open_object(&[])),
    optional("enableCitations", Shape::Boolean),
]);

pub(crate) fn submit(call: &Call) -> Result<ApiResponse, Failure> {
    let mut body = validate::parse(&call.body, &BODY)?;
    if let Some(error) = schema::error(&body["schema"]) {
        return Err(Failure::new(422, error));
    }
    let ids = body["fileVersionIds"].as_array().into_iter().flatten();
    let versions =
        ids.map(|id| readable_version(call, id.as_str().unwrap_or_default())).collect::<Result<Vec<_>, _>>()?;
    let schema = body["schema"].take();
    let citations = body["enableCitations"] == Value::Bool(true);
    Ok(tasks::submit(call, "extract.submitted", "get_extract", versions, move |sources| {
        let (result, positions) = work::extract(sources, &schema);
        if citations { json!({ "result": result, "citations": positions }) } else { json!({ "result": result }) }
    }))
}
