//! Messages that are no commits and are kept surely: tells, timers, dead letters.

use std::fmt::Debug;

use async_nats::HeaderMap;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{AppendError, Batch, BoxFuture, Entry, ReadError, Source};
use crate::{
    model::{commit::Position, time::Timestamp},
    wire::error::Error,
};

/// A message about to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// When a schedule stores its letter. Stored in commits: the names stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum When {
    /// Once, never before this moment. A moment that has passed means now.
    #[serde(rename = "at")]
    At(Timestamp),
    /// Again and again: a six-field cron expression in UTC, `@hourly` and its like, or
    /// `@every 90s`.
    #[serde(rename = "every")]
    Every(String),
}

/// A letter that the journal itself stores later, even if every node is down then.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// The subject the schedule is kept under: another one of that name replaces it.
    pub(crate) name: String,
    pub(crate) when: When,
    /// Schedules of one name come from ever later ranks. Who arms or disarms with a lower rank
    /// than is armed has been overtaken on the way: it changes nothing, and that is no error.
    pub(crate) rank: u64,
    /// What is stored then, in the same stream.
    pub(crate) letter: Letter,
}

/// Where letters are kept: the streams of tells, timers and dead letters.
pub(crate) trait Post: Debug + Send + Sync + 'static {
    /// Makes sure the streams exist with exactly our settings.
    fn provision_post(&self) -> BoxFuture<'_, Result<(), Error>>;

    /// Stores a letter in the stream that has its subject. Returns where, once it is on disk.
    fn store<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, Result<Position, AppendError>>;

    /// Arms a schedule, replacing the one of the same name unless that has a higher rank.
    fn schedule<'a>(&'a self, schedule: &'a Schedule) -> BoxFuture<'a, Result<(), AppendError>>;

    /// Disarms the schedule of this name unless it has a higher rank; none there is fine.
    fn unschedule<'a>(&'a self, name: &'a str, rank: u64)
    -> BoxFuture<'a, Result<(), AppendError>>;

    /// Some letters of a stream whose subjects match `filter`, after sequence `after`, oldest
    /// first.
    fn letters<'a>(
        &'a self,
        stream: &'a str,
        filter: &'a str,
        after: u64,
    ) -> BoxFuture<'a, Result<Batch, ReadError>>;

    /// The letter at `sequence`.
    fn letter<'a>(
        &'a self,
        stream: &'a str,
        sequence: u64,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>>;

    /// Removes a letter for good. Says whether it was there.
    fn remove<'a>(
        &'a self,
        stream: &'a str,
        sequence: u64,
    ) -> BoxFuture<'a, Result<bool, ReadError>>;

    /// Removes for good what the source's follower has acknowledged without a gap, and returns
    /// the last sequence of that: many at once, where each alone would be a write of its own.
    /// Up to `swept` that has been done already.
    fn sweep<'a>(&'a self, source: &'a Source, swept: u64)
    -> BoxFuture<'a, Result<u64, ReadError>>;
}
