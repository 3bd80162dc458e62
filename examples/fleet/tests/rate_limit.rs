//! The shared rate limit on a real Redis: processes that share a quota, failures of Redis, and the script itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;
mod model;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::RedisServer;
use model::{Answer, Model, Observed};
use nomic_client::operations::Tier;
use nomic_client::rate_limiter::{AcquireError, Permit, RateLimitInfo, RateLimiter};
use nomic_emulator::{Emulator, LimitModel, Limits, Rng};
use nomic_fleet::rate_limiter::RedisRateLimiter;
use redis::{Connection, Script};

const SCRIPT: &str = include_str!("../src/bucket.lua");
/// The window of most tests.
const WINDOW: Duration = Duration::from_secs(6);
/// The time between two requests of the heavy tier in it: 30 per window, and 1 % of headroom.
const INTERVAL: Duration = Duration::from_micros(202_021);
const TIER: Tier = Tier::Heavy;

fn limiter(server: &RedisServer) -> RedisRateLimiter {
    RedisRateLimiter::new(&server.url(), "alice").unwrap().window(WINDOW)
}

fn after(duration: Duration) -> Instant {
    Instant::now() + duration
}

/// Takes a token if it is there.
fn take(limiter: &RedisRateLimiter) -> Result<Permit, Duration> {
    limiter.acquire(TIER, Instant::now()).map_err(|error| match error {
        AcquireError::Deadline { ready_in } => ready_in,
        error => panic!("{error}"),
    })
}

/// Takes all tokens that are there. The permits are as good as used.
fn drain(limiter: &RedisRateLimiter) -> Vec<Permit> {
    std::iter::from_fn(|| take(limiter).ok()).collect()
}

fn throttled_for(delay: Duration) -> RateLimitInfo {
    let mut info = RateLimitInfo::default();
    (info.throttled, info.retry_after) = (true, Some(delay));
    info
}

fn connect(server: &RedisServer) -> Connection {
    redis::Client::open(server.url()).unwrap().get_connection().unwrap()
}

/// How often the script was called.
fn script_calls(server: &RedisServer) -> u64 {
    let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut connect(server)).unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    calls.and_then(|calls| calls.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
}

/// A process with threads that launch agents without a pause.
fn process(emulator: &Emulator, redis: Option<&str>, threads: u32, duration: Duration, window: Duration) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_limited_calls"));
    command.args([threads.to_string(), duration.as_secs_f64().to_string(), window.as_secs_f64().to_string()]);
    command.env("NOMIC_BASE_URL", emulator.url()).env("NOMIC_API_KEY", emulator.key()).env_remove("REDIS_URL");
    command.envs(redis.map(|url| ("REDIS_URL", url)));
    command.stdout(Stdio::piped()).spawn().unwrap()
}

// One quota for many processes.

const PROCESSES: u32 = 4;
const THREADS: u32 = 8;
const QUOTA: u32 = 30;

struct Row {
    model: LimitModel,
    is_shared: bool,
    used: f64,
    sent: u64,
    throttled: u64,
    throttled_at_first: u64,
    failed: u64,
    calls: u64,
}

/// Measures some windows, after a first one. A minute of the service takes 12 seconds.
fn measure(model: LimitModel, is_shared: bool, windows: u32) -> Row {
    let window = Duration::from_secs(12);
    let limits = Limits::documented(model).speed(5.0).quota("heavy", QUOTA);
    let emulator = Emulator::builder().limits(limits).job_time(Duration::ZERO).start().unwrap();
    let server = RedisServer::start(&[]);
    let url = is_shared.then(|| server.url());
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    thread::sleep(window - Duration::from_nanos((since_1970 % window.as_nanos()) as u64) + Duration::from_millis(2));
    let start = Instant::now();
    let duration = window * (windows + 1);
    let processes: Vec<_> =
        (0..PROCESSES).map(|_| process(&emulator, url.as_deref(), THREADS, duration, window)).collect();
    let counts_at = |window_number: u32| {
        thread::sleep((start + window * window_number).saturating_duration_since(Instant::now()));
        (emulator.received("launch_agent"), emulator.accepted("launch_agent"), script_calls(&server))
    };
    let (first, last) = (counts_at(1), counts_at(windows + 1));
    let mut failed = 0;
    for process in processes {
        let output = process.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        failed += text.trim().split_once(' ').unwrap().1.parse::<u64>().unwrap();
    }
    let (sent, accepted) = (last.0 - first.0, last.1 - first.1);
    Row {
        model,
        is_shared,
        used: accepted as f64 / f64::from(QUOTA * windows),
        sent,
        throttled: sent - accepted,
        throttled_at_first: first.0 - first.1,
        failed,
        calls: last.2 - first.2,
    }
}

