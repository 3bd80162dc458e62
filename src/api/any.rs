//! Any other request, with the same authentication, rate limits, retries and errors.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::{Body, Call, path_segment};
use crate::error::{Error, Result};
use crate::listing::Listing;
use crate::nomic::Nomic;
use crate::operations::{Method, Tier};
use crate::text::excerpt;

/// A request to any path of the API, sent with [`Nomic::call`] or [`Nomic::list`].
///
/// ```no_run
/// use nomic_client::{Nomic, Request, operations::Tier};
/// use serde_json::{Value, json};
///
/// let nomic = Nomic::from_env()?;
/// let runs: Value = nomic.call(&Request::get("/agents").segment("019abc12").segment("runs").query("limit", 5))?;
/// let made: Value = nomic.call(&Request::post("/reports").json(&json!({"title": "Doors"})).tier(Tier::Heavy))?;
/// for report in nomic.list::<Value>(&Request::get("/reports").query("status", "open")) {
///     println!("{}", report?["title"]);
/// }
/// # Ok::<(), nomic_client::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is given to `Nomic::call`"]
pub struct Request {
    call: Call<'static>,
    /// The first reason why the request is invalid.
    error: Option<String>,
}

impl Request {
    /// Creates a request with any method: a GET in the standard tier, any other in the write tier. The path is relative to
    /// the base URL, e.g. `/agents/019a/runs`, and is percent-encoded. A `?` or `#` in it is an error: add parameters with
    /// [`query`](Self::query).
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        let path = path.into();
        let tier = if method == Method::Get { Tier::Standard } else { Tier::Write };
        let mut request = Self { call: Call::new(format!("{method} {}", excerpt(&path)), method, tier), error: None };
        if path.contains("://") || path.starts_with("//") {
            return request
                .invalid("the path is a URL; the key is sent to the base URL only, give the path relative to it");
        }
        if path.contains(['?', '#']) {
            return request.invalid(
                "the path contains `?` or `#`; add query parameters with `query`, encode others as %3F and %23",
            );
        }
        let path = path.strip_prefix('/').unwrap_or(&path);
        let path = path.strip_suffix('/').unwrap_or(path);
        if !path.is_empty() {
            request = path.split('/').fold(request, Self::segment);
        }
        request
    }

    /// Creates a GET in the standard tier. It is retried after a transient failure.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::Get, path)
    }

    /// Creates a POST in the write tier. It is never retried if its effect is unknown.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::Post, path)
    }

    /// Creates a DELETE in the write tier. It is never retried if its effect is unknown.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::Delete, path)
    }

    /// Adds one segment to the path, e.g. an id. A slash in it is encoded.
    pub fn segment(mut self, segment: impl fmt::Display) -> Self {
        match path_segment(&segment.to_string()) {
            Ok(segment) => self.call.path.extend(["/", &segment]),
            Err(reason) => return self.invalid(reason),
        }
        self
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.call = self.call.query(&name.into(), &value.to_string());
        self
    }

    /// Sets a JSON body. If the value cannot be encoded (e.g. a map whose keys are not strings), [`Nomic::call`] returns an
    /// error.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.call.body = Body::Json(bytes),
            Err(error) => return self.invalid(format!("the body cannot be encoded as JSON: {error}")),
        }
        self
    }

    /// Sets the rate-limit tier that the request counts towards.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.call.tier = tier;
        self
    }

    fn invalid(mut self, reason: impl Into<String>) -> Self {
        self.error.get_or_insert(reason.into());
        self
    }

    fn checked(&self) -> Result<&Call<'static>> {
        let no_path = self.call.path.is_empty().then_some("the path is empty");
        match self.error.as_deref().or(no_path) {
            Some(reason) => Err(Error::invalid_request(self.call.operation.clone(), reason)),
            None => Ok(&self.call),
        }
    }
}

impl Nomic {
    /// Sends any request, and deserializes the response.
    ///
    /// An empty response is read as `null`: use `Option<T>` or a [`Value`](serde_json::Value) if the response may be empty,
    /// and [`IgnoredAny`](serde::de::IgnoredAny) to ignore it. With `()`, a response with a body is a
    /// [`Decode`](crate::ErrorKind::Decode) error. In a `Value`, an integer beyond 64 bits becomes a float.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if the path is empty, leaves the base URL (`..`, another URL), or
    /// contains a query or control characters.
    pub fn call<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        self.fetch_or_null(request.checked()?)
    }

    /// Lists the items of any list, and deserializes them. Pages are fetched lazily, as in the other lists. Set the page size
    /// with [`Listing::page_size`] and the cursor with [`Listing::starting_at`]: a query parameter `limit` or `cursor` is an
    /// error.
    ///
    /// # Errors
    ///
    /// If the request is invalid, as in [`call`](Self::call), the first item is an error.
    pub fn list<T: DeserializeOwned>(&self, request: &Request) -> Listing<T> {
        let mut request = request.clone();
        for (name, instead) in [("limit=", "Listing::page_size"), ("cursor=", "Listing::starting_at")] {
            if request.call.query.split('&').any(|parameter| parameter.starts_with(name)) {
                request = request.invalid(format!("a listing has no query parameter `{name}`; use {instead}"));
            }
        }
        Listing::new(self, request.checked().cloned(), None)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn target(request: Request) -> Result<String> {
        request.checked().map(|call| call.url("", &call.path))
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

    #[test]
    fn a_response_limit_above_4_gib_holds_on_32_bits_too() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            for connection in listener.incoming().take(2) {
                let mut connection = connection.unwrap();
                let mut head = BufReader::new(&connection).lines();
                while head.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n[", (4_u64 << 30) + 10);
                connection.write_all(response.as_bytes()).unwrap();
            }
        });
        let error = |limit| {
            let nomic = Nomic::builder(&base, "npk_secret").response_limit(limit).attempts(1).build().unwrap();
            nomic.call::<serde_json::Value>(&Request::get("anything")).unwrap_err().to_string()
        };
        let (truncated, too_large) = (error(5 << 30), error(4 << 30));
        server.join().unwrap();
        assert!(truncated.contains("incomplete response") && too_large.contains("limit"), "{truncated} {too_large}");
    }
}
