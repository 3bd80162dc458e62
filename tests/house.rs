//! The laws of the house: who imports whom, who knows `ureq`, that every file says what it is for, and that the pages
//! outside the code say what is so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

use std::fs;
use std::path::{Path, PathBuf};

/// The floors as `lib.rs` draws them.
const FLOORS: [&[&str]; 6] = [
    &["ids", "words", "record", "json", "timestamp", "bbox", "image"],
    &["error", "operations", "base", "pace", "retry", "multipart", "wire"],
    &["call", "acknowledged"],
    &["nomic"],
    &["listing", "job"],
    &["api", "guide"],
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

/// The room that a file belongs to: `api` for all below `api/`, `wire` for all below `wire/`.
fn room(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    below.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

fn floor(room: &str) -> usize {
    FLOORS.iter().position(|rooms| rooms.contains(&room)).unwrap_or_else(|| panic!("{room} is on no floor"))
}

/// The rooms that a text imports, however: `use crate::x`, or a path in the middle of code. Docs may link anywhere.
fn imports(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1).map(str::to_owned).collect::<Vec<_>>())
        .map(|rest| rest.split(|c: char| !(c.is_ascii_lowercase() || c == '_')).next().unwrap().to_owned())
        .collect()
}

#[test]
fn a_room_imports_from_the_floors_below_only() {
    for (path, text) in sources() {
        let own = room(&path);
        if own == "lib" {
            continue;
        }
        for other in imports(&text) {
            assert!(!other.is_empty(), "{}: imports through the façade", path.display());
            // The ground floor is one vocabulary; what is in one room may use itself.
            let allowed = floor(&other) < floor(&own) || other == own || floor(&own) == 0 && floor(&other) == 0;
            assert!(allowed, "{} imports {other}", path.display());
            assert!(own != "api" || other != "api", "{} imports another area", path.display());
        }
    }
}

#[test]
fn only_the_wire_knows_ureq() {
    for (path, text) in sources() {
        let knows = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("ureq::"));
        assert!(!knows || room(&path) == "wire", "{} knows ureq", path.display());
    }
}

#[test]
fn every_file_says_in_its_first_line_what_it_is_for() {
    for (path, text) in sources() {
        let first = text.lines().next().unwrap_or_default();
        let says = first.starts_with("//! ") && first.len() > 20 || first.starts_with("#![doc = include_str!");
        assert!(says, "{}: {first}", path.display());
    }
}

#[test]
fn the_drawing_in_the_facade_is_the_house() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for (number, rooms) in FLOORS.iter().enumerate() {
        let line = lib.lines().find(|line| line.starts_with(&format!("//   {number}  "))).unwrap();
        assert!(line.contains(&rooms.join("  ")), "{line}");
    }
}

