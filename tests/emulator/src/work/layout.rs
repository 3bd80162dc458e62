//! From pieces of text on a sheet to typed blocks: headings, paragraphs, lists, pairs of a form, tables.

use super::document::{Block, Kind, Line, Page, Rect, Table};

/// Text that stands together on one line, in the sheet's own unit, y downwards.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    pub(super) text: String,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    /// The type's size; only its relation to other sizes matters.
    pub(super) size: f64,
    pub(super) bold: bool,
}

/// One page before anything is known of its order.
#[derive(Debug, Clone, Default)]
pub(super) struct Sheet {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) segments: Vec<Segment>,
    pub(super) figures: Vec<Rect>,
}

/// A gap above a row that is larger than this many row heights ends a paragraph.
const PARAGRAPH_GAP: f64 = 0.9;
/// A larger gap ends a table.
const TABLE_GAP: f64 = 2.2;
/// Type so much larger than the body's is a heading's.
const HEADING_SIZE: f64 = 1.15;
/// More columns than this are no table that anybody could read.
const MAX_COLUMNS: usize = 24;
/// A heading with more words is a paragraph.
const HEADING_WORDS: usize = 14;
/// A label with more characters is a sentence.
const LABEL_CHARS: usize = 48;

/// Arranges all sheets of one document.
pub(super) fn arrange(sheets: Vec<Sheet>) -> Vec<Page> {
    let mut style = Style::of(&sheets);
    sheets.into_iter().map(|sheet| arrange_sheet(sheet, &mut style)).collect()
}

/// What holds for the document as a whole.
struct Style {
    /// The size of most of the text.
    body: f64,
    /// The largest size.
    largest: f64,
    /// One size and one weight throughout, as in plain text.
    typewritten: bool,
    /// A title was seen, or text after which no title comes.
    title_done: bool,
}

impl Style {
    fn of(sheets: &[Sheet]) -> Style {
        let mut sizes: Vec<(f64, usize)> = Vec::new();
        let mut bold = false;
        for segment in sheets.iter().flat_map(|sheet| &sheet.segments) {
            sizes.push((segment.size, segment.text.chars().count()));
            bold |= segment.bold;
        }
        sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
        let half = sizes.iter().map(|(_, count)| count).sum::<usize>() / 2;
        let mut seen = 0;
        let median = sizes.iter().find(|(_, count)| {
            seen += count;
            seen > half
        });
        let body = median.map_or(1.0, |(size, _)| *size);
        let largest = sizes.last().map_or(body, |(size, _)| *size);
        Style { body, largest, typewritten: !bold && largest < body * HEADING_SIZE, title_done: false }
    }
}

/// The segments of one line, from left to right.
#[derive(Debug, Clone)]
struct Row {
    segments: Vec<Segment>,
    top: f64,
    bottom: f64,
    /// The white above it, in row heights; infinite for the first.
    gap: f64,
}

impl Row {
    fn text(&self) -> String {
        let texts: Vec<&str> = self.segments.iter().map(|segment| segment.text.as_str()).collect();
        texts.join(" ")
    }

    fn left(&self) -> f64 {
        self.segments.first().map_or(0.0, |segment| segment.left)
    }

    fn right(&self) -> f64 {
        self.segments.last().map_or(0.0, |segment| segment.right)
    }

    fn size(&self) -> f64 {
        self.segments.iter().map(|segment| segment.size).fold(0.0, f64::max)
    }

    fn bold(&self) -> bool {
        self.segments.iter().all(|segment| segment.bold)
    }

    fn same_type(&self, other: &Row) -> bool {
        (self.size() - other.size()).abs() < 0.05 * self.size() && self.bold() == other.bold()
    }
}

