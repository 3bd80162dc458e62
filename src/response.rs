//! Interprets responses: errors, their effect, and rate-limit headers.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::Value;

use crate::call::Call;
use crate::endpoint::Key;
use crate::error::{ApiError, DecodeError, Effect, Error, ErrorCode, ErrorKind, Issue, Result, UnexpectedResponse};
use crate::http::HttpResponse;
use crate::json::{self, DecodeFailure};
use crate::operations::Method;
use crate::rate_limiter::RateLimitInfo;
use crate::retry::{self, Attempt};
use crate::text::truncate;

/// Rejects a 2xx response that does not start like JSON, and so is not from the API. Otherwise a login page with status 200
/// would count as the success of a write.
pub(crate) fn check_success(call: &Call<'_>, response: &HttpResponse, key: &Key) -> Result<()> {
    let first = json::without_mark(&response.body).iter().find(|byte| !byte.is_ascii_whitespace());
    let is_json = |byte: &u8| matches!(byte, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n');
    // Some servers name an encoding, such as `utf-8`, that is none.
    let is_encoded = response.unsupported_encoding.is_some() && std::str::from_utf8(&response.body).is_err();
    if !is_encoded && first.is_none_or(is_json) {
        return Ok(());
    }
    let kind = ErrorKind::UnexpectedResponse(unexpected(response, key));
    let error = Error::new(call.operation.clone(), kind).with(|error| {
        (error.status, error.effect) = (Some(response.status), effect(call, Effect::Unknown));
    });
    Err(with_job(error, call, &response.body, key))
}

/// The error of a response that is not a success, and how the attempt failed.
pub(crate) fn error(
    call: &Call<'_>,
    response: &HttpResponse,
    retry_after: Option<Duration>,
    key: &Key,
) -> (Attempt, Error) {
    let status = response.status;
    let body: Value = json::decode(&response.body).unwrap_or_default();
    let body = key.redact_value(body);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let request_id = request_id(response, key);
    let kind = match field(&body, "error").map(text) {
        Some(message) => ErrorKind::Api(ApiError {
            message,
            code: field(&body, "code").and_then(Value::as_str).map(ErrorCode::from),
            issues: issues(field(&body, "issues")),
            scope: call.scope.filter(|_| status == 403),
            body,
        }),
        None => ErrorKind::UnexpectedResponse(unexpected(response, key)),
    };
    let not_configured = matches!(&kind, ErrorKind::Api(ApiError { code: Some(ErrorCode::NotConfigured), .. }));
    let attempt = Attempt::Response { status, from_api: matches!(kind, ErrorKind::Api(_)), retry_after };
    let error = Error::new(call.operation.clone(), kind).with(|error| {
        (error.status, error.retry_after, error.request_id) = (Some(status), retry_after, request_id);
        error.effect = match status {
            503 if not_configured => Effect::None,
            // A server may also redirect to the object it created.
            101 | 302 | 303 | 408 | 500 | 502.. => effect(call, Effect::Unknown),
            _ => Effect::None,
        };
    });
    (attempt, error)
}

fn unexpected(response: &HttpResponse, key: &Key) -> UnexpectedResponse {
    let header = |name: &str| response.headers.get(name).map(|value| key.redact(value));
    let encoding = response.unsupported_encoding.as_ref().map(|encoding| key.redact(encoding));
    // Compressed bytes would be no text.
    let body = if encoding.is_some() { String::new() } else { key.excerpt(&response.body) };
    UnexpectedResponse {
        content_type: header("content-type"),
        location: header("location").filter(|_| (300..400).contains(&response.status)),
        encoding,
        body,
    }
}

fn request_id(response: &HttpResponse, key: &Key) -> Option<String> {
    response.headers.get("x-request-id").map(|id| key.redact(id))
}

/// The error of a successful response that cannot be decoded.
pub(crate) fn decode_error(call: &Call<'_>, response: &HttpResponse, failure: DecodeFailure, key: &Key) -> Error {
    let DecodeFailure { path, malformed, source } = failure;
    // Messages of serde may quote the response.
    let words = source.to_string();
    let source = match key.redact(&words) {
        redacted if redacted == words => source,
        redacted => serde::de::Error::custom(redacted),
    };
    let body = key.excerpt(&response.body);
    let kind = ErrorKind::Decode(DecodeError { path: truncate(&key.redact(&path)), malformed, body, source });
    let error = Error::new(call.operation.clone(), kind).with(|error| {
        (error.status, error.request_id) = (Some(response.status), request_id(response, key));
        // JSON of another shape is still from the API; a malformed response may be from anything in between.
        error.effect = effect(call, if malformed { Effect::Unknown } else { Effect::Executed });
    });
    with_job(error, call, &response.body, key)
}

/// The error, with the job that the call has started, if what came of a successful response has its id.
pub(crate) fn with_job(error: Error, call: &Call<'_>, body: &[u8], key: &Key) -> Error {
    let job = call.starts.and_then(|job| Some((job.with_id)(key.redact(&json::id(body, job.field)?))));
    match job {
        None => error,
        Some(job) => error.with(|error| (error.effect, error.job) = (Effect::Executed, Some(job))),
    }
}

/// The effect of a request: always `None` for a read.
pub(crate) fn effect(call: &Call<'_>, of_a_write: Effect) -> Effect {
    if call.method == Method::Get { Effect::None } else { of_a_write }
}

/// A field of an error's body; `null` counts as absent.
fn field<'a>(body: &'a Value, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}

