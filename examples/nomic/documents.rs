//! Documents: upload, search, parse, extract, and the building codes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nomic_client::extract::{ExtractJob, Extracted};
use nomic_client::files::{MAX_SEARCH_PAGE, Search, Upload};
use nomic_client::parse::{ParseJob, Parsed};
use nomic_client::{FileId, FileVersionId, codes, extract, parse};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::args::{Codes, Extract, Limit, Parse};
use crate::failure::Failure;
use crate::output::{cell, fields};
use crate::session::{Deed, Session, Submitted, check_documents};

pub(crate) fn upload(
    session: &Session,
    file: &Path,
    path: Option<String>,
    parent: Option<FileId>,
) -> Result<(), Failure> {
    let mut upload = Upload::from_path(file);
    if let Some(path) = &path {
        upload = upload.destination(path);
    }
    if let Some(parent) = parent {
        upload = upload.parent(parent);
    }
    check_documents([file])?;
    let stored = session.upload(file, upload, path.as_ref().map_or(file, Path::new))?;
    session.output.value(&stored, || {
        fields(&[
            ("id", Some(stored.id.to_string())),
            ("version", Some(stored.file_version_id.to_string())),
            ("name", Some(stored.name.clone())),
            ("bytes", stored.size.map(|size| size.to_string())),
        ])
    })
}

pub(crate) fn search(session: &Session, query: &str, integration: Option<String>, limit: Limit) -> Result<(), Failure> {
    let found = session.nomic.search_files(query, &Search { integration_id: integration });
    session.output.list(limit.of(found, MAX_SEARCH_PAGE), [("id", 36), ("path", 0)], |file| {
        [file.id.to_string(), file.decoded_path().unwrap_or_else(|| file.name.clone())]
    })?;
    Ok(())
}

pub(crate) fn parse(session: &Session, arguments: &Parse) -> Result<(), Failure> {
    let options = parse::Options {
        ocr_language: arguments.ocr_language.as_deref().map(Into::into),
        figure_summary: arguments.figure_summary.then_some(true),
        table_summary: arguments.table_summary.then_some(true),
        summary_word_limit: arguments.summary_words,
        embed_chunks: arguments.embed_chunks.then_some(true),
    };
    // Either a file or a version: clap has seen to it.
    for version in versions(session, arguments.file.as_slice(), arguments.file_version.as_slice())? {
        let deed = Deed {
            doing: "submitting the parse job",
            done: "is submitted",
            look: &["audit", "--action", "parse.submitted", "--since", "1h"],
        };
        session.submit(&arguments.waiting, &deed, || session.nomic.parse(&version, &options))?;
    }
    Ok(())
}

impl Submitted for ParseJob {
    const KIND: &'static str = "parse";
    const NAME: &'static str = "parse job";

    fn id(&self) -> &str {
        self.task_id.as_str()
    }

    fn show(&self, session: &Session, parsed: &Parsed) -> Result<(), Failure> {
        session.output.value(&OfTask::of(self.id(), parsed, &parsed.extra), || parsed.text())
    }
}

pub(crate) fn extract(session: &Session, arguments: &Extract) -> Result<(), Failure> {
    let schema = schema(&arguments.schema)?;
    let versions = versions(session, &arguments.files, &arguments.file_version)?;
    let options = extract::Options { citations: arguments.citations };
    let deed = Deed {
        doing: "submitting the extract job",
        done: "is submitted",
        look: &["audit", "--action", "extract.submitted", "--since", "1h"],
    };
    session.submit(&arguments.waiting, &deed, || session.nomic.extract(&versions, &schema, &options))
}

/// Reads a schema as far as can be judged without the service.
fn schema(path: &Path) -> Result<Value, Failure> {
    let unusable = |what: String| Failure::Usage(format!("{}{what}; nothing was sent", path.display()));
    let bytes = fs::read(path).map_err(|error| unusable(format!(": {error}")))?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(unusable(" is UTF-16; save it as UTF-8".to_owned()));
    }
    // Some editors begin a file with a byte order mark, which JSON does not know.
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let schema: Value = serde_json::from_slice(bytes).map_err(|error| unusable(format!(" is not JSON: {error}")))?;
    let kind = match &schema {
        Value::Object(_) => return Ok(schema),
        Value::Array(_) => "array",
        Value::String(_) => "text",
        Value::Number(_) => "number",
        Value::Bool(_) | Value::Null => "word",
    };
    Err(unusable(format!(" is a JSON {kind}, not an object as {{\"type\": \"object\", \"properties\": {{…}}}}")))
}

