//! PDF: follows each page's drawing operators and notes where every character comes to stand.
//!
//! Colours, clipping and paths do not matter here, so they are never looked at: a page whose
//! pictures are broken still gives its text. Everything that a file can make long is bounded.

mod cmap;
mod font;

use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use lopdf::content::{Content, Operation};
use lopdf::{Dictionary, LoadOptions, Object, ObjectId, Stream};

use self::font::Font;
use super::Unreadable;
use super::document::{Document, Rect};
use super::layout::{self, Segment, Sheet};

/// No stream may inflate to more.
const MAX_STREAM: usize = 64 * 1024 * 1024;
/// Later pages are not read.
const MAX_PAGES: usize = 2_000;
/// Drawing operators in one document.
const MAX_OPERATIONS: usize = 20_000_000;
/// Characters in one document.
const MAX_GLYPHS: usize = 10_000_000;
/// Forms within forms.
const MAX_DEPTH: usize = 12;
/// Saved graphics states.
const MAX_SAVED: usize = 256;
/// Pictures on one page.
const MAX_FIGURES: usize = 50;
/// Smaller pictures are ornaments.
const MIN_FIGURE: f64 = 0.004;
/// Time for one document; what was read until then is the result.
const MAX_TIME: Duration = Duration::from_secs(20);
/// A node of the page tree has at most so many nodes above it.
const MAX_PARENTS: usize = 64;

/// White between two characters that is wider, in sizes of the type, ends a segment.
const SEGMENT_GAP: f64 = 1.1;
/// White that is wider is a space.
const SPACE_GAP: f64 = 0.15;

pub(super) fn read(bytes: &[u8]) -> Result<Document, Unreadable> {
    Ok(Document { pages: layout::arrange(read_sheets(bytes)?) })
}

fn read_sheets(bytes: &[u8]) -> Result<Vec<Sheet>, Unreadable> {
    let head = &bytes[..bytes.len().min(1024)];
    if !head.windows(5).any(|window| window == b"%PDF-") {
        return Err(Unreadable::Corrupt("this is not a PDF".into()));
    }
    let options = LoadOptions::with_max_decompressed_size(MAX_STREAM);
    let mut pdf = lopdf::Document::load_mem_with_options(bytes, options)
        .map_err(|error| Unreadable::Corrupt(format!("the PDF cannot be read: {error}")))?;
    if pdf.is_encrypted() {
        pdf.decrypt("").map_err(|_| Unreadable::Corrupt("the PDF asks for a password".into()))?;
    }
    let pages: Vec<ObjectId> = pdf.page_iter().take(MAX_PAGES).collect();
    if pages.is_empty() {
        return Err(Unreadable::Corrupt("the PDF has no pages".into()));
    }
    let mut reader = Reader::new(&pdf);
    Ok(pages.into_iter().map(|page| reader.page(page)).collect())
}

/// An affine map, as PDF writes it: `[a b c d e f]`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Matrix([f64; 6]);