/// Groups segments that share most of their height into rows.
fn rows(mut segments: Vec<Segment>) -> Vec<Row> {
    segments.retain(|segment| !segment.text.trim().is_empty());
    segments.sort_by(|a, b| (a.top + a.bottom).total_cmp(&(b.top + b.bottom)));
    let mut rows: Vec<Row> = Vec::new();
    for segment in segments {
        let middle = (segment.top + segment.bottom) / 2.0;
        match rows.last_mut() {
            Some(row) if middle < row.bottom && middle > row.top && (row.top + row.bottom) / 2.0 > segment.top => {
                row.top = row.top.min(segment.top);
                row.bottom = row.bottom.max(segment.bottom);
                row.segments.push(segment);
            }
            _ => {
                rows.push(Row { top: segment.top, bottom: segment.bottom, gap: f64::INFINITY, segments: vec![segment] })
            }
        }
    }
    for row in &mut rows {
        row.segments.sort_by(|a, b| a.left.total_cmp(&b.left));
    }
    measure_gaps(&mut rows);
    rows
}

fn measure_gaps(rows: &mut [Row]) {
    let mut above: Option<f64> = None;
    for row in rows {
        row.gap = above.map_or(f64::INFINITY, |bottom| (row.top - bottom) / (row.bottom - row.top).max(f64::EPSILON));
        above = Some(row.bottom);
    }
}

fn arrange_sheet(sheet: Sheet, style: &mut Style) -> Page {
    let frame = Frame { width: sheet.width.max(f64::EPSILON), height: sheet.height.max(f64::EPSILON) };
    let mut blocks = Vec::new();
    frame.arrange(&rows(sheet.segments), style, &mut blocks);
    for figure in sheet.figures {
        let at = blocks.iter().position(|block| block.rect().top() > figure.top()).unwrap_or(blocks.len());
        blocks.insert(at, Block { kind: Kind::Figure(figure), lines: Vec::new() });
    }
    Page { blocks }
}

/// The size of the sheet, to turn its unit into fractions.
struct Frame {
    width: f64,
    height: f64,
}

impl Frame {
    fn line(&self, segments: &[Segment]) -> Line {
        let texts: Vec<&str> = segments.iter().map(|segment| segment.text.trim()).collect();
        let rects = segments.iter().map(|segment| {
            let (width, height) = (self.width, self.height);
            Rect::new(segment.left / width, segment.top / height, segment.right / width, segment.bottom / height)
        });
        Line { text: texts.join(" "), rect: Rect::around_all(rects).unwrap_or_default() }
    }

    fn lines(&self, rows: &[Row]) -> Vec<Line> {
        rows.iter().map(|row| self.line(&row.segments)).collect()
    }

    fn arrange(&self, rows: &[Row], style: &mut Style, blocks: &mut Vec<Block>) {
        let mut at = 0;
        while at < rows.len() {
            let rest = &rows[at..];
            at += self
                .table(rest, style, blocks)
                .or_else(|| self.pairs(rest, style, blocks))
                .or_else(|| self.heading(rest, style, blocks))
                .or_else(|| self.list_item(rest, style, blocks))
                .unwrap_or_else(|| self.paragraph(rest, style, blocks));
        }
    }

    /// Rows whose segments stand in columns; gives how many rows it took.
    fn table(&self, rows: &[Row], style: &mut Style, blocks: &mut Vec<Block>) -> Option<usize> {
        let grid = Grid::of(rows)?;
        if grid.is_prose() {
            for column in 0..grid.columns.len() {
                let mut part: Vec<Row> = grid.column(column);
                measure_gaps(&mut part);
                self.arrange(&part, style, blocks);
            }
        } else if grid.is_form() {
            for cells in &grid.cells {
                if let [label, value] = cells.as_slice() {
                    blocks.push(self.pair(label, value));
                }
            }
        } else {
            let mut lines = grid.cells.iter().map(|row| row.iter().map(|cell| self.line(cell)).collect::<Vec<_>>());
            let first = lines.next()?;
            let bare_number = |line: &Line| line.text.starts_with(|c: char| c.is_ascii_digit());
            let headless = first.iter().any(bare_number);
            let table = if headless {
                let name = |at: usize| Line { text: format!("Column {}", at + 1), rect: first[at].rect };
                let columns = (0..first.len()).map(name).collect();
                Table { columns, rows: std::iter::once(first).chain(lines).collect() }
            } else {
                Table { columns: first, rows: lines.collect() }
            };
            blocks.push(Block { kind: Kind::Table(table), lines: Vec::new() });
        }
        style.title_done = true;
        Some(grid.taken)
    }

