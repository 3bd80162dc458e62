//! The memory use of a large upload. In a file of its own, because the tests of a file share a process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::io::Write;

use common::{Client, quick};

/// The peak resident memory of this process in KiB.
fn resident_peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_large_upload_uses_constant_memory() {
    const SIZE: usize = 200 << 20;
    let emulator = quick();
    let mut client = Client::new(&emulator);
    client.upload("small.txt", "x");
    let head = "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"large.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n";
    let tail = "\r\n--XX--\r\n";
    let length = head.len() + SIZE + tail.len();
    let more = format!("Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: {length}\r\n");
    let request = client.head("POST", "/files/upload", &more) + head;
    let block = vec![b'\r'; 1 << 20];
    let before = resident_peak();
    client.stream().write_all(request.as_bytes()).unwrap();
    for _ in 0..SIZE / block.len() {
        client.stream().write_all(&block).unwrap();
    }
    let response = client.try_send(tail.as_bytes()).unwrap().expect(201);
    assert_eq!(response["size"], SIZE);
    let grown = resident_peak() - before;
    assert!(grown < 4 * 1024, "{grown} KiB");
}
