//! Extracts the values that a schema asks for, by label. A value that the documents lack is absent.

use serde_json::{Map, Value, json};

use super::document::{Cell, Kind, Rect};
use super::facts::{Fact, Source, facts};
use super::lines::marker_length;
use super::values::typed;
use crate::words::{self, Words};

const MAX_DEPTH: usize = 8;
/// The properties of all schemas together. A recursive schema would have no end.
const MAX_PROPERTIES: usize = 2_000;
/// Words that a label may lack or have in addition.
const OPTIONAL: &str =
    " name group value number field detail full total gross net estimated declared current overall project ";
/// Objects of these names have the values of the whole document.
const CONTAINERS: &str = " project document information info detail data general summary metadata ";
/// Too general to be another name of a value.
const GENERIC: &str = " date address type name number value ";

/// The values, and the positions of each under its path, such as `contractor.name`.
pub(crate) fn extract(sources: &[Source], schema: &Value) -> (Value, Value) {
    let facts = facts(sources);
    let stems = sources.iter().map(|(_, name, _)| name.split('.').next().unwrap_or_default());
    let titles = facts.iter().filter(|fact| fact.block.kind == Kind::Title).map(|fact| fact.title);
    let titles = stems.chain(titles).flat_map(words::set).collect();
    let mut search = Search { budget: MAX_PROPERTIES, root: schema, facts, titles, citations: Map::new() };
    let result = search.object(schema, &Words::new(), "", 0);
    (Value::Object(result), Value::Object(search.citations))
}

fn is_one_of(word: &str, words: &str) -> bool {
    words.contains(&format!(" {word} "))
}

/// A property as labels are compared to it.
struct Wanted {
    /// Its name, and other names in its title and description.
    names: Vec<Words>,
    description: Words,
    /// The words of the objects around it.
    parent: Words,
}

impl Wanted {
    fn new(name: &str, schema: &Value, parent: &Words) -> Wanted {
        let text = |key: &str| schema[key].as_str().unwrap_or_default();
        let description = words::set(text("description"));
        let mut names = vec![words::first_phrase(text("description")), words::set(text("title")), description.clone()];
        names.retain(|name| name.iter().any(|word| !is_one_of(word, GENERIC)));
        names.insert(0, words::set(name));
        Wanted { names, description, parent: parent.clone() }
    }

    /// The number of words in which a label under a heading differs, or `None` if it means something else.
    fn distance(&self, label: &Words, heading: &Words) -> Option<usize> {
        let has = |word: &String| label.contains(word) || heading.contains(word);
        let is_optional = |word: &&String| is_one_of(word, OPTIONAL);
        let distance = |(index, name): (usize, &Words)| {
            let missing: Vec<_> = name.difference(label).collect();
            let extra: Vec<_> =
                label.iter().filter(|word| !name.contains(*word) && !self.parent.contains(*word)).collect();
            let is_same =
                extra.iter().all(|word| is_optional(word) && missing.is_empty() || self.description.contains(*word));
            let is_named = missing.iter().all(|word| is_optional(word) || heading.contains(*word));
            let has_name = missing.len() < name.len()
                && (name.iter().all(|word| is_optional(&word))
                    || name.iter().any(|word| !is_optional(&word) && label.contains(word)));
            (is_same && is_named && has_name && self.parent.iter().all(has))
                .then_some(missing.len() + extra.len() + index * 10)
        };
        self.names.iter().enumerate().filter_map(distance).min()
    }
}

struct Search<'a> {
    budget: usize,
    root: &'a Value,
    facts: Vec<Fact<'a>>,
    /// The words of the titles and file names.
    titles: Words,
    citations: Map<String, Value>,
}

/// A value with its citation.
type Found = (Value, Value);

fn cite(fact: &Fact<'_>, rect: Rect) -> Value {
    json!({ "fileVersionId": fact.source.0, "page": fact.page, "bbox": rect.json(fact.page) })
}

impl<'a> Search<'a> {
    fn object(&mut self, schema: &'a Value, parent: &Words, path: &str, depth: usize) -> Map<String, Value> {
        let mut result = Map::new();
        let Some(properties) = self.resolve(schema)["properties"].as_object() else { return result };
        self.budget = self.budget.saturating_sub(properties.len());
        if depth > MAX_DEPTH || self.budget == 0 {
            return result;
        }
        for (name, schema) in properties {
            let schema = self.resolve(schema);
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let (wanted, kind) = (Wanted::new(name, schema, parent), kind(schema));
            if kind == "object" {
                let is_general = |word: &String| is_one_of(word, CONTAINERS) || self.titles.contains(word);
                let own = wanted.names[0].iter().filter(|word| !is_general(word));
                let inner = self.object(schema, &parent.iter().chain(own).cloned().collect(), &path, depth + 1);
                if !inner.is_empty() {
                    result.insert(name.clone(), Value::Object(inner));
                }
                continue;
            }
            let single = || self.single(&wanted, schema, kind).into_iter().collect();
            let found: Vec<Found> = if kind == "array" { self.array(&wanted, schema) } else { single() };
            let (mut values, citations): (Vec<Value>, Vec<Value>) = found.into_iter().unzip();
            if !values.is_empty() {
                self.citations.insert(path, citations.into());
                result.insert(name.clone(), if kind == "array" { values.into() } else { values.remove(0) });
            }
        }
        result
    }

