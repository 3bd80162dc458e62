//! Which proxy a client uses: none, the one of a URL, or the first usable one of the environment.

use std::env;

use ureq::http::Uri;
use ureq::{Proxy, ProxyProtocol};

/// Which proxy to use.
#[derive(Clone)]
pub(crate) enum ProxyChoice {
    None,
    /// The first usable one that the environment names, unless `NO_PROXY` excepts the host.
    Environment,
    /// It may contain a password.
    Url(String),
}

/// The proxy to use for a base URL. The error is a sentence, without the proxy's URL.
pub(super) fn proxy(choice: &ProxyChoice, base: &Uri) -> Result<Option<Proxy>, String> {
    match choice {
        ProxyChoice::None => Ok(None),
        ProxyChoice::Environment => from_env(base),
        ProxyChoice::Url(url) => from_url(url).map(Some),
    }
}

fn from_url(url: &str) -> Result<Proxy, String> {
    let proxy = Proxy::new(url).map_err(|_| "the proxy's URL cannot be read".to_owned())?;
    match proxy.uri().scheme_str() {
        Some("http" | "https") => Ok(proxy),
        kind => {
            Err(format!("proxies of the kind {:?} are not supported, only http and https", kind.unwrap_or_default()))
        }
    }
}

/// `ALL_PROXY` often names a SOCKS proxy beside a usable one in another variable.
fn from_env(base: &Uri) -> Result<Option<Proxy>, String> {
    let value = |name: &&str| env::var(name).ok().filter(|value| !value.is_empty());
    // A host that needs no proxy needs none that can be used.
    let exceptions = ["NO_PROXY", "no_proxy"].iter().find_map(value).unwrap_or_default();
    let any = Proxy::builder(ProxyProtocol::Http).host("localhost");
    let any = exceptions.split(',').fold(any, |proxy, host| proxy.no_proxy(host.trim())).build();
    if any.is_ok_and(|proxy| proxy.is_no_proxy(base)) {
        return Ok(None);
    }
    let mut first_error = Ok(None);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"] {
        let Some(url) = value(&name) else { continue };
        match from_url(&url) {
            Ok(proxy) => return Ok(Some(proxy)),
            Err(reason) => {
                first_error = first_error.and(Err(format!("the proxy in {name} cannot be used: {reason}")));
            }
        }
    }
    first_error
}
