//! A C API for `nomic-client`, declared in `include/nomic.h`. The README is the guide for other languages.
//!
//! Nullable pointers from C are `Option<&T>` for arguments, `Option<&mut MaybeUninit<*mut T>>` for out parameters and
//! `Option<Box<T>>` for values to free. Unsafe code is left only where a C string is read, the C callback is called, or
//! a string is freed.

mod boundary;
mod error;

use std::ffi::{CString, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::time::Duration;

use nomic_client::files::Upload;
use nomic_client::job::WaitOptions;
use nomic_client::operations::Method;
use nomic_client::users::{Filter, User};
use nomic_client::{Listing, Request};
use serde_json::{Map, Value};

use crate::boundary::{c_string, drop_guarded, guard, into_raw, null_out, optional_string, required, set_out, string};
use crate::error::invalid_argument;
pub use crate::error::{NomicCode, NomicError};

// Panics are caught before they reach C, which requires unwinding.
#[cfg(panic = "abort")]
compile_error!("panics are returned as NOMIC_CODE_PANIC: build with panic = \"unwind\"");

/// A client for one instance, with one API key. Threads can share it.
pub struct Nomic(nomic_client::Nomic);

/// A list of users, fetched page by page. It may outlive its client.
pub struct NomicUsers {
    listing: Listing<User>,
    current: NomicUser,
    /// Backs the pointers in `current`.
    strings: Vec<CString>,
}

/// A user. The list owns its strings. Later versions may add fields at the end.
#[repr(C)]
pub struct NomicUser {
    /// The user's id.
    pub id: *const c_char,
    /// The user's e-mail address.
    pub email: *const c_char,
    /// The user's name, or NULL.
    pub name: *const c_char,
    /// The user as JSON, with all fields of the response.
    pub json: *const c_char,
    /// Whether the user is disabled.
    pub disabled: bool,
}

/// A progress callback, called with the number of bytes sent so far and the total, on the thread that uploads. Return 0
/// to continue; any other value cancels the upload, and nothing is stored. It must return normally: a C++ exception that
/// escapes from it terminates the process.
pub type NomicProgress = Option<unsafe extern "C-unwind" fn(sent: u64, total: u64, user_data: *mut c_void) -> c_int>;

/// The version of this library, e.g. `0.1.0`. Do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn nomic_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Creates a client for the instance at `domain`, e.g. `acme` or `https://acme.nomic.ai`. Nothing is sent. Free the
/// client with `nomic_free`.
///
/// # Safety
///
/// `domain` and `key` are strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nomic_new(
    domain: *const c_char,
    key: *const c_char,
    nomic: Option<&mut MaybeUninit<*mut Nomic>>,
    error: Option<&mut MaybeUninit<*mut NomicError>>,
) -> NomicCode {
    guard(error, || {
        let nomic = required("nomic", null_out(nomic))?;
        // SAFETY: the caller guarantees that both are strings.
        let (domain, key) = unsafe { (string("domain", domain)?, string("key", key)?) };
        *nomic = Box::into_raw(Box::new(Nomic(nomic_client::Nomic::new(domain, key)?)));
        Ok(())
    })
}

/// Creates a client from the environment: `NOMIC_API_KEY`, `NOMIC_DOMAIN` or `NOMIC_BASE_URL`, and the proxy variables.
/// Free the client with `nomic_free`.
#[unsafe(no_mangle)]
pub extern "C" fn nomic_from_env(
    nomic: Option<&mut MaybeUninit<*mut Nomic>>,
    error: Option<&mut MaybeUninit<*mut NomicError>>,
) -> NomicCode {
    guard(error, || {
        let nomic = required("nomic", null_out(nomic))?;
        *nomic = Box::into_raw(Box::new(Nomic(nomic_client::Nomic::from_env()?)));
        Ok(())
    })
}

/// Frees a client. No other thread may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn nomic_free(nomic: Option<Box<Nomic>>) {
    drop_guarded(nomic);
}

