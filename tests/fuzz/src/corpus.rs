//! The saved corpus: one file per property, one input per line, escaped as in a byte string literal.

use std::{fs, io};

/// Loads the inputs of a property: those that add coverage, and those that once failed.
///
/// # Errors
///
/// Fails if a file cannot be read, and with `InvalidData` if a line is malformed.
pub fn load(property: &str) -> io::Result<Vec<Vec<u8>>> {
    let read = |name: &str| fs::read_to_string(format!("{}/corpus/{name}.txt", env!("CARGO_MANIFEST_DIR")));
    let (coverage, findings) = (read(property)?, read("findings")?);
    let findings = findings.lines().filter_map(|line| line.strip_prefix(property)?.strip_prefix(' '));
    coverage.lines().chain(findings).map(|line| unescape(line).ok_or(io::ErrorKind::InvalidData.into())).collect()
}

/// Replaces the inputs of a property that add coverage.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn save(property: &str, inputs: &[Vec<u8>]) -> io::Result<()> {
    let mut lines: Vec<_> = inputs.iter().map(|input| escape(input) + "\n").collect();
    lines.sort();
    fs::write(format!("{}/corpus/{property}.txt", env!("CARGO_MANIFEST_DIR")), lines.concat())
}

/// Formats an input as a line.
#[must_use]
pub fn escape(input: &[u8]) -> String {
    // Quotes stay unescaped: JSON has many of them.
    input.escape_ascii().to_string().replace("\\\"", "\"")
}

/// Parses a line into an input; `None` if the line is malformed.
#[must_use]
pub fn unescape(line: &str) -> Option<Vec<u8>> {
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
