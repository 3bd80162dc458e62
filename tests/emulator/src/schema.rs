//! Tells a JSON Schema from what somebody took for one.

use serde_json::{Value, json};

const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "object", "array", "null"];
/// A schema that is not empty has one of these.
const KEYWORDS: [&str; 10] =
    ["type", "properties", "items", "$ref", "enum", "const", "anyOf", "oneOf", "allOf", "required"];
/// A schema within another may have one of these alone: it says what is wanted, though not its type.
const NOTES: [&str; 3] = ["description", "title", "format"];

/// Why this is no JSON Schema, if it is none.
pub(crate) fn complaint(schema: &Value) -> Option<String> {
    check(schema, "schema").err()
}

fn check(schema: &Value, path: &str) -> Result<(), String> {
    let fields = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(fields) => fields,
        other => {
            return Err(format!("{path}: expected a JSON Schema such as {{\"type\": \"string\"}}, received {other}"));
        }
    };
    let has_one_of = |words: &[&str]| words.iter().any(|word| fields.contains_key(*word));
    let is_inner = path != "schema";
    if !(fields.is_empty() || has_one_of(&KEYWORDS) || is_inner && has_one_of(&NOTES)) {
        let wanted = fields.keys().map(|name| (name.clone(), json!({ "type": "string" })));
        let example = json!({ "type": "object", "properties": Value::Object(wanted.collect()) });
        let keywords = KEYWORDS.join(", ");
        return Err(format!("{path}: not a JSON Schema, for it has none of {keywords}; perhaps {example} was meant"));
    }
    for kind in fields.get("type").into_iter().flat_map(one_or_many) {
        if !kind.as_str().is_some_and(|kind| TYPES.contains(&kind)) {
            return Err(format!("{path}.type: expected one of {}, received {kind}", TYPES.join(", ")));
        }
    }
    for key in ["properties", "$defs", "definitions"] {
        let Some(value) = fields.get(key) else { continue };
        let inner = value.as_object().ok_or_else(|| format!("{path}.{key}: expected an object of schemas"))?;
        inner.iter().try_for_each(|(name, schema)| check(schema, &format!("{path}.{key}.{name}")))?;
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        let Some(value) = fields.get(key) else { continue };
        let inner = value.as_array().ok_or_else(|| format!("{path}.{key}: expected an array of schemas"))?;
        inner.iter().try_for_each(|schema| check(schema, &format!("{path}.{key}")))?;
    }
    // Earlier drafts had a schema for each place of an array here.
    let mut items = fields.get("items").into_iter().flat_map(one_or_many);
    items.try_for_each(|schema| check(schema, &format!("{path}.items")))
}

fn one_or_many(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_told_from_what_only_looks_like_one() {
        for schema in [
            json!({}),
            json!({ "type": "object" }),
            json!({ "required": ["a"] }),
            json!({ "properties": { "a": {}, "b": true, "c": { "description": "The permit number" } } }),
            json!({ "type": ["object", "null"], "properties": { "type": { "type": "string" } } }),
            json!({ "$defs": { "Id": { "enum": ["a"] } }, "$ref": "#/$defs/Id" }),
            json!({ "type": "array", "items": { "anyOf": [{ "type": "null" }, { "const": 1 }] } }),
        ] {
            assert_eq!(complaint(&schema), None, "{schema}");
        }
        for (schema, message) in [
            (json!({ "permitNumber": "string" }), r#"perhaps {"properties":{"permitNumber":{"type":"string"}}"#),
            (json!({ "description": "A permit" }), "schema: not a JSON Schema"),
            (json!({ "type": "text" }), r#"schema.type: expected one of string, number"#),
            (json!({ "type": ["string", 7] }), "received 7"),
            (json!({ "properties": [] }), "schema.properties: expected an object of schemas"),
            (json!({ "properties": { "a": "string" } }), r#"schema.properties.a: expected a JSON Schema"#),
            (json!({ "properties": { "a": { "b": "string" } } }), "schema.properties.a: not a JSON Schema"),
            (json!({ "properties": { "a": { "type": "date" } } }), r#"schema.properties.a.type: expected one of"#),
            (json!({ "items": "string" }), "schema.items: expected a JSON Schema"),
            (json!({ "anyOf": { "type": "null" } }), "schema.anyOf: expected an array of schemas"),
            (json!({ "$defs": { "A": { "b": 1 } }, "$ref": "#/$defs/A" }), "schema.$defs.A: not a JSON Schema"),
        ] {
            let complaint = complaint(&schema).unwrap();
            assert!(complaint.contains(message), "{complaint} should say {message}");
        }
    }
}
