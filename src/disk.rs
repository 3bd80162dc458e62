//! Files on disk, read until a deadline: a disk that hangs, e.g. a network mount without its server, blocks a helper thread.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// How much is read at once, in bytes.
const PIECE: usize = 128 << 10;
/// How many pieces are read ahead.
const AHEAD: usize = 2;

/// The size of a file; `None` if the path leads to something else, e.g. a folder.
pub(crate) fn file_size(path: &Path, deadline: Instant) -> io::Result<Option<u64>> {
    let path = path.to_owned();
    within(deadline, move || fs::metadata(&path).map(|metadata| metadata.is_file().then_some(metadata.len())))
}

/// The content of a file, up to `limit` bytes.
pub(crate) fn content(path: &Path, limit: u64, deadline: Instant) -> io::Result<Vec<u8>> {
    let path = path.to_owned();
    within(deadline, move || {
        let mut bytes = Vec::new();
        open_file(&path)?.0.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    })
}

/// Opens a file that must have this size. Its first piece has been read when this returns.
pub(crate) fn open(path: &Path, size: u64, deadline: Instant) -> io::Result<Box<dyn Read>> {
    let (sender, pieces) = sync_channel(AHEAD);
    let owned = path.to_owned();
    let read = move || {
        if let Err(error) = open_now(&owned, size).and_then(|file| send_pieces(file, &sender)) {
            let _ = sender.send(Err(error));
        }
    };
    let Ok(thread) = spawn(read) else { return Ok(Box::new(open_now(path, size)?)) };
    let mut reader = PieceReader { pieces, piece: Vec::new(), position: 0, deadline, thread: Some(thread) };
    reader.next_piece()?;
    Ok(Box::new(reader))
}

/// Runs a task on a helper thread, until the deadline.
fn within<T: Send + 'static>(
    deadline: Instant,
    task: impl FnOnce() -> io::Result<T> + Clone + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = sync_channel(1);
    let copy = task.clone();
    match spawn(move || drop(sender.send(copy()))) {
        Ok(thread) => {
            let result = receive(&receiver, deadline)?.ok_or(ErrorKind::Other)?;
            let _ = thread.join();
            result
        }
        Err(_) => task(),
    }
}

/// Starts a helper thread. If the system has none left, the caller does the work itself, without a deadline.
fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("nomic-disk".to_owned()).spawn(work)
}

fn open_now(path: &Path, size: u64) -> io::Result<File> {
    match open_file(path)? {
        (file, now) if now == size => Ok(file),
        (_, now) => {
            let message = format!("its size changed from {size} to {now} bytes before it was sent");
            Err(io::Error::new(ErrorKind::InvalidData, message))
        }
    }
}

/// Opens a file, and returns its size.
fn open_file(path: &Path) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.read(true);
    // Else the opening of a FIFO would block until something writes to it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((file, metadata.len()))
    } else {
        Err(io::Error::new(ErrorKind::InvalidInput, "it is no longer a file"))
    }
}

/// Sends the content of a file, until its end or until the receiver is dropped.
fn send_pieces(mut file: File, sender: &SyncSender<io::Result<Vec<u8>>>) -> io::Result<()> {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let count = file.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        if sender.send(Ok(piece)).is_err() || count < PIECE {
            return Ok(());
        }
    }
}

/// Receives from a helper thread; `None` if it has ended.
fn receive<T>(receiver: &Receiver<T>, deadline: Instant) -> io::Result<Option<T>> {
    match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(received) => Ok(Some(received)),
        Err(RecvTimeoutError::Disconnected) => Ok(None),
        Err(RecvTimeoutError::Timeout) => {
            Err(io::Error::new(ErrorKind::TimedOut, "the deadline passed while it was read"))
        }
    }
}

/// Reads what a helper thread has read. The thread ends when this is dropped, or when its read returns.
struct PieceReader {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    /// How much of the piece was read.
    position: usize,
    deadline: Instant,
    /// `None` once it has ended.
    thread: Option<JoinHandle<()>>,
}

impl PieceReader {
    /// Replaces the piece; the one after the last is empty.
    fn next_piece(&mut self) -> io::Result<()> {
        let piece = receive(&self.pieces, self.deadline)?;
        let has_ended = !matches!(piece, Some(Ok(_)));
        if let Some(thread) = self.thread.take_if(|_| has_ended) {
            let _ = thread.join();
        }
        self.piece = piece.transpose()?.unwrap_or_default();
        self.position = 0;
        Ok(())
    }
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.piece.len() {
            self.next_piece()?;
        }
        let count = (&self.piece[self.position..]).read(buffer)?;
        self.position += count;
        Ok(count)
    }
}
