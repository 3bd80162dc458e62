//! What the check finds out about one operation.

use std::collections::BTreeSet;
use std::fmt;

use nomic_client::operations::{self, Evidence};
use nomic_client::{Error, ErrorKind};

/// The result of calling one operation.
pub(crate) struct Finding {
    /// The operation's name.
    pub(crate) name: &'static str,
    /// How the crate knows the operation's contract.
    evidence: Evidence,
    /// The HTTP status, or why the operation was not called.
    status: String,
    /// An excerpt of the decoded response, or the error.
    pub(crate) decoded: String,
    pub(crate) unknown: BTreeSet<String>,
    pub(crate) missing: BTreeSet<String>,
    pub(crate) new_values: BTreeSet<String>,
    /// Whether the response contradicts the documentation.
    pub(crate) broken: bool,
    /// Whether the API did not respond: there was no response, or a page of a proxy.
    pub(crate) unanswered: bool,
}

impl Finding {
    pub(crate) fn new(name: &'static str, status: impl Into<String>) -> Self {
        let operation = operations::ALL.iter().find(|operation| operation.name == name);
        Self {
            name,
            evidence: operation.map_or(Evidence::Inferred, |operation| operation.evidence),
            status: status.into(),
            decoded: "-".to_owned(),
            unknown: BTreeSet::new(),
            missing: BTreeSet::new(),
            new_values: BTreeSet::new(),
            broken: false,
            unanswered: false,
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
        } else {
            self.status = error.status().map_or_else(|| "no response".to_owned(), |status| status.to_string());
            self.decoded = error.to_string();
            self.unanswered = is_unanswered(error);
            if !self.unanswered {
                self.mark_broken();
            }
        }
        self
    }
}

fn is_unanswered(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::UnexpectedResponse(_) | ErrorKind::Transport(_) | ErrorKind::Deadline(_) => true,
        ErrorKind::Job(job) => job.source.as_ref().is_some_and(is_unanswered),
        _ => false,
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match (self.broken, self.unanswered) {
            (true, _) => "BROKEN ",
            (false, true) => "UNANSWERED ",
            (false, false) => "",
        };
        write!(f, "{:22} {:14} {:10} {mark}{}", self.name, self.status, self.evidence.to_string(), self.decoded)?;
        for (label, fields) in
            [("unknown", &self.unknown), ("missing", &self.missing), ("new values", &self.new_values)]
        {
            if !fields.is_empty() {
                let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
                write!(f, "\n{:22} {label}: {}", "", fields.join(", "))?;
            }
        }
        Ok(())
    }
}
