//! Where pieces lie: a warehouse, by its short name.

use std::{borrow::Cow, fmt, str::FromStr};

use bus::{
    JsonSchema,
    schemars::{Schema, SchemaGenerator, json_schema},
};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::limits::WAREHOUSE_BYTES_MAX;

/// A warehouse: 1 to 64 characters of `A-Z a-z 0-9 _ -`, as SKUs are. `main` if nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct WarehouseId(Cow<'static, str>);

/// Why a text is no warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a warehouse has 1 to 64 characters of A-Z, a-z, 0-9, `_` and `-`")]
pub struct InvalidWarehouse;

impl WarehouseId {
    /// The one that is there from the first, and that old events mean.
    pub const MAIN: Self = Self(Cow::Borrowed("main"));

    /// Whether it is `main`.
    #[must_use]
    pub fn is_main(&self) -> bool {
        *self == Self::MAIN
    }

    /// The warehouse as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for WarehouseId {
    fn default() -> Self {
        Self::MAIN
    }
}

impl FromStr for WarehouseId {
    type Err = InvalidWarehouse;

    fn from_str(text: &str) -> Result<Self, InvalidWarehouse> {
        let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        let fits = (1..=WAREHOUSE_BYTES_MAX).contains(&text.len());
        (is_plain && fits).then(|| Self(text.to_owned().into())).ok_or(InvalidWarehouse)
    }
}

impl fmt::Display for WarehouseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for WarehouseId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for WarehouseId {
    fn schema_name() -> Cow<'static, str> {
        "WarehouseId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warehouse_is_named_as_skus_are() {
        for good in ["main", "A", "north_2-b", &"x".repeat(64)] {
            assert_eq!(good.parse::<WarehouseId>().expect(good).as_str(), good);
        }
        for bad in ["", "a b", "a.b", "ä", &"x".repeat(65)] {
            assert_eq!(bad.parse::<WarehouseId>(), Err(InvalidWarehouse), "{bad:?}");
        }
        assert!("main".parse::<WarehouseId>().expect("one").is_main());
    }
}
