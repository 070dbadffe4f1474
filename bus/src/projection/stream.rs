//! Folding one stream: from its checkpoint on, batch by batch, rows and place in one write.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Projection,
    blocking::run_blocking,
    fold::{bounds_of, pause},
    pending::{FoldOne, Stuck, fold_all},
    progress::percent,
    state::{Folded, View},
    store::{Broken, Changes, Checkpoint, Store},
};
use crate::{
    journal::{Entry, Journal},
    limits::{
        ASK_AGAIN_AFTER_MAX, FOLD_BATCH, FOLD_REPORT_EVERY, RETRY_AFTER_MAX, ROWS_WRITE_DEADLINE,
    },
    planted::Plant,
    wire::{error::BoxError, subject::Shard},
};

/// One stream of one projection.
pub(super) struct OneStream<P> {
    pub(super) view: Arc<View<P>>,
    pub(super) store: Store,
    pub(super) shard: Shard,
    pub(super) fold: FoldOne<P>,
}

impl<P: Projection> OneStream<P> {
    pub(super) async fn run(self, journal: Arc<dyn Journal>, fitting: CancellationToken) {
        let mut wait = ASK_AGAIN_AFTER_MAX;
        while !fitting.is_cancelled() {
            let started = Instant::now();
            match self.fold_on(&*journal, &fitting).await {
                Ok(()) => {}
                Err(Trouble::Rows(broken)) => self.view.condemn(&self.store, &broken),
                Err(Trouble::Journal(error)) => {
                    warn!(projection = P::NAME, stream = %self.shard.stream, %error, "folding was interrupted");
                }
            }
            // What fails at once, again and again, needs a person and not a hurry.
            let failed_soon = started.elapsed() < Duration::from_secs(5);
            wait = if failed_soon { (wait * 2).min(RETRY_AFTER_MAX) } else { ASK_AGAIN_AFTER_MAX };
            pause(wait, &fitting).await;
        }
    }

    /// Folds from the checkpoint on, until a fault or while the rows fit.
    async fn fold_on(
        &self,
        journal: &dyn Journal,
        fitting: &CancellationToken,
    ) -> Result<(), Trouble> {
        let stream = &self.shard.stream;
        let Some(bounds) = bounds_of(journal, stream, fitting).await else { return Ok(()) };
        let checkpoint = self.store.checkpoint(stream)?.unwrap_or_default();
        if !checkpoint.fits(&bounds) {
            // The runner looks again, and closer.
            fitting.cancel();
            return Ok(());
        }
        let mut pace = Pace::new(checkpoint.sequence, bounds.last_sequence);
        self.report(&checkpoint, bounds.last_sequence);
        if checkpoint.sequence < bounds.last_sequence {
            let (from, to) = (checkpoint.sequence, bounds.last_sequence);
            info!(projection = P::NAME, version = P::VERSION, %stream, from, to, "folding");
        }
        let entries = journal.follow(stream, checkpoint.sequence + 1).await;
        let entries = entries.map_err(|e| Trouble::Journal(e.into()))?;
        let mut batches = entries.ready_chunks(FOLD_BATCH);
        let mut checkpoint = checkpoint;
        loop {
            let batch = tokio::select! {
                biased;
                () = fitting.cancelled() => return Ok(()),
                batch = batches.next() => batch,
            };
            let Some(batch) = batch else { return Ok(()) };
            // What came before a fault is folded; the fault then ends this round.
            let (entries, fault) = until_fault(batch);
            if !entries.is_empty() {
                let target = bounds.last_sequence;
                let (written, stuck) = self.write(entries, checkpoint, target).await?;
                checkpoint = written;
                if Plant::CheckpointApart.is_here() {
                    self.write_apart(journal, &checkpoint).await?;
                }
                pace.log::<P>(stream, checkpoint.sequence);
                if let Some(stuck) = stuck {
                    // Elsewhere rows may go on: who watches asks anew.
                    self.view.watches.end_all("the rows are not kept up to date here");
                    return Err(Trouble::Journal(stuck.into()));
                }
            }
            if let Some(fault) = fault {
                return Err(Trouble::Journal(fault.into()));
            }
        }
    }

