//! The endpoint: base URL and API key, checked before anything is sent.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde_json::Value;

use crate::error::MAX_BODY_EXCERPT;

/// The domain of all instances.
const SERVICE: &str = ".nomic.ai";
/// The path of the API there.
const PREFIX: &str = "/api/v0";
/// The longest host name, in bytes.
const MAX_HOST: usize = 253;

/// A base URL from a URL or a domain in any sensible form. The error is a sentence.
pub(crate) fn base_url(text: &str, allow_plain_http: bool) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("the domain is empty; give one like `acme` or `https://acme.nomic.ai`".to_owned());
    }
    // First, because the messages below show the text.
    if text.to_ascii_lowercase().contains("npk_") {
        return Err("the domain looks like an API key: are the two arguments swapped?".to_owned());
    }
    if text.contains('@') {
        return Err("the base URL contains a user name or a password; the API key is enough".to_owned());
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
        None => (None, text),
    };
    if rest.contains(['?', '#']) {
        return Err(format!("the base URL {text:?} has a query or a fragment"));
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = authority.to_ascii_lowercase();
    let (host, port) = host_and_port(&authority).ok_or_else(|| format!("{text:?} has no valid host or port"))?;
    let is_local = is_loopback(host);
    // `acme` and `acme.drive` are domains of the service; a host of your own is written with scheme or port.
    let short = scheme.is_none() && port.is_none() && !is_local && !host.ends_with(SERVICE) && !host.starts_with('[');
    if short && (host.parse::<IpAddr>().is_ok() || host.split('.').any(|label| label == "nomic")) {
        return Err(format!("{host:?} is not a domain of the service like `acme`; write any other host with https://"));
    }
    if host == &SERVICE[1..] {
        return Err("the organization's name is missing before nomic.ai, as in acme.nomic.ai".to_owned());
    }
    let host = if short { format!("{host}{SERVICE}") } else { host.to_owned() };
    if host.len() > MAX_HOST {
        return Err(format!("{text:?} has no valid host"));
    }
    let scheme = scheme.as_deref().unwrap_or(if is_local { "http" } else { "https" });
    if scheme == "http" && !allow_plain_http && !is_local {
        let instead = "use https, or Builder::allow_plain_http";
        return Err(format!("plain http would send the key unencrypted to {host}; {instead}"));
    }
    if scheme != "http" && scheme != "https" {
        return Err(format!("the scheme of the base URL is {scheme:?}; it must be https"));
    }
    let path = match path.trim_end_matches('/') {
        "" | "/api" | PREFIX if host.ends_with(SERVICE) => PREFIX,
        other if host.ends_with(SERVICE) => {
            return Err(format!("the path {other:?} is not that of this API, {PREFIX}"));
        }
        other if other.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') => other,
        other => return Err(format!("the path {other:?} of the base URL contains a character that has to be encoded")),
    };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{scheme}://{host}{port}{path}"))
}

/// Splits and checks; `None` if the host or the port is not valid.
pub(crate) fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        // Not a colon inside `[::1]`. `parse` accepts `+80` and `080` as well.
        Some((host, port)) if !port.ends_with(']') => {
            (host, Some(port.parse().ok().filter(|number: &u16| number.to_string() == port)?))
        }
        _ => (authority, None),
    };
    // A name may end with the root's dot; keys and pools would take it for another one.
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && !label.starts_with('-') && label.bytes().all(is_valid)
    };
    let valid = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_label),
    };
    valid.then_some((host, port))
}

/// Whether a host is this machine. Names below `localhost` are not trusted: some resolvers ask others for them.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a base URL points to this machine.
pub(crate) fn is_on_this_machine(base: &str) -> bool {
    host_and_port(host(base)).is_some_and(|(host, _)| is_loopback(host))
}

/// The host of a base URL, with its port if it has one.
pub(crate) fn host(base: &str) -> &str {
    base.split_once("://").map_or(base, |(_, rest)| rest.split('/').next().unwrap_or(rest))
}

