//! Building codes: searching a small library of sections, written for the emulator.

use std::cmp::Reverse;
use std::sync::LazyLock;

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

/// The jurisdictions, and the codes with their sections.
static LIBRARY: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("codes.json")).unwrap_or_default());

pub(crate) fn search(call: &Call) -> Result<ApiResponse, Failure> {
    let body = validate::parse(&call.body, &BODY)?;
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let slug = text("jurisdiction");
    let is_known =
        |jurisdiction: &&Value| jurisdiction["slug"].as_str().is_some_and(|it| it.eq_ignore_ascii_case(slug));
    let jurisdiction = items(&LIBRARY["jurisdictions"]).find(is_known);
    let jurisdiction = jurisdiction.ok_or_else(|| Failure::new(422, "Unknown jurisdiction"))?;
    let discipline = words::set(text("codeType"));
    let query = words::set(text("query"));
    let keywords: Words = items(&body["keywords"]).filter_map(Value::as_str).flat_map(words::set).collect();
    let sections =
        items(&LIBRARY["codes"]).flat_map(|code| items(&code["sections"]).map(move |section| (code, section)));
    let mut scored: Vec<(usize, Value)> = sections
        .enumerate()
        .filter(|(_, (code, _))| {
            let known = words::set(&format!("{} {} {}", code["discipline"], code["name"], code["short"]));
            !known.is_disjoint(&discipline) && (body["year"].is_null() || body["year"] == code["year"])
        })
        .map(|(index, (code, section))| {
            let held = words::set(section["text"].as_str().unwrap_or_default());
            // Keywords count twice.
            let score = held.intersection(&query).count() + 2 * held.intersection(&keywords).count();
            (score, render(index, code, section, jurisdiction))
        })
        .filter(|(score, _)| *score > 0)
        .collect();
    // The sort is stable: sections with the same score stay in the order of the codes.
    scored.sort_by_key(|(score, _)| Reverse(*score));
    let limit = body["limit"].as_u64().unwrap_or(10) as usize;
    let results: Vec<Value> = scored.into_iter().take(limit).map(|(_, section)| section).collect();
    Ok(ApiResponse::ok(json!({ "results": results })))
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn render(index: usize, code: &Value, section: &Value, jurisdiction: &Value) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (slug, id, year) = (text(&jurisdiction["slug"]), text(&code["id"]), &code["year"]);
    let file = (section["hasFile"] != false).then(|| {
        json!({
            "id": format!("file-{slug}-{id}"),
            "name": format!("{year} {}.pdf", text(&code["short"])),
            "mimeType": "application/pdf",
            "versionId": format!("file-version-{slug}-{id}"),
            "code": { "name": code["name"], "year": year },
            "jurisdiction": { "slug": slug, "name": jurisdiction["name"] },
            "adoption": { "effectiveDate": jurisdiction["effectiveDate"], "amendments": jurisdiction["amendments"] },
            "documentTitle": format!("{year} {}", text(&code["name"])),
        })
    });
    json!({
        "id": format!("chunk-{slug}-{index}"),
        "citationId": format!("c-chunk-{slug}-{index}"),
        "pageNumber": section["page"],
        "content": [{ "citationId": format!("c-chunk-{slug}-{index}/1"), "text": section["text"] }],
        "file": file,
    })
}
