//! Uses up the threads or the files that this process may have, as its argument says. Prints the error of a call, then waits
//! for a job while they are released again, and prints `done`.

use std::any::Any;
use std::error::Error;
use std::fs::File;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nomic_client::Nomic;
use nomic_client::files::Upload;

/// More than the C library keeps for later threads.
const STACK: usize = 48 << 20;

/// As many threads as there can be, but for one; each ends when its sender is dropped.
fn threads() -> Vec<(mpsc::Sender<()>, JoinHandle<()>)> {
    let start = || {
        let (sender, receiver) = mpsc::channel();
        let wait = move || receiver.recv().unwrap_or_default();
        thread::Builder::new().stack_size(STACK).spawn(wait).map(|thread| (sender, thread))
    };
    let mut threads: Vec<_> = std::iter::repeat_with(start).map_while(Result::ok).collect();
    // Leaves room for the memory of a request.
    if let Some((sender, thread)) = threads.pop() {
        drop(sender);
        let _ = thread.join();
    }
    threads
}

fn files() -> Vec<File> {
    std::iter::repeat_with(|| File::open("/dev/null")).map_while(Result::ok).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    // Each has connections of its own.
    let (first, second, third) = (Nomic::from_env()?, Nomic::from_env()?, Nomic::from_env()?);
    let file = first.upload(Upload::from_bytes("permit.txt", "Permit number: OG-2026-114\n"))?;
    let job = first.parse(file.file_version_id)?;
    let (sender, held) = mpsc::channel::<Box<dyn Any + Send>>();
    thread::Builder::new().stack_size(1 << 18).spawn(move || {
        let held = held.recv();
        thread::sleep(Duration::from_secs(1));
        drop(held);
    })?;
    let held: Box<dyn Any + Send> = match std::env::args().nth(1).as_deref() {
        Some("threads") => Box::new(threads()),
        Some("files") => Box::new(files()),
        _ => return Err("name threads or files".into()),
    };
    match second.projects().next() {
        Some(Err(error)) => println!("transient: {}, {:?}: {error}", error.is_transient(), error.effect()),
        _ => println!("no error"),
    }
    sender.send(held)?;
    third.wait(&job)?;
    println!("done");
    Ok(())
}
