//! Every operation under every fault: the kind of the outcome, how often it was asked for and done, and how long it took.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

#[path = "../../common/raw_server.rs"]
mod raw_server;
#[path = "../../common/tls.rs"]
mod tls;

use std::io::{self, Read};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nomic_client::agents::Launch;
use nomic_client::files::Upload;
use nomic_client::operations::{self, Method, Operation};
use nomic_client::{Builder, Effect, Error, ErrorKind, Nomic, TransportPhase, api_keys};
use nomic_contract::{Ids, call};
use nomic_emulator::{CannedResponse, Emulator, Fault, FaultKind, Limits, StallPhase};
use serde_json::json;

/// When a silence is a stall: soon where one is to come, late where a busy machine may make one.
const STALL: Duration = Duration::from_millis(600);
const NO_STALL: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(10);
/// What a busy machine adds.
const SLACK: Duration = Duration::from_secs(1);
/// Longer than all cases of an operation take together. Who is not through by then hangs.
const HANG: Duration = Duration::from_secs(180);

/// Something on the emulator for each operation.
fn ids(nomic: &Nomic) -> Ids {
    let version = nomic.upload(Upload::from_bytes("a.txt", "Level: 3")).unwrap().file_version_id;
    let agent = nomic.wait(&nomic.launch_agent(&Launch::prompt("Go.")).unwrap()).unwrap();
    // Another user's: the client needs its own key.
    let user = nomic.users().nth(5).unwrap().unwrap().id;
    let keys = api_keys::Filter::default().user_id(user.clone()).include_revoked(true);
    Ids {
        parse: nomic.parse(&version).unwrap().task_id,
        extract: nomic.extract([&version], &json!({"type": "object"})).unwrap().task_id,
        artifact: agent.artifacts[0].id.clone(),
        agent: agent.id,
        key: nomic.api_keys_with(&keys).next().unwrap().unwrap().id,
        user,
        version,
    }
}

/// What has to come of a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// It is as if nothing had been.
    Success,
    /// Nobody knows whether it was done: a read is repeated, what acts is not.
    Doubt,
    /// It was refused for a while: everything is repeated.
    Later,
    /// It was refused for longer than there is time.
    TooLate,
    /// It is over, and was not done.
    Refused,
    /// It is over; what acts may have been done.
    Unread,
    /// As unread, but for what acts and has an answer of no certain shape: that is a success.
    Misshapen,
}