/// The versions that are there already, and those of the files that are uploaded now.
fn versions(session: &Session, files: &[PathBuf], versions: &[FileVersionId]) -> Result<Vec<FileVersionId>, Failure> {
    check_documents(files)?;
    let mut versions = versions.to_vec();
    for version in &versions {
        session.call_document(version, version.to_string());
    }
    for file in files {
        let stored = session.store(file, |stored| format!("--file-version {}", stored.file_version_id))?;
        versions.push(stored.file_version_id);
    }
    Ok(versions)
}

impl Submitted for ExtractJob {
    const KIND: &'static str = "extract";
    const NAME: &'static str = "extract job";

    fn id(&self) -> &str {
        self.task_id.as_str()
    }

    fn show(&self, session: &Session, extracted: &Extracted) -> Result<(), Failure> {
        session.output.value(&OfTask::of(self.id(), extracted, &extracted.extra), || {
            let Value::Object(properties) = &extracted.value else { return text(&extracted.value) };
            let mut documents = session.documents();
            // A job that was begun earlier says which it had by their ids alone.
            let cited = properties.keys().flat_map(|name| extracted.citations_of(name));
            for version in cited.filter_map(|place| place.file_version_id).collect::<BTreeSet<_>>() {
                if !documents.iter().any(|(known, _)| *known == version) {
                    documents.push((version.clone(), version.to_string()));
                }
            }
            let lines = properties.iter().map(|(name, value)| {
                let places: Vec<_> =
                    extracted.citations_of(name).iter().filter_map(|place| words(place, &documents)).collect();
                let place = if places.is_empty() { String::new() } else { format!("  ({})", places.join("; ")) };
                (name.as_str(), Some(text(value) + &place))
            });
            fields(&lines.collect::<Vec<_>>())
        })
    }
}

/// Where a value stands, in words: the page, and the document if there are several.
fn words(place: &extract::Citation, documents: &[(FileVersionId, String)]) -> Option<String> {
    let page = place.page.map(|page| format!("page {page}"));
    let version = place.file_version_id.as_ref().filter(|_| documents.len() > 1);
    let name = version.and_then(|version| documents.iter().find(|(known, _)| known == version));
    match (name, page) {
        (Some((_, name)), Some(page)) => Some(format!("{name}, {page}")),
        (Some((_, name)), None) => Some(name.clone()),
        (None, page) => page,
    }
}

/// What came of a task, with its id.
#[derive(Serialize)]
struct OfTask<'a, T> {
    #[serde(rename = "taskId", skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(flatten)]
    output: &'a T,
}

impl<'a, T> OfTask<'a, T> {
    /// `extra` is what else the service said; it may have named the task.
    fn of(id: &'a str, output: &'a T, extra: &Map<String, Value>) -> Self {
        Self { id: Some(id).filter(|_| !extra.contains_key("taskId")), output }
    }
}

/// A value as people read it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(crate) fn codes(session: &Session, arguments: Codes) -> Result<(), Failure> {
    let Codes { query, jurisdiction, code_type, year, keyword, limit } = arguments;
    let options = codes::Options { year, limit, keywords: keyword };
    let sections = session.nomic.search_codes(&query, &jurisdiction, &code_type, &options)?;
    for section in sections {
        session.output.value(&section, || {
            let title = section.file.as_ref().and_then(|file| file.document_title.as_deref()).unwrap_or("a code");
            let page = section.page_number.map(|page| format!(", page {page}")).unwrap_or_default();
            format!("{title}{page} [{}]\n{}\n", cell(section.citation_id.as_ref()), section.text())
        })?;
    }
    Ok(())
}
