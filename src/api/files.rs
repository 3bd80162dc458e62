//! Files: uploading documents, and searching for stored files.
//!
//! Uploads are streamed: memory use does not grow with the document. They always have a `Content-Length`, and are never
//! retried if the server may have stored the document. A file or bytes are read again for every attempt; a reader can be
//! read only once.
//!
//! ```no_run
//! use nomic_client::{Nomic, files::Upload};
//!
//! let nomic = Nomic::from_env()?;
//! let plan = nomic.upload_file("drawings/floor-plan.pdf")?;
//! let note = nomic.upload(
//!     Upload::from_bytes("note.md", "# Approved")
//!         .destination("reviews/2026/note.md")
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
use std::time::Instant;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::{Call, ProgressFn, Source, UploadBody};
use crate::disk;
use crate::error::{Error, Result};
use crate::ids::{FileId, FileVersionId};
use crate::lenient;
use crate::listing::Listing;
use crate::multipart::Form;
use crate::nomic::Nomic;
use crate::operations::{SEARCH_FILES, UPLOAD_FILE};
use crate::text::{excerpt, truncate};
use crate::timestamp::Timestamp;

/// Maximum size of a document, in bytes: 500 MiB. Nomic's API pages say "500 MB"; if that means 500,000,000 bytes, the
/// service rejects documents between the two sizes.
pub const MAX_UPLOAD: u64 = 500 * 1024 * 1024;
/// Maximum size of a document of unknown length, in bytes: 16 MiB. It is buffered in memory.
pub const MAX_BUFFERED: u64 = 16 * 1024 * 1024;
/// Maximum page size of a search: 50 files.
pub const MAX_PAGE: u32 = 50;

/// A document to upload, from a path, bytes or a reader.
///
/// ```
/// use nomic_client::files::Upload;
///
/// let plan = Upload::from_path("floor-plan.pdf").destination("Project Alpha/drawings/floor-plan.pdf");
/// let log = Upload::from_reader("log.bin", std::io::repeat(0), 1 << 20).content_type("application/octet-stream");
/// ```
#[must_use = "an upload does nothing until it is given to `Nomic::upload`"]
pub struct Upload<'a> {
    source: Source<'a>,
    /// `None` if it is unknown until the document is read.
    length: Option<u64>,
    name: Option<String>,
    destination: Option<String>,
    parent_id: Option<FileId>,
    content_type: Option<String>,
    progress: Option<ProgressFn<'a>>,
}

impl<'a> Upload<'a> {
    fn new(source: Source<'a>, length: Option<u64>, name: Option<String>) -> Self {
        Self { source, length, name, destination: None, parent_id: None, content_type: None, progress: None }
    }

