//! Fault injection: what can go wrong, and the queue of faults to inject.

use std::fmt::Display;
use std::time::Duration;

use crate::http::Response;
use crate::operations::{self, Operation};
use crate::rng::Rng;

/// The point in an exchange at which the emulator stops responding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StallPhase {
    /// Before the request is read. It is not executed.
    BeforeRead,
    /// After the request is executed, before any of the response is sent.
    BeforeHead,
    /// After the request is executed and half of the response head is sent.
    InHead,
    /// After the request is executed and the response head and half of the body are sent.
    InBody,
}

/// What goes wrong with a request.
///
/// The request is executed nevertheless, unless the variant says otherwise. A client may retry a write only if it was not
/// executed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FaultKind {
    /// Resets the connection as soon as the first line of a request arrives. The request is not read or executed.
    ResetAtOnce,
    /// Reads the request, then resets the connection without executing it.
    ResetBefore,
    /// Executes the request, then resets the connection without a response.
    ResetAfter,
    /// Executes the request, sends half of the response head, then resets the connection.
    ResetInHead,
    /// Executes the request, sends the response head and half of the body, then resets the connection.
    ResetInBody,
    /// Executes the request, sends the response head and half of the body, then closes the connection gracefully.
    CloseInBody,
    /// Stops responding and keeps the connection open. Whether the request is executed depends on the phase.
    Stall(StallPhase),
    /// Executes the request, then waits before it responds.
    Delay(Duration),
    /// Executes the request, then sends the response in small pieces.
    Drip {
        /// The pause after each piece.
        every: Duration,
        /// The size of a piece.
        bytes: usize,
    },
    /// Sends a canned response, by default without executing the request. See [`FaultKind::json`] and [`CannedResponse`].
    Response(CannedResponse),
    /// Sends an error in the API's format. The request is not executed.
    Api {
        /// The HTTP status.
        status: u16,
        /// The message in the field `error`.
        error: String,
        /// The value of the field `code`. None sends the code that the API uses with this status, if any.
        code: Option<String>,
    },
    /// Executes the request, then responds with status 200 and JSON that is cut off in the middle.
    TruncatedJson,
    /// Executes the request, then responds with status 200 and a body that is not JSON.
    MalformedJson,
    /// Executes the request, then responds with JSON in which all strings and arrays are objects.
    WrongTypes,
    /// Executes the request, then sends a `Content-Length` greater than the body and closes the connection.
    ContentLengthTooLong,
    /// Executes the request, then sends a `Content-Length` less than the body and closes the connection.
    ContentLengthTooShort,
    /// Responds with this status and an HTML page, as a proxy does. The request is not executed.
    Html(u16),
    /// Responds with a 429 in the API's format. The request is not executed.
    RateLimited {
        /// The value of the `Retry-After` header, sent verbatim. None sends no such header.
        retry_after: Option<String>,
    },
    /// Responds with an error in the API's format before the request body is received. The request is not executed.
    EarlyResponse {
        /// The HTTP status.
        status: u16,
        /// The number of bytes of the body to read before the response is sent.
        after_bytes: u64,
        /// Whether to close the connection right after the response, with the rest of the body unread. If false, it
        /// stays open, but nothing more is read from it.
        close: bool,
    },
    /// The job that the request submits never finishes. Applies only to requests that submit a job.
    JobNeverEnds,
    /// The job that the request submits fails with this error message. Applies only to requests that submit a job.
    JobFails(String),
    /// The `status` of jobs in the response is in upper case. Applies only to responses with such a field.
    UpperCaseStatus,
    /// The response is the bare object instead of `{"data": object}`. Applies only to operations that wrap it.
    Bare,
    /// The response is `{"data": object}` instead of the bare object. Applies only to operations that do not wrap it.
    Wrapped,
    /// The response is one of a future version of the API, as with [`ApiVersion::Future`](crate::ApiVersion::Future).
    Future,
    /// A page of a list is empty, but has a cursor for the next page. No item is lost. Applies only to lists.
    EmptyPage,
    /// The cursor for the next page leads back to an earlier page. Applies only to list requests that have a cursor.
    CursorCycle,
    /// Executes the request, then responds with a gzip-compressed body, whatever the client accepts.
    Gzip,
    /// Executes the request, then responds with status 200 and a gzip-compressed body that inflates to this number of bytes.
    GzipBomb(u64),
    /// Responds with a redirect. The request is not executed.
    Redirect {
        /// The HTTP status.
        status: u16,
        /// The value of the `Location` header.
        location: String,
    },
    /// Executes the request, then responds with status 200 and this number of bytes of JSON.
    Oversized(u64),
}

