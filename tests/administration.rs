//! Codes, users, API keys, the audit log and analytics; and calls that the crate does not know.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::time::{Duration, SystemTime};

#[cfg(target_os = "linux")]
use common::program::{program_on, run};
use common::{document, emulator, nomic};
use nomic_client::audit_logs::Action;
use nomic_client::codes::Search;
use nomic_client::operations::{Method, Tier};
use nomic_client::{Effect, ErrorKind, Nomic, Request, api_keys, audit_logs, users};
use nomic_emulator::{Emulator, Fault, FaultKind, Limits};
use serde_json::{Value, json};

#[test]
fn a_search_finds_sections_of_a_code_with_their_citations() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let search = |query| Search::new(query).jurisdiction("texas").code_type("building");
    let sections = nomic.search_codes(&search("automatic sprinkler system").limit(3)).unwrap();
    assert!(!sections.is_empty() && sections.len() <= 3);
    let best = &sections[0];
    assert!(best.text().to_lowercase().contains("sprinkler"), "{best:?}");
    assert!(best.citation_id.is_some() && best.content[0].citation_id.is_some());
    let file = best.file.as_ref().unwrap();
    assert_eq!(file.jurisdiction.as_ref().unwrap().slug.as_deref(), Some("texas"));
    assert!(file.code.as_ref().unwrap().year.is_some() && file.adoption.is_some());
    for limit in [0, 51] {
        let error = nomic.search_codes(&search("a").limit(limit)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidRequest(_)), "{error}");
    }
    for incomplete in [Search::new("a").jurisdiction("texas"), Search::new("a").code_type("building")] {
        let error = nomic.search_codes(&incomplete).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidRequest(_)), "{error}");
    }
    assert_eq!(emulator.received("search_codes"), 1);
    let without_a_file = json!({"results": [{"id": "x", "file": null, "content": [{"text": "a"}, {"text": "b"}]}]});
    emulator.fault(Fault::any(FaultKind::json(200, without_a_file)));
    let sections = nomic.search_codes(&search("a")).unwrap();
    assert_eq!((sections[0].text().as_str(), &sections[0].file), ("a\nb", &None));
}

#[test]
fn disabling_a_user_stops_all_their_keys_at_once_and_is_in_the_audit_log() {
    let emulator = emulator();
    let admin = nomic(&emulator);
    let before = SystemTime::now() - Duration::from_secs(2);
    let key = emulator.issue_key_for(1, &["developer"]);
    let theirs = Nomic::new(emulator.url(), key).unwrap();
    document(&theirs);

    let user = admin.users().nth(1).unwrap().unwrap();
    assert_eq!(user.disabled, Some(false));
    let details = admin.user(&user.id).unwrap();
    assert_eq!(details.email, user.email);
    assert!(details.api_key_count.unwrap() >= 1 && details.disabled_at.is_none());
    let keys = api_keys::Filter::default().user_id(user.id.clone());
    let live = admin.api_keys_with(&keys).count();
    assert!(live >= 1);

    let disabled = admin
        .disable_user_with(&user.id, &users::DisableOptions::default().reason("left the company"))
        .unwrap()
        .unwrap();
    assert_eq!((disabled.disabled, disabled.revoked_api_keys), (Some(true), Some(live as u64)));
    assert!(theirs.projects().next().unwrap().unwrap_err().is_unauthorized());
    assert_eq!(admin.api_keys_with(&keys).count(), 0);
    let all = keys.clone().include_revoked(true);
    assert!(admin.api_keys_with(&all).all(|key| key.unwrap().revoked_at.unwrap().system_time().unwrap() > before));

    let filter = audit_logs::Filter::default().action(Action::UserDisabled).since(before);
    let entry = admin.audit_logs_with(&filter).next().unwrap().unwrap();
    assert_eq!(entry.metadata["reason"], "left the company");
    assert_eq!(entry.targets[0].id, user.id.as_str());
    let context = entry.context.unwrap();
    assert_eq!(context.location.as_deref(), Some("api"));
    assert!(context.user_agent.unwrap().starts_with("nomic-client/"));

    assert_eq!(admin.enable_user(&user.id).unwrap().unwrap().disabled, Some(false));
    assert!(theirs.projects().next().unwrap().is_err(), "revoked keys stay so");
    assert!(admin.disable_user("no-such-user").unwrap_err().is_not_found());
}

