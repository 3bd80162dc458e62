//! Faults, as the client sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use common::{Client, quick};
use flate2::read::GzDecoder;
use nomic_emulator::{CannedResponse, Emulator, Fault, FaultKind, LimitModel, Limits, StallPhase};
use serde_json::{Value, json};

fn launch(client: &mut Client) -> std::io::Result<common::Response> {
    client.try_post("/agents", json!({ "prompt": { "text": "hi" } }))
}

#[test]
fn resets_come_before_or_after_execution() {
    for (kind, received, accepted) in [
        (FaultKind::ResetAtOnce, 0, 0),
        (FaultKind::ResetBefore, 1, 0),
        (FaultKind::ResetAfter, 1, 1),
        (FaultKind::ResetInHead, 1, 1),
        (FaultKind::ResetInBody, 1, 1),
    ] {
        let emulator = quick();
        emulator.fault(Fault::on("launch_agent", kind.clone()));
        let mut client = Client::new(&emulator);
        client.get("/users").expect(200);
        let error = launch(&mut client).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{kind:?}");
        assert_eq!(emulator.received("launch_agent"), received, "{kind:?}");
        assert_eq!(emulator.accepted("launch_agent"), accepted, "{kind:?}");
        launch(&mut Client::new(&emulator)).unwrap().expect(201);
    }
}

#[test]
fn a_body_can_be_cut_off_by_a_graceful_close() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    for (kind, whole) in [
        (FaultKind::CloseInBody, false),
        (FaultKind::ContentLengthTooLong, false),
        (FaultKind::ContentLengthTooShort, true),
    ] {
        emulator.fault(Fault::any(kind.clone()));
        let response = client.try_get("/users");
        match response {
            Ok(response) => {
                assert!(whole, "{kind:?}");
                assert!(serde_json::from_slice::<Value>(&response.body).is_err(), "{kind:?}");
            }
            Err(error) => assert!(!whole && error.kind() == ErrorKind::UnexpectedEof, "{kind:?} {error}"),
        }
        client = Client::new(&emulator);
    }
}

#[test]
fn a_stalled_response_stops_in_its_phase() {
    let emulator = quick();
    for (phase, received, accepted, head, body) in [
        (StallPhase::BeforeRead, 0, 0, false, false),
        (StallPhase::BeforeHead, 1, 1, false, false),
        (StallPhase::InHead, 2, 2, true, false),
        (StallPhase::InBody, 3, 3, true, true),
    ] {
        emulator.fault(Fault::on("list_users", FaultKind::Stall(phase)));
        let client = Client::new(&emulator);
        client.stream().write_all(client.head("GET", "/users", "").as_bytes()).unwrap();
        client.stream().set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut seen = Vec::new();
        let error = client.stream().read_to_end(&mut seen).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
        let text = String::from_utf8_lossy(&seen);
        assert_eq!((text.starts_with("HTTP/1.1 200"), text.contains("{\"data\"")), (head, body), "{phase:?} {text}");
        assert_eq!(
            (emulator.received("list_users"), emulator.accepted("list_users")),
            (received, accepted),
            "{phase:?}"
        );
    }
    let start = Instant::now();
    drop(emulator);
    assert!(start.elapsed() < Duration::from_secs(2), "a stall must not outlive the emulator");
}

#[test]
fn delayed_and_dripped_responses_are_complete() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    for kind in
        [FaultKind::Delay(Duration::from_millis(50)), FaultKind::Drip { every: Duration::from_millis(2), bytes: 200 }]
    {
        emulator.fault(Fault::any(kind));
        let start = Instant::now();
        client.get("/users").expect(200);
        assert!(start.elapsed() >= Duration::from_millis(30));
    }
    assert_eq!(emulator.connections(), 1);
}

