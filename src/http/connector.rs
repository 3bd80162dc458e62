//! The chain of connectors (proxy, TCP, TLS), and what it tells the exchange that uses it.

use std::time::Instant;

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, Transport,
};

use super::exchange::Exchange;
use super::tcp::{Tcp, has_response};

/// The whole chain: through a proxy if there is one, TCP, and TLS where the URL asks for it.
pub(super) fn connector(tcp: Tcp) -> impl Connector {
    let chain = ().chain(ConnectProxyConnector::default()).chain(tcp);
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    let chain = chain.chain(super::tls::TlsConnector::default());
    TrackingConnector(chain)
}

/// Notes when a connection is being made, when a request is handed to it, and when the response starts.
#[derive(Debug)]
struct TrackingConnector<C>(C);

impl<C: Connector<()>> Connector<()> for TrackingConnector<C> {
    type Out = TrackingTransport<C::Out>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<()>) -> Result<Option<Self::Out>, Error> {
        // To reach a proxy the chain runs within itself: only the outer run makes the connection.
        let outer = !Exchange::current().connecting;
        if outer {
            Exchange::update(|exchange| exchange.connect(Instant::now()));
        }
        let inner = self.0.connect(details, chained)?;
        if outer {
            Exchange::update(|exchange| exchange.connecting = false);
        }
        Ok(inner.map(|inner| TrackingTransport { inner, outer }))
    }
}

#[derive(Debug)]
struct TrackingTransport<T> {
    inner: T,
    /// Whether requests go over it, rather than the TLS of a tunnel.
    outer: bool,
}

impl<T: Transport> Transport for TrackingTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.outer {
            Exchange::update(|exchange| exchange.handed_over = true);
        }
        self.inner.transmit_output(amount, timeout)?;
        Exchange::update(|exchange| exchange.sent(Instant::now()));
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let progress = self.inner.await_input(timeout)?;
        let input = self.inner.buffers().input();
        if self.outer && !Exchange::current().response_started && has_response(input) {
            let other_protocol = other_protocol(input);
            Exchange::update(|exchange| {
                (exchange.response_started, exchange.other_protocol) = (true, other_protocol);
            });
        }
        Ok(progress)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// The protocol of a server that does not speak HTTP/1, by the first bytes that it sends.
fn other_protocol(head: &[u8]) -> Option<&'static str> {
    match head {
        [b'S', b'S', b'H', b'-', ..] => Some("SSH"),
        // An alert.
        [0x15, 3, ..] => Some("TLS (is it https:// and not http://?)"),
        // The length of a frame, its type SETTINGS, flags, and stream 0.
        [0, 0, _, 4, 0, 0, 0, 0, 0, ..] => Some("HTTP/2 only"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_are_known_by_their_first_bytes() {
        for (head, protocol) in [
            (&b"SSH-2.0-OpenSSH_9.9\r\n"[..], Some("SSH")),
            (b"\x15\x03\x01\0\x02\x02\x0a", Some("TLS (is it https:// and not http://?)")),
            (b"\0\0\x12\x04\0\0\0\0\0\0\x03", Some("HTTP/2 only")),
            (b"HTTP/1.1 200 OK\r\n", None),
            (b"S", None),
            (b"", None),
        ] {
            assert_eq!(other_protocol(head), protocol, "{head:?}");
        }
    }
}
