//! The command `fleet` as processes, with a Redis that is killed, and an emulator whose books show what was paid for.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{RwLock, RwLockReadGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::RedisServer;
use nomic_client::Nomic;
use nomic_client::audit_logs::Filter;
use nomic_emulator::{Emulator, Fault, FaultKind, Limits, Rng, StallPhase};
use serde_json::Value;

const DURABLE: &[&str] = &["--appendfsync", "always"];
const SUBMIT: &str = "submit_parse";

/// The measurement runs alone.
static RUNNING: RwLock<()> = RwLock::new(());

/// A queue with documents, and what it needs.
struct Fleet {
    redis: RedisServer,
    emulator: Emulator,
    folder: PathBuf,
    _running: Option<RwLockReadGuard<'static, ()>>,
}

impl Fleet {
    fn start(documents: usize, job_time: Duration) -> Self {
        let running = RUNNING.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut fleet = Self::alone(documents, job_time);
        fleet._running = Some(running);
        fleet
    }

    fn alone(documents: usize, job_time: Duration) -> Self {
        let redis = RedisServer::start(DURABLE);
        let emulator = Emulator::builder().limits(Limits::high()).job_time(job_time).audit_logs(0).start().unwrap();
        let folder = std::env::temp_dir().join(format!("nomic-fleet-test-{}", redis.url().rsplit(':').next().unwrap()));
        fs::create_dir_all(folder.join("documents")).unwrap();
        for number in 0..documents {
            fs::write(folder.join(format!("documents/{number:03}.txt")), content(number)).unwrap();
        }
        Self { redis, emulator, folder: folder.canonicalize().unwrap(), _running: None }
    }

    /// With its documents in the queue.
    fn filled(documents: usize, job_time: Duration) -> Self {
        let fleet = Self::start(documents, job_time);
        assert_eq!(fleet.add(), format!("{documents} added, 0 known already"));
        fleet
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
        for proxy in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
            command.env_remove(proxy);
        }
        command.env("NOMIC_FLEET_REDIS", self.redis.url());
        command.env("NOMIC_BASE_URL", self.emulator.url()).env("NOMIC_API_KEY", self.emulator.key());
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a command that succeeds.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The line on standard error of a command that fails.
    fn error(&self, arguments: &[&str]) -> String {
        one_line(&self.run(arguments))
    }

    fn add(&self) -> String {
        self.ok(&["add", "documents", "--results", "stored"])
    }

