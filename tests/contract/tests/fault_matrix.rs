//! Every operation under every fault: the outcome, how often the request was received and executed, and how long it took.
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

/// The stall timeout: short where a stall is expected, long where only a busy machine could cause one.
const STALL: Duration = Duration::from_millis(600);
const NO_STALL: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(10);
/// Tolerance for a busy machine.
const SLACK: Duration = Duration::from_secs(1);
/// Longer than all cases of one operation take. An operation that takes longer hangs.
const HANG: Duration = Duration::from_secs(180);

/// Creates a resource on the emulator for each operation.
fn ids(nomic: &Nomic) -> Ids {
    let version = nomic.upload(Upload::from_bytes("a.txt", "Level: 3")).unwrap().file_version_id;
    let agent = nomic.wait(&nomic.launch_agent(&Launch::prompt("Go.")).unwrap()).unwrap();
    // A key of another user: the client still needs its own.
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

/// The outcome that a fault must have.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// The call succeeds.
    Success,
    /// Effect unknown: a read is retried, a write is not.
    Unknown,
    /// Throttled for a short time: every request is retried.
    Throttled,
    /// Throttled until after the deadline.
    ThrottledTooLong,
    /// Fails without a retry; the request was not executed.
    Rejected,
    /// Fails without a retry; a write may have been executed.
    MaybeExecuted,
    /// Like `MaybeExecuted`, except for the [`ACKNOWLEDGED`] operations, which succeed.
    WrongShape,
}

