//! Building codes: searching a small library of sections, written for the emulator.

use serde_json::{Value, json};

use crate::api::{ApiResponse, Call};
use crate::failure::Failure;
use crate::validate::{self, Shape, list, object, optional, required};
use crate::words::{self, Words};

static BODY: Shape = object(&[
    required("query", Shape::Text),
    required("jurisdiction", Shape::Text),
    required("codeType", Shape::Text),
    optional("year", Shape::Integer { minimum: i64::MIN, maximum: i64::MAX }),
    optional("limit", Shape::Integer { minimum: 1, maximum: 50 }),
    optional("keywords", list(&Shape::Text)),
]);

struct Code {
    discipline: &'static str,
    name: &'static str,
    short: &'static str,
    year: i64,
}

struct Section {
    code: usize,
    page: u64,
    text: &'static str,
    /// Whether the response says which file the section is in.
    has_file: bool,
}

const JURISDICTIONS: [(&str, &str, &str); 3] = [
    ("texas", "Texas", "2023-01-01"),
    ("california", "California", "2022-07-01"),
    ("new-york", "New York", "2024-03-15"),
];

const CODES: [Code; 5] = [
    Code { discipline: "Building", name: "International Building Code", short: "IBC", year: 2021 },
    Code { discipline: "Building", name: "International Building Code", short: "IBC", year: 2018 },
    Code { discipline: "Fire", name: "Sprinkler Systems Standard", short: "NFPA 13", year: 2022 },
    Code { discipline: "Energy", name: "International Energy Conservation Code", short: "IECC", year: 2021 },
    Code { discipline: "Plumbing", name: "International Plumbing Code", short: "IPC", year: 2021 },
];

const fn section(code: usize, page: u64, text: &'static str) -> Section {
    Section { code, page, text, has_file: true }
}

#[rustfmt::skip]
const SECTIONS: [Section; 14] = [
    section(0, 42, "Section 903.2.1 - An automatic sprinkler system is needed in an assembly room once its fire area or its number of occupants passes the limits of this section."),
    section(0, 57, "Section 1005.3 - The width of a stair is the occupant load times the width per person; a door on the way out is measured in the clear."),
    section(0, 61, "Section 1010.1 - Doors on an egress route swing with the flow of people where fifty or more may use them, and open without a key."),
    section(0, 88, "Section 1209.2 - Rooms that people live in are at least seven feet wide; kitchens may be narrower."),
    section(0, 93, "Section 1607.1 - Floors carry the live load of their use: offices less than corridors, corridors less than stacks of books."),
    section(1, 40, "Section 903.2.1 - In the earlier edition an automatic sprinkler system is asked for at a larger fire area."),
    section(1, 59, "Section 1010.1 - In the earlier edition a door may need one motion more to open."),
    section(2, 12, "Section 8.6 - Sprinklers stand no farther apart than the hazard allows, and no closer than would wet each other."),
    section(2, 19, "Section 9.1 - Hangers hold a sprinkler pipe filled with water and a man's weight besides."),
    section(2, 27, "Section 20.4 - Water supply is proven by a flow test near the building, done within the last year."),
    section(3, 33, "Section C402.1 - The envelope's insulation depends on the climate zone; a roof needs more than a wall."),
    section(3, 38, "Section C405.2 - Lighting goes off by itself in rooms where nobody is; occupancy sensors do it within twenty minutes."),
    section(4, 21, "Section 403.1 - The number of fixtures follows the occupant load; a small shop needs one toilet only."),
    Section { code: 0, page: 7, text: "Errata sheet - Corrections to the egress and sprinkler tables, published apart from the code.", has_file: false },
];

pub(crate) fn search(call: &Call) -> Result<ApiResponse, Failure> {
    let body = validate::parse(&call.body, &BODY)?;
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let jurisdiction = JURISDICTIONS.iter().find(|(slug, ..)| slug.eq_ignore_ascii_case(text("jurisdiction")));
    let jurisdiction = jurisdiction.ok_or_else(|| Failure::unprocessable("Unknown jurisdiction"))?;
    let discipline = words::set(text("codeType"));
    let query = words::set(text("query"));
    let keywords: Words =
        body["keywords"].as_array().into_iter().flatten().filter_map(Value::as_str).flat_map(words::set).collect();
    let mut scored: Vec<(usize, usize)> = SECTIONS
        .iter()
        .enumerate()
        .filter(|(_, section)| {
            let code = &CODES[section.code];
            let known = words::set(&format!("{} {} {}", code.discipline, code.name, code.short));
            known.intersection(&discipline).next().is_some()
                && body["year"].as_i64().is_none_or(|year| year == code.year)
        })
        .map(|(index, section)| {
            let held = words::set(section.text);
            // Keywords count twice.
            (held.intersection(&query).count() + 2 * held.intersection(&keywords).count(), index)
        })
        .filter(|(score, _)| *score > 0)
        .collect();
    // The sort is stable: sections with the same score stay in the order of the codes.
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    let limit = body["limit"].as_u64().unwrap_or(10) as usize;
    let results = scored.iter().take(limit).map(|(_, index)| render(*index, jurisdiction));
    Ok(ApiResponse::ok(json!({ "results": results.collect::<Vec<_>>() })))
}

fn render(index: usize, (slug, jurisdiction, effective): &(&str, &str, &str)) -> Value {
    let section = &SECTIONS[index];
    let code = &CODES[section.code];
    let id = format!("chunk-{slug}-{index}");
    let citation = format!("c-{id}");
    let file = section.has_file.then(|| {
        json!({
            "id": format!("file-{slug}-{}", section.code),
            "name": format!("{} {}.pdf", code.year, code.short),
            "mimeType": "application/pdf",
            "versionId": format!("file-version-{slug}-{}", section.code),
            "code": { "name": code.name, "year": code.year },
            "jurisdiction": { "slug": slug, "name": jurisdiction },
            "adoption": { "effectiveDate": effective, "amendments": *slug != "texas" },
            "documentTitle": format!("{} {}", code.year, code.name),
        })
    });
    json!({
        "id": id,
        "citationId": citation,
        "pageNumber": section.page,
        "content": [{ "citationId": format!("{citation}/1"), "text": section.text }],
        "file": file,
    })
}