    /// Follows a `$ref` in the schema, and takes the first part of an `anyOf` that is not null.
    fn resolve(&self, mut schema: &'a Value) -> &'a Value {
        for _ in 0..MAX_DEPTH {
            let pointer = schema["$ref"].as_str().and_then(|pointer| pointer.strip_prefix('#'));
            let parts = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema[key].as_array());
            let part = parts.and_then(|parts| parts.iter().find(|part| part["type"] != "null"));
            let Some(next) = pointer.and_then(|pointer| self.root.pointer(pointer)).or(part) else { break };
            schema = next;
        }
        schema
    }

    /// The value with the best label, in a form or in a table of two columns.
    fn single(&self, wanted: &Wanted, schema: &Value, kind: &str) -> Option<Found> {
        let found = self.facts.iter().flat_map(|fact| {
            let value = |label: &Words, cell: &Cell| {
                let distance = wanted.distance(label, &fact.heading)?;
                Some((distance, typed(&cell.text, schema, kind)?, cite(fact, cell.rect)))
            };
            match &fact.block.kind {
                Kind::KeyValue(_, cell) => value(&fact.label, cell).into_iter().collect::<Vec<_>>(),
                Kind::Table(rows) if rows[0].len() == 2 => {
                    rows.iter().filter_map(|row| value(&words::set(&row[0].text), &row[1])).collect()
                }
                _ => Vec::new(),
            }
        });
        found.min_by_key(|(distance, ..)| *distance).map(|(_, value, citation)| (value, citation))
    }

    /// The rows of a table, the cells of a column, or the items of a list.
    fn array(&self, wanted: &Wanted, schema: &'a Value) -> Vec<Found> {
        let items = self.resolve(&schema["items"]);
        let kind = kind(items);
        let single = Map::from_iter([(String::new(), items.clone())]);
        let properties = if kind == "object" { items["properties"].as_object() } else { Some(&single) };
        let Some(properties) = properties else { return Vec::new() };
        let tables = self.facts.iter().filter_map(|fact| match &fact.block.kind {
            Kind::Table(rows) => Some((fact, rows, columns(wanted, properties, &rows[0]))),
            _ => None,
        });
        let fit = |columns: &[Option<usize>]| columns.iter().flatten().count();
        let tables: Vec<_> = tables.filter(|(.., columns)| fit(columns) * 2 > properties.len().min(3)).collect();
        let best = tables
            .iter()
            .rev()
            .max_by_key(|(fact, _, columns)| (fit(columns), !wanted.names[0].is_disjoint(&fact.heading)));
        if let Some((_, first, columns)) = best {
            // A table that continues on the next page has the same header there.
            let header = |rows: &[Vec<Cell>]| rows[0].iter().map(|cell| cell.text.clone()).collect::<Vec<_>>();
            let parts = tables.iter().filter(|(_, rows, _)| header(rows) == header(first));
            let rows = parts.flat_map(|(fact, rows, _)| rows[1..].iter().map(move |row| (fact, row)));
            let row = |(fact, row): (&&Fact<'_>, &Vec<Cell>)| {
                let value = |((name, schema), column): ((&String, &Value), &Option<usize>)| {
                    let cell: &Cell = row.get((*column)?)?;
                    Some((name.clone(), typed(&cell.text, schema, self::kind(schema))?, cell.rect))
                };
                let values: Vec<_> = properties.iter().zip(columns).filter_map(value).collect();
                let citation = cite(fact, Rect::around(values.iter().map(|(.., rect)| *rect)));
                let first = values.first().map(|(_, value, _)| value.clone())?;
                let object = || Value::Object(values.into_iter().map(|(name, value, _)| (name, value)).collect());
                Some((if kind == "object" { object() } else { first }, citation))
            };
            return rows.filter_map(row).collect();
        }
        let is_item = |fact: &&Fact<'_>| fact.block.kind == Kind::ListItem && wanted.names[0].is_subset(&fact.heading);
        let item = |fact: &Fact<'_>| {
            let text = &fact.block.text[marker_length(&fact.block.text).unwrap_or(0)..];
            Some((typed(text, items, kind)?, cite(fact, fact.block.rect)))
        };
        self.facts.iter().filter(is_item).filter_map(item).collect()
    }
}

