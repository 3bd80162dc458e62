//! Lists: bounds of `limit`, opaque cursors, and the envelope of a page.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use crate::api::{Answer, Call};
use crate::failure::Failure;
use crate::ids::mix;
use crate::validate::{too_large, too_small};

/// The part of a list that a request asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Where it begins: the position that the last page ended with. None at the beginning.
    pub(crate) from: Option<u64>,
    pub(crate) limit: usize,
    /// Tells cursors of different lists and filters apart.
    list: u64,
    /// Counts the cursors handed out for the same position, so that they differ.
    turn: u16,
}

/// A page's items, each with the position from which a next page would begin after it.
pub(crate) type Items = Vec<(u64, Value)>;

/// The most items on a page of a list for which the contract names no maximum.
const MOST: i64 = 1000;

impl Window {
    /// Reads `limit` and `cursor`. The filters belong to the cursor: it does not lead on in another listing.
    pub(crate) fn read(call: &Call, default: i64, maximum: Option<i64>) -> Result<Window, Failure> {
        let limit = match call.query("limit") {
            None => default,
            Some(text) => {
                // Rust reads "+5" as a number.
                let number = text.parse().ok().filter(|_| !text.starts_with('+'));
                number.ok_or_else(|| Failure::issue(["limit"], "Expected integer"))?
            }
        };
        if limit < 1 {
            return Err(Failure::issue(["limit"], too_small(1)));
        }
        if let Some(maximum) = maximum.filter(|maximum| limit > *maximum) {
            return Err(Failure::issue(["limit"], too_large(maximum)));
        }
        let mut hasher = DefaultHasher::new();
        call.operation.name.hash(&mut hasher);
        for filter in call.operation.filters.unwrap_or_default() {
            call.query(filter).hash(&mut hasher);
        }
        let list = hasher.finish();
        let (from, turn) = match call.query("cursor") {
            None => (None, 0),
            Some(cursor) => {
                let (position, turn) =
                    open(cursor, list).ok_or_else(|| Failure::issue(["cursor"], "Invalid cursor"))?;
                (position.checked_sub(1), turn)
            }
        };
        Ok(Window { from, limit: limit.min(MOST) as usize, list, turn })
    }

    /// The first place of the list that belongs to the page.
    pub(crate) fn first(&self) -> usize {
        self.from.map_or(0, |from| from as usize + 1)
    }

    /// The page's envelope. `items` may hold one item too many, which shows that there is more.
    pub(crate) fn page(&self, call: &Call, mut items: Items, total: Option<u64>) -> Answer {
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let mut next = match items.last() {
            Some((position, _)) if more => Some(seal(position + 1, 0, self.list)),
            _ => None,
        };
        if call.twist.empty_page {
            items.clear();
            next = Some(seal(self.first() as u64, self.turn.wrapping_add(1), self.list));
        }
        if call.twist.cursor_cycle {
            next = call.earlier_cursor(self.list).or(next);
        }
        if let Some(next) = &next {
            call.note_cursor(self.list, next);
        }
        let data: Vec<Value> = items.into_iter().map(|(_, item)| item).collect();
        let mut body = json!({ "data": data, "nextCursor": next });
        if let Some(total) = total {
            body["totalCount"] = json!(total);
        }
        Answer::ok(body)
    }
}

/// A cursor looks like the ids around it. One half is a seal over the other, and scrambles it.
fn seal(position: u64, turn: u16, list: u64) -> String {
    let content = position << 16 | u64::from(turn);
    let check = mix(mix(content) ^ list);
    let hidden = content ^ mix(check);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        check >> 32,
        check >> 16 & 0xffff,
        check & 0xffff,
        hidden >> 48,
        hidden & 0xffff_ffff_ffff
    )
}

fn open(cursor: &str, list: u64) -> Option<(u64, u16)> {
    let digits: String = cursor.split('-').collect();
    let halves = (digits.get(..16)?, digits.get(16..)?);
    let check = u64::from_str_radix(halves.0, 16).ok()?;
    let content = u64::from_str_radix(halves.1, 16).ok()? ^ mix(check);
    let (position, turn) = (content >> 16, content as u16);
    // Written anew it must be the same, which shuts out all other spellings as well.
    (seal(position, turn, list) == cursor).then_some((position, turn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_in_its_own_list_only() {
        for position in [0, 1, 20, 1 << 40] {
            let cursor = seal(position, 3, 99);
            assert_eq!(open(&cursor, 99), Some((position, 3)));
            assert_eq!(open(&cursor, 98), None);
            assert_eq!(open(&cursor.to_uppercase(), 99), None);
        }
        for cursor in ["", "20", "019abc12-3456-7890-abcd-ef1234567890", "é-", &"9".repeat(40)] {
            assert_eq!(open(cursor, 99), None, "{cursor}");
        }
    }

    #[test]
    fn a_cursor_does_not_show_its_position() {
        let (one, two) = (seal(1, 0, 7), seal(2, 0, 7));
        let same = one.bytes().zip(two.bytes()).filter(|(a, b)| a == b).count();
        assert!(same < 18, "{one} {two}");
    }
}
