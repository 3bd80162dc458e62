//! Files: uploading documents, and finding those that are there.
//!
//! An upload is streamed: memory does not grow with the document. It always says its length, and is never sent twice
//! where the server may have taken it. A file or bytes are read anew for every attempt; a reader can be read only once.
//!
//! ```no_run
//! use nomic_client::{Nomic, files::Upload};
//!
//! let nomic = Nomic::from_env()?;
//! let plan = nomic.upload_file("drawings/floor-plan.pdf")?;
//! let note = nomic.upload(
//!     Upload::from_bytes("note.md", "# Approved")
//!         .path("reviews/2026/note.md")
//!         .progress(|sent, total| eprintln!("{sent} of {total} bytes")),
//! )?;
//! println!("{} and {}", plan.file_version_id, note.file_version_id);
//! # Ok::<(), nomic_client::Error>(())
//! ```

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::call::{Call, Document, ProgressFn, Source};
use crate::error::{Error, Result, brief, shortened};
use crate::ids::{FileId, FileVersionId};
use crate::listing::Listing;
use crate::multipart::Form;
use crate::nomic::Nomic;
use crate::operations::{SEARCH_FILES, UPLOAD_FILE};
use crate::record::record;
use crate::timestamp::Timestamp;

/// 500 MiB: the largest document that is sent, in bytes. Nomic's API pages say "500 MB"; should that mean 500,000,000
/// bytes, the service refuses what lies between.
pub const MAX_UPLOAD: u64 = 500 * 1024 * 1024;
/// 16 MiB: how much of a reader of unknown length is held in memory at the most, in bytes.
pub const SPOOL_LIMIT: u64 = 16 * 1024 * 1024;
/// 50: the largest page of a search, in files.
pub const MAX_SEARCH_PAGE: u32 = 50;

/// A document to upload, from a path, bytes or a reader.
///
/// ```no_run
/// use nomic_client::{Nomic, files::Upload};
/// use std::io::Read;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let nomic = Nomic::from_env()?;
/// let plan = Upload::from_path("floor-plan.pdf").path("Project Alpha/drawings/floor-plan.pdf");
/// let note = Upload::from_bytes("note.md", "# Approved").progress(|sent, total| eprintln!("{sent} of {total} bytes"));
/// let first_mib = std::fs::File::open("archive.zip")?.take(1 << 20);
/// let part = Upload::from_reader("part.bin", first_mib, 1 << 20).content_type("application/octet-stream");
/// for upload in [plan, note, part] {
///     println!("{}", nomic.upload(upload)?.file_version_id);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "an upload does nothing until it is given to `Nomic::upload`"]
pub struct Upload<'a> {
    from: From<'a>,
    name: Option<String>,
    path: Option<String>,
    parent_id: Option<FileId>,
    content_type: Option<String>,
    progress: Option<ProgressFn<'a>>,
}

