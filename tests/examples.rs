//! The examples as programs of their own: killed, started again, and compared.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nomic_client::audit_logs::{Action, Filter};
use nomic_client::{Nomic, api_keys, users};
use nomic_emulator::{ApiVersion, Emulator, Fault, FaultKind, Limits};

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
    let emulator = Emulator::builder().limits(Limits::high()).audit_logs(6000).start().unwrap();
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
    assert!(!output.status.success() && text(&output).contains("exists and is not an export"), "{}", text(&output));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "my own\n");
    std::fs::remove_file(&file).unwrap();

    let exported = run(&one);
    assert!(exported.status.success(), "{}", text(&exported));
    let output = run(&other);
    let said = text(&output);
    assert!(
        !output.status.success() && said.contains(one.url()) && said.contains("to start over, remove it"),
        "{said}"
    );
    std::fs::write(&file, "").unwrap();
    assert!(text(&run(&one)).contains("is shorter than its checkpoint"));

    let boxed = folder.0.join("boxed.jsonl");
    let on_emulator = || example("audit_export").arg(&boxed).output().unwrap();
    let output = on_emulator();
    assert!(output.status.success() && text(&output).contains("using an emulator at http://"), "{}", text(&output));
    assert!(text(&on_emulator()).contains("belongs to the emulator at http://127.0.0.1:"));
    assert_eq!(
        text(&example("audit_export").arg(&boxed).arg("many").output().unwrap()).lines().next(),
        Some("audit_export: PAGE-SIZE must be a number")
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
        assert!(output.status.code() == Some(2) && text(&output).contains("unknown option --hepl\nusage: "));
    }
}

