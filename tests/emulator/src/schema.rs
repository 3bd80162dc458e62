//! Detects objects that are not a JSON Schema, such as `{"permitNumber": "string"}`.

use serde_json::{Value, json};

const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "object", "array", "null"];
/// A schema that is not empty has at least one of these.
const KEYWORDS: [&str; 10] =
    ["type", "properties", "items", "$ref", "enum", "const", "anyOf", "oneOf", "allOf", "required"];
/// A nested schema may have only one of these: it describes the value, but not its type.
const ANNOTATIONS: [&str; 3] = ["description", "title", "format"];

/// Returns why a value is not a JSON Schema, if it is not.
pub(crate) fn error(schema: &Value) -> Option<String> {
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
    if !(fields.is_empty() || has_one_of(&KEYWORDS) || is_inner && has_one_of(&ANNOTATIONS)) {
        let wanted = fields.keys().map(|name| (name.clone(), json!({ "type": "string" })));
        let example = json!({ "type": "object", "properties": Value::Object(wanted.collect()) });
        let keywords = KEYWORDS.join(", ");
        return Err(format!("{path}: not a JSON Schema: it has none of {keywords}; did you mean {example}?"));
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
    // In earlier drafts, this could be an array with a schema for each index.
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
    fn schemas_are_told_from_objects_that_only_look_like_one() {
        for schema in [
            json!({}),
            json!({ "type": "object" }),
            json!({ "required": ["a"] }),
            json!({ "properties": { "a": {}, "b": true, "c": { "description": "The permit number" } } }),
            json!({ "type": ["object", "null"], "properties": { "type": { "type": "string" } } }),
            json!({ "$defs": { "Id": { "enum": ["a"] } }, "$ref": "#/$defs/Id" }),
            json!({ "type": "array", "items": { "anyOf": [{ "type": "null" }, { "const": 1 }] } }),
        ] {
            assert_eq!(error(&schema), None, "{schema}");
        }
        for (schema, message) in [
            (json!({ "permitNumber": "string" }), r#"did you mean {"properties":{"permitNumber":{"type":"string"}}"#),
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
            let error = error(&schema).unwrap();
            assert!(error.contains(message), "{error} should say {message}");
        }
    }
}
