//! A parse result of 100 MB: the whole exchange, compared with decoding a body that is already in memory.
//!
//! Each candidate runs in its own process, so that its peak memory is measured alone; rounds are interleaved.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Instant;

use nomic_client::Nomic;
use nomic_client::job::JobStatus;
use nomic_client::job::Poll;
use nomic_client::parse::Parsed;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::served::Server;
use crate::table::{interleaved, median, peak_memory, ratio};

const ROUNDS: usize = 15;
const MEGABYTES: &str = "100";
const CANDIDATES: [&str; 5] = [
    "from_slice alone",
    "read, then from_slice",
    "ureq's read, then from_slice",
    "from_reader on the socket",
    "nomic-client",
];

/// The response of a parse job.
#[derive(Deserialize)]
struct Task {
    status: JobStatus,
    #[serde(default)]
    result: Option<Parsed>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

pub fn run() -> ExitCode {
    let server = Server::start(&["parse", MEGABYTES]);
    let address = server.address.to_string();
    let measured =
        interleaved(&CANDIDATES, ROUNDS, |candidate| ["answer-by", candidate, &address].map(str::to_owned).into());
    println!("a parse result of {MEGABYTES} MB, median of {ROUNDS} rounds");
    let of_ureq = ratio(&measured[4].0, &measured[2].0);
    println!("{:28} {:>10} {:>7} {:>12} {:>7}", "", "time", "", "peak memory", "");
    for (name, (times, peaks)) in CANDIDATES.iter().zip(&measured) {
        println!(
            "{name:28} {:>7.1} ms {:>6.3}x {:>8.1} MiB {:>6.3}x",
            median(times).as_secs_f64() * 1e3,
            ratio(times, &measured[0].0),
            median(peaks) as f64 / 1024.0,
            median(peaks) as f64 / median(&measured[0].1) as f64,
        );
    }
    println!("nomic-client: {of_ureq:.3}x the time of ureq's read, then from_slice");
    ExitCode::SUCCESS
}

/// Runs one candidate; prints the elapsed microseconds and the peak memory in KiB.
pub fn by(candidate: &str, address: &str) -> ExitCode {
    let address: SocketAddr = address.parse().expect("an address");
    let (took, chunks) = match candidate {
        "nomic-client" => {
            let nomic = Nomic::new(format!("http://{address}/api/v0"), "npk_bench").expect("a good URL and key");
            let began = Instant::now();
            let Ok(Poll::Done(parsed)) = nomic.poll(&nomic.parse_job("t")) else { return ExitCode::FAILURE };
            (began.elapsed(), parsed.chunks.len())
        }
        "ureq's read, then from_slice" => {
            let began = Instant::now();
            let url = format!("http://{address}/api/v0/parse/t");
            let response = ureq::Agent::new_with_defaults().get(&url).call().expect("a response");
            let body = response.into_body().into_with_config().limit(u64::MAX).read_to_vec().expect("a body");
            let task: Task = serde_json::from_slice(&body).expect("a task");
            (began.elapsed(), chunks(&task))
        }
        "from_reader on the socket" => {
            let began = Instant::now();
            let (socket, length) = get(address);
            let body = BufReader::with_capacity(64 << 10, socket.take(length));
            let task: Task = serde_json::from_reader(body).expect("a task");
            (began.elapsed(), chunks(&task))
        }
        _ => {
            let mut began = Instant::now();
            let (mut socket, length) = get(address);
            let mut body = vec![0; usize::try_from(length).expect("it fits")];
            socket.read_exact(&mut body).expect("a body");
            if candidate == "from_slice alone" {
                began = Instant::now();
            }
            let task: Task = serde_json::from_slice(&body).expect("a task");
            (began.elapsed(), chunks(&task))
        }
    };
    assert!(chunks > 1000);
    println!("{} {}", took.as_micros(), peak_memory());
    ExitCode::SUCCESS
}

fn chunks(task: &Task) -> usize {
    assert!(task.status == JobStatus::Completed && task.rest.contains_key("taskId"));
    task.result.as_ref().map_or(0, |parsed| parsed.chunks.len())
}

/// Sends a request and reads the head of the response. Returns the socket and the length of the body.
fn get(address: SocketAddr) -> (TcpStream, u64) {
    let mut socket = TcpStream::connect(address).expect("a connection");
    socket.write_all(b"GET /api/v0/parse/t HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("a request");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).expect("a head");
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    (socket, length.parse().expect("a number"))
}
