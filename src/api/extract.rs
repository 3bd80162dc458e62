//! Extraction: getting a value that matches a JSON Schema from documents.
//!
//! ```no_run
//! use nomic_client::{Nomic, extract};
//! use serde_json::json;
//!
//! #[derive(serde::Deserialize)]
//! #[serde(rename_all = "camelCase")]
//! struct Permit {
//!     permit_number: String,
//!     expiry_date: Option<String>,
//! }
//!
//! let nomic = Nomic::from_env()?;
//! let file = nomic.upload_file("permit.pdf")?;
//! let schema = json!({"type": "object", "properties": {
//!     "permitNumber": {"type": "string"},
//!     "expiryDate": {"type": "string", "description": "the date until which the permit is valid"},
//! }});
//! let job = nomic.extract_with([&file.file_version_id], &schema, &extract::Options::default().citations(true))?;
//! let extracted = nomic.wait(&job)?;
//! for place in extracted.citations_of("permitNumber") {
//!     println!("the number is on page {:?}", place.page);
//! }
//! let permit: Permit = extracted.deserialize()?;
//! println!("{}, valid until {:?}", permit.permit_number, permit.expiry_date);
//! # Ok::<(), nomic_client::Error>(())
//! ```

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::bbox::Bbox;
use crate::call::Call;
use crate::error::{DecodeError, Error, ErrorKind, Name, Result};
use crate::ids::{FileVersionId, TaskId};
use crate::job_ref::JobRef;
use crate::json;
use crate::lenient;
use crate::nomic::Nomic;
use crate::operations::{GET_EXTRACT, SUBMIT_EXTRACT};
use crate::waiting::task::{Task, is_blank};
use crate::waiting::{Job, Poll, sealed};

/// Options for extracting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Whether to include the position of each value in its document: [`Extracted::citations_of`].
    pub citations: bool,
}

impl Options {
    /// Whether to include the position of each value in its document: [`Extracted::citations_of`]. Defaults to `false`.
    #[must_use]
    pub fn citations(self, citations: bool) -> Self {
        Self { citations }
    }
}

/// An extract job. Store it, and wait for it again after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ExtractJob {
    /// The job's id on the server.
    pub task_id: TaskId,
}

/// The result of an extract job (inferred).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Extracted {
    /// The value, which matches the schema. Properties that the documents do not contain are absent or empty. An integer
    /// beyond 64 bits becomes a float.
    #[serde(rename = "result")]
    pub value: Value,
    /// The positions of the values, as the service sent them; [`Extracted::citations_of`] reads them.
    pub citations: Option<Value>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The position of a value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Citation {
    /// The file version that contains the value.
    #[serde(deserialize_with = "lenient::or_default")]
    pub file_version_id: Option<FileVersionId>,
    /// The page, counted from 1.
    #[serde(deserialize_with = "lenient::integer")]
    pub page: Option<u32>,
    /// The position on the page.
    #[serde(deserialize_with = "lenient::object")]
    pub bbox: Option<Bbox>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Extracted {
    /// Deserializes the value to any type.
    ///
    /// # Errors
    ///
    /// [`Decode`](ErrorKind::Decode) with the JSON path of the mismatch.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T> {
        json::decode_value(&self.value).map_err(|failure| {
            // The caller has the value: the error does not need a copy of it.
            let body = String::new();
            let error = DecodeError { path: failure.path, malformed: false, body, source: failure.source };
            Error::new(Name::from(GET_EXTRACT.name), ErrorKind::Decode(error))
        })
    }

    /// The positions of the value of a property, e.g. `permitNumber`, or `contractor.name` for a nested one. Empty if
    /// citations were not requested, or the value is absent.
    pub fn citations_of(&self, property: &str) -> Vec<Citation> {
        let read = |value: &Value| Citation::deserialize(value).ok();
        let steps = |citations| property.split('.').try_fold(citations, |value: &Value, step| value.get(step));
        let found = self.citations.as_ref().and_then(|citations| citations.get(property).or_else(|| steps(citations)));
        match found {
            Some(Value::Array(items)) => items.iter().filter_map(read).collect(),
            Some(single) => read(single).into_iter().collect(),
            None => Vec::new(),
        }
    }
}