/// The rate-limit information of a response.
pub(crate) fn rate_limit_info(response: &HttpResponse) -> RateLimitInfo {
    // Proxies may join the values of two headers.
    let first = |name: &str| response.headers.get(name)?.split(',').next()?.trim().parse::<f64>().ok();
    let number = |name: &str| first(name).filter(|n| (0.0..=f64::from(u32::MAX)).contains(n)).map(|n| n as u32);
    let retry_after = response.headers.get("retry-after").filter(|_| response.status >= 300);
    RateLimitInfo {
        limit: number("x-ratelimit-limit").filter(|limit| *limit > 0),
        remaining: number("x-ratelimit-remaining"),
        throttled: response.status == 429,
        retry_after: retry_after
            .and_then(|value| retry::retry_after(value, response.headers.get("date"), SystemTime::now())),
    }
}

/// Reads the issues. Those of another shape than in the contract are kept as text.
fn issues(value: Option<&Value>) -> Vec<Issue> {
    let as_text = |item: &Value| Issue { message: item.to_string(), ..Issue::default() };
    let read = |item: &Value| Issue::deserialize(item).unwrap_or_else(|_| as_text(item));
    value.and_then(Value::as_array).into_iter().flatten().map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::http::Headers;
    use crate::operations::{GET_AGENT, LAUNCH_AGENT, Operation};

    fn response<const N: usize>(status: u16, headers: [(&'static str, &'static str); N], body: &[u8]) -> HttpResponse {
        HttpResponse { status, headers: Headers::from(headers), unsupported_encoding: None, body: body.to_vec() }
    }

    fn error_of(operation: &Operation, response: &HttpResponse) -> Error {
        error(&Call::of(operation), response, None, &Key::none()).1
    }

    #[test]
    fn the_effect_of_a_failed_write_is_unknown_unless_the_status_rules_it_out() {
        let body = br#"{"error": "no", "code": "odd"}"#;
        for status in [101, 302, 303, 408, 500, 502, 503, 504, 520, 599] {
            assert_eq!(error_of(&LAUNCH_AGENT, &response(status, [], body)).effect(), Effect::Unknown, "{status}");
            assert_eq!(error_of(&GET_AGENT, &response(status, [], body)).effect(), Effect::None, "{status}");
        }
        for status in [100, 300, 301, 304, 307, 400, 401, 404, 409, 413, 422, 429, 501] {
            assert_eq!(error_of(&LAUNCH_AGENT, &response(status, [], body)).effect(), Effect::None, "{status}");
        }
        let not_configured = br#"{"error": "no", "code": "not_configured"}"#;
        for (status, effect) in [(503, Effect::None), (500, Effect::Unknown)] {
            assert_eq!(error_of(&LAUNCH_AGENT, &response(status, [], not_configured)).effect(), effect, "{status}");
        }
    }

    #[test]
    fn an_error_has_the_id_of_its_request_and_the_issues_in_any_form() {
        let body = br#"{"error": "no", "issues": [{"path": ["a"], "message": "Required"}, "loose"]}"#;
        let error = error_of(&LAUNCH_AGENT, &response(400, [("x-request-id", "r-1")], body));
        assert_eq!(error.request_id(), Some("r-1"));
        let messages: Vec<_> = error.issues().iter().map(|issue| issue.message.as_str()).collect();
        assert_eq!(messages, ["Required", "\"loose\""]);
    }

    #[test]
    fn an_encoding_that_is_named_matters_only_if_the_body_is_not_text() {
        let check = |encoding: Option<&str>, body: &[u8]| {
            let unsupported_encoding = encoding.map(str::to_owned);
            let response = HttpResponse { unsupported_encoding, ..response(200, [], body) };
            check_success(&Call::of(&LAUNCH_AGENT), &response, &Key::none())
        };
        check(Some("utf-8"), b"{}").unwrap();
        // The decoder names the place of the byte that is not UTF-8.
        check(None, b"{\"a\": \"\xff\"}").unwrap();
        let error = check(Some("br"), b"{\xff").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::UnexpectedResponse(_)), "{error}");
        assert_eq!((error.effect(), error.status()), (Effect::Unknown, Some(200)));
    }

    #[test]
    fn the_source_of_a_decode_error_is_that_of_serde_unless_it_quotes_the_key() {
        let source = |body: &[u8]| {
            let failure = json::decode::<Vec<u8>>(body).unwrap_err();
            let error =
                decode_error(&Call::of(&GET_AGENT), &response(200, [], body), failure, &Key::new("npk_x").unwrap());
            let source = error.source().and_then(|source| source.downcast_ref::<serde_json::Error>()).unwrap();
            (source.classify(), source.to_string())
        };
        assert_eq!(source(b"[1").0, serde_json::error::Category::Eof);
        let (_, words) = source(b"\"npk_x\"");
        assert!(words.starts_with("invalid type: string") && !words.contains("npk_x"), "{words}");
    }

    #[test]
    fn the_headers_of_a_response_are_read_as_its_rate_limit() {
        let headers = [("x-ratelimit-limit", "30"), ("x-ratelimit-remaining", "7, 9"), ("retry-after", "2")];
        let info = |status| rate_limit_info(&response(status, headers, b""));
        let delay = Some(Duration::from_secs(2));
        let expected = RateLimitInfo { limit: Some(30), remaining: Some(7), throttled: true, retry_after: delay };
        assert_eq!(info(429), expected);
        for status in [300, 503] {
            assert_eq!(info(status), RateLimitInfo { throttled: false, ..expected }, "{status}");
        }
        assert_eq!(info(200), RateLimitInfo { throttled: false, retry_after: None, ..expected });
        // A quota of zero would never allow a request.
        let none = rate_limit_info(&response(200, [("x-ratelimit-limit", "0"), ("x-ratelimit-remaining", "0")], b""));
        assert_eq!((none.limit, none.remaining), (None, Some(0)));
    }
}
