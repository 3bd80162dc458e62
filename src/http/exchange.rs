//! The exchange that runs on this thread: its time limits, how far it got, and which limit ended it.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// How long a write may block before the connection is checked for an early response, and how long that response is
/// awaited once a write has stalled.
pub(super) const LISTEN_EVERY: Duration = Duration::from_millis(200);

/// The time limits of one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// For the DNS lookup, TCP, the proxy's CONNECT and TLS together.
    pub(crate) connect: Duration,
    /// Until the first byte of a response; `None` for no limit but the deadline.
    pub(crate) response: Option<Duration>,
    /// Between two movements of a body.
    pub(crate) stall: Duration,
}

/// What an exchange waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    Write,
    Read,
}

/// The time limit that ended an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimedOut {
    Connect,
    Write,
    Response,
    Read,
    Deadline,
}

/// When a wait ends, and which limit ends it; `None` for never.
pub(super) type Limit = Option<(Instant, TimedOut)>;

/// One exchange. `ureq` runs it on the thread that asks for it, but tells its connectors and transports neither which
/// request they serve nor its deadline, and its errors do not say how far the request got.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    timeouts: Timeouts,
    deadline: Option<Instant>,
    /// Whether the request only reads, so that it can be repeated.
    pub(super) read_only: bool,
    /// A connection is being made: its bytes are a handshake, not the request.
    pub(super) connecting: bool,
    /// When the connection must have been made.
    connect_until: Option<Instant>,
    /// The request has a body that may be large: an upload.
    pub(super) streams_body: bool,
    /// A byte of the request was handed to a connection.
    pub(super) handed_over: bool,
    /// The server reads no more of the request: the rest of it is dropped, its response awaited.
    pub(super) write_closed: bool,
    /// The response is only awaited because a write stalled while something waited to be read.
    pub(super) write_stalled: bool,
    /// When the response must have started.
    response_until: Option<Instant>,
    /// A byte of the response came, other than an interim one (1xx).
    pub(super) response_started: bool,
    /// What the server speaks, if it is not HTTP/1.
    pub(super) other_protocol: Option<&'static str>,
    pub(super) timed_out: Option<TimedOut>,
}

impl Exchange {
    /// None: without limits.
    const NONE: Self = Self {
        timeouts: Timeouts { connect: Duration::MAX, response: None, stall: Duration::MAX },
        deadline: None,
        read_only: true,
        connecting: false,
        connect_until: None,
        streams_body: false,
        handed_over: false,
        write_closed: false,
        write_stalled: false,
        response_until: None,
        response_started: false,
        other_protocol: None,
        timed_out: None,
    };

    /// Begins an exchange on this thread. Dropping the guard restores the one around it: a progress callback may use the
    /// client.
    pub(super) fn begin(timeouts: Timeouts, deadline: Instant, read_only: bool) -> ExchangeGuard {
        ExchangeGuard(CURRENT.replace(Self { timeouts, deadline: Some(deadline), read_only, ..Self::NONE }))
    }

    pub(super) fn current() -> Self {
        CURRENT.get()
    }

    pub(super) fn update(change: impl FnOnce(&mut Self)) {
        let mut exchange = CURRENT.get();
        change(&mut exchange);
        CURRENT.set(exchange);
    }

    /// Notes that a connection is being made.
    pub(super) fn connect(&mut self, now: Instant) {
        self.connecting = true;
        self.connect_until = now.checked_add(self.timeouts.connect);
    }

    /// Whether what is written belongs to an upload, rather than to the handshake before it.
    #[cfg(windows)]
    pub(super) fn is_upload(&self) -> bool {
        self.streams_body && !self.connecting
    }

    /// Notes that a part of the request was sent: its last part may be what the server was waiting for.
    pub(super) fn sent(&mut self, now: Instant) {
        self.response_until = self.timeouts.response.and_then(|timeout| now.checked_add(timeout));
    }

