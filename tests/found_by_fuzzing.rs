//! What fuzzing found: errors of more than one line, of unbounded length, or with the key in them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::time::Duration;

use common::{emulator, impatient, nomic};
use nomic_client::files::Upload;
use nomic_client::{Error, Nomic, Request};
use nomic_emulator::{CannedResponse, Emulator, Fault, FaultKind};

fn always(status: u16, content_type: &str, body: impl Into<String>) -> Fault {
    Fault::any(CannedResponse::new(status, content_type, body.into())).forever()
}

/// The errors of a server that responds to everything with `status` and `body`.
fn errors(emulator: &Emulator, status: u16, content_type: &str, body: impl Into<String>) -> Vec<Error> {
    emulator.clear_faults();
    emulator.fault(always(status, content_type, body));
    let nomic = nomic(emulator);
    let options = impatient(Duration::from_millis(20));
    let submitted = nomic.parse("v");
    let submitted_job = submitted.and_then(|job| nomic.wait_with(&job, &options)).err();
    let stored_job = nomic.wait_with(&nomic.parse_job("t"), &options).err();
    let extracted = nomic.wait_with(&nomic.extract_job("t"), &options);
    let mismatch = extracted.and_then(|extracted| extracted.deserialize::<Vec<String>>()).err();
    let listed = nomic.users().find_map(Result::err);
    [submitted_job, stored_job, mismatch, listed].into_iter().flatten().collect()
}

#[test]
fn an_error_is_a_line_of_bounded_length_however_much_the_server_says() {
    let emulator = emulator();
    let long = "x".repeat(100_000);
    for (status, content_type, body) in [
        (400, "application/json", format!(r#"{{"error":"a","code":"{long}"}}"#)),
        (400, "application/json", format!(r#"{{"error":"a","issues":[{{"path":["{long}"],"message":"m"}}]}}"#)),
        (400, "application/json", format!(r#"{{"error":"a","issues":[{}7]}}"#, r#"{"message":"m"},"#.repeat(5_000))),
        (418, &long[..9_000], String::new()),
        (200, "application/json", format!(r#"{{"status":"{long}"}}"#)),
        (200, "application/json", format!(r#"{{"taskId":"{long}"}}"#)),
        (200, "application/json", format!(r#"{{"status":"COMPLETED","result":[{{"{long}":1}}]}}"#)),
        (200, "application/json", format!(r#"{{"data":[],"nextCursor":"{}"}}"#, &long[..20_000])),
    ] {
        for error in errors(&emulator, status, content_type, body) {
            let line = error.to_string();
            assert!(line.len() < 8 * 1024, "{} bytes: {:.100}…", line.len(), line);
        }
    }
}

#[test]
fn nothing_from_outside_makes_a_second_line() {
    let one_line = |error: &Error| {
        let line = error.to_string();
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{2028}'), "{line:?}");
    };
    let emulator = emulator();
    for (status, body) in [(400, r#"{"error":"a","issues":[{"path":[["\u0085"]]}]}"#), (200, r#"{"taskId":"a\nb"}"#)] {
        errors(&emulator, status, "application/json", body).iter().for_each(one_line);
    }
    let nomic = nomic(&emulator);
    one_line(&nomic.upload(Upload::from_bytes("a\nb", "")).unwrap_err());
    one_line(&nomic.upload(Upload::from_path("no/such\nfile")).unwrap_err());
    one_line(&nomic.call::<()>(&Request::get("/a\r\nb")).unwrap_err());
}

#[test]
fn a_key_that_the_server_echoes_is_in_no_error() {
    let emulator = emulator();
    let key = emulator.key();
    let escaped = key.replacen('_', "\\u005f", 1);
    for (status, body) in [
        (400, format!(r#"{{"error":"bad {escaped}","code":"{escaped}","issues":[{{"path":["{escaped}"]}}]}}"#)),
        (200, format!(r#"{{"data":[],"nextCursor":"{key}"}}"#)),
        (200, format!(r#"{{"status":"{key}"}}"#)),
        (200, format!(r#"{{"status":"FAILED","error":"bad {key}"}}"#)),
    ] {
        for error in errors(&emulator, status, "application/json", body) {
            assert!(!format!("{error} {error:#?}").contains(key), "{error:#?}");
        }
    }
}

#[test]
fn a_base_url_with_a_secret_is_refused_without_being_shown() {
    const KEY: &str = "npk_secret";
    for text in [
        "npk_secret",
        "Bearer npk_secret",
        "https://acme.nomic.ai?key=npk_secret",
        "https://acme.nomic.ai/npk_secret",
        "https://user:npk_secret@acme.nomic.ai/?x",
        "https:/user:npk_secret@acme",
        "https//user:npk_secret@acme",
    ] {
        let builder = Nomic::builder(text, "npk_other");
        assert!(!format!("{builder:?}").contains(KEY), "{builder:?}");
        let error = builder.build().unwrap_err().to_string();
        assert!(!error.contains(KEY), "{error}");
    }
}

#[test]
fn a_retry_after_of_too_many_seconds_is_not_read_as_absent() {
    let emulator = emulator();
    emulator.fault(Fault::any(FaultKind::RateLimited { retry_after: Some("18446744073709551616".into()) }));
    let nomic = nomic(&emulator);
    let error = nomic.agent("a").unwrap_err();
    assert!(error.retry_after().is_some(), "{error}");
    assert!(nomic.agent("a").unwrap_err().is_rate_limited());
    assert_eq!(emulator.received("get_agent"), 1);
}
