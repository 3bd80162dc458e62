//! The pace of one rate-limit tier: when the next request may leave. Pure: time comes in as an argument.
//!
//! Requests queue up in the order in which they come. The one at the head leaves
//!
//! 1. not before a 429's `Retry-After` has passed (for all clones of a client alike, and for an hour at the most);
//! 2. at once, as long as the server's own `X-RateLimit-Remaining`, less what was sent since, leaves room for it;
//! 3. else evenly, one in each even share of the window (the quota's own rate, a little slower).
//!
//! So nothing has to be known of the server's algorithm. A bucket with a full burst says so in `Remaining` and is
//! emptied at once; strict even pacing never says that there is room, and gets one request in each interval; a
//! fixed window shows itself by one long `Retry-After`, and is from then on used up at its beginning, until what the
//! server says speaks against it. A server that speaks of its limit in a 429 only, as it is documented, has to refuse once
//! before it is understood. Who shares the quota with other processes meets a 429 now and then; each makes this side's
//! share of the rate smaller, and every success a little larger again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How much slower than the quota the even pace is, so that jitter on the way does not cross it.
const EVEN: f64 = 0.99;
/// What is left of the share after a 429 out of the blue (it may be jitter, or a chance meeting with somebody else), and
/// after one that follows another.
const CUT: f64 = 0.85;
const CUT_AGAIN: f64 = 0.7;
/// The least share.
const LEAST: f64 = 0.2;
/// What the first success after a cut gives back; every further one gives a tenth of that more than the one before.
const GAIN: f64 = 0.005;
/// How often the time between two knocks at a shut door is doubled.
const KNOCKS: u32 = 4;
/// As good as for ever, and within what clocks can count.
pub(crate) const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
/// A longer window than this is none.
const LONGEST_WINDOW: Duration = Duration::from_secs(86_400);
/// For longer than this one answer shuts the tier for nobody but its own call, unless the window is longer: then one may
/// knock. Limits that are counted by the hour are obeyed to the end, and a delay that was sent by mistake (milliseconds
/// for seconds, say) does not end the service for a program that runs for weeks.
const LONGEST_SHUT: Duration = Duration::from_secs(3600);
/// What is left of a quota's first part when others use it too: a server that says that nothing is left earlier counts
/// in no window.
const SPENT_EARLY: f64 = 0.4;

/// What one answer says of the rate limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Report {
    /// `X-RateLimit-Limit`: requests in the window.
    pub(crate) limit: Option<u32>,
    /// `X-RateLimit-Remaining`: about how many are left.
    pub(crate) remaining: Option<u32>,
    /// Whether it was a 429.
    pub(crate) refused: bool,
    /// Whether it was the user's own limit that refused, on what they may spend, and not the tier's.
    pub(crate) personal: bool,
    /// `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
}

/// Whose turn it is.
#[derive(Debug, PartialEq)]
pub(crate) enum Turn {
    /// Send now, and tell [`Bucket::answered`] or [`Bucket::unanswered`] how it went.
    Go(Pass),
    /// Ask again after so long, or earlier if something was heard.
    Wait(Duration),
}

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place(u64);

/// The permission to send one request.
#[derive(Debug, PartialEq)]
#[must_use]
pub(crate) struct Pass {
    /// When it left, in the order of everything that happened here.
    event: u64,
    /// When the one before it left.
    before: Option<Instant>,
}

/// The state of one tier.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Requests in one window, corrected by the server.
    quota: f64,
    window: Duration,
    /// This side's share of the even rate; below 1 while others use the quota too.
    share: f64,
    /// What the server last said is left. `None` while it says nothing of the kind.
    remaining: Option<Remaining>,
    /// Whether any answer came; until then one request at a time finds out.
    heard: bool,
    last_sent: Option<Instant>,
    shut_until: Option<Instant>,
    /// The end of the current window, once the server was seen to count in fixed ones.
    window_ends: Option<Instant>,
    in_flight: u32,
    /// Refusals since the last success.
    refusals: u32,
    /// Successes since the share was last cut.
    since_cut: f64,
    queue: VecDeque<u64>,
    next_place: u64,
    /// Counts sendings and answers; orders what is known.
    event: u64,
    last_cut: u64,
    window_began: u64,
    /// How many were sent since then.
    sent_in_window: f64,
}