    /// A file on disk, uploaded under its own name. It is opened again for every attempt, and must still have the same size.
    /// A file to which the system gives no size, e.g. `/proc/cpuinfo`, is buffered in memory, up to 16 MiB
    /// ([`MAX_BUFFERED`]).
    ///
    /// A helper thread reads the file, up to 512 KiB ahead. If the disk hangs, e.g. a network mount, the upload ends at its
    /// [deadline](crate::Builder::upload_deadline) with [`ErrorKind::Document`](crate::ErrorKind::Document), and nothing is
    /// stored; the thread ends when the disk answers. If no thread can be started, the file is read without a deadline.
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::Path(path.into()), None, None)
    }

    /// Bytes in memory. The name should have an extension, e.g. `note.md`.
    pub fn from_bytes(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let length = bytes.len() as u64;
        Self::new(Source::Bytes(bytes), Some(length), Some(name.into()))
    }

    /// A reader of `length` bytes; any further bytes are not read. It can be read only once: once reading has begun, the
    /// upload is not retried, even if it was throttled (429).
    ///
    /// The upload's [deadline](crate::Builder::upload_deadline) does not interrupt a reader that blocks: set a time limit on
    /// the reader, e.g. with `TcpStream::set_read_timeout`.
    pub fn from_reader(name: impl Into<String>, reader: impl Read + Send + 'a, length: u64) -> Self {
        // Reading a socket beyond its length would block.
        Self::new(Source::reader(reader.take(length)), Some(length), Some(name.into()))
    }

    /// A reader of unknown length. It is first buffered in memory; if it has more than 16 MiB ([`MAX_BUFFERED`]), the upload
    /// fails before a connection is opened. Write larger documents to a file first. As with
    /// [`from_reader`](Self::from_reader), the deadline does not interrupt a reader that blocks.
    pub fn from_reader_buffered(name: impl Into<String>, reader: impl Read + Send + 'a) -> Self {
        Self::new(Source::reader(reader), None, Some(name.into()))
    }

    /// The file name, in place of the one in the path. If that is not UTF-8, a name or a
    /// [`destination`](Self::destination) is required; without a name, the last segment of the destination is used.
    ///
    /// `"` and control characters are percent-encoded, e.g. as `%22`, as browsers do. Many servers take a name with a
    /// backslash for a Windows path, and store only its last part.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The path on the service, e.g. `reports/2026/quarterly.pdf`. Missing folders are created; the last segment is the file
    /// name.
    pub fn destination(mut self, path: impl Into<String>) -> Self {
        let path = path.into();
        self.destination = Some(path.strip_prefix('/').map(str::to_owned).unwrap_or(path));
        self
    }

    /// The folder to store the file in; [`destination`](Self::destination) is relative to it.
    pub fn parent(mut self, folder: impl Into<FileId>) -> Self {
        self.parent_id = Some(folder.into());
        self
    }

    /// The media type, e.g. `application/pdf`. Defaults to a guess from the file extension.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// A function that is called after each piece, on the thread that uploads, with the number of bytes sent so far and the
    /// length of the document. A retry starts again from zero.
    pub fn progress(self, mut progress: impl FnMut(u64, u64) + Send + 'a) -> Self {
        self.on_progress(move |sent, total| {
            progress(sent, total);
            ControlFlow::Continue(())
        })
    }

    /// Like [`progress`](Self::progress), with a function that can cancel the upload: if it returns [`ControlFlow::Break`],
    /// the upload ends with [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled), and nothing is stored.
    pub fn on_progress(mut self, on_progress: impl FnMut(u64, u64) -> ControlFlow<()> + Send + 'a) -> Self {
        self.progress = Some(Box::new(on_progress));
        self
    }

    /// Checks everything that can be checked before a connection is opened.
    fn describe(self, deadline: Instant) -> Result<UploadBody<'a>> {
        let invalid = |reason: String| Err(Error::invalid_request(UPLOAD_FILE.name, truncate(&reason)));
        let (label, own_name) = match &self.source {
            Source::Path(path) => (path.display().to_string(), path.file_name()),
            Source::Bytes(_) | Source::Reader(_) => (self.name.clone().unwrap_or_default(), None),
        };
        let label = excerpt(&label);
        let is_unicode = own_name.is_none_or(|name| name.to_str().is_some());
        let own_name = own_name.and_then(|name| name.to_str());
        let last_segment = || self.destination.as_deref()?.rsplit('/').next();
        let name = self.name.as_deref().or(own_name).or_else(last_segment).unwrap_or_default().to_owned();
        let read_error = |error: io::Error| Error::document(UPLOAD_FILE.name, label.clone(), error);
        let buffered = |bytes: io::Result<Vec<u8>>| {
            let bytes = bytes.map_err(read_error)?;
            match bytes.len() as u64 {
                length @ ..=MAX_BUFFERED => Ok((Source::Bytes(bytes), length)),
                _ => Err(Error::invalid_request(
                    UPLOAD_FILE.name,
                    format!(
                        "{label} has more than {MAX_BUFFERED} bytes and no known length; write it to a file, or pass its length"
                    ),
                )),
            }
        };
        let (source, length) = match (self.source, self.length) {
            (Source::Path(path), _) => match disk::file_size(&path, deadline).map_err(read_error)? {
                None => return invalid(format!("{label} is not a file")),
                // Files in `/proc` have a content, but no size.
                Some(0) => buffered(disk::content(&path, MAX_BUFFERED + 1, deadline))?,
                Some(size) => (Source::Path(path), size),
            },
            (Source::Reader(reader), None) => {
                let mut bytes = Vec::new();
                buffered(reader.take(MAX_BUFFERED + 1).read_to_end(&mut bytes).map(|_| bytes))?
            }
            (source, length) => (source, length.unwrap_or_default()),
        };
        if length == 0 {
            return invalid(format!("{label} is empty (0 bytes)"));
        }
        if length > MAX_UPLOAD {
            return invalid(format!("{label} has {length} bytes; the service accepts at most {MAX_UPLOAD}"));
        }
        if name.is_empty() {
            return invalid(match is_unicode {
                true => "the document has no file name".to_owned(),
                false => format!("the file name of {label} is not UTF-8; give it another with Upload::name"),
            });
        }
        let (path, parent) = (self.destination.as_deref(), self.parent_id.as_ref().map(FileId::as_str));
        let is_control = |text: &str| text.contains(char::is_control);
        if let Some(path) =
            path.filter(|path| is_control(path) || path.split('/').any(|segment| matches!(segment, "" | "." | "..")))
        {
            return invalid(format!("the destination {path:?} has an empty segment, `.`, `..` or a control character"));
        }
        if parent.is_some_and(|id| id.is_empty() || is_control(id)) {
            return invalid("the parent's id is empty or contains a control character".to_owned());
        }
        let content_type = self.content_type.unwrap_or_else(|| media_type(path.unwrap_or(&name)).to_owned());
        if content_type.is_empty() || content_type.contains(|c: char| c != ' ' && !c.is_ascii_graphic()) {
            return invalid(format!("{content_type:?} is not a media type"));
        }
        let fields = [("path", path), ("parentId", parent)];
        let fields: Vec<_> = fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        Ok(UploadBody {
            form: Form::new(&boundary(), &fields, "file", &name, &content_type),
            length,
            source: Mutex::new(source),
            progress: self.progress.map(Mutex::new),
            cancelled: AtomicBool::new(false),
            name: label,
        })
    }
}

