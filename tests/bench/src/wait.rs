//! Waiting for 500 jobs, eight of which end each second, at the contract's quotas and in real time.
//!
//! Beside the wait 20 uploads leave, one every three seconds, through the same client: no poll may delay them.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nomic_client::agents::Launch;
use nomic_client::files::Upload;
use nomic_client::job::{Job, JobRef};
use nomic_client::{Nomic, Result};
use nomic_emulator::{Emulator, LimitModel, Limits};

const JOBS: usize = 500;
const DESKS: usize = 8;
const JOB_TIME: Duration = Duration::from_secs(1);
const MODELS: [LimitModel; 3] = [LimitModel::FullBurst, LimitModel::EvenPacing, LimitModel::FixedWindow];

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Each is polled by itself.
    Parse,
    /// They are polled through a list.
    Agents,
}

/// One row of the table.
struct Row {
    kind: Kind,
    model: LimitModel,
    lags: Vec<Duration>,
    failed: usize,
    polls: u64,
    refused: u64,
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
            row.lags[JOBS / 2].as_secs_f64(),
            row.lags[JOBS - 1].as_secs_f64(),
            row.polls,
            row.refused,
            row.failed,
            row.longest_upload.as_secs_f64()
        );
    }
    println!(
        "\nfrom the end of a job until it was handed out; eight jobs a second need eight polls a second where there is\n\
         no list, and only a full burst allows so many"
    );
    if rows.iter().all(promised) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether a row keeps what the README promises, where the quota allows it.
fn promised(row: &Row) -> bool {
    let possible = row.kind == Kind::Agents || row.model == LimitModel::FullBurst;
    let in_time = !possible || row.lags[JOBS - 1] <= Duration::from_secs(3);
    let holds = in_time
        && row.refused as f64 <= 1.0 + row.polls as f64 * 0.01
        && row.failed == 0
        && row.longest_upload < Duration::from_secs(1);
    if !holds {
        println!("not as promised: {:?} {:?}", row.kind, row.model);
    }
    holds
}

fn measure(kind: Kind, model: LimitModel) -> Row {
    let limits = Limits::documented(model).quota("heavy", 1_000_000);
    let emulator =
        Emulator::builder().limits(limits).job_time(JOB_TIME).max_running_jobs(DESKS).start().expect("an emulator");
    let nomic = Nomic::new(emulator.url(), emulator.key()).expect("a good URL and key");
    let version = nomic.upload(Upload::from_bytes("a.txt", "Level: 1")).expect("an upload").file_version_id;
    std::thread::scope(|scope| {
        let uploads = scope.spawn(|| (0..20).map(|_| upload(&nomic)).max().unwrap_or_default());
        let (mut lags, failed) = match kind {
            Kind::Parse => hand_out(&nomic, || nomic.parse(&version)),
            Kind::Agents => hand_out(&nomic, || nomic.launch_agent(&Launch::prompt("Go."))),
        };
        lags.sort();
        let count = |counted: fn(&Emulator, &str) -> u64| {
            ["get_parse", "get_agent", "list_agents"].iter().map(|operation| counted(&emulator, operation)).sum::<u64>()
        };
        let (polls, accepted) = (count(Emulator::received), count(Emulator::accepted));
        let longest_upload = uploads.join().expect("no panic");
        Row { kind, model, lags, failed, polls, refused: polls - accepted, longest_upload }
    })
}

fn upload(nomic: &Nomic) -> Duration {
    std::thread::sleep(Duration::from_secs(3));
    let began = Instant::now();
    nomic.upload(Upload::from_bytes("a.txt", "Level: 1")).expect("an upload");
    began.elapsed()
}

/// Submits the jobs and waits for all; gives how long after its end each was handed out, and how many failed.
fn hand_out<J: Job>(nomic: &Nomic, submit: impl Fn() -> Result<J>) -> (Vec<Duration>, usize)
where
    for<'a> JobRef: From<&'a J>,
{
    // The jobs are worked on in the order in which they were submitted.
    let mut free = [Instant::now(); DESKS];
    let mut ends = HashMap::new();
    let mut jobs = Vec::new();
    for _ in 0..JOBS {
        let job = submit().expect("a job");
        let now = Instant::now();
        let desk = free.iter_mut().min().expect("a desk");
        *desk = now.max(*desk) + JOB_TIME;
        ends.insert(JobRef::from(&job), *desk);
        jobs.push(job);
    }
    let mut failed = 0;
    let mut lags = Vec::new();
    for (job, outcome) in nomic.wait_all(jobs) {
        lags.push(Instant::now().saturating_duration_since(ends[&JobRef::from(&job)]));
        failed += usize::from(outcome.is_err());
    }
    (lags, failed)
}
