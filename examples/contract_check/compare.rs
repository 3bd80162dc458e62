//! Compares a response with the documented fields and values.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::documented::DOCUMENTED;
use crate::finding::Finding;
use crate::known_values::KNOWN_VALUES;

/// Adds the shape of the response, and its unknown fields, missing fields and new values to the finding.
pub(crate) fn compare(finding: &mut Finding, response: &Value) {
    let documented = DOCUMENTED.iter().find(|(name, _)| *name == finding.name);
    let fields = documented.map_or(&[] as &[&str], |(_, fields)| *fields);
    // An object that is documented as wrapped in `data` may also come without it.
    let bare = fields.iter().any(|field| field.starts_with("data.")) && response.get("data").is_none();
    let unwrapped = |field: &'static str| if bare { field.strip_prefix("data.") } else { Some(field) };
    let fields: Vec<&str> = fields.iter().filter_map(|field| unwrapped(field)).collect();
    let names: BTreeSet<&str> = fields.iter().map(|field| field.trim_end_matches(['!', '?'])).collect();
    let shape = finding.shape.get_or_insert_default();
    shape.add(response, "", &names);
    if documented.is_none() {
        return;
    }
    walk(response, "", &names, finding);
    for field in &fields {
        let name = field.trim_end_matches(['!', '?']);
        let (parent, last) = name.rsplit_once('.').unwrap_or(("", name));
        let parents = objects_at(response, parent);
        let lacking = parents.iter().filter(|object| object.get(last).is_none()).count();
        match field.as_bytes().last() {
            // Every object must have a required field.
            Some(b'!') if lacking > 0 => {
                finding.missing.insert(name.to_owned());
                finding.mark_broken();
            }
            // No object has a field of the contract's example. The last page of a list has no cursor.
            Some(b'a'..=b'z') if lacking > 0 && lacking == parents.len() && name != "nextCursor" => {
                finding.absent.insert(name.to_owned());
            }
            _ => {}
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
        Value::Object(fields) if is_documented_object(path, names) => {
            for (name, inner) in fields {
                let parent = path;
                let path = below(parent, name);
                if !names.contains(path.as_str()) {
                    finding.unknown.insert((parent.to_owned(), name.clone()));
                    continue;
                }
                walk(inner, &path, names, finding);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, &format!("{path}[]"), names, finding)),
        Value::String(value) => {
            let known = KNOWN_VALUES.iter().find(|(end, _)| path == *end || path.ends_with(&format!(".{end}")));
            if known.is_some_and(|(_, values)| !values.iter().any(|known| known.eq_ignore_ascii_case(value))) {
                finding.new_values.entry(path.to_owned()).or_default().insert(value.clone());
            }
        }
        _ => {}
    }
}

/// The path of a field of an object.
pub(crate) fn below(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

/// Whether the contract names the fields of the objects at this path, unlike those of extracted values, for example.
pub(crate) fn is_documented_object(path: &str, names: &BTreeSet<&str>) -> bool {
    path.is_empty() || names.iter().any(|name| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}
