//! Whole numbers off the wire, within bounds, refused with one clear sentence.
//!
//! A derived reader would say "invalid value: integer `0`, expected a nonzero u32": true, but
//! nothing a customer can act on.

use std::{fmt, ops::RangeInclusive};

use serde::{Deserializer, de};

/// Reads a whole number within `range`; `rule` is what is told about any other number.
pub(crate) fn whole_number<'de, D: Deserializer<'de>>(
    deserializer: D,
    range: RangeInclusive<u64>,
    rule: &'static str,
) -> Result<u64, D::Error> {
    deserializer.deserialize_u64(WholeNumber { range, rule })
}

struct WholeNumber {
    range: RangeInclusive<u64>,
    rule: &'static str,
}

impl de::Visitor<'_> for WholeNumber {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
        if self.range.contains(&number) { Ok(number) } else { Err(E::custom(self.rule)) }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<u64, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::custom(self.rule)),
        }
    }

    // To JSON, 2.0 is whole. Numbers above 2^64 arrive here as well, not only fractions.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<u64, E> {
        if number.fract() == 0.0 && (0.0..=WHOLE_MAX).contains(&number) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked"
            )]
            return self.visit_u64(number as u64);
        }
        Err(E::custom(self.rule))
    }
}

/// Up to here a float tells each whole number from the next.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
