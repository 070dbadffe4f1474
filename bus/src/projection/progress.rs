//! How far a projection's rows are: for operators, and for whoever asks over the bus.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far one projection is on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// The projection's name.
    pub projection: String,
    /// The version of its rows that is kept up to date.
    pub version: u32,
    /// The node that says so.
    pub node: String,
    /// Whether the rows hold all that was in the journal when this node began to fold; only
    /// then do they answer queries.
    pub whole: bool,
    /// How much of what there was to fold is folded, 0 to 100.
    pub percent: u8,
    /// The version of older rows that answer in their place until they are whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_in: Option<u32>,
    /// How far each stream is folded, by its name.
    pub streams: Vec<StreamProgress>,
}

/// How far one stream is folded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamProgress {
    /// The stream's name.
    pub stream: String,
    /// The sequence up to which it is in the rows.
    pub folded: u64,
    /// The sequence of its last commit, as far as it is known.
    pub last: u64,
    /// Commits that are not in the rows yet.
    pub lag: u64,
    /// Messages that were passed over, because they are no commits or cannot be decoded.
    pub skipped: u64,
}

/// How many hundredths `part` is of `whole`; 100 only if it is all of it.
pub(crate) fn percent(part: u64, whole: u64) -> u8 {
    if part >= whole {
        return 100;
    }
    u8::try_from(u128::from(part) * 100 / u128::from(whole)).unwrap_or(100)
}
