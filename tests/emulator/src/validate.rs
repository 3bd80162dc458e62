//! Validation of JSON bodies: what is wrong, and where.

use serde_json::Value;

use crate::failure::{Failure, Issue};
use crate::ids;

/// The type of a value.
#[derive(Debug)]
pub(crate) enum Shape {
    Text,
    Uuid,
    Boolean,
    Integer {
        minimum: i64,
        maximum: i64,
    },
    /// One of these strings.
    Enum(&'static [&'static str]),
    List {
        of: &'static Shape,
        at_least: usize,
    },
    /// An object with any keys and values of this type.
    Map(&'static Shape),
    /// An object with these fields. Others are refused unless it is open.
    Object {
        fields: &'static [Field],
        open: bool,
    },
}

/// A field of an object.
#[derive(Debug)]
pub(crate) struct Field {
    name: &'static str,
    shape: Shape,
    required: bool,
}

pub(crate) const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

pub(crate) const fn optional(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

/// An object with these fields and no others.
pub(crate) const fn object(fields: &'static [Field]) -> Shape {
    Shape::Object { fields, open: false }
}

/// An object with these fields, which ignores others.
pub(crate) const fn open_object(fields: &'static [Field]) -> Shape {
    Shape::Object { fields, open: true }
}

/// A list of any length.
pub(crate) const fn list(of: &'static Shape) -> Shape {
    Shape::List { of, at_least: 0 }
}

/// Parses a body as JSON of this type.
pub(crate) fn parse(body: &[u8], shape: &Shape) -> Result<Value, Failure> {
    let mut value: Value =
        serde_json::from_slice(body).map_err(|_| Failure::bad_request("Request body is not valid JSON"))?;
    make_integers(&mut value);
    let mut issues = Vec::new();
    check(&value, shape, &[], &mut issues);
    if issues.is_empty() { Ok(value) } else { Err(Failure::invalid(issues)) }
}

/// Replaces whole numbers such as `13.0`, which are integers in JSON Schema.
fn make_integers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15);
            if let Some(whole) = whole {
                *number = (whole as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_integers),
        Value::Object(fields) => fields.values_mut().for_each(make_integers),
        _ => {}
    }
}

fn check(value: &Value, shape: &Shape, path: &[Value], issues: &mut Vec<Issue>) {
    let inside = |key: Value| [path, &[key]].concat();
    let error = match (shape, value) {
        (Shape::Text, Value::String(_)) | (Shape::Boolean, Value::Bool(_)) => None,
        (Shape::Uuid, Value::String(text)) => (!ids::is_uuid(text)).then(|| "Invalid uuid".to_owned()),
        (Shape::Enum(words), Value::String(text)) => (!words.contains(&text.as_str()))
            .then(|| format!("Expected one of {}, received '{text}'", words.join(", "))),
        (Shape::Integer { minimum, maximum }, _) if value.is_i64() => match value.as_i64() {
            Some(number) if number < *minimum => Some(too_small(*minimum)),
            Some(number) if number > *maximum => Some(too_large(*maximum)),
            _ => None,
        },
        (Shape::List { of, at_least }, Value::Array(items)) => {
            let items = items.iter().enumerate();
            items.clone().for_each(|(index, item)| check(item, of, &inside(index.into()), issues));
            (items.len() < *at_least).then(|| format!("Array must contain at least {at_least} element(s)"))
        }
        (Shape::Map(of), Value::Object(entries)) => {
            entries.iter().for_each(|(key, item)| check(item, of, &inside(key.as_str().into()), issues));
            None
        }
        (Shape::Object { fields, open }, Value::Object(entries)) => {
            for field in *fields {
                let path = inside(field.name.into());
                match entries.get(field.name) {
                    Some(item) => check(item, &field.shape, &path, issues),
                    None if field.required => issues.push(Issue { path, message: "Required".to_owned() }),
                    None => {}
                }
            }
            let known = |key: &String| fields.iter().any(|field| field.name == key);
            let unknown = entries.keys().filter(|key| !*open && !known(key));
            let unknown: Vec<String> = unknown.map(|key| format!("'{key}'")).collect();
            (!unknown.is_empty()).then(|| format!("Unrecognized key(s) in object: {}", unknown.join(", ")))
        }
        _ => Some(format!("Expected {}, received {}", shape.type_name(), type_name(value))),
    };
    if let Some(message) = error {
        issues.push(Issue { path: path.to_vec(), message });
    }
}

