//! The queue in Redis: a stream of documents, a hash for each, and a sorted set for each state.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use nomic_client::{FileVersionId, TaskId};
use redis::{
    Client, Cmd, Connection, ErrorKind, FromRedisValue, RedisError, RedisResult, Script, ServerErrorKind, cmd,
};

use crate::document::{Document, State};
use crate::redis_pool::{is_transient, open};

/// What the functions of this example return.
pub type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// How long Redis may take to accept a connection, and to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The pauses between attempts grow from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

// What was begun is recorded even if Redis is full; only new documents are refused.
static ADD: LazyLock<Script> = LazyLock::new(|| script("#!lua", include_str!("queue/add.lua")));
static TAKE: LazyLock<Script> = LazyLock::new(|| script("#!lua flags=allow-oom", include_str!("queue/take.lua")));
static RECORD: LazyLock<Script> = LazyLock::new(|| script("#!lua flags=allow-oom", include_str!("queue/record.lua")));
static RENEW: LazyLock<Script> = LazyLock::new(|| script("#!lua flags=allow-oom", include_str!("queue/renew.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| script("#!lua flags=allow-oom", include_str!("queue/release.lua")));
static RETRY: LazyLock<Script> = LazyLock::new(|| script("#!lua flags=allow-oom", include_str!("queue/retry.lua")));
static TIDY: LazyLock<Script> = LazyLock::new(|| script("#!lua flags=allow-oom", include_str!("queue/tidy.lua")));

fn script(first_line: &str, body: &str) -> Script {
    Script::new(&format!("{first_line}\n{}\n{body}", include_str!("queue/common.lua")))
}

/// A queue, with a connection of its own that is made when it is needed, and again when it breaks.
pub struct Queue {
    /// Its name.
    pub name: String,
    /// For how long a command is repeated while Redis is away, busy or full.
    pub patience: Duration,
    client: Client,
    connection: Option<Connection>,
    prefix: String,
    stream: String,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client would show the password.
        f.debug_struct("Queue").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A document that a worker has taken, with what is known about it.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its id.
    pub id: String,
    /// Its fencing token: whatever this worker records is refused once another worker has taken the document.
    pub lease: u64,
    /// Its path.
    pub path: String,
    /// The hash of its content when it was added.
    pub content: String,
    /// The file version, once it is uploaded.
    pub version: Option<FileVersionId>,
    /// The job, once it is submitted.
    pub job: Option<TaskId>,
    /// How many attempts have failed.
    pub attempts: u32,
}

/// What [`Queue::take`] found.
#[derive(Clone, Debug)]
pub enum Take {
    /// A document for this worker.
    Document(Taken),
    /// All documents are with other workers.
    Nothing,
    /// The queue is empty.
    Empty,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It was recorded.
    Yes,
    /// The lease had passed on, but the job ended the doubt about the document, which is in the queue again.
    Resolved,
    /// It was refused: another worker has the document.
    Lost,
}

/// What became of a document to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is new.
    New,
    /// It was added before, with the same content.
    Known,
    /// Another document has the same id.
    Collision,
}

impl Queue {
    /// The queue with this name. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// If the URL or the name is not valid.
    pub fn new(url: &str, name: &str, patience: Duration) -> Result<Self> {
        let client = open(url)?;
        if name.is_empty() || name.contains(['{', '}']) || name.contains(char::is_whitespace) {
            return Err("the name of a queue must not be empty, nor contain braces or white space".into());
        }
        // In braces: a cluster keeps the keys of a queue on one node.
        let prefix = format!("fleet:{{{name}}}:");
        let stream = format!("{prefix}stream");
        Ok(Self { name: name.to_owned(), patience, client, connection: None, prefix, stream })
    }

    /// The same queue, with another connection.
    pub fn reconnect(&self) -> Self {
        Self {
            name: self.name.clone(),
            patience: self.patience,
            client: self.client.clone(),
            connection: None,
            prefix: self.prefix.clone(),
            stream: self.stream.clone(),
        }
    }

    /// Creates the stream and its group of workers, if they do not exist.
    ///
    /// # Errors
    ///
    /// If Redis cannot be used, as for all methods.
    pub fn create(&mut self) -> Result {
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(&self.stream).arg("workers").arg("0").arg("MKSTREAM");
        self.run(|connection| match create.query(connection) {
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            created => created,
        })
    }

    /// Checks that Redis forgets nothing that it has confirmed: a lost record could submit a document twice.
    ///
    /// # Errors
    ///
    /// With the setting to change.
    pub fn check_durability(&mut self) -> Result {
        const UNLESS: &str =
            "or pass --accept-data-loss: a document may then be submitted twice after a crash of Redis";
        let mut get = cmd("CONFIG");
        get.arg("GET").arg("appendonly").arg("appendfsync").arg("maxmemory").arg("maxmemory-policy");
        let mut refused = None;
        let settings: HashMap<String, String> = self.run(|connection| match get.query(connection) {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError)
                ) =>
            {
                refused = Some(error.to_string());
                Ok(HashMap::new())
            }
            settings => settings,
        })?;
        if let Some(error) = refused {
            let rest =
                "make sure that it has `appendonly yes` and `appendfsync always`, and then pass --accept-data-loss";
            return Err(format!("{} does not show its settings ({error}): {rest}", self.address()).into());
        }
        let has = |name: &str, value: &str| settings.get(name).is_some_and(|set| set == value);
        for (name, value) in [("appendonly", "yes"), ("appendfsync", "always")] {
            if !has(name, value) {
                return Err(format!("{} may forget records: set `{name} {value}`, {UNLESS}", self.address()).into());
            }
        }
        if !has("maxmemory", "0") && !has("maxmemory-policy", "noeviction") {
            let address = self.address();
            return Err(format!("{address} may evict records: set `maxmemory-policy noeviction`, {UNLESS}").into());
        }
        Ok(())
    }

    /// A property of the queue. A value is set only if there is none.
    ///
    /// # Errors
    ///
    /// As for all methods.
    pub fn property(&mut self, name: &str, value: Option<&str>) -> Result<Option<String>> {
        let key = format!("{}queue", self.prefix);
        // Read first: Redis may be full.
        let known: Option<String> = self.query(cmd("HGET").arg(&key).arg(name))?;
        let (None, Some(value)) = (&known, value) else { return Ok(known) };
        self.query::<()>(cmd("HSETNX").arg(&key).arg(name).arg(value))?;
        self.query(cmd("HGET").arg(&key).arg(name))
    }

    /// Adds a document, unless it was added before.
    ///
    /// # Errors
    ///
    /// As for all methods.
    pub fn add(&mut self, document: &Document) -> Result<Added> {
        let added: String = self.invoke(&ADD, &[&document.id, &document.path, &document.content])?;
        Ok(match added.as_str() {
            "added" => Added::New,
            "known" => Added::Known,
            _ => Added::Collision,
        })
    }

    /// Takes a document: one whose lease has expired, or else the next one.
    ///
    /// # Errors
    ///
    /// As for all methods.
    pub fn take(&mut self, worker: &str, lease_time: Duration) -> Result<Take> {
        let lease_time = lease_time.as_millis().to_string();
        let (length, id, mut fields): (u64, String, HashMap<String, String>) =
            self.invoke(&TAKE, &[worker, &lease_time])?;
        if id.is_empty() {
            return Ok(if length == 0 { Take::Empty } else { Take::Nothing });
        }
        let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
        Ok(Take::Document(Taken {
            lease: number(fields.remove("lease")).ok_or("the document has no lease; is it of another version?")?,
            path: fields.remove("path").unwrap_or_default(),
            content: fields.remove("content").unwrap_or_default(),
            version: fields.remove("version").map(FileVersionId::from),
            job: fields.remove("job").map(TaskId::from),
            attempts: number(fields.remove("attempts")).unwrap_or_default() as u32,
            id,
        }))
    }

    /// Records a step of a document that this worker has taken. May be repeated.
    ///
    /// # Errors
    ///
    /// As for all methods.
    pub fn record(&mut self, document: &Taken, state: State, reason: &str) -> Result<Recorded> {
        let (lease, attempts) = (document.lease.to_string(), document.attempts.to_string());
        let version = document.version.as_ref().map_or("", FileVersionId::as_str);
        let job = document.job.as_ref().map_or("", TaskId::as_str);
        let recorded: String =
            self.invoke(&RECORD, &[&document.id, &lease, state.as_str(), version, job, reason, &attempts])?;
        Ok(match recorded.as_str() {
            "recorded" => Recorded::Yes,
            "resolved" => Recorded::Resolved,
            _ => Recorded::Lost,
        })
    }

    /// Renews the leases of documents, given with their ids, that this worker still has.
    ///
    /// # Errors
    ///
    /// As for all methods.
    pub fn renew(&mut self, worker: &str, leases: &[(String, u64)]) -> Result {
        let pairs: Vec<String> = leases.iter().flat_map(|(id, lease)| [id.clone(), lease.to_string()]).collect();
        let mut arguments = vec![worker];
        arguments.extend(pairs.iter().map(String::as_str));
        self.invoke(&RENEW, &arguments)
    }

    /// Gives a document back, so that another worker can take it at once.
    ///
    /// # Errors
    ///
    /// As for all methods.
    pub fn release(&mut self, worker: &str, id: &str, lease: u64) -> Result {
        self.invoke(&RELEASE, &[id, &lease.to_string(), worker])
    }

    /// Puts a document back that is in this state, [`Failed`](State::Failed) or [`InDoubt`](State::InDoubt). If its job is
    /// given, it is waited for. Returns whether the document was in that state.
    ///
    /// # Errors
    ///
    /// As for all methods.
    pub fn retry(&mut self, id: &str, state: State, job: Option<&str>) -> Result<bool> {
        self.invoke(&RETRY, &[id, state.as_str(), job.unwrap_or_default()])
    }

    /// Forgets workers that have no document: this one, and those that were not seen for an hour.
    ///
    /// # Errors
    ///
    /// As for all methods.
    pub fn tidy(&mut self, worker: &str) -> Result {
        self.invoke(&TIDY, &[worker])
    }

    /// The ids of the documents in a state, in the order in which they entered it.
    ///
    /// # Errors
    ///
    /// As for all methods.
    pub fn ids(&mut self, state: State) -> Result<Vec<String>> {
        let key = self.key_of(state);
        self.query(cmd("ZRANGE").arg(key).arg(0).arg(-1))
    }

    /// All fields of a document; none if there is no document with this id.
    ///
    /// # Errors
    ///
    /// As for all methods.
    pub fn fields(&mut self, id: &str) -> Result<HashMap<String, String>> {
        let key = format!("{}document:{id}", self.prefix);
        self.query(cmd("HGETALL").arg(key))
    }

    /// The key of the documents in a state.
    pub(crate) fn key_of(&self, state: State) -> String {
        format!("{}in:{}", self.prefix, state.as_str())
    }

    /// The key of the stream.
    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    fn invoke<T: FromRedisValue>(&mut self, script: &Script, arguments: &[&str]) -> Result<T> {
        let mut invocation = script.key(&self.stream);
        invocation.arg(&self.prefix).arg(arguments);
        self.run(|connection| invocation.invoke(connection))
    }

    /// Sends a command that reads, or that may be repeated.
    pub(crate) fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T> {
        self.run(|connection| command.query(connection))
    }

    /// Sends something that may be repeated, until it succeeds, or `patience` has passed.
    pub(crate) fn run<T>(&mut self, mut send: impl FnMut(&mut Connection) -> RedisResult<T>) -> Result<T> {
        let start = Instant::now();
        let mut pause = PAUSES.0;
        loop {
            let error = match self.connection().and_then(&mut send) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if error.code().is_none() {
                // Not a reply: the next one on this connection might answer an earlier command.
                self.connection = None;
            }
            if !is_temporary(&error) || start.elapsed() + pause > self.patience {
                return Err(self.describe(&error).into());
            }
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn connection(&mut self) -> RedisResult<&mut Connection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connection = self.client.get_connection_with_timeout(CONNECT_TIMEOUT)?;
                connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
                connection.set_write_timeout(Some(ANSWER_TIMEOUT))?;
                connection
            }
        };
        Ok(self.connection.insert(connection))
    }

    fn address(&self) -> String {
        format!("Redis at {}", self.client.get_connection_info().addr())
    }

    /// One line, which says what to do.
    fn describe(&self, error: &RedisError) -> String {
        let (address, seconds) = (self.address(), self.patience.as_secs_f64());
        match error.code() {
            Some("OOM") => format!("{address} is full: raise its `maxmemory`"),
            Some("NOAUTH" | "WRONGPASS") => refused(&address),
            _ if error.kind() == ErrorKind::AuthenticationFailed => refused(&address),
            _ if is_temporary(error) => format!("{address} cannot be used since {seconds} s: {error}"),
            _ => format!("{address}: {error}"),
        }
    }
}

fn refused(address: &str) -> String {
    format!("{address} refuses the password: set NOMIC_FLEET_REDIS to redis://:PASSWORD@HOST[:PORT]")
}

/// Whether Redis is away, starting, busy or full, rather than misused.
fn is_temporary(error: &RedisError) -> bool {
    is_transient(error) || error.kind() == ErrorKind::Parse || matches!(error.code(), Some("OOM" | "MISCONF" | "BUSY"))
}
