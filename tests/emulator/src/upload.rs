//! Uploads: streams form data from the socket to disk in constant memory, and validates it strictly.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use memchr::memmem;
use mime::Mime;
use serde_json::json;

use crate::api::{ApiResponse, Call};
use crate::clock::rfc3339;
use crate::failure::{Failure, Issue, RequestError};
use crate::http::{Body, Head};
use crate::ids;
use crate::state::{FormPart, ReceivedUpload, lock};
use crate::store::audit_log::entity;
use crate::store::library::{self, PATH_RULE, Target};

/// The maximum size of a file.
const MAX_FILE: u64 = 500 * 1024 * 1024;
/// The maximum size of a form without its file.
const MAX_OVERHEAD: u64 = 64 * 1024;
/// The maximum length of a value other than the file.
const MAX_VALUE: usize = 4096;
/// The maximum size of the headers of a part.
const MAX_PART_HEAD: usize = 16 * 1024;

/// Receives an upload. After an error, nothing is stored.
pub(crate) fn receive(call: &Call, head: &Head, body: &mut Body) -> Result<ApiResponse, RequestError> {
    let length = head.content_length();
    let length = length.ok_or_else(|| Failure::new(411, "Content-Length is required"))?;
    let kind = head.header("content-type").and_then(|kind| kind.parse::<Mime>().ok());
    let kind = kind.filter(|kind| kind.essence_str() == "multipart/form-data");
    let boundary = kind.as_ref().and_then(|kind| kind.get_param("boundary"));
    let boundary = boundary.ok_or_else(|| Failure::bad_request("Expected multipart/form-data with a boundary"))?;
    if length > MAX_FILE + MAX_OVERHEAD {
        return Err(too_large().into());
    }
    let path = call.world.new_upload_path();
    let form = Form::read(call, &mut FormReader::new(&mut *body, boundary.as_str()), &path);
    let response = form.and_then(|form| {
        // Whatever follows the last boundary is ignored, but must be received.
        body.skip(u64::MAX)?;
        Ok(form.store(call)?)
    });
    if response.is_err() {
        let _ = std::fs::remove_file(&path);
    }
    response
}

fn too_large() -> Failure {
    Failure::new(413, format!("A file may have {MAX_FILE} bytes at most"))
}

fn disk_error(error: io::Error) -> Failure {
    Failure::new(500, format!("Cannot store the file: {error}"))
}

/// A valid form, with its file on disk.
struct Form {
    upload: ReceivedUpload,
    target: Target,
    /// The part that names the target.
    named_by: &'static str,
}

