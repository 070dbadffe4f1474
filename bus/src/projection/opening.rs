//! Opening rows: whole ones or new ones, and older ones that may stand in for them.

use std::{collections::BTreeMap, sync::Arc};

use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::{
    Projection,
    state::{Old, View},
    store::{Broken, OpenError, Shelf, Store},
};
use crate::{
    journal::{Journal, ReadError},
    limits::{ROWS_LOCK_WAIT, ROWS_OPEN_DEADLINE},
    wire::subject::Shard,
};

/// The name of the rows of one version.
pub(crate) fn store_name(projection: &str, version: u32) -> String {
    format!("{projection}-v{version}")
}

/// Opens the rows of this version. What is broken is set aside and made anew.
pub(crate) async fn open_rows<P: Projection>(view: &View<P>) -> Result<Store, OpenError> {
    let name = store_name(P::NAME, P::VERSION);
    match open_named(&view.shelf, &name, P::NAME, P::VERSION).await {
        Err(OpenError::Broken(broken)) => {
            warn!(projection = P::NAME, %broken, "broken rows are set aside; folding again");
            set_aside(view, name.clone()).await?;
            open_named(&view.shelf, &name, P::NAME, P::VERSION).await
        }
        opened => opened,
    }
}

/// Rows of the newest other version that once were whole and are of these streams.
pub(crate) async fn open_old<P: Projection>(
    view: &View<P>,
    journal: &dyn Journal,
    shards: &[Shard],
) -> Option<Old> {
    for (version, name) in other_versions::<P>(&*view.shelf).into_iter().rev() {
        let store = match open_named(&view.shelf, &name, P::NAME, version).await {
            Ok(store) if store.was_whole() => store,
            Ok(_) => continue,
            Err(error) => {
                info!(projection = P::NAME, version, %error, "older rows cannot stand in");
                continue;
            }
        };
        let mut folded = BTreeMap::new();
        for shard in shards {
            if let Ok(Fit::At(sequence)) = fit(&store, journal, shard).await {
                folded.insert(shard.stream.clone(), sequence);
            }
        }
        if folded.len() == shards.len() {
            info!(projection = P::NAME, version, "older rows answer until the new ones are whole");
            return Some(Old { store, folded });
        }
    }
    None
}

/// Removes the rows of other versions; those another process still serves are left to it.
pub(crate) async fn remove_others<P: Projection>(view: &View<P>) {
    for (version, name) in other_versions::<P>(&*view.shelf) {
        let remove = |shelf: Arc<dyn Shelf>, name: String| move || shelf.remove(&name);
        match when_unlocked(&view.shelf, || remove(view.shelf.clone(), name.clone())).await {
            Ok(()) => info!(projection = P::NAME, version, "older rows were removed"),
            Err(OpenError::InUse) => {}
            Err(OpenError::Broken(error)) => {
                warn!(projection = P::NAME, version, %error, "older rows were not removed");
            }
        }
    }
}

pub(crate) async fn set_aside<P: Projection>(view: &View<P>, name: String) -> Result<(), Broken> {
    let shelf = view.shelf.clone();
    apart(&*view.shelf, move || shelf.set_aside(&name)).await?
}

/// Whether rows were folded from a stream as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// They are folded up to here.
    At(u64),
    /// They were folded from another stream, or from none.
    Not,
}

/// Looks whether what `store` was folded from is still there: the same stream, and at the
/// checkpoint the same message.
pub(crate) async fn fit(
    store: &Store,
    journal: &dyn Journal,
    shard: &Shard,
) -> Result<Fit, FitError> {
    let Some(checkpoint) = store.checkpoint(&shard.stream)? else { return Ok(Fit::Not) };
    let bounds = journal.bounds(&shard.stream).await?;
    if !checkpoint.fits(&bounds) {
        return Ok(Fit::Not);
    }
    if checkpoint.sequence == 0 {
        return Ok(Fit::At(0));
    }
    let found = journal.at(shard, checkpoint.sequence).await?;
    let same =
        found.is_some_and(|entry| super::store::Checkpoint::mark_of(&entry) == checkpoint.mark);
    Ok(if same { Fit::At(checkpoint.sequence) } else { Fit::Not })
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum FitError {
    #[error(transparent)]
    Rows(#[from] Broken),
    #[error(transparent)]
    Journal(#[from] ReadError),
}

fn other_versions<P: Projection>(shelf: &dyn Shelf) -> BTreeMap<u32, String> {
    let names = shelf.names().into_iter();
    let versions = names.filter_map(|name| {
        let version = name.strip_prefix(P::NAME)?.strip_prefix("-v")?.parse().ok()?;
        // Written otherwise, it is not ours.
        (store_name(P::NAME, version) == name && version != P::VERSION).then_some((version, name))
    });
    versions.collect()
}

async fn open_named(
    shelf: &Arc<dyn Shelf>,
    name: &str,
    projection: &'static str,
    version: u32,
) -> Result<Store, OpenError> {
    when_unlocked(shelf, || {
        let (shelf, name) = (shelf.clone(), name.to_owned());
        move || Ok(Store::new(shelf.open(&name)?, projection, version)?)
    })
    .await
}

/// A process that is just going, and our own last use, let go of rows within a moment.
async fn when_unlocked<T, F>(shelf: &Arc<dyn Shelf>, call: impl Fn() -> F) -> Result<T, OpenError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, OpenError> + Send + 'static,
{
    let mut tries = 0;
    loop {
        match apart(&**shelf, call()).await? {
            Err(OpenError::InUse) if tries < 30 => sleep(ROWS_LOCK_WAIT / 30).await,
            done => return done,
        }
        tries += 1;
    }
}

/// Runs what may hang on a thread that nothing waits for: at worst it is left behind.
async fn apart<T: Send + 'static>(
    shelf: &dyn Shelf,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Broken> {
    let guarded = move || std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
    let panicked = || Broken("the row store panicked".to_owned());
    if !shelf.blocks() {
        return guarded().map_err(|_| panicked());
    }
    let (done, result) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("rows".to_owned());
    let spawned = thread.spawn(move || drop(done.send(guarded())));
    spawned.map_err(|e| Broken(format!("no thread to open them: {e}")))?;
    match timeout(ROWS_OPEN_DEADLINE, result).await {
        Ok(Ok(done)) => done.map_err(|_| panicked()),
        Ok(Err(_)) => Err(panicked()),
        Err(_) => Err(Broken(format!("the row store did not open within {ROWS_OPEN_DEADLINE:?}"))),
    }
}
