//! The main job: uploads a document, parses it, extracts values from it, and runs an agent on it.

mod instance;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use nomic_client::agents::Launch;
use nomic_client::extract;
use serde::Deserialize;
use serde_json::json;

/// Upload a document, parse it, extract values from it, and run an agent on it twice. Your organization is billed
#[derive(Parser)]
struct Args {
    /// The document
    #[arg(default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/permit.pdf"))]
    document: PathBuf,
}

/// The values to extract. A value that the document lacks is `None`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Permit {
    permit_number: Option<String>,
    number_of_storeys: Option<u32>,
    expiry_date: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    // Your program connects with `Nomic::from_env()?` or `Nomic::new("acme", "npk_…")?`.
    let (nomic, _emulator) = instance::connect()?;

    let file = nomic.upload_file(&args.document)?;
    println!("# Upload\n{} is {}, version {}", file.name, file.id, file.file_version_id);

    let job = nomic.parse(&file.file_version_id)?;
    let parsed = nomic.wait(&job)?;
    println!("\n# Text\n{}", parsed.text());

    let schema = json!({"type": "object", "properties": {
        "permitNumber": {"type": "string"},
        "numberOfStoreys": {"type": "integer"},
        "expiryDate": {"type": "string", "description": "the date on which the permit expires"},
    }});
    let job = nomic.extract_with([&file.file_version_id], &schema, &extract::Options::default().citations(true))?;
    let extracted = nomic.wait(&job)?;
    let permit: Permit = extracted.deserialize()?;
    println!("\n# Values");
    println!("permit number: {}", permit.permit_number.as_deref().unwrap_or("not found"));
    for citation in extracted.citations_of("permitNumber") {
        println!("    cited from page {}", citation.page.unwrap_or_default());
    }
    if let Some(storeys) = permit.number_of_storeys {
        println!("storeys: {storeys}");
    }
    println!("expiry date: {}", permit.expiry_date.as_deref().unwrap_or("not found"));

    let launch = Launch::prompt("Summarize the permit and its conditions.").files([file.id]);
    let agent = nomic.launch_agent(&launch)?;
    nomic.wait(&agent)?;
    nomic.follow_up_agent(&agent.id, "Now list the doors and their fire ratings as a table.")?;
    let agent = nomic.wait(&agent)?;
    println!("\n# Agent {}: {}", agent.id, agent.status);
    for artifact in agent.artifacts {
        let artifact = nomic.artifact(&agent.id, &artifact.id)?;
        println!("\n## {}", artifact.title.as_deref().unwrap_or("untitled"));
        if let Some(text) = artifact.markdown() {
            println!("{text}");
        } else if let Some(table) = artifact.table() {
            table.write_csv(std::io::stdout())?;
        }
    }
    Ok(())
}
