//! Orders: from a basket to a confirmed purchase, or a cancelled one.
//!
//! ```text
//! unplaced ── place ──▶ placed ── last line reserved ──▶ paying ── paid ──▶ confirmed
//!                         │                                │
//!                         └── lacking, total too large ──▶ cancelled ◀── declined
//! ```
//!
//! A paid order is called off as long as nothing has left the house, or shipped in one or more
//! shipments, each of which is delivered, and whatever was delivered can be returned:
//!
//! ```text
//! confirmed ── cancel ──▶ revoked
//!     │
//!     └── ship ──▶ shipment 1, 2 … ── deliver ──▶ ── return ──▶ return 1, 2 … ──▶ accepted, rejected
//! ```
//!
//! Promises: an order is confirmed or cancelled, never both; what is told twice or too late
//! changes nothing, except that money which comes too late is recorded, to be given back. The
//! order is the checkout's memory: the saga itself has none.

mod actor;
#[cfg(test)]
mod actor_tests;
mod commands;
mod events;
mod fulfilling;
mod fulfilment;
mod fulfilment_commands;
#[cfg(test)]
mod fulfilment_tests;
mod history;
mod projection;
mod purchase;
mod reason;
pub(crate) mod saga;

pub use self::{
    actor::{Order, OrderId},
    commands::{
        Expire, NoteDeclined, NoteLacking, NotePaid, NoteReserved, OrderError, OrderLine,
        OrderStatus, OrderView, Place, PricedLine, Show,
    },
    events::OrderEvent,
    fulfilment_commands::{
        AcceptReturn, Cancel, Deliver, Parcel, Portion, Progress, RejectReturn, Return,
        ReturnStatus, Returned, Ship, Shipment,
    },
    history::{History, HistoryStep, OrderStep, StepBy},
    projection::{BoardColumn, OrderCard},
    purchase::Purchase,
    reason::CancelReason,
};
pub use crate::limits::LINES_MAX;
