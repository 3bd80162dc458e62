//! Clients of a rate-limited API: this crate and its alternatives.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nomic_client::agents::Launch;
use nomic_client::files::Upload;
use nomic_client::{Nomic, codes};
use serde_json::json;

/// The operation to call.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    Launch,
    Upload,
    Poll,
    Search,
}

/// A client, shared between threads.
pub trait Caller: Send + Sync {
    /// Makes a call, with retries; `true` if it succeeded.
    fn call(&self, operation: Operation) -> bool;
}

/// The names of all callers, in the order of the table.
pub const NAMES: [&str; 4] = ["nomic-client", "2 retries", "5 retries", "X-RateLimit"];

/// The caller with this name; `minute` is the real duration of a minute on the server.
pub fn caller(name: &str, url: &str, key: &str, minute: Duration) -> Box<dyn Caller> {
    match name {
        "2 retries" => Box::new(RetryOnly::new(url, key, 2)),
        "5 retries" => Box::new(RetryOnly::new(url, key, 5)),
        "X-RateLimit" => Box::new(ByHeaders { raw: RetryOnly::new(url, key, 0), known: Mutex::default() }),
        _ => Box::new(Ours(Nomic::builder(url, key).rate_window(minute).build().expect("a good URL and key"))),
    }
}

struct Ours(Nomic);

impl Caller for Ours {
    fn call(&self, operation: Operation) -> bool {
        match operation {
            Operation::Launch => self.0.launch_agent(&Launch::prompt("Go.")).is_ok(),
            Operation::Upload => self.0.upload(Upload::from_bytes("a.txt", "Level: 1")).is_ok(),
            Operation::Poll => self.0.projects().next().is_some_and(|project| project.is_ok()),
            Operation::Search => {
                self.0.search_codes(&codes::Search::new("door").jurisdiction("texas").code_type("building")).is_ok()
            }
        }
    }
}

/// No rate limiter; retries a 429 after `Retry-After`, as generated clients do.
struct RetryOnly {
    agent: ureq::Agent,
    url: String,
    authorization: String,
    retries: u32,
}

/// The relevant parts of a response.
struct Response {
    status: u16,
    retry_after: Option<Duration>,
    remaining: Option<u64>,
    reset: Option<Duration>,
}

impl RetryOnly {
    fn new(url: &str, key: &str, retries: u32) -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).max_idle_connections_per_host(64).build();
        Self { agent: config.new_agent(), url: url.to_owned(), authorization: format!("Bearer {key}"), retries }
    }

    fn once(&self, operation: Operation) -> Option<Response> {
        let get =
            |path: &str| self.agent.get(format!("{}{path}", self.url)).header("authorization", &self.authorization);
        let post = |path: &str, kind: &str, body: String| {
            let request = self.agent.post(format!("{}{path}", self.url)).header("authorization", &self.authorization);
            request.header("content-type", kind).send(body)
        };
        let json_post = |path: &str, body: serde_json::Value| post(path, "application/json", body.to_string());
        let mut received = match operation {
            Operation::Poll => get("/projects").call(),
            Operation::Launch => json_post("/agents", json!({"prompt": {"text": "Go."}})),
            Operation::Search => {
                json_post("/codes/search", json!({"query": "door", "jurisdiction": "texas", "codeType": "building"}))
            }
            Operation::Upload => post(
                "/files/upload",
                "multipart/form-data; boundary=b",
                "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\
                 Content-Type: text/plain\r\n\r\nLevel: 1\r\n--b--\r\n"
                    .to_owned(),
            ),
        }
        .ok()?;
        let header = |name: &str| received.headers().get(name)?.to_str().ok()?.parse::<f64>().ok();
        let response = Response {
            status: received.status().as_u16(),
            retry_after: header("retry-after").map(Duration::from_secs_f64),
            remaining: header("x-ratelimit-remaining").map(|remaining| remaining as u64),
            reset: header("x-ratelimit-reset").map(Duration::from_secs_f64),
        };
        received.body_mut().read_to_vec().ok()?;
        Some(response)
    }
}

impl Caller for RetryOnly {
    fn call(&self, operation: Operation) -> bool {
        for retry in 0..=self.retries {
            match self.once(operation) {
                Some(response) if response.status == 429 && retry < self.retries => {
                    std::thread::sleep(response.retry_after.unwrap_or(Duration::from_millis(500)));
                }
                response => return response.is_some_and(|response| response.status < 300),
            }
        }
        false
    }
}

/// Rate limiting by `X-RateLimit-Remaining` and `-Reset` alone; a 429 is retried up to five times.
struct ByHeaders {
    raw: RetryOnly,
    /// The last remaining quota and reset time, for each operation.
    known: Mutex<[(Option<u64>, Duration); 4]>,
}

impl Caller for ByHeaders {
    fn call(&self, operation: Operation) -> bool {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..=5 {
            loop {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let mut known = known();
                let (remaining, reset) = &mut known[operation as usize];
                match remaining {
                    Some(0) if *reset > now => {
                        let pause = *reset - now;
                        drop(known);
                        std::thread::sleep(pause);
                    }
                    Some(0) | None => {
                        *remaining = None;
                        break;
                    }
                    Some(remaining) => {
                        *remaining -= 1;
                        break;
                    }
                }
            }
            let Some(response) = self.raw.once(operation) else { return false };
            if let (Some(remaining), Some(reset)) = (response.remaining, response.reset) {
                known()[operation as usize] = (Some(remaining), reset);
            }
            if response.status != 429 {
                return response.status < 300;
            }
        }
        false
    }
}
