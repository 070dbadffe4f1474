//! A projection whose row type is not known where it is started and served.

use std::{any::Any, sync::Arc};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Fold, Projection,
    answer::Server,
    fold::Runner,
    opening::open_rows,
    pending::{FoldOne, fold_of},
    progress::Progress,
    state::View,
    store::{OpenError, Shelf},
};
use crate::{
    asking::{bus::Bus, transport::Inbound},
    discovery::Tally,
    journal::BoxFuture,
    model::actor::Actor,
    wire::{error::Error, subject::Shard},
};

/// What a projection is given where it is started.
pub(crate) struct Place {
    pub(crate) bus: Bus,
    pub(crate) shelf: Arc<dyn Shelf>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// What keeps rows up to date, and what answers queries.
pub(crate) type Started = (BoxFuture<'static, ()>, Arc<dyn AnswerQueries>);

/// A projection about to be started.
pub(crate) trait Served: Any + Send + Sync {
    /// Opens the rows.
    fn start(self: Box<Self>, place: Place) -> BoxFuture<'static, Result<Started, Error>>;
}

/// Answers queries on one projection.
pub(crate) trait AnswerQueries: Send + Sync {
    /// Has a query answered, or the renewal of a watch, by a task of its own, or refused if
    /// there is too much to answer already.
    fn take(self: Arc<Self>, inbound: Inbound);

    /// Resolves when the rows are whole, or are not.
    fn until_whole(&self, whole: bool) -> BoxFuture<'_, ()>;

    fn progress(&self) -> BoxFuture<'_, Progress>;

    /// Sends watchers away, and takes no more.
    fn end_watches(&self);

    /// What its queries have done here.
    fn tally(&self) -> &Arc<Tally>;
}

/// The kinds that fold into `P`.
struct Folds<P>(Vec<(Shard, FoldOne<P>)>);

/// Adds the fold of kind `A` to what is known of `P` so far.
pub(crate) fn with_fold<P: Fold<A>, A: Actor>(
    known: Option<Box<dyn Served>>,
) -> Result<Box<dyn Served>, String> {
    let mut folds = match known {
        None => Folds::<P>(Vec::new()),
        Some(known) => {
            let known: Box<dyn Any> = known;
            *known
                .downcast::<Folds<P>>()
                .map_err(|_| format!("two projections are named `{}`", P::NAME))?
        }
    };
    if folds.0.iter().any(|(known, _)| &*known.kind == A::KIND) {
        return Err(format!("`{}` folds `{}` twice", P::NAME, A::KIND));
    }
    let shards = Shard::all(A::KIND, A::SHARDS);
    folds.0.extend(shards.into_iter().map(|shard| (shard, fold_of::<P, A>())));
    Ok(Box::new(folds))
}

impl<P: Projection> Served for Folds<P> {
    fn start(self: Box<Self>, place: Place) -> BoxFuture<'static, Result<Started, Error>> {
        Box::pin(async move {
            let Place { bus, shelf, stop, tasks } = place;
            let streams = self.0.iter().map(|(shard, _)| shard.stream.clone());
            let view = Arc::new(View::<P>::new(shelf, bus.ambient().clone(), streams));
            let failed =
                |error: OpenError| Error::Rows { projection: P::NAME, reason: error.to_string() };
            let store = open_rows(&view).await.map_err(failed)?;
            let server = Arc::new(Server::new(view.clone(), bus.clone(), tasks));
            let runner = Runner { view, folds: self.0 };
            let folding = runner.run(store, bus.journal().clone(), stop);
            Ok((Box::pin(folding) as BoxFuture<'static, ()>, server as Arc<dyn AnswerQueries>))
        })
    }
}
