//! All we need of a log: append at an expected version, read, follow, deliver.
//!
//! One commit is one message, on the exact subject of its actor. Everything the runtime
//! promises rests on [`Journal::append`]: it stores only if nobody else wrote first.
//! What else must be kept goes through its two siblings: [`Post`] for messages that are no
//! commits, [`Cells`] for small values under keys. All three have the same two makers.

pub(crate) mod cells;
#[cfg(test)]
mod conformance;
pub(crate) mod group;
pub(crate) mod nats;
pub(crate) mod post;

use std::{fmt::Debug, future::Future, pin::Pin, sync::Arc};

use async_nats::HeaderMap;
use bytes::Bytes;
use futures_util::stream::BoxStream;

pub(crate) use self::{cells::Cells, post::Post};
use crate::{
    model::time::Timestamp,
    wire::{error::Error, subject::Shard},
};

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One stored message: a commit, or a letter.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) subject: Arc<str>,
    pub(crate) sequence: u64,
    /// Empty for commits: what a commit says is in its bytes.
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

/// Which messages a follower is given: those of a stream whose subjects match the filter. Its
/// progress is kept under its name, one per stream.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) stream: Arc<str>,
    /// All subjects of the stream, if there is none.
    pub(crate) filter: Option<Arc<str>>,
    pub(crate) follower: Arc<str>,
}

/// Some commits of one actor, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    /// Whether nothing comes after them. A batch also ends where it grows too large.
    pub(crate) is_last: bool,
}

/// A commit to be stored together with others.
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    pub(crate) id: Arc<str>,
    /// Where the actor's last commit must be (0: none yet); none for a commit that comes behind
    /// another one of its actor among those that are stored together.
    pub(crate) expected: Option<u64>,
    pub(crate) bytes: Bytes,
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
    /// How many shards the kind was made with. One made by others, who say nothing, has one.
    fn shards<'a>(&'a self, kind: &'a str) -> BoxFuture<'a, Result<u32, ReadError>>;

    /// Makes sure the shard's stream exists with exactly our settings, and that its kind has as
    /// many shards as we think.
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

    /// Stores all of these commits or none, in their order and one right behind the other, if the
    /// last commit of each actor is where it is expected. Returns the first one's sequence, once
    /// all are on disk. [`AppendError::Unknown`] means that all are stored, or none. At most
    /// [`BATCH_MAX`](crate::limits::BATCH_MAX).
    fn append_all<'a>(
        &'a self,
        shard: &'a Shard,
        proposals: Vec<Proposal>,
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

    /// The last sequence of the stream that was stored before `time`, or a lower one: the actor's
    /// commits since `time` all come after it.
    fn before<'a>(
        &'a self,
        shard: &'a Shard,
        time: Timestamp,
    ) -> BoxFuture<'a, Result<u64, ReadError>>;

    fn bounds<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Bounds, ReadError>>;

    /// All commits of a stream from `sequence` on, in order, for as long as there is no fault.
    /// The caller follows again from where it was.
    fn follow<'a>(
        &'a self,
        stream: &'a str,
        sequence: u64,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Entry, ReadError>>, ReadError>>;

    /// What the source's follower has not acknowledged, surely, though perhaps more than once.
    /// Of all who ask for the same source one is given it at a time, mostly; when that one is
    /// gone, another.
    fn deliver<'a>(
        &'a self,
        source: &'a Source,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Delivery, ReadError>>, ReadError>>;

    /// Lets another client be given the source at once, if it was given to us.
    fn release<'a>(&'a self, source: &'a Source) -> BoxFuture<'a, ()>;

    /// Writes a small message and waits for it to be on disk.
    fn probe<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<(), Error>>;
}

/// One message handed to a follower, until it is acknowledged.
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
