//! Which of many jobs to ask after next. Pure: time comes in as an argument.
//!
//! Asking costs requests, and of those there are few: at 300 a minute a round through 500 jobs takes 100 seconds. So
//!
//! - a question that finds an end is nearly free, and is followed at once by the next one of its kind;
//! - questions that find nothing share half of the rate at which the tier may be used evenly;
//! - whom to ask is learnt from what was found. There are three ways to choose: the jobs in their order, since what
//!   was begun first mostly ends first; those that were asked after often and are late; and from the far end, where
//!   nobody was asked for longest. The way that finds most is taken mostly, the others now and then.
//!
//! Jobs that the service lists are looked over all at once instead, a page of the list for a hundred of them.

use std::time::{Duration, Instant};

use super::{LAST_QUESTION, Patience};

/// The share of the even rate for questions that find nothing.
const SHARE: f64 = 0.5;
/// What a question costs that found an end, when one that found nothing costs 1.
const FOUND: f64 = 0.15;
/// The credit that can be saved, or owed.
const MOST: f64 = 5.0;
/// A job that was asked after so often is late.
const LATE: u32 = 4;
/// And one that was overtaken already after so many.
const OVERTAKEN: u32 = 2;
/// How often another way is tried than the one that finds most.
const TRIED: f64 = 0.125;
/// How fast it is forgotten what a way found.
const FORGOTTEN: f64 = 0.2;
/// Fewer jobs than this are not worth looking over the list.
const FEW: usize = 3;
/// A list that cannot be read so often in turn is given up.
const BLIND: u32 = 3;

/// What to do.
#[derive(Debug, PartialEq)]
pub(super) enum Turn {
    /// Ask after the job at this place.
    Ask(usize),
    /// Look over the list.
    LookOver,
    /// Nothing for so long.
    Wait(Duration),
}

/// A way to choose.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Next,
    Late,
    Far,
}

impl Way {
    const ALL: [Self; 3] = [Self::Next, Self::Late, Self::Far];
}

/// A job that is waited for.
#[derive(Debug)]
struct Waiting {
    place: usize,
    since: Instant,
    /// What had not counted already when it was added.
    lost: Duration,
    asked: u32,
    last: Option<Instant>,
    pause: Option<Duration>,
    /// The list shows it, or was not read since it was added.
    listed: bool,
}

impl Waiting {
    fn due_in(&self, now: Instant) -> Duration {
        left(self.last, self.pause, now)
    }
}

/// What is left of a pause after the last time.
fn left(last: Option<Instant>, pause: Option<Duration>, now: Instant) -> Duration {
    let passed = last.map(|last| now.saturating_duration_since(last));
    passed.map_or(Duration::ZERO, |passed| pause.unwrap_or_default().saturating_sub(passed))
}

/// The jobs that are waited for, by place, and what was learnt of them.
#[derive(Debug)]
pub(super) struct Rounds {
    patience: Patience,
    /// Whether there is a list to look over.
    list: bool,
    looked: Option<Instant>,
    /// Failures to read it, one after the other.
    blind: u32,
    look_pause: Option<Duration>,
    /// When an end was last found, or a job added.
    news: Option<Instant>,
    /// Time that counts for no patience.
    lost: Duration,
    /// In the order of their places.
    waiting: Vec<Waiting>,
    /// The furthest place of which an end was found by going on in order.
    reached: usize,
    credit: f64,
    credited: Option<Instant>,
    /// The share of questions that found an end, of late.
    worth: [f64; Way::ALL.len()],
    /// The way of the last question, and whether it found an end.
    last: Option<(Way, bool)>,
}

impl Rounds {
    pub(super) fn new(patience: Patience, list: bool) -> Self {
        Self {
            patience,
            list,
            looked: None,
            blind: 0,
            look_pause: None,
            news: None,
            lost: Duration::ZERO,
            waiting: Vec::new(),
            reached: 0,
            credit: MOST,
            credited: None,
            worth: [1.0; Way::ALL.len()],
            last: None,
        }
    }

