//! Why an order was cancelled: a fact that travels from the order to its buyer's mail.

use bus::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    inventory::{ItemId, LackReason},
    money::Money,
    payments::DeclineReason,
};

/// Why an order was cancelled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error, JsonSchema)]
pub enum CancelReason {
    /// A line could not be had.
    #[serde(rename = "lacking")]
    #[error("{sku} cannot be had: {reason}")]
    Lacking {
        /// Which one.
        sku: ItemId,
        /// Why not.
        reason: LackReason,
    },
    /// The card was not charged.
    #[serde(rename = "declined")]
    #[error("the payment was declined: {reason}")]
    Declined {
        /// Why not.
        reason: DeclineReason,
    },
    /// It was not paid in time.
    #[serde(rename = "unpaid")]
    #[error("it was not paid in time")]
    Unpaid,
    /// The lines cost more than any amount can be.
    #[serde(rename = "total_too_large")]
    #[error("the total is too large")]
    TotalTooLarge,
    /// An item costs something else than the buyer was shown.
    #[serde(rename = "price_changed")]
    #[error("{sku} costs {unit_price} now, and not {expected}")]
    PriceChanged {
        /// The item.
        sku: ItemId,
        /// What the buyer was shown.
        expected: Money,
        /// What one piece costs.
        unit_price: Money,
    },
    /// The buyer wants it no more.
    #[serde(rename = "called_off")]
    #[error("you called it off")]
    CalledOff,
    /// The shop's staff called it off.
    #[serde(rename = "by_the_shop")]
    #[error("the shop called it off")]
    ByTheShop,
}