impl Matrix {
    const IDENTITY: Matrix = Matrix([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    fn of(operands: &[Object]) -> Option<Matrix> {
        let numbers = numbers(operands);
        <[f64; 6]>::try_from(numbers.as_slice()).ok().map(Matrix)
    }

    /// First this, then the other.
    fn then(self, other: Matrix) -> Matrix {
        let ([a, b, c, d, e, f], [p, q, r, s, t, u]) = (self.0, other.0);
        Matrix([a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u])
    }

    fn apply(self, x: f64, y: f64) -> (f64, f64) {
        let [a, b, c, d, e, f] = self.0;
        (a * x + c * y + e, b * x + d * y + f)
    }
}

fn number(object: &Object) -> Option<f64> {
    object.as_float().ok().map(f64::from).filter(|number| number.is_finite())
}

fn numbers(objects: &[Object]) -> Vec<f64> {
    objects.iter().filter_map(number).collect()
}

/// One character and the box it stands in, y downwards.
#[derive(Debug, Clone)]
struct Glyph {
    text: String,
    left: f64,
    right: f64,
    baseline: f64,
    size: f64,
    bold: bool,
}

#[derive(Clone)]
struct State {
    ctm: Matrix,
    font: Option<Rc<Font>>,
    size: f64,
    character_space: f64,
    word_space: f64,
    /// Horizontal scaling, 1 for the font's own width.
    scale: f64,
    leading: f64,
    rise: f64,
}

struct Reader<'a> {
    pdf: &'a lopdf::Document,
    fonts: HashMap<ObjectId, Rc<Font>>,
    operations: usize,
    glyph_count: usize,
    until: Instant,
    /// Of the page that is being read:
    glyphs: Vec<Glyph>,
    turned: Vec<Segment>,
    figures: Vec<(f64, f64, f64, f64)>,
}

impl<'a> Reader<'a> {
    fn new(pdf: &'a lopdf::Document) -> Reader<'a> {
        Reader {
            pdf,
            fonts: HashMap::new(),
            operations: 0,
            glyph_count: 0,
            until: Instant::now() + MAX_TIME,
            glyphs: Vec::new(),
            turned: Vec::new(),
            figures: Vec::new(),
        }
    }

    /// What a page or a node above it says under a key.
    fn inherited(&self, page: ObjectId, key: &[u8]) -> Option<&'a Object> {
        let mut node = self.pdf.get_dictionary(page).ok()?;
        for _ in 0..MAX_PARENTS {
            if let Ok(found) = node.get_deref(key, self.pdf) {
                return Some(found);
            }
            node = node.get_deref(b"Parent", self.pdf).ok()?.as_dict().ok()?;
        }
        None
    }

    fn page_box(&self, page: ObjectId) -> [f64; 4] {
        let read = |key: &[u8]| {
            let array = self.inherited(page, key)?.as_array().ok()?;
            let corners: Vec<f64> =
                array.iter().filter_map(|object| number(self.pdf.dereference(object).ok()?.1)).collect();
            let [a, b, c, d] = <[f64; 4]>::try_from(corners.as_slice()).ok()?;
            let sorted = [a.min(c), b.min(d), a.max(c), b.max(d)];
            (sorted[2] - sorted[0] > 1.0 && sorted[3] - sorted[1] > 1.0).then_some(sorted)
        };
        read(b"CropBox").or_else(|| read(b"MediaBox")).unwrap_or([0.0, 0.0, 612.0, 792.0])
    }

    fn page(&mut self, page: ObjectId) -> Sheet {
        let [left, bottom, right, top] = self.page_box(page);
        let (width, height) = (right - left, top - bottom);
        let turn = self.inherited(page, b"Rotate").and_then(number).map_or(0, |turn| (turn as i64).rem_euclid(360));
        // From the page's own space to a sheet that is read upright, y downwards.
        let (upright, width, height) = match turn {
            90 => (Matrix([0.0, 1.0, 1.0, 0.0, -bottom, -left]), height, width),
            180 => (Matrix([-1.0, 0.0, 0.0, 1.0, right, -bottom]), width, height),
            270 => (Matrix([0.0, -1.0, -1.0, 0.0, top, right]), height, width),
            _ => (Matrix([1.0, 0.0, 0.0, -1.0, -left, top]), width, height),
        };
        let empty = Dictionary::new();
        let resources = self.inherited(page, b"Resources").and_then(|object| object.as_dict().ok()).unwrap_or(&empty);
        let content = self.pdf.get_page_content_with_limit(page, MAX_STREAM).unwrap_or_default();
        let state = State {
            ctm: upright,
            font: None,
            size: 0.0,
            character_space: 0.0,
            word_space: 0.0,
            scale: 1.0,
            leading: 0.0,
            rise: 0.0,
        };
        self.run(&content, resources, state, 0);

        let mut segments = segments(std::mem::take(&mut self.glyphs));
        segments.append(&mut self.turned);
        segments.retain(|segment| {
            segment.right > 0.0 && segment.left < width && segment.bottom > 0.0 && segment.top < height
        });
        let figures = std::mem::take(&mut self.figures)
            .into_iter()
            .map(|(left, top, right, bottom)| Rect::new(left / width, top / height, right / width, bottom / height));
        let mut kept: Vec<Rect> = Vec::new();
        for figure in figures.filter(|figure| figure.area() >= MIN_FIGURE) {
            // A scan fills its page; it is the page, not a figure on it.
            if figure.area() < 0.9 && !kept.contains(&figure) && kept.len() < MAX_FIGURES {
                kept.push(figure);
            }
        }
        Sheet { width, height, segments, figures: kept }
    }

