//! The server: accepts connections and handles each request, from its head to the response.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::api::{ApiResponse, Call, Handler};
use crate::api_version::{self, ApiVersion};
use crate::auth;
use crate::clock::http_date;
use crate::delivery::{self, After};
use crate::failure::{Failure, RequestError};
use crate::faults::{CannedResponse, FaultKind, StallPhase};
use crate::http::{Body, Connection, Head, HeadError, Response};
use crate::limits::{Decision, ceil_seconds};
use crate::operations::{self, Found, Operation};
use crate::state::{Request, World, lock};
use crate::upload;

/// The header with which a request injects a fault into itself.
const FAULT_HEADER: &str = "x-emulator-fault";
/// The largest body that is not an upload.
const MAX_BODY: u64 = 64 * 1024 * 1024;
/// The largest body that is recorded.
const MAX_RECORDED_BODY: u64 = 64 * 1024;
/// How long a connection that is being closed waits for a peer that is still sending.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

/// The open connections, to close them when the emulator stops.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: Mutex<HashMap<u64, TcpStream>>,
    closed: Condvar,
}

impl Connections {
    /// Closes all connections, and gives their threads time to end.
    pub(crate) fn close_all(&self) {
        let open = lock(&self.open);
        for stream in open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let timeout = Duration::from_secs(2);
        let waited = self.closed.wait_timeout_while(open, timeout, |open| !open.is_empty());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Removes a connection from the list when its thread ends, even by a panic.
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

/// Accepts connections until the emulator stops.
pub(crate) fn accept(world: &Arc<World>, listener: &TcpListener, connections: &Arc<Connections>) {
    for stream in listener.incoming() {
        if world.stop.is_set() {
            return;
        }
        // Either this peer is gone, or there are no file descriptors until other connections are closed.
        let Ok(stream) = stream else {
            world.stop.sleep(Duration::from_millis(10));
            continue;
        };
        let number = world.connections.fetch_add(1, Ordering::Relaxed);
        let Ok(clone) = stream.try_clone() else { continue };
        lock(&connections.open).insert(number, clone);
        let registration = Registration { connections: Arc::clone(connections), number };
        let world = Arc::clone(world);
        // If no thread can be spawned, the closure is dropped, which closes the connection.
        let _ = thread::Builder::new().name(format!("emulator-connection-{number}")).spawn(move || {
            let _registration = registration;
            serve(&world, stream);
        });
    }
}

fn serve(world: &Arc<World>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut connection = Connection::new(stream);
    loop {
        // Faults can be injected while the connection is idle, so the queue is read when a request arrives.
        let head = match connection.read_first_line() {
            Ok(line) if apply_unread_fault(world, &connection, &line) => return,
            first_line => first_line.and_then(|_| connection.read_head()),
        };
        let after = match head {
            Ok(head) => exchange(world, &mut connection, &head).unwrap_or(After::Close),
            Err(HeadError::Closed) => return,
            Err(HeadError::Malformed(error)) => {
                let response = render(world, None, None, Err(Failure::bad_request(error)));
                delivery::send(connection.stream(), &response, false).map_or(After::Close, |()| After::Linger)
            }
        };
        match after {
            After::KeepAlive => {}
            After::Close => return,
            After::Linger => return connection.linger(LINGER_TIMEOUT),
        }
    }
}

/// Applies a fault that leaves the request unread, except for its first line. Returns whether there was one.
fn apply_unread_fault(world: &World, connection: &Connection, line: &str) -> bool {
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let operation = world.routes.find(method, target).operation();
    let kind = lock(&world.faults).take_unread(operation);
    match kind {
        None => false,
        Some(FaultKind::Stall(_)) => {
            delivery::hold(world, connection.stream());
            true
        }
        Some(_) => {
            delivery::reset(connection.stream());
            true
        }
    }
}

/// Handles one request.
fn exchange(world: &Arc<World>, connection: &mut Connection, head: &Head) -> io::Result<After> {
    let found = world.routes.find(&head.method, &head.target);
    let operation = found.operation();
    let number = lock(&world.request_log).receive(Request {
        method: head.method.clone(),
        target: head.target.clone(),
        operation: operation.map(|operation| operation.name),
        headers: head.headers.clone(),
        body: Vec::new(),
        status: None,
    });
    let query = operations::query(&head.target);
    let has_cursor = query.iter().any(|(name, _)| name == "cursor");
    let fault = match select_fault(world, head, operation, has_cursor) {
        Ok(fault) => fault,
        Err(error) => {
            let failure = Failure::bad_request(format!("X-Emulator-Fault: {error}"));
            let response = render(world, operation, None, Err(failure));
            delivery::send(connection.stream(), &response, false)?;
            return Ok(After::Linger);
        }
    };

    let mut body = connection.body(head);
    let mut headers = Vec::new();
    let result = match &fault {
        Some(FaultKind::ResetAtOnce) => {
            delivery::reset(connection.stream());
            return Ok(After::Close);
        }
        Some(FaultKind::Stall(StallPhase::BeforeRead)) => {
            delivery::hold(world, connection.stream());
            return Ok(After::Close);
        }
        Some(FaultKind::EarlyResponse { after_bytes, .. }) => {
            body.skip(*after_bytes)?;
            None
        }
        // A client that waits for 100 Continue gets the final response instead.
        Some(kind) if skips_execution(kind) && body.expects_continue() => None,
        Some(kind) if skips_execution(kind) => {
            if let Some(bytes) = body.read_whole(MAX_RECORDED_BODY)? {
                record_body(world, head, number, &bytes);
            }
            body.skip(u64::MAX)?;
            None
        }
        _ => {
            let call = admit(world, head, found, query, fault.as_ref(), &mut headers);
            match call.map_err(RequestError::from).and_then(|call| execute(call, head, &mut body, number)) {
                Ok(response) => Some(Ok(response)),
                Err(RequestError::Failure(failure)) => Some(Err(failure)),
                Err(RequestError::Socket(error)) => return Err(error),
            }
        }
    };
    // Discarding a short rest of the body is cheaper than a new connection.
    let body_read = body.is_done() || body.is_nearly_done() && body.skip(u64::MAX).is_ok();
    let after = match body_read {
        true if head.keep_alive => After::KeepAlive,
        true => After::Close,
        false => After::Linger,
    };
    let mut response = match result {
        Some(result) => render(world, operation, fault.as_ref(), result),
        None => unexecuted(world, head, operation, fault.as_ref()),
    };
    response.headers.append(&mut headers);
    delivery::deliver(world, connection.stream(), response, fault.as_ref(), after, |status| {
        lock(&world.request_log).amend(number, |request| request.status = Some(status));
    })
}

/// The fault for a request whose head was read: the one of its own header, or else the next in the queue.
fn select_fault(
    world: &World,
    head: &Head,
    operation: Option<&Operation>,
    has_cursor: bool,
) -> Result<Option<FaultKind>, String> {
    let mut values = head.all(FAULT_HEADER);
    let Some(text) = values.next() else { return Ok(lock(&world.faults).take_read(operation, has_cursor)) };
    if values.next().is_some() {
        return Err("expected once".to_owned());
    }
    let kind = FaultKind::from_header(text)?;
    if kind.applies_to(operation, has_cursor) {
        Ok(Some(kind))
    } else {
        Err(format!("{text}: not applicable to this request"))
    }
}

/// Whether the fault prevents the execution of the request.
fn skips_execution(kind: &FaultKind) -> bool {
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

/// The response to a request that a fault prevents from being executed.
fn unexecuted(world: &World, head: &Head, operation: Option<&Operation>, fault: Option<&FaultKind>) -> Response {
    let api = |status: u16, code: Option<&str>, error: &str| {
        let mut failure = Failure::new(status, error);
        failure.code = code.map(str::to_owned).or(failure.code);
        render(world, None, None, Err(failure))
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
        // The connection is reset; this response is never sent.
        _ => api(500, None, "Not executed"),
    }
}

fn dated(world: &World, response: Response) -> Response {
    response.with("Date", http_date(world.now()))
}

/// Authorizes a request and asks the rate limiter. Adds the headers that the response has in any case.
fn admit<'a>(
    world: &'a Arc<World>,
    head: &Head,
    found: Found,
    query: Vec<(String, String)>,
    fault: Option<&'a FaultKind>,
    headers: &mut Vec<(String, String)>,
) -> Result<Call<'a>, Failure> {
    let (operation, values) = match found {
        Found::Operation(operation, values) => (operation, values),
        Found::WrongMethod(methods) => {
            headers.push(("Allow".to_owned(), methods.join(", ")));
            return Err(Failure::new(405, "Method not allowed"));
        }
        Found::Nothing => return Err(Failure::not_found("Path")),
    };
    let now = world.now();
    let user = auth::authorize(world, head.header("authorization"), operation, now)?;
    check_limit(world, user, operation, headers)?;
    operation.check_query(&query)?;
    let original = |id: String| world.variations.original(id);
    Ok(Call {
        world,
        operation,
        values: values.into_iter().map(original).collect(),
        query: query.into_iter().map(|(name, value)| (name, original(value))).collect(),
        body: Vec::new(),
        user,
        user_agent: head.header("user-agent").map(str::to_owned),
        now,
        fault,
    })
}

fn execute(mut call: Call, head: &Head, body: &mut Body, number: u64) -> Result<ApiResponse, RequestError> {
    let response = match call.operation.handler {
        Handler::Upload => upload::receive(&call, head, body)?,
        Handler::Plain(handle) => {
            let bytes = body.read_whole(MAX_BODY)?;
            let bytes = bytes.ok_or_else(|| Failure::new(413, "Request body too large"))?;
            record_body(call.world, head, number, &bytes);
            if !bytes.is_empty() && !head.is_json() {
                let error = "Expected Content-Type: application/json";
                return Err(Failure::new(415, error).into());
            }
            call.body = call.world.variations.original_body(bytes);
            // A large body takes time to arrive.
            call.now = call.world.now();
            handle(&call)?
        }
    };
    lock(&call.world.request_log).accept(call.operation.name, call.body);
    Ok(response)
}

/// Records the body of a request, unless it is long or form data.
fn record_body(world: &World, head: &Head, number: u64, bytes: &[u8]) {
    let is_form = head.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("multipart/"));
    if bytes.len() as u64 <= MAX_RECORDED_BODY && !is_form {
        lock(&world.request_log).amend(number, |request| request.body = bytes.to_vec());
    }
}

