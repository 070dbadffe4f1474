//! Item cards: what the shop sells, to be listed and searched.
//!
//! A row stands for a SKU something happened to; one that was only asked for, by an order, and
//! never created, is in no list, and [`ItemCard::is_created`] tells it from the others.

use std::collections::{BTreeMap, BTreeSet};

use bus::{Fold, IndexEntry, JsonSchema, Projection, Recorded, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Category, Item, ItemEvent, ItemStatus, OnHand, Stock};
use crate::{
    limits::{WORD_CHARS_MAX, WORDS_MAX},
    money::Money,
};

/// An item as it is listed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ItemCard {
    /// The item.
    pub sku: String,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub description: String,
    /// What one piece costs.
    pub price: Money,
    /// What it is listed under.
    #[serde(default)]
    pub category: Option<Category>,
    /// What else there is to say of it.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Where its pictures are.
    #[serde(default)]
    pub pictures: Vec<String>,
    /// Whether it is sold.
    #[serde(default)]
    pub status: ItemStatus,
    /// When it was created.
    #[serde(default)]
    pub created_at: Timestamp,
    /// The sequence of the last commit that is in it.
    #[serde(default)]
    pub version: u64,
    /// All that ever came in.
    pub received: u64,
    /// What can be reserved.
    pub available: u64,
    /// What is reserved.
    pub held: u64,
    /// What left the house and did not come back.
    pub shipped: u64,
    /// What came back and cannot be sold again.
    #[serde(default)]
    pub written_off: u64,
    /// Where the pieces lie that are available or reserved.
    #[serde(default)]
    pub on_hand: OnHand,
    /// It is low while fewer pieces are available; 0 is never.
    #[serde(default)]
    pub low_below: u32,
    created: bool,
}

impl ItemCard {
    /// Whether the item was ever created; if not, there is no such item.
    #[must_use]
    pub fn is_created(&self) -> bool {
        self.created
    }

    /// Whether fewer pieces are available than its threshold.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.available < u64::from(self.low_below)
    }

    fn describe(
        &mut self,
        name: &str,
        description: &str,
        category: Option<&Category>,
        attributes: &BTreeMap<String, String>,
        pictures: &[String],
    ) {
        name.clone_into(&mut self.name);
        description.clone_into(&mut self.description);
        self.category = category.cloned();
        self.attributes.clone_from(attributes);
        self.pictures = pictures.to_vec();
    }

    fn move_stock(&mut self, event: &ItemEvent) {
        let Self { received, available, held, shipped, written_off, .. } = *self;
        let mut stock = Stock { received, available, held, shipped, written_off };
        stock.apply(event);
        self.received = stock.received;
        self.available = stock.available;
        self.held = stock.held;
        self.shipped = stock.shipped;
        self.written_off = stock.written_off;
        self.on_hand.apply(event);
    }
}

/// The words of `text` as items are found by them: lower-cased runs of letters and digits.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| cut(&word.to_lowercase()))
}

fn cut(word: &str) -> String {
    word.chars().take(WORD_CHARS_MAX).collect()
}

impl Projection for ItemCard {
    const NAME: &'static str = "items";
    /// 2: created items are listed as such. 3: and by their status; they know their version.
    /// 4: and by whether they are low; they know where their pieces lie.
    const VERSION: u32 = 4;

    fn index(&self) -> Vec<IndexEntry> {
        if !self.created {
            return Vec::new();
        }
        let mut seen = BTreeSet::new();
        let whole_sku = std::iter::once(cut(&self.sku.to_lowercase()));
        whole_sku
            .chain(words(&self.sku))
            .chain(words(&self.name))
            .filter(|word| seen.insert(word.clone()))
            .take(WORDS_MAX)
            .map(|word| IndexEntry::new("word", word))
            .chain([
                IndexEntry::new("created", "yes"),
                IndexEntry::new("status", self.status.name()),
                IndexEntry::new("low", if self.is_low() { "yes" } else { "no" }),
            ])
            .collect()
    }
}

