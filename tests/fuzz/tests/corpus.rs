//! Replays every input of the saved corpus, so that no failure comes back.

use std::panic::catch_unwind;

use nomic_fuzz::{PROPERTIES, escape, load, unescape};

/// The limit for the peak memory of all replays together, in KiB.
#[cfg(target_os = "linux")]
const MEMORY: u64 = 64 << 10;

fn replay(name: &str) {
    let (_, property) = PROPERTIES.into_iter().find(|(known, _)| *known == name).unwrap();
    let inputs = load(name).unwrap();
    let failed: Vec<_> = inputs.iter().filter(|input| catch_unwind(|| property(input)).is_err()).collect();
    let lines: Vec<_> = failed.into_iter().map(|input| escape(input)).collect();
    assert!(lines.is_empty(), "{} of {} inputs:\n{}", lines.len(), inputs.len(), lines.join("\n"));
    #[cfg(target_os = "linux")]
    assert!(peak_memory() < MEMORY, "{} KiB", peak_memory());
}

/// The peak resident memory of this process, in KiB.
#[cfg(target_os = "linux")]
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

macro_rules! replays {
    ($($test:ident $property:ident;)*) => {
        $(#[test]
        fn $test() {
            replay(stringify!($property));
        })*

        #[test]
        fn every_property_has_a_corpus() {
            assert_eq!(PROPERTIES.map(|(name, _)| name), [$(stringify!($property)),*]);
        }
    };
}

replays! {
    replay_answers answers;
    replay_base_urls base_urls;
    replay_cursors cursors;
    replay_headers headers;
    replay_ids ids;
    replay_names names;
    replay_wire wire;
}

#[test]
fn an_escaped_input_is_one_line_and_round_trips() {
    let input: Vec<u8> = (0..=255).collect();
    let line = escape(&input);
    assert!(line.is_ascii() && !line.contains('\n'));
    assert_eq!(unescape(&line), Some(input));
    assert_eq!(unescape("\\x4"), None);
}
