//! The contract: its operations, their examples, and the ways in which a response may change without notice; and a call of
//! each operation.
//!
//! A separate package, so that running an example does not compile a YAML parser.

mod call;

use serde_json::{Map, Value, json};

pub use call::{Ids, call};

/// The contract. References are resolved on access.
#[derive(Debug)]
pub struct Contract {
    root: Value,
}

/// One operation of the contract.
#[derive(Debug)]
pub struct Operation<'a> {
    /// `operationId`.
    pub name: &'a str,
    /// In upper case.
    pub method: String,
    /// With `{…}` placeholders for ids.
    pub path: &'a str,
    /// `x-tier`.
    pub tier: &'a str,
    /// `x-scope`.
    pub scope: &'a str,
    /// `x-evidence`.
    pub evidence: &'a str,
    /// The whole entry.
    pub entry: &'a Value,
}

/// A response that differs from an example in one respect.
#[derive(Debug)]
pub struct Mutation {
    /// The change, such as `dropped data.artifacts`.
    pub change: String,
    /// The response body.
    pub body: Value,
}

impl Contract {
    /// Parses the `openapi.yaml` in this package.
    ///
    /// # Errors
    ///
    /// Fails if the file is not valid YAML.
    pub fn read() -> Result<Self, Box<dyn std::error::Error>> {
        Ok(Self { root: serde_saphyr::from_str(include_str!("../openapi.yaml"))? })
    }

