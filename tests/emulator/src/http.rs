//! HTTP/1.1 on a socket: heads and bodies of requests in, responses out.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// The largest head of a request.
const MAX_HEAD: usize = 64 * 1024;
/// The most headers of a request.
const MAX_HEADERS: usize = 128;
/// How much is read from a socket at once.
const BUFFER: usize = 64 * 1024;

/// The reading end of a connection.
#[derive(Debug)]
pub(crate) struct Wire {
    reader: BufReader<TcpStream>,
    /// As much of a request's head as was read.
    head: Vec<u8>,
}

/// Why a head could not be read.
#[derive(Debug)]
pub(crate) enum BadHead {
    /// The peer went away, in the middle of it or before.
    Closed,
    /// It is not HTTP, or not as much of it as is served here.
    Malformed(String),
}

/// The head of a request.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// As it came, without a scheme and a host when it had them.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Whether the peer lets the connection be used again.
    pub(crate) keep_alive: bool,
    framing: Framing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// Chunked: so many bytes of the present chunk are still to come.
    Chunk(u64),
    /// Chunked, before the first chunk.
    FirstChunk,
    /// All was read.
    Done,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Wire {
        Wire { reader: BufReader::with_capacity(BUFFER, stream), head: Vec::new() }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    /// Waits for the next request and reads its first line.
    pub(crate) fn read_first_line(&mut self) -> Result<String, BadHead> {
        let first = *self.reader.fill_buf().map_err(|_| BadHead::Closed)?.first().ok_or(BadHead::Closed)?;
        // Whoever speaks TLS or anything else to this port waits for an answer and would wait for ever.
        if !first.is_ascii_alphabetic() && !matches!(first, b'\r' | b'\n') {
            return Err(BadHead::Malformed("Not an HTTP request".to_owned()));
        }
        self.head.clear();
        loop {
            let line = self.read_line()?;
            if !is_blank(line) {
                return Ok(String::from_utf8_lossy(line).into_owned());
            }
        }
    }

    /// Reads the rest of the head whose first line was read.
    pub(crate) fn read_head(&mut self) -> Result<Head, BadHead> {
        while !is_blank(self.read_line()?) {}
        Head::parse(&self.head)
    }

    /// The next line of the head.
    fn read_line(&mut self) -> Result<&[u8], BadHead> {
        let start = self.head.len();
        let mut limited = (&mut self.reader).take((MAX_HEAD - start) as u64);
        limited.read_until(b'\n', &mut self.head).map_err(|_| BadHead::Closed)?;
        match &self.head[start..] {
            line if line.ends_with(b"\n") => Ok(line),
            _ if self.head.len() == MAX_HEAD => Err(BadHead::Malformed("Request head too large".to_owned())),
            _ => Err(BadHead::Closed),
        }
    }

    /// The body that follows this head.
    pub(crate) fn body<'w>(&'w mut self, head: &Head) -> Body<'w> {
        Body {
            awaits_word: head.header("expect").is_some_and(|word| word.eq_ignore_ascii_case("100-continue")),
            framing: head.framing,
            wire: self,
        }
    }

    /// Reads on and throws away until the peer closes, nothing comes for a while, or it is enough. A connection that is
    /// closed with bytes unread is reset, and the reset may overtake the answer.
    pub(crate) fn linger(&mut self, patience: Duration) {
        let _ = self.stream().shutdown(Shutdown::Write);
        let _ = self.stream().set_read_timeout(Some(patience));
        let until = Instant::now() + patience * 6;
        let mut waste = [0; 16 * 1024];
        while let Ok(1..) = self.reader.read(&mut waste) {
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
    fn parse(bytes: &[u8]) -> Result<Head, BadHead> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let malformed = |error: &dyn std::fmt::Display| BadHead::Malformed(format!("Malformed request head: {error}"));
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
        let says = |name, word: &str| {
            all(name).flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
        };
        if request.version == Some(1) && all("host").count() != 1 {
            return Err(malformed(&"HTTP/1.1 asks for exactly one Host"));
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
            // Both at once is how requests are smuggled.
            _ => return Err(malformed(&"unsupported framing of the body")),
        };
        let keep_alive = match request.version {
            Some(1) => !says("connection", "close"),
            _ => says("connection", "keep-alive"),
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

    /// The values of all headers of this name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let headers = self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        headers.map(|(_, value)| value.as_str())
    }

    /// The value of the first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Whether the body is said to be JSON.
    pub(crate) fn says_json(&self) -> bool {
        let essence = self.header("content-type").and_then(|kind| kind.split(';').next());
        essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
    }

    /// The length of the body, when it was told.
    pub(crate) fn content_length(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(length) => Some(length),
            Framing::Done => Some(0),
            _ => None,
        }
    }
}

