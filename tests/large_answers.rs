//! Large parse results, which are read whole and then decoded, and parse and extract jobs in unexpected forms.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::time::Duration;

use common::{builder, emulator, impatient, nomic};
use nomic_client::files::Upload;
use nomic_client::job::Poll;
use nomic_client::parse::{ParseJob, Parsed};
use nomic_client::{Effect, ErrorKind, Nomic, Request};
use nomic_emulator::{Emulator, Fault, FaultKind};
use serde_json::{Value, json};

/// Paragraphs of a document whose parse result has several megabytes.
const PARAGRAPHS: usize = 10_000;

/// A completed job with a large result.
fn large_job(nomic: &Nomic) -> ParseJob {
    let paragraph =
        |number| format!("§ {number}: the \"permit\" lapses\tif no work has begun within 180 days. ⛰ \\ 🦀\n\n");
    let text: String = (0..PARAGRAPHS).map(paragraph).collect();
    let version = nomic.upload(Upload::from_bytes("code.txt", text)).unwrap().file_version_id;
    let job = nomic.parse(&version).unwrap();
    nomic.wait_with(&job, &impatient(Duration::from_secs(30))).unwrap();
    job
}

fn done(nomic: &Nomic, job: &ParseJob) -> Parsed {
    match nomic.poll(job) {
        Ok(Poll::Done(parsed)) => parsed,
        other => panic!("{other:?}"),
    }
}

/// Responds to the next poll of a parse job with this.
fn respond(emulator: &Emulator, body: &Value) {
    emulator.fault(Fault::on("get_parse", FaultKind::json(200, body)));
}

#[test]
fn a_large_result_is_the_same_however_it_is_sent() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let job = large_job(&nomic);
    let raw: Value = nomic.call(&Request::get("/parse").segment(&job.task_id)).unwrap();
    assert!(raw.to_string().len() > 1 << 20, "{}", raw.to_string().len());
    let expected: Parsed = serde_json::from_value(raw["result"].clone()).unwrap();
    assert!(expected.text().contains("§ 9999: the \"permit\" lapses"), "{}", expected.text().len());
    assert_eq!(done(&nomic, &job), expected);
    for kind in [FaultKind::Wrapped, FaultKind::Gzip, FaultKind::UpperCaseStatus] {
        emulator.fault(Fault::on("get_parse", kind.clone()));
        assert_eq!(done(&nomic, &job), expected, "{kind:?}");
    }
    emulator.fault(Fault::on("get_parse", FaultKind::Future));
    let future = done(&nomic, &job);
    assert_eq!((future.text(), future.pages()), (expected.text(), expected.pages()));
    assert_ne!(future, expected, "what was added is kept");
}

#[test]
fn a_large_response_that_is_cut_off_is_requested_again() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let job = large_job(&nomic);
    let expected = done(&nomic, &job);
    for kind in [FaultKind::ResetInBody, FaultKind::CloseInBody] {
        let before = emulator.received("get_parse");
        emulator.fault(Fault::on("get_parse", kind.clone()));
        assert_eq!(done(&nomic, &job), expected, "{kind:?}");
        assert_eq!(emulator.received("get_parse") - before, 2, "{kind:?}");
    }
    emulator.fault(Fault::on("get_parse", FaultKind::TruncatedJson));
    let error = nomic.poll(&job).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Decode(_) if error.status() == Some(200)), "{error}");
    assert!(!error.is_transient() && error.effect() == Effect::None, "a whole response, and not JSON: {error}");
}

