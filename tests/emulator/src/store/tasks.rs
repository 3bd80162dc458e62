//! Background work: promises, and the parse and extract jobs.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::clock::Moment;

/// A value that another thread will set.
#[derive(Debug)]
pub(crate) struct Promise<T> {
    value: Mutex<Option<T>>,
    arrived: Condvar,
}

impl<T> Promise<T> {
    pub(crate) fn new() -> Arc<Promise<T>> {
        Arc::new(Promise { value: Mutex::new(None), arrived: Condvar::new() })
    }

    pub(crate) fn set(&self, value: T) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        self.arrived.notify_all();
    }

    /// Waits a moment for a value that should be set by now, so that a client need not poll again.
    pub(crate) fn wait(&self) {
        const TIMEOUT: Duration = Duration::from_secs(1);
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.arrived.wait_timeout_while(value, TIMEOUT, |value| value.is_none());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl<T: Clone> Promise<T> {
    pub(crate) fn get(&self) -> Option<T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Turns a panic into an error. A malformed document must not end the worker thread.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| "Internal error".to_owned())
}

/// The fault that is injected into a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum JobFault {
    #[default]
    None,
    NeverEnds,
    Fails(String),
}

/// The result of a task.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(crate) result: Arc<Value>,
    pub(crate) citations: Option<Arc<Value>>,
}

/// A parse or extract job.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) operation: &'static str,
    pub(crate) begins: Moment,
    pub(crate) job_fault: JobFault,
    pub(crate) outcome: Arc<Promise<Result<Finished, String>>>,
}

/// The status of a task.
#[derive(Debug, Clone)]
pub(crate) enum TaskStatus {
    Waiting,
    Building,
    Completed(Finished),
    Failed(String),
}

impl Task {
    /// The status of the task, given the time that it takes.
    pub(crate) fn status(&self, now: Moment, job_time: Duration) -> TaskStatus {
        let passed = now.saturating_sub(self.begins);
        if passed < job_time {
            return if passed < job_time / 4 { TaskStatus::Waiting } else { TaskStatus::Building };
        }
        match &self.job_fault {
            JobFault::NeverEnds => TaskStatus::Building,
            JobFault::Fails(error) => TaskStatus::Failed(error.clone()),
            JobFault::None => {
                self.outcome.wait();
                match self.outcome.get() {
                    None => TaskStatus::Building,
                    Some(Ok(finished)) => TaskStatus::Completed(finished),
                    Some(Err(error)) => TaskStatus::Failed(error),
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

    fn statuses(job_fault: JobFault, outcome: Option<Result<Finished, String>>) -> Vec<String> {
        let start = Duration::from_secs(1000);
        let task = Task { operation: "get_parse", begins: start, job_fault, outcome: Promise::new() };
        if let Some(outcome) = outcome {
            task.outcome.set(outcome);
        }
        let at = [0, 99, 100, 399, 400, 100_000];
        at.map(|millis| match task.status(start + Duration::from_millis(millis), Duration::from_millis(400)) {
            TaskStatus::Waiting => "waiting".to_owned(),
            TaskStatus::Building => "building".to_owned(),
            TaskStatus::Completed(finished) => finished.result.to_string(),
            TaskStatus::Failed(error) => error,
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
    fn a_task_passes_through_its_states() {
        let done = Finished { result: Arc::new(Value::from(7)), citations: None };
        assert_eq!(statuses(JobFault::None, Some(Ok(done))), ["waiting", "waiting", "building", "building", "7", "7"]);
        assert_eq!(statuses(JobFault::None, Some(Err("damaged".into())))[3..], ["building", "damaged", "damaged"]);
        assert_eq!(statuses(JobFault::NeverEnds, None)[3..], ["building", "building", "building"]);
        assert_eq!(statuses(JobFault::Fails("no".into()), None)[3..], ["building", "no", "no"]);
    }
}
