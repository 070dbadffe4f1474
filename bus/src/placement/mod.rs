//! Where an actor should live: each kind's nodes by their cells in a bucket, watched by every
//! process, and of those the one that rendezvous hashing picks.
//!
//! Safety does not rest on it: the version check does that. Where nothing is known, commands go
//! to whoever shares the kind's queue. Nodes renew their cells every second, so a node that is
//! paused or cut off is noticed by its silence before its cell's time is over.

mod forward;
mod membership;
mod view;
mod way;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::StreamExt;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, info};

use self::view::View;
pub(crate) use self::{forward::Relayed, membership::Membership, way::Way};
use crate::{
    asking::transport::Network,
    journal::{Cells, ReadError},
    limits::{ASK_AGAIN_AFTER_MAX, NODE_RENEW_EVERY, NODE_SILENCE, NODES_SILENCE},
    wire::subject,
};

/// One process's knowledge of who hosts what.
#[derive(Debug)]
pub(crate) struct Placement {
    me: Arc<str>,
    network: Arc<dyn Network>,
    cells: Arc<dyn Cells>,
    view: Arc<Mutex<View>>,
    /// Ends the watch when this is dropped. Empty before anybody needs it.
    watching: OnceLock<DropGuard>,
}

impl Placement {
    pub(crate) fn new(me: &str, network: Arc<dyn Network>, cells: Arc<dyn Cells>) -> Self {
        Self { me: me.into(), network, cells, view: Arc::default(), watching: OnceLock::new() }
    }

    /// Begins to watch, unless it is done already. Until the first answer nothing is known.
    pub(crate) fn watch(&self) {
        self.watching.get_or_init(|| {
            let stop = CancellationToken::new();
            let (cells, view) = (self.cells.clone(), self.view.clone());
            tokio::spawn(stop.clone().run_until_cancelled_owned(watch(cells, view)));
            stop.drop_guard()
        });
    }

    /// The node that should be asked, if that is known.
    pub(crate) fn owner(&self, kind: &str, id: &str) -> Option<Arc<str>> {
        lock(&self.view).owner(kind, id, &self.me, Instant::now())
    }

    /// The owner, unless that is us or nobody knows.
    pub(crate) fn elsewhere(&self, kind: &str, id: &str) -> Option<Arc<str>> {
        self.owner(kind, id).filter(|owner| *owner != self.me)
    }

    /// Counts the changes of who is there.
    pub(crate) fn changes(&self) -> u64 {
        lock(&self.view).changes()
    }

    fn heard(&self, kind: &str, node: &str) {
        lock(&self.view).heard(kind, node, Instant::now());
    }

    fn lost(&self, kind: &str, node: &str) {
        debug!(kind, node, "nobody is where a node should be");
        lock(&self.view).lost(kind, node);
    }

    /// Resolves when nothing was heard of the node for a while.
    async fn silence(&self, kind: &str, node: &str) {
        let mut heard = Instant::now();
        loop {
            let now = Instant::now();
            // One that has left still answers what it took; but it is not heard any more.
            let standing = lock(&self.view).standing(kind, node, now);
            let is_answering = standing.is_some_and(|(last, is_answering)| {
                heard = last;
                is_answering
            });
            let silent = heard + NODE_SILENCE;
            match (now >= silent, is_answering) {
                (false, _) => sleep_until(silent).await,
                // So are all others: whoever is heard next changes that.
                (true, true) => sleep(ASK_AGAIN_AFTER_MAX / 5).await,
                (true, false) => return,
            }
        }
    }
}

/// Keeps the view true, for ever.
async fn watch(cells: Arc<dyn Cells>, view: Arc<Mutex<View>>) {
    let mut is_told_of = false;
    loop {
        let began = Instant::now();
        if let Err(error) = watch_once(&*cells, &view).await {
            // No fault of ours: it may be that no node has ever been here.
            if !std::mem::replace(&mut is_told_of, true) {
                info!(%error, "cannot see which nodes there are; commands go to any");
            }
            if began.elapsed() < NODE_RENEW_EVERY {
                lock(&view).forget();
            }
        } else {
            is_told_of = false;
        }
        sleep(ASK_AGAIN_AFTER_MAX).await;
    }
}

/// Watches until there is a fault, or nothing comes any more.
async fn watch_once(cells: &dyn Cells, view: &Mutex<View>) -> Result<(), ReadError> {
    let mut changes = cells.watch(subject::NODES_BUCKET).await?;
    lock(view).begin();
    // Where there are nodes they renew their cells. Silence means that there are none, or that
    // the watch is dead, which it cannot always tell: the bucket may have been made anew.
    while let Ok(Some(change)) = timeout(NODES_SILENCE, changes.next()).await {
        lock(view).apply(&change?, Instant::now());
    }
    Ok(())
}

fn lock(view: &Mutex<View>) -> MutexGuard<'_, View> {
    // Every step under this lock is whole, so a panic elsewhere leaves nothing half done.
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, time::Duration};

    use bytes::Bytes;
    use futures_util::{
        StreamExt,
        stream::{self, BoxStream},
    };

    use super::*;
    use crate::{
        journal::{
            AppendError, BoxFuture,
            cells::{Cell, Change},
        },
        wire::error::Error,
    };

    /// Cells of which each watch tells what it was given, and then nothing, not even its end.
    #[derive(Debug)]
    struct Mute(Mutex<VecDeque<Vec<Change>>>);

    impl Cells for Mute {
        fn provision_bucket<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), Error>> {
            Box::pin(std::future::ready(Ok(())))
        }

        fn put<'a>(
            &'a self,
            _: &'a str,
            _: &'a str,
            _: Bytes,
            _: Option<Duration>,
        ) -> BoxFuture<'a, Result<(), AppendError>> {
            Box::pin(std::future::ready(Ok(())))
        }

        fn get<'a>(
            &'a self,
            _: &'a str,
            _: &'a str,
        ) -> BoxFuture<'a, Result<Option<Bytes>, ReadError>> {
            Box::pin(std::future::ready(Ok(None)))
        }

        fn take_away<'a>(
            &'a self,
            _: &'a str,
            _: &'a str,
        ) -> BoxFuture<'a, Result<(), AppendError>> {
            Box::pin(std::future::ready(Ok(())))
        }

        fn watch<'a>(
            &'a self,
            _: &'a str,
        ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Change, ReadError>>, ReadError>>
        {
            let told = self.0.lock().expect("whole").pop_front().unwrap_or_default();
            let told = stream::iter(told.into_iter().map(Ok)).chain(stream::pending());
            Box::pin(std::future::ready(Ok(told.boxed())))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_tells_nothing_any_more_is_begun_anew() {
        let put = |key: &str| Change::Put(Cell { key: key.to_owned(), value: Bytes::new() });
        let first = vec![put("till.a"), put("till.b"), Change::Told];
        let cells = Mute(Mutex::new([first, vec![put("till.b"), Change::Told]].into()));
        let view = Arc::<Mutex<View>>::default();
        let watching = tokio::spawn(watch(Arc::new(cells), view.clone()));
        sleep(Duration::from_millis(1)).await;
        // By a process that is node `a` itself, for then `a` cannot merely be silent.
        let owners = || {
            let owner = |n| lock(&view).owner("till", &format!("t-{n}"), "a", Instant::now());
            (0..50).filter(|n| owner(*n).as_deref() == Some("a")).count()
        };
        assert!((1..50).contains(&owners()), "both are there");
        sleep(NODES_SILENCE + ASK_AGAIN_AFTER_MAX * 2).await;
        assert_eq!(owners(), 0, "it still thinks of a node that has gone");
        watching.abort();
    }
}
