//! A program's own rate limiter: what it is asked and told, what happens if it fails, and what stands in for it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{builder, document, emulator, nomic};
use nomic_client::operations::Tier;
use nomic_client::rate_limiter::{AcquireError, Permit, RateLimitInfo, RateLimiter, TokenBuckets};
use nomic_client::{Effect, ErrorKind, Nomic};
use nomic_emulator::{Emulator, Fault, FaultKind};

/// The default limiter, with a log of what the client does with it.
#[derive(Default)]
struct Logged {
    buckets: TokenBuckets,
    log: Mutex<BTreeMap<&'static str, Vec<(Tier, RateLimitInfo)>>>,
    /// Whether it is out of order.
    broken: AtomicBool,
}

impl Logged {
    fn log(&self, call: &'static str, tier: Tier, info: &RateLimitInfo) {
        self.log.lock().unwrap().entry(call).or_default().push((tier, info.clone()));
    }

    /// How often it was called so.
    fn count(&self, call: &str) -> usize {
        self.log.lock().unwrap().get(call).map_or(0, Vec::len)
    }
}

impl RateLimiter for Logged {
    fn acquire(&self, tier: Tier, deadline: Instant) -> Result<Permit, AcquireError> {
        self.log("acquire", tier, &RateLimitInfo::default());
        if self.broken.load(Ordering::Relaxed) {
            return Err(AcquireError::failed("the database\nis gone"));
        }
        let permit = self.buckets.acquire(tier, deadline)?;
        assert_eq!(permit.tier(), tier);
        Ok(permit)
    }

    fn observe(&self, permit: Permit, info: &RateLimitInfo) {
        self.log("observe", permit.tier(), info);
        self.buckets.observe(permit, info);
    }

    fn cancel(&self, permit: Permit) {
        self.log("cancel", permit.tier(), &RateLimitInfo::default());
        self.buckets.cancel(permit);
    }

    fn blocked_for(&self, tier: Tier) -> Duration {
        self.buckets.blocked_for(tier)
    }

    fn interval(&self, tier: Tier) -> Duration {
        self.buckets.interval(tier)
    }
}

/// A 429 that asks for a delay.
fn throttled_for(seconds: u64) -> FaultKind {
    FaultKind::RateLimited { retry_after: Some(seconds.to_string()) }
}

/// A client with such a limiter.
fn logged(emulator: &Emulator) -> (Nomic, Arc<Logged>) {
    let limiter = Arc::new(Logged::default());
    (builder(emulator).rate_limiter(Arc::clone(&limiter)).build().unwrap(), limiter)
}

#[test]
fn a_limiter_is_asked_before_each_request_and_told_each_response() {
    let emulator = Emulator::builder().audit_logs(450).start().unwrap();
    let (nomic, limiter) = logged(&emulator);
    assert_eq!(nomic.audit_logs().page_size(100).map(Result::unwrap).count(), 450);
    let version = document(&nomic);
    let jobs: Vec<_> = (0..10).map(|_| nomic.parse(&version).unwrap()).collect();
    assert!(nomic.wait_all(jobs).all(|(_, parsed)| parsed.is_ok()));
    let requests = emulator.requests().len();
    assert!(requests > 25, "{requests}");
    assert_eq!((limiter.count("acquire"), limiter.count("observe")), (requests, requests));
    let log = limiter.log.lock().unwrap();
    let heavy = log["acquire"].iter().filter(|(tier, _)| *tier == Tier::Heavy).count();
    assert_eq!(heavy, (emulator.received("upload_file") + emulator.received("submit_parse")) as usize);
    assert!(log["observe"].iter().all(|(_, info)| !info.throttled));
}

#[test]
fn a_permit_comes_back_if_nothing_was_sent_and_is_dropped_if_there_was_no_response() {
    let emulator = emulator();
    let limiter = Arc::new(Logged::default());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let build =
        |base: &str| Nomic::builder(base, emulator.key()).rate_limiter(Arc::clone(&limiter)).attempts(1).build();
    assert!(build(&format!("http://{nobody}")).unwrap().user("u1").unwrap_err().is_unreachable());
    assert_eq!((limiter.count("acquire"), limiter.count("cancel"), limiter.count("observe")), (1, 1, 0));
    emulator.fault(Fault::any(FaultKind::ResetBefore));
    assert!(build(emulator.url()).unwrap().projects().next().unwrap().is_err());
    assert_eq!((limiter.count("acquire"), limiter.count("cancel"), limiter.count("observe")), (2, 1, 0));
}

