//! The API as a client sees it: authorization, refusals, and lists.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::HashSet;
use std::time::Duration;

use common::{Client, quick};
use nomic_emulator::{ApiVersion, Emulator, LimitModel, Limits, operations};
use serde_json::{Value, json};

#[test]
fn every_operation_is_listed_once() {
    let names: HashSet<&str> = operations().iter().map(|operation| operation.name).collect();
    let requests: HashSet<(&str, &str)> =
        operations().iter().map(|operation| (operation.method, operation.path)).collect();
    assert_eq!((names.len(), requests.len()), (26, 26));
}

#[test]
fn every_operation_requires_a_key_and_names_the_missing_scope() {
    let emulator = quick();
    for operation in operations() {
        let target = operation.path.replace("{id}", "x").replace("{taskId}", "x").replace("{artifactId}", "x");
        let mut keyless = Client::with_key(&emulator, "npk_wrong");
        let request = keyless.head(operation.method, &target, "");
        let response = keyless.try_send(request.as_bytes()).unwrap();
        assert_eq!(response.expect(401)["code"], "unauthorized", "{}", operation.name);

        let other = if operation.scope.starts_with("admin") { "developer" } else { "admin" };
        let mut poor = Client::with_key(&emulator, &emulator.issue_key(&[other]));
        let request = poor.head(operation.method, &target, "");
        let refusal = poor.try_send(request.as_bytes()).unwrap().expect(403);
        assert_eq!(
            refusal,
            json!({ "error": format!("Missing required scope: {}", operation.scope), "code": "forbidden" })
        );
        assert_eq!(emulator.accepted(operation.name), 0);
        assert_eq!(emulator.received(operation.name), 2);
    }
}

#[test]
fn both_prefixes_serve_the_same() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    assert_eq!(client.get("/users").expect(200), client.get("/api/v0/users").expect(200));
    assert_eq!(client.get("/nowhere").expect(404)["code"], "not_found");
    let wrong = client.delete("/users");
    assert_eq!(wrong.expect(405)["code"], "method_not_allowed");
    assert_eq!(wrong.header("allow"), Some("GET"));
    assert_eq!(emulator.connections(), 1, "the connection is kept alive through errors, too");
}

#[test]
fn a_revoked_key_is_refused() {
    let emulator = quick();
    let key = emulator.issue_key(&["admin"]);
    let mut client = Client::with_key(&emulator, &key);
    client.get("/users").expect(200);
    emulator.revoke_key(&key);
    assert_eq!(client.get("/users").expect(401)["error"], "API key has been revoked");
}

#[test]
fn a_key_revoked_through_the_api_stops_working_and_stays_listed() {
    let emulator = quick();
    let mut admin = Client::new(&emulator);
    let mut other = Client::with_key(&emulator, &emulator.issue_key_for(1, &["admin"]));
    other.get("/users").expect(200);
    let bob = admin.get("/users?email=bob@").expect(200)["data"][0]["id"].as_str().unwrap().to_owned();
    let keys = admin.get(&format!("/api-keys?userId={bob}")).expect(200);
    let key = keys["data"].as_array().unwrap().iter().find(|key| key["name"] == "Issued").unwrap();
    let revoked = admin.post(&format!("/api-keys/{}/revoke", key["id"].as_str().unwrap()), json!({})).expect(200);
    other.get("/users").expect(401);
    let live = admin.get(&format!("/api-keys?userId={bob}&includeRevoked=false")).expect(200);
    assert!(live["data"].as_array().unwrap().iter().all(|key| key["id"] != revoked["id"]));
    let all = admin.get(&format!("/api-keys?userId={bob}&includeRevoked=true")).expect(200);
    let listed = all["data"].as_array().unwrap().iter().find(|key| key["id"] == revoked["id"]).unwrap();
    assert_eq!(listed["revokedAt"], revoked["revokedAt"]);
    assert_eq!(admin.get("/audit-logs?limit=1").expect(200)["data"][0]["action"], "api_key.revoked");
}

