//! The one door: every request leaves here, and here alone it is decided what its answer means.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde_core::Deserialize;
use serde_json::{Map, Value};

use super::Nomic;
use super::gate::{Closed, Gate};
use crate::base;
use crate::call::{Body, Call};
use crate::error::{
    ApiError, DeadlineError, DecodeError, Error, ErrorCode, Fate, ForeignAnswer, Issue, KEPT_OF_BODY, Result, Span,
    TransportError, beginning, shortened,
};
use crate::json;
use crate::operations::{Method, Tier};
use crate::pace::{CENTURY, Report};
use crate::retry::{self, Attempt, Budget, Verdict};
use crate::wire::{self, Cause, Content, Failure, Incoming, Outgoing, Reading};

/// An answer of success.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Nomic {
    /// Waits for the turn, sends, decides; gives the body of a success, or the error.
    pub(crate) fn send(&self, call: &Call<'_>) -> Result<Answer> {
        self.send_for(call, &mut wire::whole)
    }

    /// As [`send`](Self::send), with a reader for the body of the success.
    pub(crate) fn send_for(&self, call: &Call<'_>, reading: &mut Reading<'_>) -> Result<Answer> {
        let inner = &*self.inner;
        let began = Instant::now();
        let own = self.deadline.unwrap_or(match call.body {
            Body::Form(_) => inner.upload_deadline,
            _ => inner.deadline,
        });
        let deadline = began + call.deadline.map_or(own, |limit| limit.min(own)).min(CENTURY);
        let url = call.url(&inner.base_url);
        // Repetitions of a refusal are counted apart: the server asked for them.
        let (mut sent, mut refusals) = (0, 0);
        let mut last = None;
        loop {
            let waiting = Instant::now();
            let gate = inner.pacing.then(|| self.gate(call.tier));
            let ticket = match gate.map(|gate| gate.wait(deadline)).transpose() {
                Ok(ticket) => ticket,
                Err(Closed(pause)) => return Err(closed(call, began.elapsed(), pause, last)),
            };
            let sending = Instant::now();
            let outcome = self.attempt(call, &url, reading, deadline);
            let now = Instant::now();
            sent += 1;
            let report = outcome.as_ref().map(|answer| report(answer, SystemTime::now())).unwrap_or_default();
            match (ticket, &outcome) {
                (Some(ticket), Ok(_)) => ticket.answered(now, report),
                (Some(ticket), Err(failure)) if !failure.handed_over => ticket.unsent(),
                _ => {}
            }
            log::debug!(
                target: "nomic_client",
                "{} {} {} {} attempt {sent} took {} waited {}",
                call.operation, call.method, call.path,
                outcome.as_ref().map_or("no answer".to_owned(), |answer| answer.status.to_string()),
                Span(now - sending), Span(sending - waiting),
            );
            let (attempt, error) = match outcome {
                Ok(answer) if (200..300).contains(&answer.status) => return self.success(call, answer, sent),
                Ok(answer) => self.refusal(call, answer, report),
                Err(failure) => self.no_answer(call, failure, now - began, sent, &mut last),
            };
            let verdict = attempt.map_or(Verdict::Final, |attempt| {
                retry::decide(call.method == Method::Get, attempt, sent, Self::chance())
            });
            let shut = gate.map(|gate| gate.shut_for(now));
            let closed = shut.unwrap_or_default();
            let error = if report.refused { error.closed_for(closed) } else { error };
            let Verdict::Again { pause, draws } = verdict else {
                return Err(error);
            };
            refusals += u32::from(report.refused);
            let too_late = deadline.saturating_duration_since(now) <= pause.max(closed);
            if inner.attempts == 1 || sent - refusals >= inner.attempts || too_late || !call.can_be_sent() {
                return Err(error);
            }
            if draws && !self.budget().take() {
                return Err(error);
            }
            let of_all = report.retry_after.filter(|_| report.refused && !report.personal);
            std::thread::sleep(retry::own_pause(pause, of_all, shut));
            last = Some(error);
        }
    }

    /// One exchange.
    fn attempt(
        &self,
        call: &Call<'_>,
        url: &str,
        reading: &mut Reading<'_>,
        deadline: Instant,
    ) -> Result<Incoming, Failure> {
        let mut exchange = |body: Content<'_>| {
            let authorization = self.inner.key.authorization();
            let outgoing = Outgoing { method: call.method.as_str(), url, authorization, body };
            self.inner.wire.exchange(outgoing, reading, Instant::now(), deadline)
        };
        match &call.body {
            Body::None => exchange(Content::None),
            Body::Json(bytes) => exchange(Content::Bytes { media_type: "application/json", bytes }),
            Body::Form(document) => document
                .send(|reader, length| {
                    exchange(Content::Reader { media_type: document.form.content_type(), reader, length })
                })
                .unwrap_or_else(|error| Err(Failure { handed_over: false, status: None, cause: Cause::Source(error) })),
        }
    }

    fn gate(&self, tier: Tier) -> &Gate {
        &self.inner.gates[tier as usize]
    }

    /// The time between two requests of a tier when they leave evenly.
    pub(crate) fn interval(&self, tier: Tier) -> Duration {
        self.gate(tier).interval()
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

    /// A 2xx, unless it cannot be the API's: a proxy's page, or an answer to a request that was not wholly taken.
    fn success(&self, call: &Call<'_>, answer: Incoming, sent: u32) -> Result<Answer> {
        let unsure = fate(call, Fate::Unknown);
        if answer.early {
            let mut error = self.transport(call, Some(answer.status), sent, unsure);
            error.cause = format!("it answered {} before it had taken the whole request", answer.status);
            return Err(Error::Transport(Box::new(error)));
        }
        // Only JSON can begin so. What acts must not be taken for done because a login page says 200.
        let first = answer.body.iter().find(|byte| !byte.is_ascii_whitespace());
        if first.is_some_and(|byte| !matches!(byte, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')) {
            return Err(Error::Foreign(Box::new(self.foreign(call, answer, Report::default(), unsure))));
        }
        self.budget().succeeded();
        Ok(Answer { status: answer.status, body: answer.body })
    }

    /// An answer that is no success, as an error.
    fn refusal(&self, call: &Call<'_>, answer: Incoming, report: Report) -> (Option<Attempt>, Error) {
        let status = answer.status;
        let body = json::decode::<Value>(&answer.body).map(|body| self.redacted_value(body)).unwrap_or_default();
        let said = |field: &str| said(&body, field);
        let from_api = said("error").is_some();
        let attempt = Attempt::Answer { status, from_api, retry_after: report.retry_after };
        let fate = match status {
            // A server may say so after it has acted: look over there.
            101 | 302 | 303 => fate(call, Fate::Unknown),
            408 | 500 | 502 | 504 | 505.. => fate(call, Fate::Unknown),
            503 if !from_api => fate(call, Fate::Unknown),
            _ => Fate::NotDone,
        };
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let error = match said("error") {
            Some(message) => Error::Api(Box::new(ApiError {
                operation: call.operation.clone(),
                status,
                message: text(message),
                code: said("code").map(|code| ErrorCode::from(text(code))),
                issues: issues(said("issues")),
                retry_after: report.retry_after,
                scope: call.scope.filter(|_| status == 403),
                body,
                fate,
            })),
            None => Error::Foreign(Box::new(self.foreign(call, answer, report, fate))),
        };
        (Some(attempt), error)
    }

    fn foreign(&self, call: &Call<'_>, answer: Incoming, report: Report, fate: Fate) -> ForeignAnswer {
        let header = |name: &str| answer.headers.get(name).map(|value| self.redacted(value.to_owned()));
        ForeignAnswer {
            operation: call.operation.clone(),
            status: answer.status,
            content_type: header("content-type"),
            location: header("location").filter(|_| (300..400).contains(&answer.status)),
            body: self.kept(&answer.body),
            retry_after: report.retry_after,
            fate,
        }
    }

    /// No answer, as an error. Without an attempt there is nothing more to decide.
    fn no_answer(
        &self,
        call: &Call<'_>,
        failure: Failure,
        elapsed: Duration,
        attempts: u32,
        last: &mut Option<Error>,
    ) -> (Option<Attempt>, Error) {
        let operation = call.operation.clone();
        let fate = if failure.handed_over { fate(call, Fate::Unknown) } else { Fate::NotDone };
        let attempt = if failure.handed_over { Attempt::NoAnswer } else { Attempt::NotSent };
        let mut error = self.transport(call, failure.status, attempts, fate);
        match failure.cause {
            Cause::Unreachable { why, lasting } => {
                (error.cause, error.unreachable, error.lasting) = (why, true, lasting);
                (Some(attempt).filter(|_| !lasting), Error::Transport(Box::new(error)))
            }
            Cause::Broken(why) => {
                error.cause = match failure.status {
                    Some(status) => format!("it answered {status}, but {why}"),
                    None => why,
                };
                (Some(attempt), Error::Transport(Box::new(error)))
            }
            Cause::Stalled(why) => {
                error.cause = match failure.status {
                    Some(status) => format!("it answered {status}, but then {why}"),
                    None => why.to_owned(),
                };
                error.stalled = true;
                (Some(attempt), Error::Transport(Box::new(error)))
            }
            Cause::Deadline { unreached } => {
                let waiting_for = match failure.status {
                    _ if unreached => format!("a connection to {}", error.host),
                    Some(status) => format!("the rest of its answer {status}"),
                    None => "the server".to_owned(),
                };
                let last = last.take().map(Box::new);
                let error = DeadlineError { operation, elapsed, waiting_for, unreached, retry_after: None, last, fate };
                (None, Error::Deadline(Box::new(error)))
            }
            Cause::TooLarge => {
                let acts = call.method != Method::Get;
                (None, Error::TooLarge { operation, limit: self.inner.response_limit, acts })
            }
            Cause::Unwritable(why) => (None, Error::refused(operation, format!("it cannot be written as HTTP: {why}"))),
            // The server saw a form without an end, which it cannot have taken for a document.
            Cause::Source(error) => {
                let what = match &call.body {
                    Body::Form(document) if document.given_up.load(Ordering::Relaxed) => {
                        return (None, Error::Cancelled { operation });
                    }
                    Body::Form(document) => document.label.clone(),
                    _ => "the body".to_owned(),
                };
                (None, Error::Document { operation, what, cause: error.to_string(), kind: error.kind() })
            }
        }
    }

    /// Trouble on the way, its cause and kind still to be said.
    fn transport(&self, call: &Call<'_>, status: Option<u16>, attempts: u32, fate: Fate) -> TransportError {
        TransportError {
            operation: call.operation.clone(),
            host: self.host(),
            cause: String::new(),
            unreachable: false,
            lasting: false,
            stalled: false,
            status,
            attempts,
            fate,
        }
    }

    /// An answer of success that is not of the shape it should have.
    pub(crate) fn undecodable(&self, call: &Call<'_>, answer: &Answer, mismatch: json::Mismatch) -> Error {
        // Of another shape, it is the API's all the same; cut or garbled it may be anybody's.
        let done = if mismatch.broken { Fate::Unknown } else { Fate::Done };
        Error::Decode(Box::new(DecodeError {
            operation: call.operation.clone(),
            status: answer.status,
            path: shortened(&self.redacted(mismatch.path)),
            // It may quote the answer, a whole document even.
            message: shortened(&self.redacted(mismatch.message)),
            body: self.kept(&answer.body),
            broken: mismatch.broken,
            job: None,
            fate: fate(call, done),
        }))
    }

    /// The host that is talked to, and the proxy on the way.
    fn host(&self) -> String {
        let host = base::host(&self.inner.base_url);
        match self.inner.wire.via() {
            Some(proxy) => format!("{host} through the proxy {proxy}"),
            None => host.to_owned(),
        }
    }

    /// The beginning of a body, without the key.
    fn kept(&self, body: &[u8]) -> String {
        let some = &body[..body.len().min(4 * KEPT_OF_BODY)];
        let mut clean = self.inner.key.redact(some.to_vec());
        if some.len() < body.len() {
            // What may be the beginning of a key that lies across the cut.
            clean.truncate(clean.len().saturating_sub(self.inner.key.authorization().len()));
        }
        beginning(&clean)
    }

    /// JSON without the key. Done after reading: JSON has more than one way to write a character.
    fn redacted_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redacted(text)),
            Value::Array(items) => items.into_iter().map(|item| self.redacted_value(item)).collect(),
            Value::Object(fields) => {
                let mut clean = Map::new();
                for (name, value) in fields {
                    clean.insert(self.redacted(name), self.redacted_value(value));
                }
                Value::Object(clean)
            }
            other => other,
        }
    }

    pub(crate) fn redacted(&self, text: String) -> String {
        String::from_utf8_lossy(&self.inner.key.redact(text.into_bytes())).into_owned()
    }
}

