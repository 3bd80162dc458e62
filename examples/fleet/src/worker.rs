//! A worker: takes documents from the queue, and does for each what is left to do.

use std::collections::HashMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use nomic_client::files::Upload;
use nomic_client::job::{JobRef, Poll};
use nomic_client::parse::Parsed;
use nomic_client::{Effect, Error, ErrorKind, FileVersionId, Nomic, TaskId};

use crate::document::{self, State, content_hash};
use crate::queue::{Queue, Recorded, Result, Take, Taken};

/// How often a step is tried before the document fails.
const MAX_ATTEMPTS: u32 = 5;
/// How much longer than anything else the worker tries to record a job that was submitted.
const PATIENCE_FOR_A_JOB: u32 = 5;
/// The pauses of a thread that finds no document grow from the first to the second.
const IDLE_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How soon a pause notices that the worker stops.
const TICK: Duration = Duration::from_millis(20);
/// For how many of them only waiting must be left before a worker that stops ends early.
const QUIET_TICKS: u32 = 10;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How a worker works.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The number of documents at the same time.
    pub threads: usize,
    /// The time after which another worker takes over the documents of one that gives no sign of life.
    pub lease_time: Duration,
    /// Whether to wait for new documents when the queue is empty.
    pub forever: bool,
}

/// How the work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The queue is empty.
    Empty,
    /// Ctrl-C.
    Interrupted,
}

/// Works until the queue is empty, or forever. After Ctrl-C, nothing new is begun; a second one ends the process.
///
/// # Errors
///
/// If every other document would fail as well. Documents that were not finished are given back.
pub fn work(nomic: &Nomic, queue: &mut Queue, options: Options) -> Result<Ending> {
    let results = queue.property("results", None)?.ok_or("the queue does not exist: fill it with `fleet add`")?;
    let results = PathBuf::from(results);
    check_writable(&results)?;
    let instance = queue.property("instance", Some(nomic.base_url()))?.unwrap_or_default();
    if instance != nomic.base_url() {
        let ours = nomic.base_url();
        return Err(format!(
            "the queue belongs to {instance}, but this worker uses {ours}; use that one, or another queue"
        )
        .into());
    }
    let name = worker_name();
    queue.tidy(&name)?;
    ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            process::exit(130);
        }
        print("interrupted: ends when what was begun is recorded; press Ctrl-C again to end at once");
    })?;

    let bar = ProgressBar::no_length().with_style(style("{spinner} {pos} done, {msg}"));
    bar.enable_steady_tick(Duration::from_millis(120));
    let worker = Worker {
        nomic,
        options,
        results,
        name,
        bar,
        held: Mutex::default(),
        stopped: OnceLock::new(),
        done: AtomicUsize::new(0),
        ended: AtomicUsize::new(0),
    };
    worker.run(queue);
    worker.bar.finish_and_clear();
    let done = worker.done.load(Ordering::Relaxed);
    print(format_args!("{done} done by this worker, {}", worker.name));
    // It is forgotten after an hour otherwise.
    let _ = queue.tidy(&worker.name);
    match worker.stopped.into_inner() {
        Some(reason) => Err(reason.into()),
        None if INTERRUPTED.load(Ordering::Relaxed) => Ok(Ending::Interrupted),
        None => Ok(Ending::Empty),
    }
}

/// Why the work on a document ends.
enum End {
    Done,
    Failed(String),
    InDoubt(String),
    /// It is given back, because the worker stops.
    Released,
    /// It is given back, and the worker stops for this reason.
    Stopped(String),
    /// Another worker has it.
    Lost,
}

/// A document in hand.
struct Held {
    lease: u64,
    /// Whether the work can be interrupted without a loss.
    waiting: bool,
}

struct Worker<'a> {
    nomic: &'a Nomic,
    options: Options,
    results: PathBuf,
    name: String,
    bar: ProgressBar,
    held: Mutex<HashMap<String, Held>>,
    stopped: OnceLock<String>,
    done: AtomicUsize,
    /// How many documents have ended here, in whatever way.
    ended: AtomicUsize,
}