#[test]
fn a_revoked_key_stops_working_at_once() {
    let emulator = emulator();
    let admin = nomic(&emulator);
    let key = emulator.issue_key_for(2, &["developer"]);
    let theirs = Nomic::new(emulator.url(), &key).unwrap();
    theirs.projects().next().unwrap().unwrap();
    let record = admin
        .api_keys()
        .map(Result::unwrap)
        .find(|record| key.starts_with(&record.key_prefix))
        .expect("the key is listed by its prefix");
    assert_eq!(record.scopes, ["developer"]);
    let revoked = admin.revoke_api_key(&record.id).unwrap();
    assert!(revoked.unwrap().revoked_at.is_some());
    assert!(theirs.projects().next().unwrap().unwrap_err().is_unauthorized());
    let filter = audit_logs::Filter::default().action(Action::ApiKeyRevoked);
    assert_eq!(admin.audit_logs_with(&filter).next().unwrap().unwrap().targets[0].id, record.id.as_str());
}

#[test]
fn a_destructive_request_is_sent_once_and_any_2xx_response_is_a_success() {
    let emulator = emulator();
    let nomic = common::builder(&emulator).pacing(false).build().unwrap();
    let user = nomic.users().nth(3).unwrap().unwrap();
    for kind in [FaultKind::ResetAfter, FaultKind::Html(502), FaultKind::CloseInBody] {
        emulator.fault(Fault::on("disable_user", kind));
        let before = emulator.received("disable_user");
        assert!(nomic.disable_user(&user.id).unwrap_err().effect() != Effect::None);
        assert_eq!(emulator.received("disable_user"), before + 1);
    }
    emulator.fault(Fault::on("disable_user", FaultKind::WrongTypes));
    assert_eq!(nomic.disable_user(&user.id).unwrap(), None);
}

#[test]
fn any_json_acknowledges_a_write_and_nothing_else_does() {
    let emulator = emulator();
    let nomic = common::builder(&emulator).pacing(false).build().unwrap();
    let revoke = |body: &str| {
        emulator.fault(Fault::any(FaultKind::json(200, body)));
        nomic.revoke_api_key("a")
    };
    for body in [r#"{"id":"a","more":1}"#, r#"{"data":{"id":"a"}}"#] {
        assert_eq!(revoke(body).unwrap().unwrap().id, "a", "{body}");
    }
    for body in [" \n", "[1]", "null", r#"{"id":{}}"#] {
        assert_eq!(revoke(body).unwrap(), None, "{body}");
    }
    for body in ["OK", "[1", r#"{"id":{}"#] {
        let error = revoke(body).unwrap_err();
        assert!(error.effect() == Effect::Unknown && error.status() == Some(200), "{body}: {error}");
    }
}

#[test]
fn the_audit_log_is_listed_newest_first_and_since_a_time() {
    let emulator = Emulator::builder().limits(Limits::off()).audit_logs(500).start().unwrap();
    let nomic = nomic(&emulator);
    let all: Vec<_> = nomic.audit_logs().map(Result::unwrap).collect();
    assert_eq!(all.len(), 500);
    let time = |entry: &audit_logs::AuditEntry| entry.occurred_at.system_time().unwrap();
    assert!(all.windows(2).all(|pair| time(&pair[0]) >= time(&pair[1])));
    let since = all[100].occurred_at.clone();
    for since in [since.clone(), since.system_time().unwrap().into()] {
        let filter = audit_logs::Filter::default().since(since);
        let later: Vec<_> = nomic.audit_logs_with(&filter).map(Result::unwrap).collect();
        assert_eq!(later, all[..later.len()]);
        assert!((1..=100).contains(&later.len()), "{}", later.len());
    }
    let filter = audit_logs::Filter::default().since("yesterday");
    let error = nomic.audit_logs_with(&filter).next().unwrap().unwrap_err();
    let words =
        "list_audit_logs: not sent: since: \"yesterday\" is not an RFC 3339 timestamp like 2026-04-05T12:00:00Z";
    assert!(error.to_string().starts_with(words), "{error}");
}