impl Form {
    fn read(call: &Call, reader: &mut FormReader<impl Read>, stored: &Path) -> Result<Form, RequestError> {
        let mut issues = Vec::new();
        let mut issue = |part: &str, message: &str| {
            issues.push(Issue { path: vec![part.into()], message: message.to_owned() });
        };
        let (mut path, mut parent) = (None, None);
        let (mut files, mut file, mut size) = (0, None, 0);
        let mut parts = Vec::new();
        reader.content(|_| Ok(()))?;
        while let Some(part) = reader.next_part()? {
            let parsed = part.and_then(|part| {
                let parsed = parse_part(&part);
                parts.push(part);
                parsed
            });
            let Part { name, file_names, content_type } = match parsed {
                Ok(part) => part,
                Err(message) => {
                    issue("file", &message);
                    reader.content(|_| Ok(()))?;
                    continue;
                }
            };
            if name == "file" {
                files += 1;
                size = 0;
                let mut disk = File::create(stored).map_err(disk_error)?;
                reader.content(|bytes| {
                    size += bytes.len() as u64;
                    if size > MAX_FILE { Err(too_large()) } else { disk.write_all(bytes).map_err(disk_error) }
                })?;
                match <[String; 1]>::try_from(file_names) {
                    // The default of RFC 7578.
                    Ok([name]) => file = Some((name, content_type.unwrap_or_else(|| "text/plain".to_owned()))),
                    Err(names) => issue("file", &format!("Expected exactly one filename, received {}", names.len())),
                }
                continue;
            }
            if !file_names.is_empty() {
                issue(&name, "Unexpected filename");
            }
            let value = match name.as_str() {
                "path" => &mut path,
                "parentId" => &mut parent,
                _ => {
                    issue(&name, &format!("Unexpected part '{name}'"));
                    reader.content(|_| Ok(()))?;
                    continue;
                }
            };
            match reader.text(&name)? {
                Err(message) => issue(&name, message),
                Ok(_) if value.is_some() => issue(&name, "Expected at most one part"),
                Ok(text) => *value = Some(text),
            }
        }
        match files {
            0 => issue("file", "Required"),
            1 if size == 0 => issue("file", "File is empty"),
            1 => {}
            _ => issue("file", "Expected exactly one part"),
        }
        let parent = parent.map(|id| call.world.variations.original(id));
        if parent.as_deref().is_some_and(|id| !ids::is_uuid(id)) {
            issue("parentId", "Invalid uuid");
        }
        let named_by = if path.is_some() { "path" } else { "file" };
        let segments = path.as_deref().map(library::segments);
        if segments == Some(None) {
            issue("path", &format!("Expected {PATH_RULE}"));
        }
        let (name, mime_type) = match file {
            Some(file) if issues.is_empty() => file,
            _ => return Err(Failure::invalid(issues).into()),
        };
        let mut folders = segments.flatten().unwrap_or_else(|| vec![name.clone()]);
        let target = folders.pop().filter(|name| !name.is_empty());
        let target = target.ok_or_else(|| Failure::issue(["file"], "Expected a filename"))?;
        let upload = ReceivedUpload { name, path: stored.to_owned(), size, mime_type, parts };
        Ok(Form { upload, target: Target { parent, folders, name: target }, named_by })
    }

    /// Adds the file to the library.
    fn store(self, call: &Call) -> Result<ApiResponse, Failure> {
        let Form { upload, target, named_by } = self;
        let file = {
            let mut library = lock(&call.world.library);
            if target.parent.as_deref().is_some_and(|id| !library.has_folder(id)) {
                return Err(Failure::not_found("Parent folder"));
            }
            if let Some(conflict) = library.conflict(&target) {
                return Err(Failure::issue([named_by], conflict));
            }
            library.add(target, &upload.mime_type, upload.path.clone(), || call.world.fresh_id())
        };
        call.record(
            "file.uploaded",
            vec![entity("file", &file.id, Some(&file.name))],
            json!({ "size": upload.size, "fileVersionId": file.version }),
        );
        let response = ApiResponse::created(json!({
            "id": file.id,
            "name": file.name,
            "mimeType": upload.mime_type,
            "size": upload.size,
            "fileType": "DOCUMENT",
            "parentId": file.folder,
            "fileVersionId": file.version,
            "createdAt": rfc3339(call.world.now()),
        }));
        lock(&call.world.request_log).uploads.push(upload);
        Ok(response)
    }
}

/// Reads form data in constant memory: the content before the first part, then the headers and the content of each part.
struct FormReader<R> {
    body: R,
    delimiter: memmem::Finder<'static>,
    /// What was received, but not used yet.
    pending: Vec<u8>,
}

impl<R: Read> FormReader<R> {
    fn new(body: R, boundary: &str) -> FormReader<R> {
        let delimiter = memmem::Finder::new(&format!("\r\n--{boundary}")).into_owned();
        // The first boundary has no line before it.
        FormReader { body, delimiter, pending: b"\r\n".to_vec() }
    }

    /// The headers of the next part, or why they are invalid. None after the last part.
    fn next_part(&mut self) -> Result<Option<Result<FormPart, String>>, RequestError> {
        loop {
            if self.pending.starts_with(b"--") {
                return Ok(None);
            }
            if let Some(end) = memmem::find(&self.pending, b"\r\n\r\n") {
                let head: Vec<u8> = self.pending.drain(..end + 4).collect();
                let head = String::from_utf8(head).map_err(|_| "Invalid UTF-8 in the headers of a part".to_owned());
                return Ok(Some(head.map(|head| FormPart::parse(&head))));
            }
            if self.pending.len() > MAX_PART_HEAD {
                return Err(Failure::bad_request("Malformed form-data: the headers of a part are too long").into());
            }
            self.receive()?;
        }
    }

