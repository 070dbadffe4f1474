//! A projection whose row type is not known where it is started and served.

use std::{any::Any, path::Path, sync::Arc};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Fold, Projection,
    fold::{FoldOne, Folded, Progress, Runner, fold_of},
    query::Server,
    store::Store,
};
use crate::{
    actor::Actor,
    error::Error,
    journal::{BoxFuture, Journal},
    subject::Shard,
    transport::Inbound,
};

/// A projection about to be started.
pub(crate) trait Served: Any + Send {
    /// Opens the rows; gives what keeps them up to date, and what answers queries.
    fn start(
        self: Box<Self>,
        folder: &Path,
        journal: Arc<dyn Journal>,
        stop: CancellationToken,
    ) -> Result<(BoxFuture<'static, ()>, Arc<dyn AnswerQueries>), Error>;
}

/// Answers queries on one projection.
pub(crate) trait AnswerQueries: Send + Sync {
    fn answer(self: Arc<Self>, inbound: Inbound) -> BoxFuture<'static, ()>;
}

/// The kinds that fold into `P`.
struct Folds<P>(Vec<(Arc<str>, FoldOne<P>)>);

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
    let stream = Shard::of(A::KIND).stream;
    if folds.0.iter().any(|(known, _)| *known == stream) {
        return Err(format!("`{}` folds `{}` twice", P::NAME, A::KIND));
    }
    folds.0.push((stream, fold_of::<P, A>()));
    Ok(Box::new(folds))
}

impl<P: Projection> Served for Folds<P> {
    fn start(
        self: Box<Self>,
        folder: &Path,
        journal: Arc<dyn Journal>,
        stop: CancellationToken,
    ) -> Result<(BoxFuture<'static, ()>, Arc<dyn AnswerQueries>), Error> {
        let store = Store::open::<P>(folder)?;
        let begin = self.0.iter().map(|(stream, _)| (stream.clone(), Folded::UNKNOWN));
        let begin: Progress = begin.collect();
        let (progress, watched) = watch::channel(begin);
        let server = Arc::new(Server::<P>::new(store.clone(), watched));
        let runner = Runner { store, folds: self.0, progress };
        Ok((Box::pin(runner.run(journal, stop)), server))
    }
}
