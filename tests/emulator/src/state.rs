//! The state of the emulator, shared by all connections.

use std::collections::{HashMap, VecDeque};
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
use crate::operations::Routes;
use crate::store::accounts::{Accounts, ApiKey};
use crate::store::agents::Agents;
use crate::store::audit_log::{AuditLog, Entry, entity};
use crate::store::library::Library;
use crate::store::tasks::{Schedule, Tasks};
use crate::variation::Variations;

/// Locks a mutex and ignores poisoning: a panic in one request must not affect the others.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state of the emulator. At most one of its locks is held at a time, except that `first_cursors` may be locked last.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) api_version: ApiVersion,
    pub(crate) routes: Routes,
    pub(crate) variations: Variations,
    pub(crate) job_time: Duration,
    /// The folder in which uploads are stored.
    pub(crate) folder: PathBuf,
    pub(crate) accounts: Mutex<Accounts>,
    pub(crate) audit_log: Mutex<AuditLog>,
    pub(crate) library: Mutex<Library>,
    pub(crate) tasks: Mutex<Tasks>,
    pub(crate) schedule: Mutex<Schedule>,
    pub(crate) agents: Mutex<Agents>,
    pub(crate) limiter: Mutex<Limiter>,
    pub(crate) faults: Mutex<FaultQueue>,
    pub(crate) request_log: Mutex<RequestLog>,
    pub(crate) connections: AtomicU64,
    pub(crate) old_errors: AtomicBool,
    /// The first cursor of each user's current iteration of each list.
    pub(crate) first_cursors: Mutex<HashMap<(usize, u64), String>>,
    pub(crate) workers: Workers,
    pub(crate) stop: StopSignal,
}

impl World {
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(crate) fn fresh_id(&self) -> String {
        self.ids.fresh(self.now())
    }

    /// The path of a new file in the folder for uploads.
    pub(crate) fn new_upload_path(&self) -> PathBuf {
        self.folder.join(format!("upload-{}", self.fresh_id()))
    }

    /// Issues an API key with these scopes and returns its secret.
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

    /// Records in the audit log what a user did.
    pub(crate) fn record(
        &self,
        user: usize,
        action: &'static str,
        targets: Vec<serde_json::Value>,
        user_agent: Option<String>,
        metadata: serde_json::Value,
    ) {
        let actor = {
            let accounts = lock(&self.accounts);
            let Some(user) = accounts.user(user) else { return };
            entity("user", &user.id, Some(&user.name))
        };
        let mut audit_log = lock(&self.audit_log);
        // The clock is read under the lock, so that entries are in chronological order.
        let now = self.now();
        audit_log.record(Entry {
            id: self.ids.fresh(now),
            action,
            occurred: now,
            actor,
            targets,
            user_agent,
            metadata,
        });
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

/// What the emulator counts and records for tests.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    /// By operation, as the next two.
    pub(crate) received: HashMap<&'static str, u64>,
    pub(crate) accepted: HashMap<&'static str, u64>,
    pub(crate) accepted_bodies: HashMap<&'static str, Vec<Vec<u8>>>,
    pub(crate) requests: VecDeque<Request>,
    dropped: u64,
    pub(crate) uploads: Vec<ReceivedUpload>,
}

impl RequestLog {
    const MAX_REQUESTS: usize = 4096;

    /// Records a request and returns its number.
    pub(crate) fn receive(&mut self, request: Request) -> u64 {
        if let Some(operation) = request.operation {
            *self.received.entry(operation).or_default() += 1;
        }
        if self.requests.len() == Self::MAX_REQUESTS {
            self.requests.pop_front();
            self.dropped += 1;
        }
        self.requests.push_back(request);
        self.dropped + self.requests.len() as u64 - 1
    }

    /// Updates a recorded request, unless it was dropped.
    pub(crate) fn amend(&mut self, number: u64, change: impl FnOnce(&mut Request)) {
        let index = number.checked_sub(self.dropped);
        if let Some(request) = index.and_then(|index| self.requests.get_mut(index as usize)) {
            change(request);
        }
    }

    pub(crate) fn accept(&mut self, operation: &'static str, body: Vec<u8>) {
        *self.accepted.entry(operation).or_default() += 1;
        if !body.is_empty() {
            self.accepted_bodies.entry(operation).or_default().push(body);
        }
    }
}

type Task = Box<dyn FnOnce() + Send>;

/// The threads that run jobs in the background.
#[derive(Debug)]
pub(crate) struct Workers {
    queue: Sender<Task>,
}

impl Workers {
    pub(crate) fn start() -> std::io::Result<Workers> {
        const THREADS: usize = 2;
        let (queue, tasks) = mpsc::channel::<Task>();
        let tasks = Arc::new(Mutex::new(tasks));
        for number in 0..THREADS {
            let tasks = Arc::clone(&tasks);
            thread::Builder::new().name(format!("emulator-worker-{number}")).spawn(move || {
                loop {
                    // The thread ends when the sender is dropped with the world.
                    let task = lock(&tasks).recv();
                    let Ok(task) = task else { return };
                    task();
                }
            })?;
        }
        Ok(Workers { queue })
    }

    pub(crate) fn run(&self, task: impl FnOnce() + Send + 'static) {
        // This fails only if all workers have ended; the job then never finishes.
        let _ = self.queue.send(Box::new(task));
    }
}

/// Tells all threads that the emulator stops, and wakes those that sleep.
#[derive(Debug, Default)]
pub(crate) struct StopSignal {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl StopSignal {
    pub(crate) fn set(&self) {
        *lock(&self.stopped) = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_set(&self) -> bool {
        *lock(&self.stopped)
    }

    /// Sleeps, but only until the emulator stops. Returns whether it has.
    pub(crate) fn sleep(&self, duration: Duration) -> bool {
        let stopped = lock(&self.stopped);
        let woken = self.changed.wait_timeout_while(stopped, duration, |stopped| !*stopped);
        *woken.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_requests_are_recorded_and_all_are_counted() {
        let mut log = RequestLog::default();
        let request = |number: usize| Request {
            method: "GET".to_owned(),
            target: format!("/users/{number}"),
            operation: Some("get_user"),
            headers: Vec::new(),
            body: Vec::new(),
            status: None,
        };
        let numbers: Vec<u64> = (0..5000).map(|number| log.receive(request(number))).collect();
        log.amend(numbers[0], |_| unreachable!("it was dropped"));
        log.amend(numbers[4999], |request| request.status = Some(200));
        let recorded = &log.requests;
        assert_eq!((recorded.len(), log.received["get_user"]), (4096, 5000));
        assert_eq!((recorded[4095].target.as_str(), recorded[4095].status), ("/users/4999", Some(200)));
    }
}
