//! TLS as the features of the crate choose it: rustls, or the system's.

use std::io::ErrorKind;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ureq::Error;
use ureq::config::ConfigBuilder;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::typestate::AgentScope;
#[cfg(feature = "native-tls")]
pub(super) use ureq::unversioned::transport::NativeTlsConnector as TlsConnector;
#[cfg(not(feature = "native-tls"))]
pub(super) use ureq::unversioned::transport::RustlsConnector as TlsConnector;

use crate::text::truncate;

// A program that turns the system's TLS on wants it, although rustls is on by default.
#[cfg(feature = "native-tls")]
const PROVIDER: TlsProvider = TlsProvider::NativeTls;
#[cfg(not(feature = "native-tls"))]
const PROVIDER: TlsProvider = TlsProvider::Rustls;

/// Configures TLS with these roots, or the system's, or Mozilla's. The error is a sentence.
pub(super) fn configure(
    config: ConfigBuilder<AgentScope>,
    roots: Option<&[u8]>,
) -> Result<ConfigBuilder<AgentScope>, String> {
    let roots = match roots {
        Some(file) => RootCerts::new_with_certs(&certificates(file)?),
        None if cfg!(any(feature = "native-tls", feature = "platform-verifier")) => RootCerts::PlatformVerifier,
        None => RootCerts::WebPki,
    };
    Ok(config.tls_config(TlsConfig::builder().provider(PROVIDER).root_certs(roots).build()))
}

/// The certificates of a PEM file, or the one of a DER file. Whatever else such a file contains is refused, so that no
/// certificate goes missing unnoticed.
fn certificates(file: &[u8]) -> Result<Vec<Certificate<'static>>, String> {
    if is_certificate(file) {
        return Ok(vec![Certificate::from_der(file).to_owned()]);
    }
    let text = String::from_utf8_lossy(file);
    let mut certificates = Vec::new();
    let mut block: Option<(&str, String)> = None;
    // A byte order mark is no white space.
    for line in text.trim_start_matches('\u{feff}').split(['\n', '\r']).map(str::trim) {
        let cut_off = || cut_off(certificates.len());
        let marker = |start| line.strip_prefix(start).map(|rest| rest.strip_suffix("-----").ok_or_else(cut_off));
        if let Some(kind) = marker("-----BEGIN ").transpose()? {
            if block.is_some() {
                return Err(cut_off());
            }
            match kind {
                "CERTIFICATE" | "X509 CERTIFICATE" => block = Some((kind, String::new())),
                "TRUSTED CERTIFICATE" => {
                    let how = "`openssl x509 -in FILE` makes one";
                    return Err(format!(
                        "the root certificates contain a TRUSTED CERTIFICATE, not a CERTIFICATE: {how}"
                    ));
                }
                kind => return Err(format!("the root certificates contain a {}; remove it", truncate(kind))),
            }
        } else if let Some(kind) = marker("-----END ").transpose()? {
            let (_, base64) = block.take().filter(|(begun, _)| *begun == kind).ok_or_else(cut_off)?;
            let der = BASE64_STANDARD.decode(base64).ok().filter(|der| is_certificate(der)).ok_or_else(cut_off)?;
            certificates.push(Certificate::from_der(&der).to_owned());
        } else if let Some((_, base64)) = &mut block {
            base64.push_str(line);
        }
    }
    if block.is_some() {
        return Err(cut_off(certificates.len()));
    }
    if certificates.is_empty() {
        let how = "`openssl x509 -inform der -in FILE` converts DER to PEM";
        return Err(format!("the root certificates contain no certificate in PEM, nor are they one in DER: {how}"));
    }
    Ok(certificates)
}

fn cut_off(before: usize) -> String {
    format!("certificate {} of the root certificates is cut off or damaged", before + 1)
}

/// Whether these bytes have the outline of one certificate in DER, unlike certificate requests and revocation lists.
fn is_certificate(der: &[u8]) -> bool {
    const VERSION: u8 = 0xa0;
    const INTEGER: u8 = 0x02;
    const BIT_STRING: u8 = 0x03;
    const SEQUENCE: u8 = 0x30;
    let Some((SEQUENCE, content, [])) = der_element(der) else { return false };
    let parts = der_tags(content);
    let fields = der_element(content).map(|(_, fields, _)| der_tags(fields)).unwrap_or_default();
    let fields = fields.strip_prefix(&[VERSION]).unwrap_or(&fields);
    // Serial number, signature algorithm, issuer, validity, subject, public key.
    parts == [SEQUENCE, SEQUENCE, BIT_STRING]
        && fields.starts_with(&[INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE])
}

/// The tags of the elements; empty if the last one is cut off.
fn der_tags(mut rest: &[u8]) -> Vec<u8> {
    let mut tags = Vec::new();
    while let Some((tag, _, behind)) = der_element(rest) {
        tags.push(tag);
        rest = behind;
    }
    if rest.is_empty() { tags } else { Vec::new() }
}

