//! Waiting for many jobs: each is yielded once, soon after its end, with few requests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use common::{builder, document, emulator, impatient, nomic};
use nomic_client::agents::{AgentStatus, Launch};
use nomic_client::files::Upload;
use nomic_client::job::{JobOutput, JobRef, Poll, WaitOptions};
use nomic_client::parse::ParseJob;
use nomic_client::{AgentId, ErrorKind, FileVersionId, Nomic};
use nomic_emulator::{Emulator, Fault, FaultKind, LimitModel, Limits};
use serde_json::json;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A client for which a minute of quota passes in a tenth of a second.
fn quick(emulator: &Emulator) -> Nomic {
    builder(emulator).rate_window(Duration::from_millis(100)).build().unwrap()
}

fn submit(nomic: &Nomic, version: &FileVersionId) -> ParseJob {
    nomic.parse(version).unwrap()
}

#[test]
fn every_job_is_yielded_once_with_its_own_result() {
    let emulator = Emulator::builder()
        .limits(Limits::off())
        .job_time(Duration::from_millis(20))
        .max_running_jobs(3)
        .start()
        .unwrap();
    let nomic = quick(&emulator);
    let documents: Vec<_> = (0..20)
        .map(|number| nomic.upload(Upload::from_bytes("a.txt", format!("Level: {number}"))).unwrap().file_version_id)
        .collect();
    let jobs: Vec<_> = documents.iter().map(|version| submit(&nomic, version)).collect();
    let mut all = nomic.wait_all_with(jobs.clone(), &impatient(TIMEOUT));
    assert_eq!(all.pending().count(), 20);
    let first = all.next().unwrap();
    assert_eq!(all.pending().count(), 19);
    let mut seen = HashSet::new();
    for (job, parsed) in std::iter::once(first).chain(all) {
        let number = jobs.iter().position(|other| *other == job).unwrap();
        assert!(seen.insert(number), "{number} was yielded twice");
        assert_eq!(parsed.unwrap().text().trim(), format!("Level: {number}"));
    }
    assert_eq!(seen.len(), 20);
}

#[test]
fn failed_unknown_and_endless_jobs_are_yielded_with_errors_that_name_them() {
    let emulator = emulator();
    let nomic = quick(&emulator);
    let versions = [document(&nomic)];
    let extraction = || nomic.extract(&versions, &json!({"type": "object"}));
    let good = extraction().unwrap();
    emulator.fault(Fault::on("submit_extract", FaultKind::JobFails("page 7 cannot be read".into())));
    let failed = extraction().unwrap();
    emulator.fault(Fault::on("submit_extract", FaultKind::JobNeverEnds));
    let endless = extraction().unwrap();
    let unknown = nomic.extract_job("nobody");
    let jobs = [endless.clone(), failed.clone(), unknown.clone(), good.clone()];
    let options = impatient(Duration::from_millis(300));
    let mut errors = Vec::new();
    for (job, outcome) in nomic.wait_all_with(jobs, &options) {
        match outcome {
            Ok(_) => assert_eq!(job, good),
            Err(error) => {
                assert_eq!(error.job(), Some(&JobRef::Extract(job.task_id.clone())));
                errors.push((job, error));
            }
        }
    }
    let error = |job| &errors.iter().find(|(other, _)| *other == job).unwrap().1;
    assert!(error(failed).is_job_failed() && error(unknown).is_not_found());
    let late = error(endless);
    assert!(late.is_timeout() && late.to_string().contains("(status BUILDING)"), "{late}");
}

#[test]
fn a_job_can_be_added_while_others_are_waited_for() {
    let emulator = emulator();
    let nomic = quick(&emulator);
    let version = document(&nomic);
    let mut all = nomic.wait_all([submit(&nomic, &version)]);
    assert!(all.next().unwrap().1.is_ok());
    assert!(all.next().is_none());
    all.push(submit(&nomic, &version));
    assert!(all.next().unwrap().1.is_ok());
    assert!(all.next().is_none());
}

#[test]
fn nothing_is_sent_before_it_is_iterated() {
    let emulator = emulator();
    let nomic = quick(&emulator);
    let mut all = nomic.wait_all([nomic.parse_job("t")]);
    assert_eq!(emulator.connections(), 0);
    assert!(all.next().unwrap().1.unwrap_err().is_not_found());
}

