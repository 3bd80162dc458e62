//! Polling one job repeatedly.

use std::iter::FusedIterator;
use std::time::{Duration, Instant};

use super::wait::worth_retrying;
use super::{DEFAULT_MAX_INTERVAL, Job, Poll, WaitOptions, poll_timeout};
use crate::error::Result;
use crate::nomic::Nomic;

impl Nomic {
    /// Polls a job repeatedly and yields the outcome of each poll, to show progress or to stop early.
    ///
    /// The iterator sleeps between polls. It ends when the job has ended, after a permanent error, and at the timeout.
    /// [Transient errors](crate::Error::is_transient), and any 429 or 503, do not end it: log them and continue. Unlike
    /// [`wait`](Self::wait), it does not end early if the server is never reached.
    pub fn polls<J: Job>(&self, job: &J) -> Polls<J> {
        self.polls_with(job, &WaitOptions::default())
    }

    /// Polls like [`polls`](Self::polls), with a custom timeout and intervals.
    pub fn polls_with<J: Job>(&self, job: &J, options: &WaitOptions) -> Polls<J> {
        Polls {
            nomic: self.clone(),
            job: job.clone(),
            options: *options,
            started: None,
            interval: Duration::ZERO,
            retry_after: Duration::ZERO,
            ended: false,
        }
    }
}

/// An iterator over the polls of a job, created by [`Nomic::polls`].
#[derive(Debug)]
#[must_use = "polls are lazy: nothing is sent until they are iterated"]
pub struct Polls<J> {
    nomic: Nomic,
    job: J,
    options: WaitOptions,
    started: Option<Instant>,
    interval: Duration,
    retry_after: Duration,
    ended: bool,
}

impl<J: Job> Iterator for Polls<J> {
    type Item = Result<Poll<J::Output>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let timeout = self.options.timeout;
        if let Some(started) = self.started {
            let elapsed = started.elapsed();
            let left = timeout.saturating_sub(elapsed);
            // If the server allows no further poll before the timeout, end now.
            if left.is_zero() || self.retry_after > left {
                self.ended = true;
                return None;
            }
            self.interval = self.options.next_interval(elapsed, self.interval);
            let wait = with_jitter(self.interval, Nomic::random()).max(std::mem::take(&mut self.retry_after));
            // The final poll is sent at the timeout.
            self.ended = wait >= left;
            std::thread::sleep(wait.min(left));
        }
        let left = timeout.saturating_sub(self.started.get_or_insert_with(Instant::now).elapsed());
        let poll = self.job.poll_once(&self.nomic, poll_timeout(left)).map(|poll| poll.redacted(&self.nomic));
        match &poll {
            Ok(Poll::Pending { .. }) => {}
            Err(error) if worth_retrying(error) => self.retry_after = error.retry_after().unwrap_or_default(),
            _ => self.ended = true,
        }
        Some(poll)
    }
}

impl<J: Job> FusedIterator for Polls<J> {}

/// Varies an interval by up to 10 % either way, so that concurrent waits do not poll at the same time. `random` is in 0..1.
fn with_jitter(interval: Duration, random: f64) -> Duration {
    let tenth = (interval / 10).min(DEFAULT_MAX_INTERVAL);
    (interval - tenth).saturating_add(tenth.mul_f64(2.0 * random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_moves_an_interval_by_a_tenth() {
        assert_eq!(with_jitter(Duration::from_secs(1), 0.0), Duration::from_millis(900));
        assert_eq!(with_jitter(Duration::from_secs(1), 1.0), Duration::from_millis(1100));
        assert_eq!(with_jitter(Duration::MAX, 1.0), Duration::MAX);
    }
}
