//! What an order can be asked once it is placed: to be called off, shipped, delivered, returned.
//!
//! A command that comes in the buyer's name says who that is; somebody else's order refuses it.

use bus::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    inventory::ItemId, money::Money, name::read_name, quantity::Quantity, users::UserId,
    warehouse::WarehouseId,
};

/// Be called off, before anything has left the house. Replies with the order's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Who asks, if it must be the buyer. Staff say nothing here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<UserId>,
}

/// These pieces leave the house together. Replies with the number of the shipment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ship {
    /// What leaves: 1 to 50 portions, no item twice.
    pub portions: Vec<Portion>,
    /// How the parcel can be followed, if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parcel: Option<Parcel>,
    /// From which warehouse, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<WarehouseId>,
}

/// A shipment has reached the buyer. Replies nothing, also if that is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deliver {
    /// Which one.
    #[schemars(schema_with = "crate::schema::number")]
    pub shipment: u32,
}

/// The buyer wants to give these pieces back. Replies with the number of the return.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Return {
    /// Who asks, if it must be the buyer. Staff say nothing here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<UserId>,
    /// What comes back: 1 to 50 portions of what was delivered, no item twice.
    pub portions: Vec<Portion>,
    /// Why: 1 to 200 characters.
    #[serde(deserialize_with = "read_name")]
    #[schemars(schema_with = "crate::schema::name")]
    pub reason: String,
}

/// What was returned is here, and its price goes back. Replies with how much that is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptReturn {
    /// Which return.
    #[serde(rename = "return")]
    #[schemars(schema_with = "crate::schema::number")]
    pub number: u32,
    /// Whether the pieces can be sold again.
    pub sellable: bool,
}

/// What was returned is not taken back. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectReturn {
    /// Which return.
    #[serde(rename = "return")]
    #[schemars(schema_with = "crate::schema::number")]
    pub number: u32,
    /// Why: 1 to 200 characters, which the buyer reads.
    #[serde(deserialize_with = "read_name")]
    #[schemars(schema_with = "crate::schema::name")]
    pub reason: String,
}

/// So many pieces of one of an order's lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Portion {
    /// The item.
    pub sku: ItemId,
    /// How many.
    pub quantity: Quantity,
}

/// How a parcel can be followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parcel {
    /// Who carries it: 1 to 200 characters.
    #[serde(deserialize_with = "read_name")]
    #[schemars(schema_with = "crate::schema::name")]
    pub carrier: String,
    /// The carrier's number for it: 1 to 200 characters.
    #[serde(deserialize_with = "read_name")]
    #[schemars(schema_with = "crate::schema::name")]
    pub tracking: String,
}

/// How much of a paid order has left the house, and arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Nothing has left.
    ToShip,
    /// Some pieces have left, and others not.
    PartlyShipped,
    /// All pieces have left, and not all have arrived.
    Shipped,
    /// All pieces have arrived.
    Delivered,
}

/// Pieces that left the house together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shipment {
    /// Its number within the order, from 1.
    #[schemars(schema_with = "crate::schema::number")]
    pub number: u32,
    /// What left.
    pub portions: Vec<Portion>,
    /// How the parcel can be followed, if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parcel: Option<Parcel>,
    /// Whether it has reached the buyer.
    #[serde(default)]
    pub is_delivered: bool,
}

/// Pieces that the buyer gives back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Returned {
    /// Its number within the order, from 1.
    #[schemars(schema_with = "crate::schema::number")]
    pub number: u32,
    /// What comes back.
    pub portions: Vec<Portion>,
    /// Why.
    pub reason: String,
    /// What became of it.
    pub status: ReturnStatus,
}

/// What became of a return.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReturnStatus {
    /// Staff have not looked at it yet.
    Requested,
    /// It was taken back.
    Accepted {
        /// How much money goes back.
        refund: Money,
    },
    /// It was not.
    Rejected {
        /// Why.
        reason: String,
    },
}
