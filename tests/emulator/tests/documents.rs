//! What parse and extract jobs read from the sample permit and from PDFs of other programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
#[allow(dead_code, reason = "the generator's own main is not needed here")]
#[path = "../examples/make_permit.rs"]
mod make_permit;

use common::{Client, quick};
use serde_json::{Value, json};

/// A document that was uploaded, and the result of parsing it.
struct Parsed {
    client: Client,
    version: Value,
    job: Value,
    _emulator: nomic_emulator::Emulator,
}

fn parse(name: &str, bytes: &[u8]) -> Parsed {
    let emulator = quick();
    let version = emulator.add_file(name, bytes).unwrap().file_version_id;
    let mut client = Client::new(&emulator);
    let task = client.post("/parse", json!({ "fileVersionId": version })).expect(202)["taskId"].take();
    let job = client.wait(&format!("/parse/{}", task.as_str().unwrap()));
    Parsed { client, version: version.into(), job, _emulator: emulator }
}

impl Parsed {
    #[track_caller]
    fn blocks(&self) -> &[Value] {
        self.job["result"]["blocks"].as_array().unwrap_or_else(|| panic!("{}", self.job))
    }

    fn pages(&self) -> u64 {
        self.blocks().iter().map(|block| block["bbox"]["page"].as_u64().unwrap()).max().unwrap()
    }

    fn page_text(&self, page: u64) -> String {
        let blocks = self.blocks().iter().filter(|block| block["bbox"]["page"] == page);
        let text: Vec<&str> = blocks.map(|block| block["content"].as_str().unwrap()).collect();
        text.join("\n")
    }

    fn of_type(&self, name: &str) -> Vec<&str> {
        let blocks = self.blocks().iter().filter(|block| block["type"] == name);
        blocks.map(|block| block["content"].as_str().unwrap()).collect()
    }

    /// The result and the citations of an extract job.
    fn extract(&mut self, schema: Value) -> (Value, Value) {
        let body = json!({ "fileVersionIds": [self.version], "schema": schema, "enableCitations": true });
        let task = self.client.post("/extract", body).expect(202)["taskId"].take();
        let mut job = self.client.wait(&format!("/extract/{}", task.as_str().unwrap()));
        (job["result"].take(), job["citations"].take())
    }

    #[track_caller]
    fn assert_boxes_lie_in_their_page(&self) {
        for block in self.blocks() {
            let edge = |key: &str| block["bbox"][key].as_f64().unwrap();
            assert!(edge("left") >= 0.0 && edge("left") + edge("width") <= 1.0, "{block}");
            assert!(edge("top") >= 0.0 && edge("top") + edge("height") <= 1.0, "{block}");
            assert!(edge("width") > 0.0 && edge("height") > 0.0, "{block}");
        }
    }
}

fn permit() -> Parsed {
    parse("permit.pdf", &make_permit::permit().0)
}

#[test]
fn the_sample_permit_gives_every_line_that_its_generator_wrote() {
    let parsed = permit();
    let (_, lines) = make_permit::permit();
    assert_eq!(parsed.pages(), lines.len() as u64);
    for (page, lines) in (1..).zip(lines) {
        let text = parsed.page_text(page).replace('\n', " ");
        for line in lines {
            assert!(text.contains(&line), "{line:?} is not in {text:?}");
        }
    }
    parsed.assert_boxes_lie_in_their_page();
}

#[test]
fn the_blocks_of_the_sample_permit_have_their_types() {
    let parsed = permit();
    assert_eq!(parsed.of_type("Title"), ["Building Permit Application"]);
    let headings = [
        "Permit",
        "Applicant",
        "Site",
        "Building",
        "Contractor and fees",
        "Description of work",
        "Door schedule",
        "Site plan",
        "Conditions of approval",
        "Signatures",
    ];
    assert_eq!(parsed.of_type("Section Header"), headings);
    assert_eq!(parsed.of_type("Key Value").len(), 27);
    assert_eq!(parsed.of_type("List Item").len(), 6);
    assert_eq!(parsed.of_type("Figure").len(), 1);
    let table = parsed.of_type("Table").concat();
    assert_eq!(table.lines().count(), 8);
    assert!(table.contains("\n| D104 | Café kitchen | 42 | 84 | 45 min | Set 2 |\n"), "{table}");
}

#[test]
fn values_of_the_sample_permit_are_extracted_and_a_missing_value_is_absent() {
    let (result, citations) = permit().extract(json!({ "properties": {
        "permitNumber": { "type": "string" },
        "valuation": { "type": "number", "description": "Valuation of the work in US dollars" },
        "storeys": { "type": "integer" },
        "sprinklered": { "type": "boolean" },
        "basement": { "type": "boolean" },
        "issueDate": { "type": "string", "format": "date" },
        "contractor": { "type": "object", "properties": { "license": { "type": "string" } } },
        "expiryDate": { "type": "string", "format": "date", "description": "Date on which the permit expires" },
        "conditions": { "type": "array", "items": { "type": "string" } },
        "doors": { "type": "array", "items": { "type": "object", "properties": {
            "door": { "type": "string" }, "width": { "type": "integer" }, "fireRating": { "type": "string" } } } },
    } }));
    let mut expected = json!({
        "permitNumber": "PH-2026-0417", "valuation": 4_250_000, "storeys": 4, "sprinklered": true, "basement": false,
        "issueDate": "2026-03-09", "contractor": { "license": "TC-90218" },
    });
    expected["conditions"] = result["conditions"].clone();
    expected["doors"] = result["doors"].clone();
    assert_eq!(result, expected);
    assert_eq!(result["conditions"][5], "The permit lapses if no work has begun within 180 days.");
    assert_eq!(result["doors"].as_array().unwrap().len(), 6);
    assert_eq!(result["doors"][3], json!({ "door": "D104", "width": 42, "fireRating": "45 min" }));
    assert_eq!((&citations["permitNumber"][0]["page"], &citations["doors"][0]["page"]), (&json!(1), &json!(2)));
    let storeys = &citations["storeys"][0]["bbox"];
    let width = storeys["width"].as_f64().unwrap();
    assert!(width > 0.005 && width < 0.02, "one digit is cited, not its line: {storeys}");
}

