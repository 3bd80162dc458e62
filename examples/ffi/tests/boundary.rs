//! The exported functions, called as from C: invalid arguments, panics, cancellation, ownership.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]
#![allow(clippy::undocumented_unsafe_blocks, reason = "every pointer is to a value that the test owns")]

mod common;

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::thread;

use common::{PERMIT, PERMIT_STRINGS, emulator};
use nomic::*;
use nomic_emulator::{Emulator, Fault, FaultKind};

/// A copy of a `NomicError`.
#[derive(Debug)]
struct Failure {
    code: NomicCode,
    status: u16,
    may_have_been_executed: bool,
    message: String,
}

type Error<'a> = Option<&'a mut MaybeUninit<*mut NomicError>>;

/// Calls a function, and converts its error.
fn check(call: impl FnOnce(Error<'_>) -> NomicCode) -> Result<(), Failure> {
    let mut error = MaybeUninit::uninit();
    let code = call(Some(&mut error));
    let error = unsafe { error.assume_init() };
    if error.is_null() {
        assert_eq!(code, NomicCode::Ok);
        return Ok(());
    }
    let error = unsafe { Box::from_raw(error) };
    assert_eq!(code, error.code);
    let message = unsafe { CStr::from_ptr(error.message) }.to_str().unwrap().to_owned();
    let failure = Failure { code, status: error.status, may_have_been_executed: error.may_have_been_executed, message };
    nomic_error_free(Some(error));
    Err(failure)
}

/// The same for a function with an out parameter, which must be NULL after an error.
fn create<T>(call: impl FnOnce(Option<&mut MaybeUninit<*mut T>>, Error<'_>) -> NomicCode) -> Result<*mut T, Failure> {
    let mut out = MaybeUninit::new(ptr::dangling_mut());
    let outcome = check(|error| call(Some(&mut out), error));
    let result = unsafe { out.assume_init() };
    assert_eq!(result.is_null(), outcome.is_err());
    outcome.map(|()| result)
}

/// The same for a string.
fn get_string(
    call: impl FnOnce(Option<&mut MaybeUninit<*mut c_char>>, Error<'_>) -> NomicCode,
) -> Result<CString, Failure> {
    let text = create(call)?;
    let copy = unsafe { CStr::from_ptr(text) }.to_owned();
    unsafe { nomic_string_free(text) };
    Ok(copy)
}

fn client(emulator: &Emulator) -> Box<Nomic> {
    let (url, key) = (CString::new(emulator.url()).unwrap(), CString::new(emulator.key()).unwrap());
    let nomic = create(|nomic, error| unsafe { nomic_new(url.as_ptr(), key.as_ptr(), nomic, error) });
    unsafe { Box::from_raw(nomic.unwrap()) }
}

fn upload(nomic: &Nomic, progress: NomicProgress) -> Result<CString, Failure> {
    let path = CString::new(PERMIT).unwrap();
    get_string(|version, error| unsafe {
        nomic_upload(Some(nomic), path.as_ptr(), progress, ptr::null_mut(), version, None, error)
    })
}

fn parse(nomic: &Nomic) -> CString {
    let version = upload(nomic, None).unwrap();
    get_string(|task, error| unsafe { nomic_parse(Some(nomic), version.as_ptr(), task, error) }).unwrap()
}

fn wait(nomic: &Nomic, task: &CStr, timeout_ms: i64) -> Result<CString, Failure> {
    get_string(|text, error| unsafe { nomic_wait_parse(Some(nomic), task.as_ptr(), timeout_ms, text, None, error) })
}

fn call(
    nomic: &Nomic,
    method: &CStr,
    path: &CStr,
    query: *const c_char,
    body: *const c_char,
) -> Result<CString, Failure> {
    get_string(|answer, error| unsafe {
        nomic_call(Some(nomic), method.as_ptr(), path.as_ptr(), query, body, answer, error)
    })
}

/// The number of users left in a list, and how it ended.
fn remaining(users: &mut NomicUsers) -> (usize, Result<(), Failure>) {
    let mut user = MaybeUninit::uninit();
    for count in 0.. {
        let outcome = check(|error| nomic_users_next(Some(users), Some(&mut user), error));
        if outcome.is_err() || unsafe { user.assume_init() }.is_null() {
            return (count, outcome);
        }
    }
    unreachable!()
}

fn users(nomic: &Nomic) -> Box<NomicUsers> {
    let users = create(|users, error| unsafe { nomic_users(Some(nomic), ptr::null(), users, error) });
    unsafe { Box::from_raw(users.unwrap()) }
}

#[test]
fn null_is_reported() {
    let nomic = client(&emulator());
    let (null, text) = (ptr::null(), c"x".as_ptr());
    let wrong = |outcome: Result<CString, Failure>, name: &str| {
        let failure = outcome.unwrap_err();
        assert!(failure.code == NomicCode::Argument && failure.message == format!("{name} is NULL"), "{failure:?}");
    };
    unsafe {
        wrong(get_string(|task, error| nomic_parse(None, text, task, error)), "nomic");
        wrong(get_string(|task, error| nomic_parse(Some(&nomic), null, task, error)), "file_version_id");
        wrong(
            get_string(|version, error| nomic_upload(Some(&nomic), null, None, ptr::null_mut(), version, None, error)),
            "path",
        );
        wrong(get_string(|text, error| nomic_wait_parse(Some(&nomic), null, 0, text, None, error)), "task_id");
        wrong(get_string(|answer, error| nomic_call(Some(&nomic), null, text, null, null, answer, error)), "method");
        wrong(get_string(|answer, error| nomic_call(Some(&nomic), text, null, null, null, answer, error)), "path");
        // Without an out parameter, or even one for the error.
        assert_eq!(nomic_parse(Some(&nomic), text, None, None), NomicCode::Argument);
        assert_eq!(nomic_new(text, text, None, None), NomicCode::Argument);
        assert_eq!(nomic_users(Some(&nomic), null, None, None), NomicCode::Argument);
    }
    assert_eq!(nomic_from_env(None, None), NomicCode::Argument);
    assert_eq!(nomic_users_next(None, Some(&mut MaybeUninit::uninit()), None), NomicCode::Argument);
    assert_eq!(nomic_users_next(Some(&mut users(&nomic)), None, None), NomicCode::Argument);
}

#[test]
fn invalid_utf_8_is_reported() {
    let failure = create(|nomic, error| unsafe { nomic_new(c"\xff".as_ptr(), c"npk_x".as_ptr(), nomic, error) });
    let failure = failure.map(drop).unwrap_err();
    assert!(failure.code == NomicCode::Argument && failure.message.starts_with("domain is not UTF-8"), "{failure:?}");
}

#[test]
fn freeing_null_does_nothing() {
    nomic_free(None);
    nomic_users_free(None);
    nomic_error_free(None);
    unsafe { nomic_string_free(ptr::null_mut()) };
}

#[test]
fn a_panic_is_reported_and_the_client_remains_usable() {
    extern "C-unwind" fn panics(_: u64, _: u64, _: *mut c_void) -> c_int {
        panic!("a wrong turn")
    }
    let emulator = emulator();
    let nomic = client(&emulator);
    let failure = upload(&nomic, Some(panics)).unwrap_err();
    assert!(failure.code == NomicCode::Panic && failure.message.contains("a wrong turn"), "{failure:?}");
    upload(&nomic, None).unwrap();
    assert_eq!(emulator.accepted("upload_file"), 1);
}

#[test]
fn a_cancelled_upload_stores_nothing_and_the_client_remains_usable() {
    extern "C-unwind" fn cancels_at_the_end(sent: u64, total: u64, _: *mut c_void) -> c_int {
        c_int::from(sent == total)
    }
    let emulator = emulator();
    let nomic = client(&emulator);
    let failure = upload(&nomic, Some(cancels_at_the_end)).unwrap_err();
    assert!(failure.code == NomicCode::Cancelled && !failure.may_have_been_executed, "{failure:?}");
    upload(&nomic, None).unwrap();
    assert_eq!(emulator.accepted("upload_file"), 1);
}

#[test]
fn a_task_continues_after_a_timeout_and_another_client_can_wait_for_it() {
    let emulator = Emulator::builder().job_time(std::time::Duration::from_millis(300)).start().unwrap();
    let task = parse(&client(&emulator));
    let other = client(&emulator);
    let failure = wait(&other, &task, 0).unwrap_err();
    assert!(failure.code == NomicCode::Timeout && !failure.message.is_empty(), "{failure:?}");
    let text = wait(&other, &task, -1).unwrap().into_string().unwrap();
    assert!(PERMIT_STRINGS.iter().all(|words| text.contains(words)), "{text}");
}

#[test]
fn the_document_json_is_as_documented() {
    let emulator = emulator();
    let nomic = client(&emulator);
    let task = parse(&nomic);
    let json =
        get_string(|json, error| unsafe { nomic_wait_parse(Some(&nomic), task.as_ptr(), -1, None, json, error) });
    let document: serde_json::Value = serde_json::from_str(json.unwrap().to_str().unwrap()).unwrap();
    let chunk = &document["chunks"][0];
    let block = &chunk["blocks"][0];
    assert!(document["blocks"].is_array() && chunk["content"].is_string() && chunk.get("embed").is_some(), "{chunk}");
    assert!(block["type"].is_string() && block["content"].is_string() && block["bbox"]["page"] == 1, "{block}");
    for edge in ["left", "top", "width", "height"] {
        assert!((0.0..=1.0).contains(&block["bbox"][edge].as_f64().unwrap()), "{block}");
    }
}

#[test]
fn each_error_has_its_code() {
    let emulator = emulator();
    let nomic = client(&emulator);
    let get = || call(&nomic, c"GET", c"/users", ptr::null(), ptr::null()).unwrap_err();
    let fault = |kind: FaultKind| {
        emulator.fault(Fault::any(kind));
        let failure = get();
        (failure.code, failure.status)
    };
    assert_eq!(fault(FaultKind::RateLimited { retry_after: None }), (NomicCode::RateLimited, 429));
    assert_eq!(fault(FaultKind::Html(418)), (NomicCode::Answer, 418));
    let api = |status| FaultKind::Api { status, error: "no".into(), code: None };
    assert_eq!(fault(api(403)), (NomicCode::Forbidden, 403));
    assert_eq!(fault(api(404)), (NomicCode::NotFound, 404));
    assert_eq!(fault(api(422)), (NomicCode::Api, 422));

    emulator.fault(Fault::on("upload_file", FaultKind::ResetAfter));
    let failure = upload(&nomic, None).unwrap_err();
    assert!(failure.code == NomicCode::Transport && failure.may_have_been_executed, "{failure:?}");

    emulator.fault(Fault::on("submit_parse", FaultKind::JobFails("too faint".into())));
    let failure = wait(&nomic, &parse(&nomic), -1).unwrap_err();
    assert!(failure.code == NomicCode::JobFailed && failure.message.contains("too faint"), "{failure:?}");

    emulator.revoke_key(emulator.key());
    assert_eq!(get().code, NomicCode::Unauthorized);
}

#[test]
fn a_list_outlives_its_client_and_stays_at_its_end() {
    let emulator = emulator();
    let nomic = client(&emulator);
    let mut users = users(&nomic);
    nomic_free(Some(nomic));
    let mut user = MaybeUninit::uninit();
    check(|error| nomic_users_next(Some(&mut users), Some(&mut user), error)).unwrap();
    let first = unsafe { &*user.assume_init() };
    let text = |text: *const c_char| unsafe { CStr::from_ptr(text) }.to_str().unwrap();
    assert_eq!((text(first.email), text(first.name)), ("alice@example.com", "Alice Johnson"));
    assert!(!first.disabled && text(first.json).contains(text(first.id)), "{}", text(first.json));
    for left in [24, 0, 0] {
        let (count, outcome) = remaining(&mut users);
        assert!(count == left && outcome.is_ok(), "{count} {outcome:?}");
    }
    nomic_users_free(Some(users));
}

#[test]
fn an_error_ends_a_list() {
    let emulator = emulator();
    emulator.fault(Fault::on("list_users", FaultKind::MalformedJson));
    let mut users = users(&client(&emulator));
    let (count, outcome) = remaining(&mut users);
    assert!(count == 0 && outcome.unwrap_err().code == NomicCode::Answer);
    let (count, outcome) = remaining(&mut users);
    assert!(count == 0 && outcome.is_ok());
}

#[test]
fn any_operation_can_be_called_with_json() {
    let emulator = emulator();
    let nomic = client(&emulator);
    let null = ptr::null();
    let page = call(&nomic, c"GET", c"/users", c"{\"limit\": 1, \"email\": \"bob@\"}".as_ptr(), null).unwrap();
    assert!(page.to_str().unwrap().contains("bob@example.com"), "{page:?}");
    let agent = call(&nomic, c"POST", c"/agents", null, c"{\"prompt\": {\"text\": \"Go.\"}}".as_ptr()).unwrap();
    assert!(agent.to_str().unwrap().contains("\"id\""), "{agent:?}");
    for (method, query, body, words) in [
        (c"GRAB", null, null, "method is \"GRAB\""),
        (c"GET", c"limit=1".as_ptr(), null, "query is not a JSON object"),
        (c"POST", null, c"{".as_ptr(), "body is not JSON"),
    ] {
        let failure = call(&nomic, method, c"/agents", query, body).unwrap_err();
        assert!(failure.code == NomicCode::Argument && failure.message.starts_with(words), "{failure:?}");
    }
}

#[test]
fn threads_share_a_client() {
    let emulator = emulator();
    let nomic = client(&emulator);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(remaining(&mut users(&nomic)).0, 25));
        }
    });
}
