//! The shop, over HTTP, on a real nats-server: what clients are promised.
//!
//! Every test opens a shop of its own (`shop.rs`) and closes it again.

mod sessions;
mod shop;

mod access;
mod accounts;
mod bad_input;
mod carts;
mod catalogue;
mod conditional;
mod connections;
mod events;
mod firedrill;
mod fulfilment;
mod history;
mod idempotency;
mod importing;
mod ledger;
mod order_page;
mod ordering;
mod positions;
mod race;
mod registering;
mod restart;
mod searching;
mod stock;
mod tokens;
mod webhooks;
