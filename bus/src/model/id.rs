//! Addresses: the typed id of an actor, and idempotency keys.
//!
//! An id is one NATS token, checked when it is made, so that no later code needs to. The type
//! carries the actor, so an order's id cannot address an item.

use std::{fmt, hash, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::limits::{KEY_BYTES_MAX, TOKEN_BYTES_MAX};

/// The key of one actor of type `A`: 1 to 64 characters of `A-Z a-z 0-9 _ -`.
pub struct Id<A> {
    text: Box<str>,
    actor: PhantomData<fn() -> A>,
}

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id: 1 to 64 characters of A-Z, a-z, 0-9, `_` and `-`")]
pub struct InvalidId(String);

impl<A> Id<A> {
    /// Checks `text` and makes it an id.
    ///
    /// # Errors
    /// [`InvalidId`] if it is not one NATS token of 1 to 64 allowed characters.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if !is_token(text) {
            // The text may be long and hostile: what is shown of it is bounded.
            return Err(InvalidId(text.chars().take(TOKEN_BYTES_MAX).collect()));
        }
        Ok(Self::trusted(text.into()))
    }

    /// An id made from facts: the same `parts` give the same id, other parts another one.
    ///
    /// What a client creates is addressed by who it is and its key, so that a repeat reaches
    /// the same actor. `prefix` is for the reader's eye (`o` gives `o-…`).
    #[must_use]
    pub fn derived(prefix: &str, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let text = format!("{prefix}-{}", hex(&hash.finalize()[..16]));
        debug_assert!(is_token(&text), "the prefix of a derived id is a token");
        Self::trusted(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn trusted(text: Box<str>) -> Self {
        Self { text, actor: PhantomData }
    }
}

/// Whether `text` can be a kind, an id or a command name.
pub(crate) fn is_token(text: &str) -> bool {
    (1..=TOKEN_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

/// An idempotency key: the same key at the same actor has one effect.
///
/// 1 to 200 visible ASCII characters, as it travels in a header.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(Box<str>);

/// Why a text is not an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to 200 visible ASCII characters")]
pub struct InvalidKey;

impl Key {
    /// Checks `text` and makes it a key.
    ///
    /// # Errors
    /// [`InvalidKey`] if it is empty, too long, or has other than visible ASCII characters.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let fits = (1..=KEY_BYTES_MAX).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidKey)
        }
    }

    /// A key nobody used before.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string().into())
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Key {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        Self::parse(&text)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0.into()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// By hand, because a derive would ask the same of `A`.
impl<A> Clone for Id<A> {
    fn clone(&self) -> Self {
        Self::trusted(self.text.clone())
    }
}

impl<A> PartialEq for Id<A> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<A> Eq for Id<A> {}

impl<A> PartialOrd for Id<A> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<A> Ord for Id<A> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl<A> hash::Hash for Id<A> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl<A> fmt::Debug for Id<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl<A> fmt::Display for Id<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<A> FromStr for Id<A> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

impl<A> Serialize for Id<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, A> Deserialize<'de> for Id<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_token() {
        for good in ["a", "A1", "o-1", "snake_case", &"x".repeat(64)] {
            assert_eq!(Id::<()>::parse(good).expect(good).as_str(), good);
        }
        for bad in ["", "a.b", "a b", "*", ">", "ä", "a\n", &"x".repeat(65)] {
            assert!(Id::<()>::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn derived_ids_repeat_and_do_not_run_together() {
        let id = |parts: &[&str]| Id::<()>::derived("o", parts);
        assert_eq!(id(&["u-1", "k"]), id(&["u-1", "k"]));
        assert_ne!(id(&["u-1", "k"]), id(&["u-1k", ""]));
        assert_ne!(id(&["ab", "c"]), id(&["a", "bc"]));
    }

    #[test]
    fn a_key_is_visible_ascii() {
        assert!(Key::parse("checkout/EVT_order_0@12/0").is_ok());
        for bad in ["", "a b", "ä", "a\r\nb", &"k".repeat(201)] {
            assert_eq!(Key::parse(bad), Err(InvalidKey), "{bad:?}");
        }
    }
}
