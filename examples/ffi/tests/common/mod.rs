//! What the tests of other languages share: the libraries as they were built, an instance, and a program's words.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::process::{Command, Output};
use std::time::Duration;

use nomic_emulator::Emulator;

/// The document that is uploaded, and words that stand in it.
pub const PERMIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/permit.pdf");
pub const WORDS_OF_PERMIT: [&str; 2] = ["PH-2026-0417", "Conditions of approval"];

/// Where cargo puts the libraries for the tests: beside this very program.
pub fn libraries() -> String {
    std::env::current_exe().unwrap().parent().unwrap().to_str().unwrap().to_owned()
}

/// An instance with 25 users whose jobs end at once.
pub fn instance() -> Emulator {
    Emulator::builder().job_time(Duration::ZERO).start().unwrap()
}

/// Runs a program on an instance; gives its exit code and its words.
pub fn run(program: &mut Command, emulator: &Emulator) -> (Option<i32>, String) {
    program.env("NOMIC_BASE_URL", emulator.url()).env("NOMIC_API_KEY", emulator.key());
    let output = program.output().unwrap_or_else(|error| panic!("{:?} is needed: {error}", program.get_program()));
    let Output { status, stdout, stderr } = output;
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}
