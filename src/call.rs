//! One request as a value: it can be inspected, and sent twice.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::ops::{ControlFlow, RangeInclusive};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::Serialize;

use crate::disk;
use crate::error::{Error, Name, Result};
use crate::job_ref::JobRef;
use crate::json;
use crate::multipart::Form;
use crate::operation_path::OperationPaths;
use crate::operations::{Method, Operation, Tier};

/// Everything is encoded in a path segment and in a query but RFC 3986's unreserved characters.
const PERCENT_ENCODE_SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The longest id that is sent, in bytes; this service has none that is longer.
const MAX_ID: usize = 512;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) operation: Name,
    pub(crate) method: Method,
    /// Below the base URL, encoded, without the query. The client may have another one for the operation.
    pub(crate) path: String,
    /// The ids in the path, encoded.
    pub(crate) ids: Vec<String>,
    /// Encoded, without the `?`.
    pub(crate) query: String,
    pub(crate) tier: Tier,
    pub(crate) scope: Option<&'static str>,
    pub(crate) body: Body<'a>,
    /// A time limit in addition to the client's.
    pub(crate) deadline: Option<Duration>,
    pub(crate) starts: Option<StartedJob>,
}

/// The job that a request starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartedJob {
    /// The field of the response with its id.
    pub(crate) field: &'static str,
    pub(crate) with_id: fn(String) -> JobRef,
}

/// What a request carries.
#[derive(Clone, Debug)]
pub(crate) enum Body<'a> {
    None,
    Json(Vec<u8>),
    Form(Arc<UploadBody<'a>>),
}

impl<'a> Call<'a> {
    /// A request without a path.
    pub(crate) fn new(operation: impl Into<Name>, method: Method, tier: Tier) -> Self {
        let (operation, path, query) = (operation.into(), String::new(), String::new());
        let (ids, scope, body, deadline, starts) = (Vec::new(), None, Body::None, None, None);
        Self { operation, method, path, ids, query, tier, scope, body, deadline, starts }
    }

    /// A call of an operation, without a path.
    pub(crate) fn of(operation: &Operation) -> Self {
        Self { scope: Some(operation.scope), ..Self::new(operation.name, operation.method, operation.tier) }
    }

    /// A call of an operation; `ids` fill the `{…}` of its path, in order.
    pub(crate) fn to(operation: &Operation, ids: &[&str]) -> Result<Self> {
        let mut call = Self::of(operation);
        let ids: Result<Vec<_>, _> = ids.iter().map(|id| path_segment(id)).collect();
        call.ids = ids.map_err(|reason| Error::invalid_request(operation.name, reason))?;
        let mut ids = call.ids.iter();
        for segment in operation.path.split('/').skip(1) {
            let id = if segment.starts_with('{') { ids.next() } else { None };
            call.path.extend(["/", id.map_or(segment, String::as_str)]);
        }
        Ok(call)
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(&format!("{}={}", encoded(name), encoded(value)));
        self
    }

    /// Adds a query parameter if it has a value.
    pub(crate) fn query_if(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.query(name, &value.to_string()),
            None => self,
        }
    }

    /// Carries JSON.
    pub(crate) fn json(mut self, body: &impl Serialize) -> Self {
        self.body = Body::Json(json::encode(body));
        self
    }

    /// Carries a form with a document.
    pub(crate) fn form(mut self, body: UploadBody<'a>) -> Self {
        self.body = Body::Form(Arc::new(body));
        self
    }

    /// Starts a job, so that an error has it if the response has the id in this field, whatever is wrong with the rest.
    pub(crate) fn starts(mut self, field: &'static str, with_id: fn(String) -> JobRef) -> Self {
        self.starts = Some(StartedJob { field, with_id });
        self
    }

    /// Sets a time limit.
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// Whether the request can be sent (again) as it is described.
    pub(crate) fn can_be_sent(&self) -> bool {
        match &self.body {
            Body::Form(body) => body.source().can_be_read(),
            Body::None | Body::Json(_) => true,
        }
    }

    /// The path, or the one that these paths have for the operation.
    pub(crate) fn path_in(&self, paths: &OperationPaths) -> Cow<'_, str> {
        match paths.get(&*self.operation) {
            Some(path) => path.fill(&self.ids).into(),
            None => (&self.path).into(),
        }
    }

    /// The whole URL of a path below this base.
    pub(crate) fn url(&self, base: &str, path: &str) -> String {
        match self.query.as_str() {
            "" => [base, path].concat(),
            query => [base, path, "?", query].concat(),
        }
    }
}

fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, PERCENT_ENCODE_SET)
}

/// An id as one path segment; or why it is not one: it would change the path.
pub(crate) fn path_segment(id: &str) -> Result<String, String> {
    match id {
        "" => Err("the id is empty".to_owned()),
        "." | ".." => Err(format!("{id:?} is not an id: it would lead to another path")),
        _ if id.chars().any(char::is_control) => Err("the id contains a control character".to_owned()),
        _ if id.len() > MAX_ID => Err(format!("the id has {} bytes; the longest id has {MAX_ID}", id.len())),
        _ => Ok(encoded(id).to_string()),
    }
}

