//! DNS lookups: one for every connection, not one for every request.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::exchange::{Limit, remaining};

/// Looks nothing up: `ureq` asks before it looks into its pool of connections. [`look_up`] runs when there is none.
#[derive(Debug)]
pub(super) struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

/// The addresses of the host of a URL.
pub(super) fn look_up(uri: &Uri, limit: Limit) -> io::Result<Vec<SocketAddr>> {
    let host = uri.host().unwrap_or_default().to_owned();
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    // The system's resolver takes no time limit, so it runs on a thread of its own.
    let (sender, receiver) = mpsc::sync_channel(1);
    let started = thread::Builder::new().name("nomic-dns".to_owned()).spawn(move || {
        let found = (host, port).to_socket_addrs().map(|addresses| addresses.collect::<Vec<_>>());
        let _ = sender.send(found);
    });
    started.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot look up the host: no thread could be started ({error})"))
    })?;
    match receiver.recv_timeout(remaining(limit)?.unwrap_or(Duration::MAX)) {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(ErrorKind::NotFound.into()),
        Ok(Err(error)) if is_unknown_host(&error) => Err(io::Error::new(ErrorKind::NotFound, error)),
        Ok(found) => found,
        Err(_) => Err(remaining(limit).err().unwrap_or_else(|| ErrorKind::TimedOut.into())),
    }
}

/// Whether a lookup failed for the host, rather than for this machine (which may be out of file descriptors, say).
/// The standard library gives neither a kind of its own.
fn is_unknown_host(error: &io::Error) -> bool {
    match error.raw_os_error() {
        // WSAHOST_NOT_FOUND, WSATRY_AGAIN, WSANO_RECOVERY and WSANO_DATA.
        Some(code) => cfg!(windows) && (11_001..=11_004).contains(&code),
        // Elsewhere, an error of `getaddrinfo` has no number.
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_lookup_is_an_unknown_host_unless_this_machine_is_to_blame() {
        let unresolved = "no-such-organization.invalid:80".to_socket_addrs().unwrap_err();
        assert!(is_unknown_host(&unresolved), "{unresolved:?}");
        // Too many open files.
        let machine = io::Error::from_raw_os_error(if cfg!(windows) { 10_024 } else { 24 });
        assert!(!is_unknown_host(&machine), "{machine:?}");
        for code in 11_001..=11_004 {
            assert_eq!(is_unknown_host(&io::Error::from_raw_os_error(code)), cfg!(windows), "{code}");
        }
    }

    #[test]
    fn an_address_needs_no_lookup_and_a_port_has_a_default() {
        for (url, address) in [
            ("http://127.0.0.1/a", "127.0.0.1:80"),
            ("https://[::1]/a", "[::1]:443"),
            ("http://10.0.0.1:4010", "10.0.0.1:4010"),
        ] {
            let found = look_up(&url.parse().unwrap(), None).unwrap();
            assert_eq!(found, [address.parse().unwrap()], "{url}");
        }
    }
}
