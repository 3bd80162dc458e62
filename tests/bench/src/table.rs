//! Statistics over interleaved rounds.

use std::process::Command;
use std::time::Duration;

/// The median.
pub fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    sorted[sorted.len() / 2]
}

/// The median over the rounds of the ratio of two times.
pub fn ratio(times: &[Duration], baseline: &[Duration]) -> f64 {
    let ratios: Vec<f64> = times
        .iter()
        .zip(baseline)
        .map(|(time, baseline)| time.as_secs_f64() / baseline.as_secs_f64().max(1e-9))
        .collect();
    median(&ratios)
}

/// Runs each candidate in its own process, in interleaved rounds. The process is this program with the given arguments; it
/// prints the elapsed microseconds and its peak memory in KiB. Returns the times and peaks of each candidate.
pub fn interleaved(
    candidates: &[&str],
    rounds: usize,
    arguments: impl Fn(&str) -> Vec<String>,
) -> Vec<(Vec<Duration>, Vec<u64>)> {
    let mut measured = vec![(Vec::new(), Vec::new()); candidates.len()];
    for _ in 0..rounds {
        for (candidate, (times, peaks)) in candidates.iter().zip(&mut measured) {
            let mut program = Command::new(std::env::current_exe().expect("this program"));
            let output = program.args(arguments(candidate)).output().expect("a process");
            let text = String::from_utf8_lossy(&output.stdout);
            let (micros, peak) = text.trim().split_once(' ').unwrap_or_else(|| panic!("{candidate}: {output:?}"));
            times.push(Duration::from_micros(micros.parse().expect("a number")));
            peaks.push(peak.parse().expect("a number"));
        }
    }
    measured
}

/// The peak resident memory of this process, in KiB.
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}
