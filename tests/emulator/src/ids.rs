//! Ids, random and seeded, and the secrets of API keys.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Moment;

/// What a seeded id identifies. Two kinds never share an id.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    User = 1,
    ApiKey,
    AuditEntry,
    File,
    FileVersion,
    Agent,
    Artifact,
    Message,
    Integration,
}

/// Generates ids that are unique within the process.
#[derive(Debug)]
pub(crate) struct Ids {
    next: AtomicU64,
    salt: u64,
}

impl Ids {
    pub(crate) fn new() -> Ids {
        // RandomState is the standard library's only stable source of randomness.
        Ids { next: AtomicU64::new(0), salt: RandomState::new().build_hasher().finish() }
    }

    /// A new id, in the format of a UUID version 7.
    pub(crate) fn fresh(&self, now: Moment) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        uuid_v7(now.as_millis() as u64, number, mix(self.salt ^ number))
    }

    /// A new API key.
    pub(crate) fn secret(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let parts = [1, 2].map(|part| mix(self.salt ^ mix(number << 2 | part)));
        format!("npk_{:016x}{:016x}", parts[0], parts[1])
    }
}

/// The seeded id of this kind and number, the same in every run.
pub(crate) fn seeded(kind: Kind, number: u64) -> String {
    // 15 January 2026. Seeded ids have this time, plus a millisecond per number.
    const CREATED: u64 = 1_768_435_200_000;
    let kind = kind as u64;
    uuid_v7(CREATED + number, kind << 8 | number & 0xff, mix(kind << 56 ^ number))
}

fn uuid_v7(millis: u64, middle: u64, random: u64) -> String {
    format!(
        "{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}",
        millis >> 16 & 0xffff_ffff,
        millis & 0xffff,
        middle & 0xfff,
        0x8000 | random >> 48 & 0x3fff,
        random & 0xffff_ffff_ffff
    )
}

/// Whether the text has the format of a UUID, of any version and in any letter case.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Hashes a number without collisions (the finalizer of SplitMix64).
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_ids_are_unique() {
        let ids = Ids::new();
        let now = Duration::from_secs(1_775_390_400);
        let mut seen = HashSet::new();
        for number in 0..10_000 {
            for id in [ids.fresh(now), seeded(Kind::User, number), seeded(Kind::File, number)] {
                assert!(is_uuid(&id), "{id}");
                assert_eq!(id, id.to_lowercase());
                assert_eq!(&id[14..15], "7");
                assert!(seen.insert(id));
            }
            assert!(seen.insert(ids.secret()));
        }
    }

    #[test]
    fn uuids_are_recognized() {
        assert!(is_uuid("019abc12-3456-7890-ABCD-ef1234567890"));
        for text in ["", "chunk-uuid", "019abc12345678900abcdef1234567890000", "019abc12-3456-7890-abcd-ef123456789g"] {
            assert!(!is_uuid(text), "{text}");
        }
    }
}
