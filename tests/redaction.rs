//! The key is in no Debug, no Display, no log record and no panic message.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::fmt::Write;
use std::sync::Mutex;

use common::{builder, document, emulator};
use nomic_client::agents::Launch;
use nomic_client::{Error, Nomic};
use nomic_emulator::{CannedResponse, Fault, FaultKind};

/// The log records of this crate at all levels, and of other crates from debug on.
struct Records(Mutex<Vec<String>>);

static RECORDS: Records = Records(Mutex::new(Vec::new()));

impl log::Log for Records {
    fn enabled(&self, about: &log::Metadata<'_>) -> bool {
        about.level() <= log::Level::Debug || about.target().starts_with("nomic_client")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().unwrap().push(format!("{} {} {}", record.level(), record.target(), record.args()));
        }
    }

    fn flush(&self) {}
}

#[test]
fn the_key_is_shown_nowhere() {
    log::set_logger(&RECORDS).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let emulator = emulator();
    let key = emulator.key().to_owned();
    let mut shown = String::new();
    let mut show = |error: &Error| {
        write!(shown, "{error}\n{error:?}\n{error:#?}\n").unwrap();
        error.to_string()
    };

    let setup = builder(&emulator).attempts(2);
    let debug = format!("{setup:?}");
    let nomic = setup.build().unwrap();
    let job = nomic.parse(document(&nomic)).unwrap();
    nomic.wait(&job).unwrap();
    let moved = builder(&emulator).operation_path("get_agent", "/all-agents/{id}").build().unwrap();
    show(&moved.agent("a").unwrap_err());
    let agents = nomic.agents();
    let debug = format!("{debug}{nomic:?}{nomic:#?}{agents:?}{:?}", nomic.polls_with(&job, &Default::default()));

    // A server that echoes the key, in each kind of error.
    let echo = |status, content_type, body: String| FaultKind::from(CannedResponse::new(status, content_type, body));
    let echoes = [
        echo(401, "application/json", format!(r#"{{"error":"unknown key {key}","code":"{key}"}}"#)),
        echo(
            400,
            "application/json",
            format!(r#"{{"error":"bad","issues":[{{"path":["{key}"],"message":"{key}"}}]}}"#),
        ),
        echo(502, "text/html", format!("<html>Authorization: Bearer {key}</html>")),
        echo(200, "application/json", format!(r#"{{"id":7,"key":"{key}"}}"#)),
        echo(200, "application/json", format!(r#"{{"id":"a","status":{{"is":"{key}"}}}}"#)),
        echo(200, "text/plain", format!("Bearer {key}")),
        // So many keys that wherever the text is truncated, a key is cut.
        echo(502, "text/html", format!("<{}", key.repeat(1000))),
        echo(200, "application/json", format!(r#"{{"id":7,"a":"{}"}}"#, key.repeat(1000))),
    ];
    for kind in echoes {
        emulator.clear_faults();
        emulator.fault(Fault::any(kind).forever());
        let text = show(&nomic.agent("a").unwrap_err());
        let panic = std::panic::catch_unwind(|| nomic.launch_agent(&Launch::prompt("Go.")).unwrap()).unwrap_err();
        let panic = panic.downcast_ref::<String>().unwrap();
        assert!(!panic.contains(&key), "in a panic");
        assert!(!text.is_empty());
    }
    // An optional field of an unexpected type is ignored; its path is logged, not its value.
    emulator.clear_faults();
    emulator.fault(Fault::any(echo(
        200,
        "application/json",
        format!(r#"{{"id":"a","status":"b","files":[{{"id":"f","name":["{key}"]}}],"artifacts":"{key}"}}"#),
    )));
    let agent = nomic.agent("a").unwrap();
    assert!(agent.artifacts.is_empty() && agent.files.len() == 1 && agent.files[0].name.is_none(), "{agent:?}");
    for kind in [FaultKind::ResetBefore, FaultKind::ResetInHead, FaultKind::TruncatedJson, FaultKind::MalformedJson] {
        emulator.clear_faults();
        emulator.fault(Fault::any(kind).forever());
        show(&nomic.projects().next().unwrap().unwrap_err());
    }
    for bad in [format!("{key}\n"), format!("{key} {key}"), format!("{key}\0")] {
        show(&Nomic::new("acme", bad).unwrap_err());
    }

    let records = std::mem::take(&mut *RECORDS.0.lock().unwrap());
    // Headers that echo the key come last: ureq's own log record of a response shows these two.
    for kind in [
        echo(418, &key, "I am a teapot".to_owned()),
        FaultKind::Redirect { status: 302, location: format!("http://127.0.0.1/?key={key}") },
    ] {
        emulator.clear_faults();
        emulator.fault(Fault::any(kind).forever());
        show(&nomic.agent("a").unwrap_err());
    }

    assert!(!debug.contains(&key), "in a Debug: {debug}");
    assert!(!shown.contains(&key[..key.len() / 2]), "in an error");
    assert!(records.iter().any(|record| record.contains("nomic_client submit_parse POST /parse 20")), "{records:#?}");
    assert!(records.iter().any(|record| record.contains("get_agent GET /all-agents/a 404")), "{records:#?}");
    assert!(records.iter().any(|record| record.contains("ureq")), "the records of other crates are seen");
    for path in ["files", "artifacts"] {
        let line = format!("DEBUG nomic_client ignored a value of an unexpected type at {path}");
        assert!(records.contains(&line), "{path}: {records:#?}");
    }
    for record in &records {
        assert!(!record.contains(&key), "in a log record: {record}");
    }
}