/// The latest known `X-RateLimit-Remaining`.
#[derive(Debug, Clone, Copy)]
struct Remaining {
    left: f64,
    /// When it was heard: what was sent later was also counted later.
    heard: u64,
    /// How many were sent since. Their answers need not say what is left: it is documented of refusals only.
    sent: f64,
}

impl Remaining {
    fn new(left: f64, heard: u64) -> Self {
        Self { left, heard, sent: 0.0 }
    }
}

impl Bucket {
    pub(crate) fn new(quota: u32, window: Duration) -> Self {
        Self {
            quota: f64::from(quota.max(1)),
            window: window.clamp(Duration::from_millis(1), LONGEST_WINDOW),
            share: 1.0,
            remaining: None,
            heard: false,
            last_sent: None,
            shut_until: None,
            window_ends: None,
            in_flight: 0,
            refusals: 0,
            since_cut: 0.0,
            queue: VecDeque::new(),
            next_place: 0,
            event: 0,
            last_cut: 0,
            window_began: 0,
            sent_in_window: 0.0,
        }
    }

    /// Takes a place at the end of the queue.
    pub(crate) fn queue_up(&mut self) -> Place {
        self.next_place += 1;
        self.queue.push_back(self.next_place);
        Place(self.next_place)
    }

    /// Gives a place up.
    pub(crate) fn leave(&mut self, place: Place) {
        self.queue.retain(|other| *other != place.0);
    }

    /// Asks whether the one at `place` may send now. A place that gets its turn is used up.
    pub(crate) fn turn(&mut self, place: Place, now: Instant) -> Turn {
        self.pass_window(now);
        let opens = self.opens_in(now);
        let is_head = self.queue.front().is_none_or(|head| *head == place.0);
        if !is_head || !opens.is_zero() {
            let ahead = self.queue.iter().position(|other| *other == place.0).unwrap_or(0);
            let behind = self.interval().saturating_mul(u32::try_from(ahead).unwrap_or(u32::MAX));
            return Turn::Wait(opens.saturating_add(behind).max(Duration::from_millis(1)));
        }
        self.queue.pop_front();
        let before = self.last_sent.replace(now);
        self.sent_in_window += 1.0;
        if let Some(known) = &mut self.remaining {
            known.sent += 1.0;
        }
        self.in_flight += 1;
        self.event += 1;
        Turn::Go(Pass { event: self.event, before })
    }

