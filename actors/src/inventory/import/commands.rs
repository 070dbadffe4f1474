//! What an import can be asked, what it answers, and why it says no.

use bus::{JsonSchema, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    inventory::{Category, ItemId},
    money::Money,
    name::{read_description, read_name},
    quantity::Quantity,
};

/// Take this list in: its chunks follow. Replies with the [`ImportProgress`], also if it was
/// begun before with the same list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// Tells the list from others.
    pub digest: String,
    /// How many lines it has, good and bad.
    pub lines: u32,
    /// How many chunks its good lines come in.
    pub chunks: u32,
    /// How many lines are bad.
    pub bad: u32,
    /// The first of them.
    pub report: Vec<BadLine>,
}

/// A chunk of the list. Replies nothing, also if it was added before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// Which chunk: 0, 1, 2 …
    pub number: u32,
    /// Its lines.
    pub lines: Vec<ImportLine>,
}

/// A line: an item to be there, and how many pieces came in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportLine {
    /// Where it stands in the list.
    pub line: u32,
    /// The item.
    pub sku: ItemId,
    /// What it is called.
    #[serde(deserialize_with = "read_name")]
    #[schemars(schema_with = "crate::schema::name")]
    pub name: String,
    /// What it is.
    #[serde(default, deserialize_with = "read_description")]
    #[schemars(schema_with = "crate::schema::description")]
    pub description: String,
    /// What it is listed under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// What one piece costs.
    pub price: Money,
    /// How many pieces came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
}

/// From the effect: a chunk was carried out, but for these lines. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteDone {
    /// Which chunk.
    pub number: u32,
    /// What of it failed.
    pub failed: Vec<BadLine>,
}

/// How far are you? Replies with the [`ImportProgress`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowImport {}

/// A line that was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BadLine {
    /// Where it stands in the list.
    pub line: u32,
    /// What is wrong with it.
    pub message: String,
}

/// How far an import is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportProgress {
    /// What is done of it.
    pub status: ImportStatus,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// Lines of the list.
    pub lines: u32,
    /// Lines that were taken in.
    pub taken: u32,
    /// Lines that were not.
    pub bad: u32,
    /// The first of them, in the list's order.
    pub report: Vec<BadLine>,
    /// Chunks that are still to be added.
    pub missing: Vec<u32>,
}

/// Where an import stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    /// Parts of the list are still to come. If whoever sends it was cut off, it goes on when the
    /// list is sent again.
    Receiving,
    /// All is there, and being carried out.
    Running,
    /// Every line was taken in, or is in the report.
    Done,
}

/// Why an import says no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error, JsonSchema)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ImportError {
    /// It was never begun.
    #[error("there is no such import")]
    UnknownImport,
    /// One import has one list.
    #[error("this import was begun with another list")]
    OtherList,
    /// Longer than an import may be.
    #[error("an import has at most 50,000 lines in at most 1,000 chunks")]
    TooLong,
    /// A chunk that the list does not have.
    #[error("there is no such chunk")]
    NoSuchChunk,
}
