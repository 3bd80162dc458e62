//! Searches the building codes of a jurisdiction: `cargo run --example search_codes -- texas "automatic sprinklers"`.

mod instance;

use std::ffi::OsString;
use std::process::ExitCode;

use instance::{Result, outln};
use nomic_client::codes;

const USAGE: &str = "\
usage: search_codes [JURISDICTION [QUERY [CODE-TYPE]]]
Searches the building codes of a jurisdiction, e.g. texas, and prints up to five sections.";

fn main() -> ExitCode {
    instance::run_example("search_codes", USAGE, run)
}

fn run(arguments: Vec<OsString>) -> Result {
    let mut arguments = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned());
    let jurisdiction = arguments.next().unwrap_or_else(|| "texas".to_owned());
    let query = arguments.next().unwrap_or_else(|| "automatic sprinkler system".to_owned());
    let code_type = arguments.next().unwrap_or_else(|| "building".to_owned());

    let (nomic, _emulator) = instance::connect()?;
    let options = codes::Options { limit: Some(5), ..codes::Options::default() };
    let sections = nomic.search_codes(&query, &jurisdiction, &code_type, &options)?;
    if sections.is_empty() {
        outln!("no section of the {code_type} codes of {jurisdiction} matches {query:?}")?;
    }
    for section in sections {
        // A section may lack its document.
        let title = section.file.as_ref().and_then(|file| file.document_title.as_deref()).unwrap_or("a code");
        let page = section.page_number.map(|page| format!(", page {page}")).unwrap_or_default();
        outln!("{title}{page} [{}]", section.citation_id.as_deref().unwrap_or(&section.id))?;
        outln!("{}\n", section.text())?;
    }
    Ok(())
}
