//! Waiting for 500 jobs, of which eight finish per second, with the documented quotas and in real time.
//!
//! Meanwhile the same client makes 20 uploads, one every three seconds. Polls must not delay them.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nomic_client::agents::Launch;
use nomic_client::files::Upload;
use nomic_client::job::{Job, JobRef};
use nomic_client::{Nomic, Result};
use nomic_emulator::{Emulator, LimitModel, Limits};

const JOBS: usize = 500;
const WORKERS: usize = 8;
const JOB_TIME: Duration = Duration::from_secs(1);
const MODELS: [LimitModel; 3] = [LimitModel::FullBurst, LimitModel::EvenPacing, LimitModel::FixedWindow];

/// The kind of job.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Polled one by one.
    Parse,
    /// Polled through a list.
    Agents,
}

/// One row of the table.
struct Row {
    kind: Kind,
    model: LimitModel,
    delays: Vec<Duration>,
    failed: usize,
    polls: u64,
    throttled: u64,
    longest_upload: Duration,
}

pub fn run() -> ExitCode {
    let cases = [Kind::Parse, Kind::Agents].into_iter().flat_map(|kind| MODELS.map(|model| (kind, model)));
    let rows: Vec<Row> = std::thread::scope(|scope| {
        let runs: Vec<_> = cases.map(|(kind, model)| scope.spawn(move || measure(kind, model))).collect();
        runs.into_iter().map(|run| run.join().expect("no panic")).collect()
    });
    println!(
        "{:7} {:12} {:>9} {:>9} {:>10} {:>6} {:>7} {:>15}",
        "jobs", "model", "median", "longest", "polls", "429s", "failed", "longest upload"
    );
    for row in &rows {
        println!(
            "{:7} {:12} {:>7.2} s {:>7.2} s {:>10} {:>6} {:>7} {:>12.3} s",
            format!("{:?}", row.kind),
            format!("{:?}", row.model),
            row.delays[JOBS / 2].as_secs_f64(),
            row.delays[JOBS - 1].as_secs_f64(),
            row.polls,
            row.throttled,
            row.failed,
            row.longest_upload.as_secs_f64()
        );
    }
    println!(
        "\ndelay from the end of a job until it is yielded; eight jobs per second need eight polls per second,\n\
         which only a full burst allows"
    );
    if rows.iter().all(meets_target) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether a row meets its target, where the quota allows it.
fn meets_target(row: &Row) -> bool {
    let quota_suffices = row.model == LimitModel::FullBurst;
    let in_time = !quota_suffices || row.delays[JOBS - 1] <= Duration::from_secs(3);
    let holds = in_time
        && row.throttled as f64 <= 1.0 + row.polls as f64 * 0.01
        && row.failed == 0
        && row.longest_upload < Duration::from_secs(1);
    if !holds {
        println!("target missed: {:?} {:?}", row.kind, row.model);
    }
    holds
}

fn measure(kind: Kind, model: LimitModel) -> Row {
    let limits = Limits::documented(model).quota("heavy", 1_000_000);
    let emulator =
        Emulator::builder().limits(limits).job_time(JOB_TIME).max_running_jobs(WORKERS).start().expect("an emulator");
    let nomic = Nomic::new(emulator.url(), emulator.key()).expect("a good URL and key");
    let version = nomic.upload(Upload::from_bytes("a.txt", "Level: 1")).expect("an upload").file_version_id;
    std::thread::scope(|scope| {
        let uploads = scope.spawn(|| (0..20).map(|_| upload(&nomic)).max().unwrap_or_default());
        let (mut delays, failed) = match kind {
            Kind::Parse => wait_all(&nomic, || nomic.parse(&version)),
            Kind::Agents => wait_all(&nomic, || nomic.launch_agent(&Launch::prompt("Go."))),
        };
        delays.sort();
        let count = |counted: fn(&Emulator, &str) -> u64| {
            ["get_parse", "get_agent", "list_agents"].iter().map(|operation| counted(&emulator, operation)).sum::<u64>()
        };
        let (polls, accepted) = (count(Emulator::received), count(Emulator::accepted));
        let longest_upload = uploads.join().expect("no panic");
        Row { kind, model, delays, failed, polls, throttled: polls - accepted, longest_upload }
    })
}

fn upload(nomic: &Nomic) -> Duration {
    std::thread::sleep(Duration::from_secs(3));
    let began = Instant::now();
    nomic.upload(Upload::from_bytes("a.txt", "Level: 1")).expect("an upload");
    began.elapsed()
}

/// Submits the jobs and waits for all. Returns the delay until each was yielded, and the number of failures.
fn wait_all<J: Job>(nomic: &Nomic, submit: impl Fn() -> Result<J>) -> (Vec<Duration>, usize)
where
    for<'a> JobRef: From<&'a J>,
{
    // The emulator runs the jobs in the order of submission.
    let mut free = [Instant::now(); WORKERS];
    let mut ends = HashMap::new();
    let mut jobs = Vec::new();
    for _ in 0..JOBS {
        let job = submit().expect("a job");
        let now = Instant::now();
        let worker = free.iter_mut().min().expect("a worker");
        *worker = now.max(*worker) + JOB_TIME;
        ends.insert(JobRef::from(&job), *worker);
        jobs.push(job);
    }
    let mut failed = 0;
    let mut delays = Vec::new();
    for (job, outcome) in nomic.wait_all(jobs) {
        delays.push(Instant::now().saturating_duration_since(ends[&JobRef::from(&job)]));
        failed += usize::from(outcome.is_err());
    }
    (delays, failed)
}
