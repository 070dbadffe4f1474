//! All we need of a log: append at an expected version, read, follow, deliver.
//!
//! One commit is one message, on the exact subject of its actor. Everything the runtime
//! promises rests on [`Journal::append`]: it stores only if nobody else wrote first.
//! A journal in memory, with the same promises, is to stand beside [`nats`].

pub(crate) mod nats;

use std::{fmt::Debug, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::{error::Error, subject::Shard};

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One stored commit, as bytes.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) subject: Arc<str>,
    pub(crate) sequence: u64,
    pub(crate) bytes: Bytes,
}

/// Some commits of one actor, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    /// Whether nothing comes after them. A batch also ends where it grows too large.
    pub(crate) is_last: bool,
}

/// Why a commit was not, or may not have been, stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AppendError {
    /// Somebody else wrote first, or our own earlier attempt did. Look before deciding again.
    #[error("another commit was first")]
    Conflict,
    /// No acknowledgement came. It may be stored, or still be on its way.
    #[error("no acknowledgement came")]
    Unknown,
    /// It was surely not stored.
    #[error("the journal does not take it: {0}")]
    Refused(String),
    /// It was surely not stored: it is larger than the server allows.
    #[error("it is larger than the server allows")]
    TooLarge,
}

/// The journal could not be read now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal could not be read: {0}")]
pub(crate) struct ReadError(pub(crate) String);

/// What a stream holds, and which stream it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// When the stream was created, in nanoseconds since 1970: another number, another stream.
    pub(crate) created: i128,
    pub(crate) last_sequence: u64,
}

/// The log of commits.
pub(crate) trait Journal: Debug + Send + Sync + 'static {
    /// Makes sure the shard's stream exists with exactly our settings.
    fn provision<'a>(&'a self, shard: &'a Shard) -> BoxFuture<'a, Result<(), Error>>;

    /// Stores `commit` for `id` if the actor's last commit is at `expected` (0: none yet).
    /// Returns the sequence it was stored at, once it is on disk.
    fn append<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
        expected: u64,
        commit: Bytes,
    ) -> BoxFuture<'a, Result<u64, AppendError>>;

    /// The actor's next commits after sequence `after`. May lag behind the latest write; an
    /// append then conflicts.
    fn read<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
        after: u64,
    ) -> BoxFuture<'a, Result<Batch, ReadError>>;

    /// The actor's next commits after sequence `after`, as the stream's leader has them: never
    /// lags.
    fn read_from_leader<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
        after: u64,
    ) -> BoxFuture<'a, Result<Batch, ReadError>>;

    /// The actor's last commit, as the stream's leader has it.
    fn last<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>>;

    /// The commit at `sequence`, as the stream's leader has it.
    fn at<'a>(
        &'a self,
        shard: &'a Shard,
        sequence: u64,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>>;

    fn bounds<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Bounds, ReadError>>;

    /// All commits of a stream from `sequence` on, in order, for as long as there is no fault.
    /// The caller follows again from where it was.
    fn follow<'a>(
        &'a self,
        stream: &'a str,
        sequence: u64,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Entry, ReadError>>, ReadError>>;

    /// Commits that `follower` has not acknowledged, surely, though perhaps more than once.
    fn deliver<'a>(
        &'a self,
        stream: &'a str,
        follower: &'a str,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Delivery, ReadError>>, ReadError>>;

    /// Writes a small message and waits for it to be on disk.
    fn probe<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<(), Error>>;
}

/// One commit handed to a follower, until it is acknowledged.
pub(crate) struct Delivery {
    pub(crate) entry: Entry,
    pub(crate) receipt: Box<dyn Receipt>,
}

/// How a follower tells the journal what became of a delivery.
pub(crate) trait Receipt: Send + Sync {
    /// It was carried out. May get lost, and the commit is then delivered again.
    fn done(&self) -> BoxFuture<'_, ()>;

    /// It is still being worked on: do not deliver it again yet.
    fn working(&self) -> BoxFuture<'_, ()>;
}
