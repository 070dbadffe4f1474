//! The node's side of watching: who watches what, and the pushing of changes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tracing::{debug, warn};

use super::{Push, RowNow, WatchQuery};
use crate::{
    asking::transport::{Message, Network},
    limits::{PAGE_ROWS_MAX, WATCH_BUFFER, WATCH_LEASE, WATCHES_MAX},
    model::commit::Position,
    projection::{IndexEntry, Projection},
    wire::encoding::Encoding,
};

/// A row that a batch has changed.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) key: Arc<str>,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) listed: Vec<IndexEntry>,
    pub(crate) listed_before: Vec<IndexEntry>,
}

/// What one batch changed for one watcher.
#[derive(Debug)]
pub(crate) struct Told {
    rows: Vec<(Arc<str>, Option<Arc<[u8]>>)>,
    at: Arc<[Position]>,
}

/// The watches of one projection on one node.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    open: Mutex<BTreeMap<Box<str>, Open>>,
    is_closed: AtomicBool,
}

#[derive(Debug)]
struct Open {
    query: WatchQuery,
    changes: mpsc::Sender<Told>,
    kept_until: Instant,
    /// The number sent last.
    number: Arc<AtomicU64>,
}

/// What the task that pushes to one watcher holds.
#[derive(Debug)]
pub(crate) struct Pushing {
    pub(crate) token: Box<str>,
    pub(crate) inbox: String,
    changes: mpsc::Receiver<Told>,
    number: Arc<AtomicU64>,
}

impl Watches {
    pub(crate) fn is_watched(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Opens a watch; `None` if there are too many, or the node is stopping.
    pub(crate) fn open(&self, token: &str, query: &WatchQuery) -> Option<Pushing> {
        let mut open = self.lock();
        if open.len() >= WATCHES_MAX || self.is_closed.load(Ordering::Acquire) {
            return None;
        }
        let (sender, changes) = mpsc::channel(WATCH_BUFFER);
        let number = Arc::new(AtomicU64::new(0));
        let watch = Open {
            query: query.clone(),
            changes: sender,
            kept_until: Instant::now() + WATCH_LEASE,
            number: number.clone(),
        };
        open.insert(token.into(), watch);
        Some(Pushing { token: token.into(), inbox: query.inbox.clone(), changes, number })
    }

    pub(crate) fn close(&self, token: &str) {
        self.lock().remove(token);
    }

    /// Keeps a watch; the number sent last, or `None` if it is not there any more.
    pub(crate) fn renew(&self, token: &str) -> Option<u64> {
        let mut open = self.lock();
        let watch = open.get_mut(token)?;
        watch.kept_until = Instant::now() + WATCH_LEASE;
        Some(watch.number.load(Ordering::Acquire))
    }

    /// Hands every watcher what concerns it. One that is too slow is let go, and told so.
    pub(crate) fn tell(&self, changed: &[Changed], at: &[Position]) {
        if changed.is_empty() {
            return;
        }
        let at: Arc<[Position]> = at.into();
        self.lock().retain(|token, watch| {
            let seen = changed.iter().filter_map(|changed| watch.query.sees(changed));
            let rows: Vec<_> = seen.collect();
            let told =
                rows.is_empty() || watch.changes.try_send(Told { rows, at: at.clone() }).is_ok();
            if !told {
                warn!(watch = %token, "a watcher is too slow and has to begin anew");
            }
            told
        });
    }

    /// Ends all watches: their watchers are told to watch anew.
    pub(crate) fn end_all(&self, why: &str) {
        let ended = std::mem::take(&mut *self.lock());
        if !ended.is_empty() {
            debug!(watches = ended.len(), why, "watches are ended");
        }
    }

    /// Ends all watches, and opens none any more.
    pub(crate) fn close_all(&self) {
        {
            // Under the lock, so that none is opened in between.
            let _open = self.lock();
            self.is_closed.store(true, Ordering::Release);
        }
        self.end_all("this node is stopping");
    }

    fn kept_until(&self, token: &str) -> Option<Instant> {
        self.lock().get(token).map(|watch| watch.kept_until)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Box<str>, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WatchQuery {
    /// What a change means to this watcher: the new row, that it is gone, or nothing.
    fn sees(&self, changed: &Changed) -> Option<(Arc<str>, Option<Arc<[u8]>>)> {
        if self.row.as_ref().is_some_and(|row| **row != *changed.key) {
            return None;
        }
        let holds = |listed: &[IndexEntry]| self.select.iter().all(|c| c.holds(listed));
        if holds(&changed.listed) {
            return Some((changed.key.clone(), Some(changed.bytes.clone())));
        }
        holds(&changed.listed_before).then(|| (changed.key.clone(), None))
    }
}

/// Sends one watcher its changes until its watch ends.
pub(crate) async fn push<P: Projection>(
    watches: &Watches,
    network: &dyn Network,
    mut pushing: Pushing,
    encoding: Encoding,
) {
    while let Some(until) = watches.kept_until(&pushing.token) {
        tokio::select! {
            biased;
            told = pushing.changes.recv() => match told {
                Some(told) => pushing.send_all::<P>(network, encoding, told).await,
                None => break,
            },
            () = sleep_until(until) => {
                if watches.kept_until(&pushing.token).is_some_and(|until| until <= Instant::now()) {
                    watches.close(&pushing.token);
                    return;
                }
            }
        }
    }
    // What was told before the end is still sent.
    while let Ok(told) = pushing.changes.try_recv() {
        pushing.send_all::<P>(network, encoding, told).await;
    }
    pushing.send::<P>(network, encoding, Vec::new(), &[], true).await;
}

impl Pushing {
    async fn send_all<P: Projection>(
        &mut self,
        network: &dyn Network,
        encoding: Encoding,
        told: Told,
    ) {
        for some in told.rows.chunks(PAGE_ROWS_MAX) {
            let rows = some.iter().filter_map(|(key, bytes)| {
                let row: Option<P> = match bytes {
                    None => None,
                    // It was written a moment ago; what cannot be read is as good as lost, and
                    // the missing rows are seen at the next query.
                    Some(bytes) => Some(rmp_serde::from_slice(bytes).ok()?),
                };
                Some(RowNow { key: key.to_string(), row })
            });
            let rows = rows.collect();
            self.send::<P>(network, encoding, rows, &told.at, false).await;
        }
    }

    async fn send<P: Projection>(
        &mut self,
        network: &dyn Network,
        encoding: Encoding,
        rows: Vec<RowNow<P>>,
        at: &[Position],
        ended: bool,
    ) {
        let number = self.number.load(Ordering::Acquire) + 1;
        let at = at.iter().map(ToString::to_string).collect();
        let push = Push { watch: self.token.to_string(), number, rows, at, ended };
        let body = match encoding.encode(&push) {
            Ok(body) => body,
            Err(error) => return warn!(%error, projection = P::NAME, "a change cannot be sent"),
        };
        let message = Message {
            subject: self.inbox.as_str().into(),
            reply: None,
            headers: None,
            body: body.into(),
        };
        if let Err(error) = network.publish(message).await {
            // Its number is missing, and the watcher begins anew.
            warn!(%error, projection = P::NAME, "a change could not be sent");
        }
        self.number.store(number, Ordering::Release);
    }
}
