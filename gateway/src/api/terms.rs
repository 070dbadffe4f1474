//! What a charge can be asked for, checked field by field.

use serde::Deserialize;

use super::error::ApiError;
use crate::{
    charge::Terms,
    limits::{AMOUNT_MAX, CARD_DIGITS_MIN, REFERENCE_BYTES_MAX, TOKEN_BYTES_MAX},
};

/// The body of a request for a charge.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    reference: String,
    amount: u64,
    currency: String,
    token: String,
}

impl Asked {
    pub(crate) fn check(self) -> Result<Terms, ApiError> {
        let Self { reference, amount, currency, token } = self;
        let is_visible = reference.bytes().all(|b| b.is_ascii_graphic());
        if !(1..=REFERENCE_BYTES_MAX).contains(&reference.len()) || !is_visible {
            let rule =
                format!("a reference has 1 to {REFERENCE_BYTES_MAX} visible ASCII characters");
            return Err(ApiError::invalid("reference", rule));
        }
        let amount = check_amount(amount)?;
        if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(ApiError::invalid("currency", "a currency is three letters, such as EUR"));
        }
        if !is_token(&token) {
            // What was sent is not repeated: it may be a card's number.
            let rule = format!(
                "a token has 1 to {TOKEN_BYTES_MAX} letters, digits, `_` and `-`, \
                 and is not a card number"
            );
            return Err(ApiError::invalid("token", rule));
        }
        Ok(Terms { reference, amount, currency, token })
    }
}

/// An amount that can be charged, captured or refunded.
pub(crate) fn check_amount(amount: u64) -> Result<u64, ApiError> {
    if (1..=AMOUNT_MAX).contains(&amount) {
        return Ok(amount);
    }
    Err(ApiError::invalid("amount", format!("an amount is from 1 to {AMOUNT_MAX} minor units")))
}

fn is_token(text: &str) -> bool {
    let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let looks_like_number = letters == 0 && digits >= CARD_DIGITS_MIN;
    (1..=TOKEN_BYTES_MAX).contains(&text.len()) && is_plain && !looks_like_number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(reference: &str, amount: u64, currency: &str, token: &str) -> Asked {
        let [reference, currency, token] = [reference, currency, token].map(str::to_owned);
        Asked { reference, amount, currency, token }
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        asked("order/1", AMOUNT_MAX, "EUR", "sim-4242").check().expect("good");
        let long = "x".repeat(201);
        for (field, asked) in [
            ("reference", asked("", 1, "EUR", "sim-4242")),
            ("reference", asked("a b", 1, "EUR", "sim-4242")),
            ("reference", asked(&long, 1, "EUR", "sim-4242")),
            ("amount", asked("o-1", 0, "EUR", "sim-4242")),
            ("amount", asked("o-1", AMOUNT_MAX + 1, "EUR", "sim-4242")),
            ("currency", asked("o-1", 1, "eur", "sim-4242")),
            ("currency", asked("o-1", 1, "EURO", "sim-4242")),
            ("token", asked("o-1", 1, "EUR", "")),
            ("token", asked("o-1", 1, "EUR", "a.b")),
            ("token", asked("o-1", 1, "EUR", "4242424242424242")),
            ("token", asked("o-1", 1, "EUR", "4242-4242-4242-4242")),
        ] {
            let error = asked.check().expect_err(field);
            assert_eq!(error.field(), Some(field));
            assert!(!format!("{error:?}").contains("4242"), "{error:?}");
        }
    }
}
