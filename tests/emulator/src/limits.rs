//! Rate limits: how many requests the owner of a key may send in each tier. Time is an argument.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Moment;
use crate::operations;

/// The algorithm that enforces a quota of requests per minute. The one that the real service uses is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitModel {
    /// A token bucket that holds the whole quota: all of it can be used at once, and it refills evenly.
    FullBurst,
    /// A token bucket that holds one request: requests must be evenly spaced.
    EvenPacing,
    /// A counter that is reset at the start of every minute.
    FixedWindow,
}

/// The rate limits that the emulator enforces, per owner of the API key and tier.
///
/// Defaults to the documented quotas with [`LimitModel::FullBurst`], in real time.
///
/// # Examples
///
/// Most tests run without rate limits. Tests of rate limits can run faster than real time:
///
/// ```
/// use nomic_emulator::{Emulator, LimitModel, Limits};
///
/// let unlimited = Emulator::builder().limits(Limits::off()).start()?;
/// let fast = Limits::documented(LimitModel::EvenPacing).speed(60.0).quota("heavy", 120);
/// let emulator = Emulator::builder().limits(fast).start()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    model: Option<LimitModel>,
    speed: f64,
    pub(crate) quotas: HashMap<&'static str, u32>,
    pub(crate) headers_on_429_only: bool,
}

impl Limits {
    /// No rate limits, and no rate-limit headers.
    #[must_use]
    pub fn off() -> Limits {
        Limits { model: None, speed: 1.0, quotas: HashMap::new(), headers_on_429_only: false }
    }

    /// The quotas that the API documents, in requests per minute: 300 in the tier `standard`, 60 in `write` and
    /// `search`, 30 in `heavy` and `analytics`.
    #[must_use]
    pub fn documented(model: LimitModel) -> Limits {
        let quotas = [("standard", 300), ("write", 60), ("heavy", 30), ("search", 60), ("analytics", 30)].into();
        Limits { model: Some(model), quotas, ..Limits::off() }
    }

    /// A million requests per minute in every tier. Unlike with [`Limits::off`], responses have rate-limit headers, so
    /// a client learns that it may exceed the documented quotas.
    #[must_use]
    pub fn high() -> Limits {
        let mut limits = Limits::default();
        limits.quotas.values_mut().for_each(|quota| *quota = 1_000_000);
        limits
    }

    /// Scales time: at speed 60, a minute of quota passes in a second. Defaults to 1, which is also used for a speed
    /// that is not a positive number.
    #[must_use]
    pub fn speed(mut self, speed: f64) -> Limits {
        self.speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
        self
    }

    /// Sets the quota of a tier, in requests per minute.
    ///
    /// # Panics
    ///
    /// If there is no such tier.
    #[must_use]
    #[track_caller]
    pub fn quota(mut self, tier: &str, per_minute: u32) -> Limits {
        self.quotas.insert(operations::known_tier(tier), per_minute);
        self
    }

    /// Sends rate-limit headers only with a 429, which is all that the API documents. By default every response has
    /// them.
    #[must_use]
    pub fn headers_on_429_only(mut self) -> Limits {
        self.headers_on_429_only = true;
        self
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::documented(LimitModel::FullBurst)
    }
}

/// The decision on one request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decision {
    /// Requests allowed per minute.
    pub(crate) limit: u32,
    /// Requests that would be allowed immediately after this one.
    pub(crate) remaining: u32,
    /// When the full quota is available again.
    pub(crate) reset: Moment,
    /// If the request is throttled, the time until one would be allowed.
    pub(crate) wait: Option<Duration>,
}

/// Enforces the quotas.
#[derive(Debug)]
pub(crate) struct Limiter {
    pub(crate) limits: Limits,
    meters: HashMap<(usize, &'static str), Meter>,
}

/// The usage of one owner in one tier: of a window the requests used, of a bucket the tokens left.
#[derive(Debug, Clone, Copy)]
struct Meter {
    amount: f64,
    since: Moment,
}

impl Limiter {
    pub(crate) fn new(limits: Limits) -> Limiter {
        Limiter { limits, meters: HashMap::new() }
    }

