//! Uploads from a disk that hangs, with processes whose system calls hang.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;
#[path = "common/raw_server.rs"]
mod raw_server;

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::program::{program_on, run};
use common::temp_dir::TempDir;
use common::{emulator, nomic};
use nomic_client::files::Upload;
use nomic_client::{Effect, Error, ErrorKind, Nomic};
use nomic_emulator::Emulator;
use raw_server::{RawServer, read_request, response};

/// The library that makes system calls hang.
fn hung_disk() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hung_disk.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/hung_disk.c");
        let built = run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source));
        assert!(built.is_success(), "{built:?}");
        library
    })
}

/// What an upload within 600 ms prints, and how long it took.
fn upload(emulator: &Emulator, path: &Path, environment: &[(&str, &str)]) -> (String, Duration) {
    let mut program = program_on(emulator, "upload_until");
    let output = run(program.arg(path).arg("600").envs(environment.iter().copied()));
    assert!(output.is_success(), "{output:?}");
    let (millis, outcome) = output.stdout.split_once('\n').unwrap();
    (outcome.to_owned(), Duration::from_millis(millis.parse().unwrap()))
}

#[test]
fn a_disk_that_hangs_ends_an_upload_at_the_deadline_and_is_named_in_the_error() {
    let emulator = emulator();
    let folder = TempDir::new();
    let path = folder.join("plan.hung");
    fs::write(&path, vec![7; 3 << 20]).unwrap();
    let library = hung_disk().to_str().unwrap();
    let expected =
        format!("upload_file: {}: the deadline passed while it was read\nNone, timeout: true\n", path.display());
    for (call, after) in [("stat", "0"), ("open", "0"), ("read", "0"), ("read", "1000000"), ("read", "3145728")] {
        let hang = [("LD_PRELOAD", library), ("HANG_IN", call), ("HANG_AFTER", after)];
        let (outcome, took) = upload(&emulator, &path, &hang);
        assert_eq!(outcome, expected, "{call} after {after}");
        assert!(took >= Duration::from_millis(600) && took < Duration::from_secs(3), "{call} after {after}: {took:?}");
    }
    assert_eq!(emulator.accepted("upload_file"), 0);
    assert_eq!(upload(&emulator, &path, &[("LD_PRELOAD", library)]).0, "uploaded\n");
}

#[test]
fn without_a_thread_to_spare_a_file_is_read_all_the_same() {
    let emulator = emulator();
    let folder = TempDir::new();
    let path = folder.join("plan.pdf");
    fs::write(&path, vec![7; 3 << 20]).unwrap();
    // No address space has room for such a stack.
    assert_eq!(upload(&emulator, &path, &[("RUST_MIN_STACK", "1152921504606846976")]).0, "uploaded\n");
    assert_eq!(emulator.uploads().pop().unwrap().size, 3 << 20);
}

#[test]
fn a_file_of_any_size_arrives_byte_for_byte() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let folder = TempDir::new();
    let path = folder.join("plan.bin");
    // It is read in pieces of 128 KiB.
    let piece = 128 << 10;
    for size in [1, piece - 1, piece, piece + 1, 3 * piece, 20 * piece + 7] {
        let bytes: Vec<u8> = (0..size).map(|at| (at * 31 % 251) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        nomic.upload_file(&path).unwrap();
        assert!(fs::read(emulator.uploads().pop().unwrap().path).unwrap() == bytes, "{size}");
    }
}

/// The error of an upload whose first attempt is throttled, and the number of connections. `change` changes the file before
/// the second attempt.
fn changed_between_attempts(change: impl Fn(&Path) + Send + Sync + 'static) -> (Error, usize) {
    let folder = TempDir::new();
    let path = folder.join("plan.pdf");
    fs::write(&path, "Level: 1").unwrap();
    let changed = path.clone();
    let server = RawServer::new(move |mut stream| {
        read_request(&mut stream);
        change(&changed);
        let throttled = response("429 Too Many Requests", r#"{"error":"Slow down","code":"rate_limited"}"#);
        stream.write_all(throttled.replacen("\r\n", "\r\nRetry-After: 0\r\n", 1).as_bytes()).unwrap();
    });
    let builder = Nomic::builder(server.url(), "npk_x").pacing(false).upload_deadline(Duration::from_secs(5));
    let error = builder.build().unwrap().upload_file(&path).unwrap_err();
    (error, server.connections())
}

#[test]
fn a_file_that_is_replaced_between_two_attempts_is_an_error_and_no_hang() {
    let fifo = changed_between_attempts(|path| {
        fs::remove_file(path).unwrap();
        assert!(run(Command::new("mkfifo").arg(path)).is_success());
    });
    let folder = changed_between_attempts(|path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    });
    let larger = changed_between_attempts(|path| fs::write(path, "Level: 12").unwrap());
    let no_file = "it is no longer a file";
    for ((error, connections), words) in
        [(fifo, no_file), (folder, no_file), (larger, "its size changed from 8 to 9 bytes before it was sent")]
    {
        assert!(matches!(error.kind(), ErrorKind::Document { .. }) && error.effect() == Effect::None, "{error}");
        assert!(error.to_string().ends_with(words) && !error.is_timeout(), "{error}");
        assert_eq!(connections, 1);
    }
}

#[test]
fn a_file_without_a_size_arrives_with_its_content() {
    let emulator = emulator();
    nomic(&emulator).upload_file("/proc/version").unwrap();
    let upload = emulator.uploads().pop().unwrap();
    assert_eq!(upload.name, "version");
    assert_eq!(fs::read(upload.path).unwrap(), fs::read("/proc/version").unwrap());
}

#[test]
fn a_thread_that_reads_a_file_ends_with_the_upload() {
    let emulator = emulator();
    let folder = TempDir::new();
    let path = folder.join("plan.bin");
    fs::File::create(&path).unwrap().set_len(64 << 20).unwrap();
    let upload = Upload::from_path(&path).on_progress(|_, _| ControlFlow::Break(()));
    let error = nomic(&emulator).upload(upload).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error}");
    let names = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path().join("comm"));
        tasks.filter_map(|path| fs::read_to_string(path).ok()).filter(|name| name == "nomic-disk\n").count()
    };
    let start = Instant::now();
    // Other tests of this process have such threads for a while.
    while names() > 0 {
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::yield_now();
    }
}
