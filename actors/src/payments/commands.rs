//! What a payment can be asked, and why it says no.

use bus::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CardToken, DeclineReason, Receipt};
use crate::{money::Money, orders::OrderId};

/// Charge this card for this order. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What is paid for.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
    /// With what.
    pub card: CardToken,
}

/// The card was charged. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// What proves it.
    pub receipt: Receipt,
}

/// The card was not charged. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decline {
    /// Why.
    pub reason: DeclineReason,
}

/// Give back what was captured with this receipt. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refund {
    /// What proves that it was captured.
    pub receipt: Receipt,
    /// SHIM
    #[serde(default)]
    pub number: u32,
    /// SHIM
    #[serde(default)]
    pub amount: Option<Money>,
}

/// What was captured with this receipt is given back. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmRefund {
    /// What proves that it was captured.
    pub receipt: Receipt,
}

/// Why a payment says no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentError {
    /// Nobody asked for it.
    #[error("the payment was never requested")]
    NotRequested,
    /// It was requested for another order, amount or card.
    #[error("the payment was requested already, with other terms")]
    AlreadyRequested,
    /// It has another outcome already.
    #[error("the payment was settled already, with another outcome")]
    AlreadySettled,
    /// Only what was captured can be given back.
    #[error("nothing was captured with this receipt")]
    NotCaptured,
    /// Nobody asked for the money back.
    #[error("no refund is due")]
    RefundNotDue,
}
