//! Uploads: streams form data from the socket to disk in constant memory, and validates it strictly.

use std::future::Future;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use memchr::memmem;
use multer::Multipart;
use multer::bytes::Bytes;
use serde_json::json;

use crate::api::{ApiResponse, Call};
use crate::clock::rfc3339;
use crate::failure::{Failure, Issue};
use crate::http::{Body, Head};
use crate::ids;
use crate::state::{FormPart, ReceivedUpload, lock};
use crate::store::audit_log::Entity;
use crate::store::library::{self, PATH_RULE, Target};

/// The maximum size of a file.
const MAX_FILE: u64 = 500 * 1024 * 1024;
/// The maximum size of a form without its file.
const MAX_OVERHEAD: u64 = 64 * 1024;
/// The maximum length of a value other than the file.
const MAX_VALUE: usize = 4096;
/// The maximum size of the headers of a part.
const MAX_PART_HEAD: usize = 16 * 1024;

/// Receives an upload. An error means that the socket failed or the body was incomplete, and nothing was stored.
pub(crate) fn receive(call: &Call, head: &Head, body: &mut Body) -> io::Result<Result<ApiResponse, Failure>> {
    let Some(length) = head.content_length() else {
        return Ok(Err(Failure::new(411, "bad_request", "Content-Length is required")));
    };
    let boundary = head.header("content-type").map(multer::parse_boundary);
    let Some(Ok(boundary)) = boundary else {
        return Ok(Err(Failure::bad_request("Expected multipart/form-data with a boundary")));
    };
    if length > MAX_FILE + MAX_OVERHEAD {
        return Ok(Err(too_large()));
    }
    let stored = call.world.new_upload_path();
    let mut scanner = PartScanner::new(&boundary);
    let mut form = Form::default();
    let read = {
        let chunks = Chunks { body, scanner: &mut scanner, paused: false };
        let mut multipart = Multipart::new(chunks, boundary);
        block_on(form.read(&mut multipart, &stored))
    };
    form.parent = form.parent.take().map(|id| call.world.variations.original(id));
    let checked = match read {
        Ok(()) => {
            // Whatever follows the last boundary is ignored, but must be received.
            body.skip(u64::MAX)?;
            form.check(&scanner)
        }
        Err(FormError::Socket(error)) => Err(error)?,
        Err(FormError::Disk(error)) => {
            Err(Failure::new(500, "internal_error", format!("Cannot store the file: {error}")))
        }
        Err(FormError::Rules(failure)) => Err(failure),
        // Multer does not say which part is malformed.
        Err(FormError::Form(error)) => match form.check(&scanner) {
            Err(failure) if scanner.parts.iter().any(|part| parse_part(part).is_err()) => Err(failure),
            _ => Err(Failure::bad_request(format!("Malformed form-data: {error}"))),
        },
    };
    let response = checked.and_then(|upload| store(call, upload, &form, scanner.parts, &stored));
    if response.is_err() {
        let _ = std::fs::remove_file(&stored);
    }
    Ok(response)
}

fn too_large() -> Failure {
    Failure::new(413, "payload_too_large", format!("A file may have {MAX_FILE} bytes at most"))
}

/// The content of a form, except for the file itself.
#[derive(Debug, Default)]
struct Form {
    size: u64,
    path: Option<String>,
    parent: Option<String>,
    issues: Vec<Issue>,
}

/// Why a form could not be read.
enum FormError {
    Socket(io::Error),
    Disk(io::Error),
    Rules(Failure),
    Form(multer::Error),
}

impl From<multer::Error> for FormError {
    fn from(error: multer::Error) -> FormError {
        match error {
            multer::Error::StreamReadFailed(cause) => match cause.downcast::<io::Error>() {
                Ok(error) => FormError::Socket(*error),
                Err(cause) => FormError::Socket(io::Error::other(cause)),
            },
            other => FormError::Form(other),
        }
    }
}