#[test]
fn transient_poll_errors_end_no_wait() {
    let emulator = Emulator::builder()
        .limits(Limits::off())
        .job_time(Duration::from_millis(30))
        .max_running_jobs(2)
        .start()
        .unwrap();
    let nomic = builder(&emulator).attempts(1).rate_window(Duration::from_millis(100)).build().unwrap();
    let version = document(&nomic);
    let jobs: Vec<_> = (0..10).map(|_| submit(&nomic, &version)).collect();
    for kind in [
        FaultKind::ResetBefore,
        FaultKind::Html(502),
        FaultKind::CloseInBody,
        FaultKind::RateLimited { retry_after: Some("0.01".into()) },
        FaultKind::Api { status: 503, error: "later".into(), code: None },
    ] {
        emulator.fault(Fault::on("get_parse", kind));
    }
    let done = nomic.wait_all_with(jobs, &impatient(TIMEOUT)).filter(|(_, parsed)| parsed.is_ok()).count();
    assert_eq!(done, 10);
}

#[test]
fn many_agents_are_polled_through_the_list() {
    let emulator = Emulator::builder()
        .limits(Limits::off())
        .job_time(Duration::from_millis(100))
        .max_running_jobs(30)
        .start()
        .unwrap();
    let nomic = quick(&emulator);
    let agents: Vec<_> = (0..120).map(|_| nomic.launch_agent(&Launch::prompt("Go.")).unwrap()).collect();
    emulator.fault(Fault::on("list_agents", FaultKind::Html(502)).times(8));
    let mut seen = HashSet::new();
    for (agent, ended) in nomic.wait_all_with(agents, &impatient(TIMEOUT)) {
        let ended = ended.unwrap();
        assert_eq!((&ended.id, ended.status, ended.artifacts.len()), (&agent.id, AgentStatus::Finished, 2));
        assert!(seen.insert(agent.id));
    }
    assert_eq!(seen.len(), 120);
    // Each of them once, and the last few one by one.
    assert!((120..160).contains(&emulator.received("get_agent")), "{}", emulator.received("get_agent"));
}

#[test]
fn an_agent_is_as_complete_as_from_a_wait_even_if_the_list_leaves_details_out() {
    let emulator = emulator();
    let nomic = quick(&emulator);
    let agents: Vec<_> = (0..4).map(|_| nomic.launch_agent(&Launch::prompt("Go.")).unwrap().id).collect();
    let brief: Vec<_> = agents.iter().map(|id| json!({"id": id, "status": "finished"})).collect();
    let page = json!({"data": brief, "nextCursor": null});
    emulator.fault(Fault::on("list_agents", FaultKind::json(200, page)).forever());
    let mut yielded = 0;
    for (id, agent) in nomic.wait_all_with(agents, &impatient(TIMEOUT)) {
        let agent = agent.unwrap();
        assert_eq!(agent, nomic.wait(&id).unwrap());
        assert!(!agent.artifacts.is_empty() && agent.created_at.is_some(), "{agent:?}");
        yielded += 1;
    }
    assert_eq!((yielded, emulator.received("list_agents")), (4, 1));
}

#[test]
fn jobs_of_different_kinds_are_waited_for_together() {
    let emulator = emulator();
    let nomic = quick(&emulator);
    let version = document(&nomic);
    let parse = submit(&nomic, &version);
    let extract = nomic.extract([&version], &json!({"type": "object"})).unwrap();
    let agents: Vec<_> = (0..3).map(|_| nomic.launch_agent(&Launch::prompt("Go.")).unwrap()).collect();
    let jobs: Vec<JobRef> =
        [JobRef::from(&parse), JobRef::from(&extract)].into_iter().chain(agents.iter().map(JobRef::from)).collect();
    let stored = serde_json::to_string(&jobs).unwrap();
    let jobs: Vec<JobRef> = serde_json::from_str(&stored).unwrap();
    let mut seen = HashSet::new();
    for (job, output) in nomic.wait_all_with(jobs.clone(), &impatient(TIMEOUT)) {
        match (&job, output.unwrap()) {
            (JobRef::Parse(_), JobOutput::Parsed(parsed)) => assert!(!parsed.text().is_empty()),
            (JobRef::Extract(_), JobOutput::Extracted(extracted)) => assert!(extracted.value.is_object()),
            (JobRef::Agent(id), JobOutput::Agent(agent)) => assert_eq!(*id, agent.id),
            other => panic!("{other:?}"),
        }
        assert!(seen.insert(job));
    }
    assert_eq!(seen, jobs.iter().cloned().collect());
    assert_eq!(emulator.received("list_agents"), 1);
    assert!(matches!(nomic.wait(&jobs[0]).unwrap(), JobOutput::Parsed(_)));
    assert!(matches!(nomic.poll(&jobs[4]).unwrap(), Poll::Done(JobOutput::Agent(_))));

    emulator.fault(Fault::on("submit_parse", FaultKind::JobFails("page 7 cannot be read".into())));
    let failed = JobRef::from(&submit(&nomic, &version));
    let error = nomic.wait(&failed).unwrap_err();
    assert!(error.is_job_failed() && error.job() == Some(&failed) && error.operation() == Some("get_parse"), "{error}");
}

