//! Encoding of `multipart/form-data`: head, document and tail as one `Read` of known length.

use std::io::{self, Read};
use std::ops::ControlFlow;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

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
        let (name, file_name) = (escaped(name), file_name_parameters(file_name));
        head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; {file_name}\r\n\
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
    ) -> impl Read + 'a {
        let document = DocumentReader { document, length, sent: 0, progress };
        self.head.as_slice().chain(document).chain(self.tail.as_slice())
    }
}

/// The parameters of a header that name a file.
fn file_name_parameters(name: &str) -> String {
    let plain = escaped(name);
    if !plain.contains('\\') {
        return format!("filename=\"{plain}\"");
    }
    // Parsers as in browsers read a backslash as it is. To those of RFC 2183 it is an escape, but they prefer `filename*`.
    // At the end it would escape the quote.
    let plain = plain.strip_suffix('\\').map(|start| format!("{start}%5C")).unwrap_or(plain);
    format!("filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
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

/// Reads a document. It gives exactly its length or an error, because the sender would wait for more.
struct DocumentReader<'a> {
    document: &'a mut dyn Read,
    length: u64,
    sent: u64,
    progress: &'a mut dyn FnMut(u64) -> ControlFlow<()>,
}

/// The errors of a document whose size changed while it was sent.
pub(crate) const SHRANK: &str = "it shrank while it was sent";
pub(crate) const GREW: &str = "it grew while it was sent";

impl Read for DocumentReader<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let most = piece.len().min(usize::try_from(self.length - self.sent).unwrap_or(usize::MAX));
        if piece.is_empty() {
            return Ok(0);
        }
        // At the end, one more byte is asked for. Only the tail makes the form valid, and it is not sent before.
        let is_at_end = most == 0;
        let piece = if is_at_end { &mut [0][..] } else { &mut piece[..most] };
        let count = loop {
            match self.document.read(piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        match count {
            0 if is_at_end => Ok(0),
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, SHRANK)),
            _ if is_at_end => Err(io::Error::new(io::ErrorKind::InvalidData, GREW)),
            _ => {
                self.sent += count as u64;
                match (self.progress)(self.sent) {
                    ControlFlow::Continue(()) => Ok(count),
                    ControlFlow::Break(()) => Err(io::Error::other("cancelled")),
                }
            }
        }
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
        assert_eq!(form.content_type(), "multipart/form-data; boundary=B");
        assert_eq!(told, [5]);
    }

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        assert_eq!(escaped("a\"b\r\nX-Evil: 1\0é.pdf"), "a%22b%0D%0AX-Evil: 1%00é.pdf");
    }

    /// The file name that a parser as in browsers (WHATWG) reads: up to the next quote.
    fn read_as_whatwg(header: &str) -> String {
        header.split_once("filename=\"").unwrap().1.split('"').next().unwrap().to_owned()
    }

    /// The file name that a parser of RFC 2183 and 5987 reads: `filename*`, or else a quoted string with escapes.
    fn read_as_rfc(header: &str) -> String {
        if let Some((_, encoded)) = header.split_once("filename*=UTF-8''") {
            return percent_encoding::percent_decode_str(encoded).decode_utf8().unwrap().into_owned();
        }
        let (mut chars, mut value) = (header.split_once("filename=\"").unwrap().1.chars(), String::new());
        while let Some(c) = chars.next().filter(|c| *c != '"') {
            value.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        value
    }

    #[test]
    fn a_name_with_backslashes_arrives_as_it_is_at_every_parser() {
        let read = |name: &str| {
            let form = Form::new("B", &[], "file", name, "text/plain");
            let (text, _) = sent(&form, b"x", 1).unwrap();
            let header = text.lines().nth(1).unwrap().to_owned();
            (read_as_whatwg(&header), read_as_rfc(&header))
        };
        for name in ["a\\b.pdf", "C:\\plans\\b é;=.pdf", "100% of é;=.pdf", "plain.pdf"] {
            assert_eq!(read(name), (name.to_owned(), name.to_owned()));
        }
        assert_eq!(read("ends with \\"), ("ends with %5C".to_owned(), "ends with \\".to_owned()));
    }

    #[test]
    fn a_document_whose_size_changed_is_an_error() {
        let form = Form::new("B", &[], "file", "x", "text/plain");
        assert_eq!(sent(&form, b"hell", 5).unwrap_err().to_string(), SHRANK);
        assert_eq!(sent(&form, b"", 5).unwrap_err().to_string(), SHRANK);
        assert_eq!(sent(&form, b"hello!", 5).unwrap_err().to_string(), GREW);
    }

    #[test]
    fn a_document_above_4_gib_is_sent_and_counted_in_full() {
        /// Fills whatever it is given.
        struct Endless;
        impl Read for Endless {
            fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
                Ok(piece.len())
            }
        }
        const LENGTH: u64 = (4 << 30) + 5;
        let form = Form::new("B", &[], "file", "x", "text/plain");
        let (mut sent, mut told) = (0, 0);
        let mut document = Endless.take(LENGTH);
        let mut progress = |bytes| {
            told = bytes;
            ControlFlow::Continue(())
        };
        let mut reader = form.reader(&mut document, LENGTH, &mut progress);
        let mut piece = vec![0; 64 << 20];
        loop {
            match reader.read(&mut piece).unwrap() {
                0 => break,
                count => sent += count as u64,
            }
        }
        drop(reader);
        assert_eq!((sent, told), (form.length(LENGTH), LENGTH));
    }

    /// Fails with this error before every byte.
    struct Failing(io::ErrorKind, bool);

    impl Read for Failing {
        fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(self.0.into());
            }
            piece[0] = b'x';
            Ok(1)
        }
    }

    /// Reads a form without the retries of `read_to_end`.
    fn read_once(source: &mut dyn Read, length: u64) -> io::Result<Vec<u8>> {
        let form = Form::new("B", &[], "file", "x", "text/plain");
        let mut progress = |_| ControlFlow::Continue(());
        let (mut reader, mut bytes, mut piece) = (form.reader(source, length, &mut progress), Vec::new(), [0; 64]);
        loop {
            match reader.read(&mut piece)? {
                0 => return Ok(bytes),
                count => bytes.extend_from_slice(&piece[..count]),
            }
        }
    }

    #[test]
    fn an_interrupted_read_is_retried_and_any_other_error_is_returned() {
        let text = read_once(&mut Failing(io::ErrorKind::Interrupted, false).take(3), 3).unwrap();
        assert!(String::from_utf8(text).unwrap().contains("\r\n\r\nxxx\r\n--B--"));
        let error = read_once(&mut Failing(io::ErrorKind::PermissionDenied, false).take(3), 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn progress_may_cancel_the_upload() {
        let form = Form::new("B", &[], "file", "x", "text/plain");
        let mut text = Vec::new();
        let error =
            form.reader(&mut &b"hello"[..], 5, &mut |_| ControlFlow::Break(())).read_to_end(&mut text).unwrap_err();
        assert_eq!(error.to_string(), "cancelled");
        assert!(!text.ends_with(b"--B--\r\n"), "without its end the form is not valid");
    }
}
