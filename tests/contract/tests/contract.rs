//! The operations of the client, of the emulator and of the README are those of the contract; the client reads every example
//! of the contract; the README shows errors as they are printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

use nomic_client::agents::Launch;
use nomic_client::files::Upload;
use nomic_client::{Error, Nomic, analytics, api_keys, audit_logs, codes, extract, operations, parse, users};
use nomic_contract::{Contract, Ids, Mutation, call};
use nomic_emulator::{Emulator, Fault, FaultKind};
use serde_json::{Value, json};

fn contract() -> Contract {
    Contract::read().unwrap()
}

/// The rows in order: that of a table does not matter.
fn sorted(rows: impl Iterator<Item = String>) -> Vec<String> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows
}

#[test]
fn the_table_of_operations_is_the_contracts() {
    let contract = contract();
    let operations = contract.operations();
    let documented = operations
        .iter()
        .map(|one| format!("{} {} {} {} {} {}", one.name, one.method, one.path, one.tier, one.scope, one.evidence));
    let known = operations::ALL
        .iter()
        .map(|one| format!("{} {} {} {} {} {}", one.name, one.method, one.path, one.tier, one.scope, one.evidence));
    assert_eq!(operations.len(), 26);
    assert_eq!(sorted(documented), sorted(known));
}

#[test]
fn the_emulators_operations_are_the_contracts() {
    let contract = contract();
    let operations = contract.operations();
    let documented =
        operations.iter().map(|one| format!("{} {} {} {} {}", one.name, one.method, one.path, one.tier, one.scope));
    let served = nomic_emulator::operations()
        .iter()
        .map(|one| format!("{} {} {} {} {}", one.name, one.method, one.path, one.tier, one.scope));
    assert_eq!(sorted(documented), sorted(served));
}

const README: &str = include_str!("../../../README.md");

#[test]
fn the_readme_counts_the_operations_of_the_contract() {
    let contract = contract();
    let operations = contract.operations();
    let count = |evidence| operations.iter().filter(|one| one.evidence == evidence).count();
    let documented = format!(
        "Of its {} operations, {} are documented, {} was observed on the wire, and {} are inferred",
        operations.len(),
        count("documented"),
        count("observed"),
        count("inferred"),
    );
    assert!(README.split_whitespace().collect::<Vec<_>>().join(" ").contains(&documented), "{documented}");
}

#[test]
fn the_readme_has_every_operation_as_the_contract_has_it() {
    let contract = contract();
    let operations = contract.operations();
    let rows = |path: &str| README.lines().filter(|line| line.starts_with("| `") && line.contains(path)).count();
    assert_eq!(rows(" /"), operations.len());
    for one in operations {
        let row = format!("| `{} {}` | {} | {} |", one.method, one.path, one.tier, one.evidence);
        assert_eq!(rows(&row), 1, "{row}");
    }
}

#[test]
fn the_errors_that_the_readme_shows_are_printed_so() {
    let emulator = Emulator::start().unwrap();
    let nomic = Nomic::new(emulator.url(), emulator.key()).unwrap();
    let files_only = Nomic::new(emulator.url(), emulator.issue_key(&["developer:files"])).unwrap();
    let nowhere = Nomic::new("https://acmee.invalid", "npk_x").unwrap();
    emulator.fault(Fault::on("upload_file", FaultKind::ResetAfter));
    let printed = [
        files_only.launch_agent(&Launch::prompt("Go.")).unwrap_err(),
        nomic.parse("7").unwrap_err(),
        nowhere.agent("019abc12-3456-7890-abcd-ef1234567890").unwrap_err(),
        nomic.upload(Upload::from_bytes("a.txt", "a")).unwrap_err(),
    ];
    let shown = README.split_once("```text\n").and_then(|(_, rest)| rest.split_once("```")).expect("the lines").0;
    let printed: Vec<_> = printed
        .iter()
        .map(|error| error.to_string().replace("acmee.invalid", "acmee.nomic.ai"))
        .map(|line| line.replace(&emulator.address().to_string(), "acme.nomic.ai"))
        .collect();
    assert_eq!(shown.lines().collect::<Vec<_>>(), printed);
}

