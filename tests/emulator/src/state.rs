//! The emulator's whole state, shared by all connections.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::api_version::ApiVersion;
use crate::clock::{Clock, Moment};
use crate::faults::FaultQueue;
use crate::ids::Ids;
use crate::limits::Limiter;
use crate::store::accounts::{Accounts, ApiKey};
use crate::store::agents::Agents;
use crate::store::library::Library;
use crate::store::tasks::{Schedule, Tasks};
use crate::store::trail::{Entry, Party, Trail};

/// Locks, whatever befell the thread that held the lock before: one request's panic must not become everybody's.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All that the emulator knows. Its locks are taken one at a time, but for that of `first_cursors`, which is taken last.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) api_version: ApiVersion,
    pub(crate) job_time: Duration,
    /// Where uploads are stored.
    pub(crate) folder: PathBuf,
    pub(crate) accounts: Mutex<Accounts>,
    pub(crate) trail: Mutex<Trail>,
    pub(crate) library: Mutex<Library>,
    pub(crate) tasks: Mutex<Tasks>,
    pub(crate) schedule: Mutex<Schedule>,
    pub(crate) agents: Mutex<Agents>,
    pub(crate) limiter: Mutex<Limiter>,
    pub(crate) faults: Mutex<FaultQueue>,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) connections: AtomicU64,
    pub(crate) old_errors: AtomicBool,
    /// The first cursor handed out in each user's present run through each list.
    pub(crate) first_cursors: Mutex<HashMap<(usize, u64), String>>,
    pub(crate) workers: Workers,
    pub(crate) end: End,
}

impl World {
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(crate) fn fresh_id(&self) -> String {
        self.ids.fresh(self.now())
    }

    /// Issues a key with these scopes. Gives its secret.
    pub(crate) fn issue_key(&self, owner: usize, name: &str, scopes: &[&str]) -> String {
        let now = self.now();
        let secret = self.ids.secret();
        let key = ApiKey {
            id: self.ids.fresh(now),
            prefix: secret.chars().take(9).collect(),
            name: name.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            owner,
            created: now,
            last_used: None,
            expires: None,
            revoked: None,
        };
        lock(&self.accounts).add_key(secret.clone(), key);
        secret
    }

    /// Writes into the audit trail what a user did.
    pub(crate) fn record(
        &self,
        user: usize,
        action: &'static str,
        targets: Vec<Party>,
        user_agent: Option<String>,
        metadata: serde_json::Value,
    ) {
        let actor = {
            let accounts = lock(&self.accounts);
            let Some(user) = accounts.user(user) else { return };
            Party { id: user.id.clone(), kind: "user", name: Some(user.name.clone()) }
        };
        let mut trail = lock(&self.trail);
        // The moment is taken under the lock, so that the trail is in the order of time.
        let now = self.now();
        trail.record(Entry { id: self.ids.fresh(now), action, occurred: now, actor, targets, user_agent, metadata });
    }

    pub(crate) fn speaks_old_errors(&self) -> bool {
        self.api_version == ApiVersion::Old || self.old_errors.load(Ordering::Relaxed)
    }
}

/// A request that the emulator has received.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The HTTP method, such as `POST`.
    pub method: String,
    /// The path and query as received, such as `/api/v0/users?limit=10`.
    pub target: String,
    /// The name of the operation, such as `list_users`. None if no operation has this method and path.
    pub operation: Option<&'static str>,
    /// The names and values of the headers, in their original order and letter case.
    pub headers: Vec<(String, String)>,
    /// The body. Empty if it was form data, longer than 64 KiB, or not read.
    pub body: Vec<u8>,
    /// The status of the response. None if no response was sent, or not yet.
    pub status: Option<u16>,
}

impl Request {
    /// Returns the value of the first header with this name, in any letter case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A file that was uploaded over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedUpload {
    /// The `filename` of the form part, exactly as received.
    pub name: String,
    /// The file on disk that holds the content. It is deleted when the emulator is dropped.
    pub path: PathBuf,
    /// The size in bytes.
    pub size: u64,
    /// The `Content-Type` of the form part.
    pub mime_type: String,
    /// The form parts, in order.
    pub parts: Vec<FormPart>,
}

/// A part of a `multipart/form-data` body.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FormPart {
    /// The names and values of the part's headers, in their original order and letter case.
    pub headers: Vec<(String, String)>,
}

