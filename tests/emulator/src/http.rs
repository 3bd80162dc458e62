//! HTTP/1.1 over a socket: parses requests and formats responses.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use http::StatusCode;

/// The maximum size of a request head.
const MAX_HEAD: usize = 64 * 1024;
/// The maximum number of request headers.
const MAX_HEADERS: usize = 128;
/// The size of the read buffer.
const BUFFER: usize = 64 * 1024;

/// A connection to a client.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    /// The part of the request head that was read.
    head: Vec<u8>,
}

/// Why a request head could not be read.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// The peer closed the connection.
    Closed,
    /// It is not HTTP, or uses unsupported features.
    Malformed(String),
}

/// A request head.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// The path and query as received, without scheme and host.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Whether the peer allows the connection to be reused.
    pub(crate) keep_alive: bool,
    framing: Framing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// This number of bytes is left.
    Length(u64),
    /// Chunked, with this number of bytes left in the chunk.
    Chunk(u64),
    /// Chunked, before the first chunk.
    FirstChunk,
    /// Nothing is left.
    Done,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Connection {
        Connection { reader: BufReader::with_capacity(BUFFER, stream), head: Vec::new() }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    /// Waits for the next request and reads its first line.
    pub(crate) fn read_first_line(&mut self) -> Result<String, HeadError> {
        let first = *self.reader.fill_buf().map_err(|_| HeadError::Closed)?.first().ok_or(HeadError::Closed)?;
        // A client that speaks TLS or another protocol would otherwise wait forever.
        if !first.is_ascii_alphabetic() && !matches!(first, b'\r' | b'\n') {
            return Err(HeadError::Malformed("Not an HTTP request".to_owned()));
        }
        self.head.clear();
        loop {
            let line = self.read_line()?;
            if !is_blank(line) {
                return Ok(String::from_utf8_lossy(line).into_owned());
            }
        }
    }

    /// Reads the rest of the head after the first line.
    pub(crate) fn read_head(&mut self) -> Result<Head, HeadError> {
        while !is_blank(self.read_line()?) {}
        Head::parse(&self.head)
    }

    /// Reads the next line of the head.
    fn read_line(&mut self) -> Result<&[u8], HeadError> {
        let start = self.head.len();
        let mut limited = (&mut self.reader).take((MAX_HEAD - start) as u64);
        limited.read_until(b'\n', &mut self.head).map_err(|_| HeadError::Closed)?;
        match &self.head[start..] {
            line if line.ends_with(b"\n") => Ok(line),
            _ if self.head.len() == MAX_HEAD => Err(HeadError::Malformed("Request head too large".to_owned())),
            _ => Err(HeadError::Closed),
        }
    }

    /// Returns the body that follows the head.
    pub(crate) fn body<'w>(&'w mut self, head: &Head) -> Body<'w> {
        Body {
            expects_continue: head.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")),
            framing: head.framing,
            connection: self,
        }
    }

    /// Discards what the peer is still sending until it closes the connection, pauses for `timeout`, or takes too long.
    /// Closing a connection with unread bytes resets it, and the peer may then lose the response.
    pub(crate) fn linger(&mut self, timeout: Duration) {
        let _ = self.stream().shutdown(Shutdown::Write);
        let _ = self.stream().set_read_timeout(Some(timeout));
        let until = Instant::now() + timeout * 6;
        let mut discarded = [0; 16 * 1024];
        while let Ok(1..) = self.reader.read(&mut discarded) {
            if Instant::now() > until {
                return;
            }
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\r\n" | b"\n")
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Head, HeadError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let malformed =
            |error: &dyn std::fmt::Display| HeadError::Malformed(format!("Malformed request head: {error}"));
        request.parse(bytes).map_err(|error| malformed(&error))?;
        let headers: Vec<(String, String)> = request
            .headers
            .iter()
            .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()))
            .collect();
        let all = |name: &'static str| {
            let headers = headers.iter();
            headers.filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let has = |name, token: &str| {
            all(name).flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
        };
        if request.version == Some(1) && all("host").count() != 1 {
            return Err(malformed(&"HTTP/1.1 requires exactly one Host"));
        }
        let mut lengths = all("content-length");
        let framing = match (lengths.next(), all("transfer-encoding").next()) {
            (None, None) => Framing::Done,
            (Some(length), None) => {
                let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
                let number = length.parse().ok().filter(|_| digits && lengths.all(|other| other == length));
                match number.ok_or_else(|| malformed(&"invalid Content-Length"))? {
                    0 => Framing::Done,
                    number => Framing::Length(number),
                }
            }
            (None, Some(coding)) if coding.eq_ignore_ascii_case("chunked") => Framing::FirstChunk,
            // Accepting both would allow request smuggling.
            _ => return Err(malformed(&"unsupported body framing")),
        };
        let keep_alive = match request.version {
            Some(1) => !has("connection", "close"),
            _ => has("connection", "keep-alive"),
        };
        let target = request.path.unwrap_or_default();
        let target = match target.split_once("://") {
            Some(("http" | "https", rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
            _ => target,
        };
        Ok(Head {
            method: request.method.unwrap_or_default().to_owned(),
            target: target.to_owned(),
            keep_alive,
            framing,
            headers,
        })
    }

    /// Returns the values of all headers with this name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let headers = self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        headers.map(|(_, value)| value.as_str())
    }

    /// Returns the value of the first header with this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Whether the `Content-Type` is JSON.
    pub(crate) fn is_json(&self) -> bool {
        let essence = self.header("content-type").and_then(|kind| kind.split(';').next());
        essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
    }

    /// Returns the length of the body, unless it is chunked.
    pub(crate) fn content_length(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(length) => Some(length),
            Framing::Done => Some(0),
            _ => None,
        }
    }
}

