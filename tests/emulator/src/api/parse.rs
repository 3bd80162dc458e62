//! Parse jobs: the text of a document, in chunks and blocks.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::tasks::{self, readable_version};
use crate::api::{ApiResponse, Call};
use crate::failure::Failure;
use crate::store::tasks::Finished;
use crate::validate::{self, Shape, object, optional, required};
use crate::work;

static ENABLED: &[validate::Field] = &[required("enabled", Shape::Boolean)];
static BODY: Shape = object(&[
    required("fileVersionId", Shape::Uuid),
    optional(
        "options",
        object(&[
            optional("ocrLanguage", Shape::Enum(&["en", "latin", "zh_ja_en"])),
            optional("figureSummary", Shape::Object { fields: ENABLED, open: true }),
            optional("tableSummary", Shape::Object { fields: ENABLED, open: true }),
            optional("summaryWordLimit", Shape::Integer { minimum: 10, maximum: 100 }),
            optional("embedChunks", Shape::Boolean),
        ]),
    ),
]);

pub(crate) fn submit(call: &Call) -> Result<ApiResponse, Failure> {
    let body = validate::parse(&call.body, &BODY)?;
    let version = readable_version(call, body["fileVersionId"].as_str().unwrap_or_default())?;
    let options = body.get("options").cloned().unwrap_or_else(|| json!({}));
    Ok(tasks::submit(call, "parse.submitted", "get_parse", vec![version], move |sources| {
        let result = sources.first().map_or(Value::Null, |(_, _, document)| work::parse_result(document, &options));
        Finished { result: Arc::new(result), citations: None }
    }))
}

pub(crate) fn get(call: &Call) -> Result<ApiResponse, Failure> {
    tasks::get(call)
}
