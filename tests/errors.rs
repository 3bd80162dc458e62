//! Errors as a person reads them: one line that names the operation and the cause.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;
#[path = "common/raw_server.rs"]
mod raw_server;

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use common::program::{program, run};
use common::{builder, document, emulator, nomic};
use nomic_client::agents::Launch;
use nomic_client::job::JobRef;
use nomic_client::{Effect, Error, ErrorCode, ErrorKind, Nomic, files};
use nomic_emulator::{CannedResponse, Emulator, Fault, FaultKind, StallPhase};
use raw_server::{FullQueue, RawServer, read_request};

/// The error of a read, as a line.
fn line(nomic: &Nomic) -> String {
    line_of("get_agent", &nomic.agent("a").unwrap_err())
}

/// The error of a read that succeeds without a fault, as a line.
fn listed(nomic: &Nomic) -> String {
    line_of("list_projects", &nomic.projects().next().unwrap().unwrap_err())
}

fn line_of(operation: &str, error: &Error) -> String {
    let line = error.to_string();
    assert!(line.starts_with(&format!("{operation}: ")), "{line}");
    assert!(!line.contains('\n') && line.chars().next().unwrap().is_lowercase(), "{line}");
    assert_eq!(error.operation(), Some(operation));
    line
}

fn status(status: u16, content_type: &str, body: &str) -> FaultKind {
    CannedResponse::new(status, content_type, body).into()
}

#[test]
fn a_wrong_or_revoked_key() {
    let emulator = emulator();
    let wrong = Nomic::new(emulator.url(), "npk_wrong").unwrap();
    let text = line(&wrong);
    assert!(text.starts_with("get_agent: 401 unauthorized: ") && text.ends_with("; check the API key"), "{text}");
    let key = emulator.issue_key(&["developer"]);
    let nomic = Nomic::new(emulator.url(), &key).unwrap();
    nomic.projects().next().unwrap().unwrap();
    emulator.revoke_key(&key);
    assert!(nomic.projects().next().unwrap().unwrap_err().is_unauthorized());
}

#[test]
fn a_missing_scope_is_named() {
    let emulator = emulator();
    let nomic = Nomic::new(emulator.url(), emulator.issue_key(&["developer:files"])).unwrap();
    nomic.search_files("a").next();
    let text = line(&nomic);
    assert!(text.starts_with("get_agent: 403 forbidden: "), "{text}");
    assert!(text.ends_with("; this operation needs the scope developer:agent"), "{text}");
    assert!(nomic.agent("a").unwrap_err().is_forbidden());
}

#[test]
#[cfg_attr(not(any(feature = "rustls", feature = "native-tls")), ignore = "needs TLS")]
fn a_typo_in_the_domain() {
    let nomic = Nomic::builder("https://no-such-organization.invalid", "npk_x").attempts(1).build().unwrap();
    assert_eq!(
        line(&nomic),
        "get_agent: cannot connect to no-such-organization.invalid: unknown host: check the domain, and that there is a network"
    );
}

#[test]
fn a_port_without_a_listener() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nomic = Nomic::builder(format!("http://{free}"), "npk_x").attempts(2).build().unwrap();
    let text = line(&nomic);
    assert_eq!(
        text,
        format!("get_agent: cannot connect to {free}: connection refused: nothing is listening there (tried 2 times)")
    );
    // A write was certainly not executed.
    let error = nomic.launch_agent(&Launch::prompt("Go.")).unwrap_err();
    assert!(error.is_unreachable() && error.effect() == Effect::None, "{error}");
}

#[test]
#[cfg_attr(not(any(feature = "rustls", feature = "native-tls")), ignore = "needs TLS")]
fn tls_where_there_is_none() {
    let emulator = emulator();
    let url = emulator.url().replace("http://", "https://");
    let nomic = Nomic::new(url, emulator.key()).unwrap();
    let text = line(&nomic);
    let address = emulator.address();
    assert_eq!(
        text,
        format!("get_agent: cannot connect to {address}: it does not speak TLS: is it http:// and not https://?")
    );
    assert!(!nomic.agent("a").unwrap_err().is_transient(), "a retry does not help");
}

