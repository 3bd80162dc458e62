//! Writes the sample permit, a PDF of three pages: `cargo run -p nomic-emulator --example make_permit -- permit.pdf`.
//!
//! All names in it are made up. The output is always the same.

use std::error::Error;
use std::fmt::Write as _;

const WIDTH: f32 = 612.0;
const HEIGHT: f32 = 792.0;
const LEFT: f32 = 54.0;
const RIGHT: f32 = WIDTH - 54.0;

const INK: [f32; 3] = [0.11, 0.13, 0.17];
const BLUE: [f32; 3] = [0.07, 0.25, 0.42];
const GREY: [f32; 3] = [0.42, 0.46, 0.52];
const PALE: [f32; 3] = [0.92, 0.94, 0.97];
const WHITE: [f32; 3] = [1.0, 1.0, 1.0];

/// The widths of Helvetica's characters from space to tilde, in thousandths of its size.
const REGULAR: [i64; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
];
/// The same of Helvetica Bold.
const BOLD: [i64; 95] = [
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556, 333, 556, 611, 556, 611,
    556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611, 611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389,
    280, 389, 584,
];

/// A label and its value.
type Field = (&'static str, &'static str);

/// The form of page 1: a heading, then rows of one or two labelled values.
const FORM: [(&str, &[&[Field]]); 5] = [
    (
        "Permit",
        &[
            &[("Permit number", "PH-2026-0417"), ("Permit type", "New construction")],
            &[("Application date", "2 February 2026"), ("Issue date", "9 March 2026")],
        ],
    ),
    (
        "Applicant",
        &[
            &[("Applicant", "Marisol Quayle"), ("Company", "Lanternfish Architects")],
            &[("E-mail", "m.quayle@lanternfish.example"), ("Telephone", "555-0142")],
        ],
    ),
    (
        "Site",
        &[
            &[("Site address", "18 Breakwater Lane, Port Halcyon"), ("Parcel number", "044-318-07")],
            &[("Zoning district", "HM-2 Harbor Mixed Use"), ("Lot area", "21,400 sq ft")],
        ],
    ),
    (
        "Building",
        &[
            &[("Occupancy group", "B (Business)"), ("Construction type", "II-B")],
            &[("Number of storeys", "4"), ("Gross floor area", "38,650 sq ft")],
            &[("Building height", "52 ft"), ("Sprinklered", "Yes")],
            &[("Fire alarm", "Yes"), ("Basement", "No")],
        ],
    ),
    (
        "Contractor and fees",
        &[
            &[("Contractor", "Tidewater & Daughters Builders"), ("License number", "TC-90218")],
            &[("Valuation", "USD 4,250,000"), ("Permit fee", "USD 31,875")],
        ],
    ),
];

const WORK: [&str; 2] = [
    "The applicant will erect a four-storey office building with a ground floor café on the vacant parcel at the \
     head of Breakwater Lane. The frame is structural steel on driven piles; the floors are composite deck with a \
     lightweight concrete topping. The existing sea wall remains as it stands and carries no load of the new work.",
    "All floors are protected by an automatic sprinkler system with a single riser in stair A. Smoke detectors in the \
     elevator lobbies recall both cars to the ground floor. The occupant load of the largest floor is 92 persons, and \
     two enclosed stairs serve every floor.",
];

const DOORS: [[&str; 6]; 7] = [
    ["Door", "Location", "Width (in)", "Height (in)", "Fire rating", "Hardware"],
    ["D101", "Main entrance", "72", "84", "None", "Set 1"],
    ["D102", "Lobby to stair A", "36", "84", "90 min", "Set 3"],
    ["D103", "Electrical room", "36", "84", "90 min", "Set 4"],
    ["D104", "Café kitchen", "42", "84", "45 min", "Set 2"],
    ["D201", "Elevator lobby", "72", "96", "20 min", "Set 3"],
    ["D202", "Stair B to roof", "36", "80", "60 min", "Set 5"],
];
const DOOR_COLUMNS: [f32; 6] = [60.0, 120.0, 250.0, 325.0, 405.0, 485.0];