#[test]
fn error_redirect_and_canned_responses_are_sent() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    emulator.fault(Fault::any(FaultKind::Html(502)));
    let html = launch(&mut client).unwrap();
    assert_eq!((html.status, html.header("content-type")), (502, Some("text/html")));
    assert!(html.text().contains("<html>"));
    assert_eq!(emulator.requests()[0].body, br#"{"prompt":{"text":"hi"}}"#);
    emulator.fault(Fault::any(FaultKind::Api { status: 503, error: "off".to_owned(), code: None }));
    assert_eq!(launch(&mut client).unwrap().expect(503), json!({ "error": "off", "code": "not_configured" }));
    for retry_after in [None, Some("Wed, 21 Oct 2037 07:28:00 GMT".to_owned())] {
        emulator.fault(Fault::any(FaultKind::RateLimited { retry_after: retry_after.clone() }));
        let limited = launch(&mut client).unwrap();
        assert_eq!(limited.expect(429)["code"], "rate_limited");
        assert_eq!(limited.header("retry-after"), retry_after.as_deref());
    }
    emulator.fault(Fault::any(FaultKind::Redirect { status: 307, location: "http://example.com/x".to_owned() }));
    assert_eq!(launch(&mut client).unwrap().header("location"), Some("http://example.com/x"));
    assert_eq!(emulator.accepted("launch_agent"), 0);
    let late = CannedResponse::new(504, "text/plain", "too late").header("Via", "proxy");
    for (response, count) in [(late.clone(), 0), (late.after_executing(), 1)] {
        emulator.fault(Fault::any(response));
        let response = launch(&mut client).unwrap();
        assert_eq!(
            (response.status, response.text().as_str(), response.header("via")),
            (504, "too late", Some("proxy"))
        );
        assert_eq!(emulator.accepted("launch_agent"), count);
    }
}

#[test]
fn json_is_truncated_malformed_or_of_the_wrong_types() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    for kind in [FaultKind::TruncatedJson, FaultKind::MalformedJson] {
        emulator.fault(Fault::any(kind));
        let response = client.get("/users");
        assert_eq!(response.status, 200);
        assert!(serde_json::from_slice::<Value>(&response.body).is_err());
    }
    emulator.fault(Fault::any(FaultKind::WrongTypes));
    let page = client.get("/users").expect(200);
    assert!(page["data"].is_object() && page["data"]["0"]["email"].is_object());
}

#[test]
fn one_response_has_the_format_of_another_version() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    emulator.fault(Fault::any(FaultKind::UpperCaseStatus));
    assert_eq!(launch(&mut client).unwrap().expect(201)["data"]["status"], "WAITING");
    emulator.fault(Fault::any(FaultKind::Bare));
    assert_eq!(launch(&mut client).unwrap().expect(201)["status"], "waiting");
    let user = client.get("/users?limit=1").expect(200)["data"][0]["id"].as_str().unwrap().to_owned();
    emulator.fault(Fault::any(FaultKind::Wrapped));
    assert!(client.get(&format!("/users/{user}")).expect(200)["data"]["email"].is_string());
    emulator.fault(Fault::any(FaultKind::Future));
    assert!(client.get(&format!("/users/{user}")).expect(200)["futureField"].is_object());
    assert!(client.get(&format!("/users/{user}")).expect(200).get("futureField").is_none());
}

#[test]
fn jobs_fail_or_never_end() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let version = client.upload("a.txt", "text")["fileVersionId"].take();
    for (kind, status, error) in [
        (FaultKind::JobNeverEnds, "BUILDING", Value::Null),
        (FaultKind::JobFails("no paper".to_owned()), "FAILED", json!("no paper")),
    ] {
        emulator.fault(Fault::on("submit_parse", kind));
        let task = client.post("/parse", json!({ "fileVersionId": version })).expect(202)["taskId"].take();
        let job = client.get(&format!("/parse/{}", task.as_str().unwrap())).expect(200);
        assert_eq!((&job["status"], &job["error"]), (&json!(status), &error));
    }
    for (kind, status) in [(FaultKind::JobNeverEnds, "running"), (FaultKind::JobFails("no".to_owned()), "failed")] {
        emulator.fault(Fault::on("launch_agent", kind));
        let id = launch(&mut client).unwrap().expect(201)["data"]["id"].take();
        let agent = client.get(&format!("/agents/{}", id.as_str().unwrap())).expect(200);
        assert_eq!(agent["data"]["status"], status);
    }
}