/// Splits the first element off: its tag, its content, and what is behind it.
fn der_element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// An error of TLS in words, and whether it is permanent: what this side does not accept is; an alert of the other side
/// (an overloaded balancer's, say) may pass. `None` if the error is not one of TLS.
pub(super) fn describe(error: &Error) -> Option<(String, bool)> {
    let text = match error {
        // rustls reports through I/O errors of this kind.
        Error::Io(io) if io.kind() == ErrorKind::InvalidData => io.to_string(),
        Error::Tls(_) => error.to_string(),
        #[cfg(feature = "rustls")]
        Error::Rustls(_) => error.to_string(),
        #[cfg(feature = "native-tls")]
        Error::NativeTls(_) | Error::Der(_) => error.to_string(),
        _ => return None,
    };
    let contains = |any: &[&str]| any.iter().any(|part| text.contains(part));
    Some(if contains(&["InvalidContentType", "wrong version number", "packet length too long"]) {
        ("it does not speak TLS: is it http:// and not https://?".to_owned(), true)
    } else if contains(&["CaUsedAsEndEntity"]) {
        let reason = "the server's own certificate is that of an authority";
        (format!("certificate not trusted: {reason}; make one with the basic constraint CA:FALSE for it"), true)
    } else if contains(&["invalid peer certificate", "certificate verify failed"]) {
        (format!("certificate not trusted: {text}"), true)
    } else {
        let permanent = contains(&["peer is incompatible", "dns name", "HandshakeFailure", "ProtocolVersion"]);
        (format!("TLS: {text}"), permanent)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHORITY: &str = include_str!("../../tests/data/authority.pem");
    const SERVER: &str = include_str!("../../tests/data/server.pem");
    const KEY: &str = include_str!("../../tests/data/server.key");

    fn der() -> Vec<u8> {
        let base64: String = AUTHORITY.lines().filter(|line| !line.starts_with('-')).collect();
        BASE64_STANDARD.decode(base64).unwrap()
    }

    #[test]
    fn certificates_are_read_as_programs_write_them() {
        let indented: String = AUTHORITY.lines().map(|line| format!("    {line}\t\n")).collect();
        for (file, count) in [
            (AUTHORITY.to_owned(), 1),
            (AUTHORITY.trim_end().to_owned(), 1),
            (format!("\u{feff}{AUTHORITY}"), 1),
            (AUTHORITY.replace('\n', "\r\n"), 1),
            (AUTHORITY.replace('\n', "\r"), 1),
            (indented, 1),
            (AUTHORITY.replace(" CERTIFICATE", " X509 CERTIFICATE"), 1),
            (format!("# Issuer: CN=a\n{AUTHORITY}\n\nSubject: b -----\n=====\n{SERVER}"), 2),
        ] {
            let certificates = certificates(file.as_bytes()).unwrap_or_else(|error| panic!("{error}: {file}"));
            assert_eq!(certificates.len(), count, "{file}");
            assert_eq!(certificates[0].der(), der(), "{file}");
        }
        assert_eq!(certificates(&der()).unwrap()[0].der(), der());
    }

    #[test]
    fn a_file_with_anything_but_certificates_is_refused_with_a_reason() {
        let in_two = AUTHORITY.len() / 2;
        let end = AUTHORITY.find("-----END").unwrap();
        let cut_off = "certificate 1 of the root certificates is cut off or damaged";
        for (file, reason) in [
            (String::new(), "contain no certificate in PEM, nor are they one in DER"),
            ("no pem".to_owned(), "`openssl x509 -inform der -in FILE`"),
            (AUTHORITY.replace(" CERTIFICATE", " TRUSTED CERTIFICATE"), "a TRUSTED CERTIFICATE, not a CERTIFICATE"),
            (KEY.to_owned(), "contain a PRIVATE KEY; remove it"),
            (format!("{AUTHORITY}{KEY}"), "contain a PRIVATE KEY; remove it"),
            (AUTHORITY.replace(" CERTIFICATE", " CERTIFICATE REQUEST"), "contain a CERTIFICATE REQUEST; remove it"),
            (AUTHORITY[..in_two].to_owned(), cut_off),
            (AUTHORITY[..end].to_owned(), cut_off),
            (format!("{}\n{SERVER}", &AUTHORITY[..in_two]), cut_off),
            (format!("{}{}", &AUTHORITY[..in_two], &AUTHORITY[end..]), cut_off),
            (AUTHORITY.replace("CERTIFICATE-----", "CERTIFICATE----"), cut_off),
            (AUTHORITY[in_two..].to_owned(), cut_off),
            (AUTHORITY.replace("MII", "M*I"), cut_off),
            (format!("{AUTHORITY}{}", &SERVER[..in_two]), "certificate 2 of the root certificates is cut off"),
        ] {
            let error = certificates(file.as_bytes()).err().unwrap_or_else(|| panic!("{reason}: {file}"));
            assert!(error.contains(reason) && !error.contains('\n'), "{reason}: {error}");
        }
        let der = der();
        for bytes in [&der[..der.len() - 1], &[&der[..], b"\n"].concat(), b"\x30\x03\x02\x01\x00"] {
            assert!(certificates(bytes).is_err_and(|error| error.contains("-inform der")));
        }
    }
}