    /// Decides on a request, and counts it if it is allowed. None without limits.
    pub(crate) fn acquire(&mut self, owner: usize, tier: &'static str, now: Moment) -> Option<Decision> {
        let (meter, decision) = self.decide(owner, tier, now)?;
        self.meters.insert((owner, tier), meter);
        Some(decision)
    }

    /// The state to report with a 429 that the limiter did not cause. Counts nothing.
    pub(crate) fn exhausted(&self, owner: usize, tier: &'static str, now: Moment) -> Option<Decision> {
        let (_, decision) = self.decide(owner, tier, now)?;
        Some(Decision { remaining: 0, ..decision })
    }

    /// The decision on a request, and the usage after it.
    fn decide(&self, owner: usize, tier: &'static str, now: Moment) -> Option<(Meter, Decision)> {
        let model = self.limits.model?;
        let limit = *self.limits.quotas.get(tier)?;
        let minute = Duration::from_secs(60).div_f64(self.limits.speed);
        let fresh = match model {
            LimitModel::FullBurst => Meter { amount: f64::from(limit), since: now },
            LimitModel::EvenPacing => Meter { amount: 1.0, since: now },
            LimitModel::FixedWindow => Meter { amount: 0.0, since: Duration::ZERO },
        };
        let mut meter = self.meters.get(&(owner, tier)).copied().unwrap_or(fresh);
        let decision = match model {
            LimitModel::FullBurst => meter.take_token(f64::from(limit), limit, minute, now),
            LimitModel::EvenPacing => meter.take_token(f64::from(limit.min(1)), limit, minute, now),
            LimitModel::FixedWindow => meter.count_in_window(limit, minute, now),
        };
        Some((meter, decision))
    }

    /// The value of `Retry-After`: whole seconds, or fractions of a second at a speed other than 1.
    pub(crate) fn retry_after(&self, wait: Duration) -> String {
        if self.limits.speed == 1.0 {
            ceil_seconds(wait).max(1).to_string()
        } else {
            format!("{:.3}", (wait.as_secs_f64() * 1000.0).ceil().max(1.0) / 1000.0)
        }
    }
}

impl Meter {
    fn take_token(&mut self, capacity: f64, limit: u32, minute: Duration, now: Moment) -> Decision {
        // A request that arrives exactly when it was told to must not be throttled because of rounding.
        const SLACK: f64 = 1e-6;
        let per_second = f64::from(limit) / minute.as_secs_f64();
        let passed = now.saturating_sub(self.since).as_secs_f64();
        self.amount = (self.amount + passed * per_second).min(capacity);
        self.since = now;
        let time_for = |tokens: f64| {
            if per_second > 0.0 { Duration::from_secs_f64(tokens.max(0.0) / per_second) } else { minute }
        };
        let allowed = self.amount + SLACK >= 1.0;
        if allowed {
            self.amount = (self.amount - 1.0).max(0.0);
        }
        Decision {
            limit,
            remaining: (self.amount + SLACK) as u32,
            reset: now + time_for(capacity - self.amount),
            wait: (!allowed).then(|| time_for(1.0 - self.amount)),
        }
    }

    fn count_in_window(&mut self, limit: u32, minute: Duration, now: Moment) -> Decision {
        let number = now.as_nanos() / minute.as_nanos().max(1);
        let start = Duration::from_nanos((number * minute.as_nanos()) as u64);
        if start > self.since {
            *self = Meter { amount: 0.0, since: start };
        }
        let allowed = self.amount < f64::from(limit);
        if allowed {
            self.amount += 1.0;
        }
        let end = self.since + minute;
        Decision {
            limit,
            remaining: (f64::from(limit) - self.amount).max(0.0) as u32,
            reset: end,
            wait: (!allowed).then(|| end.saturating_sub(now)),
        }
    }
}

/// Seconds, rounded up.
pub(crate) fn ceil_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Duration::from_secs(1_775_390_400);

    fn ms(millis: u64) -> Moment {
        START + Duration::from_millis(millis)
    }

    /// (time in ms, allowed, remaining, wait in ms)
    type Row = (u64, bool, u32, Option<u64>);

