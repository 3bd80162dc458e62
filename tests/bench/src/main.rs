//! Benchmarks of `nomic-client` and alternatives: `cargo run --release --manifest-path tests/bench/Cargo.toml`.

mod answer;
mod callers;
#[path = "../../common/careful.rs"]
mod careful;
mod get;
mod listing;
mod pace;
mod served;
mod size;
mod soak;
mod table;
mod upload;
mod wait;

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => speed(),
        ["get"] => pinned(get::run),
        ["get", candidate, calls] => get::alone(candidate, calls),
        ["upload"] => upload::run(),
        ["answer"] => answer::run(),
        ["listing"] => listing::run(),
        ["size", ref only @ ..] => size::run(only),
        // One candidate, in its own process; started by `upload` and `answer`.
        ["upload-by", candidate, address, file] => upload::by(candidate, address, file),
        ["answer-by", candidate, address] => answer::by(candidate, address),
        ["pace", ref only @ ..] => pace::run(only),
        // A server for some of the benchmarks.
        ["serve", ref what @ ..] => served::serve(what),
        ["wait"] => wait::run(),
        // One of several processes that share a quota; started by `pace`.
        ["worker", caller, url, key, calls, threads] => pace::worker(caller, url, key, calls, threads),
        ["soak"] => soak::run("600"),
        ["soak", seconds] => soak::run(seconds),
        // The client process; started by `soak`.
        ["soaked", url, key, seconds] => soak::client(url, key, seconds),
        _ => {
            eprintln!(
                "usage: nomic-bench [get | upload | answer | listing | size [WORD..] | pace [WORD..] | wait | soak [SECONDS]]"
            );
            ExitCode::from(2)
        }
    }
}

/// Runs the speed and size benchmarks one after the other.
fn speed() -> ExitCode {
    let tables: [fn() -> ExitCode; 5] =
        [|| pinned(get::run), upload::run, answer::run, listing::run, || size::run(&[])];
    for table in tables {
        let code = table();
        println!();
        if code != ExitCode::SUCCESS {
            return code;
        }
    }
    ExitCode::SUCCESS
}

/// Runs this program again, pinned to one core by `taskset` if that is available.
fn pinned(measure: fn() -> ExitCode) -> ExitCode {
    const PINNED: &str = "NOMIC_BENCH_PINNED";
    if std::env::var_os(PINNED).is_some() {
        return measure();
    }
    let program = std::env::current_exe().expect("this program");
    match Command::new("taskset").args(["-c", "0"]).arg(program).arg("get").env(PINNED, "1").status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            println!("not pinned to one core: taskset: {error}");
            measure()
        }
    }
}
