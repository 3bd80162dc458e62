//! On Windows, a read that waits for a response while an upload is being sent: when a server resets the connection,
//! Windows discards what it sent before, unless a read was already waiting for it.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::exchange::{Limit, remaining};

/// How much is read at once, in bytes.
const PIECE: usize = 16 << 10;
/// How many pieces are read ahead.
const AHEAD: usize = 4;
/// Time for the helper thread to get from its start into the read.
const START: Duration = Duration::from_millis(5);

/// Reads on a helper thread, from the beginning of an upload until the first bytes after its end.
#[derive(Debug, Default)]
pub(super) struct EarlyReader {
    /// From the helper thread, until it ends. The mutex is never locked: a transport has to be `Sync`.
    pieces: Option<Mutex<Receiver<Vec<u8>>>>,
    /// Tells the helper thread that its next read is the last.
    sent: Arc<AtomicBool>,
    /// What it read.
    bytes: Vec<u8>,
}

impl EarlyReader {
    /// Starts reading, unless it has been started. Without a thread for it, a response may get lost.
    pub(super) fn start(&mut self, stream: &TcpStream) -> io::Result<()> {
        if self.pieces.is_some() || !self.bytes.is_empty() {
            return Ok(());
        }
        stream.set_read_timeout(None)?;
        let mut stream = stream.try_clone()?;
        self.sent = Arc::default();
        let sent = Arc::clone(&self.sent);
        let (sender, pieces) = sync_channel(AHEAD);
        let (started, start) = sync_channel(1);
        let read = move || {
            let _ = started.send(());
            // At the end or after an error, the next read of the connection tells the same.
            while let Ok(piece) = read_piece(&mut stream) {
                if piece.is_empty() || sender.send(piece).is_err() || sent.load(Ordering::Acquire) {
                    return;
                }
            }
        };
        if thread::Builder::new().name("nomic-early".to_owned()).spawn(read).is_ok() {
            self.pieces = Some(Mutex::new(pieces));
            let _ = start.recv();
            thread::sleep(START);
        }
        Ok(())
    }

    /// What was read and not taken.
    pub(super) fn bytes(&mut self) -> &[u8] {
        let piece = self.pieces().and_then(|pieces| pieces.try_recv().ok());
        self.bytes.extend(piece.unwrap_or_default());
        &self.bytes
    }

    /// Waits for what the helper thread reads, and moves it. Returns 0 if the connection has to be read without it.
    pub(super) fn take(&mut self, buffer: &mut [u8], limit: Limit) -> io::Result<usize> {
        self.sent.store(true, Ordering::Release);
        while self.bytes.is_empty() {
            let Some(pieces) = self.pieces() else { return Ok(0) };
            match pieces.recv_timeout(remaining(limit)?.unwrap_or(Duration::MAX)) {
                Ok(piece) => self.bytes = piece,
                Err(RecvTimeoutError::Disconnected) => self.pieces = None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        let count = buffer.len().min(self.bytes.len());
        buffer[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes.drain(..count);
        Ok(count)
    }

    /// Whether the connection can be used for another request.
    pub(super) fn is_idle(&mut self) -> bool {
        // The helper thread ends at once after the last bytes of a response, or waits for more.
        let ended = self
            .pieces()
            .is_none_or(|pieces| matches!(pieces.recv_timeout(START), Err(RecvTimeoutError::Disconnected)));
        if ended {
            self.pieces = None;
        }
        ended && self.bytes.is_empty()
    }

    /// Ends the helper thread of a connection that is dropped.
    pub(super) fn end(&mut self, stream: &TcpStream) {
        if self.pieces.take().is_some() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn pieces(&mut self) -> Option<&mut Receiver<Vec<u8>>> {
        Some(self.pieces.as_mut()?.get_mut().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Waits for bytes; none at the end of the stream.
fn read_piece(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; PIECE];
    loop {
        match stream.read(&mut piece) {
            Ok(count) => {
                piece.truncate(count);
                return Ok(piece);
            }
            // A write has just made the socket non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(START),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
