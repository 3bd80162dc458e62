//! In place of TLS, where no feature of the crate provides any: plain HTTP, to a proxy on this machine that adds TLS.

use ureq::Error;
use ureq::config::ConfigBuilder;
use ureq::http::Uri;
use ureq::typestate::AgentScope;
use ureq::unversioned::transport::{ConnectionDetails, Connector, Transport};

const MISSING: &str = "this build has no TLS: turn on a feature of nomic-client, rustls or native-tls";

/// The end of the chain of connectors: it passes on what came.
#[derive(Debug, Default)]
pub(super) struct TlsConnector(());

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = In;

    fn connect(&self, _details: &ConnectionDetails, chained: Option<In>) -> Result<Option<In>, Error> {
        Ok(chained)
    }
}

/// There is nothing to configure. The error is a sentence.
pub(super) fn configure(
    config: ConfigBuilder<AgentScope>,
    pem: Option<&[u8]>,
) -> Result<ConfigBuilder<AgentScope>, String> {
    pem.map_or(Ok(config), |_| Err(format!("root certificates need TLS: {MISSING}")))
}

/// Why this build cannot connect to a URL.
pub(super) fn unsupported(url: &Uri) -> Option<&'static str> {
    Some(MISSING).filter(|_| url.scheme_str() == Some("https"))
}

/// No error is one of TLS.
pub(super) fn describe(_error: &Error) -> Option<(String, bool)> {
    None
}