    /// All operations, in the order of the contract.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation<'_>> {
        const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
        let mut operations = Vec::new();
        for (path, entries) in object(&self.root["paths"]) {
            for (method, entry) in object(entries).filter(|(method, _)| METHODS.contains(&method.as_str())) {
                let text = |field: &str| entry[field].as_str().unwrap_or_default();
                operations.push(Operation {
                    name: text("operationId"),
                    method: method.to_uppercase(),
                    path,
                    tier: text("x-tier"),
                    scope: text("x-scope"),
                    evidence: text("x-evidence"),
                    entry,
                });
            }
        }
        operations
    }

    /// The `components` object, to which references point.
    #[must_use]
    pub fn components(&self) -> &Value {
        &self.root["components"]
    }

    /// The parameters of an operation, including those of its path.
    #[must_use]
    pub fn parameters<'a>(&'a self, operation: &Operation<'a>) -> Vec<&'a Value> {
        let shared = &self.root["paths"][operation.path]["parameters"];
        let all = [shared, &operation.entry["parameters"]];
        all.into_iter().filter_map(Value::as_array).flatten().map(|parameter| self.resolved(parameter)).collect()
    }

    /// Status, schema and example of each 2xx response that has an example.
    #[must_use]
    pub fn examples<'a>(&'a self, operation: &Operation<'a>) -> Vec<(u16, &'a Value, &'a Value)> {
        let mut examples = Vec::new();
        for (status, response) in object(&operation.entry["responses"]).filter(|(status, _)| status.starts_with('2')) {
            let content = &self.resolved(response)["content"]["application/json"];
            if !content["example"].is_null() {
                examples.push((status.parse().unwrap_or(200), &content["schema"], &content["example"]));
            }
        }
        examples
    }

    /// The fields of a response, such as `data[].name`. Required fields end in `!`; optional fields that are missing from the
    /// example end in `?`. A value whose shape the caller defines counts as one field.
    #[must_use]
    pub fn fields(&self, schema: &Value, example: &Value) -> Vec<String> {
        let mut fields = Vec::new();
        self.collect(schema, Some(example), "", &mut fields);
        fields
    }

    fn collect(&self, schema: &Value, example: Option<&Value>, path: &str, fields: &mut Vec<String>) {
        let schema = self.resolved(schema);
        if !schema["items"].is_null() {
            let example = example.and_then(|list| list.get(0));
            return self.collect(&schema["items"], example, &format!("{path}[]"), fields);
        }
        let required = self.required(schema);
        for (name, inner) in self.properties(schema) {
            let own = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let example = example.and_then(|object| object.get(&name));
            let mark = match (required.contains(&name), example) {
                (true, _) => "!",
                (false, Some(_)) => "",
                (false, None) => "?",
            };
            fields.push(format!("{own}{mark}"));
            self.collect(&inner, example, &own, fields);
        }
    }

    /// Variants of an example that a later version of the service may send: an unknown field in each object, each optional
    /// field dropped, each nullable field null, and each enum value unknown or in another case.
    #[must_use]
    pub fn mutations(&self, schema: &Value, example: &Value) -> Vec<Mutation> {
        let mut found = Vec::new();
        let mut nodes = vec![Node { pointer: String::new(), name: "$".to_owned(), schema: schema.clone() }];
        while let Some(node) = nodes.pop() {
            let Some(value) = example.pointer(&node.pointer) else { continue };
            let edit = |edit: &dyn Fn(&mut Value)| {
                let mut body = example.clone();
                if let Some(value) = body.pointer_mut(&node.pointer) {
                    edit(value);
                }
                body
            };
            let properties = self.properties(&node.schema);
            let required = self.required(&node.schema);
            match value {
                Value::Object(fields) => {
                    let unknown = json!({"deep": [1, {"er": null}]});
                    found.push(Mutation {
                        change: format!("unknown field in {}", node.name),
                        body: edit(&|value| value["xFromTheFuture"] = unknown.clone()),
                    });
                    for field in fields.keys() {
                        let name = format!("{}.{field}", node.name);
                        let schema = properties.get(field).cloned().unwrap_or_default();
                        if !required.contains(field) && properties.contains_key(field) {
                            let drop =
                                |value: &mut Value| drop(value.as_object_mut().and_then(|map| map.remove(field)));
                            found.push(Mutation { change: format!("dropped {name}"), body: edit(&drop) });
                        }
                        if nullable(&schema) {
                            let body = edit(&|value| value[field] = Value::Null);
                            found.push(Mutation { change: format!("null in {name}"), body });
                        }
                        nodes.push(Node { pointer: format!("{}/{}", node.pointer, escaped(field)), name, schema });
                    }
                }
                Value::Array(items) => {
                    let schema = self.resolved(&node.schema)["items"].clone();
                    for at in 0..items.len() {
                        let (pointer, name) = (format!("{}/{at}", node.pointer), format!("{}[{at}]", node.name));
                        nodes.push(Node { pointer, name, schema: schema.clone() });
                    }
                }
                Value::String(text) if ENUM_FIELDS.contains(&node.name.rsplit('.').next().unwrap_or_default()) => {
                    let (upper, lower) = (text.to_uppercase(), text.to_lowercase());
                    for other in ["value_of_the_future", &upper, &lower] {
                        let change = format!("{other:?} in {}", node.name);
                        found.push(Mutation { change, body: edit(&|value| *value = other.into()) });
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The target of a `$ref`, or the value itself if it is not one.
    #[must_use]
    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str().and_then(|reference| self.root.pointer(reference.trim_start_matches('#'))) {
            Some(target) => self.resolved(target),
            None => value,
        }
    }

    /// The properties of a schema, including those of its `allOf` parts.
    fn properties(&self, schema: &Value) -> Map<String, Value> {
        let schema = self.resolved(schema);
        let mut properties = schema["properties"].as_object().cloned().unwrap_or_default();
        for part in schema["allOf"].as_array().into_iter().flatten() {
            properties.extend(self.properties(part));
        }
        properties
    }

    fn required(&self, schema: &Value) -> Vec<String> {
        let schema = self.resolved(schema);
        let own = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(|part| self.required(part));
        own.chain(parts).collect()
    }
}

/// Fields that hold an enum value, although the contract does not list the values.
const ENUM_FIELDS: [&str; 6] = ["status", "type", "fileType", "role", "spendStatus", "code"];

/// A value within an example.
struct Node {
    pointer: String,
    name: String,
    schema: Value,
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn nullable(schema: &Value) -> bool {
    schema["type"].as_array().is_some_and(|types| types.iter().any(|one| one == "null"))
}

/// Escapes a field name for a JSON pointer.
fn escaped(field: &str) -> String {
    field.replace('~', "~0").replace('/', "~1")
}
