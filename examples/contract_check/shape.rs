//! The types of a response's values, without the values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::compare::{below, is_documented_object};

/// The types of all values that were found in one place.
#[derive(Default)]
pub(crate) struct Shape {
    /// Other types than objects with documented fields, and lists.
    types: BTreeSet<&'static str>,
    fields: Option<BTreeMap<String, Shape>>,
    items: Option<Box<Shape>>,
}

impl Shape {
    /// Adds the types of a value at a path. `names` are the paths of the documented fields: what is below any other field
    /// may be content, names of fields included.
    pub(crate) fn add(&mut self, value: &Value, path: &str, names: &BTreeSet<&str>) {
        match value {
            Value::Object(_) if !is_documented_object(path, names) => drop(self.types.insert("object")),
            Value::Object(fields) => {
                let own = self.fields.get_or_insert_default();
                for (name, value) in fields {
                    let name = field_name(name);
                    own.entry(name.to_owned()).or_default().add(value, &below(path, name), names);
                }
            }
            Value::Array(items) => {
                let own = self.items.get_or_insert_default();
                items.iter().for_each(|item| own.add(item, &format!("{path}[]"), names));
            }
            Value::String(_) => drop(self.types.insert("string")),
            Value::Number(number) if number.is_f64() => drop(self.types.insert("number")),
            Value::Number(_) => drop(self.types.insert("integer")),
            Value::Bool(_) => drop(self.types.insert("boolean")),
            Value::Null => drop(self.types.insert("null")),
        }
    }

    /// The shape as JSON: `{"id": "string", "size": "integer", "tags": ["string"]}`.
    pub(crate) fn json(&self) -> Value {
        let mut found: Vec<Value> = self.types.iter().map(|name| json!(name)).collect();
        if let Some(fields) = &self.fields {
            found.push(fields.iter().map(|(name, shape)| (name.clone(), shape.json())).collect());
        }
        if let Some(items) = &self.items {
            let is_empty = items.types.is_empty() && items.fields.is_none() && items.items.is_none();
            found.push(if is_empty { json!([]) } else { json!([items.json()]) });
        }
        match found.len() {
            0 => Value::Null,
            1 => found.remove(0),
            _ => json!({ "anyOf": found }),
        }
    }
}

/// The name of a field; what does not look like one may be content, such as an id.
pub(crate) fn field_name(name: &str) -> &str {
    let is_name = name.len() <= 40 && name.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
    if is_name { name } else { "(not a field name)" }
}