enum From<'a> {
    Path(PathBuf),
    Bytes(Vec<u8>),
    Reader(Box<dyn Read + Send + 'a>, u64),
    Spooled(Box<dyn Read + Send + 'a>),
}

impl<'a> Upload<'a> {
    fn new(from: From<'a>, name: Option<String>) -> Self {
        Self { from, name, path: None, parent_id: None, content_type: None, progress: None }
    }

    /// A file on disk, under its own name. It is opened for every attempt anew.
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        Self::new(From::Path(path.into()), None)
    }

    /// Bytes in memory, under a file name with an extension.
    pub fn from_bytes(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(From::Bytes(bytes.into()), Some(name.into()))
    }

    /// A reader that gives `length` bytes; of what it may hold beyond, nothing is read. It can be read only once: an
    /// upload that was begun and refused (429) is not repeated, but ends with the error.
    ///
    /// The upload's [deadline](crate::Builder::upload_deadline) does not bound a reader that blocks: give it a time limit
    /// of its own, e.g. `TcpStream::set_read_timeout`.
    pub fn from_reader(name: impl Into<String>, reader: impl Read + Send + 'a, length: u64) -> Self {
        Self::new(From::Reader(Box::new(reader), length), Some(name.into()))
    }

    /// A reader of unknown length. It is read into memory first, 16 MiB at the most ([`SPOOL_LIMIT`]); one that gives
    /// more is refused before a connection is opened. Write a larger one to a file. No deadline bounds it, as with
    /// [`from_reader`](Self::from_reader).
    pub fn from_unsized_reader(name: impl Into<String>, reader: impl Read + Send + 'a) -> Self {
        Self::new(From::Spooled(Box::new(reader)), Some(name.into()))
    }

    /// The file name, instead of the path's own. `"` and control characters in it are sent as `%22`, `%0D` and the like.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Where to put it: folders and file name with slashes between, e.g. `reports/2026/quarterly.pdf`. Folders are
    /// created; the last segment is the file's name on the service.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        let path = path.into();
        self.path = Some(path.strip_prefix('/').map(str::to_owned).unwrap_or(path));
        self
    }

    /// The folder to put it into; [`path`](Self::path) is relative to it.
    pub fn parent(mut self, folder: impl Into<FileId>) -> Self {
        self.parent_id = Some(folder.into());
        self
    }

    /// The media type, e.g. `application/pdf`. Without it, it is guessed from the name.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Called after each piece, on the thread that uploads, with the bytes of the document that went out so far and those
    /// that it has in all. A repeated attempt begins at the beginning again.
    pub fn progress(self, mut progress: impl FnMut(u64, u64) + Send + 'a) -> Self {
        self.control(move |sent, total| {
            progress(sent, total);
            ControlFlow::Continue(())
        })
    }

    /// As [`progress`](Self::progress), by a function that may give the upload up: with [`ControlFlow::Break`] it ends
    /// after this piece, with [`Error::Cancelled`], and nothing is stored.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use nomic_client::files::Upload;
    ///
    /// static STOP: AtomicBool = AtomicBool::new(false); // set by a button, say
    /// let upload = Upload::from_path("plan.pdf").control(|_, _| match STOP.load(Ordering::Relaxed) {
    ///     true => ControlFlow::Break(()),
    ///     false => ControlFlow::Continue(()),
    /// });
    /// ```
    pub fn control(mut self, control: impl FnMut(u64, u64) -> ControlFlow<()> + Send + 'a) -> Self {
        self.progress = Some(Box::new(control));
        self
    }

    /// Looks at everything that can be looked at before a connection is opened.
    fn describe(self) -> Result<Document<'a>> {
        let refused = |reason: String| Err(Error::refused(UPLOAD_FILE.name, shortened(&reason)));
        let label = match (&self.from, &self.name) {
            (From::Path(path), _) => path.display().to_string(),
            (_, name) => name.clone().unwrap_or_default(),
        };
        let label = brief(&label);
        let read_error = |error: &io::Error| Error::document(UPLOAD_FILE.name, label.clone(), error);
        let (source, length, own_name) = match self.from {
            From::Path(path) => {
                let about = std::fs::metadata(&path).map_err(|error| read_error(&error))?;
                if !about.is_file() {
                    return refused(format!("{label} is not a file"));
                }
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                (Source::Path(path), about.len(), name)
            }
            From::Bytes(bytes) => {
                let length = bytes.len() as u64;
                (Source::Bytes(bytes), length, None)
            }
            // Beyond its length a socket would be waited for in vain.
            From::Reader(reader, length) => {
                (Source::Reader(Mutex::new((Box::new(reader.take(length)), false))), length, None)
            }
            From::Spooled(reader) => {
                let mut bytes = Vec::new();
                reader.take(SPOOL_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| read_error(&error))?;
                if bytes.len() as u64 > SPOOL_LIMIT {
                    return refused(format!(
                        "{label} gives more than {SPOOL_LIMIT} bytes and does not say how many; write it to a file, or say its length"
                    ));
                }
                let length = bytes.len() as u64;
                (Source::Bytes(bytes), length, None)
            }
        };
        if length == 0 {
            return refused(format!("{label} is empty (0 bytes)"));
        }
        if length > MAX_UPLOAD {
            return refused(format!("{label} has {length} bytes; the service takes {MAX_UPLOAD} at the most"));
        }
        let Some(name) = self.name.or(own_name).filter(|name| !name.is_empty()) else {
            return refused("the document has no file name".to_owned());
        };
        if let Some(reason) = self.path.as_deref().and_then(wrong_path) {
            return refused(reason);
        }
        let content_type =
            self.content_type.unwrap_or_else(|| media_type(self.path.as_deref().unwrap_or(&name)).to_owned());
        if content_type.is_empty() || content_type.chars().any(|c| c != ' ' && !c.is_ascii_graphic()) {
            return refused(format!("{content_type:?} is no media type"));
        }
        let mut fields = Vec::new();
        if let Some(path) = &self.path {
            fields.push(("path", path.as_str()));
        }
        if let Some(parent) = &self.parent_id {
            if parent.as_str().is_empty() || parent.as_str().chars().any(char::is_control) {
                return refused("the parent's id is empty or holds a control character".to_owned());
            }
            fields.push(("parentId", parent.as_str()));
        }
        let form = Form::new(&boundary(), &fields, "file", &name, &content_type);
        Ok(Document {
            form,
            length,
            source,
            progress: self.progress.map(Mutex::new),
            given_up: AtomicBool::new(false),
            label,
        })
    }
}