impl Shape {
    fn type_name(&self) -> &'static str {
        match self {
            Shape::Text | Shape::Uuid | Shape::Enum(_) => "string",
            Shape::Boolean => "boolean",
            Shape::Integer { .. } => "integer",
            Shape::List { .. } => "array",
            Shape::Map(_) | Shape::Object { .. } => "object",
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

pub(crate) fn too_small(minimum: i64) -> String {
    format!("Number must be greater than or equal to {minimum}")
}

pub(crate) fn too_large(maximum: i64) -> String {
    format!("Number must be less than or equal to {maximum}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    static INNER: Shape = object(&[
        optional("limit", Shape::Integer { minimum: 10, maximum: 100 }),
        optional("language", Shape::Enum(&["en", "latin"])),
    ]);
    static SHAPE: Shape = object(&[
        required("id", Shape::Uuid),
        optional("options", object(&[optional("inner", Shape::List { of: &INNER, at_least: 1 })])),
        optional("inputs", Shape::Map(&Shape::Text)),
    ]);

    fn issues(body: Value) -> Vec<String> {
        match parse(body.to_string().as_bytes(), &SHAPE) {
            Ok(_) => Vec::new(),
            Err(failure) => {
                let issues = failure.issues.iter();
                issues.map(|issue| format!("{} {}", Value::from(issue.path.clone()), issue.message)).collect()
            }
        }
    }

    #[test]
    fn each_issue_has_its_path() {
        let id = "019abc12-3456-7890-abcd-ef1234567890";
        for (body, expected) in [
            (json!({ "id": id, "options": { "inner": [{ "limit": 10 }] }, "inputs": { "a": "b" } }), vec![]),
            (json!({}), vec![r#"["id"] Required"#]),
            (json!({ "id": 7 }), vec![r#"["id"] Expected string, received number"#]),
            (json!({ "id": "7" }), vec![r#"["id"] Invalid uuid"#]),
            (json!([]), vec!["[] Expected object, received array"]),
            (json!({ "id": id, "more": 1 }), vec!["[] Unrecognized key(s) in object: 'more'"]),
            (
                json!({ "id": id, "options": { "inner": [{}, { "limit": 9, "language": "fr" }] } }),
                vec![
                    r#"["options","inner",1,"limit"] Number must be greater than or equal to 10"#,
                    r#"["options","inner",1,"language"] Expected one of en, latin, received 'fr'"#,
                ],
            ),
            (json!({ "id": id, "options": { "inner": [{ "limit": 10.0 }] } }), vec![]),
            (
                json!({ "id": id, "options": { "inner": [{ "limit": 10.5 }] } }),
                vec![r#"["options","inner",0,"limit"] Expected integer, received number"#],
            ),
            (
                json!({ "id": id, "options": { "inner": [] } }),
                vec![r#"["options","inner"] Array must contain at least 1 element(s)"#],
            ),
            (json!({ "id": id, "inputs": { "a": null } }), vec![r#"["inputs","a"] Expected string, received null"#]),
        ] {
            assert_eq!(issues(body.clone()), expected, "{body}");
        }
    }

    #[test]
    fn a_body_that_is_not_json_is_a_bad_request() {
        let failure = parse(b"{\"id\": oops", &SHAPE).unwrap_err();
        assert_eq!((failure.status, failure.code.as_deref()), (400, Some("bad_request")));
    }
}