impl fmt::Debug for Upload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, path) = (&self.name, &self.destination);
        f.debug_struct("Upload").field("name", name).field("destination", path).finish_non_exhaustive()
    }
}

/// A boundary of 128 random bits, so that it does not occur in the document.
fn boundary() -> String {
    let bits = || RandomState::new().hash_one(0_u8);
    format!("nomic-{:016x}{:016x}", bits(), bits())
}

/// The media type for a name's extension.
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

/// A stored file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UploadedFile {
    /// The file's id, the same for all versions; pass it to [agents](crate::agents::Launch::files).
    pub id: FileId,
    /// Its name on the service, e.g. `quarterly.pdf`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
    /// The id of this version; pass it to [`parse`](Nomic::parse) and [`extract`](Nomic::extract).
    pub file_version_id: FileVersionId,
    /// Its media type, e.g. `application/pdf`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub mime_type: Option<String>,
    /// Its size in bytes.
    #[serde(default, deserialize_with = "lenient::integer")]
    pub size: Option<u64>,
    /// Its type; currently always `DOCUMENT`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub file_type: Option<String>,
    /// The id of its folder.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub parent_id: Option<FileId>,
    /// When it was stored, e.g. `2026-04-05T12:00:00.000Z`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub created_at: Option<Timestamp>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A search result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FileHit {
    /// The file's or folder's id.
    pub id: FileId,
    /// Its name, e.g. `quarterly.pdf`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
    /// Its media type, e.g. `application/pdf`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub mime_type: Option<String>,
    /// The id of its folder.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub parent_id: Option<FileId>,
    /// Its path, slash-delimited and URL-encoded, e.g. `Project%20Alpha/reports/quarterly.pdf`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub path: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl FileHit {
    /// The path without URL encoding, e.g. `Project Alpha/reports/quarterly.pdf`. A slash within a name cannot be told from
    /// one between names.
    pub fn decoded_path(&self) -> Option<String> {
        self.path.as_ref().map(|path| percent_decode_str(path).decode_utf8_lossy().into_owned())
    }
}

/// A filter for a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// Only files of the integration with this id.
    pub integration_id: Option<String>,
}

