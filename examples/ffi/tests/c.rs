//! The C program: compiled with warnings as errors, and run on an emulator under a memory checker.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::process::Command;

use common::{PERMIT, PERMIT_STRINGS, emulator, libraries, run};

const HEADER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/include/nomic.h");
const INCLUDE: &str = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/include");
const SUPPRESSIONS: &str = concat!("--suppressions=", env!("CARGO_MANIFEST_DIR"), "/tests/std.supp");
const MAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/c/main.c");

const STRICT: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wcast-qual", "-Werror"];
const STRICT_C: &[&str] = &["-std=c11", "-Wstrict-prototypes", "-Wmissing-prototypes"];

fn compile(compiler: &str, arguments: &[&[&str]]) {
    let output = Command::new(compiler).args(arguments.concat()).output();
    let output = output.unwrap_or_else(|error| panic!("{compiler} is required: {error}"));
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Compiles the program and returns the command to run it: under valgrind, or with the sanitizers of the compiler.
fn program(name: &str, link: &[&str]) -> Command {
    let path = format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
    let valgrind = Command::new("valgrind").arg("--version").output().is_ok();
    let checks: &[&str] = if valgrind { &[] } else { &["-fsanitize=address,undefined"] };
    compile("cc", &[STRICT_C, STRICT, checks, &["-g", INCLUDE, MAIN, "-o", &path], link]);
    if !valgrind {
        return Command::new(path);
    }
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--error-exitcode=99", "--leak-check=full", SUPPRESSIONS]);
    command
        .args(["--show-leak-kinds=definite,indirect,possible", "--errors-for-leak-kinds=definite,indirect,possible"]);
    command.arg(path);
    command
}

fn with_static_library(name: &str) -> Command {
    // As `cargo rustc -- --print native-static-libs` prints, without what `cc` links by default.
    program(name, &[&format!("{}/libnomic.a", libraries()), "-lpthread", "-ldl", "-lm"])
}

fn with_shared_library(name: &str) -> Command {
    let folder = libraries();
    program(name, &[&format!("-L{folder}"), "-lnomic", &format!("-Wl,-rpath,{folder}")])
}

#[test]
fn the_c_program_runs_with_either_library() {
    for mut program in [with_static_library("static"), with_shared_library("shared")] {
        let emulator = emulator();
        let (code, output) = run(program.arg(PERMIT), &emulator);
        assert_eq!(code, Some(0), "{output}");
        let bytes = std::fs::metadata(PERMIT).unwrap().len();
        for expected in [&PERMIT_STRINGS[..], &[&format!("{bytes} of {bytes} bytes"), "error 4, status 401: "]].concat()
        {
            assert!(output.contains(expected), "{expected}: {output}");
        }
        assert_eq!(output.lines().filter(|line| line.starts_with("user ")).count(), 25, "{output}");
    }
}

#[test]
fn a_cancelled_upload_stores_nothing() {
    let emulator = emulator();
    let (code, output) = run(with_shared_library("cancels").args([PERMIT, "100"]), &emulator);
    assert!(code == Some(1) && output.contains("error 3, status 0: "), "{output}");
    assert_eq!(emulator.accepted("upload_file"), 0);
}

#[test]
fn a_missing_file_is_reported() {
    let (code, output) = run(with_shared_library("misses").arg("no/such/file.pdf"), &emulator());
    assert!(
        code == Some(1) && output.contains("error 2, status 0: ") && output.contains("no/such/file.pdf"),
        "{output}"
    );
}

#[test]
fn the_header_compiles_as_c_and_as_cpp() {
    compile("cc", &[STRICT_C, STRICT, &["-fsyntax-only", "-x", "c", HEADER]]);
    compile("c++", &[STRICT, &["-std=c++11", "-fsyntax-only", "-x", "c++", HEADER]]);
}
