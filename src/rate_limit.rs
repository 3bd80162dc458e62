//! The token bucket of one rate-limit tier: when the next request may be sent. Pure: time is an argument.
//!
//! The bucket holds the tier's quota, starts full and refills evenly; a request takes a token. The server corrects it:
//!
//! - `X-RateLimit-Limit` replaces the quota, `X-RateLimit-Remaining` caps the tokens;
//! - a 429 empties the bucket, and its `Retry-After` blocks the tier for all clones of a client;
//! - a 429 also decreases the refill rate by a factor, because others may use the quota too. Every success, and time,
//!   increase it again.
//!
//! The server's algorithm is unknown. The tests simulate a full burst, even pacing and a fixed window.

use std::time::{Duration, Instant};

use crate::rate_limiter::RateLimitInfo;

/// Fraction of the quota to use, so that network jitter does not exceed it.
const HEADROOM: f64 = 0.99;
/// Multiplicative decrease of the share after a 429.
const DECREASE: f64 = 0.85;
/// Additive increase of the share per success.
const INCREASE: f64 = 0.01;
/// Additive increase of the share per window, which idle clients get too. It also bounds how far 429s decrease it.
const INCREASE_PER_WINDOW: f64 = 0.1;
/// A `Retry-After` of more than this fraction of the window announces the end of a fixed window, not contention: a
/// server that refills evenly has the next token sooner.
const FIXED_WINDOW: f64 = 0.25;
/// Longer windows are cut to this.
const MAX_WINDOW: Duration = Duration::from_secs(86_400);
/// The longest time that one `Retry-After` blocks the tier, unless the window is longer. A delay sent by mistake
/// (milliseconds for seconds, say) must not stop a long-running program.
const MAX_BLOCKED: Duration = Duration::from_secs(3600);
/// Stands for "no deadline": 100 years, which clocks can still count.
pub(crate) const FAR_FUTURE: Duration = Duration::from_secs(3_153_600_000);

/// What a request took from the bucket.
#[derive(Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) taken_at: Instant,
    /// Whether the bucket was full.
    pub(crate) was_full: bool,
}

/// The state of one tier.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Requests per window; the capacity of the bucket.
    quota: f64,
    window: Duration,
    tokens: f64,
    /// `None` until the first use.
    refilled_at: Option<Instant>,
    /// The part of the quota to refill with; below 1 while others use the quota too.
    share: f64,
    decreased_at: Option<Instant>,
    blocked_until: Option<Instant>,
}

impl Bucket {
    pub(crate) fn new(quota: u32, window: Duration) -> Self {
        let quota = f64::from(quota.max(1));
        Self {
            quota,
            window: window.clamp(Duration::from_millis(1), MAX_WINDOW),
            tokens: quota,
            refilled_at: None,
            share: 1.0,
            decreased_at: None,
            blocked_until: None,
        }
    }

    /// Takes a token, or returns the time until one is there.
    pub(crate) fn acquire(&mut self, now: Instant) -> Result<Token, Duration> {
        let wait = self.ready_in(now);
        if !wait.is_zero() {
            return Err(wait);
        }
        let was_full = self.tokens >= self.quota;
        self.tokens -= 1.0;
        Ok(Token { taken_at: now, was_full })
    }

    /// Learns from a response.
    pub(crate) fn observe(&mut self, token: Token, now: Instant, info: &RateLimitInfo) {
        self.refill(now);
        let since = now.saturating_duration_since(token.taken_at);
        if token.was_full {
            // The server's full bucket refills from the arrival of this request on, not from when it was sent. A response
            // that takes long says nothing about that.
            self.tokens -= since.div_duration_f64(self.interval()).min(1.0);
        }
        if let Some(limit) = info.limit {
            self.quota = f64::from(limit.max(1));
        }
        if info.throttled {
            self.tokens = 0.0;
            if let Some(delay) = info.retry_after {
                self.block(&token, now, delay.min(MAX_BLOCKED.max(self.window)));
            }
            return;
        }
        self.share = (self.share + INCREASE).min(1.0);
        // What remained when the server counted this request, and the refill since. Requests in flight are not subtracted:
        // responses overtake each other, and that would cost tokens.
        if let Some(remaining) = info.remaining {
            self.tokens = self.tokens.min(f64::from(remaining) + since.div_duration_f64(self.interval()));
        }
    }

