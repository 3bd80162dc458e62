//! Ways to call a rate-limited API: this crate's, and those it is compared with.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nomic_client::agents::Launch;
use nomic_client::files::Upload;
use nomic_client::{Nomic, codes};
use serde_json::json;

/// What is called: one operation of each tier that the loads mix.
#[derive(Clone, Copy, Debug)]
pub enum What {
    Launch,
    Upload,
    Poll,
    Search,
}

/// A way to call, shared by threads. `true` if the call succeeded in the end.
pub trait Caller: Send + Sync {
    fn call(&self, what: What) -> bool;
}

/// The names of all ways, in the order of the table.
pub const NAMES: [&str; 4] = ["nomic-client", "2 retries", "5 retries", "X-RateLimit"];

/// The way of a name; `minute` is how long the server's minute takes.
pub fn caller(name: &str, url: &str, key: &str, minute: Duration) -> Box<dyn Caller> {
    match name {
        "2 retries" => Box::new(Unpaced::new(url, key, 2)),
        "5 retries" => Box::new(Unpaced::new(url, key, 5)),
        "X-RateLimit" => Box::new(ByHeaders { raw: Unpaced::new(url, key, 0), known: Mutex::default() }),
        _ => Box::new(Ours(Nomic::builder(url, key).rate_window(minute).build().expect("a good URL and key"))),
    }
}

struct Ours(Nomic);

impl Caller for Ours {
    fn call(&self, what: What) -> bool {
        match what {
            What::Launch => self.0.launch_agent(&Launch::prompt("Go.")).is_ok(),
            What::Upload => self.0.upload(Upload::from_bytes("a.txt", "Level: 1")).is_ok(),
            What::Poll => self.0.projects().next().is_some_and(|project| project.is_ok()),
            What::Search => {
                self.0.search_codes(&codes::Search::new("door").jurisdiction("texas").code_type("building")).is_ok()
            }
        }
    }
}

/// No pace at all: so many retries that obey `Retry-After`, as generated clients do it.
struct Unpaced {
    agent: ureq::Agent,
    url: String,
    authorization: String,
    retries: u32,
}

/// What one answer said.
struct Said {
    status: u16,
    retry_after: Option<Duration>,
    remaining: Option<u64>,
    reset: Option<Duration>,
}

impl Unpaced {
    fn new(url: &str, key: &str, retries: u32) -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).max_idle_connections_per_host(64).build();
        Self { agent: config.new_agent(), url: url.to_owned(), authorization: format!("Bearer {key}"), retries }
    }

    fn once(&self, what: What) -> Option<Said> {
        let get =
            |path: &str| self.agent.get(format!("{}{path}", self.url)).header("authorization", &self.authorization);
        let post = |path: &str, kind: &str, body: String| {
            let request = self.agent.post(format!("{}{path}", self.url)).header("authorization", &self.authorization);
            request.header("content-type", kind).send(body)
        };
        let json_post = |path: &str, body: serde_json::Value| post(path, "application/json", body.to_string());
        let mut answer = match what {
            What::Poll => get("/projects").call(),
            What::Launch => json_post("/agents", json!({"prompt": {"text": "Go."}})),
            What::Search => {
                json_post("/codes/search", json!({"query": "door", "jurisdiction": "texas", "codeType": "building"}))
            }
            What::Upload => post(
                "/files/upload",
                "multipart/form-data; boundary=b",
                "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\
                 Content-Type: text/plain\r\n\r\nLevel: 1\r\n--b--\r\n"
                    .to_owned(),
            ),
        }
        .ok()?;
        let header = |name: &str| answer.headers().get(name)?.to_str().ok()?.parse::<f64>().ok();
        let said = Said {
            status: answer.status().as_u16(),
            retry_after: header("retry-after").map(Duration::from_secs_f64),
            remaining: header("x-ratelimit-remaining").map(|left| left as u64),
            reset: header("x-ratelimit-reset").map(Duration::from_secs_f64),
        };
        answer.body_mut().read_to_vec().ok()?;
        Some(said)
    }
}

impl Caller for Unpaced {
    fn call(&self, what: What) -> bool {
        for retry in 0..=self.retries {
            match self.once(what) {
                Some(said) if said.status == 429 && retry < self.retries => {
                    std::thread::sleep(said.retry_after.unwrap_or(Duration::from_millis(500)));
                }
                said => return said.is_some_and(|said| said.status < 300),
            }
        }
        false
    }
}

/// A pace by `X-RateLimit-Remaining` and `-Reset` alone; what is refused all the same is tried five times again.
struct ByHeaders {
    raw: Unpaced,
    /// What is left, and when the quota is whole again, for each of the operations.
    known: Mutex<[(Option<u64>, Duration); 4]>,
}

impl Caller for ByHeaders {
    fn call(&self, what: What) -> bool {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..=5 {
            loop {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let mut known = known();
                let (left, reset) = &mut known[what as usize];
                match left {
                    Some(0) if *reset > now => {
                        let pause = *reset - now;
                        drop(known);
                        std::thread::sleep(pause);
                    }
                    Some(0) | None => {
                        *left = None;
                        break;
                    }
                    Some(left) => {
                        *left -= 1;
                        break;
                    }
                }
            }
            let Some(said) = self.raw.once(what) else { return false };
            if let (Some(left), Some(reset)) = (said.remaining, said.reset) {
                known()[what as usize] = (Some(left), reset);
            }
            if said.status != 429 {
                return said.status < 300;
            }
        }
        false
    }
}
