//! The wire: one HTTP exchange over `ureq`. The only room that knows `ureq`; its unversioned parts are in the two below.

mod connector;
mod names;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod tls;
#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
#[path = "wire/no_tls.rs"]
mod tls;

use std::fmt;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, Request, Response, Uri};
use ureq::{Agent, AsSendBody, Body, Error, Proxy, ProxyProtocol, SendBody, Timeout};

use self::connector::{Progress, connector};
use self::names::Names;

/// What is read from a connection at once, in bytes. With ureq's 128 KiB a large answer takes longer.
const INPUT_BUFFER: usize = 512 << 10;
/// What is written to a connection at once, in bytes. With ureq's 128 KiB a large document takes longer.
const OUTPUT_BUFFER: usize = 256 << 10;
/// Idle connections that are kept, so that as many threads need no new handshake.
const IDLE_CONNECTIONS: usize = 32;
/// A connection idle for longer may just be closing on the server's side. A read is repeated then; what acts is not,
/// and takes a fresh connection instead.
const FRESH: Duration = Duration::from_secs(2);
/// Room that is reserved on a server's word; more only as bytes arrive.
const RESERVED: u64 = 64 << 20;
/// How much of an error's body is read.
const ERROR_BODY: u64 = 256 << 10;
/// A limit that stands for none: clocks can count it from now.
const NO_LIMIT: Duration = Duration::from_secs(10 * 365 * 86_400);

/// How the wire is set up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) connect_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) response_limit: u64,
    pub(crate) user_agent: String,
    pub(crate) proxy: ProxyChoice,
    /// Root certificates in PEM; `None` for Mozilla's.
    pub(crate) roots: Option<Vec<u8>>,
}

/// Which proxy to use.
#[derive(Clone)]
pub(crate) enum ProxyChoice {
    None,
    /// What the environment names, with `NO_PROXY`.
    Environment,
    Url(String),
}

impl fmt::Debug for ProxyChoice {
    /// A proxy's URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Environment => "Environment",
            Self::Url(_) => "Url(..)",
        })
    }
}

/// What is sent.
pub(crate) struct Outgoing<'a, 'b> {
    pub(crate) method: &'static str,
    pub(crate) url: &'a str,
    pub(crate) authorization: &'a str,
    pub(crate) body: Content<'b>,
}

/// Reads the body of a success, of which so much was announced; gives it, or as much as is to be kept of it. It may be
/// called again for another attempt.
pub(crate) type Reading<'a> = dyn FnMut(&mut dyn Read, u64) -> io::Result<Vec<u8>> + 'a;

/// Reads the whole body.
pub(crate) fn whole(body: &mut dyn Read, announced: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(announced.min(RESERVED)).unwrap_or(0));
    body.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The body of what is sent.
pub(crate) enum Content<'a> {
    None,
    Bytes { media_type: &'a str, bytes: &'a [u8] },
    Reader { media_type: &'a str, reader: &'a mut dyn Read, length: u64 },
}

/// An answer: if its status is 2xx with what its reader gave, else with as much of the body as came.
pub(crate) struct Incoming {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    /// Whether the server answered without taking the whole request.
    pub(crate) early: bool,
}

/// The headers of an answer.
pub(crate) struct Headers(HeaderMap);

impl Headers {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok().map(str::trim)
    }
}

/// Why there is no answer, or no whole one.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Whether any byte of the request was handed to the connection.
    pub(crate) handed_over: bool,
    /// The status of the answer whose body could not be read.
    pub(crate) status: Option<u16>,
    pub(crate) cause: Cause,
}

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The deadline passed; perhaps while there was no connection yet.
    Deadline { unreached: bool },
    /// No connection.
    Unreachable {
        why: String,
        /// Whether trying again is of no use.
        lasting: bool,
    },
    /// Nothing moved for the stall timeout.
    Stalled(&'static str),
    /// The connection broke, or what came is not HTTP.
    Broken(String),
    /// The answer is larger than the limit.
    TooLarge,
    /// The request cannot be written down as HTTP.
    Unwritable(String),
    /// The body to send gave an error.
    Source(io::Error),
}

/// Connections to one server.
pub(crate) struct Wire {
    agent: Agent,
    names: Names,
    response_limit: u64,
    /// The proxy on the way, without its credentials.
    via: Option<String>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("via", &self.via).finish_non_exhaustive()
    }
}

