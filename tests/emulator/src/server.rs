//! The server: accepts connections and leads each request from its head to its answer.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::api::{Answer, Call, Handler, Twist};
use crate::api_version::{self, ApiVersion};
use crate::auth;
use crate::clock::http_date;
use crate::delivery::{self, After};
use crate::failure::Failure;
use crate::faults::{CannedResponse, FaultKind, StallPhase};
use crate::http::{BadHead, Body, Head, Response, Wire};
use crate::limits::{Verdict, ceil_seconds};
use crate::operations::{self, Found, Operation};
use crate::state::{Request, World, lock};
use crate::store::tasks::Fate;
use crate::upload;

/// The header by which a request asks for a fault.
const CONTROL_HEADER: &str = "x-emulator-fault";
/// The largest body that is not an upload.
const MAX_BODY: u64 = 64 * 1024 * 1024;
/// The largest body that is kept in the record of requests.
const MAX_KEPT_BODY: u64 = 64 * 1024;
/// How long a closing connection waits for a peer that still sends.
const LINGER: Duration = Duration::from_secs(5);

/// The open connections, so that they can be closed at the end.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: Mutex<HashMap<u64, TcpStream>>,
    closed: Condvar,
}

impl Connections {
    /// Closes all, and waits a moment for their threads to be done.
    pub(crate) fn close_all(&self) {
        let open = lock(&self.open);
        for stream in open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let patience = Duration::from_secs(2);
        let waited = self.closed.wait_timeout_while(open, patience, |open| !open.is_empty());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Takes a connection from the list when its thread ends, however it ends.
struct Registration {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.connections.open).remove(&self.number);
        self.connections.closed.notify_all();
    }
}

/// Accepts connections until the end.
pub(crate) fn accept(world: &Arc<World>, listener: &TcpListener, connections: &Arc<Connections>) {
    for stream in listener.incoming() {
        if world.end.is_reached() {
            return;
        }
        // An accept fails for one peer, or for want of descriptors, which other connections will give back.
        let Ok(stream) = stream else {
            world.end.sleep(Duration::from_millis(10));
            continue;
        };
        let number = world.connections.fetch_add(1, Ordering::Relaxed);
        let Ok(twin) = stream.try_clone() else { continue };
        lock(&connections.open).insert(number, twin);
        let registration = Registration { connections: Arc::clone(connections), number };
        let world = Arc::clone(world);
        // Without a thread the closure is dropped, and the connection with it.
        let _ = thread::Builder::new().name(format!("emulator-connection-{number}")).spawn(move || {
            let _registration = registration;
            serve(&world, stream);
        });
    }
}

fn serve(world: &Arc<World>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut wire = Wire::new(stream);
    loop {
        // Faults may be asked for while the connection is idle: they are looked at when a request begins to come.
        let head = match wire.read_first_line() {
            Ok(line) if strikes_unread(world, &wire, &line) => return,
            begun => begun.and_then(|_| wire.read_head()),
        };
        let after = match head {
            Ok(head) => exchange(world, &mut wire, &head).unwrap_or(After::Close),
            Err(BadHead::Closed) => return,
            Err(BadHead::Malformed(error)) => {
                let failure = Failure::bad_request(error);
                let response = render(world, None, None, Acted::failed(failure));
                delivery::send(wire.stream(), &response, false).map_or(After::Close, |()| After::Linger)
            }
        };
        match after {
            After::KeepAlive => {}
            After::Close => return,
            After::Linger => return wire.linger(LINGER),
        }
    }
}

/// Lets a fault strike that leaves the request unread, but for its first line. Whether there was one.
fn strikes_unread(world: &World, wire: &Wire, line: &str) -> bool {
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let operation = operations::find(method, target).operation();
    let kind = lock(&world.faults).take_unread(operation);
    match kind {
        None => false,
        Some(FaultKind::Stall(_)) => {
            delivery::hold(world, wire.stream());
            true
        }
        Some(_) => {
            delivery::reset(wire.stream());
            true
        }
    }
}

