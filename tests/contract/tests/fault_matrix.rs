//! Every operation under every fault: the kind of the outcome, how often the server was asked, and how long it took.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

use std::time::{Duration, Instant};

use nomic_client::agents::{Filter, Launch};
use nomic_client::files::{Search, Upload};
use nomic_client::{
    AgentId, ApiKeyId, ArtifactId, Error, FileVersionId, Nomic, Poll, TaskId, UserId, analytics, api_keys, audit_logs,
    codes, extract, operations, parse, users,
};
use nomic_emulator::{Emulator, Fault, FaultKind, Limits, StallPhase};
use serde_json::json;

const STALL: Duration = Duration::from_millis(600);
const DEADLINE: Duration = Duration::from_secs(3);

/// What there is to call an operation on, made anew for each case.
struct Fixture {
    version: FileVersionId,
    parse: TaskId,
    extract: TaskId,
    agent: AgentId,
    artifact: ArtifactId,
    user: UserId,
    key: ApiKeyId,
}

impl Fixture {
    fn new(nomic: &Nomic) -> Self {
        let file = nomic.upload(Upload::from_bytes("a.txt", "Level: 3")).unwrap();
        let version = file.file_version_id;
        let schema = json!({"type": "object"});
        let agent = nomic.wait(&nomic.launch_agent(&Launch::prompt("Go.")).unwrap()).unwrap();
        // Somebody else's: the own key is needed.
        let user = nomic.users(&users::Filter::default()).nth(5).unwrap().unwrap().id;
        let keys = api_keys::Filter { user_id: Some(user.clone()), include_revoked: true };
        Self {
            parse: nomic.parse(&version, &parse::Options::default()).unwrap().task_id,
            extract: nomic
                .extract(std::slice::from_ref(&version), &schema, &extract::Options::default())
                .unwrap()
                .task_id,
            artifact: agent.artifacts[0].id.clone(),
            agent: agent.id,
            key: nomic.api_keys(&keys).next().unwrap().unwrap().id,
            user,
            version,
        }
    }

    fn call(&self, nomic: &Nomic, operation: &str) -> Result<(), Error> {
        fn asked<T>(poll: Poll<T>) {
            assert!(matches!(poll, Poll::Done(_) | Poll::Pending { .. }));
        }
        match operation {
            "upload_file" => nomic.upload(Upload::from_bytes("b.txt", vec![b'x'; 300_000])).map(drop),
            "search_files" => nomic.search_files("a", &Search::default()).pages().next().unwrap().map(drop),
            "submit_parse" => nomic.parse(&self.version, &parse::Options::default()).map(drop),
            "get_parse" => nomic.poll(&nomic.parse_job(self.parse.clone())).map(asked),
            "submit_extract" => {
                nomic.extract(std::slice::from_ref(&self.version), &json!({}), &extract::Options::default()).map(drop)
            }
            "get_extract" => nomic.poll(&nomic.extract_job(self.extract.clone())).map(asked),
            "search_codes" => nomic.search_codes("door", "texas", "building", &codes::Options::default()).map(drop),
            "launch_agent" => nomic.launch_agent(&Launch::prompt("Go.")).map(drop),
            "list_agents" => nomic.agents(&Filter::default()).pages().next().unwrap().map(drop),
            "get_agent" => nomic.agent(&self.agent).map(drop),
            "delete_agent" => nomic.delete_agent(&self.agent).map(drop),
            "follow_up_agent" => nomic.follow_up_agent(&self.agent, "More.").map(drop),
            "stop_agent" => nomic.stop_agent(&self.agent).map(drop),
            "get_agent_conversation" => nomic.conversation(&self.agent).map(drop),
            "list_artifacts" => nomic.artifacts(&self.agent).pages().next().unwrap().map(drop),
            "get_artifact" => nomic.artifact(&self.agent, &self.artifact).map(drop),
            "list_workflows" => nomic.workflows().pages().next().unwrap().map(drop),
            "list_projects" => nomic.projects().pages().next().unwrap().map(drop),
            "list_users" => nomic.users(&users::Filter::default()).pages().next().unwrap().map(drop),
            "get_user" => nomic.user(&self.user).map(drop),
            "disable_user" => nomic.disable_user(&self.user, Some("test")).map(drop),
            "enable_user" => nomic.enable_user(&self.user).map(drop),
            "list_api_keys" => nomic.api_keys(&api_keys::Filter::default()).pages().next().unwrap().map(drop),
            "revoke_api_key" => nomic.revoke_api_key(&self.key).map(drop),
            "list_audit_logs" => nomic.audit_logs(&audit_logs::Filter::default()).pages().next().unwrap().map(drop),
            "list_user_analytics" => {
                nomic.user_analytics(&analytics::Filter::default()).pages().next().unwrap().map(drop)
            }
            other => panic!("nothing calls {other}"),
        }
    }
}

