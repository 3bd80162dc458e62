//! The API end to end: uploads a document, parses it, extracts values from it, and runs an agent with a follow-up.
//!
//! `cargo run --example quickstart` needs no account: without `NOMIC_API_KEY` it starts an emulator.
//! With `NOMIC_API_KEY` and `NOMIC_DOMAIN` (or `NOMIC_BASE_URL`) it uses the real service.
//! `cargo run --example quickstart -- my.pdf` uses your own document.

mod instance;

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use instance::{Result, StdoutError, outln};
use nomic_client::agents::{ArtifactKind, Launch};
use nomic_client::files::Upload;
use nomic_client::{AgentId, ArtifactId, Nomic, extract, parse};
use serde::Deserialize;
use serde_json::json;

const USAGE: &str = "\
usage: quickstart [DOCUMENT]
Uploads a document, parses it, extracts values from it, and runs an agent on it twice. Your organization is billed.";

/// The values to extract. A value that the document lacks is `None`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Permit {
    permit_number: Option<String>,
    applicant: Option<String>,
    site_address: Option<String>,
    number_of_storeys: Option<u32>,
    sprinklered: Option<bool>,
    expiry_date: Option<String>,
}

fn main() -> ExitCode {
    instance::run_example("quickstart", USAGE, run)
}

fn run(arguments: Vec<OsString>) -> Result {
    let (nomic, _emulator) = instance::connect()?;
    outln!("# Instance\n{}\n", nomic.base_url())?;

    let path = arguments
        .first()
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/permit.pdf")), PathBuf::from);
    let is_terminal = std::io::stderr().is_terminal();
    let file = nomic.upload(Upload::from_path(&path).progress(move |sent, total| {
        if is_terminal {
            let end = if sent == total { "\n" } else { "" };
            let _ = write!(std::io::stderr(), "\ruploading: {sent} of {total} bytes{end}");
        }
    }))?;
    outln!("# Upload\n{} is {}, version {}\n", file.name, file.id, file.file_version_id)?;

    let job = nomic.parse(&file.file_version_id, &parse::Options::default())?;
    let parsed = nomic.wait(&job)?;
    outln!("# Outline")?;
    for heading in parsed.headings() {
        outln!("page {}: {}", heading.page().unwrap_or_default(), heading.content)?;
    }
    for page in parsed.pages() {
        outln!("\n# Text of page {page}\n{}", parsed.page_text(page))?;
    }

    let schema = json!({"type": "object", "properties": {
        "permitNumber": {"type": "string"},
        "applicant": {"type": "string", "description": "who applies for the permit"},
        "siteAddress": {"type": "string"},
        "numberOfStoreys": {"type": "integer"},
        "sprinklered": {"type": "boolean"},
        "expiryDate": {"type": "string", "description": "the date on which the permit expires"},
    }});
    let job = nomic.extract(&[file.file_version_id], &schema, &extract::Options::with_citations())?;
    let extracted = nomic.wait(&job)?;
    let permit: Permit = extracted.deserialize()?;
    outln!("\n# Extracted")?;
    let print = |label: &str, property: &str, value: Option<String>| {
        let page = extracted.citations_of(property).first().and_then(|citation| citation.page);
        let page = page.map(|page| format!(" (page {page})")).unwrap_or_default();
        outln!("{label}: {}{page}", value.unwrap_or_else(|| "not found".to_owned()))
    };
    print("permit number", "permitNumber", permit.permit_number)?;
    print("applicant", "applicant", permit.applicant)?;
    print("site address", "siteAddress", permit.site_address)?;
    print("storeys", "numberOfStoreys", permit.number_of_storeys.map(|storeys| storeys.to_string()))?;
    print("sprinklered", "sprinklered", permit.sprinklered.map(|yes| if yes { "yes" } else { "no" }.to_owned()))?;
    print("expiry date", "expiryDate", permit.expiry_date)?;

    let launch = Launch::prompt("Summarize the permit and its conditions.").files([file.id]);
    let agent = nomic.launch_agent(&launch)?;
    let agent = nomic.wait(&agent)?;
    outln!("\n# Agent {}: {}", agent.id, agent.status)?;
    let mut printed = HashSet::new();
    print_new_artifacts(&nomic, &agent.id, &mut printed)?;

    nomic.follow_up_agent(&agent.id, "Now list the doors and their fire ratings as a table.")?;
    let agent = nomic.wait(&agent)?;
    outln!("\n# After the follow-up: {}", agent.status)?;
    print_new_artifacts(&nomic, &agent.id, &mut printed)
}

fn print_new_artifacts(nomic: &Nomic, agent: &AgentId, printed: &mut HashSet<ArtifactId>) -> Result {
    for artifact in nomic.artifacts(agent) {
        let id = artifact?.id;
        if !printed.insert(id.clone()) {
            continue;
        }
        let artifact = nomic.artifact(agent, &id)?;
        outln!("\n## {} ({})", artifact.title.as_deref().unwrap_or("untitled"), artifact.id)?;
        if artifact.kind == Some(ArtifactKind::Markdown) {
            outln!("{}", artifact.markdown().unwrap_or_default())?;
        } else if let Some(table) = artifact.table() {
            table.write_csv(std::io::stdout()).map_err(StdoutError)?;
        }
    }
    Ok(())
}
