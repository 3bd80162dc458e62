//! The check: its client, the paths of operations, and what it found.

use nomic_client::operations::{Evidence, Method, Operation};
use nomic_client::{Builder, Error, Nomic, Request};

use crate::finding::Finding;
use crate::likely_paths::LIKELY_PATHS;
use crate::operation_path::with_paths;

/// A check of one instance.
pub(crate) struct Check {
    builder: Builder,
    pub(crate) nomic: Nomic,
    /// The operations that have another path, and that path.
    paths: Vec<(String, String)>,
    pub(crate) findings: Vec<Finding>,
}

impl Check {
    pub(crate) fn new(builder: Builder, paths: Vec<(String, String)>) -> nomic_client::Result<Self> {
        let builder = with_paths(builder, &paths);
        Ok(Self { nomic: builder.clone().build()?, builder, paths, findings: Vec::new() })
    }

    /// The path of an operation.
    fn path(&self, operation: &Operation) -> &str {
        let other = self.paths.iter().rfind(|(name, _)| name == operation.name);
        other.map_or(operation.path, |(_, path)| path)
    }

    /// A request of an operation; `ids` fill the `{…}` of its own path, in order.
    pub(crate) fn request(&self, operation: &Operation, ids: &[&str]) -> Request {
        let own: Vec<&str> = operation.path.split('/').filter(|segment| segment.starts_with('{')).collect();
        let path = self.path(operation);
        // What stands before the first id is a part of error messages.
        let (start, rest) = path.split_at(path.find("/{").unwrap_or(path.len()));
        let request = Request::new(operation.method, start).tier(operation.tier);
        rest.split('/').skip(1).fold(request, |request, segment| {
            let id = own.iter().position(|placeholder| *placeholder == segment).and_then(|index| ids.get(index));
            request.segment(id.unwrap_or(&segment))
        })
    }

    /// Looks for the path of an operation that answered with this error, if its path is inferred and the answer is a 404,
    /// whether of the API or of a gateway. `works` calls the operation. From then on it is called at the path that works.
    pub(crate) fn find_path(
        &mut self,
        operation: &Operation,
        error: &Error,
        works: impl Fn(&Self) -> bool,
    ) -> Option<PathSearch> {
        let is_guess = operation.evidence == Evidence::Inferred && operation.method == Method::Get;
        let (_, likely) = LIKELY_PATHS.iter().find(|(name, _)| is_guess && *name == operation.name)?;
        if error.status() != Some(404) {
            return None;
        }
        let mut tried = Vec::new();
        for path in std::iter::once(&operation.path).chain(*likely).filter(|path| **path != self.path(operation)) {
            let other = [(operation.name.to_owned(), (*path).to_owned())];
            let Ok(candidate) = Self::new(self.builder.clone(), [&self.paths[..], &other].concat()) else { continue };
            if works(&candidate) {
                let findings = std::mem::take(&mut self.findings);
                *self = Self { findings, ..candidate };
                return Some(PathSearch::Found(path));
            }
            tried.push(*path);
        }
        Some(PathSearch::NotFound(tried))
    }
}

/// The result of a search for the path of an operation.
pub(crate) enum PathSearch {
    Found(&'static str),
    /// The paths that were tried.
    NotFound(Vec<&'static str>),
}
