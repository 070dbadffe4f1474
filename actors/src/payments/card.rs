//! What stands for a card, for a charge, and for a "no": words that travel through the shop.

use std::fmt;

use bus::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::TOKEN_BYTES_MAX;

/// What stands for a card: made by whoever saw its number, and useless to anybody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CardToken(Box<str>);

/// Why a text is no card token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a card token has 1 to 128 letters, digits, `_` and `-`, and is not a card number")]
pub struct InvalidCardToken;

impl CardToken {
    /// Checks `text` and makes it a card token.
    ///
    /// # Errors
    /// [`InvalidCardToken`] if it has other characters, or could be the number of a card, which
    /// must never be stored.
    pub fn parse(text: &str) -> Result<Self, InvalidCardToken> {
        let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
        let looks_like_number = letters == 0 && digits >= 12;
        if (1..=TOKEN_BYTES_MAX).contains(&text.len()) && is_plain && !looks_like_number {
            Ok(Self(text.into()))
        } else {
            Err(InvalidCardToken)
        }
    }

    /// The token as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CardToken {
    type Error = InvalidCardToken;

    fn try_from(text: String) -> Result<Self, InvalidCardToken> {
        Self::parse(&text)
    }
}

impl From<CardToken> for String {
    fn from(token: CardToken) -> Self {
        token.0.into()
    }
}

/// What proves that a card was charged: the gateway's own number for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Receipt(Box<str>);

/// Why a text is no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a receipt has 1 to 128 visible ASCII characters")]
pub struct InvalidReceipt;

impl Receipt {
    /// Checks `text` and makes it a receipt.
    ///
    /// # Errors
    /// [`InvalidReceipt`] if it is empty, too long, or has other than visible ASCII characters.
    pub fn parse(text: &str) -> Result<Self, InvalidReceipt> {
        let is_visible = text.bytes().all(|b| b.is_ascii_graphic());
        if (1..=TOKEN_BYTES_MAX).contains(&text.len()) && is_visible {
            Ok(Self(text.into()))
        } else {
            Err(InvalidReceipt)
        }
    }
}

impl TryFrom<String> for Receipt {
    type Error = InvalidReceipt;

    fn try_from(text: String) -> Result<Self, InvalidReceipt> {
        Self::parse(&text)
    }
}

impl From<Receipt> for String {
    fn from(receipt: Receipt) -> Self {
        receipt.0.into()
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a card was not charged.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, JsonSchema,
)]
pub enum DeclineReason {
    /// The bank says no, and no more.
    #[serde(rename = "card_declined")]
    #[error("the card was declined")]
    CardDeclined,
    /// There is too little money behind it.
    #[serde(rename = "insufficient_funds")]
    #[error("there are insufficient funds")]
    InsufficientFunds,
    /// The gateway does not know the card.
    #[serde(rename = "unknown_card")]
    #[error("the card is not known")]
    UnknownCard,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_is_never_taken_for_a_token() {
        for good in ["sim-4242", "tok_1a2b3c4d5e6f7a8b9c", "12345678901"] {
            assert_eq!(CardToken::parse(good).expect(good).as_str(), good);
        }
        for bad in ["4242424242424242", "4242-4242-4242-4242", "", "a b", "a.b", &"x".repeat(129)] {
            assert_eq!(CardToken::parse(bad), Err(InvalidCardToken), "{bad}");
        }
        let read = serde_json::from_str::<CardToken>("\"4242424242424242\"");
        assert!(read.expect_err("a number").to_string().contains("not a card number"));
    }

    #[test]
    fn a_receipt_is_visible() {
        assert_eq!(Receipt::parse("ch_1/2").expect("a receipt").to_string(), "ch_1/2");
        for bad in ["", "a b", "ä", &"x".repeat(129)] {
            assert_eq!(Receipt::parse(bad), Err(InvalidReceipt), "{bad}");
        }
    }
}
