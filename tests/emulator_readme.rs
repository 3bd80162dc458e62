//! The first example of the emulator's README.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use nomic_client::Nomic;
use nomic_emulator::{Emulator, Fault, FaultKind};

#[test]
fn a_permit_is_parsed_despite_a_bad_gateway() {
    let emulator = Emulator::start().unwrap();
    let file = emulator.add_file("permit.txt", "Permit number: PH-2026-0417").unwrap();
    emulator.fault(Fault::on("get_parse", FaultKind::Html(502)));

    let nomic = Nomic::new(emulator.url(), emulator.key()).unwrap();
    let job = nomic.parse(&file.file_version_id).unwrap();
    let parsed = nomic.wait(&job).unwrap();

    assert!(parsed.text().contains("PH-2026-0417"));
    assert_eq!(emulator.accepted("submit_parse"), 1);
}

#[test]
fn the_readme_shows_the_test_above() {
    let readme = include_str!("emulator/README.md");
    let example = readme.split_once("```rs\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    assert!(include_str!("emulator_readme.rs").contains(example), "{example}");
}
