//! PDF: pdfboss reads the text with its positions and finds headings, paragraphs, lists and tables.

use std::time::{Duration, Instant};

use pdfboss_core::Error;
use pdfboss_output::{self as output, BBox, Line, PageLayout, document_layout_with_rulings};
use pdfboss_text::{FontCache, PlacedImage, ReadingOrder, Ruling, TextSpan};

use super::document::{Block, Cell, Document, Kind, Rect, join};
use super::lines;

/// Later pages are not read.
const MAX_PAGES: usize = 2_000;
/// The time limit for one document. Later pages are not read.
const MAX_TIME: Duration = Duration::from_secs(20);
/// Smaller pictures are ornaments, larger ones are scans of the page.
const FIGURE_AREA: std::ops::Range<f64> = 0.004..0.9;
const MAX_FIGURES: usize = 50;
/// More text on one page is not read.
const MAX_SPANS: usize = 20_000;
/// A gap between two spans that is wider, in font sizes, separates columns or words.
const COLUMN_GAP: f32 = 1.1;
const WORD_GAP: f32 = 0.15;

pub(super) fn read(bytes: Vec<u8>) -> Result<Document, String> {
    let pdf = match pdfboss_core::Document::load(bytes) {
        Ok(pdf) if !pdf.is_locked() => pdf,
        Ok(_) | Err(Error::Encrypted) => return Err("the PDF needs a password".into()),
        Err(error) => return Err(format!("the PDF cannot be read: {error}")),
    };
    let (fonts, deadline) = (FontCache::default(), Instant::now() + MAX_TIME);
    let pages = (0..pdf.flattened_page_count().min(MAX_PAGES)).take_while(|_| Instant::now() < deadline);
    let pages = pages.filter_map(|index| pdf.page(index).ok());
    let sheets: Vec<Sheet> = pages.map(|page| Sheet::read(&pdf, page, &fonts)).collect();
    if sheets.is_empty() {
        return Err("the PDF has no pages".into());
    }
    let layouts = |is_ruled: bool| {
        let rulings = |sheet: &Sheet| if is_ruled { sheet.rulings.clone() } else { Vec::new() };
        let page = |sheet: &Sheet| (sheet.spans.clone(), rulings(sheet), ReadingOrder::Content);
        document_layout_with_rulings(&sheets.iter().map(page).collect::<Vec<_>>())
    };
    let layouts = layouts(true).into_iter().zip(layouts(false));
    let mut has_title = false;
    let page = |(sheet, (ruled, plain)): (&Sheet, (PageLayout, PageLayout))| {
        // Rulings separate cells, but can also separate a table from its header.
        let layout = if cells(&ruled) < cells(&plain) { plain } else { ruled };
        sheet.blocks(layout.blocks, &mut has_title)
    };
    Ok(Document { pages: sheets.iter().zip(layouts).map(page).collect() })
}

/// The number of table cells with text.
fn cells(layout: &PageLayout) -> usize {
    let cells = |block: &output::Block| match block {
        output::Block::Table { rows, .. } => rows.iter().flatten().filter(|cell| cell.line.is_some()).count(),
        _ => 0,
    };
    layout.blocks.iter().map(cells).sum()
}

/// The content of a page.
struct Sheet {
    page: pdfboss_core::Page,
    spans: Vec<TextSpan>,
    rulings: Vec<Ruling>,
    figures: Vec<Rect>,
}

impl Sheet {
    fn read(pdf: &pdfboss_core::Document, page: pdfboss_core::Page, fonts: &FontCache) -> Sheet {
        let order = ReadingOrder::Content;
        let read = pdfboss_text::extract_spans_and_rulings_reporting_cached(pdf, &page, fonts, order);
        let (mut spans, rulings) = read.map(|(spans, rulings, _)| (spans, rulings)).unwrap_or_default();
        output::retain_spans_on_page(&mut spans, &page);
        spans.truncate(MAX_SPANS);
        let images = pdfboss_text::placed_images(pdf, &page).unwrap_or_default();
        let mut sheet = Sheet { page, spans, rulings, figures: Vec::new() };
        let rect = |image: &PlacedImage| sheet.rect(image.bbox.x0, image.bbox.y0, image.bbox.x1, image.bbox.y1);
        sheet.figures =
            images.iter().map(rect).filter(|rect| FIGURE_AREA.contains(&rect.area())).take(MAX_FIGURES).collect();
        sheet
    }

