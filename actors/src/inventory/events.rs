//! What can happen to an item. Stored for ever: names and fields stay.

use std::collections::BTreeMap;

use bus::{JsonSchema, Timestamp};
use serde::{Deserialize, Serialize};

use super::{AdjustReason, Category, Change, ItemStatus, LackReason};
use crate::{money::Money, orders::OrderId, quantity::Quantity, warehouse::WarehouseId};

/// What can happen to an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum ItemEvent {
    /// It is there from now on.
    #[serde(rename = "created")]
    Created {
        /// What it is called.
        name: String,
        /// What it is.
        description: String,
        /// What one piece costs.
        price: Money,
        /// What it is listed under.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        category: Option<Category>,
        /// What else there is to say of it.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        attributes: BTreeMap<String, String>,
        /// Where its pictures are.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pictures: Vec<String>,
        /// Whether it is sold at once.
        #[serde(default, skip_serializing_if = "ItemStatus::is_active")]
        status: ItemStatus,
        /// When; earlier ones do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
    },
    /// It is described anew.
    #[serde(rename = "described")]
    Described {
        /// What it is called.
        name: String,
        /// What it is.
        description: String,
        /// What it is listed under.
        category: Option<Category>,
        /// What else there is to say of it.
        attributes: BTreeMap<String, String>,
        /// Where its pictures are.
        pictures: Vec<String>,
    },
    /// It costs something else.
    #[serde(rename = "priced")]
    Priced {
        /// What one piece costs.
        price: Money,
        /// From when on.
        at: Timestamp,
    },
    /// It is sold, as a draft or again.
    #[serde(rename = "activated")]
    Activated {},
    /// It is sold no longer.
    #[serde(rename = "retired")]
    Retired {},
    /// Pieces came in.
    #[serde(rename = "received")]
    Received {
        /// How many.
        quantity: Quantity,
        /// Where they are put.
        #[serde(default, skip_serializing_if = "WarehouseId::is_main")]
        warehouse: WarehouseId,
    },
    /// There are more or fewer pieces than the books said.
    #[serde(rename = "adjusted")]
    Adjusted {
        /// How many more, or fewer.
        by: Change,
        /// Why.
        reason: AdjustReason,
        /// What else there is to say of it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
        /// Where.
        #[serde(default, skip_serializing_if = "WarehouseId::is_main")]
        warehouse: WarehouseId,
        /// In whose name, if somebody vouched for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        who: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// It is low from now on whenever fewer pieces are available.
    #[serde(rename = "low_stock_set")]
    LowStockSet {
        /// The threshold; 0 is never.
        below: u32,
    },
    /// Fewer pieces than the threshold are available, and were not before.
    #[serde(rename = "stock_low")]
    StockLow {
        /// How many are left.
        available: u64,
        /// The threshold.
        below: u32,
    },
    /// Pieces are held for an order.
    #[serde(rename = "reserved")]
    Reserved {
        /// For whom.
        order: OrderId,
        /// How many.
        quantity: Quantity,
        /// What one piece costs the order.
        unit_price: Money,
    },
    /// An order asked for what cannot be had. An event and not a refusal: the order must hear
    /// of it.
    #[serde(rename = "lacked")]
    Lacked {
        /// Who asked.
        order: OrderId,
        /// For how many.
        quantity: Quantity,
        /// Why it cannot be had.
        reason: LackReason,
    },
    /// Pieces held for an order stay held: it is paid.
    #[serde(rename = "taken")]
    Taken {
        /// Which order.
        order: OrderId,
    },
    /// Pieces held for an order are available again.
    #[serde(rename = "released")]
    Released {
        /// Who held them.
        order: OrderId,
        /// How many.
        quantity: Quantity,
    },
    /// Pieces held for an order left the house.
    #[serde(rename = "shipped")]
    Shipped {
        /// Who held them.
        order: OrderId,
        /// How many: all that the order held, or a part.
        quantity: Quantity,
        /// From where; all from `main` if nothing is said.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        from: BTreeMap<WarehouseId, Quantity>,
    },
    /// Pieces shipped to an order came back.
    #[serde(rename = "taken_back")]
    TakenBack {
        /// Who sends them back.
        order: OrderId,
        /// How many.
        quantity: Quantity,
        /// Which of the order's returns.
        number: u32,
        /// Whether they are available again. If not, they are written off.
        sellable: bool,
    },
}