const CONDITIONS: [&str; 6] = [
    "Keep one approved set of drawings on the site until the final inspection has been passed.",
    "Notify the Harbor Works office 48 hours before any pile is driven, and stop driving between 7 pm and 7 am.",
    "Fire doors D102, D103 and D202 must be self-closing and labelled before the ceiling is closed.",
    "No storage of fuel within 50 feet of the sea wall.",
    "The café may not open to the public before the kitchen hood has been tested and its report filed.",
    "The permit lapses if no work has begun within 180 days.",
];

const SIGNATURES: [(&str, &str); 3] = [
    ("Reviewed by", "Odalys Brandt, Plan Examiner"),
    ("Approved by", "Thaddeus Okonjo-Reyes, Building Official"),
    ("Accepted by", "Marisol Quayle, Applicant"),
];

/// The sample: the bytes of the file, and the lines of text on each of its pages.
pub(crate) fn permit() -> (Vec<u8>, Vec<Vec<String>>) {
    let pages = [form(), description(), conditions()];
    let (mut kids, mut contents, mut lines) = (String::new(), Vec::new(), Vec::new());
    for (index, page) in pages.into_iter().enumerate() {
        let (id, content_id) = (7 + 2 * index, 8 + 2 * index);
        let _ = write!(kids, "{id} 0 R ");
        contents.push(format!("<</Type/Page/Parent 2 0 R/Contents {content_id} 0 R>>").into_bytes());
        contents.push(stream("", &page.operations));
        lines.push(page.lines);
    }
    let resources = "/Resources<</Font<</F1 3 0 R/F2 4 0 R>>/XObject<</Plan 5 0 R>>>>";
    let mut objects = vec![
        b"<</Type/Catalog/Pages 2 0 R/Lang(en-US)>>".to_vec(),
        format!("<</Type/Pages/Kids[{kids}]/Count 3{resources}/MediaBox[0 0 {WIDTH} {HEIGHT}]>>").into_bytes(),
        font("Helvetica", &REGULAR),
        font("Helvetica-Bold", &BOLD),
        site_plan(),
        b"<</Title(Building Permit PH-2026-0417)/Author(City of Port Halcyon \\(invented\\))>>".to_vec(),
    ];
    objects.append(&mut contents);
    (pdf(&objects), lines)
}

/// A PDF with these objects. The first is the catalog, the sixth has the title.
fn pdf(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"%PDF-1.5\n%\xBB\xAD\xC0\xDE\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (index, object) in objects.iter().enumerate() {
        let _ = writeln!(table, "{:010} 00000 n ", bytes.len());
        bytes.extend(format!("{} 0 obj\n", index + 1).bytes());
        bytes.extend(object);
        bytes.extend(b"\nendobj\n");
    }
    let trailer = format!("trailer\n<</Size {}/Root 1 0 R/Info 6 0 R>>\n", objects.len() + 1);
    let end = format!("{table}{trailer}startxref\n{}\n%%EOF\n", bytes.len());
    bytes.extend(end.bytes());
    bytes
}

fn stream(entries: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = format!("<<{entries}/Length {}>>\nstream\n", content.len()).into_bytes();
    bytes.extend(content);
    bytes.extend(b"\nendstream");
    bytes
}

fn form() -> Page {
    let mut page = Page::new(1);
    page.rectangle(0.0, 694.0, WIDTH, 98.0, BLUE);
    page.text(LEFT, 758.0, 10.0, false, WHITE, "City of Port Halcyon");
    page.text(LEFT, 743.0, 9.0, false, WHITE, "Department of Building and Harbor Works");
    page.text(LEFT, 712.0, 22.0, true, WHITE, "Building Permit Application");
    let mut y = 664.0;
    for (heading, rows) in FORM {
        page.heading(y, heading);
        y -= 26.0;
        for row in rows {
            for (column, (label, value)) in row.iter().enumerate() {
                let x = LEFT + column as f32 * 286.0;
                page.text(x, y, 9.0, false, GREY, &format!("{label}:"));
                page.text(x + [96.0, 98.0][column], y, 10.0, false, INK, value);
            }
            page.rule(LEFT, RIGHT, y - 6.0, 0.4);
            y -= 21.0;
        }
        y -= 15.0;
    }
    page
}