impl Nomic {
    /// Starts an extract job, which gets a value that matches a JSON Schema from one or more file versions.
    ///
    /// `POST /extract` · scope `developer:parse` · heavy tier
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](ErrorKind::InvalidRequest) if there are no files, or the schema is not a JSON object. 404 if a
    /// version is unknown, 422 if a file or the schema cannot be used, 501 if the instance does not support extraction.
    #[doc(alias = "submit_extract")]
    pub fn extract(
        &self,
        file_version_ids: impl IntoIterator<Item = impl Into<FileVersionId>>,
        schema: &Value,
    ) -> Result<ExtractJob> {
        self.extract_with(file_version_ids, schema, &Options::default())
    }

    /// Starts an extract job like [`extract`](Self::extract), with options.
    ///
    /// # Errors
    ///
    /// As [`extract`](Self::extract).
    pub fn extract_with(
        &self,
        file_version_ids: impl IntoIterator<Item = impl Into<FileVersionId>>,
        schema: &Value,
        options: &Options,
    ) -> Result<ExtractJob> {
        let invalid = |reason: &str| Err(Error::invalid_request(SUBMIT_EXTRACT.name, reason));
        let ids: Vec<FileVersionId> = file_version_ids.into_iter().map(Into::into).collect();
        if ids.is_empty() {
            return invalid("there is no file to extract from; give at least one file version id");
        }
        if !schema.is_object() {
            return invalid(r#"the schema is not a JSON object; give one like {"type": "object", "properties": {…}}"#);
        }
        let body = json::object([
            ("fileVersionIds", json!(ids)),
            ("schema", schema.clone()),
            ("enableCitations", json!(options.citations.then_some(true))),
        ]);
        let call = Call::to(&SUBMIT_EXTRACT, &[])?.json(&body);
        self.fetch_data(&call.starts("taskId", |id| JobRef::Extract(id.into())))
    }

    /// Returns an extract job that was started earlier, by this or another program. Sends nothing.
    ///
    /// The request of [`wait`](Self::wait) and [`poll`](Self::poll):
    /// `GET /extract/{taskId}` · scope `developer:parse` · standard tier · inferred
    #[doc(alias = "get_extract")]
    pub fn extract_job(&self, task_id: impl Into<TaskId>) -> ExtractJob {
        ExtractJob { task_id: task_id.into() }
    }
}

impl Job for ExtractJob {
    type Output = Extracted;
}

impl sealed::Pollable<Extracted> for ExtractJob {
    fn job(&self) -> JobRef {
        JobRef::Extract(self.task_id.clone())
    }

    fn poll_once(&self, nomic: &Nomic, timeout: Duration) -> Result<Poll<Extracted>> {
        let call = Call::to(&GET_EXTRACT, &[self.task_id.as_str()])?.within(timeout);
        let task: Task<Value> = nomic.fetch_data(&call)?;
        if let Some(url) = task.result_url(is_blank, |_| None) {
            return Err(Error::result_at_url(self.job(), nomic.redacted(url)));
        }
        Ok(task.poll(is_blank, |value, mut extra| Extracted {
            value: value.unwrap_or_default(),
            citations: extra.remove("citations").filter(|citations| !citations.is_null()),
            extra,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_value_that_does_not_fit_is_named() {
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code)]
        struct Door {
            width: u32,
        }
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code)]
        struct Schedule {
            doors: Vec<Door>,
        }
        let value = json!({"doors": [{"width": 36}, {"width": "wide"}]});
        let extracted = Extracted { value: value.clone(), ..Extracted::default() };
        let error = extracted.deserialize::<Schedule>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "get_extract: cannot decode the response at doors[1].width: invalid type: string \"wide\", expected u32"
        );
        assert!(matches!(error.kind(), ErrorKind::Decode(error) if !error.malformed));
        assert_eq!(extracted.deserialize::<Value>().unwrap(), value);
    }

    #[test]
    fn a_position_is_the_services_to_the_last_bit() {
        let mut seed = 1_u64;
        for _ in 0..2000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let citations: Value =
                serde_json::from_str(&format!(r#"{{"a": {{"bbox": {{"left": 0.{:019}}}}}}}"#, seed >> 1)).unwrap();
            let said = citations["a"]["bbox"]["left"].as_f64();
            let extracted = Extracted { citations: Some(citations), ..Extracted::default() };
            let read = extracted.citations_of("a").remove(0).bbox.map(|bbox| bbox.left);
            assert_eq!(read, said);
        }
    }

    #[test]
    fn citations_are_read_leniently() {
        let citations = json!({
            "a": [{"page": 2, "fileVersionId": "v"}, 7], "b": {"page": 3}, "c": null, "d.e": [{"page": 4}], "f": {"g": [{"page": 5}]},
        });
        let extracted = Extracted { citations: Some(citations), ..Extracted::default() };
        assert_eq!(extracted.citations_of("a").len(), 1);
        assert_eq!(extracted.citations_of("b")[0].page, Some(3));
        assert_eq!(extracted.citations_of("d.e")[0].page, Some(4));
        assert_eq!(extracted.citations_of("f.g")[0].page, Some(5));
        assert!(extracted.citations_of("c").is_empty() && extracted.citations_of("d").is_empty());
    }
}