#[test]
fn four_processes_use_one_quota_with_few_refusals() {
    let models = [LimitModel::FullBurst, LimitModel::EvenPacing, LimitModel::FixedWindow];
    // One after the other: processes that are refused keep the machine busy.
    let rows: Vec<Row> = [(true, 3), (false, 1)]
        .into_iter()
        .flat_map(|(is_shared, windows)| {
            let running = models.map(|model| thread::spawn(move || measure(model, is_shared, windows)));
            running.map(|row| row.join().unwrap())
        })
        .collect();
    println!(
        "| service | rate limit | quota used | refused | refused in the first window | failed | Redis calls per request |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|");
    for row in &rows {
        let limit = if row.is_shared { "shared in Redis" } else { "each its own" };
        let refused = row.throttled as f64 / row.sent as f64 * 100.0;
        let calls = row.calls as f64 / row.sent as f64;
        println!(
            "| {:?} | {limit} | {:.1} % | {} of {}, {refused:.1} % | {} | {} | {calls:.2} |",
            row.model,
            row.used * 100.0,
            row.throttled,
            row.sent,
            row.throttled_at_first,
            row.failed
        );
    }
    for row in rows.iter().filter(|row| row.is_shared) {
        assert_eq!(row.failed, 0, "{:?}", row.model);
        assert!(row.used >= 0.95, "{:?}: {:.3} of the quota is used", row.model, row.used);
        let most = row.sent as f64 * 0.02 + f64::from(PROCESSES);
        assert!(row.throttled as f64 <= most, "{:?}: {} of {} are refused", row.model, row.throttled, row.sent);
    }
}

#[test]
fn a_retry_after_heard_by_one_process_holds_another_back() {
    let server = RedisServer::start(&[]);
    let (one, other) = (limiter(&server), limiter(&server));
    let permit = take(&one).unwrap();
    one.observe(permit, &throttled_for(Duration::from_secs(2)));
    assert!(one.blocked_for(TIER) > Duration::from_millis(1_900), "{:?}", one.blocked_for(TIER));
    let ready_in = take(&other).unwrap_err();
    assert!(ready_in > Duration::from_millis(1_900) && ready_in <= Duration::from_secs(2), "{ready_in:?}");
    assert!(other.blocked_for(TIER) > Duration::from_millis(1_800));
    assert_eq!(other.blocked_for(Tier::Standard), Duration::ZERO);
    let start = Instant::now();
    let _ = other.acquire(TIER, after(Duration::from_secs(10))).unwrap();
    assert!(start.elapsed() > Duration::from_millis(1_800), "{:?}", start.elapsed());
}

#[test]
fn a_retry_after_holds_back_those_who_wait_already() {
    let server = RedisServer::start(&[]);
    let (one, other) = (limiter(&server), limiter(&server));
    let permit = drain(&one).pop().unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| other.acquire(TIER, after(Duration::from_secs(10))));
        let hasty = scope.spawn(|| other.acquire(TIER, after(Duration::from_secs(1))));
        thread::sleep(INTERVAL / 4);
        one.observe(permit, &throttled_for(Duration::from_millis(1_500)));
        let _ = waiter.join().unwrap().unwrap();
        assert!(start.elapsed() >= Duration::from_millis(1_500), "{:?}", start.elapsed());
        let error = hasty.join().unwrap().unwrap_err();
        assert!(matches!(error, AcquireError::Deadline { ready_in } if ready_in > Duration::from_secs(1)), "{error:?}");
    });
}

