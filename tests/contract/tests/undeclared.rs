//! The statuses that the emulator gives and the contract does not list are those of `undeclared.txt`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use nomic_contract::{Contract, Operation};
use nomic_emulator::{Emulator, Fault, FaultKind, Limits};
use serde_json::{Value, json};

/// In the format of an id, but nothing has it.
const UNKNOWN: &str = "019abc12-3456-7890-abcd-ef1234567890";
const JSON: &str = "Content-Type: application/json\r\n";

/// Sends requests to an emulator, and collects the statuses that each operation gives.
struct Probe {
    emulator: Emulator,
    given: BTreeSet<(String, u16)>,
    unexpected: Vec<String>,
}

impl Probe {
    /// Sends a request that the operation answers with this status. Returns the body.
    fn expect(&mut self, status: u16, operation: &str, line: &str, headers: &str, body: &str) -> Value {
        let authorization = format!("Authorization: Bearer {}\r\n", self.emulator.key());
        self.expect_with(status, operation, line, &(authorization + headers), body)
    }

    /// The same without a key.
    fn expect_with(&mut self, status: u16, operation: &str, line: &str, headers: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(self.emulator.address()).unwrap();
        let length = format!("Content-Length: {}\r\n", body.len());
        let length = if headers.contains("chunked") || headers.contains("Content-Length") { "" } else { &length };
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}{length}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let received: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        if received != status {
            self.unexpected.push(format!("{operation}: {line}: {received} instead of {status}: {body}"));
        }
        self.given.insert((operation.to_owned(), received));
        serde_json::from_str(body).unwrap_or_default()
    }

    /// What every operation refuses.
    fn refusals(&mut self, operation: &Operation<'_>, too_large: &str) {
        let Operation { name, method, path, scope, .. } = operation;
        let segments = path.split('/').map(|part| if part.starts_with('{') { UNKNOWN } else { part });
        let path = segments.collect::<Vec<_>>().join("/");
        let line = format!("{method} {path}");
        let other_scope = if scope.starts_with("admin") { "developer" } else { "admin" };
        let other_key = self.emulator.issue_key(&[other_scope]);
        self.expect_with(401, name, &line, "Authorization: Bearer npk_wrong\r\n", "");
        self.expect_with(403, name, &line, &format!("Authorization: Bearer {other_key}\r\n"), "");
        self.expect(405, name, &format!("PATCH {path}"), "", "");
        self.expect(400, name, &format!("{line}?colour=red"), "", "");
        if path.contains(UNKNOWN) {
            self.expect(404, name, &line, "", "");
        }
        if *name != "upload_file" {
            self.expect(415, name, &line, "Content-Type: text/plain\r\n", "x");
            self.expect(413, name, &line, JSON, too_large);
        }
    }

    /// What single operations refuse.
    fn special_refusals(&mut self) {
        let form = "Content-Type: multipart/form-data; boundary=b\r\n";
        let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nx\r\n";
        let parent = format!("--b\r\nContent-Disposition: form-data; name=\"parentId\"\r\n\r\n{UNKNOWN}\r\n--b--\r\n");
        let upload = "POST /files/upload";
        self.expect(400, "upload_file", upload, form, "--b--\r\n");
        self.expect(404, "upload_file", upload, form, &(file.to_owned() + &parent));
        self.expect(411, "upload_file", upload, &format!("{form}Transfer-Encoding: chunked\r\n"), "0\r\n\r\n");
        // The emulator refuses the announced length, and does not wait for the content.
        let length = format!("{form}Content-Length: 600000000\r\n");
        self.expect(413, "upload_file", upload, &length, "");

        let text = self.emulator.add_file("a.txt", "x").unwrap().file_version_id;
        let image = self.emulator.add_file("a.png", "x").unwrap().file_version_id;
        let mut post = |status, operation: &str, target: &str, body: Value| {
            self.expect(status, operation, &format!("POST {target}"), JSON, &body.to_string())
        };
        post(404, "submit_parse", "/parse", json!({"fileVersionId": UNKNOWN}));
        post(422, "submit_parse", "/parse", json!({"fileVersionId": image}));
        post(404, "submit_extract", "/extract", json!({"fileVersionIds": [UNKNOWN], "schema": {}}));
        post(422, "submit_extract", "/extract", json!({"fileVersionIds": [text], "schema": {"a": "string"}}));
        let search = json!({"query": "door", "jurisdiction": "atlantis", "codeType": "building"});
        post(422, "search_codes", "/codes/search", search);
        post(404, "launch_agent", "/agents", json!({"workflowId": UNKNOWN}));

        let prompt = json!({"prompt": {"text": "Go."}});
        self.emulator.fault(Fault::on("launch_agent", FaultKind::JobNeverEnds));
        let agent = self.expect(201, "launch_agent", "POST /agents", JSON, &prompt.to_string());
        let path = format!("POST /agents/{}", agent["data"]["id"].as_str().unwrap());
        self.expect(409, "follow_up_agent", &format!("{path}/followup"), JSON, &prompt.to_string());
        self.expect(200, "stop_agent", &format!("{path}/stop"), "", "");
        self.expect(409, "stop_agent", &format!("{path}/stop"), "", "");
    }
}

/// The table: in each line an operation and its statuses.
fn table() -> BTreeSet<(String, u16)> {
    let lines = include_str!("../undeclared.txt").lines().filter(|line| !line.starts_with('#'));
    let row = |line: &'static str| {
        let (operation, statuses) = line.split_once(' ').unwrap();
        statuses.split(' ').map(|status| (operation.to_owned(), status.parse().unwrap()))
    };
    lines.flat_map(row).collect()
}

#[test]
fn the_statuses_that_the_contract_does_not_list_are_those_of_the_table() {
    let contract = Contract::read().unwrap();
    let operations = contract.operations();
    let emulator = Emulator::builder().limits(Limits::high()).start().unwrap();
    let mut probe = Probe { emulator, given: BTreeSet::new(), unexpected: Vec::new() };
    let too_large = " ".repeat((64 << 20) + 1);
    operations.iter().for_each(|operation| probe.refusals(operation, &too_large));
    probe.special_refusals();
    for operation in &operations {
        probe.emulator.set_quota(operation.tier, 0);
        probe.expect(429, operation.name, &format!("{} {}", operation.method, operation.path), "", "");
    }
    assert!(probe.unexpected.is_empty(), "{}", probe.unexpected.join("\n"));

    let is_declared = |name: &str, status: u16| {
        let operation = operations.iter().find(|operation| operation.name == name).unwrap();
        !operation.entry["responses"][status.to_string()].is_null()
    };
    let undeclared: BTreeSet<_> =
        probe.given.into_iter().filter(|(name, status)| !is_declared(name, *status)).collect();
    let table = table();
    let missing: Vec<_> = undeclared.difference(&table).collect();
    let stale: Vec<_> = table.difference(&undeclared).collect();
    assert!(missing.is_empty(), "given, but neither in the contract nor in undeclared.txt: {missing:?}");
    assert!(stale.is_empty(), "in undeclared.txt, but declared or no longer given: {stale:?}");
}
