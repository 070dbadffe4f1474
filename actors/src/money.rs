//! Money: whole minor units of a currency, never a float, and no sum that is not checked.

use std::{fmt, str::FromStr};

use bus::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{limits::AMOUNT_MAX, quantity::Quantity, whole_number::whole_number};

/// An amount of money that can be asked for: from nothing to [`AMOUNT_MAX`] minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units: cents for EUR, yen for JPY. Never negative, which reading makes sure of.
    #[serde(deserialize_with = "read_amount")]
    #[schemars(schema_with = "crate::schema::amount")]
    pub amount: i64,
    /// What the units are of.
    pub currency: Currency,
}

/// Why money cannot be added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Two currencies have no sum.
    #[error("the currencies differ")]
    OtherCurrency,
    /// The sum is larger than any amount can be.
    #[error("the amount is too large")]
    TooLarge,
}

impl Money {
    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError`] if the currencies differ or the sum is larger than [`AMOUNT_MAX`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::OtherCurrency);
        }
        self.with(self.amount.checked_add(other.amount))
    }

    /// The price of `quantity` pieces that cost this much each.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] if that is more than [`AMOUNT_MAX`].
    pub fn times(self, quantity: Quantity) -> Result<Self, MoneyError> {
        self.with(self.amount.checked_mul(quantity.get().into()))
    }

    fn with(self, amount: Option<i64>) -> Result<Self, MoneyError> {
        let amount = amount.filter(|amount| (0..=AMOUNT_MAX).contains(amount));
        amount.map(|amount| Self { amount, ..self }).ok_or(MoneyError::TooLarge)
    }
}

/// As people write it: `12.34 EUR`, `500 JPY`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { amount, currency } = self;
        let digits = currency.minor_digits();
        if digits == 0 {
            return write!(f, "{amount} {currency}");
        }
        let per_major = 10_u64.pow(digits);
        let (major, minor) = (amount.unsigned_abs() / per_major, amount.unsigned_abs() % per_major);
        let sign = if *amount < 0 { "-" } else { "" };
        let width = digits as usize;
        write!(f, "{sign}{major}.{minor:0width$} {currency}")
    }
}

/// Why a text is no money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMoney {
    /// Its currency is none.
    #[error(transparent)]
    Currency(#[from] InvalidCurrency),
    /// Its number is no amount of this currency.
    #[error("an amount is digits, and a point and further digits as its currency has them: 12.50")]
    Amount,
    /// More than any amount can be.
    #[error("the amount is too large")]
    TooLarge,
}

/// As people write it: `12.34 EUR`, `12 EUR`, `500 JPY`.
impl FromStr for Money {
    type Err = InvalidMoney;

    fn from_str(text: &str) -> Result<Self, InvalidMoney> {
        let (number, currency) = text.trim().rsplit_once(' ').ok_or(InvalidMoney::Amount)?;
        let currency: Currency = currency.parse()?;
        let digits = currency.minor_digits() as usize;
        let (major, minor) = number.split_once('.').unwrap_or((number, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let has_point = number.contains('.');
        let fits = minor.len() <= digits && has_point != minor.is_empty();
        if major.is_empty() || !is_number(major) || !is_number(minor) || !fits {
            return Err(InvalidMoney::Amount);
        }
        let amount: i64 =
            format!("{major}{minor:0<digits$}").parse().map_err(|_| InvalidMoney::TooLarge)?;
        if amount > AMOUNT_MAX {
            return Err(InvalidMoney::TooLarge);
        }
        Ok(Self { amount, currency })
    }
}

fn read_amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let rule = "an amount is 0 to 1,000,000,000,000,000, in whole minor units";
    let amount = whole_number(deserializer, 0..=AMOUNT_MAX.unsigned_abs(), rule)?;
    Ok(i64::try_from(amount).expect("within the bounds, which are i64"))
}

/// A currency by its ISO 4217 code. The default is ISO's own "no currency", `XXX`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// Why a text is no currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three capital letters, such as EUR")]
pub struct InvalidCurrency;

impl Currency {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("three ASCII letters are UTF-8")
    }

    /// How many digits stand behind the point (ISO 4217).
    fn minor_digits(self) -> u32 {
        match self.as_str() {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF"
            | "UGX" | "UYI" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            _ => 2,
        }
    }
}

impl Default for Currency {
    fn default() -> Self {
        Self(*b"XXX")
    }
}

impl FromStr for Currency {
    type Err = InvalidCurrency;

    fn from_str(text: &str) -> Result<Self, InvalidCurrency> {
        let letters: [u8; 3] = text.as_bytes().try_into().map_err(|_| InvalidCurrency)?;
        let is_code = letters.iter().all(u8::is_ascii_uppercase);
        if is_code { Ok(Self(letters)) } else { Err(InvalidCurrency) }
    }
}

impl TryFrom<String> for Currency {
    type Error = InvalidCurrency;

    fn try_from(text: String) -> Result<Self, InvalidCurrency> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn eur(amount: i64) -> Money {
        Money { amount, currency: "EUR".parse().expect("a currency") }
    }

    pub(crate) fn usd(amount: i64) -> Money {
        Money { amount, currency: "USD".parse().expect("a currency") }
    }

    fn pieces(number: u32) -> Quantity {
        Quantity::new(number).expect("a quantity")
    }

    #[test]
    fn money_is_read_as_people_write_it() {
        let read = |text: &str| text.parse::<Money>().map(|money| money.amount);
        for (text, amount) in
            [("12.34 EUR", 1_234), ("12.3 EUR", 1_230), ("12 EUR", 1_200), ("500 JPY", 500)]
        {
            assert_eq!(read(text), Ok(amount), "{text}");
        }
        for text in ["EUR", "1,5 EUR", "1.234 EUR", "1. EUR", ".5 EUR", "-1 EUR", "5.0 JPY", " EUR"]
        {
            assert_eq!(read(text), Err(InvalidMoney::Amount), "{text}");
        }
        assert_eq!(read("1 euro"), Err(InvalidMoney::Currency(InvalidCurrency)));
        for text in ["10000000000000.01 EUR", "99999999999999999999 EUR"] {
            assert_eq!(read(text), Err(InvalidMoney::TooLarge), "{text}");
        }
        assert_eq!(read(&eur(1_205).to_string()), Ok(1_205));
    }

    #[test]
    fn sums_are_checked() {
        assert_eq!(eur(1).checked_add(eur(2)), Ok(eur(3)));
        assert_eq!(eur(1).checked_add(usd(2)), Err(MoneyError::OtherCurrency));
        assert_eq!(eur(AMOUNT_MAX).checked_add(eur(1)), Err(MoneyError::TooLarge));
        assert_eq!(eur(250).times(pieces(4)), Ok(eur(1_000)));
        assert_eq!(eur(AMOUNT_MAX).times(pieces(1)), Ok(eur(AMOUNT_MAX)));
        assert_eq!(eur(AMOUNT_MAX).times(pieces(1_000_000)), Err(MoneyError::TooLarge));
    }

    #[test]
    fn what_is_not_money_is_refused_in_words() {
        let read = serde_json::from_str::<Money>;
        assert_eq!(read(r#"{"amount":1250,"currency":"EUR"}"#).ok(), Some(eur(1_250)));
        assert_eq!(read(r#"{"amount":0,"currency":"EUR"}"#).ok(), Some(eur(0)));
        for (bad, part) in [
            (r#"{"amount":-1,"currency":"EUR"}"#, "an amount is 0 to"),
            (r#"{"amount":12.5,"currency":"EUR"}"#, "an amount is 0 to"),
            (r#"{"amount":1000000000000001,"currency":"EUR"}"#, "an amount is 0 to"),
            (r#"{"amount":9223372036854775808,"currency":"EUR"}"#, "an amount is 0 to"),
            (r#"{"amount":"12","currency":"EUR"}"#, "a whole number"),
            (r#"{"amount":1,"currency":"eur"}"#, "three capital letters"),
            (r#"{"amount":1,"currency":"EURO"}"#, "three capital letters"),
            (r#"{"amount":1,"currency":"EUR","cents":1}"#, "unknown field `cents`"),
            (r#"{"amount":1}"#, "missing field `currency`"),
        ] {
            let error = read(bad).expect_err(bad).to_string();
            assert!(error.contains(part), "{bad}: {error}");
        }
    }

    #[test]
    fn money_is_written_as_people_do() {
        let of =
            |amount, currency: &str| Money { amount, currency: currency.parse().expect(currency) };
        assert_eq!(of(123_405, "EUR").to_string(), "1234.05 EUR");
        assert_eq!(of(7, "USD").to_string(), "0.07 USD");
        assert_eq!(of(500, "JPY").to_string(), "500 JPY");
        assert_eq!(of(1_500, "KWD").to_string(), "1.500 KWD");
    }
}