/// A fault, what has to come of it, and the error that tells of it.
type Row = (FaultKind, Expected, &'static str);

/// Those with which the server does nothing.
fn without_effect(elsewhere: &str) -> Vec<Row> {
    use Expected::{Doubt, Later, Refused, TooLate, Unread};
    let api = |status: u16| FaultKind::Api { status, error: "No.".into(), code: Some("no".into()) };
    let not_configured = FaultKind::Api { status: 503, error: "No.".into(), code: Some("not_configured".into()) };
    let limited = |delay: Option<&str>| FaultKind::RateLimited { retry_after: delay.map(str::to_owned) };
    let early = |close: bool| FaultKind::EarlyResponse { status: 413, after_bytes: 0, close };
    let mut rows = vec![
        (FaultKind::ResetAtOnce, Doubt, "broken"),
        (FaultKind::ResetBefore, Doubt, "broken"),
        (FaultKind::Stall(StallPhase::BeforeRead), Doubt, "stalled"),
        (FaultKind::Html(500), Doubt, "foreign 500"),
        (FaultKind::Html(502), Doubt, "foreign 502"),
        (FaultKind::Html(503), Doubt, "foreign 503"),
        (FaultKind::Html(504), Doubt, "foreign 504"),
        (FaultKind::Html(522), Doubt, "foreign 522"),
        (api(408), Doubt, "api 408"),
        (api(500), Doubt, "api 500"),
        (api(504), Doubt, "api 504"),
        (limited(Some("0.05")), Later, "api 429"),
        (limited(Some("60")), TooLate, "api 429"),
        (limited(None), Refused, "api 429"),
        (api(400), Refused, "api 400"),
        (api(401), Refused, "api 401"),
        (api(409), Refused, "api 409"),
        (api(413), Refused, "api 413"),
        (api(422), Refused, "api 422"),
        (api(501), Refused, "api 501"),
        (api(503), Unread, "api 503"),
        (not_configured, Refused, "api 503"),
        (early(true), Refused, "api 413"),
        (early(false), Refused, "api 413"),
        (FaultKind::Html(403), Refused, "foreign 403"),
        (FaultKind::Html(200), Unread, "foreign"),
    ];
    for location in ["/api/v0/projects", elsewhere] {
        for (status, expected, told) in [
            (301, Refused, "foreign 301"),
            (307, Refused, "foreign 307"),
            (308, Refused, "foreign 308"),
            // A server may answer so after it has acted.
            (302, Unread, "foreign 302"),
            (303, Unread, "foreign 303"),
        ] {
            rows.push((FaultKind::Redirect { status, location: location.to_owned() }, expected, told));
        }
    }
    rows
}

/// Those with which the server acts.
fn with_effect() -> Vec<Row> {
    use Expected::{Doubt, Misshapen, Success, Unread};
    let gateway = CannedResponse::new(502, "text/plain", "Bad gateway").after_executing().into();
    vec![
        (FaultKind::ResetAfter, Doubt, "broken"),
        (FaultKind::ResetInHead, Doubt, "broken"),
        (FaultKind::ResetInBody, Doubt, "broken"),
        (FaultKind::CloseInBody, Doubt, "broken"),
        (FaultKind::ContentLengthTooLong, Doubt, "broken"),
        (FaultKind::Stall(StallPhase::BeforeHead), Doubt, "stalled"),
        (FaultKind::Stall(StallPhase::InHead), Doubt, "stalled"),
        (FaultKind::Stall(StallPhase::InBody), Doubt, "stalled"),
        (gateway, Doubt, "foreign 502"),
        (FaultKind::MalformedJson, Unread, "garbled"),
        (FaultKind::TruncatedJson, Unread, "garbled"),
        (FaultKind::ContentLengthTooShort, Unread, "garbled"),
        (FaultKind::Oversized(1 << 20), Unread, "too large"),
        (FaultKind::GzipBomb(1 << 20), Unread, "too large"),
        (FaultKind::WrongTypes, Misshapen, "misshapen"),
        (FaultKind::Gzip, Success, ""),
        (FaultKind::Delay(Duration::from_millis(20)), Success, ""),
        (FaultKind::Drip { every: Duration::from_millis(1), bytes: 64 }, Success, ""),
        (FaultKind::Future, Success, ""),
        (FaultKind::UpperCaseStatus, Success, ""),
        (FaultKind::Bare, Success, ""),
        (FaultKind::Wrapped, Success, ""),
        (FaultKind::EmptyPage, Success, ""),
        (FaultKind::JobNeverEnds, Success, ""),
        (FaultKind::JobFails("No.".into()), Success, ""),
    ]
}

/// Operations whose answer's shape is a guess, so that any JSON is a success.
const ACKNOWLEDGED: [&str; 5] = ["delete_agent", "stop_agent", "disable_user", "enable_user", "revoke_api_key"];

/// The kind of an error, with its status unless that is one of success.
fn told(error: &Error) -> String {
    let kind = match error.kind() {
        ErrorKind::Api(_) => "api",
        ErrorKind::UnexpectedResponse(_) => "foreign",
        ErrorKind::Transport(error) if error.phase == TransportPhase::Connect => "unreachable",
        ErrorKind::Transport(error) if error.timed_out => "stalled",
        ErrorKind::Transport(_) => "broken",
        ErrorKind::Decode(error) if error.malformed => "garbled",
        ErrorKind::Decode(_) => "misshapen",
        ErrorKind::ResponseTooLarge { .. } => "too large",
        ErrorKind::Deadline(_) => "deadline",
        _ => "another",
    };
    match error.status() {
        Some(status) if status >= 300 => format!("{kind} {status}"),
        _ => kind.to_owned(),
    }
}

/// A host to which nothing must ever come. Nobody accepts there: what comes waits to be looked at.
struct Stranger(TcpListener);

impl Stranger {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn url(&self) -> String {
        format!("http://localhost:{}/api/v0/projects", self.0.local_addr().unwrap().port())
    }

    /// What has come.
    fn heard(&self) -> Option<String> {
        let (mut stream, _) = match self.0.accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            accepted => accepted.unwrap(),
        };
        stream.set_nonblocking(true).unwrap();
        let mut text = vec![0; 4096];
        let count = stream.read(&mut text).unwrap_or(0);
        Some(String::from_utf8_lossy(&text[..count]).into_owned())
    }
}

