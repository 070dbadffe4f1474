//! Folding: read streams in order, fold what they say into rows, write rows and place at once.
//!
//! The runner owns the rows of one projection: it opens them, throws them away if they are broken
//! or not of this journal, and has them take over from older ones when they are whole.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Projection,
    opening::{Fit, FitError, fit, open_old, open_rows, remove_others, set_aside, store_name},
    pending::{FoldOne, Outcome, Pending},
    progress::percent,
    state::{Folded, View, run_blocking},
    store::{Broken, Changes, Checkpoint, Store},
};
use crate::{
    journal::{Bounds, Entry, Journal},
    limits::{
        ASK_AGAIN_AFTER_MAX, FOLD_BATCH, FOLD_REPORT_EVERY, RETRY_AFTER_MAX, ROWS_WRITE_DEADLINE,
    },
    planted::Plant,
    wire::{error::BoxError, subject::Shard},
};

/// Keeps the rows of one projection up to date.
pub(crate) struct Runner<P> {
    pub(crate) view: Arc<View<P>>,
    pub(crate) folds: Vec<(Shard, FoldOne<P>)>,
}

impl<P: Projection> Runner<P> {
    /// Folds all streams until `stop`: into `store`, or, when that cannot be used, into another.
    pub(crate) async fn run(
        self,
        store: Store,
        journal: Arc<dyn Journal>,
        stop: CancellationToken,
    ) {
        let mut current = Some(store);
        while !stop.is_cancelled() {
            let store = match current.take() {
                Some(store) => Ok(store),
                None => self.open_anew().await,
            };
            let folded = match store {
                Ok(store) => self.fold_into(store, &journal, &stop).await,
                Err(error) => Err(error),
            };
            if let Err(error) = folded {
                error!(projection = P::NAME, %error, "the rows cannot be used");
                pause(RETRY_AFTER_MAX, &stop).await;
            }
        }
    }

    async fn open_anew(&self) -> Result<Store, BoxError> {
        Ok(open_rows(&self.view).await?)
    }

    /// Ends at `stop`, or when the rows cannot be used any more.
    async fn fold_into(
        &self,
        store: Store,
        journal: &Arc<dyn Journal>,
        stop: &CancellationToken,
    ) -> Result<(), BoxError> {
        match self.begin(&store, &**journal, stop).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(broken) => self.view.condemn(&store, &broken),
        }
        if !store.broken.is_cancelled() {
            self.fold_while_they_fit(&store, journal, stop).await;
        }
        let is_broken = store.broken.is_cancelled();
        self.view.state.send_modify(|state| {
            state.store = None;
            state.streams.values_mut().for_each(|folded| *folded = Folded::UNKNOWN);
        });
        if is_broken && !stop.is_cancelled() {
            self.view.watches.end_all("the rows are being folded again");
            set_aside(&self.view, store_name(P::NAME, P::VERSION)).await?;
        }
        // Letting go of rows on a disk writes what is not there yet.
        let blocks = self.view.shelf.blocks();
        Ok(run_blocking(blocks, ROWS_WRITE_DEADLINE, move || drop(store)).await?)
    }

    /// Makes sure that the rows are of this journal; false if they have to be opened anew.
    async fn begin(
        &self,
        store: &Store,
        journal: &dyn Journal,
        stop: &CancellationToken,
    ) -> Result<bool, Broken> {
        let (mut fits, mut places) = (true, Vec::new());
        for (shard, _) in &self.folds {
            let Some(at) = fit_of(store, journal, shard, stop).await? else { return Ok(false) };
            let Some(bounds) = bounds_of(journal, &shard.stream, stop).await else {
                return Ok(false);
            };
            fits &= at != Fit::Not;
            places.push((shard, bounds));
        }
        if !fits && !store.is_empty() {
            warn!(projection = P::NAME, "the rows are not of this journal; folding again");
            let shelf = self.view.shelf.clone();
            let blocks = shelf.blocks();
            let name = store_name(P::NAME, P::VERSION);
            // They may be older than the journal that was restored, and of use to somebody.
            run_blocking(blocks, ROWS_WRITE_DEADLINE, move || shelf.set_aside(&name)).await??;
            return Ok(false);
        }
        if !fits {
            let mut begin = Changes::default();
            for (shard, bounds) in &places {
                let checkpoint = Checkpoint { created: bounds.created, ..Checkpoint::default() };
                begin.put_checkpoint(&shard.stream, &checkpoint);
            }
            self.write(store, begin).await?;
        }
        let shards: Vec<Shard> = self.folds.iter().map(|(shard, _)| shard.clone()).collect();
        let old =
            if store.was_whole() { None } else { open_old(&self.view, journal, &shards).await };
        self.view.state.send_modify(|state| {
            state.store = Some(store.clone());
            state.old = old;
        });
        Ok(true)
    }

    async fn write(&self, store: &Store, changes: Changes) -> Result<(), Broken> {
        let (blocks, store) = (self.view.shelf.blocks(), store.clone());
        run_blocking(blocks, ROWS_WRITE_DEADLINE, move || store.write(changes)).await?
    }

    async fn fold_while_they_fit(
        &self,
        store: &Store,
        journal: &Arc<dyn Journal>,
        stop: &CancellationToken,
    ) {
        let fitting = stop.child_token();
        let each = self.folds.iter().map(|(shard, fold)| {
            let one = OneStream {
                view: self.view.clone(),
                store: store.clone(),
                shard: shard.clone(),
                fold: *fold,
            };
            one.run(journal.clone(), fitting.clone())
        });
        let folding = async {
            futures_util::future::join_all(each).await;
        };
        let until_broken = async {
            tokio::select! {
                biased;
                () = fitting.cancelled() => {}
                () = store.broken.cancelled() => fitting.cancel(),
            }
        };
        tokio::join!(folding, self.take_over(store, &fitting), until_broken);
    }

    /// When the rows are whole for the first time, those of other versions are let go.
    async fn take_over(&self, store: &Store, fitting: &CancellationToken) {
        let mut state = self.view.state.subscribe();
        tokio::select! {
            biased;
            () = fitting.cancelled() => return,
            whole = state.wait_for(super::state::State::is_whole) => {
                if whole.is_err() { return }
            }
        }
        let gate = self.view.gate.lock().await;
        let (blocks, noted) = (self.view.shelf.blocks(), store.clone());
        let noted = run_blocking(blocks, ROWS_WRITE_DEADLINE, move || noted.note_whole()).await;
        drop(gate);
        if let Err(broken) = noted.and_then(|noted| noted) {
            self.view.condemn(store, &broken);
            return;
        }
        info!(projection = P::NAME, version = P::VERSION, "the rows are whole");
        self.view.state.send_modify(|state| state.old = None);
        remove_others(&self.view).await;
    }
}

