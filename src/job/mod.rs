//! Waiting for jobs: when to poll, when to stop, and how not to lose a job.
//!
//! A [`Job`] runs on the server: a [`ParseJob`](crate::parse::ParseJob), an [`ExtractJob`](crate::extract::ExtractJob),
//! an [`Agent`](crate::agents::Agent), or an agent's id. [`Nomic::wait`] shows what each of them gives.
//!
//! | method | gives |
//! | --- | --- |
//! | [`wait`](Nomic::wait) | the result, within 30 minutes |
//! | [`wait_with`](Nomic::wait_with) | the result, with a timeout and intervals of your own: [`WaitOptions`] |
//! | [`polls`](Nomic::polls) | what each poll found, to show progress or to stop early |
//! | [`poll`](Nomic::poll) | what one poll found, without waiting |
//! | [`wait_all`](Nomic::wait_all) | the results of many jobs, each as it ends |
//!
//! A job is plain data. Store it before you wait, and it outlives your program:
//!
//! ```no_run
//! use std::time::Duration;
//! use nomic_client::{Nomic, WaitOptions, parse::ParseJob};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let nomic = Nomic::from_env()?;
//! # let job = nomic.parse_job("019abc12");
//! std::fs::write("job.json", serde_json::to_string(&job)?)?;
//! // Here, or in another process on another day:
//! let job: ParseJob = serde_json::from_str(&std::fs::read_to_string("job.json")?)?;
//! match nomic.wait_with(&job, &WaitOptions::with_timeout(Duration::from_secs(90))) {
//!     Ok(parsed) => println!("{}", parsed.text()),
//!     Err(error) if error.is_job_failed() => println!("the job failed: {error}"),
//!     Err(error) if error.is_timeout() => println!("still running; wait again later"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Show progress:
//!
//! ```no_run
//! use nomic_client::{Nomic, Poll, WaitOptions};
//!
//! # let nomic = Nomic::from_env()?;
//! # let job = nomic.parse_job("019abc12");
//! for poll in nomic.polls(&job, &WaitOptions::default()) {
//!     match poll {
//!         Ok(Poll::Pending { status, .. }) => println!("{status} …"),
//!         Ok(Poll::Done(parsed)) => println!("{}", parsed.text()),
//!         Ok(Poll::Failed { message, .. }) => println!("failed: {message}"),
//!         Ok(_) => {}
//!         Err(error) => println!("{error}"), // the loop ends by itself after a permanent error
//!     }
//! }
//! # Ok::<(), nomic_client::Error>(())
//! ```

mod polls;
mod scheduler;
pub(crate) mod task;
mod wait_all;

use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, JobError, JobFailure, Name, Result};
use crate::nomic::Nomic;
use crate::open_enum::open_enum;

pub use self::polls::Polls;
pub use self::wait_all::WaitAll;

/// 30 minutes: how long [`Nomic::wait`] waits for a job.
pub const DEFAULT_WAIT_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// 1 second: the interval between polls in the initial phase of a wait.
pub const INITIAL_INTERVAL: Duration = Duration::from_secs(1);
/// 30 seconds: the initial phase, after which the interval grows.
pub const INITIAL_PHASE: Duration = Duration::from_secs(30);
/// 15 seconds: the longest interval between polls.
pub const MAX_INTERVAL: Duration = Duration::from_secs(15);
/// 60 seconds: how long a wait goes on if it never reaches the server.
pub const UNREACHABLE_TIMEOUT: Duration = Duration::from_secs(60);
/// 60 seconds: the time limit of each poll in a wait, so that a dead connection does not use up the whole wait.
pub const POLL_TIMEOUT: Duration = Duration::from_secs(60);
/// 5 seconds: the time that the final poll of a wait may take after the timeout.
pub const FINAL_POLL_TIMEOUT: Duration = Duration::from_secs(5);

const MIN_INTERVAL: Duration = Duration::from_millis(1);

open_enum! {
    /// The status of a parse or extract job (inferred; the values of the vendor's v1 API).
    ///
    /// Polls give the status as the service sent it. Convert the string of [`Poll::Pending`]; for an agent use
    /// [`AgentStatus`](crate::agents::AgentStatus).
    pub enum JobStatus {
        /// Not started.
        Waiting = "WAITING",
        /// Running.
        Building = "BUILDING",
        /// Ended with a result.
        Completed = "COMPLETED",
        /// Ended without a result.
        Failed = "FAILED",
    }
}

