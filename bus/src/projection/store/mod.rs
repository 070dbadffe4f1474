//! Rows, their index entries and the place in the journal, as keys of one ordered store.
//!
//! One batch writes all three, so they can never disagree. What a disk loses, it loses together,
//! and it is folded again. Nothing read here is trusted: every value carries a checksum over its
//! key and itself, and a digest over all of them is checked when the store is opened; whatever
//! does not fit is [`Broken`], and the caller folds anew. All calls block.
//!
//! What keeps the bytes is behind [`RowStore`] and [`Shelf`]: sled on disk, a map in memory.

pub(crate) mod layout;
pub(crate) mod memory;
pub(crate) mod sled;

#[cfg(test)]
mod tests;

use std::{
    fmt::Debug,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use self::layout::{CHECKPOINT, META, ROW, index_key, index_prefix, key, open, seal, weight};
use super::IndexEntry;
use crate::{
    journal::{Bounds, Entry},
    limits::SCAN_BATCH,
};

/// The rows cannot be used any more: a read failed, or what was read is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(pub(crate) String);

/// Why a store could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    /// Another process has it open.
    #[error("in use by another process")]
    InUse,
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// A key with its value, or with nothing where it is to be removed.
pub(crate) type Write = (Vec<u8>, Option<Vec<u8>>);

/// A key with its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// Keys and values in the order of their keys. Implementations block, and never panic.
pub(crate) trait RowStore: Debug + Send + Sync + 'static {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Broken>;

    /// At most `count` pairs between two keys, from the first on or from the last.
    fn scan(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        backwards: bool,
        count: usize,
    ) -> Result<Vec<Pair>, Broken>;

    /// Writes all or nothing.
    fn write(&self, writes: Vec<Write>) -> Result<(), Broken>;
}

/// Where a node keeps its stores, each under a name.
pub(crate) trait Shelf: Debug + Send + Sync + 'static {
    /// Opens a store; an empty one, if there is none of this name.
    fn open(&self, name: &str) -> Result<Arc<dyn RowStore>, OpenError>;

    /// The stores there are, sorted.
    fn names(&self) -> Vec<String>;

    /// Puts what is broken out of the way, for a person to look at. Only a few are kept.
    fn set_aside(&self, name: &str) -> Result<(), Broken>;

    /// Forgets a store, unless another process has it open.
    fn remove(&self, name: &str) -> Result<(), OpenError>;

    /// Whether calls may take long and want a thread of their own. If not, they run where they
    /// are made, and a simulation can be repeated.
    fn blocks(&self) -> bool;
}

/// How far a stream is folded, and which stream that was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// When the stream was created: rows of another stream of that name are worthless.
    pub(crate) created: i128,
    pub(crate) sequence: u64,
    /// What the message at that sequence looked like: it holds the commit's id, so that a log
    /// restored from a backup and gone on differently is noticed. Nothing at sequence 0.
    pub(crate) mark: Box<str>,
    /// Messages that were passed over, because they are no commits or cannot be decoded.
    pub(crate) skipped: u64,
}

impl Checkpoint {
    /// Whether what was folded may be a beginning of what the stream holds.
    pub(crate) fn fits(&self, bounds: &Bounds) -> bool {
        self.created == bounds.created && self.sequence <= bounds.last_sequence
    }

    /// What [`Checkpoint::mark`] is of a message.
    pub(crate) fn mark_of(entry: &Entry) -> Box<str> {
        use sha2::{Digest, Sha256};
        crate::model::id::hex(&Sha256::digest(&entry.bytes)[..16]).into()
    }
}

/// What a store says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Meta {
    projection: Box<str>,
    version: u32,
    /// Rows and index entries, and the sum of their weights.
    entries: u64,
    digest: u64,
    /// Whether the rows were ever caught up: only then may they stand in for newer ones.
    was_whole: bool,
}

/// The rows of one projection in one version. A cheap handle.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    rows: Arc<dyn RowStore>,
    meta: Arc<Mutex<Meta>>,
    /// Cancelled by whoever finds that these rows cannot be used any more.
    pub(crate) broken: CancellationToken,
}

/// A row as it is stored.
#[derive(Debug)]
pub(crate) struct StoredRow {
    pub(crate) bytes: Vec<u8>,
    weight: u64,
}

/// What one write changes.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    writes: Vec<Write>,
    added: u64,
    removed: u64,
    digest: u64,
}

