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
    /// Which of the payment's refunds: each takes effect once.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(schema_with = "crate::schema::number")]
    pub number: u32,
    /// How much; all that is left, if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

/// What was captured with this receipt is given back. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmRefund {
    /// What proves that it was captured.
    pub receipt: Receipt,
    /// Which refund that was.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(schema_with = "crate::schema::number")]
    pub number: u32,
}

/// How do you stand? Replies with the [`PaymentView`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {}

/// How a payment stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// The card is to be charged.
    Requested,
    /// It was.
    Captured,
    /// It was not, and will not be.
    Declined,
}

/// How a payment stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentView {
    /// What is paid for.
    pub order: OrderId,
    /// How it stands, in one word.
    pub status: PaymentStatus,
    /// How much was asked for.
    pub amount: Money,
    /// How much of it has gone back.
    pub refunded: Money,
    /// Why it was declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<DeclineReason>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(super) fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Why a payment says no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error, JsonSchema)]
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
    /// Together no more goes back than was captured.
    #[error("no more than {left} of the payment is left")]
    RefundTooLarge {
        /// How much that is.
        left: Money,
    },
    /// A refund is of one amount.
    #[error("refund {number} was asked for already, with another amount")]
    RefundRepeated {
        /// Its number.
        number: u32,
    },
    /// Every refund is kept.
    #[error("a payment has at most 60 refunds")]
    TooManyRefunds,
}