    fn spent(&self) -> bool {
        self.operations > MAX_OPERATIONS
            || self.glyph_count > MAX_GLYPHS
            || (self.operations.is_multiple_of(1024) && Instant::now() > self.until)
    }

    fn run(&mut self, content: &[u8], resources: &Dictionary, mut state: State, depth: usize) {
        let mut saved: Vec<State> = Vec::new();
        let mut text = Matrix::IDENTITY;
        let mut line = Matrix::IDENTITY;
        // What stands behind a broken operator is lost, what stands before it is not.
        for operation in Content::decode_iter(content).map_while(Result::ok) {
            self.operations += 1;
            if self.spent() {
                self.operations = self.operations.max(MAX_OPERATIONS + 1);
                return;
            }
            let Operation { operator, operands } = operation;
            let given = numbers(&operands);
            let first = given.first().copied();
            let mut next_line = |x: f64, y: f64| {
                line = Matrix([1.0, 0.0, 0.0, 1.0, x, y]).then(line);
                line
            };
            match operator.as_str() {
                "q" if saved.len() < MAX_SAVED => saved.push(state.clone()),
                "Q" => {
                    if let Some(before) = saved.pop() {
                        state = before;
                    }
                }
                "cm" => {
                    if let Some(matrix) = Matrix::of(&operands) {
                        state.ctm = matrix.then(state.ctm);
                    }
                }
                "BT" => {
                    text = Matrix::IDENTITY;
                    line = Matrix::IDENTITY;
                }
                "Tf" => {
                    if let [Object::Name(name), _] = operands.as_slice() {
                        state.font = self.font(resources, name);
                    }
                    state.size = first.unwrap_or(state.size);
                }
                "Tc" => state.character_space = first.unwrap_or(0.0),
                "Tw" => state.word_space = first.unwrap_or(0.0),
                "Tz" => state.scale = first.unwrap_or(100.0) / 100.0,
                "TL" => state.leading = first.unwrap_or(0.0),
                "Ts" => state.rise = first.unwrap_or(0.0),
                "Tm" => {
                    if let Some(matrix) = Matrix::of(&operands) {
                        text = matrix;
                        line = matrix;
                    }
                }
                "Td" | "TD" => {
                    if let [x, y] = given[..] {
                        if operator == "TD" {
                            state.leading = -y;
                        }
                        text = next_line(x, y);
                    }
                }
                "T*" => text = next_line(0.0, -state.leading),
                "Tj" | "'" | "\"" => {
                    if operator == "\""
                        && let [word, character] = given[..]
                    {
                        state.word_space = word;
                        state.character_space = character;
                    }
                    if operator != "Tj" {
                        text = next_line(0.0, -state.leading);
                    }
                    if let Some(Object::String(bytes, _)) = operands.last() {
                        self.show(bytes, &state, &mut text);
                    }
                }
                "TJ" => {
                    for part in operands.first().and_then(|array| array.as_array().ok()).into_iter().flatten() {
                        match part {
                            Object::String(bytes, _) => self.show(bytes, &state, &mut text),
                            other => {
                                let back = number(other).unwrap_or(0.0) / 1000.0 * state.size * state.scale;
                                text = Matrix([1.0, 0.0, 0.0, 1.0, -back, 0.0]).then(text);
                            }
                        }
                    }
                }
                "Do" => {
                    if let [Object::Name(name)] = operands.as_slice() {
                        self.object(name, resources, &state, depth);
                    }
                }
                "BI" => self.figure(state.ctm),
                _ => {}
            }
        }
    }

