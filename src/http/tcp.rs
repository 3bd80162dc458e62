//! TCP connections that keep the time limits of their exchange, and notice a response that comes early.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process;
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
};

use super::dns::look_up;
#[cfg(windows)]
use super::early::EarlyReader;
use super::exchange::{Exchange, LISTEN_EVERY, Limit, Wait, remaining};

/// How long a connection may have been idle for a write to use it: the server may just be closing an older one, and a
/// write that fails must not be repeated.
const MAX_IDLE_NON_IDEMPOTENT: Duration = Duration::from_secs(2);

/// Opens TCP connections, unless a proxy has made one already.
#[derive(Debug)]
pub(super) struct Tcp {
    /// The size of each buffer, in bytes.
    pub(super) buffer: usize,
    /// Whether TLS goes over its connections.
    pub(super) tls: bool,
}

impl<In: Transport> Connector<In> for Tcp {
    type Out = Either<In, TcpTransport>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        if let Some(tunnel) = chained {
            return Ok(Some(Either::A(tunnel)));
        }
        let limit = Exchange::current().limit(Instant::now(), Wait::Write);
        let stream = open(&look_up(details.uri, limit)?, limit)?;
        Ok(Some(Either::B(TcpTransport {
            stream,
            buffers: LazyBuffers::new(self.buffer, self.buffer),
            tls: self.tls,
            #[cfg(windows)]
            early: EarlyReader::default(),
            process: process::id(),
            failed: None,
            last_used: Instant::now(),
        })))
    }
}

