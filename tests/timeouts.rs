//! Time limits: each phase of a request has one, and the deadline ends them all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;
#[path = "common/raw_server.rs"]
mod raw_server;
#[path = "common/tls.rs"]
mod tls;

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use common::{builder, emulator};
use nomic_client::agents::Launch;
use nomic_client::files::Upload;
use nomic_client::{Effect, ErrorKind, Nomic, Result};
use nomic_emulator::{Fault, FaultKind, StallPhase};
use raw_server::{FullQueue, RawServer, read_request, response};
use tls::{AUTHORITY, SERVER};

const SECOND: Duration = Duration::from_secs(1);
const FILE: &str = r#"{"id":"a","name":"a","fileVersionId":"b"}"#;

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The result of a call, and the time it took.
fn timed<T>(call: impl FnOnce() -> Result<T>) -> (Result<T>, Duration) {
    let began = Instant::now();
    (call(), began.elapsed())
}

fn upload(nomic: &Nomic, size: u64) -> Result<()> {
    nomic.upload(Upload::from_reader("a.bin", io::repeat(0).take(size), size)).map(drop)
}

#[test]
#[cfg_attr(not(any(feature = "rustls", feature = "native-tls")), ignore = "needs TLS")]
fn a_server_that_never_speaks_tls_ends_at_the_connect_timeout() {
    let silent = RawServer::silent();
    for (connect, deadline) in [(millis(300), 20 * SECOND), (20 * SECOND, millis(300))] {
        let builder = Nomic::builder(silent.https_url(), "npk_x").connect_timeout(connect).deadline(deadline);
        let nomic = builder.attempts(1).build().unwrap();
        let (outcome, took) = timed(|| nomic.launch_agent(&Launch::prompt("Go.")));
        let error = outcome.unwrap_err();
        assert!(error.is_timeout() && error.is_unreachable() && error.effect() == Effect::None, "{error}");
        assert!(took >= millis(300) && took < millis(600), "{took:?}: {error}");
        assert_eq!(matches!(error.kind(), ErrorKind::Deadline(_)), deadline < connect, "{error}");
    }
}

#[test]
fn a_connection_that_cannot_be_made_ends_at_the_connect_timeout() {
    let full = FullQueue::new();
    let builder = Nomic::builder(full.url(), "npk_x").connect_timeout(millis(300));
    let (outcome, took) = timed(|| builder.attempts(1).build().unwrap().launch_agent(&Launch::prompt("Go.")));
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("no connection within the connect timeout"), "{error}");
    assert!(error.is_timeout() && error.is_unreachable() && error.effect() == Effect::None, "{error}");
    assert!(took >= millis(300) && took < millis(600), "{took:?}: {error}");
}

#[test]
fn a_server_may_think_for_longer_than_the_stall_timeout_before_it_responds() {
    // An interim response does not start one.
    for interim in ["", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"] {
        let server = RawServer::new(move |mut stream| {
            read_request(&mut stream);
            stream.write_all(interim.as_bytes()).unwrap();
            std::thread::sleep(millis(900));
            stream.write_all(response("201 Created", FILE).as_bytes()).unwrap();
        });
        let builder = Nomic::builder(server.url(), "npk_x").stall_timeout(millis(300)).attempts(1);
        upload(&builder.build().unwrap(), 1 << 20).unwrap_or_else(|error| panic!("{interim:?}: {error}"));
    }
}

#[test]
#[cfg_attr(not(any(feature = "rustls", feature = "native-tls")), ignore = "needs TLS")]
fn a_session_ticket_does_not_start_a_response() {
    let config = tls::config(SERVER);
    let server = RawServer::new(move |stream| {
        let connection = rustls::ServerConnection::new(config.clone()).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        read_request(&mut stream);
        std::thread::sleep(millis(900));
        stream.write_all(response("201 Created", FILE).as_bytes()).unwrap();
        stream.flush().unwrap();
        let _ = stream.read(&mut [0]);
    });
    let builder =
        Nomic::builder(server.https_url(), "npk_x").root_certificates(AUTHORITY).stall_timeout(millis(300)).attempts(1);
    upload(&builder.build().unwrap(), 1 << 20).unwrap();
}

#[test]
fn a_response_that_does_not_start_ends_at_the_response_timeout() {
    let emulator = emulator();
    let nomic = builder(&emulator).response_timeout(millis(300)).attempts(3).build().unwrap();
    emulator.fault(Fault::on("upload_file", FaultKind::Stall(StallPhase::BeforeHead)));
    let (outcome, took) = timed(|| upload(&nomic, 1 << 20));
    let error = outcome.unwrap_err();
    assert!(error.is_timeout() && !error.is_unreachable() && error.effect() != Effect::None, "{error}");
    assert!(error.to_string().contains("none within the response timeout"), "{error}");
    assert!(took >= millis(300) && took < millis(600), "{took:?}");
    assert_eq!(emulator.received("upload_file"), 1);
    let zero = builder(&emulator).response_timeout(Duration::ZERO).build().unwrap_err().to_string();
    assert!(zero.contains("response_timeout is zero"), "{zero}");
}

