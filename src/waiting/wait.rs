//! Waiting for one job.

use std::time::{Duration, Instant};

use super::{Job, Poll, UNREACHABLE_TIMEOUT, WaitOptions};
use crate::error::{Error, ErrorKind, JobError, JobFailure, Name, Result};
use crate::nomic::Nomic;

impl Nomic {
    /// Waits until a job has ended, for up to 30 minutes ([`DEFAULT_WAIT_TIMEOUT`](super::DEFAULT_WAIT_TIMEOUT)), and
    /// returns its result.
    ///
    /// Polls immediately, then every second for half a minute, then less often, down to every 15 seconds. Transient poll
    /// errors, such as a broken connection or a 503, are retried; permanent ones end the wait.
    ///
    /// | job | `Ok` | `Err` with [`is_job_failed()`](Error::is_job_failed) |
    /// | --- | --- | --- |
    /// | [`ParseJob`](crate::parse::ParseJob) | [`Parsed`](crate::parse::Parsed), at `COMPLETED` | at `FAILED` |
    /// | [`ExtractJob`](crate::extract::ExtractJob) | [`Extracted`](crate::extract::Extracted), at `COMPLETED` | at `FAILED` |
    /// | [`Agent`](crate::agents::Agent), [`AgentId`](crate::AgentId) | the [`Agent`](crate::agents::Agent), at `finished` **or `stopped`**: check its `status` | at `failed` |
    /// | [`JobRef`](crate::job::JobRef) | [`JobOutput`](crate::job::JobOutput), with one of the above | as for the job's kind |
    ///
    /// A poll is `GET /parse/{taskId}` or `GET /extract/{taskId}` (both scope `developer:parse`, inferred) or
    /// `GET /agents/{id}` (scope `developer:agent`), in the standard tier. It may take up to 60 seconds
    /// ([`POLL_TIMEOUT`](super::POLL_TIMEOUT)), including reading the result.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Job`](crate::ErrorKind::Job), which holds the job ([`Error::job`]) and why the wait ended:
    ///
    /// - [`Failed`](JobFailure::Failed): the job failed on the server.
    /// - [`TimedOut`](JobFailure::TimedOut): no poll showed that the job has ended; you can wait for it again. If the server
    ///   asks for a delay that exceeds the timeout, this error is returned immediately, with the delay in
    ///   [`Error::retry_after`].
    /// - [`PollFailed`](JobFailure::PollFailed): a poll failed with a permanent error (401 for an invalid key, 404 for an
    ///   unknown job, a response that cannot be decoded), or the server was never reached within 60 seconds
    ///   ([`UNREACHABLE_TIMEOUT`]).
    ///
    /// [`ErrorKind::ResultAtUrl`](crate::ErrorKind::ResultAtUrl) if the job is completed, but the service sent a URL in place
    /// of its result.
    ///
    /// A job whose status this version does not know has ended if the response has an error or a result.
    #[doc(alias("get_parse", "get_extract", "get_agent"))]
    pub fn wait<J: Job>(&self, job: &J) -> Result<J::Output> {
        self.wait_with(job, &WaitOptions::default())
    }

    /// Waits like [`wait`](Self::wait), with a custom timeout and intervals.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_with<J: Job>(&self, job: &J, options: &WaitOptions) -> Result<J::Output> {
        let mut state = WaitState::new(Instant::now());
        for poll in self.polls_with(job, options) {
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
    /// 404 if the job is unknown. A failed job is not an error: the outcome is [`Poll::Failed`].
    #[doc(alias("get_parse", "get_extract", "get_agent"))]
    pub fn poll<J: Job>(&self, job: &J) -> Result<Poll<J::Output>> {
        job.poll_once(self, Duration::MAX).map(|poll| poll.redacted(self))
    }
}

/// The state of a wait for one job.
#[derive(Debug)]
pub(super) struct WaitState {
    started: Instant,
    /// May be later than `started` if there are many jobs.
    pub(super) first_poll: Option<Instant>,
    polls: u32,
    last_status: Option<String>,
    /// The error of the last poll, if it failed.
    last_error: Option<Error>,
}

impl WaitState {
    pub(super) fn new(started: Instant) -> Self {
        Self { started, first_poll: None, polls: 0, last_status: None, last_error: None }
    }

    /// Records a poll, and returns the outcome of the wait if the poll ended it.
    pub(super) fn record<J: Job>(
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
            // The job has ended.
            Err(error) if matches!(error.kind(), ErrorKind::ResultAtUrl { .. }) => return Some(Err(error)),
            Err(error) => {
                // A wrong domain looks like an outage, but an outage follows at least one successful poll.
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

    pub(super) fn timed_out<J: Job>(&mut self, job: &J) -> Error {
        self.error(job, JobFailure::TimedOut, String::new())
    }

    fn error<J: Job>(&mut self, job: &J, failure: JobFailure, message: String) -> Error {
        let job = job.job();
        let kind = ErrorKind::Job(JobError {
            failure,
            status: self.last_status.take(),
            message,
            elapsed: self.started.elapsed(),
            polls: self.polls,
            source: self.last_error.take(),
        });
        Error::new(Name::from(job.operation().name), kind).with(|error| error.job = Some(job))
    }
}

/// Whether a failed poll is worth retrying. Unlike a submit, a poll may retry any 429 or 503: the job exists, and polling
/// is free.
pub(super) fn worth_retrying(error: &Error) -> bool {
    error.is_transient() || matches!(error.status(), Some(429 | 503))
}
