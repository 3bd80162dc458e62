//! Fetches a section of a building code once, keeps it in `OUT_DIR`, and builds from what it kept from then on.
//!
//! The network is asked when nothing is kept, when the question is another one, or when `NOMIC_REFRESH` changes. Where it
//! cannot be asked, what is kept serves, with a warning; where nothing is kept either, the build fails with one line.

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
    // What was kept for another question, or from another instance, is none.
    let asked = json!([
        QUERY,
        JURISDICTION,
        CODE_TYPE,
        std::env::var("NOMIC_DOMAIN").ok(),
        std::env::var("NOMIC_BASE_URL").ok()
    ]);
    let section = match (read(&kept, &asked), std::env::var("NOMIC_REFRESH")) {
        (Some((section, refreshed)), now) if refreshed == json!(now.clone().ok()) => section,
        (old, refresh) => match fetch() {
            Ok(section) => {
                let kept_now = json!({"asked": asked, "refresh": refresh.ok(), "section": section});
                // Written aside and moved: a build that is interrupted leaves the old one.
                let aside = out.join("section.json.new");
                fs::write(&aside, kept_now.to_string())?;
                fs::rename(aside, &kept)?;
                section
            }
            Err(error) => {
                let (section, _) = old.ok_or_else(|| {
                    format!("the section {QUERY:?} of the {CODE_TYPE} code of {JURISDICTION} is not at hand: {error}")
                })?;
                println!("cargo::warning=building with the section that was fetched before: {error}");
                section
            }
        },
    };
    fs::write(out.join("section.txt"), section)?;
    Ok(())
}

/// The kept section, and what `NOMIC_REFRESH` was then.
fn read(kept: &Path, asked: &Value) -> Option<(String, Value)> {
    let value: Value = serde_json::from_slice(&fs::read(kept).ok()?).ok()?;
    (value["asked"] == *asked).then_some((value["section"].as_str()?.to_owned(), value["refresh"].clone()))
}

fn fetch() -> Result<String, Box<dyn Error>> {
    // `from_env` has the patience of a program; who waits for a build has less.
    let key = std::env::var("NOMIC_API_KEY").map_err(|_| "NOMIC_API_KEY is not set")?;
    let instance = std::env::var("NOMIC_BASE_URL").or_else(|_| std::env::var("NOMIC_DOMAIN"));
    let instance = instance.map_err(|_| "NOMIC_DOMAIN (as `acme`) or NOMIC_BASE_URL is not set")?;
    let nomic = Nomic::builder(instance, key)
        .proxy_from_env()
        .connect_timeout(Duration::from_secs(5))
        .deadline(Duration::from_secs(30))
        .build()?;
    let options = codes::Options { limit: Some(1), ..codes::Options::default() };
    let sections = nomic.search_codes(QUERY, JURISDICTION, CODE_TYPE, &options)?;
    Ok(sections.first().ok_or("the service knows no such section")?.text())
}
