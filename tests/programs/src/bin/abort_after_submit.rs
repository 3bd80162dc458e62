//! Submits a parse job, prints it as JSON, and aborts.

use nomic_client::Nomic;
use nomic_client::files::Upload;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let nomic = Nomic::from_env()?;
    let file = nomic.upload(Upload::from_bytes("permit.txt", "Permit number: OG-2026-114\n"))?;
    println!("{}", serde_json::to_string(&nomic.parse(file.file_version_id)?)?);
    std::process::abort();
}
