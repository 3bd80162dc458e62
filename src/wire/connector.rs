//! Connections: TCP that keeps to the deadline and hears early answers, TLS over it, and a watch over both.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::time::Duration as Limit;
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Error, Timeout};

use super::tls::Tls;

/// How long a write may block before it is looked whether the server has answered meanwhile.
const LISTEN_EVERY: Duration = Duration::from_millis(200);

/// What this thread's exchange has come to. `ureq` runs an exchange on the thread that asks for it, but neither its
/// errors nor its connectors can say which request they belong to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// A connection is being made: what goes over it is a handshake, not the request.
    pub(super) connecting: bool,
    /// A byte of the request was handed to a connection.
    pub(super) handed_over: bool,
    /// The server takes no more of the request. What is left of it is dropped, its answer is waited for.
    pub(super) deaf: bool,
    /// TLS will come over the connection that is being made, a tunnel through a proxy included.
    tls: bool,
}

thread_local! {
    static PROGRESS: Cell<Progress> =
        const { Cell::new(Progress { connecting: false, handed_over: false, deaf: false, tls: false }) };
}

impl Progress {
    /// That of the exchange that runs on this thread.
    pub(super) fn get() -> Self {
        PROGRESS.get()
    }

    /// Begins an exchange. The outer one's progress comes back when the value is dropped: a progress callback may start
    /// an exchange of its own.
    pub(super) fn begin() -> Outer {
        Outer(PROGRESS.replace(Self::default()))
    }

    fn note(change: impl FnOnce(&mut Self)) {
        let mut progress = PROGRESS.get();
        change(&mut progress);
        PROGRESS.set(progress);
    }
}

/// The progress of the exchange around this one.
pub(super) struct Outer(Progress);

impl Drop for Outer {
    fn drop(&mut self) {
        PROGRESS.set(self.0);
    }
}

/// The whole chain: through a proxy if there is one, TCP, TLS where it is asked for.
pub(super) fn connector() -> impl Connector {
    Watched(().chain(ConnectProxyConnector::default()).chain(Tcp::default()).chain(Tls::default()))
}

/// Notes when a connection is being made, and when the request goes over it.
#[derive(Debug)]
struct Watched<C>(C);

impl<C: Connector<()>> Connector<()> for Watched<C> {
    type Out = WatchedTransport<C::Out>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<()>) -> Result<Option<Self::Out>, Error> {
        // For a proxy this runs within itself: only the outermost one ends the making.
        let around = Progress::get();
        Progress::note(|progress| {
            progress.connecting = true;
            progress.tls |= details.needs_tls();
        });
        let transport = self.0.connect(details, chained)?;
        PROGRESS.set(around);
        Ok(transport.map(WatchedTransport))
    }
}

#[derive(Debug)]
struct WatchedTransport<T>(T);

impl<T: Transport> Transport for WatchedTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        Progress::note(|progress| progress.handed_over |= !progress.connecting);
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}

/// Opens TCP connections, unless a proxy has made one already. Remembers the address that was reached last: a dead one
/// before it (a broken IPv6, say) costs time once, not for every connection.
#[derive(Debug, Default)]
struct Tcp(Mutex<Option<SocketAddr>>);

impl<In: Transport> Connector<In> for Tcp {
    type Out = Either<In, TcpTransport>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        if let Some(tunnel) = chained {
            return Ok(Some(Either::A(tunnel)));
        }
        let until = deadline(details.timeout);
        let good = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut addresses = details.addrs.to_vec();
        let last = *good();
        // The one that answered last is tried first.
        if let Some(place) = addresses.iter().position(|address| Some(*address) == last) {
            addresses[..=place].rotate_right(1);
        }
        let stream = open(&addresses, until, details.timeout.reason)?;
        *good() = stream.peer_addr().ok();
        stream.set_nodelay(true)?;
        let config = details.config;
        Ok(Some(Either::B(TcpTransport {
            stream,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            connect_until: until,
            tls: Progress::get().tls,
            deaf: false,
            stalled: false,
            failed: None,
            #[cfg(not(windows))]
            write_timeout: None,
            read_timeout: None,
        })))
    }
}

