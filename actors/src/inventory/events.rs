//! What can happen to an item. Stored for ever: names and fields stay.

use serde::{Deserialize, Serialize};

use super::LackReason;
use crate::{money::Money, orders::OrderId, quantity::Quantity};

/// What can happen to an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ItemEvent {
    /// It is sold from now on.
    #[serde(rename = "created")]
    Created {
        /// What it is called.
        name: String,
        /// What it is.
        description: String,
        /// What one piece costs.
        price: Money,
    },
    /// Pieces came in.
    #[serde(rename = "received")]
    Received {
        /// How many.
        quantity: Quantity,
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
