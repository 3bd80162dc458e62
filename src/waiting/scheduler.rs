//! Decides which of many jobs to poll next. Pure: time is an argument.
//!
//! Polls are scarce: at 300 requests a minute, polling 500 jobs once takes 100 seconds. So a poll that finds a job ended
//! costs next to nothing, and the next job of its queue is polled immediately. Polls that find a job still running use at
//! most half of the sustained rate.
//!
//! There are two queues. In the first, jobs are polled in the order of submission, because most of them end in that order.
//! A job that is still running when a later one has ended was overtaken: it moves to the second queue, which gets every
//! other poll and polls the job whose last poll is the oldest.
//!
//! Agents are polled through the service's list, a hundred with each request. An agent that the list shows as ended is then
//! polled individually, before anything else, for its details.

use std::time::{Duration, Instant};

use super::{FINAL_POLL_TIMEOUT, WaitOptions};

/// How many intervals of the sustained rate lie between polls that find a job still running.
const INTERVALS_PER_POLL: u32 = 2;
/// The cost of a poll that finds a job ended. Any other poll costs 1.
const COST_OF_AN_END: f64 = 0.1;
/// The maximum credit, in polls.
const MAX_CREDIT: f64 = 5.0;
/// A job of the first queue is not polled again before this many others could have been, so that a few long jobs do not
/// delay the others.
const WINDOW: usize = 8;
/// The list is not read for fewer jobs than this.
const MIN_LISTED: usize = 3;
/// The list is not read again after this many consecutive failures.
const MAX_LIST_FAILURES: u32 = 3;

/// What to do next.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// Poll the job with this index.
    Poll(usize),
    /// Poll all jobs through the list.
    PollList,
    /// Poll nothing for this long.
    Wait(Duration),
}

#[derive(Debug)]
struct Pending {
    index: usize,
    since: Instant,
    last_poll: Option<Instant>,
    interval: Duration,
    overtaken: bool,
    listed: Listed,
}

/// What the list says about a job.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Listed {
    /// The service has no list of jobs of this kind.
    Never,
    /// It does not show the job.
    No,
    /// It shows the job as pending. Assumed until the list is read.
    Pending,
    /// It shows the job as ended.
    Ended,
    /// It shows the job as ended, but a poll of the job did not.
    Contradicted,
}

/// The jobs that have not ended.
#[derive(Debug)]
pub(super) struct Scheduler {
    options: WaitOptions,
    /// In the order of submission, which is the order of the indices.
    pending: Vec<Pending>,
    /// How many polls may be sent now, if each finds a job still running.
    credit: f64,
    credited: Option<Instant>,
    /// Whether the last poll was of an overtaken job.
    overtaken: bool,
    /// Whether the last poll found a job ended.
    found: bool,
    list: bool,
    list_failures: u32,
    last_list: Option<Instant>,
    list_interval: Duration,
    /// When a job was last added or found to have ended.
    last_change: Option<Instant>,
}

impl Scheduler {
    pub(super) fn new(options: WaitOptions) -> Self {
        Self {
            options,
            pending: Vec::new(),
            credit: MAX_CREDIT,
            credited: None,
            overtaken: false,
            found: false,
            list: true,
            list_failures: 0,
            last_list: None,
            list_interval: Duration::ZERO,
            last_change: None,
        }
    }

    /// Adds a job with a higher index than all before. `is_listed` says whether the service lists jobs of its kind.
    pub(super) fn add(&mut self, index: usize, is_listed: bool, now: Instant) {
        self.last_change = Some(now);
        self.pending.push(Pending {
            index,
            since: now,
            last_poll: None,
            interval: Duration::ZERO,
            overtaken: false,
            listed: if is_listed { Listed::Pending } else { Listed::Never },
        });
    }

    pub(super) fn remove(&mut self, index: usize) {
        self.pending.retain(|job| job.index != index);
    }

    /// Excludes this time from the timeout of every job.
    pub(super) fn exclude(&mut self, time: Duration) {
        self.pending.iter_mut().for_each(|job| job.since += time);
    }

