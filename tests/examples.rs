//! The examples as programs: what they print, how they fail, and how they continue after a kill.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;
#[path = "../examples/contract_check/documented.rs"]
mod documented;

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::nomic;
use common::program::{ProgramOutput, cargo, example, example_on, run};
use common::temp_dir::TempDir;
use nomic_client::audit_logs::{Action, Filter};
use nomic_client::{Request, operations};
use nomic_emulator::{ApiVersion, Emulator, Fault, FaultKind, Limits};
use serde_json::Value;

/// An emulator whose jobs finish at once. Its headers announce high limits, so that no client waits for its quota.
fn emulator() -> Emulator {
    Emulator::builder().limits(Limits::high()).job_time(Duration::ZERO).start().unwrap()
}

#[test]
fn every_example_has_a_help_text_and_rejects_unknown_options() {
    for name in ["quickstart", "search_codes", "audit_export", "offboard", "batch", "contract_check"] {
        let help = run(example(name).arg("--help"));
        assert!(help.is_success() && help.stderr.is_empty(), "{help:?}");
        assert!(help.stdout.contains(&format!("Usage: {name}")), "{help:?}");
        let unknown = run(example(name).arg("--hepl"));
        assert!(unknown.code == Some(2) && unknown.stderr.contains("unexpected argument '--hepl'"), "{unknown:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_an_example_quietly() {
    let emulator = emulator();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 1), folder.join("results"));
    for (name, arguments) in [
        ("quickstart", &[] as &[&Path]),
        ("search_codes", &[]),
        ("offboard", &["bob@example.com".as_ref()]),
        ("batch", &[&documents, &results]),
        ("contract_check", &[]),
    ] {
        let (_, closed_pipe) = std::io::pipe().unwrap();
        let output = run(example_on(&emulator, name).args(arguments).stdout(closed_pipe));
        // Ended by SIGPIPE, which has no exit code.
        assert!(output.code.is_none() && output.stderr.is_empty(), "{name}: {output:?}");
    }

    // Everything is done before the first line is printed.
    assert_eq!(emulator.accepted("disable_user"), 1);
    let nomic = nomic(&emulator);
    let bob =
        nomic.users_with(&nomic_client::users::Filter::default().email("bob@example.com")).next().unwrap().unwrap();
    let active = nomic_client::api_keys::Filter::default().user_id(bob.id);
    assert_eq!(nomic.api_keys_with(&active).count(), 0);
    assert!(has_result(&results, 0));
}

#[test]
fn the_quickstart_prints_what_the_document_says() {
    let output = run(&mut example("quickstart"));
    assert!(output.is_success(), "{output:?}");
    assert!(output.stderr.starts_with("NOMIC_API_KEY is not set: using an emulator at http://"), "{output:?}");
    for line in [
        "permit number: PH-2026-0417",
        "    cited from page 1",
        "storeys: 4",
        "expiry date: not found",
        "### Conditions of approval",
        "| D104 | Café kitchen | 42 | 84 | 45 min | Set 2 |",
        "D104,Café kitchen,42,84,45 min,Set 2",
    ] {
        assert!(output.stdout.lines().any(|printed| printed == line), "{line}: {output:?}");
    }
}

