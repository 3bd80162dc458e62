//! Compares a response with the documented fields and values.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::documented::DOCUMENTED;
use crate::finding::Finding;
use crate::known_values::KNOWN_VALUES;

/// Adds unknown fields, missing fields and new values to the finding.
pub(crate) fn compare(finding: &mut Finding, response: &Value) {
    let Some((_, fields)) = DOCUMENTED.iter().find(|(name, _)| *name == finding.name) else { return };
    // An object that is documented as wrapped in `data` may also come without it.
    let bare = fields.iter().any(|field| field.starts_with("data.")) && response.get("data").is_none();
    let unwrapped = |field: &'static str| if bare { field.strip_prefix("data.") } else { Some(field) };
    let fields: Vec<&str> = fields.iter().filter_map(|field| unwrapped(field)).collect();
    let names: BTreeSet<&str> = fields.iter().map(|field| field.trim_end_matches(['!', '?'])).collect();
    walk(response, "", &names, finding);
    for field in &fields {
        let name = field.trim_end_matches(['!', '?']);
        let (parent, last) = name.rsplit_once('.').unwrap_or(("", name));
        let parents = objects_at(response, parent);
        let lacking = parents.iter().filter(|object| object.get(last).is_none()).count();
        // Every object must have a required field; at least one must have a field of the contract's example.
        let is_missing = match field.as_bytes().last() {
            Some(b'!') => lacking > 0,
            Some(b'?') => false,
            _ => lacking > 0 && lacking == parents.len(),
        };
        if is_missing {
            finding.missing.insert(name.to_owned());
            finding.mark_broken();
        }
    }
}

/// The objects at a path like `data[].user`.
fn objects_at<'a>(response: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![response];
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let (name, list) = step.strip_suffix("[]").map_or((step, false), |name| (name, true));
        let inner = found.into_iter().filter_map(|value| value.get(name));
        found = if list { inner.filter_map(Value::as_array).flatten().collect() } else { inner.collect() };
    }
    found.into_iter().filter(|value| value.is_object()).collect()
}

fn walk(value: &Value, path: &str, names: &BTreeSet<&str>, finding: &mut Finding) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if !names.contains(path.as_str()) {
                    finding.unknown.insert(path);
                    continue;
                }
                // Objects without documented fields, e.g. extracted values, are not compared.
                let is_below = |name: &&str| name.strip_prefix(&path).is_some_and(|rest| rest.starts_with(['.', '[']));
                if names.iter().any(is_below) || inner.is_string() {
                    walk(inner, &path, names, finding);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, &format!("{path}[]"), names, finding)),
        Value::String(value) => {
            let known = KNOWN_VALUES.iter().find(|(end, _)| path == *end || path.ends_with(&format!(".{end}")));
            if known.is_some_and(|(_, values)| !values.iter().any(|known| known.eq_ignore_ascii_case(value))) {
                finding.new_values.insert(format!("{path} = {value}"));
            }
        }
        _ => {}
    }
}
