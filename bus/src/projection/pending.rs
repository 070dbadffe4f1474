//! Rows that a batch has touched, held in memory until they are written.

use std::{
    collections::{
        BTreeMap,
        btree_map::Entry::{Occupied, Vacant},
    },
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    Fold, IndexEntry, Projection,
    store::{Broken, Changes, Store, StoredRow},
    watch::Changed,
};
use crate::{following::reaction::recorded, journal::Entry, model::actor::Actor};

/// Folds one commit into rows held in memory.
pub(crate) type FoldOne<P> = fn(&Store, &mut Pending<P>, &Entry) -> Result<Outcome, Broken>;

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Folded,
    /// It is no commit of this kind; for this reason.
    Skipped(String),
    /// Newer code can read it; folding waits for that.
    Newer(String),
}

/// The fold of kind `A` into `P`.
///
/// What cannot be decoded is passed over as a whole, and every row goes on without it: the actor
/// it claims to be of is the one that refuses to load. What newer code has stored is not passed
/// over: the rows of this node stay as they are, not whole, until newer code folds on.
pub(crate) fn fold_of<P: Fold<A>, A: Actor>() -> FoldOne<P> {
    |store, pending, entry| {
        let events = match recorded::<A>(entry) {
            Ok((_, events)) => events,
            Err(trouble) if trouble.is_hopeless => return Ok(Outcome::Skipped(trouble.reason)),
            Err(trouble) => return Ok(Outcome::Newer(trouble.reason)),
        };
        for event in &events {
            for key in P::rows(event) {
                pending.row(store, key.clone())?.fold(&key, event);
            }
        }
        Ok(Outcome::Folded)
    }
}

/// A commit that cannot be folded now, and must not be passed over.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("commit {sequence} cannot be folded: {reason}")]
pub(super) struct Stuck {
    sequence: u64,
    reason: String,
}

/// What the entries change in the rows; the messages that are passed over, and why. Entries
/// that cannot be folded now are taken off the end.
pub(super) type AllFolded<P> = (Pending<P>, Vec<(u64, String)>, Option<Stuck>);

pub(super) fn fold_all<P: Projection>(
    fold: FoldOne<P>,
    store: &Store,
    entries: &mut Vec<Entry>,
) -> Result<AllFolded<P>, Broken> {
    let mut stuck = None;
    'anew: loop {
        let (mut pending, mut skipped) = (Pending::new(), Vec::new());
        for (place, entry) in entries.iter().enumerate() {
            let sequence = entry.sequence;
            let outcome = catch_unwind(AssertUnwindSafe(|| fold(store, &mut pending, entry)));
            let reason = match outcome {
                Ok(Ok(Outcome::Folded)) => continue,
                Ok(Ok(Outcome::Skipped(reason))) => {
                    skipped.push((sequence, reason));
                    continue;
                }
                Ok(Ok(Outcome::Newer(reason))) => reason,
                Ok(Err(broken)) => return Err(broken),
                Err(_) => "the fold panicked".to_owned(),
            };
            // The row it was folded into may be half changed: those before it, once more.
            stuck = Some(Stuck { sequence, reason });
            entries.truncate(place);
            continue 'anew;
        }
        return Ok((pending, skipped, stuck));
    }
}

/// Rows that a batch has touched.
pub(crate) struct Pending<P> {
    rows: BTreeMap<String, Touched<P>>,
}

struct Touched<P> {
    row: P,
    before: Option<StoredRow>,
    listed_before: Vec<IndexEntry>,
}

impl<P: Projection> Pending<P> {
    pub(crate) fn new() -> Self {
        Self { rows: BTreeMap::new() }
    }

    fn row(&mut self, store: &Store, key: String) -> Result<&mut P, Broken> {
        match self.rows.entry(key) {
            Occupied(touched) => Ok(&mut touched.into_mut().row),
            Vacant(place) => {
                let before = store.row(place.key())?;
                let (row, listed_before) = match &before {
                    None => (P::default(), Vec::new()),
                    Some(stored) => {
                        let row: P = rmp_serde::from_slice(&stored.bytes)
                            .map_err(|e| Broken(format!("a row cannot be decoded: {e}")))?;
                        let listed = distinct(row.index());
                        (row, listed)
                    }
                };
                Ok(&mut place.insert(Touched { row, before, listed_before }).row)
            }
        }
    }

    /// What is to be written, and what watchers are to be told, if there are any.
    pub(crate) fn into_changes(self, is_watched: bool) -> Result<(Changes, Vec<Changed>), Broken> {
        let (mut changes, mut changed) = (Changes::default(), Vec::new());
        for (key, Touched { row, before, listed_before }) in self.rows {
            let listed = distinct(row.index());
            for entry in listed_before.iter().filter(|entry| !listed.contains(entry)) {
                changes.remove_index(&key, entry);
            }
            for entry in listed.iter().filter(|entry| !listed_before.contains(entry)) {
                changes.put_index(&key, entry);
            }
            let bytes = rmp_serde::to_vec_named(&row)
                .map_err(|e| Broken(format!("a row cannot be written: {e}")))?;
            changes.put_row(&key, &bytes, before.as_ref());
            if is_watched {
                changed.push(Changed {
                    key: key.into(),
                    bytes: bytes.into(),
                    listed,
                    listed_before,
                });
            }
        }
        Ok((changes, changed))
    }
}

/// A row that is listed twice in the same place is there once.
fn distinct(mut entries: Vec<IndexEntry>) -> Vec<IndexEntry> {
    entries.sort();
    entries.dedup();
    entries
}