#[test]
fn analytics_come_with_the_settings_of_the_organization() {
    let emulator = emulator();
    let page = nomic(&emulator).user_analytics().pages().next().unwrap().unwrap();
    assert_eq!((page.spend_limits_enabled(), page.default_spend_cap_cents()), (Some(true), Some(5000)));
    assert!(page.data.iter().all(|user| user.ai_usage_cents.is_some() && user.spend_status.is_some()));
    assert_eq!(page.total_count, Some(page.data.len() as u64));
}

#[test]
#[cfg(target_os = "linux")]
fn a_hundred_thousand_entries_take_a_hundred_requests_and_little_memory() {
    let emulator = Emulator::builder().limits(Limits::off()).audit_logs(100_000).start().unwrap();
    let output = run(&mut program_on(&emulator, "list_audit_logs"));
    assert!(output.is_success(), "{}", output.combined());
    let (entries, peak) = output.stdout.trim_end().split_once(' ').unwrap();
    println!("{entries} entries, peak resident memory: {peak} KiB");
    assert_eq!(entries, "100000");
    assert!(peak.parse::<u64>().unwrap() < 30 * 1024, "{peak} KiB");
    assert_eq!(emulator.received("list_audit_logs"), 100);
}

#[test]
fn a_generic_call_has_the_errors_and_the_retry_rules_of_every_other() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let page: Value = nomic.call(&Request::get("/agents").query("limit", 1)).unwrap();
    assert!(page["data"].is_array());
    let launched: Value =
        nomic.call(&Request::post("/agents").json(&json!({"prompt": {"text": "Go."}})).tier(Tier::Heavy)).unwrap();
    let id = launched["data"]["id"].as_str().unwrap().to_owned();
    let request = Request::get("agents").segment(&id).segment("conversation");
    let conversation: nomic_client::agents::Conversation = nomic.call(&request).unwrap();
    assert_eq!(conversation.messages[0].text.as_deref(), Some("Go."));
    // The errors of every other call: a write of unknown effect is not sent again.
    emulator.fault(Fault::on("launch_agent", FaultKind::ResetAfter));
    let request = Request::post("/agents").json(&json!({"prompt": {"text": "Go."}}));
    let error = nomic.call::<Value>(&request).unwrap_err();
    assert!(
        error.to_string().starts_with("POST /agents: no response from ") && error.effect() != Effect::None,
        "{error}"
    );
    assert_eq!(emulator.accepted("launch_agent"), 2);
    let error = nomic.call::<Value>(&Request::get("/no/such/thing")).unwrap_err();
    assert!(error.is_not_found() && error.operation() == Some("GET /no/such/thing"), "{error}");
    let error = nomic.call::<Value>(&Request::new(Method::Patch, "/agents")).unwrap_err();
    assert_eq!(error.status(), Some(405));
    // A response without a body.
    emulator.fault(Fault::any(FaultKind::json(204, "")));
    assert_eq!(nomic.call::<Option<Value>>(&Request::delete("/agents").segment(&id)).unwrap(), None);
}

#[test]
fn an_id_reaches_exactly_its_path_or_is_refused() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    for id in ["a/b", "a?b=c", "a#b", "%2e%2e", "%2e%2e/users", "ä ö", "a\\b", "a;b", "a+b", "..."] {
        let error = nomic.agent(id).unwrap_err();
        assert!(error.is_not_found(), "{id}: {error}");
        let request = emulator.requests().pop().unwrap();
        assert_eq!(request.operation, Some("get_agent"), "{id}: {}", request.target);
        let sent = request.target.rsplit('/').next().unwrap();
        assert_eq!(percent_encoding::percent_decode_str(sent).decode_utf8().unwrap(), id);
    }
    let connections = emulator.requests().len();
    for id in ["", ".", "..", "a\r\nX-Evil: 1", "a\0", "\u{7f}", &"x".repeat(10_000)] {
        assert!(matches!(nomic.agent(id).unwrap_err().kind(), ErrorKind::InvalidRequest(_)), "{id:?}");
        assert!(matches!(
            nomic.call::<Value>(&Request::get("/agents").segment(id)).unwrap_err().kind(),
            ErrorKind::InvalidRequest(_)
        ));
    }
    assert_eq!(emulator.requests().len(), connections);
}
