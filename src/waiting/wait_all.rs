//! Waiting for many jobs and yielding each as it ends.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use super::scheduler::{Action, Scheduler};
use super::sealed::Listed;
use super::wait::{WaitState, worth_retrying};
use super::{FINAL_POLL_TIMEOUT, Job, JobRef, Poll, WaitOptions, poll_timeout};
use crate::error::{Error, Result};
use crate::ids::AgentId;
use crate::nomic::Nomic;
use crate::operations::Tier;
use crate::rate_limit::FAR_FUTURE;

impl Nomic {
    /// Waits for many jobs, for up to 30 minutes each ([`DEFAULT_WAIT_TIMEOUT`](super::DEFAULT_WAIT_TIMEOUT)), and yields
    /// each job with its result as it ends. See [`wait`](Self::wait) for the result of each kind of job. To wait for jobs
    /// of different kinds together, pass them as [`JobRef`]s.
    ///
    /// The polls stay within the rate limit, however many jobs there are, and polls that find a job still running use at
    /// most half of it. Agents are polled through the service's list, a hundred with each request, and once individually
    /// when they have ended. Parse and extract jobs have no list: they are polled one by one, mostly in the given order, so
    /// pass them in the order of submission. With very many jobs, a result may be found some time after its job has ended.
    ///
    /// All polling happens on the thread that iterates. While your code handles a result, no job is polled, and the time
    /// does not count towards the timeout. A job that was never polled gets one final poll before it is reported as timed
    /// out, unless twice its timeout has passed.
    ///
    /// The requests are those of [`wait`](Self::wait), and `GET /agents` · scope `developer:agent` · standard tier
    ///
    /// ```no_run
    /// # use nomic_client::Nomic;
    /// let nomic = Nomic::from_env()?;
    /// let mut jobs = Vec::new();
    /// for plan in ["ground-floor.pdf", "first-floor.pdf"] {
    ///     let file = nomic.upload_file(plan)?;
    ///     jobs.push(nomic.parse(&file.file_version_id)?);
    /// }
    /// for (job, parsed) in nomic.wait_all(jobs) {
    ///     match parsed {
    ///         Ok(parsed) => println!("{}: {} pages", job.task_id, parsed.pages().len()),
    ///         Err(error) => eprintln!("{error}"),
    ///     }
    /// }
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    pub fn wait_all<J: Job>(&self, jobs: impl IntoIterator<Item = J>) -> WaitAll<J> {
        self.wait_all_with(jobs, &WaitOptions::default())
    }

    /// Waits like [`wait_all`](Self::wait_all), with a custom timeout and intervals. The timeout of each job starts when the
    /// job is added.
    pub fn wait_all_with<J: Job>(&self, jobs: impl IntoIterator<Item = J>, options: &WaitOptions) -> WaitAll<J> {
        let mut all = WaitAll {
            nomic: self.clone(),
            options: *options,
            scheduler: Scheduler::new(*options),
            jobs: BTreeMap::new(),
            next_index: 0,
            ready: VecDeque::new(),
            not_before: None,
            excluded_since: None,
        };
        jobs.into_iter().for_each(|job| all.push(job));
        all
    }
}

/// An iterator over jobs and their results, in the order in which the jobs end, created by [`Nomic::wait_all`]. It yields
/// each job once.
///
/// A job without a result is yielded with the error that [`Nomic::wait`] would return. If
/// [`is_timeout`](Error::is_timeout) is true, the job may still be running: [`push`](Self::push) it to wait for it again. If
/// your program has to stop, store the [`pending`](Self::pending) jobs.
#[must_use = "nothing is sent until it is iterated"]
pub struct WaitAll<J: Job> {
    nomic: Nomic,
    options: WaitOptions,
    scheduler: Scheduler,
    jobs: BTreeMap<usize, (J, WaitState)>,
    next_index: usize,
    ready: VecDeque<(J, Result<J::Output>)>,
    /// When the server's `Retry-After` ends.
    not_before: Option<Instant>,
    /// Since when time is excluded from the timeouts, because a result is being read or handled.
    excluded_since: Option<Instant>,
}

impl<J: Job> WaitAll<J> {
    /// Adds a job. You can call this at any time, for example between two results.
    pub fn push(&mut self, job: J) {
        let now = Instant::now();
        self.count_excluded(now);
        self.excluded_since = Some(now);
        self.scheduler.add(self.next_index, matches!(job.job(), JobRef::Agent(_)), now);
        self.jobs.insert(self.next_index, (job, WaitState::new(now)));
        self.next_index += 1;
    }

