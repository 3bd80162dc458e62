//! Responses of other versions of the API: an older one, a future one, and some that break the rules.

use serde_json::{Map, Value, json};

/// The version of the API that the emulator serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiVersion {
    /// The version that is documented now.
    #[default]
    Current,
    /// An older version: errors are `{"error": message}` only, agents are not wrapped in `{"data": agent}`, and optional
    /// fields with names of several words are missing.
    Old,
    /// A future version: objects have unknown fields, open enums have unknown values, and jobs pass through unknown
    /// states before they finish.
    Future,
}

/// Fields whose content comes from the caller or from documents, and so is the same in every version.
pub(crate) const PASSED_THROUGH: [&str; 5] = ["result", "citations", "content", "metadata", "rows"];

/// The response of the older API.
pub(crate) fn old(operation: &str, body: Value) -> Value {
    let mut body = if returns_agent(operation) { bare(body) } else { body };
    let keep: &[&str] = match operation {
        "upload_file" => &["fileVersionId"],
        "submit_parse" | "submit_extract" => &["taskId"],
        _ => &["keyPrefix", "occurredAt"],
    };
    drop_optional(&mut body, keep);
    body
}

fn drop_optional(value: &mut Value, keep: &[&str]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| drop_optional(item, keep)),
        Value::Object(fields) => {
            fields.retain(|key, value| {
                let is_camel_case = key.bytes().any(|byte| byte.is_ascii_uppercase());
                // Without its cursor a list would end early.
                let needed = keep.contains(&key.as_str()) || key == "nextCursor" && !value.is_null();
                !is_camel_case || needed
            });
            let own = fields.iter_mut().filter(|(key, _)| !PASSED_THROUGH.contains(&key.as_str()));
            own.for_each(|(_, value)| drop_optional(value, keep));
        }
        _ => {}
    }
}

/// The response of a future API.
pub(crate) fn future(mut body: Value) -> Value {
    change_enums(&mut body);
    add_fields(&mut body);
    body
}

fn add_fields(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(add_fields),
        Value::Object(fields) => {
            let own = fields.iter_mut().filter(|(key, _)| !PASSED_THROUGH.contains(&key.as_str()));
            own.for_each(|(_, value)| add_fields(value));
            fields.insert("futureField".to_owned(), json!({ "since": "v1", "list": [1, null, "two"] }));
        }
        _ => {}
    }
}

fn change_enums(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(change_enums),
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                let new = match (key.as_str(), value.as_str()) {
                    ("status", Some("BUILDING")) => "INDEXING",
                    ("status", Some("running")) => "reflecting",
                    ("spendStatus", Some(_)) => "under_review",
                    ("type", Some("markdown" | "table")) => "canvas",
                    ("type", Some("user")) => "service_account",
                    ("fileType", Some(_)) => "MODEL",
                    ("role", Some(_)) => "steward",
                    _ => {
                        change_nested(key, value);
                        continue;
                    }
                };
                *value = json!(new);
            }
        }
        _ => {}
    }
}

/// Changes the enums of a nested value. In a `result`, only the blocks of a parse job belong to the API.
fn change_nested(key: &str, value: &mut Value) {
    if !PASSED_THROUGH.contains(&key) {
        change_enums(value);
    } else if key == "result" {
        let chunks = value.get_mut("chunks").and_then(Value::as_array_mut);
        for chunk in chunks.into_iter().flatten() {
            rename_blocks(chunk);
        }
        rename_blocks(value);
    }
}

fn rename_blocks(holder: &mut Value) {
    let blocks = holder.get_mut("blocks").and_then(Value::as_array_mut);
    for block in blocks.into_iter().flatten() {
        if block.get("bbox").is_some() {
            block["type"] = json!("Hologram");
            add_fields(block);
        }
    }
}