/// A fault, its expected outcome, and the label of the expected error (see [`label`]).
type Row = (FaultKind, Expected, &'static str);

/// Faults that keep the server from executing the request.
fn without_effect(elsewhere: &str) -> Vec<Row> {
    use Expected::{MaybeExecuted, Rejected, Throttled, ThrottledTooLong, Unknown};
    let api = |status: u16| FaultKind::Api { status, error: "No.".into(), code: Some("no".into()) };
    let not_configured = FaultKind::Api { status: 503, error: "No.".into(), code: Some("not_configured".into()) };
    let limited = |delay: Option<&str>| FaultKind::RateLimited { retry_after: delay.map(str::to_owned) };
    let early = |close: bool| FaultKind::EarlyResponse { status: 413, after_bytes: 0, close };
    let mut rows = vec![
        (FaultKind::ResetAtOnce, Unknown, "transport"),
        (FaultKind::ResetBefore, Unknown, "transport"),
        (FaultKind::Stall(StallPhase::BeforeRead), Unknown, "stalled"),
        (FaultKind::Html(500), Unknown, "unexpected 500"),
        (FaultKind::Html(502), Unknown, "unexpected 502"),
        (FaultKind::Html(503), Unknown, "unexpected 503"),
        (FaultKind::Html(504), Unknown, "unexpected 504"),
        (FaultKind::Html(522), Unknown, "unexpected 522"),
        (api(408), Unknown, "api 408"),
        (api(500), Unknown, "api 500"),
        (api(504), Unknown, "api 504"),
        (limited(Some("0.05")), Throttled, "api 429"),
        (limited(Some("60")), ThrottledTooLong, "api 429"),
        (limited(None), Rejected, "api 429"),
        (api(400), Rejected, "api 400"),
        (api(401), Rejected, "api 401"),
        (api(409), Rejected, "api 409"),
        (api(413), Rejected, "api 413"),
        (api(422), Rejected, "api 422"),
        (api(501), Rejected, "api 501"),
        (api(503), MaybeExecuted, "api 503"),
        (not_configured, Rejected, "api 503"),
        (early(true), Rejected, "api 413"),
        (early(false), Rejected, "api 413"),
        (FaultKind::Html(403), Rejected, "unexpected 403"),
        (FaultKind::Html(200), MaybeExecuted, "unexpected"),
    ];
    for location in ["/api/v0/projects", elsewhere] {
        for (status, expected, label) in [
            (301, Rejected, "unexpected 301"),
            (307, Rejected, "unexpected 307"),
            (308, Rejected, "unexpected 308"),
            // A server may redirect with these after it has executed the request.
            (302, MaybeExecuted, "unexpected 302"),
            (303, MaybeExecuted, "unexpected 303"),
        ] {
            rows.push((FaultKind::Redirect { status, location: location.to_owned() }, expected, label));
        }
    }
    rows
}

/// Faults that occur after the server has executed the request, or that leave it alone.
fn with_effect() -> Vec<Row> {
    use Expected::{MaybeExecuted, Success, Unknown, WrongShape};
    let gateway = CannedResponse::new(502, "text/plain", "Bad gateway").after_executing().into();
    vec![
        (FaultKind::ResetAfter, Unknown, "transport"),
        (FaultKind::ResetInHead, Unknown, "transport"),
        (FaultKind::ResetInBody, Unknown, "transport"),
        (FaultKind::CloseInBody, Unknown, "transport"),
        (FaultKind::ContentLengthTooLong, Unknown, "transport"),
        (FaultKind::Stall(StallPhase::BeforeHead), Unknown, "stalled"),
        (FaultKind::Stall(StallPhase::InHead), Unknown, "stalled"),
        (FaultKind::Stall(StallPhase::InBody), Unknown, "stalled"),
        (gateway, Unknown, "unexpected 502"),
        (FaultKind::MalformedJson, MaybeExecuted, "malformed"),
        (FaultKind::TruncatedJson, MaybeExecuted, "malformed"),
        (FaultKind::ContentLengthTooShort, MaybeExecuted, "malformed"),
        (FaultKind::Oversized(1 << 20), MaybeExecuted, "too large"),
        (FaultKind::GzipBomb(1 << 20), MaybeExecuted, "too large"),
        (FaultKind::WrongTypes, WrongShape, "wrong shape"),
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

/// Operations whose response body is undocumented, so that any JSON counts as success.
const ACKNOWLEDGED: [&str; 5] = ["delete_agent", "stop_agent", "disable_user", "enable_user", "revoke_api_key"];

/// The kind of an error, with its status if that is 300 or more.
fn label(error: &Error) -> String {
    let kind = match error.kind() {
        ErrorKind::Api(_) => "api",
        ErrorKind::UnexpectedResponse(_) => "unexpected",
        ErrorKind::Transport(error) if error.phase == TransportPhase::Connect => "connect",
        ErrorKind::Transport(error) if error.timed_out => "stalled",
        ErrorKind::Transport(_) => "transport",
        ErrorKind::Decode(error) if error.malformed => "malformed",
        ErrorKind::Decode(_) => "wrong shape",
        ErrorKind::ResponseTooLarge { .. } => "too large",
        ErrorKind::Deadline(_) => "deadline",
        _ => "another",
    };
    match error.status() {
        Some(status) if status >= 300 => format!("{kind} {status}"),
        _ => kind.to_owned(),
    }
}

/// A host that must never receive a request. Connections wait in the accept queue until `received` looks at them.
struct OtherHost(TcpListener);

impl OtherHost {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn url(&self) -> String {
        format!("http://localhost:{}/api/v0/projects", self.0.local_addr().unwrap().port())
    }

    /// The beginning of a request that has arrived, if any.
    fn received(&self) -> Option<String> {
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

/// One operation, with an emulator to run it against.
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

    /// Calls the operation. Returns the outcome, the elapsed time, and how often the request was received and accepted.
    /// Waits until it was accepted `due` times: the emulator may still be executing a request that the client has abandoned.
    fn call(
        &mut self,
        nomic: &Nomic,
        kind: Option<(&FaultKind, u32)>,
        due: u64,
    ) -> (Result<(), Error>, Duration, u64, u64) {
        let (name, emulator) = (self.operation.name, &self.emulator);
        emulator.clear_faults();
        // These work only once on the same agent.
        if matches!(name, "delete_agent" | "stop_agent" | "follow_up_agent") {
            self.ids = None;
        }
        let ids = self.ids.get_or_insert_with(|| ids(&self.setup));
        if name == "stop_agent" {
            // Only a running agent can be stopped.
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

    /// Records the claims that do not hold for a case.
    fn check(&mut self, case: &str, outcome: &Result<(), Error>, claims: &[(bool, &str)]) {
        self.cases += 1;
        for (_, claim) in claims.iter().filter(|(holds, _)| !holds) {
            self.wrong.push(format!("{}, {case}: claim failed: {claim}: {outcome:?}", self.operation.name));
        }
    }

    /// Runs the operation under one fault; `executes` says whether the server executes the request all the same.
    fn fault(&mut self, row: &Row, executes: bool, attempts: u32, times: u32, other_host: &OtherHost) {
        let (kind, expected, error) = row;
        let stall = if matches!(kind, FaultKind::Stall(_)) { STALL } else { NO_STALL };
        let nomic = builder(self.emulator.url(), &self.emulator, stall, DEADLINE).attempts(attempts).build().unwrap();
        let reads = reads(self.operation);
        let retried = attempts > 1 && (*expected == Expected::Throttled || reads && *expected == Expected::Unknown);
        // How many requests the fault hit, and how many it did not.
        let (hit, spared) = match (retried, times) {
            (true, 1) => (1, 1),
            (true, _) => (u64::from(attempts), 0),
            (false, _) => (1, 0),
        };
        // These faults occur before the emulator counts the request.
        let uncounted = matches!(kind, FaultKind::ResetAtOnce | FaultKind::Stall(StallPhase::BeforeRead));
        let counted = if uncounted { 0 } else { hit };
        let executed = if executes { hit } else { 0 };
        let (outcome, took, received, accepted) = self.call(&nomic, Some((kind, times)), executed + spared);
        let leaked = other_host.received();

        let acknowledged = *expected == Expected::WrongShape && ACKNOWLEDGED.contains(&self.operation.name);
        let succeeds = *expected == Expected::Success || spared > 0 || acknowledged;
        let effect_unknown = matches!(expected, Expected::Unknown | Expected::MaybeExecuted | Expected::WrongShape);
        let transient = match expected {
            Expected::Unknown | Expected::Throttled | Expected::ThrottledTooLong => Some(true),
            Expected::Rejected | Expected::WrongShape => Some(false),
            // Another server may answer next time.
            Expected::MaybeExecuted | Expected::Success => None,
        };
        let mut claims = vec![
            (took < DEADLINE + SLACK, "it ends by the deadline"),
            (outcome.is_ok() == succeeds, if succeeds { "it succeeds" } else { "it fails" }),
            (received == counted + spared, "the number of requests is right"),
            (accepted == executed + spared, "the number of executions is right"),
            (reads || accepted <= 1, "a write is executed at most once"),
            (leaked.is_none(), "nothing goes to another host"),
        ];
        if let Err(failed) = &outcome {
            claims.extend([
                (label(failed) == *error, *error),
                ((failed.effect() != Effect::None) == (!reads && effect_unknown), "the effect is right"),
                (transient.is_none_or(|transient| failed.is_transient() == transient), "is_transient is right"),
                (
                    !failed.to_string().contains('\n') && failed.operation() == Some(self.operation.name),
                    "the message is one line and names the operation",
                ),
            ]);
        }
        let case = format!(
            "{kind:?} {times} times, {attempts} attempts, {received} received, {accepted} accepted, {took:?}, another host received {leaked:?}"
        );
        self.check(&case, &outcome, &claims);
    }

    /// A server that never finishes; the deadline passes before any other timeout.
    fn deadline(&mut self, kind: &FaultKind, executes: bool) {
        let deadline = Duration::from_secs(1);
        let nomic = builder(self.emulator.url(), &self.emulator, NO_STALL, deadline).build().unwrap();
        let (outcome, took, received, accepted) = self.call(&nomic, Some((kind, u32::MAX)), u64::from(executes));
        let failed = outcome.as_ref().err();
        let effect_unknown = failed.is_some_and(|error| error.effect() != Effect::None);
        let case = format!("{kind:?}, {received} received, {accepted} accepted, {took:?}");
        let claims = [
            (took >= deadline && took < deadline + SLACK, "it ends at the deadline"),
            (failed.is_some_and(|error| label(error) == "deadline"), "deadline"),
            (effect_unknown != reads(self.operation), "the effect is right"),
            (received <= 1 && accepted == u64::from(executes), "a write is executed at most once"),
        ];
        self.check(&case, &outcome, &claims);
    }

    /// A server that no request may reach.
    fn unreachable(&mut self, target: &Target, attempts: u32) {
        let stall = if target.permanent { NO_STALL } else { STALL };
        let mut nomic = builder(&target.url, &self.emulator, stall, DEADLINE).attempts(attempts);
        if let Some(roots) = target.roots {
            nomic = nomic.root_certificates(roots);
        }
        let (outcome, took, received, _) = self.call(&nomic.build().unwrap(), None, 0);
        let failed = outcome.as_ref().err();
        let made = match failed.map(Error::kind) {
            Some(ErrorKind::Transport(error)) => error.attempts,
            _ => 0,
        };
        let case = format!("{}, {attempts} attempts, {made} made, {received} received, {took:?}", target.url);
        let claims = [
            (took < DEADLINE + SLACK, "it ends by the deadline"),
            (failed.is_some_and(|error| label(error) == "connect"), "connect"),
            (failed.is_some_and(|error| error.to_string().contains(target.message)), target.message),
            (made == if target.permanent { 1 } else { attempts }, "the number of attempts is right"),
            (failed.is_some_and(|error| error.is_transient() != target.permanent), "is_transient is right"),
            (failed.is_some_and(|error| error.effect() == Effect::None), "the effect is right"),
            (received == 0, "no request is received"),
        ];
        self.check(&case, &outcome, &claims);
    }
}

/// A server that cannot be reached or trusted.
struct Target {
    url: String,
    roots: Option<&'static [u8]>,
    message: &'static str,
    permanent: bool,
}

/// Runs all operations in parallel; most of them sleep most of the time. None may panic or hang. Returns the number of cases.
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
        let (count, failures) = receiver.recv_timeout(HANG).expect("no operation panics or hangs");
        cases += count;
        wrong.extend(failures);
    }
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n"));
    cases
}

#[test]
fn every_operation_comes_through_every_fault_as_promised() {
    let cases = for_each_operation(|bench| {
        let other_host = OtherHost::new();
        let not_executed = without_effect(&other_host.url()).into_iter().map(|row| (row, false));
        let mut rows: Vec<_> = not_executed.chain(with_effect().into_iter().map(|row| (row, true))).collect();
        // Each operation starts with a different fault, so that the expensive ones do not run at the same time.
        let index = operations::ALL.iter().position(|one| one.name == bench.operation.name).unwrap();
        let count = rows.len();
        rows.rotate_left(index * count / operations::ALL.len());
        for (row, executes) in &rows {
            // A throttled request is retried until the deadline, whatever `attempts` says.
            let always = if row.1 == Expected::Throttled { 1 } else { u32::MAX };
            for (attempts, times) in [(1, 1), (3, 1), (2, always)] {
                bench.fault(row, *executes, attempts, times, &other_host);
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
        let certified = |certificate, host: &str, roots| Target {
            url: tls::before(&bench.emulator, certificate).https_url().replace("localhost", host),
            roots,
            message: "certificate not trusted: ",
            permanent: true,
        };
        let failing = |url: &str, message| Target { url: url.to_owned(), roots: None, message, permanent: false };
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let targets = [
            // The wrong name, an unknown issuer, an expired certificate.
            certified(tls::SERVER, "127.0.0.1", Some(tls::AUTHORITY)),
            certified(tls::SERVER, "localhost", None),
            certified(tls::EXPIRED, "localhost", Some(tls::EXPIRED)),
            // A busy resolver may time out before it reports that the name does not exist.
            failing("https://no-such-host.invalid", "cannot connect to no-such-host.invalid: "),
            // Port 1 is never assigned to a listener by chance.
            failing("http://127.0.0.1:1", "connection refused"),
            failing(&format!("https://{}", silent.local_addr().unwrap()), "no connection within the connect timeout"),
        ];
        for target in &targets {
            for attempts in [1, 2] {
                bench.unreachable(target, attempts);
            }
        }
    });
    println!("{cases} cases");
}
