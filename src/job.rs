//! Waiting for jobs: when to poll again, when to give up, and how not to lose the job.
//!
//! A [`Job`] runs on the server: a [`ParseJob`](crate::parse::ParseJob), an [`ExtractJob`](crate::extract::ExtractJob),
//! an [`Agent`](crate::agents::Agent), or an agent's id. What each of them ends with stands at [`Nomic::wait`].
//!
//! | method | gives |
//! | --- | --- |
//! | [`wait`](Nomic::wait) | the result; waits half an hour at the most |
//! | [`wait_with`](Nomic::wait_with) | the result; how long and how often to poll is yours to say: [`Patience`] |
//! | [`polls`](Nomic::polls) | what each poll found, to show progress or to leave the loop |
//! | [`poll`](Nomic::poll) | what one poll found, at once |
//! | [`wait_all`](Nomic::wait_all) | the results of many jobs, each as it ends |
//!
//! The short way:
//!
//! ```no_run
//! use nomic_client::{Nomic, parse};
//!
//! let nomic = Nomic::from_env()?;
//! let file = nomic.upload_file("permit.pdf")?;
//! let job = nomic.parse(&file.file_version_id, &parse::Options::default())?;
//! println!("{}", nomic.wait(&job)?.text());
//! # Ok::<(), nomic_client::Error>(())
//! ```
//!
//! A job is plain data. Stored before it is waited for, it outlives the program:
//!
//! ```no_run
//! use std::time::Duration;
//! use nomic_client::{Nomic, Patience, parse::ParseJob};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let nomic = Nomic::from_env()?;
//! # let job = nomic.parse_job("019abc12");
//! std::fs::write("job.json", serde_json::to_string(&job)?)?;
//! // Here, or in another process on another day:
//! let job: ParseJob = serde_json::from_str(&std::fs::read_to_string("job.json")?)?;
//! match nomic.wait_with(&job, &Patience::of(Duration::from_secs(90))) {
//!     Ok(parsed) => println!("{}", parsed.text()),
//!     Err(error) if error.is_job_failed() => println!("it failed, for good: {error}"),
//!     Err(error) if error.is_timeout() => println!("it goes on; wait for it again later"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The loop in your own hands:
//!
//! ```no_run
//! use nomic_client::{Nomic, Patience, Poll};
//!
//! # let nomic = Nomic::from_env()?;
//! # let job = nomic.parse_job("019abc12");
//! for poll in nomic.polls(&job, &Patience::default()) {
//!     match poll {
//!         Ok(Poll::Pending { status, .. }) => println!("{status} …"),
//!         Ok(Poll::Done(parsed)) => println!("{}", parsed.text()),
//!         Ok(Poll::Failed { message, .. }) => println!("it failed: {message}"),
//!         Ok(_) => {}
//!         Err(error) => println!("{error}"), // the loop ends by itself if polling again is of no use
//!     }
//! }
//! # Ok::<(), nomic_client::Error>(())
//! ```
//!
//! And many jobs at once:
//!
//! ```no_run
//! # use nomic_client::{Nomic, parse::ParseJob};
//! # let nomic = Nomic::from_env()?;
//! # let jobs: Vec<ParseJob> = Vec::new();
//! for (job, parsed) in nomic.wait_all(jobs) {
//!     println!("{}: {:?}", job.task_id, parsed.map(|parsed| parsed.pages().len()));
//! }
//! # Ok::<(), nomic_client::Error>(())
//! ```

mod all;
mod rounds;

use std::fmt;
use std::iter::FusedIterator;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::error::{Error, JobError, JobFailure, Result};
use crate::json::Mismatch;
use crate::json::pieces::{Pieces, Trouble};
use crate::nomic::Nomic;
use crate::words::open_enum;

pub use self::all::WaitAll;

