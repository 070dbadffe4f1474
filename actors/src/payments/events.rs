//! What can happen to a payment. Stored for ever: names and fields stay.

use bus::{JsonSchema, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CardToken, DeclineReason, Receipt, RefusalReason, WebhookId, commands::is_zero};
use crate::{money::Money, orders::OrderId};

/// What can happen to a payment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum PaymentEvent {
    /// A card is to be charged.
    #[serde(rename = "requested")]
    Requested {
        /// What is paid for.
        order: OrderId,
        /// How much.
        amount: Money,
        /// With what.
        card: CardToken,
    },
    /// The gateway took the charge on, and will decide later.
    #[serde(rename = "pending")]
    Pending {
        /// What is paid for.
        order: OrderId,
        /// The gateway's number for the charge.
        charge: Receipt,
    },
    /// The card may be charged.
    #[serde(rename = "authorised")]
    Authorised {
        /// What is paid for.
        order: OrderId,
        /// The gateway's number for the charge.
        charge: Receipt,
    },
    /// A charge was pending, and now the gateway is to be asked again: it may have been decided.
    #[serde(rename = "charge_due")]
    ChargeDue {
        /// What is paid for.
        order: OrderId,
        /// How much.
        amount: Money,
        /// With what.
        card: CardToken,
    },
    /// Somebody told of this payment in the gateway's name, and was not believed.
    #[serde(rename = "webhook_refused")]
    WebhookRefused {
        /// What the webhook says that its id is.
        webhook: WebhookId,
        /// Why.
        reason: RefusalReason,
        /// When.
        at: Timestamp,
    },
    /// The card was charged.
    #[serde(rename = "captured")]
    Captured {
        /// What is paid for.
        order: OrderId,
        /// What proves it.
        receipt: Receipt,
        /// How much; older ones do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Money>,
    },
    /// The card was not charged. An event and not a refusal: the order must hear of it.
    #[serde(rename = "declined")]
    Declined {
        /// What is not paid for.
        order: OrderId,
        /// Why.
        reason: DeclineReason,
    },
    /// The money is to be given back.
    #[serde(rename = "refund_due")]
    RefundDue {
        /// What it was paid for.
        order: OrderId,
        /// How much.
        amount: Money,
        /// What proves that it was captured.
        receipt: Receipt,
        /// Which of the payment's refunds; older ones do not say, and are number 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        number: u32,
    },
    /// The money was given back.
    #[serde(rename = "refunded")]
    Refunded {
        /// What it was paid for.
        order: OrderId,
        /// How much.
        amount: Money,
        /// What proves that it was captured.
        receipt: Receipt,
        /// Which of the payment's refunds; older ones do not say, and are number 0.
        #[serde(default, skip_serializing_if = "is_zero")]
        number: u32,
    },
}