    fn check(model: LimitModel, speed: f64, quota: u32, rows: &[Row]) {
        let mut limiter = Limiter::new(Limits::documented(model).speed(speed).quota("heavy", quota));
        for &(at, allowed, remaining, wait) in rows {
            let decision = limiter.acquire(0, "heavy", ms(at)).unwrap();
            assert_eq!(decision.wait.is_none(), allowed, "{model:?} at {at}");
            assert_eq!(decision.remaining, remaining, "{model:?} at {at}");
            let rounded = decision.wait.map(|wait| (wait.as_secs_f64() * 1000.0).round() as u64);
            assert_eq!(rounded, wait, "{model:?} at {at}");
            assert_eq!(decision.limit, quota);
        }
    }

    #[test]
    fn a_full_burst_is_used_at_once_and_refills_evenly() {
        check(
            LimitModel::FullBurst,
            1.0,
            3,
            &[
                (0, true, 2, None),
                (0, true, 1, None),
                (0, true, 0, None),
                (0, false, 0, Some(20_000)),
                (19_999, false, 0, Some(1)),
                (20_000, true, 0, None),
                (20_000, false, 0, Some(20_000)),
                (500_000, true, 2, None),
            ],
        );
    }

    #[test]
    fn even_pacing_allows_one_at_a_time() {
        check(
            LimitModel::EvenPacing,
            1.0,
            30,
            &[
                (0, true, 0, None),
                (0, false, 0, Some(2000)),
                (1500, false, 0, Some(500)),
                (2000, true, 0, None),
                (600_000, true, 0, None),
                (600_000, false, 0, Some(2000)),
            ],
        );
    }

    #[test]
    fn a_fixed_window_resets_at_the_minute() {
        check(
            LimitModel::FixedWindow,
            1.0,
            2,
            &[
                (59_000, true, 1, None),
                (59_500, true, 0, None),
                (59_500, false, 0, Some(500)),
                (60_000, true, 1, None),
                (60_001, true, 0, None),
                (60_002, false, 0, Some(59_998)),
            ],
        );
    }

    #[test]
    fn speed_scales_all_models() {
        for model in [LimitModel::FullBurst, LimitModel::EvenPacing, LimitModel::FixedWindow] {
            check(model, 60.0, 1, &[(0, true, 0, None), (10, false, 0, Some(990)), (1000, true, 0, None)]);
        }
    }

    #[test]
    fn owners_and_tiers_do_not_share_a_quota() {
        let limits = Limits::documented(LimitModel::FullBurst).quota("heavy", 1).quota("write", 1);
        let mut limiter = Limiter::new(limits);
        for (owner, tier) in [(0, "heavy"), (1, "heavy"), (0, "write")] {
            assert_eq!(limiter.acquire(owner, tier, START).unwrap().wait, None);
            assert!(limiter.acquire(owner, tier, START).unwrap().wait.is_some());
        }
    }

    #[test]
    fn a_changed_quota_applies_at_once() {
        let mut limiter = Limiter::new(Limits::documented(LimitModel::FullBurst));
        assert_eq!(limiter.acquire(0, "heavy", START).unwrap().remaining, 29);
        limiter.limits.quotas.insert("heavy", 10);
        let decision = limiter.acquire(0, "heavy", START).unwrap();
        assert_eq!((decision.limit, decision.remaining), (10, 9));
    }

    #[test]
    fn a_quota_of_zero_allows_no_request() {
        for model in [LimitModel::FullBurst, LimitModel::EvenPacing, LimitModel::FixedWindow] {
            let mut limiter = Limiter::new(Limits::documented(model).quota("heavy", 0));
            for at in [0, 100_000] {
                assert!(limiter.acquire(0, "heavy", ms(at)).unwrap().wait.is_some(), "{model:?}");
            }
        }
    }

    #[test]
    fn there_is_no_decision_without_limits() {
        assert_eq!(Limiter::new(Limits::off()).acquire(0, "heavy", START), None);
    }

    #[test]
    fn retry_after_is_in_whole_seconds_in_real_time_only() {
        let real = Limiter::new(Limits::documented(LimitModel::FullBurst));
        assert_eq!(real.retry_after(Duration::from_millis(1)), "1");
        assert_eq!(real.retry_after(Duration::from_millis(2001)), "3");
        let fast = Limiter::new(Limits::documented(LimitModel::FullBurst).speed(60.0));
        assert_eq!(fast.retry_after(Duration::from_micros(33_334)), "0.034");
    }
}