/// How long to wait for a job, and how often to poll it.
///
/// ```
/// use std::time::Duration;
/// use nomic_client::WaitOptions;
///
/// let short = WaitOptions::with_timeout(Duration::from_secs(90));
/// let slow = WaitOptions { initial_interval: Duration::from_secs(5), ..WaitOptions::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitOptions {
    /// How long to wait. The final poll is sent when this time is up. Defaults to 30 minutes ([`DEFAULT_WAIT_TIMEOUT`]).
    pub timeout: Duration,
    /// The interval between polls in the initial phase, with 10 % of jitter. Defaults to 1 second
    /// ([`INITIAL_INTERVAL`]).
    pub initial_interval: Duration,
    /// The initial phase. After it, the interval grows by half with each poll. Defaults to 30 seconds
    /// ([`INITIAL_PHASE`]).
    pub initial_phase: Duration,
    /// The longest interval between polls. Defaults to 15 seconds ([`MAX_INTERVAL`]).
    pub max_interval: Duration,
}

impl Default for WaitOptions {
    fn default() -> Self {
        Self {
            timeout: DEFAULT_WAIT_TIMEOUT,
            initial_interval: INITIAL_INTERVAL,
            initial_phase: INITIAL_PHASE,
            max_interval: MAX_INTERVAL,
        }
    }
}

impl WaitOptions {
    /// The default intervals, with another timeout.
    #[must_use]
    pub fn with_timeout(timeout: Duration) -> Self {
        Self { timeout, ..Self::default() }
    }

    /// The interval before the next poll; `previous` is zero before the first.
    fn next_interval(&self, elapsed: Duration, previous: Duration) -> Duration {
        let grown = if elapsed < self.initial_phase { Duration::ZERO } else { previous.saturating_mul(3) / 2 };
        grown.max(self.initial_interval).min(self.max_interval).max(MIN_INTERVAL)
    }
}

/// The time limit of a poll when this much of the wait is left.
fn poll_timeout(left: Duration) -> Duration {
    left.min(POLL_TIMEOUT).max(FINAL_POLL_TIMEOUT)
}

/// What a poll found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Poll<T> {
    /// The job is still running.
    #[non_exhaustive]
    Pending {
        /// The status as the service sent it. It may be one that this version does not know.
        status: String,
    },
    /// The job ended with a result. An agent has finished, or was stopped.
    Done(T),
    /// The job failed.
    #[non_exhaustive]
    Failed {
        /// The status as the service sent it.
        status: String,
        /// The message of the service; empty if it gave none.
        message: String,
    },
}

impl<T> Poll<T> {
    /// Removes the API key from the texts, which go into errors and logs.
    fn redacted(self, nomic: &Nomic) -> Self {
        match self {
            Self::Pending { status } => Self::Pending { status: nomic.redacted(&status) },
            Self::Failed { status, message } => {
                Self::Failed { status: nomic.redacted(&status), message: nomic.redacted(&message) }
            }
            done => done,
        }
    }
}

/// Something that runs on the server and can be waited for: a parse job, an extract job, an agent.
///
/// A job is plain data. Store it, and any process can wait for it later. [`Nomic::wait`] shows what each of them gives.
/// With a status that this version does not know, a job is still running.
pub trait Job: sealed::Pollable {}

impl<J: sealed::Pollable> Job for J {}

pub(crate) mod sealed {
    use std::time::Duration;

    use super::Poll;
    use crate::error::{Error, Result};
    use crate::job_ref::JobRef;
    use crate::nomic::Nomic;
    use crate::operations::Operation;

