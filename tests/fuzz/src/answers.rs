//! Answers: the body of every operation, and bytes that may be no HTTP at all.

use std::fmt::Debug;
use std::time::Duration;

use nomic_client::agents::{Agent, Artifact, Launch};
use nomic_client::files::Upload;
use nomic_client::job::WaitOptions;
use nomic_client::operations::{self, Method};
use nomic_client::{AgentId, Effect, Error, Listing, Nomic, codes, extract, parse};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::server::{Server, answer};
use crate::{builder, check, within};

/// What the answers have besides 200.
const STATUSES: [u16; 24] = [
    201, 202, 204, 206, 299, 300, 302, 304, 308, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 501, 502, 503, 522,
    599,
];

/// The time of a call.
const DEADLINE: Duration = Duration::from_secs(2);

thread_local! {
    static NOMIC: Nomic = builder().deadline(DEADLINE).build().expect("a client of this machine");
}

/// An answer in HTTP: the first byte chooses the operation, the second the status, the rest is the body.
pub fn answers(data: &[u8]) {
    let [operation, status, body @ ..] = data else { return };
    let operation = &operations::ALL[usize::from(*operation) % operations::ALL.len()];
    let status = if *status < 128 { 200 } else { STATUSES[usize::from(*status) % STATUSES.len()] };
    Server::here().answers([answer(status, b"Content-Type: application/json\r\n", body)]);
    NOMIC.with(|nomic| hold(nomic, operation.name, operation.method));
}

/// An answer of any bytes: the first chooses the operation, the rest is all that the server says before it closes.
pub fn wire(data: &[u8]) {
    let [operation, bytes @ ..] = data else { return };
    let names = ["get_agent", "launch_agent", "list_agents", "upload_file"];
    let name = names[usize::from(*operation) % names.len()];
    let method = if name.contains("_agent") && !name.starts_with("launch") { Method::Get } else { Method::Post };
    Server::here().says(bytes.to_vec());
    // A client of its own: that the server closes may not have reached a connection of the last one.
    let nomic = builder().deadline(DEADLINE).build().expect("a client of this machine");
    hold(&nomic, name, method);
}

/// Calls an operation, and holds what comes of it against what is promised.
fn hold(nomic: &Nomic, operation: &str, method: Method) {
    let outcome = within(DEADLINE, || call(nomic, operation, ["a", "b"]));
    let requests = Server::here().requests();
    assert_eq!(requests[0].method(), method.as_str());
    // Two pages until a cursor comes again; two questions after a job that goes on; all of that for two in a list.
    assert!(requests.len() <= 8, "{} requests", requests.len());
    assert!(requests.iter().filter(|request| request.method() != "GET").count() <= 1, "what acts was sent again");
    if let Err(error) = outcome {
        check(&error);
        let acted = error.effect() != Effect::None;
        assert!(!acted || method != Method::Get, "what reads was executed: {error}");
    }
}

/// Calls an operation with these ids, and looks at all that it gives.
pub(crate) fn call(nomic: &Nomic, operation: &str, [id, other]: [&str; 2]) -> Result<(), Error> {
    let brief = WaitOptions::default().timeout(Duration::from_millis(1));
    match operation {
        "upload_file" => nomic.upload(Upload::from_bytes("a.txt", "a")).map(kept),
        "search_files" => listed(nomic.search_files("a"), |hit| drop(hit.decoded_path())),
        "submit_parse" => {
            let job = nomic.parse(id)?;
            kept(job.clone());
            nomic.wait_with(&job, &brief).map(parsed)
        }
        "get_parse" => nomic.wait_with(&nomic.parse_job(id), &brief).map(parsed),
        "submit_extract" => {
            let job = nomic.extract_with([id], &json!({}), &extract::Options::default().citations(true))?;
            kept(job.clone());
            nomic.wait_with(&job, &brief).map(extracted)
        }
        "get_extract" => nomic.wait_with(&nomic.extract_job(id), &brief).map(extracted),
        "search_codes" => {
            nomic.search_codes(&codes::Search::new("door").jurisdiction("texas").code_type("building")).map(|found| {
                found.iter().for_each(|section| drop(section.text()));
                kept(found);
            })
        }
        "launch_agent" => {
            let launched = nomic.launch_agent(&Launch::prompt("Go."))?;
            agent(&launched);
            nomic.wait_with(&launched, &brief).map(|ended| agent(&ended))
        }
        "list_agents" => {
            let waiting = [id, other].map(AgentId::from);
            nomic.wait_all_with(waiting, &brief).for_each(|(_, ended)| drop(ended.map_err(|error| check(&error))));
            listed(nomic.agents(), agent)
        }
        "get_agent" => nomic.agent(id).map(|found| agent(&found)),
        "delete_agent" => nomic.delete_agent(id),
        "follow_up_agent" => nomic.follow_up_agent(id, "More.").map(|found| agent(&found)),
        "stop_agent" => nomic.stop_agent(id).map(kept),
        "get_agent_conversation" => nomic.conversation(id).map(kept),
        "list_artifacts" => listed(nomic.artifacts(id), artifact),
        "get_artifact" => nomic.artifact(id, other).map(|found| artifact(&found)),
        "list_workflows" => listed(nomic.workflows(), |_| {}),
        "list_projects" => listed(nomic.projects(), |_| {}),
        "list_users" => listed(nomic.users(), |_| {}),
        "get_user" => nomic.user(id).map(kept),
        "disable_user" => nomic.disable_user(id).map(kept),
        "enable_user" => nomic.enable_user(id).map(kept),
        "list_api_keys" => listed(nomic.api_keys(), |_| {}),
        "revoke_api_key" => nomic.revoke_api_key(id).map(kept),
        "list_audit_logs" => listed(nomic.audit_logs(), |_| {}),
        "list_user_analytics" => listed(nomic.user_analytics(), |_| {}),
        other => panic!("nothing calls {other}"),
    }
}

/// What was read can be stored, and is the same when it is read again.
fn kept<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let text = serde_json::to_string(&value).expect("what was read can be written");
    let again: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
    assert_eq!(again, value, "{text}");
}

fn listed<T>(listing: Listing<T>, look: impl Fn(&T)) -> Result<(), Error>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    for page in listing.pages() {
        let page = page?;
        page.data.iter().for_each(&look);
        kept(page);
    }
    Ok(())
}

fn agent(agent: &Agent) {
    agent.artifacts.iter().for_each(artifact);
    agent.created_at.iter().chain(&agent.updated_at).for_each(|time| drop(time.system_time()));
    kept(agent.clone());
}

fn artifact(artifact: &Artifact) {
    let _ = artifact.markdown();
    if let Some(table) = artifact.table() {
        assert!(table.rows.iter().all(|row| row.len() >= table.columns.len()));
        table.write_csv(std::io::sink()).expect("a sink takes everything");
    }
    kept(artifact.clone());
}

fn parsed(parsed: parse::Parsed) {
    let _ = (parsed.text(), parsed.headings().count(), parsed.tables().count(), parsed.figures().count());
    parsed.pages().into_iter().for_each(|page| drop(parsed.page_text(page)));
    kept(parsed);
}

fn extracted(extracted: extract::Extracted) {
    drop(extracted.citations_of("a.b"));
    if let Err(error) = extracted.deserialize::<Vec<String>>() {
        check(&error);
    }
    kept(extracted);
}
