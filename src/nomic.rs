//! The client itself, and the one door through which every request leaves.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::acknowledged::Acknowledged;
use crate::base::{self, Key};
use crate::call::{Body, Call};
use crate::error::{
    ApiError, DeadlineError, DecodeError, Error, ErrorCode, Fate, ForeignAnswer, Issue, Result, Span, TransportError,
    beginning,
};
use crate::json;
use crate::operations::{Method, Tier};
use crate::pace::{Bucket, Pass, Report, Turn};
use crate::retry::{self, Attempt, Budget, Verdict};
use crate::wire::{Cause, Content, Failure, Incoming, Outgoing, ProxyChoice, Settings, Wire};

/// The most that a connection may take to be made (name, TCP, TLS), unless [`Builder::connect_timeout`] says otherwise.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest time in which nothing moves, unless [`Builder::stall_timeout`] says otherwise.
pub const DEFAULT_STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// The most that a call may take, waiting and repetitions included, unless [`Builder::deadline`] says otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10 * 60);
/// The most that an upload may take, unless [`Builder::upload_deadline`] says otherwise.
pub const DEFAULT_UPLOAD_DEADLINE: Duration = Duration::from_secs(60 * 60);
/// How often a request is sent at the most, unless [`Builder::attempts`] says otherwise.
pub const DEFAULT_ATTEMPTS: u32 = 4;
/// The largest answer that is read, in bytes, unless [`Builder::response_limit`] says otherwise: 1 GiB.
pub const DEFAULT_RESPONSE_LIMIT: u64 = 1 << 30;
/// The window in which the service counts requests, unless [`Builder::rate_window`] says otherwise.
pub const DEFAULT_RATE_WINDOW: Duration = Duration::from_secs(60);

/// The client of one Nomic instance, with one key.
///
/// Cheap to clone; clones share connections and pace, so that a program has one of it and hands clones to its threads.
/// Making one sends nothing.
///
/// ```
/// let nomic = nomic_client::Nomic::new("acme", "npk_example")?;
/// assert_eq!(format!("{nomic:?}"), r#"Nomic { base_url: "https://acme.nomic.ai/api/v0", .. }"#);
/// # Ok::<(), nomic_client::Error>(())
/// ```
#[derive(Clone)]
pub struct Nomic {
    inner: Arc<Inner>,
}

struct Inner {
    base_url: String,
    key: Key,
    wire: Wire,
    gates: [Gate; Tier::ALL.len()],
    budget: Mutex<Budget>,
    pacing: bool,
    attempts: u32,
    deadline: Duration,
    upload_deadline: Duration,
    response_limit: u64,
}

/// Where the requests of one tier wait for their turn.
struct Gate {
    bucket: Mutex<Bucket>,
    /// Rung when something was heard that may let somebody go earlier.
    news: Condvar,
}

impl Gate {
    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A panic in a callback leaves nothing half done here: locks are taken over from a thread that panicked, and what
/// they guard is consistent at every step. So a client may be used on both sides of a `catch_unwind`.
impl std::panic::UnwindSafe for Nomic {}
impl std::panic::RefUnwindSafe for Nomic {}

impl fmt::Debug for Nomic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nomic").field("base_url", &self.inner.base_url).finish_non_exhaustive()
    }
}

/// Settings of a [`Nomic`]; made by [`Nomic::builder`].
///
/// ```
/// use std::time::Duration;
/// use nomic_client::Nomic;
///
/// let nomic = Nomic::builder("https://acme.nomic.ai", "npk_example")
///     .deadline(Duration::from_secs(30))
///     .attempts(2)
///     .build()?;
/// # Ok::<(), nomic_client::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    base_url: String,
    key: String,
    allow_plain_http: bool,
    pacing: bool,
    rate_window: Duration,
    attempts: u32,
    deadline: Duration,
    upload_deadline: Duration,
    wire: Settings,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("base_url", &self.base_url).field("wire", &self.wire).finish_non_exhaustive()
    }
}