/// The first address that can be reached. Each gets half of the time that is left, the last one all of it.
fn open(addresses: &[SocketAddr], until: Option<Instant>, reason: Timeout) -> Result<TcpStream, Error> {
    let mut last = Error::HostNotFound;
    for (at, address) in addresses.iter().enumerate() {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let stream = match left {
            Some(left) if left.is_zero() => return Err(Error::Timeout(reason)),
            Some(left) if at + 1 < addresses.len() => TcpStream::connect_timeout(address, left / 2),
            Some(left) => TcpStream::connect_timeout(address, left),
            None => TcpStream::connect(address),
        };
        match stream {
            Ok(stream) => return Ok(stream),
            Err(error) if is_timeout(&error) => last = Error::Timeout(reason),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// A TCP connection. Unlike `ureq`'s own it counts a time limit once for all writes of a piece; and when the server
/// takes no more of a request because it has answered already, that answer is heard.
#[derive(Debug)]
struct TcpTransport {
    stream: TcpStream,
    buffers: LazyBuffers,
    /// When the making of the connection has to be over, a proxy's and TLS's part included.
    connect_until: Option<Instant>,
    /// Whether TLS comes over it: bytes that wait to be read may then be no answer.
    tls: bool,
    deaf: bool,
    /// Whether it became deaf by a stall: the answer is there, or there is none.
    stalled: bool,
    /// What ended a write in its middle: none may follow it. TLS does not hear of it, and sends the same piece again.
    failed: Option<Failed>,
    // Set only when they change: each costs a system call.
    #[cfg(not(windows))]
    write_timeout: Option<Duration>,
    read_timeout: Option<Duration>,
}

/// Why a write failed, as often as it is asked for.
#[derive(Clone, Copy, Debug)]
enum Failed {
    Late(Timeout),
    Broken(ErrorKind),
}

impl Failed {
    fn of(error: &Error) -> Self {
        match error {
            Error::Timeout(reason) => Self::Late(*reason),
            Error::Io(error) => Self::Broken(error.kind()),
            _ => Self::Broken(ErrorKind::Other),
        }
    }

    fn error(self) -> Error {
        match self {
            Self::Late(reason) => Error::Timeout(reason),
            Self::Broken(kind) => io::Error::from(kind).into(),
        }
    }
}

impl TcpTransport {
    /// When an operation that begins now has to end.
    fn until(&self, timeout: NextTimeout) -> Option<Instant> {
        let until = deadline(timeout);
        match self.connect_until.filter(|_| Progress::get().connecting) {
            Some(limit) => Some(until.map_or(limit, |until| until.min(limit))),
            None => until,
        }
    }

    /// Looks at the bytes that wait to be read; `None` if there are none. No bytes at all: the server has closed.
    fn peek<'a>(&self, head: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
        self.stream.set_nonblocking(true)?;
        let peeked = self.stream.peek(head);
        self.stream.set_nonblocking(false)?;
        match peeked {
            Ok(count) => Ok(Some(&head[..count])),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the beginning of an answer waits to be read that is not an interim one (1xx), or the server has closed.
    fn has_answer(&self) -> io::Result<bool> {
        const INTERIM: &[u8] = b"HTTP/1.1 1";
        const END: &[u8] = b"\r\n\r\n";
        let mut waiting = [0; 4096];
        let Some(mut head) = self.peek(&mut waiting)? else { return Ok(false) };
        if head.is_empty() {
            return Ok(true);
        }
        // Behind the interim ones may be the answer itself.
        while head.starts_with(INTERIM) {
            let end = head.windows(END.len()).position(|bytes| bytes == END);
            head = end.map_or(&[], |end| &head[end + END.len()..]);
        }
        Ok(!INTERIM.starts_with(head))
    }

    /// Writes what goes at once, or within a time.
    #[cfg(not(windows))]
    fn write_some(&mut self, from: usize, to: usize, most: Duration) -> io::Result<usize> {
        if self.write_timeout != Some(most) && kept(self.stream.set_write_timeout(Some(most)))? {
            self.write_timeout = Some(most);
        }
        self.stream.write(&self.buffers.output()[from..to])
    }

    /// Writes what goes at once, or within a time. A send that times out says nothing here of how much went, so that
    /// none is let run into its time.
    #[cfg(windows)]
    fn write_some(&mut self, from: usize, to: usize, most: Duration) -> io::Result<usize> {
        let until = Instant::now() + most;
        self.stream.set_nonblocking(true)?;
        let written = loop {
            match self.stream.write(&self.buffers.output()[from..to]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                written => break written,
            }
        };
        self.stream.set_nonblocking(false)?;
        written
    }

    /// Writes all of it, unless the server takes no more because it has answered.
    fn write_all(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let until = self.until(timeout);
        let stall = limit(timeout.per_write);
        let (mut sent, mut moved) = (0, Instant::now());
        while sent < amount && !self.deaf {
            let left = until.map_or(LISTEN_EVERY, |until| until.saturating_duration_since(Instant::now()));
            let late = left.is_zero();
            match self.write_some(sent, amount, left.min(LISTEN_EVERY).max(Duration::from_millis(1))) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(count) => {
                    sent += count;
                    moved = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => {
                    let stalled = stall.is_some_and(|stall| moved.elapsed() >= stall);
                    // Over TLS a ticket may lie there; it is an answer only if nothing else explains the silence.
                    self.stalled = stalled;
                    self.deaf =
                        if stalled { self.peek(&mut [0])?.is_some() } else { !self.tls && self.has_answer()? };
                    if !self.deaf && stalled {
                        return Err(Error::Timeout(Timeout::PerWrite));
                    }
                    if !self.deaf && late {
                        return Err(Error::Timeout(timeout.reason));
                    }
                }
                Err(error) if is_gone(&error) => self.deaf = true,
                Err(error) => return Err(error.into()),
            }
        }
        if self.deaf {
            Progress::note(|progress| progress.deaf = true);
        }
        Ok(())
    }
}

/// Whether a time limit was taken. macOS refuses one when the other side has closed with a part of the request unread;
/// what it said before can still be read.
fn kept(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if cfg!(target_os = "macos") && error.kind() == ErrorKind::InvalidInput => Ok(false),
        Err(error) => Err(error),
    }
}

impl Transport for TcpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if let Some(failed) = self.failed {
            return Err(failed.error());
        }
        let result = self.write_all(amount, timeout);
        self.failed = result.as_ref().err().map(Failed::of);
        result
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        let mut until = self.until(timeout);
        if self.stalled {
            // What was waited for in vain while writing is not waited for again.
            let soon = Instant::now() + LISTEN_EVERY;
            until = Some(until.map_or(soon, |until| until.min(soon)));
        }
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Error::Timeout(timeout.reason));
            }
            // The same limit again and again, the stall timeout, costs one system call in all.
            let left = match limit(Some(timeout.after)) {
                Some(after) if left.is_some_and(|left| after - left.min(after) < Duration::from_millis(1)) => {
                    Some(after)
                }
                _ => left,
            };
            if self.read_timeout != left && kept(self.stream.set_read_timeout(left))? {
                self.read_timeout = left;
            }
            match self.stream.read(self.buffers.input_append_buf()) {
                Ok(count) => {
                    self.buffers.input_appended(count);
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(Error::Timeout(timeout.reason)),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn is_open(&mut self) -> bool {
        // Nothing was asked: bytes that lie there are no answer to anything, or the end.
        !self.deaf && self.failed.is_none() && matches!(self.peek(&mut [0]), Ok(None))
    }
}

/// The end of a time limit; `None` if there is none, or none that a clock can count.
fn deadline(timeout: NextTimeout) -> Option<Instant> {
    limit(Some(timeout.after)).and_then(|after| Instant::now().checked_add(after))
}

fn limit(duration: Option<Limit>) -> Option<Duration> {
    match duration {
        Some(Limit::Exact(duration)) => Some(duration),
        _ => None,
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Whether the other side has closed, or broken off: it may have said why before.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}