#[test]
fn an_html_page_with_status_200_is_not_a_success() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let page = || emulator.fault(Fault::any(status(200, "text/html", "<html>Please sign in</html>")));
    page();
    let error = nomic.delete_agent("a").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnexpectedResponse(_)) && error.effect() != Effect::None, "{error}");
    assert!(
        error.to_string().contains("Please sign in; it may have been executed")
            || error.to_string().contains("Please sign in</html>; it may have been executed"),
        "{error}"
    );
    page();
    let error = nomic.launch_agent(&Launch::prompt("Go.")).unwrap_err();
    assert!(error.effect() != Effect::None && !error.to_string().contains("it was executed"), "{error}");
    page();
    assert!(nomic.agent("a").unwrap_err().effect() == Effect::None);
}

#[test]
fn an_error_with_a_truncated_body_keeps_its_status() {
    let head = "HTTP/1.1 422 No\r\nContent-Type: application/json\r\nContent-Length: 500\r\nRetry-After: 7\r\n\r\n";
    let response = format!("{head}{{\"error\": \"The sche");
    let server = RawServer::new(move |mut stream| {
        read_request(&mut stream);
        stream.write_all(response.as_bytes()).unwrap();
    });
    let nomic = Nomic::new(server.url(), "npk_x").unwrap();
    let error = nomic.launch_agent(&Launch::prompt("Go.")).unwrap_err();
    assert_eq!((error.status(), error.retry_after()), (Some(422), Some(Duration::from_secs(7))), "{error}");
    assert!(error.effect() == Effect::None && error.to_string().contains("The sche"), "{error}");
}

#[test]
fn a_later_failure_does_not_hide_an_earlier_answer() {
    let emulator = emulator();
    let nomic = builder(&emulator).deadline(Duration::from_millis(700)).build().unwrap();
    emulator.fault(Fault::any(status(502, "text/plain", "maintenance until 17:00")));
    emulator.fault(Fault::any(FaultKind::Stall(StallPhase::BeforeHead)));
    let text = line(&nomic);
    assert!(text.starts_with("get_agent: timed out after "), "{text}");
    assert!(
        text.contains("; before that: get_agent: 502 not a response of the API (text/plain): maintenance until 17:00"),
        "{text}"
    );
}

#[test]
fn extreme_settings_neither_panic_nor_hang() {
    let emulator = emulator();
    let most = Duration::MAX;
    let all = |time: Duration| {
        builder(&emulator)
            .connect_timeout(time)
            .response_timeout(time)
            .stall_timeout(time)
            .deadline(time)
            .upload_deadline(time)
            .rate_window(time)
    };
    nomic_of(all(most)).projects().next().unwrap().unwrap();
    emulator.fault(Fault::any(FaultKind::RateLimited { retry_after: Some("1".into()) }));
    // With a window of a day, the next token after a 429 would come in minutes.
    nomic_of(all(most).rate_window(Duration::from_secs(60))).projects().next().unwrap().unwrap();
    let error = all(Duration::ZERO).build().unwrap_err();
    assert!(error.to_string().contains("connect_timeout is zero"), "{error}");
    let error = builder(&emulator).deadline(Duration::from_nanos(1)).build().unwrap().agent("a").unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

fn nomic_of(builder: nomic_client::Builder) -> Nomic {
    builder.build().unwrap()
}

#[test]
fn a_request_that_cannot_be_written_as_http_is_rejected() {
    let emulator = emulator();
    let error = nomic(&emulator).search_files(&"x".repeat(100_000)).next().unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidRequest(_)) && !error.is_transient(), "{error}");
    assert_eq!(emulator.connections(), 0);
}

#[test]
fn an_error_that_main_returns_is_readable() {
    let error = Nomic::new("acme", "").unwrap_err();
    assert_eq!(format!("{error:?}"), "cannot build the client: the API key is empty");
    let emulator = emulator();
    let error = nomic(&emulator).agent("a").unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
    assert!(format!("{error:#?}").contains("ApiError {"), "{error:#?}");
}

