//! The contract as a value: its operations, their examples, and what may change in an answer without notice; and a call
//! of each operation.
//!
//! A package of its own, so that nobody who runs an example compiles a YAML reader.

mod call;

use serde_json::{Map, Value, json};

pub use call::{Ids, call};

/// The contract, with references resolved as they are met.
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
    /// With `{…}` for ids.
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

/// An answer that differs from an example in one respect.
#[derive(Debug)]
pub struct Mutation {
    /// What was changed, as `dropped data.artifacts`.
    pub what: String,
    /// The answer.
    pub answer: Value,
}

impl Contract {
    /// Reads the copy that lies beside this package.
    ///
    /// # Errors
    ///
    /// Those of the reader.
    pub fn read() -> Result<Self, Box<dyn std::error::Error>> {
        Ok(Self { root: serde_saphyr::from_str(include_str!("../openapi.yaml"))? })
    }

    /// All operations, in order.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation<'_>> {
        const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
        let mut operations = Vec::new();
        for (path, entries) in object(&self.root["paths"]) {
            for (method, entry) in object(entries).filter(|(method, _)| METHODS.contains(&method.as_str())) {
                let word = |field: &str| entry[field].as_str().unwrap_or_default();
                operations.push(Operation {
                    name: word("operationId"),
                    method: method.to_uppercase(),
                    path,
                    tier: word("x-tier"),
                    scope: word("x-scope"),
                    evidence: word("x-evidence"),
                    entry,
                });
            }
        }
        operations
    }

    /// `components`: what references lead to.
    #[must_use]
    pub fn components(&self) -> &Value {
        &self.root["components"]
    }

    /// The parameters of an operation, those of its path among them.
    #[must_use]
    pub fn parameters<'a>(&'a self, operation: &Operation<'a>) -> Vec<&'a Value> {
        let shared = &self.root["paths"][operation.path]["parameters"];
        let all = [shared, &operation.entry["parameters"]];
        all.into_iter().filter_map(Value::as_array).flatten().map(|parameter| self.resolved(parameter)).collect()
    }

    /// Each successful answer of an operation that has an example: status, schema and example.
    #[must_use]
    pub fn examples<'a>(&'a self, operation: &Operation<'a>) -> Vec<(u16, &'a Value, &'a Value)> {
        let mut examples = Vec::new();
        for (status, answer) in object(&operation.entry["responses"]).filter(|(status, _)| status.starts_with('2')) {
            let content = &self.resolved(answer)["content"]["application/json"];
            if !content["example"].is_null() {
                examples.push((status.parse().unwrap_or(200), &content["schema"], &content["example"]));
            }
        }
        examples
    }

    /// The fields of an answer, as `data[].name`: with `!` behind the required ones and `?` behind those that neither are
    /// required nor stand in the example. What is shaped by the caller is one field. A schema with an evidence of its own,
    /// weaker than that of the operation, requires nothing.
    #[must_use]
    pub fn fields(&self, schema: &Value, example: &Value) -> Vec<String> {
        let mut fields = Vec::new();
        self.collect(schema, Some(example), "", true, &mut fields);
        fields
    }

    fn collect(&self, schema: &Value, example: Option<&Value>, path: &str, firm: bool, fields: &mut Vec<String>) {
        let schema = self.resolved(schema);
        let firm = firm && schema["x-evidence"].is_null();
        if !schema["items"].is_null() {
            let example = example.and_then(|list| list.get(0));
            return self.collect(&schema["items"], example, &format!("{path}[]"), firm, fields);
        }
        let required = self.required(schema);
        for (name, inner) in self.properties(schema) {
            let own = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let example = example.and_then(|object| object.get(&name));
            let mark = match (firm && required.contains(&name), example) {
                (true, _) => "!",
                (false, Some(_)) => "",
                (false, None) => "?",
            };
            fields.push(format!("{own}{mark}"));
            self.collect(&inner, example, &own, firm, fields);
        }
    }

    /// An example as it may come tomorrow: unknown fields at every level, each optional field dropped, each nullable one
    /// null, each word of a status or a kind unknown or in upper case.
    #[must_use]
    pub fn mutations(&self, schema: &Value, example: &Value) -> Vec<Mutation> {
        let mut found = Vec::new();
        let mut places = vec![Place { pointer: String::new(), name: "$".to_owned(), schema: schema.clone() }];
        while let Some(place) = places.pop() {
            let Some(value) = example.pointer(&place.pointer) else { continue };
            let change = |change: &dyn Fn(&mut Value)| {
                let mut answer = example.clone();
                if let Some(value) = answer.pointer_mut(&place.pointer) {
                    change(value);
                }
                answer
            };
            let properties = self.properties(&place.schema);
            let required = self.required(&place.schema);
            match value {
                Value::Object(fields) => {
                    let unknown = json!({"deep": [1, {"er": null}]});
                    found.push(Mutation {
                        what: format!("unknown field in {}", place.name),
                        answer: change(&|value| value["xFromTheFuture"] = unknown.clone()),
                    });
                    for field in fields.keys() {
                        let name = format!("{}.{field}", place.name);
                        let schema = properties.get(field).cloned().unwrap_or_default();
                        if !required.contains(field) && properties.contains_key(field) {
                            let drop =
                                |value: &mut Value| drop(value.as_object_mut().and_then(|map| map.remove(field)));
                            found.push(Mutation { what: format!("dropped {name}"), answer: change(&drop) });
                        }
                        if nullable(&schema) {
                            let answer = change(&|value| value[field] = Value::Null);
                            found.push(Mutation { what: format!("null in {name}"), answer });
                        }
                        places.push(Place { pointer: format!("{}/{}", place.pointer, escaped(field)), name, schema });
                    }
                }
                Value::Array(items) => {
                    let schema = self.resolved(&place.schema)["items"].clone();
                    for at in 0..items.len() {
                        let (pointer, name) = (format!("{}/{at}", place.pointer), format!("{}[{at}]", place.name));
                        places.push(Place { pointer, name, schema: schema.clone() });
                    }
                }
                Value::String(word) if WORDS.contains(&place.name.rsplit('.').next().unwrap_or_default()) => {
                    let (upper, lower) = (word.to_uppercase(), word.to_lowercase());
                    for other in ["word_of_the_future", &upper, &lower] {
                        let what = format!("{other:?} in {}", place.name);
                        found.push(Mutation { what, answer: change(&|value| *value = other.into()) });
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The target of a `$ref`, or the value itself.
    #[must_use]
    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str().and_then(|reference| self.root.pointer(reference.trim_start_matches('#'))) {
            Some(target) => self.resolved(target),
            None => value,
        }
    }

    /// The properties of a schema, those of its `allOf` parts among them.
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

/// Fields that hold one of a list of words, though the contract does not list them.
const WORDS: [&str; 6] = ["status", "type", "fileType", "role", "spendStatus", "code"];

struct Place {
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

/// A field name as a part of a JSON pointer.
fn escaped(field: &str) -> String {
    field.replace('~', "~0").replace('/', "~1")
}
