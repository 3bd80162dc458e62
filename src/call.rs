//! One request, described and not sent: a value that can be looked at, and sent twice.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde_core::Serialize;

use crate::error::{Error, Name, Result};
use crate::json;
use crate::multipart::Form;
use crate::operations::{Method, Operation, Tier};

/// What stays as it is in a path segment and in a query: RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The longest id that is sent, in bytes; a longer one is no id of this service.
const LONGEST_ID: usize = 512;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) operation: Name,
    pub(crate) method: Method,
    /// Below the base URL, encoded, without the query.
    pub(crate) path: String,
    /// Encoded, without the `?`.
    pub(crate) query: String,
    pub(crate) tier: Tier,
    pub(crate) scope: Option<&'static str>,
    pub(crate) body: Body<'a>,
    /// A time limit of its own, besides the client's.
    pub(crate) deadline: Option<Duration>,
}

/// What a request carries.
#[derive(Clone, Debug)]
pub(crate) enum Body<'a> {
    None,
    Json(Vec<u8>),
    Form(Arc<Document<'a>>),
}

impl<'a> Call<'a> {
    /// A call of an operation; `ids` fill the `{…}` of its path, in order.
    pub(crate) fn to(operation: &Operation, ids: &[&str]) -> Result<Self> {
        let mut ids = ids.iter();
        let mut path = String::new();
        for segment in operation.path.split('/').skip(1) {
            path.push('/');
            match segment.strip_prefix('{') {
                Some(_) => path.push_str(&encoded_id(operation.name, ids.next().copied().unwrap_or_default())?),
                None => path.push_str(segment),
            }
        }
        Ok(Self {
            operation: operation.name.into(),
            method: operation.method,
            path,
            query: String::new(),
            tier: operation.tier,
            scope: Some(operation.scope),
            body: Body::None,
            deadline: None,
        })
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
    pub(crate) fn document(mut self, document: Document<'a>) -> Self {
        self.body = Body::Form(Arc::new(document));
        self
    }

    /// Has a time limit of its own.
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// Whether the request can be sent (again) as it is described.
    pub(crate) fn can_be_sent(&self) -> bool {
        match &self.body {
            Body::Form(document) => document.source.can_be_read(),
            Body::None | Body::Json(_) => true,
        }
    }

    /// The whole URL, below this base.
    pub(crate) fn url(&self, base: &str) -> String {
        match self.query.as_str() {
            "" => [base, &self.path].concat(),
            query => [base, &self.path, "?", query].concat(),
        }
    }
}

fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

/// An id as one path segment. What cannot be one, or would be folded away on the way, is refused.
pub(crate) fn encoded_id(operation: &str, id: &str) -> Result<String> {
    let reason = if id.is_empty() {
        "the id is empty".to_owned()
    } else if id == "." || id == ".." {
        format!("{id:?} is no id: it would lead to another path")
    } else if id.chars().any(char::is_control) {
        "the id holds a control character".to_owned()
    } else if id.len() > LONGEST_ID {
        format!("the id has {} bytes; no id has more than {LONGEST_ID}", id.len())
    } else {
        return Ok(Cow::from(encoded(id)).into_owned());
    };
    Err(Error::refused(operation.to_owned(), reason))
}

/// A document to upload, with the form around it.
pub(crate) struct Document<'a> {
    pub(crate) form: Form,
    pub(crate) length: u64,
    pub(crate) source: Source<'a>,
    pub(crate) progress: Option<Mutex<ProgressFn<'a>>>,
    /// Whether the progress function broke off.
    pub(crate) given_up: AtomicBool,
    /// How errors call it.
    pub(crate) label: String,
}

/// Told the bytes sent and the total; says whether to go on.
pub(crate) type ProgressFn<'a> = Box<dyn FnMut(u64, u64) -> ControlFlow<()> + Send + 'a>;

/// Where a document's bytes come from.
pub(crate) enum Source<'a> {
    /// Opened anew for every attempt.
    Path(std::path::PathBuf),
    Bytes(Vec<u8>),
    /// Can be read once; the flag says that it was begun.
    Reader(Mutex<(Box<dyn Read + Send + 'a>, bool)>),
}

impl Source<'_> {
    fn can_be_read(&self) -> bool {
        match self {
            Self::Path(_) | Self::Bytes(_) => true,
            Self::Reader(reader) => !reader.lock().unwrap_or_else(PoisonError::into_inner).1,
        }
    }

    /// Hands the document to `run`, from its beginning.
    fn read<T>(&self, run: impl FnOnce(&mut dyn Read) -> T) -> io::Result<T> {
        match self {
            Self::Path(path) => Ok(run(&mut std::fs::File::open(path)?)),
            Self::Bytes(bytes) => Ok(run(&mut bytes.as_slice())),
            Self::Reader(reader) => {
                struct Noted<'a, 'b>(&'a mut (Box<dyn Read + Send + 'b>, bool));
                impl Read for Noted<'_, '_> {
                    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
                        self.0.1 = true;
                        self.0.0.read(piece)
                    }
                }
                let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(run(&mut Noted(&mut reader)))
            }
        }
    }
}

impl Document<'_> {
    /// Hands the whole form to `run`, as a reader of known length.
    pub(crate) fn send<T>(&self, run: impl FnOnce(&mut dyn Read, u64) -> T) -> io::Result<T> {
        let total = self.length;
        let mut tell = |sent: u64| {
            let Some(progress) = &self.progress else { return ControlFlow::Continue(()) };
            let verdict = (progress.lock().unwrap_or_else(PoisonError::into_inner))(sent, total);
            self.given_up.fetch_or(verdict.is_break(), Ordering::Relaxed);
            verdict
        };
        self.source.read(|document| run(&mut self.form.reader(document, total, &mut tell), self.form.length(total)))
    }
}

impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("label", &self.label).field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations;

    #[test]
    fn a_call_is_a_value_that_can_be_read() {
        let call = Call::to(&operations::GET_ARTIFACT, &["a/b", "ü?#"]).unwrap();
        assert_eq!(call.url(""), "/agents/a%2Fb/artifacts/%C3%BC%3F%23");
        let call =
            Call::to(&operations::SEARCH_FILES, &[]).unwrap().query("query", "a b&c=d+e").query_if("limit", Some(7));
        assert_eq!(call.url(""), "/files/search?query=a%20b%26c%3Dd%2Be&limit=7");
        assert_eq!(call.query_if("cursor", None::<&str>).url(""), "/files/search?query=a%20b%26c%3Dd%2Be&limit=7");
    }

    #[test]
    fn an_id_reaches_exactly_its_path_or_is_refused() {
        let path = |id: &str| Call::to(&operations::STOP_AGENT, &[id]).map(|call| call.path);
        assert_eq!(path("%2e%2e").unwrap(), "/agents/%252e%252e/stop");
        assert_eq!(path("a/../b").unwrap(), "/agents/a%2F..%2Fb/stop");
        for bad in ["", ".", "..", "a\r\nb", "a\0", &"x".repeat(10_000)] {
            assert!(matches!(path(bad), Err(Error::Refused { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_reader_that_was_begun_is_not_sent_again() {
        let source = Source::Reader(Mutex::new((Box::new(io::empty()), false)));
        source.read(|_| ()).unwrap();
        assert!(source.can_be_read(), "nothing was taken from it");
        source.read(|reader| reader.read(&mut [0])).unwrap().unwrap();
        assert!(!source.can_be_read());
    }
}