#[test]
fn a_reservation_that_a_429_delays_past_its_deadline_is_given_back() {
    let server = RedisServer::start(&[]);
    let limiter = RedisRateLimiter::new(&server.url(), "alice").unwrap();
    let permit = drain(&limiter).pop().unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| limiter.acquire(TIER, after(Duration::from_secs(4))));
        thread::sleep(Duration::from_millis(100));
        limiter.observe(permit, &throttled_for(Duration::from_secs(20)));
        assert!(waiter.join().unwrap().is_err());
    });
    // In these two seconds one token was refilled, for which nobody waits any more.
    let field = redis::cmd("HGET").arg("nomic:rate_limit:{alice}:heavy").arg("tokens").clone();
    let tokens: f64 = field.query(&mut connect(&server)).unwrap();
    assert!(tokens > 0.5, "{tokens}");
}

#[test]
fn a_deadline_that_cannot_be_met_errs_at_once_and_reserves_nothing() {
    let server = RedisServer::start(&[]);
    let limiter = limiter(&server);
    assert_eq!(drain(&limiter).len(), 30);
    let start = Instant::now();
    for _ in 0..100 {
        let error = limiter.acquire(TIER, after(INTERVAL / 50)).unwrap_err();
        assert!(matches!(error, AcquireError::Deadline { ready_in } if ready_in <= INTERVAL), "{error:?}");
        if start.elapsed() > INTERVAL / 2 {
            break;
        }
    }
    let _ = limiter.acquire(TIER, start + INTERVAL * 3 / 2).unwrap();
}

#[test]
fn a_cancelled_permit_gives_its_token_back() {
    let server = RedisServer::start(&[]);
    let limiter = limiter(&server);
    let permits = drain(&limiter);
    permits.into_iter().take(3).for_each(|permit| limiter.cancel(permit));
    assert_eq!(drain(&limiter).len(), 3);
}

#[test]
fn a_burst_of_429s_slows_the_refill_down_once() {
    let server = RedisServer::start(&[]);
    let limiters = [limiter(&server), limiter(&server)];
    let permits: Vec<_> = (0..8).map(|number| take(&limiters[number % 2]).unwrap()).collect();
    for (number, permit) in permits.into_iter().enumerate() {
        limiters[number % 2].observe(permit, &throttled_for(Duration::from_millis(100)));
    }
    for limiter in &limiters {
        let slower = limiter.interval(TIER).div_duration_f64(INTERVAL);
        assert!(slower > 1.15 && slower < 1.18, "{slower}");
    }
}

#[test]
fn a_quota_heard_by_one_process_counts_for_all() {
    let server = RedisServer::start(&[]);
    let (one, other) = (limiter(&server), limiter(&server));
    let permit = take(&one).unwrap();
    let mut info = RateLimitInfo::default();
    (info.limit, info.remaining) = (Some(10), Some(5));
    one.observe(permit, &info);
    assert_eq!(drain(&other).len(), 5);
    let slower = other.interval(TIER).div_duration_f64(INTERVAL);
    assert!((slower - 3.0).abs() < 0.01, "{slower}");
    assert_eq!(drain(&RedisRateLimiter::new(&server.url(), "bob").unwrap()).len(), 30, "owners do not share");
}

#[test]
fn a_wait_costs_two_calls_and_a_response_without_news_none() {
    let server = RedisServer::start(&[]);
    let limiter = limiter(&server);
    let permit = drain(&limiter).pop().unwrap();
    let before = script_calls(&server);
    let threads = 12;
    let finished = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let permit = limiter.acquire(TIER, after(Duration::from_secs(20))).unwrap();
                finished.lock().unwrap().push(Instant::now());
                let mut info = RateLimitInfo::default();
                (info.limit, info.remaining) = (Some(30), Some(0));
                limiter.observe(permit, &info);
            });
        }
    });
    limiter.observe(permit, &RateLimitInfo::default());
    // The last thread comes a little late, so that its bucket is not quite empty and its response may be news.
    let calls = script_calls(&server) - before;
    assert!((2 * threads..=2 * threads + 1).contains(&calls), "{calls}");
    let finished = finished.into_inner().unwrap();
    let gaps: Vec<_> = finished.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| *gap > INTERVAL / 2 && *gap < INTERVAL * 2), "{gaps:?}");
}