#[test]
fn a_pdf_of_latex_with_two_columns_is_read_column_by_column() {
    let mut parsed = parse("latex.pdf", include_bytes!("data/latex.pdf"));
    assert_eq!(parsed.pages(), 2);
    let first = parsed.page_text(1);
    assert!(first.contains("and the official readings were taken by two people who did not speak"), "{first}");
    assert!(!first.contains("The foundation of the office building"), "{first}");
    assert!(parsed.page_text(2).contains("The foundation of the office building may be built as it was drawn."));
    assert_eq!(parsed.of_type("Title"), ["Pile Test Report"]);
    let headings = parsed.of_type("Section Header");
    for heading in ["1 Scope", "2 Findings", "3 Measurements", "4 Conclusion", "5 Remarks"] {
        assert!(headings.contains(&heading), "{headings:?}");
    }
    assert_eq!(parsed.of_type("List Item")[0], "Keep the load cells dry.");
    assert!(parsed.of_type("Table")[0].contains("| P2 | 21 | 1710 |"));
    parsed.assert_boxes_lie_in_their_page();
    let (result, citations) = parsed.extract(json!({ "properties": {
        "reportNumber": { "type": "string" }, "designLoad": { "type": "number" }, "accepted": { "type": "boolean" } } }));
    assert_eq!(result, json!({ "reportNumber": "HW-2026-31", "designLoad": 1450, "accepted": true }));
    assert_eq!(citations["reportNumber"][0]["page"], 1);
}

#[test]
fn a_pdf_of_a_browser_is_read() {
    let mut parsed = parse("browser.pdf", include_bytes!("data/browser.pdf"));
    assert_eq!(parsed.pages(), 2);
    assert!(parsed.page_text(1).contains("It ends without notice on the last day of the season"));
    assert!(parsed.page_text(2).contains("Signed in Port Halcyon by both parties — in two copies."));
    assert_eq!(parsed.of_type("Title"), ["Berth Agreement"]);
    assert_eq!(parsed.of_type("Section Header"), ["Parties", "Fees", "Rules"]);
    assert_eq!(parsed.of_type("List Item")[1], "2. No fires on board between dusk and dawn.");
    assert!(parsed.of_type("Table")[0].ends_with("| Crane | hour | 95 |"));
    parsed.assert_boxes_lie_in_their_page();
    let (result, citations) = parsed.extract(json!({ "properties": {
        "agreementNumber": { "type": "string" },
        "rules": { "type": "array", "items": { "type": "string" } } } }));
    assert_eq!(result["agreementNumber"], "BA-2026-088");
    assert_eq!(result["rules"].as_array().unwrap().len(), 3);
    assert_eq!((&citations["agreementNumber"][0]["page"], &citations["rules"][0]["page"]), (&json!(1), &json!(2)));
}

#[test]
fn a_pdf_of_an_office_program_is_read() {
    let mut parsed = parse("office.pdf", include_bytes!("data/office.pdf"));
    assert_eq!(parsed.pages(), 2);
    assert!(parsed.page_text(1).contains("The inspector walked all four storeys with the contractor"));
    assert!(parsed.page_text(2).contains("the building may stay open while the work is done."));
    assert_eq!(parsed.of_type("Title"), ["Site Inspection"]);
    assert_eq!(parsed.of_type("Section Header"), ["Record", "Defects", "Next steps"]);
    assert!(parsed.of_type("Table")[0].contains("| Roof | Drain is blocked | 3 |"));
    parsed.assert_boxes_lie_in_their_page();
    let (result, citations) = parsed.extract(json!({ "properties": {
        "inspector": { "type": "string" }, "inspectionDate": { "type": "string", "format": "date" } } }));
    assert_eq!(result, json!({ "inspector": "Thaddeus Okonjo-Reyes", "inspectionDate": "2026-06-03" }));
    assert_eq!(citations["inspector"][0]["page"], 1);
}

#[test]
fn only_a_pdf_that_opens_without_a_password_is_read() {
    assert_eq!(parse("encrypted.pdf", include_bytes!("data/encrypted.pdf")).page_text(1), "Safe: PH-7");
    let locked = parse("locked.pdf", include_bytes!("data/locked.pdf"));
    assert_eq!(locked.job["error"], "Cannot read locked.pdf: the PDF needs a password");
}

#[test]
fn a_decompression_bomb_leaves_the_emulator_running() {
    let mut parsed = parse("bomb.pdf", include_bytes!("data/bomb.pdf"));
    assert_eq!(parsed.job["error"], "Cannot read bomb.pdf: there is no text in it");
    parsed.client.get("/files/search?query=bomb").expect(200);
}
