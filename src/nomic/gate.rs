//! Where the requests of one tier wait for their turn: the pace under a lock that nobody holds asleep.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::operations::Tier;
use crate::pace::{Bucket, Pass, Report, Turn};

/// The gate of one tier.
pub(super) struct Gate {
    bucket: Mutex<Bucket>,
    /// Rung when something was heard that may let somebody go earlier.
    news: Condvar,
}

/// There is no turn before the deadline; it may come after so long.
pub(super) struct Closed(pub(super) Duration);

/// The permission to send one request. Dropped without an answer (a panic in a callback, say) it counts as unanswered.
#[must_use]
pub(super) struct Ticket<'a> {
    gate: &'a Gate,
    pass: Option<Pass>,
}

impl Gate {
    pub(super) fn new(tier: Tier, window: Duration) -> Self {
        Self { bucket: Mutex::new(Bucket::new(tier.per_minute(), window)), news: Condvar::new() }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the server is known to accept nothing.
    pub(super) fn shut_for(&self, now: Instant) -> Duration {
        self.bucket().shut_for(now)
    }

    /// The time between two requests at the even pace.
    pub(super) fn interval(&self) -> Duration {
        self.bucket().interval()
    }

    /// Tells those who wait, if there are any, that something changed.
    fn tell(&self, bucket: MutexGuard<'_, Bucket>) {
        let anybody = bucket.is_queued_at();
        drop(bucket);
        if anybody {
            self.news.notify_all();
        }
    }

    /// Waits until the pace lets a request go, in the order of arrival.
    pub(super) fn wait(&self, deadline: Instant) -> Result<Ticket<'_>, Closed> {
        let mut bucket = self.bucket();
        let place = bucket.queue_up();
        loop {
            let now = Instant::now();
            let pause = match bucket.turn(place, now) {
                Turn::Go(pass) => {
                    self.tell(bucket);
                    return Ok(Ticket { gate: self, pass: Some(pass) });
                }
                Turn::Wait(pause) => pause,
            };
            let (left, shut) = (deadline.saturating_duration_since(now), bucket.shut_for(now));
            // Closed for longer than there is time: the caller learns it now, not at the deadline.
            let hopeless = shut > left || (bucket.is_idle() && bucket.opens_in(now) > left);
            if left.is_zero() || hopeless {
                bucket.leave(place);
                self.tell(bucket);
                return Err(Closed(shut.max(pause)));
            }
            bucket = self.news.wait_timeout(bucket, pause.min(left)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Ticket<'_> {
    /// Tells the pace what an answer said.
    pub(super) fn answered(mut self, now: Instant, report: Report) {
        if let Some(pass) = self.pass.take() {
            let mut bucket = self.gate.bucket();
            bucket.answered(pass, now, report);
            self.gate.tell(bucket);
        }
    }

    /// Gives the turn back: nothing was sent.
    pub(super) fn unsent(mut self) {
        if let Some(pass) = self.pass.take() {
            let mut bucket = self.gate.bucket();
            bucket.unsent(pass);
            self.gate.tell(bucket);
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            let mut bucket = self.gate.bucket();
            bucket.unanswered(pass);
            self.gate.tell(bucket);
        }
    }
}
