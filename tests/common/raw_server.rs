//! A server that sends whatever a test gives it, whether or not that is HTTP.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Accepts connections until the test process ends, and counts them.
#[derive(Debug)]
pub(crate) struct RawServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl RawServer {
    /// Serves each connection on a thread of its own.
    pub(crate) fn new(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (serve, count) = (Arc::new(serve), Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::Relaxed);
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(stream.unwrap()));
            }
        });
        Self { address, connections }
    }

    /// Sends these bytes once a request has begun to arrive, then waits until the client sends more or closes.
    pub(crate) fn sending(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::new(move |mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&bytes);
            // Unread bytes would reset the connection: on Windows the response would be lost.
            let _ = stream.read(&mut [0; 4096]);
        })
    }

    /// Accepts connections, and neither reads nor writes.
    pub(crate) fn silent() -> Self {
        Self::new(|stream| {
            std::thread::sleep(Duration::from_secs(20));
            drop(stream);
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for a client.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The base URL for a client that speaks TLS; the host is the one that the certificates of the tests name.
    pub(crate) fn https_url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// An address to which no connection can be made: the queue of its listener is full, so that further attempts hang.
#[derive(Debug)]
pub(crate) struct FullQueue {
    listener: TcpListener,
    queue: Vec<TcpStream>,
}

impl FullQueue {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100));
        let queue = (0..5000).map_while(|_| connect().ok()).collect();
        Self { listener, queue }
    }

    /// The base URL for a client.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }

    /// How many connections fill the queue.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
}

/// Reads the head of a request, and not a byte beyond it. Empty if the client closed the connection.
pub(crate) fn read_head(stream: &mut impl Read) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
        head.extend_from_slice(&byte);
    }
    String::from_utf8(head).unwrap()
}

/// Reads a request to the end of its body.
pub(crate) fn read_request(stream: &mut impl Read) {
    let head = read_head(stream).to_lowercase();
    let length = head.split_once("content-length: ").map(|(_, rest)| rest.lines().next().unwrap().parse().unwrap());
    std::io::copy(&mut stream.take(length.unwrap_or(0)), &mut std::io::sink()).unwrap();
}

/// A response with a JSON body.
pub(crate) fn response(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