impl FaultKind {
    /// Sends a canned JSON response without executing the request.
    ///
    /// `body` is anything that displays as JSON: a [`serde_json::Value`], or a string that contains JSON. Use
    /// [`CannedResponse`] to add headers, to send another content type, or to execute the request first.
    ///
    /// # Examples
    ///
    /// ```
    /// use nomic_emulator::{Emulator, Fault, FaultKind};
    ///
    /// let emulator = Emulator::start()?;
    /// let body = serde_json::json!({ "taskId": "1", "status": "COMPLETED", "result": { "permitNumber": "PH-7" } });
    /// emulator.fault(Fault::on("get_extract", FaultKind::json(200, body)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn json(status: u16, body: impl Display) -> FaultKind {
        FaultKind::Response(CannedResponse::json(status, body))
    }
}

impl From<CannedResponse> for FaultKind {
    fn from(response: CannedResponse) -> FaultKind {
        FaultKind::Response(response)
    }
}

/// A response that the emulator sends instead of its own.
///
/// The request is not executed unless [`after_executing`](CannedResponse::after_executing) is called. Responses with
/// status 204 or 304 are sent without a body.
///
/// # Examples
///
/// ```
/// use nomic_emulator::{CannedResponse, Emulator, Fault};
///
/// let emulator = Emulator::start()?;
/// let throttled = CannedResponse::json(429, r#"{"error":"Slow down"}"#).header("Retry-After", "2");
/// emulator.fault(Fault::on("upload_file", throttled));
/// let gateway_timeout = CannedResponse::new(504, "text/plain", "Gateway timeout").after_executing();
/// emulator.fault(Fault::on("launch_agent", gateway_timeout));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannedResponse {
    pub(crate) response: Response,
    pub(crate) executed: bool,
}

impl CannedResponse {
    /// Creates a response with a status, a `Content-Type` and a body.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> CannedResponse {
        CannedResponse { response: Response::new(status, content_type, body.into()), executed: false }
    }

    /// Creates a JSON response. `body` is anything that displays as JSON: a [`serde_json::Value`], or a string that contains
    /// JSON.
    #[must_use]
    pub fn json(status: u16, body: impl Display) -> CannedResponse {
        CannedResponse::new(status, "application/json", body.to_string())
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> CannedResponse {
        self.response = self.response.with(name, value);
        self
    }

    /// Executes the request before the response is sent. By default the request is not executed.
    #[must_use]
    pub fn after_executing(mut self) -> CannedResponse {
        self.executed = true;
        self
    }
}

/// A [`FaultKind`] and the requests that it applies to.
///
/// Faults are tried in the order in which they were injected. A fault stays in the queue until it has been applied to
/// as many requests as [`times`](Fault::times) says, one by default. Requests that it cannot apply to are not counted.
///
/// # Examples
///
/// ```
/// use nomic_emulator::{Emulator, Fault, FaultKind};
///
/// let emulator = Emulator::start()?;
/// // The third and fourth page fail.
/// emulator.fault(Fault::on("list_agents", FaultKind::Html(502)).skip(2).times(2));
/// // Every response is slow.
/// emulator.fault(Fault::any(FaultKind::Delay(std::time::Duration::from_millis(50))).forever());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    operation: Option<&'static str>,
    skip: u32,
    /// `u32::MAX` means all.
    times: u32,
    kind: FaultKind,
}