/// What replaces the key in a text.
const REDACTED: &str = "[key]";

/// An API key, as the value of the `Authorization` header. Nothing prints it.
#[derive(Clone)]
pub(crate) struct Key(String);

impl Key {
    const SCHEME: &str = "Bearer ";

    /// Checks a key. The error is a sentence, without the key.
    pub(crate) fn new(key: &str) -> Result<Self, String> {
        let what = if key.is_empty() {
            "is empty"
        } else if key.trim().is_empty() {
            "is nothing but white space"
        } else if key.trim() != key {
            "has white space around it (a line break from a file?)"
        } else if key.starts_with("NOMIC_API_KEY=") {
            "begins with NOMIC_API_KEY=; give the value without the name"
        } else if key.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(Self::SCHEME)) {
            "begins with `Bearer `; give the key alone"
        } else if key.starts_with(['"', '\'']) || key.ends_with(['"', '\'']) {
            "is in quotes (from a settings file?)"
        } else if key.contains(char::is_whitespace) {
            "contains white space"
        } else if key.contains(char::is_control) {
            "contains a control character"
        } else if !key.is_ascii() {
            "contains a character that is not ASCII"
        } else {
            return Ok(Self(format!("{}{key}", Self::SCHEME)));
        };
        Err(format!("the API key {what}"))
    }

    /// The value of the `Authorization` header.
    pub(crate) fn authorization(&self) -> &str {
        &self.0
    }

    /// No key: nothing is redacted.
    pub(crate) fn none() -> Self {
        Self(Self::SCHEME.to_owned())
    }

    /// Text from outside, without the key: a server may echo what it was sent.
    pub(crate) fn redact(&self, text: &str) -> String {
        match &self.0[Self::SCHEME.len()..] {
            "" => text.to_owned(),
            key => text.replace(key, REDACTED),
        }
    }

    /// JSON without the key. Done after decoding: JSON has more than one way to write a character.
    pub(crate) fn redact_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.redact_value(item)).collect(),
            Value::Object(fields) => {
                fields.into_iter().map(|(name, value)| (self.redact(&name), self.redact_value(value))).collect()
            }
            other => other,
        }
    }

    /// The first bytes of a body as text, without the key: [`MAX_BODY_EXCERPT`](crate::error::MAX_BODY_EXCERPT) at most.
    pub(crate) fn excerpt(&self, body: &[u8]) -> String {
        let longer = &body[..body.len().min(4 * MAX_BODY_EXCERPT)];
        let mut text = self.redact(&String::from_utf8_lossy(longer));
        // The first part of a key may be at the end of what was redacted.
        let cut = if longer.len() < body.len() { self.0.len() } else { 0 };
        let end = text.len().saturating_sub(cut).min(MAX_BODY_EXCERPT);
        text.truncate((0..=end).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0));
        text
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_in_any_sensible_form_leads_to_the_same_base() {
        for text in [
            "acme",
            " acme ",
            "ACME",
            "acme.nomic.ai",
            "acme.nomic.ai/",
            "acme.nomic.ai/api/v0",
            "acme.nomic.ai.",
            "https://acme.nomic.ai",
            "https://acme.nomic.ai/",
            "HTTPS://Acme.Nomic.AI/api/v0/",
            "https://acme.nomic.ai/api",
        ] {
            assert_eq!(base_url(text, false).as_deref(), Ok("https://acme.nomic.ai/api/v0"), "{text}");
        }
        assert_eq!(base_url("acme.drive", false).as_deref(), Ok("https://acme.drive.nomic.ai/api/v0"));
        assert_eq!(
            base_url("team.drive-research.nomic.ai", false).as_deref(),
            Ok("https://team.drive-research.nomic.ai/api/v0")
        );
    }

    #[test]
    fn another_host_is_taken_as_it_stands() {
        for (text, base) in [
            ("http://127.0.0.1:4010", "http://127.0.0.1:4010"),
            ("http://127.0.0.1:4010/api/v0/", "http://127.0.0.1:4010/api/v0"),
            ("localhost:4010", "http://localhost:4010"),
            ("localhost", "http://localhost"),
            ("http://[::1]:4010/x", "http://[::1]:4010/x"),
            ("http://localhost.", "http://localhost"),
            ("http://localhost.:4010", "http://localhost:4010"),
            ("https://nomic.example.com/gateway/", "https://nomic.example.com/gateway"),
            ("nomic.example.com:8443", "https://nomic.example.com:8443"),
        ] {
            assert_eq!(base_url(text, false).as_deref(), Ok(base), "{text}");
        }
    }

    #[test]
    fn plain_http_is_refused_but_on_this_machine_or_when_allowed() {
        let error = base_url("http://acme.nomic.ai", false).unwrap_err();
        assert!(error.contains("unencrypted"), "{error}");
        assert_eq!(base_url("http://acme.nomic.ai", true).as_deref(), Ok("http://acme.nomic.ai/api/v0"));
        assert!(base_url("http://10.0.0.7:80", false).is_err());
        assert!(base_url("http://127.0.0.1.evil.example", false).is_err());
    }

    #[test]
    fn what_is_no_base_url_is_refused_with_a_reason() {
        for text in [
            "",
            "  ",
            "ftp://acme.nomic.ai",
            "https://",
            "https://user:pw@acme.nomic.ai",
            "https://acme.nomic.ai/api/v1",
            "https://acme.nomic.ai?x=1",
            "ac me",
            "acme..drive",
            "-acme",
            "https://acme.nomic.ai:99999",
            "http://localhost:+4010",
            "http://localhost:04010",
            "http://localhost:",
            "http://localhost..:4010",
            "http://.",
            "https://[::1",
            "ümlaut",
            "https://example.com/a b",
            "192.168.1.5",
            "nomic.ai",
            "https://nomic.ai",
            "acme.nomic",
            "acme.nomic.io",
            "npk_0123",
            "https//acme.nomic.ai",
            "http://x.localhost",
            "acme\r\nX-Evil: 1",
            "https://[x]",
        ] {
            assert!(base_url(text, false).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_bad_key_is_refused_with_the_reason_and_never_shown() {
        for (key, what) in [
            ("", "empty"),
            (" ", "nothing but"),
            ("npk_secret\n", "around"),
            ("npk_ secret", "contains white space"),
            ("npk_\0secret", "control"),
            ("\"npk_secret\"", "quotes"),
            ("npk_secrét", "not ASCII"),
            ("NOMIC_API_KEY=npk_secret", "without the name"),
            ("Bearer npk_secret", "the key alone"),
            ("bearer npk_secret", "the key alone"),
        ] {
            let error = Key::new(key).unwrap_err();
            assert!(error.contains(what), "{error}");
            assert!(!error.contains("npk_"), "{error}");
        }
        assert_eq!(format!("{:?}", Key::new("npk_secret").unwrap()), "Key(..)");
    }

    #[test]
    fn an_echoed_key_is_redacted() {
        let key = Key::new("npk_secret").unwrap();
        assert_eq!(key.redact("bad npk_secret, really npk_secret!"), "bad [key], really [key]!");
        assert_eq!(key.redact("fine"), "fine");
        let value = serde_json::json!({"npk_secret": ["npk_secret", 7]});
        assert_eq!(key.redact_value(value), serde_json::json!({"[key]": ["[key]", 7]}));
    }

    #[test]
    fn an_excerpt_of_a_body_shows_no_part_of_the_key() {
        let key = Key::new("npk_secret").unwrap();
        assert_eq!(key.excerpt(b"npk_secret\xff"), "[key]\u{fffd}");
        for before in 3 * MAX_BODY_EXCERPT..=4 * MAX_BODY_EXCERPT {
            let text = key.excerpt(format!("{}npk_secret and more", "npk_secret".repeat(before / 10)).as_bytes());
            assert!(text.len() <= MAX_BODY_EXCERPT && !text.contains("npk"), "{before}: {text}");
        }
    }
}
