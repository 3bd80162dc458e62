//! Finding the values that a schema asks for. What is not there is left out; nothing is guessed.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::document::{Document, Rect};
use super::facts::{Fact, Facts, Grid, Passage, Place, Source};
use super::values::typed;
use super::words;

/// Schemas within schemas.
const MAX_DEPTH: usize = 8;
/// Properties of all schemas together; those that refer to themselves would have no end.
const MAX_PROPERTIES: usize = 5_000;
/// A number that is said in a sentence stands within so many words of its name.
const WORDS_TO_NUMBER: usize = 8;
/// Label and name are the same words.
const SAME: u32 = 100;
/// Below this, a label that is another property's own is not taken.
const SURE: u32 = 75;

/// Words that may be there or not without making it another thing.
const LOOSE: [&str; 10] =
    ["name", "group", "value", "number", "text", "field", "detail", "information", "info", "full"];
/// Words that say more of a thing without making it another one.
const MODIFIERS: [&str; 9] =
    ["total", "gross", "net", "estimated", "declared", "current", "overall", "project", "final"];
/// Objects of these names group what belongs to the document as a whole.
const CONTAINERS: [&str; 13] = [
    "project",
    "document",
    "information",
    "info",
    "detail",
    "data",
    "general",
    "summary",
    "field",
    "metadata",
    "record",
    "form",
    "header",
];
/// Alone in a description they name nothing.
const GENERIC: [&str; 6] = ["date", "address", "type", "name", "number", "value"];

/// What was found.
#[derive(Debug)]
pub(crate) struct Extraction {
    /// Shaped by the schema; what is not in the documents is absent.
    pub(crate) result: Value,
    /// For each value found, under its path (`contractor.name`), the places it was read from.
    pub(crate) citations: Option<Value>,
}

/// Finds the schema's properties in documents of (file version id, file name, document).
pub(crate) fn extract(documents: &[(String, String, Arc<Document>)], schema: &Value, citations: bool) -> Extraction {
    let mut search =
        Search { budget: MAX_PROPERTIES, root: schema, facts: Facts::of(documents), citations: Map::new() };
    let result = search.object(schema, &BTreeSet::new(), "", 0);
    Extraction { result: Value::Object(result), citations: citations.then_some(Value::Object(search.citations)) }
}

/// A property as it is looked for.
struct Wanted {
    name: BTreeSet<String>,
    /// The name in the order it is written.
    in_order: Vec<String>,
    /// The words of the property it is in.
    parent: BTreeSet<String>,
    /// Both together.
    all: BTreeSet<String>,
    /// It is in no object, or in one that stands for the whole document.
    free: bool,
    description: BTreeSet<String>,
    /// What the description calls it.
    calls: Vec<BTreeSet<String>>,
}

impl Wanted {
    fn of(name: &str, schema: &Value, parent: &BTreeSet<String>, free: bool) -> Wanted {
        let text = |key: &str| schema[key].as_str().unwrap_or_default();
        let description = text("description");
        let mut calls: Vec<BTreeSet<String>> = words::phrases(description).into_iter().take(1).collect();
        let whole = words::set(description);
        // What stands in brackets or behind "or" is another name for it.
        for (open, close) in [("(", ")"), ("\"", "\""), ("'", "'"), (" or ", "."), ("called ", ".")] {
            let inner =
                description.split_once(open).map(|(_, rest)| rest.split_once(close).map_or(rest, |(inner, _)| inner));
            calls.extend(inner.map(words::set));
        }
        calls.push(words::set(text("title")));
        calls.push(whole.clone());
        calls.retain(|call| call.iter().any(|word| !GENERIC.contains(&word.as_str())));
        let in_order = words::split(name).iter().map(|word| words::canonical(word)).collect();
        let name = words::set(name);
        let all = name.union(parent).cloned().collect();
        Wanted { name, in_order, parent: parent.clone(), all, free, description: whole, calls }
    }

