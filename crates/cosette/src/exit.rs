//! How the process ends, by number. `docs/cli.md` lists them.

use std::process::ExitCode;

use cosette_control::client::CallError;

/// The function failed, the server is not quiet, or a call was refused.
pub(crate) const FAILED: u8 = 1;
/// What was asked makes no sense, or is not supported. Also clap's own.
pub(crate) const USAGE: u8 = 2;
/// No server at the endpoint.
pub(crate) const NOT_CONNECTED: u8 = 3;
/// The server could not start, or did not end well; or a data directory cannot be taken.
pub(crate) const NOT_SERVED: u8 = 4;
/// What is stored is damaged.
pub(crate) const DAMAGED: u8 = 5;

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    Usage(String),
    Call(CallError),
    Io(std::io::Error),
    /// Anything else, in words.
    Failed(String),
    /// The server's own words.
    NotServed(String),
    /// Damage; what is damaged has been printed, or is in these words.
    Damaged(String),
}

impl Failure {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Call(CallError::Endpoint(_)) => USAGE,
            Self::Call(CallError::Connect { .. }) => NOT_CONNECTED,
            Self::Call(CallError::Protocol { .. } | CallError::Api { .. } | CallError::Admin { .. })
            | Self::Io(_)
            | Self::Failed(_) => FAILED,
            Self::NotServed(_) => NOT_SERVED,
            Self::Damaged(_) => DAMAGED,
        }
    }

    /// Says why on standard error and gives the status to end with.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            // Who reads our output has seen enough: no failure.
            Self::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::Call(error @ CallError::Connect { .. }) => {
                eprintln!(
                    "cosette: {error}\nIs it running? Start it with `cosette serve`, or name another with --endpoint."
                );
            }
            Self::Call(error) => eprintln!("cosette: {error}"),
            Self::Io(error) => eprintln!("cosette: {error}"),
            Self::Usage(text) | Self::Failed(text) | Self::NotServed(text) | Self::Damaged(text) => {
                eprintln!("cosette: {text}");
            }
        }
        ExitCode::from(self.code())
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}