impl Filter {
    /// Only files of the integration with this id.
    #[must_use]
    pub fn integration_id(self, id: impl Into<String>) -> Self {
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
    /// [`Document`](crate::ErrorKind::Document) if the file cannot be read before the deadline, or its size changes.
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest), before a connection is opened, if it is empty or larger than
    /// 500 MiB ([`MAX_UPLOAD`]). If the response is lost, the [effect](Error::effect) is unknown.
    pub fn upload_file(&self, path: impl AsRef<Path>) -> Result<UploadedFile> {
        self.upload(Upload::from_path(path.as_ref()))
    }

    /// Uploads a document from a path, bytes or a reader. [`Upload`] can also set a destination, a media type and a progress
    /// function.
    ///
    /// `POST /files/upload` · scope `developer:files` · heavy tier
    ///
    /// # Errors
    ///
    /// As [`upload_file`](Self::upload_file).
    pub fn upload(&self, upload: Upload<'_>) -> Result<UploadedFile> {
        let (start, limit) = (Instant::now(), self.upload_limit());
        let call = Call::to(&UPLOAD_FILE, &[])?.form(upload.describe(start + limit)?);
        self.fetch_data(&call.within(limit.saturating_sub(start.elapsed())))
    }

    /// Searches for files whose name contains `query`, ignoring case. A page has at most 50 files ([`MAX_PAGE`]) and
    /// no [`total_count`](crate::Page::total_count).
    ///
    /// `GET /files/search` · scope `developer:files` · standard tier
    pub fn search_files(&self, query: &str) -> Listing<FileHit> {
        self.search_files_with(query, &Filter::default())
    }

    /// Searches for files like [`search_files`](Self::search_files), with a filter.
    pub fn search_files_with(&self, query: &str, filter: &Filter) -> Listing<FileHit> {
        let call = Call::to(&SEARCH_FILES, &[])
            .map(|call| call.query("query", query).query_if("integrationId", filter.integration_id.as_deref()));
        Listing::new(self, call, Some(MAX_PAGE))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use serde_json::json;

    fn describe(upload: Upload<'_>) -> Result<UploadBody<'_>> {
        upload.describe(Instant::now() + Duration::from_secs(10))
    }

    fn reason(upload: Upload<'_>) -> String {
        describe(upload).unwrap_err().to_string()
    }

    #[test]
    fn an_invalid_upload_is_refused_before_anything_is_sent() {
        assert!(reason(Upload::from_bytes("a.txt", "")).contains("empty (0 bytes)"));
        assert!(reason(Upload::from_reader("a.txt", io::empty(), MAX_UPLOAD + 1)).contains("at most"));
        assert!(reason(Upload::from_path("no/such/file.pdf")).contains("no/such/file.pdf"));
        assert!(reason(Upload::from_path("src")).contains("not a file"));
        assert!(reason(Upload::from_bytes("", "x")).contains("no file name"));
        assert!(reason(Upload::from_bytes("a", "x").destination("a//b")).contains("empty segment"));
        assert!(reason(Upload::from_bytes("a", "x").destination("../b")).contains(".."));
        assert!(reason(Upload::from_bytes("a", "x").content_type("a\r\nb")).contains("not a media type"));
        assert!(reason(Upload::from_bytes("a", "x").parent("")).contains("parent"));
        assert!(describe(Upload::from_reader("a.txt", io::empty(), MAX_UPLOAD)).is_ok());
    }

    #[test]
    fn an_upload_may_be_used_for_a_shorter_time_than_its_reader_lives() {
        fn shortened<'short>(upload: Upload<'static>, _: &'short str) -> Upload<'short> {
            upload
        }
        let told = "told".to_owned();
        let _ = shortened(Upload::from_bytes("a", "x"), &told).progress(|_, _| assert_eq!(told, "told"));
    }

    #[test]
    fn a_reader_of_unknown_length_is_buffered_up_to_a_limit() {
        let fits = describe(Upload::from_reader_buffered("a.txt", io::repeat(0).take(MAX_BUFFERED))).unwrap();
        assert_eq!(fits.length, MAX_BUFFERED);
        assert!(reason(Upload::from_reader_buffered("a.txt", io::repeat(0))).contains("pass its length"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_without_a_size_is_buffered() {
        let body = describe(Upload::from_path("/proc/cpuinfo")).unwrap();
        assert!(body.length > 0 && matches!(body.source.into_inner().unwrap(), Source::Bytes(_)));
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
