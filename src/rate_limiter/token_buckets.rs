//! The default rate limiter: a token bucket for each tier, where threads wait in order of arrival.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{AcquireError, Permit, RateLimitInfo, RateLimiter};
use crate::operations::Tier;
use crate::rate_limit::{Bucket, Token};

/// The default [`RateLimiter`]: one token bucket for each tier, in the memory of the process.
///
/// A bucket starts full with the documented quota and refills evenly; the headers of responses correct it. A 429 blocks its
/// tier for the time in its `Retry-After`, and slows the refill down, because others may use the quota too.
pub struct TokenBuckets {
    tiers: [Queue; Tier::ALL.len()],
}

impl TokenBuckets {
    /// Full buckets, for a service that counts requests in windows of this length
    /// ([`Builder::rate_window`](crate::Builder::rate_window)).
    pub fn new(window: Duration) -> Self {
        Self { tiers: std::array::from_fn(|tier| Queue::new(Tier::ALL[tier].per_minute(), window)) }
    }

    fn tier(&self, tier: Tier) -> &Queue {
        &self.tiers[tier as usize]
    }
}

impl Default for TokenBuckets {
    /// Buckets for a window of a minute.
    fn default() -> Self {
        Self::new(Duration::from_secs(60))
    }
}

impl fmt::Debug for TokenBuckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBuckets").finish_non_exhaustive()
    }
}

impl RateLimiter for TokenBuckets {
    fn acquire(&self, tier: Tier, deadline: Instant) -> Result<Permit, AcquireError> {
        let token = self.tier(tier).acquire(deadline).map_err(|ready_in| AcquireError::Deadline { ready_in })?;
        Ok(Permit { tier, acquired_at: token.taken_at, state: token.was_full.into() })
    }

    fn observe(&self, permit: Permit, info: &RateLimitInfo) {
        self.tier(permit.tier).update(|bucket| bucket.observe(token(&permit), Instant::now(), info));
    }

    fn cancel(&self, permit: Permit) {
        self.tier(permit.tier).update(|bucket| bucket.cancel(token(&permit)));
    }

    fn blocked_for(&self, tier: Tier) -> Duration {
        self.tier(tier).lock().bucket.blocked_for(Instant::now())
    }

    fn interval(&self, tier: Tier) -> Duration {
        self.tier(tier).lock().bucket.interval()
    }
}

fn token(permit: &Permit) -> Token {
    Token { taken_at: permit.acquired_at, was_full: permit.state != 0 }
}

/// The bucket of one tier, and the threads that wait for it. No lock is held while a thread sleeps.
struct Queue {
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

impl Queue {
    fn new(quota: u32, window: Duration) -> Self {
        let state = State { bucket: Bucket::new(quota, window), queue: VecDeque::new(), next_waiter: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits for a token. If none can be available before the deadline, fails immediately with the time until one may be.
    fn acquire(&self, deadline: Instant) -> Result<Token, Duration> {
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
                    Ok(token) => {
                        state.leave(waiter);
                        self.notify(state);
                        return Ok(token);
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

    /// Changes the bucket, and wakes the waiters.
    fn update(&self, change: impl FnOnce(&mut Bucket)) {
        let mut state = self.lock();
        change(&mut state.bucket);
        self.notify(state);
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
    fn await_queue(queue: &Queue, waiters: usize) {
        while queue.lock().queue.len() != waiters {
            thread::yield_now();
        }
    }

    #[test]
    fn permits_are_given_in_order_of_arrival() {
        let queue = Queue::new(1, Duration::from_millis(20));
        let first = queue.acquire(after(0)).unwrap();
        // Blocks until all are in the queue.
        queue.update(|bucket| bucket.observe(first, Instant::now(), &refusal(600)));
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for number in 0..4 {
                let (queue, order) = (&queue, &order);
                scope.spawn(move || {
                    let permit = queue.acquire(Instant::now() + FAR_FUTURE);
                    order.lock().unwrap().push(number);
                    assert!(permit.is_ok());
                });
                await_queue(queue, number + 1);
            }
            queue.lock().bucket = Bucket::new(1, Duration::from_millis(20));
            queue.changed.notify_all();
        });
        assert_eq!(order.into_inner().unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_deadline_that_cannot_be_met_errs_at_once() {
        let queue = Queue::new(1, MINUTE);
        let permit = queue.acquire(after(0)).unwrap();
        let wait = queue.acquire(after(30)).err();
        assert!(wait.is_some_and(|wait| wait > MINUTE && wait < MINUTE * 2), "{wait:?}");
        let other = queue.lock().enqueue();
        let wait = queue.acquire(after(30)).err();
        assert!(wait.is_some_and(|wait| wait > MINUTE * 2), "{wait:?}");
        queue.lock().leave(other);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| queue.acquire(after(600)).err());
            await_queue(&queue, 1);
            queue.update(|bucket| bucket.observe(permit, Instant::now(), &refusal(3600)));
            let wait = waiter.join().unwrap();
            assert!(wait.is_some_and(|wait| wait > Duration::from_secs(3500)), "{wait:?}");
        });
    }

    #[test]
    fn a_waiter_that_gives_up_wakes_the_next() {
        let queue = Queue::new(1, MINUTE);
        let permit = queue.acquire(after(0)).unwrap();
        thread::scope(|scope| {
            let waiters = [200, 300].map(|seconds| {
                let queue = &queue;
                scope.spawn(move || queue.acquire(after(seconds)).is_err())
            });
            await_queue(&queue, 2);
            // Only one of them is told that neither can meet its deadline.
            queue.lock().bucket.observe(permit, Instant::now(), &refusal(600));
            queue.changed.notify_one();
            assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
        });
        await_queue(&queue, 0);
    }

    #[test]
    fn nobody_overtakes_a_waiter() {
        let queue = Queue::new(30, MINUTE);
        let first = queue.lock().enqueue();
        assert!(queue.acquire(Instant::now() + Duration::from_millis(20)).is_err());
        queue.lock().leave(first);
        assert!(queue.acquire(after(0)).is_ok());
    }

    #[test]
    fn a_cancelled_permit_goes_to_the_next() {
        let queue = Queue::new(1, MINUTE);
        let permit = queue.acquire(after(0)).unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| queue.acquire(after(120)).is_ok());
            await_queue(&queue, 1);
            queue.update(|bucket| bucket.cancel(permit));
            assert!(waiter.join().unwrap());
        });
    }
    #[test]
    fn a_limiter_tells_its_rate_and_how_long_it_is_blocked() {
        let buckets = TokenBuckets::default();
        let interval = buckets.interval(Tier::Write);
        assert!((1.0..1.1).contains(&interval.as_secs_f64()), "{interval:?}");
        let permit = buckets.acquire(Tier::Write, after(0)).unwrap();
        assert_eq!(buckets.blocked_for(Tier::Write), Duration::ZERO);
        buckets.observe(permit, &refusal(7));
        let blocked = buckets.blocked_for(Tier::Write).as_secs_f64();
        assert!((6.0..=7.0).contains(&blocked), "{blocked}");
        assert_eq!(buckets.blocked_for(Tier::Heavy), Duration::ZERO);
    }
}