impl fmt::Debug for Upload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("name", &self.name)
            .field("path", &self.path)
            .field("parent_id", &self.parent_id)
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}

/// What is wrong with a target path.
fn wrong_path(path: &str) -> Option<String> {
    let mut segments = path.split('/');
    if path.chars().any(char::is_control) {
        Some(format!("the target path {path:?} holds a control character"))
    } else if segments.any(|segment| matches!(segment, "" | "." | "..")) {
        Some(format!("the target path {path:?} has an empty segment, `.` or `..`"))
    } else {
        None
    }
}

/// 128 random bits: no document holds them.
fn boundary() -> String {
    let bits = || RandomState::new().hash_one(0_u8);
    format!("nomic-{:016x}{:016x}", bits(), bits())
}

/// The media type that goes with a name's extension.
fn media_type(name: &str) -> &'static str {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "pdf" => "application/pdf",
        "txt" | "log" => "text/plain",
        "md" | "markdown" => "text/markdown",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "json" => "application/json",
        "xml" => "application/xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "bmp" => "image/bmp",
        "tif" | "tiff" => "image/tiff",
        "svg" => "image/svg+xml",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "ppt" => "application/vnd.ms-powerpoint",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "dwg" => "image/vnd.dwg",
        "dxf" => "image/vnd.dxf",
        "ifc" => "application/x-step",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

record! {
    /// A stored file.
    #[non_exhaustive]
    pub struct UploadedFile {
        /// The file's id, whatever its version: what agents take.
        pub id: FileId = required "id",
        /// Its name on the service, e.g. `quarterly.pdf`.
        pub name: String = required "name",
        /// The id of this version: what [`parse`](Nomic::parse) and [`extract`](Nomic::extract) take.
        pub file_version_id: FileVersionId = required "fileVersionId",
        /// Its media type, e.g. `application/pdf`.
        pub mime_type: Option<String> = optional "mimeType",
        /// Its size in bytes.
        pub size: Option<u64> = whole "size",
        /// Always `DOCUMENT` today.
        pub file_type: Option<String> = optional "fileType",
        /// The folder that it lies in.
        pub parent_id: Option<FileId> = optional "parentId",
        /// When it was stored, e.g. `2026-04-05T12:00:00.000Z`.
        pub created_at: Option<Timestamp> = optional "createdAt",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

record! {
    /// A file that a search found.
    #[non_exhaustive]
    pub struct FileHit {
        /// The file's or folder's id.
        pub id: FileId = required "id",
        /// Its name, e.g. `quarterly.pdf`.
        pub name: String = nullable "name",
        /// Its media type, e.g. `application/pdf`.
        pub mime_type: Option<String> = optional "mimeType",
        /// The folder that it lies in.
        pub parent_id: Option<FileId> = optional "parentId",
        /// Where it lies, slash-delimited and URL-encoded, e.g. `Project%20Alpha/reports/quarterly.pdf`.
        pub path: Option<String> = optional "path",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

impl FileHit {
    /// The path in plain text, e.g. `Project Alpha/reports/quarterly.pdf`. A slash within a name cannot be told from one
    /// between names here.
    #[must_use]
    pub fn decoded_path(&self) -> Option<String> {
        self.path.as_ref().map(|path| percent_decode_str(path).decode_utf8_lossy().into_owned())
    }
}

/// What narrows a search of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Only files of the integration with this id.
    pub integration_id: Option<String>,
}

impl Search {
    /// Only files of the integration with this id.
    pub fn integration(id: impl Into<String>) -> Self {
        Self { integration_id: Some(id.into()) }
    }
}

impl Nomic {
    /// Uploads a file from disk.
    ///
    /// `POST /files/upload` · scope `developer:files` · heavy tier
    ///
    /// # Errors
    ///
    /// Before a connection is opened: [`Error::Document`] if the file cannot be read, [`Error::Refused`] if it is
    /// empty or larger than 500 MiB ([`MAX_UPLOAD`]). While it is sent: [`Error::Document`] if it changes its size.
    /// [`Error::may_have_been_carried_out`] if the answer was lost.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let nomic = nomic_client::Nomic::from_env()?;
    /// let file = nomic.upload_file("drawings/floor-plan.pdf")?;
    /// println!("{} is {}", file.name, file.file_version_id);
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    pub fn upload_file(&self, path: impl AsRef<Path>) -> Result<UploadedFile> {
        self.upload(Upload::from_path(path.as_ref()))
    }

