//! The file library: folders, files, their versions, and the documents read from them.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::http::percent_encode;
use crate::seed;
use crate::store::tasks::catch_panic;
use crate::work::{self, Document};

/// A file, with its latest version.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) mime_type: String,
    pub(crate) folder: Option<String>,
    pub(crate) version: String,
    /// The integration that the file comes from. None if it was uploaded.
    pub(crate) integration: Option<String>,
}

/// An uploaded version of a file.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) mime_type: String,
    pub(crate) stored: PathBuf,
    document: Arc<OnceLock<Result<Arc<Document>, String>>>,
}

#[derive(Debug)]
struct Folder {
    name: String,
    parent: Option<String>,
}

/// The path of an upload.
#[derive(Debug, Default)]
pub(crate) struct Target {
    pub(crate) parent: Option<String>,
    /// The names of folders below the parent. Missing ones are created.
    pub(crate) folders: Vec<String>,
    pub(crate) name: String,
}

/// What [`segments`] expects.
pub(crate) const PATH_RULE: &str = "folders and a file name, separated by single slashes";

/// The folders and the file name of a path; `None` if one of them is empty, `.` or `..`.
pub(crate) fn segments(path: &str) -> Option<Vec<String>> {
    let is_name = |segment: &str| !matches!(segment, "" | "." | "..");
    path.split('/').map(|segment| is_name(segment).then(|| segment.to_owned())).collect()
}

/// All folders and files.
#[derive(Debug, Default)]
pub(crate) struct Library {
    folders: HashMap<String, Folder>,
    folder_by_name: HashMap<(Option<String>, String), String>,
    files: Vec<File>,
    file_by_id: HashMap<String, usize>,
    file_by_name: HashMap<(Option<String>, String), usize>,
    versions: HashMap<String, Version>,
    seeded_versions: HashSet<String>,
}

impl Library {
    pub(crate) fn seeded(files: usize) -> Library {
        let mut library = Library { files: (0..files).map(seed::file).collect(), ..Library::default() };
        for (index, file) in library.files.iter().enumerate() {
            library.file_by_id.insert(file.id.clone(), index);
            library.seeded_versions.insert(file.version.clone());
        }
        library
    }

    pub(crate) fn has_folder(&self, id: &str) -> bool {
        self.folders.contains_key(id)
    }

    pub(crate) fn file(&self, id: &str) -> Option<&File> {
        self.file_by_id.get(id).and_then(|index| self.files.get(*index))
    }

    pub(crate) fn version(&self, id: &str) -> Option<&Version> {
        self.versions.get(id)
    }

    /// Whether the version belongs to a file from an integration.
    pub(crate) fn is_of_integration(&self, version: &str) -> bool {
        self.seeded_versions.contains(version)
    }

    /// The files from this index on whose names contain a lower-case text, with their index.
    pub(crate) fn search<'l>(
        &'l self,
        text: &'l str,
        integration: Option<&'l str>,
        from: usize,
    ) -> impl Iterator<Item = (usize, &'l File)> {
        let files = self.files.iter().enumerate().skip(from);
        files.filter(move |(_, file)| {
            (integration.is_none() || integration == file.integration.as_deref())
                && file.name.to_lowercase().contains(text)
        })
    }

    /// The folders around a file and their ids, from the inside out.
    fn folders_around<'l>(&'l self, file: &'l File) -> impl Iterator<Item = (&'l str, &'l Folder)> {
        let find = |id: &'l Option<String>| id.as_deref().and_then(|id| Some((id, self.folders.get(id)?)));
        std::iter::successors(find(&file.folder), move |(_, folder)| find(&folder.parent))
    }

    /// The path of a file from the root folder, with percent-encoded segments.
    pub(crate) fn path(&self, file: &File) -> String {
        let folders = self.folders_around(file).map(|(_, folder)| &folder.name);
        let mut segments: Vec<String> =
            [&file.name].into_iter().chain(folders).map(|name| percent_encode(name)).collect();
        segments.reverse();
        segments.join("/")
    }

    /// The file with this id, or all files below the folder with this id.
    pub(crate) fn under(&self, id: &str) -> Option<Vec<&File>> {
        if let Some(file) = self.file(id) {
            return Some(vec![file]);
        }
        self.folders.get(id)?;
        Some(self.files.iter().filter(|file| self.folders_around(file).any(|(folder, _)| folder == id)).collect())
    }

    /// Describes why the path cannot be stored to, if it leads through a file or to a folder.
    pub(crate) fn conflict(&self, target: &Target) -> Option<String> {
        let mut folder = target.parent.clone();
        for name in &target.folders {
            let key = (folder, name.clone());
            if self.file_by_name.contains_key(&key) {
                return Some(format!("'{name}' is a file"));
            }
            folder = Some(self.folder_by_name.get(&key)?.clone());
        }
        let name = &target.name;
        self.folder_by_name.contains_key(&(folder, name.clone())).then(|| format!("'{name}' is a folder"))
    }

    /// Adds a file, or a new version of the file that exists at this path.
    pub(crate) fn add(
        &mut self,
        target: Target,
        mime_type: &str,
        stored: PathBuf,
        mut new_id: impl FnMut() -> String,
    ) -> File {
        let mut folder = target.parent;
        for name in target.folders {
            let key = (folder.clone(), name);
            let id = match self.folder_by_name.get(&key) {
                Some(id) => id.clone(),
                None => {
                    let id = new_id();
                    self.folders.insert(id.clone(), Folder { name: key.1.clone(), parent: folder });
                    self.folder_by_name.insert(key, id.clone());
                    id
                }
            };
            folder = Some(id);
        }
        let version = Version {
            id: new_id(),
            name: target.name.clone(),
            mime_type: mime_type.to_owned(),
            stored,
            document: Arc::default(),
        };
        let key = (folder.clone(), target.name);
        let known = self.file_by_name.get(&key).and_then(|index| self.files.get_mut(*index));
        let file = match known {
            Some(file) => {
                file.version = version.id.clone();
                file.mime_type = mime_type.to_owned();
                file.clone()
            }
            None => {
                let file = File {
                    id: new_id(),
                    name: key.1.clone(),
                    mime_type: mime_type.to_owned(),
                    folder,
                    version: version.id.clone(),
                    integration: None,
                };
                self.file_by_id.insert(file.id.clone(), self.files.len());
                self.file_by_name.insert(key, self.files.len());
                self.files.push(file.clone());
                file
            }
        };
        self.versions.insert(version.id.clone(), version);
        file
    }
}

impl Version {
    /// The document in this version. It is parsed once, which is slow: do not call this with a lock held.
    pub(crate) fn document(&self) -> Result<Arc<Document>, String> {
        let read = || {
            // Malformed PDFs are known to make parsers panic.
            let read = catch_panic(|| work::read(&self.stored, &self.name, &self.mime_type));
            let document = read.unwrap_or_else(|_| Err("the file is damaged".to_owned()));
            document.map(Arc::new).map_err(|reason| format!("Cannot read {}: {reason}", self.name))
        };
        self.document.get_or_init(read).clone()
    }
}
