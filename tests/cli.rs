//! The CLI as a program: what it prints, its exit codes, Ctrl-C, a terminal and a pipe.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::forms::{Form, forms};
#[cfg(unix)]
use common::program::with_account;
use common::program::{ProgramOutput, example, example_on, run};
use common::temp_dir::TempDir;
use common::{document, emulator, nomic, permit_pdf};
use nomic_client::agents;
use nomic_emulator::{Emulator, Fault, FaultKind};
use serde_json::{Value, json};

/// Runs a command of the CLI without a terminal: its output must have no control characters.
fn nomic_cli(emulator: &Emulator, arguments: &[&str]) -> ProgramOutput {
    let output = run(example_on(emulator, "nomic").args(arguments));
    assert!(!output.combined().chars().any(|c| c.is_control() && c != '\n'), "{output:?}");
    output
}

/// The lines that a command prints with `--json`.
fn json_lines(emulator: &Emulator, arguments: &[&str]) -> Vec<Value> {
    let output = nomic_cli(emulator, &[arguments, &["--json"]].concat());
    assert_eq!(output.code, Some(0), "{arguments:?}: {output:?}");
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A folder with a schema in `schema.json`.
fn folder_with_schema() -> TempDir {
    let folder = TempDir::new();
    let schema = r#"{"type": "object", "properties": {"permitNumber": {"type": "string"}}}"#;
    fs::write(folder.join("schema.json"), schema).unwrap();
    folder
}

#[test]
fn every_command_prints_text_and_json() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let folder = folder_with_schema();
    let (pdf, schema) = (permit_pdf(), folder.join("schema.json"));
    let (pdf, schema) = (pdf.to_str().unwrap(), schema.to_str().unwrap());
    let stored = nomic.upload_file(pdf).unwrap();
    let (file, version) = (stored.id.as_str(), stored.file_version_id.as_str());
    let parsed = nomic.parse(&stored.file_version_id).unwrap().task_id;
    let value = serde_json::from_slice(&fs::read(schema).unwrap()).unwrap();
    let versions = [stored.file_version_id.clone()];
    let extracted = nomic.extract(&versions, &value).unwrap().task_id;
    let agent = nomic.launch_agent(&agents::Launch::prompt("List the doors.").files([file])).unwrap();
    let agent = nomic.wait(&agent).unwrap().id;
    let agent = agent.as_str();
    let project = nomic.projects().next().unwrap().unwrap().id;
    let workflow = |slots: bool| nomic.workflows().map(Result::unwrap).find(|found| found.inputs.is_empty() != slots);
    let (sheets, review) = (workflow(false).unwrap().id, workflow(true).unwrap().id);
    let inputs = [format!("submittal={file}"), format!("specification={file}")];
    let key = nomic.api_keys().nth(1).unwrap().unwrap().id;

    // The arguments, a part of the text, and fields of each line of JSON.
    let cases: &[(&[&str], &str, &[&str])] = &[
        (&["upload", pdf], "version  ", &["id", "fileVersionId", "size"]),
        (&["upload", pdf, "--destination", "a/b.pdf"], "name     b.pdf", &["name"]),
        (&["search", "PERMIT", "--limit", "1"], "permit.pdf", &["id", "name", "path"]),
        (&["parse", pdf, "--table-summary"], "PH-2026-0417", &["chunks"]),
        (&["parse", "--file-version", version, "--no-wait"], "-", &["kind", "id"]),
        (&["wait", "parse", parsed.as_str()], "PH-2026-0417", &["chunks"]),
        (&["extract", pdf, "--schema", schema], "permitNumber  PH-2026-0417", &["result"]),
        (
            &["extract", "--file-version", version, "--schema", schema, "--citations"],
            "permitNumber  PH-2026-0417  (page 1",
            &["result", "citations"],
        ),
        (&["wait", "extract", extracted.as_str()], "permitNumber  PH-2026-0417", &["result"]),
        (&["agents"], "finished", &["id", "status"]),
        (&["agent", "list", "--status", "finished", "--limit", "5"], agent, &["id", "status"]),
        (&["agent", "show", agent], "artifact  ", &["id", "artifacts"]),
        (&["agent", "run", "List the doors.", "--file", pdf, "--project", project.as_str()], "finished", &["id"]),
        (&["agent", "run", "List the doors.", "--file-id", file, "--no-wait"], "-", &["kind", "id"]),
        (&["agent", "run", "--workflow", sheets.as_str()], "status    finished", &["id", "workflowId"]),
        (
            &["agent", "run", "--workflow", review.as_str(), "--input", &inputs[0], "--input", &inputs[1]],
            "finished",
            &["id", "workflowId"],
        ),
        (&["agent", "follow-up", agent, "And the rooms?"], "status    finished", &["id", "status"]),
        (&["wait", "agent", agent], "finished", &["id", "status"]),
        (&["agent", "artifacts", agent], "markdown", &["id", "type", "title"]),
        (&["agent", "artifacts", agent, "--content"], "#", &["id", "content"]),
        (&["agent", "artifacts", agent, "--save", folder.path().to_str().unwrap()], ".md", &["id", "path"]),
        (&["workflows"], "submittal,specification  ", &["id", "inputs"]),
        (&["projects", "--limit", "1"], project.as_str(), &["id", "name"]),
        (
            &["codes", "sprinkler", "--jurisdiction", "texas", "--limit", "2", "--year", "2021"],
            "International Building Code, page",
            &["id", "content"],
        ),
        (&["users", "--email", "bob@"], "enabled   bob@example.com", &["id", "email"]),
        (&["users", "list", "--limit", "3"], "alice@example.com", &["id", "email"]),
        (&["users", "show", "bob@example.com"], "API keys  ", &["email", "apiKeyCount"]),
        (&["users", "disable", "bob@example.com", "--reason", "left", "--yes"], "is disabled", &["id"]),
        (&["users", "enable", "bob@example.com"], "bob@example.com is enabled", &["id"]),
        (&["keys", "--revoked", "--user", "bob@example.com"], "revoked", &["id", "keyPrefix", "revokedAt"]),
        (&["keys", "list"], "npk_", &["id", "keyPrefix", "scopes"]),
        (&["keys", "revoke", key.as_str(), "--yes"], "is revoked", &["id"]),
        (&["audit", "--since", "24h", "--action", "user.disabled"], "Bob Smith", &["id", "occurredAt", "targets"]),
        (&["audit", "--limit", "5"], "api_key.revoked", &["id", "action"]),
    ];
    for (arguments, words, fields) in cases {
        let output = nomic_cli(&emulator, arguments);
        assert!(output.code == Some(0) && output.stdout.contains(words), "{arguments:?}: {output:?}");
        let lines = json_lines(&emulator, arguments);
        assert!(!lines.is_empty(), "{arguments:?}");
        for line in lines {
            assert!(fields.iter().all(|field| line.get(field).is_some()), "{arguments:?}: {line}");
        }
    }
    let saved: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(saved.iter().any(|path| path.extension().is_some_and(|extension| extension == "csv")), "{saved:?}");
}

