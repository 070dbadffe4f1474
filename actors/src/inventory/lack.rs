//! Why an item cannot be had: a fact that travels from the stock to the buyer's mail.

use bus::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why an order's line cannot be held.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, JsonSchema,
)]
pub enum LackReason {
    /// The item was never created.
    #[serde(rename = "unknown_item")]
    #[error("there is no such item")]
    UnknownItem,
    /// It is sold no longer.
    #[serde(rename = "retired")]
    #[error("it is sold no longer")]
    Retired,
    /// There are too few.
    #[serde(rename = "out_of_stock")]
    #[error("only {available} available")]
    OutOfStock {
        /// How many there were.
        #[schemars(schema_with = "crate::schema::count")]
        available: u64,
    },
    /// Its price is in another currency than the order.
    #[serde(rename = "other_currency")]
    #[error("it is sold in another currency")]
    OtherCurrency,
}