    fn block(&mut self, token: &Token, now: Instant, delay: Duration) {
        self.blocked_until = self.blocked_until.max(now.checked_add(delay));
        // Requests that were in flight at a decrease are throttled for the same reason.
        let is_new = self.decreased_at.is_none_or(|decreased_at| token.taken_at > decreased_at);
        if is_new && delay <= self.window.mul_f64(FIXED_WINDOW) {
            self.share *= DECREASE;
            self.decreased_at = Some(now);
        }
    }

    /// Gives the token back: nothing was sent.
    pub(crate) fn cancel(&mut self, _token: Token) {
        self.tokens += 1.0;
    }

    /// How long `Retry-After` still blocks the tier.
    pub(crate) fn blocked_for(&self, now: Instant) -> Duration {
        self.blocked_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// The time until the next token may be taken.
    pub(crate) fn ready_in(&mut self, now: Instant) -> Duration {
        self.refill(now);
        let refilled = self.interval().mul_f64((1.0 - self.tokens).max(0.0));
        refilled.max(self.blocked_for(now))
    }

    /// The time between two requests at the sustained rate.
    pub(crate) fn interval(&self) -> Duration {
        self.window.div_f64(self.quota * self.share * HEADROOM)
    }

    /// Adds the tokens for the time that passed. A blocked tier refills, too: the server does.
    fn refill(&mut self, now: Instant) {
        let elapsed = self.refilled_at.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let windows = elapsed.as_secs_f64() / self.window.as_secs_f64();
        self.refilled_at = self.refilled_at.max(Some(now));
        self.share = (self.share + windows * INCREASE_PER_WINDOW).min(1.0);
        self.tokens = (self.tokens + windows * self.quota * self.share * HEADROOM).min(self.quota);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn bucket() -> (Bucket, Instant) {
        (Bucket::new(30, MINUTE), Instant::now())
    }

    fn take(bucket: &mut Bucket, now: Instant) -> Option<Token> {
        bucket.acquire(now).ok()
    }

    /// Takes all tokens and counts them.
    fn drain(bucket: &mut Bucket, now: Instant) -> usize {
        std::iter::from_fn(|| take(bucket, now)).count()
    }

    fn observe(bucket: &mut Bucket, now: Instant, info: RateLimitInfo) {
        let token = take(bucket, now).unwrap();
        bucket.observe(token, now, &info);
    }

    fn remaining(remaining: u32) -> RateLimitInfo {
        RateLimitInfo { remaining: Some(remaining), ..RateLimitInfo::default() }
    }

    fn throttled_for(seconds: f64) -> RateLimitInfo {
        RateLimitInfo { throttled: true, retry_after: Some(secs(seconds)), ..RateLimitInfo::default() }
    }

    #[test]
    fn four_parallel_first_requests_leave_at_once() {
        let (mut bucket, now) = bucket();
        assert!((0..4).all(|_| take(&mut bucket, now).is_some()));
    }

    #[test]
    fn an_empty_bucket_refills_evenly_and_a_little_slower_than_the_quota() {
        let (mut bucket, now) = bucket();
        assert_eq!(drain(&mut bucket, now), 30);
        let interval = bucket.interval();
        assert!(interval > secs(2.01) && interval < secs(2.03), "{interval:?}");
        assert_eq!(bucket.acquire(now + interval / 2), Err(bucket.ready_in(now + interval / 2)));
        assert_eq!(drain(&mut bucket, now + interval), 1);
        assert_eq!(drain(&mut bucket, now + interval + MINUTE), 29);
        assert_eq!(drain(&mut bucket, now + MINUTE * 10), 30);
    }

    #[test]
    fn a_clock_reading_that_is_overtaken_refills_nothing() {
        let (mut bucket, now) = bucket();
        drain(&mut bucket, now);
        let later = now + bucket.interval().mul_f64(0.6);
        for at in [later, now, later] {
            assert_eq!(take(&mut bucket, at), None);
        }
    }

    #[test]
    fn a_refusal_blocks_everybody_until_retry_after() {
        let (mut bucket, now) = bucket();
        observe(&mut bucket, now, throttled_for(7.0));
        assert_eq!((bucket.blocked_for(now), bucket.ready_in(now)), (secs(7.0), secs(7.0)));
        assert_eq!(take(&mut bucket, now + secs(6.9)), None);
        assert!(take(&mut bucket, now + secs(7.0)).is_some());
    }

    #[test]
    fn a_shorter_retry_after_does_not_unblock() {
        let (mut bucket, now) = bucket();
        let second = take(&mut bucket, now).unwrap();
        observe(&mut bucket, now, throttled_for(40.0));
        bucket.observe(second, now, &throttled_for(1.0));
        assert_eq!(bucket.blocked_for(now), secs(40.0));
    }

    #[test]
    fn a_refusal_without_a_delay_empties_the_bucket_but_does_not_block() {
        let (mut bucket, now) = bucket();
        observe(&mut bucket, now, RateLimitInfo { throttled: true, ..RateLimitInfo::default() });
        assert_eq!(bucket.blocked_for(now), Duration::ZERO);
        assert_eq!(take(&mut bucket, now + secs(0.1)), None);
        assert!(take(&mut bucket, now + secs(2.1)).is_some());
    }

    #[test]
    fn what_other_processes_use_is_respected() {
        let (mut bucket, now) = bucket();
        observe(&mut bucket, now, remaining(5));
        assert_eq!(drain(&mut bucket, now), 5);
    }

    #[test]
    fn remaining_caps_the_tokens_at_what_the_server_counted_and_the_refill_since() {
        let (mut bucket, now) = bucket();
        drain(&mut bucket, now);
        let late = now + bucket.interval().mul_f64(3.5);
        let (token, other) = (take(&mut bucket, late).unwrap(), take(&mut bucket, late).unwrap());
        let response = late + bucket.interval().mul_f64(0.75);
        bucket.observe(token, response, &remaining(29));
        assert_eq!(drain(&mut bucket, response), 2, "it adds nothing");
        let response = response + bucket.interval().mul_f64(2.0);
        bucket.observe(other, response, &remaining(0));
        assert_eq!(drain(&mut bucket, response), 2, "and takes nothing that was refilled since");
        let next = late + bucket.interval().mul_f64(6.5);
        let token = take(&mut bucket, next).unwrap();
        let response = late + bucket.interval().mul_f64(6.75);
        bucket.observe(token, response, &remaining(0));
        let wait = bucket.ready_in(response);
        assert!(wait > bucket.interval().mul_f64(0.74) && wait < bucket.interval().mul_f64(0.76), "{wait:?}");
    }

    #[test]
    fn a_full_bucket_refills_from_the_first_response_on() {
        let (mut bucket, now) = bucket();
        let token = take(&mut bucket, now).unwrap();
        drain(&mut bucket, now);
        let response = now + bucket.interval().mul_f64(0.5);
        bucket.observe(token, response, &RateLimitInfo::default());
        assert!(bucket.ready_in(response) > bucket.interval().mul_f64(0.99));
        // A response that takes long costs one token, not all that was refilled meanwhile.
        let (mut bucket, now) = self::bucket();
        let token = take(&mut bucket, now).unwrap();
        let response = now + secs(600.0);
        bucket.observe(token, response, &RateLimitInfo::default());
        assert_eq!(drain(&mut bucket, response), 29);
    }

    #[test]
    fn the_limit_header_corrects_the_quota() {
        let (mut bucket, now) = bucket();
        observe(&mut bucket, now, RateLimitInfo { limit: Some(10), ..RateLimitInfo::default() });
        assert_eq!(drain(&mut bucket, now), 10);
        assert!(bucket.interval() > secs(6.0) && bucket.interval() < secs(6.1));
    }

    #[test]
    fn a_cancelled_request_gives_its_token_back_and_an_unanswered_one_does_not() {
        let (mut bucket, now) = bucket();
        let tokens: Vec<_> = (0..30).map(|_| take(&mut bucket, now).unwrap()).collect();
        tokens.into_iter().take(3).for_each(|token| bucket.cancel(token));
        assert_eq!(drain(&mut bucket, now), 3);
    }

    #[test]
    fn throttled_requests_in_flight_count_once() {
        let (mut bucket, now) = bucket();
        let even = bucket.interval();
        let tokens: Vec<_> = (0..8).map(|_| take(&mut bucket, now).unwrap()).collect();
        tokens.into_iter().for_each(|token| bucket.observe(token, now + secs(0.1), &throttled_for(2.0)));
        assert!(bucket.interval() < even.mul_f64(1.2), "{:?}", bucket.interval());
        // On a coarse clock a request may leave and be throttled within one tick.
        let (mut bucket, now) = self::bucket();
        let tokens: Vec<_> = (0..8).map(|_| take(&mut bucket, now).unwrap()).collect();
        tokens.into_iter().for_each(|token| bucket.observe(token, now, &throttled_for(2.0)));
        assert!(bucket.interval() < even.mul_f64(1.2), "{:?}", bucket.interval());
    }

    #[test]
    fn consecutive_429s_back_off_further_within_a_bound() {
        let (mut bucket, mut now) = bucket();
        let even = bucket.interval();
        for _ in 0..100 {
            let before = bucket.interval();
            now += bucket.ready_in(now);
            observe(&mut bucket, now, throttled_for(0.0));
            assert!(bucket.interval() > before || before > even * 4);
        }
        assert!(bucket.interval() <= even * 10);
    }

    #[test]
    fn after_a_short_refusal_and_an_idle_window_a_tier_bursts_again() {
        let (mut bucket, now) = bucket();
        observe(&mut bucket, now, throttled_for(2.0));
        let idle = now + secs(2.0) + MINUTE;
        assert!((0..10).all(|_| take(&mut bucket, idle).is_some()));
        assert!(drain(&mut bucket, idle) >= 10);
    }

    #[test]
    fn a_decreased_refill_recovers_with_time_and_with_successes() {
        let (mut bucket, now) = bucket();
        let even = bucket.interval();
        observe(&mut bucket, now, throttled_for(2.0));
        let _ = bucket.ready_in(now + MINUTE * 2);
        assert_eq!(bucket.interval(), even);
        observe(&mut bucket, now + MINUTE * 2, throttled_for(2.0));
        (0..20).for_each(|_| bucket.observe(Token { taken_at: now, was_full: false }, now, &RateLimitInfo::default()));
        assert_eq!(bucket.interval(), even);
    }

    #[test]
    fn the_end_of_a_fixed_window_brings_its_tokens_without_a_decrease() {
        let (mut bucket, now) = bucket();
        let even = bucket.interval();
        observe(&mut bucket, now, throttled_for(58.0));
        assert_eq!(bucket.interval(), even);
        assert_eq!(drain(&mut bucket, now + secs(58.0)), 28);
    }

    #[test]
    fn a_delay_blocks_for_an_hour_or_a_window_at_most() {
        let hours = |hours: u64| Duration::from_secs(3600 * hours);
        for (window, delay, blocked) in [
            (MINUTE, hours(1), hours(1)),
            (MINUTE, hours(2), hours(1)),
            (hours(3), hours(2), hours(2)),
            (hours(3), Duration::MAX, hours(3)),
        ] {
            let (mut bucket, now) = (Bucket::new(30, window), Instant::now());
            observe(&mut bucket, now, RateLimitInfo { throttled: true, retry_after: Some(delay), ..remaining(0) });
            assert_eq!(bucket.blocked_for(now), blocked);
        }
    }

    #[test]
    fn absurd_numbers_do_no_harm() {
        for (quota, window) in [0, 1, u32::MAX]
            .into_iter()
            .flat_map(|quota| [Duration::ZERO, MAX_WINDOW, Duration::MAX].map(|window| (quota, window)))
        {
            let (mut bucket, mut now) = (Bucket::new(quota, window), Instant::now());
            assert!(bucket.interval() < FAR_FUTURE);
            for number in [0, 1, u32::MAX] {
                for throttled in [false, true] {
                    for delay in [None, Some(Duration::ZERO), Some(Duration::MAX)] {
                        let token = Token { taken_at: now, was_full: false };
                        let (limit, remaining) = (Some(number), Some(number));
                        bucket.observe(token, now, &RateLimitInfo { limit, remaining, throttled, retry_after: delay });
                        assert!(bucket.interval() < FAR_FUTURE);
                        now += bucket.ready_in(now);
                        let token = take(&mut bucket, now).unwrap();
                        bucket.cancel(token);
                    }
                }
            }
            let _ = bucket.acquire(now + FAR_FUTURE);
            let _ = bucket.acquire(now);
        }
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Model {
        FullBurst,
        EvenPacing,
        FixedWindow,
    }

    const MODELS: [Model; 3] = [Model::FullBurst, Model::EvenPacing, Model::FixedWindow];

    /// The server's side. A bucket counts what is left, a window what was used.
    struct Server {
        model: Model,
        amount: f64,
        since: f64,
    }

    impl Server {
        /// Accepts or refuses a request at `at` seconds: (accepted, remaining, retry after).
        fn ask(&mut self, at: f64, quota: f64, window: f64) -> (bool, u32, f64) {
            if self.model == Model::FixedWindow {
                let start = (at / window).floor() * window;
                if start > self.since {
                    (self.since, self.amount) = (start, 0.0);
                }
                let accepted = self.amount < quota;
                self.amount += f64::from(u8::from(accepted));
                return (accepted, (quota - self.amount) as u32, start + window - at);
            }
            let capacity = if self.model == Model::FullBurst { quota } else { 1.0 };
            self.amount = (self.amount + (at - self.since) * quota / window).min(capacity);
            self.since = at;
            if self.amount < 1.0 - 1e-9 {
                return (false, 0, (1.0 - self.amount) * window / quota);
            }
            self.amount -= 1.0;
            (true, self.amount.max(0.0) as u32, 0.0)
        }
    }

    /// A load on a virtual clock, in seconds.
    #[derive(Clone, Copy, Debug)]
    struct Load {
        model: Model,
        /// Whether every response has the headers. The API documents them for 429s only.
        headers: bool,
        processes: usize,
        threads: usize,
        calls: f64,
        latency: (f64, f64),
        /// `Retry-After` is rounded up to a multiple of this.
        rounding: f64,
        quota: f64,
        window: f64,
        /// An unexpected 429: the number of the request, and its `Retry-After`.
        odd: Option<(usize, f64)>,
        /// Whether the server halves the quota after half of the calls.
        halved: bool,
        seed: u64,
    }

    const ALONE: Load = Load {
        model: Model::FullBurst,
        headers: true,
        processes: 1,
        threads: 1,
        calls: 200.0,
        latency: (0.05, 0.01),
        rounding: 1.0,
        quota: 30.0,
        window: 60.0,
        odd: None,
        halved: false,
        seed: 0,
    };

    const FAST: Load = Load { window: 6.0, latency: (0.002, 0.0002), rounding: 0.001, ..ALONE };

    /// As good as not rounded.
    const EXACT: f64 = 1e-6;

    /// The load under every model, with headers always and on 429s only, with several seeds.
    fn variants(load: Load) -> impl Iterator<Item = Load> {
        MODELS.into_iter().flat_map(move |model| {
            [true, false]
                .into_iter()
                .flat_map(move |headers| (0..4).map(move |seed| Load { model, headers, seed, ..load }))
        })
    }

    impl Load {
        /// The least time in which the server accepts all calls.
        fn optimum(&self) -> f64 {
            let windows = match self.model {
                // 200 calls: the first 100 at 30 per window, the others at 15.
                model if self.halved => [9.0, 9.967, 10.0][model as usize],
                Model::FullBurst => self.calls / self.quota - 1.0,
                Model::EvenPacing => (self.calls - 1.0) / self.quota,
                Model::FixedWindow => (self.calls / self.quota).ceil() - 1.0,
            };
            self.window * windows
        }

        /// The time taken in terms of the optimum, the number of 429s, and their share of what was sent.
        fn run(self) -> (f64, usize, f64) {
            let start = Instant::now();
            let mut quota = self.quota;
            let amount = [self.quota, 1.0, 0.0][self.model as usize];
            let mut server = Server { model: self.model, amount, since: 0.0 };
            let mut state = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(2 * self.seed + 1);
            let mut trip = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                self.latency.0 / 2.0 + (state >> 11) as f64 / (1_u64 << 53) as f64 * self.latency.1
            };
            let each = self.calls as usize / self.processes;
            let new = || Bucket::new(self.quota as u32, secs(self.window));
            // Each process: its bucket, the threads that wait for a token, and the calls not yet begun. The waiters of
            // one process are all alike, so their number is the queue.
            let mut processes: Vec<_> =
                (0..self.processes).map(|_| (new(), self.threads.min(each), each - self.threads.min(each))).collect();
            let mut events = Vec::new();
            let (mut clock, mut sent, mut arrived, mut throttled, mut done) = (0.0_f64, 0, 0, 0, 0);
            while done < each * self.processes {
                let mut next = f64::INFINITY;
                for (index, (bucket, waiting, _)) in processes.iter_mut().enumerate() {
                    while *waiting > 0 && next > clock {
                        match bucket.acquire(start + secs(clock)) {
                            Ok(token) => {
                                (sent, *waiting) = (sent + 1, *waiting - 1);
                                events.push((clock + trip(), index, token, None));
                            }
                            Err(wait) => {
                                next = next.min(clock + wait.as_secs_f64() + 1e-6);
                                break;
                            }
                        }
                    }
                }
                let earliest = (0..events.len()).min_by(|a, b| events[*a].0.total_cmp(&events[*b].0));
                let Some(earliest) = earliest.filter(|event| events[*event].0 <= next) else {
                    assert!(next.is_finite() && next > clock, "stuck at {clock}");
                    clock = next;
                    continue;
                };
                let (now, index, token, answer) = events.swap_remove(earliest);
                clock = now;
                match answer {
                    None => {
                        arrived += 1;
                        let (accepted, remaining, delay) = match self.odd {
                            Some((number, delay)) if number == arrived => (false, 0, delay),
                            _ => server.ask(clock, quota, self.window),
                        };
                        let told = self.headers || !accepted;
                        let delay = ((delay - 1e-9) / self.rounding).ceil() * self.rounding;
                        let info = RateLimitInfo {
                            limit: told.then_some(quota as u32),
                            remaining: told.then_some(remaining),
                            throttled: !accepted,
                            retry_after: (!accepted).then(|| secs(delay)),
                        };
                        events.push((clock + trip(), index, token, Some(info)));
                    }
                    Some(info) => {
                        let (bucket, waiting, left) = &mut processes[index];
                        bucket.observe(token, start + secs(clock), &info);
                        if info.throttled {
                            (throttled, *waiting) = (throttled + 1, *waiting + 1);
                            continue;
                        }
                        done += 1;
                        if *left > 0 {
                            (*left, *waiting) = (*left - 1, *waiting + 1);
                        }
                        if self.halved && done == each / 2 {
                            quota = (self.quota / 2.0).floor();
                        }
                    }
                }
            }
            (clock / self.optimum(), throttled, throttled as f64 / sent as f64)
        }
    }

    #[test]
    fn alone_on_its_quota_a_program_takes_the_least_time_and_is_hardly_refused() {
        let latencies = [(0.005, 0.002), (0.05, 0.01), (0.3, 0.1)];
        let loads = latencies.into_iter().flat_map(|latency| {
            [1, 8, 32]
                .into_iter()
                .flat_map(move |threads| [1.0, EXACT].map(|rounding| Load { threads, rounding, latency, ..ALONE }))
        });
        let fast = [Load { quota: 300.0, calls: 600.0, threads: 8, ..FAST }, Load { threads: 8, ..FAST }];
        for load in loads.chain(fast).flat_map(variants) {
            let (ratio, throttled, _) = load.run();
            // Jitter beyond the headroom makes an evenly pacing server refuse.
            let jitters = load.model == Model::EvenPacing && load.latency.1 > 0.05;
            let (most, most_throttled) = if jitters { (1.22, 0.1) } else { (1.05, 0.03) };
            let most_throttled = load.threads as f64 + load.calls * most_throttled;
            assert!(ratio <= most && throttled as f64 <= most_throttled, "{ratio:.3}, {throttled} throttled: {load:?}");
        }
    }

    #[test]
    fn two_processes_share_a_quota_without_much_refusal() {
        for latency in [(0.005, 0.002), (0.05, 0.01)] {
            for (threads, rounding) in [(1, 1.0), (4, 1.0), (1, EXACT), (4, EXACT)] {
                for load in variants(Load { processes: 2, threads, rounding, latency, ..ALONE }) {
                    let (ratio, _, share) = load.run();
                    let most = if load.model == Model::EvenPacing { 1.45 } else { 1.25 };
                    assert!(ratio <= most && share <= 0.2, "{ratio:.3}, {share:.3} throttled: {load:?}");
                }
            }
        }
    }

    #[test]
    fn one_long_delay_out_of_the_blue_costs_no_more_than_itself_and_a_window() {
        for load in [1, 40].into_iter().flat_map(|number| variants(Load { odd: Some((number, 20.0)), ..ALONE })) {
            let (ratio, throttled, _) = load.run();
            let most = (load.optimum() + 20.0 + load.window) * 1.06 / load.optimum();
            assert!(ratio <= most && throttled <= 8, "{ratio:.3} of {most:.3}, {throttled} throttled: {load:?}");
        }
    }

    #[test]
    fn a_quota_halved_by_the_server_is_followed() {
        for load in [ALONE, FAST].into_iter().flat_map(|load| variants(Load { threads: 8, halved: true, ..load })) {
            let (ratio, _, share) = load.run();
            assert!(ratio <= 1.1 && share <= 0.1, "{ratio:.3}, {share:.3} throttled: {load:?}");
        }
    }
}