#[test]
fn html_from_a_proxy_is_kept() {
    let emulator = emulator();
    let nomic = builder(&emulator).attempts(1).build().unwrap();
    for code in [200, 403, 502] {
        emulator.clear_faults();
        emulator.fault(Fault::any(FaultKind::Html(code)).forever());
        let text = line(&nomic);
        assert!(text.starts_with(&format!("get_agent: {code} not a response of the API (text/html")), "{text}");
        assert!(text.contains("<html"), "{text}");
    }
}

#[test]
fn a_redirect_is_shown_and_not_followed() {
    let (emulator, other) = (emulator(), emulator());
    let location = format!("{}/agents", other.url());
    emulator.fault(Fault::any(FaultKind::Redirect { status: 301, location: location.clone() }).forever());
    let nomic = nomic(&emulator);
    let text = line(&nomic);
    assert!(
        text.starts_with("get_agent: 301 not a response of the API; it redirects to ") && text.contains(&location),
        "{text}"
    );
    let error = nomic.launch_agent(&Launch::prompt("Go.")).unwrap_err();
    assert!(error.effect() == Effect::None, "{error}");
    assert_eq!(other.connections(), 0, "the key went nowhere else");
}

#[test]
fn a_response_that_is_cut_off() {
    let emulator = emulator();
    let nomic = builder(&emulator).attempts(1).build().unwrap();
    for kind in
        [FaultKind::ResetInBody, FaultKind::CloseInBody, FaultKind::ResetInHead, FaultKind::ContentLengthTooLong]
    {
        emulator.fault(Fault::any(kind.clone()));
        let text = listed(&nomic);
        let address = emulator.address();
        let what = if kind == FaultKind::ResetInHead { "no" } else { "200 incomplete" };
        assert!(text.starts_with(&format!("list_projects: {what} response from {address}: ")), "{kind:?}: {text}");
        assert!(text.contains("the connection was "), "{kind:?}: {text}");
    }
    emulator.fault(Fault::on("list_projects", FaultKind::TruncatedJson));
    let error = nomic.projects().next().unwrap().unwrap_err();
    assert!(error.to_string().starts_with("list_projects: 200 cannot decode the response at "), "{error}");
    assert!(!error.is_transient(), "a whole response, and not JSON");
}

#[test]
fn a_stalled_server_ends_with_the_response_or_the_stall_timeout() {
    let emulator = emulator();
    let (timeout, more) = (Duration::from_millis(150), " the server sent nothing more");
    let nomic = builder(&emulator).attempts(1).response_timeout(timeout).stall_timeout(timeout).build().unwrap();
    for (phase, end) in [
        (StallPhase::BeforeRead, " none within the response timeout"),
        (StallPhase::BeforeHead, " none within the response timeout"),
        (StallPhase::InHead, more),
        (StallPhase::InBody, more),
    ] {
        emulator.fault(Fault::any(FaultKind::Stall(phase)));
        let began = Instant::now();
        let text = listed(&nomic);
        assert!(text.ends_with(end), "{phase:?}: {text}");
        assert!(began.elapsed() < Duration::from_millis(1000), "{phase:?}: {:?}", began.elapsed());
    }
}

#[test]
fn a_call_to_a_server_that_never_responds_ends_at_the_deadline() {
    let emulator = emulator();
    let deadline = Duration::from_millis(400);
    let nomic = builder(&emulator).deadline(deadline).pacing(false).build().unwrap();
    let drip = FaultKind::Drip { every: Duration::from_millis(50), bytes: 1 };
    let stalls = [StallPhase::BeforeRead, StallPhase::BeforeHead, StallPhase::InHead, StallPhase::InBody];
    for kind in stalls.map(FaultKind::Stall).into_iter().chain([drip]) {
        emulator.fault(Fault::any(kind.clone()));
        let began = Instant::now();
        let text = listed(&nomic);
        let took = began.elapsed();
        assert!(text.replace("200 ", "").starts_with("list_projects: timed out after 4"), "{text}");
        assert!(text.ends_with("waiting for a response") || text.ends_with("the rest of the response"), "{text}");
        assert!(took >= deadline && took < deadline + Duration::from_millis(200), "{kind:?}: {took:?}");
        // A write may have been executed.
        emulator.fault(Fault::on("launch_agent", kind));
        let error = nomic.launch_agent(&Launch::prompt("Go.")).unwrap_err();
        assert!(error.is_timeout() && error.effect() != Effect::None, "{error}");
    }
}

