//! Rate limiting: the same loads under each server-side model, with this client and alternatives.
//!
//! The emulator's clock runs ten times as fast: the quotas are the documented ones, and a minute takes [`MINUTE`]. Cases run
//! in parallel; each has its own server and sleeps most of the time.

use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nomic_emulator::{Emulator, LimitModel, Limits};

use crate::callers::{Caller, NAMES, Operation, caller};

const MINUTE: Duration = Duration::from_secs(6);
const SPEED: f64 = 10.0;
/// The quota of the heavy tier.
const QUOTA: u32 = 30;
const CALLS: usize = 200;
const MODELS: [LimitModel; 3] = [LimitModel::FullBurst, LimitModel::EvenPacing, LimitModel::FixedWindow];
/// The number of cases that run in parallel.
const PARALLEL: usize = 12;

/// The load on the server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Load {
    /// 200 launches from this many threads.
    Heavy(usize),
    /// The same, on a server that sends rate-limit headers only with a 429.
    Quiet(usize),
    /// 8 threads with a mix of uploads (heavy), polls (standard) and code searches.
    Mixed,
    /// Two processes with 4 threads and 100 launches each.
    Shared,
    /// 200 launches from 8 threads; the server halves the quota after the first half.
    Halved,
}

const LOADS: [Load; 9] = [
    Load::Heavy(1),
    Load::Heavy(8),
    Load::Heavy(32),
    Load::Quiet(1),
    Load::Quiet(8),
    Load::Quiet(32),
    Load::Mixed,
    Load::Shared,
    Load::Halved,
];

/// One row of the table.
struct Row {
    model: LimitModel,
    load: Load,
    caller: &'static str,
    ratio: f64,
    sent: u64,
    throttled: u64,
    failed: usize,
    longest: Duration,
}

/// Measures all cases, or those whose description contains all of these words.
pub fn run(only: &[&str]) -> ExitCode {
    let wanted = |(model, load, name): &(LimitModel, Load, &'static str)| {
        let described = format!("{model:?} {load:?} {name}");
        only.iter().all(|word| described.contains(word))
    };
    let cases: Vec<_> = MODELS
        .iter()
        .flat_map(|model| LOADS.iter().flat_map(move |load| NAMES.iter().map(move |name| (*model, *load, *name))))
        .filter(|(_, load, name)| !matches!(load, Load::Quiet(_)) || *name == NAMES[0])
        .filter(wanted)
        .collect();
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                while let Some((model, load, name)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let row = measure(*model, *load, name);
                    let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                    rows.push(row);
                    eprint!("\r{} of {} runs", rows.len(), cases.len());
                }
            });
        }
    });
    eprintln!();
    let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    let index = |row: &Row| cases.iter().position(|case| *case == (row.model, row.load, row.caller));
    rows.sort_by_key(index);
    println!(
        "{:12} {:10} {:13} {:>8} {:>7} {:>6} {:>9}",
        "model", "load", "caller", "optimum", "429s", "failed", "longest"
    );
    for row in &rows {
        let share = row.throttled as f64 / row.sent.max(1) as f64 * 100.0;
        let (model, load) = (format!("{:?}", row.model), format!("{:?}", row.load));
        println!(
            "{model:12} {load:10} {:13} {:>7.3}x {share:>6.1}% {:>6} {:>7.1} s",
            row.caller,
            row.ratio,
            row.failed,
            row.longest.as_secs_f64() * SPEED
        );
    }
    println!(
        "\ntime relative to the minimum; share of requests answered with 429; failed calls; longest call in server time"
    );
    if rows.iter().filter(|row| row.caller == NAMES[0]).all(meets_target) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether a row of this client meets its target.
fn meets_target(row: &Row) -> bool {
    let share = row.throttled as f64 / row.sent.max(1) as f64;
    let shared_ratio = if row.model == LimitModel::EvenPacing { 1.45 } else { 1.25 };
    let (max_ratio, max_throttled) = match row.load {
        Load::Shared => (shared_ratio, row.sent as f64 * 0.20),
        // One 429 per thread (and tier), and 3 % of the calls.
        Load::Heavy(threads) | Load::Quiet(threads) => (1.05, threads as f64 + CALLS as f64 * 0.03),
        Load::Mixed => (1.05, 3.0 * 8.0 + 780.0 * 0.03),
        Load::Halved => (1.05, 8.0 + CALLS as f64 * 0.03),
    };
    let holds = row.failed == 0 && row.ratio <= max_ratio && row.throttled as f64 <= max_throttled;
    if !holds {
        println!(
            "target missed: {:?} {:?}: {:.3}, {} of {} throttled ({:.1} %), {} failed",
            row.model,
            row.load,
            row.ratio,
            row.throttled,
            row.sent,
            share * 100.0,
            row.failed
        );
    }
    holds
}

