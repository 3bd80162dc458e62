//! Every input that was kept, through its property: what was found once is not found again.

use std::panic::catch_unwind;

use nomic_fuzz::{PROPERTIES, escaped, kept, unescaped};

/// What all of them together may take, in KiB.
#[cfg(target_os = "linux")]
const MEMORY: u64 = 64 << 10;

fn replay(name: &str) {
    let (_, property) = PROPERTIES.into_iter().find(|(known, _)| *known == name).unwrap();
    let inputs = kept(name).unwrap();
    let wrong: Vec<_> = inputs.iter().filter(|input| catch_unwind(|| property(input)).is_err()).collect();
    let lines: Vec<_> = wrong.into_iter().map(|input| escaped(input)).collect();
    assert!(lines.is_empty(), "{} of {} inputs:\n{}", lines.len(), inputs.len(), lines.join("\n"));
    #[cfg(target_os = "linux")]
    assert!(peak_memory() < MEMORY, "{} KiB", peak_memory());
}

/// The most memory that this process ever had resident, in KiB.
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
    every_answer_that_was_kept answers;
    every_base_url_that_was_kept base_urls;
    every_cursor_that_was_kept cursors;
    every_header_that_was_kept headers;
    every_id_that_was_kept ids;
    every_name_that_was_kept names;
    every_byte_that_was_kept wire;
}

#[test]
fn an_input_is_a_line_and_comes_back() {
    let input: Vec<u8> = (0..=255).collect();
    let line = escaped(&input);
    assert!(line.is_ascii() && !line.contains('\n'));
    assert_eq!(unescaped(&line), Some(input));
    assert_eq!(unescaped("\\x4"), None);
}
