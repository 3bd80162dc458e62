//! Waiting for many jobs at once: each is yielded as it ends.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use super::rounds::{Rounds, Turn};
use super::{Job, Patience, Poll, Watch, passes};
use crate::error::{Error, Result};
use crate::nomic::Nomic;
use crate::pace::CENTURY;

impl Nomic {
    /// Waits for many jobs at once, 30 minutes at the most for each ([`DEFAULT_PATIENCE`](super::DEFAULT_PATIENCE)), and
    /// yields each with its result as it ends. What each kind of job ends with stands at [`wait`](Self::wait).
    ///
    /// All polls together stay inside the rate limit, whatever the number of jobs; those that find no job ended use half
    /// of it at the most. Agents are looked up in the service's list, a hundred with one request, and are given as the
    /// list shows them: [`agent`](Self::agent) gets what may be missing there. Parse and extract jobs have no list: each
    /// is polled by itself, mostly in the order in which they are given (best is the order in which they were
    /// submitted). Of many jobs, some may have ended a while before they are polled.
    ///
    /// It works in the thread that iterates. No job is polled while your code handles a result; that time counts for no
    /// job's patience. A job that could not be polled in time, of very many or after a slow answer, is polled once before
    /// it is given up, for the patience once more at the most.
    ///
    /// The polls are those of [`wait`](Self::wait), and `GET /agents` · scope `developer:agent` · standard tier
    ///
    /// ```no_run
    /// use nomic_client::{Nomic, parse};
    ///
    /// let nomic = Nomic::from_env()?;
    /// let mut jobs = Vec::new();
    /// for plan in ["ground-floor.pdf", "first-floor.pdf"] {
    ///     let file = nomic.upload_file(plan)?;
    ///     jobs.push(nomic.parse(&file.file_version_id, &parse::Options::default())?);
    /// }
    /// for (job, parsed) in nomic.wait_all(jobs) {
    ///     match parsed {
    ///         Ok(parsed) => println!("{}: {} pages", job.task_id, parsed.pages().len()),
    ///         Err(error) => eprintln!("{error}"),
    ///     }
    /// }
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    pub fn wait_all<J: Job>(&self, jobs: impl IntoIterator<Item = J>) -> WaitAll<J> {
        self.wait_all_with(jobs, &Patience::default())
    }

    /// Waits as [`wait_all`](Self::wait_all) does, for as long and with such pauses as `patience` says. The time of each
    /// job begins when it is added.
    pub fn wait_all_with<J: Job>(&self, jobs: impl IntoIterator<Item = J>, patience: &Patience) -> WaitAll<J> {
        let mut all = WaitAll {
            nomic: self.clone(),
            patience: *patience,
            rounds: Rounds::new(*patience, J::LISTED),
            jobs: BTreeMap::new(),
            places: 0,
            ready: VecDeque::new(),
            not_before: None,
            left: Some(Instant::now()),
        };
        jobs.into_iter().for_each(|job| all.push(job));
        all
    }
}

/// Jobs with their results, as they end; made by [`Nomic::wait_all`]. Every job comes out once.
///
/// A job without a result comes with an [`Error::Job`](crate::Error::Job), as [`Nomic::wait`] gives it. A poll that fails
/// in a way that may pass ends nothing.
///
/// ```
/// use nomic_client::{Nomic, parse::ParseJob};
///
/// /// Gives the jobs that are left, to be stored, when it is time to stop.
/// fn collect(nomic: &Nomic, jobs: Vec<ParseJob>, stop: impl Fn() -> bool) -> Vec<ParseJob> {
///     let mut all = nomic.wait_all(jobs);
///     while let Some((job, parsed)) = all.next() {
///         match parsed {
///             Ok(parsed) => println!("{}: {} pages", job.task_id, parsed.pages().len()),
///             Err(error) if error.is_timeout() => all.push(job), // it goes on: wait for it again
///             Err(error) => eprintln!("{error}"),
///         }
///         if stop() {
///             break;
///         }
///     }
///     all.waiting().cloned().collect()
/// }
/// ```
#[must_use = "nothing is sent until it is iterated"]
pub struct WaitAll<J: Job> {
    nomic: Nomic,
    patience: Patience,
    rounds: Rounds,
    jobs: BTreeMap<usize, (J, Watch)>,
    /// The next place.
    places: usize,
    ready: VecDeque<(J, Result<J::Output>)>,
    /// The server asked to be left alone until then.
    not_before: Option<Instant>,
    /// Since when nobody iterates.
    left: Option<Instant>,
}

impl<J: Job> WaitAll<J> {
    /// Adds a job, at any time, e.g. between two results.
    pub fn push(&mut self, job: J) {
        let now = Instant::now();
        self.count_absence(now);
        self.left = Some(now);
        self.rounds.add(self.places, now);
        self.jobs.insert(self.places, (job, Watch::new(now)));
        self.places += 1;
    }