impl Store {
    /// Takes over what is in `rows`, if it is whole and of this projection and version.
    pub(crate) fn new(
        rows: Arc<dyn RowStore>,
        projection: &str,
        version: u32,
    ) -> Result<Self, Broken> {
        let empty = Meta {
            projection: projection.into(),
            version,
            entries: 0,
            digest: 0,
            was_whole: false,
        };
        let stored = rows.get(&[META])?;
        let meta = match stored {
            None => empty,
            Some(bytes) => decoded(open(&[META], &bytes)?)?,
        };
        if (&*meta.projection, meta.version) != (projection, version) {
            return Err(Broken(format!("these are rows of {} {}", meta.projection, meta.version)));
        }
        let found = weigh(&*rows)?;
        if found != (meta.entries, meta.digest) {
            let (found, noted) = (found.0, meta.entries);
            return Err(Broken(format!("{found} entries do not add up to the {noted} noted")));
        }
        Ok(Self { rows, meta: Arc::new(Mutex::new(meta)), broken: CancellationToken::new() })
    }

    pub(crate) fn version(&self) -> u32 {
        self.meta.lock().unwrap_or_else(PoisonError::into_inner).version
    }

    pub(crate) fn was_whole(&self) -> bool {
        self.meta.lock().unwrap_or_else(PoisonError::into_inner).was_whole
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.meta.lock().unwrap_or_else(PoisonError::into_inner).entries == 0
    }

    /// Notes that the rows are caught up.
    pub(crate) fn note_whole(&self) -> Result<(), Broken> {
        if self.was_whole() {
            return Ok(());
        }
        self.meta.lock().unwrap_or_else(PoisonError::into_inner).was_whole = true;
        self.write(Changes::default())
    }

    pub(crate) fn checkpoint(&self, stream: &str) -> Result<Option<Checkpoint>, Broken> {
        let key = key(CHECKPOINT, stream.as_bytes());
        let stored = self.rows.get(&key)?;
        stored.map(|bytes| decoded(open(&key, &bytes)?)).transpose()
    }

    pub(crate) fn row(&self, row: &str) -> Result<Option<StoredRow>, Broken> {
        let key = key(ROW, row.as_bytes());
        let Some(stored) = self.rows.get(&key)? else { return Ok(None) };
        let bytes = open(&key, &stored)?.to_vec();
        Ok(Some(StoredRow { bytes, weight: weight(&stored) }))
    }

    /// Writes the changes. One caller at a time.
    pub(crate) fn write(&self, changes: Changes) -> Result<(), Broken> {
        let Changes { mut writes, added, removed, digest } = changes;
        let mut meta = self.meta.lock().unwrap_or_else(PoisonError::into_inner);
        let mut after = meta.clone();
        let entries = (meta.entries + added).checked_sub(removed);
        after.entries = entries.ok_or_else(|| Broken("fewer rows than none".to_owned()))?;
        after.digest = meta.digest.wrapping_add(digest);
        writes.push((vec![META], Some(seal(&[META], &encoded(&after)))));
        self.rows.write(writes)?;
        *meta = after;
        Ok(())
    }

    /// Rows in the order of their keys, after `from`. None if `from` is no place in this list.
    pub(crate) fn scan_rows(&self, newest_first: bool, from: Option<&[u8]>) -> Option<Scan<'_>> {
        Scan::new(&*self.rows, vec![ROW], newest_first, from)
    }

    /// Index entries whose key begins as given, after `from`. None as above.
    pub(crate) fn scan_index(
        &self,
        index: &str,
        value: &str,
        is_prefix: bool,
        newest_first: bool,
        from: Option<&[u8]>,
    ) -> Option<Scan<'_>> {
        let prefix = index_prefix(index, value, is_prefix);
        Scan::new(&*self.rows, prefix, newest_first, from)
    }

    /// Whether any row is listed in `index`.
    pub(crate) fn has_index(&self, index: &str) -> Result<bool, Broken> {
        let mut scan = self.scan_index(index, "", true, false, None);
        Ok(scan.as_mut().and_then(Iterator::next).transpose()?.is_some())
    }
}

impl Changes {
    /// Writes a row in the place of the one that was `before`.
    pub(crate) fn put_row(&mut self, row: &str, bytes: &[u8], before: Option<&StoredRow>) {
        let key = key(ROW, row.as_bytes());
        let sealed = seal(&key, bytes);
        self.added += 1;
        self.digest = self.digest.wrapping_add(weight(&sealed));
        if let Some(before) = before {
            self.removed += 1;
            self.digest = self.digest.wrapping_sub(before.weight);
        }
        self.writes.push((key, Some(sealed)));
    }