impl Fault {
    /// Creates a fault for the next request of an operation, such as `launch_agent`.
    ///
    /// # Panics
    ///
    /// If no [operation](crate::operations) has this name. The message lists all names.
    #[must_use]
    #[track_caller]
    pub fn on(operation: &str, kind: impl Into<FaultKind>) -> Fault {
        Fault { operation: Some(operations::known_operation(operation)), ..Fault::any(kind) }
    }

    /// Creates a fault for the next request that it can apply to. [`FaultKind::JobNeverEnds`], for example, waits for a
    /// request that submits a job.
    #[must_use]
    pub fn any(kind: impl Into<FaultKind>) -> Fault {
        Fault { operation: None, skip: 0, times: 1, kind: kind.into() }
    }

    /// Sets the number of requests that the fault applies to. Defaults to 1.
    #[must_use]
    pub fn times(mut self, times: u32) -> Fault {
        self.times = times;
        self
    }

    /// Sets the number of matching requests to let through first. Defaults to 0.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Fault {
        self.skip = skip;
        self
    }

    /// Applies the fault to all matching requests, until [`Emulator::clear_faults`](crate::Emulator::clear_faults).
    #[must_use]
    pub fn forever(self) -> Fault {
        self.times(u32::MAX)
    }
}

impl FaultKind {
    /// Whether the fault applies before the request is read.
    fn is_unread(&self) -> bool {
        matches!(self, FaultKind::ResetAtOnce | FaultKind::Stall(StallPhase::BeforeRead))
    }

    /// Whether the fault applies to a request for this operation, or for none.
    pub(crate) fn applies_to(&self, operation: Option<&Operation>, has_cursor: bool) -> bool {
        let name = operation.map_or("", |operation| operation.name);
        let is_list = operation.is_some_and(|operation| operation.filters.is_some());
        let is_wrapped =
            matches!(name, "launch_agent" | "get_agent" | "follow_up_agent" | "stop_agent" | "get_artifact");
        match self {
            FaultKind::JobNeverEnds | FaultKind::JobFails(_) => {
                matches!(name, "submit_parse" | "submit_extract" | "launch_agent" | "follow_up_agent")
            }
            FaultKind::EmptyPage => is_list,
            FaultKind::CursorCycle => is_list && has_cursor,
            FaultKind::UpperCaseStatus => {
                let has_agents = is_wrapped && name != "get_artifact" || name == "list_agents";
                has_agents || matches!(name, "get_parse" | "get_extract")
            }
            FaultKind::Bare => is_wrapped,
            FaultKind::Wrapped => operation.is_some() && !is_wrapped && !is_list && name != "list_artifacts",
            _ => true,
        }
    }

    /// Parses the value of the `X-Emulator-Fault` header, such as `reset-after` or `delay=250`.
    pub(crate) fn from_header(text: &str) -> Result<FaultKind, String> {
        const INJECTED: &str = "Injected by X-Emulator-Fault";
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (text.trim(), None),
        };
        if let Some((_, kind)) = BARE_FAULTS.iter().find(|(bare, _)| *bare == name) {
            return Ok(kind.clone());
        }
        let number = |default: u64| match value {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| format!("{name}={value}: not a number in range")),
        };
        let millis = |default| number(default).map(Duration::from_millis);
        let status = |default| match number(default)? {
            status @ 200..600 => Ok(status as u16),
            other => Err(format!("{name}={other}: not a final status")),
        };
        Ok(match name {
            "stall" => FaultKind::Stall(match value {
                Some("before-read") => StallPhase::BeforeRead,
                None | Some("before-head") => StallPhase::BeforeHead,
                Some("in-head") => StallPhase::InHead,
                Some("in-body") => StallPhase::InBody,
                Some(other) => return Err(format!("stall={other}: unknown phase")),
            }),
            "delay" => FaultKind::Delay(millis(1000)?),
            "drip" => FaultKind::Drip { every: millis(10)?, bytes: 1 },
            "status" => CannedResponse::new(status(500)?, "text/plain", "").into(),
            "api" => FaultKind::Api { status: status(500)?, error: INJECTED.to_owned(), code: None },
            "html" => FaultKind::Html(status(502)?),
            "rate-limited" => FaultKind::RateLimited { retry_after: value.map(str::to_owned) },
            "early-response" => FaultKind::EarlyResponse { status: status(413)?, after_bytes: 0, close: true },
            "job-fails" => FaultKind::JobFails(value.unwrap_or(INJECTED).to_owned()),
            "gzip-bomb" => FaultKind::GzipBomb(number(1 << 30)?),
            "oversized" => FaultKind::Oversized(number(1 << 30)?),
            "redirect" => FaultKind::Redirect { status: 302, location: value.unwrap_or("/").to_owned() },
            _ => return Err(format!("{name}: unknown fault")),
        })
    }
}

