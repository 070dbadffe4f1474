//! Small values under keys: which nodes there are, and snapshots. Nothing here is the truth.

use std::{fmt::Debug, time::Duration};

use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::{AppendError, BoxFuture, ReadError};
use crate::wire::error::Error;

/// A value under its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) key: String,
    pub(crate) value: Bytes,
}

/// What a watcher of a bucket is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Put(Cell),
    /// Removed, or not renewed in time.
    Gone(String),
    /// All that was there when watching began has been told.
    Told,
}

/// Buckets of values under keys.
pub(crate) trait Cells: Debug + Send + Sync + 'static {
    /// Makes sure the bucket exists with our settings.
    fn provision_bucket<'a>(&'a self, bucket: &'a str) -> BoxFuture<'a, Result<(), Error>>;

    /// Puts a value, over whatever was there. With a time to live, it is gone unless put again
    /// before that is over.
    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        value: Bytes,
        time_to_live: Option<Duration>,
    ) -> BoxFuture<'a, Result<(), AppendError>>;

    fn get<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<Bytes>, ReadError>>;

    /// Removes the value; none there is fine.
    fn take_away<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<(), AppendError>>;

    /// All that is in the bucket, then every change, for as long as there is no fault.
    fn watch<'a>(
        &'a self,
        bucket: &'a str,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Change, ReadError>>, ReadError>>;
}
