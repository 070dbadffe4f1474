//! What can happen to an import. Stored for ever: names and fields stay.

use bus::{JsonSchema, Timestamp};
use serde::{Deserialize, Serialize};

use super::{BadLine, ImportLine};

/// What can happen to an import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum ImportEvent {
    /// A list is to come.
    #[serde(rename = "begun")]
    Begun {
        /// Tells the list from others.
        digest: String,
        /// How many lines it has.
        lines: u32,
        /// How many chunks its good lines come in.
        chunks: u32,
        /// How many lines are bad.
        bad: u32,
        /// The first of them.
        report: Vec<BadLine>,
        /// When.
        at: Timestamp,
    },
    /// A chunk of it is there.
    #[serde(rename = "added")]
    Added {
        /// Which.
        number: u32,
        /// Its lines.
        lines: Vec<ImportLine>,
    },
    /// A chunk was carried out.
    #[serde(rename = "chunk_done")]
    ChunkDone {
        /// Which.
        number: u32,
        /// What of it failed.
        failed: Vec<BadLine>,
    },
}
