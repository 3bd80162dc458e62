//! Parse, extract and agents, from the file to the result.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{Client, quick};
use nomic_emulator::{Emulator, Limits};
use serde_json::{Value, json};

const PERMIT: &str =
    "# Drilling permit\n\nPermit number: OG-2026-114\nOperator: Gulf Star LLC\n\nThe well lies in block 7.\n";
const UNKNOWN: &str = "019abc12-3456-7890-abcd-ef1234567890";

#[test]
fn the_text_of_the_document_is_parsed() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let file = client.upload("permit.md", PERMIT);
    let submitted = client.post("/parse", json!({ "fileVersionId": file["fileVersionId"] }));
    let task = submitted.expect(202)["taskId"].as_str().unwrap().to_owned();
    let job = client.wait(&format!("/parse/{task}"));
    assert_eq!((&job["status"], &job["taskId"], &job["error"]), (&json!("COMPLETED"), &json!(task), &Value::Null));
    let chunks = job["result"]["chunks"].as_array().unwrap();
    let text: String = chunks.iter().map(|chunk| chunk["content"].as_str().unwrap()).collect();
    assert!(text.contains("OG-2026-114") && text.contains("The well lies in block 7."), "{text}");
    assert_eq!(client.get(&format!("/extract/{task}")).expect(404)["error"], "Task not found");
}

#[test]
fn values_are_extracted_with_citations_if_requested() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let version = client.upload("permit.md", PERMIT)["fileVersionId"].take();
    let schema = json!({ "type": "object", "properties": {
        "permitNumber": { "type": "string" }, "operator": { "type": "string" }, "bondAmount": { "type": "number" } } });
    for citations in [true, false] {
        let body = json!({ "fileVersionIds": [version], "schema": schema, "enableCitations": citations });
        let task = client.post("/extract", body).expect(202)["taskId"].as_str().unwrap().to_owned();
        let job = client.wait(&format!("/extract/{task}"));
        assert_eq!(job["result"]["permitNumber"], "OG-2026-114");
        assert_eq!(job["result"]["operator"], "Gulf Star LLC");
        assert!(job["result"]["bondAmount"].is_null());
        assert_eq!(job.get("citations").is_some(), citations);
        if citations {
            assert_eq!(job["citations"]["permitNumber"][0]["fileVersionId"], version);
        }
    }
}

#[test]
fn an_extract_job_on_several_files_is_one_entry_of_the_audit_log() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let versions = ["a.md", "b.md"].map(|name| client.upload(name, PERMIT)["fileVersionId"].take());
    client.post("/extract", json!({ "fileVersionIds": versions, "schema": {} })).expect(202);
    let entries = client.get("/audit-logs?limit=2").expect(200)["data"].take();
    let targets: Vec<&Value> = entries[0]["targets"].as_array().unwrap().iter().map(|target| &target["id"]).collect();
    assert_eq!(targets, [&versions[0], &versions[1]]);
    let actions = [&entries[0]["action"], &entries[1]["action"]];
    assert_eq!(actions, ["extract.submitted", "file.uploaded"]);
}

#[test]
fn an_object_that_is_not_a_schema_is_refused_with_a_suggestion() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let version = client.upload("permit.md", PERMIT)["fileVersionId"].take();
    let body = |schema: Value| json!({ "fileVersionIds": [version], "schema": schema });
    let refusal = client.post("/extract", body(json!({ "permitNumber": "string" }))).expect(422);
    assert_eq!(refusal["code"], "unprocessable");
    assert!(refusal["error"].as_str().unwrap().contains("properties"), "{refusal}");
    for schema in [json!({}), json!({ "type": "object" })] {
        client.post("/extract", body(schema)).expect(202);
    }
}