/// Uploads the file at `path`. The file is streamed, not loaded into memory. `progress` may be NULL; `user_data` is
/// passed to it unchanged. `file_version_id` receives the id to pass to `nomic_parse`, and `file_json` the file as JSON;
/// either may be NULL. Free both with `nomic_string_free`.
///
/// # Safety
///
/// `path` is a string. `progress` may be called with `user_data` until the function returns.
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
        let (file_version_id, file_json) = (null_out(file_version_id), null_out(file_json));
        let nomic = required("nomic", nomic)?;
        // SAFETY: the caller guarantees that it is a string.
        let mut upload = Upload::from_path(unsafe { string("path", path) }?);
        if let Some(progress) = progress {
            // A raw pointer is not `Send`, but the closure must be. It is called on this thread only.
            let mut user_data = AtomicPtr::new(user_data);
            upload = upload.on_progress(move |sent, total| {
                // SAFETY: the caller guarantees that it may be called with `user_data` until this function returns.
                match unsafe { progress(sent, total, *user_data.get_mut()) } {
                    0 => ControlFlow::Continue(()),
                    _ => ControlFlow::Break(()),
                }
            });
        }
        let file = nomic.0.upload(upload)?;
        let json = serde_json::to_string(&file)?;
        set_out(file_version_id, file.file_version_id.as_str());
        set_out(file_json, &json);
        Ok(())
    })
}

/// Submits a file version to be parsed. `task_id` receives the id of the task. It can be stored, so that another process
/// can wait for the task. Free it with `nomic_string_free`.
///
/// # Safety
///
/// `file_version_id` is a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nomic_parse(
    nomic: Option<&Nomic>,
    file_version_id: *const c_char,
    task_id: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut NomicError>>,
) -> NomicCode {
    guard(error, || {
        let task_id = required("task_id", null_out(task_id))?;
        let nomic = required("nomic", nomic)?;
        // SAFETY: the caller guarantees that it is a string.
        let file_version_id = unsafe { string("file_version_id", file_version_id) }?;
        let job = nomic.0.parse(file_version_id)?;
        *task_id = into_raw(job.task_id.as_str());
        Ok(())
    })
}

/// Waits for a task to end, for up to `timeout_ms` plus 5 seconds for the last response. 0 polls once; a negative timeout
/// waits for half an hour. After NOMIC_CODE_TIMEOUT the task can be waited for again. `document_text`
/// receives the text, `document_json` the chunks and blocks as JSON; either may be NULL. Free both with
/// `nomic_string_free`.
///
/// The JSON is an object: `{"chunks": [{"content": "…", "embed": null, "blocks": [{"type": "Table", "content": "…",
/// "bbox": {"page": 1, "left": 0.1, "top": 0.05, "width": 0.8, "height": 0.1}}]}], "blocks": []}`. Chunks are in reading
/// order. Pages are numbered from 1. Coordinates are fractions of the page, measured from its top left corner. `embed`,
/// `type`, `bbox` and `page` may be null. The outer `blocks` is empty if the chunks contain the blocks. Other fields of
/// the response are included.
///
/// # Safety
///
/// `task_id` is a string.
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
        let (document_text, document_json) = (null_out(document_text), null_out(document_json));
        let nomic = required("nomic", nomic)?;
        // SAFETY: the caller guarantees that it is a string.
        let job = nomic.0.parse_job(unsafe { string("task_id", task_id) }?);
        let options = match u64::try_from(timeout_ms) {
            Ok(millis) => WaitOptions::default().timeout(Duration::from_millis(millis)),
            Err(_) => WaitOptions::default(),
        };
        let parsed = nomic.0.wait_with(&job, &options)?;
        let json = if document_json.is_some() { serde_json::to_string(&parsed)? } else { String::new() };
        set_out(document_text, &parsed.text());
        set_out(document_json, &json);
        Ok(())
    })
}

/// Lists the users whose e-mail address contains `email`, or all users if it is NULL. Nothing is sent before the first
/// call of `nomic_users_next`. Free the list with `nomic_users_free`.
///
/// # Safety
///
/// `email` is a string or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nomic_users(
    nomic: Option<&Nomic>,
    email: *const c_char,
    users: Option<&mut MaybeUninit<*mut NomicUsers>>,
    error: Option<&mut MaybeUninit<*mut NomicError>>,
) -> NomicCode {
    guard(error, || {
        let users = required("users", null_out(users))?;
        let nomic = required("nomic", nomic)?;
        // SAFETY: the caller guarantees that it is a string or NULL.
        let filter = match unsafe { optional_string("email", email) }? {
            Some(email) => Filter::default().email(email),
            None => Filter::default(),
        };
        let listing = nomic.0.users_with(&filter);
        let null = ptr::null();
        let current = NomicUser { id: null, email: null, name: null, json: null, disabled: false };
        *users = Box::into_raw(Box::new(NomicUsers { listing, current, strings: Vec::new() }));
        Ok(())
    })
}

