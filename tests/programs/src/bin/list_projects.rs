//! Lists the projects; fails if it cannot.

use nomic_client::{Nomic, Result};

fn main() -> Result<()> {
    let nomic = Nomic::from_env()?;
    nomic.projects().try_for_each(|project| project.map(drop))
}
