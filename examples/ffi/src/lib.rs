//! A C interface to `nomic-client`: what `include/nomic.h` declares. The README is the guide for other languages.
//!
//! Arguments from C are `Option<&T>` and results `Option<&mut MaybeUninit<*mut T>>`, which are nullable pointers on the
//! wire between the languages, and what is freed is an `Option<Box<T>>`; so unsafe code is left where C's text is read,
//! C's function is called, and a text is freed.

mod boundary;
mod error;

use std::ffi::{CString, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::time::Duration;

use nomic_client::files::Upload;
use nomic_client::operations::Method;
use nomic_client::users::{Filter, User};
use nomic_client::{Listing, Request, WaitOptions, parse};
use serde_json::{Map, Value};

use crate::boundary::{c_text, cleared, given, guard, optional_text, owned, put, quietly, text};
use crate::error::argument;
pub use crate::error::{NomicCode, NomicError};

// The promise that nothing unwinds into C is kept by catching, which needs unwinding within.
#[cfg(panic = "abort")]
compile_error!("a panic must come back as NOMIC_CODE_PANIC: build with panic = \"unwind\"");

/// A client of one instance, with one key. Threads share it.
pub struct Nomic(nomic_client::Nomic);

/// A list of users on its way, one page at a time. It outlives the client that it came from.
pub struct NomicUsers {
    listing: Listing<User>,
    current: NomicUser,
    /// What `current` points to.
    strings: Vec<CString>,
}

/// A user, as the list shows one. Its texts belong to the list. A later version may have more fields at the end.
#[repr(C)]
pub struct NomicUser {
    /// The user's id.
    pub id: *const c_char,
    /// The address that the user signs in with.
    pub email: *const c_char,
    /// The name; NULL if there is none.
    pub name: *const c_char,
    /// All that the service said of the user, as JSON.
    pub json: *const c_char,
    /// Whether the user is shut out.
    pub disabled: bool,
}

/// Told how many bytes of the document were handed over so far, and of how many, on the thread that uploads. Returns 0
/// to go on, anything else to cancel: nothing is stored then. It must return: an exception of C++ that leaves it ends
/// the process.
pub type NomicProgress = Option<unsafe extern "C-unwind" fn(sent: u64, total: u64, user_data: *mut c_void) -> c_int>;

/// The version of this library, as `0.1.0`. It is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn nomic_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Makes a client of the instance at `domain`, as `acme` or `https://acme.nomic.ai`; nothing is sent. Free it with
/// `nomic_free`.
///
/// # Safety
///
/// `domain` and `key` are texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nomic_new(
    domain: *const c_char,
    key: *const c_char,
    nomic: Option<&mut MaybeUninit<*mut Nomic>>,
    error: Option<&mut MaybeUninit<*mut NomicError>>,
) -> NomicCode {
    guard(error, || {
        let nomic = given("nomic", cleared(nomic))?;
        // SAFETY: the caller says that both are texts.
        let (domain, key) = unsafe { (text("domain", domain)?, text("key", key)?) };
        *nomic = Box::into_raw(Box::new(Nomic(nomic_client::Nomic::new(domain, key)?)));
        Ok(())
    })
}

/// Makes a client as the environment says: `NOMIC_API_KEY`, and `NOMIC_DOMAIN` or `NOMIC_BASE_URL`; a proxy too. Free
/// it with `nomic_free`.
#[unsafe(no_mangle)]
pub extern "C" fn nomic_from_env(
    nomic: Option<&mut MaybeUninit<*mut Nomic>>,
    error: Option<&mut MaybeUninit<*mut NomicError>>,
) -> NomicCode {
    guard(error, || {
        let nomic = given("nomic", cleared(nomic))?;
        *nomic = Box::into_raw(Box::new(Nomic(nomic_client::Nomic::from_env()?)));
        Ok(())
    })
}

/// Frees a client that no thread uses any more.
#[unsafe(no_mangle)]
pub extern "C" fn nomic_free(nomic: Option<Box<Nomic>>) {
    quietly(nomic);
}

