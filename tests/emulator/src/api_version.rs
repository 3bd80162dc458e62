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

/// Calls a function with each object of the API, the inner ones first: not with those that come from the caller or from
/// documents.
pub(crate) fn change_objects(value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| change_objects(item, change)),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "content" | "metadata" | "rows" => {}
                    // That of an extraction has the names of its schema.
                    "result" => {
                        for own in ["chunks", "blocks"] {
                            value.get_mut(own).into_iter().for_each(|list| change_objects(list, change));
                        }
                    }
                    // Each value of an extraction has a list of citations.
                    "citations" => {
                        let lists = value.as_object_mut().into_iter().flat_map(|lists| lists.values_mut());
                        lists.for_each(|list| change_objects(list, change));
                    }
                    _ => change_objects(value, change),
                }
            }
            change(fields);
        }
        _ => {}
    }
}

/// Whether the name of a field has several words.
pub(crate) fn is_camel_case(name: &str) -> bool {
    name.contains(|c: char| c.is_ascii_uppercase())
}

/// The response of the older API.
pub(crate) fn old(operation: &str, body: Value) -> Value {
    let returns_agent = matches!(operation, "launch_agent" | "get_agent" | "follow_up_agent" | "stop_agent");
    let mut body = if returns_agent { bare(body) } else { body };
    let is_submit = matches!(operation, "submit_parse" | "submit_extract");
    change_objects(&mut body, &mut |fields| {
        fields.retain(|name, value| match name.as_str() {
            "fileVersionId" | "keyPrefix" | "occurredAt" => true,
            "taskId" => is_submit,
            // Without its cursor a list would end early.
            "nextCursor" => !value.is_null(),
            name => !is_camel_case(name),
        });
    });
    body
}

/// The response of a future API.
pub(crate) fn future(mut body: Value) -> Value {
    change_objects(&mut body, &mut |fields| {
        let is_block = fields.contains_key("bbox");
        for (name, value) in fields.iter_mut() {
            *value = json!(match (name.as_str(), value.as_str()) {
                ("type", Some(_)) if is_block => "Hologram",
                ("status", Some("BUILDING")) => "INDEXING",
                ("status", Some("running")) => "reflecting",
                ("spendStatus", Some(_)) => "under_review",
                ("type", Some("markdown" | "table")) => "canvas",
                ("type", Some("user")) => "service_account",
                ("fileType", Some(_)) => "MODEL",
                ("role", Some(_)) => "steward",
                _ => continue,
            });
        }
        fields.insert("futureField".to_owned(), json!({ "since": "v1", "list": [1, null, "two"] }));
    });
    body
}

/// The response with the value of each `status` in upper case.
pub(crate) fn upper_case(mut body: Value) -> Value {
    change_objects(&mut body, &mut |fields| {
        if let Some(Value::String(status)) = fields.get_mut("status") {
            *status = status.to_uppercase();
        }
    });
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