    /// Adds a job at a place beyond all others.
    pub(super) fn add(&mut self, place: usize, now: Instant) {
        self.news = Some(now);
        let lost = self.lost;
        self.waiting.push(Waiting { place, since: now, lost, asked: 0, last: None, pause: None, listed: true });
    }

    /// For so long nobody could be asked after: that counts for no patience.
    pub(super) fn lose(&mut self, time: Duration) {
        self.lost = self.lost.saturating_add(time);
    }

    /// How long a job was waited for.
    fn waited(&self, waiting: &Waiting, now: Instant) -> Duration {
        now.saturating_duration_since(waiting.since).saturating_sub(self.lost.saturating_sub(waiting.lost))
    }

    pub(super) fn remove(&mut self, place: usize) {
        if let Some(at) = self.at(place) {
            self.waiting.remove(at);
        }
    }

    fn at(&self, place: usize) -> Option<usize> {
        self.waiting.binary_search_by_key(&place, |waiting| waiting.place).ok()
    }

    fn get_mut(&mut self, place: usize) -> Option<&mut Waiting> {
        self.at(place).and_then(|at| self.waiting.get_mut(at))
    }

    /// The first job for which the patience has ended, and whether one more question is to be asked. For one that was
    /// never asked after it is, however late, up to the patience once more.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<(usize, bool)> {
        let limit = self.patience.limit;
        let over = |waiting: &Waiting| self.waited(waiting, now).checked_sub(limit);
        let (waiting, over) = self.waiting.iter().find_map(|waiting| Some((waiting, over(waiting)?)))?;
        let place = waiting.place;
        let asked = waiting.last.is_some_and(|last| now.saturating_duration_since(last) <= over);
        let late = if waiting.last.is_none() { LAST_QUESTION.max(limit) } else { LAST_QUESTION };
        // That way to choose it is none to learn from.
        self.last = None;
        Some((place, !asked && over < late))
    }

    /// How long until the first patience ends.
    pub(super) fn patience_left(&self, now: Instant) -> Duration {
        let left = |waiting: &Waiting| self.patience.limit.saturating_sub(self.waited(waiting, now));
        self.waiting.iter().map(left).min().unwrap_or_default()
    }

    /// Decides what to do, when requests of the tier may leave every `interval`; `chance` is in 0..1.
    pub(super) fn turn(&mut self, now: Instant, interval: Duration, chance: f64) -> Turn {
        let since = self.credited.map_or(Duration::ZERO, |credited| now.saturating_duration_since(credited));
        self.credited = Some(now);
        let one = interval.max(Duration::from_micros(1)).div_f64(SHARE);
        self.credit = (self.credit + since.div_duration_f64(one)).min(MOST);

        let looks = self.list && self.waiting.len() >= FEW;
        let ways = Way::ALL.map(|way| self.choose(way, now, looks));
        // What found an end probably finds more.
        if let Some(place) = self.last.and_then(|(way, found)| ways[way as usize].filter(|_| found)) {
            return Turn::Ask(place);
        }
        if self.credit < 1.0 {
            return Turn::Wait(one.mul_f64(1.0 - self.credit).max(Duration::from_millis(1)));
        }
        let look_in = self.look_in(now);
        if looks && look_in.is_zero() {
            return Turn::LookOver;
        }
        let Some((way, place)) = self.best(ways, chance) else {
            let due = self.waiting.iter().filter(|waiting| !(looks && waiting.listed)).map(|one| one.due_in(now));
            let next = due.chain(looks.then_some(look_in)).min().unwrap_or_default();
            return Turn::Wait(next.max(Duration::from_millis(1)));
        };
        self.last = Some((way, false));
        Turn::Ask(place)
    }

    fn look_in(&self, now: Instant) -> Duration {
        left(self.looked, self.look_pause, now)
    }

    /// Whom a way chooses, of those whose pause is over.
    fn choose(&self, way: Way, now: Instant, looks: bool) -> Option<usize> {
        let mut due = self.waiting.iter().filter(|waiting| !(looks && waiting.listed) && waiting.due_in(now).is_zero());
        let late = |waiting: &Waiting| waiting.asked >= if waiting.place < self.reached { OVERTAKEN } else { LATE };
        let found = match way {
            Way::Next => due.find(|waiting| !late(waiting)),
            Way::Late => due.filter(|waiting| late(waiting)).min_by_key(|waiting| waiting.last),
            // The last of those that were never asked after, if there are any.
            Way::Far => due.rev().min_by_key(|waiting| waiting.last),
        };
        found.map(|waiting| waiting.place)
    }

    fn best(&self, chosen: [Option<usize>; Way::ALL.len()], chance: f64) -> Option<(Way, usize)> {
        let open = || Way::ALL.into_iter().filter_map(|way| Some((way, chosen[way as usize]?)));
        let worth = |way: Way| self.worth[way as usize];
        let (best, place) = open().reduce(|best, other| if worth(other.0) > worth(best.0) { other } else { best })?;
        let mut others = open().filter(|(way, _)| *way != best);
        let other = match others.clone().count() {
            0 => None,
            count if chance < TRIED => others.nth((chance / TRIED * count as f64) as usize),
            _ => None,
        };
        Some(other.unwrap_or((best, place)))
    }

    /// Takes in what a question found.
    pub(super) fn answered(&mut self, place: usize, now: Instant, ended: bool) {
        self.spend(if ended { FOUND } else { 1.0 });
        if let Some((way, found)) = &mut self.last {
            *found = ended;
            if ended && *way == Way::Next {
                self.reached = self.reached.max(place);
            }
            let worth = &mut self.worth[*way as usize];
            *worth += (f64::from(u8::from(ended)) - *worth) * FORGOTTEN;
        }
        self.heard(place, now, ended);
    }

    /// Takes in what the list said of some jobs, and how many requests that took.
    pub(super) fn looked_over(&mut self, found: impl Iterator<Item = (usize, bool)>, requests: u32, now: Instant) {
        self.spend(f64::from(requests.max(1)));
        self.waiting.iter_mut().for_each(|waiting| waiting.listed = false);
        let (before, mut seen) = (self.waiting.len(), 0);
        for (place, ended) in found {
            seen += 1;
            self.heard(place, now, ended);
            if let Some(waiting) = self.get_mut(place) {
                waiting.listed = true;
            }
        }
        // In another order, or without these: then the list is no help.
        self.list = seen * 2 >= before;
        self.blind = 0;
        let quiet = self.news.map_or(Duration::ZERO, |news| now.saturating_duration_since(news));
        let previous = self.look_pause.filter(|_| quiet >= self.patience.eager_for);
        self.look_pause = Some(self.patience.pause(quiet, previous));
        self.looked = Some(now);
    }

    /// Takes in that looking over failed. For good, or it is tried again.
    pub(super) fn not_looked_over(&mut self, now: Instant, for_good: bool) {
        self.blind += 1;
        self.list = !for_good && self.blind < BLIND;
        self.spend(1.0);
        self.look_pause = Some(self.patience.pause(Duration::ZERO, None));
        self.looked = Some(now);
    }

    fn heard(&mut self, place: usize, now: Instant, ended: bool) {
        if ended {
            self.news = Some(now);
            self.remove(place);
            return;
        }
        let patience = self.patience;
        if let Some(waiting) = self.get_mut(place) {
            waiting.asked += 1;
            waiting.last = Some(now);
            waiting.pause = Some(patience.pause(now.saturating_duration_since(waiting.since), waiting.pause));
        }
    }

    fn spend(&mut self, cost: f64) {
        self.credit = (self.credit - cost).max(-MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contract's standard tier.
    const RATE: f64 = 5.0;
    const BURST: f64 = 300.0;

    /// Numbers in 0..1 that are the same in every run.
    fn dice(mut state: u64) -> impl FnMut() -> f64 {
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    /// How long after its end each job was found ended, and how many requests that took.
    struct Outcome {
        lags: Vec<f64>,
        requests: f64,
    }

    impl Outcome {
        fn worst(&self) -> f64 {
            self.lags.iter().copied().fold(0.0, f64::max)
        }
    }

    /// Waits for jobs that end at these seconds, on a virtual clock, against a quota with such a burst.
    fn simulate(ends: &[f64], burst: f64, list: bool) -> Outcome {
        let start = Instant::now();
        let (mut now, mut tokens, mut requests) = (0.0_f64, burst, 0.0);
        let mut rounds = Rounds::new(Patience::of(Duration::from_secs(86_400)), list);
        (0..ends.len()).for_each(|place| rounds.add(place, start));
        let mut lags = vec![0.0; ends.len()];
        let mut waiting: Vec<usize> = (0..ends.len()).collect();
        let mut dice = dice(7);
        while !waiting.is_empty() {
            let at = start + Duration::from_secs_f64(now);
            let turn = rounds.turn(at, Duration::from_secs_f64(1.0 / RATE), dice());
            let began = now;
            let mut request = || {
                let wait = ((1.0 - tokens) / RATE).max(0.0) + 0.02;
                now += wait;
                tokens = (tokens + wait * RATE).min(burst) - 1.0;
                requests += 1.0;
            };
            let mut ended = |place: usize, now: f64| {
                let ended = ends[place] <= now;
                if ended {
                    lags[place] = now - ends[place];
                    waiting.retain(|other| *other != place);
                }
                ended
            };
            match turn {
                Turn::Ask(place) => {
                    request();
                    let ended = ended(place, now);
                    rounds.answered(place, start + Duration::from_secs_f64(now), ended);
                }
                Turn::LookOver => {
                    let pages = rounds.waiting.len().div_ceil(100);
                    (0..pages).for_each(|_| request());
                    let places: Vec<usize> = rounds.waiting.iter().map(|waiting| waiting.place).collect();
                    let found: Vec<_> = places.into_iter().map(|place| (place, ended(place, now))).collect();
                    rounds.looked_over(found.into_iter(), pages as u32, start + Duration::from_secs_f64(now));
                }
                Turn::Wait(pause) => {
                    now += pause.as_secs_f64();
                    tokens = (tokens + pause.as_secs_f64() * RATE).min(burst);
                }
            }
            assert!(now > began && now < 86_400.0, "time goes on");
        }
        Outcome { lags, requests }
    }

    /// Five hundred jobs, eight of which end each second, as eight workers make them.
    fn in_order() -> Vec<f64> {
        (0..500).map(|job| f64::from(job / 8 + 1)).collect()
    }

    #[test]
    fn what_ends_in_order_is_found_within_three_seconds_inside_the_quota() {
        let outcome = simulate(&in_order(), BURST, false);
        assert!(outcome.worst() <= 3.0, "{}", outcome.worst());
        // What the quota gives in that time is no more.
        assert!(outcome.requests <= BURST + RATE * 65.5, "{}", outcome.requests);
    }

    #[test]
    fn what_the_service_lists_is_found_within_three_seconds_in_any_order() {
        let mut dice = dice(3);
        let ends: Vec<f64> = (0..500).map(|_| (dice() * 62.0).ceil()).collect();
        for burst in [BURST, 1.0] {
            let outcome = simulate(&ends, burst, true);
            assert!(outcome.worst() <= 3.0, "{}", outcome.worst());
            assert!(outcome.requests <= 0.55 * RATE * 65.0, "{}", outcome.requests);
        }
    }

    #[test]
    fn a_quota_that_is_too_small_for_all_ends_is_used_for_ends_alone() {
        // One request for each end is the least; at even pacing they take 100 seconds, whatever is asked.
        let outcome = simulate(&in_order(), 1.0, false);
        assert!(outcome.requests <= 510.0, "{}", outcome.requests);
    }

    #[test]
    fn stragglers_hold_nobody_up_and_are_not_forgotten() {
        let late = [0, 3, 50, 51, 200];
        let mut ends = in_order();
        late.iter().for_each(|place| ends[*place] = 100.0);
        let outcome = simulate(&ends, BURST, false);
        let punctual = outcome.lags.iter().enumerate().filter(|(place, _)| !late.contains(place));
        assert!(punctual.map(|(_, lag)| *lag).fold(0.0, f64::max) <= 3.5);
        assert!(late.iter().all(|place| outcome.lags[*place] <= 15.0), "{:?}", late.map(|place| outcome.lags[place]));
    }

    #[test]
    fn jobs_that_end_in_no_order_are_all_found_with_few_questions() {
        let mut dice = dice(3);
        let ends: Vec<f64> = (0..500).map(|_| (dice() * 62.0).ceil()).collect();
        let outcome = simulate(&ends, 1.0, false);
        assert!(outcome.requests <= 500.0 * 1.3, "{}", outcome.requests);
    }

    #[test]
    fn few_jobs_are_found_at_once_and_long_ones_are_asked_after_ever_less() {
        for list in [false, true] {
            let ten: Vec<f64> = (0..10).map(|job| f64::from(job) * 3.0).collect();
            let outcome = simulate(&ten, 1.0, list);
            assert!(outcome.worst() <= 3.0, "{}", outcome.worst());
            let hour = simulate(&[3600.0; 3], 1.0, list);
            assert!(hour.worst() <= 15.5 && hour.requests < 3.0 * 300.0, "{} {}", hour.worst(), hour.requests);
        }
    }

    #[test]
    fn time_in_which_nobody_could_be_asked_counts_for_no_patience() {
        let second = Duration::from_secs(1);
        let (began, mut rounds) = (Instant::now(), Rounds::new(Patience::of(second * 60), false));
        rounds.add(0, began);
        rounds.lose(second * 1000);
        rounds.add(1, began + second * 1000);
        let over = |rounds: &mut Rounds, seconds| rounds.overdue(began + second * seconds);
        assert_eq!(over(&mut rounds, 1059), None);
        assert_eq!(rounds.patience_left(began + second * 1050), second * 10);
        assert_eq!(over(&mut rounds, 1061), Some((0, true)));
        rounds.remove(0);
        // Time that was lost before it was added was not its own.
        assert_eq!(over(&mut rounds, 1061), Some((1, true)));
    }

    #[test]
    fn a_job_that_was_never_asked_after_is_asked_once_however_late() {
        let second = Duration::from_secs(1);
        let (began, mut rounds) = (Instant::now(), Rounds::new(Patience::of(second * 60), false));
        rounds.add(0, began);
        assert_eq!(rounds.overdue(began + second * 119), Some((0, true)));
        assert_eq!(rounds.overdue(began + second * 121), Some((0, false)), "it ends all the same");
        rounds.answered(0, began + second * 30, false);
        assert_eq!(rounds.overdue(began + second * 64), Some((0, true)));
        assert_eq!(rounds.overdue(began + second * 66), Some((0, false)));
        rounds.answered(0, began + second * 62, false);
        assert_eq!(rounds.overdue(began + second * 63), Some((0, false)), "asked since then");
    }

    #[test]
    fn a_pause_that_no_clock_can_count_does_not_run_hot() {
        let pause = Duration::MAX;
        let patience = Patience { first_pause: pause, longest_pause: pause, ..Patience::of(Duration::MAX) };
        let (began, mut rounds) = (Instant::now(), Rounds::new(patience, false));
        rounds.add(0, began);
        assert_eq!(rounds.turn(began, Duration::from_millis(1), 0.5), Turn::Ask(0));
        rounds.answered(0, began, false);
        let later = began + Duration::from_secs(1000);
        assert!(matches!(rounds.turn(later, Duration::from_millis(1), 0.5), Turn::Wait(_)));
    }
}