#[test]
fn an_empty_page_in_the_middle_loses_nothing() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    emulator.fault(Fault::on("list_users", FaultKind::EmptyPage).times(2));
    emulator.fault(Fault::on("list_users", FaultKind::EmptyPage).skip(1));
    let (mut ids, mut cursors, mut empty) = (Vec::new(), Vec::<String>::new(), 0);
    loop {
        let more = cursors.last().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = client.get(&format!("/users?limit=10{more}")).expect(200);
        let data = page["data"].as_array().unwrap();
        empty += usize::from(data.is_empty());
        ids.extend(data.iter().map(|user| user["id"].to_string()));
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        assert!(!cursors.contains(&cursor.to_owned()), "an empty page is no cycle");
        cursors.push(cursor.to_owned());
    }
    ids.dedup();
    assert_eq!((ids.len(), empty), (25, 3));
}

#[test]
fn a_cursor_cycle_leads_back_to_the_first_cursor() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    emulator.fault(Fault::on("list_users", FaultKind::CursorCycle).skip(1));
    let mut cursors = Vec::new();
    let mut target = "/users?limit=5".to_owned();
    for _ in 0..3 {
        let page = client.get(&target).expect(200);
        cursors.push(page["nextCursor"].as_str().unwrap().to_owned());
        target = format!("/users?limit=5&cursor={}", cursors.last().unwrap());
    }
    assert_ne!(cursors[0], cursors[1]);
    assert_eq!(cursors[0], cursors[2]);
}

#[test]
fn responses_are_compressed_and_gzip_bombs_inflate() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let plain = client.get("/users").body;
    for (kind, length) in [(FaultKind::Gzip, plain.len()), (FaultKind::GzipBomb(30_000_000), 30_000_000)] {
        emulator.fault(Fault::any(kind));
        let response = client.get("/users");
        assert_eq!(response.header("content-encoding"), Some("gzip"));
        assert!(response.body.len() < 100_000);
        let mut inflated = Vec::new();
        GzDecoder::new(response.body.as_slice()).read_to_end(&mut inflated).unwrap();
        assert_eq!(inflated.len(), length);
    }
    emulator.fault(Fault::any(FaultKind::Oversized(5_000_000)));
    let response = client.get("/users");
    assert_eq!(response.body.len(), 5_000_000);
    assert!(response.json()["data"].is_string());
}

#[test]
fn an_early_response_comes_before_the_body_is_read() {
    for close in [true, false] {
        let emulator = quick();
        emulator.fault(Fault::on("upload_file", FaultKind::EarlyResponse { status: 413, after_bytes: 1000, close }));
        let mut client = Client::new(&emulator);
        let more = "Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: 64000000\r\n";
        let head = client.head("POST", "/files/upload", more);
        client.stream().write_all(head.as_bytes()).unwrap();
        client.stream().set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let block = vec![b'x'; 1_000_000];
        let sent = (0..64).take_while(|_| client.stream().write_all(&block).is_ok()).count();
        assert!(sent < 64, "nobody reads all of it");
        assert_eq!(client.read().unwrap().expect(413)["code"], "payload_too_large");
        assert_eq!((emulator.received("upload_file"), emulator.accepted("upload_file")), (1, 0));
        assert_eq!(emulator.requests()[0].status, Some(413));
    }
}

#[test]
fn a_header_injects_a_fault() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    client.headers = "X-Emulator-Fault: html=503\r\n".to_owned();
    assert_eq!(client.get("/users").status, 503);
    client.headers = "X-Emulator-Fault: reset-after\r\n".to_owned();
    assert_eq!(launch(&mut client).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(emulator.accepted("launch_agent"), 1);
    for (header, word) in [
        ("X-Emulator-Fault: explode\r\n", "explode"),
        ("X-Emulator-Fault: job-never-ends\r\n", "job-never-ends"),
        ("X-Emulator-Fault: cursor-cycle\r\n", "cursor-cycle"),
        ("X-Emulator-Fault: gzip\r\nx-emulator-fault: gzip\r\n", "once"),
    ] {
        let mut client = Client::new(&emulator);
        client.headers = header.to_owned();
        let error = client.get("/users").expect(400)["error"].take();
        assert!(error.as_str().unwrap().contains(word), "{error}");
    }
}