    fn pair(&self, label: &[Segment], value: &[Segment]) -> Block {
        let all: Vec<Segment> = label.iter().chain(value).cloned().collect();
        let name = self.line(label).text;
        let name = name.trim_end_matches(':').trim_end().to_owned();
        Block { kind: Kind::KeyValue { label: name, value: self.line(value) }, lines: vec![self.line(&all)] }
    }

    /// A row made of labels and values only, and the rows that its last value goes on in.
    fn pairs(&self, rows: &[Row], style: &mut Style, blocks: &mut Vec<Block>) -> Option<usize> {
        let (row, below) = rows.split_first()?;
        let pairs = split_pairs(&row.segments)?;
        let alone = pairs.len() == 1;
        let mut taken = 1;
        let mut found: Vec<(Vec<Segment>, Vec<Segment>)> = pairs;
        if let Some((_, value)) = found.last_mut() {
            let left = value.first().map_or(0.0, |segment| segment.left);
            let apart = left > row.left() + row.size();
            let full = row.right() > self.width * 0.8;
            for next in below {
                let [segment] = next.segments.as_slice() else { break };
                let goes_on = next.gap < PARAGRAPH_GAP && next.same_type_as(value) && !starts_block(next);
                let under_value = apart && (segment.left - left).abs() < segment.size;
                let wrapped = alone && full && segment.left < left + segment.size;
                if !goes_on || !(under_value || wrapped) {
                    break;
                }
                value.push(segment.clone());
                taken += 1;
            }
        }
        for (label, value) in &found {
            blocks.push(self.pair(label, value));
        }
        style.title_done = true;
        Some(taken)
    }

    fn heading(&self, rows: &[Row], style: &mut Style, blocks: &mut Vec<Block>) -> Option<usize> {
        let (row, below) = rows.split_first()?;
        let next = below.first();
        if next.is_some_and(|next| is_underline(&next.text())) && can_be_heading(&row.text()) {
            blocks.push(Block { kind: style.heading_kind(row), lines: self.lines(&rows[..1]) });
            return Some(2);
        }
        if !style.is_heading(row, next) {
            return None;
        }
        let more = below.iter().take_while(|next| {
            !style.typewritten
                && next.gap < PARAGRAPH_GAP
                && next.same_type(row)
                && style.is_heading(next, None)
                && !starts_block(next)
        });
        let taken = 1 + more.count();
        let kind = style.heading_kind(row);
        blocks.push(Block { kind, lines: self.lines(&rows[..taken]) });
        Some(taken)
    }

    fn list_item(&self, rows: &[Row], style: &mut Style, blocks: &mut Vec<Block>) -> Option<usize> {
        let (row, below) = rows.split_first()?;
        let marker = marker_length(&row.text())?;
        let indent = row.left() + row.size() * 0.3;
        let hanging = |next: &&Row| {
            next.gap < PARAGRAPH_GAP && next.left() > indent && !starts_block(next) && next.same_type(row)
        };
        let taken = 1 + below.iter().take_while(hanging).count();
        let mut lines = self.lines(&rows[..taken]);
        // A drawn bullet says no more than the block's type; a number or a letter is referred to.
        if let Some(first) = lines.first_mut()
            && !first.text.starts_with(|c: char| c.is_alphanumeric() || c == '(')
        {
            first.text = first.text.chars().skip(marker).collect::<String>().trim().to_owned();
        }
        blocks.push(Block { kind: Kind::ListItem, lines });
        style.title_done = true;
        Some(taken)
    }