/// 30 minutes: how long [`Nomic::wait`] waits at the most.
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(30 * 60);
/// 1 second: the pause between two polls in the first half minute.
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// 30 seconds: how long the first pause is kept before it grows.
pub const EAGER_FOR: Duration = Duration::from_secs(30);
/// 15 seconds: the longest pause between two polls.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// 60 seconds: how long a wait goes on while the server cannot be reached at all, and never was.
pub const UNREACHED_FOR: Duration = Duration::from_secs(60);
/// 5 seconds: what the last poll, which is made when the patience ends, may take beyond it.
pub const LAST_QUESTION: Duration = Duration::from_secs(5);

/// No rhythm is quicker than this.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

open_enum! {
    /// How far a parse or extract job is (inferred; the words of the vendor's v1 API).
    ///
    /// No method gives it: polls give the word as the service sent it. Make it from the word of [`Poll::Pending`]; for
    /// an agent's word take [`AgentStatus`](crate::agents::AgentStatus).
    ///
    /// ```
    /// use nomic_client::job::{JobStatus, Poll};
    ///
    /// fn has_begun<T>(poll: &Poll<T>) -> bool {
    ///     !matches!(poll, Poll::Pending { status, .. } if JobStatus::from(status.as_str()) == JobStatus::Waiting)
    /// }
    /// # assert!(has_begun(&Poll::Done(())));
    /// ```
    pub enum JobStatus {
        /// Not begun.
        Waiting = "WAITING",
        /// At work.
        Building = "BUILDING",
        /// Ended with a result.
        Completed = "COMPLETED",
        /// Ended without one.
        Failed = "FAILED",
    }
}

/// The field that makes an object a task.
const STATUS: &str = "status";

/// What the service says of a parse or extract job.
#[derive(Debug)]
pub(crate) struct Task<T> {
    status: JobStatus,
    error: Option<Value>,
    result: Option<T>,
    /// All else.
    rest: Map<String, Value>,
}

impl<T> Task<T> {
    /// Takes a task, bare or inside `data`; and its result by `result`, which may leave it to the rest.
    pub(crate) fn take(
        pieces: &mut Pieces<'_>,
        result: impl Fn(&mut Pieces<'_>) -> Result<Option<T>, Trouble>,
    ) -> Result<Self, Trouble> {
        let (mut taken, mut data) = (None, None);
        let mut field = |key: &str, pieces: &mut Pieces<'_>| {
            let found = if key == "result" { result(pieces)? } else { None };
            let is_it = found.is_some();
            taken = found.or(taken.take());
            Ok(is_it)
        };
        let mut rest = pieces.object(&mut |key, pieces| {
            let wrapped = key == "data" && pieces.peek()? == Some(b'{');
            if wrapped {
                data = Some(pieces.object(&mut field)?);
            }
            Ok(wrapped || field(key, pieces)?)
        })?;
        // What has a status is the task, wherever it is; else what stands in `data` is kept with the rest.
        match data {
            Some(task) if task.contains_key(STATUS) => {
                Self::of(task, taken).map_err(|mismatch| mismatch.within("data").into())
            }
            data => {
                rest.extend(data.map(|data| ("data".to_owned(), Value::Object(data))));
                Ok(Self::of(rest, taken)?)
            }
        }
    }

    fn of(mut rest: Map<String, Value>, result: Option<T>) -> Result<Self, Mismatch> {
        match rest.remove(STATUS) {
            Some(Value::String(status)) => {
                Ok(Self { status: status.into(), error: rest.remove("error"), result, rest })
            }
            Some(_) => Err(Mismatch::at(STATUS, "it is no text")),
            None => Err(Mismatch::at("$", "missing field `status`")),
        }
    }

    /// What it comes to: `finish` makes it of the result and the rest. A status that is not known means that it goes on.
    pub(crate) fn poll<U>(self, finish: impl FnOnce(Option<T>, Map<String, Value>) -> U) -> Poll<U> {
        match self.status {
            JobStatus::Completed => {
                if self.result.is_none() {
                    log::warn!(target: "nomic_client", "a job is completed, but its result is not where it is expected");
                }
                Poll::Done(finish(self.result, self.rest))
            }
            JobStatus::Failed => Poll::Failed {
                status: self.status.to_string(),
                message: match self.error {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::String(message)) => message,
                    Some(other) => other.to_string(),
                },
            },
            pending => Poll::Pending { status: pending.to_string() },
        }
    }
}