    /// The first job that has timed out, and whether to poll it a final time: not if it was polled after the timeout, or if
    /// the timeout was too long ago. A job that was never polled may be late by as much as the timeout.
    pub(super) fn timed_out(&self, now: Instant) -> Option<(usize, bool)> {
        let timeout = self.options.timeout;
        let late = |job: &Pending| now.saturating_duration_since(job.since).checked_sub(timeout);
        let (job, late) = self.pending.iter().find_map(|job| Some((job, late(job)?)))?;
        let final_poll = match job.last_poll {
            Some(last) => late < now.saturating_duration_since(last) && late < FINAL_POLL_TIMEOUT,
            None => late < FINAL_POLL_TIMEOUT.max(timeout),
        };
        Some((job.index, final_poll))
    }

    /// The time until the first job times out.
    pub(super) fn time_left(&self, now: Instant) -> Duration {
        let left = |job: &Pending| self.options.timeout.saturating_sub(now.saturating_duration_since(job.since));
        self.pending.iter().map(left).min().unwrap_or_default()
    }

    /// Decides what to do next. `interval` is the time between requests at the sustained rate.
    pub(super) fn next(&mut self, now: Instant, interval: Duration) -> Action {
        let interval = interval * INTERVALS_PER_POLL;
        let passed = self.credited.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.credited = Some(now);
        self.credit = (self.credit + passed.div_duration_f64(interval)).min(MAX_CREDIT);

        if let Some(job) = self.pending.iter().find(|job| job.listed == Listed::Ended) {
            return Action::Poll(job.index);
        }
        let list = self.list && self.listed() >= MIN_LISTED;
        let window = interval * self.pending.len().min(WINDOW) as u32;
        let job_due_in = |job: &Pending| {
            let interval = if job.overtaken { job.interval } else { job.interval.max(window) };
            due_in(job.last_poll, interval, now)
        };
        let unlisted = || self.pending.iter().filter(|job| !list || job.listed != Listed::Pending);
        let due = |overtaken| unlisted().filter(move |job| job.overtaken == overtaken && job_due_in(job).is_zero());
        let (in_order, overtaken) = (due(false).next(), due(true).min_by_key(|job| job.last_poll));

        let (same, other) = if self.overtaken { (overtaken, in_order) } else { (in_order, overtaken) };
        if let Some(job) = same.filter(|_| self.found) {
            return Action::Poll(job.index);
        }
        if self.credit < 1.0 {
            return Action::Wait(interval.mul_f64(1.0 - self.credit).max(Duration::from_millis(1)));
        }
        let list_due_in = due_in(self.last_list, self.list_interval, now);
        if list && list_due_in.is_zero() {
            return Action::PollList;
        }
        match other.or(same) {
            Some(job) => {
                self.overtaken = job.overtaken;
                Action::Poll(job.index)
            }
            None => {
                Action::Wait(unlisted().map(job_due_in).chain(list.then_some(list_due_in)).min().unwrap_or_default())
            }
        }
    }

    /// Records the outcome of a poll.
    pub(super) fn polled(&mut self, index: usize, now: Instant, ended: bool) {
        self.credit -= if ended { COST_OF_AN_END } else { 1.0 };
        self.found = ended;
        if ended {
            let earlier = self.pending.iter_mut().take_while(|job| job.index < index);
            earlier.for_each(|job| job.overtaken = true);
            self.last_change = Some(now);
            self.remove(index);
        } else if let Some(job) = self.still_running(index, now).filter(|job| job.listed == Listed::Ended) {
            job.listed = Listed::Contradicted;
        }
    }

    /// How many jobs the service lists.
    fn listed(&self) -> usize {
        self.pending.iter().filter(|job| job.listed != Listed::Never).count()
    }

    /// Records which jobs the list showed, whether they have ended, and how many requests it took.
    pub(super) fn list_polled(&mut self, shown: &[(usize, bool)], requests: u32, now: Instant) {
        self.credit -= f64::from(requests);
        // A list that shows less than half of the jobs saves no requests.
        self.list = shown.len() * 2 >= self.listed();
        self.list_failures = 0;
        let unseen = self.pending.iter_mut().filter(|job| job.listed == Listed::Pending);
        unseen.for_each(|job| job.listed = Listed::No);
        shown.iter().for_each(|(index, ended)| self.list_showed(*index, *ended, now));
        let unchanged_for = self.last_change.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.list_interval = self.options.next_interval(unchanged_for, self.list_interval);
        self.last_list = Some(now);
    }

