//! Documents (upload, search, parse, extract) and building codes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nomic_client::extract::{ExtractJob, Extracted};
use nomic_client::files::{Filter, MAX_PAGE, MAX_UPLOAD, Upload};
use nomic_client::parse::{ParseJob, Parsed};
use nomic_client::{FileId, FileVersionId, codes, extract, parse};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::args::{Codes, Extract, Limit, Parse};
use crate::failure::Failure;
use crate::jobs::{Submission, SubmittedJob};
use crate::output::{cell, fields};
use crate::session::Session;

pub(crate) fn upload(
    session: &Session,
    file: &Path,
    destination: Option<String>,
    parent: Option<FileId>,
) -> Result<(), Failure> {
    let mut upload = Upload::from_path(file);
    if let Some(destination) = &destination {
        upload = upload.destination(destination);
    }
    if let Some(parent) = parent {
        upload = upload.parent(parent);
    }
    if destination.is_none() {
        check_name(file, "rename it, or name it with --destination")?;
    }
    check_document(file)?;
    let stored = session.upload(file, upload, destination.as_ref().map_or(file, Path::new))?;
    session.output.value(&stored, || {
        fields(&[
            ("id", Some(stored.id.to_string())),
            ("version", Some(stored.file_version_id.to_string())),
            ("name", Some(stored.name.clone())),
            ("bytes", stored.size.map(|size| size.to_string())),
        ])
    })
}

/// Checks all documents before the first one is uploaded.
pub(crate) fn check_documents(files: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<(), Failure> {
    for file in files {
        check_name(file.as_ref(), "rename it")?;
        check_document(file.as_ref())?;
    }
    Ok(())
}

fn check_name(file: &Path, remedy: &str) -> Result<(), Failure> {
    match file.file_name().is_some_and(|name| name.to_str().is_none()) {
        true => Err(unusable(file, &format!(" has a name that is not UTF-8; {remedy}"))),
        false => Ok(()),
    }
}

fn check_document(file: &Path) -> Result<(), Failure> {
    // Only regular files are opened: opening a named pipe would block.
    let metadata = match file.metadata() {
        Ok(metadata) if metadata.is_file() => File::open(file).map(|_| metadata),
        other => other,
    };
    let reason = match metadata {
        Err(error) => format!(": {error}"),
        Ok(metadata) if !metadata.is_file() => " is not a file".to_owned(),
        // Files in `/proc` have a content, but no size.
        Ok(metadata) if metadata.len() == 0 => match first_byte(file) {
            Ok(1..) => return Ok(()),
            Ok(0) => " is empty (0 bytes)".to_owned(),
            Err(error) => format!(": {error}"),
        },
        Ok(metadata) if metadata.len() > MAX_UPLOAD => {
            format!(" has {} bytes; the service accepts at most {MAX_UPLOAD}", metadata.len())
        }
        Ok(_) => return Ok(()),
    };
    Err(unusable(file, &reason))
}

fn unusable(file: &Path, reason: &str) -> Failure {
    Failure::Usage(format!("{}{reason}; nothing was sent", file.display()))
}

/// Reads a byte, if there is one.
fn first_byte(file: &Path) -> io::Result<usize> {
    File::open(file)?.read(&mut [0])
}

pub(crate) fn search(session: &Session, query: &str, integration: Option<String>, limit: Limit) -> Result<(), Failure> {
    let mut filter = Filter::default();
    filter.integration_id = integration;
    let found = session.nomic.search_files_with(query, &filter);
    session.output.list(limit.apply(found, MAX_PAGE), [("id", 36), ("path", 0)], |file| {
        [file.id.to_string(), file.decoded_path().unwrap_or_else(|| file.name.clone())]
    })?;
    Ok(())
}

pub(crate) fn parse(session: &Session, arguments: &Parse) -> Result<(), Failure> {
    let mut options = parse::Options::default();
    options.ocr_language = arguments.ocr_language.as_deref().map(Into::into);
    options.figure_summary = arguments.figure_summary.then_some(true);
    options.table_summary = arguments.table_summary.then_some(true);
    options.summary_word_limit = arguments.summary_words;
    options.embed_chunks = arguments.embed_chunks.then_some(true);
    // One file or one version: clap ensures that exactly one is given.
    for version in versions(session, arguments.file.as_slice(), arguments.file_version.as_slice())? {
        let submission = Submission {
            label: "submitting the parse job",
            done: "was submitted",
            check: &["audit", "--action", "parse.submitted", "--since", "1h"],
        };
        session.submit(&arguments.wait, &submission, || session.nomic.parse_with(&version, &options))?;
    }
    Ok(())
}

impl SubmittedJob for ParseJob {
    const KIND: &'static str = "parse";
    const NAME: &'static str = "parse job";

    fn id(&self) -> &str {
        self.task_id.as_str()
    }

    fn show(&self, session: &Session, parsed: &Parsed) -> Result<(), Failure> {
        session.output.value(&WithTaskId::new(self.id(), parsed, &parsed.extra), || parsed.text())
    }
}

pub(crate) fn extract(session: &Session, arguments: &Extract) -> Result<(), Failure> {
    let schema = schema(&arguments.schema)?;
    let versions = versions(session, &arguments.files, &arguments.file_version)?;
    let options = extract::Options::default().citations(arguments.citations);
    let submission = Submission {
        label: "submitting the extract job",
        done: "was submitted",
        check: &["audit", "--action", "extract.submitted", "--since", "1h"],
    };
    session.submit(&arguments.wait, &submission, || session.nomic.extract_with(&versions, &schema, &options))
}

/// Reads a schema. Whether it is a valid JSON Schema is up to the service.
fn schema(path: &Path) -> Result<Value, Failure> {
    let unusable = |reason: &str| unusable(path, reason);
    let bytes = fs::read(path).map_err(|error| unusable(&format!(": {error}")))?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(unusable(" is UTF-16; save it as UTF-8"));
    }
    // Some editors write a byte order mark, which is not valid JSON.
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let schema: Value = serde_json::from_slice(bytes).map_err(|error| unusable(&format!(" is not JSON: {error}")))?;
    let kind = match &schema {
        Value::Object(_) => return Ok(schema),
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
    };
    Err(unusable(&format!(" is a JSON {kind}, not an object like {{\"type\": \"object\", \"properties\": {{…}}}}")))
}