/// What only reads changes nothing, whatever became of it.
fn fate(call: &Call<'_>, of_an_act: Fate) -> Fate {
    if call.method == Method::Get { Fate::NotDone } else { of_an_act }
}

/// The rate limit stays closed beyond the deadline.
fn closed(call: &Call<'_>, elapsed: Duration, pause: Duration, last: Option<Error>) -> Error {
    Error::Deadline(Box::new(DeadlineError {
        operation: call.operation.clone(),
        elapsed,
        waiting_for: format!("the rate limit of the {} tier", call.tier),
        unreached: false,
        retry_after: Some(pause),
        last: last.map(Box::new),
        fate: Fate::NotDone,
    }))
}

/// What an error of the API says in a field. It has at least `error`; the older form nothing else.
fn said<'a>(body: &'a Value, field: &str) -> Option<&'a Value> {
    body.get(field).filter(|said| !said.is_null())
}

/// Whether the API refuses in words of its own but not in those of the rate limit. Then it is what the user may spend,
/// which is no concern of those who launch nothing.
fn is_personal(body: &[u8]) -> bool {
    let body: Value = json::decode(body).unwrap_or_default();
    let word = said(&body, "error").and(said(&body, "code")).and_then(Value::as_str).filter(|word| !word.is_empty());
    word.is_some_and(|word| ErrorCode::RateLimited != *word)
}

/// What an answer says of the rate limit.
fn report(answer: &Incoming, now: SystemTime) -> Report {
    let number = |name: &str| answer.headers.get(name)?.parse::<f64>().ok().map(|number| number as u32);
    Report {
        limit: number("x-ratelimit-limit").filter(|limit| *limit > 0),
        remaining: number("x-ratelimit-remaining"),
        refused: answer.status == 429,
        personal: answer.status == 429 && is_personal(&answer.body),
        retry_after: Some("retry-after")
            .filter(|_| answer.status >= 300)
            .and_then(|name| answer.headers.get(name))
            .and_then(|value| retry::retry_after(value, answer.headers.get("date"), now)),
    }
}

/// Issues in the shape of the contract; others are kept as text.
fn issues(said: Option<&Value>) -> Vec<Issue> {
    let text = |item: &Value| Issue { message: item.to_string(), ..Issue::default() };
    let read = |item: &Value| Issue::deserialize(item).unwrap_or_else(|_| text(item));
    said.and_then(Value::as_array).into_iter().flatten().map(read).collect()
}
