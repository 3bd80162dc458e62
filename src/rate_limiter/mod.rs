//! When requests may be sent: the rate limiter of a client, which can be replaced.
//!
//! A client waits for a permit of its rate limiter before it sends a request, and tells it what the response said. The
//! default is [`TokenBuckets`]: one token bucket for each [`Tier`], in the memory of the process. The quota belongs to the owner
//! of the key, so processes or machines that work with keys of one owner do best with a limiter that they share, for
//! instance in a database. Write one by implementing [`RateLimiter`], and set it with
//! [`Builder::rate_limiter`](crate::Builder::rate_limiter).
//!
//! A limiter for tests, or for a quota that the program divides itself, can wrap the default:
//!
//! ```
//! use std::time::Instant;
//!
//! use nomic_client::Nomic;
//! use nomic_client::operations::Tier;
//! use nomic_client::rate_limiter::{AcquireError, Permit, RateLimitInfo, RateLimiter, TokenBuckets};
//!
//! /// Writes down each permit.
//! struct Logged(TokenBuckets);
//!
//! impl RateLimiter for Logged {
//!     fn acquire(&self, tier: Tier, deadline: Instant) -> Result<Permit, AcquireError> {
//!         println!("a request of the tier {tier}");
//!         self.0.acquire(tier, deadline)
//!     }
//!     fn observe(&self, permit: Permit, info: &RateLimitInfo) {
//!         self.0.observe(permit, info);
//!     }
//!     fn cancel(&self, permit: Permit) {
//!         self.0.cancel(permit);
//!     }
//! }
//!
//! let nomic = Nomic::builder("acme", "npk_example").rate_limiter(Logged(TokenBuckets::default())).build()?;
//! # Ok::<(), nomic_client::Error>(())
//! ```

mod token_buckets;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::operations::Tier;

pub use self::token_buckets::TokenBuckets;

/// Decides when requests may be sent. All clones of a client share one, and clients can share one in an [`Arc`].
///
/// The client calls [`acquire`](Self::acquire) before each attempt of a request, and then one of the other methods with the
/// permit: [`observe`](Self::observe) if there was a response, [`cancel`](Self::cancel) if nothing was sent. If it may have been
/// sent, but there was no response, the permit is dropped: the server may have counted the request.
///
/// # Time and blocking
///
/// `acquire` is called on the thread of the call, and may block it until the deadline, but no longer: the call ends late
/// otherwise. Any number of threads may be in it at once; whoever comes first should be served first. The other methods must
/// return soon: a call does not end before they do. None of them may call the client that it limits.
///
/// # Errors
///
/// If `acquire` fails for another reason than the rate limit, the call ends with [`ErrorKind::RateLimiter`], and nothing is
/// sent; or the client uses its own [`TokenBuckets`] for this request, if [`Builder::rate_limiter_fallback`] is set. The
/// other methods have no way to fail: what they cannot report is lost, as if there had been no response.
///
/// [`ErrorKind::RateLimiter`]: crate::ErrorKind::RateLimiter
/// [`Builder::rate_limiter_fallback`]: crate::Builder::rate_limiter_fallback
pub trait RateLimiter: Send + Sync {
    /// Waits until a request of this tier may be sent.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Deadline`], as soon as it is certain that the deadline comes first, and [`AcquireError::Failed`] if
    /// the limiter does not work.
    fn acquire(&self, tier: Tier, deadline: Instant) -> Result<Permit, AcquireError>;

    /// Learns from a response: the quota, what remains of it, and for how long the tier is blocked.
    fn observe(&self, permit: Permit, info: &RateLimitInfo);

    /// Takes the permit back: the request was not sent.
    fn cancel(&self, permit: Permit);

    /// For how long a `Retry-After` still blocks the tier, as far as this limiter knows and enforces it. If it is less than
    /// what a 429 asked for, the client waits before it calls [`acquire`](Self::acquire) again. Defaults to zero.
    fn blocked_for(&self, tier: Tier) -> Duration {
        let _ = tier;
        Duration::ZERO
    }

    /// The time between two requests of the tier at the rate that can be sustained. Waiting for many jobs polls no faster.
    /// Defaults to that of the documented quota.
    fn interval(&self, tier: Tier) -> Duration {
        Duration::from_secs(60) / tier.per_minute()
    }
}

impl<T: RateLimiter + ?Sized> RateLimiter for Arc<T> {
    fn acquire(&self, tier: Tier, deadline: Instant) -> Result<Permit, AcquireError> {
        (**self).acquire(tier, deadline)
    }

    fn observe(&self, permit: Permit, info: &RateLimitInfo) {
        (**self).observe(permit, info);
    }

    fn cancel(&self, permit: Permit) {
        (**self).cancel(permit);
    }

    fn blocked_for(&self, tier: Tier) -> Duration {
        (**self).blocked_for(tier)
    }

    fn interval(&self, tier: Tier) -> Duration {
        (**self).interval(tier)
    }
}

/// Permission to send one request.
#[derive(Debug)]
#[must_use = "a permit that is dropped stays spent"]
pub struct Permit {
    tier: Tier,
    acquired_at: Instant,
    state: u64,
}

impl Permit {
    /// A permit as of now. `state` is whatever the limiter wants to know when it gets the permit back.
    pub fn new(tier: Tier, state: u64) -> Self {
        Self { tier, acquired_at: Instant::now(), state }
    }

    /// The tier of the request.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// When it was made. The server may have counted the request at any time since.
    pub fn acquired_at(&self) -> Instant {
        self.acquired_at
    }

    /// The value that it was made with.
    pub fn state(&self) -> u64 {
        self.state
    }
}

/// What one response says about the rate limit. The headers are documented for 429s only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitInfo {
    /// `X-RateLimit-Limit`: the quota, in requests per window.
    pub limit: Option<u32>,
    /// `X-RateLimit-Remaining`: how many requests are left.
    pub remaining: Option<u32>,
    /// Whether it is a 429 of the tier, and not of the user's spend limit.
    pub throttled: bool,
    /// `Retry-After`: for how long the server asks not to send any request of the tier.
    pub retry_after: Option<Duration>,
}

/// Why a [`RateLimiter`] gave no permit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// The deadline comes before a permit can.
    #[error("would time out waiting for the rate limit")]
    Deadline {
        /// The time until a permit may be available.
        ready_in: Duration,
    },
    /// The limiter does not work, e.g. because its server is gone.
    #[error(transparent)]
    Failed(Box<dyn Error + Send + Sync>),
}

impl AcquireError {
    /// The error of a limiter that does not work. The message of the cause becomes part of that of the call.
    pub fn failed(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(cause.into())
    }
}