/// Runs the commands of the main job against a form of the service.
fn run_main_commands(form: &Form) {
    let emulator = form.emulator();
    let folder = folder_with_schema();
    let (pdf, schema) = (permit_pdf(), folder.join("schema.json"));
    let (pdf, schema) = (pdf.to_str().unwrap(), schema.to_str().unwrap());
    let options = form.arguments();
    let run = |arguments: &[&str], words: &str| {
        let options = options.iter().map(String::as_str);
        let output = nomic_cli(&emulator, &arguments.iter().copied().chain(options).collect::<Vec<_>>());
        let name = &form.name;
        assert!(output.code == Some(0) && output.stdout.contains(words), "{name}: {arguments:?}: {output:?}");
        output.stdout
    };
    run(&["parse", pdf], "PH-2026-0417");
    run(&["extract", pdf, "--schema", schema, "--citations"], "permitNumber  PH-2026-0417");
    run(&["search", "permit"], "permit.pdf");
    run(&["agent", "run", "List the doors.", "--file", pdf], "finished");
    let agents = run(&["agents", "--limit", "1"], "finished");
    let agent = agents.split_whitespace().next().unwrap();
    run(&["agent", "follow-up", agent, "And the rooms?"], "finished");
    run(&["wait", "agent", agent], "finished");
    run(&["agent", "artifacts", agent], "");
    run(&["agent", "artifacts", agent, "--content"], "#");
    for list in ["workflows", "projects", "users", "keys", "audit"] {
        run(&[list], "");
    }
}

#[test]
fn the_main_job_is_done_in_every_form_that_the_contract_leaves_open() {
    forms().iter().for_each(run_main_commands);
}

#[test]
fn a_path_that_an_operation_cannot_have_is_a_usage_error() {
    let emulator = emulator();
    for (path, words) in [
        ("get_parse=/tasks", "get_parse: the path must have {taskId} as a whole segment, exactly once"),
        ("get_pars=/tasks/{taskId}", "there is no operation \"get_pars\"; see nomic_client::operations"),
        ("get_parse", "expected OPERATION=PATH"),
    ] {
        let output = nomic_cli(&emulator, &["users", "--path", path]);
        assert!(output.code == Some(2) && output.stderr.contains(words), "{path}: {output:?}");
    }
    assert_eq!(emulator.connections(), 0);
}

#[cfg(unix)]
#[test]
fn a_suggested_command_keeps_the_path_of_an_operation() {
    let emulator =
        Emulator::builder().job_time(std::time::Duration::ZERO).move_operation("get_parse", "/tasks/{taskId}");
    let emulator = emulator.start().unwrap();
    let path = "get_parse=/tasks/{taskId}";
    let pdf = permit_pdf();
    emulator.fault(Fault::on("submit_parse", FaultKind::JobNeverEnds));
    let output = nomic_cli(&emulator, &["parse", pdf.to_str().unwrap(), "--path", path, "--timeout", "0"]);
    assert_eq!(output.code, Some(8), "{output:?}");
    let waited = run_suggested_command(&emulator, &output, "--timeout 0");
    assert_eq!(waited.code, Some(8), "{output:?} {waited:?}");
}

