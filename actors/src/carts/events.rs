//! What can happen to a cart. Stored for ever: names and fields stay.

use bus::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CartLine;
use crate::{
    inventory::ItemId, money::Money, orders::OrderId, payments::CardToken, quantity::Quantity,
};

/// What can happen to a cart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum CartEvent {
    /// It holds so many pieces of an item.
    #[serde(rename = "line_put")]
    LinePut {
        /// The item.
        sku: ItemId,
        /// How many.
        quantity: Quantity,
        /// What the user was shown that one piece costs.
        unit_price: Money,
    },
    /// It holds no more of an item.
    #[serde(rename = "line_removed")]
    LineRemoved {
        /// The item.
        sku: ItemId,
    },
    /// It was emptied.
    #[serde(rename = "cleared")]
    Cleared {},
    /// It became an order, and is empty.
    #[serde(rename = "checked_out")]
    CheckedOut {
        /// Which order.
        order: OrderId,
        /// What it is paid with.
        card: CardToken,
        /// What is bought: at least one line.
        lines: Vec<CartLine>,
    },
}
