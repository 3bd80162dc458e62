//! The kept corpus: a file for each property, an input a line, escaped as in a byte string.

use std::{fs, io};

/// The inputs of a property that are kept because they reach something, and those that once found something.
///
/// # Errors
///
/// Those of the files; `InvalidData` for a line that cannot be read.
pub fn kept(property: &str) -> io::Result<Vec<Vec<u8>>> {
    let read = |name: &str| fs::read_to_string(format!("{}/corpus/{name}.txt", env!("CARGO_MANIFEST_DIR")));
    let (reached, found) = (read(property)?, read("findings")?);
    let found = found.lines().filter_map(|line| line.strip_prefix(property)?.strip_prefix(' '));
    reached.lines().chain(found).map(|line| unescaped(line).ok_or(io::ErrorKind::InvalidData.into())).collect()
}

/// Keeps these inputs of a property in place of those that were kept because they reach something.
///
/// # Errors
///
/// Those of the file.
pub fn keep(property: &str, inputs: &[Vec<u8>]) -> io::Result<()> {
    let mut lines: Vec<_> = inputs.iter().map(|input| escaped(input) + "\n").collect();
    lines.sort();
    fs::write(format!("{}/corpus/{property}.txt", env!("CARGO_MANIFEST_DIR")), lines.concat())
}

/// An input as a line.
#[must_use]
pub fn escaped(input: &[u8]) -> String {
    // A quote needs no escape here, and JSON is full of them.
    input.escape_ascii().to_string().replace("\\\"", "\"")
}

/// A line as an input; `None` if it is none.
#[must_use]
pub fn unescaped(line: &str) -> Option<Vec<u8>> {
    let mut input = Vec::new();
    let mut bytes = line.bytes();
    while let Some(byte) = bytes.next() {
        input.push(match byte {
            b'\\' => match bytes.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => {
                    let digits = [bytes.next()?, bytes.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                plain @ (b'\\' | b'\'') => plain,
                _ => return None,
            },
            plain => plain,
        });
    }
    Some(input)
}
