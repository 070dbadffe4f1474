//! Inventory: what the shop sells, and how much of it there is.
//!
//! ```text
//! item:   unknown ── create ──▶ draft ── activate ──▶ active ── retire ──▶ retired (and back)
//! pieces: received ──▶ available ── reserve ──▶ held ── ship ──▶ shipped ── take_back ──▶ written off
//!                        ▲  ▲────── release ──────┘                          │
//!                        └──────────────────── take_back ────────────────────┘
//! ```
//!
//! Pieces lie in warehouses, `main` if nothing is said; orders hold pieces of the item and not of a
//! warehouse. What is found is received, and what is lost written off: `adjust` says why.
//!
//! Promises: received = available + held + shipped + written off, always; an order holds an item
//! at most once; no more comes back than was shipped, and each return once; whoever asks for more than there is gets a `lacked` event, because somebody
//! downstream must act on it. Pieces in warehouses = available + held, and no adjustment takes what is
//! held. When fewer than a threshold become available, `stock_low` says so once.

mod actor;
mod adjustment;
mod catalogue;
mod catalogue_commands;
mod commands;
mod events;
pub mod import;
mod lack;
mod listing;
mod on_hand;
mod projection;
mod shipments;
mod stock;
mod stock_commands;
#[cfg(test)]
mod tests;

pub use self::{
    actor::{Item, ItemId},
    adjustment::{AdjustReason, Adjustment, Change},
    catalogue::{Category, InvalidCategory, ItemStatus},
    catalogue_commands::{Activate, Create, Describe, Priced, Retire, SetPrice, ShowPrices},
    commands::{
        ItemError, Lapse, Release, Reservation, Reserve, Ship, Show, StockCard, Take, TakeBack,
    },
    events::ItemEvent,
    lack::LackReason,
    on_hand::OnHand,
    projection::{ItemCard, words},
    stock::Stock,
    stock_commands::{Adjust, Receive, SetLowStock, ShowAdjustments},
};
