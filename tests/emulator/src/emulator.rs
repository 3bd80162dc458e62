//! The emulator as a value: started, asked, and dropped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::chance::Chance;
use crate::clock::Clock;
use crate::faults::{Fault, FaultQueue};
use crate::folder::Folder;
use crate::ids::Ids;
use crate::limits::{Limiter, Limits};
use crate::seed;
use crate::server::{self, Connections};
use crate::snapshot::Snapshot;
use crate::state::{End, Ledger, Request, StoredUpload, Workers, World, lock};
use crate::store::accounts::Accounts;
use crate::store::agents::Agents;
use crate::store::library::Library;
use crate::store::tasks::{Desks, Tasks};
use crate::store::trail::Trail;

/// How an emulator is to be; [`Builder::start`] starts it.
#[derive(Debug, Clone)]
#[must_use = "nothing happens before `start`"]
pub struct Builder {
    port: u16,
    limits: Limits,
    job_time: Duration,
    desks: Option<usize>,
    users: usize,
    audit_logs: usize,
    files: usize,
    agents: usize,
    snapshot: Snapshot,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            port: 0,
            limits: Limits::default(),
            job_time: Duration::from_millis(400),
            desks: None,
            users: 25,
            audit_logs: 60,
            files: 0,
            agents: 0,
            snapshot: Snapshot::default(),
        }
    }
}

impl Builder {
    /// The port on the loopback address. Defaults to 0, a free one.
    pub fn port(mut self, port: u16) -> Builder {
        self.port = port;
        self
    }

    /// The rate limits. Defaults to those of the contract as full bursts, in real time.
    pub fn limits(mut self, limits: Limits) -> Builder {
        self.limits = limits;
        self
    }

    /// How long a job takes from its submission to its end; with zero it is done when it is first asked for.
    /// Defaults to 400 ms.
    pub fn job_time(mut self, job_time: Duration) -> Builder {
        self.job_time = job_time;
        self
    }

    /// How many jobs are worked on at a time; further ones wait for their turn. Defaults to all.
    pub fn desks(mut self, desks: usize) -> Builder {
        self.desks = Some(desks);
        self
    }

    /// How many users there are, at least one. Defaults to 25.
    pub fn users(mut self, users: usize) -> Builder {
        self.users = users;
        self
    }

    /// How long the audit trail is from the beginning. Defaults to 60 entries.
    pub fn audit_logs(mut self, audit_logs: usize) -> Builder {
        self.audit_logs = audit_logs;
        self
    }

    /// How many files of an integration there are: they can be found, but not parsed. Defaults to 0.
    pub fn files(mut self, files: usize) -> Builder {
        self.files = files;
        self
    }

    /// How many agents there are that have ended. Defaults to 0.
    pub fn agents(mut self, agents: usize) -> Builder {
        self.agents = agents;
        self
    }

    /// Which version of the API is played. Defaults to [`Snapshot::Today`].
    pub fn snapshot(mut self, snapshot: Snapshot) -> Builder {
        self.snapshot = snapshot;
        self
    }