#[test]
fn an_added_file_is_found_and_parsed() {
    let emulator = quick();
    let file = emulator.add_file("permits/permit.txt", "Level: 1").unwrap();
    assert_eq!((file.name.as_str(), emulator.received("upload_file"), emulator.uploads().len()), ("permit.txt", 0, 0));
    let mut client = Client::new(&emulator);
    let found = client.get("/files/search?query=permit").expect(200);
    assert_eq!(found["data"][0]["id"], json!(file.id), "{found}");
    let task = client.post("/parse", json!({ "fileVersionId": file.file_version_id })).expect(202);
    let job = client.wait(&format!("/parse/{}", task["taskId"].as_str().unwrap()));
    assert_eq!(job["result"]["chunks"][0]["content"], "Level: 1", "{job}");

    let again = emulator.add_file("permits/permit.txt", "Level: 2").unwrap();
    assert_eq!(again.id, file.id);
    assert_ne!(again.file_version_id, file.file_version_id);
    for path in ["", "/a.txt", "a//b.txt", "permits", "permits/permit.txt/b.txt", "../a.txt"] {
        assert_eq!(emulator.add_file(path, "x").unwrap_err().kind(), std::io::ErrorKind::InvalidInput, "{path}");
    }
}

#[test]
fn files_that_cannot_be_parsed_are_refused_or_fail() {
    let emulator =
        Emulator::builder().limits(Limits::off()).job_time(Duration::ZERO).integration_files(1).start().unwrap();
    let mut client = Client::new(&emulator);
    let refusal = client.post("/parse", json!({ "fileVersionId": UNKNOWN })).expect(404);
    assert_eq!(refusal, json!({ "error": "File version not found", "code": "not_found" }));
    let zip = client.upload("archive.zip", "PK");
    // The extension of the name matters more than the MIME type.
    let form = common::file_part("archive.zip", "application/zip", "PK") + "--XX--\r\n";
    assert_eq!(zip["name"], "archive.zip");
    let zip = client.form(form.as_bytes()).expect(201);
    let refusal = client.post("/parse", json!({ "fileVersionId": zip["fileVersionId"] })).expect(422);
    assert_eq!(refusal["code"], "unprocessable");
    let error = refusal["error"].as_str().unwrap();
    assert!(error.contains("this emulator reads txt, md, html and pdf; the real service reads more"), "{error}");
    let body = json!({ "fileVersionIds": [zip["fileVersionId"]], "schema": {} });
    client.post("/extract", body).expect(422);
    let broken = client.upload("broken.pdf", "%PDF-1.7 and nothing more");
    let task = client.post("/parse", json!({ "fileVersionId": broken["fileVersionId"] })).expect(202);
    let job = client.wait(&format!("/parse/{}", task["taskId"].as_str().unwrap()));
    assert_eq!(job["status"], "FAILED");
    assert!(job["error"].as_str().unwrap().contains("broken.pdf"), "{job}");
    assert_eq!(job["result"], Value::Null);
}

#[test]
fn bodies_are_validated_with_issues() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    for (target, body, path) in [
        ("/parse", json!({}), json!(["fileVersionId"])),
        ("/parse", json!({ "fileVersionId": "x" }), json!(["fileVersionId"])),
        ("/parse", json!({ "fileVersionId": UNKNOWN, "more": 1 }), json!([])),
        (
            "/parse",
            json!({ "fileVersionId": UNKNOWN, "options": { "summaryWordLimit": 9 } }),
            json!(["options", "summaryWordLimit"]),
        ),
        (
            "/parse",
            json!({ "fileVersionId": UNKNOWN, "options": { "ocrLanguage": "fr" } }),
            json!(["options", "ocrLanguage"]),
        ),
        (
            "/parse",
            json!({ "fileVersionId": UNKNOWN, "options": { "tableSummary": {} } }),
            json!(["options", "tableSummary", "enabled"]),
        ),
        ("/extract", json!({ "fileVersionIds": [], "schema": {} }), json!(["fileVersionIds"])),
        ("/extract", json!({ "fileVersionIds": [UNKNOWN, 1], "schema": {} }), json!(["fileVersionIds", 1])),
        ("/extract", json!({ "fileVersionIds": [UNKNOWN], "schema": [] }), json!(["schema"])),
        ("/agents", json!({}), json!(["prompt", "text"])),
        ("/agents", json!({ "prompt": { "text": " " } }), json!(["prompt", "text"])),
        (
            "/agents",
            json!({ "prompt": { "text": "a", "images": [{ "data": "?" }] } }),
            json!(["prompt", "images", 0, "data"]),
        ),
        ("/agents", json!({ "prompt": { "text": "a" }, "projectId": "alpha" }), json!(["projectId"])),
        ("/agents", json!({ "prompt": { "text": "a" }, "inputs": {} }), json!(["inputs"])),
        ("/codes/search", json!({ "query": "x", "jurisdiction": "texas" }), json!(["codeType"])),
    ] {
        let refusal = client.post(target, body.clone()).expect(400);
        assert_eq!(refusal["code"], "validation_failed", "{body}");
        assert_eq!(refusal["issues"][0]["path"], path, "{body}");
        assert!(!refusal["issues"][0]["message"].as_str().unwrap().is_empty());
    }
}

