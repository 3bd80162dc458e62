//! Settings of a client, checked before it is built.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::limiter::Limiter;
use super::{Inner, Nomic};
use crate::endpoint::{self, Key};
use crate::error::{Error, Result};
use crate::http::{HttpClient, HttpConfig, ProxyChoice, Timeouts};
use crate::operation_path::{self, OperationPath, OperationPaths};
use crate::rate_limiter::RateLimiter;
use crate::retry::RetryBudget;
use crate::text::truncate;

/// Default time limit for making a connection: 15 seconds. [`Builder::connect_timeout`] changes it.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Default time without any progress in a request or response body: 60 seconds. [`Builder::stall_timeout`] changes it.
pub const DEFAULT_STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Default time limit of a call, including rate-limit waits and retries: 10 minutes. [`Builder::deadline`] changes it.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10 * 60);
/// Default time limit of an upload: 1 hour. [`Builder::upload_deadline`] changes it.
pub const DEFAULT_UPLOAD_DEADLINE: Duration = Duration::from_secs(60 * 60);
/// Default maximum number of attempts for a request: 4. [`Builder::attempts`] changes it.
pub const DEFAULT_ATTEMPTS: u32 = 4;
/// Default size limit of a response, in bytes: 1 GiB. [`Builder::response_limit`] changes it.
pub const DEFAULT_RESPONSE_LIMIT: u64 = 1 << 30;
/// Default window of the rate limit: 60 seconds. [`Builder::rate_window`] changes it.
pub const DEFAULT_RATE_WINDOW: Duration = Duration::from_secs(60);

/// The name and version of this crate in `User-Agent`.
const CLIENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// Settings of a [`Nomic`], created by [`Nomic::builder`].
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
    /// The environment variables with the base URL and the key, for error messages.
    variables: Option<(&'static str, &'static str)>,
    allow_plain_http: bool,
    pacing: bool,
    rate_window: Duration,
    rate_limiter: Option<Arc<dyn RateLimiter>>,
    rate_limiter_fallback: bool,
    attempts: u32,
    deadline: Duration,
    upload_deadline: Duration,
    /// By operation.
    paths: BTreeMap<String, String>,
    http: HttpConfig,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An invalid base URL may be a key or contain a password.
        let base_url = endpoint::base_url(&self.base_url, true).unwrap_or_default();
        f.debug_struct("Builder").field("base_url", &base_url).finish_non_exhaustive()
    }
}

/// Unwind-safe: plain data, and a rate limiter that only the client calls.
impl std::panic::UnwindSafe for Builder {}
impl std::panic::RefUnwindSafe for Builder {}

impl Builder {
    pub(super) fn new(base_url: String, key: String) -> Self {
        Self {
            base_url,
            key,
            variables: None,
            allow_plain_http: false,
            pacing: true,
            rate_window: DEFAULT_RATE_WINDOW,
            rate_limiter: None,
            rate_limiter_fallback: false,
            attempts: DEFAULT_ATTEMPTS,
            deadline: DEFAULT_DEADLINE,
            upload_deadline: DEFAULT_UPLOAD_DEADLINE,
            paths: BTreeMap::new(),
            http: HttpConfig {
                timeouts: Timeouts { connect: DEFAULT_CONNECT_TIMEOUT, response: None, stall: DEFAULT_STALL_TIMEOUT },
                response_limit: DEFAULT_RESPONSE_LIMIT,
                user_agent: CLIENT.to_owned(),
                proxy: ProxyChoice::None,
                roots: None,
            },
        }
    }