/// How long and how often to poll a job.
///
/// ```
/// use std::time::Duration;
/// use nomic_client::job::Patience;
///
/// let brief = Patience::of(Duration::from_secs(90));
/// let slow = Patience { first_pause: Duration::from_secs(5), ..Patience::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long in all. The last poll is made when it ends. Defaults to 30 minutes ([`DEFAULT_PATIENCE`]).
    pub limit: Duration,
    /// The pause between two polls at first, give or take a tenth. Defaults to 1 second ([`FIRST_PAUSE`]).
    pub first_pause: Duration,
    /// After this long the pause grows by half with each poll. Defaults to 30 seconds ([`EAGER_FOR`]).
    pub eager_for: Duration,
    /// The longest pause. Defaults to 15 seconds ([`LONGEST_PAUSE`]).
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { limit: DEFAULT_PATIENCE, first_pause: FIRST_PAUSE, eager_for: EAGER_FOR, longest_pause: LONGEST_PAUSE }
    }
}

impl Patience {
    /// The default pauses, with a limit of your own.
    #[must_use]
    pub fn of(limit: Duration) -> Self {
        Self { limit, ..Self::default() }
    }

    /// The pause before the next question.
    fn pause(&self, elapsed: Duration, previous: Option<Duration>) -> Duration {
        let grown = match previous {
            Some(previous) if elapsed >= self.eager_for => previous.saturating_mul(3) / 2,
            _ => self.first_pause,
        };
        grown.min(self.longest_pause).max(SHORTEST_PAUSE)
    }

    /// A pause, give or take a tenth, so that many waiters do not ask in step; `chance` is in 0..1.
    fn blurred(pause: Duration, chance: f64) -> Duration {
        let tenth = (pause / 10).min(LONGEST_PAUSE);
        (pause - tenth).saturating_add(tenth.mul_f64(2.0 * chance.clamp(0.0, 1.0)))
    }
}

/// What one poll found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Poll<T> {
    /// It goes on. The word may be one that this version does not know.
    #[non_exhaustive]
    Pending {
        /// The status word, as the service sent it.
        status: String,
    },
    /// It ended with a result. An agent is finished, or was stopped.
    Done(T),
    /// It failed, and will not go on.
    #[non_exhaustive]
    Failed {
        /// The status word, as the service sent it.
        status: String,
        /// The service's words; empty if it gave none.
        message: String,
    },
}

impl<T> Poll<T> {
    /// Without the key: the words go into errors and logs.
    fn redacted(self, nomic: &Nomic) -> Self {
        match self {
            Self::Pending { status } => Self::Pending { status: nomic.redacted(status) },
            Self::Failed { status, message } => {
                Self::Failed { status: nomic.redacted(status), message: nomic.redacted(message) }
            }
            done => done,
        }
    }
}

/// Something that runs on the server and can be waited for: a parse job, an extract job, an agent.
///
/// Plain data, to be stored and picked up again by another process. It ends so:
///
/// | job | `Ok` | `Err`, for which [`is_job_failed`](Error::is_job_failed) holds |
/// | --- | --- | --- |
/// | [`ParseJob`](crate::parse::ParseJob) | [`Parsed`](crate::parse::Parsed), at `COMPLETED` | at `FAILED` |
/// | [`ExtractJob`](crate::extract::ExtractJob) | [`Extracted`](crate::extract::Extracted), at `COMPLETED` | at `FAILED` |
/// | [`Agent`](crate::agents::Agent), [`AgentId`](crate::AgentId) | the [`Agent`](crate::agents::Agent), at `finished` **or `stopped`**: look at its `status` | at `failed` |
///
/// Any other status, a word that this version does not know included, means that the job goes on.
pub trait Job: sealed::Asked {}

impl<J: sealed::Asked> Job for J {}

pub(crate) mod sealed {
    use std::time::Duration;

    use super::Poll;
    use crate::error::{Error, JobRef, Result};
    use crate::nomic::Nomic;
    use crate::operations::Operation;

