//! The boundary as a program in another language meets it: wrong arguments, panics, cancellation, and what is owned.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]
#![allow(clippy::undocumented_unsafe_blocks, reason = "every pointer here is of a value that the test holds")]

mod common;

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::thread;

use common::{PERMIT, WORDS_OF_PERMIT, instance};
use nomic::*;
use nomic_emulator::{Emulator, Fault, FaultKind};

/// What an error says.
#[derive(Debug)]
struct Said {
    code: NomicCode,
    status: u16,
    may_have_been_executed: bool,
    message: String,
}

type Error<'a> = Option<&'a mut MaybeUninit<*mut NomicError>>;

/// Calls a function with a place for its error.
fn called(call: impl FnOnce(Error<'_>) -> NomicCode) -> Result<(), Said> {
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
    let said = Said { code, status: error.status, may_have_been_executed: error.may_have_been_executed, message };
    nomic_error_free(Some(error));
    Err(said)
}

/// The same for a function with a result, which must be NULL if there is none.
fn made<T>(call: impl FnOnce(Option<&mut MaybeUninit<*mut T>>, Error<'_>) -> NomicCode) -> Result<*mut T, Said> {
    let mut place = MaybeUninit::new(ptr::dangling_mut());
    let outcome = called(|error| call(Some(&mut place), error));
    let result = unsafe { place.assume_init() };
    assert_eq!(result.is_null(), outcome.is_err());
    outcome.map(|()| result)
}

/// The same for a result that is a text.
fn told(call: impl FnOnce(Option<&mut MaybeUninit<*mut c_char>>, Error<'_>) -> NomicCode) -> Result<CString, Said> {
    let text = made(call)?;
    let copy = unsafe { CStr::from_ptr(text) }.to_owned();
    unsafe { nomic_string_free(text) };
    Ok(copy)
}

fn client(emulator: &Emulator) -> Box<Nomic> {
    let (url, key) = (CString::new(emulator.url()).unwrap(), CString::new(emulator.key()).unwrap());
    let nomic = made(|nomic, error| unsafe { nomic_new(url.as_ptr(), key.as_ptr(), nomic, error) });
    unsafe { Box::from_raw(nomic.unwrap()) }
}

fn upload(nomic: &Nomic, progress: NomicProgress) -> Result<CString, Said> {
    let path = CString::new(PERMIT).unwrap();
    told(|version, error| unsafe {
        nomic_upload(Some(nomic), path.as_ptr(), progress, ptr::null_mut(), version, None, error)
    })
}

fn parse(nomic: &Nomic) -> CString {
    let version = upload(nomic, None).unwrap();
    told(|task, error| unsafe { nomic_parse(Some(nomic), version.as_ptr(), task, error) }).unwrap()
}

fn wait(nomic: &Nomic, task: &CStr, timeout_ms: i64) -> Result<CString, Said> {
    told(|text, error| unsafe { nomic_wait_parse(Some(nomic), task.as_ptr(), timeout_ms, text, None, error) })
}

fn call(nomic: &Nomic, method: &CStr, path: &CStr, query: *const c_char, body: *const c_char) -> Result<CString, Said> {
    told(|answer, error| unsafe { nomic_call(Some(nomic), method.as_ptr(), path.as_ptr(), query, body, answer, error) })
}

/// The number of users that a list still gives, and how it ended.
fn count(users: &mut NomicUsers) -> (usize, Result<(), Said>) {
    let mut user = MaybeUninit::uninit();
    for number in 0.. {
        let outcome = called(|error| nomic_users_next(Some(users), Some(&mut user), error));
        if outcome.is_err() || unsafe { user.assume_init() }.is_null() {
            return (number, outcome);
        }
    }
    unreachable!()
}

fn users(nomic: &Nomic) -> Box<NomicUsers> {
    let users = made(|users, error| unsafe { nomic_users(Some(nomic), ptr::null(), users, error) });
    unsafe { Box::from_raw(users.unwrap()) }
}

#[test]
fn null_comes_back_as_a_code() {
    let nomic = client(&instance());
    let (null, text) = (ptr::null(), c"x".as_ptr());
    let wrong = |outcome: Result<CString, Said>, name: &str| {
        let said = outcome.unwrap_err();
        assert!(said.code == NomicCode::Argument && said.message == format!("{name} is NULL"), "{said:?}");
    };
    unsafe {
        wrong(told(|task, error| nomic_parse(None, text, task, error)), "nomic");
        wrong(told(|task, error| nomic_parse(Some(&nomic), null, task, error)), "file_version_id");
        wrong(
            told(|version, error| nomic_upload(Some(&nomic), null, None, ptr::null_mut(), version, None, error)),
            "path",
        );
        wrong(told(|text, error| nomic_wait_parse(Some(&nomic), null, 0, text, None, error)), "task_id");
        wrong(told(|answer, error| nomic_call(Some(&nomic), null, text, null, null, answer, error)), "method");
        wrong(told(|answer, error| nomic_call(Some(&nomic), text, null, null, null, answer, error)), "path");
        // No place for the result, or even for the error.
        assert_eq!(nomic_parse(Some(&nomic), text, None, None), NomicCode::Argument);
        assert_eq!(nomic_new(text, text, None, None), NomicCode::Argument);
        assert_eq!(nomic_users(Some(&nomic), null, None, None), NomicCode::Argument);
    }
    assert_eq!(nomic_from_env(None, None), NomicCode::Argument);
    assert_eq!(nomic_users_next(None, Some(&mut MaybeUninit::uninit()), None), NomicCode::Argument);
    assert_eq!(nomic_users_next(Some(&mut users(&nomic)), None, None), NomicCode::Argument);
}

#[test]
fn what_is_not_utf_8_comes_back_as_a_code() {
    let said = made(|nomic, error| unsafe { nomic_new(c"\xff".as_ptr(), c"npk_x".as_ptr(), nomic, error) });
    let said = said.map(drop).unwrap_err();
    assert!(said.code == NomicCode::Argument && said.message.starts_with("domain is not UTF-8"), "{said:?}");
}

#[test]
fn freeing_null_does_nothing() {
    nomic_free(None);
    nomic_users_free(None);
    nomic_error_free(None);
    unsafe { nomic_string_free(ptr::null_mut()) };
}

#[test]
fn a_panic_comes_back_as_a_code_and_the_client_goes_on() {
    extern "C-unwind" fn breaks(_: u64, _: u64, _: *mut c_void) -> c_int {
        panic!("a wrong turn")
    }
    let emulator = instance();
    let nomic = client(&emulator);
    let said = upload(&nomic, Some(breaks)).unwrap_err();
    assert!(said.code == NomicCode::Panic && said.message.contains("a wrong turn"), "{said:?}");
    upload(&nomic, None).unwrap();
    assert_eq!(emulator.accepted("upload_file"), 1);
}

#[test]
fn a_cancelled_upload_stores_nothing_and_the_client_goes_on() {
    extern "C-unwind" fn cancels_at_the_end(sent: u64, total: u64, _: *mut c_void) -> c_int {
        c_int::from(sent == total)
    }
    let emulator = instance();
    let nomic = client(&emulator);
    let said = upload(&nomic, Some(cancels_at_the_end)).unwrap_err();
    assert!(said.code == NomicCode::Cancelled && !said.may_have_been_executed, "{said:?}");
    upload(&nomic, None).unwrap();
    assert_eq!(emulator.accepted("upload_file"), 1);
}

#[test]
fn a_task_goes_on_after_a_timeout_and_another_client_waits_for_it() {
    let emulator = Emulator::builder().job_time(std::time::Duration::from_millis(300)).start().unwrap();
    let task = parse(&client(&emulator));
    let other = client(&emulator);
    let said = wait(&other, &task, 0).unwrap_err();
    assert!(said.code == NomicCode::Timeout && !said.message.is_empty(), "{said:?}");
    let text = wait(&other, &task, -1).unwrap().into_string().unwrap();
    assert!(WORDS_OF_PERMIT.iter().all(|words| text.contains(words)), "{text}");
}

#[test]
fn the_document_as_json_is_of_the_shape_that_the_header_shows() {
    let emulator = instance();
    let nomic = client(&emulator);
    let task = parse(&nomic);
    let all = told(|all, error| unsafe { nomic_wait_parse(Some(&nomic), task.as_ptr(), -1, None, all, error) });
    let document: serde_json::Value = serde_json::from_str(all.unwrap().to_str().unwrap()).unwrap();
    let chunk = &document["chunks"][0];
    let block = &chunk["blocks"][0];
    assert!(document["blocks"].is_array() && chunk["content"].is_string() && chunk.get("embed").is_some(), "{chunk}");
    assert!(block["type"].is_string() && block["content"].is_string() && block["bbox"]["page"] == 1, "{block}");
    for edge in ["left", "top", "width", "height"] {
        assert!((0.0..=1.0).contains(&block["bbox"][edge].as_f64().unwrap()), "{block}");
    }
}

#[test]
fn the_code_says_what_went_wrong() {
    let emulator = instance();
    let nomic = client(&emulator);
    let get = || call(&nomic, c"GET", c"/users", ptr::null(), ptr::null()).unwrap_err();
    let answered = |kind: FaultKind| {
        emulator.fault(Fault::any(kind));
        let said = get();
        (said.code, said.status)
    };
    assert_eq!(answered(FaultKind::RateLimited { retry_after: None }), (NomicCode::RateLimited, 429));
    assert_eq!(answered(FaultKind::Html(418)), (NomicCode::Answer, 418));
    let api = |status| FaultKind::Api { status, error: "no".into(), code: None };
    assert_eq!(answered(api(403)), (NomicCode::Forbidden, 403));
    assert_eq!(answered(api(404)), (NomicCode::NotFound, 404));
    assert_eq!(answered(api(422)), (NomicCode::Api, 422));

    emulator.fault(Fault::on("upload_file", FaultKind::ResetAfter));
    let said = upload(&nomic, None).unwrap_err();
    assert!(said.code == NomicCode::Transport && said.may_have_been_executed, "{said:?}");

    emulator.fault(Fault::on("submit_parse", FaultKind::JobFails("too faint".into())));
    let said = wait(&nomic, &parse(&nomic), -1).unwrap_err();
    assert!(said.code == NomicCode::JobFailed && said.message.contains("too faint"), "{said:?}");

    emulator.revoke_key(emulator.key());
    assert_eq!(get().code, NomicCode::Unauthorized);
}

#[test]
fn a_list_outlives_its_client_and_goes_on_to_say_that_it_is_at_its_end() {
    let emulator = instance();
    let nomic = client(&emulator);
    let mut users = users(&nomic);
    nomic_free(Some(nomic));
    let mut user = MaybeUninit::uninit();
    called(|error| nomic_users_next(Some(&mut users), Some(&mut user), error)).unwrap();
    let first = unsafe { &*user.assume_init() };
    let text = |text: *const c_char| unsafe { CStr::from_ptr(text) }.to_str().unwrap();
    assert_eq!((text(first.email), text(first.name)), ("alice@example.com", "Alice Johnson"));
    assert!(!first.disabled && text(first.json).contains(text(first.id)), "{}", text(first.json));
    for left in [24, 0, 0] {
        let (number, outcome) = count(&mut users);
        assert!(number == left && outcome.is_ok(), "{number} {outcome:?}");
    }
    nomic_users_free(Some(users));
}

#[test]
fn an_error_ends_a_list() {
    let emulator = instance();
    emulator.fault(Fault::on("list_users", FaultKind::MalformedJson));
    let mut users = users(&client(&emulator));
    let (number, outcome) = count(&mut users);
    assert!(number == 0 && outcome.unwrap_err().code == NomicCode::Answer);
    let (number, outcome) = count(&mut users);
    assert!(number == 0 && outcome.is_ok());
}

#[test]
fn any_operation_can_be_called_with_json() {
    let emulator = instance();
    let nomic = client(&emulator);
    let null = ptr::null();
    let page = call(&nomic, c"GET", c"/users", c"{\"limit\": 1, \"email\": \"bob@\"}".as_ptr(), null).unwrap();
    assert!(page.to_str().unwrap().contains("bob@example.com"), "{page:?}");
    let agent = call(&nomic, c"POST", c"/agents", null, c"{\"prompt\": {\"text\": \"Go.\"}}".as_ptr()).unwrap();
    assert!(agent.to_str().unwrap().contains("\"id\""), "{agent:?}");
    for (method, query, body, words) in [
        (c"GRAB", null, null, "method is \"GRAB\""),
        (c"GET", c"limit=1".as_ptr(), null, "query is no JSON object"),
        (c"POST", null, c"{".as_ptr(), "body is no JSON"),
    ] {
        let said = call(&nomic, method, c"/agents", query, body).unwrap_err();
        assert!(said.code == NomicCode::Argument && said.message.starts_with(words), "{said:?}");
    }
}

#[test]
fn threads_share_a_client() {
    let emulator = instance();
    let nomic = client(&emulator);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(count(&mut users(&nomic)).0, 25));
        }
    });
}
