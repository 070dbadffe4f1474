//! What an actor is, and what a commit holds: addresses, events, timers, old shapes. Pure, but for
//! `ambient`, which hands out time and chance.

pub(crate) mod actor;
pub(crate) mod ambient;
pub(crate) mod arming;
pub(crate) mod command_set;
pub(crate) mod commit;
pub(crate) mod effect;
pub(crate) mod every;
pub(crate) mod id;
pub(crate) mod saga;
pub(crate) mod time;
pub(crate) mod timer;
pub(crate) mod upcast;
