//! Retries and the rate limit: a write of unknown effect is never sent again, a read is, a `Retry-After` is waited out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{builder, emulator, nomic};
use nomic_client::agents::Launch;
use nomic_client::files::Upload;
use nomic_client::{Builder, Effect, Error, Nomic};
use nomic_emulator::{CannedResponse, Emulator, Fault, FaultKind, LimitModel, Limits, StallPhase};

fn launch(nomic: &Nomic) -> Result<(), Error> {
    nomic.launch_agent(&Launch::prompt("Go.")).map(drop)
}

fn list(nomic: &Nomic) -> Result<(), Error> {
    nomic.agents().try_for_each(|agent| agent.map(drop))
}

/// A client that times out soon on a server that does not respond.
fn impatient(emulator: &Emulator) -> Builder {
    builder(emulator).response_timeout(Duration::from_millis(100)).stall_timeout(Duration::from_millis(100))
}

/// Faults after which the effect of a request is unknown.
fn unknown_effect() -> Vec<FaultKind> {
    vec![
        FaultKind::ResetBefore,
        FaultKind::ResetAfter,
        FaultKind::ResetInHead,
        FaultKind::ResetInBody,
        FaultKind::CloseInBody,
        FaultKind::Stall(StallPhase::BeforeHead),
        FaultKind::Stall(StallPhase::InBody),
        FaultKind::Html(502),
        FaultKind::Html(503),
        FaultKind::Html(504),
        FaultKind::Api { status: 500, error: "oops".into(), code: None },
        FaultKind::Api { status: 408, error: "slow".into(), code: None },
        FaultKind::TruncatedJson,
    ]
}

#[test]
fn a_post_is_never_sent_twice() {
    let emulator = emulator();
    let nomic = impatient(&emulator).pacing(false).attempts(5).build().unwrap();
    for (run, kind) in unknown_effect().into_iter().enumerate() {
        for operation in ["launch_agent", "upload_file"] {
            emulator.fault(Fault::on(operation, kind.clone()));
            let before = emulator.received(operation);
            let error = match operation {
                "launch_agent" => launch(&nomic).unwrap_err(),
                _ => nomic.upload(Upload::from_bytes(format!("{run}.txt"), "Level: 1")).unwrap_err(),
            };
            assert_eq!(emulator.received(operation), before + 1, "{kind:?}");
            assert!(error.effect() != Effect::None, "{kind:?}: {error}");
            assert!(error.to_string().contains("executed"), "{error}");
        }
    }
}

#[test]
fn a_read_is_sent_again_until_it_succeeds_or_the_attempts_are_used_up() {
    let emulator = emulator();
    let nomic = impatient(&emulator).build().unwrap();
    for kind in unknown_effect().into_iter().filter(|kind| *kind != FaultKind::TruncatedJson) {
        let before = emulator.received("list_agents");
        emulator.fault(Fault::on("list_agents", kind.clone()));
        list(&nomic).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(emulator.received("list_agents"), before + 2, "{kind:?}");
    }
    let before = emulator.received("list_agents");
    emulator.fault(Fault::on("list_agents", FaultKind::Html(502)).forever());
    let error = list(&nomic).unwrap_err();
    assert_eq!(emulator.received("list_agents"), before + 4);
    assert!(error.is_transient() && error.effect() == Effect::None, "{error}");
}

#[test]
fn not_configured_is_a_permanent_error() {
    let emulator = emulator();
    for status in [501, 503] {
        let kind =
            FaultKind::Api { status, error: "Parsing is not configured".into(), code: Some("not_configured".into()) };
        emulator.fault(Fault::any(kind));
        let error = list(&nomic(&emulator)).unwrap_err();
        assert_eq!(error.status(), Some(status));
        assert!(!error.is_transient());
    }
    assert_eq!(emulator.received("list_agents"), 2);
}

#[test]
fn a_429_is_retried_after_its_delay_and_not_without_one() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let limited = |delay: Option<&str>| FaultKind::RateLimited { retry_after: delay.map(str::to_owned) };
    emulator.fault(Fault::on("launch_agent", limited(Some("0.3"))));
    let began = Instant::now();
    launch(&nomic).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!((emulator.received("launch_agent"), emulator.accepted("launch_agent")), (2, 1));

    emulator.fault(Fault::on("launch_agent", limited(None)));
    let error = launch(&nomic).unwrap_err();
    assert!(error.is_rate_limited() && error.retry_after().is_none() && !error.is_transient(), "{error}");
    assert_eq!((emulator.received("launch_agent"), emulator.accepted("launch_agent")), (3, 1));
}

