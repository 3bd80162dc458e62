//! The wire: one HTTP exchange over `ureq`. The only room that knows `ureq`, its unversioned parts above all.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::{HeaderMap, Request, Response, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, RustlsConnector, TcpConnector, Transport,
};
use ureq::{Agent, AsSendBody, Body, Error, Proxy, SendBody, Timeout};

/// How long a resolved name is remembered; a failed connection forgets it at once.
const NAME_LIFETIME: Duration = Duration::from_secs(60);
/// Idle connections that are kept, so that as many threads need no new handshake.
const IDLE_CONNECTIONS: usize = 32;
/// A connection idle for longer may just be closing on the server's side. A read is repeated then, what acts is
/// not: it takes a fresh connection instead.
const FRESH: Duration = Duration::from_secs(2);
/// Room that is reserved on a server's word; more only as bytes arrive.
const RESERVED: u64 = 64 << 20;

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

/// The body of what is sent.
pub(crate) enum Content<'a> {
    None,
    Bytes { media_type: &'a str, bytes: &'a [u8] },
    Reader { media_type: &'a str, reader: &'a mut dyn Read, length: u64 },
}

/// A whole answer.
pub(crate) struct Incoming {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// The headers of an answer.
pub(crate) struct Headers(HeaderMap);

impl Headers {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok().map(str::trim)
    }
}

/// Why there is no whole answer.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Whether any byte of the request was handed to the connection.
    pub(crate) handed_over: bool,
    pub(crate) cause: Cause,
}

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The deadline passed.
    Deadline,
    /// No connection.
    Unreachable(String),
    /// Nothing moved for the stall timeout.
    Stalled(&'static str),
    /// The connection broke, or what came is not HTTP.
    Broken(String),
    /// The answer is larger than the limit.
    TooLarge,
    /// The body to send gave an error.
    Source(io::Error),
}

/// What this thread's exchange has come to. `ureq` runs an exchange on the thread that asks for it, but neither its
/// errors nor its connectors can say which request they belong to.
#[derive(Clone, Copy, Default)]
struct Progress {
    connecting: bool,
    handed_over: bool,
    /// The server takes no more of the request. What is left of it is dropped, its answer is waited for.
    deaf: bool,
}

thread_local! {
    static PROGRESS: Cell<Progress> = const {
        Cell::new(Progress { connecting: false, handed_over: false, deaf: false })
    };
}

fn note(change: impl FnOnce(&mut Progress)) {
    let mut progress = PROGRESS.get();
    change(&mut progress);
    PROGRESS.set(progress);
}

/// Restores the outer exchange's progress: a progress callback may start an exchange of its own.
struct Outer(Progress);

impl Drop for Outer {
    fn drop(&mut self) {
        PROGRESS.set(self.0);
    }
}

/// Connections to one server.
pub(crate) struct Wire {
    agent: Agent,
    names: Arc<Names>,
    response_limit: u64,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    /// Sets up; nothing is opened. The error is a sentence.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let mut tls = TlsConfig::builder();
        if let Some(pem) = &settings.roots {
            tls = tls.root_certs(roots(pem)?);
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirect would turn a POST into a GET and carry the key to another host: it is an answer here.
            .max_redirects(0)
            .max_idle_connections(IDLE_CONNECTIONS)
            .max_idle_connections_per_host(IDLE_CONNECTIONS)
            .user_agent(settings.user_agent.as_str())
            .accept("application/json")
            .proxy(proxy(&settings.proxy)?)
            .tls_config(tls.build())
            .timeout_connect(Some(settings.connect_timeout))
            .timeout_per_read(Some(settings.stall_timeout))
            .timeout_per_write(Some(settings.stall_timeout))
            .build();
        let connector = Watched(
            ().chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(Persistent)
                .chain(CachedTls(RustlsConnector::default())),
        );
        let names = Arc::new(Names::default());
        Ok(Self {
            agent: Agent::with_parts(config, connector, CachedNames(Arc::clone(&names))),
            names,
            response_limit: settings.response_limit,
        })
    }

    /// Sends, and reads the whole answer. It ends at `deadline`, whatever the server does.
    pub(crate) fn exchange(
        &self,
        outgoing: Outgoing<'_, '_>,
        now: Instant,
        deadline: Instant,
    ) -> Result<Incoming, Failure> {
        let _outer = Outer(PROGRESS.replace(Progress::default()));
        let mut source = None;
        let answer = self.send(outgoing, deadline.saturating_duration_since(now), &mut source);
        answer.map_err(|error| {
            let progress = PROGRESS.get();
            let cause = match source {
                Some(error) => Cause::Source(error),
                None => cause(error, progress),
            };
            if matches!(cause, Cause::Unreachable(_)) {
                self.names.known().clear();
            }
            Failure { handed_over: progress.handed_over, cause }
        })
    }

