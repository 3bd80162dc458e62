//! The examples as programs of their own: killed, started again, and compared.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nomic_emulator::{Emulator, Fault, FaultKind, Limits, Snapshot};

/// The program of an example, built from what stands there now.
fn example(name: &str) -> Command {
    let built = Command::new(env!("CARGO")).args(["build", "--quiet", "--example", name]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let folder = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples");
    let mut command = Command::new(folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX)));
    for variable in ["NOMIC_API_KEY", "NOMIC_DOMAIN", "NOMIC_BASE_URL", "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
        command.env_remove(variable);
    }
    command
}

/// The same on an emulator of the test's.
fn on(emulator: &Emulator, mut command: Command) -> Command {
    command.env("NOMIC_BASE_URL", emulator.url()).env("NOMIC_API_KEY", emulator.key());
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A folder that is gone with its value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nomic-client-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn export(emulator: &Emulator, to: &Path) -> Child {
    let mut command = on(emulator, example("audit_export"));
    command.arg(to).arg("100").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn an_export_that_is_killed_again_and_again_is_the_same_as_an_unbroken_one() {
    let emulator = Emulator::builder().limits(Limits::off()).audit_logs(6000).start().unwrap();
    let folder = Folder::new("export");
    let (whole, broken) = (folder.0.join("whole.jsonl"), folder.0.join("broken.jsonl"));
    assert!(export(&emulator, &whole).wait().unwrap().success());
    let whole = std::fs::read(whole).unwrap();
    assert_eq!(whole.iter().filter(|byte| **byte == b'\n').count(), 6000);

    // Each answer takes a moment, so that a kill finds the program anywhere in its loop.
    emulator.fault(Fault::any(FaultKind::Delay(Duration::from_millis(3))).forever());
    let mut kills = 0;
    for run in 0_u64.. {
        let before = emulator.received("list_audit_logs");
        let mut child = export(&emulator, &broken);
        // After one to four pages and an odd moment more; the last run is left in peace.
        if run < 20 {
            let began = Instant::now();
            while emulator.received("list_audit_logs") < before + 1 + run % 4
                && began.elapsed() < Duration::from_secs(20)
            {
                std::hint::spin_loop();
            }
            std::thread::sleep(Duration::from_micros(run * 397 % 5000));
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        } else {
            assert!(child.wait().unwrap().success());
            break;
        }
    }
    assert_eq!(kills, 20);
    assert!(std::fs::read(&broken).unwrap() == whole, "an entry was lost, or stands there twice");
    let again = on(&emulator, example("audit_export")).arg(&broken).output().unwrap();
    assert!(text(&again).contains("is complete"), "{}", text(&again));
}

#[test]
fn an_export_goes_on_at_its_own_instance_only_and_leaves_what_is_not_its_own_alone() {
    let (one, other) = (quick(), quick());
    let folder = Folder::new("exports");
    let file = folder.0.join("notes.jsonl");
    let run = |emulator: &Emulator| on(emulator, example("audit_export")).arg(&file).output().unwrap();
    std::fs::write(&file, "my own\n").unwrap();
    let output = run(&one);
    assert!(!output.status.success() && text(&output).contains("is no export of this program's"), "{}", text(&output));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "my own\n");
    std::fs::remove_file(&file).unwrap();

    let exported = run(&one);
    assert!(exported.status.success(), "{}", text(&exported));
    let output = run(&other);
    let said = text(&output);
    assert!(
        !output.status.success() && said.contains(one.url()) && said.contains("to begin anew, remove it"),
        "{said}"
    );
    std::fs::write(&file, "").unwrap();
    assert!(text(&run(&one)).contains("has lost what was exported"));

    let boxed = folder.0.join("boxed.jsonl");
    let in_a_box = || example("audit_export").arg(&boxed).output().unwrap();
    let output = in_a_box();
    assert!(output.status.success() && text(&output).contains("on a Nomic in a box at http://"), "{}", text(&output));
    assert!(text(&in_a_box()).contains("is of the Nomic in a box at http://127.0.0.1:"));
    assert_eq!(
        text(&example("audit_export").arg(&boxed).arg("many").output().unwrap()).lines().next(),
        Some("audit_export: PAGE-SIZE is a number")
    );
}

#[test]
fn every_example_says_how_it_is_used_and_takes_no_option_for_data() {
    for name in ["quickstart", "search_codes", "audit_export", "offboard", "batch", "contract_check"] {
        for option in ["--help", "-h"] {
            let output = example(name).args(["x", option]).output().unwrap();
            let usage = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{name}");
            assert!(usage.starts_with(&format!("usage: {name} ")), "{usage}");
        }
        let output = example(name).arg("--hepl").output().unwrap();
        assert!(output.status.code() == Some(2) && text(&output).contains("--hepl is no option\nusage: "));
    }
}

#[test]
fn advice_fits_the_error() {
    let folder = Folder::new("advice");
    for (name, arguments) in [("search_codes", &["atlantis"][..]), ("audit_export", &["audit.jsonl", "100000"])] {
        let output = example(name).args(arguments).current_dir(&folder.0).output().unwrap();
        let said = text(&output);
        assert!(!said.contains("another document") && !said.contains("give a document"), "{said}");
    }
}

/// So many documents, each with a text of its own.
fn documents(folder: &Folder, count: usize) -> PathBuf {
    let path = folder.0.join("documents");
    std::fs::create_dir_all(&path).unwrap();
    (0..count).for_each(|number| std::fs::write(path.join(format!("{number:03}.txt")), paragraph(number)).unwrap());
    path
}

fn paragraph(number: usize) -> String {
    format!("Permit number: OG-2026-{number}")
}

/// Whether the result of a document is there; what is there is whole, and its own.
fn has_result(results: &Path, number: usize) -> bool {
    let Ok(text) = std::fs::read_to_string(results.join(format!("{number:03}.txt.json"))) else { return false };
    let result: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(result["chunks"][0]["content"], paragraph(number));
    true
}

#[test]
fn a_hundred_documents_are_parsed_in_one_run_and_none_again_in_the_next() {
    let emulator = Emulator::builder().limits(Limits::off()).job_time(Duration::ZERO).start().unwrap();
    let folder = Folder::new("batch");
    let (documents, results) = (documents(&folder, 100), folder.0.join("results"));
    let run = || on(&emulator, example("batch")).arg(&documents).arg(&results).output().unwrap();
    let output = run();
    assert!(
        output.status.success() && text(&output).contains("100 documents, 0 without a result"),
        "{}",
        text(&output)
    );
    assert!((0..100).all(|number| has_result(&results, number)));
    assert!(output.stderr.is_empty(), "no bars in a pipe: {}", text(&output));
    let output = run();
    assert!(output.status.success() && text(&output).contains("done before"), "{}", text(&output));
    assert_eq!((emulator.accepted("upload_file"), emulator.accepted("submit_parse")), (100, 100));
}

#[test]
fn a_batch_that_is_killed_again_and_again_submits_nothing_twice() {
    const THREADS: usize = 4;
    let emulator = Emulator::builder().limits(Limits::off()).job_time(Duration::from_millis(5)).start().unwrap();
    let folder = Folder::new("killed-batch");
    let (documents, results) = (documents(&folder, 100), folder.0.join("results"));
    let batch = || {
        let mut command = on(&emulator, example("batch"));
        command.arg(&documents).arg(&results).arg(THREADS.to_string());
        command
    };
    let mut kills = 0;
    while kills < 10 {
        let before = emulator.received("submit_parse");
        let mut child = batch().stdout(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while emulator.received("submit_parse") < before + 3 + kills && began.elapsed() < Duration::from_secs(20) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    let last = text(&batch().output().unwrap());
    let without: Vec<usize> = (0..100).filter(|number| !has_result(&results, *number)).collect();
    // At every kill each thread may have been between the act and its note.
    assert!(without.len() <= THREADS * kills as usize, "{last}");
    for number in &without {
        let line = last.lines().find(|line| line.starts_with(&format!("{number:03}.txt"))).unwrap();
        assert!(line.contains("may have been submitted already"), "{line}");
    }
    let (uploads, jobs) = (emulator.accepted("upload_file"), emulator.accepted("submit_parse"));
    assert!(jobs <= 100 && jobs >= 100 - without.len() as u64, "{jobs} jobs, {} unknown", without.len());
    assert!(uploads <= 100 + (THREADS as u64) * kills, "{uploads}");
}

/// An emulator without limits whose jobs are done at the first question.
fn quick() -> Emulator {
    Emulator::builder().limits(Limits::off()).job_time(Duration::ZERO).start().unwrap()
}

const BUILD_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/build_script/Cargo.toml");

/// Builds and runs the package that is built with a service at hand.
fn built(target: &Path, variables: &[(&str, &str)]) -> Output {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--locked", "--manifest-path", BUILD_SCRIPT, "--target-dir"]);
    cargo.arg(target);
    for variable in ["NOMIC_API_KEY", "NOMIC_DOMAIN", "NOMIC_BASE_URL", "NOMIC_REFRESH"] {
        cargo.env_remove(variable);
    }
    cargo.envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn a_build_fetches_a_section_once_keeps_it_for_when_there_is_no_network_and_says_in_one_line_that_it_has_none() {
    // A target directory of its own, so that nothing is kept at first.
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("builds");
    let clean = || {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["clean", "--manifest-path", BUILD_SCRIPT]);
        cargo.args(["-p", "nomic-build-script", "--target-dir"]).arg(&target);
        assert!(cargo.output().unwrap().status.success());
    };
    clean();

    let without = built(&target, &[]);
    let text = String::from_utf8_lossy(&without.stderr);
    assert!(!without.status.success());
    assert!(
        text.contains("NOMIC_API_KEY and NOMIC_DOMAIN (or NOMIC_BASE_URL) are not set") && !text.contains("panicked"),
        "{text}"
    );

    let emulator = Emulator::start().unwrap();
    let url = emulator.url().to_owned();
    let variables = [("NOMIC_API_KEY", emulator.key()), ("NOMIC_BASE_URL", &url)];
    let refused = built(&target, &[("NOMIC_API_KEY", "npk_wrong"), ("NOMIC_BASE_URL", &url)]);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && text.contains("search_codes: 401") && !text.contains("npk_wrong"), "{text}");

    let first = built(&target, &variables);
    let section = String::from_utf8_lossy(&first.stdout).into_owned();
    assert!(first.status.success() && section.to_lowercase().contains("sprinkler"), "{first:?}");
    assert_eq!(emulator.accepted("search_codes"), 1);
    let again = built(&target, &variables);
    assert_eq!(String::from_utf8_lossy(&again.stdout), section);
    assert_eq!(emulator.accepted("search_codes"), 1, "a second build asks nobody");
    // A new shell, or an editor, has no variables.
    for some in [&variables[..1], &variables[1..], &[]] {
        let bare = built(&target, some);
        let text = String::from_utf8_lossy(&bare.stderr);
        assert!(bare.status.success() && String::from_utf8_lossy(&bare.stdout) == section, "{text}");
        let warns = text.contains("building with the section that was fetched before: NOMIC_");
        assert_eq!(warns, some != &variables[1..], "what names the same instance needs no key: {text}");
    }
    assert_eq!(emulator.accepted("search_codes"), 1);
    let elsewhere = built(&target, &[variables[0], ("NOMIC_BASE_URL", "http://127.0.0.1:9/api/v0")]);
    let text = String::from_utf8_lossy(&elsewhere.stderr);
    assert!(
        !elsewhere.status.success() && text.contains("cannot reach 127.0.0.1"),
        "another instance is asked: {text}"
    );
    let refresh = [variables[0], variables[1], ("NOMIC_REFRESH", "1")];
    assert!(built(&target, &refresh).status.success());
    assert_eq!(emulator.accepted("search_codes"), 2);

    let key = emulator.key().to_owned();
    drop(emulator);
    let offline = built(&target, &[("NOMIC_API_KEY", &key), ("NOMIC_BASE_URL", &url), ("NOMIC_REFRESH", "2")]);
    let text = String::from_utf8_lossy(&offline.stderr);
    assert!(offline.status.success() && text.contains("building with the section that was fetched before"), "{text}");
    assert_eq!(String::from_utf8_lossy(&offline.stdout), section);
}

#[test]
fn a_user_is_offboarded_with_proof() {
    let emulator = Emulator::builder().limits(Limits::off()).start().unwrap();
    let output = on(&emulator, example("offboard")).args(["bob@example.com", "moved on"]).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("bob@example.com is disabled") && said.contains(r#""reason":"moved on""#), "{said}");
    let output = on(&emulator, example("offboard")).arg("ob@example.com").output().unwrap();
    assert!(!output.status.success(), "a part of an address is nobody's");
    assert_eq!(emulator.accepted("disable_user"), 1);
}

#[test]
fn the_codes_answer() {
    let output = example("search_codes").args(["texas", "errata egress tables"]).output().unwrap();
    assert!(output.status.success() && text(&output).contains("Errata sheet"), "{}", text(&output));
}

#[test]
fn the_quickstart_says_in_one_line_why_it_cannot_go_on() {
    let line = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(!output.status.success());
        let error = String::from_utf8(output.stderr).unwrap();
        // One more says that it is a box, where it is one.
        let mut lines = error.lines().filter(|line| !line.contains("on a Nomic in a box at http://"));
        let line = lines.next().unwrap().to_owned();
        assert_eq!(lines.next(), None, "{error}");
        line
    };
    let quickstart = || example("quickstart");
    assert!(line(quickstart().arg("no-such.pdf")).contains("give a document that can be read"));
    assert!(line(quickstart().env("NOMIC_API_KEY", "npk_x")).contains("NOMIC_DOMAIN"));
    assert!(line(quickstart().arg("src")).contains("src is not a file; give a document"));
    assert!(line(quickstart().env("NOMIC_API_KEY", "npk_x\n").env("NOMIC_DOMAIN", "acme")).contains("line break"));
    let half = quickstart().env("NOMIC_DOMAIN", "acme").output().unwrap();
    let words = "NOMIC_DOMAIN is set, but NOMIC_API_KEY is not: on a Nomic in a box at http://";
    assert!(half.status.success() && text(&half).contains(words));
    let emulator = Emulator::builder().snapshot(Snapshot::Today).start().unwrap();
    let wrong = line(on(&emulator, quickstart()).env("NOMIC_API_KEY", "npk_wrong").arg("Cargo.toml"));
    assert!(wrong.contains("401"), "{wrong}");
}

/// What the contract check says of an emulator of some age: its exit code, and the lines of each operation.
fn contract_check(snapshot: Snapshot, arguments: &[&str]) -> (bool, String) {
    let setup = Emulator::builder().limits(Limits::off()).job_time(Duration::ZERO).agents(2);
    let emulator = setup.snapshot(snapshot).start().unwrap();
    let output = on(&emulator, example("contract_check")).args(arguments).output().unwrap();
    let acted: u64 = nomic_emulator::routes()
        .iter()
        .filter(|route| route.method != "GET" && route.operation != "search_codes")
        .map(|route| emulator.received(route.operation))
        .sum();
    // Upload, parse, extract, launch, delete; and nothing without permission.
    assert_eq!(acted, if arguments.is_empty() { 0 } else { 5 });
    (output.status.success(), text(&output))
}

/// The lines of one operation in the output.
fn lines_of<'a>(said: &'a str, operation: &str) -> Vec<&'a str> {
    let mut lines = said.lines().skip_while(|line| !line.starts_with(&format!("{operation} ")));
    lines.next().into_iter().chain(lines.take_while(|line| line.starts_with(' '))).collect()
}

