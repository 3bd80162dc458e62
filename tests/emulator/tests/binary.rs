//! The program as it is run by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_nomic-emulator"))
}

#[test]
fn what_it_prints_is_ready_to_be_used() {
    let mut child = program().args(["--limits", "off", "--keys", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines: Vec<String> =
        BufReader::new(child.stdout.take().unwrap()).lines().take(3).map(|line| line.unwrap()).collect();
    let address = lines[0].strip_prefix("export NOMIC_BASE_URL=http://").unwrap().strip_suffix("/api/v0").unwrap();
    let keys = [lines[1].strip_prefix("export NOMIC_API_KEY=").unwrap(), lines[2].rsplit(' ').next().unwrap()];
    for key in keys {
        assert!(key.starts_with("npk_"), "{lines:?}");
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /api/v0/users HTTP/1.1\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("alice@example.com"), "{answer}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // A killed program cannot tidy up after itself.
    std::fs::remove_dir_all(std::env::temp_dir().join(format!("nomic-emulator-{}-0", child.id()))).unwrap();
}

#[test]
fn an_unknown_flag_gives_one_line_and_a_failure() {
    let output = program().arg("--prot").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1);
    assert!(output.stdout.is_empty());
    let help = program().arg("--help").output().unwrap();
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().contains("--port"));
}
