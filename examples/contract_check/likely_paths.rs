//! Where operations may be found whose paths are inferred. A test compares them with the contract.

/// Reads with an inferred path, and other paths that they may have.
pub(crate) const LIKELY_PATHS: &[(&str, &[&str])] = &[
    ("get_parse", &["/parse/{taskId}/status", "/parse/{taskId}/result", "/tasks/{taskId}", "/parse/tasks/{taskId}"]),
    ("get_extract", &["/extract/{taskId}/status", "/extract/{taskId}/result", "/tasks/{taskId}"]),
];
