//! The Python module: its main job, and what is particular to a language with exceptions and threads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::process::Command;
use std::time::Duration;

use common::{PERMIT, WORDS_OF_PERMIT, instance, libraries, run};
use nomic_emulator::Emulator;

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("NOMIC_LIBRARY", format!("{}/{DLL_PREFIX}nomic{DLL_SUFFIX}", libraries()));
    command.args(["-B", "-W", "error"]).env("PYTHONPATH", format!("{PACKAGE}/python"));
    command
}

#[test]
fn the_python_program_does_the_main_job() {
    let (code, said) = run(python().args([&format!("{PACKAGE}/python/nomic.py"), PERMIT]), &instance());
    assert_eq!(code, Some(0), "{said}");
    for words in [&WORDS_OF_PERMIT[..], &["UNAUTHORIZED, status 401: "]].concat() {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(said.lines().filter(|line| line.starts_with("user ")).count(), 25, "{said}");
}

#[test]
fn the_codes_of_python_are_those_of_the_header() {
    let script = r#"
import nomic, re, sys
header = re.findall(r"NOMIC_CODE_(\w+) = (\d+)", open(sys.argv[1]).read())
assert {name: int(code) for name, code in header} == dict(nomic.Code.__members__) != {}
"#;
    let (code, said) = run(python().args(["-c", script, &format!("{PACKAGE}/include/nomic.h")]), &instance());
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn what_python_raises_while_it_uploads_cancels_and_comes_out() {
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
        print("as it should be")
"#;
    let emulator = instance();
    let (code, said) = run(python().args(["-c", script, PERMIT]), &emulator);
    assert!(code == Some(0) && said == "as it should be\n", "{said}");
    assert_eq!(emulator.accepted("upload_file"), 1);
}

#[test]
fn a_wait_in_python_heeds_ctrl_c_and_the_result_is_waited_for_again() {
    let script = r#"
import nomic, os, signal, sys, threading, time
# Who runs the tests in the background may have Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
client = nomic.Nomic.from_env()
task = client.parse(client.upload(sys.argv[1]))
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
began = time.monotonic()
try:
    client.wait_parse(task)
    print("it was not interrupted")
except KeyboardInterrupt:
    assert time.monotonic() - began < 1.5, time.monotonic() - began
assert "PH-2026-0417" in client.wait_parse(task)
# A client may be closed while a wait that was left is still under way.
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    client.wait_parse(client.parse(client.upload(sys.argv[1])))
except KeyboardInterrupt:
    client.close()
    time.sleep(3)
    print("as it should be")
"#;
    let emulator = Emulator::builder().job_time(Duration::from_secs(2)).start().unwrap();
    let (code, said) = run(python().args(["-c", script, PERMIT]), &emulator);
    assert!(code == Some(0) && said == "as it should be\n", "{said}");
}

#[test]
fn a_wait_in_python_without_time_asks_once() {
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
    let (code, said) = run(python().args(["-c", script, PERMIT]), &emulator);
    assert!(code == Some(0) && said.is_empty(), "{said}");
    assert!((4..=5).contains(&emulator.received("get_parse")), "{}", emulator.received("get_parse"));
}

#[test]
fn without_a_file_or_the_library_python_says_what_to_do() {
    let program = format!("{PACKAGE}/python/nomic.py");
    let (code, said) = run(python().arg(&program), &instance());
    assert!(code == Some(2) && said.starts_with("usage: ") && said.lines().count() == 1, "{said}");
    let (code, said) = run(python().env("NOMIC_LIBRARY", "/no/such/library").args([&*program, PERMIT]), &instance());
    let words = ["/no/such/library", "cargo build --release", "NOMIC_LIBRARY"];
    assert!(code == Some(1) && words.iter().all(|word| said.contains(word)), "{said}");
    assert!(!said.contains("Traceback"), "{said}");
    let (code, said) = run(python().env("NOMIC_LIBRARY", "/no/such/library").args(["-c", "import nomic"]), &instance());
    assert!(code == Some(1) && said.contains("ImportError") && said.contains("NOMIC_LIBRARY"), "{said}");
}

#[test]
fn threads_of_python_share_a_client_and_a_generator_may_be_left() {
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
    print("as it should be")
"#;
    let (code, said) = run(python().args(["-c", script]), &instance());
    assert!(code == Some(0) && said == "as it should be\n", "{said}");
}