#[test]
fn a_process_that_dies_costs_the_tokens_that_it_reserved() {
    let server = RedisServer::start(&[]);
    let emulator = Emulator::builder().limits(Limits::off()).start().unwrap();
    let mut process = process(&emulator, Some(&server.url()), 8, Duration::from_secs(60), WINDOW);
    while emulator.accepted("launch_agent") < 32 {
        thread::sleep(Duration::from_millis(5));
    }
    process.kill().unwrap();
    process.wait().unwrap();
    let limiter = RedisRateLimiter::new(&server.url(), "limited_calls").unwrap().window(WINDOW);
    let ready_in = take(&limiter).unwrap_err();
    assert!(ready_in > INTERVAL * 4 && ready_in <= INTERVAL * 9, "{ready_in:?}");
    thread::sleep(ready_in);
    let _ = take(&limiter).unwrap();
    let ready_in = take(&limiter).unwrap_err();
    assert!(ready_in <= INTERVAL, "{ready_in:?}");
}

#[test]
fn a_tier_that_is_idle_leaves_nothing_in_redis() {
    let server = RedisServer::start(&[]);
    let limiter = limiter(&server);
    let mut connection = connect(&server);
    let mut expires_in = || {
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
        assert_eq!(keys, ["nomic:rate_limit:{alice}:heavy"]);
        Duration::from_millis(redis::cmd("PTTL").arg(&keys[0]).query(&mut connection).unwrap())
    };
    let permit = take(&limiter).unwrap();
    assert!(expires_in() > WINDOW * 9 && expires_in() <= WINDOW * 10);
    // A block is not forgotten.
    limiter.observe(permit, &throttled_for(Duration::from_secs(600)));
    assert!(expires_in() > Duration::from_secs(600));
}

#[test]
fn who_waits_while_redis_forgets_everything_reserves_again() {
    let server = RedisServer::start(&[]);
    let limiter = limiter(&server);
    drain(&limiter);
    thread::scope(|scope| {
        let waiters: Vec<_> =
            (0..6).map(|_| scope.spawn(|| limiter.acquire(TIER, after(Duration::from_secs(10))))).collect();
        thread::sleep(INTERVAL / 4);
        let _: () = redis::cmd("FLUSHALL").query(&mut connect(&server)).unwrap();
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap().is_ok()));
    });
    let numbers = redis::cmd("HMGET").arg("nomic:rate_limit:{alice}:heavy").arg("first").arg("last").clone();
    let (first, last): (f64, f64) = numbers.query(&mut connect(&server)).unwrap();
    assert!(last - first >= 4.0, "they took tokens of the new bucket: {first} to {last}");
}

// Failures of Redis.

/// The line of a limiter that does not get through, without line breaks and secrets.
fn failure(url: &str) -> String {
    let limiter = RedisRateLimiter::new(url, "alice").unwrap();
    assert!(!format!("{limiter:?}").contains("s3cret"));
    let line = limiter.acquire(TIER, after(Duration::from_secs(60))).unwrap_err().to_string();
    assert!(!line.contains("s3cret") && !line.contains('\n'), "{line}");
    line
}

/// Host and port.
fn address(server: &RedisServer) -> String {
    server.url().trim_start_matches("redis://").to_owned()
}

