//! What can go wrong on SSH, in our words; it answers what the caller has to know and shows no type of the library.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

/// A connection or command that failed.
#[derive(Debug, Error)]
pub enum SshError {
    /// The TCP connection failed.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Nothing answered in time.
    #[error("{what} took longer than {after:?}")]
    Slow {
        /// What was waited for.
        what: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The connection broke, or the server ended it.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// Someone else answers there.
    #[error("the host key is {got} instead of {expected}")]
    WrongHostKey {
        /// The fingerprint of the pinned key, or of several.
        expected: String,
        /// The fingerprint of the key shown, or what was shown instead of one.
        got: String,
    },
    /// The server does not take our key for this user.
    #[error("the server does not accept the manager's key for user {user}")]
    AuthRefused {
        /// The user.
        user: String,
    },
    /// The server speaks no SSH, or none that we accept.
    #[error("no common SSH: {0}")]
    Protocol(String),
    /// The server lets us in but opens no session or starts no command.
    #[error("the server refuses to run commands: {0}")]
    CommandRefused(String),
    /// The command wrote more than it may.
    #[error("the command wrote more than {limit_bytes} bytes")]
    TooMuchOutput {
        /// The limit.
        limit_bytes: usize,
    },
    /// A line is longer than it may be.
    #[error("a line is longer than {limit_bytes} bytes")]
    LineTooLong {
        /// The limit.
        limit_bytes: usize,
    },
}

impl SshError {
    /// Whether someone with another host key answers at this address.
    pub fn is_wrong_host_key(&self) -> bool {
        matches!(self, Self::WrongHostKey { .. })
    }

    /// Whether nobody answers, or no longer: trying again may help by itself.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Slow { .. } | Self::Lost(_))
    }

    /// Whether the worker is there but does not do what a worker does.
    pub fn is_refused(&self) -> bool {
        match self {
            Self::AuthRefused { .. }
            | Self::Protocol(_)
            | Self::CommandRefused(_)
            | Self::TooMuchOutput { .. }
            | Self::LineTooLong { .. } => true,
            Self::Connect { .. } | Self::Slow { .. } | Self::Lost(_) | Self::WrongHostKey { .. } => false,
        }
    }
}

impl From<russh::Error> for SshError {
    /// What ends a handshake or session before or after we know more.
    fn from(error: russh::Error) -> Self {
        use russh::Error as E;
        match error {
            E::Disconnect | E::HUP | E::SendError | E::RecvError => Self::Lost("closed by the other side".into()),
            E::KeepaliveTimeout => Self::Lost("no answer to keep-alives".into()),
            E::IO(error) => Self::Lost(error.to_string()),
            E::Join(_) => Self::Lost("the session ended".into()),
            E::ChannelOpenFailure(reason) => Self::CommandRefused(format!("{reason:?}")),
            other => Self::Protocol(other.to_string()),
        }
    }
}

/// Text from the other side, made fit for a log line: one line, no control characters, not long.
pub(crate) fn plain(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    let mut words = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    let mut line = words.next().unwrap_or_default().to_owned();
    for word in words {
        if line.len() > CHARS_MAX * 4 {
            break;
        }
        line.push(' ');
        line.push_str(word);
    }
    match line.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_exactly_one_meaning() {
        let errors = [
            SshError::Connect { address: ([10, 0, 0, 1], 22).into(), source: io::ErrorKind::ConnectionRefused.into() },
            SshError::Slow { what: "connecting", after: Duration::from_secs(3) },
            SshError::Lost("x".into()),
            SshError::WrongHostKey { expected: "a".into(), got: "b".into() },
            SshError::AuthRefused { user: "admin".into() },
            SshError::Protocol("x".into()),
            SshError::CommandRefused("x".into()),
            SshError::TooMuchOutput { limit_bytes: 1 },
            SshError::LineTooLong { limit_bytes: 1 },
        ];
        for error in errors {
            let answers = [error.is_wrong_host_key(), error.is_unreachable(), error.is_refused()];
            assert_eq!(answers.iter().filter(|yes| **yes).count(), 1, "{error}");
        }
    }

    #[test]
    fn foreign_text_becomes_one_short_plain_line() {
        assert_eq!(plain("  sudo:\tnot\nallowed\x1b[31m \u{7}"), "sudo: not allowed [31m");
        assert_eq!(plain(&"ä".repeat(1000)).chars().count(), 201);
        assert_eq!(plain(""), "");
    }
}