    /// Draws a picture or a form, that is a drawing within the drawing.
    fn object(&mut self, name: &[u8], resources: &Dictionary, state: &State, depth: usize) {
        let found = || -> Option<&'a Stream> {
            let objects = resources.get(b"XObject").ok()?;
            let objects = self.pdf.dereference(objects).ok()?.1.as_dict().ok()?;
            let id = objects.get(name).ok()?.as_reference().ok()?;
            self.pdf.get_object(id).ok()?.as_stream().ok()
        };
        let Some(stream) = found() else { return };
        match stream.dict.get(b"Subtype").and_then(Object::as_name) {
            Ok(b"Image") => self.figure(state.ctm),
            Ok(b"Form") if depth < MAX_DEPTH => {
                let matrix = stream.dict.get_deref(b"Matrix", self.pdf).and_then(Object::as_array);
                let matrix = matrix.ok().and_then(|array| Matrix::of(array)).unwrap_or(Matrix::IDENTITY);
                let own = stream.dict.get_deref(b"Resources", self.pdf).and_then(Object::as_dict);
                let inner = State { ctm: matrix.then(state.ctm), ..state.clone() };
                if let Ok(content) = stream.get_plain_content_with_limit(MAX_STREAM) {
                    self.run(&content, own.unwrap_or(resources), inner, depth + 1);
                }
            }
            _ => {}
        }
    }

    /// A picture fills the unit square of its space.
    fn figure(&mut self, ctm: Matrix) {
        let corners = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)].map(|(x, y)| ctm.apply(x, y));
        let fold = |pick: fn(&(f64, f64)) -> f64, best: fn(f64, f64) -> f64| corners.iter().map(pick).reduce(best);
        let edges = (
            fold(|corner| corner.0, f64::min),
            fold(|corner| corner.1, f64::min),
            fold(|corner| corner.0, f64::max),
            fold(|corner| corner.1, f64::max),
        );
        if let (Some(left), Some(top), Some(right), Some(bottom)) = edges
            && self.figures.len() < MAX_FIGURES * 20
        {
            self.figures.push((left, top, right, bottom));
        }
    }

    fn font(&mut self, resources: &Dictionary, name: &[u8]) -> Option<Rc<Font>> {
        let fonts = resources.get_deref(b"Font", self.pdf).ok()?.as_dict().ok()?;
        let object = fonts.get(name).ok()?;
        let id = object.as_reference().ok();
        if let Some(known) = id.and_then(|id| self.fonts.get(&id)) {
            return Some(Rc::clone(known));
        }
        let dictionary = self.pdf.dereference(object).ok()?.1.as_dict().ok()?;
        let font = Rc::new(Font::of(dictionary, self.pdf, MAX_STREAM));
        if let Some(id) = id {
            self.fonts.insert(id, Rc::clone(&font));
        }
        Some(font)
    }

    fn show(&mut self, bytes: &[u8], state: &State, text: &mut Matrix) {
        let Some(font) = state.font.as_deref() else { return };
        let mut sideways: Option<Segment> = None;
        for code in font.codes(bytes) {
            let advance = font.width(code) * state.size;
            let space = state.character_space + if code == [b' '] { state.word_space } else { 0.0 };
            let place = Matrix([state.scale, 0.0, 0.0, 1.0, 0.0, state.rise]).then(*text).then(state.ctm);
            let start = place.apply(0.0, 0.0);
            let end = place.apply(advance, 0.0);
            let up = place.apply(0.0, state.size);
            *text = Matrix([1.0, 0.0, 0.0, 1.0, (advance + space) * state.scale, 0.0]).then(*text);
            let glyph = font.text(code);
            let all_finite = [start, end, up].iter().all(|(x, y)| x.is_finite() && y.is_finite());
            if glyph.is_empty() || !all_finite || self.glyph_count > MAX_GLYPHS {
                continue;
            }
            self.glyph_count += 1;
            let size = (up.0 - start.0).hypot(up.1 - start.1);
            let level = (end.1 - start.1).abs() <= 0.2 * (end.0 - start.0).abs().max(0.01 * size) && end.0 >= start.0;
            if level {
                let (left, right) = (start.0, end.0);
                let glyph = Glyph { text: glyph, left, right, baseline: start.1, size, bold: font.bold };
                self.glyphs.push(glyph);
            } else {
                grow(&mut sideways, &glyph, &[start, end, up], size, font.bold);
            }
        }
        self.turned.extend(sideways);
    }
}

