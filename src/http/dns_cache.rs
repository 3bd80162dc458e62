//! A small DNS cache: `ureq` resolves the host for every request, before it looks into its pool of connections.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::exchange::{Exchange, Wait, remaining};

/// How long an entry is valid.
const LIFETIME: Duration = Duration::from_secs(10);
/// How many addresses of a host are tried; `ureq` has room for no more.
const MAX_ADDRESSES: usize = 16;

/// Remembers the addresses of the host that was looked up last: a client talks to one, its server or its proxy.
pub(super) struct DnsCache<L = fn(&str, u16) -> io::Result<Vec<SocketAddr>>> {
    look_up: L,
    last: Mutex<Option<Entry>>,
}

struct Entry {
    host: String,
    port: u16,
    valid_until: Instant,
    addresses: Vec<SocketAddr>,
}

impl DnsCache {
    /// A cache of what the system's resolver says.
    pub(super) fn new() -> Self {
        Self { look_up, last: Mutex::new(None) }
    }
}

impl<L: Fn(&str, u16) -> io::Result<Vec<SocketAddr>>> DnsCache<L> {
    fn addresses(&self, host: &str, port: u16, now: Instant) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = &*last() {
            if entry.host == host && entry.port == port && now < entry.valid_until {
                return Ok(entry.addresses.clone());
            }
        }
        // The lock is not held during the lookup.
        let addresses = (self.look_up)(host, port)?;
        let entry = Entry { host: host.to_owned(), port, valid_until: now + LIFETIME, addresses: addresses.clone() };
        *last() = Some(entry);
        Ok(addresses)
    }
}

impl fmt::Debug for DnsCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DnsCache(..)")
    }
}

impl Resolver for DnsCache {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default_port);
        let mut resolved = self.empty();
        let addresses = self.addresses(uri.host().unwrap_or_default(), port, Instant::now())?;
        addresses.into_iter().take(MAX_ADDRESSES).for_each(|address| resolved.push(address));
        Ok(resolved)
    }
}

/// Asks the system's resolver, which takes no time limit, on a thread of its own.
fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let limit = Exchange::current().limit(Instant::now(), Wait::Lookup);
    let (sender, receiver) = mpsc::sync_channel(1);
    let host = host.to_owned();
    thread::Builder::new().name("nomic-dns".to_owned()).spawn(move || {
        let found = (host, port).to_socket_addrs().map(|addresses| addresses.collect::<Vec<_>>());
        // Nobody waits any more once the time is over.
        let _ = sender.send(found);
    })?;
    match receiver.recv_timeout(remaining(limit)?.unwrap_or(Duration::MAX)) {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(ErrorKind::NotFound.into()),
        // What the system says of an unknown host has no kind of its own; what it says of this machine has a number.
        Ok(Err(error)) if error.raw_os_error().is_none() => Err(io::Error::new(ErrorKind::NotFound, error)),
        Ok(found) => found,
        Err(_) => Err(remaining(limit).err().unwrap_or_else(|| ErrorKind::TimedOut.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_host_is_looked_up_once_in_a_while_and_a_failure_is_not_remembered() {
        let (count, fails) = (Cell::new(0), Cell::new(false));
        let look_up = |_: &str, port: u16| {
            count.set(count.get() + 1);
            if fails.get() {
                Err(ErrorKind::NotFound.into())
            } else {
                Ok(vec![SocketAddr::from(([10, 0, 0, 1], port))])
            }
        };
        let cache = DnsCache { look_up, last: Mutex::new(None) };
        let begin = Instant::now();
        let resolve = |host, after| cache.addresses(host, 443, begin + Duration::from_secs(after));
        for after in 0..10 {
            assert_eq!(resolve("acme.nomic.ai", after).unwrap(), [SocketAddr::from(([10, 0, 0, 1], 443))]);
        }
        assert_eq!(count.get(), 1);
        resolve("acme.nomic.ai", 10).unwrap();
        assert_eq!(count.get(), 2, "addresses change");
        resolve("proxy.example", 10).unwrap();
        assert_eq!(count.get(), 3);
        fails.set(true);
        resolve("acme.nomic.ai", 11).unwrap_err();
        fails.set(false);
        resolve("acme.nomic.ai", 11).unwrap();
        assert_eq!(count.get(), 5);
    }

    #[test]
    fn an_address_needs_no_lookup() {
        let look_up = |_: &str, _: u16| Err(io::Error::other("looked up"));
        let cache = DnsCache { look_up, last: Mutex::new(None) };
        for (host, address) in [("127.0.0.1", "127.0.0.1:80"), ("[::1]", "[::1]:80")] {
            assert_eq!(cache.addresses(host, 80, Instant::now()).unwrap(), [address.parse().unwrap()]);
        }
    }
}
