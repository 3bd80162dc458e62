//! Responses that come before the whole request was sent: they reach the caller, over TLS too, and nothing else is taken for
//! one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;
#[path = "common/raw_server.rs"]
mod raw_server;
#[path = "common/tls.rs"]
mod tls;

use std::io::{self, Read, Write};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use common::{builder, emulator};
use nomic_client::files::Upload;
use nomic_client::{Effect, Error, ErrorKind, Nomic};
use nomic_emulator::{Fault, FaultKind};
use raw_server::{RawServer, response};
use tls::{AUTHORITY, SERVER};

const FILE: &str = r#"{"id":"a","name":"a","fileVersionId":"b"}"#;
const TOO_LARGE: &str = r#"{"error":"File too large","code":"payload_too_large"}"#;

#[test]
fn an_early_response_is_read_over_tls_too() {
    let config = tls::config(SERVER);
    let server = RawServer::new(move |stream| {
        let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = stream;
        stream.set_nodelay(true).unwrap();
        connection.complete_io(&mut stream).unwrap();
        let mut tls = rustls::StreamOwned::new(connection, stream);
        tls.read_exact(&mut [0; 2000]).unwrap();
        tls.write_all(response("413 No", TOO_LARGE).as_bytes()).unwrap();
        tls.flush().unwrap();
    });
    let nomic = Nomic::builder(server.https_url(), "npk_x")
        .root_certificates(AUTHORITY)
        .attempts(1)
        .pacing(false)
        .build()
        .unwrap();
    for run in 0..10 {
        let error = nomic.upload(Upload::from_reader("a.bin", io::repeat(0).take(64 << 20), 64 << 20)).unwrap_err();
        assert_eq!(error.status(), Some(413), "run {run}: {error}");
    }
}

/// Uploads over TLS, with a stall timeout of 2 s, to a server that sends this many session tickets and then does not read
/// for a while. Returns the error, the time it took, and what the server then reads.
fn stalled_over_tls(tickets: usize, silence: Duration) -> (Error, Duration, mpsc::Receiver<io::Result<u64>>) {
    let mut config = rustls::ServerConfig::clone(&tls::config(SERVER));
    config.send_tls13_tickets = tickets;
    let config = Arc::new(config);
    let (sender, receiver) = mpsc::channel();
    let server = RawServer::new(move |mut stream| {
        let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        connection.complete_io(&mut stream).unwrap();
        std::thread::sleep(silence);
        let mut tls = rustls::StreamOwned::new(connection, stream);
        let _ = sender.send(io::copy(&mut tls, &mut io::sink()));
    });
    let builder =
        Nomic::builder(server.https_url(), "npk_x").root_certificates(AUTHORITY).stall_timeout(Duration::from_secs(2));
    let nomic = builder.build().unwrap();
    let began = Instant::now();
    let error = nomic.upload(Upload::from_reader("a.bin", io::repeat(0).take(32 << 20), 32 << 20)).unwrap_err();
    (error, began.elapsed(), receiver)
}

#[test]
fn a_server_that_stops_reading_over_tls_ends_an_upload_after_one_stall_timeout() {
    // Session tickets are pending bytes, but not a response.
    for tickets in [0, 2] {
        let (error, took, _) = stalled_over_tls(tickets, Duration::from_secs(30));
        assert!(matches!(error.kind(), ErrorKind::Transport(error) if error.timed_out), "{error}");
        assert!(error.is_timeout() && error.effect() != Effect::None, "{error}");
        assert!(took < Duration::from_millis(3200), "{took:?} with {tickets} tickets: {error}");
    }
}

#[test]
fn a_server_that_resumes_reading_too_late_gets_no_tls_record_twice() {
    let (error, _, receiver) = stalled_over_tls(0, Duration::from_millis(3300));
    let end = receiver.recv().unwrap();
    assert!(!matches!(&end, Err(error) if error.kind() == io::ErrorKind::InvalidData), "{end:?}: {error}");
    assert!(matches!(error.kind(), ErrorKind::Transport(error) if error.timed_out), "{error}");
}

#[test]
fn an_early_response_of_a_server_that_stops_reading_arrives_at_once() {
    let emulator = emulator();
    let nomic = builder(&emulator).upload_deadline(Duration::from_secs(20)).build().unwrap();
    emulator.fault(Fault::any(FaultKind::EarlyResponse { status: 413, after_bytes: 0, close: false }));
    let began = Instant::now();
    let error = nomic.upload(Upload::from_reader("a.bin", io::repeat(0).take(64 << 20), 64 << 20)).unwrap_err();
    assert_eq!(error.status(), Some(413), "{error}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_success_before_the_document_was_read_is_an_error() {
    let server = RawServer::new(|mut stream| {
        let _ = stream.read(&mut [0; 1000]);
        stream.write_all(response("200 OK", FILE).as_bytes()).unwrap();
    });
    let nomic = Nomic::new(server.url(), "npk_x").unwrap();
    let error = nomic.upload(Upload::from_reader("a.bin", io::repeat(0).take(64 << 20), 64 << 20)).unwrap_err();
    assert!(error.to_string().contains("before it had read the whole request"), "{error}");
    assert!(error.effect() != Effect::None);
}

#[test]
fn an_interim_response_is_not_an_early_response() {
    let server = RawServer::new(|mut stream| {
        let _ = stream.read(&mut [0; 1000]);
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        std::thread::sleep(Duration::from_millis(600));
        let mut taken = 1000_u64;
        let mut piece = vec![0; 1 << 16];
        while taken < 16 << 20 {
            taken += stream.read(&mut piece).unwrap() as u64;
        }
        stream.write_all(response("201 Created", FILE).as_bytes()).unwrap();
        let _ = stream.read(&mut piece);
    });
    let nomic = Nomic::new(server.url(), "npk_x").unwrap();
    nomic.upload(Upload::from_reader("a.bin", io::repeat(0).take(16 << 20), 16 << 20)).unwrap();
}

#[test]
fn an_early_response_after_interim_ones_arrives_at_once() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
    for interim in ["HTTP/1.1 100 Continue\r\n\r\n".to_owned(), hints.repeat(3), "HTTP/1.1 102 \r\n\r\n".repeat(40)] {
        let interim = Arc::new(interim);
        let sent = Arc::clone(&interim);
        let server = RawServer::new(move |mut stream| {
            let _ = stream.read(&mut [0; 1000]);
            // The last interim head comes in two parts.
            let (one, other) = sent.split_at(sent.len() - 3);
            stream.write_all(one.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(400));
            stream.write_all(format!("{other}{}", response("413 No", TOO_LARGE)).as_bytes()).unwrap();
            std::thread::sleep(Duration::from_secs(10));
        });
        let nomic =
            Nomic::builder(server.url(), "npk_x").stall_timeout(Duration::from_secs(4)).attempts(1).build().unwrap();
        let began = Instant::now();
        let error = nomic.upload(Upload::from_reader("a.bin", io::repeat(0).take(64 << 20), 64 << 20)).unwrap_err();
        assert_eq!(error.status(), Some(413), "{interim:?}: {error}");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?} with {interim:?}", began.elapsed());
    }
}
