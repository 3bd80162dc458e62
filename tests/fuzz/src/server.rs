//! A server on localhost that responds with given bytes and records requests.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The server. It runs until the process exits.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// A request that the server received.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The lines of the head, without the final empty one.
    head: Vec<String>,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    /// Responses to send, in order. The last one is repeated.
    responses: VecDeque<Vec<u8>>,
    /// Whether to close each connection after the first response.
    close: bool,
    requests: Vec<Request>,
}

thread_local! {
    static SERVER: &'static Server = Box::leak(Box::new(Server::start()));
}

impl Server {
    /// The server of this thread.
    pub(crate) fn local() -> &'static Self {
        SERVER.with(|server| *server)
    }

    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let server = Self { address: listener.local_addr().expect("a listener has an address"), state: Arc::default() };
        let state = Arc::clone(&server.state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                // Errors are ignored: the client may disconnect at any time.
                thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Resets the server, and sends these responses in order; repeats the last one.
    pub(crate) fn respond_with(&self, responses: impl IntoIterator<Item = Vec<u8>>) {
        *self.state() = State { responses: responses.into_iter().collect(), ..State::default() };
    }

    /// Resets the server, and answers every connection with these bytes before it closes it.
    pub(crate) fn send_and_close(&self, bytes: Vec<u8>) {
        *self.state() = State { responses: [bytes].into(), close: true, requests: Vec::new() };
    }

    /// The requests received since the last reset.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Request {
    pub(crate) fn method(&self) -> &str {
        self.head[0].split(' ').next().unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &str {
        self.head[0].split(' ').nth(1).unwrap_or_default()
    }

    /// All values of a header field.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let fields = self.head[1..].iter().filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// A response with a `Content-Length`.
pub(crate) fn response(status: u16, headers: &[u8], body: &[u8]) -> Vec<u8> {
    let mut response = format!("HTTP/1.1 {status} Fuzzed\r\n").into_bytes();
    response.extend_from_slice(headers);
    // These two have no body.
    let body = if matches!(status, 204 | 304) { &[] } else { body };
    if !matches!(status, 204 | 304) {
        response.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    response.extend_from_slice(b"\r\n");
    response.extend_from_slice(body);
    response
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(&stream);
    while let Some(request) = read(&mut reader)? {
        let (response, close) = {
            let mut state = lock(state);
            state.requests.push(request);
            let response = match state.responses.len() {
                0 | 1 => state.responses.front().cloned(),
                _ => state.responses.pop_front(),
            };
            (response.unwrap_or_default(), state.close)
        };
        (&stream).write_all(&response)?;
        if close {
            stream.shutdown(Shutdown::Write)?;
            // Closing with unread bytes would reset the connection and lose the response.
            return io::copy(&mut reader, &mut io::sink()).map(drop);
        }
    }
    Ok(())
}

/// Reads the next request; `None` if the client has closed the connection.
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

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