fn launch(client: &mut Client, body: Value) -> String {
    client.post("/agents", body).expect(201)["data"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_agent_reads_its_files_and_writes_about_them() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let file = client.upload("permits/permit.md", PERMIT);
    let folder = file["parentId"].clone();
    let project = client.get("/projects").expect(200)["data"][0]["id"].take();
    // Unknown fields are ignored.
    let body = json!({ "prompt": { "text": "Who is the operator?", "images": [{ "data": "aGk=", "dimension": { "width": 1, "height": 1 } }] },
        "projectId": project, "mode": "fast", "source": { "fileIds": [folder] } });
    let launched = client.post("/agents", body).expect(201)["data"].take();
    assert_eq!(
        (&launched["status"], &launched["projectId"], &launched["workflowId"]),
        (&json!("waiting"), &project, &Value::Null)
    );
    assert_eq!(launched["files"], json!([{ "id": file["id"], "name": "permit.md" }]));
    let id = launched["id"].as_str().unwrap().to_owned();
    let agent = client.wait(&format!("/agents/{id}"));
    assert_eq!(agent["status"], "finished");
    let artifacts = agent["artifacts"].as_array().unwrap().clone();
    assert!(artifacts.iter().all(|artifact| artifact.get("content").is_none()));
    assert_eq!(client.get(&format!("/agents/{id}/artifacts")).expect(200)["data"], json!(artifacts));
    let full = |client: &mut Client, kind: &str| {
        let artifact = artifacts.iter().find(|artifact| artifact["type"] == kind).unwrap();
        client.get(&format!("/agents/{id}/artifacts/{}", artifact["id"].as_str().unwrap())).expect(200)["data"].take()
    };
    let markdown = full(&mut client, "markdown");
    assert!(markdown["content"].as_str().unwrap().contains("Gulf Star LLC"), "{markdown}");
    let table = full(&mut client, "table");
    let columns = table["content"]["columns"].as_array().unwrap().len();
    assert!(table["content"]["rows"].as_array().unwrap().iter().all(|row| row.as_array().unwrap().len() == columns));
    client.get(&format!("/agents/{id}/artifacts/{UNKNOWN}")).expect(404);

    let followed = client.post(&format!("/agents/{id}/followup"), json!({ "prompt": { "text": "And the number?" } }));
    assert_eq!(followed.expect(200)["data"]["status"], "running");
    client.wait(&format!("/agents/{id}"));
    let messages = client.get(&format!("/agents/{id}/conversation")).expect(200)["messages"].take();
    let said: Vec<&str> = messages
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["type"] == "user_message")
        .map(|message| message["text"].as_str().unwrap())
        .collect();
    assert_eq!(said, ["Who is the operator?", "And the number?"]);
    assert_eq!(messages.as_array().unwrap().last().unwrap()["type"], "assistant_message");

    assert_eq!(client.delete(&format!("/agents/{id}")).expect(200), json!({ "id": id }));
    client.get(&format!("/agents/{id}")).expect(404);
    client.delete(&format!("/agents/{id}")).expect(404);
    let actions = client.get("/audit-logs?limit=4").expect(200)["data"].take();
    let actions: Vec<&str> =
        actions.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["agent.deleted", "agent.followed_up", "agent.launched", "file.uploaded"]);
}

