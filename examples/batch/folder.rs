//! The documents of a folder.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::Result;
use crate::record::with_path;

/// A document of the folder.
pub(crate) struct Document {
    /// Its file name, which identifies it in the manifest and in the results.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// Lists the documents of a folder by name. Notes on standard error say which entries are skipped.
pub(crate) fn documents(folder: &Path) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    for entry in fs::read_dir(folder).map_err(with_path(folder))? {
        let path = entry.map_err(with_path(folder))?.path();
        match document_name(&path) {
            Ok(name) => documents.push(Document { name, path }),
            Err(reason) => {
                let _ = writeln!(io::stderr(), "{} is skipped: {reason}", path.display());
            }
        }
    }
    documents.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(documents)
}

/// The name of a document, or why the entry is not one.
fn document_name(path: &Path) -> Result<String, String> {
    let name = path.file_name().unwrap_or_default().to_str().ok_or("its name is not Unicode")?;
    if name.starts_with('.') {
        return Err("it is hidden".to_owned());
    }
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("it is a folder".to_owned());
    }
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    Ok(name.to_owned())
}
