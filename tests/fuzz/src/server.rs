//! A server on this machine that answers with the bytes it is given, and remembers what it was asked.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The server. It lives as long as the process.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// What it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The lines of the head, without the empty one.
    head: Vec<String>,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    /// The last one is for everything that still comes.
    answers: VecDeque<Vec<u8>>,
    /// Whether a connection ends with its answer.
    close: bool,
    requests: Vec<Request>,
}

thread_local! {
    static SERVER: &'static Server = Box::leak(Box::new(Server::start()));
}

impl Server {
    /// That of this thread.
    pub(crate) fn here() -> &'static Self {
        SERVER.with(|server| *server)
    }

    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("this machine gives a port");
        let server = Self { address: listener.local_addr().expect("a listener has an address"), state: Arc::default() };
        let state = Arc::clone(&server.state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                // A client that goes away in the middle is none of the server's business.
                thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Forgets what was, and answers in this order from now on; the last one again and again.
    pub(crate) fn answers(&self, answers: impl IntoIterator<Item = Vec<u8>>) {
        *self.state() = State { answers: answers.into_iter().collect(), ..State::default() };
    }

    /// Forgets what was, and answers with these bytes, whatever they are; a connection ends behind them.
    pub(crate) fn says(&self, bytes: Vec<u8>) {
        *self.state() = State { answers: [bytes].into(), close: true, requests: Vec::new() };
    }

    /// What it was asked since.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

impl Request {
    pub(crate) fn method(&self) -> &str {
        self.head[0].split(' ').next().unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &str {
        self.head[0].split(' ').nth(1).unwrap_or_default()
    }

    /// All values of a header.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let fields = self.head[1..].iter().filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// An answer with a body of known length.
pub(crate) fn answer(status: u16, headers: &[u8], body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status} Fuzzed\r\n").into_bytes();
    answer.extend_from_slice(headers);
    // These two have none.
    let body = if matches!(status, 204 | 304) { &[] } else { body };
    if !matches!(status, 204 | 304) {
        answer.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(body);
    answer
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(&stream);
    while let Some(request) = read(&mut reader)? {
        let (answer, close) = {
            let mut state = locked(state);
            state.requests.push(request);
            let answer = match state.answers.len() {
                0 | 1 => state.answers.front().cloned(),
                _ => state.answers.pop_front(),
            };
            (answer.unwrap_or_default(), state.close)
        };
        (&stream).write_all(&answer)?;
        if close {
            stream.shutdown(Shutdown::Write)?;
            // Closed with bytes unread, the connection would be reset and the answer lost.
            return io::copy(&mut reader, &mut io::sink()).map(drop);
        }
    }
    Ok(())
}

/// The next request; `None` if the client has no more.
fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut head = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        match line.strip_suffix("\r\n") {
            Some("") => break,
            Some(line) => head.push(line.to_owned()),
            None => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    let mut request = Request { head, body: Vec::new() };
    let length = request.headers("content-length").first().and_then(|length| length.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_end(&mut request.body)?;
    Ok(Some(request))
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