fn reads(operation: &Operation) -> bool {
    operation.method == Method::Get
}

fn emulator() -> Emulator {
    Emulator::builder().limits(Limits::off()).job_time(Duration::ZERO).start().unwrap()
}

fn builder(url: &str, emulator: &Emulator, stall: Duration, deadline: Duration) -> Builder {
    let builder = Nomic::builder(url, emulator.key()).pacing(false).response_limit(1 << 17);
    builder
        .connect_timeout(stall)
        .response_timeout(stall)
        .stall_timeout(stall)
        .deadline(deadline)
        .upload_deadline(deadline)
}

/// An operation on a server of its own.
struct Bench {
    operation: &'static Operation,
    emulator: Emulator,
    setup: Nomic,
    ids: Option<Ids>,
    wrong: Vec<String>,
    cases: usize,
}

impl Bench {
    fn new(operation: &'static Operation) -> Self {
        let emulator = emulator();
        let setup = Nomic::builder(emulator.url(), emulator.key()).pacing(false).build().unwrap();
        Self { operation, emulator, setup, ids: None, wrong: Vec::new(), cases: 0 }
    }

    /// Calls the operation; the outcome, how long it took, and how often it was received and accepted. That should be
    /// `due` times; a server that was left in the middle may still be at it.
    fn call(
        &mut self,
        nomic: &Nomic,
        kind: Option<(&FaultKind, u32)>,
        due: u64,
    ) -> (Result<(), Error>, Duration, u64, u64) {
        let (name, emulator) = (self.operation.name, &self.emulator);
        emulator.clear_faults();
        // What these do can be done only once.
        if matches!(name, "delete_agent" | "stop_agent" | "follow_up_agent") {
            self.ids = None;
        }
        let ids = self.ids.get_or_insert_with(|| ids(&self.setup));
        if name == "stop_agent" {
            // Only what has not ended can be stopped.
            emulator.fault(Fault::on("follow_up_agent", FaultKind::JobNeverEnds));
            self.setup.follow_up_agent(&ids.agent, "More.").unwrap();
        }
        let (received, accepted) = (emulator.received(name), emulator.accepted(name));
        if let Some((kind, times)) = kind {
            emulator.fault(Fault::on(name, kind.clone()).times(times));
        }
        let began = Instant::now();
        let outcome = call(nomic, name, ids).map(drop);
        let took = began.elapsed();
        while emulator.accepted(name) - accepted < due && began.elapsed() < DEADLINE {
            std::thread::sleep(Duration::from_millis(5));
        }
        (outcome, took, emulator.received(name) - received, emulator.accepted(name) - accepted)
    }

    /// Notes what does not hold of a case.
    fn check(&mut self, case: &str, outcome: &Result<(), Error>, claims: &[(bool, &str)]) {
        self.cases += 1;
        for (_, claim) in claims.iter().filter(|(holds, _)| !holds) {
            self.wrong.push(format!("{}, {case}: not so: {claim}: {outcome:?}", self.operation.name));
        }
    }