#[test]
fn the_quickstart_accepts_another_document() {
    let emulator = emulator();
    let folder = TempDir::new();
    let document = folder.join("permit.txt");
    fs::write(&document, "Permit number: OG-2026-7").unwrap();
    let output = run(example_on(&emulator, "quickstart").arg(&document));
    assert!(output.is_success() && output.stdout.contains("permit number: OG-2026-7\n"), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn an_error_of_the_quickstart_is_one_line() {
    let error = |command: &mut Command| {
        let output = run(command);
        assert!(output.code == Some(1) && output.stdout.is_empty(), "{output:?}");
        let lines: Vec<_> = output.stderr.lines().filter(|line| !line.contains("using an emulator at ")).collect();
        assert!(lines.len() == 1 && lines[0].starts_with("Error: "), "{output:?}");
        lines[0].to_owned()
    };
    let quickstart = || example("quickstart");
    assert!(error(quickstart().arg("no-such.pdf")).contains("upload_file: no-such.pdf: "));
    assert!(error(quickstart().arg("src")).contains("src is not a file"));
    assert!(error(quickstart().env("NOMIC_API_KEY", "npk_x")).contains("NOMIC_DOMAIN"));
    assert!(error(quickstart().env("NOMIC_API_KEY", "npk_x\n").env("NOMIC_DOMAIN", "acme")).contains("line break"));
    let emulator = emulator();
    assert!(error(example_on(&emulator, "quickstart").env("NOMIC_API_KEY", "npk_wrong")).contains("401"));
}

#[test]
fn search_codes_prints_sections() {
    let output = run(example("search_codes").args(["texas", "errata egress tables"]));
    assert!(output.is_success() && output.stdout.contains("Errata sheet"), "{output:?}");
    let output = run(example("search_codes").arg("atlantis"));
    assert!(output.code == Some(1) && output.stderr.contains("Error: search_codes: 422"), "{output:?}");
}

#[test]
fn offboard_disables_a_user_and_prints_the_audit_log() {
    let emulator = emulator();
    let output = run(example_on(&emulator, "offboard").args(["bob@example.com", "moved on"]));
    assert!(output.is_success(), "{output:?}");
    assert!(output.stdout.contains("bob@example.com is disabled"), "{output:?}");
    assert!(output.stdout.contains(r#""reason":"moved on""#), "{output:?}");
    assert_eq!(emulator.accepted("disable_user"), 1);
}

#[test]
fn offboard_needs_the_exact_address() {
    let emulator = emulator();
    let output = run(example_on(&emulator, "offboard").arg("ob@example.com"));
    assert!(output.code == Some(1) && output.stderr.contains("no user has the address ob@example.com"), "{output:?}");
    assert_eq!(emulator.received("disable_user"), 0);
}

/// An emulator with an audit log of 4500 entries: five pages.
fn emulator_with_audit_log() -> Emulator {
    Emulator::builder().limits(Limits::high()).audit_logs(4500).start().unwrap()
}

/// Exports the audit log to a file, from a cursor on if there is one.
fn audit_export(emulator: &Emulator, file: &Path, cursor: Option<&str>) -> ProgramOutput {
    let mut command = example_on(emulator, "audit_export");
    run(command.arg(file).args(cursor.map(|cursor| format!("--cursor={cursor}"))))
}

/// The cursor at which to continue a failed export.
fn printed_cursor(output: &ProgramOutput) -> String {
    assert!(output.code == Some(1) && output.stdout.is_empty(), "{output:?}");
    let (_, rest) = output.stderr.split_once("continue it with --cursor=").unwrap_or_else(|| panic!("{output:?}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn an_export_that_failed_continues_at_the_cursor_that_it_printed() {
    let emulator = emulator_with_audit_log();
    let folder = TempDir::new();
    let (whole, pieces) = (folder.join("whole.jsonl"), folder.join("pieces.jsonl"));
    let output = audit_export(&emulator, &whole, None);
    assert!(output.is_success() && output.combined().is_empty(), "{output:?}");
    let whole = fs::read_to_string(whole).unwrap();
    let ids = whole.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].clone());
    assert_eq!(ids.map(|id| id.to_string()).collect::<std::collections::BTreeSet<_>>().len(), 4500);

    let mut cursor = None;
    for pages in 1..4 {
        // Some pages arrive, then one fails.
        let skipped = pages - u32::from(pages > 1);
        emulator.fault(Fault::on("list_audit_logs", FaultKind::Html(403)).skip(skipped));
        cursor = Some(printed_cursor(&audit_export(&emulator, &pieces, cursor.as_deref())));
        let text = fs::read_to_string(&pieces).unwrap();
        assert!(whole.starts_with(&text) && text.ends_with('\n'), "only whole lines are written");
    }
    let output = audit_export(&emulator, &pieces, cursor.as_deref());
    assert!(output.is_success(), "{output:?}");
    assert_eq!(fs::read_to_string(&pieces).unwrap(), whole, "an entry is missing or duplicated");
}

#[test]
fn an_export_never_overwrites_a_file() {
    let emulator = emulator();
    let folder = TempDir::new();
    let file = folder.join("notes.jsonl");
    fs::write(&file, "mine\n").unwrap();
    let output = audit_export(&emulator, &file, None);
    assert!(output.code == Some(1) && output.stderr.contains("notes.jsonl: "), "{output:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine\n");
    assert_eq!(emulator.received("list_audit_logs"), 0);
}

#[test]
fn an_export_whose_first_page_fails_leaves_no_file() {
    let emulator = emulator();
    let folder = TempDir::new();
    let file = folder.join("audit.jsonl");
    emulator.fault(Fault::on("list_audit_logs", FaultKind::Html(403)));
    let output = audit_export(&emulator, &file, None);
    assert!(output.code == Some(1) && output.stderr.starts_with("Error: list_audit_logs: 403"), "{output:?}");
    assert!(!file.exists());
    assert!(audit_export(&emulator, &file, None).is_success());
}

#[test]
fn a_cursor_needs_the_file_that_it_belongs_to() {
    let emulator = emulator();
    let folder = TempDir::new();
    let output = audit_export(&emulator, &folder.join("absent.jsonl"), Some("cursor"));
    assert!(output.code == Some(1) && output.stderr.contains("absent.jsonl: "), "{output:?}");
    assert_eq!(emulator.received("list_audit_logs"), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn an_export_to_a_full_disk_keeps_whole_pages_and_continues() {
    let emulator = emulator_with_audit_log();
    let folder = TempDir::new();
    let file = folder.join("audit.jsonl");
    let mut limited = with_file_size_limit(&example_on(&emulator, "audit_export"), 3000);
    let output = run(limited.arg(&file));
    let cursor = printed_cursor(&output);
    assert!(output.stderr.contains("File too large"), "{output:?}");
    let lines = fs::read_to_string(&file).unwrap().lines().count();
    assert!(lines > 0 && lines % 1000 == 0, "{lines} lines");
    assert!(audit_export(&emulator, &file, Some(&cursor)).is_success());
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 4500);
}

/// The command with a limit on the size of the files that it writes, in blocks of 512 bytes: like a full disk.
#[cfg(target_os = "linux")]
fn with_file_size_limit(command: &Command, blocks: u32) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f $0; exec \"$@\""]).arg(blocks.to_string()).arg(command.get_program());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Writes documents, each with a different permit number, and returns their folder.
fn documents(folder: &TempDir, count: usize) -> PathBuf {
    let path = folder.join("documents");
    fs::create_dir_all(&path).unwrap();
    (0..count).for_each(|number| fs::write(path.join(format!("{number:03}.txt")), content(number)).unwrap());
    path
}

fn content(number: usize) -> String {
    format!("Permit number: OG-2026-{number}")
}

/// Whether a document has a result. A result must be complete, and that of its own document.
fn has_result(results: &Path, number: usize) -> bool {
    let Ok(text) = fs::read_to_string(results.join(format!("{number:03}.txt.json"))) else { return false };
    let result: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(result["chunks"][0]["content"], content(number));
    true
}

fn batch_command(emulator: &Emulator, documents: &Path, results: &Path) -> Command {
    let mut command = example_on(emulator, "batch");
    command.arg(documents).arg(results);
    command
}

fn batch(emulator: &Emulator, documents: &Path, results: &Path) -> ProgramOutput {
    run(&mut batch_command(emulator, documents, results))
}

/// The line of a document in the summary.
fn summary_line(output: &ProgramOutput, document: &str) -> String {
    let line = output.stdout.lines().find(|line| line.starts_with(document));
    line.unwrap_or_else(|| panic!("no {document}: {output:?}")).to_owned()
}

/// The lines that a message of the batch asks the user to add to the manifest.
fn suggested_lines(message: &str) -> Vec<String> {
    let lines = message.split("add the line ").skip(1);
    lines.map(|rest| format!("{}\n", rest.split_once(" to ").unwrap().0)).collect()
}

fn append_to_manifest(results: &Path, bytes: impl AsRef<[u8]>) {
    let mut manifest = fs::OpenOptions::new().append(true).open(results.join("manifest.jsonl")).unwrap();
    manifest.write_all(bytes.as_ref()).unwrap();
}

/// The number of documents that were uploaded, and of those that were submitted.
fn uploaded_and_submitted(emulator: &Emulator) -> (u64, u64) {
    (emulator.accepted("upload_file"), emulator.accepted("submit_parse"))
}

fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "timed out");
        std::thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn a_batch_parses_a_hundred_documents_and_the_next_run_parses_none_again() {
    let emulator = emulator();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 100), folder.join("results"));
    let output = batch(&emulator, &documents, &results);
    assert!(output.is_success() && output.stdout.contains("100 documents, 0 without a result"), "{output:?}");
    assert!((0..100).all(|number| has_result(&results, number)));
    assert!(output.stderr.is_empty(), "progress bars are shown on a terminal only: {output:?}");
    let output = batch(&emulator, &documents, &results);
    assert!(output.is_success() && output.stdout.contains("already done"), "{output:?}");
    assert_eq!(uploaded_and_submitted(&emulator), (100, 100));
}

