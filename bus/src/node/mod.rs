//! A node: mailboxes and their bounds, one decision at a time, the conflict rule, keys, snapshots.

pub(crate) mod activation;
pub(crate) mod command;
pub(crate) mod counters;
pub(crate) mod desks;
#[cfg(test)]
mod desks_tests;
#[cfg(test)]
mod doubt_tests;
pub(crate) mod host;
pub(crate) mod keys;
pub(crate) mod kind;
pub(crate) mod loading;
pub(crate) mod repeat;
pub(crate) mod running;
pub(crate) mod settling;
pub(crate) mod snapshot;
pub(crate) mod turn;
#[cfg(test)]
mod turn_tests;
