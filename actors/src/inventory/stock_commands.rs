//! What an item can be asked about how many pieces there are of it.

use bus::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{AdjustReason, Change, adjustment::read_note};
use crate::{
    limits::QUANTITY_MAX, quantity::Quantity, warehouse::WarehouseId, whole_number::whole_number,
};

/// So many pieces came in. Replies with the [`Stock`](super::Stock).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receive {
    /// How many.
    pub quantity: Quantity,
    /// Where they are put.
    #[serde(default, skip_serializing_if = "WarehouseId::is_main")]
    pub warehouse: WarehouseId,
}

impl Receive {
    /// So many pieces into `main`.
    #[must_use]
    pub const fn new(quantity: Quantity) -> Self {
        Self { quantity, warehouse: WarehouseId::MAIN }
    }
}

/// There are more or fewer pieces than the books say. Never fewer than orders hold. Replies with
/// the [`Stock`](super::Stock).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adjust {
    /// How many more, or fewer.
    pub by: Change,
    /// Why.
    pub reason: AdjustReason,
    /// What else there is to say of it: at most 200 characters.
    #[serde(default, deserialize_with = "read_note", skip_serializing_if = "String::is_empty")]
    #[schemars(schema_with = "crate::schema::note")]
    pub note: String,
    /// Where.
    #[serde(default, skip_serializing_if = "WarehouseId::is_main")]
    pub warehouse: WarehouseId,
}

/// How were your books set right? Replies with the latest [`Adjustment`](super::Adjustment)s, the
/// newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowAdjustments {}

/// Tell when fewer than so many pieces are available. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLowStock {
    /// The threshold; 0 is never.
    #[serde(deserialize_with = "read_threshold")]
    #[schemars(schema_with = "crate::schema::threshold")]
    pub below: u32,
}

fn read_threshold<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let rule = "a threshold is 0 to 1,000,000";
    let below = whole_number(deserializer, 0..=u64::from(QUANTITY_MAX), rule)?;
    Ok(u32::try_from(below).expect("within the bounds, which are u32"))
}
