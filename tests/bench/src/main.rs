//! Measurements: `cargo run --release --manifest-path tests/bench/Cargo.toml -- pace`.

mod callers;
mod pace;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["pace"] => pace::run(),
        // One process of several that share a quota; started by `pace`.
        ["worker", caller, url, key, calls, threads] => pace::worker(caller, url, key, calls, threads),
        _ => {
            eprintln!("usage: nomic-bench pace");
            ExitCode::from(2)
        }
    }
}
