//! What parse and extract jobs have in common: submitting a job and reading its state.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::{ApiResponse, Call};
use crate::failure::Failure;
use crate::state::lock;
use crate::store::audit_log::entity;
use crate::store::library::Version;
use crate::store::tasks::Task;
use crate::work::{self, Source};

/// The uploaded file version with this id, if its type is supported.
pub(super) fn readable_version(call: &Call, id: &str) -> Result<Version, Failure> {
    let version = {
        let library = lock(&call.world.library);
        if library.is_of_integration(id) {
            return Err(Failure::bad_request("Only files that were uploaded can be read, not files of an integration"));
        }
        library.version(id).cloned().ok_or_else(|| Failure::not_found("File version"))?
    };
    if work::file_type(&version.name, &version.mime_type).is_ok() {
        return Ok(version);
    }
    // This must not be mistaken for a limitation of the real service.
    Err(Failure::new(
        422,
        format!(
            "Unsupported file type: {}; this emulator reads txt, md, html and pdf; the real service reads more",
            version.mime_type
        ),
    ))
}

/// Submits a job. `work` runs in the background after all documents have been read, and makes fields of the response.
pub(super) fn submit(
    call: &Call,
    action: &'static str,
    poll_operation: &'static str,
    versions: Vec<Version>,
    work: impl FnOnce(&[Source]) -> Value + Send + 'static,
) -> ApiResponse {
    let id = call.world.fresh_id();
    let target = |version: &Version| entity("file_version", &version.id, Some(&version.name));
    call.record(action, versions.iter().map(target).collect(), json!({ "taskId": id }));
    let outcome = call.start_work(move || read_all(&versions).map(|sources| Arc::new(work(&sources))));
    let task = Task { operation: poll_operation, begins: call.job_start(), outcome };
    lock(&call.world.tasks).insert(id.clone(), task);
    ApiResponse { status: 202, body: json!({ "taskId": id }) }
}

/// Returns the state of the job of the path.
pub(crate) fn get(call: &Call) -> Result<ApiResponse, Failure> {
    let id = call.value(0);
    let task = lock(&call.world.tasks).get(id).cloned();
    let is_here = |task: &Task| call.world.routes.share_path(task.operation, call.operation.name);
    let task = task.filter(is_here).ok_or_else(|| Failure::not_found("Task"))?;
    let (status, fields) = task.status(call.now, call.world.job_time);
    let mut body = json!({ "taskId": id, "status": status, "result": null, "error": null });
    for (name, value) in fields.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    Ok(ApiResponse::ok(body))
}

fn read_all(versions: &[Version]) -> Result<Vec<Source>, String> {
    let read =
        |version: &Version| version.document().map(|document| (version.id.clone(), version.name.clone(), document));
    versions.iter().map(read).collect()
}
