//! Rows on disk: sled, in a folder per projection and version. Only this file names sled.
//!
//! Rows, their index entries and the place in the journal are keys of one tree, and one batch
//! writes all three, so they can never disagree. What the disk loses, it loses together, and
//! it is folded again. All calls block.

use std::{
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{IndexEntry, Projection};
use crate::{error::Error, journal::Bounds, limits::ROW_CACHE_BYTES, time::Timestamp};

const ROW: u8 = b'r';
const INDEX: u8 = b'i';
const CHECKPOINT: u8 = b'c';

/// How far a stream is folded, and which stream that was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// When the stream was created: rows of another stream of that name are worthless.
    pub(crate) created: i128,
    pub(crate) sequence: u64,
}

impl Checkpoint {
    /// Whether what was folded is a beginning of what the stream holds.
    pub(crate) fn fits(&self, bounds: &Bounds) -> bool {
        self.created == bounds.created && self.sequence <= bounds.last_sequence
    }
}

/// The rows of one projection.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    tree: sled::Db,
}

/// What one write changes.
#[derive(Default)]
pub(crate) struct Changes {
    batch: sled::Batch,
}

impl Store {
    /// Opens the rows of `P`, made anew if the disk's are broken.
    pub(crate) fn open<P: Projection>(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(format!("{}-v{}", P::NAME, P::VERSION));
        let failed = |reason: String| Error::Rows { projection: P::NAME, reason };
        match open_tree(&path) {
            Ok(tree) => Ok(Self { tree }),
            Err(Fault::InUse) => {
                let reason = format!("{} is in use by another process", path.display());
                Err(failed(reason))
            }
            Err(Fault::Broken(reason)) => {
                let aside = set_aside(&path).map_err(|e| failed(format!("{reason}; {e}")))?;
                warn!(projection = P::NAME, reason, aside = %aside.display(), "broken rows were set aside; folding again");
                let tree = open_tree(&path).map_err(|e| failed(format!("{e:?}")))?;
                Ok(Self { tree })
            }
        }
    }

