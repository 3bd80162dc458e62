//! What the check finds out about one operation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use nomic_client::operations::{Evidence, Operation};
use nomic_client::{Error, ErrorKind};

use crate::check::PathSearch;
use crate::compare::below;
use crate::shape::Shape;

/// The result of calling one operation.
pub(crate) struct Finding {
    /// The operation's name.
    pub(crate) name: &'static str,
    /// How the crate knows the operation's contract.
    pub(crate) evidence: Evidence,
    /// The HTTP status, or why the operation was not called.
    pub(crate) status: String,
    /// An excerpt of the decoded response, or the error.
    pub(crate) decoded: String,
    /// The kind of the error, if there was one.
    pub(crate) error: Option<&'static str>,
    /// Unknown fields: the path of the object, and the name.
    pub(crate) unknown: BTreeSet<(String, String)>,
    /// Required fields that are missing.
    pub(crate) missing: BTreeSet<String>,
    /// Optional fields of the contract's example that are missing.
    pub(crate) absent: BTreeSet<String>,
    /// The values that the contract does not list, by field.
    pub(crate) new_values: BTreeMap<String, BTreeSet<String>>,
    pub(crate) shape: Option<Shape>,
    /// The path at which the operation was found, if that is not the inferred one.
    pub(crate) path: Option<&'static str>,
    /// The paths at which it was not found.
    tried: Vec<&'static str>,
    /// Whether the response contradicts the documentation.
    pub(crate) broken: bool,
    /// Whether a documented operation could not be checked.
    pub(crate) failed: bool,
}

impl Finding {
    pub(crate) fn new(operation: &Operation, status: impl Into<String>) -> Self {
        Self {
            name: operation.name,
            evidence: operation.evidence,
            status: status.into(),
            decoded: "-".to_owned(),
            error: None,
            unknown: BTreeSet::new(),
            missing: BTreeSet::new(),
            absent: BTreeSet::new(),
            new_values: BTreeMap::new(),
            shape: None,
            path: None,
            tried: Vec::new(),
            broken: false,
            failed: false,
        }
    }

    /// Marks the operation as broken, if its contract is documented rather than inferred.
    pub(crate) fn mark_broken(&mut self) {
        self.broken |= self.evidence == Evidence::Documented;
    }

    /// Records a failed call. A missing scope does not count as broken.
    pub(crate) fn failed(mut self, error: &Error) -> Self {
        if error.is_forbidden() {
            self.status = "403, no scope".to_owned();
            return self;
        }
        self.status = error.status().map_or_else(|| "no response".to_owned(), |status| status.to_string());
        self.decoded = error.to_string();
        self.error = Some(match error.kind() {
            ErrorKind::Api(_) => "api",
            ErrorKind::UnexpectedResponse(_) => "not from the API",
            ErrorKind::Transport(_) => "transport",
            ErrorKind::Deadline(_) => "deadline",
            ErrorKind::Decode(_) => "decode",
            ErrorKind::Job(_) => "job",
            _ => "other",
        });
        // These are documented: a wrong key, a limit, and an instance without the feature.
        let is_documented = matches!(error.status(), Some(401 | 429 | 501));
        let is_unanswered = matches!(error.kind(), ErrorKind::Transport(_) | ErrorKind::UnexpectedResponse(_));
        if error.is_transient() || is_documented || is_unanswered {
            self.failed = self.evidence == Evidence::Documented;
        } else {
            self.mark_broken();
        }
        self
    }

    /// Records a search for the path of the operation.
    pub(crate) fn searched(mut self, search: Option<PathSearch>) -> Self {
        match search {
            Some(PathSearch::Found(path)) => self.path = Some(path),
            Some(PathSearch::NotFound(tried)) => self.tried = tried,
            None => {}
        }
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.broken { "BROKEN " } else { "" };
        write!(f, "{:22} {:14} {:10} {mark}{}", self.name, self.status, self.evidence.to_string(), self.decoded)?;
        if let Some(path) = self.path {
            write!(f, "\n{:22} found at another path; to use it:", "")?;
            write!(f, "\n{:24} Builder: .operation_path({:?}, {path:?})", "", self.name)?;
            write!(f, "\n{:24} command line: --path '{}={path}'", "", self.name)?;
        }
        if !self.tried.is_empty() {
            write!(f, "\n{:22} not found at: {}", "", self.tried.join(", "))?;
        }
        let values = |(path, values): (&String, &BTreeSet<String>)| {
            values.iter().map(|value| format!("{path} = {value}")).collect::<Vec<_>>()
        };
        let new_values = self.new_values.iter().flat_map(values).collect();
        let unknown: BTreeSet<String> = self.unknown.iter().map(|(parent, name)| below(parent, name)).collect();
        for (label, fields) in
            [("unknown", &unknown), ("missing", &self.missing), ("absent", &self.absent), ("new values", &new_values)]
        {
            if !fields.is_empty() {
                let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
                write!(f, "\n{:22} {label}: {}", "", fields.join(", "))?;
            }
        }
        Ok(())
    }
}