#[test]
fn breaking_off_loses_no_job_that_was_not_yielded() {
    let emulator = emulator();
    let nomic = quick(&emulator);
    let agents: HashSet<_> = (0..20).map(|_| nomic.launch_agent(&Launch::prompt("Go.")).unwrap().id).collect();
    let mut all = nomic.wait_all_with(agents.iter().cloned(), &impatient(TIMEOUT));
    let (first, ended) = all.next().unwrap();
    ended.unwrap();
    // The list has shown the ends of the others too.
    let mut left: HashSet<_> = all.pending().cloned().collect();
    assert_eq!(left.len(), 19);
    left.insert(first);
    assert_eq!(left, agents);
}

#[test]
fn what_a_list_showed_before_it_failed_is_yielded_once() {
    let emulator = emulator();
    let nomic = builder(&emulator).attempts(1).rate_window(Duration::from_millis(100)).build().unwrap();
    let agents: Vec<_> = (0..120).map(|_| nomic.launch_agent(&Launch::prompt("Go.")).unwrap().id).collect();
    // The first page comes, the second never does.
    emulator.fault(Fault::on("list_agents", FaultKind::ResetBefore).skip(1).forever());
    let ended = |agents: Vec<AgentId>| -> HashSet<_> {
        nomic.wait_all_with(agents, &impatient(TIMEOUT)).map(|(_, ended)| ended.unwrap().id).collect()
    };
    assert_eq!((ended(agents.clone()).len(), emulator.received("get_agent")), (120, 120));
    emulator.clear_faults();
    emulator.fault(Fault::on("list_agents", FaultKind::ResetBefore).skip(1).forever());
    assert_eq!(ended(agents.into_iter().rev().collect()).len(), 120);
    assert_eq!(emulator.received("get_agent"), 240);
}

#[test]
fn agents_that_the_list_does_not_show_are_polled_one_by_one() {
    let emulator = emulator();
    let nomic = quick(&emulator);
    let mine: Vec<AgentId> = (0..5).map(|_| nomic.launch_agent(&Launch::prompt("Go.")).unwrap().id).collect();
    // Hundreds of newer ones come before them in the list.
    (0..250).for_each(|_| drop(nomic.launch_agent(&Launch::prompt("Go.")).unwrap()));
    assert!(nomic.wait_all_with(mine.clone(), &impatient(TIMEOUT)).all(|(_, ended)| ended.is_ok()));
    assert_eq!((emulator.received("list_agents"), emulator.received("get_agent")), (2, 5));

    emulator.fault(Fault::on("list_agents", FaultKind::ResetBefore).forever());
    let blind = builder(&emulator).attempts(1).rate_window(Duration::from_millis(100)).build().unwrap();
    assert!(blind.wait_all_with(mine.clone(), &impatient(TIMEOUT)).all(|(_, ended)| ended.is_ok()));
    assert_eq!((emulator.received("list_agents"), emulator.received("get_agent")), (5, 10));
    emulator.clear_faults();

    emulator.fault(Fault::on("list_agents", FaultKind::Api { status: 403, error: "no".into(), code: None }).forever());
    assert!(nomic.wait_all_with(mine, &impatient(TIMEOUT)).all(|(_, ended)| ended.is_ok()));
    assert_eq!((emulator.received("list_agents"), emulator.received("get_agent")), (6, 15));
}

