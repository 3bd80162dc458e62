//! Shared by the tests: paths of the libraries, an emulator, and running a program.
#![allow(dead_code, reason = "each test binary uses only a part")]

use std::process::{Command, Output};
use std::time::Duration;

use nomic_emulator::Emulator;

/// The document to upload, and strings that its text contains.
pub const PERMIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/permit.pdf");
pub const PERMIT_STRINGS: [&str; 2] = ["PH-2026-0417", "Conditions of approval"];

/// The folder of the libraries. Cargo puts them beside the test binary.
pub fn libraries() -> String {
    std::env::current_exe().unwrap().parent().unwrap().to_str().unwrap().to_owned()
}

/// An emulator with 25 users. Its jobs end at once.
pub fn emulator() -> Emulator {
    Emulator::builder().job_time(Duration::ZERO).start().unwrap()
}

/// Runs a program on an emulator. Returns its exit code and its output.
pub fn run(program: &mut Command, emulator: &Emulator) -> (Option<i32>, String) {
    program.env("NOMIC_BASE_URL", emulator.url()).env("NOMIC_API_KEY", emulator.key());
    let output = program.output().unwrap_or_else(|error| panic!("{:?} is required: {error}", program.get_program()));
    let Output { status, stdout, stderr } = output;
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}
