//! The client itself: what it is set up with, and how answers are read.

mod door;
mod gate;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_core::de::DeserializeOwned;

use self::gate::Gate;
use crate::acknowledged::Acknowledged;
use crate::base::{self, Key};
use crate::call::Call;
use crate::error::{Error, JobRef, Result, shortened};
use crate::json::pieces::{self, Pieces, Trouble};
use crate::json::{self, Mismatch};
use crate::operations::Tier;
use crate::retry::Budget;
use crate::wire::{ProxyChoice, Settings, Wire};

/// 15 seconds: what each half of making a connection (the name's look-up; TCP and TLS) may take, unless
/// [`Builder::connect_timeout`] says otherwise.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// 60 seconds: the longest time in which nothing moves, unless [`Builder::stall_timeout`] says otherwise.
pub const DEFAULT_STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// 10 minutes: the most that a call may take, waiting and repetitions included, unless [`Builder::deadline`] says
/// otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10 * 60);
/// 1 hour: the most that an upload may take, unless [`Builder::upload_deadline`] says otherwise.
pub const DEFAULT_UPLOAD_DEADLINE: Duration = Duration::from_secs(60 * 60);
/// 4: how often a request is sent at the most, unless [`Builder::attempts`] says otherwise.
pub const DEFAULT_ATTEMPTS: u32 = 4;
/// 1 GiB: the largest answer that is read, in bytes, unless [`Builder::response_limit`] says otherwise.
pub const DEFAULT_RESPONSE_LIMIT: u64 = 1 << 30;
/// 60 seconds: the window in which the service counts requests, unless [`Builder::rate_window`] says otherwise.
pub const DEFAULT_RATE_WINDOW: Duration = Duration::from_secs(60);

/// How this crate calls itself.
const CLIENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// The client of one Nomic instance, with one key.
///
/// Cheap to clone; clones share connections and pace, so a program makes one and gives clones to its threads. Making one
/// sends nothing.
///
/// ```
/// let nomic = nomic_client::Nomic::new("acme", "npk_example")?;
/// assert_eq!(format!("{nomic:?}"), r#"Nomic { base_url: "https://acme.nomic.ai/api/v0", .. }"#);
/// # Ok::<(), nomic_client::Error>(())
/// ```
///
/// # Methods
///
/// | for | methods |
/// | --- | --- |
/// | making a client | [`new`](Self::new), [`from_env`](Self::from_env), [`builder`](Self::builder), [`with_deadline`](Self::with_deadline); [`base_url`](Self::base_url) |
/// | [files](crate::files) | [`upload_file`](Self::upload_file), [`upload`](Self::upload), [`search_files`](Self::search_files) |
/// | [parsing](crate::parse), [extraction](crate::extract) | [`parse`](Self::parse), [`extract`](Self::extract); by a stored id [`parse_job`](Self::parse_job), [`extract_job`](Self::extract_job) |
/// | [jobs](crate::job) | [`wait`](Self::wait), [`wait_with`](Self::wait_with), [`poll`](Self::poll), [`polls`](Self::polls); of many at once [`wait_all`](Self::wait_all), [`wait_all_with`](Self::wait_all_with) |
/// | [agents](crate::agents) | [`launch_agent`](Self::launch_agent), [`follow_up_agent`](Self::follow_up_agent), [`stop_agent`](Self::stop_agent), [`delete_agent`](Self::delete_agent), [`agent`](Self::agent), [`agents`](Self::agents), [`conversation`](Self::conversation), [`artifacts`](Self::artifacts), [`artifact`](Self::artifact) |
/// | what agents take | [`workflows`](Self::workflows), [`projects`](Self::projects) |
/// | [building codes](crate::codes) | [`search_codes`](Self::search_codes) |
/// | administration | [`users`](Self::users), [`user`](Self::user), [`disable_user`](Self::disable_user), [`enable_user`](Self::enable_user), [`api_keys`](Self::api_keys), [`revoke_api_key`](Self::revoke_api_key), [`audit_logs`](Self::audit_logs), [`user_analytics`](Self::user_analytics) |
/// | anything else | [`call`](Self::call), [`list`](Self::list) |
///
/// The docs of a method say which request it sends, which scope that needs, which rate-limit
/// [tier](crate::operations::Tier) it draws on, and how well it is known: `inferred` and `observed` are explained at
/// [`Evidence`](crate::operations::Evidence); no evidence tag means documented.
///
/// # Errors
///
/// Any method that sends something may give these. The `# Errors` section of a method lists what is particular to it.
///
/// - [`Error::Refused`]: an id is empty, or holds what no id holds; nothing was sent.
/// - [`Error::Transport`]: no answer came; the connection could not be made, broke or stalled.
/// - [`Error::Deadline`]: the [deadline](Builder::deadline) passed, or the rate limit stays closed beyond it.
/// - [`Error::Foreign`]: the answer is not the API's, e.g. a proxy's page or a redirect.
/// - [`Error::Decode`]: the API answered with success, but the answer is not whole, or of another shape.
/// - [`Error::TooLarge`]: the answer is larger than [`Builder::response_limit`].
/// - [`Error::Api`] with the status 401 (the key was not accepted), 403 (the key lacks the scope that the error names),
///   429 (the rate limit), or 5xx (the service is in trouble).
///
/// What time may mend was tried again before, where nothing can be done twice: see [`Builder::attempts`].
///
/// # Log records
///
/// They go to the target `nomic_client` of the crate `log`: at debug level one for each request that was sent, with its
/// operation, status and times; at warn level trouble that does not end the wait for a job. None holds the key.
#[derive(Clone)]
pub struct Nomic {
    inner: Arc<Inner>,
    /// Instead of the deadlines that it was built with.
    deadline: Option<Duration>,
}