#[test]
fn the_contract_check_passes_where_the_contract_holds_and_changes_nothing() {
    for arguments in [&[] as &[&str], &["--write"]] {
        let (success, said) = contract_check(Snapshot::Today, arguments);
        assert!(success && !said.contains("unknown: ") && !said.contains("missing: "), "{said}");
    }
}

#[test]
fn the_contract_check_finds_every_field_and_word_from_the_future() {
    let (success, said) = contract_check(Snapshot::Future, &["--write"]);
    assert!(success, "what was added breaks nothing: {said}");
    let compared: Vec<_> = nomic_emulator::routes()
        .iter()
        .map(|route| route.operation)
        .filter(|operation| said.contains(&format!("{operation} ")))
        .filter(|operation| !["submit_parse", "submit_extract", "delete_agent"].contains(operation))
        .collect();
    assert!(compared.len() >= 18, "{compared:?}");
    for operation in compared {
        let lines = lines_of(&said, operation).join("\n");
        assert!(lines.contains("futureField"), "{operation}: {said}");
    }
    for (operation, word) in [
        ("upload_file", "fileType = MODEL"),
        ("get_parse", "blocks[].type = Hologram"),
        ("list_agents", "artifacts[].type = canvas"),
        ("list_artifacts", "data[].type = canvas"),
        ("get_artifact", "data.type = canvas"),
        ("list_audit_logs", "actor.type = service_account"),
        ("list_user_analytics", "role = steward"),
        ("list_user_analytics", "spendStatus = under_review"),
    ] {
        let lines = lines_of(&said, operation).join("\n");
        assert!(lines.contains(word), "{operation} {word}: {said}");
    }
}

#[test]
fn the_contract_check_fails_on_an_instance_that_lacks_what_is_documented() {
    let (success, said) = contract_check(Snapshot::Old, &[]);
    assert!(!success);
    for (operation, field) in [
        ("search_codes", "results[].pageNumber"),
        ("list_agents", "data[].createdAt"),
        ("get_agent", "updatedAt"),
        ("list_users", "totalCount"),
        ("get_user", "apiKeyCount"),
        ("list_api_keys", "data[].revokedAt"),
        ("list_audit_logs", "data[].context.userAgent"),
        ("list_user_analytics", "spendLimitsEnabled"),
    ] {
        let lines = lines_of(&said, operation).join("\n");
        assert!(lines.contains("BROKEN") && lines.contains(field), "{operation} {field}: {said}");
    }
}
