//! Why a command failed: its error message and its exit code.

use std::{env, io};

use nomic_client::{Effect, Error, ErrorKind, TransportPhase};

/// Why a command failed.
pub(crate) enum Failure {
    /// An error of the client.
    Client(Error),
    /// A write may have been executed. The string says how to check.
    OutcomeUnknown(Error, String),
    /// The host name does not resolve, and the service has never responded.
    UnknownHost(Error),
    /// The environment variables are incomplete or invalid.
    Config(Error),
    /// The command line is invalid, or names a file that cannot be used. Nothing was sent.
    Usage(String),
    /// The object does not exist.
    NotFound(String),
    /// An error on this machine.
    Local(String),
    /// Standard output cannot be written to.
    Output(io::Error),
    /// The agent was stopped before it finished. It has already been printed.
    AgentStopped,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Failure {
    /// The exit code, as documented in the help text.
    pub(crate) fn exit_code(&self) -> u8 {
        let error = match self {
            // The reader closed the pipe, as in `nomic audit | head`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return 0,
            Self::Output(_) | Self::Local(_) => return 1,
            // An unknown host is not 5: a script that retries would never succeed.
            Self::Config(_) | Self::Usage(_) | Self::UnknownHost(_) => return 2,
            Self::NotFound(_) => return 4,
            Self::AgentStopped => return 7,
            // The job was started, and can be waited for.
            Self::OutcomeUnknown(error, _) if error.job().is_some() => return 8,
            Self::Client(error) | Self::OutcomeUnknown(error, _) => error,
        };
        match error.kind() {
            ErrorKind::Config(_) | ErrorKind::InvalidRequest(_) => 2,
            _ if error.is_job_failed() => 7,
            _ if error.is_unauthorized() || error.is_forbidden() => 3,
            _ if error.is_not_found() => 4,
            _ if error.effect() != Effect::None => 6,
            ErrorKind::Job(_) if error.is_transient() => 8,
            _ if error.is_transient() || error.is_rate_limited() => 5,
            _ => 1,
        }
    }

    /// The error message; `None` if the reader closed the pipe.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Self::Output(error) => Some(format!("cannot write to standard output: {error}")),
            Self::Client(error) | Self::UnknownHost(error) => Some(error.to_string()),
            Self::OutcomeUnknown(error, hint) => Some(format!("{error}\n{hint}")),
            Self::Config(error) => {
                // The client's message also names an option of its Rust API.
                let message = error.to_string().replace(", or Builder::allow_plain_http", "");
                let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
                if is_set("NOMIC_API_KEY") && (is_set("NOMIC_DOMAIN") || is_set("NOMIC_BASE_URL")) {
                    return Some(message);
                }
                Some(format!(
                    "{message}\n\
                     Set NOMIC_API_KEY to a key from Nomic's Developer Console, and NOMIC_DOMAIN to your domain, e.g. acme;\n\
                     or pass --demo to use an emulator."
                ))
            }
            Self::Usage(message) | Self::NotFound(message) | Self::Local(message) => Some(message.clone()),
            Self::AgentStopped => Some("the agent was stopped".to_owned()),
        }
    }

    /// Whether the same request for another object would fail as well.
    pub(crate) fn affects_all(&self) -> bool {
        match self {
            Self::Client(error) => {
                error.is_unauthorized() || error.is_forbidden() || error.is_rate_limited() || error.is_unreachable()
            }
            Self::Local(_) | Self::NotFound(_) => false,
            _ => true,
        }
    }

    /// Turns a DNS failure into [`UnknownHost`](Self::UnknownHost), unless the service has responded before.
    pub(crate) fn classify_host(self, responded: bool) -> Self {
        match self {
            Self::Client(error) if !responded && is_unknown_host(&error) => Self::UnknownHost(error),
            other => other,
        }
    }
}

/// Whether the connection failed because the host name does not resolve.
pub(crate) fn is_unknown_host(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Transport(error) => {
            let cause = error.source.as_ref().map(std::io::Error::kind);
            error.phase == TransportPhase::Connect && cause == Some(std::io::ErrorKind::NotFound)
        }
        ErrorKind::Job(error) => error.source.as_ref().is_some_and(is_unknown_host),
        _ => false,
    }
}
