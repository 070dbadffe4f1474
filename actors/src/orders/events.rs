//! What can happen to an order. Stored for ever: names and fields stay.
//!
//! Sagas have no memory, so each event names all that whoever follows it needs.

use bus::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CancelReason, OrderLine, Parcel, Portion};
use crate::{
    inventory::{ItemId, LackReason},
    money::{Currency, Money},
    payments::{CardToken, Receipt},
    quantity::Quantity,
    users::UserId,
    warehouse::WarehouseId,
};

/// What can happen to an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum OrderEvent {
    /// Somebody wants to buy these things.
    #[serde(rename = "placed")]
    Placed {
        /// Who buys.
        buyer: UserId,
        /// What the order is paid in.
        currency: Currency,
        /// What the order is paid with.
        card: CardToken,
        /// What is bought.
        lines: Vec<OrderLine>,
    },
    /// An item is held for the order.
    #[serde(rename = "line_reserved")]
    LineReserved {
        /// The item.
        sku: ItemId,
        /// How many.
        quantity: Quantity,
        /// What one piece costs.
        unit_price: Money,
    },
    /// An item cannot be had; the order is cancelled in the same commit.
    #[serde(rename = "line_lacking")]
    LineLacking {
        /// The item.
        sku: ItemId,
        /// Why not.
        reason: LackReason,
    },
    /// Every line is held: the card is to be charged.
    #[serde(rename = "payment_due")]
    PaymentDue {
        /// What the order costs.
        total: Money,
        /// What it is paid with.
        card: CardToken,
    },
    /// The order is paid.
    #[serde(rename = "confirmed")]
    Confirmed {
        /// Who bought.
        buyer: UserId,
        /// What the order cost.
        total: Money,
        /// What proves that it is paid.
        receipt: Receipt,
        /// What is held for it, and must stay so. Older orders do not say, and hold it anyway.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        skus: Vec<ItemId>,
    },
    /// The order will not be.
    #[serde(rename = "cancelled")]
    Cancelled {
        /// Who wanted to buy.
        buyer: UserId,
        /// Why.
        reason: CancelReason,
        /// What may be held for it, and must be released.
        skus: Vec<ItemId>,
    },
    /// Money came for an order that was settled without it; it is to be given back.
    #[serde(rename = "paid_too_late")]
    PaidTooLate {
        /// What proves that it came.
        receipt: Receipt,
    },
    /// A paid order was called off before anything left the house: all goes back.
    #[serde(rename = "revoked")]
    Revoked {
        /// Who bought.
        buyer: UserId,
        /// What the order cost, which is to be given back.
        total: Money,
        /// What proves that it was paid.
        receipt: Receipt,
        /// What is held for it, and must be released.
        skus: Vec<ItemId>,
    },
    /// Pieces left the house.
    #[serde(rename = "shipped")]
    Shipped {
        /// The shipment's number within the order, from 1.
        number: u32,
        /// Who bought.
        buyer: UserId,
        /// What left.
        portions: Vec<Portion>,
        /// How the parcel can be followed, if it can.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parcel: Option<Parcel>,
        /// From which warehouse, if that was said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warehouse: Option<WarehouseId>,
    },
    /// A shipment reached the buyer.
    #[serde(rename = "delivered")]
    Delivered {
        /// The shipment's number.
        number: u32,
        /// Who bought.
        buyer: UserId,
    },
    /// The buyer wants to give pieces back.
    #[serde(rename = "return_requested")]
    ReturnRequested {
        /// The return's number within the order, from 1.
        number: u32,
        /// Who bought.
        buyer: UserId,
        /// What comes back.
        portions: Vec<Portion>,
        /// Why.
        reason: String,
    },
    /// What was returned is here; its price is to be given back.
    #[serde(rename = "return_accepted")]
    ReturnAccepted {
        /// The return's number.
        number: u32,
        /// Who bought.
        buyer: UserId,
        /// What came back.
        portions: Vec<Portion>,
        /// Whether it can be sold again.
        sellable: bool,
        /// How much money goes back.
        refund: Money,
        /// What proves that it was paid.
        receipt: Receipt,
    },
    /// What was returned is not taken back.
    #[serde(rename = "return_rejected")]
    ReturnRejected {
        /// The return's number.
        number: u32,
        /// Who bought.
        buyer: UserId,
        /// Why.
        reason: String,
    },
}
