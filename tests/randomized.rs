//! A thousand documents, each with random faults: nothing is done twice, nothing is lost, nothing is mixed up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

#[path = "common/careful.rs"]
mod careful;
mod common;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use careful::{Account, Careful, Document, Told, audit};
use common::{builder, impatient};
use nomic_client::files::Upload;
use nomic_emulator::{Emulator, Fault, Limits, Rng};

/// Many, since each sleeps most of the time.
const THREADS: usize = 28;
/// The operations that a run calls and that may fail.
const OPERATIONS: [&str; 9] = [
    "upload_file",
    "search_files",
    "submit_parse",
    "get_parse",
    "submit_extract",
    "get_extract",
    "launch_agent",
    "list_agents",
    "get_agent",
];

/// The runs: a thousand, or those of `RANDOMIZED=7..8`.
fn runs() -> Range<u64> {
    let range = std::env::var("RANDOMIZED").unwrap_or_else(|_| "0..1000".to_owned());
    let (from, to) = range.split_once("..").expect("as RANDOMIZED=7..8");
    from.parse().unwrap()..to.parse().unwrap()
}

/// One run; its number is its seed.
fn run(emulator: &Emulator, number: u64) -> Account {
    let mut random = Rng::new(number);
    emulator.clear_faults();
    let mut plan = Vec::new();
    for operation in OPERATIONS.into_iter().chain(["get_artifact"]) {
        for _ in 0..random.below(3) {
            plan.push(Fault::on(operation, random.fault()).skip(random.below(2) as u32));
        }
    }
    plan.iter().for_each(|fault| emulator.fault(fault.clone()));
    let nomic = builder(emulator)
        .attempts(1 + random.below(3) as u32)
        .response_timeout(Duration::from_millis(400))
        .stall_timeout(Duration::from_millis(400))
        .deadline(Duration::from_secs(5))
        .response_limit(1 << 22)
        .rate_window(Duration::from_millis(200))
        .build()
        .unwrap();
    let document = Document { number, size: random.below(3000) as usize };
    let mut caller = Careful::new(&nomic, document, impatient(Duration::from_millis(500)));
    if caller.upload(|| Upload::from_bytes(document.name(), document.text())) {
        caller.work();
    }
    let mut account = caller.account;
    for wrong in &mut account.wrong {
        *wrong += &format!("; faults {plan:?}");
    }
    account
}

#[test]
fn whatever_goes_wrong_each_job_exists_once_and_its_result_is_right() {
    let (next, end) = (AtomicU64::new(runs().start), runs().end);
    let one_thread = || {
        let emulator = Emulator::builder().limits(Limits::off()).job_time(Duration::from_millis(8)).start().unwrap();
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|next| *next < end);
        let accounts: Vec<_> = numbers.map(|number| run(&emulator, number)).collect();
        (audit(&emulator, &accounts), accounts)
    };
    let (mut wrong, mut accounts) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(one_thread)).collect();
        for thread in threads {
            let (some_wrong, some) = thread.join().unwrap();
            wrong.extend(some_wrong);
            accounts.extend(some);
        }
    });
    assert!(
        wrong.is_empty(),
        "{} are wrong; RANDOMIZED=7..8 repeats the run of document 7:\n{}",
        wrong.len(),
        wrong.join("\n")
    );

    let told = |what| [0, 1, 2, 3].map(|step| accounts.iter().filter(|account| account.told[step] == what).count());
    let (done, unknown) = (told(Told::Done), told(Told::Unknown));
    let sum = |part: fn(&Account) -> usize| accounts.iter().map(part).sum::<usize>();
    let (errors, results) = (sum(|account| account.errors), sum(|account| account.results));
    let found = accounts.iter().filter(|account| account.file.is_some() && account.version.is_none()).count();
    println!("{} runs, {errors} errors, {results} results, {found} uploads found by a search", accounts.len());
    println!("upload, parse, extract, agent: done {done:?}, unknown {unknown:?}, else not done");
    // The faults must have had each of these effects, or the test proves nothing.
    if accounts.len() >= 1000 {
        assert!(done.iter().all(|count| *count > 400) && unknown[1..3].iter().all(|count| *count > 80));
        assert!(results > 1400 && found > 40);
    }
}