/// Text that does not run from left to right is kept as it was drawn, string by string.
fn grow(segment: &mut Option<Segment>, text: &str, corners: &[(f64, f64)], size: f64, bold: bool) {
    let (x, y) = corners[0];
    let segment = segment.get_or_insert_with(|| Segment {
        text: String::new(),
        left: x,
        right: x,
        top: y,
        bottom: y,
        size,
        bold,
    });
    segment.text.push_str(text);
    for (x, y) in corners {
        segment.left = segment.left.min(*x);
        segment.right = segment.right.max(*x);
        segment.top = segment.top.min(*y);
        segment.bottom = segment.bottom.max(*y);
    }
}

/// Puts the characters of a page together to lines, and splits these where the white is wide.
fn segments(mut glyphs: Vec<Glyph>) -> Vec<Segment> {
    glyphs.retain(|glyph| !glyph.text.trim().is_empty() && glyph.size > 0.1);
    glyphs.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    let mut lines: Vec<Vec<Glyph>> = Vec::new();
    for glyph in glyphs {
        match lines.last_mut() {
            Some(line)
                if line.last().is_some_and(|last| glyph.baseline - last.baseline < 0.3 * glyph.size.min(last.size)) =>
            {
                line.push(glyph);
            }
            _ => lines.push(vec![glyph]),
        }
    }
    let mut segments: Vec<Segment> = Vec::new();
    for mut line in lines {
        line.sort_by(|a, b| a.left.total_cmp(&b.left));
        let mut parts: Vec<Vec<Glyph>> = Vec::new();
        for glyph in line {
            match parts.last_mut().and_then(|part| part.last().cloned().map(|last| (part, last))) {
                // Drawn twice with a small shift to look bold.
                Some((_, last)) if last.text == glyph.text && glyph.left - last.left < 0.15 * glyph.size => {}
                Some((part, last)) if glyph.left - last.right < SEGMENT_GAP * glyph.size.max(last.size) => {
                    part.push(glyph)
                }
                _ => parts.push(vec![glyph]),
            }
        }
        segments.extend(parts.into_iter().filter_map(|part| segment(&part)));
    }
    segments
}

fn segment(glyphs: &[Glyph]) -> Option<Segment> {
    let first = glyphs.first()?;
    let mut text = String::new();
    let mut end = first.left;
    for glyph in glyphs {
        if !text.is_empty() && glyph.left - end > SPACE_GAP * glyph.size {
            text.push(' ');
        }
        text.push_str(glyph.text.trim());
        end = glyph.right;
    }
    let size = glyphs.iter().map(|glyph| glyph.size).fold(0.0, f64::max);
    let baseline = glyphs.iter().map(|glyph| glyph.baseline).fold(f64::MIN, f64::max);
    let bold = glyphs.iter().filter(|glyph| glyph.bold).count() * 2 > glyphs.len();
    let right = glyphs.iter().map(|glyph| glyph.right).fold(f64::MIN, f64::max);
    // A font's letters reach about so far above and below the line that they stand on.
    let (top, bottom) = (baseline - 0.78 * size, baseline + 0.22 * size);
    Some(Segment { text, left: first.left, right, top, bottom, size, bold })
}

#[cfg(test)]
mod tests {
    use lopdf::{Document as Pdf, EncryptionState, EncryptionVersion, Permissions, StringFormat, dictionary};

    use super::*;

