//! Fetches a section of a building code once, keeps it in `OUT_DIR`, and builds from what it kept from then on.
//!
//! The network is asked when nothing is kept, when the question or the instance is another one, or when `NOMIC_REFRESH`
//! changes. Where it cannot be asked, or nobody says where it is, what is kept serves, with a warning; where nothing is
//! kept either, the build fails with one line. [`README.md`](README.md) has the commands.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nomic_client::{Nomic, codes};
use serde_json::{Value, json};

const QUERY: &str = "automatic sprinkler system";
const JURISDICTION: &str = "texas";
const CODE_TYPE: &str = "building";

fn main() {
    // Without these lines any change in the package would fetch again; with them the key may change unnoticed.
    println!("cargo::rerun-if-changed=build.rs");
    for variable in ["NOMIC_DOMAIN", "NOMIC_BASE_URL", "NOMIC_REFRESH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    if let Err(error) = run() {
        // One readable line; a panic would bury it under a backtrace.
        println!("cargo::error={error}");
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let kept = out.join("section.json");
    let question = json!([QUERY, JURISDICTION, CODE_TYPE]);
    let (instance, refresh) = (instance(), variable("NOMIC_REFRESH"));
    // What was kept for another question is none, and so is what another instance said. A shell that names no instance,
    // such as an editor's, means no other one.
    let old = read(&kept)
        .filter(|old| old["question"] == question && (instance.is_none() || old["instance"] == json!(instance)));
    let is_current = |old: &Value| instance.is_some() && old["refresh"] == json!(refresh);
    let section = match old {
        Some(old) if is_current(&old) => old["section"].clone(),
        old => match fetch(instance.as_deref()) {
            Ok(section) => {
                let new = json!({"question": question, "instance": instance, "refresh": refresh, "section": section});
                // Written aside and moved: a build that is interrupted leaves the old one.
                let aside = out.join("section.json.new");
                fs::write(&aside, new.to_string())?;
                fs::rename(aside, &kept)?;
                json!(section)
            }
            Err(error) => {
                let old = old.ok_or_else(|| {
                    format!("the section {QUERY:?} of the {CODE_TYPE} code of {JURISDICTION} is not at hand: {error}")
                })?;
                println!("cargo::warning=building with the section that was fetched before: {error}");
                old["section"].clone()
            }
        },
    };
    fs::write(out.join("section.txt"), section.as_str().ok_or("the section that was kept is no text")?)?;
    Ok(())
}

fn read(kept: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(kept).ok()?).ok()
}

/// A variable that says something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn instance() -> Option<String> {
    variable("NOMIC_BASE_URL").or_else(|| variable("NOMIC_DOMAIN"))
}

fn fetch(instance: Option<&str>) -> Result<String, Box<dyn Error>> {
    // `from_env` has the patience of a program, and names one variable at a time; who waits for a build has less.
    let (instance, key) = match (instance, variable("NOMIC_API_KEY")) {
        (Some(instance), Some(key)) => (instance, key),
        (Some(_), None) => return Err("NOMIC_API_KEY is not set; see README.md".into()),
        (None, Some(_)) => return Err("NOMIC_DOMAIN (or NOMIC_BASE_URL) is not set; see README.md".into()),
        (None, None) => {
            return Err("NOMIC_API_KEY and NOMIC_DOMAIN (or NOMIC_BASE_URL) are not set; see README.md".into());
        }
    };
    let nomic = Nomic::builder(instance, key)
        .proxy_from_env()
        .connect_timeout(Duration::from_secs(5))
        .deadline(Duration::from_secs(30))
        .build()?;
    let options = codes::Options { limit: Some(1), ..codes::Options::default() };
    let sections = nomic.search_codes(QUERY, JURISDICTION, CODE_TYPE, &options)?;
    Ok(sections.first().ok_or("the service knows no such section")?.text())
}
