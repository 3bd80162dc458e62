//! Measurements, side by side with other ways to do the same: `cargo run --release --manifest-path tests/bench/Cargo.toml`.

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
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => speed(),
        ["get"] => pinned(get::run),
        ["get", way, calls] => get::alone(way, calls),
        ["upload"] => upload::run(),
        ["answer"] => answer::run(),
        ["listing"] => listing::run(),
        ["size", ref only @ ..] => size::run(only),
        // One way of these, in a process of its own.
        ["upload-by", way, address, file] => upload::by(way, address, file),
        ["answer-by", way, address] => answer::by(way, address),
        ["pace", ref only @ ..] => pace::run(only),
        // A server for some of the others.
        ["serve", ref what @ ..] => served::serve(what),
        ["wait"] => wait::run(),
        // One process of several that share a quota; started by `pace`.
        ["worker", caller, url, key, calls, threads] => pace::worker(caller, url, key, calls, threads),
        ["soak"] => soak::run("600"),
        ["soak", seconds] => soak::run(seconds),
        // The process that `soak` watches.
        ["soaked", url, key, seconds] => soak::client(url, key, seconds),
        _ => {
            eprintln!(
                "usage: nomic-bench [get | upload | answer | listing | size [WORD..] | pace [WORD..] | wait | soak [SECONDS]]"
            );
            ExitCode::from(2)
        }
    }
}

/// Speed and size, one table after the other.
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

/// Runs on one core, where `taskset` is there to see to it: this program again, if need be.
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
