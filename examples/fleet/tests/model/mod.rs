//! The script `bucket.lua` in Rust, operation by operation, for simulations in virtual time.
#![allow(dead_code, unused_imports, reason = "every test binary uses a part of it")]

#[path = "../../src/rate_limiter/known.rs"]
mod known;

pub(crate) use known::{Answer, Known};

const HEADROOM: f64 = 0.99;
const DECREASE: f64 = 0.85;
const INCREASE: f64 = 0.01;
const INCREASE_PER_WINDOW: f64 = 0.1;
const FIXED_WINDOW: f64 = 0.25;
const MAX_BLOCKED: f64 = 3600e6;
const SLACK: f64 = 1e-6;

/// What a response said; -1 for a header that is missing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed {
    pub(crate) taken_at: f64,
    pub(crate) was_full: bool,
    pub(crate) limit: f64,
    pub(crate) remaining: f64,
    pub(crate) throttled: bool,
    pub(crate) delay: f64,
}

/// The bucket. All numbers are those of Lua; times are in µs.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) window: f64,
    pub(crate) quota: f64,
    pub(crate) tokens: f64,
    pub(crate) refilled_at: f64,
    pub(crate) share: f64,
    pub(crate) decreased_at: f64,
    pub(crate) blocked_until: f64,
    pub(crate) first: f64,
    pub(crate) last: f64,
}

impl Model {
    pub(crate) fn new(quota: f64, window: f64, now: f64) -> Self {
        Self {
            window,
            quota,
            tokens: quota,
            refilled_at: now,
            share: 1.0,
            decreased_at: 0.0,
            blocked_until: 0.0,
            first: now,
            last: now,
        }
    }

    pub(crate) fn acquire(&mut self, now: f64, asked: u64, left: f64, successes: u64) -> Answer {
        self.refill(now);
        self.share = (self.share + successes as f64 * INCREASE).min(1.0);
        let blocked_for = (self.blocked_until - now).ceil();
        let asked = asked as f64;
        if asked > self.first && asked <= self.last {
            let missing = -(self.tokens + (self.last - asked));
            let ready_in = self.time_for(missing).max(blocked_for).max(0.0);
            return self.answer(now, ready_in, asked, false);
        }
        let ready_in = self.time_for(1.0 - self.tokens).max(blocked_for).max(0.0);
        if ready_in > left {
            return self.answer(now, ready_in, 0.0, false);
        }
        let was_full = ready_in == 0.0 && self.tokens >= self.quota;
        self.tokens -= 1.0;
        self.last += 1.0;
        self.answer(now, ready_in, self.last, was_full)
    }

    pub(crate) fn observe(&mut self, now: f64, observed: &Observed) -> Answer {
        self.refill(now);
        let since = (now - observed.taken_at).max(0.0);
        if observed.was_full {
            self.tokens -= (since / self.interval()).min(1.0);
        }
        if observed.limit >= 0.0 {
            self.quota = observed.limit.max(1.0);
        }
        if observed.throttled {
            self.tokens = self.tokens.floor().min(0.0);
            if observed.delay >= 0.0 {
                let delay = observed.delay.min(MAX_BLOCKED.max(self.window));
                self.blocked_until = self.blocked_until.max(now + delay);
                if observed.taken_at > self.decreased_at && delay <= self.window * FIXED_WINDOW {
                    self.share *= DECREASE;
                    self.decreased_at = now;
                }
            }
        } else {
            self.share = (self.share + INCREASE).min(1.0);
            if observed.remaining >= 0.0 {
                self.tokens = self.tokens.min(observed.remaining + since / self.interval());
            }
        }
        self.answer(now, 0.0, 0.0, false)
    }

    pub(crate) fn cancel(&mut self, now: f64) -> Answer {
        self.refill(now);
        self.tokens = (self.tokens + 1.0).min(self.quota);
        self.answer(now, 0.0, 0.0, false)
    }

    fn refill(&mut self, now: f64) {
        let windows = (now - self.refilled_at).max(0.0) / self.window;
        self.share = (self.share + windows * INCREASE_PER_WINDOW).min(1.0);
        self.tokens = (self.tokens + windows * self.quota * self.share * HEADROOM).min(self.quota);
        self.refilled_at = now;
        self.blocked_until = self.blocked_until.min(now + MAX_BLOCKED.max(self.window));
    }

    fn interval(&self) -> f64 {
        self.window / (self.quota * self.share * HEADROOM)
    }

    fn time_for(&self, missing: f64) -> f64 {
        if missing <= SLACK {
            return 0.0;
        }
        let mut fastest = self.share;
        if missing > 1.0 {
            fastest = (self.share + missing * (INCREASE + INCREASE_PER_WINDOW / self.quota)).min(1.0);
        }
        (missing * self.window / (self.quota * fastest * HEADROOM)).ceil()
    }

    fn answer(&self, now: f64, ready_in: f64, reservation: f64, was_full: bool) -> Answer {
        Answer {
            ready_in: ready_in as u64,
            reservation: reservation as u64,
            now: now as u64,
            was_full,
            blocked_for: (self.blocked_until - now).ceil().max(0.0) as u64,
            interval: self.interval().ceil() as u64,
            quota: self.quota as u32,
            tokens: self.tokens.ceil() as i64,
            is_settled: self.share >= 1.0,
        }
    }
}
