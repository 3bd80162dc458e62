//! A rate limiter that many processes share: one token bucket for each tier, in Redis.

mod known;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nomic_client::operations::Tier;
use nomic_client::rate_limiter::{AcquireError, Permit, RateLimitInfo, RateLimiter};
use redis::Script;

use self::known::{Answer, Known};
use crate::redis_pool::{PAUSES, RedisFailure, RedisPool};

/// The time in which the service counts requests.
const WINDOW: Duration = Duration::from_secs(60);
/// The bounds of the window, those of the client.
const WINDOWS: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(86_400)];
/// How long telling Redis about a response may delay the call.
const OBSERVE_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest time until a deadline, 30 years: the script counts in µs, exactly up to 2^53.
const MAX_LEFT: u64 = 1_000_000_000_000_000;

/// A [`RateLimiter`] whose token buckets are in Redis, shared by all processes that use keys of one owner.
///
/// Every decision is one run of a Lua script, on the clock of the Redis server. A request that has to wait reserves its
/// token, sleeps, and asks once more; no thread polls. See "The rate limit" in the README.
pub struct RedisRateLimiter {
    pool: RedisPool,
    script: Script,
    owner: String,
    window: Duration,
    known: Mutex<HashMap<Tier, Known>>,
}

impl RedisRateLimiter {
    /// A limiter for the keys of one owner. It connects when it is first used.
    ///
    /// The URL is `redis://:PASSWORD@HOST:PORT/DB`, or `rediss://` for TLS. The owner is any name for the user who owns the
    /// API key, because the quota belongs to that user. It is part of the names of the Redis keys.
    ///
    /// # Errors
    ///
    /// If the URL is malformed, or the owner is empty or an API key.
    pub fn new(url: &str, owner: impl Into<String>) -> Result<Self, RedisFailure> {
        let owner = owner.into();
        if owner.is_empty() || owner.starts_with("npk_") {
            return Err(RedisFailure::new("the owner of the rate limit must be a name, and not the API key"));
        }
        let pool = RedisPool::new(url)?;
        let script = Script::new(include_str!("../bucket.lua"));
        Ok(Self { pool, script, owner, window: WINDOW, known: Mutex::default() })
    }

    /// Sets the window in which the service counts requests, the same in all processes. Defaults to 60 seconds.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window.clamp(WINDOWS[0], WINDOWS[1]);
        self
    }

    /// Runs the script, and remembers the answer.
    fn run(
        &self,
        tier: Tier,
        deadline: Instant,
        pauses: &[Duration],
        operation: &str,
        arguments: &[i64],
    ) -> Result<Answer, RedisFailure> {
        let mut script = self.script.key(format!("nomic:rate_limit:{{{}}}:{tier}", self.owner));
        script.arg(operation).arg(tier.per_minute()).arg(to_micros(self.window)).arg(arguments);
        let answer = self.pool.call(deadline, pauses, |connection| script.invoke(connection))?;
        let (ready_in, reservation, now, was_full, blocked_for, interval, quota, tokens, is_settled) = answer;
        let answer = Answer { ready_in, reservation, now, was_full, blocked_for, interval, quota, tokens, is_settled };
        self.known().entry(tier).or_default().update(answer, Instant::now());
        Ok(answer)
    }

    /// Gives a token back. A lost answer must not give back two, so this is not repeated.
    fn give_back(&self, tier: Tier) {
        if let Err(error) = self.run(tier, Instant::now() + OBSERVE_TIMEOUT, &[], "cancel", &[]) {
            log::debug!("a token of the tier {tier} is lost: {error}");
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Tier, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RedisRateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRateLimiter").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl RateLimiter for RedisRateLimiter {
    fn acquire(&self, tier: Tier, deadline: Instant) -> Result<Permit, AcquireError> {
        let mut reservation = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let successes = self.known().entry(tier).or_default().take_successes();
            let arguments = [reservation, to_micros(left), successes].map(u64::cast_signed);
            let answer = self.run(tier, deadline, &PAUSES, "acquire", &arguments).map_err(AcquireError::failed)?;
            if answer.ready_in == 0 {
                return Ok(Permit::new(tier, to_state(&answer)));
            }
            let ready_in = Duration::from_micros(answer.ready_in);
            if answer.reservation == 0 {
                return Err(AcquireError::Deadline { ready_in });
            }
            if ready_in > left {
                // A 429 has delayed the reservation.
                self.give_back(tier);
                return Err(AcquireError::Deadline { ready_in });
            }
            reservation = answer.reservation;
            thread::sleep(ready_in);
        }
    }

    fn observe(&self, permit: Permit, info: &RateLimitInfo) {
        let tier = permit.tier();
        let (taken_at, was_full) = from_state(permit.state());
        {
            let mut known = self.known();
            let known = known.entry(tier).or_default();
            if !was_full && !known.is_news(info) {
                known.count_success();
                return;
            }
        }
        let header = |number: Option<u32>| number.map_or(-1, i64::from);
        let delay = info.retry_after.map_or(-1, |delay| to_micros(delay).cast_signed());
        let arguments = [
            taken_at.cast_signed(),
            was_full.into(),
            header(info.limit),
            header(info.remaining),
            info.throttled.into(),
            delay,
        ];
        if let Err(error) = self.run(tier, Instant::now() + OBSERVE_TIMEOUT, &PAUSES[..1], "observe", &arguments) {
            log::warn!("the other processes do not learn from a response: {error}");
        }
    }

    fn cancel(&self, permit: Permit) {
        self.give_back(permit.tier());
    }

    fn blocked_for(&self, tier: Tier) -> Duration {
        self.known().get(&tier).map_or(Duration::ZERO, |known| known.blocked_for(Instant::now()))
    }

    fn interval(&self, tier: Tier) -> Duration {
        let known = self.known().get(&tier).and_then(Known::interval);
        known.unwrap_or_else(|| self.window / tier.per_minute())
    }
}

/// Whole µs, rounded up.
fn to_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(MAX_LEFT).min(MAX_LEFT)
}

/// The time of the token and whether the bucket was full, for the permit.
fn to_state(answer: &Answer) -> u64 {
    answer.now << 1 | u64::from(answer.was_full)
}

fn from_state(state: u64) -> (u64, bool) {
    (state >> 1, state & 1 == 1)
}
