//! A command as it waits in a mailbox: read off the wire, not yet decided.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::{
    limits::{ASK_TIMEOUT_MAX, REPLY_TIMEOUT},
    model::id::{Key, hex},
    wire::{encoding::Encoding, envelope::RequestHeaders},
};

/// A command, ready to be decided.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) name: Box<str>,
    pub(crate) headers: RequestHeaders,
    pub(crate) key: Key,
    pub(crate) encoding: Encoding,
    pub(crate) body: Bytes,
    pub(crate) deadline: Instant,
}

impl Command {
    /// Fingerprint of what was asked: the same key must come with the same.
    pub(crate) fn digest(&self) -> String {
        let hash = Sha256::new().chain_update(self.name.as_bytes()).chain_update([0]);
        hex(&hash.chain_update(&self.body).finalize()[..16])
    }
}

/// The deadline of a command that arrives now.
pub(crate) fn deadline(budget: Option<Duration>) -> Instant {
    Instant::now() + budget.unwrap_or(REPLY_TIMEOUT).min(ASK_TIMEOUT_MAX)
}
