//! Searching items: an index of all of them, kept in memory by each edge.
//!
//! It is made of the items' rows, and then follows their commits; nothing of it outlives the
//! process, and nothing has to. The first search begins it. A search that names positions waits
//! until the index has them, so that who writes finds what was written.

mod follow;
mod index;
#[cfg(test)]
mod tests;
mod wanted;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use actors::inventory::ItemCard;
use bus::{Bus, Position};
use tokio::{
    sync::{Semaphore, watch},
    task::AbortHandle,
    time::timeout,
};

use self::index::Finder;
pub(crate) use self::wanted::{Sort, Wanted};
use crate::{
    error::ApiError,
    limits::{SEARCH_WAIT, SEARCHES_MAX, SEARCHES_WAITING_MAX},
    position::AFTER,
};

/// How far the index is: by stream, the last commit in it. Empty while it is made.
type Reached = BTreeMap<Arc<str>, u64>;

/// The items by SKU, as they are now.
type Cards = RwLock<HashMap<String, ItemCard>>;

/// A page of items.
pub(crate) struct Page {
    pub(crate) items: Vec<ItemCard>,
    pub(crate) next: Option<String>,
}

/// The search of one edge.
pub(crate) struct Search {
    running: Mutex<Option<Running>>,
    searching: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

/// The index, and the task that keeps it.
#[derive(Clone)]
struct Running {
    finder: Finder,
    cards: Arc<Cards>,
    reached: watch::Receiver<Reached>,
    task: AbortHandle,
}

impl Search {
    pub(crate) fn new() -> Self {
        Self {
            running: Mutex::default(),
            searching: Arc::new(Semaphore::new(SEARCHES_MAX)),
            admitted: Arc::new(Semaphore::new(SEARCHES_MAX + SEARCHES_WAITING_MAX)),
        }
    }

    /// A page of what is wanted, of an index that includes the commits at `after`.
    pub(crate) async fn find<'a>(
        &self,
        bus: &Bus,
        wanted: Wanted,
        after: impl Iterator<Item = &'a Position>,
    ) -> Result<Page, ApiError> {
        let running = self.running(bus)?;
        running.wait_for(after.collect()).await?;
        let admitted = self.admitted.clone().try_acquire_owned();
        let admitted = admitted.map_err(|_| ApiError::overloaded("too many searches wait"))?;
        let place = self.searching.clone().acquire_owned().await;
        let place = place.map_err(|_| ApiError::internal("the places to search are closed"))?;
        let searched = tokio::task::spawn_blocking(move || {
            let _places = (admitted, place);
            running.find(&wanted)
        });
        let found =
            searched.await.map_err(|error| ApiError::internal(format!("searching: {error}")))?;
        found.map_err(|error| ApiError::internal(format!("searching: {error}")))
    }

    /// The index, which is begun if it was not.
    fn running(&self, bus: &Bus) -> Result<Running, ApiError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.as_ref().filter(|running| !running.task.is_finished()) {
            return Ok(running.clone());
        }
        let (writer, finder) = index::open().map_err(ApiError::internal)?;
        let cards = Arc::new(Cards::default());
        let (told, reached) = watch::channel(Reached::new());
        let follower = follow::Follower::new(bus.clone(), writer, cards.clone(), told);
        let task = tokio::spawn(follower.run()).abort_handle();
        Ok(running.insert(Running { finder, cards, reached, task }).clone())
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.take() {
            running.task.abort();
        }
    }
}

impl Running {
    /// Waits until the index is there, and includes the commits at `after`; not for ever.
    async fn wait_for(&self, after: Vec<&Position>) -> Result<(), ApiError> {
        let mut reached = self.reached.clone();
        let include = |reached: &Reached| {
            let behind = |at: &&Position| reached.get(&at.stream).is_some_and(|n| *n < at.sequence);
            !reached.is_empty() && !after.iter().any(behind)
        };
        let waited = timeout(SEARCH_WAIT, reached.wait_for(include)).await;
        let Ok(Ok(reached)) = waited else {
            return Err(ApiError::unavailable("the search is not that far yet"));
        };
        match after.iter().find(|at| !reached.contains_key(&at.stream)) {
            None => Ok(()),
            Some(at) => {
                let message = format!("there is no stream `{}`", at.stream);
                Err(ApiError::invalid(AFTER, message))
            }
        }
    }

    fn find(&self, wanted: &Wanted) -> tantivy::Result<Page> {
        let found = self.finder.find(wanted)?;
        let cards = self.cards.read().unwrap_or_else(PoisonError::into_inner);
        let items = found.skus.iter().filter_map(|sku| cards.get(sku).cloned()).collect();
        Ok(Page { items, next: found.next.map(|cursor| cursor.shown()) })
    }
}