    fn fault(&mut self, row: &Row, acts: bool, attempts: u32, times: u32, stranger: &Stranger) {
        let (kind, expected, error) = row;
        let stall = if matches!(kind, FaultKind::Stall(_)) { STALL } else { NO_STALL };
        let nomic = builder(self.emulator.url(), &self.emulator, stall, DEADLINE).attempts(attempts).build().unwrap();
        let reads = reads(self.operation);
        let repeated = attempts > 1 && (*expected == Expected::Later || reads && *expected == Expected::Doubt);
        // How many requests the fault struck, and how many were left in peace.
        let (struck, spared) = match (repeated, times) {
            (true, 1) => (1, 1),
            (true, _) => (u64::from(attempts), 0),
            (false, _) => (1, 0),
        };
        // What strikes before a request is read strikes before it is counted.
        let unread = matches!(kind, FaultKind::ResetAtOnce | FaultKind::Stall(StallPhase::BeforeRead));
        let counted = if unread { 0 } else { struck };
        let done = if acts { struck } else { 0 };
        let (outcome, took, received, accepted) = self.call(&nomic, Some((kind, times)), done + spared);
        let heard = stranger.heard();

        let acknowledged = *expected == Expected::Misshapen && ACKNOWLEDGED.contains(&self.operation.name);
        let succeeds = *expected == Expected::Success || spared > 0 || acknowledged;
        let doubtful = matches!(expected, Expected::Doubt | Expected::Unread | Expected::Misshapen);
        let transient = match expected {
            Expected::Doubt | Expected::Later | Expected::TooLate => Some(true),
            Expected::Refused | Expected::Misshapen => Some(false),
            // Another server may answer next time.
            Expected::Unread | Expected::Success => None,
        };
        let mut claims = vec![
            (took < DEADLINE + SLACK, "it ends within the deadline"),
            (outcome.is_ok() == succeeds, if succeeds { "it succeeds" } else { "it fails" }),
            (received == counted + spared, "it is sent as often as it may be"),
            (accepted == done + spared, "it is done as often as the server lets it"),
            (reads || accepted <= 1, "it is executed at most once"),
            (heard.is_none(), "nothing goes to another host"),
        ];
        if let Err(failed) = &outcome {
            claims.extend([
                (told(failed) == *error, *error),
                ((failed.effect() != Effect::None) == (!reads && doubtful), "its fate is told"),
                (transient.is_none_or(|transient| failed.is_transient() == transient), "it is told whether time helps"),
                (!failed.to_string().contains('\n') && failed.operation() == Some(self.operation.name), "its line"),
            ]);
        }
        let case = format!(
            "{kind:?} {times} times, {attempts} attempts, {received} received, {accepted} accepted, {took:?}, another host heard {heard:?}"
        );
        self.check(&case, &outcome, &claims);
    }

    /// A server that is never done, and a deadline that comes before anything else.
    fn deadline(&mut self, kind: &FaultKind, acts: bool) {
        let deadline = Duration::from_secs(1);
        let nomic = builder(self.emulator.url(), &self.emulator, NO_STALL, deadline).build().unwrap();
        let (outcome, took, received, accepted) = self.call(&nomic, Some((kind, u32::MAX)), u64::from(acts));
        let failed = outcome.as_ref().err();
        let doubtful = failed.is_some_and(|error| error.effect() != Effect::None);
        let case = format!("{kind:?}, {received} received, {accepted} accepted, {took:?}");
        let claims = [
            (took >= deadline && took < deadline + SLACK, "it ends at the deadline"),
            (failed.is_some_and(|error| told(error) == "deadline"), "deadline"),
            (doubtful != reads(self.operation), "its fate is told"),
            (received <= 1 && accepted == u64::from(acts), "it is executed at most once"),
        ];
        self.check(&case, &outcome, &claims);
    }

    /// A server to which no request may ever come.
    fn unreached(&mut self, way: &Way, attempts: u32) {
        let stall = if way.lasting { NO_STALL } else { STALL };
        let mut nomic = builder(&way.url, &self.emulator, stall, DEADLINE).attempts(attempts);
        if let Some(roots) = way.roots {
            nomic = nomic.root_certificates(roots);
        }
        let (outcome, took, received, _) = self.call(&nomic.build().unwrap(), None, 0);
        let failed = outcome.as_ref().err();
        let tries = match failed.map(Error::kind) {
            Some(ErrorKind::Transport(error)) => error.attempts,
            _ => 0,
        };
        let case = format!("{}, {attempts} attempts, {tries} tries, {received} received, {took:?}", way.url);
        let claims = [
            (took < DEADLINE + SLACK, "it ends within the deadline"),
            (failed.is_some_and(|error| told(error) == "unreachable"), "unreachable"),
            (failed.is_some_and(|error| error.to_string().contains(way.words)), way.words),
            (tries == if way.lasting { 1 } else { attempts }, "it is tried as often as it may be"),
            (failed.is_some_and(|error| error.is_transient() != way.lasting), "it is told whether time helps"),
            (failed.is_some_and(|error| error.effect() == Effect::None), "its fate is told"),
            (received == 0, "no request comes to such a server"),
        ];
        self.check(&case, &outcome, &claims);
    }
}

