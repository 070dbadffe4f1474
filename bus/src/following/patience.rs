//! How long a failing delivery is tried, and with which pauses.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    following::{dead::GivenUp, reaction::Trouble},
    limits::{ATTEMPTS_MAX, CROWDED_MAX, RETRY_AFTER, RETRY_AFTER_MAX, UNREACHABLE_MAX},
    model::time::Timestamp,
};

/// How long followers try before a delivery becomes a dead letter. See
/// [`Host::patience`](crate::Host::patience).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Failed attempts before it is given up.
    pub attempts: u32,
    /// How long a target that cannot be reached, or is too busy, is waited for. Such attempts
    /// do not count as failed.
    pub unreachable: Duration,
    /// How long an actor may have more waiting than
    /// [`ACTOR_PENDING_MAX`](crate::limits::ACTOR_PENDING_MAX) behind one that fails.
    pub crowded: Duration,
    /// The first pause; doubled with each attempt, with jitter.
    pub pause: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: ATTEMPTS_MAX,
            unreachable: UNREACHABLE_MAX,
            crowded: CROWDED_MAX,
            pause: RETRY_AFTER,
            pause_max: RETRY_AFTER_MAX,
        }
    }
}

/// What was tried of one delivery so far, in this process.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    pub(crate) attempts: u32,
    /// Those of them whose target was reached, and that failed.
    failures: u32,
    since: Option<Instant>,
    first: Timestamp,
    last: Timestamp,
}

impl Tried {
    pub(crate) fn note(&mut self, trouble: &Trouble, now: Timestamp) {
        self.attempts += 1;
        self.failures += u32::from(!trouble.is_unreachable);
        if self.since.is_none() {
            (self.since, self.first) = (Some(Instant::now()), now);
        }
        self.last = now;
    }

    pub(crate) fn given_up<'a>(&self, error: &'a str) -> GivenUp<'a> {
        GivenUp { error, attempts: self.attempts, first: self.first, last: self.last }
    }
}

impl Patience {
    /// Whether a delivery is to be given up.
    pub(crate) fn is_over(&self, tried: &Tried, trouble: &Trouble, is_crowded: bool) -> bool {
        let waited = tried.since.map_or(Duration::ZERO, |since| since.elapsed());
        trouble.is_hopeless
            || tried.failures >= self.attempts
            || (trouble.is_unreachable && waited >= self.unreachable)
            || (is_crowded && waited >= self.crowded)
    }

    /// The pause after `attempt`: doubled with every attempt, and spread so that many do not
    /// come back at once. The spread is made of the delivery's place, so that a run can be
    /// repeated exactly.
    pub(crate) fn pause(&self, sequence: u64, attempt: u32) -> Duration {
        let full = self.pause.saturating_mul(1 << attempt.min(16)).min(self.pause_max);
        let spread = (sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(attempt)) % 512;
        full / 2 + full.mul_f64(f64::from(u32::try_from(spread).unwrap_or(0)) / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let patience = Patience::default();
        let pauses: Vec<Duration> = (1..40).map(|attempt| patience.pause(9, attempt)).collect();
        assert!(pauses[0] >= RETRY_AFTER, "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= RETRY_AFTER_MAX));
        assert!(pauses[38] >= RETRY_AFTER_MAX / 2);
    }

    #[test]
    fn attempts_last_for_some_minutes() {
        let patience = Patience::default();
        for sequence in 0..500 {
            let pauses = (1..patience.attempts).map(|attempt| patience.pause(sequence, attempt));
            let total: Duration = pauses.sum();
            assert!((180..=420).contains(&total.as_secs()), "{total:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_reached_is_waited_for_and_what_fails_is_not() {
        let patience = Patience::default();
        let (failed, away) = (Trouble::because("no"), Trouble::unreachable("nobody there"));
        let mut tried = Tried::default();
        for _ in 0..1_000 {
            tried.note(&away, Timestamp::from_millis(1));
            assert!(!patience.is_over(&tried, &away, false));
        }
        tokio::time::advance(CROWDED_MAX).await;
        assert!(patience.is_over(&tried, &away, true) && !patience.is_over(&tried, &away, false));
        tokio::time::advance(UNREACHABLE_MAX).await;
        assert!(patience.is_over(&tried, &away, false));
        let mut tried = Tried::default();
        for attempt in 1..=ATTEMPTS_MAX {
            tried.note(&failed, Timestamp::from_millis(1));
            assert_eq!(patience.is_over(&tried, &failed, false), attempt == ATTEMPTS_MAX);
        }
        assert!(patience.is_over(&Tried::default(), &Trouble::hopeless("garbage"), false));
    }
}