#[test]
fn a_429_is_observed_and_its_delay_is_kept_by_every_client_of_the_limiter() {
    let emulator = emulator();
    let (nomic, limiter) = logged(&emulator);
    let other = builder(&emulator).rate_limiter(Arc::clone(&limiter)).build().unwrap();
    emulator.fault(Fault::any(throttled_for(1)));
    let start = Instant::now();
    nomic.users().next().unwrap().unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    let throttled = |(_, info): &&(Tier, RateLimitInfo)| info.throttled;
    assert_eq!(limiter.log.lock().unwrap()["observe"].iter().filter(throttled).count(), 1);
    emulator.fault(Fault::any(throttled_for(100)));
    let hasty = |nomic: &Nomic| nomic.with_deadline(Duration::from_secs(5)).users().next().unwrap().unwrap_err();
    assert_eq!(hasty(&nomic).status(), Some(429));
    let before = emulator.requests().len();
    let error = hasty(&other);
    assert!(error.is_rate_limited() && error.retry_after() > Some(Duration::from_secs(90)), "{error}");
    assert_eq!(emulator.requests().len(), before, "nothing was sent");
}

#[test]
fn a_limiter_that_knows_no_delay_still_gets_requests_that_keep_it() {
    /// Lets everything through.
    struct Open;
    impl RateLimiter for Open {
        fn acquire(&self, tier: Tier, _: Instant) -> Result<Permit, AcquireError> {
            Ok(Permit::new(tier, 0))
        }
        fn observe(&self, _: Permit, _: &RateLimitInfo) {}
        fn cancel(&self, _: Permit) {}
    }
    let emulator = emulator();
    let nomic = builder(&emulator).rate_limiter(Open).build().unwrap();
    emulator.fault(Fault::any(throttled_for(1)));
    let start = Instant::now();
    nomic.users().next().unwrap().unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_limiter_that_fails_ends_the_call_with_its_words_and_nothing_is_sent() {
    let emulator = emulator();
    let (nomic, limiter) = logged(&emulator);
    let version = document(&nomic);
    limiter.broken.store(true, Ordering::Relaxed);
    let before = emulator.requests().len();
    let error = nomic.parse(&version).unwrap_err();
    assert_eq!(error.to_string(), "submit_parse: the rate limiter failed: the database is gone");
    assert!(matches!(error.kind(), ErrorKind::RateLimiter { .. }));
    assert!(error.is_transient() && !error.is_rate_limited() && error.effect() == Effect::None);
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the database\nis gone");
    assert_eq!(emulator.requests().len(), before);
}

#[test]
fn a_wait_goes_on_when_the_limiter_works_again() {
    let emulator = emulator();
    let (nomic, limiter) = logged(&emulator);
    let jobs: Vec<_> = (0..3).map(|_| nomic.parse(document(&nomic)).unwrap()).collect();
    limiter.broken.store(true, Ordering::Relaxed);
    std::thread::scope(|scope| {
        let wait = scope.spawn(|| nomic.wait(&jobs[0]).map(drop));
        let wait_all = scope.spawn(|| nomic.wait_all(jobs.clone()).filter(|(_, parsed)| parsed.is_ok()).count());
        while limiter.count("acquire") < 12 {
            std::thread::yield_now();
        }
        limiter.broken.store(false, Ordering::Relaxed);
        wait.join().unwrap().unwrap();
        assert_eq!(wait_all.join().unwrap(), 3);
    });
}

#[test]
fn token_buckets_of_the_client_stand_in_for_a_limiter_that_fails_if_they_are_told_to() {
    let emulator = emulator();
    let limiter = Arc::new(Logged::default());
    limiter.broken.store(true, Ordering::Relaxed);
    let nomic = builder(&emulator).rate_limiter(Arc::clone(&limiter)).rate_limiter_fallback(true).build().unwrap();
    nomic.users().next().unwrap().unwrap();
    assert_eq!((limiter.count("acquire"), limiter.count("observe")), (1, 0));
    // They keep to a `Retry-After`, too.
    emulator.fault(Fault::any(throttled_for(100)));
    let hasty = || nomic.with_deadline(Duration::from_secs(5)).users().next().unwrap().unwrap_err();
    assert_eq!(hasty().status(), Some(429));
    assert!(hasty().is_rate_limited());
    // The limiter gives a permit as soon as it works again.
    limiter.broken.store(false, Ordering::Relaxed);
    nomic.users().next().unwrap().unwrap();
    assert_eq!(limiter.count("observe"), 1);
}

#[test]
fn waiting_for_jobs_bears_any_interval() {
    struct Interval(Duration);
    impl RateLimiter for Interval {
        fn acquire(&self, tier: Tier, _: Instant) -> Result<Permit, AcquireError> {
            Ok(Permit::new(tier, 0))
        }
        fn observe(&self, _: Permit, _: &RateLimitInfo) {}
        fn cancel(&self, _: Permit) {}
        fn interval(&self, _: Tier) -> Duration {
            self.0
        }
    }
    let emulator = emulator();
    let version = document(&nomic(&emulator));
    for interval in [Duration::ZERO, Duration::MAX] {
        let nomic = builder(&emulator).rate_limiter(Interval(interval)).build().unwrap();
        let job = nomic.parse(&version).unwrap();
        assert!(nomic.wait_all([job]).all(|(_, parsed)| parsed.is_ok()));
    }
}