/// Connects to the first address that accepts. Each gets half of the time that is left, the last one all of it: a dead
/// address (a broken IPv6, say) must not use up the time of the next one.
fn open(addresses: &[SocketAddr], limit: Limit) -> io::Result<TcpStream> {
    let mut last = io::Error::from(ErrorKind::NotFound);
    for (index, address) in addresses.iter().enumerate() {
        let stream = match remaining(limit)? {
            Some(left) if index + 1 < addresses.len() => TcpStream::connect_timeout(address, left / 2),
            Some(left) => TcpStream::connect_timeout(address, left),
            None => TcpStream::connect(address),
        };
        match stream {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    // Notes the limit if it has passed meanwhile.
    remaining(limit)?;
    Err(last)
}

/// A TCP connection. Unlike `ureq`'s own it notices that a server stops reading a request because it has responded.
#[derive(Debug)]
pub(super) struct TcpTransport {
    stream: TcpStream,
    buffers: LazyBuffers,
    /// Whether TLS goes over it: pending bytes may then be no response.
    tls: bool,
    #[cfg(windows)]
    early: EarlyReader,
    /// The process that made it: one that was forked from it must not use it.
    process: u32,
    /// What ended a write midway: no other may follow. TLS hides the error, and would send the same record again.
    failed: Option<ErrorKind>,
    last_used: Instant,
}

impl TcpTransport {
    /// Peeks at the pending bytes; `None` if there are none yet. Empty at the end of the stream.
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

    /// Checks, while a write is blocked, whether the server reads no more because it has responded or closed.
    fn listen(&mut self, limit: Limit) -> io::Result<()> {
        let stalled = limit.is_some_and(|(until, _)| Instant::now() >= until);
        // Over TLS, pending bytes may be session tickets rather than a response: they count only if nothing else
        // explains the silence.
        let mut head = [0; 4096];
        let pending = self.peek(&mut head)?;
        #[cfg(windows)]
        let early = [self.early.bytes(), pending.unwrap_or_default()].concat();
        #[cfg(windows)]
        let pending = if early.is_empty() { pending } else { Some(&early[..]) };
        let responded = match pending {
            Some(head) => stalled || !self.tls && has_response(head),
            None => false,
        };
        if responded {
            Exchange::update(|exchange| (exchange.write_closed, exchange.write_stalled) = (true, stalled));
        }
        Ok(())
    }

    /// Writes what the connection takes within a time.
    #[cfg(not(windows))]
    fn write_some(&mut self, from: usize, to: usize, timeout: Duration) -> io::Result<usize> {
        tolerate_einval(self.stream.set_write_timeout(Some(timeout)))?;
        self.stream.write(&self.buffers.output()[from..to])
    }

    /// Writes what the connection takes within a time. On Windows a write that times out does not say how much of it was
    /// sent, so none is allowed to.
    #[cfg(windows)]
    fn write_some(&mut self, from: usize, to: usize, timeout: Duration) -> io::Result<usize> {
        let until = Instant::now() + timeout;
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

    /// Writes all of it, unless the server reads no more.
    fn write_all(&mut self, amount: usize) -> io::Result<()> {
        #[cfg(windows)]
        if Exchange::current().is_upload() {
            self.early.start(&self.stream)?;
        }
        let mut sent = 0;
        let mut limit = Exchange::current().limit(Instant::now(), Wait::Write);
        while sent < amount && !Exchange::current().write_closed {
            let left = remaining(limit)?.unwrap_or(LISTEN_EVERY);
            match self.write_some(sent, amount, left.min(LISTEN_EVERY)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    sent += count;
                    self.last_used = Instant::now();
                    limit = Exchange::current().limit(self.last_used, Wait::Write);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => self.listen(limit)?,
                Err(error) if is_closed(&error) => Exchange::update(|exchange| exchange.write_closed = true),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Transport for TcpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        if let Some(kind) = self.failed {
            return Err(io::Error::from(kind).into());
        }
        // TLS may want to say goodbye when the forked process drops the connection.
        if self.process != process::id() {
            return Err(io::Error::from(ErrorKind::NotConnected).into());
        }
        let written = self.write_all(amount);
        self.failed = written.as_ref().err().map(io::Error::kind);
        Ok(written?)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let limit = Exchange::current().limit(Instant::now(), Wait::Read);
        #[cfg(windows)]
        {
            let count = self.early.take(self.buffers.input_append_buf(), limit)?;
            if count > 0 {
                self.buffers.input_appended(count);
                self.last_used = Instant::now();
                return Ok(true);
            }
        }
        loop {
            tolerate_einval(self.stream.set_read_timeout(remaining(limit)?))?;
            match self.stream.read(self.buffers.input_append_buf()) {
                Ok(count) => {
                    self.buffers.input_appended(count);
                    self.last_used = Instant::now();
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted || is_timeout(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// `ureq` asks before it uses a pooled connection, and before it returns one to the pool.
    fn is_open(&mut self) -> bool {
        let exchange = Exchange::current();
        let too_old = !exchange.read_only && self.last_used.elapsed() > MAX_IDLE_NON_IDEMPOTENT;
        let is_own = self.process == process::id();
        // Pending bytes belong to no response, or are the end of the stream.
        #[cfg(windows)]
        let is_own = is_own && self.early.is_idle();
        is_own && !too_old && !exchange.write_closed && matches!(self.peek(&mut [0]), Ok(None))
    }
}

#[cfg(windows)]
impl Drop for TcpTransport {
    fn drop(&mut self) {
        self.early.end(&self.stream);
    }
}

/// Whether these bytes contain the beginning of a response other than an interim one (1xx).
pub(super) fn has_response(mut head: &[u8]) -> bool {
    const INTERIM: &[u8] = b"HTTP/1.1 1";
    const END: &[u8] = b"\r\n\r\n";
    // Behind the interim ones may be the response itself.
    while head.starts_with(INTERIM) {
        let end = head.windows(END.len()).position(|bytes| bytes == END);
        head = end.map_or(&[], |end| &head[end + END.len()..]);
    }
    !INTERIM.starts_with(head)
}

/// macOS refuses a time limit on a socket that the other side has closed; what it sent before can still be read.
fn tolerate_einval(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| {
        let closed = cfg!(target_os = "macos") && error.kind() == ErrorKind::InvalidInput;
        if closed { Ok(()) } else { Err(error) }
    })
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Whether the other side has closed: it may have said why before.
fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::exchange::TimedOut;
    use super::*;

    #[test]
    fn a_dead_address_leaves_time_for_the_next_one() {
        // The queue of a listener that accepts nothing is filled: a further connection hangs while it is being made.
        let (dead, alive) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let (dead_address, address) = (dead.local_addr().unwrap(), alive.local_addr().unwrap());
        let connect = || TcpStream::connect_timeout(&dead_address, Duration::from_millis(100));
        let _queue: Vec<_> = (0..5000).map_while(|_| connect().ok()).collect();
        let limit = || Some((Instant::now() + Duration::from_millis(400), TimedOut::Connect));
        let began = Instant::now();
        let stream = open(&[dead_address, address], limit()).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert!(stream.nodelay().unwrap(), "a small body would wait for the receipt of its head");
        assert!(began.elapsed() < Duration::from_millis(350), "{:?}", began.elapsed());
        assert_eq!(open(&[dead_address], limit()).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(Exchange::current().timed_out, Some(TimedOut::Connect));
    }

    #[test]
    fn another_process_neither_reuses_a_connection_nor_writes_to_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let buffers = LazyBuffers::new(16, 16);
        let last_used = Instant::now();
        let mut transport = TcpTransport {
            stream,
            buffers,
            tls: true,
            #[cfg(windows)]
            early: EarlyReader::default(),
            process: process::id(),
            failed: None,
            last_used,
        };
        transport.buffers().output()[..2].copy_from_slice(b"ab");
        assert!(transport.is_open());
        transport.transmit_output(2, NextTimeout::default()).unwrap();
        transport.process += 1;
        assert!(!transport.is_open());
        // As TLS would, for its close_notify.
        transport.transmit_output(2, NextTimeout::default()).unwrap_err();
        drop(transport);
        let mut received = String::new();
        server.read_to_string(&mut received).unwrap();
        assert_eq!(received, "ab");
    }

    #[test]
    fn an_interim_response_is_none_and_what_is_behind_it_may_be_one() {
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        for head in ["", "HTTP/1.1 ", interim, &interim[..30], &format!("{interim}HTTP/1.1")] {
            assert!(!has_response(head.as_bytes()), "{head:?}");
        }
        for head in ["HTTP/1.1 4", &format!("{interim}HTTP/1.1 200 OK\r\n"), "HTTP/1.0 200", "SSH-2.0"] {
            assert!(has_response(head.as_bytes()), "{head:?}");
        }
    }
}
