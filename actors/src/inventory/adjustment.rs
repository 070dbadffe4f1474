//! How the books of an item are set right: by how much, why, and when.

use std::{borrow::Cow, fmt};

use bus::{
    JsonSchema, Timestamp,
    schemars::{Schema, SchemaGenerator, json_schema},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    limits::{NOTE_CHARS_MAX, QUANTITY_MAX},
    quantity::Quantity,
    warehouse::WarehouseId,
};

/// So many pieces more, or fewer. Written as a number with its sign: -1,000,000 to 1,000,000, and
/// not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There are more than the books say.
    Up(Quantity),
    /// There are fewer.
    Down(Quantity),
}

const RULE: &str = "a change is -1,000,000 to 1,000,000, and not 0";

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(match self {
            Self::Up(quantity) => i64::from(quantity.get()),
            Self::Down(quantity) => -i64::from(quantity.get()),
        })
    }
}

impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(SignedNumber)
    }
}

struct SignedNumber;

impl de::Visitor<'_> for SignedNumber {
    type Value = Change;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Change, E> {
        let pieces = u32::try_from(number.unsigned_abs()).unwrap_or(u32::MAX);
        let quantity = Quantity::new(pieces).map_err(|_| E::custom(RULE))?;
        Ok(if number < 0 { Change::Down(quantity) } else { Change::Up(quantity) })
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Change, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }

    // To JSON, 2.0 is whole.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Change, E> {
        let max = f64::from(QUANTITY_MAX);
        if number.fract() == 0.0 && (-max..=max).contains(&number) {
            #[expect(clippy::cast_possible_truncation, reason = "checked")]
            return self.visit_i64(number as i64);
        }
        Err(E::custom(RULE))
    }
}

impl JsonSchema for Change {
    fn schema_name() -> Cow<'static, str> {
        "Change".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "integer",
            "description": "More pieces, or below zero: fewer.",
            "minimum": -i64::from(QUANTITY_MAX),
            "maximum": QUANTITY_MAX,
            "not": { "const": 0 },
        })
    }
}

/// Why the books are set right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdjustReason {
    /// Somebody counted.
    Counted,
    /// They cannot be sold any more.
    Damaged,
    /// They are not where they should be.
    Lost,
    /// They are where nobody thought.
    Found,
    /// What the note says.
    Other,
}

/// How the books were once set right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Adjustment {
    /// By how many pieces.
    pub by: Change,
    /// Why.
    pub reason: AdjustReason,
    /// What else there is to say of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Where the pieces lie, or lay.
    #[serde(default, skip_serializing_if = "WarehouseId::is_main")]
    pub warehouse: WarehouseId,
    /// In whose name, if somebody vouched for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Reads a note: it may be empty; no control characters.
pub(super) fn read_note<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let note = text.trim();
    if note.chars().count() <= NOTE_CHARS_MAX && !note.chars().any(char::is_control) {
        return Ok(note.to_owned());
    }
    Err(de::Error::custom("a note has at most 200 characters, and no control characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_whole_number_with_its_sign() {
        let pieces = |n| Quantity::new(n).expect("a quantity");
        let read = serde_json::from_str::<Change>;
        assert_eq!(read("3").ok(), Some(Change::Up(pieces(3))));
        assert_eq!(read("-1000000").ok(), Some(Change::Down(pieces(1_000_000))));
        for bad in ["0", "1000001", "-1000001", "-9223372036854775808", "18446744073709551615"] {
            assert!(read(bad).expect_err(bad).to_string().contains(RULE), "{bad}");
        }
        assert_eq!(read("-2.0").ok(), Some(Change::Down(pieces(2))), "to JSON it is whole");
        assert!(read("1.5").is_err() && read("\"1\"").is_err() && read("null").is_err());
    }
}