/// A value as prose says it: `15 seconds`, `10 minutes`, `500 MiB`, `1000`.
fn in_words(kind: &str, value: u64) -> String {
    let (number, unit) = match (kind, value) {
        ("Duration", 0..=60) => (value, "second"),
        ("Duration", ..3600) => (value / 60, "minute"),
        ("Duration", _) => (value / 3600, "hour"),
        _ if value % (1 << 30) == 0 => return format!("{} GiB", value >> 30),
        _ if value % (1 << 20) == 0 => return format!("{} MiB", value >> 20),
        _ if value % (1 << 10) == 0 => return format!("{} KiB", value >> 10),
        _ => return value.to_string(),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[test]
fn the_docs_of_a_constant_and_of_what_links_to_it_say_its_value() {
    // docs.rs shows no value of a `Duration`, nor of what is calculated.
    let mut seen = 0;
    for (path, text) in sources() {
        let prose = text.replace("///", "").split_whitespace().collect::<Vec<_>>().join(" ");
        for (above, line) in text.split("\npub const ").zip(text.split("\npub const ").skip(1)) {
            let (name, rest) = line.split_once(": ").unwrap();
            let Some((kind @ ("Duration" | "u32" | "u64" | "usize"), rest)) = rest.split_once(" = ") else { continue };
            let value =
                rest.split_once(';').unwrap().0.trim_start_matches("Duration::from_secs(").trim_end_matches(')');
            let value = match value.split_once(" << ") {
                Some((one, by)) => one.parse::<u64>().unwrap() << by.parse::<u32>().unwrap(),
                None => value.split(" * ").map(|factor| factor.parse::<u64>().unwrap()).product(),
            };
            let words = in_words(kind, value);
            let docs = above.lines().rev().take_while(|line| line.starts_with("/// ")).last().unwrap_or_default();
            assert!(docs.starts_with(&format!("/// {words}: ")), "{}: {name} is {words}", path.display());
            let before: Vec<&str> = prose.split(&format!("([`{name}`])")).collect();
            for before in &before[..before.len() - 1] {
                let sentence = before.rsplit(". ").next().unwrap();
                assert!(sentence.contains(&format!("{words} ")), "{name} is {words}: {sentence}");
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_docs_of_a_tier_say_its_quota() {
    let text = include_str!("../src/operations.rs");
    for tier in nomic_client::operations::Tier::ALL {
        let (above, _) = text.split_once(&format!("\n    {tier:?},\n")).unwrap();
        let docs = above.lines().last().unwrap();
        assert!(docs.contains(&format!("/// {} requests a minute: ", tier.per_minute())), "{tier}: {docs}");
    }
}

#[test]
fn the_map_of_the_client_shows_every_method() {
    let sources = sources();
    let map = include_str!("../src/nomic.rs").split_once("/// # Methods\n").unwrap().1;
    let map = map.split_once("/// # Errors\n").unwrap().0;
    for (path, text) in &sources {
        for block in text.split("\nimpl Nomic {\n").skip(1) {
            let block = block.split_once("\n}\n").unwrap().0;
            for method in block.split("\n    pub fn ").skip(1) {
                let name = method.split(['(', '<']).next().unwrap();
                assert!(map.contains(&format!("[`{name}`](Self::{name})")), "{}: {name}", path.display());
            }
        }
    }
}

/// A file of the repository.
fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_promise_names_tests_that_are_there() {
    let promises = read("PROMISES.md");
    let mut named = 0;
    for row in promises.lines().filter(|line| line.starts_with("| ")).skip(2) {
        let (_, proof) = row.trim_end_matches(" |").rsplit_once(" | ").unwrap();
        let (file, tests) = proof.strip_prefix('`').and_then(|proof| proof.split_once("`: ")).expect("a file: tests");
        let source = read(file);
        let tests: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test proves: {row}");
        for test in tests {
            let above = source.split_once(&format!("\nfn {test}()")).map(|(above, _)| above);
            let attributes = above.unwrap_or_default().rsplit("\n\n").next().unwrap();
            assert!(attributes.contains("#[test]"), "{file} has no test {test}");
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
}

/// Where the links of a Markdown text lead.
fn links(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let prose = text.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced
    });
    prose
        .flat_map(|line| {
            ["](", "]: ", "href=\"", "src=\""].into_iter().flat_map(move |before| line.split(before).skip(1))
        })
        .map(|rest| rest.split([')', '"', ' ']).next().unwrap())
        .collect()
}

#[test]
fn the_readme_has_no_relative_link_and_leads_to_what_is_there() {
    // It is shown on crates.io and docs.rs too, where nothing lies beside it.
    const SHIPPED: &str = "https://docs.rs/crate/nomic-client/latest/source/";
    const DOCS: &str = "https://docs.rs/nomic-client/latest/nomic_client/";
    let (readme, manifest) = (read("README.md"), read("Cargo.toml"));
    let include = manifest.lines().find(|line| line.starts_with("include = ")).unwrap();
    let sources = sources();
    let links = links(&readme);
    for link in &links {
        assert!(link.starts_with("https://"), "a relative link: {link}");
        if let Some(file) = link.strip_prefix(SHIPPED) {
            assert!(include.contains(&format!("\"/{file}\"")), "{file} is not in the package");
        }
        if let Some(page) = link.strip_prefix(DOCS) {
            let (module, page) = page.rsplit_once('/').unwrap_or(("", page));
            let name = module.rsplit('/').next().unwrap();
            let there = match page.split('.').collect::<Vec<_>>()[..] {
                ["index", "html"] => sources.iter().any(|(path, text)| {
                    path.ends_with(format!("{name}.rs")) || text.contains(&format!("pub mod {name} "))
                }),
                [kind, item, "html"] => {
                    let kind = if kind == "constant" { "const" } else { kind };
                    let said = format!("pub {kind} {item}");
                    sources.iter().any(|(_, text)| text.lines().any(|line| line.trim_start().starts_with(&said)))
                }
                _ => false,
            };
            assert!(there, "{link}");
        }
    }
    assert!(links.len() > 10, "{links:?}");
}

#[test]
fn the_readmes_table_of_bounds_is_the_codes() {
    let (readme, code) = (read("README.md"), read("src/nomic.rs"));
    let rows: Vec<_> = readme.split_once("setter of `Builder` |\n").unwrap().1.lines().skip(1).collect();
    let rows = rows.split(|line| line.is_empty()).next().unwrap();
    assert_eq!(rows.len(), 6);
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let (value, setter) = (cells[2], cells[3].trim_matches('`'));
        assert!(code.contains(&format!("pub fn {setter}(mut self")), "{row}");
        let (above, _) = code.split_once(&format!("\npub const DEFAULT_{}: ", setter.to_uppercase())).unwrap();
        let docs = above.lines().rev().take_while(|line| line.starts_with("/// ")).last().unwrap();
        assert!(docs.starts_with(&format!("/// {value}: ")), "{row} {docs}");
    }
}
