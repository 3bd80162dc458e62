//! Sends responses, intact or with a fault.

use std::io::{self, BufWriter, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use flate2::{Compress, Compression, Crc, FlushCompress, write::GzEncoder};
use socket2::SockRef;

use crate::faults::{FaultKind, StallPhase};
use crate::http::Response;
use crate::state::World;

/// What happens to the connection after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    KeepAlive,
    Close,
    /// Close after the peer has had time to read the response.
    Linger,
}

/// Sends a response without faults.
pub(crate) fn send(mut stream: &TcpStream, response: &Response, keep_alive: bool) -> io::Result<()> {
    let (bytes, _) = response.bytes(keep_alive);
    stream.write_all(&bytes)
}

/// Sends a response with a fault. If anything is sent, `record_status` is called first. `after` is what happens to the
/// connection, unless the fault decides that.
pub(crate) fn deliver(
    world: &World,
    mut stream: &TcpStream,
    mut response: Response,
    fault: Option<&FaultKind>,
    after: After,
    record_status: impl FnOnce(u16),
) -> io::Result<After> {
    use FaultKind::{CloseInBody, ContentLengthTooLong, ContentLengthTooShort, ResetAfter, ResetBefore};
    use FaultKind::{Delay, Drip, EarlyResponse, Gzip, GzipBomb, Oversized, ResetInBody, ResetInHead, Stall};
    if matches!(fault, Some(GzipBomb(_) | Oversized(_))) {
        response.status = 200;
    }
    if !matches!(fault, Some(ResetBefore | ResetAfter | Stall(StallPhase::BeforeHead))) {
        record_status(response.status);
    }
    let keep_alive = after == After::KeepAlive;
    let (bytes, head) = response.bytes(keep_alive);
    let part = match fault {
        Some(ResetInHead | Stall(StallPhase::InHead)) => &bytes[..head / 2],
        Some(ResetInBody | CloseInBody | Stall(StallPhase::InBody)) => &bytes[..head + (bytes.len() - head) / 2],
        _ => &[],
    };
    match fault {
        Some(ResetBefore | ResetAfter | ResetInHead | ResetInBody) => {
            stream.write_all(part)?;
            reset(stream);
            return Ok(After::Close);
        }
        Some(CloseInBody) => return stream.write_all(part).map(|()| After::Close),
        Some(Stall(_)) => {
            stream.write_all(part)?;
            hold(world, stream);
            return Ok(After::Close);
        }
        Some(EarlyResponse { close, .. }) => {
            send(stream, &response, false)?;
            if !close {
                hold(world, stream);
            }
            return Ok(After::Close);
        }
        Some(ContentLengthTooLong | ContentLengthTooShort) => {
            let length = response.body.len() as u64;
            let announced = if fault == Some(&ContentLengthTooLong) { length + 10 } else { length / 2 };
            stream.write_all(&response.head(announced, false))?;
            stream.write_all(&response.body)?;
            return Ok(if keep_alive { After::Close } else { after });
        }
        Some(Delay(duration)) => {
            if world.stop.sleep(*duration) {
                return Ok(After::Close);
            }
            stream.write_all(&bytes)?;
        }
        Some(Drip { every, bytes: size }) => {
            for piece in bytes.chunks((*size).max(1)) {
                stream.write_all(piece)?;
                if world.stop.sleep(*every) {
                    return Ok(After::Close);
                }
            }
        }
        Some(Gzip) => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&response.body)?;
            response.body = encoder.finish()?;
            send(stream, &response.with("Content-Encoding", "gzip"), keep_alive)?;
        }
        Some(GzipBomb(size)) => {
            let bomb = Bomb::new(*size)?;
            stream.write_all(&response.with("Content-Encoding", "gzip").head(bomb.length(), keep_alive))?;
            bomb.write(stream)?;
        }
        Some(Oversized(size)) => {
            stream.write_all(&response.head(*size, keep_alive))?;
            write_oversized(stream, *size)?;
        }
        _ => stream.write_all(&bytes)?,
    }
    Ok(after)
}

