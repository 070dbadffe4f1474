//! Links that are mailed to a user: the newest of its kind is good once, for a time.
//!
//! Here is only a number and when it was made; who mails the link signs it, and who follows it
//! shows the number.

use std::time::Duration;

use bus::Timestamp;
use serde::{Deserialize, Serialize};

use crate::limits::LINK_PAUSE;

/// Links of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Links {
    /// How many were made.
    count: u32,
    /// When the newest was, if it was not used yet.
    open_since: Option<Timestamp>,
    made_at: Timestamp,
}

impl Links {
    /// The number of another one; none so soon after the last.
    pub(super) fn next(&self, now: Timestamp) -> Option<u32> {
        let is_soon = self.count > 0 && now < self.made_at.plus(LINK_PAUSE);
        (!is_soon).then_some(self.count + 1)
    }

    pub(super) fn made(&mut self, number: u32, at: Timestamp) {
        *self = Self { count: number, open_since: Some(at), made_at: at };
    }

    pub(super) fn used(&mut self) {
        self.open_since = None;
    }

    /// Whether the link with this number is the newest, not used, and not older than `life`.
    pub(super) fn is_good(&self, number: u32, life: Duration, now: Timestamp) -> bool {
        number == self.count && self.open_since.is_some_and(|since| now < since.plus(life))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_link_is_good_once_and_for_a_time() {
        let (hour, at) = (Duration::from_secs(3_600), Timestamp::from_millis);
        let mut links = Links::default();
        assert_eq!(links.next(at(0)), Some(1));
        links.made(1, at(0));
        assert_eq!(links.next(at(59_999)), None);
        assert_eq!(links.next(at(60_000)), Some(2));
        assert!(links.is_good(1, hour, at(1)));
        assert!(!links.is_good(1, hour, at(3_600_000)));
        links.made(2, at(60_000));
        assert!(!links.is_good(1, hour, at(60_001)), "not the newest");
        links.used();
        assert!(!links.is_good(2, hour, at(60_001)), "used");
    }
}
