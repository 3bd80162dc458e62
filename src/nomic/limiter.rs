//! The rate limiter of a client: its own token buckets, or the program's limiter, for which they can stand in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::operations::Tier;
use crate::rate_limiter::{AcquireError, Permit, RateLimitInfo, RateLimiter, TokenBuckets};

/// The bounds of [`RateLimiter::interval`], which the program may return.
const INTERVALS: [Duration; 2] = [Duration::from_micros(1), Duration::from_secs(86_400)];

pub(crate) struct Limiter {
    buckets: TokenBuckets,
    custom: Option<Arc<dyn RateLimiter>>,
    /// Whether the buckets are used if the other limiter fails.
    fallback: bool,
}

/// A permit, and the limiter that gave it.
#[must_use]
pub(crate) struct LimiterPermit<'a> {
    limiter: &'a dyn RateLimiter,
    permit: Permit,
}

impl Limiter {
    pub(crate) fn new(window: Duration, custom: Option<Arc<dyn RateLimiter>>, fallback: bool) -> Self {
        Self { buckets: TokenBuckets::new(window), custom, fallback }
    }

    fn preferred(&self) -> &dyn RateLimiter {
        self.custom.as_deref().unwrap_or(&self.buckets)
    }

    /// Waits for a permit.
    pub(crate) fn acquire(&self, tier: Tier, deadline: Instant) -> Result<LimiterPermit<'_>, AcquireError> {
        let limiter = self.preferred();
        match limiter.acquire(tier, deadline) {
            Err(AcquireError::Failed(error)) if self.fallback => {
                log::warn!(target: "nomic_client", "the rate limiter failed, so the client uses its own: {error}");
                let permit = self.buckets.acquire(tier, deadline)?;
                Ok(LimiterPermit { limiter: &self.buckets, permit })
            }
            permit => Ok(LimiterPermit { limiter, permit: permit? }),
        }
    }

    /// How long `Retry-After` still blocks the tier.
    pub(crate) fn blocked_for(&self, tier: Tier) -> Duration {
        let blocked = self.preferred().blocked_for(tier);
        if self.fallback { blocked.max(self.buckets.blocked_for(tier)) } else { blocked }
    }

    /// The time between two requests at the sustained rate.
    pub(crate) fn interval(&self, tier: Tier) -> Duration {
        self.preferred().interval(tier).clamp(INTERVALS[0], INTERVALS[1])
    }
}

impl LimiterPermit<'_> {
    /// Tells the limiter what the response said.
    pub(crate) fn observe(self, info: &RateLimitInfo) {
        self.limiter.observe(self.permit, info);
    }

    /// Gives the permit back: nothing was sent.
    pub(crate) fn cancel(self) {
        self.limiter.cancel(self.permit);
    }
}