/// The column of each property. Properties do not share a column.
fn columns(wanted: &Wanted, properties: &Map<String, Value>, header: &[Cell]) -> Vec<Option<usize>> {
    let name = &wanted.names[0];
    let mut taken = Vec::new();
    let column = |(property, schema): (&String, &Value)| {
        let property = if property.is_empty() { None } else { Some(Wanted::new(property, schema, &Words::new())) };
        let distance = |(index, cell): (usize, &Cell)| {
            let title = words::set(&cell.text);
            let property = property.as_ref().unwrap_or(wanted);
            // In a table of doors, the column "Door" has their name or number.
            let is_id = title == *name && property.names[0].iter().all(|word| is_one_of(word, OPTIONAL));
            let distance = property.distance(&title, &Words::new()).or_else(|| property.distance(&title, name));
            distance.or(is_id.then_some(0)).filter(|_| !taken.contains(&index)).map(|distance| (distance, index))
        };
        let index = header.iter().enumerate().filter_map(distance).min().map(|(_, index)| index);
        taken.extend(index);
        index
    };
    properties.iter().map(column).collect()
}

/// The type that a schema states or implies.
fn kind(schema: &Value) -> &str {
    let stated = schema["type"].as_array().map_or(std::slice::from_ref(&schema["type"]), Vec::as_slice);
    let implied = ["properties", "items"].iter().position(|key| schema[key].is_object());
    let stated = stated.iter().filter_map(Value::as_str).find(|kind| *kind != "null");
    stated.unwrap_or_else(|| implied.map_or("string", |index| ["object", "array"][index]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use std::sync::Arc;

    use super::super::text;
    use super::*;

    const FORM: &str = "\
BUILDING PERMIT

Permit No.:      OG-2026-114
Applicant:       Marisol Quayle
Site address:    18 Breakwater Lane
Issue date:      9 March 2026
Valuation (USD): 4,250,000
Number of floors: 4
Sprinklered:     Yes
Hazards:         flood, wind; salt
Type of work:    New construction

The occupant load of the largest floor is 92 persons.

CONTRACTOR

Name:            Tidewater Builders
License number:  TC-90218

DOOR SCHEDULE

Door    Width    Rating
D1      36       90 min
D2      42       None
D3               60 min

CONDITIONS

1. Keep the drawings on the site.
2. No storage of fuel near the
   sea wall.
";

    fn run(schema: Value) -> (Value, Value) {
        let document = Arc::new(text::read(FORM, false));
        extract(&[("version-1".into(), "permit.txt".into(), document)], &schema)
    }

    fn properties(properties: Value) -> Value {
        run(json!({ "type": "object", "properties": properties })).0
    }

    #[test]
    fn labels_are_found_by_the_words_of_a_name_and_typed() {
        let result = properties(json!({
            "permitNumber": { "type": "string" },
            "applicant_name": { "type": ["string", "null"] },
            "issueDate": { "type": "string", "format": "date" },
            "storeys": { "type": "integer" },
            "sprinklered": { "type": "boolean" },
            "valuation": { "type": "number" },
            "workType": { "enum": ["new_construction", "alteration"] },
        }));
        let expected = json!({
            "permitNumber": "OG-2026-114", "applicant_name": "Marisol Quayle", "issueDate": "2026-03-09",
            "storeys": 4, "sprinklered": true, "valuation": 4_250_000, "workType": "new_construction",
        });
        assert_eq!(result, expected);
    }

    #[test]
    fn a_value_that_is_not_there_is_absent() {
        let result = properties(json!({
            "expiryDate": { "type": "string", "format": "date", "description": "Date on which the permit expires" },
            "owner": { "type": "string" },
            "date": { "type": "string", "description": "Date of the inspection" },
            "applicantAddress": { "type": "string" },
            "permitFee": { "type": "number" },
            "architect": { "type": "object", "properties": { "name": { "type": "string" } } },
            "engineer": { "properties": { "licenseNumber": { "description": "License number" }, "issueDate": {} } },
            "inspections": { "type": "array", "items": { "type": "object", "properties": { "inspector": {}, "day": {} } } },
        }));
        assert_eq!(result, json!({}));
    }

    #[test]
    fn a_value_of_another_type_is_absent() {
        let result = properties(json!({ "applicant": { "type": "integer" }, "issueDate": { "type": "boolean" } }));
        assert_eq!(result, json!({}));
    }

    #[test]
    fn a_description_names_what_the_name_does_not() {
        let result = properties(json!({
            "id": { "type": "string", "description": "Permit number" },
            "cost": { "type": "number" },
            "where": { "type": "string", "description": "The site address, with its street" },
        }));
        assert_eq!(result, json!({ "id": "OG-2026-114", "cost": 4_250_000, "where": "18 Breakwater Lane" }));
    }

    #[test]
    fn a_nested_object_is_found_under_its_heading() {
        let schema = json!({ "properties": { "contractor": { "properties": {
            "name": { "type": "string" }, "licenseNumber": { "type": "string" }, "phone": { "type": "string" } } } } });
        let found = run(schema);
        assert_eq!(found.0, json!({ "contractor": { "name": "Tidewater Builders", "licenseNumber": "TC-90218" } }));
        let citations = found.1;
        let keys: Vec<&String> = citations.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["contractor.licenseNumber", "contractor.name"]);
    }

    #[test]
    fn an_object_that_stands_for_the_document_takes_what_no_heading_claims() {
        let permit = json!({ "properties": { "issueDate": { "type": "string" }, "storeys": { "type": "integer" } } });
        let result = properties(json!({ "permit": permit.clone(), "details": permit }));
        let values = json!({ "issueDate": "9 March 2026", "storeys": 4 });
        assert_eq!(result, json!({ "permit": values, "details": values }));
    }

    #[test]
    fn a_schema_that_multiplies_by_itself_ends() {
        let started = std::time::Instant::now();
        let all: Map<String, Value> = (0..40).map(|at| (format!("p{at}"), json!({ "$ref": "#" }))).collect();
        assert_eq!(run(json!({ "type": "object", "properties": all })).0, json!({}));
        assert!(started.elapsed().as_secs() < 20);
    }

    #[test]
    fn rows_of_a_table_become_objects_and_an_empty_cell_is_absent() {
        let found = run(
            json!({ "properties": { "doors": { "type": "array", "items": { "type": "object", "properties": {
            "number": { "type": "string" }, "width": { "type": "integer" }, "fireRating": { "type": "string", "description": "Rating" } } } } } }),
        );
        let expected = json!([
            { "number": "D1", "width": 36, "fireRating": "90 min" },
            { "number": "D2", "width": 42, "fireRating": "None" },
            { "number": "D3", "fireRating": "60 min" },
        ]);
        assert_eq!(found.0["doors"], expected);
        assert_eq!(found.1["doors"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn a_list_and_a_column_become_arrays() {
        let result = properties(json!({
            "conditions": { "type": "array", "items": { "type": "string" } },
            "widths": { "type": "array", "items": { "type": "integer" } },
        }));
        assert_eq!(
            result["conditions"],
            json!(["Keep the drawings on the site.", "No storage of fuel near the sea wall."])
        );
        assert_eq!(result["widths"], json!([36, 42]));
    }

    #[test]
    fn references_within_the_schema_are_followed_and_a_circle_ends() {
        let schema = json!({
            "$defs": { "Permit": { "properties": { "permitNumber": { "$ref": "#/$defs/Id" }, "again": { "$ref": "#/$defs/Permit" } } },
                       "Id": { "anyOf": [{ "type": "null" }, { "type": "string" }] } },
            "$ref": "#/$defs/Permit" });
        assert_eq!(run(schema).0["permitNumber"], "OG-2026-114");
    }

    #[test]
    fn a_citation_says_where_the_value_stands() {
        let found =
            run(json!({ "properties": { "permitNumber": { "type": "string" }, "owner": { "type": "string" } } }));
        let citations = found.1;
        assert_eq!(citations.as_object().unwrap().len(), 1);
        let citation = &citations["permitNumber"][0];
        assert_eq!(citation["fileVersionId"], "version-1");
        assert_eq!((&citation["page"], &citation["bbox"]["page"]), (&json!(1), &json!(1)));
        let top = citation["bbox"]["top"].as_f64().unwrap();
        assert!((0.10..0.13).contains(&top), "the third line of the page: {top}");
    }

    #[test]
    fn a_schema_without_properties_finds_nothing() {
        for schema in [json!({}), json!({ "type": "object" }), json!({ "properties": [] })] {
            assert_eq!(run(schema).0, json!({}));
        }
    }

    #[test]
    fn a_later_document_fills_what_the_first_does_not_say() {
        let first = Arc::new(text::read("Permit number: A-1\n", false));
        let second = Arc::new(text::read("Permit number: B-2\nOwner: Inez Callowhill\n", false));
        let documents = [("one".into(), "a.txt".into(), first), ("two".into(), "b.txt".into(), second)];
        let schema = json!({ "properties": { "permitNumber": { "type": "string" }, "owner": { "type": "string" } } });
        let found = extract(&documents, &schema);
        assert_eq!(found.0, json!({ "permitNumber": "A-1", "owner": "Inez Callowhill" }));
        assert_eq!(found.1["owner"][0]["fileVersionId"], "two");
    }
}
