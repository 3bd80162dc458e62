//! Extracts the values that a schema asks for, by label. A value that the documents lack is absent.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::document::{Cell, Kind, Rect};
use super::facts::{Fact, Facts, Origin, Position, Source, Table};
use super::values::typed;
use super::words;

const MAX_DEPTH: usize = 8;
/// The properties of all schemas together. A recursive schema would have no end.
const MAX_PROPERTIES: usize = 5_000;
/// The score of a label that has exactly the words of a property.
const EXACT: u32 = 100;
/// A label with a lower score may be another property's own.
const SURE: u32 = 75;

/// Words that a label may lack or have in addition.
const OPTIONAL: [&str; 7] = ["name", "group", "value", "number", "field", "detail", "full"];
/// Words that a label may have in addition.
const MODIFIERS: [&str; 8] = ["total", "gross", "net", "estimated", "declared", "current", "overall", "project"];
/// Objects of these names have the values of the whole document.
const CONTAINERS: [&str; 9] =
    ["project", "document", "information", "info", "detail", "data", "general", "summary", "metadata"];
/// Too general to be the name of a value.
const GENERIC: [&str; 6] = ["date", "address", "type", "name", "number", "value"];

type Words = BTreeSet<String>;

#[derive(Debug)]
pub(crate) struct Extraction {
    pub(crate) result: Value,
    /// The positions of each value under its path, such as `contractor.name`.
    pub(crate) citations: Option<Value>,
}

pub(crate) fn extract(sources: &[Source], schema: &Value, citations: bool) -> Extraction {
    let facts = Facts::of(sources);
    let mut search = Search { budget: MAX_PROPERTIES, root: schema, facts: &facts, citations: Map::new() };
    let result = search.object(schema, &Words::new(), "", 0);
    Extraction { result: Value::Object(result), citations: citations.then_some(Value::Object(search.citations)) }
}

/// A property as labels are compared to it.
struct Wanted {
    name: Words,
    /// The names of the objects around it.
    parent: Words,
    all: Words,
    /// Whether its label can be anywhere in the document.
    free: bool,
    description: Words,
    /// Other names in its title and description.
    aliases: Vec<Words>,
}

impl Wanted {
    fn new(name: &str, schema: &Value, parent: &Words, free: bool) -> Wanted {
        let text = |key: &str| schema[key].as_str().unwrap_or_default();
        let (name, description) = (words::set(name), words::set(text("description")));
        let mut aliases =
            vec![words::first_phrase(text("description")), words::set(text("title")), description.clone()];
        aliases.retain(|alias| alias.iter().any(|word| !GENERIC.contains(&word.as_str())));
        Wanted { all: name.union(parent).cloned().collect(), name, parent: parent.clone(), free, description, aliases }
    }

    /// How well a label under a heading fits, 0 for not at all.
    fn score(&self, label: &Words, heading: &Words) -> u32 {
        let is_under_parent = !self.parent.is_empty() && self.parent.is_subset(heading);
        let is_own = is_under_parent || self.free;
        let core = core(label);
        if label.is_empty() {
            0
        } else if *label == self.all {
            EXACT + if self.parent.is_empty() { 0 } else { 4 }
        } else if is_own && *label == self.name {
            EXACT + 2
        } else if same_core(label, &self.all) || (is_own && same_core(label, &self.name)) {
            85
        } else if !core.is_empty()
            && core.is_subset(&self.all)
            && self.all.iter().all(|word| label.contains(word) || heading.contains(word))
        {
            // "Address" under the heading "Site" is the address of the site.
            78
        } else if is_own && self.aliases.iter().any(|alias| alias == label || same_core(label, alias)) {
            70
        } else {
            let name = self::core(&self.name);
            let is_known = |word: &String| MODIFIERS.contains(&word.as_str()) || self.description.contains(word);
            let is_longer = !name.is_empty() && name.is_subset(label) && self.parent.is_empty();
            if is_longer && label.difference(&self.name).all(is_known) { 65 } else { 0 }
        }
    }
}

fn core(words: &Words) -> Words {
    words.iter().filter(|word| !OPTIONAL.contains(&word.as_str())).cloned().collect()
}

/// Whether both have the same words except optional ones, and not different optional ones.
fn same_core(a: &Words, b: &Words) -> bool {
    let has_more = |a: &Words, b: &Words| a.difference(b).next().is_some();
    !core(a).is_empty() && core(a) == core(b) && !(has_more(a, b) && has_more(b, a))
}