#[test]
fn a_retry_after_beyond_the_timeout_ends_the_wait_at_once_without_a_final_poll() {
    let emulator = emulator();
    let nomic = builder(&emulator).pacing(false).build().unwrap();
    emulator.fault(Fault::any(FaultKind::RateLimited { retry_after: Some("60".into()) }).forever());
    let jobs = [nomic.parse_job("a"), nomic.parse_job("b")];
    let began = Instant::now();
    let error = nomic.wait_with(&jobs[0], &impatient(Duration::from_secs(30))).unwrap_err();
    assert!(error.is_timeout() && error.retry_after() == Some(Duration::from_secs(60)), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "that is known at once");
    assert_eq!(emulator.received("get_parse"), 1);
    let mut all = nomic.wait_all_with(jobs, &impatient(Duration::from_secs(30)));
    assert!(all.all(|(_, outcome)| outcome.unwrap_err().is_timeout()));
    assert!(began.elapsed() < Duration::from_secs(5), "that is known at once too");
    assert_eq!(emulator.received("get_parse"), 2);
    // Beyond the timeout by less than a final poll may be late, and by more than a clock can count.
    for retry_after in ["31", "18446744073709551615"] {
        let emulator = Emulator::start().unwrap();
        let nomic = builder(&emulator).pacing(false).build().unwrap();
        emulator.fault(Fault::any(FaultKind::RateLimited { retry_after: Some(retry_after.into()) }).forever());
        let mut all =
            nomic.wait_all_with(["a", "b"].map(|id| nomic.parse_job(id)), &impatient(Duration::from_secs(30)));
        assert!(all.all(|(_, outcome)| outcome.unwrap_err().is_timeout()));
        let agents = ["a", "b", "c"].map(AgentId::from);
        let mut all = nomic.wait_all_with(agents, &impatient(Duration::from_secs(30)));
        assert!(all.all(|(_, outcome)| outcome.unwrap_err().is_timeout()));
        let received = ["get_parse", "list_agents", "get_agent"].map(|operation| emulator.received(operation));
        assert!(received == [1, 1, 0] && began.elapsed() < Duration::from_secs(5), "{retry_after} {received:?}");
    }
}

#[test]
fn the_final_poll_of_many_jobs_is_sent_at_the_timeout() {
    let emulator = emulator();
    let nomic = quick(&emulator);
    emulator.fault(Fault::on("submit_parse", FaultKind::JobNeverEnds));
    let job = submit(&nomic, &document(&nomic));
    let options = impatient(Duration::from_millis(300)).initial_interval(Duration::from_secs(60));
    let began = Instant::now();
    assert!(nomic.wait_all_with([job], &options).all(|(_, outcome)| outcome.unwrap_err().is_timeout()));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(emulator.received("get_parse"), 2, "at once, and at the end");
}

#[test]
fn the_same_job_twice_is_yielded_twice() {
    let emulator = emulator();
    let nomic = quick(&emulator);
    let agent = nomic.launch_agent(&Launch::prompt("Go.")).unwrap();
    let jobs = vec![agent.id; 4];
    assert_eq!(nomic.wait_all(jobs).filter(|(_, ended)| ended.is_ok()).count(), 4);
}

