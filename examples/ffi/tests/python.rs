//! The Python module: its program, exceptions, threads, Ctrl-C.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::process::Command;
use std::time::Duration;

use common::{PERMIT, PERMIT_STRINGS, emulator, libraries, run};
use nomic_emulator::Emulator;

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("NOMIC_LIBRARY", format!("{}/{DLL_PREFIX}nomic{DLL_SUFFIX}", libraries()));
    command.args(["-B", "-W", "error"]).env("PYTHONPATH", format!("{PACKAGE}/python"));
    command
}

#[test]
fn the_python_program_runs() {
    let (code, output) = run(python().args([&format!("{PACKAGE}/python/nomic.py"), PERMIT]), &emulator());
    assert_eq!(code, Some(0), "{output}");
    for expected in [&PERMIT_STRINGS[..], &["UNAUTHORIZED, status 401: "]].concat() {
        assert!(output.contains(expected), "{expected}: {output}");
    }
    assert_eq!(output.lines().filter(|line| line.starts_with("user ")).count(), 25, "{output}");
}

#[test]
fn the_codes_match_the_header() {
    let script = r#"
import nomic, re, sys
header = re.findall(r"NOMIC_CODE_(\w+) = (\d+)", open(sys.argv[1]).read())
assert {name: int(code) for name, code in header} == dict(nomic.Code.__members__) != {}
"#;
    let (code, output) = run(python().args(["-c", script, &format!("{PACKAGE}/include/nomic.h")]), &emulator());
    assert_eq!(code, Some(0), "{output}");
}

#[test]
fn an_exception_in_the_progress_callback_cancels_the_upload_and_is_raised() {
    let script = r#"
import nomic, sys
def stop(sent, total):
    raise KeyboardInterrupt("enough")
with nomic.Nomic.from_env() as client:
    try:
        client.upload(sys.argv[1], stop)
    except KeyboardInterrupt as error:
        assert str(error) == "enough"
        client.upload(sys.argv[1])
        print("ok")
"#;
    let emulator = emulator();
    let (code, output) = run(python().args(["-c", script, PERMIT]), &emulator);
    assert!(code == Some(0) && output == "ok\n", "{output}");
    assert_eq!(emulator.accepted("upload_file"), 1);
}

#[test]
fn ctrl_c_interrupts_a_wait_that_can_be_repeated() {
    let script = r#"
import nomic, os, signal, sys, threading, time
# Background processes of a shell may ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
client = nomic.Nomic.from_env()
task = client.parse(client.upload(sys.argv[1]))
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
start = time.monotonic()
try:
    client.wait_parse(task)
    print("it was not interrupted")
except KeyboardInterrupt:
    assert time.monotonic() - start < 1.5, time.monotonic() - start
assert "PH-2026-0417" in client.wait_parse(task)
# A client may be closed while an interrupted wait continues in its thread.
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    client.wait_parse(client.parse(client.upload(sys.argv[1])))
except KeyboardInterrupt:
    client.close()
    time.sleep(3)
    print("ok")
"#;
    let emulator = Emulator::builder().job_time(Duration::from_secs(2)).start().unwrap();
    let (code, output) = run(python().args(["-c", script, PERMIT]), &emulator);
    assert!(code == Some(0) && output == "ok\n", "{output}");
}

#[test]
fn a_zero_or_negative_timeout_polls_once() {
    let script = r#"
import nomic, sys
with nomic.Nomic.from_env() as client:
    task = client.parse(client.upload(sys.argv[1]))
    for timeout in (0, -1, 0.0001, -1e30):
        try:
            client.wait_parse(task, timeout)
        except nomic.NomicError as error:
            assert error.code == nomic.Code.TIMEOUT, error
"#;
    let emulator = Emulator::builder().job_time(Duration::from_secs(600)).start().unwrap();
    let (code, output) = run(python().args(["-c", script, PERMIT]), &emulator);
    assert!(code == Some(0) && output.is_empty(), "{output}");
    assert!((4..=5).contains(&emulator.received("get_parse")), "{}", emulator.received("get_parse"));
}

#[test]
fn a_missing_argument_or_library_is_reported() {
    let program = format!("{PACKAGE}/python/nomic.py");
    let (code, output) = run(python().arg(&program), &emulator());
    assert!(code == Some(2) && output.starts_with("usage: ") && output.lines().count() == 1, "{output}");
    let (code, output) = run(python().env("NOMIC_LIBRARY", "/no/such/library").args([&*program, PERMIT]), &emulator());
    let hints = ["/no/such/library", "cargo build --release", "NOMIC_LIBRARY"];
    assert!(code == Some(1) && hints.iter().all(|word| output.contains(word)), "{output}");
    assert!(!output.contains("Traceback"), "{output}");
    let (code, output) =
        run(python().env("NOMIC_LIBRARY", "/no/such/library").args(["-c", "import nomic"]), &emulator());
    assert!(code == Some(1) && output.contains("ImportError") && output.contains("NOMIC_LIBRARY"), "{output}");
}

#[test]
fn threads_share_a_client_and_a_generator_may_be_abandoned() {
    let script = r#"
import concurrent.futures, nomic
with nomic.Nomic.from_env() as client:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        emails = list(pool.map(lambda _: [user["email"] for user in client.users()], range(8)))
    assert len(emails[0]) == 25 and all(some == emails[0] for some in emails)
    assert next(client.users("alice"))["name"] == "Alice Johnson"
    assert client.call("GET", "/users", {"email": "alice@"})["data"][0]["email"] == "alice@example.com"
try:
    client.call("GET", "/users")
except nomic.NomicError as error:
    assert error.code == nomic.Code.ARGUMENT and "nomic is NULL" in str(error), error
    print("ok")
"#;
    let (code, output) = run(python().args(["-c", script]), &emulator());
    assert!(code == Some(0) && output == "ok\n", "{output}");
}

#[test]
#[cfg(unix)]
fn a_forked_process_uses_connections_of_its_own() {
    let script = r#"
import multiprocessing, nomic, sys
names, turns = ["alice", "bob", "carol"], sys.argv[1] == "turns"
def ask(name):
    for number in range(30):
        for turn in names if turns else [name]:
            barrier.wait()
            if turn == name:
                users = client.call("GET", "/users", {"email": name + "@"})["data"]
                assert [user["email"] for user in users] == [name + "@example.com"], users
fork = multiprocessing.get_context("fork")
client, barrier = nomic.Nomic.from_env(), fork.Barrier(3, timeout=30)
client.call("GET", "/users")
children = [fork.Process(target=ask, args=(name,)) for name in names[1:]]
for child in children:
    child.start()
ask(names[0])
for child in children:
    child.join()
    assert child.exitcode == 0, child.exitcode
print("ok")
"#;
    for order in ["turns", "together"] {
        let emulator = emulator();
        let (code, output) = run(python().args(["-c", script, order]), &emulator);
        assert!(code == Some(0) && output == "ok\n", "{order}: {output}");
        assert_eq!(emulator.connections(), 3, "{order}: one for each process");
    }
}