#[test]
fn a_delay_beyond_the_deadline_is_an_error_at_once_for_all_clones() {
    let emulator = emulator();
    let nomic = builder(&emulator).deadline(Duration::from_secs(5)).build().unwrap();
    emulator.fault(Fault::on("launch_agent", FaultKind::RateLimited { retry_after: Some("3600".into()) }));
    let began = Instant::now();
    let first = launch(&nomic).unwrap_err();
    let second = launch(&nomic.clone()).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(1));
    for error in [&first, &second] {
        assert!(error.is_rate_limited() && error.effect() == Effect::None, "{error}");
        assert!(error.retry_after().unwrap() > Duration::from_secs(3590), "{error}");
    }
    assert!(
        second.to_string().contains("would time out waiting for the rate limit of the heavy tier; retry after 59 min"),
        "{second}"
    );
    assert_eq!(emulator.received("launch_agent"), 1);
    // Another tier is not blocked.
    list(&nomic).unwrap();
}

/// A 429 with this body.
fn throttled(body: &str, retry_after: &str) -> FaultKind {
    CannedResponse::json(429, body).header("Retry-After", retry_after).into()
}

const SPEND_LIMIT: &str = r#"{"error":"Spend limit reached","code":"spend_limit_reached"}"#;

#[test]
fn a_spend_limit_of_one_user_does_not_delay_the_uploads_of_others() {
    let emulator = emulator();
    let upload = |nomic: &Nomic| nomic.upload(Upload::from_bytes("a.txt", "Level: 1")).map(drop);
    let limit = Duration::from_secs(5);
    let nomic = builder(&emulator).deadline(limit).upload_deadline(limit).build().unwrap();
    let began = Instant::now();
    emulator.fault(Fault::on("launch_agent", throttled(SPEND_LIMIT, "3600")));
    let error = launch(&nomic).unwrap_err();
    assert!(error.is_rate_limited() && error.to_string().contains("Spend limit reached"), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    upload(&nomic.clone()).unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());

    // A short delay is waited for, by the call that was throttled and by no other.
    emulator.fault(Fault::on("launch_agent", throttled(SPEND_LIMIT, "0.8")));
    let began = Instant::now();
    std::thread::scope(|scope| {
        let launched = scope.spawn(|| launch(&nomic).map(|()| began.elapsed()));
        while emulator.received("launch_agent") < 2 && !launched.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        upload(&nomic).unwrap();
        assert!(began.elapsed() < Duration::from_millis(700), "{:?}", began.elapsed());
        assert!(launched.join().unwrap().unwrap() >= Duration::from_millis(800));
    });
    assert_eq!((emulator.received("launch_agent"), emulator.accepted("launch_agent")), (3, 1));
}

#[test]
fn any_other_429_blocks_the_tier() {
    let emulator = emulator();
    for body in [
        r#"{"error":"Rate limit exceeded","code":"rate_limited"}"#,
        r#"{"error":"Rate limit exceeded","code":"RATE_LIMITED"}"#,
        r#"{"error":"Rate limit exceeded","code":null}"#,
        r#"{"error":"Rate limit exceeded","code":""}"#,
        r#"{"error":"Rate limit exceeded","code":429}"#,
        r#"{"error":"Rate limit exceeded"}"#,
        r#"{"code":"spend_limit_reached"}"#,
        "<html>Too many requests</html>",
        "",
    ] {
        let nomic = builder(&emulator).deadline(Duration::from_secs(5)).build().unwrap();
        emulator.fault(Fault::on("launch_agent", throttled(body, "3600")));
        let before = emulator.received("launch_agent");
        for _ in 0..2 {
            assert!(launch(&nomic).unwrap_err().is_rate_limited(), "{body}");
        }
        assert_eq!(emulator.received("launch_agent"), before + 1, "{body}");
    }
}

#[test]
fn a_unix_time_is_waited_for_and_not_for_fifty_years() {
    let emulator = emulator();
    let nomic = builder(&emulator).deadline(Duration::from_secs(10)).build().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    emulator.fault(Fault::on("launch_agent", FaultKind::RateLimited { retry_after: Some((now + 2).to_string()) }));
    launch(&nomic).unwrap();
    let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(after >= now + 2, "{after} is earlier than {now} and 2");
}

