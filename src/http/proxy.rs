//! Which proxy a client uses: none, the one of a URL, or the first usable one of the environment.

use std::env::{self, VarError};
use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use ureq::http::Uri;
use ureq::{Proxy, ProxyProtocol};

use crate::endpoint::host_and_port;

/// Which proxy to use.
#[derive(Clone)]
pub(crate) enum ProxyChoice {
    None,
    /// The first usable one that the environment names, unless `NO_PROXY` excepts the host.
    Environment,
    /// It may contain a password.
    Url(String),
}

/// Why the URL of a proxy is refused. The sentence contains no part of the URL but its scheme.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    /// Another variable may name a usable proxy.
    Kind(String),
    Malformed(String),
}

/// The proxy to use for a base URL. The error is a sentence, without the proxy's URL.
pub(super) fn proxy(choice: &ProxyChoice, base: &Uri) -> Result<Option<Proxy>, String> {
    match choice {
        ProxyChoice::None => Ok(None),
        ProxyChoice::Environment => from_env(base),
        ProxyChoice::Url(url) => match from_url(url) {
            Ok(proxy) => Ok(Some(proxy)),
            Err(Refused::Kind(reason) | Refused::Malformed(reason)) => {
                Err(format!("the proxy given to Builder::proxy cannot be used: {reason}"))
            }
        },
    }
}

/// Stricter than `ureq`, which reads the host of `http://me:p#ss@proxy:3128` as `me`.
fn from_url(url: &str) -> Result<Proxy, Refused> {
    let malformed = |reason: &str| Refused::Malformed(format!("its URL {reason}"));
    let url = url.trim();
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    if !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
        return Err(malformed("cannot be read: it must be like http://user:password@host:port"));
    }
    let protocol = match scheme.to_ascii_lowercase().as_str() {
        "http" => ProxyProtocol::Http,
        "https" => ProxyProtocol::Https,
        kind => {
            let reason = format!("proxies of the kind {kind:?} are not supported, only http and https");
            return Err(Refused::Kind(reason));
        }
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if tail.contains('@') {
        return Err(malformed("has a `#`, `/` or `?` in its user name or password: write %23, %2F or %3F instead"));
    }
    if !matches!(tail, "" | "/") {
        return Err(malformed("has a path, a query or a fragment: it must end after the port"));
    }
    let (credentials, address) = match authority.rsplit_once('@') {
        Some((credentials, address)) => (Some(credentials), address),
        None => (None, authority),
    };
    let (host, port) = host_and_port(address).ok_or_else(|| malformed("has no valid host or port"))?;
    let mut proxy = Proxy::builder(protocol).host(host);
    if let Some(port) = port {
        proxy = proxy.port(port);
    }
    if let Some(credentials) = credentials {
        let decode = |text| percent_decode_str(text).decode_utf8();
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (Ok(user), Ok(password)) = (decode(user), decode(password)) else {
            return Err(malformed("has a user name or password that is not UTF-8 once it is percent-decoded"));
        };
        proxy = proxy.username(&user).password(&password);
    }
    proxy.build().map_err(|_| malformed("cannot be read"))
}

/// `ALL_PROXY` often names a SOCKS proxy beside a usable one in another variable.
fn from_env(base: &Uri) -> Result<Option<Proxy>, String> {
    // A host that needs no proxy needs none that can be used.
    let exceptions = ["NO_PROXY", "no_proxy"].iter().filter_map(env::var_os).find(|value| !value.is_empty());
    let port = base.port_u16().unwrap_or(if base.scheme_str() == Some("https") { 443 } else { 80 });
    if exceptions.is_some_and(|list| is_excepted(&list.to_string_lossy(), base.host().unwrap_or_default(), port)) {
        return Ok(None);
    }
    // In a CGI program, `HTTP_PROXY` is what the client of the web server sent as the header `Proxy`. Windows does not
    // tell `http_proxy` from it.
    let is_cgi = env::var_os("REQUEST_METHOD").is_some();
    let mut first_error = Ok(None);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"] {
        if is_cgi && (name == "HTTP_PROXY" || cfg!(windows) && name == "http_proxy") {
            continue;
        }
        let proxy = match env::var(name) {
            Ok(url) if !url.trim().is_empty() => from_url(&url),
            Err(VarError::NotUnicode(_)) => Err(Refused::Malformed("its URL is not valid Unicode".to_owned())),
            _ => continue,
        };
        let error = |reason| Err(format!("the proxy in {name} cannot be used: {reason}"));
        match proxy {
            Ok(proxy) => return Ok(Some(proxy)),
            Err(Refused::Kind(reason)) => first_error = first_error.and(error(reason)),
            Err(Refused::Malformed(reason)) => return error(reason),
        }
    }
    first_error
}

/// Whether the list in `NO_PROXY` covers a host, as curl, Python and Go read it: a domain covers what is below it, too.
fn is_excepted(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    let address = host.parse::<IpAddr>().ok();
    list.split(|c: char| c == ',' || c.is_whitespace()).any(|entry| {
        // The colons of an IPv6 address are no port's.
        let (name, only_port) = match entry.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
            _ => (entry, None),
        };
        if only_port.is_some_and(|only_port| only_port.parse() != Ok(port)) {
            return false;
        }
        if name == "*" {
            return true;
        }
        let name = name.to_ascii_lowercase();
        match address {
            Some(address) => is_in_network(address, &name),
            None => {
                let name = name.trim_start_matches('*').trim_matches('.');
                let above = host.strip_suffix(name).filter(|_| !name.is_empty());
                above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
        }
    })
}

