//! Inventory: what the shop sells, and how much of it there is.
//!
//! ```text
//! item:   unknown ── create ──▶ created (receive)
//! pieces: received ──▶ available ── reserve ──▶ held ── ship ──▶ shipped
//!                          ▲────── release ──────┘
//! ```
//!
//! Promises: received = available + held + shipped, always; an order holds an item at most
//! once; whoever asks for more than there is gets a `lacked` event, because somebody
//! downstream must act on it.

mod actor;
mod commands;
mod events;
mod lack;
mod projection;
#[cfg(test)]
mod stock_tests;

pub use self::{
    actor::{Item, ItemId},
    commands::{
        Create, ItemError, Lapse, Receive, Release, Reservation, Reserve, Ship, Show, Stock,
        StockCard, Take,
    },
    events::ItemEvent,
    lack::LackReason,
    projection::{ItemCard, words},
};