#[test]
fn many_jobs_time_out_together_without_a_final_poll_for_each() {
    // Five polls a second, as in the contract.
    let limits = Limits::documented(LimitModel::FullBurst).quota("heavy", 1_000_000);
    let emulator = Emulator::builder().limits(limits).job_time(Duration::from_secs(3600)).start().unwrap();
    let nomic = nomic(&emulator);
    let jobs: Vec<_> = (0..200).map(|_| submit(&nomic, &document(&nomic))).collect();
    let began = Instant::now();
    let outcomes: Vec<_> = nomic.wait_all_with(jobs, &WaitOptions::default().timeout(Duration::from_secs(1))).collect();
    assert!(outcomes.len() == 200 && outcomes.iter().all(|(_, outcome)| outcome.as_ref().unwrap_err().is_timeout()));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

/// Five seconds of the service pass in one: eight jobs end every 220 ms, and are to be found within 600 ms; 300 requests are
/// allowed in twelve seconds. That leaves some to spare, for a machine on which 500 submits take long.
#[test]
fn five_hundred_jobs_are_yielded_as_they_end_within_the_quota_and_uploads_are_not_delayed() {
    const JOB_TIME: Duration = Duration::from_millis(220);
    const DESKS: usize = 8;
    let limits = Limits::documented(LimitModel::FullBurst).speed(5.0).quota("heavy", 1_000_000);
    let emulator = Emulator::builder().limits(limits).job_time(JOB_TIME).max_running_jobs(DESKS).start().unwrap();
    let nomic = builder(&emulator).rate_window(Duration::from_secs(12)).build().unwrap();
    let version = document(&nomic);
    let mut free = [Instant::now(); DESKS];
    let mut ends = Vec::new();
    let jobs: Vec<_> = (0..500)
        .map(|_| {
            let job = submit(&nomic, &version);
            let desk = free.iter_mut().min().unwrap();
            *desk = Instant::now().max(*desk) + JOB_TIME;
            ends.push(*desk);
            job
        })
        .collect();
    let indices: std::collections::HashMap<_, _> =
        jobs.iter().enumerate().map(|(index, job)| (job.task_id.clone(), index)).collect();
    let uploads = std::thread::spawn({
        let nomic = nomic.clone();
        move || {
            let upload = |_| {
                std::thread::sleep(Duration::from_millis(100));
                let began = Instant::now();
                nomic.upload(Upload::from_bytes("a.txt", "Level: 1")).unwrap();
                began.elapsed()
            };
            (0..100).map(upload).max().unwrap()
        }
    });
    let options = WaitOptions::default().initial_interval(Duration::from_millis(200));
    let began = Instant::now();
    let mut lags: Vec<Duration> = nomic
        .wait_all_with(jobs, &options)
        .map(|(job, parsed)| {
            assert!(parsed.is_ok());
            // The first jobs end while the last are submitted.
            Instant::now().saturating_duration_since(ends[indices[&job.task_id]].max(began))
        })
        .collect();
    lags.sort();
    println!("longest lag {:?}, median {:?}, {} polls", lags[499], lags[250], emulator.received("get_parse"));
    assert!(lags[499] <= Duration::from_millis(600), "{:?}", lags[499]);
    assert_eq!(emulator.received("get_parse"), emulator.accepted("get_parse"), "no 429");
    assert!(uploads.join().unwrap() < Duration::from_millis(200));
}

#[test]
fn time_spent_on_handling_a_result_counts_against_no_job() {
    let emulator = emulator();
    let nomic = quick(&emulator);
    let version = document(&nomic);
    let jobs: Vec<_> = (0..3).map(|_| submit(&nomic, &version)).collect();
    let mut all = nomic.wait_all_with(jobs, &impatient(Duration::from_millis(500)));
    assert!(all.next().unwrap().1.is_ok());
    // Longer than the timeout and the time in which a final poll is sent.
    std::thread::sleep(Duration::from_millis(5800));
    all.push(submit(&nomic, &version));
    for _ in 0..3 {
        assert!(all.next().unwrap().1.is_ok());
    }
}

#[test]
fn time_spent_on_reading_a_result_counts_against_no_job() {
    let emulator = Emulator::builder()
        .limits(Limits::off())
        .job_time(Duration::from_millis(300))
        .max_running_jobs(3)
        .start()
        .unwrap();
    let nomic = quick(&emulator);
    let version = document(&nomic);
    let jobs: Vec<_> = (0..3).map(|_| submit(&nomic, &version)).collect();
    // Each is polled once in vain, and then has ended long before the next poll, on a busy machine too. Two results then
    // take longer than the timeout and the time for a final poll.
    emulator.fault(Fault::on("get_parse", FaultKind::Delay(Duration::from_millis(3600))).skip(3).times(2));
    let timeout = Duration::from_millis(2000);
    let options = WaitOptions::default().timeout(timeout).initial_interval(Duration::from_millis(1500));
    let failed = nomic.wait_all_with(jobs, &options).find_map(|(_, parsed)| parsed.err());
    assert!(failed.is_none(), "{failed:?}");
}

#[test]
fn a_job_that_waited_for_its_first_poll_is_not_lost_by_one_failed_connection() {
    let nomic = Nomic::builder("http://127.0.0.1:9", "npk_x").attempts(1).build().unwrap();
    let mut all = nomic.wait_all_with([nomic.parse_job("a")], &impatient(Duration::from_millis(100)));
    // Handling another result would take this long.
    std::thread::sleep(Duration::from_millis(150));
    let error = all.next().unwrap().1.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Job(job) if job.polls > 1), "{error:?}");
}

#[test]
fn polling_a_slow_list_takes_no_longer_than_the_timeout_allows() {
    let emulator = Emulator::builder().limits(Limits::off()).job_time(Duration::from_secs(3600)).start().unwrap();
    let nomic = quick(&emulator);
    let agents: Vec<AgentId> = (0..350).map(|_| nomic.launch_agent(&Launch::prompt("Go.")).unwrap().id).collect();
    emulator.fault(Fault::on("list_agents", FaultKind::Delay(Duration::from_secs(3))).times(10));
    let began = Instant::now();
    let outcomes: Vec<_> = nomic.wait_all_with(agents, &impatient(Duration::from_secs(1))).collect();
    assert!(outcomes.iter().all(|(_, outcome)| outcome.as_ref().unwrap_err().is_timeout()));
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}