/// The body of a request, not read yet.
#[derive(Debug)]
pub(crate) struct Body<'w> {
    wire: &'w mut Wire,
    framing: Framing,
    awaits_word: bool,
}

impl Body<'_> {
    /// Whether nothing more is to come.
    pub(crate) fn is_done(&self) -> bool {
        self.framing == Framing::Done
    }

    /// Whether the peer sends it only after our word that it may, which reading gives.
    pub(crate) fn awaits_word(&self) -> bool {
        self.awaits_word
    }

    /// Whether the rest is so short that it is cheaper to read it than to close the connection.
    /// A peer that awaits our word has not sent anything yet and may never do so.
    pub(crate) fn is_nearly_done(&self) -> bool {
        match self.framing {
            Framing::Done => true,
            Framing::Length(left) => left <= BUFFER as u64 && !self.awaits_word,
            _ => false,
        }
    }

    /// Reads all that is left of it, at most so many bytes. None when there is more.
    pub(crate) fn read_whole(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        self.take(limit + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= limit))
    }

    /// Reads so many bytes of it, or what there is, and throws them away.
    pub(crate) fn skip(&mut self, bytes: u64) -> io::Result<u64> {
        io::copy(&mut self.take(bytes), &mut io::sink())
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let mut line = self.line()?;
        if self.framing != Framing::FirstChunk {
            if !line.is_empty() {
                return Err(io::Error::new(ErrorKind::InvalidData, "a chunk is longer than it says"));
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
        (&mut self.wire.reader).take(4096).read_until(b'\n', &mut line)?;
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
        if std::mem::take(&mut self.awaits_word) {
            self.wire.stream().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if matches!(self.framing, Framing::FirstChunk | Framing::Chunk(0)) {
            self.next_chunk()?;
        }
        let (Framing::Length(left) | Framing::Chunk(left)) = self.framing else {
            return Ok(0);
        };
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.wire.reader.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the body ended before its length"));
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

/// A response, ready but for its framing.
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

    /// The head, telling this length of body.
    pub(crate) fn head(&self, length: u64, keep_alive: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            // A fault may put anything here; it must not be able to end the head.
            let value = value.replace(['\r', '\n'], " ");
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if has_content(self.status) {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        head.push_str(if keep_alive { "\r\n" } else { "Connection: close\r\n\r\n" });
        head.into_bytes()
    }

    /// Head and body as they go over the wire, and the length of the head.
    pub(crate) fn bytes(&self, keep_alive: bool) -> (Vec<u8>, usize) {
        let mut bytes = self.head(self.body.len() as u64, keep_alive);
        let head = bytes.len();
        bytes.extend_from_slice(&self.body);
        (bytes, head)
    }
}

/// Whether a body follows a head with this status.
fn has_content(status: u16) -> bool {
    !matches!(status, 204 | 304)
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}

/// Decodes `%41` once; what is no escape stays as it is. In a query a plus is a space.
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

/// Encodes all but letters, digits and `-._~`, as in a path segment.
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

    fn head(text: &str) -> Result<Head, BadHead> {
        Head::parse(text.as_bytes())
    }

    #[test]
    fn escapes_are_decoded_once() {
        assert_eq!(percent_decode("a%2Fb%252F+%zz%4", false), "a/b%2F+%zz%4");
        assert_eq!(percent_decode("a+b%2B", true), "a b+");
        assert_eq!(percent_decode(&percent_encode("Höhe 1/2 %"), false), "Höhe 1/2 %");
    }

    #[test]
    fn an_absolute_target_loses_its_host() {
        let head = head("GET http://127.0.0.1:80/users?x=1 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(head.target, "/users?x=1");
    }

    #[test]
    fn a_body_framed_in_two_ways_is_refused() {
        for framing in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Content-Length: 3\r\nContent-Length: 4",
            "Content-Length: +3",
            "Content-Length:",
            "Transfer-Encoding: gzip, chunked",
        ] {
            let head = head(&format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
            assert!(matches!(head, Err(BadHead::Malformed(_))), "{framing}");
        }
    }

    #[test]
    fn a_header_cannot_end_the_head() {
        let response = Response::new(200, "text/plain", Vec::new()).with("Retry-After", "1\r\nX-Evil: 1");
        let head = String::from_utf8(response.head(0, true)).unwrap();
        assert!(head.contains("Retry-After: 1  X-Evil: 1\r\n"), "{head}");
    }
}
