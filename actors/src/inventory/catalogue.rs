//! What an item is described by, each within its bounds.

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

use bus::{
    JsonSchema,
    schemars::{Schema, SchemaGenerator, json_schema},
};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{
    limits::{ATTRIBUTES_MAX, CATEGORY_CHARS_MAX, PICTURE_BYTES_MAX, PICTURES_MAX},
    name::tidy_name,
};

/// What items of a kind are listed under: 1 to 64 lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Category(String);

/// Why a text is no category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a category has 1 to 64 of a to z, 0 to 9 and `-`")]
pub struct InvalidCategory;

impl Category {
    /// The category as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Category {
    type Err = InvalidCategory;

    fn from_str(text: &str) -> Result<Self, InvalidCategory> {
        let is_plain = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let fits = (1..=CATEGORY_CHARS_MAX).contains(&text.len());
        (is_plain && fits).then(|| Self(text.to_owned())).ok_or(InvalidCategory)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Category {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Category {
    fn schema_name() -> Cow<'static, str> {
        "Category".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z0-9-]{1,64}$" })
    }
}

/// Whether an item is sold.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// Not yet: only staff see it.
    Draft,
    /// It is listed, and can be ordered.
    #[default]
    Active,
    /// Not any more: it is listed no longer, and nothing more of it is held for orders.
    Retired,
}

impl ItemStatus {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(super) fn is_active(&self) -> bool {
        *self == Self::Active
    }
}

/// Reads attributes: at most 32, their names and values as names are.
pub(super) fn read_attributes<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let attributes = BTreeMap::<String, String>::deserialize(deserializer)?;
    let tidy = attributes
        .iter()
        .map(|(name, value)| Some((tidy_name(name)?.to_owned(), tidy_name(value)?.to_owned())));
    let tidy: Option<BTreeMap<_, _>> = tidy.collect();
    let rule = "at most 32 attributes, their names and values 1 to 200 characters, none of them a \
                control character, and no name twice";
    tidy.filter(|tidy| tidy.len() == attributes.len() && tidy.len() <= ATTRIBUTES_MAX)
        .ok_or_else(|| de::Error::custom(rule))
}

/// Reads the addresses of pictures.
pub(super) fn read_pictures<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let pictures = Vec::<String>::deserialize(deserializer)?;
    if pictures.len() <= PICTURES_MAX && pictures.iter().all(|url| is_picture(url)) {
        return Ok(pictures);
    }
    Err(de::Error::custom("at most 10 pictures, each an https URL of at most 500 characters"))
}

/// Whether `url` is that of a picture. It ends up in pages, so that nothing may be in it that
/// could end an attribute there.
fn is_picture(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://") else { return false };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let is_host = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    let is_port = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    let is_path = path
        .bytes()
        .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'<' | b'>' | b'\\' | b'`'));
    url.len() <= PICTURE_BYTES_MAX && !host.is_empty() && is_host && is_port && is_path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_at_an_https_url_that_may_stand_in_a_page() {
        for good in ["https://a.example", "https://a-b.example:8443/x/y.jpg?w=1&h=2#f"] {
            assert!(is_picture(good), "{good}");
        }
        let long = format!("https://a.example/{}", "x".repeat(500));
        for bad in [
            "http://a.example/x",
            "https://",
            "https:///x",
            "https://a.example:/x",
            "https://a.example:123456/x",
            "https://ann@a.example/x",
            "https://a.example/x y",
            "https://a.example/\"onload",
            "https://a.example/<b>",
            "https://ä.example/",
            "javascript:alert(1)",
            &long,
        ] {
            assert!(!is_picture(bad), "{bad}");
        }
    }

    #[test]
    fn a_category_is_a_plain_word() {
        assert_eq!("red-lamps-2".parse::<Category>().expect("one").as_str(), "red-lamps-2");
        for bad in ["", "Lamps", "a b", "ä", &"x".repeat(65)] {
            assert_eq!(bad.parse::<Category>(), Err(InvalidCategory), "{bad:?}");
        }
    }
}
