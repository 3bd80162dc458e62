//! Conversions at the C boundary: arguments are checked, results are owned by the caller, panics do not unwind into C.

use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::error::{NomicCode, NomicError, invalid_argument};

/// Runs the body of an exported function. Stores its error, or its panic, in `out` and returns the code.
pub(crate) fn guard(
    out: Option<&mut MaybeUninit<*mut NomicError>>,
    body: impl FnOnce() -> Result<(), NomicError>,
) -> NomicCode {
    // Unwind-safe: a client is documented to remain usable after a panic, and a list ends as after any error.
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| Err(NomicError::from_panic(payload)));
    let out = null_out(out);
    let Err(error) = result else { return NomicCode::Ok };
    let code = error.code;
    if let Some(out) = out {
        *out = Box::into_raw(Box::new(error));
    }
    code
}

/// Drops a value that C frees. A panic is caught; the panic hook has already printed it.
pub(crate) fn drop_guarded<T>(value: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

/// An argument that must not be NULL.
pub(crate) fn required<T>(name: &str, value: Option<T>) -> Result<T, NomicError> {
    value.ok_or_else(|| invalid_argument(format!("{name} is NULL")))
}

/// Initializes an out parameter to NULL.
pub(crate) fn null_out<T>(out: Option<&mut MaybeUninit<*mut T>>) -> Option<&mut *mut T> {
    out.map(|out| out.write(ptr::null_mut()))
}

/// A string argument.
///
/// # Safety
///
/// `pointer` is NULL or points to a NUL-terminated string that is not modified during `'a`.
pub(crate) unsafe fn string<'a>(name: &str, pointer: *const c_char) -> Result<&'a str, NomicError> {
    // SAFETY: same contract.
    required(name, unsafe { optional_string(name, pointer) }?)
}

/// A string argument that may be NULL.
///
/// # Safety
///
/// As [`string`].
pub(crate) unsafe fn optional_string<'a>(name: &str, pointer: *const c_char) -> Result<Option<&'a str>, NomicError> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the pointer is not NULL; the caller guarantees the terminating NUL and that the string is not modified.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    bytes.to_str().map(Some).map_err(|error| invalid_argument(format!("{name} is not UTF-8: {error}")))
}

/// A C string. A NUL within the text, which C cannot represent, becomes U+FFFD.
pub(crate) fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{FFFD}")).unwrap_or_default()
}

/// A C string owned by the caller.
pub(crate) fn into_raw(text: &str) -> *mut c_char {
    c_string(text).into_raw()
}

/// Stores a string in an out parameter, unless it is NULL.
pub(crate) fn set_out(out: Option<&mut *mut c_char>, text: &str) {
    if let Some(out) = out {
        *out = into_raw(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_within_a_string_is_replaced() {
        assert_eq!(c_string("a\0b").to_str(), Ok("a\u{FFFD}b"));
    }
}
