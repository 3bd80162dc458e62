//! TLS as the features of the crate choose it: rustls, or the system's.

use ureq::config::ConfigBuilder;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::typestate::AgentScope;
#[cfg(feature = "native-tls")]
use ureq::unversioned::transport::NativeTlsConnector as Provided;
#[cfg(not(feature = "native-tls"))]
use ureq::unversioned::transport::RustlsConnector as Provided;
use ureq::unversioned::transport::{ConnectionDetails, Connector, Transport};
use ureq::{Error, http::Uri};

// Whoever turns the system's TLS on wants it, although rustls is on by default.
#[cfg(feature = "native-tls")]
const PROVIDER: TlsProvider = TlsProvider::NativeTls;
#[cfg(not(feature = "native-tls"))]
const PROVIDER: TlsProvider = TlsProvider::Rustls;

/// Sets TLS up: with these roots in PEM, or the system's, or Mozilla's. The error is a sentence.
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
        return Err("there is no certificate among the root certificates".to_owned());
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

/// Why a URL cannot be connected to, whatever the server does.
pub(super) fn objection(_url: &Uri) -> Option<&'static str> {
    None
}

/// The provider keeps its configuration (roots, session tickets) only for requests without settings of their own;
/// every request here has a time limit, which concerns TLS in nothing.
#[derive(Debug, Default)]
pub(super) struct Tls(Provided);

impl<In: Transport> Connector<In> for Tls {
    type Out = <Provided as Connector<In>>::Out;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        let details = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: false,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        self.0.connect(&details, Some(transport))
    }
}

/// What TLS says, and whether time does not mend it: what this side does not accept. An alert of the other side (an
/// overloaded balancer's, say) may pass. `None` if it is not TLS that speaks.
pub(super) fn sentence(error: &Error) -> Option<(String, bool)> {
    let words = match error {
        // rustls speaks through I/O errors of this kind.
        Error::Io(io) if io.kind() == std::io::ErrorKind::InvalidData => io.to_string(),
        Error::Tls(_) => error.to_string(),
        #[cfg(feature = "rustls")]
        Error::Rustls(_) => error.to_string(),
        #[cfg(feature = "native-tls")]
        Error::NativeTls(_) | Error::Der(_) => error.to_string(),
        _ => return None,
    };
    let says = |these: &[&str]| these.iter().any(|this| words.contains(this));
    Some(if says(&["InvalidContentType", "wrong version number", "packet length too long"]) {
        ("it does not speak TLS: is it http:// and not https://?".to_owned(), true)
    } else if says(&["invalid peer certificate", "certificate verify failed"]) {
        (format!("no trust in the server: {words}"), true)
    } else {
        let lasting = says(&["peer is incompatible", "dns name", "HandshakeFailure", "ProtocolVersion"]);
        (format!("TLS: {words}"), lasting)
    })
}