    /// A PDF of one page with this content; the page gets the entries, its resources the objects.
    fn pdf(content: &str, page: Dictionary, objects: Vec<(&str, Object)>, fonts: Vec<(&str, Dictionary)>) -> Vec<u8> {
        let mut pdf = Pdf::with_version("1.5");
        let parent = pdf.new_object_id();
        let mut font_resources = Dictionary::new();
        for (name, font) in fonts {
            let id = pdf.add_object(font);
            font_resources.set(name, id);
        }
        let mut xobjects = Dictionary::new();
        for (name, object) in objects {
            let id = pdf.add_object(object);
            xobjects.set(name, id);
        }
        let mut stream = Stream::new(Dictionary::new(), content.as_bytes().to_vec());
        stream.compress().unwrap();
        let content = pdf.add_object(stream);
        let mut entries = dictionary! {
            "Type" => "Page",
            "Parent" => parent,
            "Contents" => content,
            "Resources" => dictionary! { "Font" => font_resources, "XObject" => xobjects },
            "MediaBox" => vec![0.into(), 0.into(), 600.into(), 800.into()],
        };
        entries.extend(&page);
        let page = pdf.add_object(entries);
        pdf.set_object(parent, dictionary! { "Type" => "Pages", "Kids" => vec![page.into()], "Count" => 1 });
        let catalog = pdf.add_object(dictionary! { "Type" => "Catalog", "Pages" => parent });
        pdf.trailer.set("Root", catalog);
        let mut bytes = Vec::new();
        pdf.save_to(&mut bytes).unwrap();
        bytes
    }

    fn helvetica() -> Dictionary {
        dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding" }
    }

    fn plain(content: &str) -> Vec<u8> {
        pdf(content, Dictionary::new(), vec![], vec![("F1", helvetica())])
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        let document = read(bytes).unwrap();
        document.blocks().map(|(_, block)| block.content()).collect()
    }

    fn form(content: &str, entries: Dictionary) -> Object {
        let mut dictionary = dictionary! { "Type" => "XObject", "Subtype" => "Form" };
        dictionary.extend(&entries);
        Stream::new(dictionary, content.as_bytes().to_vec()).into()
    }

    /// Left and top of the only block, in points from the page's top left corner, for a page of that size.
    fn corner(bytes: &[u8], width: f64, height: f64) -> (f64, f64) {
        let document = read(bytes).unwrap();
        let (left, top, ..) = document.pages[0].blocks[0].rect().edges();
        ((left * width).round(), (top * height).round())
    }

    #[test]
    fn text_is_placed_by_its_matrices() {
        let bytes = plain("q 2 0 0 2 100 0 cm BT /F1 10 Tf 1 0 0 1 50 300 Tm (Hello) Tj ET Q");
        // The baseline is 600 above the bottom, the letters 20 high, of which 0.78 stand above it.
        assert_eq!(corner(&bytes, 600.0, 800.0), (200.0, 184.0));
    }

    #[test]
    fn every_operator_that_shows_text_is_followed() {
        let bytes = plain(
            "BT /F1 10 Tf 14 TL 50 700 Td (One line goes on) Tj T* [(and, ker) -40 (ned, on)] TJ (and on,) ' 1 0 (to its end.) \" ET",
        );
        assert_eq!(texts(&bytes), ["One line goes on and, kerned, on and on, to its end."]);
    }

    #[test]
    fn a_wide_kern_is_a_space_and_a_wider_one_a_gap() {
        let bytes = plain("BT /F1 10 Tf 50 700 Td [(Owner:) -5000 (Inez) -300 (Callowhill)] TJ ET");
        let document = read(&bytes).unwrap();
        let block = &document.pages[0].blocks[0];
        assert_eq!((block.type_name(), block.content().as_str()), ("Key Value", "Owner: Inez Callowhill"));
    }

    #[test]
    fn a_turned_page_is_read_upright() {
        let content = "BT /F1 10 Tf 0 1 -1 0 107.8 50 Tm (Upright) Tj ET";
        let page = dictionary! { "Rotate" => 90 };
        let bytes = pdf(content, page, vec![], vec![("F1", helvetica())]);
        assert_eq!(texts(&bytes), ["Upright"]);
        assert_eq!(corner(&bytes, 800.0, 600.0), (50.0, 100.0));
    }