#[test]
fn a_decode_error_in_a_large_response_names_the_path() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let mut chunks = vec![json!({"content": "A paragraph of some words, and of some more.", "blocks": []}); 20_000];
    chunks[19_000]["blocks"] =
        json!([{"content": "a"}, {"content": "b", "bbox": {"page": "two"}}, {"content": {"text": "c"}}]);
    let task = json!({"status": 7, "result": {"chunks": chunks}});
    for (body, place) in [(task.clone(), ""), (json!({"data": task}), "data.")] {
        respond(&emulator, &body);
        let error = nomic.poll(&nomic.parse_job("a")).unwrap_err();
        let ErrorKind::Decode(inside) = error.kind() else { panic!("{error}") };
        assert_eq!(inside.path, format!("{place}status"));
        assert!(error.to_string().len() < 600 && !error.is_transient(), "{error}");
        assert!(inside.body.starts_with('{') && inside.body.len() <= nomic_client::MAX_BODY_EXCERPT, "{}", inside.body);
    }
}

#[test]
fn a_decode_error_in_a_task_names_the_path() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    for (body, cause) in [
        (json!({"status": 7}), "status: invalid type: integer `7`, expected a string"),
        (json!({"data": {"status": null}}), "data.status: invalid type: null, expected a string"),
        (json!({"data": {}}), "data: missing field `status`"),
    ] {
        respond(&emulator, &body);
        let error = nomic.poll(&nomic.parse_job("a")).unwrap_err();
        let line = error.to_string();
        assert!(line.starts_with(&format!("get_parse: 200 cannot decode the response at {cause}")), "{line}");
    }
}

#[test]
fn unknown_fields_of_a_large_response_are_kept() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let chunks = vec![json!({"content": "A paragraph of some words, and of some more."}); 20_000];
    let result = json!({"chunks": chunks, "blocks": [{"content": "top"}], "language": "de"});
    // The status is outside of `data` and the result inside: everything is kept in `extra`.
    respond(&emulator, &json!({"status": "COMPLETED", "data": {"more": 7, "result": result}, "result": null}));
    let parsed = done(&nomic, &nomic.parse_job("a"));
    assert_eq!(parsed.extra["data"]["result"]["chunks"].as_array().unwrap().len(), chunks.len());
    // `data` is not a task.
    respond(&emulator, &json!({"data": {"more": chunks}, "status": "COMPLETED"}));
    let parsed = done(&nomic, &nomic.parse_job("a"));
    assert_eq!(parsed.extra["data"]["more"].as_array().unwrap().len(), chunks.len());
    // The envelope has a status too.
    respond(&emulator, &json!({"status": "success", "data": {"result": result, "status": "completed"}}));
    assert_eq!(done(&nomic, &nomic.parse_job("a")).chunks.len(), chunks.len());
    respond(&emulator, &json!({"status": "COMPLETED", "result": result, "data": null, "error": null}));
    let parsed = done(&nomic, &nomic.parse_job("a"));
    assert_eq!((parsed.chunks.len(), parsed.top_level_blocks.len()), (chunks.len(), 1));
    assert_eq!(parsed.extra["language"], "de");
    // A result of an unexpected type does not hide a failure.
    respond(&emulator, &json!({"status": "FAILED", "error": "page 7 cannot be read", "result": []}));
    assert!(
        matches!(nomic.poll(&nomic.parse_job("a")), Ok(Poll::Failed { message, .. }) if message.contains("page 7"))
    );
    respond(&emulator, &json!({"status": "FAILED", "error": "x".repeat(1 << 20), "result": {"chunks": null}}));
    assert!(matches!(nomic.poll(&nomic.parse_job("a")), Ok(Poll::Failed { message, .. }) if message.len() == 1 << 20));
}

#[test]
fn the_response_limit_holds_for_a_large_result() {
    let emulator = emulator();
    let job = large_job(&nomic(&emulator));
    let limited = builder(&emulator).response_limit(1 << 20).build().unwrap();
    for kind in [None, Some(FaultKind::Gzip)] {
        // The size of a compressed response is known only after it was read.
        kind.into_iter().for_each(|kind| emulator.fault(Fault::on("get_parse", kind)));
        let error = limited.poll(&job).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ResponseTooLarge { limit: 1_048_576, .. }), "{error}");
    }
}