impl Fold<Item> for ItemCard {
    fn fold(&mut self, _: &str, item: &Recorded<Item>) {
        item.id.as_str().clone_into(&mut self.sku);
        self.version = item.commit.position.sequence;
        match &item.event {
            ItemEvent::Created {
                name,
                description,
                price,
                category,
                attributes,
                pictures,
                status,
                ..
            } => {
                self.describe(name, description, category.as_ref(), attributes, pictures);
                self.price = *price;
                self.status = *status;
                self.created_at = item.commit.at;
                self.created = true;
            }
            ItemEvent::Described { name, description, category, attributes, pictures } => {
                self.describe(name, description, category.as_ref(), attributes, pictures);
            }
            ItemEvent::Priced { price, .. } => self.price = *price,
            ItemEvent::Activated {} => self.status = ItemStatus::Active,
            ItemEvent::Retired {} => self.status = ItemStatus::Retired,
            ItemEvent::LowStockSet { below } => self.low_below = *below,
            ItemEvent::StockLow { .. } => {}
            event @ (ItemEvent::Received { .. }
            | ItemEvent::Adjusted { .. }
            | ItemEvent::Reserved { .. }
            | ItemEvent::Lacked { .. }
            | ItemEvent::Taken { .. }
            | ItemEvent::Released { .. }
            | ItemEvent::Shipped { .. }
            | ItemEvent::TakenBack { .. }) => self.move_stock(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inventory::LackReason, money::tests::eur, orders::OrderId, quantity::Quantity,
        recorded::recorded,
    };

    fn card_of(events: impl IntoIterator<Item = ItemEvent>) -> ItemCard {
        let mut card = ItemCard::default();
        for event in events {
            card.fold("LAMP-7", &recorded("LAMP-7", event));
        }
        card
    }

    fn created(name: &str) -> ItemEvent {
        crate::inventory::tests::created_as(name)
    }

    fn entries(words: &[&str]) -> Vec<IndexEntry> {
        let words = words.iter().map(|word| IndexEntry::new("word", *word));
        let status = [IndexEntry::new("created", "yes"), IndexEntry::new("status", "active")];
        let status = status.into_iter().chain([IndexEntry::new("low", "no")]);
        words.chain(status).collect()
    }

    #[test]
    fn a_card_shows_the_piles() {
        let order = OrderId::parse("o-1").expect("an id");
        let quantity = Quantity::new(2).expect("a quantity");
        let one = Quantity::new(1).expect("a quantity");
        let card = card_of([
            created("Lamp"),
            crate::inventory::tests::received(5),
            ItemEvent::Reserved { order: order.clone(), quantity, unit_price: eur(250) },
            crate::inventory::tests::shipped("o-1", 2),
            ItemEvent::TakenBack { order, quantity: one, number: 1, sellable: false },
        ]);
        let shown = (card.received, card.available, card.held, card.shipped, card.written_off);
        assert_eq!(shown, (5, 3, 0, 1, 1));
        assert_eq!((card.sku.as_str(), card.name.as_str()), ("LAMP-7", "Lamp"));
        assert!(card.is_created());
    }

    #[test]
    fn an_item_is_found_by_its_words_and_its_whole_sku() {
        let card = card_of([created("Red LAMP, größer")]);
        assert_eq!(card.index(), entries(&["lamp-7", "lamp", "7", "red", "größer"]));
        let many: String = (0..100).map(|n| format!("w{n} ")).collect();
        assert_eq!(card_of([created(&many)]).index().len(), WORDS_MAX + 3);
    }

    #[test]
    fn an_item_that_was_only_asked_for_is_in_no_list() {
        let card = card_of([ItemEvent::Lacked {
            order: OrderId::parse("o-1").expect("an id"),
            quantity: Quantity::new(1).expect("a quantity"),
            reason: LackReason::UnknownItem,
        }]);
        assert!(!card.is_created());
        assert_eq!(card.index(), []);
    }
}