/// A request body that is read from the connection.
#[derive(Debug)]
pub(crate) struct Body<'w> {
    connection: &'w mut Connection,
    framing: Framing,
    expects_continue: bool,
}

impl Body<'_> {
    /// Whether the whole body was read.
    pub(crate) fn is_done(&self) -> bool {
        self.framing == Framing::Done
    }

    /// Whether the peer waits for 100 Continue, which reading sends.
    pub(crate) fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// Whether reading the rest is cheaper than closing the connection. A peer that waits for 100 Continue may never send
    /// it.
    pub(crate) fn is_nearly_done(&self) -> bool {
        match self.framing {
            Framing::Done => true,
            Framing::Length(left) => left <= BUFFER as u64 && !self.expects_continue,
            _ => false,
        }
    }

    /// Reads the rest of the body. None if it is longer than the limit.
    pub(crate) fn read_whole(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        self.take(limit + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= limit))
    }

    /// Reads and discards up to this number of bytes.
    pub(crate) fn skip(&mut self, bytes: u64) -> io::Result<u64> {
        io::copy(&mut self.take(bytes), &mut io::sink())
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let mut line = self.line()?;
        if self.framing != Framing::FirstChunk {
            if !line.is_empty() {
                return Err(io::Error::new(ErrorKind::InvalidData, "a chunk is longer than its size"));
            }
            line = self.line()?;
        }
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16)
            .map_err(|_| io::Error::new(ErrorKind::InvalidData, "a chunk without a size"))?;
        if size > 0 {
            self.framing = Framing::Chunk(size);
            return Ok(());
        }
        while !self.line()?.is_empty() {}
        self.framing = Framing::Done;
        Ok(())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.connection.reader).take(4096).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.is_done() {
            return Ok(0);
        }
        if std::mem::take(&mut self.expects_continue) {
            self.connection.stream().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if matches!(self.framing, Framing::FirstChunk | Framing::Chunk(0)) {
            self.next_chunk()?;
        }
        let (Framing::Length(left) | Framing::Chunk(left)) = self.framing else {
            return Ok(0);
        };
        let max = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.connection.reader.read(&mut buffer[..max])?;
        if count == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the body is shorter than its length"));
        }
        let left = left - count as u64;
        self.framing = match self.framing {
            Framing::Length(_) if left == 0 => Framing::Done,
            Framing::Length(_) => Framing::Length(left),
            _ => Framing::Chunk(left),
        };
        Ok(count)
    }
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn new(status: u16, content_type: &str, body: Vec<u8>) -> Response {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        let body = if has_content(status) { body } else { Vec::new() };
        Response { status, headers, body }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Response {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The head, with this `Content-Length`.
    pub(crate) fn head(&self, length: u64, keep_alive: bool) -> Vec<u8> {
        let status = StatusCode::from_u16(self.status).ok();
        let reason = status.and_then(|status| status.canonical_reason()).unwrap_or("Unknown");
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        for (name, value) in &self.headers {
            // A fault can set any value, but a line break would end the header.
            let value = value.replace(['\r', '\n'], " ");
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if has_content(self.status) {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        head.push_str(if keep_alive { "\r\n" } else { "Connection: close\r\n\r\n" });
        head.into_bytes()
    }

    /// The head and body as sent, and the length of the head.
    pub(crate) fn bytes(&self, keep_alive: bool) -> (Vec<u8>, usize) {
        let mut bytes = self.head(self.body.len() as u64, keep_alive);
        let head = bytes.len();
        bytes.extend_from_slice(&self.body);
        (bytes, head)
    }
}

/// Whether responses with this status have a body.
fn has_content(status: u16) -> bool {
    !matches!(status, 204 | 304)
}

/// Percent-decodes a text. Invalid escapes stay as they are.
pub(crate) fn percent_decode(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| (*byte as char).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        decoded.push(match (byte, digit(at), digit(at + 1)) {
            (b'%', Some(high), Some(low)) => {
                at += 2;
                (high * 16 + low) as u8
            }
            (b'+', ..) if plus_is_space => b' ',
            _ => byte,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Percent-encodes all bytes except letters, digits and `-._~`.
pub(crate) fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte as char),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Head, HeadError> {
        Head::parse(text.as_bytes())
    }

    #[test]
    fn escapes_are_decoded_once() {
        assert_eq!(percent_decode("a%2Fb%252F+%zz%4", false), "a/b%2F+%zz%4");
        assert_eq!(percent_decode("a+b%2B", true), "a b+");
        assert_eq!(percent_decode(&percent_encode("Höhe 1/2 %"), false), "Höhe 1/2 %");
    }

    #[test]
    fn scheme_and_host_are_removed_from_the_target() {
        let head = head("GET http://127.0.0.1:80/users?x=1 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(head.target, "/users?x=1");
    }

    #[test]
    fn ambiguous_or_invalid_body_framing_is_refused() {
        for framing in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Content-Length: 3\r\nContent-Length: 4",
            "Content-Length: +3",
            "Content-Length:",
            "Transfer-Encoding: gzip, chunked",
        ] {
            let head = head(&format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
            assert!(matches!(head, Err(HeadError::Malformed(_))), "{framing}");
        }
    }

    #[test]
    fn a_header_value_cannot_end_the_head() {
        let response = Response::new(200, "text/plain", Vec::new()).with("Retry-After", "1\r\nX-Evil: 1");
        let head = String::from_utf8(response.head(0, true)).unwrap();
        assert!(head.contains("Retry-After: 1  X-Evil: 1\r\n"), "{head}");
    }
}
