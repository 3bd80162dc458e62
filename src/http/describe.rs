//! What ended an exchange, sorted and in words.

use std::io::{self, ErrorKind};

use ureq::Error;

use super::FailureKind;
use super::exchange::{Exchange, TimedOut};
use crate::text::truncate;

/// Sorts what ended the exchange of this thread; `responded` if the head of a response had come.
pub(super) fn failure_kind(error: Error, responded: bool) -> FailureKind {
    let exchange = Exchange::current();
    if let Some(limit) = exchange.timed_out {
        return timed_out(limit, &exchange);
    }
    let (message, permanent) = describe(&error);
    let malformed = matches!(error, Error::Protocol(_) | Error::LargeResponseHeader(..));
    // A proxy that does not speak HTTP is malformed too, before the request was handed over.
    let unsendable = matches!(error, Error::Http(_) | Error::BadUri(_)) || malformed && !exchange.connecting;
    if unsendable && !exchange.handed_over {
        return FailureKind::InvalidRequest(truncate(&error.to_string()));
    }
    let permanent = if exchange.handed_over { malformed && !responded } else { permanent };
    let source = match error {
        Error::Io(error) => Some(error),
        _ => None,
    };
    let timed_out = source.as_ref().is_some_and(|error| error.kind() == ErrorKind::TimedOut);
    FailureKind::Transport { message, timed_out, permanent, source }
}

fn timed_out(limit: TimedOut, exchange: &Exchange) -> FailureKind {
    let message = match limit {
        TimedOut::Deadline => return FailureKind::Deadline,
        TimedOut::Connect => "no connection within the connect timeout",
        TimedOut::Write if exchange.write_stalled => "the server stopped reading the request, and sent no response",
        TimedOut::Write => "the server stopped reading the request",
        TimedOut::Response => "none within the response timeout",
        TimedOut::Read => "the server sent nothing more",
    };
    FailureKind::Transport { message: message.to_owned(), timed_out: true, permanent: false, source: None }
}

/// An error in words, and whether it is permanent.
fn describe(error: &Error) -> (String, bool) {
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    if let Some((message, permanent)) = super::tls::describe(error) {
        return (truncate(&message), permanent);
    }
    let (message, permanent) = match error {
        Error::Io(error) => (describe_io(error), false),
        Error::ConnectProxyFailed(reason) => describe_proxy(reason),
        Error::Protocol(error) => match Exchange::current().other_protocol {
            Some(protocol) => (format!("the server does not speak HTTP/1.1, but {protocol}"), true),
            None => (format!("the response is not valid HTTP: {}", describe_protocol(&error.to_string())), true),
        },
        Error::LargeResponseHeader(..) => ("the headers of the response are too large".to_owned(), true),
        other => (other.to_string(), false),
    };
    (truncate(&message), permanent)
}

/// Without what the sentence around it says.
fn describe_protocol(words: &str) -> &str {
    ["http parse fail: ", "http parse resulted in "].iter().find_map(|start| words.strip_prefix(start)).unwrap_or(words)
}

fn describe_io(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "unknown host: check the domain, and that there is a network".to_owned(),
        ErrorKind::ConnectionRefused => "connection refused: nothing is listening there".to_owned(),
        // Windows also calls it aborted.
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => "the connection was reset".to_owned(),
        ErrorKind::UnexpectedEof => "the connection was closed early".to_owned(),
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NetworkDown => {
            "network unreachable".to_owned()
        }
        ErrorKind::TimedOut => "the connection timed out".to_owned(),
        _ => error.to_string(),
    }
}

/// What `ureq` says of a proxy ends in `responded 407/407`. A 4xx is permanent; a 5xx or silence may pass.
fn describe_proxy(reason: &str) -> (String, bool) {
    match reason.rsplit('/').next().and_then(|status| status.parse::<u16>().ok()) {
        Some(status) => {
            let permanent = (400..500).contains(&status) && !matches!(status, 408 | 429);
            (format!("proxy refused CONNECT: it answered {status}"), permanent)
        }
        None => (format!("proxy refused CONNECT: {reason}"), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_refuses_is_permanent_unless_time_may_mend_it() {
        let described = |status: &str| describe_proxy(&format!("proxy server responded {status}/{status}"));
        for status in ["400", "403", "407", "404"] {
            assert_eq!(described(status), (format!("proxy refused CONNECT: it answered {status}"), true));
        }
        for status in ["408", "429", "500", "502", "503"] {
            assert!(!described(status).1, "{status}");
        }
        assert!(!describe_proxy("proxy server did not respond").1);
    }

    #[test]
    fn a_failed_connection_has_the_same_words_on_every_system() {
        let refused = "connection refused: nothing is listening there";
        let (unreachable, reset) = ("network unreachable", "the connection was reset");
        // The codes of Winsock, and those of Linux.
        for (windows, linux, words) in [
            (10_061, 111, refused),
            (10_050, 100, unreachable),
            (10_051, 101, unreachable),
            (10_065, 113, unreachable),
            (10_053, 103, reset),
            (10_054, 104, reset),
            (10_060, 110, "the connection timed out"),
        ] {
            let code = if cfg!(windows) { windows } else { linux };
            if cfg!(any(windows, target_os = "linux")) {
                assert_eq!(describe_io(&io::Error::from_raw_os_error(code)), words, "{code}");
            }
        }
    }

    #[test]
    fn a_message_has_a_bounded_length() {
        let error = Error::Io(io::Error::other("é".repeat(5000)));
        assert!(describe(&error).0.chars().count() < 500);
    }
}