    /// Uploads a document from a path, bytes or a reader, with a target, a media type, and progress.
    ///
    /// `POST /files/upload` · scope `developer:files` · heavy tier
    ///
    /// # Errors
    ///
    /// As [`upload_file`](Self::upload_file).
    pub fn upload(&self, upload: Upload<'_>) -> Result<UploadedFile> {
        self.fetch_data(&Call::to(&UPLOAD_FILE, &[])?.document(upload.describe()?))
    }

    /// Finds files by a part of their name, in any letter case. Pages hold 50 files at the most ([`MAX_SEARCH_PAGE`]),
    /// and do not say how many there are in all.
    ///
    /// `GET /files/search` · scope `developer:files` · standard tier
    pub fn search_files(&self, query: &str, search: &Search) -> Listing<FileHit> {
        let call = Call::to(&SEARCH_FILES, &[])
            .map(|call| call.query("query", query).query_if("integrationId", search.integration_id.as_deref()));
        Listing::new(self, call, Some(MAX_SEARCH_PAGE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reason(upload: Upload<'_>) -> String {
        upload.describe().unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_uploaded_is_refused_before_anything_is_sent() {
        assert!(reason(Upload::from_bytes("a.txt", "")).contains("empty (0 bytes)"));
        assert!(reason(Upload::from_reader("a.txt", io::empty(), MAX_UPLOAD + 1)).contains("at the most"));
        assert!(reason(Upload::from_path("no/such/file.pdf")).contains("no/such/file.pdf"));
        assert!(reason(Upload::from_path("src")).contains("not a file"));
        assert!(reason(Upload::from_bytes("", "x")).contains("no file name"));
        assert!(reason(Upload::from_bytes("a", "x").path("a//b")).contains("empty segment"));
        assert!(reason(Upload::from_bytes("a", "x").path("../b")).contains(".."));
        assert!(reason(Upload::from_bytes("a", "x").content_type("a\r\nb")).contains("media type"));
        assert!(reason(Upload::from_bytes("a", "x").parent("")).contains("parent"));
        assert!(Upload::from_reader("a.txt", io::empty(), MAX_UPLOAD).describe().is_ok());
    }

    #[test]
    fn a_reader_of_unknown_length_is_held_in_memory_up_to_a_bound() {
        let fits = Upload::from_unsized_reader("a.txt", io::repeat(0).take(SPOOL_LIMIT)).describe().unwrap();
        assert_eq!(fits.length, SPOOL_LIMIT);
        assert!(reason(Upload::from_unsized_reader("a.txt", io::repeat(0))).contains("say its length"));
    }

    #[test]
    fn the_media_type_is_guessed_from_the_name() {
        assert_eq!(media_type("A.PDF"), "application/pdf");
        assert_eq!(media_type("no-extension"), "application/octet-stream");
    }

    #[test]
    fn a_path_is_decoded() {
        let hit: FileHit =
            serde_json::from_value(json!({"id": "a", "name": null, "path": "Project%20Alpha/a.pdf"})).unwrap();
        assert_eq!(hit.decoded_path().as_deref(), Some("Project Alpha/a.pdf"));
    }
}
