//! TLS in front of an emulator, which speaks plain HTTP only.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use nomic_emulator::Emulator;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::raw_server::RawServer;

/// The authority that signed [`SERVER`].
pub(crate) const AUTHORITY: &[u8] = include_bytes!("../data/authority.pem");
/// The certificate of `localhost`.
pub(crate) const SERVER: &[u8] = include_bytes!("../data/server.pem");
/// A self-signed one for the same name, which has expired.
#[allow(dead_code, reason = "not every test binary that speaks TLS looks at this")]
pub(crate) const EXPIRED: &[u8] = include_bytes!("../data/expired.pem");
/// A self-signed one that is valid.
#[allow(dead_code, reason = "not every test binary that speaks TLS looks at this")]
pub(crate) const SELF_SIGNED: &[u8] = include_bytes!("../data/self_signed.pem");
/// A self-signed one that is also that of an authority.
#[allow(dead_code, reason = "not every test binary that speaks TLS looks at this")]
pub(crate) const SELF_SIGNED_AUTHORITY: &[u8] = include_bytes!("../data/self_signed_ca.pem");

/// A configuration with this certificate; all certificates have the same key.
pub(crate) fn config(certificate: &[u8]) -> Arc<rustls::ServerConfig> {
    let certificates = vec![CertificateDer::from_pem_slice(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../data/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(certificates, key).unwrap())
}

/// Accepts connections with this certificate, and passes on what it decrypts to an emulator.
#[allow(dead_code, reason = "not every test binary that speaks TLS has an emulator behind it")]
pub(crate) fn before(emulator: &Emulator, certificate: &[u8]) -> RawServer {
    let (config, behind) = (config(certificate), emulator.address());
    RawServer::new(move |outer| {
        let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let (mut outer, mut inner) = (outer, TcpStream::connect(behind).unwrap());
        if connection.complete_io(&mut outer).is_err() {
            return;
        }
        let mut tls = rustls::StreamOwned::new(connection, outer);
        // A request, then its response: nothing is sent in both directions at once.
        let mut piece = vec![0; 1 << 16];
        tls.sock.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        inner.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        loop {
            match tls.read(&mut piece) {
                Ok(0) => return,
                Ok(count) => inner.write_all(&piece[..count]).unwrap(),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(_) => return,
            }
            match inner.read(&mut piece) {
                Ok(0) => return,
                Ok(count) => tls.write_all(&piece[..count]).unwrap(),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(_) => return,
            }
        }
    })
}
