//! Builds the examples and the programs of `tests/programs`, each once for all tests of a binary, and runs them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use nomic_emulator::Emulator;
use serde_json::Value;

/// The executables of the examples by name.
fn examples() -> &'static HashMap<String, PathBuf> {
    static EXAMPLES: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    EXAMPLES.get_or_init(|| build(&["--package", "nomic-client", "--examples"]))
}

/// The executables of `tests/programs` by name.
fn programs() -> &'static HashMap<String, PathBuf> {
    static PROGRAMS: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    PROGRAMS.get_or_init(|| build(&["--package", "nomic-test-programs", "--bins"]))
}

/// Builds targets with the features of this test. Returns the executables by name.
fn build(targets: &[&str]) -> HashMap<String, PathBuf> {
    // Where the tests run without cargo (see .ci/platforms), it was done before.
    if let Some(folder) = std::env::var_os("NOMIC_TEST_EXECUTABLES") {
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        return paths.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)).collect();
    }
    let features: Vec<&str> = [
        ("default", cfg!(feature = "default")),
        ("gzip", cfg!(feature = "gzip")),
        ("native-tls", cfg!(feature = "native-tls")),
        ("platform-verifier", cfg!(feature = "platform-verifier")),
        ("rustls", cfg!(feature = "rustls")),
    ]
    .into_iter()
    .filter_map(|(name, is_on)| is_on.then_some(name))
    .collect();
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--message-format", "json-render-diagnostics"]).args(targets);
    cargo.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    cargo.args(["--no-default-features", "--features", &features.join(",")]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built = cargo.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let messages = String::from_utf8(built.stdout).unwrap();
    let messages = messages.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let executable = |message: Value| {
        let path = PathBuf::from(message["executable"].as_str()?);
        Some((message["target"]["name"].as_str()?.to_owned(), path))
    };
    messages.filter_map(executable).collect()
}

/// Cargo, without the variables that `cargo test` sets for this package. A build script that reads them would run again,
/// and its crate be built again.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    let is_of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_of_package)) {
        cargo.env_remove(name);
    }
    cargo
}

/// An example program, without an account and without a proxy.
pub(crate) fn example(name: &str) -> Command {
    let executable = examples().get(name).unwrap_or_else(|| panic!("there is no example {name}"));
    without_account(Command::new(executable))
}

/// A program of `tests/programs`, without an account and without a proxy.
pub(crate) fn program(name: &str) -> Command {
    let executable = programs().get(name).unwrap_or_else(|| panic!("there is no program {name}"));
    without_account(Command::new(executable))
}

/// A program of `tests/programs` that uses an emulator.
pub(crate) fn program_on(emulator: &Emulator, name: &str) -> Command {
    with_account(emulator, program(name))
}

/// An example program that uses an emulator.
pub(crate) fn example_on(emulator: &Emulator, name: &str) -> Command {
    with_account(emulator, example(name))
}

/// Removes the variables of an account and of a proxy from a command.
pub(crate) fn without_account(mut command: Command) -> Command {
    for variable in ["NOMIC_API_KEY", "NOMIC_DOMAIN", "NOMIC_BASE_URL", "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// Sets the account of an emulator for a command.
pub(crate) fn with_account(emulator: &Emulator, command: Command) -> Command {
    let mut command = without_account(command);
    command.env("NOMIC_BASE_URL", emulator.url()).env("NOMIC_API_KEY", emulator.key());
    command
}

/// How a program ended, and what it printed.
#[derive(Debug)]
pub(crate) struct ProgramOutput {
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl ProgramOutput {
    pub(crate) fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    /// Standard output, then standard error.
    pub(crate) fn combined(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl From<Output> for ProgramOutput {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> ProgramOutput {
    command.output().unwrap().into()
}
