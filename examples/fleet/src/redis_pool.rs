//! Blocking connections to one Redis server, and each failure in one line.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use redis::{Client, Connection, ErrorKind, IntoConnectionInfo, RedisError, RedisResult, ServerErrorKind};

/// What making a connection may take, and then writing a call and reading its answer. The look-up of the name is not
/// bounded.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The timeout at the deadline: enough for one answer, so that a deadline in the past can still take a free token.
const MIN_TIMEOUT: Duration = Duration::from_millis(100);
/// How many connections are kept. More are open while more threads are in a call.
const MAX_IDLE: usize = 8;
/// The pauses before a failed call is repeated: three times, over a little more than two seconds.
pub(crate) const PAUSES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1600)];

/// Why Redis could not be asked. It says what to do, and never holds the password.
#[derive(Debug)]
pub struct RedisFailure(String);

impl fmt::Display for RedisFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for RedisFailure {}

impl RedisFailure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// A client of the server at this URL. Nothing is sent yet.
pub(crate) fn open(url: &str) -> Result<Client, RedisFailure> {
    // Naming the library to the server would be another two commands for each connection.
    let open = |url: &str| {
        let info = url.into_connection_info()?;
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        Client::open(info.set_redis_settings(settings))
    };
    // The error of the crate is not shown: the URL holds the password.
    open(url).map_err(|_| {
        RedisFailure::new(
            "the URL of Redis is malformed: expected redis://:PASSWORD@HOST:PORT/DB, or rediss:// for TLS",
        )
    })
}

/// Connections to one server. A thread has one only during a call.
pub(crate) struct RedisPool {
    client: Client,
    /// Host and port.
    address: String,
    idle: Mutex<Vec<Connection>>,
}

impl RedisPool {
    /// A pool without connections: they are made when they are needed.
    pub(crate) fn new(url: &str) -> Result<Self, RedisFailure> {
        let client = open(url)?;
        let address = client.get_connection_info().addr().to_string();
        Ok(Self { client, address, idle: Mutex::default() })
    }

    /// Calls Redis, and again after each of the pauses if the failure may pass, but not after the deadline.
    pub(crate) fn call<T>(
        &self,
        deadline: Instant,
        pauses: &[Duration],
        call: impl Fn(&mut Connection) -> RedisResult<T>,
    ) -> Result<T, RedisFailure> {
        let mut pauses = pauses.iter();
        loop {
            let error = match self.attempt(deadline, &call) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match pauses.next() {
                Some(pause) if is_transient(&error) && Instant::now() + *pause < deadline => thread::sleep(*pause),
                _ => return Err(self.describe(&error)),
            }
        }
    }

    fn attempt<T>(&self, deadline: Instant, call: impl Fn(&mut Connection) -> RedisResult<T>) -> RedisResult<T> {
        let timeout = || deadline.saturating_duration_since(Instant::now()).clamp(MIN_TIMEOUT, TIMEOUT);
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            // Half, because the crate waits that long for each of AUTH and SELECT.
            None => self.client.get_connection_with_timeout(timeout() / 2)?,
        };
        let timeout = timeout();
        connection.set_read_timeout(Some(timeout))?;
        connection.set_write_timeout(Some(timeout))?;
        let answer = call(&mut connection);
        let mut idle = self.idle();
        match &answer {
            // A server that went away has closed the other connections, too.
            Err(error) if !matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) => idle.clear(),
            _ if idle.len() < MAX_IDLE => idle.push(connection),
            _ => {}
        }
        answer
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, error: &RedisError) -> RedisFailure {
        let at = &self.address;
        let message = match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS")) => {
                format!("Redis at {at} refuses the password")
            }
            (_, Some("NOAUTH")) => {
                format!("Redis at {at} requires a password: add it to the URL, as in redis://:PASSWORD@{at}")
            }
            (_, Some("READONLY")) => format!("Redis at {at} is a read-only replica: use the URL of the primary"),
            (_, Some("LOADING")) => format!("Redis at {at} is still loading its data: try again later"),
            (ErrorKind::Io, _) if error.to_string().starts_with("invalid peer certificate") => {
                format!("Redis at {at} has a certificate that is not trusted: {}", one_line(&error.to_string()))
            }
            (ErrorKind::Io, _) => format!("Redis at {at} does not answer: {}", cause(error)),
            _ => format!("Redis at {at} failed: {}", one_line(&error.to_string())),
        };
        RedisFailure(message)
    }
}

/// Whether the same call may succeed in a moment.
pub(crate) fn is_transient(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly, TryAgain};
    let is_busy =
        matches!(error.kind(), ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | ReadOnly | TryAgain));
    is_busy || error.is_io_error()
}

fn cause(error: &RedisError) -> String {
    if error.is_timeout() {
        "timed out".to_owned()
    } else if error.is_connection_refusal() {
        "connection refused".to_owned()
    } else if error.is_connection_dropped() {
        "connection closed".to_owned()
    } else {
        one_line(&error.to_string())
    }
}

/// The beginning of a text, without control characters.
fn one_line(text: &str) -> String {
    text.chars().take(200).map(|character| if character.is_control() { ' ' } else { character }).collect()
}
