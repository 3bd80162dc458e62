//! A minimal client that shows the raw responses.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nomic_emulator::{Emulator, Limits};
use serde_json::Value;

/// An emulator without rate limits whose jobs finish at once.
pub(crate) fn quick() -> Emulator {
    Emulator::builder().limits(Limits::off()).job_time(Duration::ZERO).start().unwrap()
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Asserts the status and parses the body.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }
}

/// One connection, kept alive.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
    pub(crate) key: String,
    pub(crate) headers: String,
}

impl Client {
    pub(crate) fn new(emulator: &Emulator) -> Client {
        let stream = TcpStream::connect(emulator.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client { reader: BufReader::new(stream), key: emulator.key().to_owned(), headers: String::new() }
    }

    pub(crate) fn with_key(emulator: &Emulator, key: &str) -> Client {
        Client { key: key.to_owned(), ..Client::new(emulator) }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    pub(crate) fn head(&self, method: &str, target: &str, more: &str) -> String {
        let key = &self.key;
        format!("{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{}{more}\r\n", self.headers)
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<Response> {
        self.stream().write_all(bytes)?;
        self.read()
    }

    pub(crate) fn read(&mut self) -> std::io::Result<Response> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            if !line.ends_with('\n') {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end().split_once(": ") {
                Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
                None => break,
            }
        }
        let mut response = Response { status, headers, body: Vec::new() };
        let length: usize = response.header("content-length").unwrap_or("0").parse().unwrap();
        response.body = vec![0; length];
        self.reader.read_exact(&mut response.body)?;
        Ok(response)
    }

    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Response {
        let head = self.head("GET", target, "");
        self.try_send(head.as_bytes()).unwrap()
    }

    pub(crate) fn try_get(&mut self, target: &str) -> std::io::Result<Response> {
        let head = self.head("GET", target, "");
        self.try_send(head.as_bytes())
    }

    #[track_caller]
    pub(crate) fn post(&mut self, target: &str, body: Value) -> Response {
        self.try_post(target, body).unwrap()
    }

    pub(crate) fn try_post(&mut self, target: &str, body: Value) -> std::io::Result<Response> {
        let body = body.to_string();
        let more = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        let request = self.head("POST", target, &more) + &body;
        self.try_send(request.as_bytes())
    }

    #[track_caller]
    pub(crate) fn delete(&mut self, target: &str) -> Response {
        let head = self.head("DELETE", target, "");
        self.try_send(head.as_bytes()).unwrap()
    }

    /// Sends form data verbatim.
    #[track_caller]
    pub(crate) fn form(&mut self, body: &[u8]) -> Response {
        let more = format!("Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: {}\r\n", body.len());
        let mut request = self.head("POST", "/files/upload", &more).into_bytes();
        request.extend_from_slice(body);
        self.try_send(&request).unwrap()
    }

    /// Uploads a text to a path. Returns the response.
    #[track_caller]
    pub(crate) fn upload(&mut self, path: &str, text: &str) -> Value {
        let name = path.rsplit('/').next().unwrap();
        let path_part = field("path", path);
        let file = file_part(name, "text/plain", text);
        self.form(format!("{path_part}{file}--XX--\r\n").as_bytes()).expect(201)
    }

    /// Polls until the job has ended.
    #[track_caller]
    pub(crate) fn wait(&mut self, target: &str) -> Value {
        let start = Instant::now();
        loop {
            let mut answer = self.get(target).expect(200);
            if answer.get("data").is_some() {
                answer = answer["data"].take();
            }
            let status = answer["status"].as_str().unwrap();
            if ["COMPLETED", "FAILED", "finished", "stopped", "failed"].contains(&status) {
                return answer;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{answer}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

pub(crate) fn field(name: &str, value: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

pub(crate) fn file_part(name: &str, kind: &str, text: &str) -> String {
    format!(
        "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n{text}\r\n"
    )
}