    /// A builder with the settings of [`Nomic::from_env`], including a proxy from the environment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) with the variable that is missing.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// let nomic = nomic_client::Builder::from_env()?.deadline(Duration::from_secs(30)).build()?;
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    pub fn from_env() -> Result<Self> {
        let read = |name: &str| match std::env::var(name) {
            Ok(value) if value.is_empty() => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(Error::config(format!("{name} is not valid Unicode"))),
        };
        let missing = |what: &str| Error::config(format!("{what} is not set in the environment"));
        let key =
            read("NOMIC_API_KEY")?.ok_or_else(|| missing("NOMIC_API_KEY (a key made in the Developer Console)"))?;
        let (variable, base_url) = match read("NOMIC_BASE_URL")? {
            Some(url) => ("NOMIC_BASE_URL", Some(url)),
            None => ("NOMIC_DOMAIN", read("NOMIC_DOMAIN")?),
        };
        let base_url = base_url.ok_or_else(|| missing("NOMIC_DOMAIN (e.g. `acme`) or NOMIC_BASE_URL"))?;
        Ok(Self { variables: Some((variable, "NOMIC_API_KEY")), ..Self::new(base_url, key).proxy_from_env() })
    }

    /// The time limit for making a connection: DNS lookup, TCP, the proxy and TLS together. Defaults to 15 seconds
    /// ([`DEFAULT_CONNECT_TIMEOUT`]).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.http.timeouts.connect = timeout;
        self
    }

    /// The time limit for the first byte of a response, from the moment the request is sent. Defaults to none, because a
    /// server may take minutes to store a large upload; the deadline still applies.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.http.timeouts.response = Some(timeout);
        self
    }

    /// The longest time without any progress in a request or response body. A slow body that keeps moving is not
    /// interrupted. Defaults to 60 seconds ([`DEFAULT_STALL_TIMEOUT`]).
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.http.timeouts.stall = timeout;
        self
    }

    /// The time limit of a call, including rate-limit waits, retries and reading the response. Uploads have a
    /// [separate deadline](Self::upload_deadline). Defaults to 10 minutes ([`DEFAULT_DEADLINE`]).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The time limit of an upload, including reading a [file](crate::files::Upload::from_path) from a disk that hangs. It does
    /// not interrupt a [reader](crate::files::Upload::from_reader) that blocks, but that time counts. Defaults to 1 hour
    /// ([`DEFAULT_UPLOAD_DEADLINE`]).
    pub fn upload_deadline(mut self, deadline: Duration) -> Self {
        self.upload_deadline = deadline;
        self
    }

    /// The maximum number of attempts for a request; 1 disables retries. A write is retried only if the server provably
    /// did not execute it. A 429 with a `Retry-After` does not count as an attempt: it is retried until the deadline.
    ///
    /// In addition, all clones of a client share a retry budget, so that retries do not multiply the load during an outage:
    /// 50 retries, plus one for every ten successful calls. Defaults to 4 ([`DEFAULT_ATTEMPTS`]).
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The maximum size of a response, in bytes after decompression. The decoded response may take several times as much
    /// memory: `0` is 32 bytes as a `serde_json::Value`. Defaults to 1 GiB ([`DEFAULT_RESPONSE_LIMIT`]).
    pub fn response_limit(mut self, bytes: u64) -> Self {
        self.http.response_limit = bytes;
        self
    }

    /// The name of your program, e.g. `acme-sync/2.1`. It precedes this crate's name and version in `User-Agent`, which the
    /// audit log shows. Defaults to the crate's name and version alone.
    pub fn user_agent(mut self, program: impl Into<String>) -> Self {
        self.http.user_agent = format!("{} {CLIENT}", program.into());
        self
    }

    /// A proxy, e.g. `http://user:password@proxy.example:3128`; `http` and `https` proxies are used with CONNECT. Special
    /// characters in the user name and the password are percent-encoded: `#` is written as `%23`. A plain
    /// `http://` base URL with a proxy on another machine requires [`allow_plain_http`](Self::allow_plain_http).
    /// Defaults to no proxy; only [`Nomic::from_env`], [`Builder::from_env`] and [`proxy_from_env`](Self::proxy_from_env)
    /// read the environment.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.http.proxy = ProxyChoice::Url(url.into());
        self
    }

    /// Uses the proxy in `HTTPS_PROXY`, `ALL_PROXY` or `HTTP_PROXY`, except for hosts in `NO_PROXY` and for an instance on
    /// this machine.
    ///
    /// The first variable that is set counts, in upper or lower case; a SOCKS proxy is skipped if another variable names
    /// an `http` or `https` one. `HTTP_PROXY` in upper case (on Windows in either case) is ignored where `REQUEST_METHOD` is
    /// set, as in a CGI program. `NO_PROXY` lists domains (`nomic.ai` covers `acme.nomic.ai`), addresses and networks
    /// (`10.0.0.0/8`), each with a port or without, or is `*`.
    pub fn proxy_from_env(mut self) -> Self {
        self.http.proxy = ProxyChoice::Environment;
        self
    }

    /// The root certificates to trust: any number in PEM, or one in DER; no others are trusted. A file that contains anything
    /// else, such as a private key, is an error. Defaults to Mozilla's, or with the feature `platform-verifier` or
    /// `native-tls` to the system's, which on Linux are those in `SSL_CERT_FILE` and `SSL_CERT_DIR` if they are set.
    pub fn root_certificates(mut self, certificates: impl Into<Vec<u8>>) -> Self {
        self.http.roots = Some(certificates.into());
        self
    }

    /// Whether requests wait for the rate limit before they are sent. If `false`, a call that gets a 429 with a
    /// `Retry-After` still waits and is sent again. Defaults to `true`.
    pub fn pacing(mut self, pacing: bool) -> Self {
        self.pacing = pacing;
        self
    }

    /// The window in which the service counts requests. Change it only for an instance with another window, or for an
    /// emulator with accelerated rate limits. Defaults to 60 seconds ([`DEFAULT_RATE_WINDOW`]).
    pub fn rate_window(mut self, window: Duration) -> Self {
        self.rate_window = window;
        self
    }

    /// The rate limiter: one that several processes share, say, or an [`Arc`] of one that several clients share. See
    /// [`rate_limiter`](crate::rate_limiter). It is not used without [`pacing`](Self::pacing). Defaults to
    /// [`TokenBuckets`](crate::rate_limiter::TokenBuckets) of this client.
    pub fn rate_limiter(mut self, limiter: impl RateLimiter + 'static) -> Self {
        self.rate_limiter = Some(Arc::new(limiter));
        self
    }

    /// Whether the client uses token buckets of its own for a request if its [`rate_limiter`](Self::rate_limiter) fails. If
    /// `false`, the call fails with [`ErrorKind::RateLimiter`](crate::ErrorKind::RateLimiter). Defaults to `false`.
    pub fn rate_limiter_fallback(mut self, fallback: bool) -> Self {
        self.rate_limiter_fallback = fallback;
        self
    }

    /// Allows `http://` to another machine, or through a [`proxy`](Self::proxy) on another machine. The key is then sent
    /// unencrypted. Loopback addresses are always allowed. Defaults to `false`.
    pub fn allow_plain_http(mut self, allow: bool) -> Self {
        self.allow_plain_http = allow;
        self
    }

    /// The path of an operation, for an instance that serves it elsewhere. Nothing else about the operation changes. Defaults
    /// to the path in [`operations`](crate::operations).
    ///
    /// Use it if an operation answers 404 although its object exists: the paths of operations that are
    /// [inferred](crate::operations::Evidence::Inferred) are guesses. The example `contract_check`, with `--write`,
    /// looks for the right path, and prints the line to add.
    ///
    /// The path begins with `/`, is relative to the base URL, and has the placeholders of the operation's own path, each as a
    /// whole segment. It is sent as it is written, so other characters than those of a URL have to be percent-encoded. If
    /// called again for the same operation, the last path is used. A [`Request`](crate::Request) keeps the path that it is
    /// given.
    ///
    /// ```
    /// let nomic = nomic_client::Nomic::builder("acme", "npk_example").operation_path("get_parse", "/tasks/{taskId}").build()?;
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    pub fn operation_path(mut self, operation: impl Into<String>, path: impl Into<String>) -> Self {
        self.paths.insert(operation.into(), path.into());
        self
    }

    /// Checks the settings and creates the client. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) with the invalid setting, and the environment variable it came from
    /// if there is one. The error never contains the key.
    pub fn build(self) -> Result<Nomic> {
        let (url_variable, key_variable) = self.variables.unzip();
        let in_variable = |variable: Option<&str>, reason: String| match variable {
            Some(variable) => Error::config(truncate(&format!("{variable}: {reason}"))),
            None => Error::config(truncate(&reason)),
        };
        let key = Key::new(&self.key).map_err(|reason| in_variable(key_variable, reason))?;
        let base_url = endpoint::base_url(&self.base_url, self.allow_plain_http)
            .map_err(|reason| in_variable(url_variable, reason))?;
        let paths: Result<OperationPaths> = self.paths.iter().map(|(name, path)| parse_path(name, path)).collect();
        let paths = paths?;
        let mut settings = self.http;
        for (name, time) in [
            ("connect_timeout", settings.timeouts.connect),
            ("response_timeout", settings.timeouts.response.unwrap_or(Duration::MAX)),
            ("stall_timeout", settings.timeouts.stall),
            ("deadline", self.deadline),
            ("upload_deadline", self.upload_deadline),
            ("rate_window", self.rate_window),
        ] {
            if time.is_zero() {
                return Err(Error::config(format!("{name} is zero; nothing would ever be sent")));
            }
        }
        if self.attempts == 0 {
            return Err(Error::config("attempts is zero; nothing would ever be sent"));
        }
        if settings.user_agent.chars().any(|c| !(c == ' ' || c.is_ascii_graphic())) {
            return Err(Error::config("the user agent contains a character that a header must not contain"));
        }
        if matches!(settings.proxy, ProxyChoice::Environment) && endpoint::is_on_this_machine(&base_url) {
            // A company's proxy leads to the internet, not back to this machine.
            settings.proxy = ProxyChoice::None;
        }
        let http = HttpClient::new(&base_url, &settings).map_err(|reason| Error::config(truncate(&reason)))?;
        // Plain http is safe on this machine, but not if another machine relays it.
        let proxy = http.proxy().filter(|_| !self.allow_plain_http && base_url.starts_with("http://"));
        if let Some(proxy) = proxy.filter(|proxy| !endpoint::is_on_this_machine(&proxy.to_ascii_lowercase())) {
            return Err(Error::config(truncate(&format!(
                "plain http would send the key unencrypted to the proxy {proxy}; \
                 use https, no proxy, or Builder::allow_plain_http"
            ))));
        }
        Ok(Nomic {
            deadline: None,
            inner: Arc::new(Inner {
                base_url,
                key,
                paths,
                http,
                limiter: Limiter::new(self.rate_window, self.rate_limiter, self.rate_limiter_fallback),
                budget: Mutex::new(RetryBudget::new()),
                pacing: self.pacing,
                attempts: self.attempts,
                deadline: self.deadline,
                upload_deadline: self.upload_deadline,
                response_limit: settings.response_limit,
            }),
        })
    }
}

