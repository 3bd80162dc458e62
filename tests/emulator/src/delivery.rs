//! Sends responses, intact or with a fault.

use std::io::{self, Write};
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

/// Sends a response with a fault. If anything is sent, `record_status` is called first.
pub(crate) fn deliver(
    world: &World,
    mut stream: &TcpStream,
    mut response: Response,
    fault: Option<&FaultKind>,
    keep_alive: bool,
    record_status: impl FnOnce(u16),
) -> io::Result<After> {
    let silent = matches!(
        fault,
        Some(FaultKind::ResetBefore | FaultKind::ResetAfter | FaultKind::Stall(StallPhase::BeforeHead))
    );
    if matches!(fault, Some(FaultKind::GzipBomb(_) | FaultKind::Oversized(_))) {
        response.status = 200;
    }
    if !silent {
        record_status(response.status);
    }
    let Some(fault) = fault else { return finish(stream, &response, keep_alive) };
    let (bytes, head) = response.bytes(keep_alive);
    let half = match fault {
        FaultKind::ResetInHead | FaultKind::Stall(StallPhase::InHead) => &bytes[..head / 2],
        _ => &bytes[..head + (bytes.len() - head) / 2],
    };
    match fault {
        FaultKind::ResetBefore | FaultKind::ResetAfter => reset(stream),
        FaultKind::ResetInHead | FaultKind::ResetInBody => {
            stream.write_all(half)?;
            reset(stream);
        }
        FaultKind::CloseInBody => stream.write_all(half)?,
        FaultKind::Stall(phase) => {
            if *phase != StallPhase::BeforeHead {
                stream.write_all(half)?;
            }
            hold(world, stream);
        }
        FaultKind::Delay(duration) => {
            if world.stop.sleep(*duration) {
                return Ok(After::Close);
            }
            return finish(stream, &response, keep_alive);
        }
        FaultKind::Drip { every, bytes: size } => {
            for piece in bytes.chunks((*size).max(1)) {
                stream.write_all(piece)?;
                if world.stop.sleep(*every) {
                    return Ok(After::Close);
                }
            }
            return Ok(if keep_alive { After::KeepAlive } else { After::Close });
        }
        FaultKind::ContentLengthTooLong | FaultKind::ContentLengthTooShort => {
            let length = response.body.len() as u64;
            let announced = match fault {
                FaultKind::ContentLengthTooLong => length + 10,
                _ => length / 2,
            };
            stream.write_all(&response.head(announced, false))?;
            stream.write_all(&response.body)?;
        }
        FaultKind::EarlyResponse { close, .. } => {
            send(stream, &response, false)?;
            if !close {
                hold(world, stream);
            }
        }
        FaultKind::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&response.body)?;
            response.body = encoder.finish()?;
            return finish(stream, &response.with("Content-Encoding", "gzip"), keep_alive);
        }
        FaultKind::GzipBomb(size) => {
            let bomb = Bomb::new(*size)?;
            let response = response.with("Content-Encoding", "gzip");
            stream.write_all(&response.head(bomb.length(), keep_alive))?;
            bomb.write(stream)?;
            return Ok(if keep_alive { After::KeepAlive } else { After::Close });
        }
        FaultKind::Oversized(size) => {
            stream.write_all(&response.head(*size, keep_alive))?;
            write_oversized(stream, *size)?;
            return Ok(if keep_alive { After::KeepAlive } else { After::Close });
        }
        _ => return finish(stream, &response, keep_alive),
    }
    Ok(After::Close)
}

fn finish(stream: &TcpStream, response: &Response, keep_alive: bool) -> io::Result<After> {
    send(stream, response, keep_alive)?;
    Ok(if keep_alive { After::KeepAlive } else { After::Close })
}

/// Whether a connection that is closed with part of the request unread lingers, so that the peer gets the response.
pub(crate) fn lingers_on_close(fault: Option<&FaultKind>) -> bool {
    !matches!(
        fault,
        Some(
            FaultKind::EarlyResponse { .. }
                | FaultKind::ResetBefore
                | FaultKind::ResetAfter
                | FaultKind::ResetInHead
                | FaultKind::ResetInBody
                | FaultKind::CloseInBody
                | FaultKind::Stall(_)
        )
    )
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

/// Writes a JSON document of exactly this size, or white space if that is too small.
fn write_oversized(mut stream: impl Write, size: u64) -> io::Result<()> {
    const FRAME: u64 = r#"{"data":""}"#.len() as u64;
    let Some(padding) = size.checked_sub(FRAME) else {
        return write_repeated(&mut stream, b' ', size);
    };
    stream.write_all(br#"{"data":""#)?;
    write_repeated(&mut stream, b'x', padding)?;
    stream.write_all(br#""}"#)
}

fn write_repeated(stream: &mut impl Write, byte: u8, mut count: u64) -> io::Result<()> {
    let block = vec![byte; BLOCK];
    while count > 0 {
        let part = count.min(BLOCK as u64);
        stream.write_all(&block[..part as usize])?;
        count -= part;
    }
    Ok(())
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
    use std::io::Read;

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