#[test]
fn a_job_that_is_known_is_offered_for_another_wait_unless_it_has_ended() {
    let emulator = emulator();
    let version = document(&nomic(&emulator));
    let again = "to wait for parse job t9:\n  ";
    emulator.fault(Fault::on("submit_parse", FaultKind::json(202, r#"{"taskId":"t9","eta":NaN}"#)));
    let output = nomic_cli(&emulator, &["parse", "--file-version", version.as_str()]);
    assert!(output.code == Some(8) && output.stderr.contains(again), "{output:?}");
    assert!(!output.stderr.contains("audit"), "{output:?}");

    for (body, code, is_offered) in [
        (r#"{"status":"COMPLETED","result":NaN}"#, 1, true),
        (r#"{"status":"QUARANTINED"}"#, 8, true),
        (r#"{"status":"EXPIRED","error":"file deleted"}"#, 7, false),
        (r#"{"status":"COMPLETED","result_url":"https://storage.example/r.json"}"#, 1, false),
    ] {
        emulator.fault(Fault::on("get_parse", FaultKind::json(200, body)).forever());
        let output = nomic_cli(&emulator, &["wait", "parse", "t9", "--timeout", "0"]);
        assert!(output.code == Some(code) && output.stderr.contains(again) == is_offered, "{body}: {output:?}");
        assert!(!output.stderr.contains("still running"), "{output:?}");
        emulator.clear_faults();
    }
}

#[test]
fn a_page_of_a_gateway_says_nothing_about_the_key_or_the_object() {
    let emulator = emulator();
    let version = document(&nomic(&emulator));
    let parse = ["parse", "--file-version", version.as_str()];
    let commands: [(&str, &[&str]); 4] = [
        ("list_projects", &["projects"]),
        ("get_agent", &["agent", "show", "a"]),
        ("submit_parse", &parse),
        ("get_parse", &["wait", "parse", "t"]),
    ];
    for status in [401, 403, 404] {
        for (operation, arguments) in commands {
            emulator.fault(Fault::on(operation, FaultKind::Html(status)));
            let output = nomic_cli(&emulator, arguments);
            assert!(output.code == Some(1) && output.stdout.is_empty(), "{status}: {output:?}");
            assert!(output.stderr.contains(&format!("{status} not a response of the API")), "{output:?}");
            assert!(!output.stderr.contains("scope") && !output.stderr.contains("API key"), "{output:?}");
        }
    }
    let api = |status| FaultKind::Api { status, error: "No".to_owned(), code: None };
    for (status, code, words) in [(401, 3, "check the API key"), (403, 3, "needs the scope"), (404, 4, "404 ")] {
        emulator.fault(Fault::on("list_projects", api(status)));
        let output = nomic_cli(&emulator, &["projects"]);
        assert!(output.code == Some(code) && output.stderr.contains(words), "{output:?}");
    }
}

#[test]
fn each_artifact_is_saved_to_a_file_of_its_own_whatever_its_title_and_id() {
    let emulator = emulator();
    let folder = TempDir::new();
    let long_id = "A".repeat(300);
    let ids = ["a_1", "a-1", "a.1", "A-1", "b", "a-b", &long_id, &format!("{long_id}B")];
    let titles = ["Doors"; 4].into_iter().chain(["Doors-a", "Doors"]).map(str::to_owned);
    let artifacts: Vec<_> = titles.chain(["表".repeat(80), "表".repeat(80)]).zip(ids).collect();
    let list: Vec<_> = artifacts.iter().map(|(title, id)| json!({ "id": id, "title": title })).collect();
    emulator.fault(Fault::on("list_artifacts", FaultKind::json(200, json!({ "data": list }))));
    for (title, id) in &artifacts {
        let artifact = json!({ "id": id, "type": "markdown", "title": title, "content": id });
        emulator.fault(Fault::on("get_artifact", FaultKind::json(200, json!({ "data": artifact }))));
    }
    let output = nomic_cli(&emulator, &["agent", "artifacts", "a", "--save", folder.path().to_str().unwrap()]);
    assert!(output.code == Some(0) && output.stdout.lines().count() == ids.len(), "{output:?}");
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let names: BTreeSet<_> = names.into_iter().map(|name| name.into_string().unwrap().to_lowercase()).collect();
    assert_eq!(names.len(), ids.len(), "{names:?}");
    for (path, id) in output.stdout.lines().zip(ids) {
        assert_eq!(fs::read_to_string(path).unwrap(), id);
    }
}

#[test]
fn an_artifact_that_cannot_be_fetched_or_saved_does_not_keep_the_others_back() {
    let emulator = emulator();
    let folder = TempDir::new();
    // A folder has the name of the second artifact.
    fs::create_dir(folder.join("Doors_a2.md")).unwrap();
    let list: Vec<_> = (1..=3).map(|number| json!({ "id": format!("a{number}") })).collect();
    for save in [true, false] {
        emulator.fault(Fault::on("list_artifacts", FaultKind::json(200, json!({ "data": list }))));
        emulator.fault(Fault::on("get_artifact", FaultKind::Html(404)));
        for id in ["a2", "a3"] {
            let artifact = json!({ "id": id, "type": "markdown", "title": "Doors", "content": "# Doors" });
            emulator.fault(Fault::on("get_artifact", FaultKind::json(200, json!({ "data": artifact }))));
        }
        let arguments = ["agent", "artifacts", "a", "--save", folder.path().to_str().unwrap()];
        let output = nomic_cli(&emulator, if save { &arguments } else { &["agent", "artifacts", "a", "--content"] });
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains("nomic: artifact a1: get_artifact: 404 "), "{output:?}");
        if save {
            assert!(output.stdout.ends_with("Doors_a3.md\n") && output.stdout.lines().count() == 1, "{output:?}");
            assert!(output.stderr.contains("nomic: artifact a2: ") && output.stderr.contains("Doors_a2.md: "));
            assert!(output.stderr.ends_with("nomic: 2 of 3 artifacts could not be saved\n"), "{output:?}");
        } else {
            assert_eq!(output.stdout.matches("# Doors").count(), 2, "{output:?}");
            assert!(output.stderr.ends_with("nomic: 1 of 3 artifacts could not be printed\n"), "{output:?}");
        }
    }
    // A rejected key concerns all of them.
    emulator.fault(Fault::on("list_artifacts", FaultKind::json(200, json!({ "data": list }))));
    let rejected = FaultKind::Api { status: 401, error: "Invalid API key".to_owned(), code: None };
    emulator.fault(Fault::on("get_artifact", rejected));
    let output = nomic_cli(&emulator, &["agent", "artifacts", "a", "--content"]);
    assert!(output.code == Some(3) && output.stderr.lines().count() == 1, "{output:?}");
}

#[test]
fn an_agent_is_stopped_and_deleted() {
    let emulator = emulator();
    for json in [&[] as &[&str], &["--json"]] {
        emulator.fault(Fault::on("launch_agent", FaultKind::JobNeverEnds));
        let agent = nomic(&emulator).launch_agent(&agents::Launch::prompt("Count the doors.")).unwrap().id;
        for (command, words) in [("stop", "is stopped"), ("delete", "is deleted")] {
            let yes = if command == "delete" { &["--yes"] as &[&str] } else { &[] };
            let output = nomic_cli(&emulator, &[&["agent", command, agent.as_str()], json, yes].concat());
            let words = if json.is_empty() { words } else { r#""id":"# };
            assert!(
                output.code == Some(0) && output.stdout.contains(words) && output.stdout.contains(agent.as_str()),
                "{output:?}"
            );
        }
        assert_eq!(nomic_cli(&emulator, &["agent", "show", agent.as_str()]).code, Some(4));
    }
}

#[test]
fn each_kind_of_failure_has_its_exit_code() {
    let emulator = emulator();
    let code = |arguments: &[&str], words: &str| {
        let output = nomic_cli(&emulator, arguments);
        assert!(output.stdout.is_empty() && output.stderr.contains(words), "{arguments:?}: {output:?}");
        output.code
    };
    let version = document(&nomic(&emulator));
    let parse = ["parse", "--file-version", version.as_str()];

    for usage in [&[] as &[&str], &["fly"], &["parse"], &["agent", "run"]] {
        assert_eq!(code(usage, "Usage: nomic"), Some(2), "{usage:?}");
    }
    assert_eq!(code(&["audit", "--since", "yesterday"], "90m, 24h, 7d"), Some(2));
    assert_eq!(code(&["agent", "run", "--workflow", "w", "--file", "a.pdf"], "cannot be used with"), Some(2));
    assert_eq!(code(&["agent", "show", "01a20aec-c811-7006-be54-40a4e414d1d6"], "404"), Some(4));
    assert_eq!(code(&["users", "show", "ob@example.com"], "no user has the address"), Some(4));
    assert_eq!(code(&["wait", "parse", "01a20aec-c811-7006-be54-40a4e414d1d6"], "404"), Some(4));

    emulator.fault(Fault::on("submit_parse", FaultKind::RateLimited { retry_after: None }));
    assert_eq!(code(&parse, "429"), Some(5));
    emulator.fault(Fault::on("submit_parse", FaultKind::ResetAfter));
    assert_eq!(code(&parse, "may have been executed"), Some(6));
    emulator.fault(Fault::on("submit_parse", FaultKind::JobFails("no text in it".to_owned())));
    assert_eq!(code(&parse, "no text in it"), Some(7));
    emulator.fault(Fault::on("submit_parse", FaultKind::JobNeverEnds));
    assert_eq!(code(&[&parse as &[_], &["--timeout", "0"]].concat(), " wait parse "), Some(8));

    let without_scope = emulator.issue_key(&["developer:files"]);
    for (key, words) in [("npk_wrong", "401"), (&without_scope, "needs the scope admin:users:read")] {
        let output = run(example_on(&emulator, "nomic").env("NOMIC_API_KEY", key).arg("users"));
        assert!(output.code == Some(3) && output.stderr.contains(words), "{output:?}");
    }
}

#[test]
fn invalid_files_and_arguments_are_rejected_before_anything_is_sent() {
    let emulator = emulator();
    let folder = folder_with_schema();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (pdf, schema) = (permit_pdf().to_str().unwrap().to_owned(), write("good.json", b"{}"));
    let (array, broken, empty) = (write("arr.json", b"[]"), write("bad.json", b"{,"), write("empty.pdf", b""));
    let utf_16 = write("utf-16.json", b"\xff\xfe{\0}\0");
    let a_folder = folder.path().to_str().unwrap();
    let extract = |document: &str, schema: &str| nomic_cli(&emulator, &["extract", &pdf, document, "--schema", schema]);
    let cases = [
        (nomic_cli(&emulator, &["parse", &pdf, "--summary-words", "5"]), "--summary-words"),
        (extract(&pdf, &array), "arr.json is a JSON array, not an object"),
        (extract(&pdf, &broken), "bad.json is not JSON: "),
        (extract(&pdf, &utf_16), "utf-16.json is UTF-16"),
        (extract(&pdf, &empty), "empty.pdf is not JSON: "),
        (extract(&pdf, "no-such.json"), "no-such.json: "),
        (extract("nothere.pdf", &schema), "nothere.pdf: "),
        (extract(&empty, &schema), "empty.pdf is empty"),
        (extract(a_folder, &schema), "is not a file"),
        (nomic_cli(&emulator, &["parse", "nothere.pdf"]), "nothere.pdf: "),
        (nomic_cli(&emulator, &["upload", "nothere.pdf"]), "nothere.pdf: "),
        (nomic_cli(&emulator, &["upload", &empty]), "empty.pdf is empty"),
        (nomic_cli(&emulator, &["agents", "run", "", "--file", &pdf]), "PROMPT"),
        (nomic_cli(&emulator, &["agents", "run", "Go.", "--file", &pdf, "--file", "nothere.pdf"]), "nothere.pdf: "),
        (nomic_cli(&emulator, &["agents", "follow-up", "a", " "]), "PROMPT"),
        (nomic_cli(&emulator, &["agents", "artifacts", "a", "--save", &schema]), "--save: "),
    ];
    for (output, words) in cases {
        assert!(
            output.code == Some(2) && output.stdout.is_empty() && output.stderr.contains(words),
            "{words}: {output:?}"
        );
    }
    assert_eq!(emulator.connections(), 0);
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_name_that_is_not_utf_8_is_refused_with_what_to_do() {
    use std::os::unix::ffi::OsStrExt;

    let emulator = emulator();
    let folder = folder_with_schema();
    let path = folder.join(std::ffi::OsStr::from_bytes(b"caf\xe9.pdf"));
    fs::write(&path, "Level: 1").unwrap();
    let schema = folder.join("schema.json");
    let cli = |arguments: &[&str]| run(example_on(&emulator, "nomic").args(arguments).arg(&path));
    for (output, words) in [
        (cli(&["upload"]), "is not UTF-8; rename it, or name it with --destination; nothing was sent"),
        (cli(&["parse"]), "is not UTF-8; rename it; nothing was sent"),
        (cli(&["extract", "--schema", schema.to_str().unwrap()]), "is not UTF-8; rename it; nothing was sent"),
        (cli(&["agents", "run", "Go.", "--file"]), "is not UTF-8; rename it; nothing was sent"),
    ] {
        assert!(output.code == Some(2) && output.stderr.contains(words), "{output:?}");
    }
    assert_eq!(emulator.connections(), 0);
    let output = cli(&["upload", "--destination", "menus/café.pdf"]);
    assert!(output.code == Some(0) && output.stdout.contains("name     café.pdf"), "{output:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_without_a_size_is_uploaded() {
    let emulator = emulator();
    let output = nomic_cli(&emulator, &["upload", "/proc/version"]);
    assert!(output.code == Some(0) && output.stdout.contains("name     version"), "{output:?}");
}

#[test]
fn a_schema_may_start_with_a_byte_order_mark() {
    let emulator = emulator();
    let folder = folder_with_schema();
    let schema = folder.join("marked.json");
    fs::write(&schema, [b"\xef\xbb\xbf", &*fs::read(folder.join("schema.json")).unwrap()].concat()).unwrap();
    let output =
        nomic_cli(&emulator, &["extract", permit_pdf().to_str().unwrap(), "--schema", schema.to_str().unwrap()]);
    assert!(output.code == Some(0) && output.stdout.contains("PH-2026-0417"), "{output:?}");
}

/// Runs the command that an error message suggests in an indented line, with further arguments.
#[cfg(unix)]
fn run_suggested_command(emulator: &Emulator, output: &ProgramOutput, arguments: &str) -> ProgramOutput {
    let suggested = output.stderr.lines().rfind(|line| line.starts_with("  ")).unwrap();
    let mut shell = with_account(emulator, std::process::Command::new("sh"));
    run(shell.args(["-c", &format!("{suggested} {arguments}")]))
}

#[cfg(unix)]
#[test]
fn if_the_effect_is_unknown_the_suggested_command_shows_whether_the_request_was_executed() {
    let emulator = emulator();
    let folder = folder_with_schema();
    let (pdf, schema) = (permit_pdf(), folder.join("schema.json"));
    let (pdf, schema) = (pdf.to_str().unwrap(), schema.to_str().unwrap());
    let ended = nomic(&emulator).launch_agent(&agents::Launch::prompt("Go.")).unwrap();
    nomic(&emulator).wait(&ended).unwrap();
    let cases: [(&str, &[&str], &str); 9] = [
        ("submit_parse", &["parse", pdf], "permit.pdf (task "),
        ("submit_extract", &["extract", pdf, "--schema", schema], "permit.pdf (task "),
        ("launch_agent", &["agents", "run", "Count the doors.", "--file", pdf], "finished"),
        ("follow_up_agent", &["agents", "follow-up", ended.id.as_str(), "And the rooms?"], "finished"),
        ("upload_file", &["upload", pdf], "permit.pdf"),
        ("upload_file", &["upload", pdf, "--destination", "a folder/it's.pdf"], "it's.pdf"),
        ("disable_user", &["users", "disable", "bob@example.com", "--yes"], "disabled"),
        ("enable_user", &["users", "enable", "bob@example.com"], "enabled"),
        ("delete_agent", &["agents", "delete", ended.id.as_str(), "--yes"], ""),
    ];
    for (operation, arguments, words) in cases {
        emulator.fault(Fault::on(operation, FaultKind::ResetAfter));
        let output = nomic_cli(&emulator, arguments);
        assert!(output.code == Some(6) && output.stderr.contains("it may have been executed"), "{output:?}");
        let check = run_suggested_command(&emulator, &output, "");
        assert!(check.stdout.contains(words), "{operation}: {output:?} {check:?}");
    }
}

#[test]
fn a_stored_document_can_be_used_again_without_an_upload() {
    let emulator = emulator();
    emulator.fault(Fault::on("submit_parse", FaultKind::ResetAfter));
    let output = nomic_cli(&emulator, &["parse", permit_pdf().to_str().unwrap()]);
    let version = output.stderr.split_once("--file-version ").unwrap().1.split_whitespace().next().unwrap();
    assert!(nomic_cli(&emulator, &["parse", "--file-version", version]).stdout.contains("PH-2026-0417"), "{output:?}");
    emulator.fault(Fault::on("launch_agent", FaultKind::ResetAfter));
    let output = nomic_cli(&emulator, &["agents", "run", "Go.", "--file", permit_pdf().to_str().unwrap()]);
    let file = output.stderr.split_once("--file-id ").unwrap().1.split_whitespace().next().unwrap();
    assert_eq!(nomic_cli(&emulator, &["agents", "run", "Go.", "--file-id", file]).code, Some(0));
}

#[test]
fn an_unknown_host_is_a_permanent_error_and_a_refused_connection_a_transient_one() {
    for arguments in [&["users"] as &[&str], &["wait", "parse", "t", "--timeout", "0"]] {
        let mut command = example("nomic");
        command.env("NOMIC_BASE_URL", "https://nobody.invalid").env("NOMIC_API_KEY", "npk_x").args(arguments);
        let output = run(&mut command);
        assert!(output.code == Some(2) && output.stderr.contains("unknown host"), "{output:?}");
        assert!(!output.stderr.contains("still running"), "{output:?}");
    }
    // A server that is down may come back.
    let mut command = example("nomic");
    command.env("NOMIC_BASE_URL", "http://127.0.0.1:1").env("NOMIC_API_KEY", "npk_x").arg("users");
    assert_eq!(run(&mut command).code, Some(5));
}

#[test]
fn citations_name_the_document_if_there_are_several() {
    let emulator = emulator();
    let folder = folder_with_schema();
    let note = folder.join("b.md");
    fs::write(&note, "Owner: Harbor Trust\n").unwrap();
    let schema = folder.join("two.json");
    let properties = r#"{"properties": {"permitNumber": {"type": "string"}, "owner": {"type": "string"}}}"#;
    fs::write(&schema, properties).unwrap();
    let (pdf, note, schema) = (permit_pdf(), note.to_str().unwrap(), schema.to_str().unwrap());
    let pdf = pdf.to_str().unwrap();
    let output = nomic_cli(&emulator, &["extract", pdf, note, "--schema", schema, "--citations"]);
    assert!(
        output.stdout.contains(&format!("({pdf}, page 1")) && output.stdout.contains(&format!("({note}")),
        "{output:?}"
    );
    // A later command knows the IDs of the versions only.
    let task = output.stderr.split_once("extract job ").unwrap().1.split_whitespace().next().unwrap();
    let version = output.stderr.rsplit_once("--file-version ").unwrap().1.split_whitespace().next().unwrap();
    let later = nomic_cli(&emulator, &["wait", "extract", task]);
    assert!(later.stdout.contains(&format!("({version}")), "{later:?}");
}

#[test]
fn the_json_of_a_job_has_its_id_once() {
    let emulator = emulator();
    let folder = folder_with_schema();
    let schema = folder.join("schema.json");
    let (pdf, schema) = (permit_pdf(), schema.to_str().unwrap());
    let pdf = pdf.to_str().unwrap();
    for arguments in [&["parse", pdf] as &[&str], &["extract", pdf, "--schema", schema]] {
        let output = nomic_cli(&emulator, &[arguments, &["--json"]].concat());
        let value: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(output.stdout.matches("\"taskId\"").count(), 1, "{output:?}");
        assert!(output.stderr.contains(value["taskId"].as_str().unwrap()), "{output:?}");
    }
}

#[test]
fn an_unknown_filter_value_that_matches_nothing_is_noted() {
    let emulator = emulator();
    for (arguments, words) in [
        (["agents", "--status", "rnning"], "\"rnning\"; known statuses: waiting, running"),
        (["audit", "--action", "user.disbled"], "\"user.disbled\"; known actions: user.disabled"),
    ] {
        let output = nomic_cli(&emulator, &arguments);
        assert!(output.code == Some(0) && output.stdout.is_empty() && output.stderr.contains(words), "{output:?}");
    }
    for arguments in [["agents", "--status", "failed"], ["audit", "--action", "file.uploaded"]] {
        assert_eq!(nomic_cli(&emulator, &arguments).stderr, "", "{arguments:?}");
    }
}

#[test]
fn a_key_is_not_accepted_as_a_key_id_and_not_printed() {
    let emulator = emulator();
    for yes in [&[] as &[&str], &["--yes"]] {
        let output = nomic_cli(&emulator, &[&["keys", "revoke", emulator.key()], yes].concat());
        assert!(output.code == Some(2) && output.stderr.contains("`nomic keys` lists the IDs"), "{output:?}");
        assert!(!output.stderr.contains(emulator.key()), "{output:?}");
    }
    assert!(emulator.requests().is_empty());
}

#[test]
fn a_launch_and_a_follow_up_have_different_messages() {
    let emulator = emulator();
    let agent = nomic(&emulator).launch_agent(&agents::Launch::prompt("Go.")).unwrap().id;
    nomic(&emulator).wait(&agent).unwrap();
    let output = nomic_cli(&emulator, &["agents", "follow-up", agent.as_str(), "And the rooms?"]);
    assert!(output.stderr.contains("received the follow-up and is running again"), "{output:?}");
    let output = nomic_cli(&emulator, &["agents", "run", "Go."]);
    assert!(output.stderr.contains("was launched") && !output.stderr.contains("follow-up"), "{output:?}");
}

#[test]
fn conflicting_settings_are_noted() {
    let emulator = emulator();
    let note = |domain: &str| {
        let mut command = example_on(&emulator, "nomic");
        let output = run(command.env("NOMIC_DOMAIN", domain).args(["users", "--limit", "1"]));
        assert_eq!(output.code, Some(0), "{output:?}");
        output.stderr
    };
    let output = note("acme");
    assert!(output.contains("using NOMIC_BASE_URL: ") && output.contains(emulator.url()), "{output}");
    // A key in the wrong variable is not printed.
    assert!(!note("npk_0123").contains("npk_"));
    assert_eq!(note(emulator.url()), "");
    assert_eq!(note(""), "");
    let mut plain = example("nomic");
    plain.env("NOMIC_BASE_URL", "http://10.0.0.7:80").env("NOMIC_API_KEY", "npk_x").arg("users");
    let output = run(&mut plain);
    assert!(
        output.code == Some(2) && output.stderr.contains("use https\n") && !output.stderr.contains("Builder"),
        "{output:?}"
    );
}

#[test]
fn a_job_on_an_emulator_does_not_continue_after_the_command() {
    let mut command = example("nomic");
    let output = run(command.args(["agents", "run", "Go.", "--demo", "--timeout", "0"]));
    assert!(
        output.code == Some(1) && output.stderr.contains("did not end within 0 s, and ends with the emulator"),
        "{output:?}"
    );
    assert!(!output.stderr.contains("it is still running"), "{output:?}");
}

/// Checks that every argument of a command and of its subcommands has a help text.
fn check_help(path: &[&str]) {
    let output = run(example("nomic").args(path).arg("--help"));
    assert_eq!(output.code, Some(0), "{output:?}");
    let lines: Vec<&str> = output.stdout.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let (mut is_command, mut subcommands) = (false, Vec::new());
    for (index, line) in lines.iter().enumerate() {
        if !line.starts_with(' ') {
            is_command = *line == "Commands:";
            continue;
        }
        let entry = line.trim_start();
        if indent(line) > 6 || !(is_command || entry.starts_with(['<', '[', '-'])) {
            continue;
        }
        // Its text follows in the same line, or in the next one with a larger indent.
        let next = lines.get(index + 1).map_or("", |next| *next);
        assert!(entry.contains("  ") || indent(next) > 6, "{path:?}: {entry}");
        if is_command && !entry.starts_with("help ") {
            subcommands.push(entry.split_whitespace().next().unwrap());
        }
    }
    for command in subcommands {
        check_help(&[path, &[command]].concat());
    }
}

#[test]
fn every_argument_has_a_help_text() {
    check_help(&[]);
    let output = run(example("nomic").args(["extract", "--help"]));
    let schema = &output.stdout[output.stdout.find("{\"").unwrap()..];
    let schema = serde_json::Deserializer::from_str(schema).into_iter::<Value>().next().unwrap();
    assert!(schema.unwrap().is_object(), "{output:?}");
}

#[test]
fn without_an_account_the_error_names_the_variables_and_demo_needs_none() {
    let list_users = |option: &str| run(example("nomic").args(["users", "--limit", "2", option]));
    let output = list_users("--json");
    assert_eq!(output.code, Some(2));
    assert!(["NOMIC_API_KEY", "NOMIC_DOMAIN", "--demo"].iter().all(|word| output.stderr.contains(word)), "{output:?}");
    let demo = list_users("--demo");
    assert!(demo.code == Some(0) && demo.stdout.lines().count() == 2, "{demo:?}");
}

#[test]
fn a_destructive_command_needs_confirmation() {
    let emulator = emulator();
    for arguments in
        [&["users", "disable", "bob@example.com"] as &[&str], &["keys", "revoke", "k"], &["agents", "delete", "a"]]
    {
        let output = nomic_cli(&emulator, arguments);
        assert!(output.code == Some(2) && output.stderr.contains("pass --yes"), "{output:?}");
    }
    assert!(emulator.requests().is_empty());
}

#[test]
fn control_characters_in_a_response_are_not_printed() {
    let emulator = emulator();
    let folder = folder_with_schema();
    let path = folder.join("note.txt");
    fs::write(&path, "Permit\u{1b}[31m number: 7\n").unwrap();
    // `nomic_cli` checks every character.
    assert!(nomic_cli(&emulator, &["parse", path.to_str().unwrap()]).stdout.contains("Permit"));
}

#[cfg(unix)]
mod signals {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use nomic_emulator::{Emulator, Fault, FaultKind, StallPhase};

    use super::common::program::{ProgramOutput, example, example_on, with_account};
    use super::common::temp_dir::TempDir;
    use super::common::{document, emulator, nomic, permit_pdf};
    use super::{nomic_cli, run_suggested_command};

    fn spawn(emulator: &Emulator, arguments: &[&str]) -> Child {
        let mut command = example_on(emulator, "nomic");
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn wait_until(condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(60), "timed out");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends SIGINT, as Ctrl-C does.
    fn interrupt(child: Child) -> ProgramOutput {
        let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        child.wait_with_output().unwrap().into()
    }

    /// Interrupts a command after the emulator has received an operation.
    fn interrupt_after(operation: &str, emulator: &Emulator, arguments: &[&str]) -> ProgramOutput {
        let child = spawn(emulator, arguments);
        wait_until(|| emulator.received(operation) > 0);
        interrupt(child)
    }

    #[test]
    fn ctrl_c_names_the_running_job_and_the_suggested_command_waits_for_it() {
        let emulator = emulator();
        emulator.fault(Fault::on("submit_parse", FaultKind::JobNeverEnds));
        let version = document(&nomic(&emulator));
        let output = interrupt_after("get_parse", &emulator, &["parse", "--file-version", version.as_str()]);
        assert_eq!((output.code, output.stdout.as_str()), (Some(130), ""), "{output:?}");
        assert!(
            output.stderr.contains("interrupted; parse job ") && output.stderr.contains("still running"),
            "{output:?}"
        );
        let again = run_suggested_command(&emulator, &output, "--timeout 0");
        assert!(
            again.code == Some(8) && again.stderr.ends_with("it is still running, wait for it again\n"),
            "{again:?}"
        );
        assert_eq!(emulator.accepted("submit_parse"), 1);
    }

    #[test]
    fn an_interrupted_wait_for_an_agent_can_be_resumed() {
        let emulator = emulator();
        emulator.fault(Fault::on("launch_agent", FaultKind::JobNeverEnds));
        let output = interrupt_after("get_agent", &emulator, &["agent", "run", "Count the doors.", "--json"]);
        assert_eq!(output.code, Some(130), "{output:?}");
        let nomic = nomic(&emulator);
        let agent = nomic.agents().next().unwrap().unwrap();
        nomic.stop_agent(&agent.id).unwrap();
        let again = run_suggested_command(&emulator, &output, "");
        // A stopped agent counts as a failure.
        assert_eq!(again.code, Some(7), "{again:?}");
        let shown: nomic_client::agents::Agent = serde_json::from_str(&again.stdout).unwrap();
        assert_eq!(shown.id, agent.id);
        // After a follow-up, it runs to its end.
        nomic.follow_up_agent(&agent.id, "Go on.").unwrap();
        assert_eq!(run_suggested_command(&emulator, &output, "").code, Some(0));
    }

    #[test]
    fn ctrl_c_during_an_upload_says_that_nothing_was_submitted() {
        let emulator = emulator();
        emulator.fault(Fault::on("upload_file", FaultKind::Stall(StallPhase::BeforeRead)));
        let folder = TempDir::new();
        let path = folder.join("large.pdf");
        std::fs::File::create(&path).unwrap().set_len(64 << 20).unwrap();
        let child = spawn(&emulator, &["parse", path.to_str().unwrap()]);
        wait_until(|| emulator.connections() > 0);
        let output = interrupt(child);
        assert_eq!(output.code, Some(130));
        assert!(output.stderr.contains("is incomplete: it is not stored, and nothing was submitted"), "{output:?}");
        assert!(emulator.uploads().is_empty() && emulator.received("submit_parse") == 0);
    }

    #[test]
    fn ctrl_c_during_a_submission_says_that_it_may_have_been_executed() {
        let emulator = emulator();
        emulator.fault(Fault::on("submit_parse", FaultKind::Stall(StallPhase::BeforeHead)));
        let output = interrupt_after("submit_parse", &emulator, &["parse", permit_pdf().to_str().unwrap()]);
        assert!(output.code == Some(130) && output.stderr.contains("may have been executed"), "{output:?}");
        assert!(output.stderr.contains("--file-version "), "{output:?}");
        let check = run_suggested_command(&emulator, &output, "");
        assert!(check.stdout.contains("permit.pdf (task "), "{output:?} {check:?}");
    }

    #[test]
    fn a_closed_pipe_ends_a_list_quietly() {
        let emulator = Emulator::builder().audit_logs(20_000).start().unwrap();
        let mut child = spawn(&emulator, &["audit"]);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut error = String::new();
        child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        assert_eq!((child.wait().unwrap().code(), error.as_str()), (Some(0), ""));
        assert!(line.ends_with('\n'));
        assert!(emulator.received("list_audit_logs") < 20, "it continued to read");
    }

    /// Runs a command on a terminal, and types an answer.
    #[cfg(target_os = "linux")]
    fn run_on_terminal(emulator: &Emulator, command: &str, answer: &str) -> String {
        use std::io::Write;
        let program = example("nomic");
        let command = format!("{} {command}", program.get_program().to_str().unwrap());
        let mut script = with_account(emulator, Command::new("script"));
        let script = script.args(["-qec", &command, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = script.spawn().expect("script, of util-linux");
        child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_terminal_shows_progress_table_headers_and_confirmations() {
        let emulator = emulator();
        emulator.fault(Fault::on("get_parse", FaultKind::Delay(Duration::from_millis(300))));
        let version = document(&nomic(&emulator));
        let output = run_on_terminal(&emulator, &format!("parse --file-version {version}"), "");
        assert!(output.contains("waiting for parse job") && output.contains("Gulf Star"), "{output:?}");
        assert!(run_on_terminal(&emulator, "users --limit 1", "").starts_with("ID  "));
        assert!(run_on_terminal(&emulator, "users disable bob@example.com", "n\n").contains("nothing was changed"));
        assert_eq!(emulator.received("disable_user"), 0);
        assert!(run_on_terminal(&emulator, "users disable bob@example.com", "y\n").contains("is disabled"));
        assert!(nomic_cli(&emulator, &["users", "show", "bob@example.com"]).stdout.contains("disabled"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_confirmation_of_a_revocation_describes_the_key() {
        let emulator = emulator();
        let in_use = |key: &nomic_client::api_keys::ApiKey| emulator.key().starts_with(&key.key_prefix);
        let keys: Vec<_> = nomic(&emulator).api_keys().map(Result::unwrap).collect();
        for own in [true, false] {
            let key = keys.iter().find(|key| in_use(key) == own).unwrap();
            let output = run_on_terminal(&emulator, &format!("keys revoke {}", key.id), "n\n");
            let owner = key.user.as_ref().unwrap().email.as_ref().unwrap();
            for words in [&format!("{}…", key.key_prefix), key.name.as_ref().unwrap(), owner] {
                assert!(output.contains(words), "{words}: {output:?}");
            }
            assert_eq!(output.contains("this command uses this key"), own, "{output:?}");
        }
        assert!(run_on_terminal(&emulator, "keys revoke nobody", "y\n").contains("there is no API key nobody"));
        assert_eq!(emulator.received("revoke_api_key"), 0);
    }
}
