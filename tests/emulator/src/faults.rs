//! Faults on request: what can go wrong, and the queue of what shall go wrong next.

use std::time::Duration;

use crate::chance::Chance;
use crate::routes::Route;

/// Where in an exchange the emulator falls silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StallPhase {
    /// The request is not even read, and not acted on.
    BeforeRead,
    /// The request was acted on; nothing of the answer is sent.
    BeforeHead,
    /// The request was acted on; half of the answer's head is sent.
    InHead,
    /// The request was acted on; the head and half of the body are sent.
    InBody,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FaultKind {
    /// Reads the request, does nothing, and resets the connection.
    ResetBefore,
    /// Resets the connection as soon as a request begins to come, unread.
    ResetAtOnce,
    /// Acts on the request and resets the connection without an answer.
    ResetAfter,
    /// Acts, sends half of the answer's head, and resets the connection.
    ResetInHead,
    /// Acts, sends the head and half of the body, and resets the connection.
    ResetInBody,
    /// Acts, sends the head and half of the body, and closes the connection in order.
    CloseInBody,
    /// Keeps the connection open and never goes on.
    Stall(StallPhase),
    /// Acts, waits, and answers.
    Delay(Duration),
    /// Acts and answers, so many bytes at a time.
    Drip {
        /// The pause after each piece.
        every: Duration,
        /// The size of a piece.
        bytes: usize,
    },
    /// Answers so, whatever the request was.
    Status {
        /// The status.
        status: u16,
        /// The body.
        body: String,
        /// The `Content-Type`.
        content_type: String,
        /// More headers.
        headers: Vec<(String, String)>,
        /// Whether the request is acted on first.
        acted: bool,
    },
    /// Answers with an error body of the API, without acting.
    Api {
        /// The status.
        status: u16,
        /// What is said in `error`.
        error: String,
        /// What is said in `code`.
        code: Option<String>,
    },
    /// Acts, and answers 200 with JSON that stops in the middle.
    TruncatedJson,
    /// Acts, and answers 200 with what is no JSON.
    MalformedJson,
    /// Acts, and answers with JSON in which strings are numbers and arrays are objects.
    WrongTypes,
    /// Acts, and announces more than it sends before it closes.
    ContentLengthTooLong,
    /// Acts, and announces less than it sends before it closes.
    ContentLengthTooShort,
    /// Answers with a proxy's page of HTML and this status, without acting.
    Html(u16),
    /// Answers 429 in the API's form, without acting.
    RateLimited {
        /// The `Retry-After` header, as it is; none when None.
        retry_after: Option<String>,
    },
    /// Answers while the body is still coming, without acting.
    EarlyAnswer {
        /// The status of the answer, an error in the API's form.
        status: u16,
        /// How much of the body is read first.
        after_bytes: u64,
        /// Whether the socket is closed at once, the rest unread. Else it stays open, and nothing more is read.
        close: bool,
    },
    /// The job that this request submits never ends.
    NeverEnds,
    /// The job that this request submits fails with this error.
    JobFails(String),
    /// Status words in the answer are in upper case.
    UpperCase,
    /// An object inside `{data}` comes bare.
    Bare,
    /// A bare object comes inside `{data}`.
    Wrapped,
    /// The answer comes from a later version of the API, as with [`Snapshot::Future`](crate::Snapshot::Future).
    Future,
    /// A page of a list is empty, and the list goes on after it. No item is lost.
    EmptyPage,
    /// The page after the first of a list leads back to an earlier page. Applies to requests with a cursor only.
    CursorCycle,
    /// The answer is compressed.
    Gzip,
    /// The answer is compressed and inflates to so many bytes of white space.
    GzipBomb(u64),
    /// Answers with a redirect, without acting.
    Redirect {
        /// The status.
        status: u16,
        /// The `Location`.
        location: String,
    },
    /// Acts, and answers 200 with so many bytes of JSON.
    Oversized(u64),
}

/// A fault and the requests that it shall befall.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The operationId; any operation when None.
    pub operation: Option<String>,
    /// So many matching requests are let through first.
    pub skip: u32,
    /// So many matching requests are befallen after that; `u32::MAX` means all.
    pub times: u32,
    /// What goes wrong.
    pub kind: FaultKind,
}

impl Fault {
    /// A fault that befalls the next request of this operation that it can befall.
    #[must_use]
    pub fn on(operation: &str, kind: FaultKind) -> Fault {
        Fault { operation: Some(operation.to_owned()), ..Fault::any(kind) }
    }

    /// A fault that befalls the next request that it can befall: [`FaultKind::NeverEnds`], say, waits for one that
    /// submits a job.
    #[must_use]
    pub fn any(kind: FaultKind) -> Fault {
        Fault { operation: None, skip: 0, times: 1, kind }
    }

    /// Befalls so many requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Fault {
        self.times = times;
        self
    }

    /// Lets so many matching requests through first.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Fault {
        self.skip = skip;
        self
    }

    /// Befalls every matching request from then on.
    #[must_use]
    pub fn forever(self) -> Fault {
        self.times(u32::MAX)
    }
}

