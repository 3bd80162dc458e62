//! The Python module: its main job, and what is particular to a language with exceptions and threads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::process::Command;

use common::{PERMIT, WORDS_OF_PERMIT, instance, libraries, run};

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
