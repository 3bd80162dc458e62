//! Encoding of `multipart/form-data`: head, document and tail as one `Read` of known length.

use std::io::{self, Read};
use std::ops::ControlFlow;

/// A form of text fields around one document. It can be read as often as the document.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    head: Vec<u8>,
    tail: Vec<u8>,
    content_type: String,
}

impl Form {
    /// Encodes the parts around a document. `boundary` must not occur in it: take 128 random bits.
    pub(crate) fn new(boundary: &str, fields: &[(&str, &str)], name: &str, file_name: &str, media_type: &str) -> Self {
        let mut head = String::new();
        for (field, value) in fields {
            let field = escaped(field);
            head.push_str(&format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"
            ));
        }
        let (name, file_name) = (escaped(name), escaped(file_name));
        head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\
             Content-Type: {media_type}\r\n\r\n"
        ));
        Self {
            head: head.into_bytes(),
            tail: format!("\r\n--{boundary}--\r\n").into_bytes(),
            content_type: format!("multipart/form-data; boundary={boundary}"),
        }
    }

    /// The value of the request's `Content-Type`.
    pub(crate) fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The length of the whole, for a document of `document` bytes.
    pub(crate) fn length(&self, document: u64) -> u64 {
        document.saturating_add((self.head.len() + self.tail.len()) as u64)
    }

    /// The whole form as a reader. `progress` gets the bytes of the document sent so far, after each piece; it may cancel,
    /// which is an error of the reader.
    pub(crate) fn reader<'a>(
        &'a self,
        document: &'a mut dyn Read,
        length: u64,
        progress: &'a mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> FormReader<'a> {
        FormReader { head: &self.head, document, length, sent: 0, tail: &self.tail, progress, checked: false }
    }
}

/// Escapes a name as WHATWG does, and every other control character too, so that none ends a line or the name.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if c == '"' || c.is_ascii_control() {
            text.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

/// Reads a form. It gives exactly its length or an error, because the sender would wait for more.
pub(crate) struct FormReader<'a> {
    head: &'a [u8],
    document: &'a mut dyn Read,
    length: u64,
    sent: u64,
    tail: &'a [u8],
    progress: &'a mut dyn FnMut(u64) -> ControlFlow<()>,
    checked: bool,
}

/// The errors of a document whose size changed while it was sent.
pub(crate) const SHRANK: &str = "it shrank while it was sent";
pub(crate) const GREW: &str = "it grew while it was sent";

impl FormReader<'_> {
    fn read_document(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.document.read(piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

impl Read for FormReader<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        if piece.is_empty() {
            return Ok(0);
        }
        if !self.head.is_empty() {
            return self.head.read(piece);
        }
        let left = self.length - self.sent;
        if left > 0 {
            let most = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = self.read_document(&mut piece[..most])?;
            if count == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, SHRANK));
            }
            self.sent += count as u64;
            return match (self.progress)(self.sent) {
                ControlFlow::Continue(()) => Ok(count),
                ControlFlow::Break(()) => Err(io::Error::other("cancelled")),
            };
        }
        // Only the tail makes the form valid: the server accepts nothing before this check.
        if !self.checked {
            if self.read_document(&mut [0])? > 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, GREW));
            }
            self.checked = true;
        }
        self.tail.read(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(form: &Form, document: &[u8], length: u64) -> io::Result<(String, Vec<u64>)> {
        let mut told = Vec::new();
        let mut text = String::new();
        let mut document = document;
        form.reader(&mut document, length, &mut |bytes| {
            told.push(bytes);
            ControlFlow::Continue(())
        })
        .read_to_string(&mut text)?;
        Ok((text, told))
    }

    #[test]
    fn a_form_is_encoded_to_the_byte() {
        let form = Form::new("B", &[("path", "a/b.txt"), ("parentId", "7")], "file", "b.txt", "text/plain");
        let (text, told) = sent(&form, b"hello", 5).unwrap();
        assert_eq!(
            text,
            "--B\r\nContent-Disposition: form-data; name=\"path\"\r\n\r\na/b.txt\r\n\
             --B\r\nContent-Disposition: form-data; name=\"parentId\"\r\n\r\n7\r\n\
             --B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"b.txt\"\r\nContent-Type: text/plain\r\n\r\n\
             hello\r\n--B--\r\n"
        );
        assert_eq!(text.len() as u64, form.length(5));
        assert_eq!(told, [5]);
    }

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        assert_eq!(escaped("a\"b\r\nX-Evil: 1\0é.pdf"), "a%22b%0D%0AX-Evil: 1%00é.pdf");
    }

    #[test]
    fn a_document_whose_size_changed_is_an_error() {
        let form = Form::new("B", &[], "file", "x", "text/plain");
        assert_eq!(sent(&form, b"hell", 5).unwrap_err().to_string(), SHRANK);
        assert_eq!(sent(&form, b"", 5).unwrap_err().to_string(), SHRANK);
        assert_eq!(sent(&form, b"hello!", 5).unwrap_err().to_string(), GREW);
    }

    #[test]
    fn an_interrupted_read_is_retried() {
        struct Interrupted(bool);
        impl Read for Interrupted {
            fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
                self.0 = !self.0;
                if self.0 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                piece[0] = b'x';
                Ok(1)
            }
        }
        let form = Form::new("B", &[], "file", "x", "text/plain");
        let mut source = Interrupted(false).take(3);
        let mut text = String::new();
        form.reader(&mut source, 3, &mut |_| ControlFlow::Continue(())).read_to_string(&mut text).unwrap();
        assert!(text.contains("\r\n\r\nxxx\r\n--B--"));
    }
}