    fn paragraph(&self, rows: &[Row], style: &mut Style, blocks: &mut Vec<Block>) -> usize {
        let Some((first, below)) = rows.split_first() else { return 1 };
        let mut taken = 1;
        for (at, next) in below.iter().enumerate() {
            let goes_on = next.gap < PARAGRAPH_GAP
                && next.same_type(first)
                && !starts_block(next)
                && !style.is_heading(next, below.get(at + 1))
                && Grid::of(&below[at..]).is_none();
            if !goes_on {
                break;
            }
            taken += 1;
        }
        let lines: Vec<Line> = self.lines(&rows[..taken]);
        if !lines.iter().all(|line| is_underline(&line.text)) {
            blocks.push(Block { kind: Kind::Text, lines });
        }
        taken
    }
}

impl Row {
    fn same_type_as(&self, segments: &[Segment]) -> bool {
        segments
            .last()
            .is_some_and(|last| (last.size - self.size()).abs() < 0.05 * last.size && last.bold == self.bold())
    }
}

impl Style {
    fn heading_kind(&mut self, row: &Row) -> Kind {
        let largest = self.typewritten || row.size() > self.largest * 0.97;
        if !self.title_done && largest {
            self.title_done = true;
            Kind::Title
        } else {
            Kind::SectionHeader
        }
    }

    fn is_heading(&self, row: &Row, next: Option<&Row>) -> bool {
        let text = row.text();
        if row.segments.len() != 1 || !can_be_heading(&text) {
            return false;
        }
        if row.size() > self.body * HEADING_SIZE {
            return true;
        }
        if row.bold() && row.gap > 0.3 {
            return text.split_whitespace().count() <= 10;
        }
        self.typewritten && is_typed_heading(&text, row, next)
    }
}

/// In plain text only words and white space tell a heading.
fn is_typed_heading(text: &str, row: &Row, next: Option<&Row>) -> bool {
    let words = text.split_whitespace().count();
    let shouted = text.chars().filter(|c| c.is_alphabetic()).count() > 3 && !text.chars().any(char::is_lowercase);
    if shouted && words <= 10 && row.gap > PARAGRAPH_GAP {
        return true;
    }
    let apart = row.gap > PARAGRAPH_GAP && next.is_some_and(|next| next.gap > PARAGRAPH_GAP);
    let next_in_list = next.is_some_and(|next| marker_length(&next.text()).is_some());
    let numbered = marker_length(text).is_some();
    let capital = text.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit());
    apart && capital && words <= 8 && !(numbered && next_in_list) && !text.contains(',')
}

fn can_be_heading(text: &str) -> bool {
    let words = text.split_whitespace().count();
    (1..=HEADING_WORDS).contains(&words)
        && text.chars().any(char::is_alphabetic)
        && !text.ends_with(['.', ';', ',', ':', '!'])
}

fn is_underline(text: &str) -> bool {
    let text = text.trim();
    text.len() >= 3 && ["=", "-", "~", "_", "*"].iter().any(|mark| text.replace(mark, "").trim().is_empty())
}

/// Whether a row cannot go on a paragraph because it begins something of its own.
fn starts_block(row: &Row) -> bool {
    marker_length(&row.text()).is_some() || is_form_row(&row.segments)
}

/// The length in characters of a bullet or number at the start of a list item, with the space behind it.
pub(super) fn marker_length(text: &str) -> Option<usize> {
    let (marker, rest) = text.split_once(char::is_whitespace)?;
    if rest.trim().is_empty() {
        return None;
    }
    let inner = marker.strip_prefix('(').unwrap_or(marker);
    let counted = inner
        .strip_suffix([')', '.'])
        .filter(|inner| {
            let digits = inner.len() <= 3 && inner.chars().all(|c| c.is_ascii_digit());
            let letter = inner.chars().count() == 1 && inner.chars().all(char::is_alphabetic);
            let roman = inner.len() <= 4 && inner.chars().all(|c| "ivxIVX".contains(c));
            !inner.is_empty() && (digits || letter || roman)
        })
        .is_some();
    let bullet =
        ["-", "*", "+", "–", "—", "•", "◦", "▪", "▫", "‣", "●", "○", "·", "■", "□", "☐", "☑", "☒"].contains(&marker);
    (counted || bullet).then(|| marker.chars().count() + 1)
}