    /// How to poll a job. It cannot be implemented outside of this crate.
    #[expect(unnameable_types, reason = "a sealed trait: its methods may change")]
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is not a job",
        note = "wait for a `ParseJob`, an `ExtractJob`, an `Agent` or an `AgentId`"
    )]
    pub trait Pollable: Clone {
        /// What the job gives.
        type Output;

        /// The operation that polls.
        const OPERATION: &'static Operation;

        /// Whether the service lists these jobs.
        const LISTED: bool = false;

        /// The job.
        fn job(&self) -> JobRef;

        /// Polls the job once.
        fn poll_once(&self, nomic: &Nomic, timeout: Duration) -> Result<Poll<Self::Output>>;

        /// Polls many jobs through the list.
        fn poll_list(_nomic: &Nomic, _jobs: &[&Self], _timeout: Duration) -> ListPoll<Self::Output> {
            ListPoll { found: Vec::new(), requests: 0, error: None }
        }
    }

    /// What the list shows.
    #[derive(Debug)]
    #[expect(unnameable_types, reason = "part of a sealed trait")]
    pub struct ListPoll<T> {
        /// The jobs that the list shows, each with its index among those that were polled.
        pub found: Vec<(usize, Poll<T>)>,
        /// How many requests were sent.
        pub requests: u32,
        /// Why the list was not read to its end.
        pub error: Option<Error>,
    }
}

impl Nomic {
    /// Waits until a job has ended, for up to 30 minutes ([`DEFAULT_WAIT_TIMEOUT`]), and returns its result.
    ///
    /// Polls immediately, then every second for half a minute, then less often, down to every 15 seconds. Transient poll
    /// errors, like a broken connection or a 503, are retried; permanent ones end the wait.
    ///
    /// | job | `Ok` | `Err`, for which [`is_job_failed`](Error::is_job_failed) holds |
    /// | --- | --- | --- |
    /// | [`ParseJob`](crate::parse::ParseJob) | [`Parsed`](crate::parse::Parsed), at `COMPLETED` | at `FAILED` |
    /// | [`ExtractJob`](crate::extract::ExtractJob) | [`Extracted`](crate::extract::Extracted), at `COMPLETED` | at `FAILED` |
    /// | [`Agent`](crate::agents::Agent), [`AgentId`](crate::AgentId) | the [`Agent`](crate::agents::Agent), at `finished` **or `stopped`**: check its `status` | at `failed` |
    ///
    /// A poll is `GET /parse/{taskId}` or `GET /extract/{taskId}` (both scope `developer:parse`, inferred) or
    /// `GET /agents/{id}` (scope `developer:agent`), in the standard tier. It may take up to 60 seconds ([`POLL_TIMEOUT`]),
    /// reading the result included.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Job`](crate::ErrorKind::Job), which holds the job ([`Error::job`]) and why the wait ended:
    ///
    /// - [`Failed`](JobFailure::Failed): the job failed on the server.
    /// - [`TimedOut`](JobFailure::TimedOut): the job is still running. Wait for it again. If the server asks to wait for
    ///   longer than the timeout allows, this error comes at once, and [`Error::retry_after`] says how long.
    /// - [`PollFailed`](JobFailure::PollFailed): a poll failed with a permanent error (401 for an invalid key, 404 for an unknown job,
    ///   an unreadable answer), or the server was never reached within 60 seconds ([`UNREACHABLE_TIMEOUT`]).
    #[doc(alias("get_parse", "get_extract", "get_agent"))]
    pub fn wait<J: Job>(&self, job: &J) -> Result<J::Output> {
        self.wait_with(job, &WaitOptions::default())
    }

    /// Waits like [`wait`](Self::wait), with a timeout and intervals of your own.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_with<J: Job>(&self, job: &J, options: &WaitOptions) -> Result<J::Output> {
        let mut state = WaitState::new(Instant::now());
        for poll in self.polls(job, options) {
            if let Some(outcome) = state.record(job, poll, options) {
                return outcome;
            }
        }
        Err(state.timed_out(job))
    }

    /// Polls a job once, without waiting: the request that [`wait`](Self::wait) repeats, within the
    /// [deadline](crate::Builder::deadline) of a call.
    ///
    /// # Errors
    ///
    /// 404 if the job is unknown. A failed job is not an error here, but [`Poll::Failed`].
    #[doc(alias("get_parse", "get_extract", "get_agent"))]
    pub fn poll<J: Job>(&self, job: &J) -> Result<Poll<J::Output>> {
        job.poll_once(self, Duration::MAX).map(|poll| poll.redacted(self))
    }
}