    /// The time in which nobody iterated counts for no patience.
    fn count_absence(&mut self, now: Instant) {
        if let Some(left) = self.left.take() {
            self.rounds.lose(now.saturating_duration_since(left));
        }
    }

    /// The jobs that were not yielded yet: those to store, if the program has to end.
    pub fn waiting(&self) -> impl Iterator<Item = &J> {
        self.ready.iter().map(|(job, _)| job).chain(self.jobs.values().map(|(job, _)| job))
    }

    fn ask(&mut self, place: usize, limit: Duration) {
        let Some((job, watch)) = self.jobs.get_mut(&place) else { return };
        let asked = Instant::now();
        watch.asks(asked);
        let poll = job.ask(&self.nomic, limit);
        let now = Instant::now();
        if let Err(error) = &poll {
            self.leave_alone(now, error);
        }
        let ended = self.take(place, poll);
        if ended {
            // Reading a large result keeps all others waiting.
            self.rounds.lose(now.saturating_duration_since(asked));
        }
        self.rounds.answered(place, now, ended);
    }

    /// Takes in how a job is; gives whether that was the last of it.
    fn take(&mut self, place: usize, poll: Result<Poll<J::Output>>) -> bool {
        let Some((job, watch)) = self.jobs.get_mut(&place) else { return false };
        let poll = poll.map(|poll| poll.redacted(&self.nomic));
        let outcome = watch.take(job, poll, &self.patience);
        outcome.is_some_and(|outcome| self.hand_out(place, outcome))
    }

    fn hand_out(&mut self, place: usize, outcome: Result<J::Output>) -> bool {
        let Some((job, _)) = self.jobs.remove(&place) else { return false };
        self.ready.push_back((job, outcome));
        true
    }

    fn leave_alone(&mut self, now: Instant, error: &Error) {
        if let Some(pause) = error.retry_after().filter(|_| passes(error)) {
            self.not_before = now.checked_add(pause.min(CENTURY));
        }
    }

    fn look_over(&mut self, limit: Duration) {
        let (places, jobs): (Vec<usize>, Vec<&J>) = self.jobs.iter().map(|(place, (job, _))| (*place, job)).unzip();
        let overview = J::look_over(&self.nomic, &jobs, limit);
        let now = Instant::now();
        let mut found = Vec::with_capacity(overview.found.len());
        for (index, poll) in overview.found {
            found.push((places[index], self.take(places[index], Ok(poll))));
        }
        match overview.trouble {
            None => self.rounds.looked_over(found.into_iter(), overview.requests, now),
            Some(error) => {
                log::warn!(target: "nomic_client", "looking over the list: {error}");
                self.leave_alone(now, &error);
                found.iter().filter(|(_, ended)| *ended).for_each(|(place, _)| self.rounds.remove(*place));
                self.rounds.not_looked_over(now, !passes(&error));
            }
        }
    }
}

impl<J: Job> Iterator for WaitAll<J> {
    type Item = (J, Result<J::Output>);

    fn next(&mut self) -> Option<Self::Item> {
        self.count_absence(Instant::now());
        loop {
            if let Some(ready) = self.ready.pop_front() {
                self.left = Some(Instant::now());
                return Some(ready);
            }
            if self.jobs.is_empty() {
                return None;
            }
            let now = Instant::now();
            let quiet = self.not_before.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
            // Whose patience ends before the server may be asked is given up at once.
            if let Some((place, again)) = self.rounds.overdue(now + quiet) {
                if again && quiet.is_zero() {
                    self.ask(place, super::LAST_QUESTION);
                } else if let Some((job, watch)) = self.jobs.get_mut(&place) {
                    let error = watch.give_up(job);
                    self.hand_out(place, Err(error));
                    self.rounds.remove(place);
                }
                continue;
            }
            let left = self.rounds.patience_left(now);
            let turn = match quiet {
                Duration::ZERO => self.rounds.turn(now, self.nomic.interval(J::OPERATION.tier), Nomic::chance()),
                quiet => Turn::Wait(quiet),
            };
            match turn {
                Turn::Ask(place) => self.ask(place, left.max(super::LAST_QUESTION)),
                Turn::LookOver => self.look_over(left.max(super::LAST_QUESTION)),
                Turn::Wait(pause) => std::thread::sleep(pause.min(left)),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.jobs.len() + self.ready.len();
        (left, Some(left))
    }
}

impl<J: Job> ExactSizeIterator for WaitAll<J> {}

impl<J: Job> fmt::Debug for WaitAll<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitAll").field("waiting", &self.jobs.len()).finish_non_exhaustive()
    }
}
