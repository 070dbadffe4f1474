//! A simulated card gateway: a server of its own, that charges nobody and forgets nothing.
//!
//! Its API is that of gateways in the wild: an amount is authorised on a card, captured or
//! voided, refunded; a key makes asking again harmless; and whatever happens is told by webhook,
//! signed, at least once, sometimes late or twice. What a card does is told by its token, see
//! `cards`; what else goes wrong, by [`Mischief`].
//!
//! | request | answer |
//! |---|---|
//! | `POST /v1/charges` with a key, `{"reference","amount","currency","token"}` | 201 `{"charge","status","reason"?}` |
//! | `POST /v1/charges/{charge}/captures` `{"amount"}` | 201, once; the same amount again is the same capture |
//! | `POST /v1/charges/{charge}/refunds` with a key, `{"amount"}` | 201; all together at most what was captured |
//! | `POST /v1/charges/{charge}/void` | 200, if it was never captured |
//! | `GET /v1/charges/{charge}` | 200 `{"charge","reference","status","amount","captured","refunded","currency","reason"?}` |
//! | `GET /healthz` | 200 |
//!
//! A key is an `Idempotency-Key` header; with another body it is refused with 422. What a charge
//! does not allow is refused with 409, what there is no room for with 503. A refusal is
//! `{"error":{"code","message","field"?}}`.
//!
//! A webhook is a POST of `{"id","type","reference","charge","amount","currency","reason"?,
//! "refund"?,"at"}`, whose [`signature`] its receiver checks; `id` is the same when it is sent
//! again, and `refund` is the key of the refund.
//!
//! What was answered outlives a crash: `ledger` has it on disk first.
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! let mut settings = gateway::Settings::new("whsec-of-this-shop");
//! settings.webhook_url = Some("http://127.0.0.1:8080/v1/webhooks".to_owned());
//! settings.mischief.duplicate_chance = 0.1;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8090").await?;
//! gateway::serve(listener, settings, std::future::pending()).await
//! # }
//! ```

mod limits;
mod settings;

pub mod signature;

mod api;
mod cards;
mod charge;
mod refusal;
mod webhook;

mod bank;
mod gateway;
mod ledger;
mod post;
mod serve;

mod clock;
mod dice;

pub use crate::{
    serve::serve,
    settings::{Mischief, Settings},
};