#[test]
fn one_attempt_means_one_whatever_happens() {
    let emulator = emulator();
    let nomic = builder(&emulator).attempts(1).build().unwrap();
    for kind in [FaultKind::RateLimited { retry_after: Some("0".into()) }, FaultKind::ResetBefore, FaultKind::Html(503)]
    {
        emulator.fault(Fault::any(kind));
        list(&nomic).unwrap_err();
    }
    assert_eq!(emulator.received("list_agents"), 3);
}

#[test]
fn an_outage_is_not_multiplied() {
    let emulator = emulator();
    let nomic = builder(&emulator).pacing(false).build().unwrap();
    emulator.fault(Fault::any(FaultKind::Html(503)).forever());
    let (threads, each) = (100, 100);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..each).for_each(|_| drop(list(&nomic).unwrap_err())));
        }
    });
    let (calls, sent) = (threads * each, emulator.received("list_agents"));
    assert!(sent <= calls + calls / 20, "{sent} requests for {calls} calls");
    // After some successes, reads are retried again.
    emulator.clear_faults();
    for _ in 0..20 {
        list(&nomic).unwrap();
    }
    emulator.fault(Fault::any(FaultKind::Html(503)));
    list(&nomic).unwrap();
}

#[test]
fn few_paced_calls_are_throttled() {
    let quota = 60;
    for model in [LimitModel::FullBurst, LimitModel::EvenPacing, LimitModel::FixedWindow] {
        // A minute passes in six seconds.
        let limits = Limits::documented(model).speed(10.0).quota("heavy", quota);
        let emulator = Emulator::builder().limits(limits).job_time(Duration::ZERO).start().unwrap();
        let nomic = builder(&emulator).rate_window(Duration::from_secs(6)).build().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..10).for_each(|_| launch(&nomic).unwrap()));
            }
        });
        let (sent, accepted) = (emulator.received("launch_agent"), emulator.accepted("launch_agent"));
        println!("{model:?}: {sent} sent, {accepted} accepted");
        assert_eq!(accepted, 80);
        // At most one for each thread, and 3 % of the calls.
        assert!(sent <= accepted + 8 + accepted * 3 / 100, "{model:?}: {} of {sent} were refused", sent - accepted);
    }
}

#[test]
fn few_calls_are_throttled_if_only_a_429_has_the_headers() {
    let threads = 8;
    let run = |model: LimitModel, speed: u32, each: u64| {
        let limits = Limits::documented(model).speed(speed.into()).quota("heavy", 30).headers_on_429_only();
        let emulator = Emulator::builder().limits(limits).job_time(Duration::ZERO).start().unwrap();
        let nomic = builder(&emulator).rate_window(Duration::from_secs(60) / speed).build().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| (0..each).for_each(|_| launch(&nomic).unwrap()));
            }
        });
        let (sent, accepted) = (emulator.received("launch_agent"), emulator.accepted("launch_agent"));
        println!("{model:?}: {sent} sent, {accepted} accepted");
        assert_eq!(accepted, threads * each);
        // Each thread may meet the limit once; as many again are allowed for on a busy machine.
        assert!(sent <= accepted + 2 * threads, "{model:?}: {} of {sent} were refused", sent - accepted);
    };
    std::thread::scope(|scope| {
        // Twice the speed: its calls take seven windows.
        for (model, speed, each) in
            [(LimitModel::FullBurst, 20, 12), (LimitModel::EvenPacing, 20, 12), (LimitModel::FixedWindow, 40, 24)]
        {
            scope.spawn(move || run(model, speed, each));
        }
    });
}