fn description() -> Page {
    let mut page = Page::new(2);
    page.heading(726.0, "Description of work");
    let mut y = 702.0;
    for paragraph in WORK {
        for line in wrap(paragraph, RIGHT - LEFT, 10.0) {
            page.text(LEFT, y, 10.0, false, INK, &line);
            y -= 14.0;
        }
        y -= 10.0;
    }
    y -= 14.0;
    page.heading(y, "Door schedule");
    y -= 28.0;
    for (number, row) in DOORS.iter().enumerate() {
        let header = number == 0;
        if header {
            page.rectangle(LEFT, y - 7.0, RIGHT - LEFT, 20.0, PALE);
        }
        for (cell, x) in row.iter().zip(DOOR_COLUMNS) {
            page.text(x, y, 9.5, header, INK, cell);
        }
        page.rule(LEFT, RIGHT, y - 7.0, 0.4);
        y -= 20.0;
    }
    y -= 24.0;
    page.heading(y, "Site plan");
    page.picture("Plan", LEFT, y - 176.0, 320.0, 160.0);
    page.text(LEFT, y - 190.0, 8.5, false, GREY, "Figure 1. The building on its parcel, not to scale.");
    page
}

fn conditions() -> Page {
    let mut page = Page::new(3);
    page.heading(726.0, "Conditions of approval");
    let mut y = 702.0;
    for (number, condition) in CONDITIONS.iter().enumerate() {
        page.text(LEFT, y, 10.0, false, INK, &format!("{}.", number + 1));
        for line in wrap(condition, RIGHT - LEFT - 16.0, 10.0) {
            page.text(LEFT + 16.0, y, 10.0, false, INK, &line);
            y -= 14.0;
        }
        y -= 6.0;
    }
    y -= 20.0;
    page.heading(y, "Signatures");
    y -= 60.0;
    for (label, name) in SIGNATURES {
        page.rule(LEFT + 110.0, LEFT + 380.0, y + 14.0, 0.8);
        page.text(LEFT, y, 9.0, false, GREY, &format!("{label}:"));
        page.text(LEFT + 110.0, y, 10.0, false, INK, name);
        y -= 56.0;
    }
    page
}

/// A page and the lines of text on it.
struct Page {
    operations: Vec<u8>,
    lines: Vec<String>,
}

impl Page {
    fn new(number: usize) -> Page {
        let mut page = Page { operations: Vec::new(), lines: Vec::new() };
        page.rule(LEFT, RIGHT, 52.0, 0.4);
        page.text(LEFT, 38.0, 8.0, false, GREY, "Port Halcyon is an invented city; this permit permits nothing.");
        let folio = format!("Page {number} of 3");
        page.text(RIGHT - text_width(&folio, 8.0), 38.0, 8.0, false, GREY, &folio);
        page
    }

    fn draw(&mut self, operator: &str, numbers: &[f32]) {
        let numbers: String = numbers.iter().map(|number| format!("{number} ")).collect();
        self.operations.extend(format!("{numbers}{operator}\n").bytes());
    }

    fn rectangle(&mut self, x: f32, y: f32, width: f32, height: f32, colour: [f32; 3]) {
        self.draw("rg", &colour);
        self.draw("re", &[x, y, width, height]);
        self.draw("f", &[]);
    }

    fn rule(&mut self, from: f32, to: f32, y: f32, width: f32) {
        self.draw("RG", &GREY);
        self.draw("w", &[width]);
        self.draw("m", &[from, y]);
        self.draw("l", &[to, y]);
        self.draw("S", &[]);
    }

    fn heading(&mut self, y: f32, text: &str) {
        self.text(LEFT, y, 13.0, true, BLUE, text);
    }