#[test]
fn a_batch_that_is_killed_and_resumed_submits_no_document_twice() {
    const THREADS: usize = 4;
    let emulator = Emulator::builder().limits(Limits::high()).job_time(Duration::from_millis(5)).start().unwrap();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 100), folder.join("results"));
    let batch = || {
        let mut command = batch_command(&emulator, &documents, &results);
        command.arg(THREADS.to_string());
        command
    };
    let kills = 10;
    for kill in 0..kills {
        let before = emulator.received("submit_parse");
        let mut child = batch().stdout(Stdio::null()).spawn().unwrap();
        wait_until(|| emulator.received("submit_parse") >= before + 3 + kill);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = run(&mut batch());
    let without: Vec<usize> = (0..100).filter(|number| !has_result(&results, *number)).collect();
    // A kill may hit each thread between the request and the record of its response.
    assert!(without.len() <= THREADS * kills as usize, "{output:?}");
    for number in &without {
        let line = summary_line(&output, &format!("{number:03}.txt"));
        assert!(line.contains("may have been submitted already"), "{line}");
    }
    let (uploads, jobs) = uploaded_and_submitted(&emulator);
    assert!(jobs <= 100 && jobs >= 100 - without.len() as u64, "{jobs} jobs, {} unknown", without.len());
    assert!(uploads <= 100 + (THREADS as u64) * kills, "{uploads}");
}

#[test]
fn a_manifest_with_a_line_that_was_truncated_within_a_character_is_read_to_its_end() {
    let emulator = emulator();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 3), folder.join("results"));
    // The first run finds one document, the second three: the truncated line is in the middle.
    let aside = folder.join("aside");
    fs::create_dir(&aside).unwrap();
    for name in ["001.txt", "002.txt"] {
        fs::rename(documents.join(name), aside.join(name)).unwrap();
    }
    assert!(batch(&emulator, &documents, &results).is_success());
    append_to_manifest(&results, b"{\"document\":\"caf\xc3");
    for name in ["001.txt", "002.txt"] {
        fs::rename(aside.join(name), documents.join(name)).unwrap();
    }
    for _ in 0..2 {
        let output = batch(&emulator, &documents, &results);
        assert!(output.is_success(), "{output:?}");
        assert_eq!(uploaded_and_submitted(&emulator), (3, 3));
    }
    // An unknown line of JSON may stand for a document that was submitted and billed.
    append_to_manifest(&results, "{\"document\":\"000.txt\",\"postponed\":null}\n");
    let output = batch(&emulator, &documents, &results);
    assert!(output.code == Some(1) && output.stderr.contains("cannot understand"), "{output:?}");
}

#[test]
fn two_batches_cannot_use_the_same_results_folder_at_the_same_time() {
    let emulator = Emulator::builder().limits(Limits::high()).job_time(Duration::from_millis(800)).start().unwrap();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 4), folder.join("results"));
    let mut first = batch_command(&emulator, &documents, &results).stdout(Stdio::null()).spawn().unwrap();
    wait_until(|| emulator.accepted("submit_parse") > 0);
    let second = batch(&emulator, &documents, &results);
    assert!(second.code == Some(1) && second.stderr.contains("another run is using it"), "{second:?}");
    assert!(first.wait().unwrap().success());
    assert_eq!(uploaded_and_submitted(&emulator), (4, 4));
}