struct Search<'a> {
    budget: usize,
    root: &'a Value,
    facts: &'a Facts<'a>,
    citations: Map<String, Value>,
}

/// A value and its positions.
type Found<'a> = (Value, Vec<Position<'a>>);

impl<'a> Search<'a> {
    fn object(&mut self, schema: &'a Value, parent: &Words, path: &str, depth: usize) -> Map<String, Value> {
        let mut result = Map::new();
        let Some(properties) = self.resolve(schema)["properties"].as_object() else { return result };
        self.budget = self.budget.saturating_sub(properties.len());
        if depth > MAX_DEPTH || self.budget == 0 {
            return result;
        }
        let is_general = |word: &String| CONTAINERS.contains(&word.as_str()) || self.facts.titles.contains(word);
        let free = parent.iter().all(is_general);
        let wanted: Vec<Wanted> =
            properties.iter().map(|(name, schema)| Wanted::new(name, self.resolve(schema), parent, free)).collect();
        for (index, (name, schema)) in properties.iter().enumerate() {
            let schema = self.resolve(schema);
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let found = match kind(schema) {
                "object" => {
                    let inner = self.object(schema, &wanted[index].all, &path, depth + 1);
                    if !inner.is_empty() {
                        result.insert(name.clone(), Value::Object(inner));
                    }
                    None
                }
                "array" => self.array(&wanted[index], schema),
                kind => self.single(&wanted, index, schema, kind),
            };
            if let Some((value, positions)) = found {
                self.citations.insert(path, positions.iter().map(Position::citation).collect());
                result.insert(name.clone(), value);
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

    fn single(&self, all: &[Wanted], index: usize, schema: &Value, kind: &str) -> Option<Found<'a>> {
        let mut best: Option<(u32, &Fact<'a>, Value)> = None;
        for fact in &self.facts.facts {
            let score = all[index].score(&fact.words, &fact.heading);
            let is_unsure = fact.origin == Origin::Cell && score < EXACT;
            if score == 0 || is_unsure || best.as_ref().is_some_and(|(best, ..)| *best >= score) {
                continue;
            }
            let mut others = all.iter().enumerate().filter(|(other, _)| *other != index);
            let is_taken = score < SURE && others.any(|(_, other)| other.score(&fact.words, &fact.heading) >= EXACT);
            if let Some(value) = typed(fact.value, schema, kind).filter(|_| !is_taken) {
                best = Some((score, fact, value));
            }
        }
        best.map(|(_, fact, value)| (value, vec![fact.position])).or_else(|| self.only_one(&all[index], schema, kind))
    }

    /// The value of "Site address" for `address`, if the documents have no other address.
    fn only_one(&self, wanted: &Wanted, schema: &Value, kind: &str) -> Option<Found<'a>> {
        let is_general = wanted.description.iter().all(|word| wanted.name.contains(word));
        let is_longer = |fact: &&Fact<'_>| {
            let is_pair = fact.origin != Origin::Cell;
            is_pair && wanted.name.is_subset(&fact.words) && fact.words.len() == wanted.name.len() + 1
        };
        let mut facts = self.facts.facts.iter().filter(is_longer);
        let fact = facts.next().filter(|_| is_general && wanted.parent.is_empty() && !core(&wanted.name).is_empty())?;
        let is_only = facts.all(|other| other.words == fact.words && other.value == fact.value);
        typed(fact.value, schema, kind).filter(|_| is_only).map(|value| (value, vec![fact.position]))
    }

    fn array(&self, wanted: &Wanted, schema: &'a Value) -> Option<Found<'a>> {
        let items = self.resolve(&schema["items"]);
        let kind = kind(items);
        let found = if kind == "object" {
            self.rows(wanted, items)?
        } else {
            let found = self.column(wanted, items, kind);
            found.filter(|found| !found.is_empty()).unwrap_or_else(|| self.list(wanted, items, kind))
        };
        let (values, positions): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        (!values.is_empty()).then_some((Value::Array(values), positions))
    }

    /// The rows of the table whose columns fit the properties best.
    fn rows(&self, wanted: &Wanted, items: &'a Value) -> Option<Vec<(Value, Position<'a>)>> {
        let properties = items["properties"].as_object()?;
        let fit = |table: &'a Table<'a>| {
            let is_named = wanted.name.iter().any(|word| table.heading.contains(word));
            let columns = self.fit(properties, table, &wanted.name);
            let count = columns.iter().flatten().count();
            let is_enough = count > 1 || (count == 1 && (is_named || properties.len() == 1));
            (is_enough && count * 2 >= properties.len()).then_some((count * 2 + usize::from(is_named), table, columns))
        };
        let best =
            self.facts.tables.iter().filter_map(fit).reduce(|best, next| if next.0 > best.0 { next } else { best });
        let (_, table, columns) = best?;
        let row = |(cells, position): &(&'a [_], Position<'a>)| {
            let mut row = Map::new();
            let mut rects = Vec::new();
            for ((name, schema), column) in properties.iter().zip(&columns) {
                let (schema, cell) = (self.resolve(schema), column.and_then(|column| cells.get(column)));
                if let Some((cell, value)) =
                    cell.and_then(|cell: &Cell| Some((cell, typed(&cell.text, schema, kind(schema))?)))
                {
                    row.insert(name.clone(), value);
                    rects.push(cell.rect);
                }
            }
            let position = Position { rect: Rect::around(rects), ..*position };
            (!row.is_empty()).then_some((Value::Object(row), position))
        };
        Some(table.rows.iter().filter_map(row).collect())
    }

    /// The column of each property. Properties do not share a column.
    fn fit(&self, properties: &'a Map<String, Value>, table: &Table<'_>, parent: &Words) -> Vec<Option<usize>> {
        let mut scores = Vec::new();
        for (index, (name, schema)) in properties.iter().enumerate() {
            let wanted =
                [Words::new(), parent.clone()].map(|parent| Wanted::new(name, self.resolve(schema), &parent, true));
            for (column, cell) in table.columns.iter().enumerate() {
                let title = words::set(&cell.text);
                let score = wanted.iter().map(|wanted| wanted.score(&title, parent)).max().unwrap_or(0);
                // In a table of doors, the column "Door" has their name or number.
                let is_id = core(&wanted[0].name).is_empty() && title == *parent;
                scores.push((if is_id { score.max(SURE) } else { score }, index, column));
            }
        }
        scores.sort_by_key(|(score, index, column)| (std::cmp::Reverse(*score), *index, *column));
        let mut columns = vec![None; properties.len()];
        for (_, index, column) in scores.into_iter().filter(|(score, ..)| *score > 0) {
            if columns[index].is_none() && !columns.contains(&Some(column)) {
                columns[index] = Some(column);
            }
        }
        columns
    }

    /// The cells of the column with this name.
    fn column(&self, wanted: &Wanted, items: &Value, kind: &str) -> Option<Vec<(Value, Position<'a>)>> {
        self.facts.tables.iter().find_map(|table| {
            let is_named = |cell: &Cell| wanted.score(&words::set(&cell.text), &table.heading) >= SURE;
            let index = table.columns.iter().position(is_named)?;
            let value = |(cells, position): &(&'a [Cell], Position<'a>)| {
                let cell = cells.get(index)?;
                Some((typed(&cell.text, items, kind)?, Position { rect: cell.rect, ..*position }))
            };
            Some(table.rows.iter().filter_map(value).collect())
        })
    }

    /// The items of the list under the heading with this name, or the parts of one value.
    fn list(&self, wanted: &Wanted, items: &Value, kind: &str) -> Vec<(Value, Position<'a>)> {
        let is_named = |heading: &Words| !wanted.name.is_empty() && wanted.name.is_subset(heading);
        let items_of_list = self
            .facts
            .passages
            .iter()
            .filter(|passage| passage.block.kind == Kind::ListItem && is_named(&passage.heading));
        let found: Vec<_> =
            items_of_list.filter_map(|passage| Some((typed(passage.text(), items, kind)?, passage.position))).collect();
        if !found.is_empty() {
            return found;
        }
        let pairs = self.facts.facts.iter().filter(|fact| fact.origin == Origin::Pair);
        let facts = pairs.map(|fact| (wanted.score(&fact.words, &fact.heading), fact));
        let best = facts.filter(|(score, _)| *score > 0).reduce(|best, next| if next.0 > best.0 { next } else { best });
        let Some((_, fact)) = best else { return found };
        // In "4,250,000", a comma does not separate values.
        let separator = if fact.value.contains(';') { ";" } else { ", " };
        let parts = fact.value.split(separator).flat_map(|part| part.split(" and "));
        parts.filter_map(|part| Some((typed(part, items, kind)?, fact.position))).collect()
    }
}

/// The type that a schema states or implies.
fn kind(schema: &Value) -> &str {
    let stated = match &schema["type"] {
        Value::String(kind) => Some(kind.as_str()),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        _ => None,
    };
    let implied = if schema["properties"].is_object() {
        "object"
    } else if schema["items"].is_object() {
        "array"
    } else {
        "string"
    };
    stated.unwrap_or(implied)
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

    fn run(schema: Value) -> Extraction {
        let document = Arc::new(text::read(FORM));
        extract(&[("version-1".into(), "permit.txt".into(), document)], &schema, true)
    }

    fn properties(properties: Value) -> Value {
        run(json!({ "type": "object", "properties": properties })).result
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
    fn a_bare_name_takes_the_only_value_of_its_kind() {
        assert_eq!(
            properties(json!({ "address": {}, "date": {} })),
            json!({ "address": "18 Breakwater Lane", "date": "9 March 2026" })
        );
        let two = Arc::new(text::read("Site address: 1 Quay\nMailing address: 2 Pier\n"));
        let schema = json!({ "properties": { "address": { "type": "string" } } });
        assert_eq!(extract(&[("v".into(), "a.txt".into(), two)], &schema, false).result, json!({}));
    }

    #[test]
    fn a_nested_object_is_found_under_its_heading() {
        let schema = json!({ "properties": { "contractor": { "properties": {
            "name": { "type": "string" }, "licenseNumber": { "type": "string" }, "phone": { "type": "string" } } } } });
        let found = run(schema);
        assert_eq!(
            found.result,
            json!({ "contractor": { "name": "Tidewater Builders", "licenseNumber": "TC-90218" } })
        );
        let citations = found.citations.unwrap();
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
        assert_eq!(run(json!({ "type": "object", "properties": all })).result, json!({}));
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
        assert_eq!(found.result["doors"], expected);
        assert_eq!(found.citations.unwrap()["doors"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn a_list_a_column_and_an_enumeration_become_arrays() {
        let result = properties(json!({
            "conditions": { "type": "array", "items": { "type": "string" } },
            "widths": { "type": "array", "items": { "type": "integer" } },
            "hazards": { "type": "array", "items": { "type": "string" } },
        }));
        assert_eq!(
            result["conditions"],
            json!(["Keep the drawings on the site.", "No storage of fuel near the sea wall."])
        );
        assert_eq!(result["widths"], json!([36, 42]));
        assert_eq!(result["hazards"], json!(["flood, wind", "salt"]));
    }

    #[test]
    fn a_cell_is_found_by_its_row_and_column() {
        assert_eq!(properties(json!({ "d2Width": { "type": "integer" } })), json!({ "d2Width": 42 }));
    }

    #[test]
    fn references_within_the_schema_are_followed_and_a_circle_ends() {
        let schema = json!({
            "$defs": { "Permit": { "properties": { "permitNumber": { "$ref": "#/$defs/Id" }, "again": { "$ref": "#/$defs/Permit" } } },
                       "Id": { "anyOf": [{ "type": "null" }, { "type": "string" }] } },
            "$ref": "#/$defs/Permit" });
        assert_eq!(run(schema).result["permitNumber"], "OG-2026-114");
    }

    #[test]
    fn a_citation_says_where_the_value_stands() {
        let found =
            run(json!({ "properties": { "permitNumber": { "type": "string" }, "owner": { "type": "string" } } }));
        let citations = found.citations.unwrap();
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
            assert_eq!(run(schema).result, json!({}));
        }
    }

    #[test]
    fn a_later_document_fills_what_the_first_does_not_say() {
        let first = Arc::new(text::read("Permit number: A-1\n"));
        let second = Arc::new(text::read("Permit number: B-2\nOwner: Inez Callowhill\n"));
        let documents = [("one".into(), "a.txt".into(), first), ("two".into(), "b.txt".into(), second)];
        let schema = json!({ "properties": { "permitNumber": { "type": "string" }, "owner": { "type": "string" } } });
        let found = extract(&documents, &schema, true);
        assert_eq!(found.result, json!({ "permitNumber": "A-1", "owner": "Inez Callowhill" }));
        assert_eq!(found.citations.unwrap()["owner"][0]["fileVersionId"], "two");
        assert!(extract(&documents, &schema, false).citations.is_none());
    }
}