/// What is known of a job while it is waited for.
#[derive(Debug)]
struct WaitState {
    started: Instant,
    /// Later than `started` for one of many jobs.
    first_poll: Option<Instant>,
    polls: u32,
    last_status: Option<String>,
    /// Why the last poll failed.
    last_error: Option<Error>,
}

impl WaitState {
    fn new(started: Instant) -> Self {
        Self { started, first_poll: None, polls: 0, last_status: None, last_error: None }
    }

    /// Records a poll and returns the outcome, if there is one.
    fn record<J: Job>(
        &mut self,
        job: &J,
        poll: Result<Poll<J::Output>>,
        options: &WaitOptions,
    ) -> Option<Result<J::Output>> {
        self.polls += 1;
        let (failure, message) = match poll {
            Ok(Poll::Done(output)) => return Some(Ok(output)),
            Ok(Poll::Pending { status }) => {
                (self.last_status, self.last_error) = (Some(status), None);
                return None;
            }
            Ok(Poll::Failed { status, message }) => {
                (self.last_status, self.last_error) = (Some(status), None);
                (JobFailure::Failed, message)
            }
            Err(error) => {
                // A wrong domain looks like an outage, but an outage begins after an answer.
                let unreached = self.last_status.is_none() && error.is_unreachable();
                let elapsed = self.first_poll.unwrap_or(self.started).elapsed();
                let gives_up = unreached && elapsed >= UNREACHABLE_TIMEOUT.min(options.timeout);
                let retries = worth_retrying(&error) && !gives_up;
                if retries {
                    log::warn!(target: "nomic_client", "waiting for {}: {error}", job.job());
                }
                self.last_error = Some(error);
                if retries {
                    return None;
                }
                (JobFailure::PollFailed, String::new())
            }
        };
        Some(Err(self.error(job, failure, message)))
    }

    fn timed_out<J: Job>(&mut self, job: &J) -> Error {
        self.error(job, JobFailure::TimedOut, String::new())
    }

    fn error<J: Job>(&mut self, job: &J, failure: JobFailure, message: String) -> Error {
        let kind = ErrorKind::Job(JobError {
            failure,
            status: self.last_status.take(),
            message,
            elapsed: self.started.elapsed(),
            polls: self.polls,
            source: self.last_error.take(),
        });
        Error::new(Name::from(J::OPERATION.name), kind).with(|error| error.job = Some(job.job()))
    }
}

/// Whether a failed poll is worth retrying. Unlike a submit, a poll may retry any 429 or 503: the job exists, and polling
/// is free.
fn worth_retrying(error: &Error) -> bool {
    error.is_transient() || matches!(error.status(), Some(429 | 503))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn polls_come_every_second_at_first_and_then_less_often() {
        let options = WaitOptions::default();
        let (mut elapsed, mut interval, mut intervals) = (Duration::ZERO, Duration::ZERO, Vec::new());
        while elapsed < SECOND * 120 {
            interval = options.next_interval(elapsed, interval);
            intervals.push(interval);
            elapsed += interval;
        }
        assert!(intervals[..30].iter().all(|interval| *interval == SECOND), "{intervals:?}");
        assert!(intervals[30..36].windows(2).all(|pair| pair[0] < pair[1]), "{intervals:?}");
        assert_eq!(intervals.last(), Some(&MAX_INTERVAL));
    }

    #[test]
    fn a_poll_ends_with_the_wait_but_for_a_dead_connection_earlier_and_for_the_final_poll_later() {
        assert_eq!(poll_timeout(SECOND * 1800), SECOND * 60);
        assert_eq!(poll_timeout(SECOND * 30), SECOND * 30);
        assert_eq!(poll_timeout(Duration::ZERO), SECOND * 5);
    }

    #[test]
    fn no_interval_overflows_or_polls_in_a_busy_loop() {
        for interval in [Duration::ZERO, Duration::MAX] {
            let options = WaitOptions {
                timeout: Duration::MAX,
                initial_interval: interval,
                initial_phase: Duration::ZERO,
                max_interval: interval,
            };
            let mut previous = Duration::ZERO;
            for _ in 0..50 {
                previous = options.next_interval(SECOND, previous);
                assert!(previous >= MIN_INTERVAL);
            }
        }
    }
}
