//! Results under the names of their documents.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::document::{State, name};
use crate::queue::{Queue, Result};

/// Copies the result of each document that is done to `folder`, as NAME.json, or NAME.ID.json if several documents have the
/// same name. Returns how many there are.
///
/// # Errors
///
/// If Redis cannot be used, or a result cannot be copied.
pub fn copy_all(queue: &mut Queue, folder: &Path) -> Result<usize> {
    let stored = queue.property("results", None)?.ok_or("the queue does not exist: fill it with `fleet add`")?;
    let stored = PathBuf::from(stored);
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut by_name: HashMap<String, Vec<String>> = HashMap::new();
    for id in queue.ids(State::Done)? {
        let path = queue.fields(&id)?.remove("path").unwrap_or_default();
        by_name.entry(name(&path).to_owned()).or_default().push(id);
    }
    let mut count = 0;
    for (name, ids) in &by_name {
        for id in ids {
            let target = if ids.len() == 1 { format!("{name}.json") } else { format!("{name}.{id}.json") };
            let (source, target) = (stored.join(format!("{id}.json")), folder.join(target));
            copy(&source, &target, &folder.join(format!(".{id}.part")))
                .map_err(|error| format!("cannot copy {} to {}: {error}", source.display(), target.display()))?;
            count += 1;
        }
    }
    Ok(count)
}

/// Copies to a temporary file and renames it: a result is always complete.
fn copy(source: &Path, target: &Path, temporary: &Path) -> io::Result<()> {
    let mut file = fs::File::create(temporary)?;
    io::copy(&mut fs::File::open(source)?, &mut file)?;
    file.flush()?;
    file.sync_all()?;
    fs::rename(temporary, target)
}
