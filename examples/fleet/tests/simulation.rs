//! The shared rate limit with up to 1,000 workers, in virtual time:
//! `cargo test --test simulation -- --nocapture` prints the table of the README.

mod model;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use model::{Known, Model, Observed};
use nomic_client::rate_limiter::RateLimitInfo;
use nomic_emulator::{LimitModel, Rng};

/// The quota of the heavy tier, and its window in µs.
const QUOTA: f64 = 30.0;
const WINDOW: u64 = 60_000_000;
/// The windows that are measured, after the first one.
const MEASURED: u64 = 100;
/// The time to Redis, or back, in µs.
const REDIS: u64 = 250;
/// The start, 20 seconds into a fixed window.
const START: u64 = 29_000_000 * WINDOW + 20_000_000;
const MODELS: [LimitModel; 3] = [LimitModel::FullBurst, LimitModel::EvenPacing, LimitModel::FixedWindow];

/// The side of the service.
struct Service {
    model: LimitModel,
    /// Of a bucket the tokens left, of a window the requests used.
    amount: f64,
    since: u64,
}

impl Service {
    fn new(model: LimitModel) -> Self {
        let amount = match model {
            LimitModel::FullBurst => QUOTA,
            LimitModel::EvenPacing => 1.0,
            _ => 0.0,
        };
        Self { model, amount, since: START }
    }

    /// What remains, or the time until the next request is allowed.
    fn ask(&mut self, now: u64) -> Result<u32, u64> {
        if self.model == LimitModel::FixedWindow {
            let start = now / WINDOW * WINDOW;
            if start > self.since {
                (self.since, self.amount) = (start, 0.0);
            }
            if self.amount >= QUOTA {
                return Err(start + WINDOW - now);
            }
            self.amount += 1.0;
            return Ok((QUOTA - self.amount) as u32);
        }
        let capacity = if self.model == LimitModel::FullBurst { QUOTA } else { 1.0 };
        self.amount = (self.amount + (now - self.since) as f64 * QUOTA / WINDOW as f64).min(capacity);
        self.since = now;
        if self.amount < 1.0 - 1e-9 {
            return Err(((1.0 - self.amount) * WINDOW as f64 / QUOTA).ceil() as u64);
        }
        self.amount -= 1.0;
        Ok(self.amount as u32)
    }
}

/// What a worker does next.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// Its call to Redis arrives, with the number of its reservation.
    Acquire(u64),
    /// Its request arrives at the service.
    Request { taken_at: u64, was_full: bool },
    /// The response arrives.
    Response { taken_at: u64, was_full: bool, outcome: Result<u32, u64> },
}

/// What was counted from one point in time on.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    sent: u64,
    throttled: u64,
    calls: u64,
}

#[derive(Debug)]
struct Outcome {
    first_window: Counts,
    later: Counts,
}

impl Outcome {
    fn throttled(&self) -> f64 {
        self.later.throttled as f64 / self.later.sent as f64
    }

    fn used(&self) -> f64 {
        (self.later.sent - self.later.throttled) as f64 / (QUOTA * MEASURED as f64)
    }

    fn calls_per_request(&self) -> f64 {
        self.later.calls as f64 / self.later.sent as f64
    }

    fn calls_per_second(&self) -> f64 {
        self.later.calls as f64 / (MEASURED * WINDOW / 1_000_000) as f64
    }
}

