//! Why a command ended badly: what is said of it, and the exit code.

use std::io;

use nomic_client::{Effect, Error, ErrorKind, TransportPhase};

/// Why a command ended badly.
pub(crate) enum Failure {
    /// What the client says.
    Client(Error),
    /// What acts may have been executed; how to see whether it was.
    Unsure(Error, String),
    /// The name of the server is not known, and nothing ever came from there.
    Nowhere(Error),
    /// The environment does not say where to go, or with which key.
    Settings(Error),
    /// The command line asks for what does not go, or names a file that does not; nothing was sent.
    Usage(String),
    /// There is no such thing.
    NotFound(String),
    /// Something on this machine.
    Local(String),
    /// Standard output.
    Output(io::Error),
    /// The agent was stopped before it had finished; the agent was shown.
    Stopped,
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
    /// As the help lists them.
    pub(crate) fn exit_code(&self) -> u8 {
        let error = match self {
            // Who reads has had enough: `nomic audit | head`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return 0,
            Self::Output(_) | Self::Local(_) => return 1,
            // Who tries again finds no server either: not one of those that may succeed later.
            Self::Settings(_) | Self::Usage(_) | Self::Nowhere(_) => return 2,
            Self::NotFound(_) => return 4,
            Self::Stopped => return 7,
            Self::Client(error) | Self::Unsure(error, _) => error,
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

    /// What to tell; nothing if nobody has to be told.
    pub(crate) fn words(&self) -> Option<String> {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Self::Output(error) => Some(format!("cannot write: {error}")),
            Self::Client(error) | Self::Nowhere(error) => Some(error.to_string()),
            Self::Unsure(error, look) => Some(format!("{error}\n{look}")),
            Self::Settings(error) => Some(format!(
                "{}\n\
                 Set NOMIC_API_KEY to a key from Nomic's Developer Console, and NOMIC_DOMAIN to your domain, such as acme;\n\
                 or try it on a Nomic in a box, with --demo.",
                // What a program in Rust can do stands in the client's words.
                error.to_string().replace(", or Builder::allow_plain_http", "")
            )),
            Self::Usage(words) | Self::NotFound(words) | Self::Local(words) => Some(words.clone()),
            Self::Stopped => Some("the agent was stopped".to_owned()),
        }
    }

    /// Judges a name that is not known: while nothing came from there, it is taken for a wrong one.
    pub(crate) fn judged(self, answered: bool) -> Self {
        match self {
            Self::Client(error) if !answered && name_is_unknown(&error) => Self::Nowhere(error),
            other => other,
        }
    }
}

/// Whether no connection was made, because there is no such name.
pub(crate) fn name_is_unknown(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Transport(error) => {
            error.phase == TransportPhase::Connect && error.message.starts_with("the name is not known")
        }
        ErrorKind::Job(error) => error.source.as_ref().is_some_and(name_is_unknown),
        _ => false,
    }
}
