//! Any other request, through the same authentication, rate limit, retries and errors.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::{Body, Call, path_segment};
use crate::error::Error;
use crate::listing::Listing;
use crate::nomic::Nomic;
use crate::operations::{Method, Tier};
use crate::text::excerpt;

/// A request of your own, below the base URL.
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
    /// A request of any method: a GET in the standard tier, any other in the write tier. The path is relative to the base
    /// URL, e.g. `/agents/019a/runs`, and is percent-encoded. A `?` or `#` in it is an error: see [`query`](Self::query).
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        let tier = if method == Method::Get { Tier::Standard } else { Tier::Write };
        Self { method, path: path.into(), segments: Vec::new(), query: Vec::new(), body: None, tier }
    }

    /// A GET in the standard tier. Retried after a transient failure.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::Get, path)
    }

    /// A POST in the write tier. Never retried if its effect is unknown.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::Post, path)
    }

    /// A DELETE in the write tier. Never retried if its effect is unknown.
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

    /// Sets a JSON body. A value that cannot be encoded (a map whose keys are not strings) is an error of
    /// [`Nomic::call`].
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.body = Some(serde_json::to_vec(body).map_err(|error| error.to_string()));
        self
    }

    /// Sets the rate-limit tier that it counts in.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    fn describe(&self) -> crate::error::Result<Call<'static>> {
        let name = format!("{} {}", self.method, excerpt(&self.path));
        let refused = |reason: &str| Err(Error::invalid_request(name.clone(), reason));
        if self.path.contains("://") || self.path.starts_with("//") {
            return refused("the path is a URL; the key is sent to the base URL only, give the path relative to it");
        }
        if self.path.contains(['?', '#']) {
            return refused(
                "the path contains `?` or `#`; add query parameters with `query`, encode others as %3F and %23",
            );
        }
        let own = self.path.strip_prefix('/').unwrap_or(&self.path);
        let own = own.strip_suffix('/').unwrap_or(own);
        let mut path = String::new();
        let segments = own.split('/').filter(|_| !own.is_empty()).chain(self.segments.iter().map(String::as_str));
        for segment in segments {
            path.push('/');
            path.push_str(&path_segment(&name, segment)?);
        }
        if path.is_empty() {
            return refused("the path is empty");
        }
        let body = match &self.body {
            None => Body::None,
            Some(Ok(bytes)) => Body::Json(bytes.clone()),
            Some(Err(why)) => return refused(&format!("the body cannot be encoded as JSON: {why}")),
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
    /// Sends a request of your own, and decodes the response as any type. A response without a body reads as `null`: use
    /// `Option<T>` or a [`Value`](serde_json::Value) where there may be none, and [`IgnoredAny`](serde::de::IgnoredAny)
    /// where it does not matter. With `()` a response that has a body is a
    /// [`Decode`](crate::ErrorKind::Decode) error. In a `Value` an integer beyond 64 bits becomes a float.
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
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if the path is empty, leads elsewhere (`..`, a URL), or contains
    /// a query or control characters.
    pub fn call<T: DeserializeOwned>(&self, request: &Request) -> crate::error::Result<T> {
        self.fetch_or_null(&request.describe()?)
    }

    /// Lists the items of any other list as any type, with the same cursors and as lazily as the others. The page size is
    /// that of [`Listing::page_size`]; a query parameter `limit` or `cursor` is an error.
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
        let own = ["limit", "cursor"].into_iter().find(|own| request.query.iter().any(|(name, _)| name == own));
        let call = request.describe().and_then(|call| match own {
            Some(name) => {
                let hint = if name == "limit" { "Listing::page_size" } else { "Listing::starting_at" };
                Err(Error::invalid_request(call.operation, format!("the listing sets {name} itself; use {hint}")))
            }
            None => Ok(call),
        });
        Listing::new(self, call, None)
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
        assert_eq!(target(Request::get("/%2e%2e/users")).unwrap(), "/%252e%252e/users");
        assert_eq!(target(Request::get("/").segment("users")).unwrap(), "/users");
    }

    #[test]
    fn a_body_that_cannot_be_encoded_is_refused() {
        let odd = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(target(Request::post("/a").json(&odd)).unwrap_err().to_string().contains("cannot be encoded"));
    }

    #[test]
    fn a_query_in_the_path_is_refused_with_a_hint() {
        for path in ["/agents?limit=1", "agents#top"] {
            assert!(target(Request::get(path)).unwrap_err().to_string().contains("with `query`"), "{path}");
        }
        assert_eq!(target(Request::get("/a").segment("b?")).unwrap(), "/a/b%3F");
    }

    #[test]
    fn a_listing_sets_page_size_and_cursor_itself() {
        let nomic = Nomic::new("http://127.0.0.1:1", "npk_example").unwrap();
        for (name, hint) in [("limit", "Listing::page_size"), ("cursor", "Listing::starting_at")] {
            let request = Request::get("/agents").query(name, 5);
            let error = nomic.list::<serde_json::Value>(&request).page_size(10).next().unwrap().unwrap_err();
            assert!(error.to_string().contains(hint), "{error}");
        }
    }

    #[test]
    fn the_key_is_sent_to_no_other_path() {
        for path in
            ["https://evil.example/", "//evil.example/x", "/a/../b", "..", "/a/./b", "/a//b", "", "/", "/a\r\nb"]
        {
            assert!(target(Request::get(path)).is_err(), "{path:?}");
        }
        for segment in ["", "..", ".", "a\0"] {
            assert!(target(Request::get("/agents").segment(segment)).is_err(), "{segment:?}");
        }
    }
}
