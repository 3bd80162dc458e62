//! The one place that sends: it waits for the rate limit, sends, retries, and turns a response into a value or an error.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Deserialize;
use serde_json::Value;

use super::Nomic;
use crate::call::{Body, Call};
use crate::endpoint;
use crate::error::{
    ApiError, DeadlineError, DecodeError, Effect, Error, ErrorCode, ErrorKind, Issue, Result, TransportError,
    TransportPhase, UnexpectedResponse,
};
use crate::http::{FailureKind, HttpRequest, HttpResponse, RequestBody, TransportFailure};
use crate::json::{self, DecodeFailure};
use crate::operations::{FOLLOW_UP_AGENT, LAUNCH_AGENT, Method};
use crate::rate_limit::{FAR_FUTURE, RateLimitInfo};
use crate::retry::{self, Attempt, Retry, RetryBudget};
use crate::text::{HumanDuration, truncate};

impl Nomic {
    /// Sends a request until there is a response or a reason to stop.
    pub(crate) fn send(&self, call: &Call<'_>) -> Result<HttpResponse> {
        let inner = &*self.inner;
        let start = Instant::now();
        let own_limit = self.deadline.unwrap_or(match call.body {
            Body::Form(_) => inner.upload_deadline,
            _ => inner.deadline,
        });
        let deadline = start + call.deadline.map_or(own_limit, |limit| limit.min(own_limit)).min(FAR_FUTURE);
        let url = call.url(&inner.base_url);
        let limiter = inner.pacing.then(|| self.limiter(call.tier));
        // A retry that the server asked for is not an attempt.
        let (mut sent, mut throttled) = (0, 0);
        let mut last = None;
        loop {
            let queued = Instant::now();
            let permit = match limiter.map(|limiter| limiter.acquire(deadline)).transpose() {
                Ok(permit) => permit,
                Err(ready_in) => return Err(rate_limit_error(call, start.elapsed(), ready_in, last)),
            };
            let sending = Instant::now();
            let outcome = self.exchange(call, &url, deadline);
            let now = Instant::now();
            sent += 1;
            log::debug!(
                target: "nomic_client",
                "{} {} {} {} attempt {sent} took {} waited {}",
                call.operation, call.method, call.path,
                outcome.as_ref().map_or("no response".to_owned(), |response| response.status.to_string()),
                HumanDuration(now - sending), HumanDuration(sending - queued),
            );
            let mut info = outcome.as_ref().map(rate_limit_info).unwrap_or_default();
            let is_throttled = info.throttled;
            let (responded, handed_over) = match &outcome {
                Ok(_) => (true, true),
                Err(failure) => (false, failure.handed_over),
            };
            let result = match outcome {
                Ok(response) if (200..300).contains(&response.status) => {
                    self.success(call, response).map_err(|error| (None, error))
                }
                Ok(response) => Err(self.error_response(call, response, info.retry_after)),
                Err(failure) => Err(self.transport_error(call, failure, now - start, sent, &mut last)),
            };
            info.throttled &= !result.as_ref().is_err_and(|(_, error)| is_spend_limit(call, error));
            match permit {
                Some(permit) if responded => permit.observe(now, info),
                Some(permit) if !handed_over => permit.cancel(),
                _ => {}
            }
            let (attempt, error) = match result {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            let is_read = call.method == Method::Get;
            let retry = attempt.and_then(|attempt| retry::decide(is_read, attempt, sent, Self::random()));
            let Some(Retry { pause, uses_budget }) = retry else {
                return Err(error);
            };
            throttled += u32::from(is_throttled);
            let blocked = limiter.map_or(Duration::ZERO, |limiter| limiter.blocked_for(now));
            let is_too_late = deadline.saturating_duration_since(now) <= pause.max(blocked);
            if inner.attempts == 1 || sent - throttled >= inner.attempts || is_too_late || !call.can_be_sent() {
                return Err(error);
            }
            if uses_budget && !self.budget().take() {
                return Err(error);
            }
            // A delay that the rate limiter knows of is waited out there, in turn with all other calls.
            let in_limiter =
                limiter.is_some() && info.throttled && info.retry_after.is_some_and(|asked| asked <= blocked);
            if !in_limiter {
                std::thread::sleep(pause);
            }
            last = Some(error);
        }
    }

    /// One exchange.
    fn exchange(&self, call: &Call<'_>, url: &str, deadline: Instant) -> Result<HttpResponse, TransportFailure> {
        let exchange = |body: RequestBody<'_>| {
            let authorization = self.inner.key.authorization();
            let request = HttpRequest { method: call.method.as_str(), url, authorization, body };
            self.inner.http.exchange(request, deadline)
        };
        match &call.body {
            Body::None => exchange(RequestBody::None),
            Body::Json(bytes) => exchange(RequestBody::Bytes { media_type: "application/json", bytes }),
            Body::Form(body) => body
                .send(|reader, length| {
                    exchange(RequestBody::Reader { media_type: body.form.content_type(), reader, length })
                })
                .unwrap_or_else(|error| {
                    Err(TransportFailure { handed_over: false, status: None, kind: FailureKind::Body(error) })
                }),
        }
    }

