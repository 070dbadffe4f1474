//! What an address can be asked, and why it says no.

use bus::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::UserId;
use crate::limits::ADDRESS_BYTES_MAX;

/// To an address: it is to belong to `user`. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Who claims it.
    pub user: UserId,
}

/// To an address: `user`, who claimed it, has registered. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// Who claimed it.
    pub user: UserId,
}

/// To an address: it no longer belongs to `user`. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Who claimed it.
    pub user: UserId,
}

/// To an address: `user` has claimed it and not registered in time. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lapse {
    /// Who claimed it.
    pub user: UserId,
}

/// To an address: whom does it belong to, if anybody?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Holder {}

/// Why an address says no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error, JsonSchema)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EmailError {
    /// It belongs to somebody else.
    #[error("the mail address belongs to another account")]
    Taken,
    /// It does not belong to who asks.
    #[error("the mail address was not claimed")]
    NotClaimed,
}

/// Whether mail can be addressed so: `name@domain` in the plain characters of RFC 5321. What is
/// no address would only be found out by the mail server, after the order.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= ADDRESS_BYTES_MAX
        && local.len() <= 64
        && local.split('.').all(is_atom)
        && domain.split('.').all(is_label)
}

pub(super) fn read_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let address = String::deserialize(deserializer)?;
    if is_address(&address) {
        return Ok(address);
    }
    Err(de::Error::custom("a mail address has the form name@domain, in plain characters"))
}
