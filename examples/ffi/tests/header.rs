//! The header is up to date.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

use std::path::Path;

#[test]
fn the_header_is_up_to_date() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut generated = Vec::new();
    cbindgen::generate(package).unwrap().write(&mut generated);
    let header = package.join("include/nomic.h");
    if std::fs::read(&header).ok().as_ref() != Some(&generated) {
        std::fs::write(&header, generated).unwrap();
        panic!("include/nomic.h was out of date and has been regenerated; review it, and run the test again");
    }
}