/// One request and its answer.
fn exchange(world: &Arc<World>, wire: &mut Wire, head: &Head) -> io::Result<After> {
    let found = operations::find(&head.method, &head.target);
    let operation = found.operation();
    let number = lock(&world.ledger).receive(Request {
        method: head.method.clone(),
        target: head.target.clone(),
        operation: operation.map(|operation| operation.name),
        headers: head.headers.clone(),
        body: Vec::new(),
        status: None,
    });
    let query = operations::query(&head.target);
    let has_cursor = query.iter().any(|(name, _)| name == "cursor");
    let fault = match fault_of(world, head, operation, has_cursor) {
        Ok(fault) => fault,
        Err(error) => {
            let acted = Acted::failed(Failure::bad_request(format!("X-Emulator-Fault: {error}")));
            let response = render(world, operation, None, acted);
            delivery::send(wire.stream(), &response, false)?;
            return Ok(After::Linger);
        }
    };

    let mut body = wire.body(head);
    let acted = match &fault {
        Some(FaultKind::ResetAtOnce) => {
            delivery::reset(wire.stream());
            return Ok(After::Close);
        }
        Some(FaultKind::Stall(StallPhase::BeforeRead)) => {
            delivery::hold(world, wire.stream());
            return Ok(After::Close);
        }
        Some(FaultKind::EarlyResponse { after_bytes, .. }) => {
            body.skip(*after_bytes)?;
            None
        }
        // Whoever asks before sending the body hears that it is not wanted.
        Some(kind) if acts_not(kind) && body.awaits_word() => None,
        Some(kind) if acts_not(kind) => {
            if let Some(bytes) = body.read_whole(MAX_KEPT_BODY)? {
                keep_body(world, head, number, &bytes);
            }
            body.skip(u64::MAX)?;
            None
        }
        _ => Some(act(world, head, found, query, &mut body, fault.as_ref(), number)?),
    };
    // The rest of a body that nobody wants is read when that is cheaper than a new connection.
    let body_read = body.is_done() || body.is_nearly_done() && body.skip(u64::MAX).is_ok();
    let keep_alive = head.keep_alive && body_read;
    let response = match acted {
        Some(acted) => render(world, operation, fault.as_ref(), acted),
        None => instead(world, head, operation, fault.as_ref()),
    };
    let sent = delivery::deliver(world, wire.stream(), response, fault.as_ref(), keep_alive, |status| {
        lock(&world.ledger).amend(number, |request| request.status = Some(status));
    })?;
    Ok(if sent == After::Close && !body_read && delivery::closes_kindly(fault.as_ref()) { After::Linger } else { sent })
}

/// The fault that befalls a request whose head was read: the one that it asks for itself, or the next in the queue.
fn fault_of(
    world: &World,
    head: &Head,
    operation: Option<&Operation>,
    has_cursor: bool,
) -> Result<Option<FaultKind>, String> {
    let mut asked_for = head.all(CONTROL_HEADER);
    let Some(text) = asked_for.next() else { return Ok(lock(&world.faults).take_read(operation, has_cursor)) };
    if asked_for.next().is_some() {
        return Err("expected once".to_owned());
    }
    let kind = FaultKind::from_header(text)?;
    if kind.applies_to(operation, has_cursor) {
        Ok(Some(kind))
    } else {
        Err(format!("{text}: not applicable to this request"))
    }
}

/// Whether the fault keeps the request from being acted on.
fn acts_not(kind: &FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::ResetBefore
            | FaultKind::Response(CannedResponse { executed: false, .. })
            | FaultKind::Api { .. }
            | FaultKind::Html(_)
            | FaultKind::RateLimited { .. }
            | FaultKind::Redirect { .. }
    )
}