    fn text(&mut self, x: f32, y: f32, size: f32, bold: bool, colour: [f32; 3], text: &str) {
        self.lines.push(text.to_owned());
        self.draw("rg", &colour);
        self.draw("BT", &[]);
        self.operations.extend(if bold { b"/F2 " } else { b"/F1 " });
        self.draw("Tf", &[size]);
        self.draw("Td", &[x, y]);
        self.operations.push(b'(');
        // Latin 1 and the font's own encoding agree on every character that is used here.
        for byte in text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')) {
            if b"()\\".contains(&byte) {
                self.operations.push(b'\\');
            }
            self.operations.push(byte);
        }
        self.operations.push(b')');
        self.draw("Tj", &[]);
        self.draw("ET", &[]);
    }

    fn picture(&mut self, name: &str, x: f32, y: f32, width: f32, height: f32) {
        self.draw("q", &[]);
        self.draw("cm", &[width, 0.0, 0.0, height, x, y]);
        self.operations.extend(format!("/{name} ").bytes());
        self.draw("Do", &[]);
        self.draw("Q", &[]);
    }
}

fn text_width(text: &str, size: f32) -> f32 {
    let width = |c: char| {
        let at = u32::from(c).checked_sub(32).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| REGULAR.get(at)).copied().unwrap_or(556)
    };
    text.chars().map(width).sum::<i64>() as f32 * size / 1000.0
}

fn wrap(text: &str, width: f32, size: f32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if text_width(&format!("{line} {word}"), size) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn font(name: &str, widths: &[i64; 95]) -> Vec<u8> {
    // Beyond ASCII every letter that is used here is as wide as an e.
    let widths = widths.iter().copied().chain((127..=255).map(|_| 556));
    let widths: String = widths.map(|width| format!("{width} ")).collect();
    let encoding = "/Encoding/WinAnsiEncoding/FirstChar 32/LastChar 255";
    format!("<</Type/Font/Subtype/Type1/BaseFont/{name}{encoding}/Widths[{widths}]>>").into_bytes()
}

/// The plan as a picture of black and white dots.
fn site_plan() -> Vec<u8> {
    const COLUMNS: usize = 320;
    const ROWS: usize = 160;
    let on_edge = |x: usize, y: usize, left: usize, top: usize, right: usize, bottom: usize| {
        let inside = (left..=right).contains(&x) && (top..=bottom).contains(&y);
        inside && (x < left + 2 || x + 2 > right || y < top + 2 || y + 2 > bottom)
    };
    let is_black = |x: usize, y: usize| {
        let sheet = on_edge(x, y, 0, 0, COLUMNS - 1, ROWS - 1);
        let parcel = on_edge(x, y, 40, 16, 280, 112) && (x + y) % 8 < 6;
        let building =
            on_edge(x, y, 70, 34, 210, 94) || ((70..=210).contains(&x) && (34..=94).contains(&y) && (x + y) % 12 < 1);
        let stairs = (on_edge(x, y, 80, 44, 100, 64) || on_edge(x, y, 180, 64, 200, 84)) && y % 4 < 2;
        let road = (y == 124 || y == 125 || y == 148 || y == 149) || ((136..=137).contains(&y) && x % 24 < 14);
        let trees = [(240_usize, 40_usize), (256, 64), (240, 88)].iter().any(|(cx, cy)| {
            let (dx, dy) = (x.abs_diff(*cx), y.abs_diff(*cy));
            (42..=64).contains(&(dx * dx + dy * dy))
        });
        sheet || parcel || building || stairs || road || trees
    };
    let mut bits = Vec::with_capacity(COLUMNS * ROWS / 8);
    for y in 0..ROWS {
        for byte in 0..COLUMNS / 8 {
            let bit = |bit: usize| u8::from(!is_black(byte * 8 + bit, y)) << (7 - bit);
            bits.push((0..8).map(bit).sum());
        }
    }
    let size = format!("/Width {COLUMNS}/Height {ROWS}");
    stream(&format!("/Type/XObject/Subtype/Image{size}/ColorSpace/DeviceGray/BitsPerComponent 1"), &bits)
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("say where to write the PDF")?;
    std::fs::write(path, permit().0)?;
    Ok(())
}