/// Workers, each a process of its own, that always have a request to send.
fn simulate(model: LimitModel, headers: bool, workers: usize) -> Outcome {
    let (epoch, mut rng) = (Instant::now(), Rng::new(workers as u64));
    let instant = |now: u64| epoch + Duration::from_micros(now - START);
    let mut service = Service::new(model);
    let mut bucket = Model::new(QUOTA, WINDOW as f64, START as f64);
    let mut known: Vec<Known> = (0..workers).map(|_| Known::default()).collect();
    let mut steps: BinaryHeap<Reverse<(u64, usize, Step)>> =
        (0..workers).map(|worker| Reverse((START + rng.below(100_000), worker, Step::Acquire(0)))).collect();
    let (measured_from, end) = (START + WINDOW, START + WINDOW * (MEASURED + 1));
    let mut counts = [Counts::default(); 2];
    while let Some(Reverse((now, worker, step))) = steps.pop() {
        if now >= end {
            break;
        }
        let counts = &mut counts[usize::from(now >= measured_from)];
        let known = &mut known[worker];
        let next = match step {
            Step::Acquire(reservation) => {
                counts.calls += 1;
                let answer = bucket.acquire(now as f64, reservation, 1e15, known.take_successes());
                known.update(answer, instant(now));
                let back = now + REDIS;
                if answer.ready_in > 0 {
                    // A thread wakes up to a millisecond late.
                    let awake = back + answer.ready_in + rng.below(1_000);
                    (awake + REDIS, worker, Step::Acquire(answer.reservation))
                } else {
                    let request = Step::Request { taken_at: answer.now, was_full: answer.was_full };
                    (back + 25_000 + rng.below(5_000), worker, request)
                }
            }
            Step::Request { taken_at, was_full } => {
                counts.sent += 1;
                let outcome = service.ask(now);
                counts.throttled += u64::from(outcome.is_err());
                (now + 25_000 + rng.below(5_000), worker, Step::Response { taken_at, was_full, outcome })
            }
            Step::Response { taken_at, was_full, outcome } => {
                // Whole seconds, as of the service.
                let delay = outcome.err().map(|wait| Duration::from_secs(wait.div_ceil(1_000_000)));
                let mut info = RateLimitInfo::default();
                info.throttled = delay.is_some();
                info.retry_after = delay;
                if headers || info.throttled {
                    (info.limit, info.remaining) = (Some(QUOTA as u32), Some(outcome.unwrap_or(0)));
                }
                if was_full || known.is_news(&info) {
                    counts.calls += 1;
                    let header = |number: Option<u32>| number.map_or(-1.0, f64::from);
                    let observed = Observed {
                        taken_at: taken_at as f64,
                        was_full,
                        limit: header(info.limit),
                        remaining: header(info.remaining),
                        throttled: info.throttled,
                        delay: delay.map_or(-1.0, |delay| delay.as_micros() as f64),
                    };
                    let answer = bucket.observe(now as f64, &observed);
                    known.update(answer, instant(now));
                } else {
                    known.count_success();
                }
                // The client sleeps before it asks for another permit.
                let pause = delay.map_or(0, |delay| (delay.as_micros() as u64).max(125_000 + rng.below(125_000)));
                (now + pause + REDIS, worker, Step::Acquire(0))
            }
        };
        steps.push(Reverse(next));
    }
    let [first_window, later] = counts;
    Outcome { first_window, later }
}

#[test]
fn a_thousand_workers_use_the_quota_with_few_refusals_and_few_calls() {
    println!(
        "| service | headers | workers | quota used | refused | refused in the first window | Redis calls per request | per second |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|");
    for model in MODELS {
        for headers in [true, false] {
            for workers in [1, 10, 100, 1_000] {
                let outcome = simulate(model, headers, workers);
                let with = if headers { "always" } else { "with a 429" };
                println!(
                    "| {model:?} | {with} | {workers} | {:.1} % | {:.1} % | {} | {:.2} | {:.2} |",
                    outcome.used() * 100.0,
                    outcome.throttled() * 100.0,
                    outcome.first_window.throttled,
                    outcome.calls_per_request(),
                    outcome.calls_per_second(),
                );
                let case = format!("{model:?}, headers {with}, {workers} workers: {outcome:?}");
                assert!(outcome.used() >= 0.95, "{case}");
                // At the end of each fixed window, one request finds out that it has ended.
                let most = if model == LimitModel::FixedWindow { 2.0 / QUOTA } else { 0.02 };
                assert!(outcome.throttled() <= most, "{case}");
                assert!(outcome.first_window.throttled <= QUOTA as u64 + 3, "{case}");
                assert!(outcome.calls_per_request() <= 4.0, "{case}");
            }
        }
    }
}
