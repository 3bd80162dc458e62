//! Programs that the integration tests of `nomic-client` run as processes: each reads the account from the environment,
//! does one thing, and prints its result.

use std::io;

/// The most memory that this process ever had resident, in KiB. Only Linux tells it.
///
/// # Errors
///
/// That `/proc` does not tell it.
pub fn peak_memory() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok());
    peak.ok_or_else(|| io::Error::other("no VmHWM in /proc/self/status"))
}
