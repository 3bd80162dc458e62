//! One HTTP exchange over `ureq`. Only this module knows `ureq`.

mod connector;
mod describe;
mod dns;
#[cfg(windows)]
mod early;
mod encoding;
mod exchange;
mod proxy;
mod tcp;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod tls;

use std::io::{self, ErrorKind, Read};
use std::time::Instant;

use ureq::http::{HeaderMap, Request, Response, Uri};
use ureq::{Agent, Body, Error, Proxy, SendBody};

use self::connector::connector;
use self::describe::failure_kind;
use self::dns::NoResolver;
use self::encoding::{ACCEPT_ENCODING, Encoding};
use self::exchange::Exchange;
pub(crate) use self::exchange::Timeouts;
pub(crate) use self::proxy::ProxyChoice;
use self::tcp::Tcp;

/// Idle connections that are kept, so that as many threads need no new handshake.
const MAX_IDLE_CONNECTIONS: usize = 32;
/// The size of each buffer, in bytes. TCP has one for each direction; TLS over it two more, and so has TLS to a proxy.
const BUFFER: usize = 40 << 10;
const _: () =
    assert!(MAX_IDLE_CONNECTIONS * 3 * 2 * BUFFER <= 8 << 20, "idle connections hold 8 MiB of buffers at most");
/// How large the head of a response may be, in bytes; a larger one would not fit into a buffer.
const MAX_RESPONSE_HEAD: usize = 32 << 10;
const _: () = assert!(MAX_RESPONSE_HEAD < BUFFER);
/// How much is reserved for a body because the server announced it, in bytes; more only as it arrives.
const MAX_RESERVED: u64 = 64 << 20;
/// How much of an error's body is read, in bytes.
const MAX_ERROR_BODY: u64 = 256 << 10;

/// The configuration of a client.
#[derive(Clone)]
pub(crate) struct HttpConfig {
    pub(crate) timeouts: Timeouts,
    pub(crate) response_limit: u64,
    pub(crate) user_agent: String,
    pub(crate) proxy: ProxyChoice,
    /// Root certificates in PEM or DER; `None` for the default ones.
    pub(crate) roots: Option<Vec<u8>>,
}

/// A request.
pub(crate) struct HttpRequest<'a, 'b> {
    pub(crate) method: &'static str,
    pub(crate) url: &'a str,
    pub(crate) authorization: &'a str,
    pub(crate) body: RequestBody<'b>,
}

/// The body of a request.
pub(crate) enum RequestBody<'a> {
    None,
    Bytes { media_type: &'a str, bytes: &'a [u8] },
    Reader { media_type: &'a str, reader: &'a mut dyn Read, length: u64 },
}

/// A response: with its whole body if its status is 2xx, else with as much of it as came.
#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    /// The encoding of the body, if this client cannot decode it.
    pub(crate) unsupported_encoding: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// The headers of a response.
#[derive(Debug, Default)]
pub(crate) struct Headers(HeaderMap);

impl Headers {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok().map(str::trim)
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&'static str, &'static str); N]> for Headers {
    fn from(headers: [(&'static str, &'static str); N]) -> Self {
        use ureq::http::{HeaderName, HeaderValue};
        let header = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        Self(headers.into_iter().map(header).collect())
    }
}

/// Why there is no response, or no whole one.
#[derive(Debug)]
pub(crate) struct TransportFailure {
    /// Whether any byte of the request was handed to a connection.
    pub(crate) handed_over: bool,
    /// The status of the response whose body could not be read.
    pub(crate) status: Option<u16>,
    /// What came of that body.
    pub(crate) body: Vec<u8>,
    pub(crate) kind: FailureKind,
}

/// What went wrong. Messages are of bounded length and contain no credentials.
#[derive(Debug)]
pub(crate) enum FailureKind {
    /// No connection, no response, or not all of it. A permanent cause remains when the request is sent again.
    Transport { message: String, timed_out: bool, permanent: bool, source: Option<io::Error> },
    /// The deadline passed.
    Deadline,
    /// The response is larger than the limit.
    TooLarge,
    /// The request cannot be written as HTTP.
    InvalidRequest(String),
    /// The body to send could not be read.
    Body(io::Error),
}

/// Connections to one server.
pub(crate) struct HttpClient {
    agent: Agent,
    timeouts: Timeouts,
    response_limit: u64,
    /// As `host:port`, without its credentials.
    proxy: Option<String>,
}

impl HttpClient {
    /// A client for a base URL; nothing is opened. The error is a sentence.
    pub(crate) fn new(base_url: &str, config: &HttpConfig) -> Result<Self, String> {
        let base: Uri =
            base_url.parse().map_err(|error| format!("the base URL {base_url:?} cannot be sent: {error}"))?;
        let proxy = proxy::proxy(&config.proxy, &base)?;
        let urls = [Some(&base), proxy.as_ref().map(Proxy::uri)];
        let tls = urls.into_iter().flatten().any(|url| url.scheme_str() == Some("https"));
        let proxy_address = proxy.as_ref().map(|proxy| format!("{}:{}", proxy.host(), proxy.port()));
        // The connector keeps all time limits: ureq's own start a thread for every request.
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // A redirect would turn a POST into a GET and send the key to another host.
            .max_redirects(0)
            .max_response_header_size(MAX_RESPONSE_HEAD)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .max_idle_connections(MAX_IDLE_CONNECTIONS)
            .max_idle_connections_per_host(MAX_IDLE_CONNECTIONS)
            .user_agent(config.user_agent.as_str())
            .accept("application/json")
            .accept_encoding(ACCEPT_ENCODING)
            .proxy(proxy);
        #[cfg(any(feature = "rustls", feature = "native-tls"))]
        let agent = tls::configure(agent, config.roots.as_deref())?;
        if cfg!(not(any(feature = "rustls", feature = "native-tls"))) && (tls || config.roots.is_some()) {
            let hint = "this build has no TLS: turn on a feature of nomic-client, rustls or native-tls";
            return Err(format!("https and root certificates need TLS, and {hint}"));
        }
        Ok(Self {
            agent: Agent::with_parts(agent.build(), connector(Tcp { buffer: BUFFER, tls }), NoResolver),
            timeouts: config.timeouts,
            response_limit: config.response_limit,
            proxy: proxy_address,
        })
    }