    /// Writes what the entries change, and the place behind them: behind all, or before the one
    /// that cannot be folded now.
    async fn write(
        &self,
        entries: Vec<Entry>,
        before: Checkpoint,
        target: u64,
    ) -> Result<(Checkpoint, Option<Stuck>), Broken> {
        // One stream after another: two kinds may fold into the same row.
        let _one_at_a_time = self.view.gate.lock().await;
        let (store, fold, stream) = (self.store.clone(), self.fold, self.shard.stream.clone());
        let is_watched = self.view.watches.is_watched();
        let write = move || {
            let mut entries = entries;
            let (pending, skipped, stuck) = fold_all(fold, &store, &mut entries)?;
            for (sequence, reason) in &skipped {
                error!(projection = P::NAME, %stream, sequence, reason, "a message is passed over");
            }
            let mut after = before;
            after.skipped += skipped.len() as u64;
            if let Some(last) = entries.last() {
                after.sequence = last.sequence;
                after.mark = Checkpoint::mark_of(last);
            }
            let (mut changes, changed) = pending.into_changes(is_watched)?;
            if !Plant::CheckpointApart.is_here() {
                changes.put_checkpoint(&stream, &after);
            }
            store.write(changes)?;
            Ok((after, changed, stuck))
        };
        let blocks = self.view.shelf.blocks();
        let (after, changed, stuck) = run_blocking(blocks, ROWS_WRITE_DEADLINE, write).await??;
        // Before anybody else sees or writes rows: what watchers are told has this place.
        self.report(&after, target);
        let at = self.view.state.borrow().positions();
        self.view.watches.tell(&changed, &at);
        Ok((after, stuck))
    }

    /// Only ever done by a planted bug: whoever dies in between has rows without their place.
    async fn write_apart(
        &self,
        journal: &dyn Journal,
        checkpoint: &Checkpoint,
    ) -> Result<(), Broken> {
        drop(journal.bounds(&self.shard.stream).await);
        let mut apart = Changes::default();
        apart.put_checkpoint(&self.shard.stream, checkpoint);
        self.store.write(apart)
    }

    fn report(&self, checkpoint: &Checkpoint, target: u64) {
        let Checkpoint { sequence, skipped, .. } = *checkpoint;
        self.view.state.send_modify(|state| {
            let folded = Folded { sequence, target, skipped };
            // Condemned rows are not spoken of any more.
            if state.store.is_some() {
                state.streams.insert(self.shard.stream.clone(), folded);
            }
        });
    }
}

/// Why folding a stream was interrupted.
enum Trouble {
    Rows(Broken),
    Journal(BoxError),
}

impl From<Broken> for Trouble {
    fn from(broken: Broken) -> Self {
        Self::Rows(broken)
    }
}

/// How fast a stream is caught up with, told now and then.
struct Pace {
    begun: u64,
    target: u64,
    since: Instant,
    told: Instant,
}

impl Pace {
    fn new(begun: u64, target: u64) -> Self {
        let now = Instant::now();
        Self { begun, target, since: now, told: now }
    }

    fn log<P: Projection>(&mut self, stream: &str, folded: u64) {
        if self.target <= self.begun || self.told.elapsed() < FOLD_REPORT_EVERY {
            return;
        }
        let per_second = (folded - self.begun) as f64 / self.since.elapsed().as_secs_f64();
        let (percent, per_second) = (percent(folded, self.target), per_second.round());
        info!(projection = P::NAME, stream, folded, percent, per_second, "folding");
        self.told = Instant::now();
        if folded >= self.target {
            self.begun = u64::MAX;
        }
    }
}

fn until_fault<E>(batch: Vec<Result<Entry, E>>) -> (Vec<Entry>, Option<E>) {
    let mut entries = Vec::with_capacity(batch.len());
    for entry in batch {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(fault) => return (entries, Some(fault)),
        }
    }
    (entries, None)
}