/// Sets `user` to the next user, or to NULL at the end of the list, where it also returns NOMIC_CODE_OK. The list owns
/// the user, which is valid until the next call with the list. An error ends the list.
#[unsafe(no_mangle)]
pub extern "C" fn nomic_users_next(
    users: Option<&mut NomicUsers>,
    user: Option<&mut MaybeUninit<*const NomicUser>>,
    error: Option<&mut MaybeUninit<*mut NomicError>>,
) -> NomicCode {
    guard(error, || {
        let user = required("user", user.map(|out| out.write(ptr::null())))?;
        let NomicUsers { listing, current, strings } = required("users", users)?;
        strings.clear();
        let Some(next) = listing.next().transpose()? else { return Ok(()) };
        let json = serde_json::to_string(&next)?;
        let mut keep = |text: &str| {
            // A `CString` does not move its bytes when the vector grows.
            strings.push(c_string(text));
            strings.last().map_or(ptr::null(), |text| text.as_ptr())
        };
        *current = NomicUser {
            id: keep(next.id.as_str()),
            email: keep(&next.email),
            name: next.name.as_deref().map_or(ptr::null(), &mut keep),
            json: keep(&json),
            disabled: next.disabled.unwrap_or_default(),
        };
        *user = current;
        Ok(())
    })
}

/// Frees a list of users. It need not be at its end.
#[unsafe(no_mangle)]
pub extern "C" fn nomic_users_free(users: Option<Box<NomicUsers>>) {
    drop_guarded(users);
}

/// Calls any operation of the API, with the same API key, rate limiting and error handling. `method` is in upper case,
/// e.g. `POST`. `path` is relative to the base URL, e.g. `/agents`; do not encode it: reserved characters, including `?`
/// and `%`, are percent-encoded. `query` is a JSON object, e.g. `{"limit": 5}`, and `body` any JSON value. `answer`
/// receives the response as JSON, `null` if it is empty; free it with `nomic_string_free`. `query`, `body` and `answer`
/// may be NULL.
///
/// # Safety
///
/// `method` and `path` are strings; `query` and `body` are strings or NULL.
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
        let answer = null_out(answer);
        let nomic = required("nomic", nomic)?;
        // SAFETY: the caller guarantees that they are strings.
        let (method, path) = unsafe { (string("method", method)?, string("path", path)?) };
        // SAFETY: the caller guarantees that they are strings or NULL.
        let (query, body) = unsafe { (optional_string("query", query)?, optional_string("body", body)?) };
        let method = match method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            other => return Err(invalid_argument(format!("method is {other:?}, not GET, POST, PUT, PATCH or DELETE"))),
        };
        let mut request = Request::new(method, path);
        if let Some(query) = query {
            let query: Map<String, Value> = serde_json::from_str(query)
                .map_err(|error| invalid_argument(format!("query is not a JSON object: {error}")))?;
            for (name, value) in query {
                request = match value {
                    Value::String(value) => request.query(name, value),
                    value => request.query(name, value),
                };
            }
        }
        if let Some(body) = body {
            let body: Value =
                serde_json::from_str(body).map_err(|error| invalid_argument(format!("body is not JSON: {error}")))?;
            request = request.json(&body);
        }
        let response: Value = nomic.0.call(&request)?;
        set_out(answer, &response.to_string());
        Ok(())
    })
}

/// Frees a string that this library returned.
///
/// # Safety
///
/// `string` is NULL, or a string that this library returned and that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nomic_string_free(string: *mut c_char) {
    if !string.is_null() {
        // SAFETY: it came from `CString::into_raw`, and the caller guarantees that it was not freed.
        drop(unsafe { CString::from_raw(string) });
    }
}

/// Frees an error and its message.
#[unsafe(no_mangle)]
pub extern "C" fn nomic_error_free(error: Option<Box<NomicError>>) {
    drop_guarded(error);
}
