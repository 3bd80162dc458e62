//! The emulator's responses conform to the contract: the status is declared, and the body matches the schema.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use nomic_contract::Contract;
use nomic_emulator::{Emulator, Limits};
use serde_json::{Value, json};

/// A minimal HTTP client, independent of the crate's: one request per connection.
struct RawClient<'a> {
    emulator: &'a Emulator,
    contract: &'a Contract,
    called: BTreeSet<String>,
    wrong: Vec<String>,
}

impl RawClient<'_> {
    /// Sends a request and checks the response against the contract. Returns status and body.
    fn send(&mut self, method: &str, target: &str, content_type: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.emulator.address()).unwrap();
        let (key, length) = (self.emulator.key(), body.len());
        let kind = if body.is_empty() { String::new() } else { format!("Content-Type: {content_type}\r\n") };
        let head = format!(
            "{method} /api/v0{target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\
             {kind}Content-Length: {length}\r\n\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body: Value = if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() };
        self.check(method, target, status, head, &body);
        (status, body)
    }

    fn check(&mut self, method: &str, target: &str, status: u16, head: &str, body: &Value) {
        let operation = self.emulator.requests().pop().and_then(|request| request.operation);
        let operations = self.contract.operations();
        let operation = operations.iter().find(|one| Some(one.name) == operation).unwrap();
        let label = format!("{method} {target} {status}");
        let response = &operation.entry["responses"][status.to_string()];
        if response.is_null() {
            self.wrong.push(format!("{label}: the contract does not declare this status"));
            return;
        }
        let schema = &self.contract.resolved(response)["content"]["application/json"]["schema"];
        if !schema.is_null() {
            let schema = json!({"allOf": [schema], "components": self.contract.components()});
            let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
            self.wrong.extend(
                validator.iter_errors(body).map(|error| format!("{label}: {}: {error}", error.instance_path())),
            );
        }
        for header in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "date"] {
            if status != 401 && !head.to_ascii_lowercase().contains(&format!("\r\n{header}: ")) {
                self.wrong.push(format!("{label}: lacks the header {header}"));
            }
        }
        if (200..300).contains(&status) {
            self.called.insert(operation.name.to_owned());
        }
    }

    fn get(&mut self, target: &str) -> Value {
        self.send("GET", target, "", "").1
    }

    fn post(&mut self, target: &str, body: &Value) -> (u16, Value) {
        self.send("POST", target, "application/json", &body.to_string())
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {value}"))
}

#[test]
fn every_response_of_the_emulator_conforms_to_the_contract() {
    let contract = Contract::read().unwrap();
    let limits = Limits::documented(nomic_emulator::LimitModel::FullBurst);
    let emulator = Emulator::builder().limits(limits).job_time(Duration::ZERO).start().unwrap();
    let mut raw = RawClient { emulator: &emulator, contract: &contract, called: BTreeSet::new(), wrong: Vec::new() };
    let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n\
                Level: 3\r\n--b--\r\n";
    let (_, file) = raw.send("POST", "/files/upload", "multipart/form-data; boundary=b", form);
    let (id, version) = (text(&file, "/id").to_owned(), text(&file, "/fileVersionId").to_owned());
    raw.get("/files/search?query=a&limit=1");
    let (_, task) = raw.post("/parse", &json!({"fileVersionId": version}));
    raw.get(&format!("/parse/{}", text(&task, "/taskId")));
    let schema = json!({"type": "object", "properties": {"level": {"type": "integer"}}});
    let body = json!({"fileVersionIds": [version], "schema": schema, "enableCitations": true});
    let (_, task) = raw.post("/extract", &body);
    raw.get(&format!("/extract/{}", text(&task, "/taskId")));
    raw.post("/codes/search", &json!({"query": "sprinkler", "jurisdiction": "texas", "codeType": "building"}));
    let (_, agent) = raw.post("/agents", &json!({"prompt": {"text": "Go."}, "fileIds": [id], "mode": "deep"}));
    let agent = text(&agent, "/data/id").to_owned();
    raw.get("/agents?limit=1");
    raw.get(&format!("/agents/{agent}"));
    raw.get(&format!("/agents/{agent}/conversation"));
    let artifacts = raw.get(&format!("/agents/{agent}/artifacts"));
    raw.get(&format!("/agents/{agent}/artifacts/{}", text(&artifacts, "/data/0/id")));
    raw.post(&format!("/agents/{agent}/followup"), &json!({"prompt": {"text": "More."}}));
    // Jobs end at once here, so that stopping one fails with 409; a job that never ends can be stopped.
    raw.send("POST", &format!("/agents/{agent}/stop"), "", "");
    emulator.fault(nomic_emulator::Fault::on("launch_agent", nomic_emulator::FaultKind::JobNeverEnds));
    let (_, endless) = raw.post("/agents", &json!({"prompt": {"text": "Go."}}));
    raw.send("POST", &format!("/agents/{}/stop", text(&endless, "/data/id")), "", "");
    raw.send("DELETE", &format!("/agents/{agent}"), "", "");
    raw.send("DELETE", &format!("/agents/{agent}"), "", "");
    raw.get("/workflows");
    raw.get("/projects");
    let users = raw.get("/users?limit=2");
    let user = text(&users, "/data/1/id").to_owned();
    raw.get(&format!("/users/{user}"));
    raw.get("/users/nobody");
    raw.post(&format!("/users/{user}/disable"), &json!({"reason": "gone"}));
    raw.send("POST", &format!("/users/{user}/enable"), "", "");
    let keys = raw.get("/api-keys?includeRevoked=true&limit=1");
    raw.get("/audit-logs?limit=5&action=user.disabled");
    raw.get("/analytics/users?limit=2");
    // This client's own key, last.
    let own = raw.get("/api-keys?limit=1");
    raw.send("POST", &format!("/api-keys/{}/revoke", text(&own, "/data/0/id")), "", "");
    assert!(keys["data"].is_array());

    assert!(raw.wrong.is_empty(), "{}", raw.wrong.join("\n"));
    let known: BTreeSet<_> = contract.operations().iter().map(|one| one.name.to_owned()).collect();
    assert_eq!(raw.called, known, "every operation succeeded once");
}
