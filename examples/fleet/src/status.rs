//! How far a queue is: counts, rate, and workers.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use redis::{Value, cmd};
use serde::Serialize;

use crate::document::State;
use crate::queue::{Queue, Result};

/// The rate is that of the last minute.
const WINDOW_MS: u64 = 60_000;

/// How far a queue is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The name of the queue.
    pub queue: String,
    /// The number of all documents.
    pub documents: u64,
    /// The number of documents in each state.
    pub states: BTreeMap<State, u64>,
    /// Documents that were done in the last minute, or since the first was done, as a rate per minute.
    pub per_minute: f64,
    /// The time until all are done at this rate; `None` if none was done lately.
    pub seconds_left: Option<u64>,
    /// The workers that have documents, or were seen lately.
    pub workers: Vec<WorkerStatus>,
}

/// A worker.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerStatus {
    /// Its host, process and a random number.
    pub name: String,
    /// The number of documents that it has.
    pub documents: u64,
    /// When it last asked for a document or renewed its leases, in seconds before now.
    pub seen_seconds_ago: f64,
}

impl Status {
    /// Reads the status of a queue.
    ///
    /// # Errors
    ///
    /// If Redis cannot be used.
    pub fn read(queue: &mut Queue) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let done = queue.key_of(State::Done);
        let mut states = BTreeMap::new();
        for state in State::ALL {
            let key = queue.key_of(state);
            states.insert(state, queue.query::<u64>(cmd("ZCARD").arg(key))?);
        }
        let since = now.saturating_sub(WINDOW_MS);
        let lately: u64 = queue.query(cmd("ZCOUNT").arg(&done).arg(since).arg("+inf"))?;
        let first: Vec<(String, f64)> = queue.query(cmd("ZRANGE").arg(&done).arg(0).arg(0).arg("WITHSCORES"))?;

        let of = |state| states.get(&state).copied().unwrap_or_default();
        let documents = states.values().sum();
        let left: u64 = documents - of(State::Done) - of(State::Failed) - of(State::InDoubt);
        let since_first = first.first().map_or(WINDOW_MS, |(_, time)| now.saturating_sub(*time as u64));
        let window = since_first.clamp(1000, WINDOW_MS) as f64;
        let per_minute = lately as f64 * 60_000.0 / window;
        let seconds_left = match left {
            0 => Some(0),
            _ if per_minute > 0.0 => Some((left as f64 * 60.0 / per_minute).ceil() as u64),
            _ => None,
        };
        let workers = workers(queue)?;
        Ok(Self { queue: queue.name.clone(), documents, states, per_minute, seconds_left, workers })
    }
}

/// The members of the stream's group.
fn workers(queue: &mut Queue) -> Result<Vec<WorkerStatus>> {
    let mut info = cmd("XINFO");
    info.arg("CONSUMERS").arg(queue.stream()).arg("workers");
    let consumers: Vec<BTreeMap<String, Value>> = queue.run(|connection| match info.query(connection) {
        // Without a stream there are none.
        Err(error) if matches!(error.code(), Some("ERR" | "NOGROUP")) => Ok(Vec::new()),
        consumers => consumers,
    })?;
    let number = |value: Option<&Value>| match value {
        Some(Value::Int(number)) => *number as u64,
        _ => 0,
    };
    let workers = consumers.iter().map(|consumer| WorkerStatus {
        name: match consumer.get("name") {
            Some(Value::BulkString(name)) => String::from_utf8_lossy(name).into_owned(),
            _ => String::new(),
        },
        documents: number(consumer.get("pending")),
        seen_seconds_ago: number(consumer.get("idle")) as f64 / 1000.0,
    });
    Ok(workers.filter(|worker| worker.documents > 0 || worker.seen_seconds_ago < 60.0).collect())
}

/// A table of several lines.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queue, documents, states, per_minute, seconds_left, workers } = self;
        writeln!(f, "queue {queue}: {documents} documents")?;
        for (state, count) in states {
            writeln!(f, "  {:12} {count:>8}", state.as_str().replace('_', " "))?;
        }
        write!(f, "{per_minute:.1} a minute")?;
        match seconds_left {
            Some(0) => writeln!(f, ", nothing left to do")?,
            Some(seconds) => writeln!(f, ", {}:{:02} h left", seconds / 3600, seconds / 60 % 60)?,
            None => writeln!(f, ", none done in the last minute")?,
        }
        for WorkerStatus { name, documents, seen_seconds_ago } in workers {
            writeln!(f, "  {name:32} {documents:>4} in hand, seen {seen_seconds_ago:.0} s ago")?;
        }
        let has = |state| states.get(&state).is_some_and(|count| *count > 0);
        if has(State::Failed) || has(State::InDoubt) {
            writeln!(f, "`fleet retry` lists the documents that failed or are in doubt")?;
        }
        Ok(())
    }
}