impl Worker<'_> {
    fn run(&self, queue: &mut Queue) {
        let finished = AtomicBool::new(false);
        thread::scope(|scope| {
            let connection = || queue.reconnect();
            let threads: Vec<_> = (0..self.options.threads)
                .map(|_| {
                    let mut queue = connection();
                    scope.spawn(move || self.take_documents(&mut queue))
                })
                .collect();
            let mut heartbeat_queue = connection();
            let finished = &finished;
            let heartbeat = scope.spawn(move || self.renew_leases(&mut heartbeat_queue, finished));
            // A thread that waits for a job would delay the end: its document is given back for it. Not at once, since a
            // thread may be about to hold a document that it has just taken.
            let mut quiet = 0;
            while quiet < QUIET_TICKS && !threads.iter().all(|thread| thread.is_finished()) {
                quiet = if self.is_stopping() && self.only_waits() { quiet + 1 } else { 0 };
                thread::sleep(TICK);
            }
            if !threads.iter().all(|thread| thread.is_finished()) {
                self.end_early(queue);
            }
            finished.store(true, Ordering::Relaxed);
            heartbeat.thread().unpark();
        });
    }

    /// Gives back the documents whose jobs are running, and ends the process.
    fn end_early(&self, queue: &mut Queue) {
        // If Redis does not answer, the leases expire.
        queue.patience = Duration::ZERO;
        for (id, held) in self.held().drain() {
            let _ = queue.release(&self.name, &id, held.lease);
        }
        self.bar.finish_and_clear();
        match self.stopped.get() {
            Some(reason) => {
                print(reason);
                process::exit(1);
            }
            None => process::exit(130),
        }
    }

    fn is_stopping(&self) -> bool {
        INTERRUPTED.load(Ordering::Relaxed) || self.stopped.get().is_some()
    }

    fn only_waits(&self) -> bool {
        self.held().values().all(|held| held.waiting)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_documents(&self, queue: &mut Queue) {
        let mut pause = IDLE_PAUSES.0;
        while !self.is_stopping() {
            match queue.take(&self.name, self.options.lease_time) {
                Ok(Take::Document(document)) => {
                    pause = IDLE_PAUSES.0;
                    self.process(queue, document);
                }
                Ok(Take::Empty) if !self.options.forever => return,
                Ok(_) => {
                    self.idle(pause);
                    pause = (pause * 2).min(IDLE_PAUSES.1);
                }
                Err(error) => self.stop(error),
            }
        }
    }

    fn renew_leases(&self, queue: &mut Queue, finished: &AtomicBool) {
        queue.patience = Duration::ZERO;
        while !finished.load(Ordering::Relaxed) {
            let held: Vec<_> = self.held().iter().map(|(id, held)| (id.clone(), held.lease)).collect();
            if !held.is_empty() {
                // The next one may succeed. If the lease expires, whatever this worker records is refused.
                let _ = queue.renew(&self.name, &held);
            }
            thread::park_timeout(self.options.lease_time / 4);
        }
    }

    fn process(&self, queue: &mut Queue, mut document: Taken) {
        self.held().insert(document.id.clone(), Held { lease: document.lease, waiting: false });
        self.show_held();
        let end = loop {
            if self.is_stopping() {
                break End::Released;
            }
            let step = match (document.job.clone(), document.version.clone()) {
                (Some(job), _) => self.wait(queue, &mut document, &job),
                (None, Some(version)) => self.submit(queue, &mut document, &version),
                (None, None) => self.upload(queue, &mut document),
            };
            if let Err(end) = step {
                break end;
            }
        };
        let (id, name) = (&document.id, document::name(&document.path));
        let recorded = match end {
            End::Done => {
                self.done.fetch_add(1, Ordering::Relaxed);
                self.bar.inc(1);
                self.record(queue, &document, State::Done, "")
            }
            End::Failed(reason) => {
                self.note(format_args!("{id} {name} failed: {reason}"));
                self.record(queue, &document, State::Failed, &reason)
            }
            End::InDoubt(reason) => {
                self.note(format_args!("{id} {name} may have been submitted: {reason}"));
                self.record(queue, &document, State::InDoubt, &reason)
            }
            other => Err(other),
        };
        match recorded {
            Err(End::Stopped(reason)) => {
                self.stop(reason);
                self.release(queue, &document);
            }
            Err(End::Released) => self.release(queue, &document),
            _ => {}
        }
        self.held().remove(id);
        self.show_held();
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// If Redis does not answer, the lease expires.
    fn release(&self, queue: &mut Queue, document: &Taken) {
        queue.patience = Duration::ZERO;
        let _ = queue.release(&self.name, &document.id, document.lease);
    }

    fn upload(&self, queue: &mut Queue, document: &mut Taken) -> Result<(), End> {
        let path = Path::new(&document.path);
        match content_hash(path) {
            Ok(content) if content == document.content => {}
            Ok(_) => return Err(End::Failed("it has changed since it was added; add it again".to_owned())),
            Err(error) => {
                let message = format!("{}: {error}", path.display());
                let has_folder = path.parent().is_some_and(Path::is_dir);
                // Without its share, this worker would fail the documents of all others.
                return Err(if has_folder {
                    End::Failed(message)
                } else {
                    End::Stopped(format!("{message}; is the share mounted?"))
                });
            }
        }
        self.record(queue, document, State::Uploading, "")?;
        let upload = Upload::from_path(path).on_progress(|_, _| match self.is_stopping() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        match self.nomic.upload(upload) {
            Ok(file) => {
                document.version = Some(file.file_version_id);
                self.record(queue, document, State::Uploaded, "")
            }
            Err(error) if matches!(error.kind(), ErrorKind::Cancelled) => Err(End::Released),
            Err(error) => self.try_again(queue, document, &error, State::Queued),
        }
    }

    fn submit(&self, queue: &mut Queue, document: &mut Taken, version: &FileVersionId) -> Result<(), End> {
        let start = Instant::now();
        self.record(queue, document, State::Submitting, "")?;
        // If the worker was paused meanwhile, the document may be in doubt by now.
        if start.elapsed() >= self.options.lease_time {
            return self.record(queue, document, State::Uploaded, "");
        }
        let submitted = self.nomic.parse(version).map(|job| job.task_id).or_else(|error| match error.job() {
            // It was accepted, although its response cannot be decoded.
            Some(JobRef::Parse(id)) => Ok(id.clone()),
            _ => Err(error),
        });
        match submitted {
            Ok(job) => {
                document.job = Some(job.clone());
                self.record_job(queue, document, &job)
            }
            Err(error) if error.effect() != Effect::None => Err(End::InDoubt(error.to_string())),
            Err(error) if error.is_not_found() => {
                document.version = None;
                self.try_again(queue, document, &error, State::Queued)
            }
            Err(error) => self.try_again(queue, document, &error, State::Uploaded),
        }
    }

    /// Records a job. It is paid for, so whatever happens, somebody has to know of it.
    fn record_job(&self, queue: &mut Queue, document: &Taken, job: &TaskId) -> Result<(), End> {
        let deadline = Instant::now() + queue.patience * PATIENCE_FOR_A_JOB;
        let recorded = loop {
            match queue.record(document, State::Submitted, "") {
                Err(_) if Instant::now() < deadline => thread::sleep(IDLE_PAUSES.1.min(queue.patience)),
                recorded => break recorded,
            }
        };
        let (id, path, name) = (&document.id, &document.path, &queue.name);
        let remedy = format!("fleet --queue {name} retry --in-doubt --task {job} {id}");
        match recorded {
            Ok(Recorded::Yes) => Ok(()),
            Ok(Recorded::Resolved) => Err(End::Lost),
            Ok(Recorded::Lost) => {
                self.note(format_args!(
                    "{path} was put back while this worker submitted it as {job}: if it is in doubt, run: {remedy}"
                ));
                Err(End::Lost)
            }
            Err(error) => Err(End::Stopped(format!(
                "{path} is submitted as {job}, but that is not recorded ({error}); when Redis answers, and the document is \
                 in doubt, run: {remedy}"
            ))),
        }
    }

    fn wait(&self, queue: &mut Queue, document: &mut Taken, job: &TaskId) -> Result<(), End> {
        self.set_waiting(document, true);
        let mut last = None;
        for poll in self.nomic.polls(&self.nomic.parse_job(job)) {
            match poll {
                Ok(Poll::Done(parsed)) => {
                    self.set_waiting(document, false);
                    return Err(self.save(document, &parsed).map_or_else(End::Stopped, |()| End::Done));
                }
                Ok(Poll::Failed { message, .. }) => {
                    (document.version, document.job) = (None, None);
                    let again = "a retry parses it again, which is billed again";
                    return Err(End::Failed(format!("the job {job} failed: {message}; {again}")));
                }
                Ok(_) => last = None,
                Err(error) => last = Some(error),
            }
            if self.is_stopping() {
                return Err(End::Released);
            }
        }
        self.set_waiting(document, false);
        match last {
            Some(error) if error.is_not_found() => {
                (document.version, document.job) = (None, None);
                Err(End::Failed(format!("{error}; a retry parses it again, which is billed again")))
            }
            Some(error) => self.try_again(queue, document, &error, State::Submitted),
            None => {
                document.attempts += 1;
                if document.attempts >= MAX_ATTEMPTS {
                    return Err(End::Failed(format!("the job {job} does not end; a retry waits for it again")));
                }
                self.record(queue, document, State::Submitted, "")
            }
        }
    }

    /// After an error without effect: records the step before, and pauses before the next attempt, if there is one.
    fn try_again(&self, queue: &mut Queue, document: &mut Taken, error: &Error, before: State) -> Result<(), End> {
        // The rate limit is not the fault of the document.
        let is_limited = error.is_rate_limited() && error.is_transient();
        document.attempts += u32::from(!is_limited);
        self.record(queue, document, before, "")?;
        let is_gone = before == State::Queued && error.is_not_found();
        if !(error.is_transient() || is_gone) || document.attempts >= MAX_ATTEMPTS {
            // The key is not accepted, the spend limit is reached, or the service or the rate limit in Redis is away.
            let affects_all = error.is_unauthorized()
                || error.is_forbidden()
                || error.is_rate_limited()
                || error.is_unreachable()
                || matches!(error.kind(), ErrorKind::RateLimiter { .. });
            let reason = error.to_string();
            return Err(if affects_all { End::Stopped(reason) } else { End::Failed(reason) });
        }
        self.set_waiting(document, true);
        self.sleep(error.retry_after().unwrap_or(Duration::from_secs(1 << document.attempts.saturating_sub(1))));
        self.set_waiting(document, false);
        Ok(())
    }

    fn record(&self, queue: &mut Queue, document: &Taken, state: State, reason: &str) -> Result<(), End> {
        match queue.record(document, state, reason) {
            Ok(Recorded::Yes) => Ok(()),
            Ok(_) => Err(End::Lost),
            Err(error) => Err(End::Stopped(error.to_string())),
        }
    }

    /// Writes a temporary file and renames it: a result is always complete.
    fn save(&self, document: &Taken, parsed: &Parsed) -> Result<(), String> {
        let Taken { id, lease, .. } = document;
        let (path, temporary) =
            (self.results.join(format!("{id}.json")), self.results.join(format!(".{id}.{lease}.part")));
        let write = || {
            let mut file = BufWriter::new(File::create(&temporary)?);
            serde_json::to_writer_pretty(&mut file, parsed)?;
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&temporary);
            format!("the result cannot be saved as {}: {error}", path.display())
        })
    }

    fn set_waiting(&self, document: &Taken, waiting: bool) {
        if let Some(held) = self.held().get_mut(&document.id) {
            held.waiting = waiting;
        }
    }

    fn stop(&self, reason: impl Display) {
        if let Err(reason) = self.stopped.set(reason.to_string()) {
            // Each may name a job that is not recorded.
            self.note(reason);
        }
    }

    fn sleep(&self, pause: Duration) {
        let start = Instant::now();
        while !self.is_stopping() && start.elapsed() < pause {
            thread::sleep(TICK.min(pause));
        }
    }

    /// Pauses until the queue may have changed: after a document has ended here, it may be empty.
    fn idle(&self, pause: Duration) {
        let (start, ended) = (Instant::now(), self.ended.load(Ordering::Relaxed));
        while !self.is_stopping() && start.elapsed() < pause && self.ended.load(Ordering::Relaxed) == ended {
            thread::sleep(TICK);
        }
    }

    fn show_held(&self) {
        let count = self.held().len();
        self.bar.set_message(format!("{count} in hand"));
    }

    /// Prints a line above the progress bar.
    fn note(&self, line: impl Display) {
        self.bar.suspend(|| print(line));
    }
}

/// Prints a line to standard error, if there is one.
fn print(line: impl Display) {
    let _ = writeln!(io::stderr(), "fleet: {line}");
}

/// Checks that results can be saved, before anything is paid for.
fn check_writable(folder: &Path) -> Result {
    let probe = folder.join(format!(".{}.probe", worker_name()));
    File::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(|error| {
        format!("the folder for results, {}, cannot be written to ({error}); is the share mounted?", folder.display())
            .into()
    })
}

/// The host and the process. The number makes it unique: in containers, all processes may have the same id.
fn worker_name() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "worker",
        host => host,
    };
    let random = RandomState::new().hash_one(0) & 0xffff;
    format!("{host}-{}-{random:04x}", process::id())
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