#[test]
fn each_failure_of_redis_has_a_line_that_says_what_it_is() {
    let locked = RedisServer::start(&["--requirepass", "s3cret"]);
    let at = address(&locked);
    assert_eq!(failure(&format!("redis://:s3cret-not@{at}")), format!("Redis at {at} refuses the password"));
    assert_eq!(
        failure(&locked.url()),
        format!("Redis at {at} requires a password: add it to the URL, as in redis://:PASSWORD@{at}")
    );
    let right = RedisRateLimiter::new(&format!("redis://:s3cret@{at}/1"), "alice").unwrap();
    assert!(take(&right).is_ok());
    let full = RedisServer::start(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    let at = address(&full);
    let limited = RedisRateLimiter::new(&full.url(), "alice").unwrap();
    assert!(take(&limited).is_ok(), "what it stores is small");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let line = failure(&format!("redis://:s3cret@{nobody}"));
    assert_eq!(line, format!("Redis at {nobody} does not answer: connection refused"));
    // TLS with a server that has none.
    let line = failure(&full.url().replace("redis://", "rediss://:s3cret@"));
    println!("{line}");
    assert!(line.starts_with(&format!("Redis at {at} does not answer: ")), "{line}");
    for url in ["http://:s3cret@host", "s3cret", "", "redis://:s3cret@host:port"] {
        let error = RedisRateLimiter::new(url, "alice").unwrap_err().to_string();
        assert!(error.starts_with("the URL of Redis is malformed") && !error.contains("s3cret"), "{error}");
    }
    for owner in ["", "npk_0123456789"] {
        let error = RedisRateLimiter::new("redis://localhost", owner).unwrap_err().to_string();
        assert_eq!(error, "the owner of the rate limit must be a name, and not the API key");
    }
}

#[test]
fn a_server_that_accepts_and_never_answers_costs_a_bounded_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = silent.local_addr().unwrap();
    let start = Instant::now();
    assert_eq!(failure(&format!("redis://:s3cret@{at}")), format!("Redis at {at} does not answer: timed out"));
    // Four attempts of two seconds, and the pauses between them.
    assert!(start.elapsed() < Duration::from_millis(11_500), "{:?}", start.elapsed());
    let limiter = RedisRateLimiter::new(&format!("redis://{at}"), "alice").unwrap();
    let start = Instant::now();
    assert!(matches!(limiter.acquire(TIER, after(Duration::from_secs(1))), Err(AcquireError::Failed(_))));
    assert!(start.elapsed() < Duration::from_millis(1_500), "the deadline counts: {:?}", start.elapsed());
}

#[test]
fn a_restart_of_redis_is_survived() {
    let mut server = RedisServer::start(&["--appendfsync", "always"]);
    let limiter = limiter(&server);
    // Leaves more connections than a call has attempts.
    thread::scope(|scope| {
        (0..32).for_each(|_| drop(scope.spawn(|| drain(&limiter))));
    });
    server.kill();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| limiter.acquire(TIER, after(Duration::from_secs(20))));
        thread::sleep(Duration::from_millis(400));
        server.restart();
        let _ = waiter.join().unwrap().unwrap();
    });
    assert!(drain(&limiter).len() < 15, "Redis knew the bucket after the restart");
    server.kill();
    let error = limiter.acquire(TIER, after(Duration::from_secs(20))).unwrap_err().to_string();
    assert_eq!(error, format!("Redis at {} does not answer: connection refused", address(&server)));
}

// The script.

#[test]
fn the_script_has_the_constants_of_the_client() {
    let client = include_str!("../../../src/rate_limit.rs");
    for name in ["HEADROOM", "DECREASE", "INCREASE", "INCREASE_PER_WINDOW", "FIXED_WINDOW"] {
        let (_, rest) = client.split_once(&format!("const {name}: f64 = ")).unwrap();
        let value = rest.split(';').next().unwrap();
        assert!(SCRIPT.contains(&format!("local {name} = {value}\n")), "{name} is {value}");
    }
    assert!(client.contains("const MAX_BLOCKED: Duration = Duration::from_secs(3600);"));
    assert!(SCRIPT.contains("local MAX_BLOCKED = 3600 * 1000000\n"));
}

