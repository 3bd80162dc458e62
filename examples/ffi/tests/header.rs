//! The header: what cbindgen makes of the source, and fit for C and C++.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

use std::path::Path;

#[test]
fn the_header_is_what_the_source_says() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut made = Vec::new();
    cbindgen::generate(package).unwrap().write(&mut made);
    let header = package.join("include/nomic.h");
    if std::fs::read(&header).ok().as_ref() != Some(&made) {
        std::fs::write(&header, made).unwrap();
        panic!("include/nomic.h was not what the source says, and is written anew: look at it, and run this again");
    }
}