/// The response with the value of each `status` in upper case.
pub(crate) fn upper_case(mut body: Value) -> Value {
    fn convert(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(convert),
            Value::Object(fields) => {
                for (key, value) in fields.iter_mut().filter(|(key, _)| !PASSED_THROUGH.contains(&key.as_str())) {
                    match value {
                        Value::String(word) if key == "status" => *word = word.to_uppercase(),
                        _ => convert(value),
                    }
                }
            }
            _ => {}
        }
    }
    convert(&mut body);
    body
}

/// The object inside `{data}`, unless it is a list.
pub(crate) fn bare(mut body: Value) -> Value {
    match body.get_mut("data") {
        Some(data) if data.is_object() => data.take(),
        _ => body,
    }
}

/// The object wrapped in `{data}`, unless it already is.
pub(crate) fn wrapped(body: Value) -> Value {
    if body.get("data").is_some() { body } else { json!({ "data": body }) }
}

/// Replaces strings and arrays by objects.
pub(crate) fn wrong_types(body: Value) -> Value {
    match body {
        Value::String(text) => json!({ "length": text.len() }),
        Value::Array(items) => {
            let items = items.into_iter().enumerate();
            Value::Object(items.map(|(at, item)| (at.to_string(), wrong_types(item))).collect())
        }
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(key, value)| (key, wrong_types(value))).collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn returns_agent(operation: &str) -> bool {
    matches!(operation, "launch_agent" | "get_agent" | "follow_up_agent" | "stop_agent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_version_has_only_required_fields() {
        let agent = json!({ "data": { "id": "1", "status": "waiting", "createdAt": "x", "files": [{ "id": "2", "fileType": "x" }] } });
        assert_eq!(old("get_agent", agent), json!({ "id": "1", "status": "waiting", "files": [{ "id": "2" }] }));
        let file = json!({ "id": "1", "fileVersionId": "2", "createdAt": "x" });
        assert_eq!(old("upload_file", file), json!({ "id": "1", "fileVersionId": "2" }));
        let page = json!({ "data": [{ "keyPrefix": "npk", "lastUsedAt": null }], "nextCursor": "c", "totalCount": 9 });
        assert_eq!(old("list_api_keys", page), json!({ "data": [{ "keyPrefix": "npk" }], "nextCursor": "c" }));
        let task = json!({ "taskId": "1", "status": "COMPLETED", "result": { "permitNumber": "7" } });
        assert_eq!(old("get_extract", task), json!({ "status": "COMPLETED", "result": { "permitNumber": "7" } }));
    }

    #[test]
    fn the_future_version_adds_fields_but_not_to_extracted_values() {
        let task = json!({ "status": "COMPLETED", "result": { "permitNumber": "7" } });
        let future = future(task);
        assert_eq!(future["status"], "COMPLETED");
        assert_eq!(future["result"], json!({ "permitNumber": "7" }));
        assert!(future["futureField"].is_object());
    }

    #[test]
    fn the_future_version_has_unknown_enum_values() {
        let block = json!({ "type": "Text", "bbox": { "page": 1 }, "content": "a" });
        let task = json!({ "status": "BUILDING", "result": { "chunks": [{ "blocks": [block] }] } });
        let future = future(task);
        assert_eq!(future["status"], "INDEXING");
        let block = &future["result"]["chunks"][0]["blocks"][0];
        assert_eq!(block["type"], "Hologram");
        assert_eq!(block["content"], "a");
        assert!(block["bbox"]["futureField"].is_object());
    }

    #[test]
    fn envelopes_are_removed_and_added() {
        let agent = json!({ "data": { "id": "1" } });
        assert_eq!(bare(agent.clone()), json!({ "id": "1" }));
        assert_eq!(wrapped(json!({ "id": "1" })), agent);
        assert_eq!(wrapped(agent.clone()), agent);
        assert_eq!(bare(json!({ "data": [] })), json!({ "data": [] }));
    }

    #[test]
    fn all_strings_and_arrays_have_wrong_types() {
        assert_eq!(
            wrong_types(json!({ "a": "four", "b": ["x", 1], "c": null })),
            json!({ "a": { "length": 4 }, "b": { "0": { "length": 1 }, "1": 1 }, "c": null })
        );
    }
}