#[test]
fn a_call_to_a_server_that_never_accepts_ends_at_the_deadline() {
    let server = FullQueue::new();
    let nomic = Nomic::builder(server.url(), "npk_x").deadline(Duration::from_millis(300)).build().unwrap();
    let began = Instant::now();
    let error = nomic.agent("a").unwrap_err();
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "{:?} with {} queued: {error}",
        began.elapsed(),
        server.len()
    );
    assert!(error.to_string().starts_with("get_agent: "), "{error}");
}

#[test]
fn json_of_another_shape_is_named_with_its_path() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let text = |kind: FaultKind| {
        emulator.fault(Fault::any(kind));
        line(&nomic)
    };
    for (body, at) in [
        (r#"{"data":{"id":"a","status":["running"]}}"#, "data.status: invalid type: sequence, expected a string"),
        (r#"{"id":"a"}"#, "$: missing field `status`"),
    ] {
        let text = text(status(200, "application/json", body));
        assert!(text.starts_with(&format!("get_agent: 200 cannot decode the response at {at}")), "{text}");
    }
    let odd = r#"{"id":7,"status":"running","artifacts":"none","files":[7],"summary":[],"createdAt":{}}"#;
    emulator.fault(Fault::any(status(200, "application/json", odd)));
    let agent = nomic.agent("7").unwrap();
    assert!(agent.id == "7" && agent.artifacts.is_empty() && agent.files.is_empty() && agent.summary.is_none());
    emulator.fault(Fault::on("list_agents", FaultKind::WrongTypes));
    let error = nomic.agents().next().unwrap().unwrap_err();
    assert!(
        error.to_string().starts_with("list_agents: 200 cannot decode the response at data: invalid type: "),
        "{error}"
    );
    assert!(!error.is_transient());
    emulator.fault(Fault::on("launch_agent", FaultKind::WrongTypes));
    let error = nomic.launch_agent(&Launch::prompt("Go.")).unwrap_err();
    assert!(error.to_string().ends_with("; it was executed") && error.effect() == Effect::Executed, "{error}");
    assert_eq!(emulator.accepted("launch_agent"), 1);
}

#[test]
fn the_message_of_the_server_is_never_lost() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let error = nomic.parse("no-uuid").unwrap_err();
    assert_eq!(error.status(), Some(400));
    assert_eq!(error.issues().len(), 1);
    assert!(error.to_string().contains("(fileVersionId: "), "{error}");

    let error = nomic.parse("019abc12-3456-7890-abcd-ef1234567891").unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::NotFound));
    emulator.set_old_errors(true);
    let error = nomic.agent("a").unwrap_err();
    assert!(error.is_not_found() && error.code().is_none(), "{error}");

    let odd = r#"{"error":{"reason":"odd"},"code":"new_word","issues":[{"path":["a",0,"b"],"message":"No."},"loose"],"trace":"t-1"}"#;
    emulator.fault(Fault::any(status(418, "application/json", odd)));
    let error = nomic.agent("a").unwrap_err();
    assert_eq!(error.to_string(), r#"get_agent: 418 new_word: {"reason":"odd"} (a[0].b: No.; "loose")"#);
    let ErrorKind::Api(inside) = error.kind() else { panic!("an error of the API") };
    assert_eq!(inside.body["trace"], "t-1");
}

