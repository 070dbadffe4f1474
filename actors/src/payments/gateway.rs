//! The card gateway as the shop sees it: a charge goes in, a verdict comes out, or nothing does.
//!
//! A gateway must treat the key as one: the same key charges once and gets the same verdict.

use std::future::Future;

use super::{CardToken, DeclineReason, PaymentId, Receipt};
use crate::money::Money;

/// Who charges cards.
pub trait Gateway: Send + Sync + 'static {
    /// Charges a card, once for each key, however often it is asked.
    ///
    /// # Errors
    /// [`GatewayError`] if it is not known whether the card was charged: ask again.
    fn charge(&self, charge: &Charge)
    -> impl Future<Output = Result<Verdict, GatewayError>> + Send;

    /// Gives back what was charged, or a part of it: once for each key and number, however often
    /// it is asked.
    ///
    /// # Errors
    /// [`GatewayError`] if it is not known whether it was given back: ask again.
    fn give_back(&self, charged: &Charged)
    -> impl Future<Output = Result<(), GatewayError>> + Send;
}

/// What a gateway is to give back.
#[derive(Debug, Clone, PartialEq)]
pub struct Charged {
    /// The idempotency key: the payment's id, as it was for the charge.
    pub key: PaymentId,
    /// Which of the payment's refunds this is; it makes the key one for each.
    pub number: u32,
    /// How much.
    pub amount: Money,
    /// What the gateway said when it charged the card.
    pub receipt: Receipt,
}

/// What is asked of a gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct Charge {
    /// The idempotency key: the payment's id.
    pub key: PaymentId,
    /// How much.
    pub amount: Money,
    /// With what.
    pub card: CardToken,
}

/// What a gateway decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The card was charged.
    Approved {
        /// What proves it.
        receipt: Receipt,
    },
    /// It is not known yet. It will be told, or can be asked for again.
    Pending {
        /// The gateway's number for the charge.
        charge: Receipt,
    },
    /// It was not, and will not be.
    Declined {
        /// Why.
        reason: DeclineReason,
    },
}

/// A gateway did not say what it decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// It did not answer.
    #[error("the gateway did not answer in time")]
    TimedOut,
    /// It cannot be reached, or says that it cannot work.
    #[error("the gateway is not available: {0}")]
    Unavailable(String),
}