    #[test]
    fn a_page_may_begin_anywhere_and_be_cropped() {
        let page = dictionary! { "CropBox" => vec![100.into(), 200.into(), 300.into(), 600.into()] };
        let content = "BT /F1 10 Tf 150 500 Td (Inside) Tj ET BT /F1 10 Tf 20 500 Td (Out) Tj ET";
        let bytes = pdf(content, page, vec![], vec![("F1", helvetica())]);
        assert_eq!(texts(&bytes), ["Inside"]);
        assert_eq!(corner(&bytes, 200.0, 400.0), (50.0, 92.0));
    }

    #[test]
    fn sideways_text_is_not_lost() {
        let bytes = plain("BT /F1 10 Tf 0 1 -1 0 50 300 Tm (In the margin) Tj ET");
        assert_eq!(texts(&bytes), ["In the margin"]);
    }

    #[test]
    fn a_form_is_read_in_its_place_and_one_that_draws_itself_ends() {
        let inner = form(
            "BT /F1 10 Tf 0 0 Td (In a form) Tj ET",
            dictionary! {
                "Matrix" => vec![1.into(), 0.into(), 0.into(), 1.into(), 30.into(), 0.into()],
            },
        );
        let bytes =
            pdf("q 1 0 0 1 70 700 cm /X Do Q", Dictionary::new(), vec![("X", inner)], vec![("F1", helvetica())]);
        assert_eq!(corner(&bytes, 600.0, 800.0), (100.0, 92.0));
        let itself = form("/X Do /X Do BT /F1 10 Tf 50 700 Td (Again) Tj ET", Dictionary::new());
        let bytes = pdf("/X Do", Dictionary::new(), vec![("X", itself)], vec![("F1", helvetica())]);
        assert!(texts(&bytes).concat().contains("Again"));
    }

    #[test]
    fn a_picture_is_a_figure_and_a_scan_or_an_ornament_is_not() {
        let image = || -> Object {
            Stream::new(dictionary! { "Type" => "XObject", "Subtype" => "Image", "Width" => 1, "Height" => 1 }, vec![0])
                .into()
        };
        let content = "q 300 0 0 200 60 400 cm /I Do Q q 600 0 0 800 0 0 cm /I Do Q q 5 0 0 5 0 0 cm /I Do Q";
        let document = read(&pdf(content, Dictionary::new(), vec![("I", image())], vec![])).unwrap();
        let blocks = &document.pages[0].blocks;
        assert_eq!(blocks.iter().map(|block| block.type_name()).collect::<Vec<_>>(), ["Figure"]);
        let bbox = blocks[0].rect().json(1);
        assert_eq!((bbox["left"].as_f64(), bbox["top"].as_f64()), (Some(0.1), Some(0.25)));
        assert_eq!((bbox["width"].as_f64(), bbox["height"].as_f64()), (Some(0.5), Some(0.25)));
    }

