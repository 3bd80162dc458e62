//! Every request that the client can make is one that the contract allows: path, query, body, form.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use nomic_client::agents::{self, AgentStatus, Dimension, Image, Launch, Prompt};
use nomic_client::files::{self, Upload};
use nomic_client::parse::OcrLanguage;
use nomic_client::{Nomic, analytics, api_keys, audit_logs, codes, extract, parse, users};
use nomic_contract::Contract;
use nomic_emulator::{Emulator, Limits, Request};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// Calls every method with every option.
fn drive(nomic: &Nomic) {
    let file = nomic.upload(Upload::from_bytes("a.txt", "Level: 3\n")).unwrap();
    nomic.upload(Upload::from_bytes("b.txt", "Level: 4\n").destination("x/y/b.txt")).unwrap();
    let folder = nomic.search_files("b.txt").next().unwrap().unwrap().parent_id.unwrap();
    nomic.upload(Upload::from_bytes("c.txt", "Level: 5\n").parent(folder).destination("z/c.txt")).unwrap();
    let filter = files::Filter::default().integration_id("drive");
    nomic.search_files_with("ä&b=c", &filter).page_size(50).for_each(|hit| drop(hit.unwrap()));

    for options in [
        parse::Options::default(),
        parse::Options::default()
            .ocr_language(OcrLanguage::ChineseJapaneseEnglish)
            .figure_summary(true)
            .table_summary(false)
            .summary_word_limit(10)
            .embed_chunks(false),
        parse::Options::default().summary_word_limit(100).ocr_language(OcrLanguage::English),
    ] {
        nomic.wait(&nomic.parse_with(&file.file_version_id, &options).unwrap()).unwrap();
    }
    let schema = json!({"type": "object", "properties": {"level": {"type": "integer"}}});
    for citations in [true, false] {
        let files = [&file.file_version_id, &file.file_version_id];
        let options = extract::Options::default().citations(citations);
        nomic.wait(&nomic.extract_with(files, &schema, &options).unwrap()).unwrap();
    }

    let search = codes::Search::new("sprinkler").jurisdiction("texas").code_type("building");
    nomic.search_codes(&search).unwrap();
    nomic.search_codes(&search.year(2021).limit(50).keyword("sprinkler")).unwrap();

    let image = Image::from_bytes_with_size(b"no image", Dimension { width: 1, height: 1 });
    let project = nomic.projects().page_size(1).next().unwrap().unwrap();
    let simple = Launch::prompt(Prompt::new("Go.").image(image.clone())).project(project.id).files([&file.id]);
    let agent = nomic.wait(&nomic.launch_agent(&simple).unwrap()).unwrap();
    for workflow in nomic.workflows().page_size(2) {
        let workflow = workflow.unwrap();
        let mut launch = Launch::workflow(workflow.id);
        for slot in workflow.inputs {
            launch = launch.input(slot.name, [&file.id]);
        }
        nomic.launch_agent(&launch).unwrap();
    }
    let filter =
        agents::Filter::default().status(AgentStatus::Finished).workflow_id("019abc12-3456-7890-abcd-ef1234567890");
    nomic.agents_with(&filter).page_size(100).for_each(|agent| drop(agent.unwrap()));
    nomic.agents().page_size(1).for_each(|agent| drop(agent.unwrap()));
    nomic.agent(&agent.id).unwrap();
    nomic.conversation(&agent.id).unwrap();
    for artifact in nomic.artifacts(&agent.id) {
        nomic.artifact(&agent.id, &artifact.unwrap().id).unwrap();
    }
    nomic.follow_up_agent(&agent.id, Prompt::new("More.").image(image)).unwrap();
    let _ = nomic.stop_agent(&agent.id);
    nomic.delete_agent(&agent.id).unwrap();

    let user = nomic.users_with(&users::Filter::default().email("bob")).page_size(1).next().unwrap().unwrap();
    nomic.user(&user.id).unwrap();
    nomic.disable_user_with(&user.id, &users::DisableOptions::default().reason("a \"reason\"")).unwrap();
    nomic.enable_user(&user.id).unwrap();
    nomic.disable_user(&user.id).unwrap();
    nomic.users().page_size(10).for_each(|user| drop(user.unwrap()));
    let keys = api_keys::Filter::default().user_id(user.id).include_revoked(true);
    let key = nomic.api_keys_with(&keys).page_size(1).next().unwrap().unwrap();
    nomic.revoke_api_key(&key.id).unwrap();
    nomic.api_keys().for_each(|key| drop(key.unwrap()));
    let since = SystemTime::now() - Duration::from_secs(60);
    let logs = audit_logs::Filter::default().action(audit_logs::Action::UserDisabled).since(since);
    nomic.audit_logs_with(&logs).page_size(1).for_each(|entry| drop(entry.unwrap()));
    nomic.audit_logs().page_size(1000).for_each(|entry| drop(entry.unwrap()));
    let filter = analytics::Filter::default().email("example.com");
    nomic.user_analytics_with(&filter).page_size(10).for_each(|user| drop(user.unwrap()));
    nomic.user_analytics().for_each(|user| drop(user.unwrap()));
}

/// A validator for a schema of the contract.
fn validator(contract: &Contract, schema: &Value) -> jsonschema::Validator {
    let whole = json!({"allOf": [schema], "components": contract.components()});
    jsonschema::options().should_validate_formats(true).build(&whole).unwrap()
}