#[test]
fn a_document_that_changed_is_parsed_again_and_a_missing_result_is_fetched_again() {
    let emulator = emulator();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 3), folder.join("results"));
    assert!(batch(&emulator, &documents, &results).is_success());

    // Other content of the same length; the same content with another modification time.
    fs::write(documents.join("000.txt"), content(7)).unwrap();
    fs::write(documents.join("001.txt"), content(1)).unwrap();
    fs::remove_file(results.join("002.txt.json")).unwrap();
    let output = batch(&emulator, &documents, &results);
    assert!(output.is_success(), "{output:?}");
    assert!(summary_line(&output, "001.txt").contains("already done"));
    assert_eq!(uploaded_and_submitted(&emulator), (4, 4));
    assert!(has_result(&results, 2));
    assert!(fs::read_to_string(results.join("000.txt.json")).unwrap().contains(&content(7)));
}

#[test]
fn a_manifest_of_another_instance_is_rejected() {
    let (one, other) = (emulator(), emulator());
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 2), folder.join("results"));
    assert!(batch(&one, &documents, &results).is_success());
    let output = batch(&other, &documents, &results);
    assert!(output.code == Some(1), "{output:?}");
    for words in [one.url(), other.url(), "pass another folder for the results"] {
        assert!(output.stderr.contains(words), "{words}: {output:?}");
    }
    assert_eq!(other.received("upload_file"), 0);

    // Without an account, each run starts an emulator of its own.
    let results = folder.join("results-of-an-emulator");
    let without_account = || run(example("batch").arg(&documents).arg(&results));
    let output = without_account();
    assert!(output.is_success() && output.stderr.contains("using an emulator at "), "{output:?}");
    for output in [without_account(), batch(&one, &documents, &results)] {
        let words = "belongs to the emulator at http://127.0.0.1:";
        assert!(output.code == Some(1) && output.stderr.contains(words), "{output:?}");
    }
    assert_eq!(uploaded_and_submitted(&one), (2, 2));
}

#[test]
fn a_document_whose_job_failed_is_submitted_again_if_it_changed_or_the_user_asks_for_it() {
    let emulator = emulator();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 2), folder.join("results"));
    emulator.fault(Fault::on("submit_parse", FaultKind::JobFails("Unreadable".to_owned())).times(2));
    let mut suggested = Vec::new();
    for _ in 0..2 {
        let output = batch(&emulator, &documents, &results);
        let line = summary_line(&output, "000.txt");
        assert!(output.code == Some(1) && line.contains("Unreadable") && line.contains("fix the document"), "{line}");
        suggested = suggested_lines(&line);
        assert_eq!(emulator.accepted("submit_parse"), 2, "unchanged, it would only fail again");
    }
    fs::write(documents.join("001.txt"), content(9)).unwrap();
    append_to_manifest(&results, &suggested[0]);
    let output = batch(&emulator, &documents, &results);
    assert!(output.is_success(), "{output:?}");
    assert_eq!(emulator.accepted("submit_parse"), 4);
}

#[test]
fn a_submission_of_unknown_effect_is_looked_up_in_the_audit_log_and_not_billed_twice() {
    let emulator = emulator();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 2), folder.join("results"));
    // One submission is executed and the other is not; neither gets a response.
    emulator.fault(Fault::on("submit_parse", FaultKind::ResetAfter));
    emulator.fault(Fault::on("submit_parse", FaultKind::ResetBefore));
    assert!(!batch(&emulator, &documents, &results).is_success());
    let output = batch(&emulator, &documents, &results);
    assert_eq!(emulator.received("submit_parse"), 2);
    let nomic = nomic(&emulator);
    for number in 0..2 {
        let line = summary_line(&output, &format!("{number:03}.txt"));
        let version = line.split_once("look for parse.submitted of ").unwrap().1.split_once(' ').unwrap().0;
        let [if_found, if_missing] = &suggested_lines(&line)[..] else { panic!("{line}") };
        let filter = Filter::default().action(Action::from("parse.submitted"));
        let task_id = nomic.audit_logs_with(&filter).find_map(|entry| {
            let entry = entry.unwrap();
            entry.targets.iter().any(|target| target.id == version).then(|| entry.metadata["taskId"].to_string())
        });
        let added = task_id.map_or(if_missing.clone(), |task_id| if_found.replace("\"…\"", &task_id));
        append_to_manifest(&results, added);
    }
    let output = batch(&emulator, &documents, &results);
    assert!(output.is_success(), "{output:?}");
    assert_eq!(uploaded_and_submitted(&emulator), (2, 2));
}

#[test]
fn a_batch_stops_early_if_every_other_document_would_fail_too() {
    let emulator = emulator();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 40), folder.join("results"));
    let output = run(batch_command(&emulator, &documents, &results).env("NOMIC_API_KEY", "npk_wrong"));
    assert!(output.code == Some(1) && emulator.received("upload_file") <= 16, "{output:?}");
    let words = "batch: stopped, because every other document would fail too: upload_file: 401";
    assert!(output.stderr.contains(words), "{output:?}");
    assert!(batch(&emulator, &documents, &results).is_success(), "the next run continues");
}