    /// Records that the list showed a job, even if it could not be read to its end.
    pub(super) fn list_showed(&mut self, index: usize, ended: bool, now: Instant) {
        if ended {
            self.last_change = Some(now);
            if let Some(job) = self.job(index).filter(|job| job.listed != Listed::Contradicted) {
                job.listed = Listed::Ended;
            }
        } else if let Some(job) = self.still_running(index, now) {
            job.listed = Listed::Pending;
        }
    }

    /// Records that the list could not be read.
    pub(super) fn list_failed(&mut self, now: Instant, permanent: bool) {
        self.list_failures += 1;
        self.list = !permanent && self.list_failures < MAX_LIST_FAILURES;
        self.list_interval = self.options.next_interval(Duration::ZERO, Duration::ZERO);
        self.last_list = Some(now);
    }

    fn job(&mut self, index: usize) -> Option<&mut Pending> {
        let at = self.pending.binary_search_by_key(&index, |job| job.index).ok()?;
        self.pending.get_mut(at)
    }

    /// Records that a job was found to be still running, and returns it.
    fn still_running(&mut self, index: usize, now: Instant) -> Option<&mut Pending> {
        let options = self.options;
        let job = self.job(index)?;
        job.interval = options.next_interval(now.saturating_duration_since(job.since), job.interval);
        job.last_poll = Some(now);
        Some(job)
    }
}