struct Inner {
    base_url: String,
    key: Key,
    wire: Wire,
    gates: [Gate; Tier::EACH.len()],
    budget: Mutex<Budget>,
    pacing: bool,
    attempts: u32,
    deadline: Duration,
    upload_deadline: Duration,
    response_limit: u64,
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
        // What is no base URL may be a key or hold a password.
        let base_url = base::base_url(&self.base_url, true).unwrap_or_default();
        f.debug_struct("Builder").field("base_url", &base_url).field("wire", &self.wire).finish_non_exhaustive()
    }
}

impl Builder {
    /// The settings of [`Nomic::from_env`], to be changed before [`build`](Self::build): the same variables, and a proxy
    /// from the environment.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] says which variable is missing or wrong.
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
            Err(std::env::VarError::NotUnicode(_)) => Err(Error::Config(format!("{name} is not text"))),
        };
        let (place, base_url) = match read("NOMIC_BASE_URL")? {
            Some(url) => ("NOMIC_BASE_URL", Some(url)),
            None => ("NOMIC_DOMAIN", read("NOMIC_DOMAIN")?),
        };
        let missing = |what: &str| Error::Config(format!("{what} is not set in the environment"));
        let key =
            read("NOMIC_API_KEY")?.ok_or_else(|| missing("NOMIC_API_KEY (a key made in the Developer Console)"))?;
        let base_url = base_url.ok_or_else(|| missing("NOMIC_DOMAIN (as `acme`) or NOMIC_BASE_URL"))?;
        // Checked here first, where it is known which variable is to blame.
        base::base_url(&base_url, false).map_err(|reason| Error::Config(format!("{place}: {reason}")))?;
        Key::new(&key).map_err(|reason| Error::Config(format!("NOMIC_API_KEY: {reason}")))?;
        Ok(Nomic::builder(base_url, key).proxy_from_env())
    }

    /// The time for making a connection: the look-up of the name, and TCP with TLS, may take so long each. Defaults to
    /// 15 seconds ([`DEFAULT_CONNECT_TIMEOUT`]).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.wire.connect_timeout = timeout;
        self
    }

    /// The longest time in which nothing at all moves on a connection (accurate to 0.2 s). A slow answer that keeps
    /// coming is not cut by it. Defaults to 60 seconds ([`DEFAULT_STALL_TIMEOUT`]).
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.wire.stall_timeout = timeout;
        self
    }

    /// The time for one call in all: waiting for the rate limit, repetitions and reading the answer. Uploads have
    /// [their own](Self::upload_deadline). Defaults to 10 minutes ([`DEFAULT_DEADLINE`]).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The time for one upload in all. It does not bound a [reader of your own](crate::files::Upload::from_reader) that
    /// blocks. Defaults to 1 hour ([`DEFAULT_UPLOAD_DEADLINE`]).
    pub fn upload_deadline(mut self, deadline: Duration) -> Self {
        self.upload_deadline = deadline;
        self
    }

    /// How often a request is sent at the most; 1 for never again, whatever happens. What acts is repeated only where
    /// the server provably did not act, however large the number. A 429 that says how long to wait is not counted: it
    /// is waited out as long as the deadline allows. All clones of a client share a budget of repetitions besides, so
    /// that an outage is not multiplied: 50 at most, and one more for every ten calls that succeed. Defaults to 4
    /// ([`DEFAULT_ATTEMPTS`]).
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The largest answer that is read, in bytes after unpacking. Defaults to 1 GiB ([`DEFAULT_RESPONSE_LIMIT`]). What it
    /// is read into may take several times that: a `serde_json::Value` of `0` takes 32 bytes.
    pub fn response_limit(mut self, bytes: u64) -> Self {
        self.wire.response_limit = bytes;
        self
    }

    /// Your program, e.g. `acme-sync/2.1`, in `User-Agent` (and so in the audit log) before this crate's name and version.
    /// Defaults to those alone.
    pub fn user_agent(mut self, program: impl Into<String>) -> Self {
        self.wire.user_agent = format!("{} {CLIENT}", program.into());
        self
    }

    /// A proxy, e.g. `http://user:password@proxy.example:3128`; `http` and `https` proxies are spoken to with CONNECT.
    /// A plain `http://` base URL goes through one on another machine only if
    /// [`allow_plain_http`](Self::allow_plain_http) says so. Defaults to none: only [`Nomic::from_env`] and
    /// [`proxy_from_env`](Self::proxy_from_env) take one from the environment.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.wire.proxy = ProxyChoice::Url(url.into());
        self
    }

    /// The proxy that `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY` names, except for hosts in `NO_PROXY` and for an instance
    /// on this machine.
    pub fn proxy_from_env(mut self) -> Self {
        self.wire.proxy = ProxyChoice::Environment;
        self
    }

    /// No proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.wire.proxy = ProxyChoice::None;
        self
    }

    /// The root certificates to trust, in PEM, and no others: a company's own, say. Defaults to Mozilla's; with the
    /// feature `platform-verifier` or `native-tls` to those of the system, which on Linux `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` choose if they are set.
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
    /// another speed. Defaults to 60 seconds ([`DEFAULT_RATE_WINDOW`]).
    pub fn rate_window(mut self, window: Duration) -> Self {
        self.rate_window = window;
        self
    }

    /// Allows `http://` to another machine, or through a [`proxy`](Self::proxy) on another machine. The key then travels
    /// in clear. Loopback needs no permission. Defaults to `false`.
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
        let key = Key::new(&self.key).map_err(Error::Config)?;
        let base_url = base::base_url(&self.base_url, self.allow_plain_http)
            .map_err(|reason| Error::Config(shortened(&reason)))?;
        for (name, time) in [
            ("connect_timeout", self.wire.connect_timeout),
            ("stall_timeout", self.wire.stall_timeout),
            ("deadline", self.deadline),
            ("upload_deadline", self.upload_deadline),
            ("rate_window", self.rate_window),
        ] {
            if time.is_zero() {
                return Err(Error::Config(format!("{name} is zero; nothing could ever be sent")));
            }
        }
        if self.wire.user_agent.chars().any(|c| !(c == ' ' || c.is_ascii_graphic())) {
            return Err(Error::Config("the user agent holds a character that no header may hold".to_owned()));
        }
        if self.attempts == 0 {
            return Err(Error::Config("attempts is zero; nothing could ever be sent".to_owned()));
        }
        let mut settings = self.wire;
        if matches!(settings.proxy, ProxyChoice::Environment) && base::leads_to_this_machine(&base_url) {
            // A company's proxy leads to the world, not to this machine.
            settings.proxy = ProxyChoice::None;
        }
        let wire = Wire::new(&base_url, &settings).map_err(|reason| Error::Config(shortened(&reason)))?;
        // What is safe on this machine is so no more where another one carries it.
        let proxy = wire.via().filter(|_| !self.allow_plain_http && base_url.starts_with("http://"));
        if let Some(proxy) = proxy.filter(|proxy| !base::leads_to_this_machine(&proxy.to_ascii_lowercase())) {
            return Err(Error::Config(shortened(&format!(
                "plain http would send the key in clear to the proxy {proxy}; \
                 use https, no proxy, or Builder::allow_plain_http"
            ))));
        }
        Ok(Nomic {
            deadline: None,
            inner: Arc::new(Inner {
                base_url,
                key,
                wire,
                gates: Tier::EACH.map(|tier| Gate::new(tier, self.rate_window)),
                budget: Mutex::new(Budget::new()),
                pacing: self.pacing,
                attempts: self.attempts,
                deadline: self.deadline,
                upload_deadline: self.upload_deadline,
                response_limit: settings.response_limit,
            }),
        })
    }
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

    /// A client of the instance that the environment names: `NOMIC_API_KEY`, and `NOMIC_BASE_URL` or `NOMIC_DOMAIN`. If
    /// both are set, the URL counts. A proxy is taken from `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY`, unless `NO_PROXY`
    /// names the instance, or it is on this machine.
    ///
    /// With the default features nothing else uses the environment, except [`Builder::proxy_from_env`]. With
    /// `platform-verifier` or `native-tls` on Linux, `SSL_CERT_FILE` and `SSL_CERT_DIR` also choose which certificates
    /// are trusted.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] says which variable is missing or wrong.
    pub fn from_env() -> Result<Self> {
        Builder::from_env()?.build()
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
                user_agent: CLIENT.to_owned(),
                proxy: ProxyChoice::None,
                roots: None,
            },
        }
    }

    /// This client with another [deadline](Builder::deadline) for each call, uploads too: for the few calls of a program
    /// that must not take long, or may. Connections, pace and budget stay shared.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # let nomic = nomic_client::Nomic::from_env()?;
    /// let hurried = nomic.with_deadline(Duration::from_secs(5));
    /// println!("{:?}", hurried.user(&"019abc12".into())?.user.email);
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    #[must_use = "it is another client; the one that it was made from stays as it is"]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { inner: Arc::clone(&self.inner), deadline: Some(deadline) }
    }

    /// The base URL that all calls go to, e.g. `https://acme.nomic.ai/api/v0`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.inner.base_url
    }

    /// Sends, and reads the answer's body as JSON.
    pub(crate) fn fetch<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T> {
        let answer = self.send(call)?;
        json::decode(&answer.body).map_err(|mismatch| self.undecodable(call, &answer, mismatch))
    }

    /// As [`fetch`](Self::fetch), for an object that comes bare or inside `{data}`.
    pub(crate) fn fetch_data<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T> {
        let answer = self.send(call)?;
        json::decode_data(&answer.body).map_err(|mismatch| self.undecodable(call, &answer, mismatch))
    }

    /// As [`fetch`](Self::fetch), for an answer that may be large: it is decoded while it comes.
    pub(crate) fn fetch_in_pieces<T>(
        &self,
        call: &Call<'_>,
        take: impl Fn(&mut Pieces<'_>) -> Result<T, Trouble>,
    ) -> Result<T> {
        let mut value = Err(Mismatch::at("$", "there is no body"));
        let answer = self.send_for(call, &mut |body, announced| {
            let kept;
            (value, kept) = pieces::read(body, announced, pieces::WINDOW, &take)?;
            Ok(kept)
        })?;
        value.map_err(|mismatch| self.undecodable(call, &answer, mismatch))
    }

    /// As [`fetch`](Self::fetch), where an answer without a body reads as `null`.
    pub(crate) fn fetch_or_null<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T> {
        let mut answer = self.send(call)?;
        if answer.body.iter().all(u8::is_ascii_whitespace) {
            answer.body = b"null".to_vec();
        }
        json::decode(&answer.body).map_err(|mismatch| self.undecodable(call, &answer, mismatch))
    }

    /// As [`fetch_data`](Self::fetch_data), for what begins a job: if the answer cannot be read, but for the id in the field
    /// `id`, the error tells the job all the same.
    pub(crate) fn submit<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        id: &str,
        job: impl Fn(String) -> JobRef,
    ) -> Result<T> {
        let answer = self.send(call)?;
        json::decode_data(&answer.body).map_err(|mismatch| {
            let mut error = self.undecodable(call, &answer, mismatch);
            if let Error::Decode(inside) = &mut error {
                inside.job = json::id(&answer.body, id).map(|id| job(self.redacted(id)));
            }
            error
        })
    }

    /// Sends what acts, where the answer's shape is a guess.
    pub(crate) fn acknowledge<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<Acknowledged<T>> {
        let answer = self.send(call)?;
        Acknowledged::read(&answer.body).map_err(|mismatch| self.undecodable(call, &answer, mismatch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every set of features can talk to.
    const HERE: &str = "http://127.0.0.1:4010/api/v0";

    #[test]
    fn a_client_is_shared_between_threads_and_shows_no_key() {
        fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
        let builder = Nomic::builder(HERE, "npk_secret").proxy("http://me:pass@127.0.0.1:1");
        assert!(!format!("{builder:?}").contains("npk_"), "{builder:?}");
        assert!(!format!("{builder:?}").contains("pass"), "{builder:?}");
        let nomic = builder.build().unwrap();
        shared(&nomic);
        assert_eq!(format!("{nomic:?}"), format!("Nomic {{ base_url: {HERE:?}, .. }}"));
    }

    #[test]
    fn wrong_settings_are_refused_with_a_reason() {
        let error = |builder: Builder| builder.build().unwrap_err().to_string();
        let builder = || Nomic::builder(HERE, "npk_secret");
        assert!(error(builder().user_agent("a\nb")).contains("user agent"));
        assert_eq!(builder().user_agent("sync/2.1").wire.user_agent, format!("sync/2.1 {CLIENT}"));
        assert!(error(builder().root_certificates("no pem")).contains("certificate"));
        assert!(error(builder().proxy("socks5://127.0.0.1:1")).contains("socks5"));
        assert!(error(builder().proxy("")).contains("proxy"));
        assert!(error(Nomic::builder(HERE, "npk_secret\n")).contains("line break"));
    }

    #[test]
    fn a_proxy_on_another_machine_gets_no_key_in_clear_unless_that_is_allowed() {
        let build = |base: &str, proxy: &str, allow| {
            Nomic::builder(base, "npk_secret").proxy(proxy).allow_plain_http(allow).build()
        };
        for base in [HERE, "http://localhost:4010", "localhost", "http://[::1]:4010"] {
            for proxy in
                ["http://me:pass@proxy.example:3128", "proxy.example:3128", "http://10.0.0.7", "http://[fe80::1]"]
            {
                let text = build(base, proxy, false).unwrap_err().to_string();
                assert!(text.contains("in clear to the proxy") && text.contains("allow_plain_http"), "{text}");
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
    fn where_the_key_is_packed_for_its_server_any_proxy_may_carry_it() {
        Nomic::builder("acme", "npk_secret").proxy("http://proxy.example:3128").build().unwrap();
        // TLS to the proxy ends there.
        let builder = Nomic::builder(HERE, "npk_secret").proxy("https://proxy.example:3128");
        assert!(builder.build().unwrap_err().to_string().contains("in clear"));
    }

    #[test]
    fn chance_is_a_number_between_zero_and_one_that_changes() {
        let drawn: Vec<_> = (0..100).map(|_| Nomic::chance()).collect();
        assert!(drawn.iter().all(|number| (0.0..1.0).contains(number)));
        assert!(drawn.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