    fn worker(&self, arguments: &[&str]) -> Worker {
        let log = File::options().create(true).append(true).open(self.path("workers.log")).unwrap();
        let mut command = self.command(&["work", "--lease", "1"]);
        command.args(arguments).stdout(Stdio::null()).stderr(log);
        Worker(command.spawn().unwrap())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("workers.log")).unwrap_or_default()
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.ok(&["status"])).unwrap()
    }

    /// How many documents are in a state.
    fn count(&self, state: &str) -> usize {
        self.ids(state).len()
    }

    fn redis<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let mut connection = redis::Client::open(self.redis.url()).unwrap().get_connection().unwrap();
        redis::cmd(command[0]).arg(&command[1..]).query(&mut connection).unwrap()
    }

    fn ids(&self, state: &str) -> Vec<String> {
        self.redis(&["ZRANGE", &format!("fleet:{{default}}:in:{state}"), "0", "-1"])
    }

    fn fields(&self, id: &str) -> HashMap<String, String> {
        self.redis(&["HGETALL", &format!("fleet:{{default}}:document:{id}")])
    }

    /// From the emulator's audit log: by document name, the file version and the job of each submit.
    fn submits(&self) -> HashMap<String, Vec<(String, String)>> {
        let nomic = Nomic::new(self.emulator.url(), self.emulator.key()).unwrap();
        let mut submits: HashMap<String, Vec<(String, String)>> = HashMap::new();
        for entry in nomic.audit_logs_with(&Filter::default().action("parse.submitted")) {
            let entry = entry.unwrap();
            let job = entry.metadata["taskId"].as_str().unwrap().to_owned();
            let version = &entry.targets[0];
            submits.entry(version.name.clone().unwrap()).or_default().push((version.id.clone(), job));
        }
        submits
    }

    /// Checks every document against the books: one submit at most, of the version that is recorded; done with the result of
    /// that submit, or in doubt without a recorded job. Returns how many are in doubt that were submitted, and that were not.
    fn check_books(&self, documents: usize) -> (usize, usize) {
        let submits = self.submits();
        let total: usize = submits.values().map(Vec::len).sum();
        assert_eq!(self.emulator.accepted(SUBMIT), total as u64);
        let uploaded: HashSet<String> = self.emulator.uploads().iter().map(|upload| upload.name.clone()).collect();
        let (done, in_doubt) = (self.ids("done"), self.ids("in_doubt"));
        assert_eq!(done.len() + in_doubt.len(), documents, "{}\n{}", self.ok(&["status"]), self.log());
        let mut names = HashSet::new();
        for id in &done {
            let fields = self.fields(id);
            let name = file_name(&fields["path"]);
            assert_eq!(submits[&name], [(fields["version"].clone(), fields["job"].clone())], "{fields:?}");
            let result = fs::read_to_string(self.path("stored").join(format!("{id}.json"))).unwrap();
            let result: Value = serde_json::from_str(&result).unwrap();
            let number: usize = name.trim_end_matches(".txt").parse().unwrap();
            assert!(result.to_string().contains(&content(number)), "{name}: {result}");
            assert!(uploaded.contains(&name) && names.insert(name));
        }
        let (mut submitted, mut begun) = (0, 0);
        for id in &in_doubt {
            let fields = self.fields(id);
            let name = file_name(&fields["path"]);
            assert!(!fields.contains_key("job") && !fields["reason"].is_empty(), "{fields:?}");
            match submits.get(&name).map(Vec::as_slice) {
                None => begun += 1,
                Some([(version, _)]) if *version == fields["version"] => submitted += 1,
                Some(others) => panic!("{name} was submitted as {others:?}: {fields:?}"),
            }
            assert!(names.insert(name));
        }
        assert_eq!(names.len(), documents);
        assert_eq!(self.redis::<u64>(&["XLEN", "fleet:{default}:stream"]), 0);
        (submitted, begun)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A worker process, which ends with the test.
struct Worker(Child);

impl Worker {
    fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Its exit code; `None` after a signal.
    fn wait(&mut self) -> Option<i32> {
        wait_until("the worker ends", || !self.is_running());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn content(number: usize) -> String {
    format!("Permit number: OG-2026-{number:03}-X")
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().unwrap().to_str().unwrap().to_owned()
}

fn one_line(output: &Output) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(output.status.code() == Some(1) && error.starts_with("fleet: "), "{output:?}");
    assert_eq!(error.trim().lines().count(), 1, "{error}");
    error.trim().to_owned()
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(180), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// From FLEET_TEST_SEED, or from the time.
fn seed() -> u64 {
    let seed = std::env::var("FLEET_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64);
    println!("FLEET_TEST_SEED={seed}");
    seed
}

/// Four workers, of which one is killed and replaced 20 times; meanwhile Redis is killed and restarted.
fn run_with_kills(redis_kills: usize) {
    const DOCUMENTS: usize = 500;
    let mut random = Rng::new(seed());
    let mut millis = |from: u64, to: u64| Duration::from_millis(from + random.below(to - from));
    let mut fleet = Fleet::filled(DOCUMENTS, Duration::from_millis(200));
    // Some requests have an unknown effect. The other responses come late, so that a kill is likely to hit a request.
    for skip in [50, 150, 250] {
        fleet.emulator.fault(Fault::on(SUBMIT, FaultKind::ResetBefore).skip(skip));
        fleet.emulator.fault(Fault::on(SUBMIT, FaultKind::ResetAfter).skip(skip));
        fleet.emulator.fault(Fault::on("upload_file", FaultKind::ResetAfter).skip(skip));
    }
    for operation in ["upload_file", SUBMIT] {
        fleet.emulator.fault(Fault::on(operation, FaultKind::Delay(Duration::from_millis(150))).forever());
    }
    let start = Instant::now();
    let mut workers: Vec<Worker> = (0..4).map(|_| fleet.worker(&["--threads", "8"])).collect();
    for kill in 0..20 {
        std::thread::sleep(millis(100, 500));
        if redis_kills > 0 && kill % (20 / redis_kills) == 3 {
            fleet.redis.kill();
            std::thread::sleep(millis(50, 600));
            fleet.redis.restart();
        }
        let victim = millis(0, 4000).as_millis() as usize % workers.len();
        assert!(workers[victim].is_running(), "the queue was too short for 20 kills: {}", fleet.log());
        workers[victim].kill();
        workers[victim] = fleet.worker(&["--threads", "8"]);
    }
    for worker in &mut workers {
        assert_eq!(worker.wait(), Some(0), "{}", fleet.log());
    }
    let seconds = start.elapsed().as_secs_f64();
    let (submitted, begun) = fleet.check_books(DOCUMENTS);
    assert!(submitted >= 3 && begun >= 3 && submitted + begun <= 6 + 20 * 8, "{submitted} {begun}");
    let uploads = fleet.emulator.uploads().len();
    println!(
        "{DOCUMENTS} documents, 20 workers and {redis_kills} times Redis killed, {seconds:.1} s: {uploads} uploads, {} submits, \
         {} done, in doubt: {submitted} submitted and not recorded, {begun} begun and not submitted",
        fleet.emulator.accepted(SUBMIT),
        fleet.count("done")
    );
}

#[test]
fn twenty_kills_of_workers_submit_nothing_twice_and_lose_nothing() {
    run_with_kills(0);
}

#[test]
fn kills_of_workers_and_of_redis_submit_nothing_twice_and_lose_nothing() {
    run_with_kills(3);
}

#[test]
fn a_worker_that_is_paused_beyond_its_lease_submits_nothing_twice() {
    let mut random = Rng::new(seed());
    let fleet = Fleet::filled(60, Duration::from_millis(100));
    // A pause is likely to hit an upload or a submit.
    for operation in ["upload_file", SUBMIT] {
        fleet.emulator.fault(Fault::on(operation, FaultKind::Delay(Duration::from_millis(200))).forever());
    }
    let mut workers = [fleet.worker(&["--threads", "4"]), fleet.worker(&["--threads", "4"])];
    for pause in 0..3 {
        std::thread::sleep(Duration::from_millis(300 + random.below(700)));
        workers[pause % 2].signal("STOP");
        std::thread::sleep(Duration::from_millis(2500));
        workers[pause % 2].signal("CONT");
    }
    for worker in &mut workers {
        assert_eq!(worker.wait(), Some(0), "{}", fleet.log());
    }
    // What a paused worker brought back last may have no worker left.
    fleet.ok(&["work", "--lease", "1"]);
    println!("in doubt (submitted, begun): {:?}", fleet.check_books(60));
}

#[test]
fn a_worker_that_lives_keeps_its_documents_for_longer_than_the_lease_time() {
    let fleet = Fleet::filled(8, Duration::from_secs(3));
    let mut workers = [fleet.worker(&["--threads", "4"]), fleet.worker(&["--threads", "4"])];
    for worker in &mut workers {
        assert_eq!(worker.wait(), Some(0), "{}", fleet.log());
    }
    assert_eq!(fleet.check_books(8), (0, 0));
    let leases: Vec<String> = fleet.ids("done").iter().map(|id| fleet.fields(id)["lease"].clone()).collect();
    assert_eq!(leases, ["1"; 8], "each was taken once");
}

#[test]
fn a_worker_that_is_paused_in_an_upload_does_not_submit_what_another_has_taken_over() {
    let fleet = Fleet::filled(1, Duration::ZERO);
    fleet.emulator.fault(Fault::on("upload_file", FaultKind::Delay(Duration::from_secs(3))));
    let mut paused = fleet.worker(&["--threads", "1"]);
    wait_until("it is uploaded", || fleet.emulator.accepted("upload_file") == 1);
    paused.signal("STOP");
    std::thread::sleep(Duration::from_millis(1500));
    fleet.ok(&["work", "--lease", "1"]);
    paused.signal("CONT");
    assert_eq!(paused.wait(), Some(0), "{}", fleet.log());
    assert_eq!((fleet.check_books(1), fleet.emulator.accepted(SUBMIT)), ((0, 0), 1));
    assert_eq!(fleet.emulator.uploads().len(), 2);
}

#[test]
fn a_redis_that_answers_late_lets_nothing_be_submitted_twice() {
    let fleet = Fleet::filled(60, Duration::from_millis(100));
    fleet.emulator.fault(Fault::on(SUBMIT, FaultKind::Delay(Duration::from_millis(200))).forever());
    let mut workers = [fleet.worker(&["--threads", "4"]), fleet.worker(&["--threads", "4"])];
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(700));
        // Longer than the lease, which no worker can renew meanwhile.
        fleet.redis::<()>(&["CLIENT", "PAUSE", "2500"]);
        std::thread::sleep(Duration::from_millis(2500));
    }
    for worker in &mut workers {
        assert_eq!(worker.wait(), Some(0), "{}", fleet.log());
    }
    fleet.ok(&["work", "--lease", "1"]);
    println!("in doubt (submitted, begun): {:?}", fleet.check_books(60));
}

#[test]
fn the_job_of_a_document_that_came_in_doubt_meanwhile_ends_the_doubt() {
    let fleet = Fleet::filled(1, Duration::ZERO);
    fleet.emulator.fault(Fault::on(SUBMIT, FaultKind::Delay(Duration::from_secs(3))));
    let mut paused = fleet.worker(&["--threads", "1"]);
    wait_until("it is submitted", || fleet.emulator.accepted(SUBMIT) == 1);
    paused.signal("STOP");
    std::thread::sleep(Duration::from_millis(1500));
    fleet.ok(&["work", "--lease", "1"]);
    assert_eq!(fleet.count("in_doubt"), 1);
    paused.signal("CONT");
    assert_eq!(paused.wait(), Some(0), "{}", fleet.log());
    assert_eq!((fleet.check_books(1), fleet.emulator.accepted(SUBMIT)), ((0, 0), 1));
    assert_eq!(fleet.count("done"), 1);
}

#[test]
fn adding_again_adds_only_what_has_changed() {
    let fleet = Fleet::filled(3, Duration::ZERO);
    assert_eq!(fleet.add(), "0 added, 3 known already");
    fs::write(fleet.path("documents/001.txt"), "Permit number: changed").unwrap();
    fs::write(fleet.path("documents/.hidden"), "x").unwrap();
    fs::create_dir(fleet.path("documents/folder")).unwrap();
    let again = fleet.run(&["add", "documents"]);
    let notes = String::from_utf8(again.stderr).unwrap();
    assert_eq!(String::from_utf8(again.stdout).unwrap(), "1 added, 2 known already\n");
    assert!(
        notes.contains(".hidden is skipped: it is hidden") && notes.contains("folder is skipped: it is a folder"),
        "{notes}"
    );

    let mut listed = fleet.command(&["add", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    fs::write(fleet.path("other.txt"), "Permit number: other").unwrap();
    listed.stdin.take().unwrap().write_all(b"documents/../other.txt\ndocuments/000.txt\nother.txt\n").unwrap();
    let listed = listed.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), "1 added, 2 known already\n");
    assert_eq!(fleet.count("queued"), 5);

    // The old content of the changed document is gone.
    fleet.ok(&["work"]);
    assert_eq!((fleet.count("done"), fleet.count("failed")), (4, 1));
    let listing = fleet.ok(&["retry"]);
    assert!(listing.contains("it has changed since it was added"), "{listing}");
}

#[test]
fn a_failed_document_is_retried_when_somebody_says_so() {
    let fleet = Fleet::filled(2, Duration::ZERO);
    fleet.emulator.fault(Fault::on(SUBMIT, FaultKind::JobFails("Page 7 cannot be read".to_owned())));
    fleet.ok(&["work", "--threads", "1"]);
    assert_eq!((fleet.count("done"), fleet.count("failed")), (1, 1));
    let listing = fleet.ok(&["retry"]);
    assert!(listing.contains("\tfailed\t") && listing.contains("Page 7 cannot be read"), "{listing}");
    let id = &fleet.ids("failed")[0];
    assert!(fleet.error(&["retry", "--in-doubt", "--yes", id]).contains("not in doubt"));
    assert_eq!(fleet.ok(&["retry", id]), "1 put back");
    assert_eq!(fleet.status()["states"]["queued"], 1);
    fleet.ok(&["work"]);
    assert_eq!((fleet.count("done"), fleet.emulator.accepted(SUBMIT)), (2, 3));
}

#[test]
fn a_document_in_doubt_waits_for_a_person_and_is_not_submitted_again_if_it_was() {
    let fleet = Fleet::filled(2, Duration::ZERO);
    // One was executed, the other not; the client cannot tell.
    fleet.emulator.fault(Fault::on(SUBMIT, FaultKind::ResetAfter));
    fleet.emulator.fault(Fault::on(SUBMIT, FaultKind::ResetBefore));
    fleet.ok(&["work", "--threads", "1"]);
    assert_eq!((fleet.check_books(2), fleet.emulator.accepted(SUBMIT)), ((1, 1), 1));
    let listing = fleet.run(&["retry"]);
    let explained = String::from_utf8(listing.stderr).unwrap();
    assert!(explained.contains("parse.submitted") && explained.contains("metadata.taskId"), "{explained}");
    assert_eq!(String::from_utf8(listing.stdout).unwrap().matches("\tin doubt\t").count(), 2);

    let unconfirmed = fleet.error(&["retry", "--in-doubt"]);
    assert!(unconfirmed.contains("--yes") && fleet.count("in_doubt") == 2, "{unconfirmed}");
    let submits = fleet.submits();
    for id in fleet.ids("in_doubt") {
        match submits.get(&file_name(&fleet.fields(&id)["path"])) {
            Some(submit) => fleet.ok(&["retry", "--in-doubt", "--task", &submit[0].1, &id]),
            None => fleet.ok(&["retry", "--in-doubt", "--yes", &id]),
        };
    }
    fleet.ok(&["work"]);
    assert_eq!((fleet.check_books(2), fleet.emulator.accepted(SUBMIT)), ((0, 0), 2));
    assert_eq!(fleet.emulator.uploads().len(), 2);
}

#[test]
fn results_get_the_names_of_their_documents_and_an_id_if_a_name_occurs_twice() {
    let fleet = Fleet::filled(2, Duration::ZERO);
    fs::create_dir(fleet.path("more")).unwrap();
    fs::write(fleet.path("more/001.txt"), content(7)).unwrap();
    fleet.ok(&["add", "more"]);
    fleet.ok(&["work"]);
    for _ in 0..2 {
        assert_eq!(fleet.ok(&["results", "parsed"]), "3 results in parsed");
        let names =
            fs::read_dir(fleet.path("parsed")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut expected = HashSet::from(["000.txt.json".to_owned()]);
        for id in fleet.ids("done").iter().filter(|id| file_name(&fleet.fields(id)["path"]) == "001.txt") {
            let (name, number) =
                (format!("001.txt.{id}.json"), if fleet.fields(id)["path"].contains("more") { 7 } else { 1 });
            assert!(fs::read_to_string(fleet.path("parsed").join(&name)).unwrap().contains(&content(number)));
            expected.insert(name);
        }
        assert_eq!((expected.len(), names.collect::<HashSet<_>>()), (3, expected));
    }
}

#[test]
fn the_status_in_a_pipe_is_a_line_of_json() {
    let fleet = Fleet::filled(3, Duration::from_secs(600));
    assert_eq!(fleet.status()["secondsLeft"], Value::Null);
    let _worker = fleet.worker(&["--threads", "2"]);
    wait_until("two are submitted", || fleet.count("submitted") == 2);
    let line = fleet.ok(&["status"]);
    assert_eq!(line.lines().count(), 1);
    let status: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&status["queue"], &status["documents"]), (&"default".into(), &3.into()));
    assert_eq!((&status["states"]["queued"], &status["states"]["submitted"]), (&1.into(), &2.into()));
    assert_eq!((status["workers"].as_array().unwrap().len(), &status["workers"][0]["documents"]), (1, &2.into()));
}

#[test]
fn ctrl_c_gives_back_what_has_not_ended_and_another_worker_goes_on() {
    let fleet = Fleet::filled(12, Duration::from_secs(3));
    let mut worker = fleet.worker(&["--threads", "4"]);
    wait_until("four are submitted", || fleet.count("submitted") == 4);
    worker.signal("INT");
    let start = Instant::now();
    assert_eq!(worker.wait(), Some(130), "{}", fleet.log());
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!((fleet.count("submitted"), fleet.count("queued")), (4, 8));
    // At once, although the lease time is a minute.
    let start = Instant::now();
    fleet.ok(&["work", "--threads", "12"]);
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert_eq!((fleet.check_books(12), fleet.emulator.accepted(SUBMIT)), ((0, 0), 12));
}

#[test]
fn a_second_ctrl_c_ends_at_once_and_leaves_a_submit_in_doubt() {
    let fleet = Fleet::filled(1, Duration::ZERO);
    fleet.emulator.fault(Fault::on(SUBMIT, FaultKind::Stall(StallPhase::BeforeHead)));
    let mut worker = fleet.worker(&["--threads", "1"]);
    wait_until("it is submitted", || fleet.emulator.accepted(SUBMIT) == 1);
    worker.signal("INT");
    std::thread::sleep(Duration::from_millis(700));
    assert!(worker.is_running(), "the submit is not over");
    worker.signal("INT");
    assert_eq!(worker.wait(), Some(130));
    std::thread::sleep(Duration::from_millis(1100));
    fleet.ok(&["work", "--lease", "1"]);
    assert_eq!((fleet.check_books(1), fleet.emulator.accepted(SUBMIT)), ((1, 0), 1));
}

#[test]
fn a_job_that_cannot_be_recorded_is_named_with_the_command_that_records_it() {
    let mut fleet = Fleet::filled(1, Duration::ZERO);
    fleet.emulator.fault(Fault::on(SUBMIT, FaultKind::Delay(Duration::from_secs(1))));
    let mut worker = fleet.worker(&["--threads", "1", "--patience", "1"]);
    wait_until("it is submitted", || fleet.emulator.accepted(SUBMIT) == 1);
    fleet.redis.kill();
    assert_eq!(worker.wait(), Some(1), "{}", fleet.log());
    let log = fleet.log();
    let line = log.lines().find(|line| line.contains("is submitted as")).unwrap();
    let command: Vec<&str> = line.rsplit("run: fleet ").next().unwrap().split(' ').collect();
    fleet.redis.restart();
    std::thread::sleep(Duration::from_secs(1));
    fleet.ok(&["work", "--lease", "1"]);
    assert_eq!(fleet.check_books(1), (1, 0));
    assert_eq!(fleet.ok(&command), "1 put back");
    fleet.ok(&["work"]);
    assert_eq!((fleet.check_books(1), fleet.emulator.accepted(SUBMIT)), ((0, 0), 1));
}

#[test]
fn a_redis_that_may_forget_is_refused_unless_somebody_accepts_that() {
    let mut fleet = Fleet::start(1, Duration::ZERO);
    fleet.redis = RedisServer::start(&[]);
    let refused = fleet.error(&["add", "documents", "--results", "stored"]);
    assert!(refused.contains("set `appendfsync always`"), "{refused}");
    fleet.ok(&["add", "documents", "--results", "stored", "--accept-data-loss"]);
    assert!(fleet.error(&["work"]).contains("--accept-data-loss"));
    fleet.ok(&["work", "--accept-data-loss"]);
    assert_eq!(fleet.check_books(1), (0, 0));
}

#[test]
fn a_full_redis_refuses_new_documents_and_records_what_was_begun() {
    let fleet = Fleet::filled(3, Duration::ZERO);
    fleet.ok(&["work", "--threads", "1"]);
    for number in 3..6 {
        fs::write(fleet.path(&format!("documents/{number:03}.txt")), content(number)).unwrap();
    }
    fleet.add();
    fleet.redis::<()>(&["CONFIG", "SET", "maxmemory", "100"]);
    fs::write(fleet.path("documents/006.txt"), content(6)).unwrap();
    let full = fleet.error(&["add", "documents"]);
    assert!(full.contains("is full"), "{full}");
    fleet.ok(&["work"]);
    assert_eq!(fleet.check_books(6), (0, 0));
}

#[test]
fn a_wrong_password_is_one_line_that_does_not_show_it() {
    let mut fleet = Fleet::start(1, Duration::ZERO);
    fleet.redis = RedisServer::start(&["--requirepass", "open-sesame", "--appendfsync", "always"]);
    let with_password = |password: &str| {
        let url = fleet.redis.url().replace("redis://", &format!("redis://:{password}@"));
        let output = fleet.command(&["add", "documents", "--results", "stored"]).env("NOMIC_FLEET_REDIS", url).output();
        output.unwrap()
    };
    for output in [fleet.run(&["status"]), with_password("wrong-password")] {
        let error = one_line(&output);
        assert!(error.contains("refuses the password") && !error.contains("wrong-password"), "{error}");
    }
    let invalid = fleet.command(&["--redis", "http://:wrong-password@host", "status"]).output().unwrap();
    assert!(!one_line(&invalid).contains("wrong-password"));
    assert!(with_password("open-sesame").status.success());
}

#[test]
fn a_worker_that_cannot_succeed_stops_and_gives_its_documents_back() {
    let fleet = Fleet::filled(4, Duration::ZERO);
    let work = |key: &str| fleet.command(&["work"]).env("NOMIC_API_KEY", key).output().unwrap();
    let refused = work("npk_wrong");
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(1) && error.contains("401") && !error.contains("npk_wrong"), "{error}");
    assert_eq!(fleet.count("queued"), 4);
    fs::rename(fleet.path("stored"), fleet.path("unmounted")).unwrap();
    assert!(fleet.error(&["work"]).contains("is the share mounted?"));
    fs::rename(fleet.path("unmounted"), fleet.path("stored")).unwrap();
    fs::rename(fleet.path("documents"), fleet.path("unmounted")).unwrap();
    assert!(String::from_utf8(fleet.run(&["work"]).stderr).unwrap().contains("is the share mounted?"));
    fs::rename(fleet.path("unmounted"), fleet.path("documents")).unwrap();
    fleet.ok(&["work"]);
    assert_eq!(fleet.check_books(4), (0, 0));
}