    /// How to poll a job. Not to be implemented elsewhere.
    #[expect(unnameable_types, reason = "a sealed trait: how to ask is not for others to write, and may change")]
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is nothing to wait for",
        note = "wait for a `ParseJob`, an `ExtractJob`, an `Agent` or an `AgentId`"
    )]
    pub trait Asked: Clone {
        /// What it gives.
        type Output;

        /// The operation that asks.
        const OPERATION: &'static Operation;

        /// Whether the service has a list of such jobs.
        const LISTED: bool = false;

        /// The job.
        fn job(&self) -> JobRef;

        /// Polls once, within `limit`.
        fn ask(&self, nomic: &Nomic, limit: Duration) -> Result<Poll<Self::Output>>;

        /// Polls many at once, all within `limit`.
        fn look_over(_nomic: &Nomic, _jobs: &[&Self], _limit: Duration) -> Overview<Self::Output> {
            Overview { found: Vec::new(), requests: 0, trouble: None }
        }
    }

    /// What the list says.
    #[derive(Debug)]
    #[expect(unnameable_types, reason = "of a sealed trait")]
    pub struct Overview<T> {
        /// Of the jobs that stand there: the place among those that were asked after, and how it is.
        pub found: Vec<(usize, Poll<T>)>,
        /// How many requests it took.
        pub requests: u32,
        /// What ended it early.
        pub trouble: Option<Error>,
    }
}

impl Nomic {
    /// Waits until a job has ended, 30 minutes at the most ([`DEFAULT_PATIENCE`]), and gives its result.
    ///
    /// Polls at once, then about every second for half a minute, then less and less often, at last every 15 seconds. A
    /// poll that fails in a way that may pass (a broken connection, a 503) does not end the wait.
    ///
    /// | job | `Ok` | `Err`, for which [`is_job_failed`](Error::is_job_failed) holds |
    /// | --- | --- | --- |
    /// | [`ParseJob`](crate::parse::ParseJob) | [`Parsed`](crate::parse::Parsed), at `COMPLETED` | at `FAILED` |
    /// | [`ExtractJob`](crate::extract::ExtractJob) | [`Extracted`](crate::extract::Extracted), at `COMPLETED` | at `FAILED` |
    /// | [`Agent`](crate::agents::Agent), [`AgentId`](crate::AgentId) | the [`Agent`](crate::agents::Agent), at `finished` **or `stopped`**: look at its `status` | at `failed` |
    ///
    /// The polls are
    ///
    /// - `GET /parse/{taskId}` · scope `developer:parse` · standard tier · inferred
    /// - `GET /extract/{taskId}` · scope `developer:parse` · standard tier · inferred
    /// - `GET /agents/{id}` · scope `developer:agent` · standard tier
    ///
    /// # Errors
    ///
    /// [`Error::Job`] with the job inside ([`Error::job`]), and why the wait ended:
    ///
    /// - [`Failed`](JobFailure::Failed): the job failed on the server.
    /// - [`TimedOut`](JobFailure::TimedOut): it did not end in time, or the server asked to be left alone for longer than
    ///   that (this comes at once, and [`Error::retry_after`] says how long). It goes on; wait for it again.
    /// - [`Lost`](JobFailure::Lost): polling again is of no use. The answer is final (e.g. 401 for a key that is not
    ///   accepted, 404 for a job that is not known), or the server was never reached within 60 seconds
    ///   ([`UNREACHED_FOR`]).
    #[doc(alias = "get_parse")]
    #[doc(alias = "get_extract")]
    #[doc(alias = "get_agent")]
    pub fn wait<J: Job>(&self, job: &J) -> Result<J::Output> {
        self.wait_with(job, &Patience::default())
    }

