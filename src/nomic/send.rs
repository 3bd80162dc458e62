//! The only place that sends requests: waits for the rate limit, sends, and retries.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Nomic;
use crate::call::{Body, Call};
use crate::endpoint;
use crate::error::{DeadlineError, Effect, Error, ErrorCode, ErrorKind, Result, TransportError, TransportPhase};
use crate::http::{FailureKind, HttpRequest, HttpResponse, RequestBody, TransportFailure};
use crate::operations::{FOLLOW_UP_AGENT, LAUNCH_AGENT, Method};
use crate::rate_limit::FAR_FUTURE;
use crate::response;
use crate::retry::{self, Attempt, Retry, RetryBudget};
use crate::text::HumanDuration;

impl Nomic {
    /// Sends a request, and retries it until it succeeds or cannot be retried.
    pub(crate) fn send(&self, call: &Call<'_>) -> Result<HttpResponse> {
        let inner = &*self.inner;
        let start = Instant::now();
        let own_limit = match call.body {
            Body::Form(_) => self.upload_limit(),
            _ => self.deadline.unwrap_or(inner.deadline).min(FAR_FUTURE),
        };
        let deadline = start + call.deadline.map_or(own_limit, |limit| limit.min(own_limit));
        let path = call.path_in(&inner.paths);
        let url = call.url(&inner.base_url, &path);
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
                call.operation, call.method, path,
                outcome.as_ref().map_or("no response".to_owned(), |response| response.status.to_string()),
                HumanDuration(now - sending), HumanDuration(sending - queued),
            );
            let mut info = outcome.as_ref().map(response::rate_limit_info).unwrap_or_default();
            let is_throttled = info.throttled;
            let (responded, handed_over) = match &outcome {
                Ok(_) => (true, true),
                Err(failure) => (false, failure.handed_over),
            };
            let result = match outcome {
                Ok(response) if (200..300).contains(&response.status) => {
                    let checked = response::check_success(call, &response, &inner.key);
                    checked.map(|()| response).map_err(|error| (None, error))
                }
                Ok(response) => {
                    let (attempt, error) = response::error(call, &response, info.retry_after, &inner.key);
                    Err((Some(attempt), error))
                }
                Err(failure) => Err(self.transport_error(call, failure, now - start, sent, &mut last)),
            };
            info.throttled &= !result.as_ref().is_err_and(|(_, error)| is_spend_limit(call, error));
            match permit {
                Some(permit) if responded => permit.observe(now, info),
                Some(permit) if !handed_over => permit.cancel(),
                _ => {}
            }
            let (attempt, error) = match result {
                Ok(response) => {
                    self.budget().record_success();
                    return Ok(response);
                }
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
            // If the rate limiter has the delay, `acquire` waits for it, in order with all other calls.
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
                .send(deadline, |reader, length| {
                    exchange(RequestBody::Reader { media_type: body.form.content_type(), reader, length })
                })
                .unwrap_or_else(|error| {
                    let kind = FailureKind::Body(error);
                    Err(TransportFailure { handed_over: false, status: None, body: Vec::new(), kind })
                }),
        }
    }

    fn budget(&self) -> MutexGuard<'_, RetryBudget> {
        self.inner.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number in 0..1 that differs from call to call.
    pub(crate) fn random() -> f64 {
        // Every `RandomState` of a process has different keys, so its hash of anything serves as a random number. A forked
        // process has the keys of its parent.
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Converts a transport failure to an error. Without an `Attempt` it is not retried.
    fn transport_error(
        &self,
        call: &Call<'_>,
        failure: TransportFailure,
        elapsed: Duration,
        attempts: u32,
        last: &mut Option<Error>,
    ) -> (Option<Attempt>, Error) {
        let TransportFailure { handed_over, status, body, kind } = failure;
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
        // A server does not store a document from a form without its end.
        let is_incomplete = matches!(kind, ErrorKind::Document { .. } | ErrorKind::Cancelled);
        let error = Error::new(call.operation.clone(), kind).with(|error| {
            error.status = status;
            if handed_over && !is_incomplete {
                error.effect = response::effect(call, Effect::Unknown);
            }
        });
        (attempt, response::with_job(error, call, &body, &self.inner.key))
    }

    /// The host that requests are sent to, and the proxy if there is one.
    fn host(&self) -> String {
        let host = endpoint::host(&self.inner.base_url);
        match self.inner.http.proxy() {
            Some(proxy) => format!("{host} through the proxy {proxy}"),
            None => host.to_owned(),
        }
    }
}

/// The error of a request that the rate limit does not allow before the deadline.
fn rate_limit_error(call: &Call<'_>, elapsed: Duration, ready_in: Duration, last: Option<Error>) -> Error {
    let message = format!("would time out waiting for the rate limit of the {} tier", call.tier);
    let kind = ErrorKind::Deadline(DeadlineError { elapsed, message, connecting: false, source: last });
    Error::new(call.operation.clone(), kind).with(|error| error.retry_after = Some(ready_in))
}

/// Whether a 429 is due to the user's spend limit rather than the tier's rate limit: only a launch or a follow-up can reach
/// it, and its code is not that of the rate limit.
fn is_spend_limit(call: &Call<'_>, error: &Error) -> bool {
    let spends = [LAUNCH_AGENT.name, FOLLOW_UP_AGENT.name].contains(&&*call.operation);
    spends && error.code().is_some_and(|code| *code != ErrorCode::RateLimited && *code != "")
}