/// The faults without parameters, by their names in the `X-Emulator-Fault` header.
pub(crate) static BARE_FAULTS: [(&str, FaultKind); 19] = [
    ("reset-before", FaultKind::ResetBefore),
    ("reset-at-once", FaultKind::ResetAtOnce),
    ("reset-after", FaultKind::ResetAfter),
    ("reset-in-head", FaultKind::ResetInHead),
    ("reset-in-body", FaultKind::ResetInBody),
    ("close-in-body", FaultKind::CloseInBody),
    ("truncated-json", FaultKind::TruncatedJson),
    ("malformed-json", FaultKind::MalformedJson),
    ("wrong-types", FaultKind::WrongTypes),
    ("content-length-too-long", FaultKind::ContentLengthTooLong),
    ("content-length-too-short", FaultKind::ContentLengthTooShort),
    ("job-never-ends", FaultKind::JobNeverEnds),
    ("upper-case-status", FaultKind::UpperCaseStatus),
    ("bare", FaultKind::Bare),
    ("wrapped", FaultKind::Wrapped),
    ("future", FaultKind::Future),
    ("empty-page", FaultKind::EmptyPage),
    ("cursor-cycle", FaultKind::CursorCycle),
    ("gzip", FaultKind::Gzip),
];

/// The injected faults that are left, in order, and the random ones.
#[derive(Debug, Default)]
pub(crate) struct FaultQueue {
    pub(crate) faults: Vec<Fault>,
    /// The share of requests that get a random fault.
    pub(crate) random: Option<(f64, Rng)>,
}

impl FaultQueue {
    /// The fault for a request of which only the first line was read.
    pub(crate) fn take_unread(&mut self, operation: Option<&Operation>) -> Option<FaultKind> {
        self.take(operation, FaultKind::is_unread)
    }

    /// The fault for a request whose head was read.
    pub(crate) fn take_read(&mut self, operation: Option<&Operation>, has_cursor: bool) -> Option<FaultKind> {
        let injected = self.take(operation, |kind| !kind.is_unread() && kind.applies_to(operation, has_cursor));
        injected.or_else(|| {
            const PRECISION: u64 = 1_000_000;
            let (share, rng) = self.random.as_mut()?;
            let hit = (rng.below(PRECISION) as f64) < *share * PRECISION as f64;
            hit.then(|| std::iter::repeat_with(|| rng.fault()).find(|kind| kind.applies_to(operation, has_cursor)))?
        })
    }