#[test]
fn a_disabled_users_keys_are_refused_at_once_and_the_audit_log_says_so() {
    let emulator = quick();
    let mut admin = Client::new(&emulator);
    let mut bob = Client::with_key(&emulator, &emulator.issue_key_for(1, &["admin"]));
    bob.get("/users").expect(200);
    let id = admin.get("/users?email=bob@").expect(200)["data"][0]["id"].as_str().unwrap().to_owned();
    let before = admin.get(&format!("/users/{id}")).expect(200);
    let disabled = admin.post(&format!("/users/{id}/disable"), json!({ "reason": "left" })).expect(200);
    assert_eq!(disabled["revokedApiKeys"], before["apiKeyCount"]);
    bob.get("/users").expect(401);
    let entry = admin.get("/audit-logs?action=user.disabled&limit=1").expect(200)["data"][0].take();
    assert_eq!(entry["targets"][0]["id"], id.as_str());
    assert_eq!(entry["actor"]["name"], "Alice Johnson");
    assert_eq!(entry["metadata"], json!({ "reason": "left", "revokedApiKeys": before["apiKeyCount"] }));

    let again = admin.post(&format!("/users/{id}/disable"), json!({})).expect(200);
    assert_eq!((&again["disabledAt"], &again["revokedApiKeys"]), (&disabled["disabledAt"], &json!(0)));
    admin.post(&format!("/users/{id}/enable"), json!({})).expect(200);
    bob.get("/users").expect(401);
    let user = admin.get(&format!("/users/{id}")).expect(200);
    assert_eq!(
        (&user["disabled"], &user["disabledAt"], &user["apiKeyCount"]),
        (&json!(false), &Value::Null, &json!(0))
    );
    let mut anew = Client::with_key(&emulator, &emulator.issue_key_for(1, &["admin"]));
    anew.get("/users").expect(200);
}

/// Reads a whole list. Returns the ids and the number of pages.
fn read_all(client: &mut Client, target: &str) -> (Vec<String>, usize) {
    let (mut ids, mut pages) = (Vec::new(), 0);
    let mut next = target.to_owned();
    loop {
        let page = client.get(&next).expect(200);
        pages += 1;
        ids.extend(page["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(cursor) => next = format!("{target}&cursor={cursor}"),
            None => return (ids, pages),
        }
    }
}

#[test]
fn lists_are_read_page_by_page_without_loss_or_repetition() {
    let emulator = Emulator::builder()
        .limits(Limits::off())
        .users(105)
        .audit_logs(1001)
        .integration_files(73)
        .agents(45)
        .start()
        .unwrap();
    let mut client = Client::new(&emulator);
    for (target, items, pages) in [
        ("/users?limit=10", 105, 11),
        ("/users?limit=105", 105, 1),
        ("/users?limit=10000", 105, 1),
        ("/analytics/users?limit=50", 105, 3),
        ("/audit-logs?limit=100", 1001, 11),
        ("/files/search?query=&limit=50", 73, 2),
        ("/files/search?query=PHOTO&limit=5", 18, 4),
        ("/agents?limit=20", 45, 3),
        ("/agents?limit=20&status=FINISHED", 23, 2),
        ("/workflows?limit=1", 3, 3),
        ("/projects?limit=1", 2, 2),
    ] {
        let (ids, count) = read_all(&mut client, target);
        assert_eq!((ids.len(), count), (items, pages), "{target}");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), items, "{target}");
    }
    assert_eq!(client.get("/users?limit=1&email=ALICE").expect(200)["totalCount"], 6);
    assert!(client.get("/files/search?query=a").expect(200).get("totalCount").is_none());
}

#[test]
fn limits_out_of_bounds_and_cursors_of_other_lists_are_refused() {
    let emulator = Emulator::builder().limits(Limits::off()).agents(5).start().unwrap();
    let mut client = Client::new(&emulator);
    for (target, place) in [
        ("/users?limit=0", "limit"),
        ("/users?limit=ten", "limit"),
        ("/users?limit=%2B5", "limit"),
        ("/users?limit=5&limit=5", "limit"),
        ("/users?page=2", "page"),
        ("/users?Limit=2", "Limit"),
        ("/workflows?email=a", "email"),
        ("/users/x?expand=keys", "expand"),
        ("/files/search?query=a&limit=51", "limit"),
        ("/agents?limit=101", "limit"),
        ("/audit-logs?limit=1001", "limit"),
        ("/analytics/users?limit=1001", "limit"),
        ("/users?cursor=1", "cursor"),
        ("/files/search", "query"),
        ("/api-keys?includeRevoked=yes", "includeRevoked"),
        ("/audit-logs?since=yesterday", "since"),
    ] {
        let refusal = client.get(target).expect(400);
        assert_eq!(refusal["code"], "validation_failed", "{target}");
        assert_eq!(refusal["issues"][0]["path"], json!([place]), "{target}");
    }
    let cursor = client.get("/agents?limit=1").expect(200)["nextCursor"].as_str().unwrap().to_owned();
    client.get(&format!("/agents?limit=3&cursor={cursor}")).expect(200);
    client.get(&format!("/agents?status=failed&cursor={cursor}")).expect(400);
    client.get(&format!("/users?cursor={cursor}")).expect(400);
}

