//! The C program: compiled with every warning as an error, and run on an emulator under a checker of its memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::process::Command;

use common::{PERMIT, WORDS_OF_PERMIT, instance, libraries, run};

const HEADER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/include/nomic.h");
const INCLUDE: &str = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/include");
const MAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/c/main.c");

const STRICT: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wcast-qual", "-Werror"];
const STRICT_C: &[&str] = &["-std=c11", "-Wstrict-prototypes", "-Wmissing-prototypes"];

fn compile(compiler: &str, arguments: &[&[&str]]) {
    let output = Command::new(compiler).args(arguments.concat()).output();
    let output = output.unwrap_or_else(|error| panic!("{compiler} is needed: {error}"));
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Compiles the program; gives how to run it: under valgrind or, where that is missing, with the compiler's own checks.
fn program(name: &str, link: &[&str]) -> Command {
    let path = format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
    let valgrind = Command::new("valgrind").arg("--version").output().is_ok();
    let checks: &[&str] = if valgrind { &[] } else { &["-fsanitize=address,undefined"] };
    compile("cc", &[STRICT_C, STRICT, checks, &["-g", INCLUDE, MAIN, "-o", &path], link]);
    if !valgrind {
        return Command::new(path);
    }
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--error-exitcode=99", "--leak-check=full"]);
    command
        .args(["--show-leak-kinds=definite,indirect,possible", "--errors-for-leak-kinds=definite,indirect,possible"]);
    command.arg(path);
    command
}

fn with_static_library(name: &str) -> Command {
    // What `cargo rustc -- --print native-static-libs` says, less what `cc` brings by itself.
    program(name, &[&format!("{}/libnomic.a", libraries()), "-lpthread", "-ldl", "-lm"])
}

fn with_shared_library(name: &str) -> Command {
    let folder = libraries();
    program(name, &[&format!("-L{folder}"), "-lnomic", &format!("-Wl,-rpath,{folder}")])
}

#[test]
fn the_c_program_does_the_main_job_with_either_library() {
    for mut program in [with_static_library("static"), with_shared_library("shared")] {
        let emulator = instance();
        let (code, said) = run(program.arg(PERMIT), &emulator);
        assert_eq!(code, Some(0), "{said}");
        let bytes = std::fs::metadata(PERMIT).unwrap().len();
        for words in [&WORDS_OF_PERMIT[..], &[&format!("{bytes} of {bytes} bytes"), "error 4, status 401: "]].concat() {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert_eq!(said.lines().filter(|line| line.starts_with("user ")).count(), 25, "{said}");
    }
}

#[test]
fn an_upload_that_c_cancels_stores_nothing() {
    let emulator = instance();
    let (code, said) = run(with_shared_library("cancels").args([PERMIT, "100"]), &emulator);
    assert!(code == Some(1) && said.contains("error 3, status 0: "), "{said}");
    assert_eq!(emulator.accepted("upload_file"), 0);
}

#[test]
fn c_sees_what_is_wrong_with_a_file() {
    let (code, said) = run(with_shared_library("misses").arg("no/such/file.pdf"), &instance());
    assert!(code == Some(1) && said.contains("error 2, status 0: ") && said.contains("no/such/file.pdf"), "{said}");
}

#[test]
fn the_header_is_fit_for_c_and_for_cpp() {
    compile("cc", &[STRICT_C, STRICT, &["-fsyntax-only", "-x", "c", HEADER]]);
    compile("c++", &[STRICT, &["-std=c++11", "-fsyntax-only", "-x", "c++", HEADER]]);
}
