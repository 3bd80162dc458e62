//! Medians and ratios of times that were measured in turns.

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

/// The most memory that this process ever had resident, in KiB.
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}