#[test]
fn the_audit_log_can_be_read_while_it_grows() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let (before, _) = read_all(&mut client, "/audit-logs?limit=7");
    let first = client.get("/audit-logs?limit=7").expect(200);
    let cursor = first["nextCursor"].as_str().unwrap();
    client.upload("a.txt", "one");
    let second = client.get(&format!("/audit-logs?limit=7&cursor={cursor}")).expect(200);
    assert_eq!(second["data"][0]["id"], before[7].as_str());
    let newest = client.get("/audit-logs?limit=2").expect(200)["data"].take();
    assert_eq!(newest[0]["action"], "file.uploaded");
    let since = newest[1]["occurredAt"].as_str().unwrap();
    let after = client.get(&format!("/audit-logs?since={since}")).expect(200);
    assert_eq!((&after["totalCount"], &after["data"][0]["id"]), (&json!(1), &newest[0]["id"]));
}

#[test]
fn a_hundred_thousand_audit_log_entries_take_a_hundred_requests() {
    let emulator = Emulator::builder().limits(Limits::off()).audit_logs(100_000).users(10_000).start().unwrap();
    let mut client = Client::new(&emulator);
    let (ids, pages) = read_all(&mut client, "/audit-logs?limit=1000");
    assert_eq!((ids.len(), pages), (100_000, 100));
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 100_000);
}

#[test]
fn the_best_code_sections_come_first() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let ask =
        json!({ "query": "sprinkler systems in assembly rooms", "jurisdiction": "texas", "codeType": "Building" });
    let results = client.post("/codes/search", ask.clone()).expect(200)["results"].take();
    assert!(results[0]["content"][0]["text"].as_str().unwrap().contains("903.2.1"));
    assert_eq!(results[0]["file"]["jurisdiction"], json!({ "slug": "texas", "name": "Texas" }));
    assert_eq!(results[0]["file"]["code"]["year"], 2021);
    assert!(results.as_array().unwrap().iter().any(|section| section["file"].is_null()));
    let mut old = ask.clone();
    old["year"] = json!(2018);
    let results = client.post("/codes/search", old).expect(200)["results"].take();
    assert!(results.as_array().unwrap().iter().all(|section| section["file"]["code"]["year"] == 2018));
    let mut one = ask.clone();
    one["limit"] = json!(1);
    one["keywords"] = json!(["egress", "errata"]);
    let results = client.post("/codes/search", one).expect(200)["results"].take();
    assert_eq!(results.as_array().unwrap().len(), 1);
    assert!(results[0]["content"][0]["text"].as_str().unwrap().contains("egress"));
    let mut elsewhere = ask.clone();
    elsewhere["jurisdiction"] = json!("atlantis");
    assert_eq!(client.post("/codes/search", elsewhere).expect(422)["code"], "unprocessable");
    let mut wrong = ask;
    wrong["limit"] = json!(51);
    assert_eq!(client.post("/codes/search", wrong).expect(400)["issues"][0]["path"], json!(["limit"]));
}

