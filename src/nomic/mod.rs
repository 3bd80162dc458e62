//! The client: the state that its clones share, and how it reads responses.

mod builder;
mod limiter;
mod send;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::de::{DeserializeOwned, IgnoredAny};

use self::limiter::Limiter;
use crate::call::Call;
use crate::endpoint::Key;
use crate::error::Result;
use crate::http::HttpClient;
use crate::json::{self, DecodeFailure};
use crate::operation_path::OperationPaths;
use crate::operations::Tier;
use crate::rate_limit::FAR_FUTURE;
use crate::response;
use crate::retry::RetryBudget;

pub use self::builder::{
    Builder, DEFAULT_ATTEMPTS, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE, DEFAULT_RATE_WINDOW, DEFAULT_RESPONSE_LIMIT,
    DEFAULT_STALL_TIMEOUT, DEFAULT_UPLOAD_DEADLINE,
};

/// A client for one Nomic instance, with one API key.
///
/// Clones are cheap and share connections, rate limits and retry budget: create one client, and give clones to your threads.
/// Creating a client sends nothing.
///
/// ```
/// let nomic = nomic_client::Nomic::new("acme", "npk_example")?;
/// assert_eq!(format!("{nomic:?}"), r#"Nomic { base_url: "https://acme.nomic.ai/api/v0", .. }"#);
/// # Ok::<(), nomic_client::Error>(())
/// ```
///
/// The docs of each method show its request, the scope it needs, its rate-limit [tier](crate::operations::Tier), and whether
/// the operation is `inferred` or `observed` rather than documented (see [`Evidence`](crate::operations::Evidence)).
///
/// # Forked processes
///
/// After a `fork`, parent and child can both use the client: each makes its own connections and counts its own requests
/// against the rate limit. Fork only while no other thread uses the client, or the child may wait forever for a lock that
/// such a thread held.
///
/// # Errors
///
/// A method that sends a request may return any [`ErrorKind`](crate::ErrorKind) except `Config`; its `# Errors` section lists
/// those that are specific to it. [`Api`](crate::ErrorKind::Api) may have the status 401 (the key was rejected), 403 (the
/// key lacks the scope that the error names), 429 (the rate limit) or 5xx (a problem of the service). Transient errors are
/// retried first, unless that could execute a write twice: see [`Builder::attempts`].
#[derive(Clone)]
pub struct Nomic {
    inner: Arc<Inner>,
    /// Overrides both deadlines of the builder.
    deadline: Option<Duration>,
}

struct Inner {
    base_url: String,
    key: Key,
    paths: OperationPaths,
    http: HttpClient,
    limiter: Limiter,
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
    /// Creates a client for the instance at `base_url_or_domain`, with the default settings.
    ///
    /// `acme`, `acme.drive`, `acme.nomic.ai`, `https://acme.nomic.ai` and `https://acme.nomic.ai/api/v0/` all name an
    /// instance of the service. The URL of any other host is used as it is, including its path.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the domain is invalid or would send the key unencrypted, or if the
    /// key is empty or contains an invalid character.
    pub fn new(base_url_or_domain: impl Into<String>, key: impl Into<String>) -> Result<Self> {
        Self::builder(base_url_or_domain, key).build()
    }

    /// Creates a client from the environment: `NOMIC_API_KEY`, and `NOMIC_BASE_URL` or `NOMIC_DOMAIN`. If both are set, the
    /// URL is used. A proxy is used as with [`Builder::proxy_from_env`].
    ///
    /// With the default features, only this function, [`Builder::from_env`] and [`Builder::proxy_from_env`] read the
    /// environment. With `platform-verifier` or `native-tls` on Linux, `SSL_CERT_FILE` and `SSL_CERT_DIR` also determine
    /// which certificates are trusted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) with the variable that is missing or invalid.
    pub fn from_env() -> Result<Self> {
        Builder::from_env()?.build()
    }

    /// Creates a builder, to set timeouts, a proxy and other options.
    pub fn builder(base_url_or_domain: impl Into<String>, key: impl Into<String>) -> Builder {
        Builder::new(base_url_or_domain.into(), key.into())
    }

    /// Returns a client with another [deadline](Builder::deadline) for each call, including uploads. It shares connections,
    /// rate limits and retry budget with this one.
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

    /// The time limit of an upload.
    pub(crate) fn upload_limit(&self) -> Duration {
        self.deadline.unwrap_or(self.inner.upload_deadline).min(FAR_FUTURE)
    }

    /// The time between two requests of a tier at the sustained rate.
    pub(crate) fn rate_interval(&self, tier: Tier) -> Duration {
        self.inner.limiter.interval(tier)
    }

    /// A text from the server, with the key redacted.
    pub(crate) fn redacted(&self, text: &str) -> String {
        self.inner.key.redact(text)
    }

    /// Sends the call and reads the response.
    pub(crate) fn read<T>(&self, call: &Call<'_>, read: impl FnOnce(&[u8]) -> Result<T, DecodeFailure>) -> Result<T> {
        let response = self.send(call)?;
        read(&response.body).map_err(|failure| response::decode_error(call, &response, failure, &self.inner.key))
    }

    /// Sends the call and decodes the response.
    pub(crate) fn fetch<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T> {
        self.read(call, json::decode)
    }

    /// Like [`fetch`](Self::fetch), for an object that may be inside `data`.
    pub(crate) fn fetch_data<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T> {
        self.read(call, json::decode_data)
    }

    /// Like [`fetch`](Self::fetch), with an empty response read as `null`.
    pub(crate) fn fetch_or_null<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T> {
        self.read(call, |body| json::decode(if body.trim_ascii().is_empty() { b"null" } else { body }))
    }

    /// Sends a write whose response is inferred. If the response is empty, or JSON of another shape, the value is `None`
    /// rather than an error, because the write was executed. A response that is not JSON is an error: it is not the API's.
    pub(crate) fn acknowledge<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<Option<T>> {
        self.read(call, |body| match body.trim_ascii() {
            b"" => Ok(None),
            body => json::decode::<IgnoredAny>(body).map(|_| json::decode_data(body).ok()),
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
