//! Searches the building codes of a jurisdiction.

mod instance;

use std::error::Error;

use clap::Parser;
use nomic_client::codes::Search;

/// Search the building codes of a jurisdiction, and print up to five sections
#[derive(Parser)]
struct Args {
    /// The jurisdiction
    #[arg(default_value = "texas")]
    jurisdiction: String,
    /// A question or search terms
    #[arg(default_value = "automatic sprinkler system")]
    query: String,
    /// The type of code
    #[arg(default_value = "building")]
    code_type: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let (nomic, _emulator) = instance::connect()?;

    let search = Search::new(args.query).jurisdiction(args.jurisdiction).code_type(args.code_type).limit(5);
    for section in nomic.search_codes(&search)? {
        let title = section.file.as_ref().and_then(|file| file.document_title.as_deref()).unwrap_or("untitled");
        println!("# {title}, page {}", section.page_number.unwrap_or_default());
        println!("{}\n", section.text());
    }
    Ok(())
}
