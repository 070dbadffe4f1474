//! Folding: read a stream in order, fold what it says into rows, write rows and place at once.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Fold, IndexEntry, Projection,
    store::{Changes, Checkpoint, Store},
};
use crate::{
    actor::Actor,
    error::BoxError,
    journal::{Bounds, Entry, Journal},
    limits::{ASK_AGAIN_AFTER_MAX, FOLD_BATCH, RETRY_AFTER_MAX},
    reaction::recorded,
};

/// How far the rows are, by stream.
pub(crate) type Progress = HashMap<Arc<str>, Folded>;

/// How far one stream is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Folded {
    /// Everything up to here is in the rows.
    pub(crate) sequence: u64,
    /// What the stream held when folding began: until then the rows are not whole.
    pub(crate) target: u64,
}

/// Folds one commit into rows held in memory.
pub(crate) type FoldOne<P> = fn(&Store, &mut Pending<P>, &Entry) -> Result<(), BoxError>;

/// The fold of kind `A` into `P`.
pub(crate) fn fold_of<P: Fold<A>, A: Actor>() -> FoldOne<P> {
    |store, pending, entry| {
        let (_, events) = recorded::<A>(entry).map_err(|trouble| trouble.reason)?;
        for event in &events {
            if let Some(key) = P::row(event) {
                pending.row(store, key)?.fold(event);
            }
        }
        Ok(())
    }
}

/// Rows that a batch has touched.
pub(crate) struct Pending<P> {
    rows: HashMap<String, Touched<P>>,
}

struct Touched<P> {
    row: P,
    listed_before: Vec<IndexEntry>,
}

impl<P: Projection> Pending<P> {
    fn new() -> Self {
        Self { rows: HashMap::new() }
    }

    fn row(&mut self, store: &Store, key: String) -> Result<&mut P, BoxError> {
        use std::collections::hash_map::Entry::{Occupied, Vacant};
        match self.rows.entry(key) {
            Occupied(touched) => Ok(&mut touched.into_mut().row),
            Vacant(place) => {
                let stored = store.row(place.key())?;
                let (row, listed_before) = match stored {
                    None => (P::default(), Vec::new()),
                    Some(bytes) => {
                        let row: P = rmp_serde::from_slice(&bytes)?;
                        let listed = row.index();
                        (row, listed)
                    }
                };
                Ok(&mut place.insert(Touched { row, listed_before }).row)
            }
        }
    }

    fn into_changes(self) -> Result<Changes, BoxError> {
        let mut changes = Changes::default();
        for (key, Touched { row, listed_before }) in self.rows {
            let listed = row.index();
            for entry in listed_before.iter().filter(|entry| !listed.contains(entry)) {
                changes.remove_index(&key, entry);
            }
            for entry in listed.iter().filter(|entry| !listed_before.contains(entry)) {
                changes.put_index(&key, entry);
            }
            changes.put_row(&key, rmp_serde::to_vec_named(&row)?);
        }
        Ok(changes)
    }
}

/// Keeps the rows of one projection up to date.
pub(crate) struct Runner<P> {
    pub(crate) store: Store,
    pub(crate) folds: Vec<(Arc<str>, FoldOne<P>)>,
    pub(crate) progress: watch::Sender<Progress>,
}

impl<P: Projection> Runner<P> {
    /// Folds all streams until `stop`; from the first commit again if the rows are not theirs.
    pub(crate) async fn run(self, journal: Arc<dyn Journal>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.forget_what_does_not_fit(&*journal, &stop).await {
                error!(projection = P::NAME, %error, "the rows cannot be used");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep(RETRY_AFTER_MAX) => {}
                }
                continue;
            }
            self.fold_while_they_fit(&journal, &stop).await;
        }
    }

    /// Ends at `stop`, or when a stream turns out to be another one.
    async fn fold_while_they_fit(&self, journal: &Arc<dyn Journal>, stop: &CancellationToken) {
        let fitting = stop.child_token();
        // One stream after another within a step: two kinds may fold into the same row.
        let gate = Arc::new(tokio::sync::Mutex::new(()));
        let each = self.folds.iter().map(|(stream, fold)| {
            let one = OneStream {
                store: self.store.clone(),
                stream: stream.clone(),
                fold: *fold,
                progress: self.progress.clone(),
                gate: gate.clone(),
            };
            one.run(journal.clone(), fitting.clone())
        });
        futures_util::future::join_all(each).await;
    }

    /// Rows that were folded from other streams than are there now are dropped as a whole; so
    /// are rows without a place, which a clearing that was cut off leaves behind.
    async fn forget_what_does_not_fit(
        &self,
        journal: &dyn Journal,
        stop: &CancellationToken,
    ) -> Result<(), BoxError> {
        let (mut fits, mut begin) = (true, Changes::default());
        for (stream, _) in &self.folds {
            let Some(bounds) = bounds_of(journal, stream, stop).await else { return Ok(()) };
            fits &= match self.store.checkpoint(stream)? {
                Some(checkpoint) => checkpoint.fits(&bounds),
                None => false,
            };
            begin.put_checkpoint(stream, &Checkpoint { created: bounds.created, sequence: 0 });
        }
        if fits {
            return Ok(());
        }
        if !self.store.is_empty() {
            warn!(projection = P::NAME, "the rows are not of this journal; folding again");
        }
        self.progress.send_modify(|progress| {
            progress.values_mut().for_each(|folded| *folded = Folded::UNKNOWN);
        });
        self.store.clear()?;
        Ok(self.store.write(begin)?)
    }
}