#[cfg(target_os = "linux")]
#[test]
fn a_document_whose_result_cannot_be_saved_is_not_paid_for_and_does_not_keep_the_others_back() {
    let emulator = emulator();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 3), folder.join("results"));
    let (longest, too_long) = ("a".repeat(246) + ".txt", "b".repeat(247) + ".txt");
    fs::write(documents.join(&longest), content(7)).unwrap();
    fs::write(documents.join(&too_long), content(8)).unwrap();
    fs::create_dir_all(results.join("001.txt.json")).unwrap();
    for _ in 0..2 {
        let output = batch(&emulator, &documents, &results);
        let words = "2 of 5 documents have no result";
        assert!(output.code == Some(1) && output.stderr.contains(words), "{output:?}");
        for (document, reason) in [(&*too_long, "File name too long"), ("001.txt", "is a directory")] {
            let line = summary_line(&output, document);
            assert!(line.contains("the result cannot be saved as ") && line.contains(reason), "{line}");
        }
        assert!(has_result(&results, 0) && has_result(&results, 2));
        assert!(results.join(format!("{longest}.json")).exists());
    }
    assert_eq!(uploaded_and_submitted(&emulator), (3, 3));
    let left: Vec<_> = fs::read_dir(&results).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!left.iter().any(|path| path.extension().is_some_and(|extension| extension == "part")), "{left:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_batch_whose_disk_has_no_room_for_a_result_stops_before_it_pays_for_the_next() {
    let emulator = Emulator::builder().limits(Limits::high()).job_time(Duration::from_millis(800)).start().unwrap();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 3), folder.join("results"));
    let mut command = batch_command(&emulator, &documents, &results);
    let child = command.arg("1").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(|| emulator.accepted("submit_parse") > 0);
    std::os::unix::fs::symlink("/dev/full", results.join("000.txt.part")).unwrap();
    let output = ProgramOutput::from(child.wait_with_output().unwrap());
    let words = "stopped, because every other document would fail too: the result cannot be saved as ";
    assert!(output.code == Some(1) && output.stderr.contains(words), "{output:?}");
    assert!(output.stderr.contains("000.txt.json: No space left on device"), "{output:?}");
    assert_eq!(uploaded_and_submitted(&emulator), (1, 1));
    assert!(batch(&emulator, &documents, &results).is_success());
    assert_eq!(uploaded_and_submitted(&emulator), (3, 3));
}

#[test]
fn a_page_of_a_gateway_stops_no_batch_and_is_no_reason_to_pay_again() {
    let emulator = emulator();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 8), folder.join("results"));
    let pages = [("upload_file", 403), ("upload_file", 401), ("submit_parse", 403), ("submit_parse", 404)];
    for (operation, status) in pages.into_iter().chain([("get_parse", 401), ("get_parse", 403), ("get_parse", 404)]) {
        emulator.fault(Fault::on(operation, FaultKind::Html(status)));
    }
    let output = batch(&emulator, &documents, &results);
    assert!(output.code == Some(1) && output.stderr.contains("7 of 8 documents have no result"), "{output:?}");
    for words in ["the scope", "check the API key", "add the line", "billed", "stopped"] {
        assert!(!output.combined().contains(words), "{words}: {output:?}");
    }
    let output = batch(&emulator, &documents, &results);
    assert!(output.is_success(), "{output:?}");
    assert_eq!(uploaded_and_submitted(&emulator), (8, 8));
}

#[test]
fn a_batch_continues_with_a_job_whose_submit_has_an_incomplete_response() {
    let emulator = emulator();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 1), folder.join("results"));
    emulator.fault(Fault::on("submit_parse", FaultKind::ContentLengthTooLong));
    let output = batch(&emulator, &documents, &results);
    assert!(output.is_success(), "{output:?}");
    assert_eq!(uploaded_and_submitted(&emulator), (1, 1));
}

#[test]
fn a_batch_says_which_entries_it_skips_and_rejects_invalid_arguments() {
    let emulator = emulator();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 1), folder.join("results"));
    fs::write(documents.join(".DS_Store"), "x").unwrap();
    fs::create_dir(documents.join("plans")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("gone", documents.join("old.txt")).unwrap();
    let output = batch(&emulator, &documents, &results);
    assert!(output.is_success() && output.stdout.contains("1 documents, 0 without a result"), "{output:?}");
    assert!(output.stderr.contains(".DS_Store is skipped: it is hidden"), "{output:?}");
    assert!(output.stderr.contains("plans is skipped: it is a folder"), "{output:?}");
    #[cfg(unix)]
    assert!(output.stderr.contains("old.txt is skipped: No such file"), "{output:?}");

    let output = batch(&emulator, &documents, &documents.join("plans/.."));
    assert!(output.code == Some(2) && output.stderr.contains("RESULTS must not be FOLDER"), "{output:?}");
    for threads in ["0", "many"] {
        let output = run(batch_command(&emulator, &documents, &results).arg(threads));
        assert!(output.code == Some(2) && output.stderr.contains("for '[THREADS]'"), "{output:?}");
    }
    let file = documents.join("000.txt");
    let output = batch(&emulator, &documents, &file);
    let words = format!("batch: {}: ", file.display());
    assert!(output.code == Some(1) && output.stderr.contains(&words), "{output:?}");
    assert_eq!(emulator.received("upload_file"), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_full_disk_a_batch_starts_nothing_that_it_cannot_record_and_loses_no_record() {
    let emulator = emulator();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 40), folder.join("results"));
    let command = example_on(&emulator, "batch");
    for blocks in 3..30 {
        let before = emulator.accepted("upload_file");
        let mut limited = with_file_size_limit(&command, blocks);
        let output = run(limited.arg(&documents).arg(&results).arg("1"));
        assert!(output.code == Some(1) && output.stderr.contains("File too large"), "{output:?}");
        // A job that was submitted but not recorded is named, with the line that records it.
        if output.stderr.contains("is submitted as") {
            append_to_manifest(&results, &suggested_lines(&output.stderr)[0]);
        }
        assert!(emulator.accepted("upload_file") <= before + 20);
    }
    let output = batch(&emulator, &documents, &results);
    assert!(!output.stdout.contains("may have been submitted already"), "{output:?}");
    assert!(output.is_success(), "{output:?}");
    assert_eq!(emulator.accepted("submit_parse"), 40);
    assert!((0..40).all(|number| has_result(&results, number)));
}