    /// Passes the content up to the next boundary to a function.
    fn content(&mut self, mut read: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), RequestError> {
        loop {
            let length = self.delimiter.needle().len();
            let found = self.delimiter.find(&self.pending);
            // The last bytes may be the start of a boundary.
            let end = found.unwrap_or_else(|| self.pending.len().saturating_sub(length - 1));
            read(&self.pending[..end])?;
            self.pending.drain(..end);
            if found.is_some() {
                self.pending.drain(..length);
                return Ok(());
            }
            self.receive()?;
        }
    }

    /// The content of a part as text, or what is wrong with it.
    fn text(&mut self, name: &str) -> Result<Result<String, &'static str>, RequestError> {
        let mut content = Vec::new();
        self.content(|bytes| {
            content.extend_from_slice(bytes);
            if content.len() > MAX_VALUE { Err(Failure::issue([name], "String is too long")) } else { Ok(()) }
        })?;
        Ok(match String::from_utf8(content) {
            Err(_) => Err("Invalid UTF-8"),
            Ok(text) if text.contains(char::is_control) => Err("Contains a control character"),
            Ok(text) => Ok(text),
        })
    }

    /// Receives more of the body.
    fn receive(&mut self) -> Result<(), RequestError> {
        const BLOCK: usize = 64 * 1024;
        let start = self.pending.len();
        self.pending.resize(start + BLOCK, 0);
        let count = self.body.read(&mut self.pending[start..])?;
        self.pending.truncate(start + count);
        match count {
            0 => Err(Failure::bad_request("Malformed form-data: the last boundary is missing").into()),
            _ => Ok(()),
        }
    }
}

impl FormPart {
    fn parse(head: &str) -> FormPart {
        let lines = head.split("\r\n").filter(|line| !line.is_empty());
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), value.trim().to_owned())
        };
        FormPart { headers: lines.map(header).collect() }
    }
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
    if content_type.as_ref().is_some_and(|value| value.parse::<Mime>().is_err()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives this many bytes at a time.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.1.min(buffer.len());
            self.0.read(&mut buffer[..size])
        }
    }

    fn parts(text: &str, piece: usize) -> Vec<(FormPart, String)> {
        let mut reader = FormReader::new(Pieces(text.as_bytes(), piece), "XX");
        let mut parts = Vec::new();
        reader.content(|_| Ok(())).unwrap();
        while let Some(part) = reader.next_part().unwrap() {
            let mut content = Vec::new();
            let copy = |bytes: &[u8]| {
                content.extend_from_slice(bytes);
                Ok(())
            };
            reader.content(copy).unwrap();
            parts.push((part.unwrap(), String::from_utf8(content).unwrap()));
        }
        parts
    }

    fn head(headers: &[(&str, &str)]) -> FormPart {
        let headers = headers.iter();
        FormPart { headers: headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect() }
    }

    #[test]
    fn parts_are_found_in_chunks_of_any_size() {
        let text = "--XX\r\nA: 1\r\nB:2\r\n\r\nbody --XX\r\n--X\r\n\r\n--XX\r\nC: é\r\n\r\n\r\n--XX\r\nD: 4\r\n\r\nx\r\n--XX--\r\n\r\n--XX\r\nE: 5\r\n\r\n";
        let contents = ["body --XX\r\n--X\r\n", "", "x"];
        let heads = [head(&[("A", "1"), ("B", "2")]), head(&[("C", "é")]), head(&[("D", "4")])];
        let expected: Vec<_> = heads.into_iter().zip(contents.map(str::to_owned)).collect();
        for piece in 1..text.len() {
            assert_eq!(parts(text, piece), expected, "in pieces of {piece}");
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