    pub(crate) fn put_index(&mut self, row: &str, entry: &IndexEntry) {
        let key = index_key(row, entry);
        let sealed = seal(&key, &[]);
        self.added += 1;
        self.digest = self.digest.wrapping_add(weight(&sealed));
        self.writes.push((key, Some(sealed)));
    }

    pub(crate) fn remove_index(&mut self, row: &str, entry: &IndexEntry) {
        let key = index_key(row, entry);
        self.removed += 1;
        self.digest = self.digest.wrapping_sub(weight(&seal(&key, &[])));
        self.writes.push((key, None));
    }

    pub(crate) fn put_checkpoint(&mut self, stream: &str, checkpoint: &Checkpoint) {
        let key = key(CHECKPOINT, stream.as_bytes());
        let sealed = seal(&key, &encoded(checkpoint));
        self.writes.push((key, Some(sealed)));
    }
}

/// Pairs in the order asked for, each checked, read some at a time.
pub(crate) struct Scan<'a> {
    rows: &'a dyn RowStore,
    low: Bound<Vec<u8>>,
    high: Bound<Vec<u8>>,
    backwards: bool,
    ready: std::vec::IntoIter<Pair>,
    is_over: bool,
}

impl<'a> Scan<'a> {
    fn new(
        rows: &'a dyn RowStore,
        prefix: Vec<u8>,
        backwards: bool,
        from: Option<&[u8]>,
    ) -> Option<Self> {
        if from.is_some_and(|from| !from.starts_with(&prefix)) {
            return None;
        }
        let mut past = prefix.clone();
        // The first byte of a prefix is one of ours, never 255, so there is a next prefix.
        while past.last() == Some(&u8::MAX) {
            past.pop();
        }
        if let Some(last) = past.last_mut() {
            *last += 1;
        }
        let (mut low, mut high) = (Bound::Included(prefix), Bound::Excluded(past));
        match from {
            None => {}
            Some(from) if backwards => high = Bound::Excluded(from.to_vec()),
            Some(from) => low = Bound::Excluded(from.to_vec()),
        }
        let ready = Vec::new().into_iter();
        Some(Self { rows, low, high, backwards, ready, is_over: false })
    }

    fn read_on(&mut self) -> Result<(), Broken> {
        let slice = |bound: &'_ Bound<Vec<u8>>| bound.clone();
        let (low, high) = (slice(&self.low), slice(&self.high));
        let range = (low.as_ref().map(Vec::as_slice), high.as_ref().map(Vec::as_slice));
        let pairs = self.rows.scan(range, self.backwards, SCAN_BATCH)?;
        self.is_over = pairs.len() < SCAN_BATCH;
        if let Some((last, _)) = pairs.last() {
            let beyond = Bound::Excluded(last.clone());
            if self.backwards {
                self.high = beyond;
            } else {
                self.low = beyond;
            }
        }
        self.ready = pairs.into_iter();
        Ok(())
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<Pair, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.ready.next() {
                return Some(open(&key, &value).map(<[u8]>::to_vec).map(|value| (key, value)));
            }
            if self.is_over {
                return None;
            }
            if let Err(broken) = self.read_on() {
                self.is_over = true;
                return Some(Err(broken));
            }
        }
    }
}

/// Checks every value, and adds up rows and index entries.
fn weigh(rows: &dyn RowStore) -> Result<(u64, u64), Broken> {
    let (mut entries, mut digest) = (0, 0_u64);
    let mut low = Bound::Unbounded;
    loop {
        let range = (low.as_ref().map(Vec::as_slice), Bound::Unbounded);
        let pairs = rows.scan(range, false, SCAN_BATCH)?;
        for (key, value) in &pairs {
            open(key, value)?;
            if !matches!(key.first(), Some(&(META | CHECKPOINT))) {
                entries += 1;
                digest = digest.wrapping_add(weight(value));
            }
        }
        match pairs.into_iter().last() {
            Some((last, _)) => low = Bound::Excluded(last),
            None => return Ok((entries, digest)),
        }
    }
}

fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(value).expect("numbers and text can be written")
}

fn decoded<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Broken> {
    rmp_serde::from_slice(bytes).map_err(|e| Broken(format!("a note cannot be read: {e}")))
}