/// Whether a row holds labels with their values and nothing else.
pub(super) fn is_form_row(segments: &[Segment]) -> bool {
    split_pairs(segments).is_some()
}

/// Splits the segments of a row into labels and values, if that is all there is in it.
fn split_pairs(segments: &[Segment]) -> Option<Vec<(Vec<Segment>, Vec<Segment>)>> {
    let mut pairs = Vec::new();
    let mut rest = segments;
    while let Some((first, others)) = rest.split_first() {
        if let Some((label, value)) = split_inline(first) {
            pairs.push((vec![label], vec![value]));
            rest = others;
        } else if first.text.trim_end().ends_with(':') && is_label(first.text.trim_end().trim_end_matches(':')) {
            let (value, others) = others.split_first()?;
            if value.text.trim_end().ends_with(':') || split_inline(value).is_some() {
                return None;
            }
            pairs.push((vec![first.clone()], vec![value.clone()]));
            rest = others;
        } else {
            return None;
        }
    }
    (!pairs.is_empty()).then_some(pairs)
}

/// "Label: value" within one segment; the place of each is measured by its share of the characters.
fn split_inline(segment: &Segment) -> Option<(Segment, Segment)> {
    let (label, value) = label_and_value(&segment.text)?;
    let all = segment.text.chars().count().max(1) as f64;
    let before = segment.text.chars().count() - value.chars().count();
    let cut = segment.left + (segment.right - segment.left) * before as f64 / all;
    let label = Segment { text: format!("{label}:"), right: cut, ..segment.clone() };
    let value = Segment { text: value.to_owned(), left: cut, ..segment.clone() };
    Some((label, value))
}

/// Splits "Label: value"; none for prose.
pub(super) fn label_and_value(text: &str) -> Option<(&str, &str)> {
    let (label, value) = text.split_once(": ").or_else(|| text.split_once(":\t"))?;
    let (label, value) = (label.trim(), value.trim());
    // Points that lead the eye to a page number are no value.
    (is_label(label) && !value.is_empty() && !value.starts_with(':')).then_some((label, value))
}

/// Whether this is short enough and no sentence.
pub(super) fn is_label(text: &str) -> bool {
    let text = text.trim();
    let sentence = [". ", "! ", "? ", ", ", "; "].iter().any(|mark| text.contains(mark)) && !text.contains("No. ");
    text.starts_with(|c: char| c.is_alphabetic())
        && text.chars().count() <= LABEL_CHARS
        && text.split_whitespace().count() <= 6
        && !sentence
}

/// Rows whose segments fit into columns.
struct Grid {
    /// From where to where each column reaches.
    columns: Vec<(f64, f64)>,
    /// Row by row, one cell per column.
    cells: Vec<Vec<Vec<Segment>>>,
    /// The rows as they were, for text set in columns.
    taken: usize,
}