impl Wire {
    /// Sets up for a base URL; nothing is opened. The error is a sentence.
    pub(crate) fn new(base_url: &str, settings: &Settings) -> Result<Self, String> {
        let base: Uri =
            base_url.parse().map_err(|error| format!("the base URL {base_url:?} cannot be sent: {error}"))?;
        let proxy = proxy(&settings.proxy, &base)?;
        for url in [Some(&base), proxy.as_ref().map(Proxy::uri)].into_iter().flatten() {
            if let Some(objection) = tls::objection(url) {
                return Err(objection.to_owned());
            }
        }
        let via = proxy.as_ref().map(|proxy| format!("{}:{}", proxy.host(), proxy.port()));
        let names = Names::default();
        let connect_timeout = settings.connect_timeout.min(NO_LIMIT);
        let stall_timeout = settings.stall_timeout.min(NO_LIMIT);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirect would turn a POST into a GET and carry the key to another host: it is an answer here.
            .max_redirects(0)
            .input_buffer_size(INPUT_BUFFER)
            .output_buffer_size(OUTPUT_BUFFER)
            .max_idle_connections(IDLE_CONNECTIONS)
            .max_idle_connections_per_host(IDLE_CONNECTIONS)
            .user_agent(settings.user_agent.as_str())
            .accept("application/json")
            .proxy(proxy)
            .timeout_resolve(Some(connect_timeout))
            .timeout_connect(Some(connect_timeout))
            .timeout_per_read(Some(stall_timeout))
            .timeout_per_write(Some(stall_timeout));
        let config = tls::configure(config, settings.roots.as_deref())?;
        let agent = Agent::with_parts(config.build(), connector(), names.clone());
        Ok(Self { agent, names, response_limit: settings.response_limit, via })
    }

    /// The proxy on the way, as `host:port`.
    pub(crate) fn via(&self) -> Option<&str> {
        self.via.as_deref()
    }

    /// Sends, and reads the answer. It ends at `deadline`, whatever the server does.
    pub(crate) fn exchange(
        &self,
        outgoing: Outgoing<'_, '_>,
        reading: &mut Reading<'_>,
        now: Instant,
        deadline: Instant,
    ) -> Result<Incoming, Failure> {
        let _outer = Progress::begin();
        let (mut source, mut status) = (None, None);
        let answer = self.send(outgoing, reading, deadline.saturating_duration_since(now), &mut source, &mut status);
        answer.map_err(|error| {
            let progress = Progress::get();
            if progress.connecting || !progress.handed_over {
                self.names.forget();
            }
            let cause = match source {
                Some(error) => Cause::Source(error),
                None => cause(error, progress),
            };
            Failure { handed_over: progress.handed_over, status, cause }
        })
    }

    fn send(
        &self,
        outgoing: Outgoing<'_, '_>,
        reading: &mut Reading<'_>,
        time: Duration,
        source: &mut Option<io::Error>,
        answered: &mut Option<u16>,
    ) -> Result<Incoming, Error> {
        let request = Request::builder()
            .method(outgoing.method)
            .uri(outgoing.url)
            .header("authorization", outgoing.authorization);
        let agent = &self.agent;
        let acts = outgoing.method != "GET";
        let response = match outgoing.body {
            // Some servers answer 411 to a POST that does not say its length.
            Content::None if matches!(outgoing.method, "POST" | "PUT" | "PATCH") => {
                let empty = &mut io::empty();
                run(agent, request.header("content-length", 0).body(SendBody::from_reader(empty))?, time, acts)
            }
            Content::None => run(agent, request.body(())?, time, acts),
            Content::Bytes { media_type, mut bytes } => {
                let request = request.header("content-type", media_type).header("content-length", bytes.len());
                run(agent, request.body(SendBody::from_reader(&mut bytes))?, time, acts)
            }
            Content::Reader { media_type, reader, length } => {
                let request = request.header("content-type", media_type).header("content-length", length);
                let mut guarded = Guarded { reader, left: length, error: source };
                run(agent, request.body(SendBody::from_reader(&mut guarded))?, time, acts)
            }
        }?;
        let early = Progress::get().deaf;
        let status = response.status();
        *answered = Some(status.as_u16());
        let (head, body) = response.into_parts();
        let body = match status.as_u16() {
            // These have none. What their headers say of one would be waited for, or unpacked.
            204 | 205 => reading(&mut io::empty(), 0)?,
            200..=299 => self.limited(body, reading)?,
            _ => beginning(body),
        };
        Ok(Incoming { status: status.as_u16(), headers: Headers(head.headers), body, early })
    }

    /// Has a body read, up to the limit.
    fn limited(&self, body: Body, reading: &mut Reading<'_>) -> Result<Vec<u8>, Error> {
        let limit = self.response_limit;
        let announced = body.content_length().unwrap_or(0);
        if announced > limit {
            return Err(Error::BodyExceedsLimit(limit));
        }
        let mut body = body.into_with_config().limit(u64::MAX).reader().take(limit.saturating_add(1));
        let read = reading(&mut body, announced);
        if body.limit() == 0 {
            return Err(Error::BodyExceedsLimit(limit));
        }
        Ok(read?)
    }
}

/// What can be had of an error's body. Its status is known; that it is cut changes nothing.
fn beginning(body: Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = body.into_with_config().limit(u64::MAX).reader().take(ERROR_BODY).read_to_end(&mut bytes);
    bytes
}

fn run(agent: &Agent, request: Request<impl AsSendBody>, time: Duration, acts: bool) -> Result<Response<Body>, Error> {
    let mut config = agent.configure_request(request).timeout_global(Some(time));
    if acts {
        config = config.max_idle_age(FRESH);
    }
    agent.run(config.build())
}

