//! A `redis-server` of its own for each test.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server with an append-only file, which ends with the test.
pub(crate) struct RedisServer {
    child: Child,
    port: u16,
    folder: PathBuf,
    options: Vec<String>,
}

impl RedisServer {
    /// Starts a server on a free port, with further options such as `--requirepass`.
    pub(crate) fn start(options: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
        let folder = std::env::temp_dir().join(format!("nomic-fleet-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let child = spawn(port, &folder, &options);
        let server = Self { child, port, folder, options };
        server.wait_until_ready();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends the server at once, as a crash does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port, with what its append-only file holds.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.port, &self.folder, &self.options);
        self.wait_until_ready();
    }

    fn wait_until_ready(&self) {
        let start = Instant::now();
        loop {
            let answered = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
                stream.write_all(b"PING\r\n")?;
                let mut answer = [0; 8];
                let count = stream.read(&mut answer)?;
                // With a password, the answer is an error; while the file is loaded, it is -LOADING.
                Ok(answer[..count].starts_with(b"+PONG") || answer[..count].starts_with(b"-NOAUTH"))
            });
            if answered.unwrap_or(false) {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn spawn(port: u16, folder: &Path, options: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "yes"]);
    command.args(["--appendfsync", "everysec", "--dir"]).arg(folder).args(options).stdout(Stdio::null());
    command.spawn().expect("redis-server is not installed: apt-get install redis-server")
}