impl Form {
    async fn read(&mut self, multipart: &mut Multipart<'_>, stored: &Path) -> Result<(), FormError> {
        let mut files = 0;
        while let Some(mut field) = multipart.next_field().await? {
            match field.name().unwrap_or_default() {
                "file" => {
                    files += 1;
                    let mut disk = std::fs::File::create(stored).map_err(FormError::Disk)?;
                    self.size = 0;
                    while let Some(chunk) = field.chunk().await? {
                        self.size += chunk.len() as u64;
                        if self.size > MAX_FILE {
                            return Err(FormError::Rules(too_large()));
                        }
                        disk.write_all(&chunk).map_err(FormError::Disk)?;
                    }
                }
                name @ ("path" | "parentId") => {
                    let name = name.to_owned();
                    let mut value = Vec::new();
                    while let Some(chunk) = field.chunk().await? {
                        value.extend_from_slice(&chunk);
                        if value.len() > MAX_VALUE {
                            return Err(FormError::Rules(Failure::issue([&name], "String is too long")));
                        }
                    }
                    let slot = if name == "path" { &mut self.path } else { &mut self.parent };
                    match String::from_utf8(value) {
                        Err(_) => self.add_issue(&name, "Invalid UTF-8"),
                        Ok(_) if slot.is_some() => self.add_issue(&name, "Expected at most one part"),
                        Ok(text) if text.contains(char::is_control) => {
                            self.add_issue(&name, "Contains a control character")
                        }
                        Ok(text) => *slot = Some(text),
                    }
                }
                other => {
                    let message = format!("Unexpected part '{other}'");
                    let other = other.to_owned();
                    self.add_issue(&other, &message);
                    while field.chunk().await?.is_some() {}
                }
            }
        }
        match files {
            0 => self.add_issue("file", "Required"),
            1 if self.size == 0 => self.add_issue("file", "File is empty"),
            1 => {}
            _ => self.add_issue("file", "Expected exactly one part"),
        }
        Ok(())
    }

    fn add_issue(&mut self, part: &str, message: &str) {
        self.issues.push(Issue { path: vec![part.into()], message: message.to_owned() });
    }

    /// Validates the form and the headers of its parts.
    fn check(&mut self, scanner: &PartScanner) -> Result<ValidForm, Failure> {
        let mut file = None;
        if !scanner.is_utf8 {
            self.add_issue("file", "Invalid UTF-8 in the headers of a part");
        }
        for part in &scanner.parts {
            match parse_part(part) {
                Err(message) => self.add_issue("file", &message),
                Ok(part) if part.name == "file" => match (part.file_names.as_slice(), part.content_type) {
                    // The default of RFC 7578.
                    ([name], kind) => file = Some((name.clone(), kind.unwrap_or_else(|| "text/plain".to_owned()))),
                    (names, _) => {
                        let message = format!("Expected exactly one filename, received {}", names.len());
                        self.add_issue("file", &message);
                    }
                },
                Ok(part) if !part.file_names.is_empty() => self.add_issue(&part.name, "Unexpected filename"),
                Ok(_) => {}
            }
        }
        let parent = self.parent.clone();
        if parent.as_deref().is_some_and(|id| !ids::is_uuid(id)) {
            self.add_issue("parentId", "Invalid uuid");
        }
        let segments = self.path.as_deref().map(library::segments);
        if segments == Some(None) {
            self.add_issue("path", &format!("Expected {PATH_RULE}"));
        }
        if !self.issues.is_empty() {
            return Err(Failure::invalid(std::mem::take(&mut self.issues)));
        }
        let (received_name, mime_type) = file.ok_or_else(|| Failure::issue(["file"], "Required"))?;
        let mut folders = segments.flatten().unwrap_or_else(|| vec![received_name.clone()]);
        let name = folders.pop().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Failure::issue(["file"], "Expected a filename"))?;
        Ok(ValidForm { received_name, mime_type, target: Target { parent, folders, name } })
    }
}

#[derive(Debug)]
struct ValidForm {
    received_name: String,
    mime_type: String,
    target: Target,
}

/// Adds a valid upload to the library.
fn store(
    call: &Call,
    upload: ValidForm,
    form: &Form,
    parts: Vec<FormPart>,
    stored: &Path,
) -> Result<ApiResponse, Failure> {
    let ValidForm { received_name, mime_type, target } = upload;
    let file = {
        let mut library = lock(&call.world.library);
        if target.parent.as_deref().is_some_and(|id| !library.has_folder(id)) {
            return Err(Failure::not_found("Parent folder"));
        }
        if let Some(conflict) = library.conflict(&target) {
            let part = if form.path.is_some() { "path" } else { "file" };
            return Err(Failure::issue([part], conflict));
        }
        library.add(target, &mime_type, stored.to_owned(), || call.world.fresh_id())
    };
    call.record(
        "file.uploaded",
        vec![Entity { id: file.id.clone(), kind: "file", name: Some(file.name.clone()) }],
        json!({ "size": form.size, "fileVersionId": file.version }),
    );
    let response = ApiResponse::created(json!({
        "id": file.id,
        "name": file.name,
        "mimeType": mime_type,
        "size": form.size,
        "fileType": "DOCUMENT",
        "parentId": file.folder,
        "fileVersionId": file.version,
        "createdAt": rfc3339(call.world.now()),
    }));
    lock(&call.world.request_log).uploads.push(ReceivedUpload {
        name: received_name,
        path: PathBuf::from(stored),
        size: form.size,
        mime_type,
        parts,
    });
    Ok(response)
}