#[cfg(target_os = "linux")]
#[test]
fn a_batch_that_cannot_print_its_summary_fails() {
    let emulator = emulator();
    let folder = TempDir::new();
    let (documents, results) = (documents(&folder, 2), folder.join("results"));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = run(batch_command(&emulator, &documents, &results).stdout(full));
    let words = "cannot write to standard output: No space left";
    assert!(output.code == Some(1) && output.stderr.contains(words), "{output:?}");
    assert!(has_result(&results, 0) && has_result(&results, 1));
}

const BUILD_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/build_script/Cargo.toml");

/// Builds the package with the build script, and runs it.
fn build(target: &Path, variables: &[(&str, &str)]) -> ProgramOutput {
    let mut cargo = cargo();
    cargo.args(["run", "--locked", "--manifest-path", BUILD_SCRIPT, "--target-dir"]);
    cargo.arg(target);
    for variable in ["NOMIC_API_KEY", "NOMIC_DOMAIN", "NOMIC_BASE_URL", "NOMIC_REFRESH"] {
        cargo.env_remove(variable);
    }
    run(cargo.envs(variables.iter().copied()))
}

#[test]
fn a_build_script_fetches_a_section_once_and_uses_its_cache_without_a_network() {
    // A target directory of its own: the cache is empty at first.
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("builds");
    let mut clean = cargo();
    clean.args(["clean", "--manifest-path", BUILD_SCRIPT]);
    clean.args(["-p", "nomic-build-script", "--target-dir"]).arg(&target);
    assert!(run(&mut clean).is_success());

    let without_account = build(&target, &[]).stderr;
    let words = "NOMIC_API_KEY and NOMIC_DOMAIN (or NOMIC_BASE_URL) are not set";
    assert!(without_account.contains(words) && !without_account.contains("panicked"), "{without_account}");

    let emulator = Emulator::start().unwrap();
    let url = emulator.url().to_owned();
    let variables = [("NOMIC_API_KEY", emulator.key()), ("NOMIC_BASE_URL", &url)];
    let wrong_key = build(&target, &[("NOMIC_API_KEY", "npk_wrong"), ("NOMIC_BASE_URL", &url)]);
    assert!(!wrong_key.is_success() && wrong_key.stderr.contains("search_codes: 401"), "{wrong_key:?}");
    assert!(!wrong_key.stderr.contains("npk_wrong"), "{wrong_key:?}");

    let first = build(&target, &variables);
    assert!(first.is_success() && first.stdout.to_lowercase().contains("sprinkler"), "{first:?}");
    assert_eq!(emulator.accepted("search_codes"), 1);
    assert_eq!(build(&target, &variables).stdout, first.stdout);
    assert_eq!(emulator.accepted("search_codes"), 1, "a second build sends nothing");
    // A new shell, or an editor, lacks variables.
    for some in [&variables[..1], &variables[1..], &[]] {
        let output = build(&target, some);
        assert!(output.is_success() && output.stdout == first.stdout, "{output:?}");
        let warns = output.stderr.contains("building with the section fetched earlier: NOMIC_");
        assert_eq!(warns, some != &variables[1..], "the cache of the same instance needs no key: {output:?}");
    }
    assert_eq!(emulator.accepted("search_codes"), 1);
    let elsewhere = build(&target, &[variables[0], ("NOMIC_BASE_URL", "http://127.0.0.1:9/api/v0")]);
    let words = "cannot connect to 127.0.0.1";
    assert!(!elsewhere.is_success() && elsewhere.stderr.contains(words), "another instance is asked: {elsewhere:?}");
    assert!(build(&target, &[variables[0], variables[1], ("NOMIC_REFRESH", "1")]).is_success());
    assert_eq!(emulator.accepted("search_codes"), 2);

    let key = emulator.key().to_owned();
    drop(emulator);
    let offline = build(&target, &[("NOMIC_API_KEY", &key), ("NOMIC_BASE_URL", &url), ("NOMIC_REFRESH", "2")]);
    assert!(offline.is_success() && offline.stdout == first.stdout, "{offline:?}");
    assert!(offline.stderr.contains("building with the section fetched earlier"), "{offline:?}");
}

/// An emulator for the contract check.
fn checked() -> nomic_emulator::Builder {
    Emulator::builder().limits(Limits::high()).job_time(Duration::ZERO).agents(2)
}

/// Runs the contract check on an emulator.
fn contract_check(emulator: &Emulator, arguments: &[&str]) -> ProgramOutput {
    let output = run(example_on(emulator, "contract_check").args(arguments));
    let writes: u64 = nomic_emulator::operations()
        .iter()
        .filter(|operation| operation.method != "GET" && operation.name != "search_codes")
        .map(|operation| emulator.received(operation.name))
        .sum();
    // With --write: upload, parse, extract, launch and delete.
    assert_eq!(writes, if arguments.contains(&"--write") { 5 } else { 0 });
    output
}

/// Runs the contract check on an emulator of a version of the service.
fn contract_check_of(version: ApiVersion, arguments: &[&str]) -> ProgramOutput {
    contract_check(&checked().api_version(version).start().unwrap(), arguments)
}