    /// Waits as [`wait`](Self::wait) does, for as long and with such pauses as `patience` says.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_with<J: Job>(&self, job: &J, patience: &Patience) -> Result<J::Output> {
        let mut watch = Watch::new(Instant::now());
        for poll in self.polls(job, patience) {
            if let Some(outcome) = watch.take(job, poll, patience) {
                return outcome;
            }
        }
        Err(watch.give_up(job))
    }

    /// Polls a job once, without waiting. The request is the one that [`wait`](Self::wait) repeats.
    ///
    /// # Errors
    ///
    /// 404 if the job is not known. A job that failed is no error here, but [`Poll::Failed`].
    #[doc(alias = "get_parse")]
    #[doc(alias = "get_extract")]
    #[doc(alias = "get_agent")]
    pub fn poll<J: Job>(&self, job: &J) -> Result<Poll<J::Output>> {
        job.ask(self, Duration::MAX).map(|poll| poll.redacted(self))
    }

    /// Polls a job again and again, and yields what each poll found: to show progress, or to leave the loop.
    ///
    /// It pauses between two polls. It ends after the job has ended, after an error that no repetition mends, and when
    /// the patience ends. After an error that [`is_transient`](Error::is_transient), and after any 429 or 503, it polls
    /// again, so it is safe to log errors and go on. A server that was never reached does not end it before the patience
    /// does.
    pub fn polls<J: Job>(&self, job: &J, patience: &Patience) -> Polls<J> {
        Polls {
            nomic: self.clone(),
            job: job.clone(),
            patience: *patience,
            began: None,
            pause: None,
            asked_for: None,
            ended: false,
        }
    }
}

/// What is known of a job that is waited for.
#[derive(Debug)]
struct Watch {
    began: Instant,
    /// When it was first asked after.
    asked: Option<Instant>,
    polls: u32,
    last_status: Option<String>,
    /// What went wrong with the last question.
    trouble: Option<Box<Error>>,
}

impl Watch {
    fn new(began: Instant) -> Self {
        Self { began, asked: None, polls: 0, last_status: None, trouble: None }
    }

    /// It is asked after.
    fn asks(&mut self, now: Instant) {
        self.asked.get_or_insert(now);
    }

    /// Takes in an answer; gives the outcome if there is one.
    fn take<J: Job>(
        &mut self,
        job: &J,
        poll: Result<Poll<J::Output>>,
        patience: &Patience,
    ) -> Option<Result<J::Output>> {
        self.polls += 1;
        let reason = match poll {
            Ok(Poll::Done(output)) => return Some(Ok(output)),
            Ok(Poll::Pending { status }) => {
                (self.last_status, self.trouble) = (Some(status), None);
                return None;
            }
            Ok(Poll::Failed { status, message }) => {
                self.last_status = Some(status);
                JobFailure::Failed(message)
            }
            Err(error) if passes(&error) => {
                log::warn!(target: "nomic_client", "waiting for {}: {error}", job.job());
                // A wrong domain looks like an outage; but an outage begins after something was heard.
                let never = self.last_status.is_none() && error.is_unreachable();
                let asked = self.asked.unwrap_or(self.began);
                if !(never && asked.elapsed() >= UNREACHED_FOR.min(patience.limit)) {
                    self.trouble = Some(Box::new(error));
                    return None;
                }
                JobFailure::Lost(Box::new(error))
            }
            Err(error) => JobFailure::Lost(Box::new(error)),
        };
        Some(Err(self.error(job, reason)))
    }

    /// The patience has ended.
    fn give_up<J: Job>(&mut self, job: &J) -> Error {
        let trouble = self.trouble.take();
        self.error(job, JobFailure::TimedOut(trouble))
    }

    fn error<J: Job>(&mut self, job: &J, reason: JobFailure) -> Error {
        Error::Job(Box::new(JobError {
            operation: J::OPERATION.name.into(),
            job: job.job(),
            status: self.last_status.take(),
            elapsed: self.began.elapsed(),
            polls: self.polls,
            reason,
        }))
    }
}

/// Whether trouble in asking may pass. The job was accepted, so that "not on this instance" cannot be meant for good;
/// and asking is not paid for, so that no spend limit is meant.
fn passes(error: &Error) -> bool {
    error.is_transient() || matches!(error.status(), Some(429 | 503))
}