#[test]
fn the_script_decides_as_the_model_does() {
    const CLOCK: &str = "time[1] * 1000000 + time[2]";
    assert_eq!(SCRIPT.matches(CLOCK).count(), 1);
    let script = Script::new(&SCRIPT.replace(CLOCK, "tonumber(ARGV[#ARGV])"));
    let server = RedisServer::start(&["--appendonly", "no"]);
    let (mut connection, mut reader) = (connect(&server), connect(&server));
    let mut run = |key: &str, model: &Model, quota: u32, operation: &str, arguments: &[f64], now: f64| {
        let mut invocation = script.key(key);
        invocation.arg(operation).arg(quota).arg(model.window as u64);
        arguments.iter().for_each(|argument| {
            invocation.arg(*argument as i64);
        });
        let answer = invocation.arg(now as u64).invoke(&mut connection).unwrap();
        let (ready_in, reservation, now, was_full, blocked_for, interval, quota, tokens, is_settled) = answer;
        Answer { ready_in, reservation, now, was_full, blocked_for, interval, quota, tokens, is_settled }
    };
    let (mut waits, mut decreased) = (0, 0);
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let quota = [1, 30, 60, 300, 1_000_000][rng.below(5) as usize];
        let window = [60_000_000, 6_000_000, 61_234_567, 86_400_000_000][rng.below(4) as usize];
        let mut now = 1_775_390_400_000_000 + rng.below(1_000_000_000);
        let mut model = Model::new(quota.into(), window as f64, now as f64);
        let (mut reservations, mut taken) = (vec![0], vec![now]);
        let key = format!("seed {seed}");
        // Makes the hash.
        assert_eq!(run(&key, &model, quota, "cancel", &[], now as f64), model.cancel(now as f64));
        for step in 0..1_000 {
            now = match rng.below(20) {
                0..8 => now,
                8..14 => now + rng.below(window / u64::from(quota) + 2),
                14..18 => now + rng.below(window / 4),
                18 => now + rng.below(window * 2),
                _ => now - rng.below(window / 10),
            };
            let at = now as f64;
            let (expected, actual) = match rng.below(10) {
                0..6 => {
                    let asked = match rng.below(4) {
                        0 => reservations[rng.below(reservations.len() as u64) as usize],
                        1 => now - rng.below(3),
                        _ => 0,
                    };
                    let left = [0, rng.below(window), 1_000_000_000_000_000][rng.below(3) as usize];
                    let successes = [0, 0, rng.below(20)][rng.below(3) as usize];
                    let arguments = [asked, left, successes].map(|number| number as f64);
                    let expected = model.acquire(at, asked, left as f64, successes);
                    (expected, run(&key, &model, quota, "acquire", &arguments, at))
                }
                6..9 => {
                    let longest = [1, 1_000_000, window / 3, window * 3][rng.below(4) as usize];
                    let limits = [0, 1, 30, u64::from(quota), u32::MAX.into()];
                    let headers = [limits[rng.below(5) as usize], rng.below(u64::from(quota) + 1), rng.below(longest)];
                    let [limit, remaining, delay] =
                        headers.map(|number| if rng.below(2) == 0 { -1.0 } else { number as f64 });
                    let observed = Observed {
                        taken_at: taken[rng.below(taken.len() as u64) as usize] as f64,
                        was_full: rng.below(4) == 0,
                        limit,
                        remaining,
                        throttled: rng.below(3) == 0,
                        delay,
                    };
                    let arguments = [
                        observed.taken_at,
                        f64::from(u8::from(observed.was_full)),
                        observed.limit,
                        observed.remaining,
                        f64::from(u8::from(observed.throttled)),
                        observed.delay,
                    ];
                    let share = model.share;
                    let expected = model.observe(at, &observed);
                    decreased += u32::from(model.share < share);
                    (expected, run(&key, &model, quota, "observe", &arguments, at))
                }
                _ => (model.cancel(at), run(&key, &model, quota, "cancel", &[], at)),
            };
            assert_eq!(actual, expected, "seed {seed}, step {step}: {model:?}");
            waits += u32::from(actual.ready_in > 0);
            reservations.push(actual.reservation);
            taken.push(now);
        }
        let state: Vec<f64> = redis::cmd("HMGET")
            .arg(&key)
            .arg(&["quota", "tokens", "refilled_at", "share", "decreased_at", "blocked_until", "first", "last"])
            .query(&mut reader)
            .unwrap();
        let m = &model;
        let expected = [m.quota, m.tokens, m.refilled_at, m.share, m.decreased_at, m.blocked_until, m.first, m.last];
        assert_eq!(state, expected, "seed {seed}");
    }
    assert!(waits > 1_000 && decreased > 100, "{waits} waits, {decreased} decreases");
}