impl Folded {
    /// Nothing is known of the stream: its rows cannot be whole.
    pub(crate) const UNKNOWN: Self = Self { sequence: 0, target: u64::MAX };
}

struct OneStream<P> {
    store: Store,
    stream: Arc<str>,
    fold: FoldOne<P>,
    progress: watch::Sender<Progress>,
    gate: Arc<tokio::sync::Mutex<()>>,
}

impl<P: Projection> OneStream<P> {
    async fn run(self, journal: Arc<dyn Journal>, fitting: CancellationToken) {
        let mut pause = ASK_AGAIN_AFTER_MAX;
        while !fitting.is_cancelled() {
            let started = tokio::time::Instant::now();
            if let Err(error) = self.fold_on(&*journal, &fitting).await {
                warn!(projection = P::NAME, stream = %self.stream, %error, "folding was interrupted");
            }
            // What fails at once, again and again, needs a person and not a hurry.
            let failed_soon = started.elapsed() < Duration::from_secs(5);
            pause =
                if failed_soon { (pause * 2).min(RETRY_AFTER_MAX) } else { ASK_AGAIN_AFTER_MAX };
            tokio::select! {
                () = fitting.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Folds from the checkpoint on, until a fault or while the rows fit.
    async fn fold_on(
        &self,
        journal: &dyn Journal,
        fitting: &CancellationToken,
    ) -> Result<(), BoxError> {
        let Some(bounds) = bounds_of(journal, &self.stream, fitting).await else { return Ok(()) };
        let checkpoint = self.store.checkpoint(&self.stream)?;
        if checkpoint.as_ref().is_some_and(|checkpoint| !checkpoint.fits(&bounds)) {
            fitting.cancel();
            return Err("the stream is another one than before".into());
        }
        let folded = checkpoint.map_or(0, |checkpoint| checkpoint.sequence);
        self.report(folded, bounds.last_sequence);
        if folded < bounds.last_sequence {
            info!(projection = P::NAME, stream = %self.stream, from = folded, to = bounds.last_sequence, "folding");
        }
        let entries = journal.follow(&self.stream, folded + 1).await?;
        let mut batches = entries.ready_chunks(FOLD_BATCH);
        loop {
            let batch = tokio::select! {
                () = fitting.cancelled() => return Ok(()),
                batch = batches.next() => batch,
            };
            let Some(batch) = batch else { return Ok(()) };
            let entries: Vec<Entry> = batch.into_iter().collect::<Result<_, _>>()?;
            let last = entries.last().map_or(folded, |entry| entry.sequence);
            let checkpoint = Checkpoint { created: bounds.created, sequence: last };
            self.write(entries, checkpoint).await?;
            self.report(last, bounds.last_sequence);
        }
    }

    async fn write(&self, entries: Vec<Entry>, checkpoint: Checkpoint) -> Result<(), BoxError> {
        let _one_at_a_time = self.gate.lock().await;
        let (store, fold, stream) = (self.store.clone(), self.fold, self.stream.clone());
        let write = tokio::task::spawn_blocking(move || {
            let mut pending = Pending::new();
            for entry in &entries {
                fold(&store, &mut pending, entry)
                    .map_err(|e| format!("commit {}: {e}", entry.sequence))?;
            }
            let mut changes = pending.into_changes()?;
            changes.put_checkpoint(&stream, &checkpoint);
            store.write(changes)?;
            Ok(())
        });
        write.await?
    }

    fn report(&self, sequence: u64, target: u64) {
        self.progress.send_modify(|progress| {
            progress.insert(self.stream.clone(), Folded { sequence, target });
        });
    }
}

/// What the stream holds, however long it takes to find out. `None` when stopped meanwhile.
async fn bounds_of(
    journal: &dyn Journal,
    stream: &str,
    stop: &CancellationToken,
) -> Option<Bounds> {
    loop {
        match journal.bounds(stream).await {
            Ok(bounds) => return Some(bounds),
            Err(error) => warn!(%error, "the journal does not answer"),
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = sleep(ASK_AGAIN_AFTER_MAX) => {}
        }
    }
}
