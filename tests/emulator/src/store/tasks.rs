//! Work that takes its time: results that come later, and the jobs of parse and extract.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::clock::Moment;

/// A value that another thread will put here.
#[derive(Debug)]
pub(crate) struct Eventually<T> {
    value: Mutex<Option<T>>,
    arrived: Condvar,
}

impl<T> Eventually<T> {
    pub(crate) fn new() -> Arc<Eventually<T>> {
        Arc::new(Eventually { value: Mutex::new(None), arrived: Condvar::new() })
    }

    pub(crate) fn put(&self, value: T) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        self.arrived.notify_all();
    }

    /// Waits a moment for what should be there by now, so that an answer need not say that it is still to come.
    pub(crate) fn wait(&self) {
        const PATIENCE: Duration = Duration::from_secs(1);
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.arrived.wait_timeout_while(value, PATIENCE, |value| value.is_none());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl<T: Clone> Eventually<T> {
    pub(crate) fn get(&self) -> Option<T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs work on documents such that its panic is its failure, and not the end of the thread.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| "Internal error".to_owned())
}

/// How a job is to end, if a fault has a say in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    #[default]
    Ordinary,
    NeverEnds,
    Fails(String),
}

/// What a finished task gives.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(crate) result: Arc<Value>,
    pub(crate) citations: Option<Arc<Value>>,
}

/// A job of parse or extract.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) operation: &'static str,
    pub(crate) begins: Moment,
    pub(crate) fate: Fate,
    pub(crate) outcome: Arc<Eventually<Result<Finished, String>>>,
}

/// How a task stands.
#[derive(Debug, Clone)]
pub(crate) enum Standing {
    Waiting,
    Building,
    Completed(Finished),
    Failed(String),
}

impl Task {
    /// How it stands when a task takes so long.
    pub(crate) fn standing(&self, now: Moment, job_time: Duration) -> Standing {
        let passed = now.saturating_sub(self.begins);
        if passed < job_time {
            return if passed < job_time / 4 { Standing::Waiting } else { Standing::Building };
        }
        match &self.fate {
            Fate::NeverEnds => Standing::Building,
            Fate::Fails(error) => Standing::Failed(error.clone()),
            Fate::Ordinary => {
                self.outcome.wait();
                match self.outcome.get() {
                    None => Standing::Building,
                    Some(Ok(finished)) => Standing::Completed(finished),
                    Some(Err(error)) => Standing::Failed(error),
                }
            }
        }
    }
}

/// When jobs start if only some of them may run at the same time.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// When each slot is free again. Empty if the number of running jobs is not limited.
    free: Vec<Moment>,
}

impl Schedule {
    pub(crate) fn new(max_running_jobs: Option<usize>) -> Schedule {
        Schedule { free: vec![Moment::ZERO; max_running_jobs.unwrap_or_default()] }
    }

    /// When a job starts that is submitted now. Jobs start in the order of their submission.
    pub(crate) fn take(&mut self, now: Moment, job_time: Duration) -> Moment {
        let Some(first) = self.free.iter_mut().min() else { return now };
        let begins = now.max(*first);
        *first = begins + job_time;
        begins
    }
}

/// All tasks by id.
pub(crate) type Tasks = HashMap<String, Task>;

#[cfg(test)]
mod tests {
    use super::*;

    fn words(fate: Fate, outcome: Option<Result<Finished, String>>) -> Vec<String> {
        let start = Duration::from_secs(1000);
        let task = Task { operation: "get_parse", begins: start, fate, outcome: Eventually::new() };
        if let Some(outcome) = outcome {
            task.outcome.put(outcome);
        }
        let at = [0, 99, 100, 399, 400, 100_000];
        at.map(|millis| match task.standing(start + Duration::from_millis(millis), Duration::from_millis(400)) {
            Standing::Waiting => "waiting".to_owned(),
            Standing::Building => "building".to_owned(),
            Standing::Completed(finished) => finished.result.to_string(),
            Standing::Failed(error) => error,
        })
        .to_vec()
    }

    #[test]
    fn jobs_wait_for_a_free_slot_in_the_order_of_submission() {
        let (now, second) = (Duration::from_secs(1000), Duration::from_secs(1));
        let mut schedule = Schedule::new(Some(2));
        let begins: Vec<u64> = (0..5).map(|_| (schedule.take(now, second) - now).as_secs()).collect();
        assert_eq!(begins, [0, 0, 1, 1, 2]);
        assert_eq!(schedule.take(now + second * 9, second), now + second * 9);
        assert_eq!(Schedule::new(None).take(now, second), now);
    }

    #[test]
    fn a_task_goes_its_way_along_the_job_time() {
        let done = Finished { result: Arc::new(Value::from(7)), citations: None };
        assert_eq!(words(Fate::Ordinary, Some(Ok(done))), ["waiting", "waiting", "building", "building", "7", "7"]);
        assert_eq!(words(Fate::Ordinary, Some(Err("damaged".into())))[3..], ["building", "damaged", "damaged"]);
        assert_eq!(words(Fate::NeverEnds, None)[3..], ["building", "building", "building"]);
        assert_eq!(words(Fate::Fails("no".into()), None)[3..], ["building", "no", "no"]);
    }
}
