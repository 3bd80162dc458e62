//! The pace: the same loads under each model of a limiter, ours beside other ways, all in one run.
//!
//! Ten server minutes pass in one: the quotas are those of the contract, a minute takes [`MINUTE`]. Runs that do not
//! disturb each other (each has a server of its own, and sleeps most of the time) are made at the same time.

use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nomic_emulator::{Emulator, LimitModel, Limits};

use crate::callers::{NAMES, What, caller};

const MINUTE: Duration = Duration::from_secs(6);
const SPEED: f64 = 10.0;
/// The heavy tier's.
const QUOTA: u32 = 30;
const CALLS: usize = 200;
const MODELS: [LimitModel; 3] = [LimitModel::FullBurst, LimitModel::EvenPacing, LimitModel::FixedWindow];
/// Runs at the same time.
const SIDE_BY_SIDE: usize = 12;

/// What is asked of each way to call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Load {
    /// 200 launches from so many threads.
    Heavy(usize),
    /// The same on a server that sends the rate-limit headers with a 429 only.
    Quiet(usize),
    /// 8 threads that mix uploads (heavy), polls (standard) and searches of codes.
    Mixed,
    /// Two processes of 4 threads with 100 launches each.
    Shared,
    /// 200 launches from 8 threads; after half of them the server halves the quota.
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
    refused: u64,
    failed: usize,
    longest: Duration,
}

/// Makes the table, or only the rows in whose description all of these words stand.
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
        for _ in 0..SIDE_BY_SIDE {
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
    let place = |row: &Row| cases.iter().position(|case| *case == (row.model, row.load, row.caller));
    rows.sort_by_key(place);
    println!(
        "{:12} {:10} {:13} {:>8} {:>7} {:>6} {:>9}",
        "model", "load", "caller", "optimum", "429s", "failed", "longest"
    );
    for row in &rows {
        let share = row.refused as f64 / row.sent.max(1) as f64 * 100.0;
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
        "\nhow long a load took over the least possible; calls answered 429; calls that failed; the longest call, in server time"
    );
    if rows.iter().filter(|row| row.caller == NAMES[0]).all(promised) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether a row of ours keeps what the README promises.
fn promised(row: &Row) -> bool {
    let share = row.refused as f64 / row.sent.max(1) as f64;
    let shared_ratio = if row.model == LimitModel::EvenPacing { 1.45 } else { 1.25 };
    let (ratio, refused) = match row.load {
        Load::Shared => (shared_ratio, row.sent as f64 * 0.20),
        // One for each thread, and 3 % of the calls; of three tiers each thread may meet a refusal.
        Load::Heavy(threads) | Load::Quiet(threads) => (1.05, threads as f64 + CALLS as f64 * 0.03),
        Load::Mixed => (1.05, 3.0 * 8.0 + 780.0 * 0.03),
        Load::Halved => (1.05, 8.0 + CALLS as f64 * 0.03),
    };
    let holds = row.failed == 0 && row.ratio <= ratio && row.refused as f64 <= refused;
    if !holds {
        println!(
            "not as promised: {:?} {:?}: {:.3}, {} of {} refused ({:.1} %), {} failed",
            row.model,
            row.load,
            row.ratio,
            row.refused,
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
        // Every run begins with a window, so that the optimum is the same for all.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let into = Duration::from_nanos((now.as_nanos() % MINUTE.as_nanos()) as u64);
        std::thread::sleep(MINUTE - into + Duration::from_millis(2));
    }
    let began = Instant::now();
    let (failed, longest) = match load {
        Load::Heavy(threads) | Load::Quiet(threads) => drive(&emulator, name, threads, &[(What::Launch, CALLS)], || {}),
        Load::Mixed => drive(&emulator, name, 8, &[(What::Upload, 60), (What::Poll, 600), (What::Search, 120)], || {}),
        Load::Shared => shared(&emulator, name),
        Load::Halved => {
            let halved = Once::new();
            drive(&emulator, name, 8, &[(What::Launch, CALLS)], || {
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
    Row { model, load, caller: name, ratio, sent, refused: sent - accepted, failed, longest }
}

/// The least time in which a server of this model accepts a load.
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
            // Ninety in three windows, ten and five more in the fourth, and fifteen in each from then on.
            LimitModel::FixedWindow => {
                let (quota, half) = (QUOTA as usize, QUOTA as usize / 2);
                let in_fourth = (CALLS / 2 % quota).max(half);
                MINUTE * (CALLS / 2 / quota + (CALLS - CALLS / 2 / quota * quota - in_fourth).div_ceil(half)) as u32
            }
            _ => tier(CALLS / 2, QUOTA) + MINUTE.mul_f64((CALLS / 2) as f64 / f64::from(QUOTA / 2)),
        },
    }
}

/// Makes the calls from so many threads, kinds mixed; how many failed, and how long the longest took.
fn drive(
    emulator: &Emulator,
    name: &str,
    threads: usize,
    mix: &[(What, usize)],
    after_each: impl Fn() + Sync,
) -> (usize, Duration) {
    calls(&*caller(name, emulator.url(), emulator.key(), MINUTE), threads, mix, after_each)
}

fn calls(
    caller: &dyn crate::callers::Caller,
    threads: usize,
    mix: &[(What, usize)],
    after_each: impl Fn() + Sync,
) -> (usize, Duration) {
    // Kinds are dealt evenly over the whole: a tenth of each in every tenth of the list.
    let total: usize = mix.iter().map(|(_, count)| count).sum();
    let mut list: Vec<(usize, What)> =
        mix.iter().flat_map(|(what, count)| (0..*count).map(move |number| (number * total / count, *what))).collect();
    list.sort_by_key(|(place, _)| *place);
    let (next, failed, longest) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Duration::ZERO));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((_, what)) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    if !caller.call(*what) {
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

/// Two processes with half of the calls each.
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

/// One process of those; prints how many calls failed, and how many milliseconds the longest took.
pub fn worker(name: &str, url: &str, key: &str, count: &str, threads: &str) -> ExitCode {
    let (Ok(count), Ok(threads)) = (count.parse(), threads.parse()) else {
        return ExitCode::from(2);
    };
    let (failed, longest) = calls(&*caller(name, url, key, MINUTE), threads, &[(What::Launch, count)], || {});
    println!("{failed} {}", longest.as_millis());
    ExitCode::SUCCESS
}
