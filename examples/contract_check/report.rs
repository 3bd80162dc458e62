//! The report that can be posted: the types of all values, and no value.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::compare::below;
use crate::finding::Finding;
use crate::shape::field_name;

/// Writes the report.
pub(crate) fn write(mut file: File, findings: &[Finding]) -> io::Result<()> {
    let operations: Vec<Value> = findings.iter().map(entry).collect();
    let report = json!({ "client": concat!("nomic-client/", env!("CARGO_PKG_VERSION")), "operations": operations });
    writeln!(file, "{report:#}")
}

fn entry(finding: &Finding) -> Value {
    let mut entry = Map::new();
    let mut add = |name: &str, value: Value| drop(entry.insert(name.to_owned(), value));
    add("operation", json!(finding.name));
    add("evidence", json!(finding.evidence.as_str()));
    add("status", json!(finding.status));
    add("contradictsDocumentation", json!(finding.broken));
    if let Some(kind) = finding.error {
        add("error", json!(kind));
    }
    if let Some(path) = finding.path {
        add("path", json!(path));
    }
    let unknown: BTreeSet<String> =
        finding.unknown.iter().map(|(parent, name)| below(parent, field_name(name))).collect();
    for (name, fields) in [("unknown", &unknown), ("missing", &finding.missing), ("absent", &finding.absent)] {
        if !fields.is_empty() {
            add(name, json!(fields));
        }
    }
    if !finding.new_values.is_empty() {
        // The values themselves may be content.
        let counts = finding.new_values.iter().map(|(path, values)| (path.clone(), json!(values.len())));
        add("newValues", counts.collect());
    }
    if let Some(shape) = &finding.shape {
        add("response", shape.json());
    }
    entry.into()
}