struct OneStream<P> {
    view: Arc<View<P>>,
    store: Store,
    shard: Shard,
    fold: FoldOne<P>,
}

impl<P: Projection> OneStream<P> {
    async fn run(self, journal: Arc<dyn Journal>, fitting: CancellationToken) {
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
                checkpoint = self.write(entries, checkpoint).await?;
                if Plant::CheckpointApart.is_here() {
                    self.write_apart(journal, &checkpoint).await?;
                }
                self.report(&checkpoint, bounds.last_sequence);
                pace.log::<P>(stream, checkpoint.sequence);
            }
            if let Some(fault) = fault {
                return Err(Trouble::Journal(fault.into()));
            }
        }
    }

    /// Writes what the entries change, and the place behind them.
    async fn write(&self, entries: Vec<Entry>, before: Checkpoint) -> Result<Checkpoint, Broken> {
        // One stream after another: two kinds may fold into the same row.
        let _one_at_a_time = self.view.gate.lock().await;
        let (store, fold, stream) = (self.store.clone(), self.fold, self.shard.stream.clone());
        let is_watched = self.view.watches.is_watched();
        let write = move || {
            let (mut pending, mut after) = (Pending::new(), before);
            for entry in &entries {
                if let Outcome::Skipped(reason) = fold(&store, &mut pending, entry)? {
                    let sequence = entry.sequence;
                    error!(projection = P::NAME, %stream, sequence, reason, "a message is passed over");
                    after.skipped += 1;
                }
            }
            if let Some(last) = entries.last() {
                after.sequence = last.sequence;
                after.mark = Checkpoint::mark_of(last);
            }
            let (mut changes, changed) = pending.into_changes(is_watched)?;
            if !Plant::CheckpointApart.is_here() {
                changes.put_checkpoint(&stream, &after);
            }
            store.write(changes)?;
            Ok((after, changed))
        };
        let blocks = self.view.shelf.blocks();
        let (after, changed) = run_blocking(blocks, ROWS_WRITE_DEADLINE, write).await??;
        let mut at = self.view.state.borrow().positions();
        for position in at.iter_mut().filter(|position| position.stream == self.shard.stream) {
            position.sequence = after.sequence;
        }
        self.view.watches.tell(&changed, &at);
        Ok(after)
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

async fn pause(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = sleep(time) => {}
    }
}

/// Where the rows stand in a stream, however long it takes to find out. `None` when stopped
/// meanwhile.
async fn fit_of(
    store: &Store,
    journal: &dyn Journal,
    shard: &Shard,
    stop: &CancellationToken,
) -> Result<Option<Fit>, Broken> {
    while !stop.is_cancelled() {
        match fit(store, journal, shard).await {
            Ok(fit) => return Ok(Some(fit)),
            Err(FitError::Rows(broken)) => return Err(broken),
            Err(FitError::Journal(error)) => {
                warn!(%error, "the journal does not answer");
                pause(ASK_AGAIN_AFTER_MAX, stop).await;
            }
        }
    }
    Ok(None)
}

/// What the stream holds, however long it takes to find out. `None` when stopped meanwhile.
async fn bounds_of(
    journal: &dyn Journal,
    stream: &str,
    stop: &CancellationToken,
) -> Option<Bounds> {
    while !stop.is_cancelled() {
        match journal.bounds(stream).await {
            Ok(bounds) => return Some(bounds),
            Err(error) => warn!(%error, "the journal does not answer"),
        }
        pause(ASK_AGAIN_AFTER_MAX, stop).await;
    }
    None
}
