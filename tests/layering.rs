//! The layers of `src/lib.rs`: a module imports from its own layer and from lower ones, and only `http` knows ureq.
#![allow(clippy::unwrap_used, reason = "in a test it is the failure")]

use std::fs;
use std::path::{Path, PathBuf};

const LAYERS: [&[&str]; 7] = [
    &["ids", "open_enum", "lenient", "json", "text", "timestamp", "bbox", "image"],
    &[
        "operations",
        "job_ref",
        "error",
        "endpoint",
        "rate_limit",
        "rate_limiter",
        "retry",
        "multipart",
        "operation_path",
        "disk",
        "http",
    ],
    &["call", "response"],
    &["nomic", "testing"],
    &["listing", "waiting"],
    &["api", "guide"],
    &["job_output"],
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn a_module_imports_from_its_own_layer_and_lower_ones() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let layer = |module: &str| LAYERS.iter().position(|modules| modules.contains(&module));
    for path in sources(&src).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let below = path.strip_prefix(&src).unwrap();
        let module = below.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if module == "lib" {
            continue;
        }
        let own = layer(&module).unwrap_or_else(|| unreachable!("{module} is in no layer"));
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for import in line.split("crate::").skip(1) {
                let import = import.split(|c: char| !(c.is_ascii_lowercase() || c == '_')).next().unwrap();
                assert!(layer(import).is_some_and(|layer| layer <= own), "{}: {line}", below.display());
                assert!(module != "api" || import != "api", "{}: {line}", below.display());
            }
            assert!(module == "http" || !line.contains("ureq::"), "{}: {line}", below.display());
        }
    }
}
