//! What an order can be asked, what it answers, and why it says no.

use bus::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CancelReason, Progress, Returned, Shipment};
use crate::{
    inventory::{ItemId, LackReason},
    money::{Currency, Money},
    payments::{CardToken, DeclineReason, Receipt},
    quantity::Quantity,
    users::UserId,
};

/// Buy these things. Replies with the order's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Who buys.
    pub buyer: UserId,
    /// What the order is paid in.
    pub currency: Currency,
    /// What the order is paid with.
    pub card: CardToken,
    /// What is bought: 1 to 50 lines, no item twice.
    pub lines: Vec<OrderLine>,
}

/// So many pieces of one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderLine {
    /// The item.
    pub sku: ItemId,
    /// How many.
    pub quantity: Quantity,
    /// What the buyer was shown that one piece costs: at another price the order is cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_price: Option<Money>,
}

/// An item is held for the order. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteReserved {
    /// The item.
    pub sku: ItemId,
    /// How many are held.
    pub quantity: Quantity,
    /// What one piece costs.
    pub unit_price: Money,
}

/// An item cannot be had. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteLacking {
    /// The item.
    pub sku: ItemId,
    /// Why not.
    pub reason: LackReason,
}

/// The order's payment was captured. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotePaid {
    /// What proves it.
    pub receipt: Receipt,
}

/// The order's payment was declined. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteDeclined {
    /// Why.
    pub reason: DeclineReason,
}

/// The order's time to be paid is over. Replies nothing, also if it was paid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expire {}

/// How do you stand? Replies with the [`OrderView`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {}

/// How an order stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Its lines are being reserved.
    #[default]
    Placed,
    /// All lines are held; the card is being charged.
    Paying,
    /// It is paid.
    Confirmed,
    /// It will not be.
    Cancelled,
    /// It was paid, and called off before anything left the house.
    Revoked,
}

/// A line and, once it is held, its price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PricedLine {
    /// The item.
    pub sku: ItemId,
    /// How many.
    pub quantity: Quantity,
    /// What one piece costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Money>,
}

/// How an order stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderView {
    /// Who buys.
    pub buyer: UserId,
    /// How it stands, in one word.
    pub status: OrderStatus,
    /// What it is paid in.
    pub currency: Currency,
    /// What is bought.
    pub lines: Vec<PricedLine>,
    /// What it costs, once every line is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
    /// What proves that it is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// Why it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<CancelReason>,
    /// How much of it has left the house and arrived, if it is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What left the house.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shipments: Vec<Shipment>,
    /// What comes back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<Returned>,
}

/// Why an order says no. The text is shown to the buyer as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error, JsonSchema)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderError {
    /// There is nothing to buy.
    #[error("the order has no lines")]
    Empty,
    /// There is too much to buy at once.
    #[error("an order has at most 50 lines")]
    TooManyLines,
    /// One item, one line.
    #[error("`{sku}` is in more than one line")]
    LineRepeated {
        /// The item.
        sku: ItemId,
    },
    /// An order is placed once.
    #[error("the order was placed already")]
    AlreadyPlaced,
    /// Nothing is known of it.
    #[error("the order was never placed")]
    Unplaced,
    /// A note about something the order did not ask for.
    #[error("the order has no such line of `{sku}`")]
    NoSuchLine {
        /// The item.
        sku: ItemId,
    },
    /// A note about a payment the order did not ask for yet.
    #[error("the order's payment is not due yet")]
    NotDue,
    /// It is somebody else's.
    #[error("the order was never placed")]
    NotYours,
    /// Only what is paid can be shipped and returned.
    #[error("the order is not paid")]
    NotPaid,
    /// What has left the house cannot be called off.
    #[error("the order has left the house already; it can be returned")]
    AlreadyShipped,
    /// More than is left to ship, or to return.
    #[error("no more than {left} of `{sku}`")]
    TooMany {
        /// The item.
        sku: ItemId,
        /// How many it may be.
        left: u64,
    },
    /// There is no shipment with this number.
    #[error("the order has no shipment {shipment}")]
    NoSuchShipment {
        /// The number.
        shipment: u32,
    },
    /// There is no return with this number.
    #[error("the order has no return {number}")]
    NoSuchReturn {
        /// The number.
        number: u32,
    },
    /// A return is accepted or rejected once.
    #[error("return {number} was decided on already")]
    AlreadyDecided {
        /// The return's number.
        number: u32,
    },
    /// Every shipment and return is kept.
    #[error("an order has at most 100 shipments and 50 returns")]
    TooManySteps,
}

impl OrderStatus {
    /// Whether the order will stay as it is.
    #[must_use]
    pub fn is_settled(self) -> bool {
        match self {
            Self::Placed | Self::Paying => false,
            Self::Confirmed | Self::Cancelled | Self::Revoked => true,
        }
    }
}