/// The answer to a request that a fault kept from being acted on.
fn instead(world: &World, head: &Head, operation: Option<&Operation>, fault: Option<&FaultKind>) -> Response {
    let api = |status: u16, code: Option<&str>, error: &str| {
        let code = code.or_else(|| Failure::code_of(status)).map(str::to_owned);
        let failure = Failure { status, code, error: error.to_owned(), issues: Vec::new() };
        render(world, None, None, Acted::failed(failure))
    };
    match fault {
        Some(FaultKind::Api { status, error, code }) => api(*status, code.as_deref(), error),
        Some(FaultKind::EarlyResponse { status, .. }) => api(*status, None, "Refused before the body was read"),
        Some(FaultKind::RateLimited { retry_after }) => {
            let mut response = api(429, None, "Rate limit exceeded");
            response.headers.extend(exhausted(world, head, operation));
            match retry_after {
                Some(value) => response.with("Retry-After", value),
                None => response,
            }
        }
        Some(FaultKind::Html(status)) => {
            let page = format!(
                "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n\
                 <hr><center>proxy</center>\r\n</body>\r\n</html>\r\n"
            );
            dated(world, Response::new(*status, "text/html", page.into_bytes()))
        }
        Some(FaultKind::Redirect { status, location }) => {
            dated(world, Response::new(*status, "text/plain", Vec::new()).with("Location", location))
        }
        Some(FaultKind::Response(canned)) => dated(world, canned.response.clone()),
        // A connection that is reset before anything was done gets no answer; this one is never sent.
        _ => api(500, None, "Nothing was done"),
    }
}

fn dated(world: &World, response: Response) -> Response {
    response.with("Date", http_date(world.now()))
}

/// What came of a request.
struct Acted {
    status: u16,
    headers: Vec<(String, String)>,
    body: Value,
    failure: Option<Failure>,
}

impl Acted {
    fn failed(failure: Failure) -> Acted {
        Acted { status: failure.status, headers: Vec::new(), body: Value::Null, failure: Some(failure) }
    }

    fn with(mut self, headers: Vec<(String, String)>) -> Acted {
        self.headers.extend(headers);
        self
    }
}

/// Carries a request out, if its sender may. An error means that the body did not come.
fn act(
    world: &Arc<World>,
    head: &Head,
    found: Found,
    query: Vec<(String, String)>,
    body: &mut Body,
    fault: Option<&FaultKind>,
    number: u64,
) -> io::Result<Acted> {
    let (operation, values) = match found {
        Found::Operation(operation, values) => (operation, values),
        Found::WrongMethod(methods) => {
            let failure = Failure::new(405, "method_not_allowed", "Method not allowed");
            return Ok(Acted::failed(failure).with(vec![("Allow".to_owned(), methods.join(", "))]));
        }
        Found::Nothing => return Ok(Acted::failed(Failure::not_found("Path"))),
    };
    let now = world.now();
    let user = match auth::admit(world, head.header("authorization"), operation, now) {
        Ok(user) => user,
        Err(failure) => return Ok(Acted::failed(failure)),
    };
    let limits = match check_limit(world, user, operation) {
        Ok(headers) => headers,
        Err(refused) => return Ok(*refused),
    };
    if let Err(failure) = operation.check_query(&query) {
        return Ok(Acted::failed(failure).with(limits));
    }
    let mut call = Call {
        world,
        operation,
        values,
        query,
        body: Vec::new(),
        user,
        user_agent: head.header("user-agent").map(str::to_owned),
        now,
        twist: twist(fault),
    };
    let outcome = match operation.handler {
        Handler::Upload => upload::receive(&call, head, body)?,
        Handler::Plain(handle) => match body.read_whole(MAX_BODY)? {
            None => Err(Failure::new(413, "payload_too_large", "Request body too large")),
            Some(bytes) => {
                keep_body(world, head, number, &bytes);
                if bytes.is_empty() || head.says_json() {
                    call.body = bytes;
                    // A large body takes its time, and what is done is done after it.
                    call.now = world.now();
                    handle(&call)
                } else {
                    Err(Failure::new(415, "unsupported_media_type", "Expected Content-Type: application/json"))
                }
            }
        },
    };
    Ok(match outcome {
        Ok(Answer { status, body }) => {
            lock(&world.ledger).accept(operation.name, call.body);
            Acted { status, headers: limits, body, failure: None }
        }
        Err(failure) => Acted::failed(failure).with(limits),
    })
}

