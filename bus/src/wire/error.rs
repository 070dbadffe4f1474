//! Why a node cannot start or go on, and why a caller got no reply.

use std::time::Duration;

use crate::wire::failure::Failure;

/// The bus cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server could not be reached.
    #[error("cannot reach NATS at {url}")]
    Connect {
        /// Where it was looked for, without credentials.
        url: String,
        /// What the connection said.
        #[source]
        source: BoxError,
    },
    /// The server lacks something the promises rest on.
    #[error("this NATS server cannot be used: {0}")]
    Unfit(String),
    /// The server is there, but does not answer yet. Try again.
    #[error("this NATS server is not ready: {0}")]
    NotReady(String),
    /// A stream exists with other settings than ours.
    #[error("stream {stream} has a wrong setting: {setting}")]
    WrongStream {
        /// The stream.
        stream: String,
        /// The setting, what it is and what it must be.
        setting: String,
    },
    /// The journal refused or did not answer.
    #[error("the journal failed: {0}")]
    Journal(String),
    /// The rows on disk cannot be opened.
    #[error("the rows of `{projection}` cannot be opened: {reason}")]
    Rows {
        /// The projection.
        projection: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// There is no dead letter of this number: it was replayed or dropped, or never was.
    #[error("there is no dead letter {0}")]
    NoDeadLetter(u64),
    /// The body given for a dead letter cannot take the place of its own.
    #[error("the dead letter cannot be mended so: {0}")]
    Mended(String),
    /// The host was put together wrongly.
    #[error("{0}")]
    Misconfigured(String),
}

/// Any error, as a source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An ask that brought no reply. What matters is whether it may be asked again.
#[derive(Debug, thiserror::Error)]
pub enum AskError<E> {
    /// The actor understood and said no. Asking again gives the same answer.
    #[error(transparent)]
    Refused(E),
    /// It was not carried out, for the reason given; see [`ErrorBody::retry`].
    ///
    /// [`ErrorBody::retry`]: crate::ErrorBody::retry
    #[error(transparent)]
    Failed(Failure),
    /// No reply in time; the command may still be carried out. Ask again with the same key.
    #[error("no reply within {0:?}")]
    NoReply(Duration),
    /// A reply came that the reply's type cannot read: the two sides differ in version. The
    /// command was carried out.
    #[error("the reply cannot be read: {0}")]
    UnreadableReply(String),
}

impl<E> AskError<E> {
    /// Whether asking again, with the same key, may bring another answer.
    #[must_use]
    pub fn may_ask_again(&self) -> bool {
        match self {
            Self::Refused(_) | Self::UnreadableReply(_) => false,
            Self::Failed(failure) => failure.body.retry,
            Self::NoReply(_) => true,
        }
    }
}