fn proxy(choice: &ProxyChoice, base: &Uri) -> Result<Option<Proxy>, String> {
    match choice {
        ProxyChoice::None => Ok(None),
        ProxyChoice::Environment => proxy_from_env(base),
        ProxyChoice::Url(url) => {
            let proxy = Proxy::new(url).map_err(|_| "the proxy's URL cannot be read".to_owned())?;
            match proxy.uri().scheme_str() {
                Some("http" | "https") => Ok(Some(proxy)),
                kind => Err(format!(
                    "proxies of the kind {:?} are not supported, only http and https",
                    kind.unwrap_or_default()
                )),
            }
        }
    }
}

/// The first proxy of the environment that can be spoken to: `ALL_PROXY` often names one for SOCKS beside another.
fn proxy_from_env(base: &Uri) -> Result<Option<Proxy>, String> {
    let value = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    // What is not to go through a proxy needs none that can be read.
    let exceptions = ["NO_PROXY", "no_proxy"].iter().find_map(value).unwrap_or_default();
    let any = Proxy::builder(ProxyProtocol::Http).host("localhost");
    let any = exceptions.split(',').fold(any, |proxy, host| proxy.no_proxy(host.trim())).build();
    if any.is_ok_and(|proxy| proxy.is_no_proxy(base)) {
        return Ok(None);
    }
    let mut objection = Ok(None);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"] {
        let Some(url) = value(&name) else { continue };
        match proxy(&ProxyChoice::Url(url), base) {
            Ok(proxy) => return Ok(proxy),
            Err(why) => objection = objection.and(Err(format!("the proxy in {name} cannot be used: {why}"))),
        }
    }
    objection
}

/// Sorts `ureq`'s errors.
fn cause(error: Error, progress: Progress) -> Cause {
    match error {
        Error::Timeout(Timeout::Global | Timeout::PerCall) => {
            Cause::Deadline { unreached: progress.connecting || !progress.handed_over }
        }
        Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
            Cause::Unreachable { why: "no connection within the connect timeout".to_owned(), lasting: false }
        }
        Error::Timeout(_) if progress.connecting => Cause::Unreachable {
            why: "the connection was opened, but came to a stop before it could be used".to_owned(),
            lasting: false,
        },
        Error::Timeout(Timeout::PerWrite | Timeout::SendBody | Timeout::SendRequest) => {
            Cause::Stalled("the server took no more of the request")
        }
        Error::Timeout(_) if progress.deaf => {
            Cause::Stalled("the server took no more of the request, and gave no answer")
        }
        Error::Timeout(_) => Cause::Stalled("the server sent nothing more"),
        Error::BodyExceedsLimit(_) => Cause::TooLarge,
        Error::Http(_) | Error::BadUri(_) => Cause::Unwritable(error.to_string()),
        error if progress.connecting || !progress.handed_over => {
            let (why, lasting) = sentence(&error);
            Cause::Unreachable { why, lasting }
        }
        error => Cause::Broken(sentence(&error).0),
    }
}

/// An error in words, and whether time does not mend it.
fn sentence(error: &Error) -> (String, bool) {
    use io::ErrorKind as Kind;
    if let Some(sentence) = tls::sentence(error) {
        return sentence;
    }
    let words = match error {
        Error::HostNotFound => "the name is not known: is the domain right, and is there a network?".to_owned(),
        Error::Io(io) => match io.kind() {
            Kind::ConnectionRefused => "connection refused: nobody listens there".to_owned(),
            Kind::ConnectionReset => "the connection was reset".to_owned(),
            Kind::UnexpectedEof => "the connection was closed in the middle".to_owned(),
            Kind::NetworkUnreachable | Kind::HostUnreachable => "there is no way to that network".to_owned(),
            _ => io.to_string(),
        },
        Error::ConnectProxyFailed(why) => {
            // `… responded 407/407`: what it refuses, it refuses for good; a 5xx or silence may pass.
            let status = why.rsplit('/').next().and_then(|status| status.parse::<u16>().ok());
            let lasting = status.is_some_and(|status| (400..500).contains(&status) && !matches!(status, 408 | 429));
            return (format!("the proxy gives no way: {why}"), lasting);
        }
        other => other.to_string(),
    };
    (words, false)
}

/// Keeps the error of a body's source, which `ureq` would mix with the connection's; and once the server takes no
/// more, reads the source no further.
struct Guarded<'a> {
    reader: &'a mut dyn Read,
    left: u64,
    error: &'a mut Option<io::Error>,
}

impl Read for Guarded<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let count = if Progress::get().deaf {
            piece.len().min(usize::try_from(self.left).unwrap_or(usize::MAX))
        } else {
            self.reader.read(piece).inspect_err(|error| {
                // Not a copy of it, but all that is shown of it.
                *self.error = Some(io::Error::new(error.kind(), error.to_string()));
            })?
        };
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}