/// Asks the rate limiter, and adds its headers.
fn check_limit(
    world: &World,
    user: usize,
    operation: &Operation,
    headers: &mut Vec<(String, String)>,
) -> Result<(), Failure> {
    let mut limiter = lock(&world.limiter);
    // The clock is read under the lock, because the limiter's time must not run backwards.
    let Some(decision) = limiter.acquire(user, operation.tier, world.now()) else { return Ok(()) };
    if decision.wait.is_some() || !limiter.limits.headers_on_429_only {
        headers.extend(limit_headers(&decision));
    }
    let Some(wait) = decision.wait else { return Ok(()) };
    headers.push(("Retry-After".to_owned(), limiter.retry_after(wait)));
    Err(Failure::new(429, "Rate limit exceeded"))
}

/// The rate-limit headers of a 429 that a fault causes: the limiter's own, but with nothing remaining.
fn exhausted(world: &World, head: &Head, operation: Option<&Operation>) -> Vec<(String, String)> {
    let now = world.now();
    let decision = operation.and_then(|operation| {
        let user = auth::authorize(world, head.header("authorization"), operation, now).ok()?;
        lock(&world.limiter).exhausted(user, operation.tier, now)
    });
    decision.as_ref().map(limit_headers).unwrap_or_default()
}

fn limit_headers(decision: &Decision) -> Vec<(String, String)> {
    vec![
        ("X-RateLimit-Limit".to_owned(), decision.limit.to_string()),
        ("X-RateLimit-Remaining".to_owned(), decision.remaining.to_string()),
        ("X-RateLimit-Reset".to_owned(), ceil_seconds(decision.reset).to_string()),
    ]
}

/// Makes the response in the format that the API version and the fault require.
fn render(
    world: &World,
    operation: Option<&Operation>,
    fault: Option<&FaultKind>,
    result: Result<ApiResponse, Failure>,
) -> Response {
    let (mut status, body) = match (result, operation) {
        (Err(failure), _) => (failure.status, failure.body(world.speaks_old_errors())),
        (Ok(response), None) => (response.status, response.body),
        (Ok(ApiResponse { status, body }), Some(operation)) => {
            let body = match world.api_version {
                ApiVersion::Old => api_version::old(operation.name, body),
                ApiVersion::Future => api_version::future(body),
                ApiVersion::Current => body,
            };
            (status, world.variations.apply(operation.name, body))
        }
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
    let response = match fault {
        Some(FaultKind::Response(canned)) => canned.response.clone(),
        _ => Response::new(status, "application/json", bytes),
    };
    dated(world, response)
}