/// What has to come of a fault that strikes once.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// It is as if nothing had been.
    Success,
    /// Nobody knows whether it was done: a read is repeated, what acts is not.
    Doubt,
    /// It was refused for a while: everything is repeated.
    Later,
    /// It is over, and was not done.
    Refused,
    /// It is over; what acts may have been done.
    Unread,
    /// As unread, but for what acts and has an answer of no certain shape: that is a success.
    Misshapen,
}

fn faults() -> Vec<(FaultKind, Expected)> {
    use Expected::{Doubt, Later, Misshapen, Refused, Success, Unread};
    let api = |status: u16| FaultKind::Api { status, error: "No.".into(), code: Some("no".into()) };
    let limited = |delay: Option<&str>| FaultKind::RateLimited { retry_after: delay.map(str::to_owned) };
    vec![
        (FaultKind::ResetAtOnce, Doubt),
        (FaultKind::ResetBefore, Doubt),
        (FaultKind::ResetAfter, Doubt),
        (FaultKind::ResetInHead, Doubt),
        (FaultKind::ResetInBody, Doubt),
        (FaultKind::CloseInBody, Doubt),
        (FaultKind::ContentLengthTooLong, Doubt),
        (FaultKind::Stall(StallPhase::BeforeRead), Doubt),
        (FaultKind::Stall(StallPhase::BeforeHead), Doubt),
        (FaultKind::Stall(StallPhase::InHead), Doubt),
        (FaultKind::Stall(StallPhase::InBody), Doubt),
        (FaultKind::Html(500), Doubt),
        (FaultKind::Html(502), Doubt),
        (FaultKind::Html(503), Doubt),
        (FaultKind::Html(504), Doubt),
        (FaultKind::Html(522), Doubt),
        (api(408), Doubt),
        (api(500), Doubt),
        (api(504), Doubt),
        (limited(Some("0.05")), Later),
        (limited(None), Refused),
        (api(400), Refused),
        (api(401), Refused),
        (api(409), Refused),
        (api(413), Refused),
        (api(422), Refused),
        (api(501), Refused),
        (api(503), Refused),
        (FaultKind::Html(403), Refused),
        (FaultKind::Redirect { status: 301, location: "http://127.0.0.1:9/".into() }, Refused),
        (FaultKind::Redirect { status: 307, location: "/elsewhere".into() }, Refused),
        // A server may answer so after it has acted.
        (FaultKind::Redirect { status: 303, location: "/elsewhere".into() }, Unread),
        (FaultKind::Html(200), Unread),
        (FaultKind::MalformedJson, Unread),
        (FaultKind::Oversized(1 << 24), Unread),
        (FaultKind::GzipBomb(1 << 22), Unread),
        (FaultKind::TruncatedJson, Unread),
        (FaultKind::WrongTypes, Misshapen),
        (FaultKind::Gzip, Success),
        (FaultKind::Delay(Duration::from_millis(20)), Success),
        (FaultKind::Drip { every: Duration::from_millis(1), bytes: 64 }, Success),
        (FaultKind::Future, Success),
        (FaultKind::UpperCase, Success),
    ]
}