fn measure(model: LimitModel, load: Load, name: &'static str) -> Row {
    let limits = Limits::documented(model).speed(SPEED);
    let limits = if matches!(load, Load::Quiet(_)) { limits.headers_on_429_only() } else { limits };
    let emulator = Emulator::builder().limits(limits).job_time(Duration::ZERO).start().expect("a free port");
    if model == LimitModel::FixedWindow {
        // Every case starts at the beginning of a window, so that the optimum is the same for all.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let into = Duration::from_nanos((now.as_nanos() % MINUTE.as_nanos()) as u64);
        std::thread::sleep(MINUTE - into + Duration::from_millis(2));
    }
    let began = Instant::now();
    let (failed, longest) = match load {
        Load::Heavy(threads) | Load::Quiet(threads) => {
            drive(&emulator, name, threads, &[(Operation::Launch, CALLS)], || {})
        }
        Load::Mixed => drive(
            &emulator,
            name,
            8,
            &[(Operation::Upload, 60), (Operation::Poll, 600), (Operation::Search, 120)],
            || {},
        ),
        Load::Shared => shared(&emulator, name),
        Load::Halved => {
            let halved = Once::new();
            drive(&emulator, name, 8, &[(Operation::Launch, CALLS)], || {
                if emulator.accepted("launch_agent") >= CALLS as u64 / 2 {
                    halved.call_once(|| emulator.set_quota("heavy", QUOTA / 2));
                }
            })
        }
    };
    let took = began.elapsed();
    let operations = ["launch_agent", "upload_file", "list_projects", "search_codes"];
    let sent: u64 = operations.iter().map(|operation| emulator.received(operation)).sum();
    let accepted: u64 = operations.iter().map(|operation| emulator.accepted(operation)).sum();
    let ratio = took.as_secs_f64() / optimum(model, load).as_secs_f64();
    Row { model, load, caller: name, ratio, sent, throttled: sent - accepted, failed, longest }
}

/// The minimum time in which a server with this model can accept a load.
fn optimum(model: LimitModel, load: Load) -> Duration {
    let tier = |calls: usize, quota: u32| {
        let quota = quota as usize;
        let minutes = match model {
            LimitModel::FullBurst => calls.saturating_sub(quota) as f64 / quota as f64,
            LimitModel::EvenPacing => (calls - 1) as f64 / quota as f64,
            LimitModel::FixedWindow => (calls.div_ceil(quota) - 1) as f64,
            other => unreachable!("{other:?} is not measured"),
        };
        MINUTE.mul_f64(minutes)
    };
    match load {
        Load::Heavy(_) | Load::Quiet(_) | Load::Shared => tier(CALLS, QUOTA),
        Load::Mixed => tier(60, 30).max(tier(600, 300)).max(tier(120, 60)),
        Load::Halved => match model {
            // 90 calls in three windows, 10 + 5 in the fourth, and 15 in each window after that.
            LimitModel::FixedWindow => {
                let (quota, half) = (QUOTA as usize, QUOTA as usize / 2);
                let in_fourth = (CALLS / 2 % quota).max(half);
                MINUTE * (CALLS / 2 / quota + (CALLS - CALLS / 2 / quota * quota - in_fourth).div_ceil(half)) as u32
            }
            _ => tier(CALLS / 2, QUOTA) + MINUTE.mul_f64((CALLS / 2) as f64 / f64::from(QUOTA / 2)),
        },
    }
}

/// Makes the calls from this many threads. Returns the number of failures and the duration of the longest call.
fn drive(
    emulator: &Emulator,
    name: &str,
    threads: usize,
    mix: &[(Operation, usize)],
    after_each: impl Fn() + Sync,
) -> (usize, Duration) {
    calls(&*caller(name, emulator.url(), emulator.key(), MINUTE), threads, mix, after_each)
}

fn calls(
    caller: &dyn Caller,
    threads: usize,
    mix: &[(Operation, usize)],
    after_each: impl Fn() + Sync,
) -> (usize, Duration) {
    // Distributes each operation evenly over the list.
    let total: usize = mix.iter().map(|(_, count)| count).sum();
    let mut list: Vec<(usize, Operation)> = mix
        .iter()
        .flat_map(|(operation, count)| (0..*count).map(move |number| (number * total / count, *operation)))
        .collect();
    list.sort_by_key(|(position, _)| *position);
    let (next, failed, longest) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Duration::ZERO));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((_, operation)) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    if !caller.call(*operation) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                    let mut longest = longest.lock().unwrap_or_else(PoisonError::into_inner);
                    *longest = began.elapsed().max(*longest);
                    after_each();
                }
            });
        }
    });
    (failed.into_inner(), longest.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Runs two processes with half of the calls each.
fn shared(emulator: &Emulator, name: &str) -> (usize, Duration) {
    let start = || {
        let program = std::env::current_exe().expect("this program");
        let half = (CALLS / 2).to_string();
        let mut command = Command::new(program);
        command.args(["worker", name, emulator.url(), emulator.key(), &half, "4"]);
        std::thread::spawn(move || command.output().expect("a second process"))
    };
    let (mut failed, mut longest) = (0, Duration::ZERO);
    for process in [start(), start()] {
        let output = process.join().expect("no panic");
        let text = String::from_utf8_lossy(&output.stdout);
        let (failures, millis) = text.trim().split_once(' ').unwrap_or(("100", "0"));
        failed += failures.parse::<usize>().unwrap_or(CALLS / 2);
        longest = longest.max(Duration::from_millis(millis.parse().unwrap_or(0)));
    }
    (failed, longest)
}

/// Runs one of the two processes; prints the number of failures and the longest call in milliseconds.
pub fn worker(name: &str, url: &str, key: &str, count: &str, threads: &str) -> ExitCode {
    let (Ok(count), Ok(threads)) = (count.parse(), threads.parse()) else {
        return ExitCode::from(2);
    };
    let (failed, longest) = calls(&*caller(name, url, key, MINUTE), threads, &[(Operation::Launch, count)], || {});
    println!("{failed} {}", longest.as_millis());
    ExitCode::SUCCESS
}