#[test]
fn advice_fits_the_error() {
    let folder = Folder::new("advice");
    for (name, arguments) in [("search_codes", &["atlantis"][..]), ("audit_export", &["audit.jsonl", "100000"])] {
        let output = example(name).args(arguments).current_dir(&folder.0).output().unwrap();
        let said = text(&output);
        assert!(!said.contains("another document") && !said.contains("readable document"), "{said}");
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
    let emulator = Emulator::builder().limits(Limits::high()).job_time(Duration::ZERO).start().unwrap();
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
    assert!(output.status.success() && text(&output).contains("already done"), "{}", text(&output));
    assert_eq!((emulator.accepted("upload_file"), emulator.accepted("submit_parse")), (100, 100));
}

#[test]
fn a_batch_that_is_killed_again_and_again_submits_nothing_twice() {
    const THREADS: usize = 4;
    let emulator = Emulator::builder().limits(Limits::high()).job_time(Duration::from_millis(5)).start().unwrap();
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

/// Runs the batch on a folder.
fn batch(emulator: &Emulator, documents: &Path, results: &Path) -> Output {
    on(emulator, example("batch")).arg(documents).arg(results).output().unwrap()
}

/// The line that the batch shows of a document.
fn line_of(output: &Output, document: &str) -> String {
    let said = text(output);
    said.lines().find(|line| line.starts_with(document)).unwrap_or_else(|| panic!("no {document}: {said}")).to_owned()
}

/// Adds to a manifest what a person or a kill may add.
fn add(results: &Path, bytes: impl AsRef<[u8]>) {
    let mut manifest = std::fs::OpenOptions::new().append(true).open(results.join("manifest.jsonl")).unwrap();
    manifest.write_all(bytes.as_ref()).unwrap();
}

/// An emulator with high limits whose jobs are done at the first question.
fn quick() -> Emulator {
    Emulator::builder().limits(Limits::high()).job_time(Duration::ZERO).start().unwrap()
}

fn submitted(emulator: &Emulator) -> u64 {
    emulator.accepted("submit_parse")
}

#[test]
fn a_manifest_that_was_cut_inside_of_a_letter_is_read_to_its_end() {
    let emulator = quick();
    let folder = Folder::new("cut");
    let (documents, results) = (documents(&folder, 3), folder.0.join("results"));
    // The first run finds one document, the second three: the cut is in the middle.
    let aside = folder.0.join("aside");
    std::fs::create_dir(&aside).unwrap();
    for name in ["001.txt", "002.txt"] {
        std::fs::rename(documents.join(name), aside.join(name)).unwrap();
    }
    assert!(batch(&emulator, &documents, &results).status.success());
    add(&results, b"{\"document\":\"caf\xc3");
    for name in ["001.txt", "002.txt"] {
        std::fs::rename(aside.join(name), documents.join(name)).unwrap();
    }
    for _ in 0..2 {
        let output = batch(&emulator, &documents, &results);
        assert!(output.status.success(), "{}", text(&output));
        assert_eq!((emulator.accepted("upload_file"), submitted(&emulator)), (3, 3));
    }
    // What is JSON, but says nothing that is understood, may have been paid for.
    add(&results, "{\"document\":\"000.txt\",\"postponed\":null}\n");
    let output = batch(&emulator, &documents, &results);
    assert!(!output.status.success() && text(&output).contains("cannot understand"), "{}", text(&output));
}

#[test]
fn two_batches_at_once_do_not_share_a_folder_of_results() {
    let emulator = Emulator::builder().limits(Limits::high()).job_time(Duration::from_millis(800)).start().unwrap();
    let folder = Folder::new("two");
    let (documents, results) = (documents(&folder, 4), folder.0.join("results"));
    let mut command = on(&emulator, example("batch"));
    let mut first = command.arg(&documents).arg(&results).stdout(Stdio::null()).spawn().unwrap();
    until(|| submitted(&emulator) > 0);
    let second = batch(&emulator, &documents, &results);
    assert!(!second.status.success() && text(&second).contains("another run is using it"), "{}", text(&second));
    assert!(first.wait().unwrap().success());
    assert_eq!((emulator.accepted("upload_file"), submitted(&emulator)), (4, 4));
}

fn until(reached: impl Fn() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_document_that_changed_is_done_anew_and_a_result_that_is_gone_is_fetched_again() {
    let emulator = quick();
    let folder = Folder::new("changed");
    let (documents, results) = (documents(&folder, 3), folder.0.join("results"));
    assert!(batch(&emulator, &documents, &results).status.success());

    // The same length, and another content; the same content, and another time.
    std::fs::write(documents.join("000.txt"), paragraph(7)).unwrap();
    std::fs::write(documents.join("001.txt"), paragraph(1)).unwrap();
    std::fs::remove_file(results.join("002.txt.json")).unwrap();
    let output = batch(&emulator, &documents, &results);
    assert!(output.status.success(), "{}", text(&output));
    assert!(line_of(&output, "001.txt").contains("already done"));
    assert_eq!((emulator.accepted("upload_file"), submitted(&emulator)), (4, 4));
    assert!(has_result(&results, 2));
    assert!(std::fs::read_to_string(results.join("000.txt.json")).unwrap().contains(&paragraph(7)));
}

#[test]
fn the_manifest_of_another_instance_is_refused() {
    let (one, other) = (quick(), quick());
    let folder = Folder::new("instances");
    let (documents, results) = (documents(&folder, 2), folder.0.join("results"));
    assert!(batch(&one, &documents, &results).status.success());
    let output = batch(&other, &documents, &results);
    let said = text(&output);
    assert!(!output.status.success() && said.contains(one.url()) && said.contains(other.url()), "{said}");
    assert!(said.contains("pass another folder for the results"), "{said}");
    assert_eq!(other.received("upload_file"), 0);

    let boxed = folder.0.join("boxed");
    let on_emulator = || example("batch").arg(&documents).arg(&boxed).output().unwrap();
    let output = on_emulator();
    assert!(output.status.success() && text(&output).contains("using an emulator at "), "{}", text(&output));
    for output in [on_emulator(), batch(&one, &documents, &boxed)] {
        let said = text(&output);
        assert!(!output.status.success() && said.contains("belongs to the emulator at http://127.0.0.1:"), "{said}");
    }
    assert_eq!(submitted(&one), 2);
}

#[test]
fn a_document_whose_job_failed_is_submitted_again_when_it_changed_or_when_a_person_says_so() {
    let emulator = quick();
    let folder = Folder::new("failed");
    let (documents, results) = (documents(&folder, 2), folder.0.join("results"));
    emulator.fault(Fault::on("submit_parse", FaultKind::JobFails("Unreadable".to_owned())).times(2));
    let mut added = String::new();
    for _ in 0..2 {
        let output = batch(&emulator, &documents, &results);
        let line = line_of(&output, "000.txt");
        assert!(!output.status.success() && line.contains("Unreadable") && line.contains("fix the document"), "{line}");
        added = format!("{{{}\n", line.split_once("add the line {").unwrap().1.split_once(" to ").unwrap().0);
        assert_eq!(submitted(&emulator), 2, "as it is, it would only fail again");
    }
    std::fs::write(documents.join("001.txt"), paragraph(9)).unwrap();
    add(&results, &added);
    let output = batch(&emulator, &documents, &results);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(submitted(&emulator), 4);
}

#[test]
fn what_may_have_been_submitted_is_found_in_the_audit_log_and_not_paid_twice() {
    let emulator = quick();
    let folder = Folder::new("unknown");
    let (documents, results) = (documents(&folder, 2), folder.0.join("results"));
    // One was heard and the other was not; neither was answered.
    emulator.fault(Fault::on("submit_parse", FaultKind::ResetAfter));
    emulator.fault(Fault::on("submit_parse", FaultKind::ResetBefore));
    assert!(!batch(&emulator, &documents, &results).status.success());
    let output = batch(&emulator, &documents, &results);
    assert_eq!(emulator.received("submit_parse"), 2);
    let nomic = Nomic::new(emulator.url(), emulator.key()).unwrap();
    for number in 0..2 {
        let line = line_of(&output, &format!("{number:03}.txt"));
        let version = line.split_once("look for parse.submitted of ").unwrap().1.split_once(' ').unwrap().0;
        let mut lines = line.split("add the line {").skip(1).map(|rest| rest.split_once(" to ").unwrap().0);
        let (there, absent) = (lines.next().unwrap(), lines.next().unwrap());
        let filter = Filter { action: Some(Action::from("parse.submitted")), ..Filter::default() };
        let found = nomic.audit_logs(&filter).find_map(|entry| {
            let entry = entry.unwrap();
            entry.targets.iter().any(|target| target.id == version).then(|| entry.metadata["taskId"].clone())
        });
        let added = found.map_or(absent.to_owned(), |task| there.replace("\"…\"", &task.to_string()));
        add(&results, format!("{{{added}\n"));
    }
    let output = batch(&emulator, &documents, &results);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!((submitted(&emulator), emulator.accepted("upload_file")), (2, 2));
}

#[test]
fn a_batch_stops_early_when_no_document_would_fare_better() {
    let emulator = quick();
    let folder = Folder::new("early");
    let (documents, results) = (documents(&folder, 40), folder.0.join("results"));
    let output =
        on(&emulator, example("batch")).env("NOMIC_API_KEY", "npk_wrong").arg(&documents).arg(&results).output();
    let (output, tried) = (output.unwrap(), emulator.received("upload_file"));
    assert!(!output.status.success() && tried <= 16, "{tried} tried: {}", text(&output));
    assert!(text(&output).contains("stopped, because every other document would fail too: upload_file: 401"));
    assert!(batch(&emulator, &documents, &results).status.success(), "the next run takes up where this one stopped");
}

#[test]
fn a_batch_says_what_it_leaves_out_and_refuses_what_does_not_go() {
    let emulator = quick();
    let folder = Folder::new("folder");
    let (documents, results) = (documents(&folder, 1), folder.0.join("results"));
    std::fs::write(documents.join(".DS_Store"), "x").unwrap();
    std::fs::create_dir(documents.join("plans")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("gone", documents.join("old.txt")).unwrap();
    let output = batch(&emulator, &documents, &results);
    let said = text(&output);
    assert!(output.status.success() && said.contains("1 documents, 0 without a result"), "{said}");
    assert!(said.contains(".DS_Store is skipped: it is hidden"), "{said}");
    assert!(said.contains("plans is skipped: it is a folder"), "{said}");
    #[cfg(unix)]
    assert!(said.contains("old.txt is skipped: No such file"), "{said}");

    let same = batch(&emulator, &documents, &documents.join("plans/.."));
    assert!(same.status.code() == Some(2) && text(&same).contains("RESULTS must not be FOLDER"), "{}", text(&same));
    for threads in ["0", "many"] {
        let output = on(&emulator, example("batch")).arg(&documents).arg(&results).arg(threads).output().unwrap();
        assert!(
            output.status.code() == Some(2) && text(&output).contains("THREADS must be a positive number"),
            "{}",
            text(&output)
        );
    }
    let file = documents.join("000.txt");
    let output = batch(&emulator, &documents, &file);
    assert!(text(&output).contains(&format!("batch: {}: ", file.display())), "{}", text(&output));
    assert_eq!(emulator.received("upload_file"), 1);
}

/// The program behind a shell that bounds the size of the files it writes, as a full disk does.
#[cfg(target_os = "linux")]
fn on_a_small_disk(command: &Command, blocks: u32) -> Command {
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

#[test]
#[cfg(target_os = "linux")]
fn on_a_full_disk_nothing_is_begun_that_cannot_be_recorded_and_no_record_is_lost() {
    let emulator = quick();
    let folder = Folder::new("full");
    let (documents, results) = (documents(&folder, 40), folder.0.join("results"));
    let program = on(&emulator, example("batch"));
    for blocks in 3..30 {
        let before = emulator.accepted("upload_file");
        let mut command = on_a_small_disk(&program, blocks);
        let output = command.arg(&documents).arg(&results).arg("1").output().unwrap();
        let said = text(&output);
        assert!(!output.status.success() && said.contains("File too large"), "{said}");
        // A job that was paid is named, and goes on with the line that was shown.
        if said.contains("is submitted as") {
            let line = said.split_once("add the line {").unwrap().1.split_once(" to ").unwrap().0;
            add(&results, format!("{{{line}\n"));
        }
        assert!(emulator.accepted("upload_file") <= before + 20);
    }
    let output = batch(&emulator, &documents, &results);
    let unknown = text(&output).matches("may have been submitted already").count();
    assert_eq!(unknown, 0, "{}", text(&output));
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(submitted(&emulator), 40);
    assert!((0..40).all(|number| has_result(&results, number)));
}

#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_said_is_an_error_and_a_reader_who_has_enough_hides_none() {
    let emulator = quick();
    let folder = Folder::new("unsaid");
    let (documents, results) = (documents(&folder, 2), folder.0.join("results"));
    let onto =
        |stdout: Stdio| on(&emulator, example("batch")).arg(&documents).arg(&results).stdout(stdout).output().unwrap();
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    // A pipe whose reader is gone.
    let closed = || Stdio::from(std::io::pipe().unwrap().1);

    emulator.fault(Fault::on("submit_parse", FaultKind::JobFails("Unreadable".to_owned())));
    let output = onto(closed());
    assert!(output.status.code() == Some(1) && text(&output).contains("1 of 2 documents have no result"));
    std::fs::remove_dir_all(&results).unwrap();
    assert_eq!(text(&onto(closed())), "");
    let output = onto(full());
    assert!(!output.status.success() && text(&output).contains("cannot write to standard output: No space left"));
    let output = example("search_codes").stdout(full()).output().unwrap();
    assert!(!output.status.success() && text(&output).contains("No space left"), "{}", text(&output));

    // What acts is not kept from it.
    let output = on(&emulator, example("offboard")).arg("bob@example.com").stdout(closed()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(emulator.accepted("disable_user"), 1);
    let nomic = Nomic::new(emulator.url(), emulator.key()).unwrap();
    let bob = nomic.users(&users::Filter { email: Some("bob@example.com".to_owned()) }).next().unwrap().unwrap();
    let alive = api_keys::Filter { user_id: Some(bob.id), include_revoked: false };
    assert_eq!(nomic.api_keys(&alive).count(), 0);
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
        let warns = text.contains("building with the section fetched earlier: NOMIC_");
        assert_eq!(warns, some != &variables[1..], "what names the same instance needs no key: {text}");
    }
    assert_eq!(emulator.accepted("search_codes"), 1);
    let elsewhere = built(&target, &[variables[0], ("NOMIC_BASE_URL", "http://127.0.0.1:9/api/v0")]);
    let text = String::from_utf8_lossy(&elsewhere.stderr);
    assert!(
        !elsewhere.status.success() && text.contains("cannot connect to 127.0.0.1"),
        "another instance is asked: {text}"
    );
    let refresh = [variables[0], variables[1], ("NOMIC_REFRESH", "1")];
    assert!(built(&target, &refresh).status.success());
    assert_eq!(emulator.accepted("search_codes"), 2);

    let key = emulator.key().to_owned();
    drop(emulator);
    let offline = built(&target, &[("NOMIC_API_KEY", &key), ("NOMIC_BASE_URL", &url), ("NOMIC_REFRESH", "2")]);
    let text = String::from_utf8_lossy(&offline.stderr);
    assert!(offline.status.success() && text.contains("building with the section fetched earlier"), "{text}");
    assert_eq!(String::from_utf8_lossy(&offline.stdout), section);
}

#[test]
fn a_user_is_offboarded_with_proof() {
    let emulator = Emulator::builder().limits(Limits::high()).start().unwrap();
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
        let mut lines = error.lines().filter(|line| !line.contains("using an emulator at http://"));
        let line = lines.next().unwrap().to_owned();
        assert_eq!(lines.next(), None, "{error}");
        line
    };
    let quickstart = || example("quickstart");
    assert!(line(quickstart().arg("no-such.pdf")).contains("pass a readable document"));
    assert!(line(quickstart().env("NOMIC_API_KEY", "npk_x")).contains("NOMIC_DOMAIN"));
    assert!(line(quickstart().arg("src")).contains("src is not a file; pass a readable document"));
    assert!(line(quickstart().env("NOMIC_API_KEY", "npk_x\n").env("NOMIC_DOMAIN", "acme")).contains("line break"));
    let half = quickstart().env("NOMIC_DOMAIN", "acme").output().unwrap();
    let words = "NOMIC_DOMAIN is set, but NOMIC_API_KEY is not: using an emulator at http://";
    assert!(half.status.success() && text(&half).contains(words));
    let emulator = Emulator::builder().api_version(ApiVersion::Current).start().unwrap();
    let wrong = line(on(&emulator, quickstart()).env("NOMIC_API_KEY", "npk_wrong").arg("Cargo.toml"));
    assert!(wrong.contains("401"), "{wrong}");
}

/// What the contract check says of an emulator of some age: its exit code, and the lines of each operation.
fn contract_check(snapshot: ApiVersion, arguments: &[&str]) -> (bool, String) {
    let setup = Emulator::builder().limits(Limits::high()).job_time(Duration::ZERO).agents(2);
    let emulator = setup.api_version(snapshot).start().unwrap();
    let output = on(&emulator, example("contract_check")).args(arguments).output().unwrap();
    let acted: u64 = nomic_emulator::operations()
        .iter()
        .filter(|operation| operation.method != "GET" && operation.name != "search_codes")
        .map(|operation| emulator.received(operation.name))
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
        let (success, said) = contract_check(ApiVersion::Current, arguments);
        assert!(success && !said.contains("unknown: ") && !said.contains("missing: "), "{said}");
    }
}

#[test]
fn the_contract_check_finds_every_field_and_word_from_the_future() {
    let (success, said) = contract_check(ApiVersion::Future, &["--write"]);
    assert!(success, "what was added breaks nothing: {said}");
    let compared: Vec<_> = nomic_emulator::operations()
        .iter()
        .map(|operation| operation.name)
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
    let (success, said) = contract_check(ApiVersion::Old, &[]);
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
