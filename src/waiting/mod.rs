//! Waiting for jobs: what can be waited for, how often it is polled, and when a wait ends.

// Rustdoc shows the methods of `Nomic` in this order.
mod wait;
mod polls;
mod wait_all;

mod scheduler;
pub(crate) mod task;

use std::time::Duration;

use crate::job_ref::JobRef;
use crate::nomic::Nomic;
use crate::open_enum::open_enum;

pub use self::polls::Polls;
pub use self::wait_all::WaitAll;

/// Default timeout of a wait: 30 minutes. [`WaitOptions::timeout`] changes it.
pub const DEFAULT_WAIT_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Default interval between polls in the initial phase of a wait: 1 second. [`WaitOptions::initial_interval`] changes it.
pub const DEFAULT_INITIAL_INTERVAL: Duration = Duration::from_secs(1);
/// Default length of the initial phase, after which the interval grows: 30 seconds. [`WaitOptions::initial_phase`] changes
/// it.
pub const DEFAULT_INITIAL_PHASE: Duration = Duration::from_secs(30);
/// Default maximum interval between polls: 15 seconds. [`WaitOptions::max_interval`] changes it.
pub const DEFAULT_MAX_INTERVAL: Duration = Duration::from_secs(15);
/// Time after which a wait ends if it has never reached the server: 60 seconds.
pub const UNREACHABLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time limit of each poll in a wait, so that a dead connection does not use up the whole wait: 60 seconds.
pub const POLL_TIMEOUT: Duration = Duration::from_secs(60);
/// Time that the final poll of a wait may take after the timeout: 5 seconds.
pub const FINAL_POLL_TIMEOUT: Duration = Duration::from_secs(5);

const MIN_INTERVAL: Duration = Duration::from_millis(1);

open_enum! {
    /// The status of a parse or extract job (inferred from the vendor's v1 API).
    ///
    /// [`Poll::Pending`] has the status as a string, as the service sent it: convert it with `JobStatus::from`. For agents,
    /// use [`AgentStatus`](crate::agents::AgentStatus).
    pub enum JobStatus {
        /// Not started yet.
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
/// use nomic_client::job::WaitOptions;
///
/// let short = WaitOptions::default().timeout(Duration::from_secs(90));
/// let patient = WaitOptions::default().initial_interval(Duration::from_secs(5)).max_interval(Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitOptions {
    /// How long to wait.
    pub timeout: Duration,
    /// The interval between polls in the initial phase, with a jitter of 10 %.
    pub initial_interval: Duration,
    /// The length of the initial phase, after which the interval grows.
    pub initial_phase: Duration,
    /// The maximum interval between polls.
    pub max_interval: Duration,
}

impl Default for WaitOptions {
    fn default() -> Self {
        Self {
            timeout: DEFAULT_WAIT_TIMEOUT,
            initial_interval: DEFAULT_INITIAL_INTERVAL,
            initial_phase: DEFAULT_INITIAL_PHASE,
            max_interval: DEFAULT_MAX_INTERVAL,
        }
    }
}

impl WaitOptions {
    /// How long to wait. A final poll is sent when the timeout is reached. Defaults to 30 minutes
    /// ([`DEFAULT_WAIT_TIMEOUT`]).
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The interval between polls in the initial phase, with a jitter of 10 %. Defaults to 1 second
    /// ([`DEFAULT_INITIAL_INTERVAL`]).
    #[must_use]
    pub fn initial_interval(self, initial_interval: Duration) -> Self {
        Self { initial_interval, ..self }
    }

    /// The length of the initial phase. After it, each interval is half as long again. Defaults to 30 seconds
    /// ([`DEFAULT_INITIAL_PHASE`]).
    #[must_use]
    pub fn initial_phase(self, initial_phase: Duration) -> Self {
        Self { initial_phase, ..self }
    }

    /// The maximum interval between polls. Defaults to 15 seconds ([`DEFAULT_MAX_INTERVAL`]).
    #[must_use]
    pub fn max_interval(self, max_interval: Duration) -> Self {
        Self { max_interval, ..self }
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

/// The outcome of a poll.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Poll<T> {
    /// The job has not ended, as far as this version knows.
    #[non_exhaustive]
    Pending {
        /// The status as the service sent it, which may be one that this version does not know.
        status: String,
    },
    /// The job ended with a result. An agent has finished or was stopped.
    Done(T),
    /// The job failed.
    #[non_exhaustive]
    Failed {
        /// The status as the service sent it.
        status: String,
        /// The service's message; empty if there is none.
        message: String,
    },
}

impl<T> Poll<T> {
    /// Creates the outcome of polling a job that is still running, for tests of your program.
    pub fn pending(status: impl Into<String>) -> Self {
        Self::Pending { status: status.into() }
    }

    /// Creates the outcome of polling a job that failed, for tests of your program.
    pub fn failed(status: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Failed { status: status.into(), message: message.into() }
    }

    /// Converts the result of a job that is done.
    pub(crate) fn map<U>(self, output: impl FnOnce(T) -> U) -> Poll<U> {
        match self {
            Self::Pending { status } => Poll::Pending { status },
            Self::Done(done) => Poll::Done(output(done)),
            Self::Failed { status, message } => Poll::Failed { status, message },
        }
    }

    /// Redacts the API key in the texts, which are used in errors and log records.
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

/// Something that runs on the server and can be waited for: a parse job, an extract job or an agent.
///
/// A job is plain data: store it, and any process can wait for it later. A job with a status that this version does not
/// know counts as running until it has an error or a result. The trait is sealed: it cannot be implemented outside this
/// crate.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job",
    note = "wait for a `ParseJob`, an `ExtractJob`, an `Agent`, an `AgentId` or a `JobRef`"
)]
pub trait Job: Clone + sealed::Pollable<<Self as Job>::Output> {
    /// The result of the job.
    type Output;
}

impl<J: Job> From<&J> for JobRef {
    fn from(job: &J) -> Self {
        job.job()
    }
}

pub(crate) mod sealed {
    use std::time::Duration;

    use super::Poll;
    use crate::error::{Error, Result};
    use crate::ids::AgentId;
    use crate::job_ref::JobRef;
    use crate::nomic::Nomic;

    /// How to poll a job.
    #[expect(unnameable_types, reason = "a sealed trait: its methods may change")]
    pub trait Pollable<T> {
        /// The job.
        fn job(&self) -> JobRef;

        /// Polls it once.
        fn poll_once(&self, nomic: &Nomic, timeout: Duration) -> Result<Poll<T>>;

        /// Polls many agents through their list.
        fn poll_list(_nomic: &Nomic, _agents: &[AgentId], _timeout: Duration) -> ListPoll {
            ListPoll { found: Vec::new(), requests: 0, error: None }
        }
    }

    /// The outcome of polling a list.
    #[derive(Debug)]
    #[expect(unnameable_types, reason = "part of a sealed trait")]
    pub struct ListPoll {
        /// The agents that were found in it.
        pub found: Vec<Listed>,
        /// How many requests were sent.
        pub requests: u32,
        /// The error that ended reading it.
        pub error: Option<Error>,
    }

    /// An agent in a list.
    #[derive(Debug)]
    #[expect(unnameable_types, reason = "part of a sealed trait")]
    pub struct Listed {
        /// Its index among those that were polled.
        pub index: usize,
        /// Its status.
        pub status: String,
        /// Whether it has ended.
        pub ended: bool,
    }
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
        assert_eq!(intervals.last(), Some(&DEFAULT_MAX_INTERVAL));
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