/// The parsed headers of a part.
#[derive(Debug, PartialEq)]
struct Part {
    name: String,
    file_names: Vec<String>,
    content_type: Option<String>,
}

fn parse_part(part: &FormPart) -> Result<Part, String> {
    let mut disposition = None;
    let mut content_type = None;
    for (name, value) in &part.headers {
        if value.contains(char::is_control) {
            return Err(format!("Header '{name}' of a part contains a control character"));
        }
        let slot = match name.to_ascii_lowercase().as_str() {
            "content-disposition" => &mut disposition,
            "content-type" => &mut content_type,
            _ => return Err(format!("Unexpected header '{name}' in a part")),
        };
        if slot.replace(value.clone()).is_some() {
            return Err(format!("Header '{name}' of a part is repeated"));
        }
    }
    if content_type.as_deref().is_some_and(|value| !is_media_type(value)) {
        return Err("Invalid Content-Type of a part".to_owned());
    }
    let disposition = disposition.ok_or("A part without Content-Disposition")?;
    let mut rest = disposition.strip_prefix("form-data").ok_or("A part that is not form-data")?.trim_start();
    let (mut names, mut file_names) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let parameter = rest.strip_prefix(';').and_then(|rest| rest.trim_start().split_once('='));
        let (key, value) = parameter.ok_or("Malformed Content-Disposition")?;
        if key == "filename*" {
            let (value, after) = value.split_at(value.find(';').unwrap_or(value.len()));
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"%!#$&+-.^_`|~".contains(&byte);
            if !value.strip_prefix("UTF-8''").is_some_and(|name| name.bytes().all(is_token)) {
                return Err("Malformed filename* in Content-Disposition".to_owned());
            }
            rest = after.trim_start();
            continue;
        }
        // Browsers escape a quote as %22, so the next quote ends the value.
        let quoted = value.strip_prefix('"').and_then(|value| value.split_once('"'));
        let (value, after) = quoted.ok_or("Unquoted value in Content-Disposition")?;
        match key {
            "name" => names.push(value.to_owned()),
            "filename" => file_names.push(value.to_owned()),
            _ => return Err(format!("Unexpected parameter '{key}' in Content-Disposition")),
        }
        rest = after.trim_start();
    }
    match <[String; 1]>::try_from(names) {
        Ok([name]) => Ok(Part { name, file_names, content_type }),
        Err(_) => Err("Expected exactly one name in Content-Disposition".to_owned()),
    }
}

/// Whether the text is a media type, such as `text/plain; charset=utf-8`.
fn is_media_type(text: &str) -> bool {
    let is_token = |text: &str| {
        let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !text.is_empty() && text.bytes().all(is_token_byte)
    };
    let is_quoted = |text: &str| text.len() > 1 && text.starts_with('"') && text.ends_with('"');
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().and_then(|essence| essence.split_once('/'));
    let mut parameters = parts.map(|parameter| parameter.split_once('='));
    essence.is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
        && parameters
            .all(|pair| pair.is_some_and(|(name, value)| is_token(name) && (is_token(value) || is_quoted(value))))
}

/// The body as a stream for multer. Every second poll is pending, because multer buffers whatever is ready before it
/// yields anything, and would hold the whole file in memory.
struct Chunks<'a, 'w> {
    body: &'a mut Body<'w>,
    scanner: &'a mut PartScanner,
    paused: bool,
}

impl Stream for Chunks<'_, '_> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        self.paused = !self.paused;
        if !self.paused {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut buffer = vec![0; 64 * 1024];
        Poll::Ready(match self.body.read(&mut buffer) {
            Ok(0) => None,
            Ok(count) => {
                buffer.truncate(count);
                self.scanner.scan(&buffer);
                Some(Ok(Bytes::from(buffer)))
            }
            Err(error) => Some(Err(error)),
        })
    }
}

