//! Keeping the index: the rows first, then every commit of an item.
//!
//! A row names the last commit that is in it, so whatever comes twice is passed over. A commit
//! that only moves stock changes the item's card, and the index only when the item runs out or
//! comes in again.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError},
};

use actors::inventory::{Item, ItemCard, ItemEvent};
use bus::{AnyCommit, Bus, Fold, Id, ListRows, Position, Recorded, Selection};
use futures_util::{StreamExt, stream};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::warn;

use super::{Cards, Reached, index::Writer};
use crate::limits::{INDEX_COMMITS_AT_ONCE, INDEX_EVERY, INDEX_RETRY_AFTER};

/// Why the index is not kept, for now.
type Fault = Box<dyn std::error::Error + Send + Sync>;

pub(super) struct Follower {
    bus: Bus,
    writer: Option<Writer>,
    cards: Arc<Cards>,
    told: watch::Sender<Reached>,
    /// What was folded; it may not be found yet.
    folded: Reached,
    /// Items that are found as they were.
    stale: HashSet<String>,
    indexed_at: Instant,
}

impl Follower {
    pub(super) fn new(
        bus: Bus,
        writer: Writer,
        cards: Arc<Cards>,
        told: watch::Sender<Reached>,
    ) -> Self {
        let (folded, stale) = (Reached::new(), HashSet::new());
        let indexed_at = Instant::now();
        Self { bus, writer: Some(writer), cards, told, folded, stale, indexed_at }
    }

    /// Follows for ever, and goes on after every fault, unless it costs the index: then another
    /// is made by whoever searches next.
    pub(super) async fn run(mut self) {
        while self.writer.is_some() {
            if let Err(error) = self.follow().await {
                warn!(%error, "the search index is not kept up");
            }
            sleep(INDEX_RETRY_AFTER).await;
        }
    }

    async fn follow(&mut self) -> Result<(), Fault> {
        if self.folded.is_empty() {
            self.read_rows().await?;
        }
        let mut followed = Vec::new();
        for (stream, sequence) in &self.folded {
            followed.push(Box::pin(self.bus.commits(stream, sequence + 1).await?));
        }
        let mut commits = stream::select_all(followed).ready_chunks(INDEX_COMMITS_AT_ONCE);
        loop {
            // What is stale waits for others, so that a busy shop has few small indexings.
            let due = self.indexed_at + INDEX_EVERY;
            tokio::select! {
                chunk = commits.next() => {
                    let chunk = chunk.ok_or("the commits have ended")?;
                    for commit in chunk {
                        self.take(&commit?).await?;
                    }
                    self.tell();
                }
                () = tokio::time::sleep_until(due), if !self.stale.is_empty() => {
                    self.index().await?;
                    self.tell();
                }
            }
        }
    }

    /// All items as their rows show them, up to the end of the journal as it is now.
    async fn read_rows(&mut self) -> Result<(), Fault> {
        let mut ends = Vec::new();
        for stream in self.bus.streams("item").await? {
            let sequence = self.bus.last_sequence(&stream).await?;
            ends.push(Position { stream, sequence });
        }
        let mut cursor = None;
        loop {
            let selection = Selection::all().matching("created", "yes").from(cursor);
            let rows = self.bus.rows::<ItemCard>().list(selection);
            let known = ends.iter().filter(|end| end.sequence > 0);
            let page = known.fold(rows, ListRows::after).await?;
            for card in page.rows {
                self.stale.insert(card.sku.clone());
                let mut cards = self.cards.write().unwrap_or_else(PoisonError::into_inner);
                cards.insert(card.sku.clone(), card);
            }
            if page.next.is_none() {
                break;
            }
            cursor = page.next;
        }
        self.index().await?;
        self.folded = ends.into_iter().map(|end| (end.stream, end.sequence)).collect();
        self.tell();
        Ok(())
    }

    /// Folds a commit into the item's card.
    async fn take(&mut self, commit: &AnyCommit) -> Result<(), Fault> {
        let Position { stream, sequence } = commit.info.position.clone();
        let card = {
            let cards = self.cards.read().unwrap_or_else(PoisonError::into_inner);
            cards.get(&*commit.id).cloned()
        };
        if card.as_ref().is_none_or(|card| card.version < sequence) {
            let before = card.clone().unwrap_or_default();
            let after = match folded(before.clone(), commit) {
                Some(after) => Some(after),
                // Stored by newer code, and maybe its rows can be read.
                None => {
                    let rows = self.bus.rows::<ItemCard>();
                    rows.get(&commit.id).after(&commit.info.position).await?
                }
            };
            // What was only asked for, and never created, is not there to be found.
            if let Some(after) = after.filter(ItemCard::is_created) {
                if card.is_none() || is_found_otherwise(&before, &after) {
                    self.stale.insert(after.sku.clone());
                }
                let mut cards = self.cards.write().unwrap_or_else(PoisonError::into_inner);
                cards.insert(after.sku.clone(), after);
            }
        }
        self.folded.insert(stream, sequence);
        Ok(())
    }

    /// Brings the index up to the cards.
    async fn index(&mut self) -> Result<(), Fault> {
        let mut writer = self.writer.take().ok_or("the index was lost")?;
        let stale = std::mem::take(&mut self.stale);
        let cards = self.cards.clone();
        let indexing = tokio::task::spawn_blocking(move || {
            for sku in stale {
                let card = {
                    let cards = cards.read().unwrap_or_else(PoisonError::into_inner);
                    cards.get(&sku).cloned()
                };
                if let Some(card) = card {
                    writer.put(&card)?;
                }
            }
            writer.commit()?;
            Ok::<_, tantivy::TantivyError>(writer)
        });
        self.writer = Some(indexing.await??);
        self.indexed_at = Instant::now();
        Ok(())
    }

    /// Says how far the index is, if all that was folded can be found.
    fn tell(&self) {
        if self.stale.is_empty() {
            self.told.send_replace(self.folded.clone());
        }
    }
}

/// The card after `commit`; none if its events cannot be read.
fn folded(mut card: ItemCard, commit: &AnyCommit) -> Option<ItemCard> {
    let info = Arc::new(commit.info.clone());
    let id = Id::<Item>::parse(&commit.id).ok()?;
    for event in &commit.events {
        let event: ItemEvent = serde_json::from_value(event.clone()).ok()?;
        card.fold(&commit.id, &Recorded { id: id.clone(), event, commit: info.clone() });
    }
    Some(card)
}

/// Whether a search may find the one where it does not find the other, or in another place.
fn is_found_otherwise(before: &ItemCard, after: &ItemCard) -> bool {
    before.name != after.name
        || before.description != after.description
        || before.category != after.category
        || before.attributes != after.attributes
        || before.status != after.status
        || before.price != after.price
        || (before.available == 0) != (after.available == 0)
}
