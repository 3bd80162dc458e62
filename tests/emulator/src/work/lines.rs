//! Turns lines of text into blocks: labels with their values, items of lists, paragraphs.

use super::document::{Block, Cell, Kind, Rect, join};

/// Adds the lines of one paragraph or form. The parts of a line have wide gaps between them.
pub(super) fn push(blocks: &mut Vec<Block>, lines: &[Vec<Cell>]) {
    let mut first = blocks.len();
    for line in lines {
        if let Some(pairs) = pairs(line) {
            blocks.extend(pairs);
            first = blocks.len();
            continue;
        }
        let Cell { text, rect } = merge(line);
        let marker = marker_length(&text);
        // A number is kept, because other text refers to it.
        let bullet = marker.filter(|_| !text.starts_with(|c: char| c.is_alphanumeric() || c == '('));
        match blocks[first..].last_mut().filter(|_| marker.is_none()) {
            Some(block) => {
                block.text = join([block.text.as_str(), &text]);
                block.rect = Rect::around([block.rect, rect]);
            }
            None => {
                let kind = if marker.is_some() { Kind::ListItem } else { Kind::Text };
                blocks.push(Block { kind, text: text[bullet.unwrap_or(0)..].to_owned(), rect });
            }
        }
    }
}

/// Several cells as one.
pub(super) fn merge(cells: &[Cell]) -> Cell {
    let text = join(cells.iter().map(|cell| cell.text.as_str()));
    let filled = cells.iter().filter(|cell| !cell.text.is_empty());
    Cell { text, rect: Rect::around(filled.map(|cell| cell.rect)) }
}

/// The length of a bullet or a number at the start of a list item, with the space after it.
pub(super) fn marker_length(text: &str) -> Option<usize> {
    let (marker, rest) = text.split_once(' ')?;
    let counter = marker.strip_prefix('(').unwrap_or(marker).strip_suffix([')', '.']).unwrap_or_default();
    let is_number = counter.len() <= 3 && counter.chars().all(|c| c.is_ascii_digit());
    let is_roman = counter.len() <= 4 && counter.chars().all(|c| "ivxIVX".contains(c));
    let is_letter = counter.len() == 1 && counter.chars().all(char::is_alphabetic);
    let is_counter = !counter.is_empty() && (is_number || is_roman || is_letter);
    // Fonts without Unicode values draw a bullet as a replacement character.
    let is_bullet = marker.chars().count() == 1 && "-*+–—•◦▪▫‣●○·∙■□☐☑☒\u{FFFD}".contains(marker);
    (!rest.trim().is_empty() && (is_counter || is_bullet)).then_some(marker.len() + 1)
}

/// Splits `Label: value`. Prose is not split.
pub(super) fn label_and_value(text: &str) -> Option<(&str, &str)> {
    let (label, value) = text.split_once(": ")?;
    let value = value.trim();
    (is_label(label) && !value.is_empty() && !value.starts_with(':')).then_some((label, value))
}

/// Whether a text is short and not a sentence.
fn is_label(text: &str) -> bool {
    let is_sentence = [". ", "! ", "? ", ", ", "; "].iter().any(|mark| text.contains(mark)) && !text.contains("No. ");
    let is_short = text.chars().count() <= 48 && text.split_whitespace().count() <= 6;
    text.starts_with(char::is_alphabetic) && is_short && !is_sentence
}

/// The labels and values of a line, if it consists of nothing else. `Site area     4,200 sq ft` needs no colon.
pub(super) fn pairs(line: &[Cell]) -> Option<Vec<Block>> {
    let pair =
        |label: &Cell, value: &Cell| Block::pair(&label.text, value.clone(), Rect::around([label.rect, value.rect]));
    if let [label, value] = line
        && is_label(&label.text)
        && !label.text.contains(|c: char| c.is_ascii_digit())
        && !value.text.contains(": ")
    {
        return Some(vec![pair(label, value)]);
    }
    let mut pairs = Vec::new();
    let mut rest = line;
    while let Some((first, others)) = rest.split_first() {
        if let Some((label, value)) = label_and_value(&first.text) {
            // Characters are taken to be equally wide.
            let chars = |text: &str| text.chars().count() as f64;
            let share = 1.0 - chars(value) / chars(first.text.trim());
            let left = first.rect.left + (first.rect.right - first.rect.left) * share;
            let value = Cell { text: value.to_owned(), rect: Rect { left, ..first.rect } };
            pairs.push(Block::pair(label, value, first.rect));
            rest = others;
        } else {
            let label = first.text.trim().strip_suffix(':').filter(|label| is_label(label));
            let (value, others) = others.split_first().filter(|(value, _)| !value.text.trim().ends_with(':'))?;
            label.filter(|_| label_and_value(&value.text).is_none())?;
            pairs.push(pair(first, value));
            rest = others;
        }
    }
    (!pairs.is_empty()).then_some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_a_url_and_a_sentence_are_not_labels() {
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
    fn list_items_start_with_a_bullet_or_a_number() {
        for text in ["1. a", "(12) a", "b) a", "iv. a", "• a", "- a", "☐ a"] {
            assert!(marker_length(text).is_some(), "{text}");
        }
        for text in ["1999. a", "No. 7", "well. then", "-5 degrees", "1.", "(a word) then"] {
            assert!(marker_length(text).is_none(), "{text}");
        }
    }
}