    /// The limit of a wait that begins now.
    pub(super) fn limit(&self, now: Instant, wait: Wait) -> Limit {
        let (until, reason) = match wait {
            _ if self.connecting => (self.connect_until, TimedOut::Connect),
            Wait::Write => (now.checked_add(self.timeouts.stall), TimedOut::Write),
            Wait::Read if self.response_started => (now.checked_add(self.timeouts.stall), TimedOut::Read),
            Wait::Read if self.write_stalled => (now.checked_add(LISTEN_EVERY), TimedOut::Write),
            Wait::Read => (self.response_until, TimedOut::Response),
        };
        let deadline = self.deadline.map(|deadline| (deadline, TimedOut::Deadline));
        until.map(|until| (until, reason)).into_iter().chain(deadline).min_by_key(|(until, _)| *until)
    }
}

thread_local! {
    static CURRENT: Cell<Exchange> = const { Cell::new(Exchange::NONE) };
}

/// Restores the exchange around one that ends.
pub(super) struct ExchangeGuard(Exchange);

impl Drop for ExchangeGuard {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// The time that is left, never zero, which is not a valid socket timeout. The error ends the exchange.
pub(super) fn remaining(limit: Limit) -> io::Result<Option<Duration>> {
    let Some((until, reason)) = limit else { return Ok(None) };
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Exchange::update(|exchange| exchange.timed_out = Some(reason));
        return Err(ErrorKind::TimedOut.into());
    }
    Ok(Some(left.max(Duration::from_millis(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn every_wait_has_its_limit_and_none_outlasts_the_deadline() {
        let begin = Instant::now();
        let timeouts = Timeouts { connect: seconds(15), response: Some(seconds(30)), stall: seconds(60) };
        let mut exchange = Exchange { timeouts, deadline: Some(begin + seconds(600)), ..Exchange::NONE };
        let limit = |exchange: &Exchange, now: u64, wait| {
            let (until, reason) = exchange.limit(begin + seconds(now), wait).unwrap();
            ((until - begin).as_secs(), reason)
        };
        exchange.connect(begin + seconds(2));
        // One limit for all of it, however many reads and writes it takes.
        assert_eq!(limit(&exchange, 3, Wait::Write), (17, TimedOut::Connect));
        assert_eq!(limit(&exchange, 9, Wait::Read), (17, TimedOut::Connect));
        exchange.connecting = false;
        // Every movement of a body counts anew.
        assert_eq!(limit(&exchange, 20, Wait::Write), (80, TimedOut::Write));
        assert_eq!(limit(&exchange, 90, Wait::Write), (150, TimedOut::Write));
        exchange.sent(begin + seconds(80));
        exchange.sent(begin + seconds(100));
        assert_eq!(limit(&exchange, 125, Wait::Read), (130, TimedOut::Response));
        exchange.write_stalled = true;
        assert_eq!(exchange.limit(begin, Wait::Read), Some((begin + LISTEN_EVERY, TimedOut::Write)));
        exchange.response_started = true;
        assert_eq!(limit(&exchange, 130, Wait::Read), (190, TimedOut::Read));
        assert_eq!(limit(&exchange, 590, Wait::Read), (600, TimedOut::Deadline));
    }

    #[test]
    fn without_a_response_timeout_only_the_deadline_limits_the_wait_for_a_response() {
        let begin = Instant::now();
        let timeouts = Timeouts { connect: Duration::MAX, response: None, stall: seconds(1) };
        let mut exchange = Exchange { timeouts, deadline: Some(begin + seconds(600)), ..Exchange::NONE };
        exchange.sent(begin);
        assert_eq!(exchange.limit(begin, Wait::Read), Some((begin + seconds(600), TimedOut::Deadline)));
        exchange.deadline = None;
        assert_eq!(exchange.limit(begin, Wait::Read), None);
        exchange.connect(begin);
        assert_eq!(exchange.limit(begin, Wait::Write), None, "more than a clock can count is never");
    }
    #[test]
    fn an_exchange_within_another_leaves_that_one_as_it_was() {
        let timeouts = Timeouts { connect: seconds(15), response: None, stall: seconds(60) };
        let outer = Exchange::begin(timeouts, Instant::now(), false);
        Exchange::update(|exchange| exchange.handed_over = true);
        let inner = Exchange::begin(timeouts, Instant::now(), true);
        assert!(!Exchange::current().handed_over && Exchange::current().read_only);
        drop(inner);
        assert!(Exchange::current().handed_over && !Exchange::current().read_only);
        drop(outer);
        assert!(Exchange::current().deadline.is_none());
    }
}
