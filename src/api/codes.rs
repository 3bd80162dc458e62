//! Building codes: sections that answer a question.
//!
//! A jurisdiction is a slug, e.g. `texas`; a code type is the name of a code discipline. Nomic's API pages list the values
//! of neither: `building` in the examples is a guess.
//!
//! ```no_run
//! use nomic_client::{Nomic, codes::Search};
//!
//! let nomic = Nomic::from_env()?;
//! let search = Search::new("automatic sprinklers").jurisdiction("texas").code_type("building").year(2021);
//! for section in nomic.search_codes(&search)? {
//!     println!("page {:?}: {}", section.page_number, section.text());
//! }
//! # Ok::<(), nomic_client::Error>(())
//! ```

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::{Call, check_bounds};
use crate::error::{Error, Result};
use crate::lenient;
use crate::nomic::Nomic;
use crate::operations::SEARCH_CODES;

/// Maximum number of sections that a search returns: 50.
pub const MAX_RESULTS: u32 = 50;

/// A search in building codes. The service requires a jurisdiction and a code type.
///
/// ```
/// use nomic_client::codes::Search;
///
/// let search = Search::new("automatic sprinklers").jurisdiction("texas").code_type("building").limit(5);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Search {
    /// The question, or words to search for.
    pub query: String,
    /// The slug of a jurisdiction, e.g. `texas`: [`Jurisdiction::slug`].
    pub jurisdiction: String,
    /// The name of a code discipline, e.g. `building`.
    pub code_type: String,
    /// The code's year, e.g. 2021.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<i32>,
    /// The maximum number of sections, 1 to 50 ([`MAX_RESULTS`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Words that the sections must contain, e.g. `sprinkler`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
}

impl Search {
    /// Creates a search for sections that answer this question.
    pub fn new(query: impl Into<String>) -> Self {
        Self { query: query.into(), ..Self::default() }
    }

    /// The slug of a jurisdiction, e.g. `texas`: [`Jurisdiction::slug`]. Required.
    #[must_use]
    pub fn jurisdiction(self, slug: impl Into<String>) -> Self {
        Self { jurisdiction: slug.into(), ..self }
    }

    /// The name of a code discipline, e.g. `building`. Required.
    #[must_use]
    pub fn code_type(self, code_type: impl Into<String>) -> Self {
        Self { code_type: code_type.into(), ..self }
    }

    /// The code's year, e.g. 2021.
    #[must_use]
    pub fn year(self, year: i32) -> Self {
        Self { year: Some(year), ..self }
    }

    /// The maximum number of sections, 1 to 50 ([`MAX_RESULTS`]). The service's default is 10.
    #[must_use]
    pub fn limit(self, sections: u32) -> Self {
        Self { limit: Some(sections), ..self }
    }

    /// Adds a word that the sections must contain, e.g. `sprinkler`.
    #[must_use]
    pub fn keyword(mut self, keyword: impl Into<String>) -> Self {
        self.keywords.push(keyword.into());
        self
    }
}

/// A section of a code. Ids of codes are not all UUIDs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CodeSection {
    /// Its id.
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    /// Its citation id, e.g. `c-chunk-uuid`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub citation_id: Option<String>,
    /// Its page number, e.g. 42.
    #[serde(default, deserialize_with = "lenient::integer")]
    pub page_number: Option<u32>,
    /// Its passages.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub content: Vec<Passage>,
    /// Its document; the service does not always include it.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub file: Option<CodeFile>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl CodeSection {
    /// The text of the passages, separated by line breaks.
    pub fn text(&self) -> String {
        self.content.iter().map(|passage| passage.text.as_str()).collect::<Vec<_>>().join("\n")
    }
}

/// A passage of a section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Passage {
    /// Its citation id, e.g. `c-chunk-uuid/1`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub citation_id: Option<String>,
    /// The text, e.g. `Section 903.2.1 - Automatic sprinkler systems shall be provided`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub text: String,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The document of a code.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct CodeFile {
    /// Its id, not always a UUID.
    #[serde(deserialize_with = "lenient::or_default")]
    pub id: Option<String>,
    /// Its name, e.g. `2021 IBC.pdf`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub name: Option<String>,
    /// Its media type, e.g. `application/pdf`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub mime_type: Option<String>,
    /// The id of its version.
    #[serde(deserialize_with = "lenient::or_default")]
    pub version_id: Option<String>,
    /// The code that it contains.
    #[serde(deserialize_with = "lenient::or_default")]
    pub code: Option<Code>,
    /// Where it applies.
    #[serde(deserialize_with = "lenient::or_default")]
    pub jurisdiction: Option<Jurisdiction>,
    /// The code's adoption by the jurisdiction: since when it applies, and whether it was amended.
    #[serde(deserialize_with = "lenient::or_default")]
    pub adoption: Option<Adoption>,
    /// The document's title, e.g. `2021 International Building Code`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub document_title: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A code.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Code {
    /// Its name, e.g. `International Building Code`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub name: Option<String>,
    /// Its year, e.g. 2021.
    #[serde(deserialize_with = "lenient::integer")]
    pub year: Option<i32>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Where a code applies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Jurisdiction {
    /// Its slug, e.g. `texas`, for [`Search::jurisdiction`].
    #[serde(deserialize_with = "lenient::or_default")]
    pub slug: Option<String>,
    /// Its name, e.g. `Texas`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub name: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// How a jurisdiction adopted a code.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Adoption {
    /// The date on which the code took effect, e.g. `2023-01-01`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub effective_date: Option<String>,
    /// Whether the jurisdiction amended the code.
    #[serde(deserialize_with = "lenient::or_default")]
    pub amendments: Option<bool>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The response to a search.
#[derive(Deserialize)]
struct Found {
    #[serde(deserialize_with = "lenient::list")]
    results: Vec<CodeSection>,
}

impl Nomic {
    /// Searches the codes of a jurisdiction. Returns at most 50 sections ([`MAX_RESULTS`]), the best match first; there are
    /// no pages. The request only reads, but is a POST: it is not retried if its effect is unknown.
    ///
    /// `POST /codes/search` · scope `developer:agent` · search tier
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if the jurisdiction or the code type is missing, or the limit is
    /// out of bounds. 422 if the jurisdiction or the code type is unknown.
    pub fn search_codes(&self, search: &Search) -> Result<Vec<CodeSection>> {
        let call = Call::to(&SEARCH_CODES, &[])?;
        for (value, what) in [
            (&search.jurisdiction, "there is no jurisdiction; set one like `texas`"),
            (&search.code_type, "there is no code type; set one like `building`"),
        ] {
            if value.is_empty() {
                return Err(Error::invalid_request(call.operation, what));
            }
        }
        check_bounds(&call.operation, "limit", search.limit, 1..=MAX_RESULTS)?;
        let found: Found = self.fetch_data(&call.json(search))?;
        Ok(found.results)
    }
}
