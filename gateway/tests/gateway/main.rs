//! The gateway, over HTTP, with a receiver of its webhooks: what a shop is promised.
//!
//! Every test opens a gateway of its own (`world.rs`) and closes it again.

mod receiver;
mod world;

mod bad_input;
mod connections;
mod keys;
mod money;
mod restart;
mod tokens;
mod webhooks;