/// Whether an address is in a network like `10.0.0.0/8`, or is this very address.
fn is_in_network(address: IpAddr, network: &str) -> bool {
    let (start, length) = match network.split_once('/') {
        Some((start, length)) => (start, length.parse().ok()),
        None => (network, Some(128)),
    };
    let Ok(start) = start.trim_matches(['[', ']']).parse::<IpAddr>() else { return false };
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    };
    let different = bits(address) ^ bits(start);
    address.is_ipv4() == start.is_ipv4() && length.is_some_and(|length: u32| different.leading_zeros() >= length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_means_what_it_means_to_curl_python_and_go() {
        for (list, host, covered) in [
            ("nomic.ai", "nomic.ai", true),
            ("nomic.ai", "acme.nomic.ai", true),
            ("nomic.ai", "notnomic.ai", false),
            ("nomic.ai", "nomic.ai.evil.example", false),
            ("acme.nomic.ai", "nomic.ai", false),
            (".nomic.ai", "acme.nomic.ai", true),
            (".nomic.ai", "nomic.ai", true),
            ("*.nomic.ai", "acme.nomic.ai", true),
            ("Nomic.AI", "ACME.nomic.ai", true),
            ("nomic.ai.", "acme.nomic.ai", true),
            ("nomic.ai", "acme.nomic.ai.", true),
            ("a.example,nomic.ai", "acme.nomic.ai", true),
            ("a.example nomic.ai\tb.example", "acme.nomic.ai", true),
            (" a.example , nomic.ai ", "acme.nomic.ai", true),
            ("*", "acme.nomic.ai", true),
            ("*", "10.0.0.7", true),
            ("", "acme.nomic.ai", false),
            (" , .,", "acme.nomic.ai", false),
            ("nomic.ai:443", "acme.nomic.ai", true),
            ("nomic.ai:8443", "acme.nomic.ai", false),
            ("nomic.ai:x", "acme.nomic.ai", false),
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7:443", "10.0.0.7", true),
            ("10.0.0.7:80", "10.0.0.7", false),
            ("0.0.7", "10.0.0.7", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("10.0.0.0/8", "host.10.0.0.0", false),
            ("0.0.0.0/0", "10.1.2.3", true),
            ("0.0.0.0/0", "[::1]", false),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("10.0.0.0/", "10.1.2.3", false),
            ("::1", "[::1]", true),
            ("[::1]", "[::1]", true),
            ("[::1]:443", "[::1]", true),
            ("[::1]:80", "[::1]", false),
            ("0:0::1", "[::1]", true),
            ("FD00::/8", "[fd12::7]", true),
            ("fd00::/8", "[fe80::7]", false),
            ("::/0", "10.1.2.3", false),
        ] {
            assert_eq!(is_excepted(list, host, 443), covered, "{list:?} {host:?}");
        }
    }

    #[test]
    fn a_proxy_url_is_read_as_it_is_written() {
        for (url, host, port, user, password) in [
            ("http://127.0.0.1:8080", "127.0.0.1", 8080, None, None),
            ("127.0.0.1:8080", "127.0.0.1", 8080, None, None),
            (" http://proxy.example:1 \n", "proxy.example", 1, None, None),
            ("proxy.example", "proxy.example", 80, None, None),
            ("HTTP://proxy.example/", "proxy.example", 80, None, None),
            ("https://proxy.example", "proxy.example", 443, None, None),
            ("http://[::1]:3128", "[::1]", 3128, None, None),
            ("http://me@proxy.example:1", "proxy.example", 1, Some("me"), Some("")),
            ("me:pass@proxy.example:1", "proxy.example", 1, Some("me"), Some("pass")),
            ("http://m%40e:p%23s%2Fs%25:@h:1", "h", 1, Some("m@e"), Some("p#s/s%:")),
            ("http://me:p@ss@h:1", "h", 1, Some("me"), Some("p@ss")),
            ("http://me:p%C3%A4ss+@h:1", "h", 1, Some("me"), Some("päss+")),
        ] {
            let proxy = from_url(url).unwrap();
            assert_eq!((proxy.host(), proxy.port()), (host, port), "{url}");
            assert_eq!((proxy.username(), proxy.password()), (user, password), "{url}");
        }
    }

    #[test]
    fn a_proxy_url_that_cannot_be_read_is_refused_without_its_password() {
        for (url, reason) in [
            ("http://me:p#ss@127.0.0.1:8080", "write %23"),
            ("http://me:p/ss@h:1", "write %23, %2F"),
            ("http://me:p?ss@h:1", "or %3F instead"),
            ("me:p#ss@127.0.0.1:8080", "write %23"),
            ("http://me:%ffss@h:1", "not UTF-8"),
            ("http://127.0.0.1:80a8", "no valid host or port"),
            ("http://127.0.0.1:99999", "no valid host or port"),
            ("http://127.0.0.1:+80", "no valid host or port"),
            ("http://127.0.0.1:", "no valid host or port"),
            ("http://:8080", "no valid host or port"),
            ("http://me:ss@", "no valid host or port"),
            ("http://", "no valid host or port"),
            ("", "no valid host or port"),
            ("http://a b:1", "no valid host or port"),
            ("http://proxy.example:1/path", "must end after the port"),
            ("http://proxy.example#1", "must end after the port"),
            ("me:ss://h:1", "must be like"),
        ] {
            let Err(Refused::Malformed(error)) = from_url(url) else { panic!("{url}") };
            assert!(error.contains(reason), "{url}: {error}");
            assert!(!error.contains("ss@") && !error.contains("me:"), "{url}: {error}");
        }
        assert!(
            matches!(from_url("socks5://me:pass@h:1"), Err(Refused::Kind(reason)) if reason.contains("\"socks5\""))
        );
    }
}