/// Uploads the file at `path`, streamed. `progress` may be NULL; `user_data` is handed to it as it is. The results are
/// what `nomic_parse` takes, and all that the service said of the file, as JSON; each may be NULL if it is not wanted,
/// and is freed with `nomic_string_free`.
///
/// # Safety
///
/// `path` is a text. `progress` may be called with `user_data` until the function returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nomic_upload(
    nomic: Option<&Nomic>,
    path: *const c_char,
    progress: NomicProgress,
    user_data: *mut c_void,
    file_version_id: Option<&mut MaybeUninit<*mut c_char>>,
    file_json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut NomicError>>,
) -> NomicCode {
    guard(error, || {
        let (file_version_id, file_json) = (cleared(file_version_id), cleared(file_json));
        let nomic = given("nomic", nomic)?;
        // SAFETY: the caller says that it is a text.
        let mut upload = Upload::from_path(unsafe { text("path", path) }?);
        if let Some(progress) = progress {
            // A pointer that may be in a closure that is `Send`; which is called on this very thread.
            let mut user_data = AtomicPtr::new(user_data);
            upload = upload.on_progress(move |sent, total| {
                // SAFETY: the caller says that it may be called so until this function returns.
                match unsafe { progress(sent, total, *user_data.get_mut()) } {
                    0 => ControlFlow::Continue(()),
                    _ => ControlFlow::Break(()),
                }
            });
        }
        let file = nomic.0.upload(upload)?;
        let all = serde_json::to_string(&file)?;
        put(file_version_id, file.file_version_id.as_str());
        put(file_json, &all);
        Ok(())
    })
}

/// Has a file version parsed. The result is the id of the task, to be waited for by this process or, stored, by
/// another; free it with `nomic_string_free`.
///
/// # Safety
///
/// `file_version_id` is a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nomic_parse(
    nomic: Option<&Nomic>,
    file_version_id: *const c_char,
    task_id: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut NomicError>>,
) -> NomicCode {
    guard(error, || {
        let task_id = given("task_id", cleared(task_id))?;
        let nomic = given("nomic", nomic)?;
        // SAFETY: the caller says that it is a text.
        let file_version_id = unsafe { text("file_version_id", file_version_id) }?;
        let job = nomic.0.parse(&file_version_id.into(), &parse::Options::default())?;
        *task_id = owned(job.task_id.as_str());
        Ok(())
    })
}

/// Waits until a task has ended, `timeout_ms` and at most 5 seconds for a last answer: 0 asks once, a negative number
/// waits for half an hour. After NOMIC_CODE_TIMEOUT the task goes on, and can be waited for again. The results are the
/// text, and chunks and blocks as JSON; each may be NULL if it is not wanted, and is freed with `nomic_string_free`.
///
/// The JSON is an object: `{"chunks": [{"content": "…", "embed": null, "blocks": [{"type": "Table", "content": "…",
/// "bbox": {"page": 1, "left": 0.1, "top": 0.05, "width": 0.8, "height": 0.1}}]}], "blocks": []}`. Chunks come in reading
/// order; pages count from 1, and edges are fractions of the page from its upper left corner; `embed`, `type`, `bbox`
/// and `page` may be null; `blocks` beside the chunks is empty where they hold the blocks. Whatever else the service said
/// stands beside these fields.
///
/// # Safety
///
/// `task_id` is a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nomic_wait_parse(
    nomic: Option<&Nomic>,
    task_id: *const c_char,
    timeout_ms: i64,
    document_text: Option<&mut MaybeUninit<*mut c_char>>,
    document_json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut NomicError>>,
) -> NomicCode {
    guard(error, || {
        let (document_text, document_json) = (cleared(document_text), cleared(document_json));
        let nomic = given("nomic", nomic)?;
        // SAFETY: the caller says that it is a text.
        let job = nomic.0.parse_job(unsafe { text("task_id", task_id) }?);
        let options = match u64::try_from(timeout_ms) {
            Ok(millis) => WaitOptions::with_timeout(Duration::from_millis(millis)),
            Err(_) => WaitOptions::default(),
        };
        let parsed = nomic.0.wait_with(&job, &options)?;
        let all = if document_json.is_some() { serde_json::to_string(&parsed)? } else { String::new() };
        put(document_text, &parsed.text());
        put(document_json, &all);
        Ok(())
    })
}

