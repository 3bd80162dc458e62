//! Inside an async runtime: the client can be built, used and dropped on the runtime's threads without a panic.
//!
//! A blocking client around an async one (`reqwest::blocking`) owns a runtime, and tokio panics if a runtime is blocked on or
//! dropped within another: "Cannot drop a runtime in a context where blocking is not allowed". This client has no runtime; it
//! only blocks the calling thread, as `std::fs` does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

use std::sync::mpsc;
use std::time::{Duration, Instant};

use nomic_client::agents::Launch;
use nomic_client::files::Upload;
use nomic_client::{Builder, Nomic};
use nomic_emulator::{Emulator, Fault, FaultKind, Limits};
use tokio::runtime::{self, Runtime};

fn emulator() -> Emulator {
    Emulator::builder().limits(Limits::off()).job_time(Duration::ZERO).start().unwrap()
}

fn builder(emulator: &Emulator) -> Builder {
    Nomic::builder(emulator.url(), emulator.key())
}

/// A multi-thread runtime and a current-thread runtime.
fn runtimes() -> [Runtime; 2] {
    let (mut many, mut one) = (runtime::Builder::new_multi_thread(), runtime::Builder::new_current_thread());
    [many.worker_threads(2).build().unwrap(), one.build().unwrap()]
}

/// Runs a closure as a task of the runtime, and waits for it.
fn in_a_task<T: Send + 'static>(runtime: &Runtime, work: impl FnOnce() -> T + Send + 'static) -> T {
    runtime.block_on(runtime.spawn(async { work() })).expect("no panic")
}

/// Makes a call of every kind.
fn use_all(nomic: &Nomic) {
    let file = nomic.upload(Upload::from_bytes("permit.txt", "Permit number: OG-2026-114\n")).unwrap();
    let job = nomic.parse(&file.file_version_id).unwrap();
    assert!(nomic.wait(&job).unwrap().text().contains("OG-2026-114"));
    let launched: Vec<_> = (0..3).map(|_| nomic.launch_agent(&Launch::prompt("Go.")).unwrap()).collect();
    let mut listed = nomic.agents().page_size(2).map(|agent| agent.unwrap().id);
    assert!(listed.any(|id| id == launched[0].id), "on a page after the first");
    assert!(nomic.wait_all(launched).all(|(_, agent)| agent.is_ok()));
}

#[test]
fn every_kind_of_call_does_in_a_task_what_it_does_elsewhere() {
    for runtime in runtimes() {
        let emulator = emulator();
        let building = builder(&emulator);
        // Built, used and dropped in the task.
        in_a_task(&runtime, move || use_all(&building.build().unwrap()));
        let nomic = builder(&emulator).build().unwrap();
        let clone = nomic.clone();
        runtime.block_on(async { use_all(&nomic) });
        runtime.block_on(runtime.spawn_blocking(move || use_all(&clone))).unwrap();
        assert_eq!(emulator.accepted("launch_agent"), 9);
    }
}

#[test]
fn failures_in_a_task_are_errors() {
    for runtime in runtimes() {
        let emulator = emulator();
        let quick =
            |url: &str, key: &str| Nomic::builder(url, key).attempts(2).deadline(Duration::from_secs(3)).build();
        // Port 1 is never assigned to a listener by chance; the name is looked up on another thread.
        for url in ["http://127.0.0.1:1", "https://no-such-host.invalid"] {
            let nomic = quick(url, "npk_x").unwrap();
            let error = in_a_task(&runtime, move || nomic.projects().next().unwrap().unwrap_err());
            assert!(error.is_unreachable(), "{error}");
        }
        // The first delay is waited out; the second would exceed the deadline, and fails at once.
        let delays =
            [Some("1"), Some("60")].map(|delay| FaultKind::RateLimited { retry_after: delay.map(str::to_owned) });
        delays.into_iter().for_each(|kind| emulator.fault(Fault::any(kind)));
        let nomic = quick(emulator.url(), emulator.key()).unwrap();
        let began = Instant::now();
        let error = in_a_task(&runtime, move || nomic.launch_agent(&Launch::prompt("Go.")).unwrap_err());
        assert!(error.is_rate_limited() && error.retry_after() >= Some(Duration::from_secs(50)), "{error}");
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
        assert_eq!((emulator.received("launch_agent"), emulator.accepted("launch_agent")), (2, 0));
    }
}

#[test]
fn the_last_clone_may_be_dropped_on_any_thread_while_others_call() {
    for runtime in runtimes() {
        let emulator = emulator();
        let nomic = builder(&emulator).build().unwrap();
        let (sender, receiver) = mpsc::channel();
        // Each call waits for its response while the other clones are dropped.
        emulator.fault(Fault::any(FaultKind::Delay(Duration::from_millis(200))).times(4));
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let (nomic, sender) = (nomic.clone(), sender.clone());
                runtime.spawn_blocking(move || {
                    sender.send(()).unwrap();
                    nomic.launch_agent(&Launch::prompt("Go.")).map(drop)
                })
            })
            .collect();
        receiver.iter().take(4).for_each(drop);
        in_a_task(&runtime, move || drop(nomic));
        for task in tasks {
            runtime.block_on(task).unwrap().unwrap();
        }
        // Drop the client while it has idle connections, and then a listing that holds the last clone.
        let nomic = builder(&emulator).build().unwrap();
        let mut agents = nomic.agents().page_size(1);
        agents.next().unwrap().unwrap();
        in_a_task(&runtime, move || drop(nomic));
        in_a_task(&runtime, move || {
            agents.next().unwrap().unwrap();
            drop(agents);
        });
        assert_eq!(emulator.accepted("launch_agent"), 4);
    }
}

#[test]
fn a_client_outlives_the_runtime_it_was_built_in() {
    for runtime in runtimes() {
        let emulator = emulator();
        let building = builder(&emulator);
        let nomic = in_a_task(&runtime, move || {
            let nomic = building.build().unwrap();
            use_all(&nomic);
            nomic
        });
        // A task that never ends holds a clone, which is dropped with the runtime.
        let held = nomic.clone();
        runtime.spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
        use_all(&nomic);
        drop(nomic);
    }
}