    /// A rectangle of the page's own space, as the page is read.
    fn rect(&self, x0: f32, y0: f32, x1: f32, y1: f32) -> Rect {
        let page = self.page.crop_box;
        let across = |x: f32| f64::from((x - page.x0) / (page.x1 - page.x0));
        let down = |y: f32| f64::from((page.y1 - y) / (page.y1 - page.y0));
        let (left, top, right, bottom) = (across(x0), down(y1), across(x1), down(y0));
        match self.page.rotate {
            90 => Rect::new(1.0 - bottom, left, 1.0 - top, right),
            180 => Rect::new(1.0 - right, 1.0 - bottom, 1.0 - left, 1.0 - top),
            270 => Rect::new(top, 1.0 - right, bottom, 1.0 - left),
            _ => Rect::new(left, top, right, bottom),
        }
    }

    fn blocks(&self, layout: Vec<output::Block>, has_title: &mut bool) -> Vec<Block> {
        let mut blocks = Vec::new();
        for block in layout {
            match block {
                output::Block::Heading { level, lines, bbox } => {
                    let kind = if level > 1 || *has_title { Kind::SectionHeader } else { Kind::Title };
                    *has_title |= level == 1;
                    let lines: Vec<Cell> = lines.iter().flat_map(|line| self.parts(line, &bbox)).collect();
                    let Cell { text, rect } = lines::merge(&lines);
                    blocks.push(Block { kind, text, rect });
                }
                output::Block::Paragraph { lines, bbox, .. } => lines::push(&mut blocks, &self.lines(&lines, &bbox)),
                output::Block::List { items, .. } => {
                    items.iter().for_each(|item| lines::push(&mut blocks, &self.lines(&item.lines, &item.bbox)));
                }
                output::Block::Table { rows, bbox } => self.table(&mut blocks, &rows, &bbox),
            }
        }
        for rect in &self.figures {
            let index = blocks.iter().position(|block| block.rect.top > rect.top).unwrap_or(blocks.len());
            blocks.insert(index, Block { kind: Kind::Figure, text: String::new(), rect: *rect });
        }
        blocks
    }

    fn lines(&self, lines: &[Line], block: &BBox) -> Vec<Vec<Cell>> {
        lines.iter().map(|line| self.parts(line, block)).collect()
    }

    /// A table, or a form that is aligned in columns.
    fn table(&self, blocks: &mut Vec<Block>, rows: &[Vec<output::Cell>], bbox: &BBox) {
        let lines = |row: &[output::Cell]| row.iter().filter_map(|cell| cell.line.clone()).collect::<Vec<_>>();
        let parts = |row: &Vec<_>| lines(row).iter().flat_map(|line| self.parts(line, bbox)).collect::<Vec<Cell>>();
        if rows.iter().filter(|row| lines::pairs(&parts(row)).is_some()).count() * 2 < rows.len() {
            let cell = |cell: &output::Cell| cell.line.as_ref().map(|line| lines::merge(&self.parts(line, bbox)));
            let row = |row: &Vec<_>| row.iter().map(|next| cell(next).unwrap_or_default()).collect();
            blocks.push(Block::table(rows.iter().map(row).collect()));
            return;
        }
        for row in rows {
            let is_bold = lines(row).iter().flat_map(|line| &line.inlines).all(|inline| inline.bold);
            let first = blocks.len();
            lines::push(blocks, &[parts(row)]);
            if let Some(block) = blocks.get_mut(first).filter(|block| is_bold && block.kind == Kind::Text) {
                block.kind = Kind::SectionHeader;
            }
        }
    }

