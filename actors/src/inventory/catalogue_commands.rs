//! What an item can be asked about what it is listed as.

use std::collections::BTreeMap;

use bus::{JsonSchema, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Category, ItemStatus,
    catalogue::{read_attributes, read_pictures},
};
use crate::{
    money::Money,
    name::{read_description, read_name},
};

/// Be there from now on. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// What it is called: 1 to 200 characters.
    #[serde(deserialize_with = "read_name")]
    #[schemars(schema_with = "crate::schema::name")]
    pub name: String,
    /// What it is, at length: at most 5,000 characters.
    #[serde(default, deserialize_with = "read_description")]
    #[schemars(schema_with = "crate::schema::description")]
    pub description: String,
    /// What one piece costs.
    pub price: Money,
    /// What it is listed under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// What else there is to say of it.
    #[serde(
        default,
        deserialize_with = "read_attributes",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(schema_with = "crate::schema::attributes")]
    pub attributes: BTreeMap<String, String>,
    /// Where its pictures are: https URLs.
    #[serde(default, deserialize_with = "read_pictures", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::pictures")]
    pub pictures: Vec<String>,
    /// Whether it is sold at once.
    #[serde(default, skip_serializing_if = "ItemStatus::is_active")]
    pub status: ItemStatus,
}

impl Create {
    /// An item of this name and price, sold at once, of which nothing more is said.
    #[must_use]
    pub fn new(name: String, price: Money) -> Self {
        Self {
            name,
            description: String::new(),
            price,
            category: None,
            attributes: BTreeMap::new(),
            pictures: Vec::new(),
            status: ItemStatus::Active,
        }
    }
}

/// Be described so, and not as before. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Describe {
    /// What it is called: 1 to 200 characters.
    #[serde(deserialize_with = "read_name")]
    #[schemars(schema_with = "crate::schema::name")]
    pub name: String,
    /// What it is, at length: at most 5,000 characters.
    #[serde(default, deserialize_with = "read_description")]
    #[schemars(schema_with = "crate::schema::description")]
    pub description: String,
    /// What it is listed under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// What else there is to say of it.
    #[serde(
        default,
        deserialize_with = "read_attributes",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(schema_with = "crate::schema::attributes")]
    pub attributes: BTreeMap<String, String>,
    /// Where its pictures are: https URLs.
    #[serde(default, deserialize_with = "read_pictures", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::pictures")]
    pub pictures: Vec<String>,
}

/// Cost so much from now on. What orders hold keeps its price. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPrice {
    /// What one piece costs.
    pub price: Money,
}

/// Be sold, as a draft or again. Replies nothing, also if it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Activate {}

/// Be sold no longer: orders keep what they hold. Replies nothing, also if that was so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retire {}

/// What did you cost? Replies with the latest [`Priced`], the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowPrices {}

/// A price, and since when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Priced {
    /// What one piece cost.
    pub price: Money,
    /// From when on, if that was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}
