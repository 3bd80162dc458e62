//! The emulator: its builder, and the handle with which a test controls it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::api_version::ApiVersion;
use crate::clock::Clock;
use crate::faults::{Fault, FaultQueue};
use crate::folder::Folder;
use crate::ids::Ids;
use crate::limits::{Limiter, Limits};
use crate::operations::{Routes, known_operation, known_tier};
use crate::rng::Rng;
use crate::seed;
use crate::server::{self, Connections};
use crate::state::{ReceivedUpload, Request, RequestLog, StopSignal, Workers, World, lock};
use crate::store::accounts::Accounts;
use crate::store::agents::Agents;
use crate::store::audit_log::AuditLog;
use crate::store::library::{self, Library, PATH_RULE, Target};
use crate::store::tasks::{Schedule, Tasks};
use crate::variation::{Variation, Variations};

/// Configures an [`Emulator`] before it starts.
///
/// Seeded users, audit log entries, files and agents are the same in every run.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use nomic_emulator::{Emulator, Limits};
///
/// let emulator = Emulator::builder().limits(Limits::off()).job_time(Duration::ZERO).users(100).start()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "an emulator runs only after `start`"]
pub struct Builder {
    port: u16,
    limits: Limits,
    job_time: Duration,
    max_running_jobs: Option<usize>,
    users: usize,
    audit_logs: usize,
    integration_files: usize,
    agents: usize,
    api_version: ApiVersion,
    moved: Vec<(String, String)>,
    variations: Vec<Variation>,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            port: 0,
            limits: Limits::default(),
            job_time: Duration::from_millis(400),
            max_running_jobs: None,
            users: 25,
            audit_logs: 60,
            integration_files: 0,
            agents: 0,
            api_version: ApiVersion::default(),
            moved: Vec::new(),
            variations: Vec::new(),
        }
    }
}

impl Builder {
    /// Sets the TCP port on the loopback interface. Defaults to 0, which picks a free port.
    pub fn port(mut self, port: u16) -> Builder {
        self.port = port;
        self
    }

    /// Sets the rate limits. Defaults to the documented quotas, in real time.
    pub fn limits(mut self, limits: Limits) -> Builder {
        self.limits = limits;
        self
    }

    /// Sets the time that a job runs. With zero, a job is finished when it is first polled. Defaults to 400 ms.
    pub fn job_time(mut self, job_time: Duration) -> Builder {
        self.job_time = job_time;
        self
    }

    /// Limits the number of jobs that run at the same time; other jobs are queued. Defaults to no limit.
    pub fn max_running_jobs(mut self, max_running_jobs: usize) -> Builder {
        self.max_running_jobs = Some(max_running_jobs);
        self
    }

    /// Sets the number of users, at least 1. Defaults to 25.
    ///
    /// The first user, `alice@example.com`, is an admin. Every eighth user, starting with the fifth, has used up their
    /// spend limit and cannot launch agents.
    pub fn users(mut self, users: usize) -> Builder {
        self.users = users;
        self
    }

    /// Sets the number of audit log entries at the start. Defaults to 60.
    pub fn audit_logs(mut self, audit_logs: usize) -> Builder {
        self.audit_logs = audit_logs;
        self
    }

    /// Sets the number of files that come from an integration. They are found by a search, but have no content and
    /// cannot be parsed; use [`Emulator::add_file`] for files with content. Defaults to 0.
    pub fn integration_files(mut self, integration_files: usize) -> Builder {
        self.integration_files = integration_files;
        self
    }

    /// Sets the number of agents at the start, all of them finished, stopped or failed. Defaults to 0.
    pub fn agents(mut self, agents: usize) -> Builder {
        self.agents = agents;
        self
    }

    /// Sets the version of the API. Defaults to [`ApiVersion::Current`].
    pub fn api_version(mut self, api_version: ApiVersion) -> Builder {
        self.api_version = api_version;
        self
    }

    /// Changes the form of responses, in addition to the variations that were set before. Defaults to none.
    pub fn variation(mut self, variation: Variation) -> Builder {
        self.variations.push(variation);
        self
    }

    /// Serves an operation at another path, such as `get_parse` at `/tasks/{taskId}`. A request to its own path is then
    /// answered with a 404. The path must have the placeholders of the operation's own path, in any order. `get_parse` and
    /// `get_extract` may share one; their requests are then counted as those of `get_parse`.
    pub fn move_operation(mut self, operation: impl Into<String>, path: impl Into<String>) -> Builder {
        self.moved.push((operation.into(), path.into()));
        self
    }

