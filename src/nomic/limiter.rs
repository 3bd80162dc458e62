//! The blocking rate limiter of one tier: threads wait for a permit in order of arrival.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::rate_limit::{Bucket, Permit, RateLimitInfo};

/// The limiter of one tier. No lock is held while a thread sleeps.
pub(crate) struct RateLimiter {
    state: Mutex<State>,
    /// Notified when the queue or the bucket changed.
    changed: Condvar,
}

struct State {
    bucket: Bucket,
    /// The waiters, in order of arrival.
    queue: VecDeque<u64>,
    next_waiter: u64,
}

/// Permission to send one request. A dropped permit means that no response came.
#[must_use]
pub(crate) struct RatePermit<'a> {
    limiter: &'a RateLimiter,
    permit: Permit,
}

impl RateLimiter {
    pub(crate) fn new(quota: u32, window: Duration) -> Self {
        let state = State { bucket: Bucket::new(quota, window), queue: VecDeque::new(), next_waiter: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// How long `Retry-After` still blocks the tier.
    pub(crate) fn blocked_for(&self, now: Instant) -> Duration {
        self.lock().bucket.blocked_for(now)
    }

    /// The time between two requests at the sustained rate.
    pub(crate) fn interval(&self) -> Duration {
        self.lock().bucket.interval()
    }

    /// Waits for a permit. If none can be available before the deadline, fails immediately with the time until one may be.
    pub(crate) fn acquire(&self, deadline: Instant) -> Result<RatePermit<'_>, Duration> {
        let mut state = self.lock();
        let waiter = state.enqueue();
        loop {
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            let ahead = state.ahead_of(waiter);
            let ready_in = if ahead > 0 {
                state.bucket.ready_in(now)
            } else {
                match state.bucket.acquire(now) {
                    Ok(permit) => {
                        state.leave(waiter);
                        self.notify(state);
                        return Ok(RatePermit { limiter: self, permit });
                    }
                    Err(wait) => wait,
                }
            };
            if left.is_zero() || left < ready_in {
                let behind = state.bucket.interval().saturating_mul(ahead);
                state.leave(waiter);
                self.notify(state);
                return Err(ready_in.saturating_add(behind));
            }
            // Only the first waiter waits for the bucket; the others are notified when they become the first.
            let pause = if ahead == 0 { ready_in } else { left };
            state = self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the waiters, if there are any.
    fn notify(&self, state: MutexGuard<'_, State>) {
        let is_awaited = !state.queue.is_empty();
        drop(state);
        if is_awaited {
            self.changed.notify_all();
        }
    }
}

impl State {
    fn enqueue(&mut self) -> u64 {
        self.next_waiter += 1;
        self.queue.push_back(self.next_waiter);
        self.next_waiter
    }

    fn ahead_of(&self, waiter: u64) -> u32 {
        let position = self.queue.iter().position(|other| *other == waiter).unwrap_or_default();
        u32::try_from(position).unwrap_or(u32::MAX)
    }

    fn leave(&mut self, waiter: u64) {
        self.queue.retain(|other| *other != waiter);
    }
}

impl RatePermit<'_> {
    /// Tells the bucket what the response said.
    pub(crate) fn observe(self, now: Instant, info: RateLimitInfo) {
        let mut state = self.limiter.lock();
        state.bucket.observe(self.permit, now, info);
        self.limiter.notify(state);
    }

    /// Gives the permit back: nothing was sent.
    pub(crate) fn cancel(self) {
        let mut state = self.limiter.lock();
        state.bucket.cancel(self.permit);
        self.limiter.notify(state);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::rate_limit::FAR_FUTURE;

    const MINUTE: Duration = Duration::from_secs(60);

    fn after(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    fn refusal(seconds: u64) -> RateLimitInfo {
        let retry_after = Some(Duration::from_secs(seconds));
        RateLimitInfo { throttled: true, retry_after, ..RateLimitInfo::default() }
    }

    /// Waits until this many threads are in the queue.
    fn await_queue(limiter: &RateLimiter, waiters: usize) {
        while limiter.lock().queue.len() != waiters {
            thread::yield_now();
        }
    }

    #[test]
    fn permits_are_given_in_order_of_arrival() {
        let limiter = RateLimiter::new(1, Duration::from_millis(20));
        let first = limiter.acquire(after(0)).unwrap_or_else(|_| panic!("a full bucket"));
        // Blocks until all are in the queue.
        first.observe(Instant::now(), refusal(600));
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for number in 0..4 {
                let (limiter, order) = (&limiter, &order);
                scope.spawn(move || {
                    let permit = limiter.acquire(Instant::now() + FAR_FUTURE);
                    order.lock().unwrap().push(number);
                    assert!(permit.is_ok());
                });
                await_queue(limiter, number + 1);
            }
            limiter.lock().bucket = Bucket::new(1, Duration::from_millis(20));
            limiter.changed.notify_all();
        });
        assert_eq!(order.into_inner().unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_deadline_that_cannot_be_met_errs_at_once() {
        let limiter = RateLimiter::new(1, MINUTE);
        let permit = limiter.acquire(after(0)).unwrap_or_else(|_| panic!("a full bucket"));
        let wait = limiter.acquire(after(30)).err();
        assert!(wait.is_some_and(|wait| wait > MINUTE && wait < MINUTE * 2), "{wait:?}");
        let other = limiter.lock().enqueue();
        let wait = limiter.acquire(after(30)).err();
        assert!(wait.is_some_and(|wait| wait > MINUTE * 2), "{wait:?}");
        limiter.lock().leave(other);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| limiter.acquire(after(600)).err());
            await_queue(&limiter, 1);
            permit.observe(Instant::now(), refusal(3600));
            let wait = waiter.join().unwrap();
            assert!(wait.is_some_and(|wait| wait > Duration::from_secs(3500)), "{wait:?}");
        });
    }

    #[test]
    fn a_waiter_that_gives_up_wakes_the_next() {
        let limiter = RateLimiter::new(1, MINUTE);
        let permit = limiter.acquire(after(0)).unwrap_or_else(|_| panic!("a full bucket"));
        thread::scope(|scope| {
            let waiters = [200, 300].map(|seconds| {
                let limiter = &limiter;
                scope.spawn(move || limiter.acquire(after(seconds)).is_err())
            });
            await_queue(&limiter, 2);
            // Only one of them is told that neither can meet its deadline.
            limiter.lock().bucket.observe(permit.permit, Instant::now(), refusal(600));
            limiter.changed.notify_one();
            assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
        });
        await_queue(&limiter, 0);
    }

    #[test]
    fn nobody_overtakes_a_waiter() {
        let limiter = RateLimiter::new(30, MINUTE);
        let first = limiter.lock().enqueue();
        assert!(limiter.acquire(Instant::now() + Duration::from_millis(20)).is_err());
        limiter.lock().leave(first);
        assert!(limiter.acquire(after(0)).is_ok());
    }

    #[test]
    fn a_cancelled_permit_goes_to_the_next() {
        let limiter = RateLimiter::new(1, MINUTE);
        let permit = limiter.acquire(after(0)).unwrap_or_else(|_| panic!("a full bucket"));
        thread::scope(|scope| {
            let waiter = scope.spawn(|| limiter.acquire(after(120)).is_ok());
            await_queue(&limiter, 1);
            permit.cancel();
            assert!(waiter.join().unwrap());
        });
    }

    #[test]
    fn a_limiter_tells_its_rate_and_how_long_it_is_blocked() {
        let limiter = RateLimiter::new(60, MINUTE);
        assert!((1.0..1.1).contains(&limiter.interval().as_secs_f64()), "{:?}", limiter.interval());
        let permit = limiter.acquire(after(0)).unwrap_or_else(|_| panic!("a full bucket"));
        let now = Instant::now();
        assert_eq!(limiter.blocked_for(now), Duration::ZERO);
        permit.observe(now, refusal(7));
        assert_eq!(limiter.blocked_for(now), Duration::from_secs(7));
    }
}
