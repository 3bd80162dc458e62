//! Codes: sections of building codes that answer a question.
//!
//! A jurisdiction is a slug, e.g. `texas`; a code type is the name of a code discipline. Nomic's API pages list neither.
//! `building` here is a guess.
//!
//! ```no_run
//! use nomic_client::{Nomic, codes};
//!
//! let nomic = Nomic::from_env()?;
//! let options = codes::Options { year: Some(2021), limit: Some(5), ..codes::Options::default() };
//! for section in nomic.search_codes("automatic sprinklers", "texas", "building", &options)? {
//!     println!("page {:?}: {}", section.page_number, section.text());
//! }
//! # Ok::<(), nomic_client::Error>(())
//! ```

use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::error::{Error, Result};
use crate::nomic::Nomic;
use crate::operations::SEARCH_CODES;
use crate::record::record;

/// 50: the most sections that one search gives.
pub const MAX_RESULTS: u32 = 50;

/// What narrows a search. What is `None` is left to the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The code's year, e.g. 2021.
    pub year: Option<i32>,
    /// Sections at the most, 1 to 50 ([`MAX_RESULTS`]); 10 if nothing is said.
    pub limit: Option<u32>,
    /// Words that the sections shall hold, e.g. `sprinkler`.
    pub keywords: Vec<String>,
}

record! {
    /// A section of a code. Ids of codes are not all UUIDs.
    #[non_exhaustive]
    pub struct CodeSection {
        /// Its id.
        pub id: String = required "id",
        /// What to cite it by, e.g. `c-chunk-uuid`.
        pub citation_id: Option<String> = optional "citationId",
        /// The page that it stands on, e.g. 42.
        pub page_number: Option<u32> = whole "pageNumber",
        /// Its passages.
        pub content: Vec<Passage> = or_empty "content",
        /// The document that it stands in; the service does not always say.
        pub file: Option<CodeFile> = optional "file",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

impl CodeSection {
    /// The passages' text, a passage a line.
    #[must_use]
    pub fn text(&self) -> String {
        self.content.iter().map(|passage| passage.text.as_str()).collect::<Vec<_>>().join("\n")
    }
}

record! {
    /// A passage of a section.
    #[derive(Default)]
    #[non_exhaustive]
    pub struct Passage {
        /// What to cite it by, e.g. `c-chunk-uuid/1`.
        pub citation_id: Option<String> = optional "citationId",
        /// The words, e.g. `Section 903.2.1 - Automatic sprinkler systems shall be provided`.
        pub text: String = or_empty "text",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

record! {
    /// The document of a code.
    #[derive(Default)]
    #[non_exhaustive]
    pub struct CodeFile {
        /// Its id, not always a UUID.
        pub id: Option<String> = optional "id",
        /// Its name, e.g. `2021 IBC.pdf`.
        pub name: Option<String> = optional "name",
        /// Its media type, e.g. `application/pdf`.
        pub mime_type: Option<String> = optional "mimeType",
        /// The id of its version.
        pub version_id: Option<String> = optional "versionId",
        /// The code that it holds.
        pub code: Option<Code> = optional "code",
        /// The place where it applies.
        pub jurisdiction: Option<Jurisdiction> = optional "jurisdiction",
        /// Since when it applies there, and whether it was changed.
        pub adoption: Option<Adoption> = optional "adoption",
        /// The document's title, e.g. `2021 International Building Code`.
        pub document_title: Option<String> = optional "documentTitle",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

record! {
    /// A code.
    #[derive(Default)]
    #[non_exhaustive]
    pub struct Code {
        /// Its name, e.g. `International Building Code`.
        pub name: Option<String> = optional "name",
        /// Its year, e.g. 2021.
        pub year: Option<i32> = whole "year",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

record! {
    /// A place with a code of its own.
    #[derive(Default)]
    #[non_exhaustive]
    pub struct Jurisdiction {
        /// Its slug, e.g. `texas`: what a search takes.
        pub slug: Option<String> = optional "slug",
        /// Its name, e.g. `Texas`.
        pub name: Option<String> = optional "name",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

record! {
    /// How a jurisdiction took a code over.
    #[derive(Default)]
    #[non_exhaustive]
    pub struct Adoption {
        /// The day since which the code applies, e.g. `2023-01-01`.
        pub effective_date: Option<String> = optional "effectiveDate",
        /// Whether the jurisdiction changed it.
        pub amendments: Option<bool> = optional "amendments",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

record! {
    /// What a search gives.
    struct Found {
        results: Vec<CodeSection> = nullable "results",
        ..
        _others: Map<String, Value>,
    }
}

impl Nomic {
    /// Searches the codes of a jurisdiction, best first. Not paged. It reads, but is a POST on the wire, and treated as
    /// one: it is not repeated on a doubtful outcome.
    ///
    /// `jurisdiction` is a slug, e.g. `texas` ([`Jurisdiction::slug`] of what was found). `code_type` is the name of a code
    /// discipline; Nomic's API pages list none, and `building` is a guess.
    ///
    /// `POST /codes/search` · scope `developer:agent` · search tier
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the limit is out of its documented bounds. 422 if the jurisdiction or the code's type is not
    /// known.
    pub fn search_codes(
        &self,
        query: &str,
        jurisdiction: &str,
        code_type: &str,
        options: &Options,
    ) -> Result<Vec<CodeSection>> {
        if let Some(limit) = options.limit.filter(|limit| !(1..=MAX_RESULTS).contains(limit)) {
            return Err(Error::refused(SEARCH_CODES.name, format!("limit is {limit}; it must be 1 to {MAX_RESULTS}")));
        }
        let mut body = json!({ "query": query, "jurisdiction": jurisdiction, "codeType": code_type });
        if let Some(year) = options.year {
            body["year"] = year.into();
        }
        if let Some(limit) = options.limit {
            body["limit"] = limit.into();
        }
        if !options.keywords.is_empty() {
            body["keywords"] = json!(options.keywords);
        }
        let found: Found = self.fetch_data(&Call::to(&SEARCH_CODES, &[])?.json(&body))?;
        Ok(found.results)
    }
}