    fn budget(&self) -> MutexGuard<'_, RetryBudget> {
        self.inner.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number in 0..1 that differs from call to call.
    pub(crate) fn random() -> f64 {
        // Every `RandomState` has keys of its own, and the hash of nothing under them is as good as a random number.
        let hasher = RandomState::new().build_hasher();
        (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A 2xx, unless it cannot be the API's: JSON begins with one of these characters. A login page with status 200 must not
    /// pass for the success of a write.
    fn success(&self, call: &Call<'_>, response: HttpResponse) -> Result<HttpResponse> {
        let first = response.body.iter().find(|byte| !byte.is_ascii_whitespace());
        if first.is_some_and(|byte| !matches!(byte, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')) {
            let kind = ErrorKind::UnexpectedResponse(self.unexpected(&response));
            return Err(Error::new(call.operation.clone(), kind).with(|error| {
                (error.status, error.effect) = (Some(response.status), effect(call, Effect::Unknown));
            }));
        }
        self.budget().record_success();
        Ok(response)
    }

    /// A response that is not a success, and what it means for a retry.
    fn error_response(
        &self,
        call: &Call<'_>,
        response: HttpResponse,
        retry_after: Option<Duration>,
    ) -> (Option<Attempt>, Error) {
        let status = response.status;
        let body: Value = json::decode(&response.body).unwrap_or_default();
        let body = self.inner.key.redact_value(body);
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let request_id = self.request_id(&response);
        let kind = match field(&body, "error").map(text) {
            Some(message) => ErrorKind::Api(ApiError {
                message,
                code: field(&body, "code").and_then(Value::as_str).map(ErrorCode::from),
                issues: issues(field(&body, "issues")),
                scope: call.scope.filter(|_| status == 403),
                body,
            }),
            None => ErrorKind::UnexpectedResponse(self.unexpected(&response)),
        };
        let not_configured = matches!(&kind, ErrorKind::Api(ApiError { code: Some(ErrorCode::NotConfigured), .. }));
        let attempt = Attempt::Response { status, from_api: matches!(kind, ErrorKind::Api(_)), retry_after };
        let error = Error::new(call.operation.clone(), kind).with(|error| {
            (error.status, error.retry_after, error.request_id) = (Some(status), retry_after, request_id);
            error.effect = match status {
                503 if not_configured => Effect::None,
                // A server may also redirect to what it has made.
                101 | 302 | 303 | 408 | 500 | 502.. => effect(call, Effect::Unknown),
                _ => Effect::None,
            };
        });
        (Some(attempt), error)
    }

    fn unexpected(&self, response: &HttpResponse) -> UnexpectedResponse {
        let header = |name: &str| response.headers.get(name).map(|value| self.inner.key.redact(value));
        UnexpectedResponse {
            content_type: header("content-type"),
            location: header("location").filter(|_| (300..400).contains(&response.status)),
            body: self.inner.key.excerpt(&response.body),
        }
    }

    fn request_id(&self, response: &HttpResponse) -> Option<String> {
        response.headers.get("x-request-id").map(|id| self.inner.key.redact(id))
    }

    /// No response, as an error. Without an attempt a retry cannot help.
    fn transport_error(
        &self,
        call: &Call<'_>,
        failure: TransportFailure,
        elapsed: Duration,
        attempts: u32,
        last: &mut Option<Error>,
    ) -> (Option<Attempt>, Error) {
        let TransportFailure { handed_over, status, kind } = failure;
        let phase = match status {
            _ if !handed_over => TransportPhase::Connect,
            Some(_) => TransportPhase::Response,
            None => TransportPhase::Request,
        };
        let attempt = match kind {
            FailureKind::Transport { permanent: false, .. } if handed_over => Some(Attempt::NoResponse),
            FailureKind::Transport { permanent: false, .. } => Some(Attempt::NotSent),
            _ => None,
        };
        let kind = match kind {
            FailureKind::Transport { message, timed_out, permanent, source } => {
                let host = self.host();
                ErrorKind::Transport(TransportError { host, phase, message, timed_out, permanent, attempts, source })
            }
            FailureKind::Deadline => {
                let awaited = match phase {
                    TransportPhase::Connect => format!("a connection to {}", self.host()),
                    TransportPhase::Request => "a response".to_owned(),
                    TransportPhase::Response => "the rest of the response".to_owned(),
                };
                let connecting = phase == TransportPhase::Connect;
                let message = format!("timed out after {}, waiting for {awaited}", HumanDuration(elapsed));
                ErrorKind::Deadline(DeadlineError { elapsed, message, connecting, source: last.take() })
            }
            FailureKind::TooLarge => ErrorKind::ResponseTooLarge { limit: self.inner.response_limit },
            FailureKind::InvalidRequest(reason) => {
                ErrorKind::InvalidRequest(format!("it cannot be written as HTTP: {reason}"))
            }
            FailureKind::Body(source) => match &call.body {
                Body::Form(body) if body.cancelled.load(Ordering::Relaxed) => ErrorKind::Cancelled,
                Body::Form(body) => ErrorKind::Document { name: body.name.clone(), source },
                _ => ErrorKind::Document { name: "the request body".to_owned(), source },
            },
        };
        // A form without its end is no document to the server.
        let is_incomplete = matches!(kind, ErrorKind::Document { .. } | ErrorKind::Cancelled);
        let error = Error::new(call.operation.clone(), kind).with(|error| {
            error.status = status;
            if handed_over && !is_incomplete {
                error.effect = effect(call, Effect::Unknown);
            }
        });
        (attempt, error)
    }

    /// A successful response that cannot be decoded.
    pub(crate) fn decode_error(&self, call: &Call<'_>, response: &HttpResponse, failure: DecodeFailure) -> Error {
        let DecodeFailure { path, malformed, source } = failure;
        let key = &self.inner.key;
        // A message of serde may quote the response.
        let words = source.to_string();
        let source = match key.redact(&words) {
            redacted if redacted == words => source,
            redacted => serde::de::Error::custom(redacted),
        };
        let body = key.excerpt(&response.body);
        let kind = ErrorKind::Decode(DecodeError { path: truncate(&key.redact(&path)), malformed, body, source });
        Error::new(call.operation.clone(), kind).with(|error| {
            (error.status, error.request_id) = (Some(response.status), self.request_id(response));
            // JSON of another shape is the API's all the same; malformed it may be anybody's.
            error.effect = effect(call, if malformed { Effect::Unknown } else { Effect::Executed });
        })
    }

    /// The host that requests go to, and the proxy on the way.
    fn host(&self) -> String {
        let host = endpoint::host(&self.inner.base_url);
        match self.inner.http.proxy() {
            Some(proxy) => format!("{host} through the proxy {proxy}"),
            None => host.to_owned(),
        }
    }
}

/// A read has no effect, whatever became of it.
fn effect(call: &Call<'_>, of_a_write: Effect) -> Effect {
    if call.method == Method::Get { Effect::None } else { of_a_write }
}

/// The rate limit does not allow the request before the deadline.
fn rate_limit_error(call: &Call<'_>, elapsed: Duration, ready_in: Duration, last: Option<Error>) -> Error {
    let message = format!("would time out waiting for the rate limit of the {} tier", call.tier);
    let kind = ErrorKind::Deadline(DeadlineError { elapsed, message, connecting: false, source: last });
    Error::new(call.operation.clone(), kind).with(|error| error.retry_after = Some(ready_in))
}

/// A field of an error's body; `null` counts as absent.
fn field<'a>(body: &'a Value, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}

/// What a response says about the rate limit.
fn rate_limit_info(response: &HttpResponse) -> RateLimitInfo {
    let number = |name: &str| response.headers.get(name)?.parse::<f64>().ok().map(|number| number as u32);
    let retry_after = response.headers.get("retry-after").filter(|_| response.status >= 300);
    RateLimitInfo {
        limit: number("x-ratelimit-limit").filter(|limit| *limit > 0),
        remaining: number("x-ratelimit-remaining"),
        throttled: response.status == 429,
        retry_after: retry_after
            .and_then(|value| retry::retry_after(value, response.headers.get("date"), SystemTime::now())),
    }
}

/// Whether a 429 is about what the user may spend, not about the tier: only a launch and a follow-up spend, and the API
/// then has another code than that of the rate limit.
fn is_spend_limit(call: &Call<'_>, error: &Error) -> bool {
    let spends = [LAUNCH_AGENT.name, FOLLOW_UP_AGENT.name].contains(&&*call.operation);
    spends && error.code().is_some_and(|code| *code != ErrorCode::RateLimited && *code != "")
}

/// Issues in the shape of the contract; others are kept as text.
fn issues(value: Option<&Value>) -> Vec<Issue> {
    let as_text = |item: &Value| Issue { message: item.to_string(), ..Issue::default() };
    let read = |item: &Value| Issue::deserialize(item).unwrap_or_else(|_| as_text(item));
    value.and_then(Value::as_array).into_iter().flatten().map(read).collect()
}