    /// How long the server is known to accept nothing; zero if it is open.
    pub(crate) fn shut_for(&self, now: Instant) -> Duration {
        self.shut_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Takes in what an answer says.
    pub(crate) fn answered(&mut self, pass: Pass, now: Instant, report: Report) {
        self.landed();
        self.heard = true;
        if let Some(limit) = report.limit {
            self.quota = f64::from(limit.max(1));
        }
        // What left before the window began tells of the one before.
        let left = report.remaining.map(f64::from).filter(|_| pass.event > self.window_began);
        if report.refused {
            match report.retry_after {
                Some(delay) if !report.personal => self.refused(&pass, now, delay),
                // Refused for reasons of its own, the spend limit or perhaps that. What it says of the rate limit counts;
                // if that is nothing, and nothing says whose limit it is, be careful.
                _ if report.personal && left.is_none() => {}
                _ => self.heard_remaining(&pass, left.unwrap_or_default()),
            }
            return;
        }
        self.since_cut += 1.0;
        self.share = (self.share + GAIN * (1.0 + 0.1 * self.since_cut)).min(1.0);
        self.refusals = 0;
        if let Some(left) = left {
            if left < 1.0 && self.sent_in_window < self.quota * SPENT_EARLY {
                self.window_ends = None;
            }
            self.heard_remaining(&pass, left);
        }
    }

    /// Answers overtake each other. A higher number counts only if it is later than the lower one for sure.
    fn heard_remaining(&mut self, pass: &Pass, left: f64) {
        if self.remaining.is_none_or(|known| left < known.left || pass.event > known.heard) {
            self.remaining = Some(Remaining::new(left, self.event));
        }
    }

    /// Takes in that no answer came.
    pub(crate) fn unanswered(&mut self, _pass: Pass) {
        self.landed();
    }

    /// Takes in that nothing was sent: the turn goes to the next, unless others have had theirs since.
    pub(crate) fn unsent(&mut self, pass: Pass) {
        if self.event == pass.event {
            self.last_sent = pass.before;
        }
        self.sent_in_window = (self.sent_in_window - 1.0).max(0.0);
        if let Some(known) = self.remaining.as_mut().filter(|known| pass.event > known.heard) {
            known.sent -= 1.0;
        }
        self.landed();
    }

    fn landed(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.event += 1;
    }

    fn refused(&mut self, pass: &Pass, now: Instant, delay: Duration) {
        self.remaining = Some(Remaining::new(0.0, self.event));
        let longest = LONGEST_SHUT.max(self.window);
        if delay > longest {
            // This is no window's doing; and one may knock then, not a whole window's quota.
            self.window_ends = None;
        }
        let delay = delay.min(longest);
        // One refusal counts for all that were on their way with it.
        if pass.event <= self.last_cut {
            self.shut(now, delay);
            return;
        }
        self.last_cut = self.event;
        self.last_sent = None;
        // Whole seconds are rounded up by the server; that is no sign of a window.
        let rounding = Duration::from_secs(u64::from(delay.subsec_nanos() == 0));
        let even = self.window.div_f64(self.quota * EVEN);
        if delay > even.saturating_mul(3).saturating_add(rounding) && delay <= self.window {
            self.shut(now, delay);
            self.window_ends = self.shut_until;
            self.sent_in_window = self.quota;
            return;
        }
        // Open again well before the window's end: there is no such window.
        let opens = now.checked_add(delay.saturating_add(rounding).saturating_add(even.saturating_mul(2)));
        if self.window_ends.is_some_and(|ends| opens.is_some_and(|opens| opens < ends)) {
            self.window_ends = None;
        }
        // Refused although it came when the server had said: somebody else is quicker each time.
        // Knock less and less often, or half of all requests would be refused.
        let knock = match self.refusals {
            0 => Duration::ZERO,
            again => even.saturating_mul(1 << again.min(KNOCKS)),
        };
        self.refusals += 1;
        self.shut(now, delay.saturating_add(knock));
        if self.window_ends.is_none() {
            let cut = if self.refusals > 1 { CUT_AGAIN } else { CUT };
            self.share = (self.share * cut).max(LEAST);
            self.since_cut = 0.0;
        }
    }

    fn shut(&mut self, now: Instant, delay: Duration) {
        self.shut_until = self.shut_until.max(now.checked_add(delay));
    }

    /// A new window brings the whole quota back.
    fn pass_window(&mut self, now: Instant) {
        if let Some(ends) = self.window_ends.filter(|ends| *ends <= now) {
            let passed = (now - ends).as_nanos() / self.window.as_nanos().max(1);
            let windows = u32::try_from(passed.saturating_add(1)).unwrap_or(u32::MAX);
            self.window_ends = ends.checked_add(self.window.saturating_mul(windows));
            self.remaining = Some(Remaining::new(self.quota, self.event));
            self.window_began = self.event;
            self.sent_in_window = 0.0;
        }
    }

    /// Whether anybody waits for a turn.
    pub(crate) fn is_queued_at(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether no answer is awaited, so that only time can open it.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    pub(crate) fn opens_in(&self, now: Instant) -> Duration {
        let shut = self.shut_for(now);
        if !shut.is_zero() {
            return shut;
        }
        let room = match self.remaining {
            None => self.heard,
            // What is on its way, or was sent later, may not be counted in it yet.
            Some(known) => known.left - known.sent.max(f64::from(self.in_flight)) >= 1.0,
        };
        if room {
            return Duration::ZERO;
        }
        let until = match (self.window_ends, self.last_sent) {
            (Some(ends), _) => Some(ends),
            (None, Some(sent)) => sent.checked_add(self.interval()),
            (None, None) => None,
        };
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// The time between two requests at the even pace.
    pub(crate) fn interval(&self) -> Duration {
        self.window.div_f64(self.quota * self.share * EVEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn go(bucket: &mut Bucket, now: Instant) -> Option<Pass> {
        let place = bucket.queue_up();
        match bucket.turn(place, now) {
            Turn::Go(pass) => Some(pass),
            Turn::Wait(_) => {
                bucket.leave(place);
                None
            }
        }
    }

    fn room(limit: u32, remaining: u32) -> Report {
        Report { limit: Some(limit), remaining: Some(remaining), ..Report::default() }
    }

    fn refusal(seconds: f64) -> Report {
        Report { refused: true, retry_after: Some(secs(seconds)), ..Report::default() }
    }

    #[test]
    fn an_interactive_program_waits_for_nothing() {
        let (mut bucket, now) = (Bucket::new(30, MINUTE), Instant::now());
        for (call, left) in [(0, 29), (1, 28), (2, 27)] {
            let at = now + secs(f64::from(call) * 0.1);
            let pass = go(&mut bucket, at).expect("goes at once");
            bucket.answered(pass, at + secs(0.05), room(30, left));
        }
    }

    #[test]
    fn one_request_finds_out_what_the_others_may() {
        let (mut bucket, now) = (Bucket::new(30, MINUTE), Instant::now());
        let first = go(&mut bucket, now).unwrap();
        assert_eq!(go(&mut bucket, now), None);
        // A first request that takes long does not hold the others up for longer than the even pace.
        assert!(go(&mut bucket, now + secs(2.1)).is_some());
        bucket.answered(first, now + secs(3.0), room(30, 29));
        assert!((0..28).all(|_| go(&mut bucket, now + secs(3.0)).is_some()));
        assert_eq!(go(&mut bucket, now + secs(3.0)), None);
    }

    #[test]
    fn a_server_without_headers_is_not_paced_until_it_refuses() {
        let (mut bucket, now) = (Bucket::new(30, MINUTE), Instant::now());
        let first = go(&mut bucket, now).unwrap();
        bucket.answered(first, now, Report::default());
        let pass = (0..100).filter_map(|_| go(&mut bucket, now)).next_back().unwrap();
        bucket.answered(pass, now, refusal(2.0));
        assert_eq!(go(&mut bucket, now + secs(1.9)), None);
        assert!(go(&mut bucket, now + secs(2.0)).is_some());
        assert_eq!(go(&mut bucket, now + secs(2.5)), None, "from then on evenly");
    }

    #[test]
    fn a_refusal_shuts_the_door_for_all_until_its_time_has_passed() {
        let (mut bucket, now) = (Bucket::new(30, MINUTE), Instant::now());
        let first = go(&mut bucket, now).unwrap();
        bucket.answered(first, now, room(30, 20));
        let second = go(&mut bucket, now).unwrap();
        bucket.answered(second, now, refusal(7.0));
        assert_eq!(bucket.shut_for(now), secs(7.0));
        assert_eq!(go(&mut bucket, now + secs(6.9)), None);
        assert!(go(&mut bucket, now + secs(7.0)).is_some());
    }

    #[test]
    fn the_queue_keeps_its_order_and_forgets_who_leaves() {
        let (mut bucket, now) = (Bucket::new(60, MINUTE), Instant::now());
        let (first, second, third) = (bucket.queue_up(), bucket.queue_up(), bucket.queue_up());
        assert!(matches!(bucket.turn(second, now), Turn::Wait(_)));
        assert!(matches!(bucket.turn(first, now), Turn::Go(_)));
        bucket.leave(second);
        assert!(matches!(bucket.turn(third, now + secs(1.1)), Turn::Go(_)));
    }

    #[test]
    fn an_answer_that_was_overtaken_makes_no_room() {
        let (mut bucket, now) = (Bucket::new(30, MINUTE), Instant::now());
        let first = go(&mut bucket, now).unwrap();
        bucket.answered(first, now, room(30, 2));
        let (early, late) = (go(&mut bucket, now).unwrap(), go(&mut bucket, now).unwrap());
        bucket.answered(late, now, room(30, 0));
        bucket.answered(early, now, room(30, 1));
        assert_eq!(go(&mut bucket, now), None);
    }

    /// A bucket that knows a window of 30 a minute, which begins at the moment given.
    fn in_a_window(now: Instant) -> (Bucket, Instant) {
        let mut bucket = Bucket::new(30, MINUTE);
        let pass = go(&mut bucket, now).unwrap();
        bucket.answered(pass, now, Report { limit: Some(30), ..refusal(40.0) });
        (bucket, now + secs(40.0))
    }

    #[test]
    fn a_window_is_used_up_at_its_beginning_and_no_further_though_no_answer_counts_along() {
        let (mut bucket, begins) = in_a_window(Instant::now());
        for number in 0..3 {
            let begins = begins + MINUTE * number;
            for request in 0..30 {
                let at = begins + secs(f64::from(request) * 0.1);
                let pass = go(&mut bucket, at).unwrap_or_else(|| panic!("request {request} of window {number}"));
                bucket.answered(pass, at, Report::default());
            }
            assert_eq!(go(&mut bucket, begins + secs(59.9)), None);
        }
    }

    #[test]
    fn what_was_not_sent_is_not_counted_and_what_got_no_answer_is() {
        let (mut bucket, begins) = in_a_window(Instant::now());
        let passes: Vec<_> = (0..30).map(|_| go(&mut bucket, begins).unwrap()).collect();
        for (number, pass) in passes.into_iter().enumerate() {
            if number < 3 { bucket.unsent(pass) } else { bucket.unanswered(pass) }
        }
        assert!((0..3).all(|_| go(&mut bucket, begins).is_some()));
        assert_eq!(go(&mut bucket, begins), None);
    }

    #[test]
    fn what_the_server_says_is_left_counts_for_more_than_what_was_sent() {
        let (mut bucket, begins) = in_a_window(Instant::now());
        for _ in 0..50 {
            let pass = go(&mut bucket, begins).expect("there is room");
            bucket.answered(pass, begins, room(30, 20));
        }
    }

    #[test]
    fn an_answer_of_the_window_before_takes_nothing_from_the_next() {
        let (mut bucket, begins) = in_a_window(Instant::now());
        let late = [(); 3].map(|()| go(&mut bucket, begins).unwrap());
        let next = begins + MINUTE;
        let first = go(&mut bucket, next).unwrap();
        let spent = Report { personal: true, ..refusal(3600.0) };
        let old = [room(30, 0), spent, Report { remaining: Some(0), ..spent }];
        late.into_iter().zip(old).for_each(|(pass, report)| bucket.answered(pass, next, report));
        bucket.answered(first, next, Report::default());
        assert!((0..29).all(|_| go(&mut bucket, next).is_some()));
    }

    #[test]
    fn absurd_numbers_do_no_harm() {
        let now = Instant::now();
        let mut bucket = Bucket::new(0, Duration::ZERO);
        for report in [room(0, u32::MAX), refusal(1e18), room(u32::MAX, 0), refusal(0.0)] {
            if let Some(pass) = go(&mut bucket, now) {
                bucket.answered(pass, now, report);
            }
            let place = bucket.queue_up();
            let _ = bucket.turn(place, now + secs(1e9));
            bucket.leave(place);
        }
    }

    /// The server's side, in three models.
    enum Model {
        FullBurst { tokens: f64, at: f64 },
        EvenPacing { next: f64 },
        FixedWindow { window: u64, used: f64 },
    }

    impl Model {
        /// Accepts or refuses a request at `at` seconds: (accepted, remaining, retry after).
        fn ask(&mut self, at: f64, quota: f64) -> (bool, u32, f64) {
            let rate = quota / 60.0;
            match self {
                Self::FullBurst { tokens, at: last } => {
                    *tokens = (*tokens + (at - *last) * rate).min(quota);
                    *last = at;
                    if *tokens < 1.0 {
                        return (false, 0, (1.0 - *tokens) / rate);
                    }
                    *tokens -= 1.0;
                    (true, *tokens as u32, 0.0)
                }
                Self::EvenPacing { next } => {
                    if at < *next {
                        return (false, 0, *next - at);
                    }
                    *next = at + 1.0 / rate;
                    (true, 0, 0.0)
                }
                Self::FixedWindow { window, used } => {
                    let this = (at / 60.0) as u64;
                    if this != *window {
                        (*window, *used) = (this, 0.0);
                    }
                    if *used >= quota {
                        return (false, 0, (this + 1) as f64 * 60.0 - at);
                    }
                    *used += 1.0;
                    (true, (quota - *used) as u32, 0.0)
                }
            }
        }
    }

    /// Which answers tell how the limit stands. All that is documented is that a 429 does.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Headers {
        Always,
        On429,
    }

    const HEADERS: [Headers; 2] = [Headers::Always, Headers::On429];

    #[derive(Debug)]
    struct Outcome {
        elapsed: f64,
        refused: usize,
        sent: usize,
    }

    /// `clients` processes with `threads` threads each make `calls` calls in all, on a virtual clock.
    fn simulate(
        model: Model,
        quota: f64,
        clients: usize,
        threads: usize,
        calls: usize,
        latency: (f64, f64),
        headers: Headers,
    ) -> Outcome {
        simulate_with(model, quota, clients, threads, calls, latency, headers, None, true)
    }

    /// The same, with a `Retry-After` of so many seconds for the request of some number, out of the blue.
    #[allow(clippy::too_many_arguments, reason = "a table of numbers")]
    fn simulate_with(
        mut model: Model,
        quota: f64,
        clients: usize,
        threads: usize,
        calls: usize,
        latency: (f64, f64),
        headers: Headers,
        odd: Option<(usize, f64)>,
        rounded: bool,
    ) -> Outcome {
        #[derive(Debug)]
        enum State {
            Idle,
            Queued(Place),
            /// Arrives at, then answered at.
            Flying(Pass, f64, f64),
            Answered(Pass, f64, Report),
        }
        let start = Instant::now();
        let at = |seconds: f64| start + secs(seconds);
        let mut buckets: Vec<_> = (0..clients).map(|_| Bucket::new(quota as u32, MINUTE)).collect();
        let mut states: Vec<_> = (0..clients * threads).map(|_| State::Idle).collect();
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 11) as f64 / (1_u64 << 53) as f64
        };
        // Each process has its part of the calls.
        let mut begun = vec![0; clients];
        let (mut clock, mut done, mut sent, mut refused, mut arrived) = (0.0_f64, 0, 0, 0, 0);
        while done < calls {
            let mut next = f64::INFINITY;
            let mut moved = false;
            for thread in 0..states.len() {
                let bucket = &mut buckets[thread / threads];
                let state = std::mem::replace(&mut states[thread], State::Idle);
                states[thread] = match state {
                    State::Idle if begun[thread / threads] < calls / clients => {
                        begun[thread / threads] += 1;
                        moved = true;
                        State::Queued(bucket.queue_up())
                    }
                    State::Idle => State::Idle,
                    State::Queued(place) => match bucket.turn(place, at(clock)) {
                        Turn::Go(pass) => {
                            sent += 1;
                            moved = true;
                            let way = || latency.0 / 2.0;
                            let arrives = clock + way() + random() * latency.1;
                            State::Flying(pass, arrives, arrives + way() + random() * latency.1)
                        }
                        Turn::Wait(pause) => {
                            next = next.min(clock + pause.as_secs_f64());
                            State::Queued(place)
                        }
                    },
                    State::Flying(pass, arrives, answered) if arrives <= clock => {
                        arrived += 1;
                        let (accepted, remaining, delay) = match odd {
                            Some((number, delay)) if number == arrived => (false, 0, delay),
                            _ => model.ask(clock, quota),
                        };
                        let told = headers == Headers::Always || !accepted;
                        let report = Report {
                            limit: told.then_some(quota as u32),
                            remaining: told.then_some(remaining),
                            refused: !accepted,
                            personal: false,
                            retry_after: (!accepted).then(|| secs(if rounded { delay.ceil() } else { delay })),
                        };
                        moved = true;
                        State::Answered(pass, answered, report)
                    }
                    State::Flying(pass, arrives, answered) => {
                        next = next.min(arrives);
                        State::Flying(pass, arrives, answered)
                    }
                    State::Answered(pass, answered, report) if answered <= clock => {
                        moved = true;
                        bucket.answered(pass, at(clock), report);
                        if report.refused {
                            refused += 1;
                            State::Queued(bucket.queue_up())
                        } else {
                            done += 1;
                            State::Idle
                        }
                    }
                    State::Answered(pass, answered, report) => {
                        next = next.min(answered);
                        State::Answered(pass, answered, report)
                    }
                };
            }
            if !moved {
                assert!(next.is_finite() && next > clock, "stuck at {clock}");
                clock = next + 1e-6;
            }
        }
        Outcome { elapsed: clock, refused, sent }
    }

    fn full_burst() -> Model {
        Model::FullBurst { tokens: 30.0, at: 0.0 }
    }

    fn even_pacing() -> Model {
        Model::EvenPacing { next: 0.0 }
    }

    fn fixed_window() -> Model {
        Model::FixedWindow { window: 0, used: 0.0 }
    }

    /// A model's name, its beginning, and the least time for 200 calls at 30 a minute, in seconds.
    type Case = (&'static str, fn() -> Model, f64);

    const OPTIMA: [Case; 3] =
        [("full burst", full_burst, 340.0), ("even pacing", even_pacing, 398.0), ("fixed window", fixed_window, 360.0)];

    #[test]
    fn alone_on_its_quota_a_program_takes_the_least_time_and_is_hardly_refused() {
        for (name, model, optimum) in OPTIMA {
            for (threads, headers) in
                [1, 8, 32].into_iter().flat_map(|threads| HEADERS.map(|headers| (threads, headers)))
            {
                let outcome = simulate(model(), 30.0, 1, threads, 200, (0.05, 0.01), headers);
                let ratio = outcome.elapsed / optimum;
                let label = format!("{name}, {threads} threads, headers {headers:?}");
                assert!(ratio <= 1.03, "{label}: {ratio:.3} of the optimum");
                // Until a server that does not count along has refused for the first time, each thread runs into it.
                let most = if headers == Headers::Always { 3 } else { threads };
                assert!(outcome.refused <= most, "{label}: {} refusals", outcome.refused);
                assert_eq!(outcome.sent, 200 + outcome.refused);
            }
        }
    }

    #[test]
    fn one_long_delay_out_of_the_blue_is_no_window_for_ever() {
        for (name, model, optimum) in OPTIMA {
            for (number, headers) in [1, 40].into_iter().flat_map(|number| HEADERS.map(|headers| (number, headers))) {
                let odd = Some((number, 20.0));
                let outcome = simulate_with(model(), 30.0, 1, 1, 200, (0.05, 0.01), headers, odd, true);
                // The delay, at the most another window, and the pace.
                let least = optimum + 80.0;
                let label = format!("{name}, refusal {number}, headers {headers:?}");
                assert!(outcome.elapsed <= least * 1.06, "{label}: {:.0} s", outcome.elapsed);
                assert!(outcome.refused <= 5, "{label}: {} refusals", outcome.refused);
            }
        }
    }

    #[test]
    fn a_refusal_without_a_delay_makes_careful() {
        let (mut bucket, now) = (Bucket::new(30, MINUTE), Instant::now());
        let pass = go(&mut bucket, now).unwrap();
        bucket.answered(pass, now, Report { refused: true, ..Report::default() });
        assert_eq!(go(&mut bucket, now + secs(0.1)), None);
        assert!(go(&mut bucket, now + secs(2.1)).is_some());
    }

    #[test]
    fn a_users_own_limit_shuts_the_door_for_nobody() {
        let (mut bucket, now) = (Bucket::new(30, MINUTE), Instant::now());
        let own = |remaining| Report { personal: true, remaining, ..refusal(3600.0) };
        let pass = go(&mut bucket, now).unwrap();
        bucket.answered(pass, now, own(None));
        let pass = go(&mut bucket, now).expect("an answer came, and nothing in it speaks against the next");
        bucket.answered(pass, now, room(30, 20));
        let even = bucket.interval();
        let passes: Vec<_> = (0..5).map(|_| go(&mut bucket, now).unwrap()).collect();
        passes.into_iter().for_each(|pass| bucket.answered(pass, now, own(None)));
        assert_eq!((bucket.shut_for(now), bucket.interval()), (Duration::ZERO, even));
        let pass = go(&mut bucket, now).expect("there is room as before");
        // What the server says of the tier counts, whoever was refused.
        bucket.answered(pass, now, own(Some(1)));
        assert!(go(&mut bucket, now).is_some());
        assert_eq!(go(&mut bucket, now), None);
    }

    #[test]
    fn after_a_delay_that_no_clock_can_count_one_may_knock_when_an_hour_has_passed() {
        let (mut bucket, now) = (Bucket::new(30, MINUTE), Instant::now());
        let pass = go(&mut bucket, now).unwrap();
        bucket.answered(pass, now, refusal(1e19));
        assert_eq!(bucket.shut_for(now), LONGEST_SHUT);
        assert_eq!(go(&mut bucket, now + secs(3599.9)), None);
        let mut opens = now + LONGEST_SHUT;
        for knock in 0..3 {
            let pass = go(&mut bucket, opens).unwrap_or_else(|| panic!("knock {knock} at an open door"));
            assert_eq!(go(&mut bucket, opens + secs(1.9)), None, "one at a time");
            bucket.answered(pass, opens, refusal(1e9));
            assert_eq!(go(&mut bucket, opens + secs(3599.9)), None);
            opens += bucket.shut_for(opens);
        }
        let pass = go(&mut bucket, opens).unwrap();
        bucket.answered(pass, opens, room(30, 29));
        assert!((0..29).all(|_| go(&mut bucket, opens).is_some()), "it was a mistake: as before");
    }

    #[test]
    fn after_a_delay_of_more_than_an_hour_no_whole_window_knocks_at_once() {
        let (mut bucket, now) = (Bucket::new(30, MINUTE), Instant::now());
        let pass = go(&mut bucket, now).unwrap();
        bucket.answered(pass, now, refusal(20.0));
        let pass = go(&mut bucket, now + secs(20.0)).unwrap();
        bucket.answered(pass, now + secs(20.0), refusal(7200.0));
        let opens = now + secs(20.0) + LONGEST_SHUT;
        assert!(go(&mut bucket, opens).is_some());
        assert_eq!(go(&mut bucket, opens + secs(1.9)), None);
    }

    #[test]
    fn a_delay_within_an_hour_or_within_the_window_is_kept_to_the_end() {
        let hours = |hours: u64| Duration::from_secs(3600 * hours);
        for (window, delay) in [(MINUTE, hours(1)), (hours(3), hours(2)), (hours(3), hours(3))] {
            let (mut bucket, now) = (Bucket::new(30, window), Instant::now());
            let pass = go(&mut bucket, now).unwrap();
            bucket.answered(pass, now, refusal(delay.as_secs_f64()));
            assert_eq!(bucket.shut_for(now), delay);
            assert_eq!(go(&mut bucket, now + delay - secs(0.1)), None);
            assert!(go(&mut bucket, now + delay).is_some());
        }
    }

    #[test]
    fn two_processes_share_a_quota_without_much_refusal() {
        let ways = [(1, true), (4, true), (1, false), (4, false)];
        for (name, model, optimum) in OPTIMA {
            for ((threads, rounded), headers) in ways.into_iter().flat_map(|way| HEADERS.map(|headers| (way, headers)))
            {
                let outcome = simulate_with(model(), 30.0, 2, threads, 200, (0.005, 0.002), headers, None, rounded);
                let (ratio, refused) = (outcome.elapsed / optimum, outcome.refused as f64 / outcome.sent as f64);
                let label = format!("{name}, 2 x {threads} threads, rounded {rounded}, headers {headers:?}");
                let (most_time, most_refused) = match (name, headers) {
                    // Where an evenly pacing server rounds its delays up to whole seconds, who is refused comes too late
                    // for its turn each time, and is at the mercy of the other: a quota is not used up.
                    ("even pacing", Headers::Always) if rounded => (1.45, 0.15),
                    // Here it is so without the rounding, since the two do not begin evenly.
                    ("even pacing", Headers::On429) => (1.55, 0.15),
                    // Neither hears what the other has used of a window before it is refused.
                    ("fixed window", Headers::On429) => (1.10, 0.20),
                    _ => (1.10, 0.15),
                };
                assert!(ratio <= most_time, "{label}: {ratio:.3} of the optimum");
                assert!(refused <= most_refused, "{label}: {:.1} % refused", refused * 100.0);
            }
        }
    }
}