    /// The parts of a line of this block, with wide gaps between them.
    fn parts(&self, line: &Line, block: &BBox) -> Vec<Cell> {
        let text: String = line.inlines.iter().map(|inline| inline.text.as_str()).collect();
        let text = join([text.as_str()]);
        let is_inside =
            |x: f32, y: f32| x > block.x0 - 1.0 && x < block.x1 + 1.0 && y > block.y0 - 1.0 && y < block.y1 + 1.0;
        if !is_inside(line.x, line.y) || !is_inside(line.end_x, line.y) {
            // The text is rotated.
            return vec![Cell { text, rect: self.rect(block.x0, block.y0, block.x1, block.y1) }];
        }
        let is_in = |span: &&TextSpan| {
            let is_on_line = (span.y - line.y).abs() < line.size * 0.5 && !span.text.trim().is_empty();
            is_on_line && span.x > line.x - 1.0 && span.end_x < line.end_x + 1.0
        };
        let mut spans: Vec<&TextSpan> = self.spans.iter().filter(is_in).collect();
        spans.sort_by(|a, b| a.x.total_cmp(&b.x));
        let rect = |x, y, end_x, size| self.rect(x, y - size * 0.25, end_x, y + size * 0.8);
        let parts = spans.chunk_by(|a, b| b.x - a.end_x < b.size * COLUMN_GAP).map(|part| {
            let words = part.chunk_by(|a, b| b.x - a.end_x < b.size * WORD_GAP);
            let words: Vec<String> = words.map(|word| word.iter().map(|span| span.text.as_str()).collect()).collect();
            let rects = part.iter().map(|span| rect(span.x, span.y, span.end_x, span.size));
            Cell { text: join([words.join(" ").as_str()]), rect: Rect::around(rects) }
        });
        let parts: Vec<Cell> = parts.collect();
        // The layout knows more about the order of words. The spans add the gaps.
        if parts.len() > 1 && lines::merge(&parts).text.replace(' ', "") == text.replace(' ', "") {
            return parts;
        }
        vec![Cell { text, rect: rect(line.x, line.y, line.end_x, line.size) }]
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A PDF of one page of 600 x 800 points with this content. Object 5 is an image, object 6 a form.
    fn pdf(content: &[u8], page: &str, form: &str) -> Vec<u8> {
        let mut bytes = b"%PDF-1.5\n".to_vec();
        let font = "/Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>>>";
        let resources = format!("/Resources<<{font}/XObject<</I 5 0 R/X 6 0 R>>>>");
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        zlib.write_all(content).unwrap();
        let content = zlib.finish().unwrap();
        let stream = |entries: &str, content: &[u8]| {
            let head = format!("<<{entries}/Length {}>>stream\n", content.len());
            [head.as_bytes(), content, b"\nendstream"].concat()
        };
        let objects = [
            b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
            format!("<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R{resources}{page}>>").into_bytes(),
            stream("/Filter/FlateDecode", &content),
            stream("/Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8", b"x"),
            stream(&format!("/Type/XObject/Subtype/Form/BBox[0 0 600 800]{resources}"), form.as_bytes()),
        ];
        let mut table = "xref\n0 7\n0000000000 65535 f \n".to_owned();
        for (index, object) in objects.iter().enumerate() {
            table.push_str(&format!("{:010} 00000 n \n", bytes.len()));
            bytes.extend([format!("{} 0 obj\n", index + 1).as_bytes(), object, b"\nendobj\n"].concat());
        }
        let start = bytes.len();
        bytes.extend(format!("{table}trailer\n<</Size 7/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n").bytes());
        bytes
    }

    fn plain(content: &str) -> Vec<u8> {
        pdf(content.as_bytes(), "", "")
    }

    fn texts(bytes: Vec<u8>) -> Vec<String> {
        read(bytes).unwrap().blocks().map(|(_, block)| block.text.clone()).collect()
    }

    /// The left edge and the middle of the only block, in points of a page of that size.
    fn position(bytes: Vec<u8>, width: f64, height: f64) -> (f64, f64) {
        let rect = read(bytes).unwrap().pages[0][0].rect;
        (rect.left * width, (rect.top + rect.bottom) / 2.0 * height)
    }

    #[track_caller]
    fn assert_near(found: (f64, f64), expected: (f64, f64)) {
        let is_near = (found.0 - expected.0).abs() < 2.0 && (found.1 - expected.1).abs() < 6.0;
        assert!(is_near, "{found:?} is not near {expected:?}");
    }

    #[test]
    fn text_is_where_its_matrices_place_it() {
        let bytes = plain("q 2 0 0 2 100 0 cm BT /F1 10 Tf 1 0 0 1 50 300 Tm (Hello) Tj ET Q");
        assert_near(position(bytes, 600.0, 800.0), (200.0, 193.0));
    }

    #[test]
    fn a_wide_gap_separates_a_label_from_its_value() {
        let content = "BT /F1 10 Tf 50 700 Td [(Owner) -5000 (Inez) -300 (Callowhill)] TJ ET";
        let document = read(plain(content)).unwrap();
        let block = &document.pages[0][0];
        assert_eq!((block.type_name(), block.text.as_str()), ("Key Value", "Owner: Inez Callowhill"));
        let Kind::KeyValue(_, value) = &block.kind else { panic!("{block:?}") };
        assert!((value.rect.left * 600.0 - 129.0).abs() < 4.0, "{value:?}");
    }

    #[test]
    fn a_rotated_page_is_read_upright() {
        let content = b"BT /F1 10 Tf 0 1 -1 0 107.8 50 Tm (Upright) Tj ET";
        let bytes = pdf(content, "/Rotate 90", "");
        assert_eq!(texts(bytes.clone()), ["Upright"]);
        assert_near(position(bytes, 800.0, 600.0), (50.0, 105.0));
    }

    #[test]
    fn a_page_may_be_cropped() {
        let content = b"BT /F1 10 Tf 150 500 Td (Inside) Tj ET BT /F1 10 Tf 20 500 Td (Out) Tj ET";
        let bytes = pdf(content, "/CropBox[100 200 300 600]", "");
        assert_eq!(texts(bytes.clone()), ["Inside"]);
        assert_near(position(bytes, 200.0, 400.0), (50.0, 97.0));
    }

    #[test]
    fn sideways_text_is_not_lost() {
        let document = read(plain("BT /F1 10 Tf 0 1 -1 0 50 300 Tm (In the margin) Tj ET")).unwrap();
        let block = &document.pages[0][0];
        assert_eq!(block.text, "In the margin");
        assert!(block.rect.bottom - block.rect.top > block.rect.right - block.rect.left, "{block:?}");
    }

    #[test]
    fn a_form_is_read_and_one_that_draws_itself_ends() {
        let content = b"q 1 0 0 1 70 700 cm /X Do Q";
        let bytes = pdf(content, "", "BT /F1 10 Tf 30 0 Td (In a form) Tj ET");
        assert_near(position(bytes, 600.0, 800.0), (100.0, 97.0));
        let bytes = pdf(content, "", "/X Do /X Do BT /F1 10 Tf 50 0 Td (Again) Tj ET");
        assert!(texts(bytes).concat().contains("Again"));
    }

    #[test]
    fn an_image_is_a_figure_and_a_scan_or_an_ornament_is_not() {
        let content = "q 300 0 0 200 60 400 cm /I Do Q q 600 0 0 800 0 0 cm /I Do Q q 5 0 0 5 0 0 cm /I Do Q";
        let document = read(plain(content)).unwrap();
        assert_eq!(document.pages[0].iter().map(Block::type_name).collect::<Vec<_>>(), ["Figure"]);
        let rect = document.pages[0][0].rect;
        for (edge, expected) in [(rect.left, 0.1), (rect.top, 0.25), (rect.right, 0.6), (rect.bottom, 0.5)] {
            assert!((edge - expected).abs() < 1e-6, "{rect:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_a_pdf_is_corrupt() {
        for bytes in [&b""[..], b"hello", b"%PDF-1.7\nand nothing more", &[0xFF; 4096]] {
            assert!(read(bytes.to_vec()).is_err());
        }
    }

    #[test]
    fn a_damaged_pdf_does_not_panic_and_is_read_soon() {
        let whole = plain("BT /F1 10 Tf 14 TL 50 700 Td (One line) Tj T* [(an) -40 (other)] TJ ET");
        let started = Instant::now();
        for cut in (0..whole.len()).step_by(7) {
            let _ = read(whole[..cut].to_vec());
            let mut damaged = whole.clone();
            damaged[cut] = damaged[cut].wrapping_add(13);
            let _ = read(damaged);
        }
        assert!(started.elapsed() < MAX_TIME);
    }
}
