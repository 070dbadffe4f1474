//! When a recurring schedule is due next: `@every 90s`, `@hourly` and its like, or a six-field
//! cron expression in UTC (second, minute, hour, day of month, month, day of week).
//!
//! As the server reads them: names of months and days count, and if both days are restricted,
//! one of them is enough.

use std::time::Duration;

use crate::model::time::{Timestamp, civil_from_days};

/// How far ahead a moment is looked for, in days: 29 February can be eight years away.
const DAYS_MAX: u64 = 8 * 366;

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A rule by which a schedule recurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recurrence {
    Every(Duration),
    Calendar(Box<Calendar>),
}

/// The allowed values of each field, a bit for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Calendar {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether either day is enough: both are restricted.
    either_day: bool,
}

impl Recurrence {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(span) = text.strip_prefix("@every ") {
            let span = parse_span(span).filter(|span| *span >= Duration::from_secs(1));
            let wrong = || format!("`{text}`: not a time of at least one second");
            return span.map(Self::Every).ok_or_else(wrong);
        }
        let fields = match text {
            "@yearly" | "@annually" => "0 0 0 1 1 *",
            "@monthly" => "0 0 0 1 * *",
            "@weekly" => "0 0 0 * * 0",
            "@daily" | "@midnight" => "0 0 0 * * *",
            "@hourly" => "0 0 * * * *",
            other => other,
        };
        let calendar = Calendar::parse(fields);
        calendar
            .map(|calendar| Self::Calendar(Box::new(calendar)))
            .ok_or_else(|| format!("`{text}` is no six-field cron expression"))
    }

    /// The first moment after `now`; none, if there is none in the next years.
    pub(super) fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(span) => Some(now.plus(*span)),
            Self::Calendar(calendar) => calendar.next_after(now),
        }
    }
}

impl Calendar {
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [seconds, minutes, hours, days, months, weekdays] = fields[..] else { return None };
        let is_free = |field: &str| field.starts_with(['*', '?']);
        let mut on = parse_field(weekdays, 0, 7, &DAYS)?;
        if on & (1 << 7) != 0 {
            on |= 1; // Sunday has two numbers.
        }
        Some(Self {
            seconds: parse_field(seconds, 0, 59, &[])?,
            minutes: parse_field(minutes, 0, 59, &[])?,
            hours: parse_field(hours, 0, 23, &[])?,
            days: parse_field(days, 1, 31, &[])?,
            months: parse_field(months, 1, 12, &MONTHS)?,
            weekdays: on,
            either_day: !is_free(days) && !is_free(weekdays),
        })
    }

    fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let first = now.as_millis() / 1_000 + 1;
        let (today, mut from) = (first / 86_400, first % 86_400);
        for day in today..today + DAYS_MAX {
            if self.allows_day(day)
                && let Some(second) = self.second_from(from)
            {
                return Some(Timestamp::from_millis((day * 86_400 + second) * 1_000));
            }
            from = 0;
        }
        None
    }

    fn allows_day(&self, day: u64) -> bool {
        let (_, month, of_month) = civil_from_days(day);
        // 1970-01-01 was a Thursday.
        let by_month = self.days & (1 << of_month) != 0;
        let by_week = self.weekdays & (1 << ((day + 4) % 7)) != 0;
        let allowed = if self.either_day { by_month || by_week } else { by_month && by_week };
        allowed && self.months & (1 << month) != 0
    }

    /// The first allowed second of a day, from `from` on.
    fn second_from(&self, from: u64) -> Option<u64> {
        let first =
            |allowed: u64, from: u64, end: u64| (from..end).find(|n| allowed & (1 << n) != 0);
        for hour in from / 3_600..24 {
            if self.hours & (1 << hour) == 0 {
                continue;
            }
            let start = from.saturating_sub(hour * 3_600);
            for minute in start / 60..60 {
                if self.minutes & (1 << minute) == 0 {
                    continue;
                }
                if let Some(second) = first(self.seconds, start.saturating_sub(minute * 60), 60) {
                    return Some(hour * 3_600 + minute * 60 + second);
                }
            }
        }
        None
    }
}

/// `*`, `5`, `1-5`, `*/10`, `MON-FRI`, and lists of them.
fn parse_field(field: &str, min: u64, max: u64, names: &[&str]) -> Option<u64> {
    let number = |text: &str| -> Option<u64> {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named.and_then(|place| u64::try_from(place).ok()).map(|place| place + min);
        named.or_else(|| text.parse().ok()).filter(|n| (min..=max).contains(n))
    };
    let mut allowed = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (low, high) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (min, max),
            Some((low, high)) => (number(low)?, number(high)?),
            // `5/10` means from 5 on.
            None if part.contains('/') => (number(range)?, max),
            None => (number(range)?, number(range)?),
        };
        if low > high {
            return None;
        }
        allowed |=
            (low..=high).step_by(usize::try_from(step).ok()?).fold(0, |bits, n| bits | 1 << n);
    }
    Some(allowed)
}

/// A time as Go writes it: `90s`, `1h30m`, `1500ms`.
fn parse_span(text: &str) -> Option<Duration> {
    let (mut left, mut total) = (text.trim(), 0_u64);
    while !left.is_empty() {
        let digits = left.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = left[..digits].parse().ok()?;
        let unit = left[digits..].find(|c: char| c.is_ascii_digit());
        let (unit, rest) = left[digits..].split_at(unit.unwrap_or(left.len() - digits));
        let ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(ms)?)?;
        left = rest;
    }
    Some(Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 07:41:25 UTC, a Saturday.
    const NOW: Timestamp = Timestamp::from_millis(1_795_246_885_000);

    fn next(text: &str) -> String {
        let recurrence = Recurrence::parse(text).expect(text);
        recurrence.next_after(NOW).expect("some day").to_string()
    }

    #[test]
    fn the_next_moment_is_found() {
        assert_eq!(NOW.to_string(), "2026-11-21T07:41:25.000Z");
        for (text, moment) in [
            ("@every 1h30m", "2026-11-21T09:11:25.000Z"),
            ("@hourly", "2026-11-21T08:00:00.000Z"),
            ("@daily", "2026-11-22T00:00:00.000Z"),
            ("@weekly", "2026-11-22T00:00:00.000Z"),
            ("@monthly", "2026-12-01T00:00:00.000Z"),
            ("@yearly", "2027-01-01T00:00:00.000Z"),
            ("* * * * * *", "2026-11-21T07:41:26.000Z"),
            ("25 41 7 * * *", "2026-11-22T07:41:25.000Z"),
            ("*/20 * * * * *", "2026-11-21T07:41:40.000Z"),
            ("0 30 9 * * MON-FRI", "2026-11-23T09:30:00.000Z"),
            ("0 0 0 29 FEB *", "2028-02-29T00:00:00.000Z"),
            ("0 0 12 1 * MON", "2026-11-23T12:00:00.000Z"),
            ("0 0,15 8-9 * * 7", "2026-11-22T08:00:00.000Z"),
        ] {
            assert_eq!(next(text), moment, "{text}");
        }
    }

    #[test]
    fn what_is_no_rule_is_said_so() {
        for text in
            ["", "@every", "@every 10", "@every 10ms", "* * * * *", "60 * * * * *", "0 0 0 0 * *"]
        {
            assert!(Recurrence::parse(text).is_err(), "{text}");
        }
        let never = Recurrence::parse("0 0 0 31 FEB *").expect("well formed");
        assert_eq!(never.next_after(NOW), None);
    }
}