impl FaultKind {
    /// Whether it strikes before the request is read.
    fn is_unread(&self) -> bool {
        matches!(self, FaultKind::ResetAtOnce | FaultKind::Stall(StallPhase::BeforeRead))
    }

    /// Whether it can befall a request that leads to this operation, or to none, with a cursor or without.
    pub(crate) fn can_befall(&self, route: Option<&Route>, has_cursor: bool) -> bool {
        let operation = route.map_or("", |route| route.operation);
        let is_page = route.is_some_and(|route| route.filters.is_some());
        let is_in_data =
            matches!(operation, "launch_agent" | "get_agent" | "follow_up_agent" | "stop_agent" | "get_artifact");
        match self {
            FaultKind::NeverEnds | FaultKind::JobFails(_) => {
                matches!(operation, "submit_parse" | "submit_extract" | "launch_agent" | "follow_up_agent")
            }
            FaultKind::EmptyPage => is_page,
            FaultKind::CursorCycle => is_page && has_cursor,
            FaultKind::UpperCase => {
                let has_agents = is_in_data && operation != "get_artifact" || operation == "list_agents";
                has_agents || matches!(operation, "get_parse" | "get_extract")
            }
            FaultKind::Bare => is_in_data,
            FaultKind::Wrapped => route.is_some() && !is_in_data && !is_page && operation != "list_artifacts",
            _ => true,
        }
    }

    /// The fault that the control header asks for, such as `reset-after` or `delay=250`.
    pub(crate) fn from_header(text: &str) -> Result<FaultKind, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (text.trim(), None),
        };
        fn number<T: std::str::FromStr>(name: &str, value: Option<&str>, default: T) -> Result<T, String> {
            match value {
                None => Ok(default),
                Some(value) => value.parse().map_err(|_| format!("{name}={value}: not a number that fits")),
            }
        }
        Ok(match name {
            "reset-before" => FaultKind::ResetBefore,
            "reset-at-once" => FaultKind::ResetAtOnce,
            "reset-after" => FaultKind::ResetAfter,
            "reset-in-head" => FaultKind::ResetInHead,
            "reset-in-body" => FaultKind::ResetInBody,
            "close-in-body" => FaultKind::CloseInBody,
            "stall" => FaultKind::Stall(match value {
                Some("before-read") => StallPhase::BeforeRead,
                None | Some("before-head") => StallPhase::BeforeHead,
                Some("in-head") => StallPhase::InHead,
                Some("in-body") => StallPhase::InBody,
                Some(other) => return Err(format!("stall={other}: unknown phase")),
            }),
            "delay" => FaultKind::Delay(Duration::from_millis(number(name, value, 1000)?)),
            "drip" => FaultKind::Drip { every: Duration::from_millis(number(name, value, 10)?), bytes: 1 },
            "status" => {
                let status = valid_status(name, number(name, value, 500)?)?;
                FaultKind::Status {
                    status,
                    body: String::new(),
                    content_type: "text/plain".to_owned(),
                    headers: Vec::new(),
                    acted: false,
                }
            }
            "api" => {
                let status = valid_status(name, number(name, value, 500)?)?;
                FaultKind::Api { status, error: "Asked for by the control header".to_owned(), code: None }
            }
            "truncated-json" => FaultKind::TruncatedJson,
            "malformed-json" => FaultKind::MalformedJson,
            "wrong-types" => FaultKind::WrongTypes,
            "content-length-too-long" => FaultKind::ContentLengthTooLong,
            "content-length-too-short" => FaultKind::ContentLengthTooShort,
            "html" => FaultKind::Html(valid_status(name, number(name, value, 502)?)?),
            "rate-limited" => FaultKind::RateLimited { retry_after: value.map(str::to_owned) },
            "early-answer" => {
                let status = valid_status(name, number(name, value, 413)?)?;
                FaultKind::EarlyAnswer { status, after_bytes: 0, close: true }
            }
            "never-ends" => FaultKind::NeverEnds,
            "job-fails" => FaultKind::JobFails(value.unwrap_or("Asked for by the control header").to_owned()),
            "upper-case" => FaultKind::UpperCase,
            "bare" => FaultKind::Bare,
            "wrapped" => FaultKind::Wrapped,
            "future" => FaultKind::Future,
            "empty-page" => FaultKind::EmptyPage,
            "cursor-cycle" => FaultKind::CursorCycle,
            "gzip" => FaultKind::Gzip,
            "gzip-bomb" => FaultKind::GzipBomb(number(name, value, 1 << 30)?),
            "redirect" => FaultKind::Redirect { status: 302, location: value.unwrap_or("/").to_owned() },
            "oversized" => FaultKind::Oversized(number(name, value, 1 << 30)?),
            _ => return Err(format!("{name}: unknown fault")),
        })
    }
}

