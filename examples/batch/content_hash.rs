//! A hash that tells whether a document has changed since an earlier run.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The length and a hash of a document. Unlike the modification time, it changes only with the content: a document
/// that is replaced is parsed again, and one that is merely touched is not billed twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContentHash(String);

impl ContentHash {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut buffer = vec![0; 1 << 16];
        // FNV-1a: unlike the hashers of std, it is stable across Rust versions.
        let (mut length, mut hash) = (0, 0xcbf2_9ce4_8422_2325_u64);
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(Self(format!("{length}-{hash:016x}"))),
                count => {
                    length += count;
                    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
                    hash = buffer[..count].iter().fold(hash, mix);
                }
            }
        }
    }
}
