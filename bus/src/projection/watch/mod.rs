//! Watching rows: what they are, and then every change, pushed as it is folded.
//!
//! A watcher names an inbox; the node that takes the watch answers with the rows as they stand,
//! and then sends changes there, numbered, until nobody renews the watch. A number that is
//! missing, or a node that is gone, sends the watcher to whoever serves the rows then; it names
//! how far it was, so it never sees an older state after a newer one.

mod client;
mod hub;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use client::Watching;
pub use client::{Change, Watch};
pub(crate) use hub::{Changed, Watches, push};

use super::selection::Condition;

/// What is to be watched: one row, or all that meet the conditions.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchQuery {
    /// Where changes are sent.
    pub(crate) inbox: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) row: Option<String>,
    #[serde(default)]
    pub(crate) select: Vec<Condition>,
}

/// The answer to a watch: the rows as they stand, and how it is kept.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Watched<P> {
    /// Names the watch; every change carries it.
    pub(crate) watch: String,
    /// Where to ask for the watch to be kept, before `lease_ms` are over.
    pub(crate) renew: String,
    pub(crate) lease_ms: u64,
    pub(crate) rows: Vec<RowNow<P>>,
    /// How far the rows are.
    pub(crate) at: Vec<String>,
}

/// A row under its key; none if it is not there, or not among what is watched any more.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RowNow<P> {
    pub(crate) key: String,
    pub(crate) row: Option<P>,
}

/// What is sent to a watcher's inbox.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Push<P> {
    pub(crate) watch: String,
    /// 1, 2, 3 …: a gap means that something was lost.
    pub(crate) number: u64,
    pub(crate) rows: Vec<RowNow<P>>,
    pub(crate) at: Vec<String>,
    /// Nothing more comes: watch anew.
    #[serde(default)]
    pub(crate) ended: bool,
}

/// The answer to a renewal: the number sent last.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Renewed {
    pub(crate) number: u64,
}