#[test]
fn a_response_larger_than_the_limit_is_not_read() {
    let emulator = emulator();
    let nomic = builder(&emulator).response_limit(64 * 1024).build().unwrap();
    for kind in [FaultKind::Oversized(1 << 30), FaultKind::GzipBomb(1 << 30)] {
        if matches!(kind, FaultKind::GzipBomb(_)) && !cfg!(feature = "gzip") {
            continue;
        }
        emulator.fault(Fault::any(kind));
        let text = line(&nomic);
        assert_eq!(text, "get_agent: 200 the response is larger than 65536 bytes, the limit of this client");
    }
}

#[test]
#[cfg_attr(not(feature = "gzip"), ignore = "needs the feature gzip")]
fn a_compressed_response_is_read() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    emulator.fault(Fault::any(FaultKind::Gzip).forever());
    let job = nomic.parse(document(&nomic)).unwrap();
    assert!(nomic.wait(&job).unwrap().text().contains("OG-2026-114"));
}

/// A list without items, compressed with gzip.
const GZIPPED_LIST: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xabVJI,IT\xb2\x8a\x8e\xad\x05\0\x94d\xb2^\x0b\0\0\0";
/// An error of the API, compressed with gzip.
const GZIPPED_ERROR: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xabVJ-*\xca/R\xb2R\xf2\xcbW(.M\xcePHLO\xcd+Q\xd2Q\
    J\xceOI\x05\n\xe7\xe5\x97\xc4\xa7\xe5\x97\xe6\xa5(\xd5\x02\0\xd7\xbb\x97\xf6,\0\0\0";

/// A server that sends this body in this encoding.
fn encoded(status: &str, encoding: &str, body: &[u8]) -> RawServer {
    let headers = format!("Content-Encoding: {encoding}\r\nContent-Length: {}\r\nConnection: close", body.len());
    RawServer::sending([format!("HTTP/1.1 {status}\r\n{headers}\r\n\r\n").as_bytes(), body].concat())
}

#[test]
#[cfg_attr(not(feature = "gzip"), ignore = "needs the feature gzip")]
fn gzip_is_decoded_in_any_letter_case_and_in_errors_too() {
    for encoding in ["gzip", "GZIP", "x-gzip", "X-Gzip", "identity, gzip"] {
        let nomic = Nomic::new(encoded("200 OK", encoding, GZIPPED_LIST).url(), "npk_x").unwrap();
        assert!(nomic.projects().next().is_none(), "{encoding}");
    }
    let nomic = Nomic::new(encoded("200 OK", "Identity", br#"{"data":[]}"#).url(), "npk_x").unwrap();
    assert!(nomic.projects().next().is_none());
    let nomic = Nomic::new(encoded("404 Not Found", "GZIP", GZIPPED_ERROR).url(), "npk_x").unwrap();
    assert_eq!(line(&nomic), "get_agent: 404 not_found: No such agent");
}

#[test]
fn a_response_in_an_encoding_that_was_not_asked_for_is_an_error_that_names_it() {
    let gzip = if cfg!(feature = "gzip") { "gzip, gzip" } else { "gzip" };
    for encoding in ["br", "zstd", "deflate", gzip] {
        let words = format!("the response has the content encoding {encoding}, which this client cannot decode");
        let server = encoded("200 OK", encoding, b"\x0b\x02\x80{}\x03");
        let nomic = Nomic::new(server.url(), "npk_x").unwrap();
        assert_eq!(listed(&nomic), format!("list_projects: 200 {words}"));
        assert_eq!(server.connections(), 1, "{encoding}: a retry does not help");
        let error = nomic.launch_agent(&Launch::prompt("Go.")).unwrap_err();
        assert_eq!(error.to_string(), format!("launch_agent: 200 {words}; it may have been executed"));
        assert!(!error.is_transient() && error.effect() == Effect::Unknown, "{error}");
        assert_eq!(server.connections(), 2, "{encoding}");
        let server = encoded("404 Not Found", encoding, b"\x0b\x02\x80{}\x03");
        assert_eq!(line(&Nomic::new(server.url(), "npk_x").unwrap()), format!("get_agent: 404 {words}"));
    }
    let nomic = Nomic::new(encoded("200 OK", "br", b"").url(), "npk_x").unwrap();
    nomic.delete_agent("a").unwrap();
    let nomic = Nomic::new(encoded("404 Not Found", "br", b"").url(), "npk_x").unwrap();
    assert_eq!(line(&nomic), "get_agent: 404 not a response of the API (no media type, empty)");
}

#[test]
#[cfg_attr(not(feature = "gzip"), ignore = "needs the feature gzip")]
fn a_gzip_body_that_is_cut_off_may_be_retried_and_a_corrupt_one_not() {
    let end = GZIPPED_LIST.len() - 9;
    let server = encoded("200 OK", "gzip", &GZIPPED_LIST[..end]);
    let nomic = Nomic::builder(server.url(), "npk_x").attempts(2).build().unwrap();
    let error = nomic.projects().next().unwrap().unwrap_err();
    assert!(error.is_transient() && error.to_string().contains(": the connection was closed early"), "{error}");
    assert_eq!(server.connections(), 2);
    for (position, words) in [(0, "invalid gzip header"), (10, "corrupt"), (24, "checksum")] {
        let mut corrupt = GZIPPED_LIST.to_vec();
        corrupt[position] ^= 0x5f;
        let server = encoded("200 OK", "gzip", &corrupt);
        let nomic = Nomic::builder(server.url(), "npk_x").attempts(2).build().unwrap();
        let error = nomic.projects().next().unwrap().unwrap_err();
        assert!(error.to_string().contains(": its body is not valid gzip: "), "{position}: {error}");
        assert!(!error.is_transient() && error.to_string().contains(words), "{position}: {error}");
        assert_eq!(server.connections(), 1, "{position}: a retry does not help");
        let error = nomic.launch_agent(&Launch::prompt("Go.")).unwrap_err();
        assert_eq!((error.status(), error.effect()), (Some(200), Effect::Unknown), "{error}");
    }
}

#[test]
#[cfg_attr(not(any(feature = "rustls", feature = "native-tls")), ignore = "needs TLS")]
fn from_env_names_the_missing_variables() {
    let run = |variables: &[(&str, &str)]| {
        let output = run(program("environment").envs(variables.iter().copied()));
        assert!(output.is_success(), "{}", output.combined());
        output.stdout
    };
    let emulator = Emulator::start().unwrap();
    assert!(run(&[]).contains("NOMIC_API_KEY"));
    assert!(run(&[("NOMIC_API_KEY", "npk_x")]).contains("NOMIC_DOMAIN (e.g. `acme`) or NOMIC_BASE_URL"));
    assert!(run(&[("NOMIC_API_KEY", "npk_x"), ("NOMIC_DOMAIN", "acme")]).contains("https://acme.nomic.ai/api/v0"));
    let both = [("NOMIC_API_KEY", "npk_x"), ("NOMIC_DOMAIN", "acme"), ("NOMIC_BASE_URL", emulator.url())];
    assert!(run(&both).contains(emulator.url()));
}

#[test]
fn a_client_with_another_deadline_shares_the_connections() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let hurried = nomic.with_deadline(Duration::from_millis(300));
    emulator.fault(Fault::any(FaultKind::Delay(Duration::from_secs(2))).times(2));
    for call in [&|| hurried.agent("a").map(drop) as nomic_client::Result<()>, &|| {
        hurried.upload(files::Upload::from_bytes("a.txt", "Level: 1")).map(drop)
    }] as [&dyn Fn() -> nomic_client::Result<()>; 2]
    {
        let began = Instant::now();
        let error = call().unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Deadline(_)) && began.elapsed() < Duration::from_millis(600),
            "{error}"
        );
    }
    hurried.projects().next().unwrap().unwrap();
    let before = emulator.connections();
    nomic.projects().next().unwrap().unwrap();
    assert_eq!(emulator.connections(), before, "the connection is shared");
}

#[test]
fn an_error_has_a_bounded_length() {
    let emulator = emulator();
    let long = "x".repeat(1_000_000);
    for body in [format!(r#"{{"id":["{long}"],"status":"b"}}"#), format!(r#"{{"{long}":1,"id":7}}"#)] {
        emulator.fault(Fault::any(status(200, "application/json", &body)));
        let text = line(&nomic(&emulator));
        assert!(text.len() < 1000, "{} bytes", text.len());
    }
    let long = "x".repeat(100_000);
    let body = format!(r#"{{"error":"{long}","issues":[{{"path":["a"],"message":"{long}"}}]}}"#);
    emulator.fault(Fault::any(status(400, "application/json", &body)));
    let error = nomic(&emulator).agent("a").unwrap_err();
    assert!(error.to_string().len() < 2000 && error.issues()[0].message.len() == long.len());
}

#[test]
fn an_error_names_the_job_that_was_started_if_the_response_cannot_be_decoded() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let version = document(&nomic);
    let schema = serde_json::json!({"type": "object"});
    let answer = |body: &str| emulator.fault(Fault::any(status(201, "application/json", body)));
    for (body, job) in [
        (r#"{"id":"a-1","status":7}"#, Some("a-1")),
        (r#"{"data":{"id":"a-2","status":{"is":"running"}}}"#, Some("a-2")),
        (r#"{"id":{"value":"a-3"},"status":"running"}"#, None),
    ] {
        answer(body);
        let error = nomic.launch_agent(&Launch::prompt("Go.")).unwrap_err();
        assert_eq!(error.job(), job.map(|id| JobRef::Agent(id.into())).as_ref(), "{error}");
        assert!(error.effect() == Effect::Executed && error.effect() != Effect::None, "{error}");
        let names_job =
            error.to_string().ends_with(&job.map(|id| format!("; it was executed, as agent {id}")).unwrap_or_default());
        assert!(names_job, "{error}");
    }
    answer(r#"{"taskId":42,"status":"WAITING"}"#);
    let job = JobRef::from(&nomic.parse(&version).unwrap());
    assert_eq!(job, JobRef::Parse("42".into()));
    answer(r#"{"data":{"taskId":null,"task":"t"}}"#);
    assert!(nomic.extract(&[version], &schema).unwrap_err().job().is_none());
}

#[test]
fn a_success_with_a_truncated_body_keeps_its_status_and_its_job() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    emulator.fault(Fault::on("launch_agent", FaultKind::CloseInBody));
    let error = nomic.launch_agent(&Launch::prompt("Go.")).unwrap_err();
    assert_eq!((error.status(), error.effect(), error.job().is_some()), (Some(201), Effect::Executed, true));
    assert!(
        error.to_string().contains("201 incomplete response from ")
            && error.to_string().contains(": the connection was closed early; it was executed, as agent "),
        "{error}"
    );
    // Without a job, who closed may be a proxy.
    emulator.fault(Fault::on("upload_file", FaultKind::CloseInBody));
    let error = nomic.upload(files::Upload::from_bytes("a.txt", "a")).unwrap_err();
    assert_eq!((error.status(), error.effect()), (Some(201), Effect::Unknown), "{error}");
}

#[test]
fn a_host_that_does_not_accept_is_unreachable_also_at_the_deadline() {
    let server = FullQueue::new();
    let nomic = Nomic::builder(server.url(), "npk_x").deadline(Duration::from_millis(200)).build().unwrap();
    let error = nomic.agent("a").unwrap_err();
    assert!(error.is_unreachable(), "{error}");
}

#[test]
fn a_completed_job_without_a_result_keeps_all_its_fields() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let body = r#"{"status":"COMPLETED","output":{"chunks":[{"content":"a"}]}}"#;
    emulator.fault(Fault::any(status(200, "application/json", body)));
    let parsed = nomic.wait(&nomic.parse_job("t")).unwrap();
    assert_eq!(parsed.extra["output"]["chunks"][0]["content"], "a");
    emulator.fault(Fault::any(status(200, "application/json", body)));
    let extracted = nomic.wait(&nomic.extract_job("t")).unwrap();
    assert!(extracted.value.is_null() && extracted.extra["output"].is_object());
}
