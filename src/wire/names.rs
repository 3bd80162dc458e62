//! Names, resolved once and remembered for a while: `ureq` resolves before it looks into its pool.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long a name is remembered; a failed connection forgets it at once.
const LIFETIME: Duration = Duration::from_secs(60);

/// The names that are known, shared by all clones of one client: that of the server, or of the proxy before it.
#[derive(Clone, Default)]
pub(super) struct Names(Arc<Mutex<Vec<Known>>>);

struct Known {
    scheme: String,
    authority: String,
    until: Instant,
    addresses: ResolvedSocketAddrs,
}

impl fmt::Debug for Names {
    /// A proxy's authority may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names(..)")
    }
}

impl Names {
    /// Forgets all of them.
    pub(super) fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for Names {
    fn resolve(&self, uri: &Uri, config: &Config, mut timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let (scheme, authority) = (uri.scheme_str().unwrap_or(""), uri.authority().map_or("", |name| name.as_str()));
        let same = |known: &Known| known.authority == authority && known.scheme == scheme;
        let now = Instant::now();
        if let Some(known) = self.known().iter().find(|known| same(known) && known.until > now) {
            return Ok(known.addresses.clone());
        }
        if uri.host().unwrap_or_default().trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            // With a time limit the system's resolver starts a thread; an address needs none.
            timeout.after = NextTimeout::default().after;
        }
        // The lock is not held while the system is asked.
        let addresses = DefaultResolver::default().resolve(uri, config, timeout).map_err(|error| match error {
            // What the system's resolver says of a name has no kind of its own.
            Error::Io(error) if !is_of_the_machine(&error) => Error::HostNotFound,
            other => other,
        })?;
        let mut all = self.known();
        all.retain(|known| !same(known));
        let (scheme, authority) = (scheme.to_owned(), authority.to_owned());
        all.push(Known { scheme, authority, until: now + LIFETIME, addresses: addresses.clone() });
        Ok(addresses)
    }
}

/// Whether an error is about this machine (no more file descriptors, say) rather than about the name.
fn is_of_the_machine(error: &io::Error) -> bool {
    error.raw_os_error().is_some()
}