impl Builder {
    /// The time for making a connection: name, TCP and TLS. Defaults to [`DEFAULT_CONNECT_TIMEOUT`].
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.wire.connect_timeout = timeout;
        self
    }

    /// The longest time in which nothing at all moves on a connection. A slow answer that keeps coming is not cut by it.
    /// Defaults to [`DEFAULT_STALL_TIMEOUT`].
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.wire.stall_timeout = timeout;
        self
    }

    /// The time for one call in all: waiting for the rate limit, repetitions and reading the answer. Uploads have
    /// [their own](Self::upload_deadline). Defaults to [`DEFAULT_DEADLINE`].
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The time for one upload in all. Defaults to [`DEFAULT_UPLOAD_DEADLINE`].
    pub fn upload_deadline(mut self, deadline: Duration) -> Self {
        self.upload_deadline = deadline;
        self
    }

    /// How often a request is sent at the most; 1 for never again, whatever happens. What acts is repeated only where
    /// the server provably did not act, however large the number. A 429 that says how long to wait is not counted: it
    /// is waited out as long as the deadline allows. Defaults to [`DEFAULT_ATTEMPTS`].
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The largest answer that is read, in bytes after unpacking. Defaults to [`DEFAULT_RESPONSE_LIMIT`].
    pub fn response_limit(mut self, bytes: u64) -> Self {
        self.wire.response_limit = bytes;
        self
    }

    /// What stands in `User-Agent` (and in the audit log). Defaults to this crate's name and version.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.wire.user_agent = user_agent.into();
        self
    }

    /// A proxy, as `http://user:password@proxy.example:3128`; `http` and `https` proxies are spoken to with CONNECT.
    /// Defaults to none: only [`Nomic::from_env`] and [`proxy_from_env`](Self::proxy_from_env) look at the environment.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.wire.proxy = ProxyChoice::Url(url.into());
        self
    }

    /// The proxy that `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY` names, but for hosts in `NO_PROXY`.
    pub fn proxy_from_env(mut self) -> Self {
        self.wire.proxy = ProxyChoice::Environment;
        self
    }

    /// No proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.wire.proxy = ProxyChoice::None;
        self
    }

    /// The root certificates to trust, in PEM, instead of Mozilla's: a company's own, say.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.wire.roots = Some(pem.into());
        self
    }

    /// Whether requests are paced by the rate limit before they are sent. Without it a 429 is still waited out by the
    /// call that got it. Defaults to `true`.
    pub fn pacing(mut self, pacing: bool) -> Self {
        self.pacing = pacing;
        self
    }

    /// The window in which the service counts requests. Only for an instance that differs, or an emulator that runs at
    /// another speed. Defaults to [`DEFAULT_RATE_WINDOW`].
    pub fn rate_window(mut self, window: Duration) -> Self {
        self.rate_window = window;
        self
    }

    /// Allows `http://` to another machine. The key then travels in clear. Loopback needs no permission.
    pub fn allow_plain_http(mut self, allow: bool) -> Self {
        self.allow_plain_http = allow;
        self
    }

    /// Checks the settings and makes the client; nothing is sent.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] says which setting is wrong. The key is never shown.
    pub fn build(self) -> Result<Nomic> {
        let base_url = base::base_url(&self.base_url, self.allow_plain_http).map_err(Error::Config)?;
        let key = Key::new(&self.key).map_err(Error::Config)?;
        if self.wire.user_agent.chars().any(|c| !(c == ' ' || c.is_ascii_graphic())) {
            return Err(Error::Config("the user agent holds a character that no header may hold".to_owned()));
        }
        let wire = Wire::new(&self.wire).map_err(Error::Config)?;
        let gate = |tier: Tier| Gate {
            bucket: Mutex::new(Bucket::new(tier.per_minute(), self.rate_window)),
            news: Condvar::new(),
        };
        Ok(Nomic {
            inner: Arc::new(Inner {
                base_url,
                key,
                wire,
                gates: Tier::ALL.map(gate),
                budget: Mutex::new(Budget::new()),
                pacing: self.pacing,
                attempts: self.attempts,
                deadline: self.deadline,
                upload_deadline: self.upload_deadline,
                response_limit: self.wire.response_limit,
            }),
        })
    }
}