    /// Starts the emulator.
    ///
    /// # Errors
    ///
    /// When the port is taken, or no folder for the uploads can be made.
    pub fn start(self) -> io::Result<Emulator> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))?;
        let address = listener.local_addr()?;
        let folder = Folder::create()?;
        let world = Arc::new(World {
            clock: Clock::new(),
            ids: Ids::new(),
            snapshot: self.snapshot,
            job_time: self.job_time,
            folder: folder.path().to_owned(),
            accounts: Mutex::new(Accounts::seeded(self.users)),
            trail: Mutex::new(Trail::new(self.audit_logs, self.users)),
            library: Mutex::new(Library::seeded(self.files)),
            tasks: Mutex::new(Tasks::new()),
            desks: Mutex::new(Desks::new(self.desks)),
            agents: Mutex::new(Agents::seeded((0..self.agents).map(seed::agent))),
            limiter: Mutex::new(Limiter::new(self.limits)),
            faults: Mutex::new(FaultQueue::default()),
            ledger: Mutex::new(Ledger::default()),
            connections: AtomicU64::new(0),
            old_errors: false.into(),
            first_cursors: Mutex::default(),
            workers: Workers::start()?,
            end: End::default(),
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

/// A running emulator. Dropping it ends it, closes its connections, and removes what was uploaded.
#[derive(Debug)]
pub struct Emulator {
    url: String,
    address: SocketAddr,
    key: String,
    world: Arc<World>,
    connections: Arc<Connections>,
    acceptor: Option<JoinHandle<()>>,
    /// Dropped last, when nobody writes there any more.
    _folder: Folder,
}

impl Emulator {
    /// Starts an emulator as it is by default, on a free port.
    ///
    /// # Errors
    ///
    /// As [`Builder::start`].
    pub fn start() -> io::Result<Emulator> {
        Builder::default().start()
    }

    /// An emulator that is to be other than by default.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The base URL, such as `http://127.0.0.1:4010/api/v0`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A key with all scopes. It belongs to the first user, `alice@example.com`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Issues another key of the first user with these scopes and no others.
    #[must_use]
    pub fn issue_key(&self, scopes: &[&str]) -> String {
        self.issue_key_for(0, scopes)
    }

    /// Issues a key of the user in this place of the list of users. One for a user who does not exist opens nothing.
    #[must_use]
    pub fn issue_key_for(&self, user_index: usize, scopes: &[&str]) -> String {
        self.world.issue_key(user_index, "Issued", scopes)
    }

    /// Revokes a key. An unknown one is as good as revoked.
    pub fn revoke_key(&self, key: &str) {
        let now = self.world.now();
        let mut accounts = lock(&self.world.accounts);
        if let Some(place) = accounts.find_secret(key) {
            accounts.revoke(place, now);
        }
    }

    /// Asks for a fault. Faults are tried in the order in which they were asked for.
    pub fn fault(&self, fault: Fault) {
        lock(&self.world.faults).push(fault);
    }

    /// From now on chance befalls such a share of all requests with faults of any kind, besides those asked for.
    pub fn leave_to_chance(&self, share: f64, chance: Chance) {
        lock(&self.world.faults).leave_to_chance((share * 1e6) as u32, chance);
    }

    /// Takes back all faults that have not struck yet, and those of chance.
    pub fn clear_faults(&self) {
        lock(&self.world.faults).clear();
    }

    /// How many requests of this operation were executed, even if the answer was then lost to a fault.
    #[must_use]
    pub fn accepted(&self, operation: &str) -> u64 {
        lock(&self.world.ledger).accepted(operation)
    }

    /// How many requests of this operation have come, whatever became of them.
    #[must_use]
    pub fn received(&self, operation: &str) -> u64 {
        lock(&self.world.ledger).received(operation)
    }

    /// The bodies of all requests of this operation that were executed and had one, oldest first. None for uploads,
    /// which have their [list](Emulator::uploads).
    #[must_use]
    pub fn accepted_bodies(&self, operation: &str) -> Vec<Vec<u8>> {
        lock(&self.world.ledger).accepted_bodies(operation)
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.world.connections.load(Ordering::Relaxed)
    }

    /// The newest 4096 requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.world.ledger).requests()
    }

    /// All files that were uploaded, oldest first.
    #[must_use]
    pub fn uploads(&self) -> Vec<StoredUpload> {
        lock(&self.world.ledger).uploads.clone()
    }

    /// Whether error bodies come in the older form, `{error}` alone.
    pub fn set_old_errors(&self, old: bool) {
        self.world.old_errors.store(old, Ordering::Relaxed);
    }

    /// Changes the quota of a tier for everybody, at once.
    pub fn set_quota(&self, tier: &str, per_minute: u32) {
        lock(&self.world.limiter).set_quota(tier, per_minute);
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.world.end.announce();
        // The acceptor waits for a connection; this one wakes it.
        let woken = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let (Ok(_), Some(acceptor)) = (woken, self.acceptor.take()) {
            let _ = acceptor.join();
        }
        self.connections.close_all();
    }
}