fn valid_status(name: &str, status: u16) -> Result<u16, String> {
    if (200..600).contains(&status) { Ok(status) } else { Err(format!("{name}={status}: not a final status")) }
}

/// The faults that are still to come, in the order in which they were asked for, and those of chance.
#[derive(Debug, Default)]
pub(crate) struct FaultQueue {
    faults: Vec<Fault>,
    /// So many requests of a million are befallen by chance.
    by_chance: Option<(u32, Chance)>,
}

impl FaultQueue {
    pub(crate) fn push(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
        self.by_chance = None;
    }

    pub(crate) fn leave_to_chance(&mut self, millionths: u32, chance: Chance) {
        self.by_chance = Some((millionths, chance));
    }

    /// The fault that befalls a request which was not read yet.
    pub(crate) fn take_unread(&mut self, operation: Option<&str>) -> Option<FaultKind> {
        self.take(operation, FaultKind::is_unread)
    }

    /// The fault that befalls a request whose head was read.
    pub(crate) fn take_read(&mut self, route: Option<&Route>, has_cursor: bool) -> Option<FaultKind> {
        let operation = route.map(|route| route.operation);
        let asked_for = self.take(operation, |kind| !kind.is_unread() && kind.can_befall(route, has_cursor));
        asked_for.or_else(|| {
            let (millionths, chance) = self.by_chance.as_mut()?;
            let struck = chance.below(1_000_000) < u64::from(*millionths);
            struck.then(|| std::iter::repeat_with(|| chance.fault()).find(|kind| kind.can_befall(route, has_cursor)))?
        })
    }

    /// The first that matches and has nothing left to skip. Those before it count the request among the skipped.
    fn take(&mut self, operation: Option<&str>, applies: impl Fn(&FaultKind) -> bool) -> Option<FaultKind> {
        let matches = |fault: &Fault| {
            applies(&fault.kind) && (fault.operation.is_none() || fault.operation.as_deref() == operation)
        };
        for place in 0..self.faults.len() {
            let fault = &mut self.faults[place];
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
    use crate::routes::routes;

    fn route(operation: &str) -> &'static Route {
        routes().iter().find(|route| route.operation == operation).unwrap()
    }

    #[test]
    fn faults_befall_the_requests_that_they_name() {
        let mut queue = FaultQueue::default();
        queue.push(Fault::on("get_user", FaultKind::ResetAfter).skip(1).times(2));
        queue.push(Fault::any(FaultKind::Gzip));
        queue.push(Fault::on("list_users", FaultKind::Future).forever());
        let mut ask = |operation| queue.take_read(Some(route(operation)), false);
        assert_eq!(ask("get_user"), Some(FaultKind::Gzip), "skipped by the first, met by the second");
        assert_eq!(ask("get_agent"), None);
        assert_eq!(ask("get_user"), Some(FaultKind::ResetAfter));
        assert_eq!(ask("get_user"), Some(FaultKind::ResetAfter));
        assert_eq!(ask("get_user"), None);
        for _ in 0..100 {
            assert_eq!(ask("list_users"), Some(FaultKind::Future));
        }
    }

    #[test]
    fn some_faults_can_befall_some_operations_only() {
        let befallen = |kind: &FaultKind, has_cursor| {
            let routes = routes().iter().filter(|route| kind.can_befall(Some(route), has_cursor));
            (routes.count(), kind.can_befall(None, has_cursor))
        };
        for (kind, count) in [
            (FaultKind::NeverEnds, 4),
            (FaultKind::JobFails(String::new()), 4),
            (FaultKind::EmptyPage, 8),
            (FaultKind::CursorCycle, 8),
            (FaultKind::UpperCase, 7),
            (FaultKind::Bare, 5),
            (FaultKind::Wrapped, 12),
        ] {
            assert_eq!(befallen(&kind, true), (count, false), "{kind:?}");
        }
        assert_eq!(befallen(&FaultKind::CursorCycle, false), (0, false));
        assert_eq!(befallen(&FaultKind::Html(502), false), (26, true));
    }

    #[test]
    fn chance_befalls_its_share_of_the_requests_until_it_is_taken_back() {
        let mut queue = FaultQueue::default();
        queue.leave_to_chance(20_000, Chance::new(1));
        let struck = |queue: &mut FaultQueue| {
            (0..10_000).filter(|_| queue.take_read(Some(route("get_user")), false).is_some()).count()
        };
        assert!((150..250).contains(&struck(&mut queue)));
        queue.clear();
        assert_eq!(struck(&mut queue), 0);
    }

    #[test]
    fn unread_faults_wait_for_unread_requests() {
        let mut queue = FaultQueue::default();
        queue.push(Fault::any(FaultKind::ResetAtOnce));
        assert_eq!(queue.take_read(Some(route("get_user")), false), None);
        assert_eq!(queue.take_unread(None), Some(FaultKind::ResetAtOnce));
        assert_eq!(queue.take_unread(None), None);
    }

    #[test]
    fn the_control_header_is_read() {
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