/// Descriptions of what is wrong with a request.
fn faults(contract: &Contract, request: &Request) -> Vec<String> {
    let operations = contract.operations();
    let Some(operation) = operations.iter().find(|one| Some(one.name) == request.operation) else {
        return vec!["is no operation of the contract".to_owned()];
    };
    let mut faults = Vec::new();
    if operation.method != request.method {
        faults.push(format!("is a {}", request.method));
    }
    let parameters = contract.parameters(operation);
    let (_, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap();
        let Some(parameter) = parameters.iter().find(|one| one["in"] == "query" && one["name"] == name) else {
            faults.push(format!("has the parameter {name}, which the contract does not know"));
            continue;
        };
        let value = if parameter["schema"]["type"] == "integer" {
            value.parse::<u64>().map_or(Value::from(value), Value::from)
        } else {
            Value::from(percent_decode_str(value).decode_utf8().unwrap())
        };
        for error in validator(contract, &parameter["schema"]).iter_errors(&value) {
            faults.push(format!("{name}: {error}"));
        }
    }
    for parameter in parameters.iter().filter(|one| one["in"] == "query" && one["required"] == true) {
        let name = parameter["name"].as_str().unwrap();
        if !query.split('&').any(|pair| pair.starts_with(&format!("{name}="))) {
            faults.push(format!("lacks the parameter {name}"));
        }
    }
    let content = &operation.entry["requestBody"]["content"];
    let schema = &content["application/json"]["schema"];
    if schema.is_null() {
        if !request.body.is_empty() {
            faults.push("has a body".to_owned());
        }
    } else if !request.body.is_empty() {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        faults.extend(
            validator(contract, schema).iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())),
        );
        if request.header("content-type") != Some("application/json") {
            faults.push("does not say that it is JSON".to_owned());
        }
    } else if operation.entry["requestBody"]["required"] == true {
        faults.push("lacks its body".to_owned());
    }
    faults
}

#[test]
fn every_request_is_one_that_the_contract_allows() {
    let contract = Contract::read().unwrap();
    let emulator = Emulator::builder().limits(Limits::off()).job_time(Duration::ZERO).start().unwrap();
    drive(&Nomic::new(emulator.url(), emulator.key()).unwrap());
    let requests = emulator.requests();
    let mut wrong = Vec::new();
    for request in &requests {
        for fault in faults(&contract, request) {
            wrong.push(format!("{} {}: {fault}", request.method, request.target));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let called: BTreeSet<_> = requests.iter().filter_map(|request| request.operation).collect();
    let operations = contract.operations();
    let known: BTreeSet<_> = operations.iter().map(|one| one.name).collect();
    assert_eq!(called, known, "every operation was called");

    let upload = operations.iter().find(|one| one.name == "upload_file").unwrap();
    let fields = &upload.entry["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"];
    for upload in emulator.uploads() {
        for part in upload.parts {
            let disposition = &part.headers[0].1;
            let name = disposition.split("name=\"").nth(1).unwrap().split('"').next().unwrap();
            assert!(!fields[name].is_null(), "{disposition}");
        }
    }
}

#[test]
fn every_operation_can_be_sent_to_another_path() {
    let contract = Contract::read().unwrap();
    let operations = contract.operations();
    let mut emulator = Emulator::builder().limits(Limits::off()).job_time(Duration::ZERO);
    let mut paths = Vec::new();
    for operation in &operations {
        let mut segments: Vec<&str> = operation.path.split('/').filter(|part| part.starts_with('{')).rev().collect();
        segments.extend(["moved", operation.name]);
        let path = format!("/{}", segments.join("/"));
        emulator = emulator.move_operation(operation.name, &path);
        paths.push((operation.name, path));
    }
    let emulator = emulator.start().unwrap();
    let builder = || Nomic::builder(emulator.url(), emulator.key());
    let error = builder().build().unwrap().users().next().unwrap().unwrap_err();
    assert!(error.is_not_found(), "{error}");

    let moved = paths.into_iter().fold(builder(), |builder, (name, path)| builder.operation_path(name, path));
    drive(&moved.build().unwrap());
    for operation in operations {
        assert!(emulator.received(operation.name) > 0, "{}", operation.name);
    }
    // The first request is the one to the own path.
    for request in &emulator.requests()[1..] {
        assert!(request.target.contains("/moved/"), "{} {}", request.method, request.target);
    }
}

#[test]
fn a_request_that_the_contract_forbids_is_found() {
    let contract = Contract::read().unwrap();
    let emulator = Emulator::builder().limits(Limits::off()).start().unwrap();
    let nomic = Nomic::new(emulator.url(), emulator.key()).unwrap();
    let call = |request: nomic_client::Request| {
        let _ = nomic.call::<Value>(&request);
        !faults(&contract, &emulator.requests().pop().unwrap()).is_empty()
    };
    use nomic_client::Request;
    assert!(call(Request::get("/agents").query("limit", 0)));
    assert!(call(Request::get("/agents").query("colour", "red")));
    assert!(call(Request::get("/files/search")));
    assert!(call(Request::post("/parse").json(&json!({"fileVersionId": 7}))));
    assert!(call(Request::post("/extract").json(&json!({"fileVersionIds": [], "schema": {}}))));
    assert!(call(Request::post("/parse")));
    assert!(!call(Request::get("/agents").query("limit", 5)));
}
