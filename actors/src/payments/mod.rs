//! Payments: an order's one charge of a card.
//!
//! ```text
//! unrequested ── request ──▶ requested ──┬── capture ──▶ captured
//!                             │          └── decline ──▶ declined
//!                             └─ note_pending ─▶ pending ─ authorise ─▶ authorised ─ capture ─▶ captured
//! captured ── refund ──▶ refund due ── confirm_refund ──▶ refunded
//! ```
//!
//! Promises: a payment has one outcome, whichever is recorded first, the gateway's webhook or its
//! answer; what is told of another charge or amount than it awaits is refused. The gateway gets the
//! payment's id as its key, so that asking it again charges nobody twice. Card numbers are
//! never stored: only tokens that stand for them.

mod actor;
#[cfg(test)]
mod actor_tests;
mod audit;
mod card;
mod commands;
mod effect;
mod events;
mod gateway;
mod http_gateway;
mod ledger;
#[cfg(test)]
mod ledger_tests;
mod pending;
#[cfg(test)]
mod pending_tests;
mod refunds;
pub mod simulated;

pub use self::{
    actor::{Payment, PaymentId},
    audit::{InvalidWebhookId, RefusalReason, RefusedWebhook, WebhookId},
    card::{CardToken, DeclineReason, InvalidCardToken, InvalidReceipt, Receipt},
    commands::{
        Authorise, Capture, CheckVerdict, ConfirmRefund, Decline, NotePending, NoteRefusedWebhook,
        PaymentError, PaymentStatus, PaymentView, Refund, RefundView, Request, Show,
    },
    effect::ChargeCard,
    events::PaymentEvent,
    gateway::{Charge, Charged, Gateway, GatewayError, Verdict},
    http_gateway::{HttpGateway, InvalidGateway},
    ledger::{Account, BOOK, Book, EntryEvent, LedgerEntry, LedgerRow, Posting},
    simulated::SimulatedGateway,
};
