//! Medians and ratios of times that were measured in turns.

use std::process::Command;
use std::time::Duration;

/// The middle one.
pub fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    sorted[sorted.len() / 2]
}

/// The median of the ratios of each round.
pub fn ratio(these: &[Duration], to: &[Duration]) -> f64 {
    let ratios: Vec<f64> =
        these.iter().zip(to).map(|(this, to)| this.as_secs_f64() / to.as_secs_f64().max(1e-9)).collect();
    median(&ratios)
}

/// Runs each way in a process of its own, in turns: this program with these arguments, which prints microseconds and its
/// peak memory in KiB. Gives those of every round, for each way.
pub fn in_turns(
    ways: &[&str],
    rounds: usize,
    arguments: impl Fn(&str) -> Vec<String>,
) -> Vec<(Vec<Duration>, Vec<u64>)> {
    let mut measured = vec![(Vec::new(), Vec::new()); ways.len()];
    for _ in 0..rounds {
        for (way, (times, peaks)) in ways.iter().zip(&mut measured) {
            let mut program = Command::new(std::env::current_exe().expect("this program"));
            let output = program.args(arguments(way)).output().expect("a process");
            let text = String::from_utf8_lossy(&output.stdout);
            let (micros, peak) = text.trim().split_once(' ').unwrap_or_else(|| panic!("{way}: {output:?}"));
            times.push(Duration::from_micros(micros.parse().expect("a number")));
            peaks.push(peak.parse().expect("a number"));
        }
    }
    measured
}

/// The most memory that this process ever had resident, in KiB.
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}