#[test]
fn a_response_without_content_has_no_body() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let bodied = |status| CannedResponse::new(status, "text/plain", "a body").after_executing().into();
    for kind in [FaultKind::Html(204), FaultKind::Html(304), bodied(204), bodied(304)] {
        emulator.fault(Fault::any(kind));
        let response = client.get("/users");
        assert!(response.status == 204 || response.status == 304);
        assert_eq!(response.header("content-length"), None);
        // Whatever followed the head would stand before this response.
        client.get("/users").expect(200);
    }
}

#[test]
fn an_unread_fault_of_another_operation_does_not_affect_long_and_slow_requests() {
    let emulator = quick();
    emulator.fault(Fault::on("launch_agent", FaultKind::ResetAtOnce));
    let mut client = Client::new(&emulator);
    let long = format!("/files/search?query={}", "x".repeat(60_000));
    client.get(&long).expect(200);
    let request = client.head("GET", "/users", "");
    for piece in request.as_bytes().chunks(request.len() / 3) {
        client.stream().write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    client.read().unwrap().expect(200);
    assert_eq!(launch(&mut client).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_client_that_waits_for_100_continue_gets_the_fault_at_once() {
    let emulator = quick();
    for kind in [FaultKind::Html(502), FaultKind::RateLimited { retry_after: None }] {
        emulator.fault(Fault::any(kind));
        let mut client = Client::new(&emulator);
        let more = "Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 30\r\n";
        let head = client.head("POST", "/agents", more);
        let response = client.try_send(head.as_bytes()).unwrap();
        assert!(response.status == 502 || response.status == 429, "{}", response.status);
        assert_eq!(response.header("connection"), Some("close"), "the body may still come or not");
    }
}

#[test]
fn an_injected_429_has_the_limiters_own_headers() {
    let limits = Limits::documented(LimitModel::FullBurst).quota("heavy", 7);
    let emulator = Emulator::builder().limits(limits).start().unwrap();
    emulator.fault(Fault::on("launch_agent", FaultKind::RateLimited { retry_after: Some("2".to_owned()) }));
    let mut client = Client::new(&emulator);
    let refused = launch(&mut client).unwrap();
    assert_eq!(refused.expect(429)["code"], "rate_limited");
    assert_eq!((refused.header("x-ratelimit-limit"), refused.header("x-ratelimit-remaining")), (Some("7"), Some("0")));
    assert!(refused.header("x-ratelimit-reset").unwrap().parse::<u64>().unwrap() > 1_700_000_000);
    assert_eq!(refused.header("retry-after"), Some("2"));
    let next = launch(&mut client).unwrap();
    assert_eq!(next.header("x-ratelimit-remaining"), Some("6"), "the fault has used up nothing");

    let emulator = quick();
    emulator.fault(Fault::any(FaultKind::RateLimited { retry_after: None }));
    assert_eq!(launch(&mut Client::new(&emulator)).unwrap().header("x-ratelimit-limit"), None);
}

#[test]
fn a_fault_waits_for_a_request_that_it_applies_to() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    emulator.fault(Fault::any(FaultKind::JobNeverEnds));
    emulator.fault(Fault::any(FaultKind::EmptyPage));
    emulator.fault(Fault::any(FaultKind::Bare));
    emulator.fault(Fault::any(FaultKind::Wrapped));
    let user = client.get("/users?limit=1").expect(200);
    assert_eq!(user["data"], json!([]), "the first list");
    let user = client.get("/users?limit=1").expect(200)["data"][0]["id"].as_str().unwrap().to_owned();
    assert!(client.get(&format!("/users/{user}")).expect(200)["data"].is_object(), "the first bare object");
    client.get("/nowhere").expect(404);
    let id = launch(&mut client).unwrap().expect(201)["data"]["id"].as_str().unwrap().to_owned();
    let agent = client.get(&format!("/agents/{id}")).expect(200);
    assert_eq!(agent["status"], "running", "never ends, and comes bare: {agent}");
}

#[test]
fn faults_can_be_cleared() {
    let emulator = Emulator::builder().limits(Limits::off()).start().unwrap();
    emulator.fault(Fault::any(FaultKind::Html(500)).forever());
    let mut client = Client::new(&emulator);
    assert_eq!(client.get("/users").status, 500);
    assert_eq!(client.get("/users").status, 500);
    emulator.clear_faults();
    client.get("/users").expect(200);
}