impl Grid {
    fn of(rows: &[Row]) -> Option<Grid> {
        let first = rows.first()?;
        if first.segments.len() < 2 || is_form_row(&first.segments) {
            return None;
        }
        let mut columns: Vec<(f64, f64)> = Vec::new();
        let mut taken = 0;
        for row in rows {
            let first = taken == 0;
            if (!first && row.gap > TABLE_GAP) || is_form_row(&row.segments) {
                break;
            }
            if is_underline(&row.text()) {
                taken += 1;
                continue;
            }
            let Some(wider) = widen(&columns, row) else { break };
            // One cell alone goes on the cell above it; at the left margin it may be anything.
            let alone = row.segments.len() == 1;
            if alone
                && (wider.len() != columns.len() || row.gap > PARAGRAPH_GAP || overlaps(wider[0], &row.segments[0]))
            {
                break;
            }
            columns = wider;
            taken += 1;
        }
        let mut cells: Vec<Vec<Vec<Segment>>> = Vec::new();
        for row in rows[..taken].iter().filter(|row| !is_underline(&row.text())) {
            let mut line = vec![Vec::new(); columns.len()];
            for segment in &row.segments {
                if let Some(at) = columns.iter().position(|column| overlaps(*column, segment)) {
                    line[at].push(segment.clone());
                }
            }
            let goes_on = row.gap < PARAGRAPH_GAP && line[0].is_empty();
            match cells.last_mut() {
                Some(above) if goes_on && row.segments.len() < columns.len() => {
                    for (cell, more) in above.iter_mut().zip(line) {
                        cell.extend(more);
                    }
                }
                _ => cells.push(line),
            }
        }
        let needed = if columns.len() == 2 { 3 } else { 2 };
        let filled = cells.iter().flatten().filter(|cell| !cell.is_empty()).count();
        let enough = cells.len() >= needed && filled * 5 >= cells.len() * columns.len() * 3;
        enough.then_some(Grid { columns, cells, taken })
    }

    /// Two or three columns of long lines are text set in columns, not a table.
    fn is_prose(&self) -> bool {
        let long = |column: usize| {
            let lines: Vec<usize> =
                self.cells.iter().flat_map(|row| &row[column]).map(|segment| segment.text.chars().count()).collect();
            lines.iter().sum::<usize>() >= 30 * lines.len().max(1)
        };
        self.columns.len() <= 3 && self.cells.len() >= 4 && (0..self.columns.len()).all(long)
    }

    /// Two columns, the left of short names: a form without colons.
    fn is_form(&self) -> bool {
        let name = |row: &Vec<Vec<Segment>>| {
            let [label, value] = row.as_slice() else { return false };
            let text = label.first().map_or("", |segment| segment.text.as_str());
            label.len() == 1 && !value.is_empty() && is_label(text) && !text.contains(|c: char| c.is_ascii_digit())
        };
        self.columns.len() == 2 && self.cells.iter().all(name)
    }

    fn column(&self, at: usize) -> Vec<Row> {
        let rows = self.cells.iter().flat_map(|row| &row[at]);
        rows.map(|segment| Row { segments: vec![segment.clone()], top: segment.top, bottom: segment.bottom, gap: 0.0 })
            .collect()
    }
}

fn overlaps(column: (f64, f64), segment: &Segment) -> bool {
    segment.left < column.1 && segment.right > column.0
}

