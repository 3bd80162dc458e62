//! The dimensions of an image, read from the first bytes of PNG, JPEG, GIF, WebP and BMP files.

/// Width and height in pixels; `None` for another format, or a truncated file.
pub(crate) fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some((big(bytes, 16, 4)?, big(bytes, 20, 4)?)),
        [b'G', b'I', b'F', b'8', ..] => Some((little(bytes, 6, 2)?, little(bytes, 8, 2)?)),
        // A height below zero says that the rows come from the top.
        [b'B', b'M', ..] => Some((little(bytes, 18, 4)?, (little(bytes, 22, 4)? as i32).unsigned_abs())),
        [0xFF, 0xD8, ..] => jpeg(bytes),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => webp(bytes),
        _ => None,
    }
    .filter(|(width, height)| *width > 0 && *height > 0)
}

fn big(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    Some(bytes.get(at..at.checked_add(length)?)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

fn little(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    Some(bytes.get(at..at.checked_add(length)?)?.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// Walks the segments to the one that begins a frame.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        while *bytes.get(at)? != 0xFF {
            at += 1;
        }
        match *bytes.get(at + 1)? {
            0xFF => at += 1,
            // A frame header; C4, C8 and CC among them are tables.
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                return Some((big(bytes, at + 7, 2)?, big(bytes, at + 5, 2)?));
            }
            0x00 | 0x01 | 0xD0..=0xD8 => at += 2,
            _ => at += 2 + big(bytes, at + 2, 2)?.max(2) as usize,
        }
    }
}

fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8 " => Some((little(bytes, 26, 2)? & 0x3FFF, little(bytes, 28, 2)? & 0x3FFF)),
        b"VP8L" => {
            let bits = little(bytes, 21, 4)?;
            Some(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
        }
        b"VP8X" => Some((little(bytes, 24, 3)? + 1, little(bytes, 27, 3)? + 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_read_from_every_format() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0".as_slice();
        let gif = b"GIF89a\x80\x02\xe0\x01".as_slice();
        let bmp = [b"BM".as_slice(), &[0; 16], b"\x80\x02\0\0\x20\xfe\xff\xff"].concat();
        let jpeg = b"\xff\xd8\xff\xe0\0\x04\0\0\xff\xff\xc2\0\x11\x08\x01\xe0\x02\x80".as_slice();
        let lossy = [b"RIFF\0\0\0\0WEBPVP8 ".as_slice(), &[0; 10], b"\x80\x02\xe0\x01"].concat();
        let lossless = [b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f".as_slice(), &(639_u32 | 479 << 14).to_le_bytes()].concat();
        let extended = [b"RIFF\0\0\0\0WEBPVP8X".as_slice(), &[0; 8], b"\x7f\x02\0\xdf\x01\0"].concat();
        for (name, bytes) in [
            ("png", png),
            ("gif", gif),
            ("bmp", &bmp),
            ("jpeg", jpeg),
            ("webp", &lossy),
            ("webp", &lossless),
            ("webp", &extended),
        ] {
            assert_eq!(dimensions(bytes), Some((640, 480)), "{name}");
            for end in 0..bytes.len() {
                assert_eq!(dimensions(&bytes[..end]), None, "{name} cut at {end}");
            }
        }
        assert_eq!(dimensions(b"%PDF-1.7"), None);
    }
}