/// What the emulator counts and keeps for those who test with it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    received: HashMap<&'static str, u64>,
    accepted: HashMap<&'static str, u64>,
    accepted_bodies: HashMap<&'static str, Vec<Vec<u8>>>,
    requests: VecDeque<Request>,
    forgotten: u64,
    pub(crate) uploads: Vec<ReceivedUpload>,
}

impl Ledger {
    /// So many requests are kept.
    const KEPT: usize = 4096;

    /// Notes a request. Gives its number.
    pub(crate) fn receive(&mut self, request: Request) -> u64 {
        if let Some(operation) = request.operation {
            *self.received.entry(operation).or_default() += 1;
        }
        if self.requests.len() == Self::KEPT {
            self.requests.pop_front();
            self.forgotten += 1;
        }
        self.requests.push_back(request);
        self.forgotten + self.requests.len() as u64 - 1
    }

    /// Completes what was noted of a request.
    pub(crate) fn amend(&mut self, number: u64, change: impl FnOnce(&mut Request)) {
        let place = number.checked_sub(self.forgotten);
        if let Some(request) = place.and_then(|place| self.requests.get_mut(place as usize)) {
            change(request);
        }
    }

    pub(crate) fn accept(&mut self, operation: &'static str, body: Vec<u8>) {
        *self.accepted.entry(operation).or_default() += 1;
        if !body.is_empty() {
            self.accepted_bodies.entry(operation).or_default().push(body);
        }
    }

    pub(crate) fn accepted_bodies(&self, operation: &str) -> Vec<Vec<u8>> {
        self.accepted_bodies.get(operation).cloned().unwrap_or_default()
    }

    pub(crate) fn received(&self, operation: &str) -> u64 {
        self.received.get(operation).copied().unwrap_or(0)
    }

    pub(crate) fn accepted(&self, operation: &str) -> u64 {
        self.accepted.get(operation).copied().unwrap_or(0)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.iter().cloned().collect()
    }
}

type Work = Box<dyn FnOnce() + Send>;

/// Threads that do the jobs' work, so that no answer waits for it.
pub(crate) struct Workers {
    queue: Sender<Work>,
}

impl Workers {
    pub(crate) fn start() -> std::io::Result<Workers> {
        const THREADS: usize = 2;
        let (queue, work) = mpsc::channel::<Work>();
        let work = Arc::new(Mutex::new(work));
        for number in 0..THREADS {
            let work = Arc::clone(&work);
            thread::Builder::new().name(format!("emulator-worker-{number}")).spawn(move || {
                loop {
                    // They end when the queue's other end is dropped with the world.
                    let next = lock(&work).recv();
                    let Ok(next) = next else { return };
                    next();
                }
            })?;
        }
        Ok(Workers { queue })
    }

    pub(crate) fn run(&self, work: impl FnOnce() + Send + 'static) {
        // It fails only when all workers are gone; the job then stays as it is.
        let _ = self.queue.send(Box::new(work));
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Workers")
    }
}

/// The end of the emulator, which whoever sleeps must notice.
#[derive(Debug, Default)]
pub(crate) struct End {
    reached: Mutex<bool>,
    changed: Condvar,
}

impl End {
    pub(crate) fn announce(&self) {
        *lock(&self.reached) = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_reached(&self) -> bool {
        *lock(&self.reached)
    }

    /// Sleeps, but not beyond the end. Whether the end came.
    pub(crate) fn sleep(&self, duration: Duration) -> bool {
        let reached = lock(&self.reached);
        let woken = self.changed.wait_timeout_while(reached, duration, |reached| !*reached);
        *woken.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_keeps_the_newest_requests_and_counts_all() {
        let mut ledger = Ledger::default();
        let request = |number: usize| Request {
            method: "GET".to_owned(),
            target: format!("/users/{number}"),
            operation: Some("get_user"),
            headers: Vec::new(),
            body: Vec::new(),
            status: None,
        };
        let numbers: Vec<u64> = (0..5000).map(|number| ledger.receive(request(number))).collect();
        ledger.amend(numbers[0], |_| unreachable!("it was forgotten"));
        ledger.amend(numbers[4999], |request| request.status = Some(200));
        let kept = ledger.requests();
        assert_eq!((kept.len(), ledger.received("get_user")), (4096, 5000));
        assert_eq!((kept[4095].target.as_str(), kept[4095].status), ("/users/4999", Some(200)));
    }
}
