//! The client: what it shares between its clones, and how it reads responses.

mod builder;
mod limiter;
mod send;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::de::{DeserializeOwned, IgnoredAny};

use self::limiter::RateLimiter;
use crate::call::Call;
use crate::endpoint::Key;
use crate::error::Result;
use crate::http::HttpClient;
use crate::job_ref::JobRef;
use crate::json::{self, DecodeFailure};
use crate::operations::Tier;
use crate::response;
use crate::retry::RetryBudget;

pub use self::builder::{
    Builder, DEFAULT_ATTEMPTS, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE, DEFAULT_RATE_WINDOW, DEFAULT_RESPONSE_LIMIT,
    DEFAULT_STALL_TIMEOUT, DEFAULT_UPLOAD_DEADLINE,
};

/// A client of one Nomic instance, with one API key.
///
/// Cheap to clone. Clones share connections, rate limit and retry budget: make one, and give clones to your threads. Making
/// one sends nothing.
///
/// ```
/// let nomic = nomic_client::Nomic::new("acme", "npk_example")?;
/// assert_eq!(format!("{nomic:?}"), r#"Nomic { base_url: "https://acme.nomic.ai/api/v0", .. }"#);
/// # Ok::<(), nomic_client::Error>(())
/// ```
///
/// The docs of a method say which request it sends, which scope that needs, which rate-limit
/// [tier](crate::operations::Tier) it counts in, and how well it is known: `inferred` and `observed` are explained at
/// [`Evidence`](crate::operations::Evidence); without either it is documented.
///
/// # Errors
///
/// Any method that sends a request may return any [`ErrorKind`](crate::ErrorKind) except `Config`. The `# Errors` section of
/// a method lists those particular to it. [`Api`](crate::ErrorKind::Api) comes with the status 401 (the key was rejected),
/// 403 (the key lacks the scope that the error names), 429 (the rate limit) or 5xx (the service has a problem). Transient
/// errors were retried before, where nothing can be executed twice: see [`Builder::attempts`].
#[derive(Clone)]
pub struct Nomic {
    inner: Arc<Inner>,
    /// Replaces the deadlines that it was built with.
    deadline: Option<Duration>,
}

struct Inner {
    base_url: String,
    key: Key,
    http: HttpClient,
    limiters: [RateLimiter; Tier::ALL.len()],
    budget: Mutex<RetryBudget>,
    pacing: bool,
    attempts: u32,
    deadline: Duration,
    upload_deadline: Duration,
    response_limit: u64,
}

/// Unwind-safe: mutex poisoning is ignored, and every guarded value is consistent at each step.
impl std::panic::UnwindSafe for Nomic {}
impl std::panic::RefUnwindSafe for Nomic {}

impl fmt::Debug for Nomic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nomic").field("base_url", &self.inner.base_url).finish_non_exhaustive()
    }
}

impl Nomic {
    /// A client of the instance at `base_url_or_domain`, with the default settings.
    ///
    /// `acme`, `acme.drive`, `acme.nomic.ai`, `https://acme.nomic.ai` and `https://acme.nomic.ai/api/v0/` all name an
    /// instance of the service; the URL of any other host is taken as it is, path included.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the domain is not valid or would send the key unencrypted, or if
    /// the key is empty or contains a character that no key has.
    pub fn new(base_url_or_domain: impl Into<String>, key: impl Into<String>) -> Result<Self> {
        Self::builder(base_url_or_domain, key).build()
    }

    /// A client of the instance that the environment names: `NOMIC_API_KEY`, and `NOMIC_BASE_URL` or `NOMIC_DOMAIN`. If
    /// both are set, the URL is used. A proxy comes from `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY`, unless `NO_PROXY`
    /// names the instance, or it is on this machine.
    ///
    /// With the default features nothing else reads the environment, except [`Builder::proxy_from_env`]. With
    /// `platform-verifier` or `native-tls` on Linux, `SSL_CERT_FILE` and `SSL_CERT_DIR` also choose which certificates
    /// are trusted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) names the variable that is missing or wrong.
    pub fn from_env() -> Result<Self> {
        Builder::from_env()?.build()
    }

