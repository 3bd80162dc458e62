//! The command line as a program of its own: what it prints, its exit codes, Ctrl-C, a terminal and a pipe.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use common::{document, emulator, nomic, permit_pdf};
use nomic_client::{agents, extract, parse};
use nomic_emulator::{Emulator, Fault, FaultKind};
use serde_json::Value;

/// The program, built from what stands there now.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let built = Command::new(env!("CARGO")).args(["build", "--quiet", "--example", "nomic"]).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let folder = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples");
        folder.join(format!("nomic{}", std::env::consts::EXE_SUFFIX))
    })
}

fn without_account(mut command: Command) -> Command {
    for variable in ["NOMIC_API_KEY", "NOMIC_DOMAIN", "NOMIC_BASE_URL", "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

fn on(emulator: &Emulator, command: Command) -> Command {
    let mut command = without_account(command);
    command.env("NOMIC_BASE_URL", emulator.url()).env("NOMIC_API_KEY", emulator.key());
    command
}

/// What a command said, and how it ended.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    error: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            error: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a command in pipes, where nothing of a terminal may be seen.
fn run(emulator: &Emulator, arguments: &[&str]) -> Said {
    let said = Said::from(on(emulator, Command::new(program())).args(arguments).output().unwrap());
    let steers = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
    assert!(!steers(&said.out) && !steers(&said.error), "{said:?}");
    said
}

fn json(emulator: &Emulator, arguments: &[&str]) -> Vec<Value> {
    let said = run(emulator, &[arguments, &["--json"]].concat());
    assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
    said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A folder with a schema in it, that is gone with its value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nomic-cli-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let schema = r#"{"type": "object", "properties": {"permitNumber": {"type": "string"}}}"#;
        std::fs::write(path.join("schema.json"), schema).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_command_speaks_to_people_and_in_json() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let folder = Folder::new("every");
    let (pdf, schema) = (permit_pdf(), folder.0.join("schema.json"));
    let (pdf, schema) = (pdf.to_str().unwrap(), schema.to_str().unwrap());
    let stored = nomic.upload_file(pdf).unwrap();
    let (file, version) = (stored.id.as_str(), stored.file_version_id.as_str());
    let parsed = nomic.parse(&stored.file_version_id, &parse::Options::default()).unwrap().task_id;
    let value = serde_json::from_slice(&std::fs::read(schema).unwrap()).unwrap();
    let versions = [stored.file_version_id.clone()];
    let extracted = nomic.extract(&versions, &value, &extract::Options::default()).unwrap().task_id;
    let agent = nomic.launch_agent(&agents::Launch::prompt("List the doors.").files([file])).unwrap();
    let agent = nomic.wait(&agent).unwrap().id;
    let agent = agent.as_str();
    let project = nomic.projects().next().unwrap().unwrap().id;
    let workflow = |slots: bool| nomic.workflows().map(Result::unwrap).find(|found| found.inputs.is_empty() != slots);
    let (sheets, review) = (workflow(false).unwrap().id, workflow(true).unwrap().id);
    let inputs = [format!("submittal={file}"), format!("specification={file}")];
    let key = nomic.api_keys(&Default::default()).nth(1).unwrap().unwrap().id;

    // The command, words that people read, fields of each line of JSON.
    let cases: &[(&[&str], &str, &[&str])] = &[
        (&["upload", pdf], "version  ", &["id", "fileVersionId", "size"]),
        (&["upload", pdf, "--path", "a/b.pdf"], "name     b.pdf", &["name"]),
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
        (&["agent", "artifacts", agent, "--save", folder.0.to_str().unwrap()], ".md", &["id", "path"]),
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
        let said = run(&emulator, arguments);
        assert!(said.code == 0 && said.out.contains(words), "{arguments:?}: {said:?}");
        let lines = json(&emulator, arguments);
        assert!(!lines.is_empty(), "{arguments:?}");
        for line in lines {
            assert!(fields.iter().all(|field| line.get(field).is_some()), "{arguments:?}: {line}");
        }
    }
    let saved: Vec<_> = std::fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(saved.iter().any(|path| path.extension().is_some_and(|extension| extension == "csv")), "{saved:?}");
}

#[test]
fn an_agent_is_stopped_and_deleted() {
    let emulator = emulator();
    for json in [&[] as &[&str], &["--json"]] {
        emulator.fault(Fault::on("launch_agent", FaultKind::JobNeverEnds));
        let agent = nomic(&emulator).launch_agent(&agents::Launch::prompt("Count the doors.")).unwrap().id;
        for (command, words) in [("stop", "is stopped"), ("delete", "is deleted")] {
            let yes = if command == "delete" { &["--yes"] as &[&str] } else { &[] };
            let said = run(&emulator, &[&["agent", command, agent.as_str()], json, yes].concat());
            let words = if json.is_empty() { words } else { r#""id":"# };
            assert!(said.code == 0 && said.out.contains(words) && said.out.contains(agent.as_str()), "{said:?}");
        }
        assert_eq!(run(&emulator, &["agent", "show", agent.as_str()]).code, 4);
    }
}

#[test]
fn exit_codes_say_what_to_do() {
    let emulator = emulator();
    let code = |arguments: &[&str], words: &str| {
        let said = run(&emulator, arguments);
        assert!(said.out.is_empty() && said.error.contains(words), "{arguments:?}: {said:?}");
        said.code
    };
    let version = document(&nomic(&emulator));
    let parse = ["parse", "--file-version", version.as_str()];

    for usage in [&[] as &[&str], &["fly"], &["parse"], &["agent", "run"]] {
        assert_eq!(code(usage, "Usage: nomic"), 2, "{usage:?}");
    }
    assert_eq!(code(&["audit", "--since", "yesterday"], "90m, 24h, 7d"), 2);
    assert_eq!(code(&["agent", "run", "--workflow", "w", "--file", "a.pdf"], "cannot be used with"), 2);
    assert_eq!(code(&["agent", "show", "01a20aec-c811-7006-be54-40a4e414d1d6"], "404"), 4);
    assert_eq!(code(&["users", "show", "ob@example.com"], "no user has the address"), 4);
    assert_eq!(code(&["wait", "parse", "01a20aec-c811-7006-be54-40a4e414d1d6"], "404"), 4);

    emulator.fault(Fault::on("submit_parse", FaultKind::RateLimited { retry_after: None }));
    assert_eq!(code(&parse, "429"), 5);
    emulator.fault(Fault::on("submit_parse", FaultKind::ResetAfter));
    assert_eq!(code(&parse, "may have been executed"), 6);
    emulator.fault(Fault::on("submit_parse", FaultKind::JobFails("no text in it".to_owned())));
    assert_eq!(code(&parse, "no text in it"), 7);
    emulator.fault(Fault::on("submit_parse", FaultKind::JobNeverEnds));
    assert_eq!(code(&[&parse as &[_], &["--timeout", "0"]].concat(), " wait parse "), 8);

    let mut wrong = on(&emulator, Command::new(program()));
    let wrong = Said::from(wrong.env("NOMIC_API_KEY", "npk_wrong").arg("users").output().unwrap());
    assert!(wrong.code == 3 && wrong.error.contains("401"), "{wrong:?}");
    let mut narrow = on(&emulator, Command::new(program()));
    let narrow = narrow.env("NOMIC_API_KEY", emulator.issue_key(&["developer:files"])).arg("users");
    let narrow = Said::from(narrow.output().unwrap());
    assert!(narrow.code == 3 && narrow.error.contains("needs the scope admin:users:read"), "{narrow:?}");
}

#[test]
fn what_is_wrong_on_this_machine_is_found_before_anything_is_sent() {
    let emulator = emulator();
    let folder = Folder::new("wrong");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (pdf, schema) = (permit_pdf().to_str().unwrap().to_owned(), write("good.json", b"{}"));
    let (array, broken, empty) = (write("arr.json", b"[]"), write("bad.json", b"{,"), write("empty.pdf", b""));
    let utf_16 = write("utf-16.json", b"\xff\xfe{\0}\0");
    let a_folder = folder.0.to_str().unwrap();
    let extract = |document: &str, schema: &str| run(&emulator, &["extract", &pdf, document, "--schema", schema]);
    let cases = [
        (run(&emulator, &["parse", &pdf, "--summary-words", "5"]), "--summary-words"),
        (extract(&pdf, &array), "arr.json is a JSON array, not an object"),
        (extract(&pdf, &broken), "bad.json is not JSON: "),
        (extract(&pdf, &utf_16), "utf-16.json is UTF-16"),
        (extract(&pdf, &empty), "empty.pdf is not JSON: "),
        (extract(&pdf, "no-such.json"), "no-such.json: "),
        (extract("nothere.pdf", &schema), "nothere.pdf: "),
        (extract(&empty, &schema), "empty.pdf is empty"),
        (extract(a_folder, &schema), "is not a file"),
        (run(&emulator, &["parse", "nothere.pdf"]), "nothere.pdf: "),
        (run(&emulator, &["upload", "nothere.pdf"]), "nothere.pdf: "),
        (run(&emulator, &["upload", &empty]), "empty.pdf is empty"),
        (run(&emulator, &["agents", "run", "", "--file", &pdf]), "PROMPT"),
        (run(&emulator, &["agents", "run", "Go.", "--file", &pdf, "--file", "nothere.pdf"]), "nothere.pdf: "),
        (run(&emulator, &["agents", "follow-up", "a", " "]), "PROMPT"),
        (run(&emulator, &["agents", "artifacts", "a", "--save", &schema]), "--save: "),
    ];
    for (said, words) in cases {
        assert!(said.code == 2 && said.out.is_empty() && said.error.contains(words), "{words}: {said:?}");
    }
    assert_eq!(emulator.connections(), 0);
}

#[test]
fn a_schema_may_begin_with_a_byte_order_mark() {
    let emulator = emulator();
    let folder = Folder::new("mark");
    let schema = folder.0.join("marked.json");
    std::fs::write(&schema, [b"\xef\xbb\xbf", &*std::fs::read(folder.0.join("schema.json")).unwrap()].concat())
        .unwrap();
    let said = run(&emulator, &["extract", permit_pdf().to_str().unwrap(), "--schema", schema.to_str().unwrap()]);
    assert!(said.code == 0 && said.out.contains("PH-2026-0417"), "{said:?}");
}

/// Types the command that was shown last, with something behind it.
#[cfg(unix)]
fn type_again(emulator: &Emulator, said: &Said, more: &str) -> Said {
    let shown = said.error.lines().last().unwrap();
    on(emulator, Command::new("sh")).args(["-c", &format!("{shown} {more}")]).output().unwrap().into()
}

#[cfg(unix)]
#[test]
fn where_a_fate_is_unknown_the_command_shown_says_whether_it_was_done() {
    let emulator = emulator();
    let folder = Folder::new("fate");
    let (pdf, schema) = (permit_pdf(), folder.0.join("schema.json"));
    let (pdf, schema) = (pdf.to_str().unwrap(), schema.to_str().unwrap());
    let ended = nomic(&emulator).launch_agent(&agents::Launch::prompt("Go.")).unwrap();
    nomic(&emulator).wait(&ended).unwrap();
    let cases: [(&str, &[&str], &str); 9] = [
        ("submit_parse", &["parse", pdf], "permit.pdf (task "),
        ("submit_extract", &["extract", pdf, "--schema", schema], "permit.pdf (task "),
        ("launch_agent", &["agents", "run", "Count the doors.", "--file", pdf], "finished"),
        ("follow_up_agent", &["agents", "follow-up", ended.id.as_str(), "And the rooms?"], "finished"),
        ("upload_file", &["upload", pdf], "permit.pdf"),
        ("upload_file", &["upload", pdf, "--path", "a folder/it's.pdf"], "it's.pdf"),
        ("disable_user", &["users", "disable", "bob@example.com", "--yes"], "disabled"),
        ("enable_user", &["users", "enable", "bob@example.com"], "enabled"),
        ("delete_agent", &["agents", "delete", ended.id.as_str(), "--yes"], ""),
    ];
    for (operation, arguments, words) in cases {
        emulator.fault(Fault::on(operation, FaultKind::ResetAfter));
        let said = run(&emulator, arguments);
        assert!(said.code == 6 && said.error.contains("it may have been executed"), "{said:?}");
        let seen = type_again(&emulator, &said, "");
        assert!(seen.out.contains(words), "{operation}: {said:?} {seen:?}");
    }
}

#[test]
fn a_document_that_is_stored_need_not_be_uploaded_again() {
    let emulator = emulator();
    emulator.fault(Fault::on("submit_parse", FaultKind::ResetAfter));
    let said = run(&emulator, &["parse", permit_pdf().to_str().unwrap()]);
    let version = said.error.split_once("--file-version ").unwrap().1.split_whitespace().next().unwrap();
    assert!(run(&emulator, &["parse", "--file-version", version]).out.contains("PH-2026-0417"), "{said:?}");
    emulator.fault(Fault::on("launch_agent", FaultKind::ResetAfter));
    let said = run(&emulator, &["agents", "run", "Go.", "--file", permit_pdf().to_str().unwrap()]);
    let file = said.error.split_once("--file-id ").unwrap().1.split_whitespace().next().unwrap();
    assert_eq!(run(&emulator, &["agents", "run", "Go.", "--file-id", file]).code, 0);
}

#[test]
fn a_name_that_is_not_known_stops_a_script_that_tries_again() {
    for arguments in [&["users"] as &[&str], &["wait", "parse", "t", "--timeout", "0"]] {
        let mut command = without_account(Command::new(program()));
        command.env("NOMIC_BASE_URL", "https://nobody.invalid").env("NOMIC_API_KEY", "npk_x").args(arguments);
        let said = Said::from(command.output().unwrap());
        assert!(said.code == 2 && said.error.contains("the name is not known"), "{said:?}");
        assert!(!said.error.contains("still running"), "{said:?}");
    }
    // A server that is down may come back.
    let mut command = without_account(Command::new(program()));
    command.env("NOMIC_BASE_URL", "http://127.0.0.1:1").env("NOMIC_API_KEY", "npk_x").arg("users");
    assert_eq!(Said::from(command.output().unwrap()).code, 5);
}

#[test]
fn each_citation_names_its_document_where_there_are_several() {
    let emulator = emulator();
    let folder = Folder::new("citations");
    let note = folder.0.join("b.md");
    std::fs::write(&note, "Owner: Harbor Trust\n").unwrap();
    let schema = folder.0.join("two.json");
    let properties = r#"{"properties": {"permitNumber": {"type": "string"}, "owner": {"type": "string"}}}"#;
    std::fs::write(&schema, properties).unwrap();
    let (pdf, note, schema) = (permit_pdf(), note.to_str().unwrap(), schema.to_str().unwrap());
    let pdf = pdf.to_str().unwrap();
    let said = run(&emulator, &["extract", pdf, note, "--schema", schema, "--citations"]);
    assert!(said.out.contains(&format!("({pdf}, page 1")) && said.out.contains(&format!("({note}")), "{said:?}");
    // Whoever waits later knows the versions alone.
    let task = said.error.split_once("extract job ").unwrap().1.split_whitespace().next().unwrap();
    let version = said.error.rsplit_once("--file-version ").unwrap().1.split_whitespace().next().unwrap();
    let later = run(&emulator, &["wait", "extract", task]);
    assert!(later.out.contains(&format!("({version}")), "{later:?}");
}

#[test]
fn json_of_a_task_holds_its_id_once() {
    let emulator = emulator();
    let schema = Folder::new("task");
    let schema = schema.0.join("schema.json");
    let (pdf, schema) = (permit_pdf(), schema.to_str().unwrap());
    let pdf = pdf.to_str().unwrap();
    for arguments in [&["parse", pdf] as &[&str], &["extract", pdf, "--schema", schema]] {
        let said = run(&emulator, &[arguments, &["--json"]].concat());
        let value: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(said.out.matches("\"taskId\"").count(), 1, "{said:?}");
        assert!(said.error.contains(value["taskId"].as_str().unwrap()), "{said:?}");
    }
}

#[test]
fn a_word_that_is_not_known_is_named_where_nothing_was_found() {
    let emulator = emulator();
    for (arguments, words) in [
        (["agents", "--status", "rnning"], "\"rnning\"; known statuses: waiting, running"),
        (["audit", "--action", "user.disbled"], "\"user.disbled\"; known actions: user.disabled"),
    ] {
        let said = run(&emulator, &arguments);
        assert!(said.code == 0 && said.out.is_empty() && said.error.contains(words), "{said:?}");
    }
    for arguments in [["agents", "--status", "failed"], ["audit", "--action", "file.uploaded"]] {
        assert_eq!(run(&emulator, &arguments).error, "", "{arguments:?}");
    }
}

#[test]
fn the_beginning_of_a_key_is_not_taken_for_its_id() {
    let emulator = emulator();
    for yes in [&[] as &[&str], &["--yes"]] {
        let said = run(&emulator, &[&["keys", "revoke", emulator.key()], yes].concat());
        assert!(said.code == 2 && said.error.contains("`nomic keys` lists the IDs"), "{said:?}");
        assert!(!said.error.contains(emulator.key()), "{said:?}");
    }
    assert!(emulator.requests().is_empty());
}

#[test]
fn a_follow_up_says_what_it_did() {
    let emulator = emulator();
    let agent = nomic(&emulator).launch_agent(&agents::Launch::prompt("Go.")).unwrap().id;
    nomic(&emulator).wait(&agent).unwrap();
    let said = run(&emulator, &["agents", "follow-up", agent.as_str(), "And the rooms?"]);
    assert!(said.error.contains("received the follow-up and is running again"), "{said:?}");
    let said = run(&emulator, &["agents", "run", "Go."]);
    assert!(said.error.contains("was launched") && !said.error.contains("follow-up"), "{said:?}");
}

#[test]
fn the_settings_that_count_are_named() {
    let emulator = emulator();
    let note = |domain: &str| {
        let mut command = on(&emulator, Command::new(program()));
        let said = Said::from(command.env("NOMIC_DOMAIN", domain).args(["users", "--limit", "1"]).output().unwrap());
        assert_eq!(said.code, 0, "{said:?}");
        said.error
    };
    let said = note("acme");
    assert!(said.contains("using NOMIC_BASE_URL: ") && said.contains(emulator.url()), "{said}");
    // A key in the wrong place is not shown.
    assert!(!note("npk_0123").contains("npk_"));
    assert_eq!(note(emulator.url()), "");
    assert_eq!(note(""), "");
    let mut plain = without_account(Command::new(program()));
    plain.env("NOMIC_BASE_URL", "http://10.0.0.7:80").env("NOMIC_API_KEY", "npk_x").arg("users");
    let said = Said::from(plain.output().unwrap());
    assert!(said.code == 2 && said.error.contains("use https\n") && !said.error.contains("Builder"), "{said:?}");
}

#[test]
fn a_job_of_the_demo_is_not_said_to_go_on() {
    let mut command = without_account(Command::new(program()));
    let said = Said::from(command.args(["agents", "run", "Go.", "--demo", "--timeout", "0"]).output().unwrap());
    assert!(said.code == 1 && said.error.contains("did not end within 0 s, and ends with the emulator"), "{said:?}");
    assert!(!said.error.contains("it continues"), "{said:?}");
}

/// Looks at the help of a command and of all below it.
fn look_at_help(path: &[&str]) {
    let said = Said::from(without_account(Command::new(program())).args(path).arg("--help").output().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let (mut commands, mut below) = (false, Vec::new());
    for (at, line) in lines.iter().enumerate() {
        if !line.starts_with(' ') {
            commands = *line == "Commands:";
            continue;
        }
        let entry = line.trim_start();
        if indent(line) > 6 || !(commands || entry.starts_with(['<', '[', '-'])) {
            continue;
        }
        // Its sentence stands behind it, or below and further to the right.
        let next = lines.get(at + 1).map_or("", |next| *next);
        assert!(entry.contains("  ") || indent(next) > 6, "{path:?}: {entry}");
        if commands && !entry.starts_with("help ") {
            below.push(entry.split_whitespace().next().unwrap());
        }
    }
    for command in below {
        look_at_help(&[path, &[command]].concat());
    }
}

#[test]
fn every_argument_has_a_sentence_in_the_help() {
    look_at_help(&[]);
    let said = Said::from(Command::new(program()).args(["extract", "--help"]).output().unwrap());
    let schema = &said.out[said.out.find('{').unwrap()..said.out.rfind('}').unwrap() + 1];
    assert!(serde_json::from_str::<Value>(schema).unwrap().is_object(), "{said:?}");
}

#[test]
fn without_an_account_it_says_what_to_set_and_the_demo_needs_none() {
    let run = |argument: &str| {
        let mut command = without_account(Command::new(program()));
        Said::from(command.args(["users", "--limit", "2", argument]).output().unwrap())
    };
    let said = run("--json");
    assert_eq!(said.code, 2);
    assert!(["NOMIC_API_KEY", "NOMIC_DOMAIN", "--demo"].iter().all(|word| said.error.contains(word)), "{said:?}");
    let demo = run("--demo");
    assert!(demo.code == 0 && demo.out.lines().count() == 2, "{demo:?}");
}

#[test]
fn what_destroys_is_not_done_without_a_yes() {
    let emulator = emulator();
    for arguments in
        [&["users", "disable", "bob@example.com"] as &[&str], &["keys", "revoke", "k"], &["agents", "delete", "a"]]
    {
        let said = run(&emulator, arguments);
        assert!(said.code == 2 && said.error.contains("pass --yes"), "{said:?}");
    }
    assert!(emulator.requests().is_empty());
}

#[test]
fn what_comes_from_outside_does_not_steer_the_terminal() {
    let emulator = emulator();
    let folder = Folder::new("steers");
    let path = folder.0.join("note.txt");
    std::fs::write(&path, "Permit\u{1b}[31m number: 7\n").unwrap();
    // `run` looks at every character.
    assert!(run(&emulator, &["parse", path.to_str().unwrap()]).out.contains("Permit"));
}

#[cfg(unix)]
mod signals {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use nomic_client::FileVersionId;
    use nomic_emulator::{Emulator, Fault, FaultKind, StallPhase};

    use super::{Folder, Said, document, emulator, nomic, on, permit_pdf, program, run, type_again};

    fn spawn(emulator: &Emulator, arguments: &[&str]) -> Child {
        let mut command = on(emulator, Command::new(program()));
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn until(so: impl Fn() -> bool) {
        let began = Instant::now();
        while !so() {
            assert!(began.elapsed() < Duration::from_secs(60), "it never was so");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Presses Ctrl-C; gives what was said and how it ended.
    fn interrupt(child: Child) -> Said {
        let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        child.wait_with_output().unwrap().into()
    }

    /// Interrupts a command when its job has been asked after.
    fn interrupt_the_wait(emulator: &Emulator, arguments: &[&str], asked: &str) -> Said {
        let child = spawn(emulator, arguments);
        until(|| emulator.received(asked) > 0);
        interrupt(child)
    }

    fn never_ending(emulator: &Emulator, operation: &str) -> FileVersionId {
        emulator.fault(Fault::on(operation, FaultKind::JobNeverEnds));
        document(&nomic(emulator))
    }

    #[test]
    fn ctrl_c_says_which_job_still_runs_and_the_command_shown_picks_it_up() {
        let emulator = emulator();
        let version = never_ending(&emulator, "submit_parse");
        let said = interrupt_the_wait(&emulator, &["parse", "--file-version", version.as_str()], "get_parse");
        assert_eq!((said.code, said.out.as_str()), (130, ""), "{said:?}");
        assert!(said.error.contains("interrupted; parse job ") && said.error.contains("still running"), "{said:?}");
        let again = type_again(&emulator, &said, "--timeout 0");
        assert!(again.code == 8 && again.error.ends_with("it continues, wait for it again\n"), "{again:?}");
        assert_eq!(emulator.accepted("submit_parse"), 1);
    }

    #[test]
    fn an_agent_that_was_left_is_picked_up_with_its_result() {
        let emulator = emulator();
        emulator.fault(Fault::on("launch_agent", FaultKind::JobNeverEnds));
        let said = interrupt_the_wait(&emulator, &["agent", "run", "Count the doors.", "--json"], "get_agent");
        assert_eq!(said.code, 130, "{said:?}");
        let nomic = nomic(&emulator);
        let agent = nomic.agents(&Default::default()).next().unwrap().unwrap();
        nomic.stop_agent(&agent.id).unwrap();
        let again = type_again(&emulator, &said, "");
        // Stopped is not done.
        assert_eq!(again.code, 7, "{again:?}");
        let shown: nomic_client::agents::Agent = serde_json::from_str(&again.out).unwrap();
        assert_eq!(shown.id, agent.id);
        // Asked for more, it runs to its end.
        nomic.follow_up_agent(&agent.id, "Go on.").unwrap();
        assert_eq!(type_again(&emulator, &said, "").code, 0);
    }

    #[test]
    fn ctrl_c_in_an_upload_says_that_nothing_was_submitted() {
        let emulator = emulator();
        emulator.fault(Fault::on("upload_file", FaultKind::Stall(StallPhase::BeforeRead)));
        let folder = Folder::new("upload");
        let path = folder.0.join("large.pdf");
        std::fs::File::create(&path).unwrap().set_len(64 << 20).unwrap();
        let child = spawn(&emulator, &["parse", path.to_str().unwrap()]);
        until(|| emulator.connections() > 0);
        let said = interrupt(child);
        assert_eq!(said.code, 130);
        assert!(said.error.contains("is incomplete: it is not stored, and nothing was submitted"), "{said:?}");
        assert!(emulator.uploads().is_empty() && emulator.received("submit_parse") == 0);
    }

    #[test]
    fn ctrl_c_in_a_submission_says_that_it_may_have_been_executed() {
        let emulator = emulator();
        emulator.fault(Fault::on("submit_parse", FaultKind::Stall(StallPhase::BeforeHead)));
        let said = interrupt_the_wait(&emulator, &["parse", permit_pdf().to_str().unwrap()], "submit_parse");
        assert!(said.code == 130 && said.error.contains("may have been executed"), "{said:?}");
        assert!(said.error.contains("--file-version "), "{said:?}");
        let seen = type_again(&emulator, &said, "");
        assert!(seen.out.contains("permit.pdf (task "), "{said:?} {seen:?}");
    }

    #[test]
    fn a_reader_that_has_had_enough_ends_it_quietly() {
        let emulator = Emulator::builder().audit_logs(20_000).start().unwrap();
        let mut child = spawn(&emulator, &["audit"]);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut error = String::new();
        child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        assert_eq!((child.wait().unwrap().code(), error.as_str()), (Some(0), ""));
        assert!(line.ends_with('\n'));
        assert!(emulator.received("list_audit_logs") < 20, "it went on reading");
    }

    /// Runs a command on a terminal of its own, and types an answer.
    #[cfg(target_os = "linux")]
    fn on_a_terminal(emulator: &Emulator, command: &str, answer: &str) -> String {
        use std::io::Write;
        let command = format!("{} {command}", program().display());
        let mut script = on(emulator, Command::new("script"));
        let script = script.args(["-qec", &command, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = script.spawn().expect("script, of util-linux");
        child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn on_a_terminal_there_are_progress_and_heads_and_questions() {
        let emulator = emulator();
        emulator.fault(Fault::on("get_parse", FaultKind::Delay(Duration::from_millis(300))));
        let version = document(&nomic(&emulator));
        let said = on_a_terminal(&emulator, &format!("parse --file-version {version}"), "");
        assert!(said.contains("waiting for parse job") && said.contains("Gulf Star"), "{said:?}");
        assert!(on_a_terminal(&emulator, "users --limit 1", "").starts_with("ID  "));
        assert!(on_a_terminal(&emulator, "users disable bob@example.com", "n\n").contains("nothing was changed"));
        assert_eq!(emulator.received("disable_user"), 0);
        assert!(on_a_terminal(&emulator, "users disable bob@example.com", "y\n").contains("is disabled"));
        assert!(run(&emulator, &["users", "show", "bob@example.com"]).out.contains("disabled"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_question_before_a_key_is_revoked_says_which_it_is_and_whether_it_is_in_use() {
        let emulator = emulator();
        let in_use = |key: &nomic_client::api_keys::ApiKey| emulator.key().starts_with(&key.key_prefix);
        let keys: Vec<_> = nomic(&emulator).api_keys(&Default::default()).map(Result::unwrap).collect();
        for own in [true, false] {
            let key = keys.iter().find(|key| in_use(key) == own).unwrap();
            let said = on_a_terminal(&emulator, &format!("keys revoke {}", key.id), "n\n");
            let owner = key.user.as_ref().unwrap().email.as_ref().unwrap();
            for words in [&format!("{}…", key.key_prefix), key.name.as_ref().unwrap(), owner] {
                assert!(said.contains(words), "{words}: {said:?}");
            }
            assert_eq!(said.contains("this command uses this key"), own, "{said:?}");
        }
        assert!(on_a_terminal(&emulator, "keys revoke nobody", "y\n").contains("there is no API key nobody"));
        assert_eq!(emulator.received("revoke_api_key"), 0);
    }
}