/// The lines about one operation.
fn lines_about(output: &ProgramOutput, operation: &str) -> String {
    let mut lines = output.stdout.lines().skip_while(|line| !line.starts_with(&format!("{operation} ")));
    let first = lines.next().into_iter();
    first.chain(lines.take_while(|line| line.starts_with(' '))).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_contract_check_passes_on_an_instance_that_keeps_the_contract_and_changes_nothing() {
    for arguments in [&[] as &[&str], &["--write"]] {
        let output = contract_check_of(ApiVersion::Current, arguments);
        assert!(output.is_success(), "{output:?}");
        for label in ["unknown: ", "missing: ", "absent: "] {
            assert!(!output.stdout.contains(label), "{output:?}");
        }
    }
}

#[test]
fn the_contract_check_finds_every_field_and_value_of_a_later_version() {
    let output = contract_check_of(ApiVersion::Future, &["--write"]);
    assert!(output.is_success(), "an addition contradicts nothing: {output:?}");
    let compared: Vec<_> = nomic_emulator::operations()
        .iter()
        .map(|operation| operation.name)
        .filter(|operation| output.stdout.contains(&format!("{operation} ")))
        .filter(|operation| !["submit_parse", "submit_extract", "delete_agent"].contains(operation))
        .collect();
    assert!(compared.len() >= 18, "{compared:?}");
    for operation in compared {
        assert!(lines_about(&output, operation).contains("futureField"), "{operation}: {output:?}");
    }
    for (operation, value) in [
        ("upload_file", "fileType = MODEL"),
        ("get_parse", "blocks[].type = Hologram"),
        ("list_agents", "artifacts[].type = canvas"),
        ("list_artifacts", "data[].type = canvas"),
        ("get_artifact", "data.type = canvas"),
        ("list_audit_logs", "actor.type = service_account"),
        ("list_user_analytics", "role = steward"),
        ("list_user_analytics", "spendStatus = under_review"),
    ] {
        assert!(lines_about(&output, operation).contains(value), "{operation} {value}: {output:?}");
    }
}

#[test]
fn a_field_that_is_optional_may_be_absent() {
    let output = contract_check_of(ApiVersion::Old, &["--write"]);
    assert!(output.is_success() && !output.stdout.contains("BROKEN"), "{output:?}");
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
        let lines = lines_about(&output, operation);
        assert!(lines.contains("absent: ") && lines.contains(field), "{operation} {field}: {output:?}");
    }
    // The last page of a list has no cursor.
    let emulator = checked().start().unwrap();
    let user = nomic(&emulator).users().next().unwrap().unwrap();
    let page = serde_json::json!({"data": [{"id": user.id, "email": user.email}]});
    emulator.fault(Fault::on("list_users", FaultKind::json(200, page)));
    let output = contract_check(&emulator, &[]);
    assert!(output.is_success() && !lines_about(&output, "list_users").contains("nextCursor"), "{output:?}");
}

#[test]
fn the_contract_check_fails_without_a_required_field_that_is_documented() {
    let emulator = checked().start().unwrap();
    let user = nomic(&emulator).users().next().unwrap().unwrap();
    let user = serde_json::json!({"data": [{"id": user.id, "email": user.email}, {"id": "b"}]});
    emulator.fault(Fault::on("list_users", FaultKind::json(200, user)));
    // An inferred operation contradicts nothing.
    let workflows = serde_json::json!({"workflows": []});
    emulator.fault(Fault::on("list_workflows", FaultKind::json(200, workflows)));
    let output = contract_check(&emulator, &[]);
    assert!(output.code == Some(1) && output.stderr.contains("contradicts the documentation"), "{output:?}");
    let lines = lines_about(&output, "list_users");
    assert!(lines.contains("BROKEN") && lines.contains("missing: data[].email"), "{output:?}");
    assert_eq!(output.stdout.matches("BROKEN").count(), 1, "{output:?}");
    assert!(lines_about(&output, "list_workflows").contains("missing: data"), "{output:?}");
}

#[test]
fn an_operation_that_could_not_be_checked_contradicts_nothing_but_is_a_failure() {
    let emulator = checked().start().unwrap();
    emulator.fault(Fault::on("list_users", FaultKind::Html(503)).forever());
    let output = contract_check(&emulator, &[]);
    assert!(output.code == Some(1) && output.stderr.contains("1 of 14 operations could not be checked"), "{output:?}");
    assert!(!output.stdout.contains("BROKEN"), "{output:?}");
}

#[test]
fn the_contract_check_finds_the_path_of_an_operation_that_is_elsewhere() {
    let moved = || checked().move_operation("get_parse", "/tasks/{taskId}");
    let emulator = moved().move_operation("get_extract", "/extract/{taskId}/result").start().unwrap();
    let output = contract_check(&emulator, &["--write"]);
    assert!(output.is_success(), "{output:?}");
    for (operation, path) in [("get_parse", "/tasks/{taskId}"), ("get_extract", "/extract/{taskId}/result")] {
        let lines = lines_about(&output, operation);
        assert!(lines.starts_with(&format!("{operation:22} 200")), "it is checked there: {output:?}");
        let builder = format!(".operation_path({operation:?}, {path:?})");
        let option = format!("--path '{operation}={path}'");
        assert!(lines.contains(&builder) && lines.contains(&option), "{output:?}");
    }

    let emulator = moved().start().unwrap();
    let output = contract_check(&emulator, &["--write", "--path", "get_parse=/tasks/{taskId}"]);
    assert!(output.is_success() && !output.stdout.contains("another path"), "{output:?}");

    // A gateway's 404 is like the API's.
    let emulator = checked().start().unwrap();
    emulator.fault(Fault::on("get_parse", FaultKind::Html(404)).forever());
    let output = contract_check(&emulator, &["--write"]);
    let lines = lines_about(&output, "get_parse");
    assert!(lines.contains("404") && lines.contains("not found at: /parse/{taskId}/status, "), "{output:?}");
    assert!(lines.contains("/tasks/{taskId}") && !lines.contains("operation_path"), "{output:?}");
}