/// The columns with one more row in them; none if a segment of it reaches over two columns.
fn widen(columns: &[(f64, f64)], row: &Row) -> Option<Vec<(f64, f64)>> {
    let mut wider = columns.to_vec();
    let mut used = vec![false; columns.len()];
    for segment in &row.segments {
        let mut hit = columns.iter().enumerate().filter(|(_, column)| overlaps(**column, segment));
        match (hit.next(), hit.next()) {
            (Some((at, _)), None) if !used[at] => {
                used[at] = true;
                wider[at] = (wider[at].0.min(segment.left), wider[at].1.max(segment.right));
            }
            (None, _) => wider.push((segment.left, segment.right)),
            _ => return None,
        }
    }
    wider.sort_by(|a, b| a.0.total_cmp(&b.0));
    let apart = wider.windows(2).all(|pair| pair[0].1 <= pair[1].0);
    (apart && wider.len() <= MAX_COLUMNS).then_some(wider)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(text: &str, left: f64, top: f64, size: f64, bold: bool) -> Segment {
        let right = left + text.chars().count() as f64 * size * 0.5;
        Segment { text: text.into(), left, right, top, bottom: top + size, size, bold }
    }

    fn arranged(segments: Vec<Segment>) -> Vec<(&'static str, String)> {
        let sheet = Sheet { width: 600.0, height: 800.0, segments, figures: Vec::new() };
        let pages = arrange(vec![sheet]);
        pages[0].blocks.iter().map(|block| (block.type_name(), block.content())).collect()
    }

    #[test]
    fn large_or_bold_type_makes_a_heading_and_the_largest_the_title() {
        let found = arranged(vec![
            segment("The harbor", 50.0, 50.0, 20.0, true),
            segment("Ships", 50.0, 100.0, 13.0, false),
            segment("They come and go, and that is what they do.", 50.0, 130.0, 10.0, false),
            segment("Boats", 50.0, 160.0, 10.0, true),
            segment("They are smaller than ships by far, as one can see.", 50.0, 180.0, 10.0, false),
        ]);
        let kinds: Vec<&str> = found.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, ["Title", "Section Header", "Text", "Section Header", "Text"]);
    }

    #[test]
    fn segments_in_any_order_are_read_from_top_to_bottom() {
        let found = arranged(vec![
            segment("and this is its second line.", 50.0, 64.0, 10.0, false),
            segment("This, then, is the first line,", 50.0, 50.0, 10.0, false),
        ]);
        assert_eq!(found, [("Text", "This, then, is the first line, and this is its second line.".to_owned())]);
    }

    #[test]
    fn two_pairs_beside_each_other_stay_apart_and_a_value_may_go_on_below() {
        let found = arranged(vec![
            segment("Owner:", 50.0, 50.0, 10.0, false),
            segment("Inez Callowhill,", 150.0, 50.0, 10.0, false),
            segment("Date:", 300.0, 50.0, 10.0, false),
            segment("9 March", 400.0, 50.0, 10.0, false),
            segment("Address:", 50.0, 70.0, 10.0, false),
            segment("18 Breakwater Lane,", 150.0, 70.0, 10.0, false),
            segment("Port Halcyon", 150.0, 83.0, 10.0, false),
        ]);
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["Owner: Inez Callowhill,", "Date: 9 March", "Address: 18 Breakwater Lane, Port Halcyon"]);
        assert!(found.iter().all(|(kind, _)| *kind == "Key Value"));
    }

    #[test]
    fn a_form_without_colons_is_pairs() {
        let rows = [("Owner", "Inez"), ("Zone", "HM-2"), ("Height", "52 ft")];
        let segments = rows.iter().enumerate().flat_map(|(at, (label, value))| {
            let top = 50.0 + 16.0 * at as f64;
            [segment(label, 50.0, top, 10.0, false), segment(value, 200.0, top, 10.0, false)]
        });
        let texts: Vec<String> = arranged(segments.collect()).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["Owner: Inez", "Zone: HM-2", "Height: 52 ft"]);
    }

    #[test]
    fn a_picture_stands_where_it_is_on_the_page() {
        let segments = vec![
            segment("Above the picture there is a line,", 50.0, 50.0, 10.0, false),
            segment("and below it there is another one.", 50.0, 500.0, 10.0, false),
        ];
        let figures = vec![Rect::new(0.1, 0.2, 0.5, 0.5)];
        let pages = arrange(vec![Sheet { width: 600.0, height: 800.0, segments, figures }]);
        let kinds: Vec<&str> = pages[0].blocks.iter().map(Block::type_name).collect();
        assert_eq!(kinds, ["Text", "Figure", "Text"]);
    }

    #[test]
    fn a_time_and_an_address_of_the_web_are_no_labels() {
        for text in [
            "It begins at 10:30 today",
            "see https://a.example/b",
            ": nothing",
            "Index: : : : 12",
            "One. Two, and so on: three",
        ] {
            assert_eq!(label_and_value(text), None, "{text}");
        }
        assert_eq!(label_and_value("Permit No. 3: x: y"), Some(("Permit No. 3", "x: y")));
    }

    #[test]
    fn markers_of_lists_are_known_by_their_form() {
        for text in ["1. a", "(12) a", "b) a", "iv. a", "• a", "- a", "☐ a"] {
            assert!(marker_length(text).is_some(), "{text}");
        }
        for text in ["1999. a", "No. 7", "well. then", "-5 degrees", "1.", "(a word) then"] {
            assert!(marker_length(text).is_none(), "{text}");
        }
    }
}