/// Runs a future whose streams block, so that it can always be polled again.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// Collects the headers of the parts while the body is streamed, because multer does not provide them verbatim.
#[derive(Debug)]
struct PartScanner {
    delimiter: memmem::Finder<'static>,
    pending: Vec<u8>,
    state: Scan,
    parts: Vec<FormPart>,
    /// Whether all headers are valid UTF-8.
    is_utf8: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Scan {
    /// In the content of a part, or before the first one.
    Content,
    /// After a boundary.
    Delimited,
    Head,
    /// After the last part, or after an error.
    End,
}

impl PartScanner {
    fn new(boundary: &str) -> PartScanner {
        PartScanner {
            delimiter: memmem::Finder::new(&format!("\r\n--{boundary}")).into_owned(),
            // The first boundary has no line before it.
            pending: b"\r\n".to_vec(),
            state: Scan::Content,
            parts: Vec::new(),
            is_utf8: true,
        }
    }

    fn scan(&mut self, bytes: &[u8]) {
        if self.state == Scan::End {
            return;
        }
        self.pending.extend_from_slice(bytes);
        loop {
            let used = match self.state {
                Scan::Content => match self.delimiter.find(&self.pending) {
                    Some(at) => {
                        self.state = Scan::Delimited;
                        at + self.delimiter.needle().len()
                    }
                    None => {
                        let kept = self.delimiter.needle().len() - 1;
                        self.pending.drain(..self.pending.len().saturating_sub(kept));
                        return;
                    }
                },
                Scan::Delimited => match self.pending.get(..2) {
                    None => return,
                    Some(b"--") => {
                        self.state = Scan::End;
                        self.pending = Vec::new();
                        return;
                    }
                    // The line break stays, because it also ends an empty head.
                    Some(_) => {
                        self.state = Scan::Head;
                        0
                    }
                },
                Scan::Head => match memmem::find(&self.pending, b"\r\n\r\n") {
                    Some(end) => {
                        let head = &self.pending[..end];
                        self.is_utf8 &= str::from_utf8(head).is_ok();
                        self.parts.push(FormPart::parse(head));
                        self.state = Scan::Content;
                        // The second line break may be the start of the next boundary.
                        end + 2
                    }
                    None if self.pending.len() > MAX_PART_HEAD => {
                        self.state = Scan::End;
                        self.pending = Vec::new();
                        return;
                    }
                    None => return,
                },
                Scan::End => return,
            };
            self.pending.drain(..used);
        }
    }
}

impl FormPart {
    fn parse(bytes: &[u8]) -> FormPart {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.split("\r\n").filter(|line| !line.is_empty());
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                (name.to_owned(), value.trim().to_owned())
            })
            .collect();
        FormPart { headers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str, piece: usize) -> Vec<FormPart> {
        let mut scanner = PartScanner::new("XX");
        text.as_bytes().chunks(piece).for_each(|chunk| scanner.scan(chunk));
        scanner.parts
    }

    fn head(headers: &[(&str, &str)]) -> FormPart {
        let headers = headers.iter();
        FormPart { headers: headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect() }
    }

    #[test]
    fn parts_are_found_in_chunks_of_any_size() {
        let text = "--XX\r\nA: 1\r\nB:2\r\n\r\nbody --XX\r\n--X\r\n\r\n--XX\r\nC: é\r\n\r\n\r\n--XX\r\nD: 4\r\n\r\nx\r\n--XX--\r\n\r\n--XX\r\nE: 5\r\n\r\n";
        let expected = [head(&[("A", "1"), ("B", "2")]), head(&[("C", "é")]), head(&[("D", "4")])];
        for piece in 1..text.len() {
            assert_eq!(scan(text, piece), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn the_headers_of_a_part_are_parsed_strictly() {
        let disposition = |value| parse_part(&head(&[("Content-Disposition", value)]));
        let part = disposition(r#"form-data; name="file"; filename="a%22b é;=.pdf""#).unwrap();
        assert_eq!(part.file_names, ["a%22b é;=.pdf"]);
        let part = disposition(r#"form-data; name="file"; filename="a\b"; filename*=UTF-8''a%5Cb"#).unwrap();
        assert_eq!(part.file_names, ["a\\b"]);
        for value in [
            "form-data",
            "attachment; name=\"file\"",
            "form-data; name=file",
            "form-data; name=\"file",
            "form-data; name=\"file\" filename=\"a\"",
            "form-data; name=\"file\"; name=\"path\"",
            "form-data; name=\"file\"; filename*=\"a\"",
        ] {
            assert!(disposition(value).is_err(), "{value}");
        }
        let extra = head(&[("Content-Disposition", "form-data; name=\"file\""), ("X-Evil", "1")]);
        assert!(parse_part(&extra).unwrap_err().contains("X-Evil"));
    }
}