#[test]
fn a_document_costs_ten_commands_and_about_a_kilobyte() {
    const DOCUMENTS: usize = 500;
    let fleet = Fleet::start(DOCUMENTS, Duration::ZERO);
    let info = |section: &str, name: &str| -> usize {
        let text: String = fleet.redis(&["INFO", section]);
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
        line.split(|byte: char| !byte.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    let memory = info("memory", "used_memory:");
    fleet.add();
    let memory = (info("memory", "used_memory:") - memory) / DOCUMENTS;
    fleet.ok(&["work"]);
    let commands = info("commandstats", "cmdstat_evalsha:calls=") as f64 / DOCUMENTS as f64;
    println!(
        "a document: {commands:.2} commands; {memory} bytes in Redis, with a path of {} bytes",
        fleet.folder.as_os_str().len() + 18
    );
    assert!((10.0..10.4).contains(&commands) && (300..1500).contains(&memory));
    assert_eq!(fleet.count("done"), DOCUMENTS);
}

#[test]
fn an_error_without_effect_goes_back_one_step_and_is_tried_again_if_that_can_help() {
    let fleet = Fleet::filled(3, Duration::ZERO);
    let api = |status| FaultKind::Api { status, error: "Injected".to_owned(), code: None };
    // The file version is gone: the document is uploaded again.
    fleet.emulator.fault(Fault::on(SUBMIT, api(404)));
    fleet.emulator.fault(Fault::on(SUBMIT, api(422)).skip(1));
    fleet.ok(&["work", "--threads", "1"]);
    assert_eq!((fleet.count("done"), fleet.count("failed"), fleet.emulator.uploads().len()), (2, 1, 4));
    let listing = fleet.ok(&["retry"]);
    assert!(listing.contains("422") && listing.contains("Injected"), "{listing}");
    // The spend limit: every other document would fail as well.
    fleet.emulator.fault(Fault::on(SUBMIT, FaultKind::RateLimited { retry_after: None }));
    fleet.ok(&["retry", "--failed"]);
    let stopped = fleet.run(&["work"]);
    assert!(
        stopped.status.code() == Some(1) && String::from_utf8_lossy(&stopped.stderr).contains("429"),
        "{stopped:?}"
    );
    assert_eq!(fleet.count("uploaded"), 1);
    fleet.ok(&["work"]);
    assert_eq!((fleet.check_books(3), fleet.emulator.uploads().len()), ((0, 0), 4));
}

#[test]
fn a_service_that_is_away_stops_the_worker_and_fails_no_document() {
    let fleet = Fleet::filled(3, Duration::ZERO);
    let output = fleet.command(&["work"]).env("NOMIC_BASE_URL", "http://127.0.0.1:1").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && error.contains("cannot connect to 127.0.0.1:1"), "{error}");
    assert_eq!(fleet.count("queued"), 3);
    let other = fleet.error(&["work"]);
    assert!(other.contains("the queue belongs to http://127.0.0.1:1"), "{other}");
}

/// The executable of examples/batch.
fn batch() -> PathBuf {
    let fleet = Path::new(env!("CARGO_BIN_EXE_fleet"));
    let target = fleet.parent().unwrap().parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--example", "batch", "--manifest-path"]);
    cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")).arg("--target-dir").arg(target);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success());
    fleet.parent().unwrap().join("examples/batch")
}

#[test]
fn one_worker_is_at_most_five_percent_slower_than_the_batch_on_one_machine() {
    const DOCUMENTS: usize = 64;
    let batch = batch();
    let _alone = RUNNING.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (mut of_batch, mut of_fleet) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let fleet = Fleet::alone(DOCUMENTS, Duration::from_millis(400));
        let seconds = |command: &mut Command| {
            let start = Instant::now();
            let output = command.output().unwrap();
            assert!(output.status.success(), "{output:?}");
            start.elapsed().as_secs_f64()
        };
        let mut command = Command::new(&batch);
        command.env("NOMIC_BASE_URL", fleet.emulator.url()).env("NOMIC_API_KEY", fleet.emulator.key());
        of_batch.push(seconds(command.args(["documents", "parsed", "8"]).current_dir(&fleet.folder)));
        // Adding is not counted: the batch has no such step.
        fleet.add();
        of_fleet.push(seconds(&mut fleet.command(&["work", "--threads", "8"])));
    }
    let median = |seconds: &mut Vec<f64>| {
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    };
    println!("batch: {of_batch:.2?} s\nfleet: {of_fleet:.2?} s");
    let (of_batch, of_fleet) = (median(&mut of_batch), median(&mut of_fleet));
    let slower = (of_fleet / of_batch - 1.0) * 100.0;
    println!("medians for {DOCUMENTS} documents: batch {of_batch:.2} s, one worker {of_fleet:.2} s, {slower:+.1} %");
    assert!(slower <= 5.0);
    io::stdout().flush().unwrap();
}