    #[test]
    fn a_composite_font_is_read_by_its_table() {
        let cmap = "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CMapType 2 def\n\
                    1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n\
                    2 beginbfchar\n<0001> <0048>\n<0002> <FB01>\nendbfchar\n\
                    1 beginbfrange\n<0003> <0005> <0061>\nendbfrange\nendcmap\nend\nend\n";
        let mut pdf_bytes = Pdf::load_mem(&pdf("BT /F1 10 Tf 50 700 Td <00010002000300040005> Tj ET", Dictionary::new(), vec![], vec![
            ("F1", dictionary! { "Type" => "Font", "Subtype" => "Type0", "Encoding" => "Identity-H", "BaseFont" => "Invented" }),
        ])).unwrap();
        let map = pdf_bytes.add_object(Stream::new(Dictionary::new(), cmap.as_bytes().to_vec()));
        let descendant = pdf_bytes.add_object(dictionary! {
            "Type" => "Font",
            "Subtype" => "CIDFontType2",
            "DW" => 700,
            "W" => vec![1.into(), vec![500.into(), 400.into()].into(), 3.into(), 4.into(), 300.into()],
        });
        let font = pdf_bytes.objects.values_mut().find_map(|object| {
            object
                .as_dict_mut()
                .ok()
                .filter(|font| matches!(font.get(b"Subtype").and_then(Object::as_name), Ok(b"Type0")))
        });
        let font = font.unwrap();
        font.set("ToUnicode", map);
        font.set("DescendantFonts", vec![descendant.into()]);
        let mut bytes = Vec::new();
        pdf_bytes.save_to(&mut bytes).unwrap();
        assert_eq!(texts(&bytes), ["Hfiabc"]);
        let document = read(&bytes).unwrap();
        let (left, _, right, _) = document.pages[0].blocks[0].rect().edges();
        let width = (right - left) * 600.0;
        assert!((width - 10.0 * (0.5 + 0.4 + 0.3 + 0.3 + 0.7)).abs() < 1e-6, "{width}");
    }

    #[test]
    fn differences_name_their_glyphs() {
        let mut font = helvetica();
        font.set("Encoding", dictionary! { "Type" => "Encoding", "BaseEncoding" => "WinAnsiEncoding", "Differences" => vec![1.into(), "eacute".into()] });
        let content = "BT /F1 10 Tf 50 700 Td <43616601> Tj ET";
        let bytes = pdf(content, Dictionary::new(), vec![], vec![("F1", font)]);
        assert_eq!(texts(&bytes), ["Café"]);
    }

    #[test]
    fn what_is_no_pdf_is_corrupt() {
        for bytes in [&b""[..], b"hello", b"%PDF-1.7\nnothing of the kind", &[0xFF; 4096]] {
            assert!(matches!(read(bytes), Err(Unreadable::Corrupt(_))));
        }
    }

    #[test]
    fn only_a_pdf_that_opens_without_a_password_is_read() {
        let locked = |password: &str| {
            let mut pdf = Pdf::load_mem(&plain("BT /F1 10 Tf 50 700 Td (Secret) Tj ET")).unwrap();
            let id = Object::String(vec![7; 16], StringFormat::Hexadecimal);
            pdf.trailer.set("ID", vec![id.clone(), id]);
            let version = EncryptionVersion::V2 {
                document: &pdf,
                owner_password: "owner",
                user_password: password,
                key_length: 128,
                permissions: Permissions::all(),
            };
            let state = EncryptionState::try_from(version).unwrap();
            pdf.encrypt(&state).unwrap();
            let mut bytes = Vec::new();
            pdf.save_to(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(texts(&locked("")), ["Secret"]);
        assert_eq!(read(&locked("x")), Err(Unreadable::Corrupt("the PDF asks for a password".into())));
    }

    #[test]
    fn a_stream_that_inflates_without_end_is_not_followed() {
        let mut bomb = Stream::new(Dictionary::new(), vec![b' '; MAX_STREAM + 1024]);
        bomb.compress().unwrap();
        assert!(bomb.content.len() < 1024 * 1024);
        bomb.dict.set("Type", "XObject");
        bomb.dict.set("Subtype", "Form");
        let content = "/X Do BT /F1 10 Tf 50 700 Td (After it) Tj ET";
        let bytes = pdf(content, Dictionary::new(), vec![("X", bomb.into())], vec![("F1", helvetica())]);
        assert_eq!(texts(&bytes), ["After it"]);
    }

    #[test]
    fn a_damaged_pdf_never_panics_and_ends_soon() {
        let whole = plain("BT /F1 10 Tf 14 TL 50 700 Td (One line) Tj T* [(an) -40 (other)] TJ ET");
        let started = Instant::now();
        for cut in (0..whole.len()).step_by(7) {
            let _ = read(&whole[..cut]);
            let mut damaged = whole.clone();
            damaged[cut] = damaged[cut].wrapping_add(13);
            let _ = read(&damaged);
        }
        assert!(started.elapsed() < MAX_TIME);
    }
}