/// Refuses a number that is out of the API's bounds.
pub(crate) fn check_bounds(operation: &Name, name: &str, n: Option<u32>, bounds: RangeInclusive<u32>) -> Result<()> {
    match n.filter(|n| !bounds.contains(n)) {
        None => Ok(()),
        Some(n) => Err(Error::invalid_request(
            operation.clone(),
            format!("{name} is {n}; it must be {} to {}", bounds.start(), bounds.end()),
        )),
    }
}

/// A document to upload, with the form around it.
pub(crate) struct UploadBody<'a> {
    pub(crate) form: Form,
    pub(crate) length: u64,
    pub(crate) source: Mutex<Source<'a>>,
    pub(crate) progress: Option<Mutex<ProgressFn<'a>>>,
    /// Whether the progress function cancelled the upload.
    pub(crate) cancelled: AtomicBool,
    /// Its name in error messages.
    pub(crate) name: String,
}

/// Gets the bytes sent and the total; says whether to continue.
pub(crate) type ProgressFn<'a> = Box<dyn FnMut(u64, u64) -> ControlFlow<()> + Send + 'a>;

/// Where a document's bytes come from.
pub(crate) enum Source<'a> {
    /// Opened again for every attempt.
    Path(PathBuf),
    Bytes(Vec<u8>),
    Reader(OneTimeReader<'a>),
}

/// A reader that can be read once.
pub(crate) struct OneTimeReader<'a> {
    pub(crate) reader: Box<dyn Read + Send + 'a>,
    /// Whether reading began.
    pub(crate) begun: bool,
}

impl Read for OneTimeReader<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.begun = true;
        self.reader.read(piece)
    }
}

impl<'a> Source<'a> {
    pub(crate) fn reader(reader: impl Read + Send + 'a) -> Self {
        Self::Reader(OneTimeReader { reader: Box::new(reader), begun: false })
    }

    fn can_be_read(&self) -> bool {
        match self {
            Self::Path(_) | Self::Bytes(_) => true,
            Self::Reader(reader) => !reader.begun,
        }
    }

    /// Hands the document of this length to `run`, from its beginning.
    fn read<T>(&mut self, length: u64, deadline: Instant, run: impl FnOnce(&mut dyn Read) -> T) -> io::Result<T> {
        Ok(match self {
            Self::Path(path) => run(&mut disk::open(path, length, deadline)?),
            Self::Bytes(bytes) => run(&mut bytes.as_slice()),
            Self::Reader(reader) => run(reader),
        })
    }
}

impl<'a> UploadBody<'a> {
    fn source(&self) -> MutexGuard<'_, Source<'a>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the whole form to `run`, as a reader of known length. A file is read until the deadline.
    pub(crate) fn send<T>(&self, deadline: Instant, run: impl FnOnce(&mut dyn Read, u64) -> T) -> io::Result<T> {
        let total = self.length;
        let mut tell = |sent: u64| {
            let Some(progress) = &self.progress else { return ControlFlow::Continue(()) };
            let decision = (progress.lock().unwrap_or_else(PoisonError::into_inner))(sent, total);
            self.cancelled.fetch_or(decision.is_break(), Ordering::Relaxed);
            decision
        };
        self.source().read(total, deadline, |document| {
            run(&mut self.form.reader(document, total, &mut tell), self.form.length(total))
        })
    }
}

impl fmt::Debug for UploadBody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadBody").field("name", &self.name).field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations;

    #[test]
    fn a_call_is_a_value_that_can_be_read() {
        let url = |call: &Call<'_>| call.url("", &call.path);
        let call = Call::to(&operations::GET_ARTIFACT, &["a/b", "ü?#"]).unwrap();
        assert_eq!(url(&call), "/agents/a%2Fb/artifacts/%C3%BC%3F%23");
        let call =
            Call::to(&operations::SEARCH_FILES, &[]).unwrap().query("query", "a b&c=d+e").query_if("limit", Some(7));
        assert_eq!(url(&call), "/files/search?query=a%20b%26c%3Dd%2Be&limit=7");
        assert_eq!(url(&call.query_if("cursor", None::<&str>)), "/files/search?query=a%20b%26c%3Dd%2Be&limit=7");
    }

    #[test]
    fn an_id_reaches_exactly_its_path_or_is_refused() {
        let path = |id: &str| Call::to(&operations::STOP_AGENT, &[id]).map(|call| call.path);
        assert_eq!(path("%2e%2e").unwrap(), "/agents/%252e%252e/stop");
        assert_eq!(path("a/../b").unwrap(), "/agents/a%2F..%2Fb/stop");
        for bad in ["", ".", "..", "a\r\nb", "a\0", &"x".repeat(10_000)] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_reader_that_was_partly_read_is_not_sent_again() {
        let mut source = Source::reader(io::empty());
        source.read(1, Instant::now(), |_| ()).unwrap();
        assert!(source.can_be_read(), "nothing was read from it");
        source.read(1, Instant::now(), |reader| reader.read(&mut [0])).unwrap().unwrap();
        assert!(!source.can_be_read());
    }
}