    /// The jobs that have not been yielded. Store them if your program has to stop.
    pub fn pending(&self) -> impl Iterator<Item = &J> {
        self.ready.iter().map(|(job, _)| job).chain(self.jobs.values().map(|(job, _)| job))
    }

    fn count_excluded(&mut self, now: Instant) {
        if let Some(since) = self.excluded_since.take() {
            self.scheduler.exclude(now.saturating_duration_since(since));
        }
    }

    fn poll(&mut self, index: usize, timeout: Duration) {
        let Some((job, state)) = self.jobs.get_mut(&index) else { return };
        let started = Instant::now();
        state.first_poll.get_or_insert(started);
        let poll = job.poll_once(&self.nomic, timeout);
        let now = Instant::now();
        if let Err(error) = &poll {
            self.obey_retry_after(error, now);
        }
        let ended = self.record(index, poll);
        if ended {
            // Reading a large result may take long.
            self.excluded_since = Some(started);
        }
        self.scheduler.polled(index, now, ended);
    }

    fn poll_list(&mut self, timeout: Duration) {
        let agent = |(index, (job, _)): (&usize, &(J, WaitState))| match job.job() {
            JobRef::Agent(id) => Some((*index, id)),
            _ => None,
        };
        let (indices, agents): (Vec<usize>, Vec<AgentId>) = self.jobs.iter().filter_map(agent).unzip();
        let poll = J::poll_list(&self.nomic, &agents, timeout);
        let now = Instant::now();
        let mut shown = Vec::with_capacity(poll.found.len());
        for Listed { index, status, ended } in poll.found {
            let index = indices[index];
            if !ended {
                self.record(index, Ok(Poll::Pending { status }));
            }
            shown.push((index, ended));
        }
        match poll.error {
            None => self.scheduler.list_polled(&shown, poll.requests, now),
            Some(error) => {
                log::warn!(target: "nomic_client", "polling the list: {error}");
                self.obey_retry_after(&error, now);
                shown.iter().for_each(|(index, ended)| self.scheduler.list_showed(*index, *ended, now));
                self.scheduler.list_failed(now, !worth_retrying(&error));
            }
        }
    }

    /// Records a poll and returns whether the job has ended.
    fn record(&mut self, index: usize, poll: Result<Poll<J::Output>>) -> bool {
        let Some((job, state)) = self.jobs.get_mut(&index) else { return false };
        let poll = poll.map(|poll| poll.redacted(&self.nomic));
        let Some(outcome) = state.record(job, poll, &self.options) else { return false };
        self.finish(index, outcome);
        true
    }

    fn finish(&mut self, index: usize, outcome: Result<J::Output>) {
        self.ready.extend(self.jobs.remove(&index).map(|(job, _)| (job, outcome)));
    }

    fn time_out(&mut self, index: usize) {
        if let Some((job, state)) = self.jobs.get_mut(&index) {
            let error = state.timed_out(job);
            self.finish(index, Err(error));
        }
        self.scheduler.remove(index);
    }

    fn obey_retry_after(&mut self, error: &Error, now: Instant) {
        if let Some(delay) = error.retry_after().filter(|_| worth_retrying(error)) {
            self.not_before = now.checked_add(delay.min(FAR_FUTURE));
        }
    }
}

impl<J: Job> Iterator for WaitAll<J> {
    type Item = (J, Result<J::Output>);

    fn next(&mut self) -> Option<Self::Item> {
        self.count_excluded(Instant::now());
        loop {
            if let Some(ready) = self.ready.pop_front() {
                self.excluded_since.get_or_insert_with(Instant::now);
                return Some(ready);
            }
            if self.jobs.is_empty() {
                return None;
            }
            let now = Instant::now();
            let retry_after = self.not_before.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
            // A job that would time out before the server allows a poll times out now.
            if let Some((index, final_poll)) = self.scheduler.timed_out(now + retry_after) {
                match final_poll && retry_after.is_zero() {
                    true => self.poll(index, FINAL_POLL_TIMEOUT),
                    false => self.time_out(index),
                }
                continue;
            }
            let left = self.scheduler.time_left(now);
            let action = match retry_after {
                Duration::ZERO => self.scheduler.next(now, self.nomic.rate_interval(Tier::Standard)),
                _ => Action::Wait(retry_after),
            };
            match action {
                Action::Poll(index) => self.poll(index, poll_timeout(left)),
                Action::PollList => self.poll_list(left.max(FINAL_POLL_TIMEOUT)),
                Action::Wait(wait) => std::thread::sleep(wait.min(left)),
            }
        }
    }
}

impl<J: Job> fmt::Debug for WaitAll<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitAll").field("pending", &self.jobs.len()).finish_non_exhaustive()
    }
}