/// Uploads the files, and returns their versions behind the given ones.
fn versions(session: &Session, files: &[PathBuf], versions: &[FileVersionId]) -> Result<Vec<FileVersionId>, Failure> {
    check_documents(files)?;
    let mut versions = versions.to_vec();
    for version in &versions {
        session.add_document_name(version, version.to_string());
    }
    for file in files {
        let stored = session.upload_for_job(file, |stored| format!("--file-version {}", stored.file_version_id))?;
        versions.push(stored.file_version_id);
    }
    Ok(versions)
}

impl SubmittedJob for ExtractJob {
    const KIND: &'static str = "extract";
    const NAME: &'static str = "extract job";

    fn id(&self) -> &str {
        self.task_id.as_str()
    }

    fn show(&self, session: &Session, extracted: &Extracted) -> Result<(), Failure> {
        session.output.value(&WithTaskId::new(self.id(), extracted, &extracted.extra), || {
            let Value::Object(properties) = &extracted.value else { return display_value(&extracted.value) };
            let mut documents = session.document_names();
            // The documents of a job that was submitted earlier are known by their IDs only.
            let cited = properties.keys().flat_map(|name| extracted.citations_of(name));
            for version in cited.filter_map(|citation| citation.file_version_id).collect::<BTreeSet<_>>() {
                if !documents.iter().any(|(known, _)| *known == version) {
                    documents.push((version.clone(), version.to_string()));
                }
            }
            let lines = properties.iter().map(|(name, value)| {
                let citations: Vec<_> =
                    extracted.citations_of(name).iter().filter_map(|citation| location(citation, &documents)).collect();
                let suffix = if citations.is_empty() { String::new() } else { format!("  ({})", citations.join("; ")) };
                (name.as_str(), Some(display_value(value) + &suffix))
            });
            fields(&lines.collect::<Vec<_>>())
        })
    }
}

/// Where a value was found: the page, and the document if there are several.
fn location(citation: &extract::Citation, documents: &[(FileVersionId, String)]) -> Option<String> {
    let page = citation.page.map(|page| format!("page {page}"));
    let version = citation.file_version_id.as_ref().filter(|_| documents.len() > 1);
    let name = version.and_then(|version| documents.iter().find(|(known, _)| known == version));
    match (name, page) {
        (Some((_, name)), Some(page)) => Some(format!("{name}, {page}")),
        (Some((_, name)), None) => Some(name.clone()),
        (None, page) => page,
    }
}

/// The output of a job with its task ID.
#[derive(Serialize)]
struct WithTaskId<'a, T> {
    #[serde(rename = "taskId", skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(flatten)]
    output: &'a T,
}

impl<'a, T> WithTaskId<'a, T> {
    /// The ID is left out if the response (`extra`) already has it.
    fn new(id: &'a str, output: &'a T, extra: &Map<String, Value>) -> Self {
        Self { id: Some(id).filter(|_| !extra.contains_key("taskId")), output }
    }
}

/// Formats an extracted value: strings without quotes, null as `-`.
fn display_value(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(crate) fn codes(session: &Session, arguments: Codes) -> Result<(), Failure> {
    let Codes { query, jurisdiction, code_type, year, keyword, limit } = arguments;
    let mut search = codes::Search::new(query).jurisdiction(jurisdiction).code_type(code_type);
    (search.year, search.limit, search.keywords) = (year, limit, keyword);
    let sections = session.nomic.search_codes(&search)?;
    for section in sections {
        session.output.value(&section, || {
            let title = section.file.as_ref().and_then(|file| file.document_title.as_deref()).unwrap_or("a code");
            let page = section.page_number.map(|page| format!(", page {page}")).unwrap_or_default();
            format!("{title}{page} [{}]\n{}\n", cell(section.citation_id.as_ref()), section.text())
        })?;
    }
    Ok(())
}