/// Calls an operation on an emulator that always sends this answer.
fn answer(emulator: &Emulator, operation: &str, status: u16, answer: &Value) -> Result<(), Error> {
    emulator.clear_faults();
    emulator.fault(Fault::any(FaultKind::json(status, answer)).forever());
    let nomic = Nomic::builder(emulator.url(), emulator.key()).pacing(false).build().unwrap();
    let ids = Ids::all("019abc12-3456-7890-abcd-ef1234567890");
    call(&nomic, operation, &ids).map(|is_read| assert!(is_read, "{operation}: {answer}"))
}

#[test]
fn every_other_form_that_an_inferred_operation_may_have_is_read() {
    let contract = contract();
    let emulator = Emulator::start().unwrap();
    let nomic = Nomic::builder(emulator.url(), emulator.key()).pacing(false).build().unwrap();
    let mut read = 0;
    for operation in contract.operations() {
        let forms = operation.entry["x-also"].as_array().into_iter().flatten();
        for form in forms.filter_map(|form| form["examples"].as_array()).flatten() {
            emulator.clear_faults();
            emulator.fault(Fault::on(operation.name, FaultKind::json(200, form)).forever());
            match call(&nomic, operation.name, &Ids::all("019abc12-3456-7890-abcd-ef1234567890")) {
                Ok(_) => {}
                Err(error) if form.to_string().contains("https://storage.example/") => {
                    assert!(error.to_string().contains("https://storage.example/"), "{error}");
                }
                Err(error) => panic!("{form}: {error}"),
            }
            read += 1;
        }
    }
    assert!(read >= 7, "{read} forms");
}

#[test]
fn every_example_is_read_as_later_versions_may_send_it_too() {
    let contract = contract();
    let emulator = Emulator::start().unwrap();
    let (mut read, mut failed) = (0, Vec::new());
    for operation in contract.operations() {
        for (status, schema, example) in contract.examples(&operation) {
            let mut answers = contract.mutations(schema, example);
            answers.push(Mutation { what: "as it is".to_owned(), answer: example.clone() });
            // An agent is documented inside `data` and was observed without it.
            if let Some(data) = example.get("data").filter(|data| data.is_object()) {
                answers.push(Mutation { what: "bare".to_owned(), answer: data.clone() });
            }
            for mutation in answers {
                match answer(&emulator, operation.name, status, &mutation.answer) {
                    Ok(()) => read += 1,
                    Err(error) => failed.push(format!("{} {}: {error}", operation.name, mutation.what)),
                }
            }
        }
    }
    println!("{read} answers read");
    assert!(failed.is_empty(), "{} of {read} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(read > 350, "only {read} answers");
}

#[test]
fn an_answer_without_a_body_is_a_success_where_the_contract_allows_it() {
    let contract = contract();
    let emulator = Emulator::start().unwrap();
    emulator.fault(Fault::any(FaultKind::json(204, "")).forever());
    let nomic = Nomic::new(emulator.url(), emulator.key()).unwrap();
    let silent: Vec<_> = contract
        .operations()
        .into_iter()
        .filter(|one| !one.entry["responses"]["204"].is_null())
        .map(|one| one.name.to_owned())
        .collect();
    assert_eq!(
        sorted(silent.into_iter()),
        ["delete_agent", "disable_user", "enable_user", "revoke_api_key", "stop_agent"]
    );
    assert_eq!(nomic.stop_agent("a").unwrap(), None);
    nomic.delete_agent("a").unwrap();
    assert_eq!(nomic.disable_user("a").unwrap(), None);
    assert_eq!(nomic.enable_user("a").unwrap(), None);
    assert_eq!(nomic.revoke_api_key("a").unwrap(), None);
}

/// Reads an example with an unknown field in every object, and writes it again. Returns the number of unknown fields before
/// and after, and the fields of the example that the type does not have.
fn kept<T>(example: &Value) -> (usize, usize, Vec<String>)
where
    T: serde::de::DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    fn plant(value: &mut Value) -> usize {
        match value {
            Value::Object(fields) => {
                let inner: usize = fields.values_mut().map(plant).sum();
                fields.insert("xFromTheFuture".to_owned(), json!({"a": 1}));
                inner + 1
            }
            Value::Array(items) => items.iter_mut().map(plant).sum(),
            _ => 0,
        }
    }
    let read: T = serde_json::from_value(example.clone()).unwrap();
    let unknown = format!("{read:?}")
        .split("extra: {\"")
        .skip(1)
        .map(|rest| rest[..rest.find('"').unwrap()].to_owned())
        .collect();
    let mut example = example.clone();
    let planted = plant(&mut example);
    let read: T = serde_json::from_value(example).unwrap();
    (planted, serde_json::to_string(&read).unwrap().matches("xFromTheFuture").count(), unknown)
}

