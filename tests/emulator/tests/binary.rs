//! The command-line program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_nomic-emulator"))
}

/// A running program, which is killed when this is dropped.
struct Running {
    child: Child,
    /// The lines that it has printed.
    lines: Vec<String>,
}

impl Running {
    /// Starts the program and waits until it has printed this number of lines.
    fn start(flags: &[&str], lines: usize) -> Running {
        let mut child = program().args(flags).stdout(Stdio::piped()).spawn().unwrap();
        let printed = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { lines: printed.take(lines).map(Result::unwrap).collect(), child }
    }

    fn has_folder(&self) -> bool {
        let end = format!("-{}-0", self.child.id());
        let mut entries = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
        entries.any(|entry| {
            let name = entry.file_name().into_string().unwrap_or_default();
            name.starts_with("nomic-emulator-") && name.ends_with(&end)
        })
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn the_printed_url_and_keys_work() {
    let flags = ["--limits", "off", "--keys", "1", "--scopes", "developer:files,admin:users:read", "--old-errors"];
    let program = Running::start(&flags, 4);
    let lines = &program.lines;
    let address = lines[0].strip_prefix("export NOMIC_BASE_URL=http://").unwrap().strip_suffix("/api/v0").unwrap();
    let get = |key: &str, target: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        let head =
            format!("GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    };
    let key = lines[1].strip_prefix("export NOMIC_API_KEY=").unwrap();
    let [another, poor] = [2, 3].map(|line: usize| lines[line].rsplit(' ').next().unwrap());
    for key in [key, another, poor] {
        assert!(key.starts_with("npk_"), "{lines:?}");
        let response = get(key, "/api/v0/users");
        assert!(response.starts_with("HTTP/1.1 200 OK") && response.contains("alice@example.com"), "{response}");
    }
    assert!(get(another, "/projects").starts_with("HTTP/1.1 200 OK"));
    let refusal = get(poor, "/projects");
    assert!(refusal.starts_with("HTTP/1.1 403 ") && !refusal.contains("forbidden"), "{refusal}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_folder_of_a_killed_program_is_removed_by_the_next() {
    let [mut killed, living] = [(); 2].map(|()| Running::start(&[], 2));
    killed.kill();
    assert!(killed.has_folder() && living.has_folder());
    let _next = Running::start(&[], 2);
    assert!(!killed.has_folder() && living.has_folder());
}

#[test]
fn an_unknown_option_prints_one_line_and_fails() {
    let output = program().arg("--prot").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1);
    assert!(output.stdout.is_empty());
    let help = program().arg("--help").output().unwrap();
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().contains("--port"));
}
