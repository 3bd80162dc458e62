//! Minimal servers with canned responses, each in its own process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;

/// A server process, killed on drop.
pub struct Server {
    pub address: SocketAddr,
    process: Child,
}

impl Server {
    /// Starts this program as a server.
    pub fn start(what: &[&str]) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process =
            Command::new(program).arg("serve").args(what).stdout(Stdio::piped()).spawn().expect("a process");
        let mut line = String::new();
        let output = process.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("an address");
        Self { address: line.trim().parse().expect("an address"), process }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Prints the server's address and serves until the process is killed.
pub fn serve(what: &[&str]) -> ExitCode {
    let bodies: Vec<Vec<u8>> = match what {
        ["agent"] => vec![agent()],
        ["parse", megabytes] => vec![parse(megabytes.parse().expect("a number"))],
        ["uploaded"] => vec![br#"{"id":"f","name":"a.bin","fileVersionId":"v"}"#.to_vec()],
        ["pages", pages] => self::pages(pages.parse().expect("a number")),
        _ => return ExitCode::from(2),
    };
    let responses: Arc<Vec<Vec<u8>>> = Arc::new(bodies.iter().map(|body| response(body)).collect());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    for stream in listener.incoming() {
        let (stream, responses) = (stream.expect("a connection"), Arc::clone(&responses));
        std::thread::spawn(move || respond(stream, &responses));
    }
    ExitCode::SUCCESS
}

fn response(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-ratelimit-limit: 1000000\r\n\
         x-ratelimit-remaining: 1000000\r\nx-ratelimit-reset: 4102444800\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Answers each request on a connection after its body, with the page that the cursor names.
fn respond(mut stream: TcpStream, responses: &[Vec<u8>]) -> Option<()> {
    let mut buffer = vec![0; 1 << 20];
    stream.set_nodelay(true).ok()?;
    let mut filled = 0;
    loop {
        let end = loop {
            if let Some(end) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            match stream.read(&mut buffer[filled..]).ok()? {
                0 => return None,
                count => filled += count,
            }
        };
        let page = cursor(&buffer[..end]);
        let mut left = length(&buffer[..end]).saturating_sub((filled - end) as u64);
        while left > 0 {
            left = left.saturating_sub(stream.read(&mut buffer).ok().filter(|count| *count > 0)? as u64);
        }
        filled = 0;
        stream.write_all(responses.get(page)?).ok()?;
    }
}

fn length(head: &[u8]) -> u64 {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0)
}

fn cursor(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head);
    let target = head.split(' ').nth(1).unwrap_or_default();
    let digits = target.split_once("cursor=").map_or("", |(_, rest)| rest.split('&').next().unwrap_or_default());
    digits.parse().unwrap_or(0)
}

/// Pages of 100 agents.
fn pages(count: usize) -> Vec<Vec<u8>> {
    let agent = String::from_utf8(agent()).expect("JSON");
    let agents = vec![agent; 100].join(",");
    let cursor = |page: usize| if page + 1 < count { format!("\"{}\"", page + 1) } else { "null".to_owned() };
    (0..count).map(|page| format!(r#"{{"data":[{agents}],"nextCursor":{}}}"#, cursor(page)).into_bytes()).collect()
}

/// An agent of about 1 KiB.
fn agent() -> Vec<u8> {
    let summary = "Lists the doors of the second floor with their fire ratings, and what is missing. ".repeat(5);
    serde_json::json!({"data": {
        "id": "019abc12-3456-7890-abcd-ef1234567890", "status": "finished",
        "workflowId": null, "projectId": "019abc12-3456-7890-abcd-ef1234567891",
        "artifacts": [{"id": "019abc12-3456-7890-abcd-ef1234567894", "type": "markdown", "title": "Summary"},
                      {"id": "019abc12-3456-7890-abcd-ef1234567895", "type": "table", "title": "Doors"}],
        "files": [{"id": "019abc12-3456-7890-abcd-ef1234567896", "name": "floor-plan.pdf"}],
        "summary": summary, "createdAt": "2026-04-25T12:00:00.000Z", "updatedAt": "2026-04-25T12:03:00.000Z",
    }})["data"]
        .to_string()
        .into_bytes()
}

/// A finished parse job with a result of this many megabytes.
fn parse(megabytes: usize) -> Vec<u8> {
    let block = |number: usize| {
        serde_json::json!({
            "type": "Text", "content": format!("Paragraph {number}: the permit lapses if no work has begun within 180 days."),
            "bbox": {"left": 0.1, "top": 0.25, "width": 0.8, "height": 0.05, "page": number / 40 + 1},
        })
    };
    let mut body = br#"{"taskId":"t","status":"COMPLETED","result":{"chunks":["#.to_vec();
    let mut number = 0;
    while body.len() < megabytes * 1_000_000 {
        let blocks: Vec<_> = (0..10)
            .map(|_| {
                number += 1;
                block(number)
            })
            .collect();
        let content: Vec<&str> = blocks.iter().filter_map(|block| block["content"].as_str()).collect();
        let chunk = serde_json::json!({"content": content.join("\n"), "embed": content[0], "blocks": blocks});
        if number > 10 {
            body.push(b',');
        }
        body.extend(chunk.to_string().into_bytes());
    }
    body.extend(b"]}}");
    body
}
