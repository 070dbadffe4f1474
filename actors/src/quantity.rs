//! How many of something: 1 to 1,000,000, so never nothing and never beyond reason.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{limits::QUANTITY_MAX, whole_number::whole_number};

/// A number of pieces, 1 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Quantity(u32);

/// Why a number is no quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{RULE}")]
pub struct InvalidQuantity;

const RULE: &str = "a quantity is 1 to 1,000,000";

impl Quantity {
    /// Checks `pieces` and makes it a quantity.
    ///
    /// # Errors
    /// [`InvalidQuantity`] if it is 0 or more than a million.
    pub const fn new(pieces: u32) -> Result<Self, InvalidQuantity> {
        match pieces {
            1..=QUANTITY_MAX => Ok(Self(pieces)),
            _ => Err(InvalidQuantity),
        }
    }

    /// The number of pieces.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl From<Quantity> for u64 {
    fn from(quantity: Quantity) -> Self {
        quantity.0.into()
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pieces = whole_number(deserializer, 1..=u64::from(QUANTITY_MAX), RULE)?;
        Ok(Self(u32::try_from(pieces).expect("within the bounds, which are u32")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_a_whole_number_within_bounds() {
        let read = serde_json::from_str::<Quantity>;
        assert_eq!(read("1").ok(), Quantity::new(1).ok());
        assert_eq!(read("1000000").ok(), Quantity::new(1_000_000).ok());
        assert_eq!(read("2.0").ok(), Quantity::new(2).ok());
        for bad in [
            "0",
            "0.0",
            "1000001",
            "-1",
            "-1.0",
            "1.5",
            "1e7",
            "9223372036854775808",
            "1e30",
            "36893488147419103232",
        ] {
            let error = read(bad).expect_err(bad).to_string();
            assert!(error.contains(RULE), "{bad}: {error}");
        }
        for bad in ["\"5\"", "null", "[1]", "true"] {
            let error = read(bad).expect_err(bad).to_string();
            assert!(error.contains("a whole number"), "{bad}: {error}");
        }
    }

    #[test]
    fn nothing_is_no_quantity() {
        assert_eq!(Quantity::new(0), Err(InvalidQuantity));
        assert_eq!(Quantity::new(1_000_001), Err(InvalidQuantity));
    }
}