/// All strings and numbers in a value, as text.
fn values(value: &Value, found: &mut HashSet<String>) {
    match value {
        Value::Object(fields) => fields.values().for_each(|value| values(value, found)),
        Value::Array(items) => items.iter().for_each(|item| values(item, found)),
        Value::String(text) => drop(found.insert(text.clone())),
        Value::Number(number) => drop(found.insert(number.to_string())),
        _ => {}
    }
}

#[test]
fn a_page_of_a_gateway_does_not_count_as_a_response_in_the_contract_check() {
    let emulator = emulator();
    emulator.fault(Fault::on("list_projects", FaultKind::Html(403)));
    emulator.fault(Fault::on("list_users", FaultKind::Html(404)));
    let output = run(&mut example_on(&emulator, "contract_check"));
    assert_eq!(output.code, Some(1), "{output:?}");
    for operation in ["list_projects", "list_users"] {
        let lines = lines_about(&output, operation);
        assert!(lines.contains("not a response of the API") && !lines.contains("no scope"), "{lines}");
        assert!(!lines.contains("BROKEN"), "{lines}");
    }
    assert!(output.stdout.ends_with("; 0 contradict the documentation\n"), "{output:?}");
    // The other one is inferred.
    assert!(output.stderr.contains("1 of 14 operations could not be checked"), "{output:?}");
}

#[test]
fn the_report_of_the_contract_check_has_types_and_no_values() {
    let emulator = checked().api_version(ApiVersion::Future).start().unwrap();
    let user = serde_json::json!({
        "id": "secretid", "email": "secret@example.com", "secret person": {"secretkey": "secretvalue"},
        "john.secret@example.com": 1, "name": ["secret", 77_771],
    });
    emulator.fault(Fault::on("get_user", FaultKind::json(200, user)));
    let by_name = serde_json::json!({"data": {"secretname": {"secretkey": 1}}});
    emulator.fault(Fault::on("list_api_keys", FaultKind::json(200, by_name)));
    let error = FaultKind::Api { status: 400, error: "secret reason".into(), code: None };
    emulator.fault(Fault::on("list_projects", error));
    let folder = TempDir::new();
    let path = folder.join("report.json");
    let output = contract_check(&emulator, &["--write", "--report", path.to_str().unwrap()]);
    assert!(output.code == Some(1) && lines_about(&output, "list_api_keys").contains("BROKEN"), "{output:?}");
    let text = fs::read_to_string(&path).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();

    let mut found = HashSet::new();
    let nomic = nomic(&emulator);
    let reads: HashSet<String> =
        emulator.requests().into_iter().filter(|sent| sent.method == "GET").map(|sent| sent.target).collect();
    for target in reads {
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let request = query.split('&').filter_map(|pair| pair.split_once('='));
        let request = request.fold(Request::get(path.trim_start_matches("/api/v0")), |request, (name, value)| {
            request.query(name, value)
        });
        // The agent of the check is deleted.
        nomic.call::<Value>(&request).iter().for_each(|response| values(response, &mut found));
    }
    for operation in ["submit_parse", "submit_extract", "launch_agent", "search_codes"] {
        for body in emulator.accepted_bodies(operation) {
            values(&serde_json::from_slice(&body).unwrap(), &mut found);
        }
    }
    let host = emulator.address();
    found.extend([emulator.key().to_owned(), host.to_string(), host.ip().to_string(), host.port().to_string()]);
    assert!(found.len() > 200, "{}", found.len());
    // Some values are also names of fields, operations and types; the audit log has the name of the client.
    let known = |value: &str| {
        let fields = documented::DOCUMENTED.iter().flat_map(|(_, fields)| *fields);
        let fields = fields.copied().chain(["object", "string", "number", "boolean", "documented", "inferred"]);
        let fields = fields.chain([concat!("nomic-client/", env!("CARGO_PKG_VERSION"))]);
        fields.chain(operations::ALL.iter().map(|one| one.name)).any(|name| name.contains(value))
    };
    for value in found.iter().filter(|value| value.len() > 3 && !known(value)) {
        assert!(!text.contains(value), "{value}: {text}");
    }
    for private in ["secret", "77771", "since", "permitNumber", "john"] {
        assert!(!text.contains(private), "{private}: {text}");
    }

    assert_eq!(report["client"], concat!("nomic-client/", env!("CARGO_PKG_VERSION")));
    let operations = report["operations"].as_array().unwrap();
    let about = |name: &str| operations.iter().find(|operation| operation["operation"] == name).unwrap();
    let parse = about("get_parse");
    assert_eq!((&parse["evidence"], &parse["status"]), (&"inferred".into(), &"200".into()));
    let block = &parse["response"]["result"]["chunks"][0]["blocks"][0];
    assert_eq!((&block["bbox"]["page"], &block["content"]), (&"integer".into(), &"string".into()), "{text}");
    assert_eq!(parse["newValues"]["result.chunks[].blocks[].type"], 1, "{text}");
    assert_eq!(about("get_extract")["response"]["result"], "object", "{text}");
    assert_eq!(about("list_users")["response"]["data"][0]["futureField"], "object", "{text}");
    assert_eq!(about("get_user")["unknown"], serde_json::json!(["(not a field name)"]), "{text}");
    assert_eq!(about("list_api_keys")["response"], serde_json::json!({"data": "object"}), "{text}");
    assert_eq!((&about("list_projects")["status"], &about("list_projects")["error"]), (&"400".into(), &"api".into()));

    let nowhere = folder.join("no/such/folder");
    let refused = contract_check(&checked().start().unwrap(), &["--report", nowhere.to_str().unwrap()]);
    assert!(refused.code == Some(1) && refused.stderr.contains("--report: "), "{refused:?}");
    assert!(refused.stdout.is_empty(), "{refused:?}");
}
