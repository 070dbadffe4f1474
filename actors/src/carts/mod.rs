//! Carts: what a user means to buy, on whatever device, until it becomes an order.
//!
//! A cart has the id of its user. Its lines say what the user was shown that a piece costs; the
//! order that is made of it is held to that.

mod actor;
#[cfg(test)]
mod actor_tests;
mod commands;
mod events;
pub(crate) mod saga;

pub use self::{
    actor::{Cart, CartId},
    commands::{CartError, CartLine, CartView, CheckOut, Clear, Put, Remove, Show},
    events::CartEvent,
};