/// The operation of this name, and its path.
fn parse_path(name: &str, path: &str) -> Result<(&'static str, OperationPath)> {
    let operation = operation_path::find(&truncate(name));
    let operation = operation.map_err(|reason| Error::config(format!("operation_path: {reason}")))?;
    let path = OperationPath::parse(operation, path)
        .map_err(|reason| Error::config(truncate(&format!("operation_path of {name}: {reason}"))))?;
    Ok((operation.name, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A base URL that works with every set of features.
    const LOCAL: &str = "http://127.0.0.1:4010/api/v0";

    #[test]
    fn a_builder_shows_no_secret() {
        let builder = Nomic::builder(LOCAL, "npk_secret").proxy("http://me:pass@127.0.0.1:1");
        assert!(!format!("{builder:?}").contains("npk_"), "{builder:?}");
        assert!(!format!("{builder:?}").contains("pass"), "{builder:?}");
        assert_eq!(format!("{:?}", builder.build().unwrap()), format!("Nomic {{ base_url: {LOCAL:?}, .. }}"));
    }

    #[test]
    fn wrong_settings_are_refused_with_a_reason() {
        let error = |builder: Builder| builder.build().unwrap_err().to_string();
        let builder = || Nomic::builder(LOCAL, "npk_secret");
        assert!(error(builder().user_agent("a\nb")).contains("user agent"));
        assert_eq!(builder().user_agent("sync/2.1").http.user_agent, format!("sync/2.1 {CLIENT}"));
        assert!(error(builder().root_certificates("no pem")).contains("certificate"));
        assert!(error(builder().proxy("socks5://127.0.0.1:1")).contains("socks5"));
        assert!(error(builder().proxy("")).contains("proxy"));
        assert!(error(Nomic::builder(LOCAL, "npk_secret\n")).contains("line break"));
        assert!(error(builder().response_timeout(Duration::ZERO)).contains("response_timeout"));
    }

    #[test]
    fn the_path_of_an_operation_is_checked_and_the_last_one_is_used() {
        let builder = || Nomic::builder(LOCAL, "npk_secret").operation_path("get_parse", "/tasks");
        let error = builder().build().unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot build the client: operation_path of get_parse: the path must have {taskId} as a whole segment, \
             exactly once"
        );
        let unknown = builder().operation_path("get_pars", "/tasks/{taskId}").build().unwrap_err().to_string();
        assert!(unknown.contains("there is no operation \"get_pars\"; see nomic_client::operations"), "{unknown}");
        builder().operation_path("get_parse", "/tasks/{taskId}").build().unwrap();
    }

    #[test]
    fn a_variable_is_named_and_its_setting_can_still_be_changed() {
        let from_env = |url: &str| Builder {
            variables: Some(("NOMIC_BASE_URL", "NOMIC_API_KEY")),
            ..Nomic::builder(url, "npk_secret")
        };
        let error = from_env("http://10.0.0.7").build().unwrap_err().to_string();
        assert!(error.contains("NOMIC_BASE_URL: plain http") && error.contains("allow_plain_http"), "{error}");
        from_env("http://10.0.0.7").allow_plain_http(true).build().unwrap();
        let error = Builder { key: "a b".into(), ..from_env(LOCAL) }.build().unwrap_err().to_string();
        assert!(error.contains("NOMIC_API_KEY: the API key contains white space"), "{error}");
    }

    #[test]
    fn a_proxy_on_another_machine_gets_no_unencrypted_key_unless_that_is_allowed() {
        let build = |base: &str, proxy: &str, allow| {
            Nomic::builder(base, "npk_secret").proxy(proxy).allow_plain_http(allow).build()
        };
        for base in [LOCAL, "http://localhost:4010", "localhost", "http://[::1]:4010"] {
            for proxy in
                ["http://me:pass@proxy.example:3128", "proxy.example:3128", "http://10.0.0.7", "http://[fe80::1]"]
            {
                let text = build(base, proxy, false).unwrap_err().to_string();
                assert!(text.contains("unencrypted to the proxy") && text.contains("allow_plain_http"), "{text}");
                assert!(!text.contains("pass") && !text.contains("npk_"), "{text}");
                build(base, proxy, true).unwrap();
            }
            for proxy in ["http://127.0.0.1:3128", "http://me:pass@LOCALHOST:3128", "http://[::1]:3128"] {
                build(base, proxy, false).unwrap();
            }
        }
    }

    #[test]
    #[cfg_attr(not(any(feature = "rustls", feature = "native-tls")), ignore = "needs TLS")]
    fn an_encrypted_key_may_pass_any_proxy() {
        Nomic::builder("acme", "npk_secret").proxy("http://proxy.example:3128").build().unwrap();
        // TLS to the proxy ends there.
        let builder = Nomic::builder(LOCAL, "npk_secret").proxy("https://proxy.example:3128");
        assert!(builder.build().unwrap_err().to_string().contains("unencrypted"));
    }
}
