//! The only place that sends requests: waits for the rate limit, sends, and retries.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Nomic;
use super::limiter::Limiter;
use crate::call::{Body, Call};
use crate::endpoint;
use crate::error::{DeadlineError, Effect, Error, ErrorCode, ErrorKind, Result, TransportError, TransportPhase};
use crate::http::{FailureKind, HttpRequest, HttpResponse, RequestBody, TransportFailure};
use crate::operations::{FOLLOW_UP_AGENT, LAUNCH_AGENT, Method};
use crate::rate_limit::FAR_FUTURE;
use crate::rate_limiter::AcquireError;
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
        let limiter = inner.pacing.then_some(&inner.limiter);
        // A retry that the server asked for is not an attempt.
        let (mut sent, mut throttled) = (0, 0);
        let mut last = None;
        loop {
            let queued = Instant::now();
            let permit = limiter.map(|limiter| limiter.acquire(call.tier, deadline)).transpose();
            let permit = permit.map_err(|error| acquire_error(call, start.elapsed(), error, last.take()))?;
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
                Some(permit) if responded => permit.observe(&info),
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
            // As of the response, like the delay that it asks for.
            let blocked = |limiter: &Limiter| limiter.blocked_for(call.tier).saturating_add(now.elapsed());
            let blocked = limiter.map_or(Duration::ZERO, blocked);
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

/// The error of a request for which there is no permit. `last` is the error of the attempt before.
fn acquire_error(call: &Call<'_>, elapsed: Duration, error: AcquireError, last: Option<Error>) -> Error {
    let (kind, ready_in) = match error {
        AcquireError::Failed(source) => (ErrorKind::RateLimiter { source }, None),
        AcquireError::Deadline { ready_in } => {
            let message = format!("would time out waiting for the rate limit of the {} tier", call.tier);
            let error = DeadlineError { elapsed, message, connecting: false, source: last };
            (ErrorKind::Deadline(error), Some(ready_in))
        }
    };
    Error::new(call.operation.clone(), kind).with(|error| error.retry_after = ready_in)
}

/// Whether a 429 is due to the user's spend limit rather than the tier's rate limit: only a launch or a follow-up can reach
/// it, and its code is not that of the rate limit.
fn is_spend_limit(call: &Call<'_>, error: &Error) -> bool {
    let spends = [LAUNCH_AGENT.name, FOLLOW_UP_AGENT.name].contains(&&*call.operation);
    spends && error.code().is_some_and(|code| *code != ErrorCode::RateLimited && *code != "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::{GET_AGENT, Operation, UPLOAD_FILE};

    /// What comes of a failure: whether it may be retried, and the error.
    fn failed(
        operation: &Operation,
        handed_over: bool,
        status: Option<u16>,
        kind: FailureKind,
    ) -> (Option<Attempt>, Error) {
        let nomic = Nomic::new("http://127.0.0.1:4010", "npk_x").unwrap();
        let failure = TransportFailure { handed_over, status, body: Vec::new(), kind };
        nomic.transport_error(&Call::of(operation), failure, Duration::from_secs(5), 1, &mut None)
    }

    fn broken(permanent: bool) -> FailureKind {
        FailureKind::Transport { message: "it broke".to_owned(), timed_out: false, permanent, source: None }
    }

    #[test]
    fn a_write_has_an_unknown_effect_once_a_byte_of_it_was_handed_over() {
        for (handed_over, status, attempt, phase, effect) in [
            (false, None, Attempt::NotSent, TransportPhase::Connect, Effect::None),
            (true, None, Attempt::NoResponse, TransportPhase::Request, Effect::Unknown),
            (true, Some(201), Attempt::NoResponse, TransportPhase::Response, Effect::Unknown),
        ] {
            let (decided, error) = failed(&LAUNCH_AGENT, handed_over, status, broken(false));
            assert_eq!(decided, Some(attempt));
            assert!(matches!(error.kind(), ErrorKind::Transport(error) if error.phase == phase), "{error}");
            assert_eq!((error.effect(), error.status()), (effect, status), "{error}");
            let (decided, error) = failed(&LAUNCH_AGENT, handed_over, status, broken(true));
            assert_eq!((decided, error.effect()), (None, effect), "a permanent fault is not retried: {error}");
            let (decided, error) = failed(&GET_AGENT, handed_over, status, broken(false));
            assert_eq!((decided, error.effect()), (Some(attempt), Effect::None), "a read has none: {error}");
        }
    }

    #[test]
    fn a_deadline_names_what_was_awaited_and_is_not_retried() {
        for (handed_over, status, awaited) in [
            (false, None, "a connection to 127.0.0.1:4010"),
            (true, None, "a response"),
            (true, Some(201), "the rest of the response"),
        ] {
            let (attempt, error) = failed(&LAUNCH_AGENT, handed_over, status, FailureKind::Deadline);
            let line = error.to_string();
            assert!(line.contains(&format!("timed out after 5.0 s, waiting for {awaited}")), "{line}");
            assert_eq!((attempt, error.is_unreachable()), (None, !handed_over), "{line}");
            assert_eq!(error.effect() == Effect::Unknown, handed_over, "{line}");
        }
    }

    #[test]
    fn a_document_that_was_not_sent_to_its_end_is_not_stored() {
        let unreadable = || FailureKind::Body(std::io::ErrorKind::NotFound.into());
        for handed_over in [false, true] {
            let (attempt, error) = failed(&UPLOAD_FILE, handed_over, None, unreadable());
            assert_eq!((attempt, error.effect()), (None, Effect::None), "{error}");
        }
    }

    #[test]
    fn only_a_launch_whose_429_has_another_code_than_the_rate_limit_meets_a_spend_limit() {
        let is_spend_limit = |operation: &Operation, body: &str| {
            is_spend_limit(&Call::of(operation), &Error::from_response(operation, 429, body))
        };
        let spend_limit = r#"{"error": "no", "code": "spend_limit_reached"}"#;
        assert!(is_spend_limit(&LAUNCH_AGENT, spend_limit) && is_spend_limit(&FOLLOW_UP_AGENT, spend_limit));
        assert!(!is_spend_limit(&UPLOAD_FILE, spend_limit));
        for body in [r#"{"error": "no", "code": "rate_limited"}"#, r#"{"error": "no", "code": ""}"#, r#"{"error": ""}"#]
        {
            assert!(!is_spend_limit(&LAUNCH_AGENT, body), "{body}");
        }
    }

    #[test]
    fn a_call_that_the_rate_limit_does_not_allow_in_time_says_when_it_may() {
        let ready_in = Duration::from_secs(40);
        let error = acquire_error(&Call::of(&LAUNCH_AGENT), Duration::ZERO, AcquireError::Deadline { ready_in }, None);
        assert!(error.is_rate_limited() && error.is_timeout() && !error.is_unreachable(), "{error}");
        assert_eq!((error.retry_after(), error.effect()), (Some(ready_in), Effect::None));
    }
}