#[test]
fn a_body_that_stops_moving_ends_at_the_stall_timeout() {
    let emulator = emulator();
    let nomic = builder(&emulator).stall_timeout(millis(300)).attempts(1).build().unwrap();
    emulator.fault(Fault::any(FaultKind::Stall(StallPhase::InBody)));
    let (outcome, took) = timed(|| nomic.projects().next().unwrap());
    let error = outcome.unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("the server sent nothing more"), "{error}");
    assert!(took >= millis(300) && took < millis(600), "{took:?}");

    // The body of a request.
    let builder = Nomic::builder(RawServer::silent().url(), "npk_x").stall_timeout(millis(500));
    let (outcome, took) = timed(|| upload(&builder.build().unwrap(), 64 << 20));
    let error = outcome.unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("the server stopped reading the request"), "{error}");
    assert!(error.effect() != Effect::None && took >= millis(500) && took < millis(1000), "{took:?}: {error}");
}

#[test]
fn a_body_that_moves_slowly_is_read_to_its_end() {
    let server = RawServer::new(|mut stream| {
        read_request(&mut stream);
        for piece in response("200 OK", r#"{"data":[]}"#).as_bytes().chunks(10) {
            std::thread::sleep(millis(100));
            stream.write_all(piece).unwrap();
        }
    });
    let builder = Nomic::builder(server.url(), "npk_x").stall_timeout(millis(400)).attempts(1);
    let (outcome, took) = timed(|| builder.build().unwrap().projects().next().transpose());
    outcome.unwrap();
    assert!(took > millis(800), "{took:?}");
}

#[test]
fn the_deadline_holds_in_each_phase() {
    let emulator = emulator();
    let deadline = millis(400);
    let ends = |phase: &str, url: &str, size: u64| {
        let builder = Nomic::builder(url, emulator.key()).deadline(deadline).upload_deadline(deadline);
        let nomic = builder.pacing(false).attempts(1).build().unwrap();
        let (outcome, took) = timed(|| upload(&nomic, size));
        let error = outcome.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Deadline(_)), "{phase}: {error}");
        assert!(took >= deadline && took < deadline + millis(250), "{phase}: {took:?}");
        assert_eq!(error.effect() != Effect::None, phase != "connecting", "{phase}: {error}");
    };
    let full = FullQueue::new();
    ends("connecting", &full.url(), 1);
    let stalls = [StallPhase::BeforeRead, StallPhase::BeforeHead, StallPhase::InHead, StallPhase::InBody];
    let drip = FaultKind::Drip { every: millis(50), bytes: 1 };
    for kind in stalls.map(FaultKind::Stall).into_iter().chain([drip]) {
        emulator.fault(Fault::any(kind.clone()));
        ends(&format!("{kind:?}"), emulator.url(), 1);
    }
    // It reads a little now and then, so that no single write ever stalls.
    let slow = RawServer::new(|mut stream| {
        while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {
            std::thread::sleep(millis(20));
        }
    });
    ends("sending", &slow.url(), 64 << 20);
    let interim = RawServer::new(|mut stream| {
        read_request(&mut stream);
        while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").is_ok() {
            std::thread::sleep(millis(5));
        }
    });
    ends("interim responses without end", &interim.url(), 1);
}

#[test]
fn after_the_deadline_nothing_is_sent() {
    let emulator = emulator();
    let nomic = builder(&emulator).pacing(false).build().unwrap();
    nomic.projects().next().unwrap().unwrap();
    let hurried = nomic.with_deadline(Duration::from_nanos(1));
    let error = hurried.launch_agent(&Launch::prompt("Go.")).unwrap_err();
    assert!(error.is_timeout() && error.effect() == Effect::None, "{error}");
    assert_eq!(emulator.received("launch_agent"), 0);
}

#[test]
fn an_upload_has_a_deadline_of_its_own() {
    let emulator = emulator();
    let nomic = builder(&emulator).deadline(60 * SECOND).upload_deadline(millis(300)).build().unwrap();
    emulator.fault(Fault::any(FaultKind::Stall(StallPhase::BeforeHead)));
    let (outcome, took) = timed(|| upload(&nomic, 8));
    let error = outcome.unwrap_err();
    assert!(error.is_timeout() && error.effect() != Effect::None, "{error}");
    assert!(took < millis(600), "{took:?}");
    // A longer one holds for uploads only.
    let nomic = builder(&emulator).deadline(millis(300)).upload_deadline(60 * SECOND).build().unwrap();
    emulator.fault(Fault::any(FaultKind::Delay(millis(600))).times(2));
    upload(&nomic, 8).unwrap();
    assert!(nomic.projects().next().unwrap().unwrap_err().is_timeout());
}
