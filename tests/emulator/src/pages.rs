//! Pagination: the bounds of `limit`, opaque cursors, and the response of a page.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use crate::api::{ApiResponse, Call};
use crate::failure::Failure;
use crate::faults::FaultKind;
use crate::ids::mix;
use crate::validate::{too_large, too_small};

/// The page of a list that a request asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageRequest {
    /// The position of the last item before the page. None for the first page.
    pub(crate) after: Option<u64>,
    pub(crate) limit: usize,
    /// A hash of the list and its filters, which cursors are bound to.
    list: u64,
    /// Makes several cursors for the same position differ.
    repeat: u16,
}

/// The maximum page size of a list without a documented maximum.
const MAX_LIMIT: i64 = 1000;

impl PageRequest {
    /// Parses `limit` and `cursor`. A cursor is valid only with the filters that it was issued with.
    pub(crate) fn read(call: &Call, default: i64, maximum: Option<i64>) -> Result<PageRequest, Failure> {
        let limit = match call.query("limit") {
            None => default,
            Some(text) => {
                // `parse` accepts "+5".
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
        let (after, repeat) = match call.query("cursor") {
            None => (None, 0),
            Some(cursor) => {
                let (position, repeat) =
                    decode_cursor(cursor, list).ok_or_else(|| Failure::issue(["cursor"], "Invalid cursor"))?;
                (position.checked_sub(1), repeat)
            }
        };
        Ok(PageRequest { after, limit: limit.min(MAX_LIMIT) as usize, list, repeat })
    }

    /// The index of the first item of the page.
    pub(crate) fn first(&self) -> usize {
        self.after.map_or(0, |after| after as usize + 1)
    }

    /// The response of a page, from the items of this page and later ones, each with its position in the list.
    pub(crate) fn response(
        &self,
        call: &Call,
        items: impl Iterator<Item = (u64, Value)>,
        total: Option<u64>,
    ) -> ApiResponse {
        let mut items: Vec<(u64, Value)> = items.take(self.limit + 1).collect();
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let mut next = match items.last() {
            Some((position, _)) if more => Some(encode_cursor(position + 1, 0, self.list)),
            _ => None,
        };
        if call.fault == Some(&FaultKind::EmptyPage) {
            items.clear();
            next = Some(encode_cursor(self.first() as u64, self.repeat.wrapping_add(1), self.list));
        }
        if call.fault == Some(&FaultKind::CursorCycle) {
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
        ApiResponse::ok(body)
    }
}

/// A cursor looks like an id. One half is a checksum of the other, and obfuscates it.
fn encode_cursor(position: u64, repeat: u16, list: u64) -> String {
    let content = position << 16 | u64::from(repeat);
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

fn decode_cursor(cursor: &str, list: u64) -> Option<(u64, u16)> {
    let digits: String = cursor.split('-').collect();
    let halves = (digits.get(..16)?, digits.get(16..)?);
    let check = u64::from_str_radix(halves.0, 16).ok()?;
    let content = u64::from_str_radix(halves.1, 16).ok()? ^ mix(check);
    let (position, repeat) = (content >> 16, content as u16);
    // Encoding it again detects a wrong checksum, and all other spellings.
    (encode_cursor(position, repeat, list) == cursor).then_some((position, repeat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_valid_in_its_own_list_only() {
        for position in [0, 1, 20, 1 << 40] {
            let cursor = encode_cursor(position, 3, 99);
            assert_eq!(decode_cursor(&cursor, 99), Some((position, 3)));
            assert_eq!(decode_cursor(&cursor, 98), None);
            assert_eq!(decode_cursor(&cursor.to_uppercase(), 99), None);
        }
        for cursor in ["", "20", "019abc12-3456-7890-abcd-ef1234567890", "é-", &"9".repeat(40)] {
            assert_eq!(decode_cursor(cursor, 99), None, "{cursor}");
        }
    }

    #[test]
    fn a_cursor_does_not_reveal_its_position() {
        let (one, two) = (encode_cursor(1, 0, 7), encode_cursor(2, 0, 7));
        let same = one.bytes().zip(two.bytes()).filter(|(a, b)| a == b).count();
        assert!(same < 18, "{one} {two}");
    }
}
