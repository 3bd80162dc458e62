//! Background work: promises, and the parse and extract jobs.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

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
}

impl<T: Clone> Promise<T> {
    pub(crate) fn get(&self) -> Option<T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits a moment for a value that should be set by now, so that a client need not poll again.
    pub(crate) fn wait(&self) -> Option<T> {
        const TIMEOUT: Duration = Duration::from_secs(1);
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.arrived.wait_timeout_while(value, TIMEOUT, |value| value.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

/// What a job will have made, or why it will have failed. None if it never ends.
pub(crate) type Outcome<T> = Option<Arc<Promise<Result<T, String>>>>;

/// Turns a panic into an error. A malformed document must not end the worker thread.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| "Internal error".to_owned())
}

/// A parse or extract job.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) operation: &'static str,
    pub(crate) begins: Moment,
    /// The fields of the response that a finished job has.
    pub(crate) outcome: Outcome<Arc<Value>>,
}

impl Task {
    /// The status of the task and its own fields of the response, given the time that a job takes.
    pub(crate) fn status(&self, now: Moment, job_time: Duration) -> (&'static str, Arc<Value>) {
        let passed = now.saturating_sub(self.begins);
        if passed < job_time / 4 {
            return ("WAITING", Arc::default());
        }
        match self.outcome.as_ref().filter(|_| passed >= job_time).and_then(|outcome| outcome.wait()) {
            None => ("BUILDING", Arc::default()),
            Some(Ok(fields)) => ("COMPLETED", fields),
            Some(Err(error)) => ("FAILED", Arc::new(json!({ "error": error }))),
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

    fn statuses(outcome: Option<Result<Value, String>>) -> [String; 6] {
        let start = Duration::from_secs(1000);
        let outcome = outcome.map(|outcome| {
            let promise = Promise::new();
            promise.set(outcome.map(Arc::new));
            promise
        });
        let task = Task { operation: "get_parse", begins: start, outcome };
        [0, 99, 100, 399, 400, 100_000].map(|millis| {
            let (status, fields) = task.status(start + Duration::from_millis(millis), Duration::from_millis(400));
            format!("{status} {fields}")
        })
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
        let (waiting, building) = ("WAITING null", "BUILDING null");
        let done = r#"COMPLETED {"result":7}"#;
        assert_eq!(statuses(Some(Ok(json!({ "result": 7 })))), [waiting, waiting, building, building, done, done]);
        let failed = r#"FAILED {"error":"damaged"}"#;
        assert_eq!(statuses(Some(Err("damaged".into())))[3..], [building, failed, failed]);
        assert_eq!(statuses(None)[3..], [building, building, building]);
    }
}