    pub(crate) fn checkpoint(&self, stream: &str) -> Result<Option<Checkpoint>, sled::Error> {
        let stored = self.tree.get(key(CHECKPOINT, stream.as_bytes()))?;
        // One that cannot be read is none: the rows are then folded again.
        Ok(stored.and_then(|bytes| rmp_serde::from_slice(&bytes).ok()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    /// Forgets every row. Cut off in the middle, it leaves rows without a checkpoint.
    pub(crate) fn clear(&self) -> Result<(), sled::Error> {
        self.tree.clear()
    }

    pub(crate) fn row(&self, row: &str) -> Result<Option<sled::IVec>, sled::Error> {
        self.tree.get(key(ROW, row.as_bytes()))
    }

    pub(crate) fn write(&self, changes: Changes) -> Result<(), sled::Error> {
        self.tree.apply_batch(changes.batch)
    }

    /// Keys of rows in their order, after `from`.
    pub(crate) fn scan_rows(&self, newest_first: bool, from: Option<&[u8]>) -> Option<Scan> {
        self.scan(vec![ROW], newest_first, from)
    }

    /// Index entries whose key begins as given, after `from`.
    pub(crate) fn scan_index(
        &self,
        index: &str,
        value: &str,
        is_prefix: bool,
        newest_first: bool,
        from: Option<&[u8]>,
    ) -> Option<Scan> {
        let mut prefix = vec![INDEX];
        prefix.extend_from_slice(index.as_bytes());
        prefix.push(0);
        prefix.extend_from_slice(value.as_bytes());
        if !is_prefix {
            prefix.push(0);
        }
        self.scan(prefix, newest_first, from)
    }

    /// None if `from` is no place in this list.
    fn scan(&self, prefix: Vec<u8>, newest_first: bool, from: Option<&[u8]>) -> Option<Scan> {
        use std::ops::Bound::{Excluded, Included};
        let mut past = prefix.clone();
        // The first byte of a prefix is one of ours, never 255, so there is a next prefix.
        while past.last() == Some(&u8::MAX) {
            past.pop();
        }
        if let Some(last) = past.last_mut() {
            *last += 1;
        }
        if from.is_some_and(|from| !from.starts_with(&prefix)) {
            return None;
        }
        let from = from.map(<[u8]>::to_vec);
        let range = match (from, newest_first) {
            (None, _) => (Included(prefix), Excluded(past)),
            (Some(from), false) => (Excluded(from), Excluded(past)),
            (Some(from), true) => (Included(prefix), Excluded(from)),
        };
        let entries = self.tree.range::<Vec<u8>, _>(range).keys();
        Some(if newest_first { Box::new(entries.rev()) } else { Box::new(entries) })
    }
}

/// Keys in the order asked for.
pub(crate) type Scan = Box<dyn Iterator<Item = Result<sled::IVec, sled::Error>>>;

impl Changes {
    pub(crate) fn put_row(&mut self, row: &str, bytes: Vec<u8>) {
        self.batch.insert(key(ROW, row.as_bytes()), bytes);
    }

    pub(crate) fn put_index(&mut self, row: &str, entry: &IndexEntry) {
        self.batch.insert(index_key(row, entry), Vec::new());
    }

    pub(crate) fn remove_index(&mut self, row: &str, entry: &IndexEntry) {
        self.batch.remove(index_key(row, entry));
    }

    pub(crate) fn put_checkpoint(&mut self, stream: &str, checkpoint: &Checkpoint) {
        let bytes = rmp_serde::to_vec_named(checkpoint).expect("two integers can be written");
        self.batch.insert(key(CHECKPOINT, stream.as_bytes()), bytes);
    }
}

fn key(space: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(rest.len() + 1);
    key.push(space);
    key.extend_from_slice(rest);
    key
}

/// `i <index> 0 <value> 0 <rank, 8 bytes> <row>`: neither name nor value holds a zero.
fn index_key(row: &str, entry: &IndexEntry) -> Vec<u8> {
    let mut key = key(INDEX, entry.index.as_bytes());
    key.push(0);
    key.extend_from_slice(entry.value.as_bytes());
    key.push(0);
    key.extend_from_slice(&entry.rank.to_be_bytes());
    key.extend_from_slice(row.as_bytes());
    key
}

/// The row a scanned key stands for, and the value it is listed under (none for a row's own
/// key).
pub(crate) fn parse_key(key: &[u8]) -> Option<(&str, Option<(&str, u64)>)> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    match key.split_first()? {
        (&ROW, row) => Some((text(row)?, None)),
        (&INDEX, rest) => {
            let mut parts = rest.splitn(3, |byte| *byte == 0);
            let (_index, value, tail) = (parts.next()?, parts.next()?, parts.next()?);
            let (rank, row) = tail.split_at_checked(8)?;
            let rank = u64::from_be_bytes(rank.try_into().ok()?);
            Some((text(row)?, Some((text(value)?, rank))))
        }
        _ => None,
    }
}

#[derive(Debug)]
enum Fault {
    InUse,
    Broken(String),
}

/// sled reports some broken files by panicking; here that is an error like the others.
fn open_tree(path: &Path) -> Result<sled::Db, Fault> {
    let open =
        AssertUnwindSafe(|| sled::Config::new().path(path).cache_capacity(ROW_CACHE_BYTES).open());
    match std::panic::catch_unwind(open) {
        Ok(Ok(tree)) => Ok(tree),
        Ok(Err(sled::Error::Io(error))) if error.kind() == std::io::ErrorKind::WouldBlock => {
            Err(Fault::InUse)
        }
        // Its lock error hides the kind.
        Ok(Err(error)) if error.to_string().contains("could not acquire lock") => Err(Fault::InUse),
        Ok(Err(error)) => Err(Fault::Broken(error.to_string())),
        Err(_) => Err(Fault::Broken("it panicked when opened".to_owned())),
    }
}

fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let aside = path.with_extension(format!("broken-{}", Timestamp::now().as_millis()));
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, Serialize, Deserialize)]
    struct Row;

    impl Projection for Row {
        const NAME: &'static str = "rows";
    }

    fn scanned(scan: Option<Scan>) -> Vec<String> {
        scan.expect("no cursor")
            .map(|key| {
                let key = key.expect("readable");
                parse_key(&key).expect("ours").0.to_owned()
            })
            .collect()
    }

    #[test]
    fn index_entries_come_in_order_and_by_prefix() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open::<Row>(folder.path()).expect("opens");
        let mut changes = Changes::default();
        for (row, value, rank) in
            [("a", "red", 3), ("b", "red", 1), ("c", "redwood", 2), ("d", "blue", 0)]
        {
            let entry = IndexEntry::new("word", value).ranked_by(Timestamp::from_millis(rank));
            changes.put_index(row, &entry);
        }
        store.write(changes).expect("written");
        let list = |value, is_prefix, newest_first| {
            scanned(store.scan_index("word", value, is_prefix, newest_first, None))
        };
        assert_eq!(list("red", false, false), ["b", "a"]);
        assert_eq!(list("red", false, true), ["a", "b"]);
        assert_eq!(list("red", true, false), ["b", "a", "c"]);
        assert_eq!(list("green", true, false), Vec::<String>::new());
    }

    #[test]
    fn broken_rows_are_set_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(Store::open::<Row>(folder.path()).expect("opens"));
        let log = folder.path().join("rows-v1").join("db");
        std::fs::remove_file(&log).expect("sled's log");
        std::fs::create_dir(&log).expect("writable");
        let store = Store::open::<Row>(folder.path()).expect("opens anew");
        assert_eq!(store.checkpoint("EVT_a_0").expect("readable"), None);
        let names = std::fs::read_dir(folder.path()).expect("readable");
        let aside = names.filter(|name| {
            name.as_ref().is_ok_and(|n| n.file_name().to_string_lossy().contains("broken"))
        });
        assert_eq!(aside.count(), 1);
    }

    #[test]
    fn rows_in_use_are_not_set_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let _first = Store::open::<Row>(folder.path()).expect("opens");
        let error = Store::open::<Row>(folder.path()).expect_err("in use");
        assert!(error.to_string().contains("in use"), "{error}");
    }
}