    fn send(
        &self,
        outgoing: Outgoing<'_, '_>,
        time: Duration,
        source: &mut Option<io::Error>,
    ) -> Result<Incoming, Error> {
        let request = Request::builder()
            .method(outgoing.method)
            .uri(outgoing.url)
            .header("authorization", outgoing.authorization);
        let acts = outgoing.method != "GET";
        let response = match outgoing.body {
            // Some servers answer 411 to a POST that does not say its length.
            Content::None if matches!(outgoing.method, "POST" | "PUT" | "PATCH") => {
                self.run(request.header("content-length", 0).body(SendBody::from_reader(&mut io::empty()))?, acts, time)
            }
            Content::None => self.run(request.body(())?, acts, time),
            Content::Bytes { media_type, mut bytes } => {
                let request = request.header("content-type", media_type).header("content-length", bytes.len());
                self.run(request.body(SendBody::from_reader(&mut bytes))?, acts, time)
            }
            Content::Reader { media_type, reader, length } => {
                let request = request.header("content-type", media_type).header("content-length", length);
                let mut guarded = Guarded { reader, left: length, error: source };
                self.run(request.body(SendBody::from_reader(&mut guarded))?, acts, time)
            }
        }?;
        let status = response.status().as_u16();
        let (head, body) = response.into_parts();
        let limit = self.response_limit;
        let announced = body.content_length().unwrap_or(0);
        if announced > limit {
            return Err(Error::BodyExceedsLimit(limit));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(announced.min(RESERVED)).unwrap_or(0));
        let mut reader = body.into_with_config().limit(u64::MAX).reader().take(limit.saturating_add(1));
        reader.read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(Error::BodyExceedsLimit(limit));
        }
        Ok(Incoming { status, headers: Headers(head.headers), body: bytes })
    }

    fn run(&self, request: Request<impl AsSendBody>, acts: bool, time: Duration) -> Result<Response<Body>, Error> {
        let mut config = self.agent.configure_request(request).timeout_global(Some(time));
        if acts {
            config = config.max_idle_age(FRESH);
        }
        self.agent.run(config.build())
    }
}

fn proxy(choice: &ProxyChoice) -> Result<Option<Proxy>, String> {
    let proxy = match choice {
        ProxyChoice::None => None,
        ProxyChoice::Environment => Proxy::try_from_env(),
        ProxyChoice::Url(url) => Some(Proxy::new(url).map_err(|_| "the proxy's URL cannot be read".to_owned())?),
    };
    match &proxy {
        Some(proxy) if !matches!(proxy.uri().scheme_str(), Some("http" | "https")) => Err(format!(
            "proxies of the kind {:?} are not supported, only http and https",
            proxy.uri().scheme_str().unwrap_or("")
        )),
        _ => Ok(proxy),
    }
}

fn roots(pem: &[u8]) -> Result<RootCerts, String> {
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(format!("the root certificates are not PEM: {error}")),
        }
    }
    if certificates.is_empty() {
        return Err("there is no certificate among the root certificates".to_owned());
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

/// Sorts `ureq`'s errors.
fn cause(error: Error, progress: Progress) -> Cause {
    let error = match error {
        // Errors of body readers and of the resolver come wrapped.
        Error::Io(io) if io.get_ref().is_some_and(|inner| inner.is::<Error>()) => Error::from(io),
        other => other,
    };
    match error {
        Error::Timeout(Timeout::Global | Timeout::PerCall) => Cause::Deadline,
        Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
            Cause::Unreachable("no connection within the connect timeout".to_owned())
        }
        Error::Timeout(_) if progress.connecting => {
            Cause::Unreachable("the connection was opened, but came to a stop before it could be used".to_owned())
        }
        Error::Timeout(Timeout::PerWrite | Timeout::SendBody | Timeout::SendRequest) => {
            Cause::Stalled("the server took no more of the request")
        }
        Error::Timeout(_) => Cause::Stalled("the server sent nothing more"),
        Error::BodyExceedsLimit(_) => Cause::TooLarge,
        error if progress.connecting || !progress.handed_over => Cause::Unreachable(sentence(&error)),
        error => Cause::Broken(sentence(&error)),
    }
}