/// How not to reach a server.
struct Way {
    url: String,
    roots: Option<&'static [u8]>,
    words: &'static str,
    lasting: bool,
}

/// Runs all operations side by side, most of which sleep most of the time; none may panic, none may hang. How many cases.
fn for_each_operation(run: fn(&mut Bench)) -> usize {
    let (sender, receiver) = mpsc::channel();
    for operation in operations::ALL {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut bench = Bench::new(operation);
            run(&mut bench);
            sender.send((bench.cases, bench.wrong)).unwrap();
        });
    }
    drop(sender);
    let (mut cases, mut wrong) = (0, Vec::new());
    for _ in operations::ALL {
        let (more, found) = receiver.recv_timeout(HANG).expect("nothing panics, nothing hangs");
        cases += more;
        wrong.extend(found);
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    cases
}

#[test]
fn every_operation_comes_through_every_fault_as_promised() {
    let cases = for_each_operation(|bench| {
        let stranger = Stranger::new();
        let idle = without_effect(&stranger.url()).into_iter().map(|row| (row, false));
        let mut rows: Vec<_> = idle.chain(with_effect().into_iter().map(|row| (row, true))).collect();
        // Each begins elsewhere, or all would be at the laborious ones at the same time.
        let place = operations::ALL.iter().position(|one| one.name == bench.operation.name).unwrap();
        let count = rows.len();
        rows.rotate_left(place * count / operations::ALL.len());
        for (row, acts) in &rows {
            // A refusal is waited out whatever the attempts are: for ever is for as long as the deadline.
            let for_ever = if row.1 == Expected::Later { 1 } else { u32::MAX };
            for (attempts, times) in [(1, 1), (3, 1), (2, for_ever)] {
                bench.fault(row, *acts, attempts, times, &stranger);
            }
        }
    });
    println!("{cases} cases");
}

#[test]
fn every_operation_ends_at_its_deadline_if_the_server_never_does() {
    let cases = for_each_operation(|bench| {
        bench.deadline(&FaultKind::Stall(StallPhase::BeforeRead), false);
        bench.deadline(&FaultKind::Stall(StallPhase::BeforeHead), true);
        bench.deadline(&FaultKind::Stall(StallPhase::InHead), true);
        bench.deadline(&FaultKind::Stall(StallPhase::InBody), true);
        bench.deadline(&FaultKind::Drip { every: Duration::from_millis(50), bytes: 1 }, true);
    });
    println!("{cases} cases");
}

#[test]
fn no_operation_comes_to_a_server_that_cannot_be_reached_or_trusted() {
    let cases = for_each_operation(|bench| {
        let certified = |certificate, host: &str, roots| Way {
            url: tls::before(&bench.emulator, certificate).https_url().replace("localhost", host),
            roots,
            words: "certificate not trusted: ",
            lasting: true,
        };
        let broken = |url: &str, words| Way { url: url.to_owned(), roots: None, words, lasting: false };
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let ways = [
            // Another name, an authority that nobody knows, one that has run out.
            certified(tls::SERVER, "127.0.0.1", Some(tls::AUTHORITY)),
            certified(tls::SERVER, "localhost", None),
            certified(tls::EXPIRED, "localhost", Some(tls::EXPIRED)),
            // A busy resolver may not find out in time that there is nothing.
            broken("https://no-such-host.invalid", "cannot connect to no-such-host.invalid: "),
            // A port that nobody is given by chance.
            broken("http://127.0.0.1:1", "connection refused"),
            broken(&format!("https://{}", silent.local_addr().unwrap()), "no connection within the connect timeout"),
        ];
        for way in &ways {
            for attempts in [1, 2] {
                bench.unreached(way, attempts);
            }
        }
    });
    println!("{cases} cases");
}