#[test]
fn rate_limits_apply_per_owner_and_are_in_the_headers() {
    let limits = Limits::documented(LimitModel::FullBurst).quota("search", 2);
    let emulator = Emulator::builder().limits(limits).start().unwrap();
    let ask = json!({ "query": "x", "jurisdiction": "texas", "codeType": "Fire" });
    let mut client = Client::new(&emulator);
    let first = client.post("/codes/search", ask.clone());
    assert_eq!(first.header("x-ratelimit-limit"), Some("2"));
    assert_eq!(first.header("x-ratelimit-remaining"), Some("1"));
    assert!(first.header("x-ratelimit-reset").unwrap().parse::<u64>().unwrap() > 1_700_000_000);
    assert!(first.header("date").unwrap().ends_with(" GMT"));
    let mut sibling = Client::with_key(&emulator, &emulator.issue_key(&["developer:agent"]));
    sibling.post("/codes/search", ask.clone()).expect(200);
    let refused = client.post("/codes/search", ask.clone());
    assert_eq!(refused.expect(429), json!({ "error": "Rate limit exceeded", "code": "rate_limited" }));
    assert_eq!(refused.header("retry-after"), Some("30"));
    let mut bob = Client::with_key(&emulator, &emulator.issue_key_for(1, &["developer"]));
    bob.post("/codes/search", ask.clone()).expect(200);
    emulator.set_quota("search", 0);
    bob.post("/codes/search", ask).expect(429);
    client.get("/users").expect(200);
    assert_eq!((emulator.accepted("search_codes"), emulator.received("search_codes")), (3, 5));
}

#[test]
fn rate_limit_headers_can_be_limited_to_a_429() {
    let limits = Limits::documented(LimitModel::FixedWindow).quota("standard", 1).headers_on_429_only();
    let emulator = Emulator::builder().limits(limits).start().unwrap();
    let mut client = Client::new(&emulator);
    let mut seen = 0;
    // A new minute may begin in between.
    for _ in 0..4 {
        let response = client.get("/users");
        let told = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"];
        let refused = response.status == 429;
        assert!(told.iter().all(|name| response.header(name).is_some() == refused), "{}", response.status);
        seen += u32::from(refused);
    }
    assert!((2..=3).contains(&seen), "{seen} of 4 were refused");
}

#[test]
fn at_another_speed_retry_after_is_fractional() {
    let limits = Limits::documented(LimitModel::EvenPacing).speed(60.0).quota("standard", 60);
    let emulator = Emulator::builder().limits(limits).start().unwrap();
    let mut client = Client::new(&emulator);
    client.get("/users").expect(200);
    let refused = client.get("/users");
    let wait: f64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(refused.status == 429 && wait > 0.0 && wait <= 0.017, "{wait}");
}

#[test]
fn a_user_who_has_reached_the_spend_limit_cannot_launch_agents() {
    let emulator = quick();
    let mut client = Client::with_key(&emulator, &emulator.issue_key_for(4, &["developer", "admin"]));
    let shown = client.get("/analytics/users?email=erin").expect(200);
    assert_eq!(shown["data"][0]["spendStatus"], "over_limit");
    assert_eq!(shown["spendLimitsEnabled"], true);
    let refused = client.post("/agents", json!({ "prompt": { "text": "hi" } }));
    assert_eq!(refused.expect(429)["error"], "Spend limit reached");
    assert_eq!(refused.header("retry-after"), None);
}

#[test]
fn old_errors_have_only_a_message() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    emulator.set_old_errors(true);
    assert_eq!(client.get("/agents/x").expect(404), json!({ "error": "Agent not found" }));
    emulator.set_old_errors(false);
    assert_eq!(client.get("/agents/x").expect(404)["code"], "not_found");
}

#[test]
fn other_versions_of_the_api_are_served() {
    let old = Emulator::builder().api_version(ApiVersion::Old).start().unwrap();
    let mut client = Client::new(&old);
    let agent = client.post("/agents", json!({ "prompt": { "text": "hi" } })).expect(201);
    assert!(agent.get("data").is_none() && agent["id"].is_string() && agent.get("createdAt").is_none());
    assert_eq!(client.get("/agents/x").expect(404), json!({ "error": "Agent not found" }));
    let (ids, _) = read_all(&mut client, "/users?limit=10");
    assert_eq!(ids.len(), 25);

    let future = Emulator::builder().api_version(ApiVersion::Future).start().unwrap();
    let mut client = Client::new(&future);
    let page = client.get("/audit-logs?limit=1").expect(200);
    assert!(page["futureField"].is_object() && page["data"][0]["context"]["futureField"].is_object());
    assert_eq!(page["data"][0]["actor"]["type"], "service_account");
}

