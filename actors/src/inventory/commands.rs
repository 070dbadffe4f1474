//! What an item can be asked, what it answers, and why it says no.

use std::collections::BTreeMap;

use bus::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Category, ItemId, ItemStatus, LackReason, stock::is_zero};
use crate::{
    money::{Currency, Money},
    orders::OrderId,
    quantity::Quantity,
    warehouse::WarehouseId,
};

/// Hold so many pieces for an order. Replies with the [`Reservation`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reserve {
    /// For whom.
    pub order: OrderId,
    /// How many.
    pub quantity: Quantity,
    /// What the order is paid in.
    pub currency: Currency,
}

/// An order is paid: what is held for it stays held until it leaves the house. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Take {
    /// Which order.
    pub order: OrderId,
}

/// Pieces held for an order were not taken in time. Replies nothing, also if they were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lapse {
    /// Which order.
    pub order: OrderId,
}

/// An order needs its pieces no longer. Replies nothing, also if it held none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Who held them.
    pub order: OrderId,
}

/// An order's pieces leave the house. Replies with the [`Stock`](super::Stock).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ship {
    /// Who holds them.
    pub order: OrderId,
    /// How many of those it holds; all of them if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// From where, if that is known. What the books do not have there is taken from the others,
    /// and all of it where nothing is said: from those with most first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<WarehouseId>,
}

/// Pieces that were shipped to an order are back. Replies with the [`Stock`](super::Stock), also if told twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeBack {
    /// Who sends them back.
    pub order: OrderId,
    /// How many.
    pub quantity: Quantity,
    /// Which of the order's returns: each takes effect once.
    #[serde(default)]
    pub number: u32,
    /// Whether they can be sold again. If not, they are written off.
    #[serde(default = "yes")]
    pub sellable: bool,
}

fn yes() -> bool {
    true
}

/// What are you, and how many are there? Replies with the [`StockCard`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {}

/// What became of a [`Reserve`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reservation {
    /// The pieces are held for the order, at this price.
    Held {
        /// How many.
        quantity: Quantity,
        /// What one piece costs.
        unit_price: Money,
    },
    /// They cannot be held.
    Lacking {
        /// Why not.
        reason: LackReason,
    },
}

/// An item, and how many there are of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockCard {
    /// The item.
    pub sku: ItemId,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub description: String,
    /// What one piece costs.
    pub price: Money,
    /// What it is listed under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// What else there is to say of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Where its pictures are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<String>,
    /// Whether it is sold.
    #[serde(default, skip_serializing_if = "ItemStatus::is_active")]
    pub status: ItemStatus,
    /// All that ever came in.
    pub received: u64,
    /// What can be reserved.
    pub available: u64,
    /// What is reserved.
    pub held: u64,
    /// What left the house and did not come back.
    pub shipped: u64,
    /// What came back and cannot be sold again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub written_off: u64,
}

/// Why an item says no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error, JsonSchema)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ItemError {
    /// It was never created.
    #[error("there is no such item")]
    UnknownItem,
    /// It is created once.
    #[error("there is an item with this SKU already")]
    AlreadyCreated,
    /// More than can ever be counted.
    #[error("no more than 1,000,000,000 pieces of an item can be received")]
    TooMuchStock,
    /// Pieces of one item are in so many places already.
    #[error("an item is in no more than 20 warehouses")]
    TooManyWarehouses,
    /// What orders hold stays, and a warehouse has no fewer pieces than none.
    #[error(
        "only {free} pieces in the warehouse `{warehouse}` are free: the others are reserved, or not there"
    )]
    TooFewFree {
        /// How many there are.
        free: u64,
        /// Where.
        warehouse: WarehouseId,
    },
    /// Only what is held can be shipped.
    #[error("nothing is held for this order")]
    NotHeld,
    /// More is to be shipped than the order holds.
    #[error("only {held} pieces are held for this order")]
    TooFewHeld {
        /// How many there are.
        held: u64,
    },
    /// Only what was shipped can come back.
    #[error("only {out} pieces of this order can come back")]
    NotShipped {
        /// How many there are.
        out: u64,
    },
    /// Nobody sends pieces back so often.
    #[error("no more than 50 returns of one order are taken back")]
    TooManyReturns,
}