    /// The first matching fault that has nothing left to skip. Those before it count the request as skipped.
    fn take(&mut self, operation: Option<&Operation>, applies: impl Fn(&FaultKind) -> bool) -> Option<FaultKind> {
        let name = operation.map(|operation| operation.name);
        let matches = |fault: &Fault| applies(&fault.kind) && (fault.operation.is_none() || fault.operation == name);
        for index in 0..self.faults.len() {
            let fault = &mut self.faults[index];
            if !matches(fault) || fault.times == 0 {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            let kind = fault.kind.clone();
            if fault.times != u32::MAX {
                fault.times -= 1;
            }
            self.faults.retain(|fault| fault.times > 0);
            return Some(kind);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::operations;

    fn operation(name: &str) -> Option<&'static Operation> {
        operations().iter().find(|operation| operation.name == name)
    }

    #[test]
    fn faults_apply_to_the_operation_that_they_name() {
        let mut queue = FaultQueue::default();
        queue.faults.push(Fault::on("get_user", FaultKind::ResetAfter).skip(1).times(2));
        queue.faults.push(Fault::any(FaultKind::Gzip));
        queue.faults.push(Fault::on("list_users", FaultKind::Future).forever());
        let mut ask = |name| queue.take_read(operation(name), false);
        assert_eq!(ask("get_user"), Some(FaultKind::Gzip), "skipped by the first, applied by the second");
        assert_eq!(ask("get_agent"), None);
        assert_eq!(ask("get_user"), Some(FaultKind::ResetAfter));
        assert_eq!(ask("get_user"), Some(FaultKind::ResetAfter));
        assert_eq!(ask("get_user"), None);
        for _ in 0..100 {
            assert_eq!(ask("list_users"), Some(FaultKind::Future));
        }
    }

    #[test]
    fn some_faults_apply_to_some_operations_only() {
        let applies = |kind: &FaultKind, has_cursor| {
            let count = operations().iter().filter(|operation| kind.applies_to(Some(operation), has_cursor)).count();
            (count, kind.applies_to(None, has_cursor))
        };
        for (kind, count) in [
            (FaultKind::JobNeverEnds, 4),
            (FaultKind::JobFails(String::new()), 4),
            (FaultKind::EmptyPage, 8),
            (FaultKind::CursorCycle, 8),
            (FaultKind::UpperCaseStatus, 7),
            (FaultKind::Bare, 5),
            (FaultKind::Wrapped, 12),
        ] {
            assert_eq!(applies(&kind, true), (count, false), "{kind:?}");
        }
        assert_eq!(applies(&FaultKind::CursorCycle, false), (0, false));
        assert_eq!(applies(&FaultKind::Html(502), false), (26, true));
    }

    #[test]
    fn random_faults_hit_their_share_of_requests_until_they_are_cleared() {
        let mut queue = FaultQueue { random: Some((0.02, Rng::new(1))), ..FaultQueue::default() };
        let hit = |queue: &mut FaultQueue| {
            (0..10_000).filter(|_| queue.take_read(operation("get_user"), false).is_some()).count()
        };
        assert!((150..250).contains(&hit(&mut queue)));
        queue = FaultQueue::default();
        assert_eq!(hit(&mut queue), 0);
    }

    #[test]
    fn unread_faults_wait_for_unread_requests() {
        let mut queue = FaultQueue::default();
        queue.faults.push(Fault::any(FaultKind::ResetAtOnce));
        assert_eq!(queue.take_read(operation("get_user"), false), None);
        assert_eq!(queue.take_unread(None), Some(FaultKind::ResetAtOnce));
        assert_eq!(queue.take_unread(None), None);
    }

    #[test]
    fn the_header_is_parsed() {
        for (text, expected) in [
            ("reset-after", FaultKind::ResetAfter),
            (" delay = 250 ", FaultKind::Delay(Duration::from_millis(250))),
            ("stall=in-body", FaultKind::Stall(StallPhase::InBody)),
            ("html=503", FaultKind::Html(503)),
            ("rate-limited", FaultKind::RateLimited { retry_after: None }),
            ("rate-limited=0.5", FaultKind::RateLimited { retry_after: Some("0.5".to_owned()) }),
            ("gzip-bomb=1000000", FaultKind::GzipBomb(1_000_000)),
        ] {
            assert_eq!(FaultKind::from_header(text), Ok(expected), "{text}");
        }
        for text in ["", "explode", "delay=soon", "html=99999", "html=99", "stall=often"] {
            assert!(FaultKind::from_header(text).is_err(), "{text}");
        }
    }
}
