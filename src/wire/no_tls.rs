//! In place of TLS, where no feature of the crate gives any: plain HTTP, to a proxy on this machine that has TLS.

use ureq::Error;
use ureq::config::ConfigBuilder;
use ureq::http::Uri;
use ureq::typestate::AgentScope;
use ureq::unversioned::transport::{ConnectionDetails, Connector, Transport};

const MISSING: &str = "this build has no TLS: turn on a feature of nomic-client, rustls or native-tls";

/// There is nothing to set up. The error is a sentence.
pub(super) fn configure(
    config: ConfigBuilder<AgentScope>,
    pem: Option<&[u8]>,
) -> Result<ConfigBuilder<AgentScope>, String> {
    pem.map_or(Ok(config), |_| Err(format!("root certificates are of no use: {MISSING}")))
}

/// Why a URL cannot be connected to, whatever the server does.
pub(super) fn objection(url: &Uri) -> Option<&'static str> {
    Some(MISSING).filter(|_| url.scheme_str() == Some("https"))
}

/// The end of the chain of connectors: what came stays as it is.
#[derive(Debug, Default)]
pub(super) struct Tls(());

impl<In: Transport> Connector<In> for Tls {
    type Out = In;

    fn connect(&self, _details: &ConnectionDetails, chained: Option<In>) -> Result<Option<In>, Error> {
        Ok(chained)
    }
}

/// TLS says nothing.
pub(super) fn sentence(_error: &Error) -> Option<(String, bool)> {
    None
}