#[test]
fn the_first_calls_of_an_idle_account_do_not_wait() {
    let emulator = Emulator::start().unwrap();
    let nomic = nomic(&emulator);
    let began = Instant::now();
    for _ in 0..3 {
        launch(&nomic).unwrap();
    }
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[test]
fn a_server_that_always_allows_a_retry_at_once_gets_few_requests() {
    let emulator = emulator();
    let limited = r#"{"error":"Rate limit exceeded","code":"rate_limited"}"#;
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (pacing, body, delay) in [
        (false, limited, "0"),
        (true, limited, "0"),
        (false, limited, past),
        (true, limited, "1e19"),
        (true, limited, "1000000000"),
        (true, SPEND_LIMIT, "0"),
        (true, SPEND_LIMIT, past),
    ] {
        emulator.clear_faults();
        emulator.fault(Fault::on("launch_agent", throttled(body, delay)).forever());
        let before = emulator.received("launch_agent");
        let nomic = builder(&emulator).pacing(pacing).deadline(Duration::from_secs(2)).build().unwrap();
        let error = launch(&nomic).unwrap_err();
        let sent = emulator.received("launch_agent") - before;
        assert!(sent <= 6, "{sent} requests in two seconds with a delay of {delay}");
        assert!(error.is_rate_limited(), "{error}");
    }
}

#[test]
fn a_rate_limit_that_ends_after_the_deadline_is_an_error_at_once() {
    let limits = Limits::documented(LimitModel::EvenPacing).quota("heavy", 2);
    let emulator = Emulator::builder().limits(limits).start().unwrap();
    let nomic = builder(&emulator).deadline(Duration::from_secs(5)).build().unwrap();
    launch(&nomic).unwrap();
    // Two a minute: the next permit comes in half a minute, and no request in flight could report a higher limit.
    let began = Instant::now();
    let error = launch(&nomic).unwrap_err();
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    assert!(error.is_rate_limited() && error.retry_after().unwrap() > Duration::from_secs(20), "{error}");
}

#[test]
fn a_request_that_was_not_sent_does_not_count_against_the_rate_limit() {
    let limit = Duration::from_millis(500);
    let nomic = Nomic::builder("http://127.0.0.1:1", "npk_x").attempts(1).deadline(limit).build().unwrap();
    // More than the tier allows in a minute.
    for _ in 0..40 {
        let error = launch(&nomic).unwrap_err();
        assert!(error.is_unreachable() && !error.is_rate_limited(), "{error}");
    }
}

#[test]
fn a_request_without_a_response_counts_against_the_rate_limit() {
    let emulator = emulator();
    let nomic = builder(&emulator).deadline(Duration::from_millis(500)).build().unwrap();
    emulator.fault(Fault::on("launch_agent", FaultKind::ResetBefore).forever());
    let limited = (0..40).map(|_| launch(&nomic).unwrap_err()).position(|error| error.is_rate_limited());
    // The tier allows 30 in a minute, and one more every two seconds.
    assert!(limited.is_some_and(|sent| (30..36).contains(&sent)), "{limited:?}");
}

#[test]
fn a_retry_that_the_server_asked_for_is_not_an_attempt() {
    let emulator = emulator();
    let nomic = builder(&emulator).attempts(2).build().unwrap();
    let throttled = FaultKind::RateLimited { retry_after: Some("0".into()) };
    emulator.fault(Fault::on("list_agents", throttled).times(2));
    emulator.fault(Fault::on("list_agents", FaultKind::Html(503)));
    list(&nomic).unwrap();
    assert_eq!(emulator.received("list_agents"), 4);
}

#[test]
fn a_read_whose_503_allows_a_retry_at_once_pauses_before_each_one() {
    let emulator = emulator();
    let nomic = nomic(&emulator);
    let busy = CannedResponse::json(503, r#"{"error":"Busy"}"#).header("Retry-After", "0");
    emulator.fault(Fault::on("list_agents", busy).times(2));
    let began = Instant::now();
    list(&nomic).unwrap();
    // Half of 250 ms and of 500 ms at least.
    assert!(began.elapsed() >= Duration::from_millis(375), "{:?}", began.elapsed());
}

#[test]
fn a_throttled_call_is_sent_again_before_those_that_came_later() {
    let emulator = emulator();
    // The next token comes after a second.
    let nomic = builder(&emulator).rate_window(Duration::from_secs(30)).build().unwrap();
    emulator.fault(Fault::on("launch_agent", FaultKind::RateLimited { retry_after: Some("0.6".into()) }));
    let ends = || launch(&nomic).map(|()| Instant::now()).unwrap();
    std::thread::scope(|scope| {
        let first = scope.spawn(ends);
        while emulator.received("launch_agent") < 1 {
            std::thread::yield_now();
        }
        // By then the first call has its response.
        std::thread::sleep(Duration::from_millis(200));
        let second = scope.spawn(ends);
        assert!(first.join().unwrap() < second.join().unwrap());
    });
}
