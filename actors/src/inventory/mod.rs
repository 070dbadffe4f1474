//! Inventory: what the shop sells, and how much of it there is.
//!
//! ```text
//! item:   unknown ── create ──▶ draft ── activate ──▶ active ── retire ──▶ retired (and back)
//! pieces: received ──▶ available ── reserve ──▶ held ── ship ──▶ shipped ── take_back ──▶ written off
//!                        ▲  ▲────── release ──────┘                          │
//!                        └──────────────────── take_back ────────────────────┘
//! ```
//!
//! Promises: received = available + held + shipped + written off, always; an order holds an item
//! at most once; no more comes back than was shipped, and each return once; whoever asks for more than there is gets a `lacked` event, because somebody
//! downstream must act on it.

mod actor;
mod catalogue;
mod catalogue_commands;
mod commands;
mod events;
pub mod import;
mod lack;
mod listing;
mod projection;
mod shipments;
#[cfg(test)]
mod stock_tests;

pub use self::{
    actor::{Item, ItemId},
    catalogue::{Category, InvalidCategory, ItemStatus},
    catalogue_commands::{Activate, Create, Describe, Priced, Retire, SetPrice, ShowPrices},
    commands::{
        ItemError, Lapse, Receive, Release, Reservation, Reserve, Ship, Show, Stock, StockCard,
        Take, TakeBack,
    },
    events::ItemEvent,
    lack::LackReason,
    projection::{ItemCard, words},
};
