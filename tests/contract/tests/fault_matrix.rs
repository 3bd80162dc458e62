//! Every operation under every fault: the kind of the outcome, how often it was received and executed, and how long it took.
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

/// The stall timeout: short if the fault is a stall, long if only a busy machine could cause one.
const STALL: Duration = Duration::from_millis(600);
const NO_STALL: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(10);
/// The delay that a busy machine may add.
const SLACK: Duration = Duration::from_secs(1);
/// Longer than all cases of an operation take together: an operation that takes longer hangs.
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

/// The outcome that a fault must have.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// The call succeeds.
    Success,
    /// The effect is unknown: a read is sent again, a write is not.
    UnknownEffect,
    /// Throttled: reads and writes are sent again.
    Throttled,
    /// Throttled for longer than the deadline.
    ThrottledTooLong,
    /// An error; nothing was executed.
    Rejected,
    /// An error; a write may have been executed.
    Unreadable,
    /// As `Unreadable`, but a success for the writes in `ACKNOWLEDGED`.
    WrongTypes,
}

/// A fault, its expected outcome, and the kind of the error.
type Row = (FaultKind, Expected, &'static str);

/// Faults with which the server executes nothing.
fn without_effect(elsewhere: &str) -> Vec<Row> {
    use Expected::{Rejected, Throttled, ThrottledTooLong, UnknownEffect, Unreadable};
    let api = |status: u16| FaultKind::Api { status, error: "No.".into(), code: Some("no".into()) };
    let not_configured = FaultKind::Api { status: 503, error: "No.".into(), code: Some("not_configured".into()) };
    let limited = |delay: Option<&str>| FaultKind::RateLimited { retry_after: delay.map(str::to_owned) };
    let early = |close: bool| FaultKind::EarlyResponse { status: 413, after_bytes: 0, close };
    let mut rows = vec![
        (FaultKind::ResetAtOnce, UnknownEffect, "broken"),
        (FaultKind::ResetBefore, UnknownEffect, "broken"),
        (FaultKind::Stall(StallPhase::BeforeRead), UnknownEffect, "stalled"),
        (FaultKind::Html(500), UnknownEffect, "unexpected 500"),
        (FaultKind::Html(502), UnknownEffect, "unexpected 502"),
        (FaultKind::Html(503), UnknownEffect, "unexpected 503"),
        (FaultKind::Html(504), UnknownEffect, "unexpected 504"),
        (FaultKind::Html(522), UnknownEffect, "unexpected 522"),
        (api(408), UnknownEffect, "api 408"),
        (api(500), UnknownEffect, "api 500"),
        (api(504), UnknownEffect, "api 504"),
        (limited(Some("0.05")), Throttled, "api 429"),
        (limited(Some("60")), ThrottledTooLong, "api 429"),
        (limited(None), Rejected, "api 429"),
        (api(400), Rejected, "api 400"),
        (api(401), Rejected, "api 401"),
        (api(409), Rejected, "api 409"),
        (api(413), Rejected, "api 413"),
        (api(422), Rejected, "api 422"),
        (api(501), Rejected, "api 501"),
        (api(503), Unreadable, "api 503"),
        (not_configured, Rejected, "api 503"),
        (early(true), Rejected, "api 413"),
        (early(false), Rejected, "api 413"),
        (FaultKind::Html(403), Rejected, "unexpected 403"),
        (FaultKind::Html(200), Unreadable, "unexpected"),
    ];
    for location in ["/api/v0/projects", elsewhere] {
        for (status, expected, kind) in [
            (301, Rejected, "unexpected 301"),
            (307, Rejected, "unexpected 307"),
            (308, Rejected, "unexpected 308"),
            // A server may send these after it executed the request.
            (302, Unreadable, "unexpected 302"),
            (303, Unreadable, "unexpected 303"),
        ] {
            rows.push((FaultKind::Redirect { status, location: location.to_owned() }, expected, kind));
        }
    }
    rows
}

/// Faults with which the server executes the request.
fn with_effect() -> Vec<Row> {
    use Expected::{Success, UnknownEffect, Unreadable, WrongTypes};
    let gateway = CannedResponse::new(502, "text/plain", "Bad gateway").after_executing().into();
    vec![
        (FaultKind::ResetAfter, UnknownEffect, "broken"),
        (FaultKind::ResetInHead, UnknownEffect, "broken"),
        (FaultKind::ResetInBody, UnknownEffect, "broken"),
        (FaultKind::CloseInBody, UnknownEffect, "broken"),
        (FaultKind::ContentLengthTooLong, UnknownEffect, "broken"),
        (FaultKind::Stall(StallPhase::BeforeHead), UnknownEffect, "stalled"),
        (FaultKind::Stall(StallPhase::InHead), UnknownEffect, "stalled"),
        (FaultKind::Stall(StallPhase::InBody), UnknownEffect, "stalled"),
        (gateway, UnknownEffect, "unexpected 502"),
        (FaultKind::MalformedJson, Unreadable, "malformed"),
        (FaultKind::TruncatedJson, Unreadable, "malformed"),
        (FaultKind::ContentLengthTooShort, Unreadable, "malformed"),
        (FaultKind::Oversized(1 << 20), Unreadable, "too large"),
        (FaultKind::GzipBomb(1 << 20), Unreadable, "too large"),
        (FaultKind::WrongTypes, WrongTypes, "wrong types"),
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

/// Writes whose response is not documented, so that any JSON is a success.
const ACKNOWLEDGED: [&str; 5] = ["delete_agent", "stop_agent", "disable_user", "enable_user", "revoke_api_key"];

/// The kind of an error, and its status unless it is 2xx.
fn kind_of(error: &Error) -> String {
    let kind = match error.kind() {
        ErrorKind::Api(_) => "api",
        ErrorKind::UnexpectedResponse(_) => "unexpected",
        ErrorKind::Transport(error) if error.phase == TransportPhase::Connect => "unreachable",
        ErrorKind::Transport(error) if error.timed_out => "stalled",
        ErrorKind::Transport(_) => "broken",
        ErrorKind::Decode(error) if error.malformed => "malformed",
        ErrorKind::Decode(_) => "wrong types",
        ErrorKind::ResponseTooLarge { .. } => "too large",
        ErrorKind::Deadline(_) => "deadline",
        _ => "another",
    };
    match error.status() {
        Some(status) if status >= 300 => format!("{kind} {status}"),
        _ => kind.to_owned(),
    }
}

/// A host that must receive nothing. A connection to it waits in the queue of its listener.
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

    /// What a client has sent.
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

/// The cases of an operation, on an emulator of its own.
struct OperationTest {
    operation: &'static Operation,
    emulator: Emulator,
    setup: Nomic,
    ids: Option<Ids>,
    wrong: Vec<String>,
    cases: usize,
}

impl OperationTest {
    fn new(operation: &'static Operation) -> Self {
        let emulator = emulator();
        let setup = Nomic::builder(emulator.url(), emulator.key()).pacing(false).build().unwrap();
        Self { operation, emulator, setup, ids: None, wrong: Vec::new(), cases: 0 }
    }

    /// Calls the operation. Returns the outcome, how long it took, and how often it was received and accepted. Waits until
    /// it was accepted `due` times: the server may still execute a request whose client has left.
    fn call(
        &mut self,
        nomic: &Nomic,
        kind: Option<(&FaultKind, u32)>,
        due: u64,
    ) -> (Result<(), Error>, Duration, u64, u64) {
        let (name, emulator) = (self.operation.name, &self.emulator);
        emulator.clear_faults();
        // These can be executed once only.
        if matches!(name, "delete_agent" | "stop_agent" | "follow_up_agent") {
            self.ids = None;
        }
        let ids = self.ids.get_or_insert_with(|| ids(&self.setup));
        if name == "stop_agent" {
            // Only an agent that has not ended can be stopped.
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

    /// Records the claims that do not hold in a case.
    fn check(&mut self, case: &str, outcome: &Result<(), Error>, claims: &[(bool, &str)]) {
        self.cases += 1;
        for (_, claim) in claims.iter().filter(|(holds, _)| !holds) {
            self.wrong.push(format!("{}, {case}: false: {claim}: {outcome:?}", self.operation.name));
        }
    }

    fn fault(&mut self, row: &Row, executes: bool, attempts: u32, times: u32, other_host: &OtherHost) {
        let (kind, expected, error) = row;
        let stall = if matches!(kind, FaultKind::Stall(_)) { STALL } else { NO_STALL };
        let nomic = builder(self.emulator.url(), &self.emulator, stall, DEADLINE).attempts(attempts).build().unwrap();
        let reads = reads(self.operation);
        let repeated =
            attempts > 1 && (*expected == Expected::Throttled || reads && *expected == Expected::UnknownEffect);
        // How many requests the fault hits, and how many it does not.
        let (hit, unhit) = match (repeated, times) {
            (true, 1) => (1, 1),
            (true, _) => (u64::from(attempts), 0),
            (false, _) => (1, 0),
        };
        // These faults hit before a request is read, and so before it is counted.
        let unread = matches!(kind, FaultKind::ResetAtOnce | FaultKind::Stall(StallPhase::BeforeRead));
        let counted = if unread { 0 } else { hit };
        let done = if executes { hit } else { 0 };
        let (outcome, took, received, accepted) = self.call(&nomic, Some((kind, times)), done + unhit);
        let received_elsewhere = other_host.received();

        let acknowledged = *expected == Expected::WrongTypes && ACKNOWLEDGED.contains(&self.operation.name);
        let succeeds = *expected == Expected::Success || unhit > 0 || acknowledged;
        let effect_unknown = matches!(expected, Expected::UnknownEffect | Expected::Unreadable | Expected::WrongTypes);
        let transient = match expected {
            Expected::UnknownEffect | Expected::Throttled | Expected::ThrottledTooLong => Some(true),
            Expected::Rejected | Expected::WrongTypes => Some(false),
            // Another server may answer next time.
            Expected::Unreadable | Expected::Success => None,
        };
        let mut claims = vec![
            (took < DEADLINE + SLACK, "it ends within the deadline"),
            (outcome.is_ok() == succeeds, if succeeds { "it succeeds" } else { "it fails" }),
            (received == counted + unhit, "it is sent as often as it may be"),
            (accepted == done + unhit, "it is executed as often as the server allows"),
            (reads || accepted <= 1, "it is executed at most once"),
            (received_elsewhere.is_none(), "nothing goes to another host"),
        ];
        if let Err(failed) = &outcome {
            claims.extend([
                (kind_of(failed) == *error, *error),
                ((failed.effect() != Effect::None) == (!reads && effect_unknown), "the effect is reported"),
                (
                    transient.is_none_or(|transient| failed.is_transient() == transient),
                    "it is reported whether the error is transient",
                ),
                (
                    !failed.to_string().contains('\n') && failed.operation() == Some(self.operation.name),
                    "the error is one line and names the operation",
                ),
            ]);
        }
        let case = format!(
            "{kind:?} {times} times, {attempts} attempts, {received} received, {accepted} accepted, {took:?}, another host received {received_elsewhere:?}"
        );
        self.check(&case, &outcome, &claims);
    }

    /// A server that never finishes, and a deadline that ends the call.
    fn deadline(&mut self, kind: &FaultKind, executes: bool) {
        let deadline = Duration::from_secs(1);
        let nomic = builder(self.emulator.url(), &self.emulator, NO_STALL, deadline).build().unwrap();
        let (outcome, took, received, accepted) = self.call(&nomic, Some((kind, u32::MAX)), u64::from(executes));
        let failed = outcome.as_ref().err();
        let effect_unknown = failed.is_some_and(|error| error.effect() != Effect::None);
        let case = format!("{kind:?}, {received} received, {accepted} accepted, {took:?}");
        let claims = [
            (took >= deadline && took < deadline + SLACK, "it ends at the deadline"),
            (failed.is_some_and(|error| kind_of(error) == "deadline"), "deadline"),
            (effect_unknown != reads(self.operation), "the effect is reported"),
            (received <= 1 && accepted == u64::from(executes), "it is executed at most once"),
        ];
        self.check(&case, &outcome, &claims);
    }

    /// A server that must receive no request.
    fn unreached(&mut self, server: &BadServer, attempts: u32) {
        let stall = if server.permanent { NO_STALL } else { STALL };
        let mut nomic = builder(&server.url, &self.emulator, stall, DEADLINE).attempts(attempts);
        if let Some(roots) = server.roots {
            nomic = nomic.root_certificates(roots);
        }
        let (outcome, took, received, _) = self.call(&nomic.build().unwrap(), None, 0);
        let failed = outcome.as_ref().err();
        let tries = match failed.map(Error::kind) {
            Some(ErrorKind::Transport(error)) => error.attempts,
            _ => 0,
        };
        let case = format!("{}, {attempts} attempts, {tries} tries, {received} received, {took:?}", server.url);
        let claims = [
            (took < DEADLINE + SLACK, "it ends within the deadline"),
            (failed.is_some_and(|error| kind_of(error) == "unreachable"), "unreachable"),
            (failed.is_some_and(|error| error.to_string().contains(server.message)), server.message),
            (tries == if server.permanent { 1 } else { attempts }, "it is tried as often as it may be"),
            (
                failed.is_some_and(|error| error.is_transient() != server.permanent),
                "it is reported whether the error is transient",
            ),
            (failed.is_some_and(|error| error.effect() == Effect::None), "the effect is reported"),
            (received == 0, "no request comes to such a server"),
        ];
        self.check(&case, &outcome, &claims);
    }
}

/// A server that cannot be reached or trusted.
struct BadServer {
    url: String,
    roots: Option<&'static [u8]>,
    message: &'static str,
    permanent: bool,
}

/// Runs all operations in parallel, since most sleep most of the time; none may panic or hang. Returns the number of cases.
fn for_each_operation(run: fn(&mut OperationTest)) -> usize {
    let (sender, receiver) = mpsc::channel();
    for operation in operations::ALL {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut test = OperationTest::new(operation);
            run(&mut test);
            sender.send((test.cases, test.wrong)).unwrap();
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
    let cases = for_each_operation(|test| {
        let other_host = OtherHost::new();
        let idle = without_effect(&other_host.url()).into_iter().map(|row| (row, false));
        let mut rows: Vec<_> = idle.chain(with_effect().into_iter().map(|row| (row, true))).collect();
        // Each operation begins at another fault, so that the expensive faults do not coincide.
        let index = operations::ALL.iter().position(|one| one.name == test.operation.name).unwrap();
        let count = rows.len();
        rows.rotate_left(index * count / operations::ALL.len());
        for (row, executes) in &rows {
            // A throttled request is sent again until the deadline, whatever the attempts are.
            let for_ever = if row.1 == Expected::Throttled { 1 } else { u32::MAX };
            for (attempts, times) in [(1, 1), (3, 1), (2, for_ever)] {
                test.fault(row, *executes, attempts, times, &other_host);
            }
        }
    });
    println!("{cases} cases");
}

#[test]
fn every_operation_ends_at_its_deadline_if_the_server_never_does() {
    let cases = for_each_operation(|test| {
        test.deadline(&FaultKind::Stall(StallPhase::BeforeRead), false);
        test.deadline(&FaultKind::Stall(StallPhase::BeforeHead), true);
        test.deadline(&FaultKind::Stall(StallPhase::InHead), true);
        test.deadline(&FaultKind::Stall(StallPhase::InBody), true);
        test.deadline(&FaultKind::Drip { every: Duration::from_millis(50), bytes: 1 }, true);
    });
    println!("{cases} cases");
}

#[test]
fn no_operation_comes_to_a_server_that_cannot_be_reached_or_trusted() {
    let cases = for_each_operation(|test| {
        let certified = |certificate, host: &str, roots| BadServer {
            url: tls::before(&test.emulator, certificate).https_url().replace("localhost", host),
            roots,
            message: "certificate not trusted: ",
            permanent: true,
        };
        let broken = |url: &str, message| BadServer { url: url.to_owned(), roots: None, message, permanent: false };
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let servers = [
            // Another name, an unknown authority, an expired certificate.
            certified(tls::SERVER, "127.0.0.1", Some(tls::AUTHORITY)),
            certified(tls::SERVER, "localhost", None),
            certified(tls::EXPIRED, "localhost", Some(tls::EXPIRED)),
            // A busy resolver may not find out in time that the name does not exist.
            broken("https://no-such-host.invalid", "cannot connect to no-such-host.invalid: "),
            // A port that no listener is given by chance.
            broken("http://127.0.0.1:1", "connection refused"),
            broken(&format!("https://{}", silent.local_addr().unwrap()), "no connection within the connect timeout"),
        ];
        for server in &servers {
            for attempts in [1, 2] {
                test.unreached(server, attempts);
            }
        }
    });
    println!("{cases} cases");
}
