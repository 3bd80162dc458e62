//! The content encodings of responses: gzip with the feature of that name, and no other.

use std::io::{self, ErrorKind, Read};

use ureq::http::HeaderMap;

use crate::text::truncate;

/// The value of `Accept-Encoding`.
pub(super) const ACCEPT_ENCODING: &str = if cfg!(feature = "gzip") { "gzip" } else { "identity" };

/// How the body of a response is encoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    /// One that this client cannot decode, as the server names it.
    Unsupported(String),
}

impl Encoding {
    /// Reads `Content-Encoding`.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all("content-encoding").iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let list = values.collect::<Vec<_>>().join(",").to_ascii_lowercase();
        let names: Vec<&str> =
            list.split(',').map(str::trim).filter(|name| !matches!(*name, "" | "identity")).collect();
        match names[..] {
            [] => Self::Identity,
            ["gzip" | "x-gzip"] if cfg!(feature = "gzip") => Self::Gzip,
            _ => Self::Unsupported(truncate(&names.join(", "))),
        }
    }

    /// The decoded body; one with an unsupported encoding is not decoded.
    pub(super) fn decode<'a>(&self, body: impl Read + 'a) -> Box<dyn Read + 'a> {
        #[cfg(feature = "gzip")]
        if *self == Self::Gzip {
            let mut body = io::BufReader::with_capacity(32 << 10, body);
            return match io::BufRead::fill_buf(&mut body) {
                // Some proxies decompress a body and leave the header as it was. An empty one is not compressed, either.
                Ok([] | [b'{' | b'[', ..]) => Box::new(body),
                _ => Box::new(flate2::bufread::MultiGzDecoder::new(body)),
            };
        }
        Box::new(body)
    }

    /// What an error of a decoded body says if the body is corrupt, and not truncated or interrupted.
    pub(super) fn corrupt(&self, error: &io::Error) -> Option<String> {
        let corrupt = *self == Self::Gzip && error.kind() == ErrorKind::InvalidInput;
        corrupt.then(|| truncate(&format!("its body is not valid gzip: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_read_in_any_letter_case() {
        let encoding = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("content-encoding", value.parse().unwrap());
            }
            Encoding::of(&headers)
        };
        let gzip =
            |name: &str| if cfg!(feature = "gzip") { Encoding::Gzip } else { Encoding::Unsupported(name.into()) };
        assert_eq!(encoding(&[]), Encoding::Identity);
        assert_eq!(encoding(&["Identity"]), Encoding::Identity);
        for value in ["gzip", "GZIP", " gzip ", "identity, gzip", "gzip,"] {
            assert_eq!(encoding(&[value]), gzip("gzip"), "{value:?}");
        }
        assert_eq!(encoding(&["X-GZip"]), gzip("x-gzip"));
        for value in ["br", "zstd", "deflate", "gzip, br", "gzip, gzip"] {
            assert_eq!(encoding(&[value]), Encoding::Unsupported(value.into()));
        }
        assert_eq!(encoding(&["gzip", "BR"]), Encoding::Unsupported("gzip, br".into()));
    }
}
