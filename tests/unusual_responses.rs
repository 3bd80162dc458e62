//! Responses that are unusual but real: odd tokens, unknown ends of jobs, wrappings, forms that the contract guesses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::time::{Duration, Instant};

use common::{document, emulator, impatient, nomic};
use nomic_client::agents::AgentStatus;
use nomic_client::job::{JobRef, Poll};
use nomic_client::{AgentId, Effect, Error, ErrorKind, JobFailure};
use nomic_emulator::{CannedResponse, Emulator, Fault, FaultKind};
use serde_json::json;

/// A wait that ends long before this was not polling until its timeout.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The emulator responds to this operation with this body, from now on.
fn responds(emulator: &Emulator, operation: &str, status: u16, body: impl Into<Vec<u8>>) {
    let response = CannedResponse::new(status, "application/json", body);
    emulator.clear_faults();
    emulator.fault(Fault::on(operation, response).forever());
}

fn decode_path(error: &Error) -> &str {
    match error.kind() {
        ErrorKind::Decode(error) => &error.path,
        ErrorKind::Job(error) => decode_path(error.source.as_ref().unwrap()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_response_with_an_odd_token_is_a_decode_error_at_its_path_and_ends_a_wait() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let odd: [&[u8]; 5] = [b"NaN", b"[1,]", b"\"a\nb\"", b"\"caf\xe9\"", b"-Infinity"];
    for token in odd {
        let body = [br#"{"taskId":"t1","status":"COMPLETED","result":{"area":"#, token, b"}}"].concat();
        responds(&emulator, "get_extract", 200, body);
        let before = emulator.received("get_extract");
        let error = nomic.wait_with(&nomic.extract_job("t1"), &impatient(TIMEOUT)).unwrap_err();
        assert!(decode_path(&error).starts_with("result.area"), "{error}");
        assert_eq!(error.job(), Some(&JobRef::Extract("t1".into())));
        assert!(!error.is_transient() && !error.is_timeout() && !error.is_job_failed(), "{error}");
        assert_eq!(emulator.received("get_extract") - before, 1);
    }
}

#[test]
fn the_job_of_a_submit_is_known_whatever_is_wrong_with_the_rest_of_the_response() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let version = document(&nomic);
    for body in [
        r#"{"taskId":"t9","eta":NaN}"#,
        r#"{"eta":NaN,"taskId":"t9"}"#,
        "{\"note\":\"a\nb\",\"data\":{\"taskId\" : \"t9\",}}",
        r#"{"taskId":"other","data":{"eta":[{"taskId":"no"}],"taskId":"t9","x":+1}}"#,
        r#"{"taskId":"t9","list":["#,
        "Warning: slow\n{\"taskId\":\"t9\"}",
    ] {
        responds(&emulator, "submit_parse", 202, body);
        let error = nomic.parse(&version).unwrap_err();
        assert_eq!(error.job(), Some(&JobRef::Parse("t9".into())), "{body}: {error}");
        assert_eq!((error.effect(), error.is_transient()), (Effect::Executed, false), "{error}");
        assert!(error.to_string().ends_with("it was executed, as parse job t9"), "{error}");
    }
    // Latin-1 beside it, an encoding that is none, and gzip that is not compressed; then a body that is cut off.
    let latin = b"{\"data\":{\"taskId\":\"t9\",\"note\":\"caf\xe9\"}}".to_vec();
    let plain = |encoding: &str| CannedResponse::json(202, r#"{"taskId":"t9"}"#).header("Content-Encoding", encoding);
    for response in [CannedResponse::new(202, "application/json", latin), plain("utf-8"), plain("none"), plain("gzip")]
    {
        emulator.clear_faults();
        emulator.fault(Fault::on("submit_parse", response));
        assert_eq!(nomic.parse(&version).unwrap().task_id, "t9");
    }
    emulator.fault(Fault::on("submit_parse", FaultKind::ContentLengthTooLong));
    let error = nomic.parse(&version).unwrap_err();
    let Some(JobRef::Parse(id)) = error.job() else { panic!("{error}") };
    assert_eq!(error.effect(), Effect::Executed);
    nomic.poll(&nomic.parse_job(id)).unwrap();
    responds(&emulator, "launch_agent", 202, r#"{"data":{"files":[{"id":"f1"}],"id":"a1","cost":NaN}}"#);
    let error = nomic.launch_agent(&nomic_client::agents::Launch::prompt("Go.")).unwrap_err();
    assert_eq!(error.job(), Some(&JobRef::Agent("a1".into())), "{error}");
    for body in [r#"{"eta":NaN}"#, r#"{"list":[{"taskId":"t9"}],"eta":NaN}"#, r#"{"note":"\"taskId\":\"t9\"",]"#] {
        responds(&emulator, "submit_parse", 202, body);
        let error = nomic.parse(&version).unwrap_err();
        assert_eq!((error.job(), error.effect()), (None, Effect::Unknown), "{body}");
    }
}

#[test]
fn a_job_with_an_unknown_status_has_ended_if_it_has_an_error_or_a_result() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let job = nomic.extract_job("t1");

    responds(&emulator, "get_extract", 200, r#"{"status":"EXPIRED","error":"file deleted","result":null}"#);
    let error = nomic.wait_with(&job, &impatient(TIMEOUT)).unwrap_err();
    assert!(error.is_job_failed(), "{error}");
    assert!(error.to_string().contains("file deleted"), "{error}");

    responds(&emulator, "get_extract", 200, r#"{"status":"EXPIRED","error":{"message":"gone","code":7}}"#);
    let error = nomic.wait_with(&job, &impatient(TIMEOUT)).unwrap_err();
    assert!(error.is_job_failed() && error.to_string().contains("gone"), "{error}");

    responds(&emulator, "get_extract", 200, r#"{"status":"SUCCESS","error":null,"result":{"area":7}}"#);
    assert_eq!(nomic.wait_with(&job, &impatient(TIMEOUT)).unwrap().value, json!({"area": 7}));

    responds(&emulator, "get_parse", 200, r#"{"status":"SUCCESS","result":{"chunks":[{"content":"a"}]}}"#);
    assert_eq!(nomic.wait_with(&nomic.parse_job("t1"), &impatient(TIMEOUT)).unwrap().text(), "a");

    responds(&emulator, "get_agent", 200, r#"{"data":{"id":"a1","status":"crashed","error":"out of memory"}}"#);
    let error = nomic.wait_with(&AgentId::from("a1"), &impatient(TIMEOUT)).unwrap_err();
    assert!(error.is_job_failed() && error.to_string().contains("out of memory"), "{error}");

    responds(&emulator, "get_agent", 200, r#"{"data":{"id":"a1","status":"archived","result":{"pages":3}}}"#);
    let agent = nomic.wait_with(&AgentId::from("a1"), &impatient(TIMEOUT)).unwrap();
    assert_eq!((agent.status, &agent.extra["result"]["pages"]), (AgentStatus::from("archived"), &json!(3)));
}

#[test]
fn many_agents_with_an_unknown_status_end_even_if_the_list_leaves_their_errors_out() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let ids: Vec<AgentId> = (1..=5).map(|n| AgentId::from(format!("a{n}"))).collect();
    let crashed: Vec<_> = ids.iter().map(|id| json!({"id": id, "status": "crashed"})).collect();
    responds(&emulator, "list_agents", 200, json!({ "data": crashed }).to_string());
    responds_too(&emulator, "get_agent", r#"{"data":{"id":"a","status":"crashed","error":"out of memory"}}"#);
    let outcomes: Vec<_> = nomic.wait_all_with(ids, &impatient(TIMEOUT)).collect();
    assert_eq!(outcomes.len(), 5);
    for (_, outcome) in outcomes {
        assert!(outcome.unwrap_err().is_job_failed());
    }
}

#[test]
fn a_job_that_runs_has_not_ended_because_its_error_and_result_are_empty() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    for body in [
        r#"{"status":"QUEUED","error":null,"result":null}"#,
        r#"{"status":"QUEUED","error":"","result":{}}"#,
        r#"{"status":"QUEUED","error":{"code":null,"message":""},"result_url":"https://storage.example/later"}"#,
        r#"{"status":"QUEUED","error":false,"result":[]}"#,
        r#"{"status":"BUILDING","error":"retrying","result":{"chunks":[{"content":"half"}]}}"#,
    ] {
        responds(&emulator, "get_extract", 200, body);
        responds_too(&emulator, "get_parse", body);
        assert!(matches!(nomic.poll(&nomic.extract_job("t")).unwrap(), Poll::Pending { .. }), "{body}");
        assert!(matches!(nomic.poll(&nomic.parse_job("t")).unwrap(), Poll::Pending { .. }), "{body}");
    }
}

fn responds_too(emulator: &Emulator, operation: &str, body: &str) {
    emulator.fault(Fault::on(operation, CannedResponse::json(200, body)).forever());
}

#[test]
fn a_timeout_says_that_the_status_is_unknown_rather_than_that_the_job_is_still_running() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let short = impatient(Duration::from_millis(50));
    responds(&emulator, "get_extract", 200, r#"{"status":"QUARANTINED"}"#);
    responds_too(&emulator, "get_agent", r#"{"data":{"id":"a1","status":"hibernated"}}"#);
    for (error, status) in [
        (nomic.wait_with(&nomic.extract_job("t1"), &short).unwrap_err(), "QUARANTINED"),
        (nomic.wait_with(&AgentId::from("a1"), &short).unwrap_err(), "hibernated"),
    ] {
        assert!(error.is_timeout(), "{error}");
        let text = error.to_string();
        let words = format!("its last status, {status}, is unknown to this version: it may have ended");
        assert!(text.contains(&words) && !text.contains("still running"), "{text}");
        let ErrorKind::Job(job) = error.kind() else { panic!("{error:?}") };
        assert_eq!((job.failure, job.status.as_deref()), (JobFailure::TimedOut, Some(status)));
    }
    for status in ["Building", "WAITING", "running", "awaiting-tool"] {
        responds(&emulator, "get_agent", 200, json!({"id": "a1", "status": status}).to_string());
        let error = nomic.wait_with(&AgentId::from("a1"), &short).unwrap_err();
        assert!(error.to_string().contains("still running"), "{error}");
    }
}

#[test]
fn a_byte_order_mark_before_json_is_skipped() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let version = document(&nomic);
    responds(&emulator, "submit_parse", 202, "\u{feff}{\"taskId\":\"t1\"}");
    assert_eq!(nomic.parse(&version).unwrap().task_id, "t1");
    responds(&emulator, "list_projects", 200, "\u{feff} {\"data\":[{\"id\":\"p\"}]}");
    assert_eq!(nomic.projects().next().unwrap().unwrap().id, "p");
    responds(&emulator, "list_projects", 404, "\u{feff}{\"error\":\"nothing here\"}");
    let error = nomic.projects().next().unwrap().unwrap_err();
    assert!(error.is_not_found(), "{error}");
    responds(&emulator, "stop_agent", 200, "\u{feff}{\"data\":{\"id\":\"a\",\"status\":\"stopped\"}}");
    assert_eq!(nomic.stop_agent("a").unwrap().unwrap().status, AgentStatus::Stopped);
}

#[test]
fn an_empty_id_in_a_response_is_a_decode_error_of_a_request_that_was_executed() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let version = document(&nomic);
    responds(&emulator, "submit_parse", 202, r#"{"taskId":""}"#);
    let error = nomic.parse(&version).unwrap_err();
    assert_eq!((decode_path(&error), error.effect(), error.job()), ("taskId", Effect::Executed, None), "{error}");
    responds(&emulator, "upload_file", 200, r#"{"id":"f","fileVersionId":""}"#);
    let error = nomic.upload(nomic_client::files::Upload::from_bytes("a.txt", "a")).unwrap_err();
    assert_eq!((decode_path(&error), error.effect()), ("fileVersionId", Effect::Executed), "{error}");
}

#[test]
fn a_response_without_content_says_so() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    for status in [200, 204] {
        responds(&emulator, "list_projects", status, "");
        let error = nomic.projects().next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), format!("list_projects: {status} cannot decode the response at $: no content"));
        assert!(!error.is_transient());
    }
    responds(&emulator, "get_agent", 204, "");
    assert!(nomic.agent("a").unwrap_err().to_string().ends_with("no content"));
}

#[test]
fn rate_limit_headers_that_are_no_numbers_are_no_information() {
    let emulator = emulator();
    for header in ["-1", "NaN", "inf", "-inf", "soon", "", "1e300"] {
        let nomic = nomic(&emulator);
        let response = CannedResponse::json(200, r#"{"data":[]}"#)
            .header("X-RateLimit-Remaining", header)
            .header("X-RateLimit-Limit", header);
        emulator.clear_faults();
        emulator.fault(Fault::on("list_projects", response).forever());
        let start = Instant::now();
        // With nothing left, the bucket would allow one call every 0.2 s.
        for _ in 0..20 {
            assert_eq!(nomic.projects().count(), 0);
        }
        assert!(start.elapsed() < Duration::from_secs(2), "{header:?} slowed the calls down: {:?}", start.elapsed());
    }
}

#[test]
fn a_retry_after_that_is_joined_or_has_a_unit_or_another_name_of_utc_is_read() {
    let emulator = emulator();
    let date = "Fri, 27 Nov 2026 12:00:00 GMT";
    for (value, seconds) in [
        ("7, 7", 7),
        ("2, 7", 7),
        ("7s", 7),
        ("Fri, 27 Nov 2026 12:00:07 UTC", 7),
        ("Fri, 27 Nov 2026 12:00:07 -0000", 7),
        ("Fri, 27 Nov 2026 12:00:07 +0000", 7),
    ] {
        let nomic = common::builder(&emulator).attempts(1).build().unwrap();
        let throttled = CannedResponse::json(429, r#"{"error":"slow down"}"#).header("Retry-After", value);
        emulator.fault(Fault::on("list_projects", throttled.header("Date", date)));
        let error = nomic.projects().next().unwrap().unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)), "{value}: {error}");
    }
}

#[test]
fn a_url_in_place_of_a_result_is_an_error_that_names_it_and_is_not_fetched() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let url = "https://storage.example/result.json?signature=abc";
    for (operation, body) in [
        ("get_parse", json!({"status": "COMPLETED", "result": {"type": "url", "url": url}})),
        ("get_parse", json!({"status": "COMPLETED", "result_url": url})),
        ("get_parse", json!({"status": "COMPLETED", "result": url})),
        ("get_parse", json!({"status": "SUCCESS", "result": {"type": "url", "url": url}})),
        ("get_parse", json!({"status": "COMPLETED", "result": {}, "resultUrl": url})),
        ("get_parse", json!({"status": "COMPLETED", "result": {"type": "url", "result_url": url}})),
        ("get_extract", json!({"status": "COMPLETED", "result": null, "result_url": url})),
    ] {
        responds(&emulator, operation, 200, body.to_string());
        let job = match operation {
            "get_parse" => JobRef::Parse("t1".into()),
            _ => JobRef::Extract("t1".into()),
        };
        let before = emulator.requests().len();
        let error = nomic.wait_with(&job, &impatient(TIMEOUT)).unwrap_err();
        let words = "is completed, but its result is not in the response; get it, without the API key, from ";
        assert_eq!(error.to_string(), format!("{operation}: 200 {job} {words}{url}"), "{body}");
        assert!(matches!(error.kind(), ErrorKind::ResultAtUrl { url: found, .. } if found == url));
        assert_eq!((error.job(), error.is_transient(), error.is_job_failed()), (Some(&job), false, false));
        assert!(matches!(nomic.poll(&job).unwrap_err().kind(), ErrorKind::ResultAtUrl { .. }));
        let (_, result) = nomic.wait_all_with([job.clone()], &impatient(TIMEOUT)).next().unwrap();
        assert!(matches!(result.unwrap_err().kind(), ErrorKind::ResultAtUrl { .. }));
        assert_eq!(emulator.requests().len() - before, 3);
    }
    // A URL beside the chunks, or in an extracted value, is one field of many.
    responds(
        &emulator,
        "get_parse",
        200,
        json!({"status": "COMPLETED", "result": {"url": url, "chunks": [{"content": "a"}]}}).to_string(),
    );
    assert_eq!(nomic.wait(&nomic.parse_job("t1")).unwrap().text(), "a");
    responds(
        &emulator,
        "get_parse",
        200,
        json!({"status": "COMPLETED", "result": {"url": url, "chunks": []}}).to_string(),
    );
    assert_eq!(nomic.wait(&nomic.parse_job("t1")).unwrap().extra["url"], url, "a document without text");
    responds(&emulator, "get_extract", 200, json!({"status": "COMPLETED", "result": {"url": url}}).to_string());
    assert_eq!(nomic.wait(&nomic.extract_job("t1")).unwrap().value["url"], url);
    responds(&emulator, "get_parse", 200, json!({"status": "BUILDING", "result_url": url}).to_string());
    assert!(matches!(nomic.poll(&nomic.parse_job("t1")).unwrap(), Poll::Pending { .. }));
}

#[test]
fn a_follow_up_needs_only_the_id_of_its_response() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    for body in [r#"{"id":"a1"}"#, r#"{"data":{"id":"a1"}}"#, r#"{"data":{"id":"a1","status":["odd"]},"cost":null}"#] {
        responds(&emulator, "follow_up_agent", 200, body);
        assert_eq!(nomic.follow_up_agent("a1", "Go on.").unwrap(), AgentId::from("a1"), "{body}");
        responds(&emulator, "stop_agent", 200, body);
        assert_eq!(nomic.stop_agent("a1").unwrap(), None, "{body}");
    }
    responds(&emulator, "follow_up_agent", 200, r#"{"status":"running"}"#);
    assert_eq!(nomic.follow_up_agent("a1", "Go on.").unwrap_err().effect(), Effect::Executed);
}

#[test]
fn artifacts_come_as_a_page_or_as_a_named_list_or_else_with_their_agent() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let list = r#"[{"id":"x1","type":"markdown"},{"id":"x2"}]"#;
    let ids =
        || nomic.artifacts("a1").map(|artifact| artifact.map(|artifact| artifact.id)).collect::<Result<Vec<_>, _>>();
    let agent = format!(r#"{{"data":{{"id":"a1","status":"finished","artifacts":{list}}}}}"#);
    for (status, body, requests) in [
        (200, format!(r#"{{"data":{list},"artifacts":7}}"#), 1),
        (200, format!(r#"{{"artifacts":{list}}}"#), 1),
        (200, format!(r#"{{"data":{{"artifacts":{list}}}}}"#), 1),
        (200, list.to_owned(), 1),
        (200, r#"{"total":2}"#.to_owned(), 2),
        (204, String::new(), 2),
        (404, r#"{"error":"no such route"}"#.to_owned(), 2),
    ] {
        responds(&emulator, "list_artifacts", status, body.clone());
        responds_too(&emulator, "get_agent", &agent);
        let before = emulator.requests().len();
        assert_eq!(ids().unwrap(), ["x1", "x2"], "{body}");
        assert_eq!(emulator.requests().len() - before, requests, "{body}");
    }
    // An agent that is unknown, or has no such field, changes nothing.
    for (status, agent) in [(404, r#"{"error":"no such agent"}"#), (200, r#"{"id":"a1","status":"finished"}"#)] {
        responds(&emulator, "list_artifacts", 404, r#"{"error":"no such route"}"#);
        emulator.fault(Fault::on("get_agent", CannedResponse::json(status, agent)).forever());
        let error = ids().unwrap_err();
        assert_eq!(error.to_string(), "list_artifacts: 404 no such route");
    }
    let page = CannedResponse::new(404, "text/html", "<h1>nginx</h1>");
    emulator.clear_faults();
    emulator.fault(Fault::on("list_artifacts", page).forever());
    responds_too(&emulator, "get_agent", &agent);
    let before = emulator.received("get_agent");
    assert!(matches!(ids().unwrap_err().kind(), ErrorKind::UnexpectedResponse(_)));
    assert_eq!(emulator.received("get_agent"), before);
}