/// Keeps a body in the record of requests, unless it is long or a form.
fn keep_body(world: &World, head: &Head, number: u64, bytes: &[u8]) {
    let is_form = head.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("multipart/"));
    if bytes.len() as u64 <= MAX_KEPT_BODY && !is_form {
        lock(&world.ledger).amend(number, |request| request.body = bytes.to_vec());
    }
}

fn twist(fault: Option<&FaultKind>) -> Twist {
    let fate = match fault {
        Some(FaultKind::JobNeverEnds) => Fate::NeverEnds,
        Some(FaultKind::JobFails(error)) => Fate::Fails(error.clone()),
        _ => Fate::Ordinary,
    };
    Twist {
        fate,
        empty_page: fault == Some(&FaultKind::EmptyPage),
        cursor_cycle: fault == Some(&FaultKind::CursorCycle),
    }
}

/// Asks the limiter. Gives the headers that tell how it stands, or the refusal with them.
fn check_limit(world: &World, user: usize, operation: &Operation) -> Result<Vec<(String, String)>, Box<Acted>> {
    let mut limiter = lock(&world.limiter);
    // The moment is taken under the lock: the limiter's time must not run backwards.
    let Some(verdict) = limiter.ask(user, operation.tier, world.now()) else { return Ok(Vec::new()) };
    let mut headers = limit_headers(&verdict);
    match verdict.wait {
        None if limiter.tells_all() => Ok(headers),
        None => Ok(Vec::new()),
        Some(wait) => {
            headers.push(("Retry-After".to_owned(), limiter.retry_after(wait)));
            let failure = Failure::new(429, "rate_limited", "Rate limit exceeded");
            Err(Box::new(Acted::failed(failure).with(headers)))
        }
    }
}

/// The headers of a refusal by a fault: as the limiter has them for the sender, but with nothing left.
fn exhausted(world: &World, head: &Head, operation: Option<&Operation>) -> Vec<(String, String)> {
    let now = world.now();
    let verdict = operation.and_then(|operation| {
        let user = auth::admit(world, head.header("authorization"), operation, now).ok()?;
        lock(&world.limiter).exhausted(user, operation.tier, now)
    });
    verdict.as_ref().map(limit_headers).unwrap_or_default()
}

fn limit_headers(verdict: &Verdict) -> Vec<(String, String)> {
    vec![
        ("X-RateLimit-Limit".to_owned(), verdict.limit.to_string()),
        ("X-RateLimit-Remaining".to_owned(), verdict.remaining.to_string()),
        ("X-RateLimit-Reset".to_owned(), ceil_seconds(verdict.reset).to_string()),
    ]
}

/// Writes down what came of a request as the snapshot and the fault have it.
fn render(world: &World, operation: Option<&Operation>, fault: Option<&FaultKind>, acted: Acted) -> Response {
    let mut status = acted.status;
    let body = match &acted.failure {
        Some(failure) => failure.body(world.speaks_old_errors()),
        None => match (world.api_version, operation) {
            (ApiVersion::Old, Some(operation)) => api_version::old(operation.name, acted.body),
            (ApiVersion::Future, _) => api_version::future(acted.body),
            _ => acted.body,
        },
    };
    let body = match fault {
        Some(FaultKind::WrongTypes) => api_version::wrong_types(body),
        Some(FaultKind::UpperCaseStatus) => api_version::upper_case(body),
        Some(FaultKind::Bare) => api_version::bare(body),
        Some(FaultKind::Wrapped) => api_version::wrapped(body),
        Some(FaultKind::Future) => api_version::future(body),
        _ => body,
    };
    let mut bytes = body.to_string().into_bytes();
    match fault {
        Some(FaultKind::TruncatedJson) => {
            status = 200;
            bytes.truncate(bytes.len() / 2);
        }
        Some(FaultKind::MalformedJson) => {
            status = 200;
            bytes = b"{\"data\": oops".to_vec();
        }
        _ => {}
    }
    let mut response = match fault {
        Some(FaultKind::Response(canned)) => canned.response.clone(),
        _ => Response::new(status, "application/json", bytes),
    };
    response.headers.extend(acted.headers);
    dated(world, response)
}
