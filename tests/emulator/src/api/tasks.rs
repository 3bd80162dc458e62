//! What parse and extract share: a job is submitted, its work goes on elsewhere, and its state is asked for.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::{Answer, Call};
use crate::failure::Failure;
use crate::state::lock;
use crate::store::library::{Version, complaint};
use crate::store::tasks::{Eventually, Fate, Finished, Standing, Task, guarded};
use crate::store::trail::Party;
use crate::work::{self, Document};

/// A document with the id and the name of its file version.
pub(super) type Source = (String, String, Arc<Document>);

/// The uploaded file version of this id, if it can be read.
pub(super) fn readable_version(call: &Call, id: &str) -> Result<Version, Failure> {
    let version = {
        let library = lock(&call.world.library);
        if library.is_of_integration(id) {
            return Err(Failure::bad_request("Only files that were uploaded can be read, not files of an integration"));
        }
        library.version(id).cloned().ok_or_else(|| Failure::not_found("File version"))?
    };
    if work::supports(&version.name, &version.mime_type) {
        return Ok(version);
    }
    // Whoever meets this must not take it for a limit of the real service.
    Err(Failure::unprocessable(format!(
        "Unsupported file type: {}; this emulator reads txt, md, html and pdf; the real service reads more",
        version.mime_type
    )))
}

/// Submits a job on these versions. `work` is done elsewhere, once all documents are read.
pub(super) fn submit(
    call: &Call,
    action: &'static str,
    asked_with: &'static str,
    versions: Vec<Version>,
    work: impl FnOnce(&[Source]) -> Finished + Send + 'static,
) -> Answer {
    let id = call.world.fresh_id();
    let outcome = Eventually::new();
    let party =
        |version: &Version| Party { id: version.id.clone(), kind: "file_version", name: Some(version.name.clone()) };
    call.record(action, versions.iter().map(party).collect(), json!({ "taskId": id }));
    if call.twist.fate == Fate::Ordinary {
        let outcome = Arc::clone(&outcome);
        call.world.workers.run(move || {
            let done = read_all(&versions).and_then(|sources| guarded(|| work(&sources)));
            outcome.put(done);
        });
    }
    let task = Task { operation: asked_with, begins: call.begins(), fate: call.twist.fate.clone(), outcome };
    lock(&call.world.tasks).insert(id.clone(), task);
    Answer { status: 202, body: json!({ "taskId": id }) }
}

/// The state of the job in the path.
pub(super) fn get(call: &Call) -> Result<Answer, Failure> {
    let id = call.value(0);
    let task = lock(&call.world.tasks).get(id).cloned();
    let task = task.filter(|task| task.operation == call.operation.name).ok_or_else(|| Failure::not_found("Task"))?;
    let mut body = json!({ "taskId": id, "result": null, "error": null });
    body["status"] = json!(match task.standing(call.now, call.world.job_time) {
        Standing::Waiting => "WAITING",
        Standing::Building => "BUILDING",
        Standing::Completed(finished) => {
            body["result"] = Value::clone(&finished.result);
            if let Some(citations) = &finished.citations {
                body["citations"] = Value::clone(citations);
            }
            "COMPLETED"
        }
        Standing::Failed(error) => {
            body["error"] = json!(error);
            "FAILED"
        }
    });
    Ok(Answer::ok(body))
}

fn read_all(versions: &[Version]) -> Result<Vec<Source>, String> {
    let read = |version: &Version| {
        let document = version.document().map_err(|reason| complaint(&version.name, &reason))?;
        Ok((version.id.clone(), version.name.clone(), document))
    };
    versions.iter().map(read).collect()
}
