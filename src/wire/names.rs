//! Names, resolved once and remembered for a while: `ureq` resolves before it looks into its pool.

use std::collections::HashMap;
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

/// The names that are known, shared by the agents of one client.
#[derive(Clone, Default)]
pub(super) struct Names(Arc<Mutex<HashMap<String, (Instant, ResolvedSocketAddrs)>>>);

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

    fn known(&self) -> MutexGuard<'_, HashMap<String, (Instant, ResolvedSocketAddrs)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for Names {
    fn resolve(&self, uri: &Uri, config: &Config, mut timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let system = DefaultResolver::default();
        let host = uri.host().unwrap_or_default();
        if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            // With a time limit the system's resolver starts a thread; an address needs none.
            timeout.after = NextTimeout::default().after;
            return system.resolve(uri, config, timeout);
        }
        let name = format!("{} {}", uri.scheme_str().unwrap_or(""), uri.authority().map_or("", |name| name.as_str()));
        let now = Instant::now();
        match self.known().get(&name) {
            Some((until, addresses)) if *until > now => return Ok(addresses.clone()),
            _ => {}
        }
        // The lock is not held while the system is asked.
        let addresses = system.resolve(uri, config, timeout).map_err(|error| match error {
            // What the system's resolver says of a name has no kind of its own.
            Error::Io(error) if !is_of_the_machine(&error) => Error::HostNotFound,
            other => other,
        })?;
        self.known().insert(name, (now + LIFETIME, addresses.clone()));
        Ok(addresses)
    }
}

/// Whether an error is about this machine (no more file descriptors, say) rather than about the name.
fn is_of_the_machine(error: &io::Error) -> bool {
    error.raw_os_error().is_some()
}
