//! Where parcels reach a user.

use bus::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::limits::{POSTAL_ADDRESSES_MAX, POSTAL_LINE_CHARS_MAX};

/// A postal address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostalAddress {
    /// Who is to get it.
    #[serde(deserialize_with = "read_line")]
    #[schemars(schema_with = "crate::schema::postal_line")]
    pub name: String,
    /// Street and number, or whatever stands there.
    #[serde(deserialize_with = "read_line")]
    #[schemars(schema_with = "crate::schema::postal_line")]
    pub street: String,
    /// Postal code.
    #[serde(deserialize_with = "read_line")]
    #[schemars(schema_with = "crate::schema::postal_line")]
    pub postcode: String,
    /// Town.
    #[serde(deserialize_with = "read_line")]
    #[schemars(schema_with = "crate::schema::postal_line")]
    pub town: String,
    /// Country: two capital letters (ISO 3166-1).
    #[serde(deserialize_with = "read_country")]
    #[schemars(schema_with = "crate::schema::country")]
    pub country: String,
}

impl std::fmt::Debug for PostalAddress {
    // A log must not hold it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostalAddress").field("country", &self.country).finish_non_exhaustive()
    }
}

/// Reads addresses: not too many.
pub(super) fn read_all<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<PostalAddress>, D::Error> {
    let all = Vec::<PostalAddress>::deserialize(deserializer)?;
    if all.len() <= POSTAL_ADDRESSES_MAX {
        return Ok(all);
    }
    Err(de::Error::custom(format!("at most {POSTAL_ADDRESSES_MAX} postal addresses")))
}

/// The same, where there need be none.
pub(super) fn read_all_if_any<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<PostalAddress>>, D::Error> {
    read_all(deserializer).map(Some)
}

fn read_line<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let line = text.trim();
    let length = line.chars().count();
    if (1..=POSTAL_LINE_CHARS_MAX).contains(&length) && !line.chars().any(char::is_control) {
        return Ok(line.to_owned());
    }
    let rule = "a line of an address has 1 to 100 characters, and no control characters";
    Err(de::Error::custom(rule))
}

fn read_country<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let country = String::deserialize(deserializer)?;
    if country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()) {
        return Ok(country);
    }
    Err(de::Error::custom("a country is two capital letters (ISO 3166-1)"))
}