    /// How surely a label means this property, 0 for not at all.
    fn score(&self, label: &BTreeSet<String>, heading: &BTreeSet<String>) -> u32 {
        if label.is_empty() {
            return 0;
        }
        let all = &self.all;
        let in_part = !self.parent.is_empty() && self.parent.is_subset(heading);
        if label == all {
            return SAME + u32::from(in_part) + if self.parent.is_empty() { 0 } else { 4 };
        }
        // In an object "telephone" alone may be anybody's; under the object's own heading it is its own.
        let own = in_part || self.free;
        if own && *label == self.name {
            return SAME + 2;
        }
        if own && same_core(label, &self.name) {
            return 86;
        }
        if same_core(label, all) {
            return 85;
        }
        // "Address" under the heading "Site" is the site's address.
        let with_heading: BTreeSet<String> = label.union(heading).cloned().collect();
        let mut core_of_label = label.iter().filter(|word| !LOOSE.contains(&word.as_str())).peekable();
        let telling = core_of_label.peek().is_some();
        if core_of_label.all(|word| all.contains(word)) && all.is_subset(&with_heading) && telling {
            return 78;
        }
        if own && self.calls.iter().any(|call| call == label || same_core(label, call)) {
            return 70;
        }
        let core: BTreeSet<String> = all.iter().filter(|word| !LOOSE.contains(&word.as_str())).cloned().collect();
        if core.is_empty() || !core.is_subset(label) || !self.parent.is_empty() {
            return 0;
        }
        let mut extra = label.difference(all);
        if extra.all(|word| MODIFIERS.contains(&word.as_str()) || self.description.contains(word)) { 65 } else { 0 }
    }

    /// Whether the label ends with this property's name and has one word before it, as "Site address" for "address",
    /// and the description does not speak of something else.
    fn is_head_of(&self, label: &str) -> bool {
        let label: Vec<String> = words::split(label).iter().map(|word| words::canonical(word)).collect();
        let Some((first, head)) = label.split_first() else { return false };
        let telling = self.in_order.iter().any(|word| !LOOSE.contains(&word.as_str()));
        let about_it = |word: &String| self.name.contains(word) || GENERIC.contains(&word.as_str());
        let meant = self.description.contains(first) || self.description.iter().all(about_it);
        head == self.in_order && telling && meant && self.parent.is_empty()
    }
}

/// The same words but for those that may be there or not; one such word against another is a difference.
fn same_core(a: &BTreeSet<String>, b: &BTreeSet<String>) -> bool {
    let loose = |word: &&String| LOOSE.contains(&word.as_str());
    let core = |words: &BTreeSet<String>| words.iter().filter(|word| !loose(word)).cloned().collect::<BTreeSet<_>>();
    let (core_a, core_b) = (core(a), core(b));
    let conflict = a.difference(b).any(|word| loose(&word)) && b.difference(a).any(|word| loose(&word));
    !core_a.is_empty() && core_a == core_b && !conflict
}

struct Search<'a> {
    /// So many properties are still looked for.
    budget: usize,
    root: &'a Value,
    facts: Facts<'a>,
    citations: Map<String, Value>,
}

/// A value and where it was read.
struct Found<'a> {
    value: Value,
    places: Vec<Place<'a>>,
}

impl<'a> Search<'a> {
    fn object(&mut self, schema: &'a Value, parent: &BTreeSet<String>, path: &str, depth: usize) -> Map<String, Value> {
        let mut result = Map::new();
        let Some(properties) = self.resolve(schema)["properties"].as_object() else { return result };
        self.budget = self.budget.saturating_sub(properties.len());
        if depth > MAX_DEPTH || self.budget == 0 {
            return result;
        }
        let whole = |word: &String| CONTAINERS.contains(&word.as_str()) || self.facts.titles.contains(word);
        let free = parent.iter().all(whole);
        let wanted: Vec<Wanted> =
            properties.iter().map(|(name, schema)| Wanted::of(name, self.resolve(schema), parent, free)).collect();
        for (at, (name, schema)) in properties.iter().enumerate() {
            let schema = self.resolve(schema);
            let here = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let found = match kind(schema) {
                "object" => {
                    let mut words = parent.clone();
                    words.extend(wanted[at].name.iter().cloned());
                    let inner = self.object(schema, &words, &here, depth + 1);
                    if !inner.is_empty() {
                        result.insert(name.clone(), Value::Object(inner));
                    }
                    continue;
                }
                "array" => self.array(&wanted[at], schema),
                kind => self.single(&wanted, at, schema, kind),
            };
            if let Some(found) = found {
                let places = found.places.iter().map(Place::citation).collect();
                self.citations.insert(here, Value::Array(places));
                result.insert(name.clone(), found.value);
            }
        }
        result
    }

