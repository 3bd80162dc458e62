//! What a process remembers of a shared bucket, so that it asks Redis no more often than it must.

use std::time::{Duration, Instant};

use nomic_client::rate_limiter::RateLimitInfo;

/// What the script returns. Times are in µs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    /// The time until the token is there.
    pub(crate) ready_in: u64,
    /// The number of the reservation; 0 if there is none.
    pub(crate) reservation: u64,
    /// The time of the Redis server.
    pub(crate) now: u64,
    /// Whether the token came from a full bucket.
    pub(crate) was_full: bool,
    pub(crate) blocked_for: u64,
    pub(crate) interval: u64,
    pub(crate) quota: u32,
    /// The tokens, rounded up; negative if some are reserved.
    pub(crate) tokens: i64,
    /// Whether the refill is not decreased, so that a success changes nothing.
    pub(crate) is_settled: bool,
}

/// The last answer about one tier, and the successes since.
#[derive(Debug, Default)]
pub(crate) struct Known {
    answer: Answer,
    blocked_until: Option<Instant>,
    successes: u64,
}

impl Known {
    pub(crate) fn update(&mut self, answer: Answer, now: Instant) {
        self.answer = answer;
        self.blocked_until = now.checked_add(Duration::from_micros(answer.blocked_for));
    }

    pub(crate) fn blocked_for(&self, now: Instant) -> Duration {
        self.blocked_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// `None` before the first answer.
    pub(crate) fn interval(&self) -> Option<Duration> {
        (self.answer.interval > 0).then(|| Duration::from_micros(self.answer.interval))
    }

    /// Whether a response can change the bucket other than as a success. While tokens are reserved, what remains on the
    /// service is never less than what is in the bucket.
    pub(crate) fn is_news(&self, info: &RateLimitInfo) -> bool {
        info.throttled
            || info.limit.is_some_and(|limit| limit.max(1) != self.answer.quota)
            || info.remaining.is_some_and(|remaining| i64::from(remaining) < self.answer.tokens)
    }

    /// Counts a success for the next call, if it matters.
    pub(crate) fn count_success(&mut self) {
        self.successes = if self.answer.is_settled { 0 } else { self.successes + 1 };
    }

    pub(crate) fn take_successes(&mut self) -> u64 {
        std::mem::take(&mut self.successes)
    }
}
