//! Uploads the file that its argument names; prints the peak memory in KiB.

use nomic_client::Nomic;
use nomic_test_programs::peak_memory;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("name a file")?;
    Nomic::from_env()?.upload_file(path)?;
    println!("{}", peak_memory()?);
    Ok(())
}
