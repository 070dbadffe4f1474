//! Payments: an order's one charge of a card.
//!
//! ```text
//! unrequested ── request ──▶ requested ──┬── capture ──▶ captured
//!                                        └── decline ──▶ declined
//! captured ── refund ──▶ refund due ── confirm_refund ──▶ refunded
//! ```
//!
//! Promises: a payment has one outcome, whichever is recorded first; the gateway gets the
//! payment's id as its key, so that asking it again charges nobody twice. Card numbers are
//! never stored: only tokens that stand for them.

mod actor;
mod card;
mod commands;
mod effect;
mod events;
mod gateway;
mod http_gateway;
mod ledger;
#[cfg(test)]
mod ledger_tests;
mod refunds;
pub mod simulated;

pub use self::{
    actor::{Payment, PaymentId},
    card::{CardToken, DeclineReason, InvalidCardToken, InvalidReceipt, Receipt},
    commands::{
        Capture, ConfirmRefund, Decline, PaymentError, PaymentStatus, PaymentView, Refund, Request,
        Show,
    },
    effect::ChargeCard,
    events::PaymentEvent,
    gateway::{Charge, Charged, Gateway, GatewayError, Verdict},
    http_gateway::{HttpGateway, InvalidGateway},
    ledger::{Account, BOOK, Book, EntryEvent, LedgerEntry, LedgerRow, Posting},
    simulated::SimulatedGateway,
};
