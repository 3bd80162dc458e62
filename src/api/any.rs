//! Any call: what the service offers and this version does not know, through the same auth, pace, retry and errors.

use std::fmt;

use serde_core::Serialize;
use serde_core::de::DeserializeOwned;

use crate::call::{Body, Call, encoded_id};
use crate::error::{Error, brief};
use crate::listing::Listing;
use crate::nomic::Nomic;
use crate::operations::{Method, Tier};

/// A request of your own making, below the base URL.
///
/// ```no_run
/// use nomic_client::{Nomic, Request, operations::Tier};
/// use serde_json::{Value, json};
///
/// let nomic = Nomic::from_env()?;
/// let runs: Value = nomic.call(&Request::get("/agents").segment("019abc12").segment("runs").query("limit", 5))?;
/// let made: Value = nomic.call(&Request::post("/reports").json(&json!({"title": "Doors"})).tier(Tier::Heavy))?;
/// # Ok::<(), nomic_client::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is given to `Nomic::call`"]
pub struct Request {
    method: Method,
    path: String,
    segments: Vec<String>,
    query: Vec<(String, String)>,
    body: Option<Result<Vec<u8>, String>>,
    tier: Tier,
}

impl Request {
    /// A request of any method: a GET in the standard tier, any other in the write tier. The path begins below the base
    /// URL, e.g. `/agents/019a/runs`; what is not plain in it is encoded, `?` and `#` too.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        let tier = if method == Method::Get { Tier::Standard } else { Tier::Write };
        Self { method, path: path.into(), segments: Vec::new(), query: Vec::new(), body: None, tier }
    }

    /// A GET in the standard tier. Repeated where time may help.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::Get, path)
    }

    /// A POST in the write tier. Never repeated on a doubtful outcome.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::Post, path)
    }

    /// A DELETE in the write tier. Never repeated on a doubtful outcome.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::Delete, path)
    }

    /// Adds one segment to the path, e.g. an id. A slash in it is encoded.
    pub fn segment(mut self, segment: impl fmt::Display) -> Self {
        self.segments.push(segment.to_string());
        self
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.query.push((name.into(), value.to_string()));
        self
    }

    /// Carries JSON. A value that cannot be written as JSON (a map with keys that are no text) is refused by
    /// [`Nomic::call`].
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.body = Some(serde_json::to_vec(body).map_err(|error| error.to_string()));
        self
    }

    /// The rate-limit tier that it draws on.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    fn describe(&self) -> crate::error::Result<Call<'static>> {
        let name = format!("{} {}", self.method, brief(&self.path));
        let refused = |reason: &str| Err(Error::refused(name.clone(), reason));
        if self.path.contains("://") || self.path.starts_with("//") {
            return refused("the path is a URL; the key goes to the base URL only, give the path below it");
        }
        let own = self.path.strip_prefix('/').unwrap_or(&self.path);
        let own = own.strip_suffix('/').unwrap_or(own);
        let mut path = String::new();
        let segments = own.split('/').filter(|_| !own.is_empty()).chain(self.segments.iter().map(String::as_str));
        for segment in segments {
            path.push('/');
            path.push_str(&encoded_id(&name, segment)?);
        }
        if path.is_empty() {
            return refused("the path is empty");
        }
        let body = match &self.body {
            None => Body::None,
            Some(Ok(bytes)) => Body::Json(bytes.clone()),
            Some(Err(why)) => return refused(&format!("the body cannot be written as JSON: {why}")),
        };
        let mut call = Call {
            operation: name.into(),
            method: self.method,
            path,
            query: String::new(),
            tier: self.tier,
            scope: None,
            body,
            deadline: None,
        };
        for (name, value) in &self.query {
            call = call.query(name, value);
        }
        Ok(call)
    }
}

impl Nomic {
    /// Sends a request of your own making, and reads the answer as any type. An answer without a body reads as `null`:
    /// ask for `Option<T>` or a [`Value`](serde_json::Value) where there may be none, and for
    /// [`IgnoredAny`](serde_core::de::IgnoredAny) where it does not matter. With `()` an answer that has a body is an
    /// [`Error::Decode`].
    ///
    /// ```no_run
    /// # use nomic_client::{Nomic, Request};
    /// # let nomic = Nomic::from_env()?;
    /// let _: serde::de::IgnoredAny = nomic.call(&Request::delete("/reports").segment("019abc12"))?;
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the path is empty, leads elsewhere (`..`, a URL), or holds control characters.
    pub fn call<T: DeserializeOwned>(&self, request: &Request) -> crate::error::Result<T> {
        self.fetch_or_null(&request.describe()?)
    }

    /// A list of your own making, read as any type: page by page, by the same cursor, and as lazily as the others.
    ///
    /// ```no_run
    /// # use nomic_client::{Nomic, Request};
    /// # let nomic = Nomic::from_env()?;
    /// for report in nomic.list::<serde_json::Value>(&Request::get("/reports").query("status", "open")) {
    ///     println!("{}", report?["title"]);
    /// }
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first item is the error if the request cannot be sent as it is: see [`call`](Self::call).
    pub fn list<T: DeserializeOwned>(&self, request: &Request) -> Listing<T> {
        Listing::new(self, request.describe(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(request: Request) -> crate::error::Result<String> {
        request.describe().map(|call| call.url(""))
    }

    #[test]
    fn a_request_reaches_exactly_its_path() {
        let request = Request::get("/agents/a b/").segment("c/d?e#f").query("q", "x&y").query("limit", 5);
        assert_eq!(target(request).unwrap(), "/agents/a%20b/c%2Fd%3Fe%23f?q=x%26y&limit=5");
        assert_eq!(target(Request::get("agents?x=1")).unwrap(), "/agents%3Fx%3D1");
        assert_eq!(target(Request::get("/%2e%2e/users")).unwrap(), "/%252e%252e/users");
        assert_eq!(target(Request::get("/").segment("users")).unwrap(), "/users");
    }

    #[test]
    fn a_body_that_cannot_be_written_is_refused() {
        let odd = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(matches!(target(Request::post("/a").json(&odd)), Err(Error::Refused { .. })));
    }

    #[test]
    fn the_key_goes_nowhere_else() {
        for path in
            ["https://evil.example/", "//evil.example/x", "/a/../b", "..", "/a/./b", "/a//b", "", "/", "/a\r\nb"]
        {
            assert!(matches!(target(Request::get(path)), Err(Error::Refused { .. })), "{path:?}");
        }
        for segment in ["", "..", ".", "a\0"] {
            assert!(target(Request::get("/agents").segment(segment)).is_err(), "{segment:?}");
        }
    }
}