fn sentence(error: &Error) -> String {
    use io::ErrorKind as Kind;
    match error {
        Error::HostNotFound => "the name is not known: is the domain right, and is there a network?".to_owned(),
        Error::Io(io) => match io.kind() {
            Kind::ConnectionRefused => "connection refused: nobody listens there".to_owned(),
            Kind::ConnectionReset => "the connection was reset".to_owned(),
            Kind::UnexpectedEof => "the connection was closed in the middle".to_owned(),
            Kind::NetworkUnreachable | Kind::HostUnreachable => "there is no way to that network".to_owned(),
            _ => io.to_string(),
        },
        Error::ConnectProxyFailed(why) => format!("the proxy gives no way: {why}"),
        other => other.to_string(),
    }
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
        let count = if PROGRESS.get().deaf {
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

/// Remembers names, since `ureq` resolves before it looks into its pool.
#[derive(Debug, Default)]
struct Names {
    known: Mutex<HashMap<String, (Instant, ResolvedSocketAddrs)>>,
}

impl Names {
    fn known(&self) -> MutexGuard<'_, HashMap<String, (Instant, ResolvedSocketAddrs)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct CachedNames(Arc<Names>);

impl Resolver for CachedNames {
    fn resolve(&self, uri: &Uri, config: &Config, mut timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let system = DefaultResolver::default();
        let host = uri.host().unwrap_or_default();
        if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            // With a time limit the system's resolver starts a thread; an address needs none.
            timeout.after = NextTimeout::default().after;
            return system.resolve(uri, config, timeout);
        }
        let name = format!("{} {}", uri.scheme_str().unwrap_or(""), uri.authority().map_or("", |name| name.as_str()));
        let now = Instant::now();
        match self.0.known().get(&name) {
            Some((until, addresses)) if *until > now => return Ok(addresses.clone()),
            _ => {}
        }
        // The lock is not held while the system is asked.
        let addresses = system.resolve(uri, config, timeout).map_err(|error| match error {
            Error::Timeout(_) => error,
            _ => Error::HostNotFound,
        })?;
        self.0.known().insert(name, (now + NAME_LIFETIME, addresses.clone()));
        Ok(addresses)
    }
}

/// The whole chain, watched: whether it is connecting, and whether the request was handed over.
#[derive(Debug)]
struct Watched<C>(C);

impl<C: Connector<()>> Connector<()> for Watched<C> {
    type Out = WatchedTransport<C::Out>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<()>) -> Result<Option<Self::Out>, Error> {
        note(|progress| progress.connecting = true);
        let transport = self.0.connect(details, chained)?;
        // What went over it so far was a handshake, not the request.
        PROGRESS.set(Progress::default());
        Ok(transport.map(WatchedTransport))
    }
}

#[derive(Debug)]
struct WatchedTransport<T>(T);

impl<T: Transport> Transport for WatchedTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        note(|progress| progress.handed_over = true);
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}

/// Between TCP and TLS: a server that answers before the request is through, and takes no more of it, is heard.
#[derive(Debug)]
struct Persistent;

impl<In: Transport> Connector<In> for Persistent {
    type Out = PersistentTransport<In>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|transport| PersistentTransport { transport, deaf: false }))
    }
}

#[derive(Debug)]
struct PersistentTransport<T> {
    transport: T,
    deaf: bool,
}

impl<T: Transport> Transport for PersistentTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.deaf {
            return Ok(());
        }
        let gone = |error: &io::Error| {
            use io::ErrorKind as Kind;
            matches!(error.kind(), Kind::BrokenPipe | Kind::ConnectionReset | Kind::ConnectionAborted)
        };
        match self.transport.transmit_output(amount, timeout) {
            Err(Error::Io(error)) if gone(&error) => {}
            Err(Error::Timeout(Timeout::PerWrite)) => {}
            result => return result,
        }
        self.deaf = true;
        note(|progress| progress.deaf = true);
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.transport.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        !self.deaf && self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

/// `RustlsConnector` keeps its configuration (roots, session tickets) only for requests without settings of their
/// own; every request here has a time limit, which concerns TLS in nothing.
#[derive(Debug)]
struct CachedTls(RustlsConnector);

impl<In: Transport> Connector<In> for CachedTls {
    type Out = <RustlsConnector as Connector<In>>::Out;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        let details = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: false,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        self.0.connect(&details, Some(transport))
    }
}
