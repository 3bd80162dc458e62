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
        if self.outer && !Exchange::current().response_started && has_response(self.inner.buffers().input()) {
            Exchange::update(|exchange| exchange.response_started = true);
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