#[test]
fn what_the_contract_shows_has_a_field_of_its_own_and_no_unknown_field_is_lost() {
    use nomic_client::{Page, agents, files, projects, workflows};
    let contract = contract();
    let operations = contract.operations();
    let example = |name: &str| {
        let operation = operations.iter().find(|one| one.name == name).unwrap();
        contract.examples(operation)[0].2
    };
    let data = |name: &str| example(name)["data"].clone();
    for (name, (planted, left, unknown)) in [
        ("upload_file", kept::<files::UploadedFile>(example("upload_file"))),
        ("search_files", kept::<Page<files::FileHit>>(example("search_files"))),
        ("get_parse", kept::<parse::Parsed>(&example("get_parse")["result"])),
        ("get_extract", kept::<extract::Extracted>(example("get_extract"))),
        ("search_codes", kept::<codes::CodeSection>(&example("search_codes")["results"][0])),
        ("get_agent", kept::<agents::Agent>(&data("get_agent"))),
        ("list_agents", kept::<Page<agents::Agent>>(example("list_agents"))),
        ("get_agent_conversation", kept::<agents::Conversation>(example("get_agent_conversation"))),
        ("get_artifact", kept::<agents::Artifact>(&data("get_artifact"))),
        ("list_workflows", kept::<Page<workflows::Workflow>>(example("list_workflows"))),
        ("list_projects", kept::<Page<projects::Project>>(example("list_projects"))),
        ("list_users", kept::<Page<users::User>>(example("list_users"))),
        ("get_user", kept::<users::User>(example("get_user"))),
        ("disable_user", kept::<users::User>(example("disable_user"))),
        ("list_api_keys", kept::<Page<api_keys::ApiKey>>(example("list_api_keys"))),
        ("revoke_api_key", kept::<api_keys::ApiKey>(example("revoke_api_key"))),
        ("list_audit_logs", kept::<Page<audit_logs::AuditEntry>>(example("list_audit_logs"))),
        ("list_user_analytics", kept::<Page<analytics::UserAnalytics>>(example("list_user_analytics"))),
    ] {
        assert_eq!(planted, left, "{name}");
        let by_methods: &[&str] = match name {
            // A field of the task, not of its result.
            "get_extract" => &["status"],
            // A setting of the organization, which a method of the page reads.
            "list_user_analytics" => &["defaultSpendCapCents"],
            _ => &[],
        };
        assert_eq!(unknown, by_methods, "{name}");
    }
}

#[test]
fn enum_values_are_known_in_any_case_and_unknown_ones_are_kept() {
    use nomic_client::agents::{Agent, AgentStatus, ArtifactKind};
    let read = |status: &str, kind: &str| -> Agent {
        serde_json::from_value(json!({"id": "a", "status": status, "artifacts": [{"id": "b", "type": kind}]})).unwrap()
    };
    let upper = read("AWAITING_TOOL", "TABLE");
    assert_eq!((&upper.status, &upper.artifacts[0].kind), (&AgentStatus::AwaitingTool, &Some(ArtifactKind::Table)));
    let future = read("Reflecting", "canvas");
    assert_eq!(future.status, AgentStatus::Other("Reflecting".to_owned()));
    assert!(future.status == "reflecting" && !future.status.has_ended());
    assert_eq!(future.artifacts[0].kind, Some(ArtifactKind::Other("canvas".to_owned())));
}

#[test]
fn the_errors_of_the_contract_are_read() {
    let contract = contract();
    let emulator = Emulator::start().unwrap();
    for (name, status) in [("Error", 404), ("RateLimited", 429)] {
        let example = &contract.components()["responses"][name]["content"]["application/json"]["example"];
        let error = answer(&emulator, "get_agent", status, example).unwrap_err();
        assert_eq!(error.code().unwrap(), example["code"].as_str().unwrap());
        assert!(error.to_string().contains(example["error"].as_str().unwrap()), "{error}");
        let older = json!({"error": example["error"]});
        let error = answer(&emulator, "get_agent", status, &older).unwrap_err();
        assert!(error.code().is_none() && error.status() == Some(status), "{error}");
    }
}
