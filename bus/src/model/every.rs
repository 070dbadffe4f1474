//! Again and again: how often a timer fires that is armed with `Context::every`.
//!
//! A schedule is checked when it is made, so that what a handler arms is always understood.

use std::fmt;

/// When a repeated timer fires: in even steps, or by a calendar in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Every(Rhythm);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rhythm {
    Seconds(u32),
    Calendar(Box<str>),
}

/// Why a text is no calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a schedule: {0}")]
pub struct InvalidEvery(String);

/// The six fields: name, lowest and highest value, and the names of values.
const FIELDS: [(&str, u8, u8, &[&str]); 6] = [
    ("second", 0, 59, &[]),
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day of the month", 1, 31, &[]),
    (
        "month",
        1,
        12,
        &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    ),
    ("day of the week", 0, 6, &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]),
];

const NAMED: [&str; 5] = ["@yearly", "@monthly", "@weekly", "@daily", "@hourly"];

impl Every {
    /// Every so many seconds, for the first time after as many.
    ///
    /// # Panics
    /// If `n` is 0. In a constant, that is found when it is built.
    #[must_use]
    pub const fn seconds(n: u32) -> Self {
        assert!(n > 0, "a schedule has steps of a second at least");
        Self(Rhythm::Seconds(n))
    }

    /// Every so many minutes, for the first time after as many.
    ///
    /// # Panics
    /// If `n` is 0 or the seconds do not fit 32 bits.
    #[must_use]
    pub const fn minutes(n: u32) -> Self {
        Self::steps(n, 60)
    }

    /// Every so many hours, for the first time after as many.
    ///
    /// # Panics
    /// If `n` is 0 or the seconds do not fit 32 bits.
    #[must_use]
    pub const fn hours(n: u32) -> Self {
        Self::steps(n, 3_600)
    }

    /// Every so many days of 24 hours, for the first time after as many.
    ///
    /// # Panics
    /// If `n` is 0 or the seconds do not fit 32 bits.
    #[must_use]
    pub const fn days(n: u32) -> Self {
        Self::steps(n, 86_400)
    }

    const fn steps(n: u32, seconds: u32) -> Self {
        match n.checked_mul(seconds) {
            Some(n) => Self::seconds(n),
            None => panic!("the steps of a schedule fit 32 bits of seconds"),
        }
    }

    /// By a calendar, in UTC: `second minute hour day-of-month month day-of-week`, each `*`, a
    /// value, a range `1-5`, any of them with a step `*/15`, or several between commas; months
    /// and days of the week also by name (`JAN`, `MON`). Or `@hourly`, `@daily`, `@weekly`,
    /// `@monthly`, `@yearly`.
    ///
    /// # Errors
    /// [`InvalidEvery`], which names the field that is wrong.
    pub fn cron(text: &str) -> Result<Self, InvalidEvery> {
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        if let [name] = parts[..] {
            if NAMED.contains(&name) {
                return Ok(Self(Rhythm::Calendar(name.into())));
            }
            return Err(InvalidEvery(format!("it is none of {}", NAMED.join(", "))));
        }
        if parts.len() != FIELDS.len() {
            return Err(InvalidEvery(format!("it has {} fields, not six", parts.len())));
        }
        for (part, (name, low, high, names)) in parts.iter().zip(FIELDS) {
            if !part.split(',').all(|item| is_item(item, low, high, names)) {
                return Err(InvalidEvery(format!("the {name} is {low} to {high}, `*` or a range")));
            }
        }
        Ok(Self(Rhythm::Calendar(parts.join(" ").into())))
    }
}

/// As the journal's schedules are told: `@every 90s`, six fields, or a name.
impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rhythm::Seconds(n) => write!(f, "@every {n}s"),
            Rhythm::Calendar(text) => f.write_str(text),
        }
    }
}

fn is_item(item: &str, low: u8, high: u8, names: &[&str]) -> bool {
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (item, None),
    };
    let is_step = |step: &str| step.parse().is_ok_and(|n: u8| n > 0 && n <= high);
    if !step.is_none_or(is_step) {
        return false;
    }
    let value = |text: &str| -> Option<u8> {
        if let Some(place) = names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Some(u8::try_from(place).ok()? + low);
        }
        let is_plain = text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|n| is_plain && (low..=high).contains(n))
    };
    match range.split_once('-') {
        _ if range == "*" => true,
        Some((from, to)) => {
            matches!((value(from), value(to)), (Some(from), Some(to)) if from <= to)
        }
        None => value(range).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHTLY: Every = Every::hours(24);

    #[test]
    fn steps_are_told_in_seconds() {
        assert_eq!(NIGHTLY.to_string(), "@every 86400s");
        assert_eq!(Every::minutes(90).to_string(), "@every 5400s");
    }

    #[test]
    fn calendars_are_checked_when_they_are_made() {
        for good in [
            "0 0 3 * * *",
            "*/15 * * * * *",
            "0 30 8-18/2 * JAN,mar MON-FRI",
            "0 0 0 31 12 6",
            "@daily",
        ] {
            assert_eq!(Every::cron(good).expect(good).to_string(), good);
        }
        for bad in [
            "",
            "0 3 * * *",
            "60 * * * * *",
            "* * 24 * * *",
            "* * * 0 * *",
            "* * * * 13 *",
            "* * * * * 7",
            "* * * * * MOON",
            "*/0 * * * * *",
            "5-1 * * * * *",
            "+1 * * * * *",
            "@every 5s",
            "@noon",
            "1,,2 * * * * *",
        ] {
            assert!(Every::cron(bad).is_err(), "{bad:?}");
        }
    }
}
