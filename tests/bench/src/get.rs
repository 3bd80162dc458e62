//! A GET of 1 KiB, decoded: this client, other blocking clients, and a bare socket as the lower bound.
//!
//! Client and server processes run on one core: wake-ups across cores would hide the differences.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nomic_client::agents::Agent;
use nomic_client::{AgentId, Nomic};

use crate::served::Server;
use crate::table::{median, ratio};

const ROUNDS: usize = 31;
const CALLS: u32 = 1000;
const PATH: &str = "/api/v0/agents/019abc12-3456-7890-abcd-ef1234567890";

/// The name of a client, and a function that gets the agent with it.
type Candidate = (&'static str, Box<dyn FnMut() -> Agent>);

pub fn run() -> ExitCode {
    let server = Server::start(&["agent"]);
    let mut candidates = candidates(&server);
    for (name, get) in &mut candidates {
        let agent = get();
        assert_eq!(agent.id.as_str(), "019abc12-3456-7890-abcd-ef1234567890", "{name}");
    }
    let mut times = vec![(Vec::new(), Vec::new()); candidates.len()];
    for _ in 0..ROUNDS {
        for ((_, get), (wall, cpu)) in candidates.iter_mut().zip(&mut times) {
            let (began, used) = (Instant::now(), cpu_time());
            (0..CALLS).for_each(|_| drop(get()));
            wall.push(began.elapsed() / CALLS);
            cpu.push((cpu_time() - used) / CALLS);
        }
    }
    println!("GET of 1 KiB, decoded, one core, median of {ROUNDS} rounds of {CALLS}");
    println!("{:28} {:>10} {:>7} {:>10} {:>7}", "", "time", "", "CPU", "");
    let raw = candidates.iter().position(|(name, _)| *name == RAW).expect("raw ureq");
    for ((name, _), (wall, cpu)) in candidates.iter().zip(&times) {
        println!(
            "{name:28} {:>7.1} µs {:>6.3}x {:>7.1} µs {:>6.3}x",
            median(wall).as_secs_f64() * 1e6,
            ratio(wall, &times[raw].0),
            median(cpu).as_secs_f64() * 1e6,
            ratio(cpu, &times[raw].1),
        );
    }
    println!("ratios are relative to {RAW} in the same round; median");
    ExitCode::SUCCESS
}

/// Runs one candidate alone, for a profiler.
pub fn alone(name: &str, calls: &str) -> ExitCode {
    let server = Server::start(&["agent"]);
    let candidate = candidates(&server).into_iter().find(|(candidate, _)| *candidate == name);
    let (Some((_, mut get)), Ok(calls)) = (candidate, calls.parse::<u32>()) else { return ExitCode::from(2) };
    (0..calls).for_each(|_| drop(get()));
    ExitCode::SUCCESS
}

const RAW: &str = "ureq, no timeouts";

fn candidates(server: &Server) -> Vec<Candidate> {
    let url = format!("http://{}{PATH}", server.address);
    let key = "npk_bench";
    let authorization = format!("Bearer {key}");
    let decode = |bytes: &[u8]| serde_json::from_slice::<Agent>(bytes).expect("an agent");

    let nomic = Nomic::new(format!("http://{}/api/v0", server.address), key).expect("a good URL and key");
    let id = AgentId::from("019abc12-3456-7890-abcd-ef1234567890");
    let ours = move || nomic.agent(&id).expect("an agent");

    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let raw = {
        let (url, authorization) = (url.clone(), authorization.clone());
        move || {
            let mut response = agent.get(&url).header("authorization", &authorization).call().expect("a response");
            decode(&response.body_mut().read_to_vec().expect("a body"))
        }
    };
    let client = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
    let reqwest = {
        let (url, authorization) = (url.clone(), authorization.clone());
        move || {
            let response = client.get(&url).header("authorization", &authorization).send().expect("a response");
            decode(&response.bytes().expect("a body"))
        }
    };
    let minreq = {
        let (url, authorization) = (url.clone(), authorization.clone());
        move || {
            let response = minreq::get(&url).with_header("authorization", &authorization).send().expect("a response");
            decode(response.as_bytes())
        }
    };
    let attohttpc = move || {
        let response = attohttpc::get(&url).header("authorization", &authorization).send().expect("a response");
        decode(&response.bytes().expect("a body"))
    };
    let mut socket = TcpStream::connect(server.address).expect("a connection");
    socket.set_nodelay(true).expect("a socket");
    let request = format!("GET {PATH} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {key}\r\n\r\n", server.address);
    let bare = move || decode(&exchange(&mut socket, request.as_bytes()));
    vec![
        ("bare socket, httparse", Box::new(bare)),
        (RAW, Box::new(raw)),
        ("nomic-client", Box::new(ours)),
        ("reqwest blocking", Box::new(reqwest)),
        ("minreq (no keep-alive)", Box::new(minreq)),
        ("attohttpc (no keep-alive)", Box::new(attohttpc)),
    ]
}

/// Makes one request on a bare socket. Returns the body of the response.
fn exchange(socket: &mut TcpStream, request: &[u8]) -> Vec<u8> {
    socket.write_all(request).expect("a request");
    let (mut buffer, mut filled) = (vec![0; 16 << 10], 0);
    loop {
        filled += socket.read(&mut buffer[filled..]).expect("a response");
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(head)) = response.parse(&buffer[..filled]) else { continue };
        let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
        let end = head + length.expect("a length");
        while filled < end {
            filled += socket.read(&mut buffer[filled..]).expect("a body");
        }
        return buffer[head..end].to_vec();
    }
}

/// The CPU time of all threads of this process.
fn cpu_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let nanos = tasks.filter_map(|task| {
        let used = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        used.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