    /// Follows a `$ref` within the schema and takes the part of an `anyOf` that is not null.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..MAX_DEPTH {
            let pointer = schema["$ref"].as_str().and_then(|pointer| pointer.strip_prefix('#'));
            let parts = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema[key].as_array());
            let part = parts.and_then(|parts| parts.iter().find(|part| part["type"] != "null"));
            match pointer.and_then(|pointer| self.root.pointer(pointer)).or(part) {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }

    fn single(&self, all: &[Wanted], at: usize, schema: &Value, kind: &str) -> Option<Found<'a>> {
        let wanted = &all[at];
        let mut best: Option<(u32, &Fact<'a>, Value)> = None;
        for fact in &self.facts.facts {
            // A cell is asked for by its row and its column, or not at all.
            if fact.source == Source::Cell && fact.label_words != wanted.all {
                continue;
            }
            let score = wanted.score(&fact.label_words, &fact.heading);
            if score == 0 || best.as_ref().is_some_and(|(best, _, _)| *best >= score) {
                continue;
            }
            let taken = score < SURE
                && all
                    .iter()
                    .enumerate()
                    .any(|(other, wanted)| other != at && wanted.score(&fact.label_words, &fact.heading) >= SAME);
            if let Some(value) = typed(fact.value, schema, kind).filter(|_| !taken) {
                best = Some((score, fact, value));
            }
        }
        let found = best.map(|(_, fact, value)| Found { value, places: vec![fact.place] });
        found.or_else(|| self.only_one(wanted, schema, kind)).or_else(|| self.sentence(wanted, schema, kind))
    }

    /// "Site address" for "address", if no other address is there.
    fn only_one(&self, wanted: &Wanted, schema: &Value, kind: &str) -> Option<Found<'a>> {
        let pairs = self.facts.facts.iter().filter(|fact| fact.source != Source::Cell);
        let mut fitting = pairs.filter(|fact| wanted.is_head_of(&fact.label));
        let first = fitting.next()?;
        if fitting.any(|other| other.label_words != first.label_words || other.value != first.value) {
            return None;
        }
        let value = typed(first.value, schema, kind)?;
        Some(Found { value, places: vec![first.place] })
    }

    /// A value that a sentence gives: "The occupant load of the largest floor is 92 persons."
    fn sentence(&self, wanted: &Wanted, schema: &Value, kind: &str) -> Option<Found<'a>> {
        if wanted.in_order.len() < 2 || !wanted.parent.is_empty() {
            return None;
        }
        self.facts.passages.iter().find_map(|passage| {
            let text = passage.plain();
            let value = sentences(&text).find_map(|sentence| {
                let rest = behind(sentence, &wanted.in_order)?;
                match kind {
                    "number" | "integer" => {
                        let words: Vec<&str> = rest.split_whitespace().take(WORDS_TO_NUMBER).collect();
                        let at = words.iter().position(|word| word.contains(|c: char| c.is_ascii_digit()))?;
                        typed(&words[at..].join(" "), schema, kind)
                    }
                    "string" => {
                        let rest = [" is ", " was ", " are ", "= ", " reads "].iter().find_map(|verb| {
                            let padded = format!(" {rest}");
                            padded
                                .strip_prefix(verb)
                                .or_else(|| padded.trim_start().strip_prefix(verb))
                                .map(str::to_owned)
                        })?;
                        let end = rest.find([',', ';']).unwrap_or(rest.len());
                        let value = rest[..end].trim().trim_end_matches('.');
                        let short = value.split_whitespace().count() <= 8;
                        short.then(|| typed(value, schema, kind)).flatten()
                    }
                    _ => None,
                }
            })?;
            Some(Found { value, places: vec![passage.place] })
        })
    }

    fn array(&self, wanted: &Wanted, schema: &'a Value) -> Option<Found<'a>> {
        let items = self.resolve(&schema["items"]);
        match kind(items) {
            "object" => self.table(wanted, items),
            "array" => None,
            kind => self
                .column(wanted, items, kind)
                .or_else(|| self.list(wanted, items, kind))
                .or_else(|| self.enumeration(wanted, items, kind)),
        }
    }

    /// The rows of the table whose columns fit the properties best.
    fn table(&self, wanted: &Wanted, items: &'a Value) -> Option<Found<'a>> {
        let properties = items["properties"].as_object()?;
        let required: Vec<&str> =
            items["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut best: Option<(usize, &Grid<'a>, Vec<Option<usize>>)> = None;
        for grid in &self.facts.grids {
            let about = wanted.name.iter().any(|word| grid.heading.contains(word));
            let columns = fit(properties, &grid.columns, &wanted.name, |schema| self.resolve(schema));
            let matched = columns.iter().flatten().count();
            let all_required = properties
                .keys()
                .zip(&columns)
                .all(|(name, column)| column.is_some() || !required.contains(&name.as_str()));
            let enough = matched > 1 || (matched == 1 && (about || properties.len() == 1));
            let score = matched * 2 + usize::from(about);
            if all_required
                && enough
                && matched * 2 >= properties.len()
                && best.as_ref().is_none_or(|(best, _, _)| score > *best)
            {
                best = Some((score, grid, columns));
            }
        }
        let (_, grid, columns) = best?;
        let mut rows = Vec::new();
        let mut places = Vec::new();
        for (cells, file_version_id, page) in &grid.rows {
            let mut row = Map::new();
            let mut rect: Option<Rect> = None;
            for ((name, schema), column) in properties.iter().zip(&columns) {
                let schema = self.resolve(schema);
                let Some(cell) = column.and_then(|at| cells.get(at)) else { continue };
                if let Some(value) = typed(&cell.text, schema, kind(schema)) {
                    row.insert(name.clone(), value);
                    rect = Some(rect.map_or(cell.rect, |rect| rect.around(cell.rect)));
                }
            }
            if let Some(rect) = rect {
                rows.push(Value::Object(row));
                places.push(Place { file_version_id, page: *page, rect });
            }
        }
        (!rows.is_empty()).then_some(Found { value: Value::Array(rows), places })
    }

    /// The cells of a table's column.
    fn column(&self, wanted: &Wanted, items: &Value, kind: &str) -> Option<Found<'a>> {
        self.facts.grids.iter().find_map(|grid| {
            let at = grid.columns.iter().position(|column| wanted.score(&words::set(column), &grid.heading) >= SURE)?;
            let cells = grid.rows.iter().filter_map(|(cells, file_version_id, page)| {
                let cell = cells.get(at)?;
                let value = typed(&cell.text, items, kind)?;
                Some((value, Place { file_version_id, page: *page, rect: cell.rect }))
            });
            let (values, places): (Vec<Value>, Vec<Place<'a>>) = cells.unzip();
            (!values.is_empty()).then_some(Found { value: Value::Array(values), places })
        })
    }

    /// The items of the list under the heading that names it.
    fn list(&self, wanted: &Wanted, items: &Value, kind: &str) -> Option<Found<'a>> {
        let names =
            |passage: &&Passage<'a>| passage.item && !wanted.name.is_empty() && wanted.name.is_subset(&passage.heading);
        let first = self.facts.passages.iter().find(names)?;
        let of_list = self.facts.passages.iter().filter(names).filter(|passage| passage.title == first.title);
        let found = of_list.filter_map(|passage| Some((typed(&passage.plain(), items, kind)?, passage.place)));
        let (values, places): (Vec<Value>, Vec<Place<'a>>) = found.unzip();
        (!values.is_empty()).then_some(Found { value: Value::Array(values), places })
    }

    /// One value that lists several.
    fn enumeration(&self, wanted: &Wanted, items: &Value, kind: &str) -> Option<Found<'a>> {
        let pairs = self.facts.facts.iter().filter(|fact| fact.source != Source::Cell);
        let scored = pairs.map(|fact| (wanted.score(&fact.label_words, &fact.heading), fact));
        let (_, fact) =
            scored.filter(|(score, _)| *score > 0).reduce(|best, next| if next.0 > best.0 { next } else { best })?;
        let mark = if fact.value.contains(';') { ";" } else { "," };
        // In "4,250,000" a comma does not separate values.
        let parts: Vec<&str> = match kind {
            "number" | "integer" => fact.value.split("; ").flat_map(|part| part.split(", ")).collect(),
            _ => fact.value.split(mark).flat_map(|part| part.split(" and ")).collect(),
        };
        let values: Vec<Value> = parts.into_iter().filter_map(|part| typed(part, items, kind)).collect();
        (!values.is_empty()).then_some(Found { value: Value::Array(values), places: vec![fact.place] })
    }
}

/// For each property the column that it is in; no column is taken twice.
fn fit<'a>(
    properties: &'a Map<String, Value>,
    columns: &[String],
    parent: &BTreeSet<String>,
    resolve: impl Fn(&'a Value) -> &'a Value,
) -> Vec<Option<usize>> {
    let mut scores = Vec::new();
    for (at, (name, schema)) in properties.iter().enumerate() {
        let alone = Wanted::of(name, resolve(schema), &BTreeSet::new(), true);
        let within = Wanted::of(name, resolve(schema), parent, true);
        for (column, title) in columns.iter().enumerate() {
            let title = words::set(title);
            let mut score = alone.score(&title, parent).max(within.score(&title, parent));
            // The column that is called after the thing itself holds its name or number.
            let loose = alone.name.iter().all(|word| LOOSE.contains(&word.as_str()));
            if score == 0 && loose && title == *parent {
                score = SURE;
            }
            if score > 0 {
                scores.push((score, at, column));
            }
        }
    }
    scores.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let mut fitted = vec![None; properties.len()];
    for (_, at, column) in scores {
        if fitted[at].is_none() && !fitted.contains(&Some(column)) {
            fitted[at] = Some(column);
        }
    }
    fitted
}

/// The type that a schema asks for, also where it does not say so.
fn kind(schema: &Value) -> &str {
    let stated = match &schema["type"] {
        Value::String(kind) => Some(kind.as_str()),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        _ => None,
    };
    let implied = || {
        if schema["properties"].is_object() {
            "object"
        } else if schema["items"].is_object() {
            "array"
        } else {
            "string"
        }
    };
    stated.unwrap_or_else(implied)
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(". ").map(str::trim)
}

/// What follows the words in a sentence, if it has them one after another.
fn behind<'t>(sentence: &'t str, wanted: &[String]) -> Option<&'t str> {
    let mut words: Vec<(usize, String)> = Vec::new();
    let mut at = 0;
    for word in sentence.split_inclusive(char::is_whitespace) {
        at += word.len();
        let parts = words::split(word);
        words.extend(parts.iter().map(|part| (at, words::canonical(part))));
    }
    let window = words.windows(wanted.len()).find(|window| window.iter().map(|(_, word)| word).eq(wanted))?;
    sentence.get(window.last()?.0..)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
    fn a_sentence_gives_a_number() {
        assert_eq!(properties(json!({ "occupantLoad": { "type": "integer" } })), json!({ "occupantLoad": 92 }));
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
