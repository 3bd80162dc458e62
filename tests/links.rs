//! Every relative link of the documents leads to a file of the checkout.
#![allow(clippy::unwrap_used, reason = "in a test it is the failure")]

use std::fs;
use std::path::{Path, PathBuf};

/// All Markdown files, but for those that are built.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let wanted = |path: &PathBuf| !path.ends_with("target") && !path.ends_with(".git");
    paths
        .filter(wanted)
        .flat_map(|path| if path.is_dir() { documents(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let documents = documents(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(documents.len() > 5);
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            // A path of Rust is checked by rustdoc, an address of the web by nobody.
            let is_path = !target.is_empty() && !target.contains("::") && !target.contains(':');
            if is_path && (target.contains('/') || target.contains('.') || target.chars().all(char::is_uppercase)) {
                assert!(document.with_file_name(target).exists(), "{}: {target}", document.display());
            }
        }
    }
}