/// Lists the users whose address holds `email`, or all of them if it is NULL; nothing is sent before the first is asked
/// for. Free the list with `nomic_users_free`.
///
/// # Safety
///
/// `email` is a text or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nomic_users(
    nomic: Option<&Nomic>,
    email: *const c_char,
    users: Option<&mut MaybeUninit<*mut NomicUsers>>,
    error: Option<&mut MaybeUninit<*mut NomicError>>,
) -> NomicCode {
    guard(error, || {
        let users = given("users", cleared(users))?;
        let nomic = given("nomic", nomic)?;
        // SAFETY: the caller says that it is a text or NULL.
        let email = unsafe { optional_text("email", email) }?.map(str::to_owned);
        let listing = nomic.0.users(&Filter { email });
        let nobody = ptr::null();
        let current = NomicUser { id: nobody, email: nobody, name: nobody, json: nobody, disabled: false };
        *users = Box::into_raw(Box::new(NomicUsers { listing, current, strings: Vec::new() }));
        Ok(())
    })
}

/// Gives the next user, or NULL (and NOMIC_CODE_OK) at the end and from then on. The user belongs to the list, and is
/// there until the next call with it. After an error the list is at its end.
#[unsafe(no_mangle)]
pub extern "C" fn nomic_users_next(
    users: Option<&mut NomicUsers>,
    user: Option<&mut MaybeUninit<*const NomicUser>>,
    error: Option<&mut MaybeUninit<*mut NomicError>>,
) -> NomicCode {
    guard(error, || {
        let user = given("user", user.map(|place| place.write(ptr::null())))?;
        let NomicUsers { listing, current, strings } = given("users", users)?;
        strings.clear();
        let Some(found) = listing.next().transpose()? else { return Ok(()) };
        let all = serde_json::to_string(&found)?;
        let mut keep = |text: &str| {
            // The bytes stay where they are when the vector grows.
            strings.push(c_text(text));
            strings.last().map_or(ptr::null(), |text| text.as_ptr())
        };
        *current = NomicUser {
            id: keep(found.id.as_str()),
            email: keep(&found.email),
            name: found.name.as_deref().map_or(ptr::null(), &mut keep),
            json: keep(&all),
            disabled: found.disabled.unwrap_or_default(),
        };
        *user = current;
        Ok(())
    })
}

/// Frees a list of users, at its end or before.
#[unsafe(no_mangle)]
pub extern "C" fn nomic_users_free(users: Option<Box<NomicUsers>>) {
    quietly(users);
}

/// Calls any operation of the API, through the same key, pace and errors: `method` in upper case, as `POST`; `path` below
/// the base URL, as `/agents`; `query` a JSON object, as `{"limit": 5}`; `body` any JSON. What is not plain in the path is
/// encoded, `?` and `%` too: a query goes into its own argument, and nothing is encoded beforehand. The answer is JSON,
/// `null` if the service sent nothing; free it with `nomic_string_free`. Query, body and answer may be NULL.
///
/// # Safety
///
/// `method` and `path` are texts, `query` and `body` are texts or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nomic_call(
    nomic: Option<&Nomic>,
    method: *const c_char,
    path: *const c_char,
    query: *const c_char,
    body: *const c_char,
    answer: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut NomicError>>,
) -> NomicCode {
    guard(error, || {
        let answer = cleared(answer);
        let nomic = given("nomic", nomic)?;
        // SAFETY: the caller says that they are texts.
        let (method, path) = unsafe { (text("method", method)?, text("path", path)?) };
        // SAFETY: the caller says that they are texts or NULL.
        let (query, body) = unsafe { (optional_text("query", query)?, optional_text("body", body)?) };
        let method = match method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            other => return Err(argument(format!("method is {other:?}, not GET, POST, PUT, PATCH or DELETE"))),
        };
        let mut request = Request::new(method, path);
        if let Some(query) = query {
            let query: Map<String, Value> =
                serde_json::from_str(query).map_err(|error| argument(format!("query is no JSON object: {error}")))?;
            for (name, value) in query {
                request = match value {
                    Value::String(value) => request.query(name, value),
                    value => request.query(name, value),
                };
            }
        }
        if let Some(body) = body {
            let body: Value =
                serde_json::from_str(body).map_err(|error| argument(format!("body is no JSON: {error}")))?;
            request = request.json(&body);
        }
        let said: Value = nomic.0.call(&request)?;
        put(answer, &said.to_string());
        Ok(())
    })
}

/// Frees a text that a function of this library gave out.
///
/// # Safety
///
/// `text` came from this library and was not freed, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nomic_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: it came from `CString::into_raw` in `owned`, and the caller says that it was not freed.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// Frees an error with its message.
#[unsafe(no_mangle)]
pub extern "C" fn nomic_error_free(error: Option<Box<NomicError>>) {
    quietly(error);
}