    /// The proxy that requests go through, as `host:port`.
    pub(crate) fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    /// Sends a request and reads the response. It ends at the deadline, whatever the server does.
    pub(crate) fn exchange(
        &self,
        request: HttpRequest<'_, '_>,
        deadline: Instant,
    ) -> Result<HttpResponse, TransportFailure> {
        let _guard = Exchange::begin(self.timeouts, deadline, request.method == "GET");
        let failure = |kind, status| {
            let handed_over = Exchange::current().handed_over;
            TransportFailure { handed_over, status, body: Vec::new(), kind }
        };
        if deadline <= Instant::now() {
            return Err(failure(FailureKind::Deadline, None));
        }
        let mut body_error = None;
        let response = self.run(request, &mut body_error).map_err(|error| match body_error {
            Some(error) => failure(FailureKind::Body(error), None),
            None => failure(failure_kind(error, false), None),
        })?;
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        if head.status.is_success() && Exchange::current().write_closed {
            let message = "the server answered before it had read the whole request".to_owned();
            let kind = FailureKind::Transport { message, timed_out: false, permanent: false, source: None };
            return Err(failure(kind, Some(status)));
        }
        let encoding = Encoding::of(&head.headers);
        let mut bytes = Vec::new();
        match status {
            // These have no body; one that their headers announce would be waited for, or decompressed.
            204 | 205 => {}
            200..=299 => {
                if let Err(kind) = self.read_whole(body, &encoding, &mut bytes) {
                    return Err(TransportFailure { body: bytes, ..failure(kind, Some(status)) });
                }
            }
            _ => bytes = read_error(body, &encoding),
        }
        let unsupported_encoding = match encoding {
            Encoding::Unsupported(name) if !bytes.is_empty() => Some(name),
            _ => None,
        };
        Ok(HttpResponse { status, headers: Headers(head.headers), unsupported_encoding, body: bytes })
    }

    fn run(&self, request: HttpRequest<'_, '_>, body_error: &mut Option<io::Error>) -> Result<Response<Body>, Error> {
        let head =
            Request::builder().method(request.method).uri(request.url).header("authorization", request.authorization);
        let (media_type, mut bytes, reader, length) = match request.body {
            // Some servers answer 411 to a POST that does not say its length.
            RequestBody::None if matches!(request.method, "POST" | "PUT" | "PATCH") => (None, &[][..], None, 0),
            RequestBody::None => return self.agent.run(head.body(())?),
            RequestBody::Bytes { media_type, bytes } => (Some(media_type), bytes, None, bytes.len() as u64),
            RequestBody::Reader { media_type, reader, length } => {
                Exchange::update(|exchange| exchange.streams_body = true);
                (Some(media_type), &[][..], Some(reader), length)
            }
        };
        let head = match media_type {
            Some(media_type) => head.header("content-type", media_type),
            None => head,
        };
        let reader = reader.unwrap_or(&mut bytes);
        let mut reader = GuardedReader { reader, left: length, error: body_error };
        self.agent.run(head.header("content-length", length).body(SendBody::from_reader(&mut reader))?)
    }

    /// Reads and decodes a body, up to the limit.
    fn read_whole(&self, body: Body, encoding: &Encoding, bytes: &mut Vec<u8>) -> Result<(), FailureKind> {
        let announced = body.content_length().unwrap_or(0);
        if announced > self.response_limit {
            return Err(FailureKind::TooLarge);
        }
        bytes.reserve(usize::try_from(announced.min(MAX_RESERVED)).unwrap_or(0));
        let mut reader = encoding.decode(unlimited(body)).take(self.response_limit.saturating_add(1));
        let read = reader.read_to_end(bytes);
        if reader.limit() == 0 {
            return Err(FailureKind::TooLarge);
        }
        read.map(drop).map_err(|error| match encoding.corrupt(&error) {
            Some(message) => FailureKind::Transport { message, timed_out: false, permanent: true, source: Some(error) },
            None => failure_kind(error.into(), true),
        })
    }
}

/// Reads as much of an error's body as comes: its status is known, so a truncated body changes nothing.
fn read_error(body: Body, encoding: &Encoding) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = encoding.decode(unlimited(body)).take(MAX_ERROR_BODY).read_to_end(&mut bytes);
    bytes
}

/// A body without the limit of `ureq`.
fn unlimited(body: Body) -> impl Read {
    body.into_with_config().limit(u64::MAX).reader()
}

/// Keeps the error of a body's reader, which `ureq` would mix with the connection's; and reads no further once the
/// server does not.
struct GuardedReader<'a> {
    reader: &'a mut dyn Read,
    left: u64,
    error: &'a mut Option<io::Error>,
}

impl Read for GuardedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = if Exchange::current().write_closed {
            buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX))
        } else {
            match self.reader.read(buffer) {
                Ok(count) => count,
                Err(error) => {
                    *self.error = Some(error);
                    return Err(ErrorKind::Other.into());
                }
            }
        };
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}
