//! What can happen to a payment. Stored for ever: names and fields stay.

use bus::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CardToken, DeclineReason, Receipt, commands::is_zero};
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