/// An answer of success.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Nomic {
    /// A client of the instance at `base_url_or_domain`, with the settings that suit most programs.
    ///
    /// `acme`, `acme.drive`, `acme.nomic.ai`, `https://acme.nomic.ai` and `https://acme.nomic.ai/api/v0/` all are
    /// understood; the URL of any other host is taken as it stands, path included.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the domain cannot be read, would send the key in clear, or if the key is empty or holds what
    /// no key holds.
    pub fn new(base_url_or_domain: impl Into<String>, key: impl Into<String>) -> Result<Self> {
        Self::builder(base_url_or_domain, key).build()
    }

    /// A client of the instance that the environment names: `NOMIC_API_KEY`, and `NOMIC_BASE_URL` or `NOMIC_DOMAIN`;
    /// a proxy from `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY`. This is the only place that reads the environment,
    /// besides [`Builder::proxy_from_env`].
    ///
    /// # Errors
    ///
    /// [`Error::Config`] says which variable is missing or wrong.
    pub fn from_env() -> Result<Self> {
        let read = |name: &str| match std::env::var(name) {
            Ok(value) if value.is_empty() => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(Error::Config(format!("{name} is not text"))),
        };
        let base_url = match read("NOMIC_BASE_URL")? {
            Some(url) => Some(url),
            None => read("NOMIC_DOMAIN")?,
        };
        let missing = |what: &str| Error::Config(format!("{what} is not set in the environment"));
        let key =
            read("NOMIC_API_KEY")?.ok_or_else(|| missing("NOMIC_API_KEY (a key made in the Developer Console)"))?;
        let base_url = base_url.ok_or_else(|| missing("NOMIC_DOMAIN (as `acme`) or NOMIC_BASE_URL"))?;
        Self::builder(base_url, key).proxy_from_env().build()
    }

    /// A client with settings of your own.
    pub fn builder(base_url_or_domain: impl Into<String>, key: impl Into<String>) -> Builder {
        Builder {
            base_url: base_url_or_domain.into(),
            key: key.into(),
            allow_plain_http: false,
            pacing: true,
            rate_window: DEFAULT_RATE_WINDOW,
            attempts: DEFAULT_ATTEMPTS,
            deadline: DEFAULT_DEADLINE,
            upload_deadline: DEFAULT_UPLOAD_DEADLINE,
            wire: Settings {
                connect_timeout: DEFAULT_CONNECT_TIMEOUT,
                stall_timeout: DEFAULT_STALL_TIMEOUT,
                response_limit: DEFAULT_RESPONSE_LIMIT,
                user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
                proxy: ProxyChoice::None,
                roots: None,
            },
        }
    }

    /// The base URL that all calls go to, as `https://acme.nomic.ai/api/v0`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.inner.base_url
    }

    /// Sends, and reads the answer's body as JSON.
    pub(crate) fn fetch<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        let answer = self.send(call)?;
        json::decode(&answer.body).map_err(|mismatch| self.undecodable(call, &answer, mismatch))
    }

    /// As [`fetch`](Self::fetch), for an object that comes bare or inside `{data}`.
    pub(crate) fn fetch_data<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        #[derive(Deserialize)]
        struct Wrapped<T> {
            data: T,
        }
        let answer = self.send(call)?;
        // Bare first: large answers come bare, and are read only once.
        json::decode(&answer.body)
            .or_else(|bare| match json::decode::<Wrapped<T>>(&answer.body) {
                Ok(wrapped) => Ok(wrapped.data),
                Err(wrapped) => Err(if wrapped.path.starts_with("data") { wrapped } else { bare }),
            })
            .map_err(|mismatch| self.undecodable(call, &answer, mismatch))
    }

    /// As [`fetch`](Self::fetch), where an answer without a body reads as `null`.
    pub(crate) fn fetch_or_null<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        let mut answer = self.send(call)?;
        if answer.body.iter().all(u8::is_ascii_whitespace) {
            answer.body = b"null".to_vec();
        }
        json::decode(&answer.body).map_err(|mismatch| self.undecodable(call, &answer, mismatch))
    }

    /// Sends what acts, where the answer's shape is a guess.
    pub(crate) fn acknowledge<T: DeserializeOwned>(&self, call: &Call) -> Result<Acknowledged<T>> {
        Ok(Acknowledged::read(&self.send(call)?.body))
    }

    fn undecodable(&self, call: &Call, answer: &Answer, mismatch: json::Mismatch) -> Error {
        let body = self.inner.key.redact(answer.body[..answer.body.len().min(4 * crate::error::KEPT_OF_BODY)].to_vec());
        Error::Decode(Box::new(DecodeError {
            operation: call.operation.clone(),
            status: answer.status,
            path: self.redacted(mismatch.path),
            // It may quote the answer.
            message: self.redacted(mismatch.message),
            body: beginning(&body),
            broken: mismatch.broken,
            fate: if call.method == Method::Get { Fate::NotDone } else { Fate::Done },
        }))
    }

    /// The one door: waits for the turn, sends, decides, and gives the body of a success or the error.
    pub(crate) fn send(&self, call: &Call) -> Result<Answer> {
        let inner = &*self.inner;
        let began = Instant::now();
        let own = match call.body {
            Body::Form(_) => inner.upload_deadline,
            _ => inner.deadline,
        };
        let time = call.deadline.map_or(own, |limit| limit.min(own));
        // A time that no clock can count is no limit; a century is as good.
        let deadline = began.checked_add(time).unwrap_or_else(|| began + Duration::from_secs(100 * 365 * 86_400));
        let url = format!("{}{}", inner.base_url, call.target());
        let (mut sent, mut counted) = (0, 0);
        loop {
            let waiting = Instant::now();
            let pass = self.wait_for_turn(call, began, deadline)?;
            let sending = Instant::now();
            let outcome = self.attempt(call, &url, deadline);
            sent += 1;
            let now = Instant::now();
            let report = outcome.as_ref().ok().map(|answer| report(answer, SystemTime::now()));
            self.hear(call, pass, now, report);
            let status = outcome.as_ref().map_or(0, |answer| answer.status);
            log::debug!(
                target: "nomic_client",
                "{} {} {} {} attempt {sent} took {} waited {}",
                call.operation, call.method, call.path,
                if status == 0 { "no answer".to_owned() } else { status.to_string() },
                Span(now - sending), Span(sending - waiting),
            );
            let (attempt, error) = match outcome {
                Ok(answer) if (200..300).contains(&answer.status) => {
                    self.budget().succeeded();
                    return Ok(Answer { status: answer.status, body: answer.body });
                }
                Ok(answer) => self.refusal(call, answer, report.unwrap_or_default()),
                Err(failure) => self.no_answer(call, failure, now - began, sent)?,
            };
            let refused = report.is_some_and(|report| report.refused);
            counted += u32::from(!refused);
            let Verdict::Again { mut pause, draws } =
                retry::decide(call.method == Method::Get, attempt, sent, Self::chance())
            else {
                return Err(error);
            };
            if refused && !inner.pacing {
                pause = error.retry_after().unwrap_or_default();
            }
            let closed = if inner.pacing { self.gate(call.tier).bucket().shut_for(now) } else { Duration::ZERO };
            let too_late = deadline.saturating_duration_since(now) <= pause.max(closed);
            if inner.attempts == 1 || counted >= inner.attempts || too_late || !call.can_be_sent() {
                return Err(error);
            }
            if draws && !self.budget().take() {
                return Err(error);
            }
            std::thread::sleep(pause);
        }
    }

    /// One exchange.
    fn attempt(&self, call: &Call, url: &str, deadline: Instant) -> Result<Incoming, Failure> {
        match &call.body {
            Body::None => self.exchange(call, url, Content::None, deadline),
            Body::Json(bytes) => {
                self.exchange(call, url, Content::Bytes { media_type: "application/json", bytes }, deadline)
            }
            Body::Form(document) => document
                .send(|reader, length| {
                    let body = Content::Reader { media_type: document.form.content_type(), reader, length };
                    self.exchange(call, url, body, deadline)
                })
                .unwrap_or_else(|error| Err(Failure { handed_over: false, cause: Cause::Source(error) })),
        }
    }

    fn exchange(&self, call: &Call, url: &str, body: Content<'_>, deadline: Instant) -> Result<Incoming, Failure> {
        let authorization = self.inner.key.authorization();
        let outgoing = Outgoing { method: call.method.as_str(), url, authorization, body };
        self.inner.wire.exchange(outgoing, Instant::now(), deadline)
    }

    /// Waits until the pace lets this call go, in the order of arrival; the lock is not held meanwhile.
    fn wait_for_turn(&self, call: &Call, began: Instant, deadline: Instant) -> Result<Option<Pass>> {
        if !self.inner.pacing {
            return Ok(None);
        }
        let gate = self.gate(call.tier);
        let mut bucket = gate.bucket();
        let place = bucket.queue_up();
        loop {
            let now = Instant::now();
            let pause = match bucket.turn(place, now) {
                Turn::Go(pass) => {
                    drop(bucket);
                    gate.news.notify_all();
                    return Ok(Some(pass));
                }
                Turn::Wait(pause) => pause,
            };
            let (left, shut) = (deadline.saturating_duration_since(now), bucket.shut_for(now));
            // Closed for longer than there is time: the caller learns it now, not at the deadline.
            if left.is_zero() || shut > left {
                bucket.leave(place);
                drop(bucket);
                gate.news.notify_all();
                return Err(Error::Deadline(Box::new(DeadlineError {
                    operation: call.operation.clone(),
                    elapsed: now - began,
                    waiting_for: format!("the rate limit of the {} tier", call.tier),
                    retry_after: Some(shut.max(pause)),
                    fate: Fate::NotDone,
                })));
            }
            bucket = gate.news.wait_timeout(bucket, pause.min(left)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Tells the pace what came of a request.
    fn hear(&self, call: &Call, pass: Option<Pass>, now: Instant, report: Option<Report>) {
        let Some(pass) = pass else { return };
        let gate = self.gate(call.tier);
        match report {
            Some(report) => gate.bucket().answered(pass, now, report),
            None => gate.bucket().unanswered(pass),
        }
        gate.news.notify_all();
    }

    fn gate(&self, tier: Tier) -> &Gate {
        &self.inner.gates[tier as usize]
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.inner.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number in 0..1 that differs from call to call.
    pub(crate) fn chance() -> f64 {
        // Every `RandomState` has keys of its own; the hash of nothing under them is as good as a random number.
        let hasher = RandomState::new().build_hasher();
        (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// An answer that is no success, as an error.
    fn refusal(&self, call: &Call, answer: Incoming, report: Report) -> (Attempt, Error) {
        #[derive(Deserialize)]
        struct Envelope {
            error: Value,
            #[serde(default)]
            code: Option<Value>,
            #[serde(default)]
            issues: Option<Value>,
        }
        let status = answer.status;
        let body = self.inner.key.redact(answer.body);
        let envelope = json::decode::<Envelope>(&body).ok().filter(|envelope| !envelope.error.is_null());
        let attempt = Attempt::Answer { status, from_api: envelope.is_some(), retry_after: report.retry_after };
        let acts = call.method != Method::Get;
        let fate = match status {
            408 | 500 | 502 | 504 if acts => Fate::Unknown,
            503 if acts && envelope.is_none() => Fate::Unknown,
            505.. if acts => Fate::Unknown,
            _ => Fate::NotDone,
        };
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let header = |name: &str| answer.headers.get(name).map(|value| self.redacted(value.to_owned()));
        let error = match envelope {
            Some(envelope) => Error::Api(Box::new(ApiError {
                operation: call.operation.clone(),
                status,
                message: text(envelope.error),
                code: envelope.code.filter(|code| !code.is_null()).map(|code| ErrorCode::from(&*text(code))),
                issues: issues(envelope.issues),
                retry_after: report.retry_after,
                scope: call.scope.filter(|_| status == 403),
                body: json::decode(&body).unwrap_or_default(),
                fate,
            })),
            None => Error::Foreign(Box::new(ForeignAnswer {
                operation: call.operation.clone(),
                status,
                content_type: header("content-type"),
                location: header("location").filter(|_| (300..400).contains(&status)),
                body: beginning(&body),
                retry_after: report.retry_after,
                fate,
            })),
        };
        (attempt, error)
    }

    fn redacted(&self, text: String) -> String {
        String::from_utf8_lossy(&self.inner.key.redact(text.into_bytes())).into_owned()
    }

    /// No answer, as an error; at once where nothing can be decided any more.
    fn no_answer(&self, call: &Call, failure: Failure, elapsed: Duration, attempts: u32) -> Result<(Attempt, Error)> {
        let operation = call.operation.clone();
        let acts = call.method != Method::Get;
        let fate = if acts && failure.handed_over { Fate::Unknown } else { Fate::NotDone };
        let transport = |cause: String, unreachable: bool, stalled: bool| {
            Error::Transport(Box::new(TransportError {
                operation: operation.clone(),
                host: base::host(&self.inner.base_url).to_owned(),
                cause,
                unreachable,
                stalled,
                attempts,
                fate,
            }))
        };
        let attempt = if failure.handed_over { Attempt::NoAnswer } else { Attempt::NotSent };
        Ok(match failure.cause {
            Cause::Unreachable(cause) => (attempt, transport(cause, true, false)),
            Cause::Broken(cause) => (attempt, transport(cause, false, false)),
            Cause::Stalled(cause) => (attempt, transport(cause.to_owned(), false, true)),
            Cause::Deadline => {
                return Err(Error::Deadline(Box::new(DeadlineError {
                    operation,
                    elapsed,
                    waiting_for: "the server".to_owned(),
                    retry_after: None,
                    fate,
                })));
            }
            Cause::TooLarge => {
                return Err(Error::TooLarge { operation, limit: self.inner.response_limit, acts });
            }
            // The server saw a form without an end, which it cannot have taken for a document.
            Cause::Source(error) => {
                let what = match &call.body {
                    Body::Form(document) => document.label.clone(),
                    _ => "the body".to_owned(),
                };
                return Err(Error::Document { operation, what, cause: error.to_string(), kind: error.kind() });
            }
        })
    }
}

/// What an answer says of the rate limit.
fn report(answer: &Incoming, now: SystemTime) -> Report {
    let number = |name: &str| answer.headers.get(name)?.parse::<f64>().ok().map(|number| number as u32);
    Report {
        limit: number("x-ratelimit-limit").filter(|limit| *limit > 0),
        remaining: number("x-ratelimit-remaining"),
        refused: answer.status == 429,
        retry_after: answer
            .headers
            .get("retry-after")
            .and_then(|value| retry::retry_after(value, answer.headers.get("date"), now)),
    }
}

/// Issues in the shape of the contract; others are kept as text.
fn issues(value: Option<Value>) -> Vec<Issue> {
    let Some(Value::Array(items)) = value else {
        return Vec::new();
    };
    let read = |item: Value| {
        json::decode_value::<Issue>(&item).unwrap_or_else(|_| Issue { path: Vec::new(), message: item.to_string() })
    };
    items.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_shared_between_threads_and_shows_no_key() {
        fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
        let builder = Nomic::builder("acme", "npk_secret").proxy("http://me:pass@proxy:1");
        assert!(!format!("{builder:?}").contains("npk_"), "{builder:?}");
        assert!(!format!("{builder:?}").contains("pass"), "{builder:?}");
        let nomic = builder.build().unwrap();
        shared(&nomic);
        assert_eq!(format!("{nomic:?}"), r#"Nomic { base_url: "https://acme.nomic.ai/api/v0", .. }"#);
    }

    #[test]
    fn wrong_settings_are_refused_with_a_reason() {
        let error = |builder: Builder| builder.build().unwrap_err().to_string();
        let builder = || Nomic::builder("acme", "npk_secret");
        assert!(error(builder().user_agent("a\nb")).contains("user agent"));
        assert!(error(builder().root_certificates("no pem")).contains("no certificate"));
        assert!(error(builder().proxy("socks5://127.0.0.1:1")).contains("socks5"));
        assert!(error(builder().proxy("")).contains("proxy"));
        assert!(error(Nomic::builder("acme", "npk_secret\n")).contains("line break"));
    }

    #[test]
    fn chance_is_a_number_between_zero_and_one_that_changes() {
        let drawn: Vec<_> = (0..100).map(|_| Nomic::chance()).collect();
        assert!(drawn.iter().all(|number| (0.0..1.0).contains(number)));
        assert!(drawn.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