    /// Starts the emulator.
    ///
    /// # Errors
    ///
    /// If the port is in use, the folder for uploads cannot be created, or an operation cannot be moved.
    pub fn start(self) -> io::Result<Emulator> {
        let invalid = |reason| io::Error::new(io::ErrorKind::InvalidInput, reason);
        let routes = Routes::moved(&self.moved).map_err(invalid)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))?;
        let address = listener.local_addr()?;
        let folder = Folder::create()?;
        let world = Arc::new(World {
            clock: Clock::new(),
            ids: Ids::new(),
            api_version: self.api_version,
            routes,
            variations: Variations::new(self.variations),
            job_time: self.job_time,
            folder: folder.path().to_owned(),
            accounts: Mutex::new(Accounts::seeded(self.users)),
            audit_log: Mutex::new(AuditLog::new(self.audit_logs, self.users)),
            library: Mutex::new(Library::seeded(self.integration_files)),
            tasks: Mutex::new(Tasks::new()),
            schedule: Mutex::new(Schedule::new(self.max_running_jobs)),
            agents: Mutex::new(Agents::seeded((0..self.agents).map(seed::agent))),
            limiter: Mutex::new(Limiter::new(self.limits)),
            faults: Mutex::new(FaultQueue::default()),
            request_log: Mutex::new(RequestLog::default()),
            connections: AtomicU64::new(0),
            old_errors: false.into(),
            first_cursors: Mutex::default(),
            workers: Workers::start()?,
            stop: StopSignal::default(),
        });
        let key = world.issue_key(0, "Emulator", &["developer", "admin"]);
        let connections = Arc::new(Connections::default());
        let acceptor = thread::Builder::new().name("emulator-acceptor".to_owned()).spawn({
            let (world, connections) = (Arc::clone(&world), Arc::clone(&connections));
            move || server::accept(&world, &listener, &connections)
        })?;
        Ok(Emulator {
            url: format!("http://{address}/api/v0"),
            address,
            key,
            world,
            connections,
            acceptor: Some(acceptor),
            _folder: folder,
        })
    }
}

/// A running emulator. See the [crate documentation](crate) for an example.
///
/// Dropping it stops the server, closes all connections and deletes all uploaded files.
#[derive(Debug)]
pub struct Emulator {
    url: String,
    address: SocketAddr,
    key: String,
    world: Arc<World>,
    connections: Arc<Connections>,
    acceptor: Option<JoinHandle<()>>,
    /// Dropped last, when nothing writes to it any more.
    _folder: Folder,
}

/// A file that [`Emulator::add_file`] has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredFile {
    /// The file's id, such as `019abc12-3456-7890-abcd-ef1234567890`.
    pub id: String,
    /// The id of the new version of the file, which is what parse and extract jobs take.
    pub file_version_id: String,
    /// The file's name, such as `permit.txt`.
    pub name: String,
}

impl Emulator {
    /// Starts an emulator with the default configuration on a free port.
    ///
    /// # Errors
    ///
    /// See [`Builder::start`].
    pub fn start() -> io::Result<Emulator> {
        Builder::default().start()
    }

    /// Returns a builder with the default configuration.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the base URL, such as `http://127.0.0.1:4010/api/v0`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the socket address that the emulator listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns an API key with all scopes. It belongs to the first user, `alice@example.com`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Issues another API key of the first user, with these scopes only, such as `developer:files` or `admin`.
    #[must_use]
    pub fn issue_key(&self, scopes: &[&str]) -> String {
        self.issue_key_for(0, scopes)
    }

    /// Issues an API key of the user with this index in the list of users. If there is no such user, the key is not
    /// valid.
    #[must_use]
    pub fn issue_key_for(&self, user_index: usize, scopes: &[&str]) -> String {
        self.world.issue_key(user_index, "Issued", scopes)
    }

    /// Revokes an API key. Does nothing if the key is unknown or already revoked.
    pub fn revoke_key(&self, key: &str) {
        let now = self.world.now();
        let mut accounts = lock(&self.world.accounts);
        if let Some(index) = accounts.find_secret(key) {
            accounts.revoke(index, now);
        }
    }

