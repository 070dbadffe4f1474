//! Keeping the rows of one projection up to date, whatever becomes of them.
//!
//! The runner owns the rows of one projection: it opens them, throws them away if they are broken
//! or not of this journal, and has them take over from older ones when they are whole.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Projection,
    blocking::run_blocking,
    opening::{Fit, FitError, fit, open_old, open_rows, remove_others, set_aside, store_name},
    pending::FoldOne,
    state::{Folded, View},
    store::{Broken, Changes, Checkpoint, Store},
    stream::OneStream,
};
use crate::{
    journal::{Bounds, Journal},
    limits::{ASK_AGAIN_AFTER_MAX, RETRY_AFTER_MAX, ROWS_WRITE_DEADLINE},
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
        let (mut wait, mut began) = (Duration::ZERO, Instant::now());
        while !stop.is_cancelled() {
            let store = match current.take() {
                Some(store) => Ok(store),
                None => self.open_anew().await,
            };
            let folded = match store {
                Ok(store) => {
                    let broken = store.broken.clone();
                    let folded = self.fold_into(store, &journal, &stop).await;
                    folded.map(|()| broken.is_cancelled())
                }
                Err(error) => Err(error),
            };
            let was_broken = folded.unwrap_or_else(|error| {
                error!(projection = P::NAME, %error, "the rows cannot be used");
                true
            });
            if began.elapsed() > RETRY_AFTER_MAX * 2 {
                wait = Duration::ZERO;
            }
            // Once, they are folded again at once; what breaks them again and again may be us.
            if was_broken {
                pause(wait, &stop).await;
                wait = (wait * 2).clamp(ASK_AGAIN_AFTER_MAX, RETRY_AFTER_MAX);
            }
            began = Instant::now();
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

pub(super) async fn pause(time: Duration, stop: &CancellationToken) {
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
pub(super) async fn bounds_of(
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
