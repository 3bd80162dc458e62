//! Lists the whole audit log; prints the number of entries and the peak memory in KiB.

use nomic_client::Nomic;
use nomic_test_programs::peak_memory;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let nomic = Nomic::from_env()?;
    let mut count = 0;
    for entry in nomic.audit_logs().page_size(1000) {
        entry?;
        count += 1;
    }
    println!("{count} {}", peak_memory()?);
    Ok(())
}
