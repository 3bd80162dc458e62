//! Extraction: documents and a JSON Schema become a value of that shape.
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
//! let job = nomic.extract(&[file.file_version_id], &schema, &extract::Options::with_citations())?;
//! let extracted = nomic.wait(&job)?;
//! for place in extracted.citations_of("permitNumber") {
//!     println!("the number stands on page {:?}", place.page);
//! }
//! let permit = extracted.into::<Permit>()?;
//! println!("{}, valid until {:?}", permit.permit_number, permit.expiry_date);
//! # Ok::<(), nomic_client::Error>(())
//! ```

use std::time::Duration;

use serde_core::de::{Deserialize, DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::bbox::Bbox;
use crate::call::Call;
use crate::error::{Error, JobRef, MismatchError, Result};
use crate::ids::{FileVersionId, TaskId};
use crate::job::{Poll, Task, sealed};
use crate::json;
use crate::nomic::Nomic;
use crate::operations::{GET_EXTRACT, Operation, SUBMIT_EXTRACT};
use crate::record::record;

/// How to extract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether to say where each value stands in its document.
    pub citations: bool,
}

impl Options {
    /// The defaults, with citations.
    #[must_use]
    pub fn with_citations() -> Self {
        Self { citations: true }
    }
}

record! {
    /// An extract job. Store it, and wait for it again after a restart.
    #[derive(Eq, Hash)]
    #[non_exhaustive]
    pub struct ExtractJob {
        /// The job's id on the server.
        pub task_id: TaskId = required "taskId",
    }
}

record! {
    /// What was extracted (inferred).
    #[derive(Default)]
    #[non_exhaustive]
    pub struct Extracted {
        /// The value, in the shape of the schema; what the documents lack is absent or empty.
        pub value: Value = or_empty "result",
        /// Where each value stands, as the service sent it; [`Extracted::citations_of`] reads it.
        pub citations: Option<Value> = optional "citations",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

record! {
    /// Where a value stands.
    #[derive(Default)]
    #[non_exhaustive]
    pub struct Citation {
        /// The version of the file that it stands in.
        pub file_version_id: Option<FileVersionId> = optional "fileVersionId",
        /// The page, counted from 1.
        pub page: Option<u32> = whole "page",
        /// The place on the page.
        pub bbox: Option<Bbox> = optional "bbox",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

impl Extracted {
    /// The value as a type of yours; citations stay with [`to`](Self::to).
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] names the JSON path that does not fit, and holds all that was extracted.
    pub fn into<T: DeserializeOwned>(self) -> Result<T> {
        self.decode().map_err(|mismatch| Self::mismatch(mismatch, self.value, self.citations))
    }

    /// As [`into`](Self::into), from a reference: the value may be read again, and the citations are still at hand.
    ///
    /// # Errors
    ///
    /// As [`into`](Self::into).
    pub fn to<T: DeserializeOwned>(&self) -> Result<T> {
        self.decode().map_err(|mismatch| Self::mismatch(mismatch, self.value.clone(), self.citations.clone()))
    }

    fn decode<T: DeserializeOwned>(&self) -> Result<T, json::Mismatch> {
        json::decode_value(&self.value)
    }

    fn mismatch(mismatch: json::Mismatch, value: Value, citations: Option<Value>) -> Error {
        Error::Mismatch(Box::new(MismatchError {
            operation: GET_EXTRACT.name.into(),
            path: mismatch.path,
            message: mismatch.message,
            value,
            citations,
        }))
    }

    /// Where the value of a property stands (`permitNumber`, or `contractor.name` for one within another); empty if
    /// citations were not asked for, or the value is absent.
    #[must_use]
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
    /// Has values extracted from file versions, in the shape of a JSON Schema.
    ///
    /// `POST /extract` · scope `developer:parse` · heavy tier
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if there are no files, or the schema is not a JSON object. 404 if a version is not known, 422 if
    /// a file or the schema cannot be used, 501 if this instance cannot extract.
    #[doc(alias = "submit_extract")]
    pub fn extract(&self, file_version_ids: &[FileVersionId], schema: &Value, options: &Options) -> Result<ExtractJob> {
        let refused = |reason: &str| Err(Error::refused(SUBMIT_EXTRACT.name, reason));
        if file_version_ids.is_empty() {
            return refused("there is no file to extract from; give at least one file version id");
        }
        if !schema.is_object() {
            return refused(
                "the schema is not a JSON object; give one like {\"type\": \"object\", \"properties\": {…}}",
            );
        }
        let mut body = json!({ "fileVersionIds": file_version_ids, "schema": schema });
        if options.citations {
            body["enableCitations"] = true.into();
        }
        self.submit(&Call::to(&SUBMIT_EXTRACT, &[])?.json(&body), "taskId", |id| JobRef::Extract(id.into()))
    }

    /// An extract job that was begun earlier, by this program or another; nothing is sent.
    ///
    /// [`wait`](Self::wait) and [`poll`](Self::poll) poll it:
    /// `GET /extract/{taskId}` · scope `developer:parse` · standard tier · inferred
    #[doc(alias = "get_extract")]
    pub fn extract_job(&self, task_id: impl Into<TaskId>) -> ExtractJob {
        ExtractJob { task_id: task_id.into() }
    }
}

impl From<TaskId> for ExtractJob {
    fn from(task_id: TaskId) -> Self {
        Self { task_id }
    }
}

impl TryFrom<JobRef> for ExtractJob {
    type Error = JobRef;

    /// The job, unless it is of another kind.
    fn try_from(job: JobRef) -> Result<Self, JobRef> {
        match job {
            JobRef::Extract(task_id) => Ok(Self { task_id }),
            other => Err(other),
        }
    }
}

impl From<&ExtractJob> for JobRef {
    fn from(job: &ExtractJob) -> Self {
        Self::Extract(job.task_id.clone())
    }
}

impl sealed::Asked for ExtractJob {
    type Output = Extracted;

    const OPERATION: &'static Operation = &GET_EXTRACT;

    fn job(&self) -> JobRef {
        self.into()
    }

    fn ask(&self, nomic: &Nomic, limit: Duration) -> Result<Poll<Extracted>> {
        let call = Call::to(&GET_EXTRACT, &[self.task_id.as_str()])?.within(limit);
        let task = nomic.fetch_in_pieces(&call, |pieces| Task::take(pieces, |pieces| pieces.value().map(Some)))?;
        Ok(task.poll(|value, mut rest| Extracted {
            value: value.unwrap_or_default(),
            citations: rest.remove("citations").filter(|citations| !citations.is_null()),
            extra: rest,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_does_not_fit_is_kept_and_its_place_is_named() {
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
        let error = extracted.to::<Schedule>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "get_extract: the value does not fit the wanted type at doors[1].width: invalid type: string \"wide\", expected u32"
        );
        assert!(matches!(error, Error::Mismatch(mismatch) if mismatch.value == value));
        assert_eq!(extracted.into::<Value>().unwrap(), value);
    }

    #[test]
    fn a_place_is_to_the_last_bit_what_the_service_said() {
        // A number that is written out and read again may come back as its neighbour.
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