fn due_in(last: Option<Instant>, interval: Duration, now: Instant) -> Duration {
    last.map_or(Duration::ZERO, |last| interval.saturating_sub(now.saturating_duration_since(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The standard tier of the contract: requests a second, and at once.
    const RATE: f64 = 5.0;
    const BURST: f64 = 300.0;
    const SECOND: Duration = Duration::from_secs(1);
    const INTERVAL: Duration = Duration::from_millis(200);

    /// Numbers in 0..1 that are the same in every run.
    fn random(mut state: u64) -> impl FnMut() -> f64 {
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    /// How long after its end each job was found to have ended, in seconds, and the requests that took.
    struct Outcome {
        lags: Vec<f64>,
        requests: f64,
    }

    impl Outcome {
        fn median(&self) -> f64 {
            let mut lags = self.lags.clone();
            lags.sort_by(f64::total_cmp);
            lags[lags.len() / 2]
        }

        fn mean(&self) -> f64 {
            self.lags.iter().sum::<f64>() / self.lags.len() as f64
        }

        fn longest(&self) -> f64 {
            self.lags.iter().copied().fold(0.0, f64::max)
        }
    }

    /// Waits, on a virtual clock, for jobs that end at these seconds, against a server that allows this burst.
    fn simulate(ends: &[f64], burst: f64, list: bool) -> Outcome {
        let start = Instant::now();
        let (mut now, mut tokens, mut requests) = (0.0_f64, burst, 0.0);
        let mut scheduler = Scheduler::new(WaitOptions::default().timeout(SECOND * 86_400));
        (0..ends.len()).for_each(|index| scheduler.add(index, list, start));
        let mut lags = vec![0.0; ends.len()];
        while !scheduler.pending.is_empty() {
            let action = scheduler.next(start + Duration::from_secs_f64(now), INTERVAL);
            let began = now;
            let mut request = || {
                let wait = ((1.0 - tokens) / RATE).max(0.0) + 0.02;
                now += wait;
                tokens = (tokens + wait * RATE).min(burst) - 1.0;
                requests += 1.0;
            };
            let mut ended = |index: usize, now: f64| {
                let ended = ends[index] <= now;
                if ended {
                    lags[index] = now - ends[index];
                }
                ended
            };
            match action {
                Action::Poll(index) => {
                    request();
                    scheduler.polled(index, start + Duration::from_secs_f64(now), ended(index, now));
                }
                Action::PollList => {
                    let pages = scheduler.pending.len().div_ceil(100);
                    (0..pages).for_each(|_| request());
                    let shown: Vec<_> =
                        scheduler.pending.iter().map(|job| (job.index, ends[job.index] <= now)).collect();
                    scheduler.list_polled(&shown, pages as u32, start + Duration::from_secs_f64(now));
                }
                Action::Wait(wait) => {
                    now += wait.as_secs_f64();
                    tokens = (tokens + wait.as_secs_f64() * RATE).min(burst);
                }
            }
            assert!(now > began && now < 86_400.0, "time goes on");
        }
        Outcome { lags, requests }
    }

    /// Five hundred jobs, of which eight workers finish eight each time.
    fn in_order(job_time: f64) -> Vec<f64> {
        (0..500).map(|job| f64::from(job / 8 + 1) * job_time).collect()
    }

    fn in_random_order(count: usize) -> Vec<f64> {
        let mut random = random(3);
        (0..count).map(|_| (random() * 62.0).ceil()).collect()
    }

    #[test]
    fn jobs_that_end_in_order_are_found_at_once_within_the_quota() {
        let outcome = simulate(&in_order(1.0), BURST, false);
        assert!(outcome.median() <= 0.6 && outcome.longest() <= 2.5, "{} {}", outcome.median(), outcome.longest());
        assert!(outcome.requests <= BURST + RATE * 65.5, "{}", outcome.requests);
    }

    #[test]
    fn long_jobs_that_end_in_order_are_found_within_their_interval() {
        let outcome = simulate(&in_order(60.0), 1.0, false);
        assert!(outcome.mean() <= 9.0 && outcome.longest() <= 15.5, "{} {}", outcome.mean(), outcome.longest());
    }

    #[test]
    fn a_quota_below_the_rate_of_ends_is_spent_on_ends() {
        // 500 requests are the least, and take 100 seconds whatever is polled.
        let outcome = simulate(&in_order(1.0), 1.0, false);
        assert!(outcome.requests <= 510.0, "{}", outcome.requests);
    }

    #[test]
    fn jobs_that_end_in_random_order_take_few_polls() {
        for (count, burst, mean) in [(500, BURST, 35.0), (500, 1.0, 70.0), (50, BURST, 11.0), (50, 1.0, 11.0)] {
            let outcome = simulate(&in_random_order(count), burst, false);
            assert!(outcome.mean() <= mean, "{count} {}", outcome.mean());
            assert!(count < 500 || outcome.requests <= 500.0 * 1.3, "{}", outcome.requests);
        }
    }

    #[test]
    fn jobs_that_take_long_hold_up_few_others_and_are_not_forgotten() {
        let long = [0, 3, 50, 51, 200];
        let mut ends = in_order(1.0);
        long.iter().for_each(|index| ends[*index] = 100.0);
        let outcome = simulate(&ends, BURST, false);
        assert!(outcome.median() <= 1.0 && outcome.longest() <= 10.0, "{} {}", outcome.median(), outcome.longest());
    }

    #[test]
    fn jobs_in_a_list_are_found_within_four_seconds_in_any_order_and_take_one_poll_each() {
        let outcome = simulate(&in_random_order(500), BURST, true);
        assert!(outcome.longest() <= 4.0, "{}", outcome.longest());
        assert!(outcome.requests <= 500.0 + 0.55 * RATE * 65.0, "{}", outcome.requests);
        // 500 polls alone take 110 seconds at this rate, and the list is read beside them.
        let outcome = simulate(&in_random_order(500), 1.0, true);
        assert!(outcome.longest() <= 80.0, "{}", outcome.longest());
    }

    #[test]
    fn a_list_of_many_pages_takes_half_of_the_rate_too() {
        let outcome = simulate(&[60.0; 3000], BURST, true);
        assert!(outcome.requests <= 3000.0 + 0.5 * RATE * 60.0 + 90.0, "{}", outcome.requests);
    }

    #[test]
    fn a_few_jobs_are_found_soon_and_an_hour_takes_few_polls() {
        for list in [false, true] {
            let ten: Vec<f64> = (0..10).map(|job| f64::from(job) * 3.0).collect();
            let outcome = simulate(&ten, 1.0, list);
            assert!(outcome.longest() <= 3.0, "{}", outcome.longest());
            let hour = simulate(&[3600.0; 3], 1.0, list);
            assert!(hour.longest() <= 15.5 && hour.requests < 3.0 * 300.0, "{} {}", hour.longest(), hour.requests);
        }
    }

    /// The next action once everything is due again.
    fn next_due(scheduler: &mut Scheduler, now: &mut Instant) -> Action {
        *now += SECOND * 20;
        scheduler.next(*now, INTERVAL)
    }

    fn scheduler(jobs: usize, list: bool, now: Instant) -> Scheduler {
        let mut scheduler = Scheduler::new(WaitOptions::default().timeout(SECOND * 60));
        (0..jobs).for_each(|index| scheduler.add(index, list, now));
        scheduler
    }

    #[test]
    fn an_overtaken_job_gets_every_other_poll() {
        let mut now = Instant::now();
        let mut scheduler = scheduler(5, false, now);
        for (index, ended) in [(0, false), (1, true), (2, false)] {
            assert_eq!(scheduler.next(now, INTERVAL), Action::Poll(index));
            scheduler.polled(index, now, ended);
        }
        for index in [0, 2, 0, 2] {
            assert_eq!(next_due(&mut scheduler, &mut now), Action::Poll(index));
            scheduler.polled(index, now, false);
        }
    }

    #[test]
    fn the_list_is_read_for_three_jobs_and_jobs_that_it_does_not_show_are_polled() {
        let mut now = Instant::now();
        assert_eq!(scheduler(2, true, now).next(now, INTERVAL), Action::Poll(0));
        let mut scheduler = scheduler(4, true, now);
        assert_eq!(scheduler.next(now, INTERVAL), Action::PollList);
        scheduler.list_polled(&[(0, false), (1, false), (2, false)], 1, now);
        assert_eq!(scheduler.next(now, INTERVAL), Action::Poll(3));
        assert_eq!(next_due(&mut scheduler, &mut now), Action::PollList);
        scheduler.list_polled(&[(0, false)], 1, now);
        assert_eq!(next_due(&mut scheduler, &mut now), Action::Poll(0), "it shows too few");
        assert_eq!(next_due(&mut scheduler, &mut now), Action::Poll(0), "and is not read again");
    }

    #[test]
    fn a_job_in_the_list_is_not_polled_by_itself() {
        let mut now = Instant::now();
        let mut scheduler = scheduler(3, true, now);
        for _ in 0..10 {
            assert_eq!(next_due(&mut scheduler, &mut now), Action::PollList);
            scheduler.exclude(SECOND * 20);
            scheduler.list_polled(&[(0, false), (1, false), (2, false)], 1, now);
        }
        // The list has its longest interval, the jobs still have the shortest.
        assert_eq!(scheduler.next(now + SECOND * 5, INTERVAL), Action::Wait(SECOND * 10));
    }

    #[test]
    fn a_job_that_the_list_shows_as_ended_is_polled_first() {
        let mut now = Instant::now();
        let mut scheduler = scheduler(4, true, now);
        let shown = [(0, false), (1, true), (2, false), (3, true)];
        scheduler.list_polled(&shown, 1, now);
        assert_eq!(scheduler.next(now, INTERVAL), Action::Poll(1));
        scheduler.polled(1, now, true);
        assert_eq!(scheduler.next(now, INTERVAL), Action::Poll(3));
        // It has not ended: from now on it is polled in turn, whatever the list says.
        scheduler.polled(3, now, false);
        now += SECOND;
        scheduler.list_polled(&[shown[0], shown[2], shown[3]], 1, now);
        assert_eq!(scheduler.next(now, INTERVAL), Action::Wait(INTERVAL), "three jobs take 1.2 s");
        assert_eq!(scheduler.next(now + INTERVAL, INTERVAL), Action::Poll(3));
    }

    #[test]
    fn jobs_of_a_kind_that_is_not_listed_are_polled_beside_the_list() {
        let mut now = Instant::now();
        let mut scheduler = scheduler(3, true, now);
        scheduler.add(3, false, now);
        assert_eq!(scheduler.next(now, INTERVAL), Action::PollList);
        scheduler.list_polled(&[(0, false), (1, false), (2, false)], 1, now);
        assert_eq!(scheduler.next(now, INTERVAL), Action::Poll(3));
        scheduler.polled(3, now, false);
        assert_eq!(next_due(&mut scheduler, &mut now), Action::PollList, "three of three are in the list");
    }

    #[test]
    fn only_consecutive_failures_give_the_list_up() {
        let mut now = Instant::now();
        let mut scheduler = scheduler(3, true, now);
        let all = [(0, false), (1, false), (2, false)];
        for fails in [true, true, false, true, true, true] {
            assert_eq!(next_due(&mut scheduler, &mut now), Action::PollList);
            match fails {
                true => scheduler.list_failed(now, false),
                false => scheduler.list_polled(&all, 1, now),
            }
        }
        assert_eq!(next_due(&mut scheduler, &mut now), Action::Poll(0));
    }

    #[test]
    fn a_failed_list_waits_for_its_interval_and_a_permanent_failure_for_nothing() {
        let now = Instant::now();
        let mut scheduler = scheduler(3, true, now);
        scheduler.list_failed(now, false);
        assert_eq!(scheduler.next(now, INTERVAL), Action::Wait(SECOND));
        scheduler.list_failed(now, true);
        assert_eq!(scheduler.next(now, INTERVAL), Action::Poll(0));
    }

    #[test]
    fn a_new_job_brings_the_short_interval_of_the_list_back() {
        let mut now = Instant::now();
        let mut scheduler = scheduler(3, true, now);
        let all = [(0, false), (1, false), (2, false), (3, false)];
        for _ in 0..10 {
            assert_eq!(next_due(&mut scheduler, &mut now), Action::PollList);
            scheduler.list_polled(&all[..3], 1, now);
        }
        assert_eq!(scheduler.next(now, INTERVAL), Action::Wait(SECOND * 15));
        scheduler.add(3, true, now);
        assert_eq!(next_due(&mut scheduler, &mut now), Action::PollList);
        scheduler.list_polled(&all, 1, now);
        assert_eq!(scheduler.next(now, INTERVAL), Action::Wait(SECOND));
    }

    #[test]
    fn excluded_time_counts_against_no_job() {
        let start = Instant::now();
        let mut scheduler = scheduler(1, false, start);
        scheduler.add(1, false, start + SECOND);
        assert_eq!(scheduler.time_left(start + SECOND * 10), SECOND * 50);
        scheduler.remove(1);
        scheduler.exclude(SECOND * 1000);
        scheduler.add(1, false, start + SECOND * 1000);
        assert_eq!(scheduler.timed_out(start + SECOND * 1059), None);
        assert_eq!(scheduler.time_left(start + SECOND * 1050), SECOND * 10);
        assert_eq!(scheduler.timed_out(start + SECOND * 1061), Some((0, true)));
        scheduler.remove(0);
        assert_eq!(scheduler.timed_out(start + SECOND * 1061), Some((1, true)), "not excluded for a later job");
    }

    #[test]
    fn a_job_gets_one_final_poll_even_very_late_if_it_was_never_polled() {
        let start = Instant::now();
        let mut scheduler = scheduler(1, false, start);
        assert_eq!(scheduler.timed_out(start + SECOND * 119), Some((0, true)));
        assert_eq!(scheduler.timed_out(start + SECOND * 121), Some((0, false)));
        scheduler.polled(0, start + SECOND * 30, false);
        assert_eq!(scheduler.timed_out(start + SECOND * 64), Some((0, true)));
        assert_eq!(scheduler.timed_out(start + SECOND * 66), Some((0, false)));
        scheduler.polled(0, start + SECOND * 62, false);
        assert_eq!(scheduler.timed_out(start + SECOND * 63), Some((0, false)), "polled since");
        let mut scheduler = Scheduler::new(WaitOptions::default().timeout(SECOND));
        scheduler.add(0, false, start);
        assert_eq!(scheduler.timed_out(start + SECOND * 5), Some((0, true)));
    }

    #[test]
    fn extreme_intervals_neither_overflow_nor_poll_in_a_busy_loop() {
        let longest = Duration::MAX;
        let options = WaitOptions::default().timeout(longest).initial_interval(longest).max_interval(longest);
        let now = Instant::now();
        for interval in [Duration::ZERO, SECOND * 86_400] {
            let mut scheduler = Scheduler::new(options);
            scheduler.add(0, false, now);
            assert_eq!(scheduler.next(now, interval), Action::Poll(0));
            scheduler.polled(0, now, false);
            assert!(matches!(scheduler.next(now + SECOND * 1000, interval), Action::Wait(wait) if wait > SECOND));
        }
    }
}