#[test]
fn workflows_accept_only_their_own_inputs() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let workflows = client.get("/workflows").expect(200)["data"].take();
    let named = |name: &str| {
        workflows.as_array().unwrap().iter().find(|workflow| workflow["name"] == name).unwrap()["id"].clone()
    };
    let (review, index) = (named("Submittal review"), named("Sheet index"));
    let file = client.upload("a.txt", "Mark: D1")["id"].take();
    let both = json!({ "submittal": [file], "specification": [file] });
    for (body, path) in [
        (json!({ "workflowId": review }), json!(["inputs", "submittal"])),
        (json!({ "workflowId": review, "inputs": { "submittal": [file] } }), json!(["inputs", "specification"])),
        (json!({ "workflowId": review, "inputs": { "drawing": [file] } }), json!(["inputs", "drawing"])),
        (json!({ "workflowId": review, "inputs": both, "prompt": { "text": "x" } }), json!(["prompt"])),
        (json!({ "workflowId": index, "fileIds": [file] }), json!(["fileIds"])),
    ] {
        assert_eq!(client.post("/agents", body.clone()).expect(400)["issues"][0]["path"], path, "{body}");
    }
    for body in [
        json!({ "workflowId": UNKNOWN }),
        json!({ "prompt": { "text": "x" }, "fileIds": [UNKNOWN] }),
        json!({ "prompt": { "text": "x" }, "projectId": UNKNOWN }),
        json!({ "workflowId": review, "inputs": { "submittal": [UNKNOWN], "specification": [file] } }),
    ] {
        client.post("/agents", body).expect(404);
    }
    assert_eq!(emulator.accepted("launch_agent"), 0);
    let id = launch(&mut client, json!({ "workflowId": review, "inputs": both }));
    launch(&mut client, json!({ "workflowId": index, "prompt": { "text": "x" } }));
    launch(&mut client, json!({ "workflowId": index }));
    let agent = client.wait(&format!("/agents/{id}"));
    assert_eq!((&agent["workflowId"], agent["files"].as_array().unwrap().len()), (&review, 1));
    let listed = client.get(&format!("/agents?workflowId={}", index.as_str().unwrap())).expect(200);
    assert_eq!(listed["totalCount"], 2);
}

#[test]
fn an_agent_can_be_stopped_only_while_running_and_followed_up_only_afterwards() {
    let emulator = Emulator::builder().job_time(Duration::from_secs(3600)).start().unwrap();
    let mut client = Client::new(&emulator);
    let id = launch(&mut client, json!({ "prompt": { "text": "hi" } }));
    let question = json!({ "prompt": { "text": "and?" } });
    assert_eq!(client.post(&format!("/agents/{id}/followup"), question.clone()).expect(409)["code"], "conflict");
    assert_eq!(client.post(&format!("/agents/{id}/stop"), json!({})).expect(200)["data"]["status"], "stopped");
    client.post(&format!("/agents/{id}/stop"), json!({})).expect(409);
    assert_eq!(client.get("/agents?status=stopped").expect(200)["totalCount"], 1);
    client.post(&format!("/agents/{id}/followup"), question).expect(200);
    assert_eq!(client.get("/agents?status=waiting").expect(200)["totalCount"], 1);
    client.post("/agents/unknown/stop", json!({})).expect(404);
    client.post("/agents/unknown/followup", json!({})).expect(404);
}

#[test]
fn an_rfi_triage_waits_for_a_tool() {
    let emulator = Emulator::builder().limits(Limits::off()).job_time(Duration::from_millis(800)).start().unwrap();
    let mut client = Client::new(&emulator);
    let workflows = client.get("/workflows").expect(200)["data"].take();
    let triage = workflows.as_array().unwrap().iter().find(|workflow| workflow["name"] == "RFI triage").unwrap();
    let id = launch(&mut client, json!({ "workflowId": triage["id"] }));
    let mut seen: Vec<String> = Vec::new();
    while seen.last().is_none_or(|status| status != "finished") {
        let status = client.get(&format!("/agents/{id}")).expect(200)["data"]["status"].take();
        seen.push(status.as_str().unwrap().to_owned());
        seen.dedup();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(seen, ["waiting", "running", "awaiting_tool", "running", "finished"]);
}
