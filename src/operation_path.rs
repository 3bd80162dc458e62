//! The path of an operation on an instance that serves it elsewhere.

use std::collections::HashMap;

use crate::operations::{self, Operation};

/// The paths that replace those of the table of operations, by the name of the operation.
pub(crate) type OperationPaths = HashMap<&'static str, OperationPath>;

/// A path below the base URL, with places for the ids of a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OperationPath(Vec<Segment>);

#[derive(Clone, Debug, PartialEq)]
enum Segment {
    /// As it is sent.
    Text(String),
    /// The index of the id.
    Id(usize),
}

impl OperationPath {
    /// Parses a template like `/tasks/{taskId}`. An error is the reason why the operation cannot have it.
    pub(crate) fn parse(operation: &Operation, template: &str) -> Result<Self, String> {
        let Some(path) = template.strip_prefix('/') else { return Err("the path must begin with `/`".to_owned()) };
        if path.contains(['?', '#']) {
            return Err("the path contains `?` or `#`; it has no query".to_owned());
        }
        if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err("the path contains a character that has to be percent-encoded".to_owned());
        }
        let own: Vec<&str> = operation.path.split('/').filter(|segment| segment.starts_with('{')).collect();
        let mut missing = own.clone();
        let mut segments = Vec::new();
        for segment in path.split('/') {
            if let Some(index) = own.iter().position(|placeholder| *placeholder == segment) {
                missing.retain(|placeholder| *placeholder != segment);
                segments.push(Segment::Id(index));
            } else if segment.contains(['{', '}']) {
                return Err(placeholders_expected(&own));
            } else if matches!(segment, "" | "." | "..") {
                return Err("the path has an empty segment, `.` or `..`".to_owned());
            } else {
                segments.push(Segment::Text(segment.to_owned()));
            }
        }
        let ids = segments.iter().filter(|segment| matches!(segment, Segment::Id(_))).count();
        if missing.is_empty() && ids == own.len() { Ok(Self(segments)) } else { Err(placeholders_expected(&own)) }
    }

    /// The path with these ids, which are encoded.
    pub(crate) fn fill(&self, ids: &[String]) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Text(text) => format!("/{text}"),
            Segment::Id(index) => format!("/{}", ids.get(*index).map_or("", String::as_str)),
        };
        self.0.iter().map(segment).collect()
    }
}

fn placeholders_expected(own: &[&str]) -> String {
    match own {
        [] => "the path must have no placeholders".to_owned(),
        _ => format!("the path must have {} as a whole segment, exactly once", own.join(" and ")),
    }
}

/// The operation with this name.
pub(crate) fn find(name: &str) -> Result<&'static Operation, String> {
    let operation = operations::ALL.iter().find(|operation| operation.name == name);
    operation.ok_or_else(|| format!("there is no operation {name:?}; see nomic_client::operations"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::{GET_ARTIFACT, GET_PARSE, LIST_USERS};

    #[test]
    fn a_template_is_filled_with_the_ids_of_a_call() {
        for (operation, template, path) in [
            (GET_PARSE, "/tasks/{taskId}", "/tasks/a%2Fb"),
            (GET_PARSE, "/{taskId}", "/a%2Fb"),
            (GET_PARSE, "/v1.1/parse%20jobs/{taskId}/status:full", "/v1.1/parse%20jobs/a%2Fb/status:full"),
            (GET_ARTIFACT, "/artifacts/{artifactId}/of/{id}", "/artifacts/c/of/a%2Fb"),
            (LIST_USERS, "/members", "/members"),
        ] {
            let parsed = OperationPath::parse(&operation, template).unwrap();
            assert_eq!(parsed.fill(&["a%2Fb".to_owned(), "c".to_owned()]), path);
        }
    }

    #[test]
    fn a_path_that_an_operation_cannot_have_is_refused() {
        for (operation, template, reason) in [
            (GET_PARSE, "", "begin with `/`"),
            (GET_PARSE, "tasks/{taskId}", "begin with `/`"),
            (GET_PARSE, "https://evil.example/{taskId}", "begin with `/`"),
            (GET_PARSE, "//evil.example/{taskId}", "empty segment"),
            (GET_PARSE, "/tasks/{taskId}/", "empty segment"),
            (GET_PARSE, "/tasks/../{taskId}", "empty segment, `.` or `..`"),
            (GET_PARSE, "/tasks/./{taskId}", "empty segment, `.` or `..`"),
            (GET_PARSE, "/ü/{taskId}", "percent-encoded"),
            (GET_PARSE, "/parse jobs/{taskId}", "percent-encoded"),
            (GET_PARSE, "/tasks?id={taskId}", "`?` or `#`"),
            (GET_PARSE, "/tasks/{taskId}#a", "`?` or `#`"),
            (GET_PARSE, "/tasks/\r\n{taskId}", "percent-encoded"),
            (GET_PARSE, "/tasks", "{taskId} as a whole segment, exactly once"),
            (GET_PARSE, "/tasks/{id}", "{taskId} as a whole segment, exactly once"),
            (GET_PARSE, "/tasks/{taskId}.json", "{taskId} as a whole segment, exactly once"),
            (GET_PARSE, "/tasks/{taskId}/{taskId}", "{taskId} as a whole segment, exactly once"),
            (GET_ARTIFACT, "/artifacts/{artifactId}", "{id} and {artifactId} as a whole segment"),
            (LIST_USERS, "/members/{id}", "no placeholders"),
        ] {
            let error = OperationPath::parse(&operation, template).unwrap_err();
            assert!(error.contains(reason), "{template}: {error}");
        }
    }
}
