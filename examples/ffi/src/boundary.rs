//! The way between the languages: what comes in is checked, what goes out is owned, and nothing unwinds.

use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::error::{NomicCode, NomicError, argument};

/// Runs what an exported function does; hands out what went wrong, a panic too.
pub(crate) fn guard(
    error: Option<&mut MaybeUninit<*mut NomicError>>,
    run: impl FnOnce() -> Result<(), NomicError>,
) -> NomicCode {
    // A client may be used after a panic, as its documentation says; a list is at its end, as after any error.
    let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| Err(NomicError::panicked(payload)));
    let place = cleared(error);
    let Err(failure) = outcome else { return NomicCode::Ok };
    let code = failure.code;
    if let Some(place) = place {
        *place = Box::into_raw(Box::new(failure));
    }
    code
}

/// Drops what C gives back.
pub(crate) fn quietly<T>(value: T) {
    // There is nobody to tell of a panic; the hook has printed it.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

/// An argument that must not be NULL.
pub(crate) fn given<T>(name: &str, value: Option<T>) -> Result<T, NomicError> {
    value.ok_or_else(|| argument(format!("{name} is NULL")))
}

/// A place for a result, NULL until there is one.
pub(crate) fn cleared<T>(place: Option<&mut MaybeUninit<*mut T>>) -> Option<&mut *mut T> {
    place.map(|place| place.write(ptr::null_mut()))
}

/// A text from C.
///
/// # Safety
///
/// `pointer` is NULL or points to bytes that end with a NUL and stay as they are during `'a`.
pub(crate) unsafe fn text<'a>(name: &str, pointer: *const c_char) -> Result<&'a str, NomicError> {
    // SAFETY: the same promise.
    given(name, unsafe { optional_text(name, pointer) }?)
}

/// A text from C that may be NULL.
///
/// # Safety
///
/// As of [`text`].
pub(crate) unsafe fn optional_text<'a>(name: &str, pointer: *const c_char) -> Result<Option<&'a str>, NomicError> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: it is not NULL, and the caller says that it ends with a NUL and stays.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    bytes.to_str().map(Some).map_err(|error| argument(format!("{name} is not UTF-8: {error}")))
}

/// A text for C, which cannot hold a NUL.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{FFFD}")).unwrap_or_default()
}

/// A text for C that C frees.
pub(crate) fn owned(text: &str) -> *mut c_char {
    c_text(text).into_raw()
}

/// Gives out a text, if there is a place for it.
pub(crate) fn put(place: Option<&mut *mut c_char>, text: &str) {
    if let Some(place) = place {
        *place = owned(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_a_nul_reaches_c_whole() {
        assert_eq!(c_text("a\0b").to_str(), Ok("a\u{FFFD}b"));
    }
}
