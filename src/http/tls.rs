//! TLS as the features of the crate choose it: rustls, or the system's.

use std::io::ErrorKind;

use ureq::Error;
use ureq::config::ConfigBuilder;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::typestate::AgentScope;
#[cfg(feature = "native-tls")]
pub(super) use ureq::unversioned::transport::NativeTlsConnector as TlsConnector;
#[cfg(not(feature = "native-tls"))]
pub(super) use ureq::unversioned::transport::RustlsConnector as TlsConnector;

// A program that turns the system's TLS on wants it, although rustls is on by default.
#[cfg(feature = "native-tls")]
const PROVIDER: TlsProvider = TlsProvider::NativeTls;
#[cfg(not(feature = "native-tls"))]
const PROVIDER: TlsProvider = TlsProvider::Rustls;

/// Configures TLS with these roots in PEM, or the system's, or Mozilla's. The error is a sentence.
pub(super) fn configure(
    config: ConfigBuilder<AgentScope>,
    pem: Option<&[u8]>,
) -> Result<ConfigBuilder<AgentScope>, String> {
    let roots = match pem {
        Some(pem) => certificates(pem)?,
        None if cfg!(any(feature = "native-tls", feature = "platform-verifier")) => RootCerts::PlatformVerifier,
        None => RootCerts::WebPki,
    };
    Ok(config.tls_config(TlsConfig::builder().provider(PROVIDER).root_certs(roots).build()))
}

fn certificates(pem: &[u8]) -> Result<RootCerts, String> {
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(format!("the root certificates are not PEM: {error}")),
        }
    }
    if certificates.is_empty() {
        return Err("the root certificates contain no certificate".to_owned());
    }
    Ok(RootCerts::new_with_certs(&certificates))
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
    } else if contains(&["invalid peer certificate", "certificate verify failed"]) {
        (format!("certificate not trusted: {text}"), true)
    } else {
        let permanent = contains(&["peer is incompatible", "dns name", "HandshakeFailure", "ProtocolVersion"]);
        (format!("TLS: {text}"), permanent)
    })
}
