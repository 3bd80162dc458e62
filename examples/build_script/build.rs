//! Fetches a section of a building code once, and caches it in `OUT_DIR` for later builds.
//!
//! It is fetched again if the query, the instance or `NOMIC_REFRESH` changes. If the request fails, or the environment
//! variables are not set, the build uses the cached section and prints a warning. Without a cached section it fails with
//! an error of one line. [`README.md`](README.md) has the commands.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nomic_client::{Nomic, codes::Search};
use serde_json::{Value, json};

const QUERY: &str = "automatic sprinkler system";
const JURISDICTION: &str = "texas";
const CODE_TYPE: &str = "building";

fn main() {
    // Without these lines, any change in the package would run the script again. A changed API key does not.
    println!("cargo::rerun-if-changed=build.rs");
    for variable in ["NOMIC_DOMAIN", "NOMIC_BASE_URL", "NOMIC_REFRESH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    if let Err(error) = run() {
        // One line; a panic would add a backtrace.
        println!("cargo::error={error}");
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let cache_path = out_dir.join("section.json");
    let query = json!([QUERY, JURISDICTION, CODE_TYPE]);
    let (instance, refresh) = (instance(), variable("NOMIC_REFRESH"));
    // A cached section of another query or another instance does not count. Without an instance, e.g. in an editor, any
    // instance will do.
    let cached = read(&cache_path)
        .filter(|cached| cached["query"] == query && (instance.is_none() || cached["instance"] == json!(instance)));
    let is_current = |cached: &Value| instance.is_some() && cached["refresh"] == json!(refresh);
    let section = match cached {
        Some(cached) if is_current(&cached) => cached["section"].clone(),
        cached => match fetch(instance.as_deref()) {
            Ok(section) => {
                let fetched = json!({"query": query, "instance": instance, "refresh": refresh, "section": section});
                // Written to a temporary file and renamed: an interrupted build keeps the previous section.
                let temporary = out_dir.join("section.json.new");
                fs::write(&temporary, fetched.to_string())?;
                fs::rename(temporary, &cache_path)?;
                json!(section)
            }
            Err(error) => {
                let cached = cached.ok_or_else(|| {
                    format!("cannot fetch the section {QUERY:?} of the {CODE_TYPE} code of {JURISDICTION}: {error}")
                })?;
                println!("cargo::warning=building with the section fetched earlier: {error}");
                cached["section"].clone()
            }
        },
    };
    fs::write(out_dir.join("section.txt"), section.as_str().ok_or("the cached section is not a string")?)?;
    Ok(())
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// An environment variable, if it is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn instance() -> Option<String> {
    variable("NOMIC_BASE_URL").or_else(|| variable("NOMIC_DOMAIN"))
}

fn fetch(instance: Option<&str>) -> Result<String, Box<dyn Error>> {
    // Not `Nomic::from_env`: a build needs shorter timeouts, and one error for all missing variables.
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
    let search = Search::new(QUERY).jurisdiction(JURISDICTION).code_type(CODE_TYPE).limit(1);
    let sections = nomic.search_codes(&search)?;
    Ok(sections.first().ok_or("the service found no matching section")?.text())
}