/// Operations whose answer's shape is a guess, so that any JSON is a success.
const ACKNOWLEDGED: [&str; 5] = ["delete_agent", "stop_agent", "disable_user", "enable_user", "revoke_api_key"];

/// Runs one case; what is wrong with it.
fn case(
    emulator: &Emulator,
    setup: &Nomic,
    operation: &str,
    kind: &FaultKind,
    expected: Expected,
    attempts: u32,
) -> Vec<String> {
    emulator.clear_faults();
    let fixture = Fixture::new(setup);
    if operation == "stop_agent" {
        // Only what has not ended can be stopped.
        emulator.fault(Fault::on("follow_up_agent", FaultKind::NeverEnds));
        setup.follow_up_agent(&fixture.agent, "More.").unwrap();
    }
    let builder = Nomic::builder(emulator.url(), emulator.key());
    let nomic = builder.attempts(attempts).stall_timeout(STALL).deadline(DEADLINE).upload_deadline(DEADLINE);
    let nomic = nomic.response_limit(1 << 20).pacing(false).build().unwrap();
    let (received, accepted) = (emulator.received(operation), emulator.accepted(operation));
    emulator.fault(Fault::on(operation, kind.clone()));
    let began = Instant::now();
    let outcome = fixture.call(&nomic, operation);
    let took = began.elapsed();
    let received = emulator.received(operation) - received;
    // A server that was left in the middle may still be at it.
    let accepted = emulator.accepted(operation) - accepted;

    let reads = operations::ALL.iter().any(|one| one.name == operation && one.method.as_str() == "GET");
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{operation}, {kind:?}, {attempts} attempts: {what}; {received} received, {accepted} accepted, {outcome:?}"));
        }
    };
    check(took < DEADLINE + Duration::from_millis(200), "took too long");
    let repeated = attempts > 1 && (expected == Expected::Later || reads && expected == Expected::Doubt);
    let acknowledged = expected == Expected::Misshapen && ACKNOWLEDGED.contains(&operation);
    let succeeds = expected == Expected::Success || repeated || acknowledged;
    check(outcome.is_ok() == succeeds, if succeeds { "should have succeeded" } else { "should have failed" });
    // What strikes before a request is read strikes before it is counted.
    let unread = matches!(kind, FaultKind::ResetAtOnce | FaultKind::Stall(StallPhase::BeforeRead));
    let sendings = u64::from(repeated) + u64::from(!unread);
    check(received == sendings, "was sent another number of times");
    check(reads || accepted <= 1, "was done twice");
    if let Err(error) = &outcome {
        let doubtful = matches!(expected, Expected::Doubt | Expected::Unread | Expected::Misshapen);
        check(error.may_have_been_carried_out() == (!reads && doubtful), "its fate is told wrongly");
        check(!error.to_string().contains('\n') && error.operation() == Some(operation), "its line is wrong");
        check(error.is_transient() || expected != Expected::Doubt, "it should be transient");
    }
    wrong
}

#[test]
fn every_operation_comes_through_every_fault_as_promised() {
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = operations::ALL
            .iter()
            .map(|operation| {
                scope.spawn(|| {
                    let emulator = Emulator::builder().limits(Limits::off()).job_time(Duration::ZERO).start().unwrap();
                    let setup = Nomic::builder(emulator.url(), emulator.key()).pacing(false).build().unwrap();
                    let mut wrong = Vec::new();
                    for (kind, expected) in faults() {
                        for attempts in [1, 3] {
                            wrong.extend(case(&emulator, &setup, operation.name, &kind, expected, attempts));
                        }
                    }
                    wrong
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    println!("{} cases", operations::ALL.len() * faults().len() * 2);
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