/// Makes closing the connection send a reset.
pub(crate) fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Keeps the connection open without reading until the peer closes it or the emulator stops.
pub(crate) fn hold(world: &World, stream: &TcpStream) {
    const POLL_INTERVAL: Duration = Duration::from_millis(50);
    let _ = stream.set_nonblocking(true);
    while !world.stop.sleep(POLL_INTERVAL) {
        match stream.peek(&mut [0]) {
            Ok(0) => return,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
            _ => {}
        }
        // If unread bytes are left, a closed peer is noticed only by its reset.
        if !matches!(stream.take_error(), Ok(None)) {
            return;
        }
    }
}

const BLOCK: usize = 1 << 20;

/// Writes a JSON document of exactly this size, or a part of it if the size is too small.
fn write_oversized(stream: impl Write, size: u64) -> io::Result<()> {
    let (start, end) = (r#"{"data":""#, r#""}"#);
    let padding = io::repeat(b'x').take(size.saturating_sub((start.len() + end.len()) as u64));
    let mut document = start.as_bytes().chain(padding).chain(end.as_bytes()).take(size);
    io::copy(&mut document, &mut BufWriter::with_capacity(BLOCK, stream)).map(drop)
}

/// A gzip file of white space. One block is compressed and sent repeatedly: after a full flush, blocks do not depend on
/// each other.
struct Bomb {
    block: Vec<u8>,
    repeated: u64,
    end: Vec<u8>,
}

impl Bomb {
    /// Deflate, no flags, no modification time, no hints, unknown operating system.
    const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

    fn new(size: u64) -> io::Result<Bomb> {
        let spaces = vec![b' '; BLOCK];
        let rest = &spaces[..(size % BLOCK as u64) as usize];
        let repeated = size / BLOCK as u64;
        let mut crc = Crc::new();
        let mut block_crc = Crc::new();
        block_crc.update(&spaces);
        (0..repeated).for_each(|_| crc.combine(&block_crc));
        crc.update(rest);
        let mut end = deflate(rest, FlushCompress::Finish)?;
        end.extend_from_slice(&crc.sum().to_le_bytes());
        // The trailer has the length modulo 2^32.
        end.extend_from_slice(&(size as u32).to_le_bytes());
        Ok(Bomb { block: deflate(&spaces, FlushCompress::Full)?, repeated, end })
    }

    fn length(&self) -> u64 {
        (Self::HEAD.len() + self.end.len()) as u64 + self.block.len() as u64 * self.repeated
    }

    fn write(&self, mut stream: impl Write) -> io::Result<()> {
        stream.write_all(&Self::HEAD)?;
        for _ in 0..self.repeated {
            stream.write_all(&self.block)?;
        }
        stream.write_all(&self.end)
    }
}

fn deflate(bytes: &[u8], flush: FlushCompress) -> io::Result<Vec<u8>> {
    let mut compressed = Vec::with_capacity(64 * 1024);
    Compress::new(Compression::best(), false).compress_vec(bytes, &mut compressed, flush)?;
    Ok(compressed)
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn a_gzip_bomb_inflates_to_its_size() {
        for size in [0, 1, 1000, BLOCK as u64, 3 * BLOCK as u64 + 7] {
            let bomb = Bomb::new(size).unwrap();
            let mut bytes = Vec::new();
            bomb.write(&mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, bomb.length());
            let mut inflated = Vec::new();
            GzDecoder::new(bytes.as_slice()).read_to_end(&mut inflated).unwrap();
            assert_eq!(inflated.len() as u64, size);
            assert!(inflated.iter().all(|byte| *byte == b' '));
        }
    }

    #[test]
    fn an_oversized_document_is_json_of_exactly_that_size() {
        for size in [11, 12, 5000, 2 * BLOCK as u64] {
            let mut bytes = Vec::new();
            write_oversized(&mut bytes, size).unwrap();
            assert_eq!(bytes.len() as u64, size);
            assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        }
    }
}
