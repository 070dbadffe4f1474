//! What a payment can be asked, and why it says no.

use bus::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CardToken, DeclineReason, Receipt, RefusalReason, RefusedWebhook, WebhookId};
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
    /// How much, if who tells does not know what was asked for: another amount is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

/// The card was not charged. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decline {
    /// Why.
    pub reason: DeclineReason,
    /// Which charge that was, if who tells does not know it from the shop: another is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<Receipt>,
    /// How much was not charged, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

/// The gateway took the charge on, and has not decided yet. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotePending {
    /// The gateway's number for it.
    pub charge: Receipt,
}

/// The card may be charged: let it be. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Authorise {
    /// The gateway's number for the charge.
    pub charge: Receipt,
    /// How much may be charged.
    pub amount: Money,
}

/// Nobody told what became of a pending charge: it is to be asked for. A timer's. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckVerdict {}

/// A webhook that tells of this payment was refused. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteRefusedWebhook {
    /// Its id, as it says.
    pub webhook: WebhookId,
    /// Why.
    pub reason: RefusalReason,
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
    /// How much, if who tells does not know what was due: another amount is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
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
    /// The gateway has not decided yet.
    Pending,
    /// The card may be charged, and is about to be.
    Authorised,
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
    /// The gateway's number for the charge, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<Receipt>,
    /// What goes back, or has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<RefundView>,
    /// What the gateway, or somebody in its name, told and was not believed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_webhooks: Vec<RefusedWebhook>,
}

/// One of a payment's refunds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefundView {
    /// Which.
    #[schemars(schema_with = "crate::schema::number")]
    pub number: u32,
    /// How much.
    pub amount: Money,
    /// Whether the gateway has given it back.
    pub is_done: bool,
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
    /// What is told is of another charge than this payment's.
    #[error("this is not the payment's charge")]
    OtherCharge,
    /// What is told is of another amount than was asked for.
    #[error("this is not the amount that was asked for")]
    OtherAmount,
    /// What is told is in another currency than what was asked for.
    #[error("this is not the currency that was asked for")]
    OtherCurrency,
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