    /// A builder for a client with other settings.
    pub fn builder(base_url_or_domain: impl Into<String>, key: impl Into<String>) -> Builder {
        Builder::new(base_url_or_domain.into(), key.into())
    }

    /// This client with another [deadline](Builder::deadline) for each call, uploads included. Connections, rate limit and
    /// retry budget stay shared.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # let nomic = nomic_client::Nomic::from_env()?;
    /// let impatient = nomic.with_deadline(Duration::from_secs(5));
    /// println!("{}", impatient.user("019abc12")?.email);
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    #[must_use = "it is another client; the original stays as it is"]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { inner: Arc::clone(&self.inner), deadline: Some(deadline) }
    }

    /// The base URL of all requests, e.g. `https://acme.nomic.ai/api/v0`.
    pub fn base_url(&self) -> &str {
        &self.inner.base_url
    }

    /// The rate limiter of a tier.
    pub(crate) fn limiter(&self, tier: Tier) -> &RateLimiter {
        &self.inner.limiters[tier as usize]
    }

    /// A text of the server, without the key.
    pub(crate) fn redacted(&self, text: &str) -> String {
        self.inner.key.redact(text)
    }

    /// Sends, and reads the response.
    fn read<T>(&self, call: &Call<'_>, read: impl FnOnce(&[u8]) -> Result<T, DecodeFailure>) -> Result<T> {
        let response = self.send(call)?;
        read(&response.body).map_err(|failure| response::decode_error(call, &response, failure, &self.inner.key))
    }

    /// Sends, and decodes the response.
    pub(crate) fn fetch<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T> {
        self.read(call, json::decode)
    }

    /// As [`fetch`](Self::fetch), for an object that comes bare or inside `data`.
    pub(crate) fn fetch_data<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T> {
        self.read(call, json::decode_data)
    }

    /// As [`fetch`](Self::fetch), where a response without a body reads as `null`.
    pub(crate) fn fetch_or_null<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T> {
        self.read(call, |body| json::decode(if body.trim_ascii().is_empty() { b"null" } else { body }))
    }

    /// Sends a write whose response is inferred. A success is never turned into an error by its shape: the value is `None`
    /// if the response is empty or of another shape. One that is not JSON is not the API's.
    pub(crate) fn acknowledge<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<Option<T>> {
        self.read(call, |body| match body.trim_ascii() {
            b"" => Ok(None),
            body => json::decode::<IgnoredAny>(body).map(|_| json::decode_data(body).ok()),
        })
    }

    /// As [`fetch_data`](Self::fetch_data), for a request that starts a job: if the response cannot be decoded but for the
    /// id in the field `id`, the error has the job all the same.
    pub(crate) fn submit<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        id: &str,
        job: impl Fn(String) -> JobRef,
    ) -> Result<T> {
        let response = self.send(call)?;
        json::decode_data(&response.body).map_err(|failure| {
            let id = json::id(&response.body, id).map(|id| job(self.redacted(&id)));
            response::decode_error(call, &response, failure, &self.inner.key).with(|error| error.job = id)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_shared_between_threads_and_shows_no_key() {
        fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
        let nomic = Nomic::new("http://127.0.0.1:4010", "npk_secret").unwrap();
        shared(&nomic);
        assert_eq!(format!("{nomic:?}"), r#"Nomic { base_url: "http://127.0.0.1:4010", .. }"#);
    }

    #[test]
    fn a_random_number_is_between_zero_and_one_and_changes() {
        let drawn: Vec<_> = (0..100).map(|_| Nomic::random()).collect();
        assert!(drawn.iter().all(|number| (0.0..1.0).contains(number)));
        assert!(drawn.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