    /// Stores a file without an HTTP request. It can then be found, parsed and extracted from like an uploaded one.
    ///
    /// `path` is the path from the root folder, such as `permit.txt` or `drawings/floor-plan.pdf`; missing folders are
    /// created. A file that exists at this path gets a new version. The extension of the name is the file's type:
    /// `.txt`, `.md`, `.html` and `.pdf` can be parsed.
    ///
    /// The file is not counted as a request and not listed in [`uploads`](Emulator::uploads).
    ///
    /// # Errors
    ///
    /// If the path has an empty segment, leads through a file or to a folder, or if the content cannot be written to
    /// disk.
    ///
    /// # Examples
    ///
    /// ```
    /// let emulator = nomic_emulator::Emulator::start()?;
    /// let file = emulator.add_file("permits/permit.txt", "Permit number: PH-2026-0417")?;
    /// assert_eq!(file.name, "permit.txt");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn add_file(&self, path: &str, content: impl AsRef<[u8]>) -> io::Result<StoredFile> {
        let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidInput, format!("{path}: {reason}"));
        let mut folders = library::segments(path).ok_or_else(|| invalid(format!("expected {PATH_RULE}")))?;
        let name = folders.pop().unwrap_or_default();
        let mime_type = mime_type(&name);
        let stored = self.world.new_upload_path();
        std::fs::write(&stored, content)?;
        let target = Target { parent: None, folders, name };
        let mut library = lock(&self.world.library);
        if let Some(conflict) = library.conflict(&target) {
            let _ = std::fs::remove_file(&stored);
            return Err(invalid(conflict));
        }
        let file = library.add(target, mime_type, stored, || self.world.fresh_id());
        Ok(StoredFile { id: file.id, file_version_id: file.version, name: file.name })
    }

    /// Injects a fault. Faults are tried in the order in which they were injected.
    pub fn fault(&self, fault: Fault) {
        lock(&self.world.faults).faults.push(fault);
    }

    /// Injects [random faults](crate::Rng::fault) into this share of all requests, from 0.0 to 1.0, in addition to
    /// those injected with [`fault`](Emulator::fault). The same seed gives the same sequence of faults.
    pub fn random_faults(&self, share: f64, seed: u64) {
        lock(&self.world.faults).random = Some((share, Rng::new(seed)));
    }

    /// Removes all faults that are left, and stops random faults.
    pub fn clear_faults(&self) {
        *lock(&self.world.faults) = FaultQueue::default();
    }

    /// Returns the number of requests of an operation that were executed, including those whose response was lost to a
    /// fault. Requests that were refused, for example with a 400, are not counted.
    ///
    /// # Panics
    ///
    /// If no [operation](crate::operations) has this name. The message lists all names.
    #[must_use]
    #[track_caller]
    pub fn accepted(&self, operation: &str) -> u64 {
        lock(&self.world.request_log).accepted.get(known_operation(operation)).copied().unwrap_or_default()
    }

    /// Returns the number of requests of an operation that were received, whether or not they were executed.
    ///
    /// # Panics
    ///
    /// If no [operation](crate::operations) has this name. The message lists all names.
    #[must_use]
    #[track_caller]
    pub fn received(&self, operation: &str) -> u64 {
        lock(&self.world.request_log).received.get(known_operation(operation)).copied().unwrap_or_default()
    }

    /// Returns the bodies of all executed requests of an operation that had one, oldest first. Uploads have
    /// [their own list](Emulator::uploads).
    ///
    /// # Panics
    ///
    /// If no [operation](crate::operations) has this name. The message lists all names.
    #[must_use]
    #[track_caller]
    pub fn accepted_bodies(&self, operation: &str) -> Vec<Vec<u8>> {
        lock(&self.world.request_log).accepted_bodies.get(known_operation(operation)).cloned().unwrap_or_default()
    }

    /// Returns the number of TCP connections that were accepted.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.world.connections.load(Ordering::Relaxed)
    }

    /// Returns the latest 4096 requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.world.request_log).requests.iter().cloned().collect()
    }

    /// Returns all files that were uploaded over HTTP, oldest first.
    #[must_use]
    pub fn uploads(&self) -> Vec<ReceivedUpload> {
        lock(&self.world.request_log).uploads.clone()
    }

    /// Sets whether error bodies have the older format `{"error": message}`, without `code` and `issues`. Defaults to
    /// false, except with [`ApiVersion::Old`], which always has it.
    pub fn set_old_errors(&self, old: bool) {
        self.world.old_errors.store(old, Ordering::Relaxed);
    }

    /// Changes the quota of a rate-limit tier, in requests per minute, while the emulator runs.
    ///
    /// # Panics
    ///
    /// If there is no such tier.
    #[track_caller]
    pub fn set_quota(&self, tier: &str, per_minute: u32) {
        let tier = known_tier(tier);
        lock(&self.world.limiter).limits.quotas.insert(tier, per_minute);
    }
}

/// The MIME type of a file by its extension.
fn mime_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).as_deref() {
        Some("txt") => "text/plain",
        Some("md") => "text/markdown",
        Some("html" | "htm") => "text/html",
        Some("pdf") => "application/pdf",
        _ => "application/octet-stream",
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.world.stop.set();
        // The acceptor waits for a connection; this one wakes it.
        let woken = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let (Ok(_), Some(acceptor)) = (woken, self.acceptor.take()) {
            let _ = acceptor.join();
        }
        self.connections.close_all();
    }
}
