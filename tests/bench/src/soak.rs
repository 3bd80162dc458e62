//! Soak test: eight threads of mixed traffic with 2 % faults. Detects leaks, lost jobs, and writes executed twice.
//!
//! The emulator is in this process, and the client in another, so that its memory and sockets are measured alone. The
//! emulator's clock runs 200 times as fast: the rate limiter is active with the documented quotas, but they refill faster
//! than this traffic uses them. Measurements are taken while no call is in progress.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use nomic_client::files::Upload;
use nomic_client::job::WaitOptions;
use nomic_client::{Nomic, Result, codes};
use nomic_emulator::{Emulator, LimitModel, Limits, Rng, operations};
use serde_json::{Value, json};

use crate::careful::{Account, Careful, Document, STEPS, Told, audit};

const THREADS: u64 = 8;
const FAULTS: f64 = 0.02;
const SPEED: f64 = 200.0;
/// The columns of a measurement.
const FIGURES: [&str; 5] = ["RSS KiB", "peak KiB", "sockets", "fds", "threads"];
const TOLD: [Told; 3] = [Told::NotDone, Told::Unknown, Told::Done];

/// Runs for this many seconds.
pub fn run(seconds: &str) -> ExitCode {
    let limits = Limits::documented(LimitModel::FullBurst).speed(SPEED);
    let emulator = Emulator::builder()
        .limits(limits)
        .job_time(Duration::from_millis(20))
        .integration_files(40)
        .start()
        .expect("a free port");
    emulator.random_faults(FAULTS, 0);
    let mut client = Command::new(std::env::current_exe().expect("this program"))
        .args(["soaked", emulator.url(), emulator.key(), seconds])
        // Without these, glibc keeps freed memory per thread, which could hide a leak.
        .envs([("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "65536")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a second process");
    print!("{:>8}", "seconds");
    FIGURES.iter().for_each(|name| print!("{name:>10}"));
    println!("{:>10}{:>10}{:>10}", "requests", "rejected", "errors");
    let (mut rows, mut accounts) = (Vec::new(), Vec::new());
    for line in BufReader::new(client.stdout.take().expect("it is piped")).lines() {
        let line: Value = serde_json::from_str(&line.unwrap_or_default()).unwrap_or_default();
        let Some(row) = line.as_array() else {
            accounts.push(read_account(&line));
            continue;
        };
        let row: Vec<u64> = row.iter().filter_map(Value::as_u64).collect();
        let sum = |count: &dyn Fn(&str) -> u64| operations().iter().map(|operation| count(operation.name)).sum::<u64>();
        let requests = sum(&|operation| emulator.received(operation));
        let rejected = requests - sum(&|operation| emulator.accepted(operation));
        let errors: usize = accounts.iter().map(|account: &Account| account.errors).sum();
        print!("{:>8}", row[0]);
        row[1..].iter().for_each(|figure| print!("{figure:>10}"));
        println!("{requests:>10}{rejected:>10}{errors:>10}");
        rows.push(row);
    }
    let mut wrong = audit(&emulator, &accounts);
    if !client.wait().is_ok_and(|status| status.success()) {
        wrong.push("the client's process failed".to_owned());
    }
    wrong.extend(leaks(&rows));
    let sum = |part: fn(&Account) -> usize| accounts.iter().map(part).sum::<usize>();
    let count = |told| [0, 1, 2, 3].map(|step| accounts.iter().filter(|account| account.told[step] == told).count());
    println!("\n{STEPS:?}: executed {:?}, effect unknown {:?}", count(Told::Done), count(Told::Unknown));
    let (results, failed) = (sum(|account| account.results), sum(|account| account.failed));
    let unfinished = sum(|account| account.unfinished.len());
    println!("{results} correct results; {failed} jobs failed and {unfinished} never end because of a fault");
    for one in &wrong {
        println!("WRONG: {one}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The figures that have grown too much.
fn leaks(rows: &[Vec<u64>]) -> Vec<String> {
    let [first, .., last] = rows else { return vec!["no measurements".to_owned()] };
    let middle = &rows[rows.len() / 2];
    // Each thread may leave an idle connection.
    let bounds = [middle[1] + middle[1] / 10 + 2048, u64::MAX, first[3] + THREADS, first[4] + THREADS, first[5] + 2];
    let grown = FIGURES.iter().zip(&last[1..]).zip(bounds).filter(|((_, figure), bound)| *figure > bound);
    grown.map(|((name, figure), bound)| format!("{name} is {figure} at the end, more than {bound}")).collect()
}

/// The client process. Runs for this many seconds; prints a line for each measurement and for the account of each task.
pub fn client(url: &str, key: &str, seconds: &str) -> ExitCode {
    let Ok(seconds) = seconds.parse().map(Duration::from_secs) else { return ExitCode::from(2) };
    let nomic = Nomic::builder(url, key)
        .rate_window(Duration::from_secs(60).div_f64(SPEED))
        .response_timeout(Duration::from_millis(500))
        .stall_timeout(Duration::from_millis(500))
        .deadline(Duration::from_secs(20))
        .upload_deadline(Duration::from_secs(20))
        .response_limit(1 << 20)
        .build()
        .expect("a good URL and key");
    let folder = std::env::temp_dir().join(format!("nomic-soak-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a directory for documents");
    let (number, ended, working) = (AtomicU64::new(0), AtomicBool::new(false), RwLock::new(()));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (nomic, folder, number, ended, working) = (nomic.clone(), &folder, &number, &ended, &working);
            scope.spawn(move || {
                let mut rng = Rng::new(thread);
                while !ended.load(Ordering::Relaxed) {
                    let _working = working.read().unwrap_or_else(PoisonError::into_inner);
                    let account = task(&nomic, &mut rng, number.fetch_add(1, Ordering::Relaxed), folder);
                    println!("{}", write_account(&account));
                }
            });
        }
        // One measurement after a warm-up, and ten more.
        for tenth in 0..=10 {
            let due = if tenth == 0 { seconds / 20 } else { seconds * tenth / 10 };
            std::thread::sleep(due.saturating_sub(began.elapsed()));
            let _all_idle = working.write().unwrap_or_else(PoisonError::into_inner);
            println!("{}", json!([&[began.elapsed().as_secs()][..], &figures()].concat()));
        }
        ended.store(true, Ordering::Relaxed);
    });
    let _ = fs::remove_dir_all(folder);
    ExitCode::SUCCESS
}

fn figures() -> [u64; 5] {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
    };
    let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<_> = open.map(|entry| fs::read_link(entry.path()).unwrap_or_default()).collect();
    let sockets = open.iter().filter(|target| target.to_string_lossy().starts_with("socket:")).count();
    [of("VmRSS:"), of("VmHWM:"), sockets as u64, open.len() as u64, of("Threads:")]
}

/// Processes a document, only uploads one, or reads from lists.
fn task(nomic: &Nomic, rng: &mut Rng, number: u64, folder: &Path) -> Account {
    let kind = rng.below(16);
    // Larger documents are rarer.
    let size = if kind == 3 { 1 << (10 + rng.below(13).min(rng.below(13))) } else { rng.below(8000) };
    let document = Document { number, size: size as usize };
    let options = WaitOptions::default()
        .timeout(Duration::from_secs(1))
        .initial_interval(Duration::from_millis(20))
        .initial_phase(Duration::ZERO);
    let mut caller = Careful::new(nomic, document, options);
    if kind > 3 {
        read_a_list(&mut caller, rng);
        return caller.account;
    }
    let (text, from) = (document.text(), rng.below(4));
    let path = folder.join(document.name());
    if from == 0 {
        fs::write(&path, &text).expect("room for a document");
    }
    let uploaded = caller.upload(|| match from {
        0 => Upload::from_path(&path),
        1 => Upload::from_reader(document.name(), text.as_bytes(), text.len() as u64),
        2 => Upload::from_reader_buffered(document.name(), text.as_bytes().chain(std::io::empty())),
        _ => Upload::from_bytes(document.name(), text.as_str()),
    });
    let _ = fs::remove_file(path);
    if let Some(agent) = (uploaded && kind < 3).then(|| caller.work()).flatten().filter(|_| number.is_multiple_of(2)) {
        match nomic.delete_agent(&agent.id) {
            Ok(_) if nomic.agent(&agent.id).is_ok() => {
                caller.account.wrong.push("its agent was not deleted".to_owned())
            }
            Ok(_) => {}
            Err(error) => caller.note("delete_agent", &error),
        }
    }
    caller.account
}

fn read_a_list(caller: &mut Careful<'_>, rng: &mut Rng) {
    fn count<T>(items: impl Iterator<Item = Result<T>>) -> Result<()> {
        items.take(120).try_for_each(|item| item.map(drop))
    }
    let _ = match rng.below(9) {
        0 => caller.read("list_agents", |nomic| count(nomic.agents().page_size(50))),
        1 => caller.read("search_files", |nomic| count(nomic.search_files("permit").page_size(50))),
        2 => caller.read("list_users", |nomic| count(nomic.users().page_size(10))),
        3 => caller.read("list_api_keys", |nomic| count(nomic.api_keys())),
        4 => caller.read("list_audit_logs", |nomic| count(nomic.audit_logs())),
        5 => caller.read("list_user_analytics", |nomic| count(nomic.user_analytics())),
        6 => caller.read("list_projects", |nomic| count(nomic.projects())),
        7 => caller.read("list_workflows", |nomic| count(nomic.workflows())),
        _ => caller.read("search_codes", |nomic| {
            nomic.search_codes(&codes::Search::new("door").jurisdiction("texas").code_type("building")).map(drop)
        }),
    };
}

fn write_account(account: &Account) -> Value {
    json!({
        "number": account.document.number, "size": account.document.size, "file": account.file,
        "version": account.version, "told": account.told.map(|told| told as u8),
        "counts": [account.results, account.failed, account.errors], "unfinished": account.unfinished,
        "wrong": account.wrong,
    })
}

fn read_account(line: &Value) -> Account {
    let number = |value: &Value| value.as_u64().unwrap_or_default() as usize;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let wrong = line["wrong"].as_array().map(|wrong| wrong.iter().filter_map(text).collect());
    Account {
        document: Document { number: number(&line["number"]) as u64, size: number(&line["size"]) },
        file: text(&line["file"]).map(Into::into),
        version: text(&line["version"]).map(Into::into),
        told: [0, 1, 2, 3].map(|step| TOLD[number(&line["told"][step])]),
        results: number(&line["counts"][0]),
        failed: number(&line["counts"][1]),
        errors: number(&line["counts"][2]),
        unfinished: serde_json::from_value(line["unfinished"].clone()).unwrap_or_default(),
        wrong: wrong.unwrap_or_else(|| vec!["malformed output of the client process".to_owned()]),
    }
}
