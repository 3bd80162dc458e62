//! 1 GiB of uploads in files of 100 MiB: this client, other blocking clients, and a file copied to a bare socket.
//!
//! Each candidate runs in its own process, so that its peak memory is measured alone; rounds are interleaved.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use nomic_client::Nomic;

use crate::served::Server;
use crate::table::{interleaved, median, peak_memory, ratio};

const ROUNDS: usize = 15;
const FILES: usize = 11;
const SIZE: u64 = 100 << 20;
const CANDIDATES: [&str; 6] =
    [BUFFERED, COPY, "nomic-client", "ureq, no form", "reqwest blocking", "attohttpc, no form"];
const BUFFERED: &str = "bare socket, 128 KiB";
const COPY: &str = "bare socket, io::copy";

pub fn run() -> ExitCode {
    let server = Server::start(&["uploaded"]);
    let file = std::env::temp_dir().join(format!("nomic-bench-{}.bin", std::process::id()));
    let mut written = File::create(&file).expect("a file");
    (0..SIZE >> 20).for_each(|_| written.write_all(&[7; 1 << 20]).expect("room on the disk"));
    let address = server.address.to_string();
    let path = file.display().to_string();
    let measured = interleaved(&CANDIDATES, ROUNDS, |candidate| {
        ["upload-by", candidate, &address, &path].map(str::to_owned).into()
    });
    let _ = std::fs::remove_file(&file);
    println!("{FILES} uploads of 100 MiB, median of {ROUNDS} rounds");
    println!("{:28} {:>10} {:>18} {:>9}", "", "rate", "vs bare socket", "peak");
    for (name, (times, peaks)) in CANDIDATES.iter().zip(&measured) {
        println!(
            "{name:28} {:>5.2} GiB/s {:>17.3}x {:>5.1} MiB",
            (FILES as u64 * SIZE) as f64 / f64::from(1 << 30) / median(times).as_secs_f64(),
            1.0 / ratio(times, &measured[0].0),
            peaks.iter().copied().max().unwrap_or_default() as f64 / 1024.0,
        );
    }
    ExitCode::SUCCESS
}

/// Runs one candidate; prints the elapsed microseconds and the peak memory in KiB.
pub fn by(candidate: &str, address: &str, file: &str) -> ExitCode {
    let address: SocketAddr = address.parse().expect("an address");
    let file = Path::new(file);
    let url = format!("http://{address}/api/v0/files/upload");
    let mut upload: Box<dyn FnMut()> = match candidate {
        BUFFERED | COPY => {
            let mut socket = TcpStream::connect(address).expect("a connection");
            let buffered = candidate == BUFFERED;
            Box::new(move || copy(&mut socket, file, buffered))
        }
        "nomic-client" => {
            let nomic = Nomic::new(format!("http://{address}/api/v0"), "npk_bench").expect("a good URL and key");
            Box::new(move || drop(nomic.upload_file(file).expect("an upload")))
        }
        "reqwest blocking" => {
            let client = reqwest::blocking::Client::builder().no_proxy().timeout(None).build().expect("a client");
            Box::new(move || {
                let form = reqwest::blocking::multipart::Form::new().file("file", file).expect("a form");
                let response = client.post(&url).multipart(form).send().expect("a response");
                response.bytes().expect("a body");
            })
        }
        "attohttpc, no form" => Box::new(move || {
            let body = File::open(file).expect("a file");
            let response = attohttpc::post(&url).file(body).send().expect("a response");
            response.bytes().expect("a body");
        }),
        _ => {
            let agent = ureq::Agent::new_with_defaults();
            Box::new(move || {
                let body = File::open(file).expect("a file");
                let mut response = agent.post(&url).send(body).expect("a response");
                response.body_mut().read_to_vec().expect("a body");
            })
        }
    };
    let began = Instant::now();
    (0..FILES).for_each(|_| upload());
    println!("{} {}", began.elapsed().as_micros(), peak_memory());
    ExitCode::SUCCESS
}

/// Copies the file to the socket, with a buffer of 128 KiB or with `std::io::copy`.
fn copy(socket: &mut TcpStream, path: &Path, buffered: bool) {
    let mut file = File::open(path).expect("a file");
    let head = format!("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {SIZE}\r\n\r\n");
    socket.write_all(head.as_bytes()).expect("a head");
    if buffered {
        let mut buffer = vec![0; 128 << 10];
        loop {
            match file.read(&mut buffer).expect("a file") {
                0 => break,
                count => socket.write_all(&buffer[..count]).expect("a body"),
            }
        }
    } else {
        std::io::copy(&mut file, socket).expect("a body");
    }
    let (mut response, mut filled) = ([0; 1024], 0);
    while !response[..filled].ends_with(b"}") {
        filled += socket.read(&mut response[filled..]).expect("a response");
    }
}