#[test]
fn requests_are_recorded() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    client.headers = "X-Mine: 1\r\n".to_owned();
    client.get("/api/v0/users/a%2Fb?x=1");
    client.post("/agents", json!({ "prompt": {} }));
    client.get("/nowhere");
    let requests = emulator.requests();
    assert_eq!(requests[0].target, "/api/v0/users/a%2Fb?x=1");
    assert_eq!((requests[0].operation, requests[0].status), (Some("get_user"), Some(400)));
    assert_eq!(requests[0].header("x-mine"), Some("1"));
    assert_eq!(requests[1].body, br#"{"prompt":{}}"#);
    assert_eq!((requests[2].operation, requests[2].status), (None, Some(404)));
}

#[test]
fn garbage_is_refused_and_does_not_affect_other_connections() {
    let emulator = quick();
    let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(70_000));
    for garbage in [
        b"\x16\x03\x01\x02\x00\x01\x00".as_slice(),
        b"GET / HTTP/1.1\r\nBad Header\r\n\r\n",
        b"GET /\r\n\r\n",
        b"HELO example.com\r\n\r\n",
        b"POST /parse HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n",
        b"GET /users HTTP/1.1\r\n\r\n",
        b"GET /users HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        long.as_bytes(),
    ] {
        let response = Client::new(&emulator).try_send(garbage).unwrap();
        assert_eq!(response.expect(400)["code"], "bad_request", "{}", String::from_utf8_lossy(garbage));
    }
    Client::new(&emulator).get("/users").expect(200);
}

#[test]
fn chunked_bodies_and_expect_100_continue_are_supported() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let more = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    let body = "9\r\n{\"prompt\"\r\nb;x=y\r\n:{\"text\":\"h\r\n4\r\ni\"}}\r\n0\r\nTrailer: 1\r\n\r\n";
    let request = client.head("POST", "/agents", more) + body;
    client.try_send(request.as_bytes()).unwrap().expect(201);
    let more = "Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 2\r\n";
    let request = client.head("POST", "/users/x/disable", more);
    let response = client.try_send(request.as_bytes()).unwrap();
    assert_eq!(response.status, 100);
    client.try_send(b"{}").unwrap().expect(404);
    client.get("/users").expect(200);
}

#[test]
fn a_body_must_have_the_content_type_of_json() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    let body = r#"{"prompt":{"text":"hi"}}"#;
    let mut send = |kind: &str| {
        let request = client.head("POST", "/agents", &format!("{kind}Content-Length: {}\r\n", body.len())) + body;
        client.try_send(request.as_bytes()).unwrap()
    };
    for kind in ["", "Content-Type: text/plain\r\n", "Content-Type: application/jsonp\r\n"] {
        assert_eq!(send(kind).expect(415)["code"], "unsupported_media_type", "{kind}");
    }
    for kind in ["Content-Type: application/json\r\n", "content-type: Application/JSON; charset=utf-8\r\n"] {
        send(kind).expect(201);
    }
    assert_eq!((emulator.received("launch_agent"), emulator.accepted("launch_agent")), (5, 2));
    let head = client.head("POST", "/users/x/disable", "Content-Length: 0\r\n");
    client.try_send(head.as_bytes()).unwrap().expect(404);
}

#[test]
fn unknown_parameters_are_refused_unless_the_path_is_unknown() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    client.get("/nowhere?page=2").expect(404);
    let refusal = client.get("/users?page=2&email=a&email=b").expect(400);
    let paths: Vec<&Value> = refusal["issues"].as_array().unwrap().iter().map(|issue| &issue["path"][0]).collect();
    assert_eq!(paths, ["page", "email"]);
}

#[test]
fn a_dropped_emulator_leaves_nothing_behind() {
    let emulator = quick();
    let mut client = Client::new(&emulator);
    client.upload("a.txt", "one");
    let stored = emulator.uploads()[0].path.clone();
    assert_eq!(std::fs::read(&stored).unwrap(), b"one");
    let address = emulator.address();
    drop(emulator);
    assert!(!stored.parent().unwrap().exists());
    assert!(client.try_get("/users").is_err());
    assert!(std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err());
}