/// What one poll after the other found; made by [`Nomic::polls`].
#[must_use = "polls are lazy: nothing is sent until they are iterated"]
pub struct Polls<J> {
    nomic: Nomic,
    job: J,
    patience: Patience,
    began: Option<Instant>,
    /// The last pause, before it was blurred or lengthened by anything.
    pause: Option<Duration>,
    /// A pause that the server asked for.
    asked_for: Option<Duration>,
    ended: bool,
}

impl<J> fmt::Debug for Polls<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polls").field("patience", &self.patience).field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl<J: Job> Iterator for Polls<J> {
    type Item = Result<Poll<J::Output>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.began {
            None => self.began = Some(Instant::now()),
            Some(began) => {
                let elapsed = began.elapsed();
                if elapsed >= self.patience.limit {
                    self.ended = true;
                    return None;
                }
                let pause = self.patience.pause(elapsed, self.pause);
                self.pause = Some(pause);
                let asked_for = self.asked_for.take().unwrap_or_default();
                // Nobody has to wait for a question that will not be asked.
                if asked_for > self.patience.limit.saturating_sub(elapsed) {
                    self.ended = true;
                    return None;
                }
                let pause = Patience::blurred(pause, Nomic::chance()).max(asked_for);
                let (wait, last) = step(pause, elapsed, self.patience.limit);
                std::thread::sleep(wait);
                self.ended = last;
            }
        }
        let elapsed = self.began.map(|began| began.elapsed()).unwrap_or_default();
        let left = self.patience.limit.saturating_sub(elapsed).max(LAST_QUESTION);
        let poll = self.job.ask(&self.nomic, left).map(|poll| poll.redacted(&self.nomic));
        match &poll {
            Ok(Poll::Pending { .. }) => {}
            Err(error) if passes(error) => self.asked_for = error.retry_after(),
            _ => self.ended = true,
        }
        Some(poll)
    }
}

impl<J: Job> FusedIterator for Polls<J> {}

/// How long to wait for the next question, and whether it is the last: one that would come too late is asked when the
/// patience ends.
fn step(pause: Duration, elapsed: Duration, limit: Duration) -> (Duration, bool) {
    let left = limit.saturating_sub(elapsed);
    (pause.min(left), pause >= left)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn questions_come_every_second_at_first_and_then_less_often() {
        let patience = Patience::default();
        let (mut elapsed, mut pause, mut pauses) = (Duration::ZERO, None, Vec::new());
        while elapsed < SECOND * 120 {
            let next = patience.pause(elapsed, pause);
            pauses.push(next);
            (elapsed, pause) = (elapsed + next, Some(next));
        }
        assert!(pauses[..30].iter().all(|pause| *pause == SECOND), "{pauses:?}");
        assert!(pauses[30..36].windows(2).all(|pair| pair[0] < pair[1]), "{pauses:?}");
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
    }

    #[test]
    fn chance_moves_a_pause_by_a_tenth_at_the_most() {
        assert_eq!(Patience::blurred(SECOND, 0.0), Duration::from_millis(900));
        assert_eq!(Patience::blurred(SECOND, 1.0), Duration::from_millis(1100));
    }

    #[test]
    fn no_patience_overflows_or_runs_hot() {
        for pause in [Duration::ZERO, Duration::MAX] {
            let patience =
                Patience { limit: Duration::MAX, first_pause: pause, eager_for: Duration::ZERO, longest_pause: pause };
            let mut previous = None;
            for _ in 0..50 {
                let next = patience.pause(SECOND, previous);
                assert!(next >= SHORTEST_PAUSE);
                let _ = step(Patience::blurred(next, 1.0), SECOND, patience.limit);
                previous = Some(next);
            }
        }
    }

    #[test]
    fn the_last_question_is_asked_when_the_patience_ends() {
        assert_eq!(step(SECOND, SECOND, SECOND * 5), (SECOND, false));
        assert_eq!(step(SECOND * 15, SECOND * 2, SECOND * 5), (SECOND * 3, true));
        assert_eq!(step(SECOND, SECOND * 9, SECOND * 5), (Duration::ZERO, true));
    }
}
