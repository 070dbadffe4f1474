//! What a cart can be asked, what it answers, and why it says no.

use bus::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    inventory::ItemId, money::Money, orders::OrderId, payments::CardToken, quantity::Quantity,
};

/// Hold so many pieces of an item, instead of however many it was. Replies with the [`CartView`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// The item.
    pub sku: ItemId,
    /// How many.
    pub quantity: Quantity,
    /// What the user was shown that one piece costs.
    pub unit_price: Money,
}

/// Hold no more of an item. Replies with the [`CartView`], also if there was none of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// The item.
    pub sku: ItemId,
}

/// Be empty. Replies with the [`CartView`], also if it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clear {}

/// Become this order, and be empty. Replies with the [`CartView`] of what is ordered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckOut {
    /// The order's id: one that was never used.
    pub order: OrderId,
    /// What it is paid with.
    pub card: CardToken,
}

/// What do you hold? Replies with the [`CartView`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {}

/// So many pieces of one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CartLine {
    /// The item.
    pub sku: ItemId,
    /// How many.
    pub quantity: Quantity,
    /// What the user was shown that one piece costs.
    pub unit_price: Money,
}

/// What a cart holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CartView {
    /// In the order in which they were put in.
    pub lines: Vec<CartLine>,
    /// What it costs, at the prices that the user was shown; none of an empty cart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
}

/// Why a cart says no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error, JsonSchema)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CartError {
    /// An order has only so many lines.
    #[error("a cart has at most 50 lines")]
    CartFull,
    /// An order is paid in one currency.
    #[error("what is in the cart is sold in another currency")]
    OtherCurrency,
    /// More than can ever be paid.
    #[error("the total is too large")]
    TotalTooLarge,
    /// There is nothing to order.
    #[error("the cart is empty")]
    CartEmpty,
}
