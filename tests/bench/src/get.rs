//! A GET of 1 KiB and its decoding: ours beside other blocking clients, and a bare socket as the limit.
//!
//! All on one core, the server (a process of its own) too: on more, the wake-ups between cores hide the differences.

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

/// A way to get the agent, and how to call it.
type Way = (&'static str, Box<dyn FnMut() -> Agent>);

pub fn run() -> ExitCode {
    let server = Server::start(&["agent"]);
    let mut ways = ways(&server);
    for (name, get) in &mut ways {
        let agent = get();
        assert_eq!(agent.id.as_str(), "019abc12-3456-7890-abcd-ef1234567890", "{name}");
    }
    let mut times = vec![(Vec::new(), Vec::new()); ways.len()];
    for _ in 0..ROUNDS {
        for ((_, get), (wall, processor)) in ways.iter_mut().zip(&mut times) {
            let (began, used) = (Instant::now(), processor_time());
            (0..CALLS).for_each(|_| drop(get()));
            wall.push(began.elapsed() / CALLS);
            processor.push((processor_time() - used) / CALLS);
        }
    }
    println!("GET and decoding of 1 KiB, one core, median of {ROUNDS} rounds of {CALLS}");
    println!("{:28} {:>10} {:>7} {:>10} {:>7}", "", "time", "", "processor", "");
    let raw = ways.iter().position(|(name, _)| *name == RAW).expect("raw ureq is among them");
    for ((name, _), (wall, processor)) in ways.iter().zip(&times) {
        println!(
            "{name:28} {:>7.1} µs {:>6.3}x {:>7.1} µs {:>6.3}x",
            median(wall).as_secs_f64() * 1e6,
            ratio(wall, &times[raw].0),
            median(processor).as_secs_f64() * 1e6,
            ratio(processor, &times[raw].1),
        );
    }
    println!("a ratio is the median of the ratios to {RAW} in the same round");
    ExitCode::SUCCESS
}

/// One way alone, to be watched by a profiler.
pub fn alone(name: &str, calls: &str) -> ExitCode {
    let server = Server::start(&["agent"]);
    let way = ways(&server).into_iter().find(|(way, _)| *way == name);
    let (Some((_, mut get)), Ok(calls)) = (way, calls.parse::<u32>()) else { return ExitCode::from(2) };
    (0..calls).for_each(|_| drop(get()));
    ExitCode::SUCCESS
}

const RAW: &str = "ureq, no timeouts";

fn ways(server: &Server) -> Vec<Way> {
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
            let mut answer = agent.get(&url).header("authorization", &authorization).call().expect("an answer");
            decode(&answer.body_mut().read_to_vec().expect("a body"))
        }
    };
    let client = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
    let reqwest = {
        let (url, authorization) = (url.clone(), authorization.clone());
        move || {
            let answer = client.get(&url).header("authorization", &authorization).send().expect("an answer");
            decode(&answer.bytes().expect("a body"))
        }
    };
    let minreq = {
        let (url, authorization) = (url.clone(), authorization.clone());
        move || {
            let answer = minreq::get(&url).with_header("authorization", &authorization).send().expect("an answer");
            decode(answer.as_bytes())
        }
    };
    let attohttpc = move || {
        let answer = attohttpc::get(&url).header("authorization", &authorization).send().expect("an answer");
        decode(&answer.bytes().expect("a body"))
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

/// One exchange on a bare socket; gives the body.
fn exchange(socket: &mut TcpStream, request: &[u8]) -> Vec<u8> {
    socket.write_all(request).expect("a request");
    let (mut buffer, mut filled) = (vec![0; 16 << 10], 0);
    loop {
        filled += socket.read(&mut buffer[filled..]).expect("an answer");
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut answer = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(head)) = answer.parse(&buffer[..filled]) else { continue };
        let length = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
        let end = head + length.expect("a length");
        while filled < end {
            filled += socket.read(&mut buffer[filled..]).expect("a body");
        }
        return buffer[head..end].to_vec();
    }
}

/// The processor time that all threads of this process have used.
fn processor_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let nanos = tasks.filter_map(|task| {
        let used = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        used.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
