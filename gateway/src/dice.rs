//! Chance, by a seed.

use std::{
    ops::RangeInclusive,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::clock::millis;

/// Rolled for whatever is left to chance.
#[derive(Debug)]
pub(crate) struct Dice {
    // A std mutex, because nothing is awaited while it is held.
    rolls: Mutex<fastrand::Rng>,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rolls: Mutex::new(fastrand::Rng::with_seed(seed)) }
    }

    /// True with this chance, from 0 to 1.
    pub(crate) fn happens(&self, chance: f64) -> bool {
        self.rolls.lock().unwrap_or_else(PoisonError::into_inner).f64() < chance
    }

    /// Somewhere in the span, in whole milliseconds.
    pub(crate) fn within(&self, span: &RangeInclusive<Duration>) -> Duration {
        let span = millis(*span.start())..=millis(*span.end());
        let ms = self.rolls.lock().unwrap_or_else(PoisonError::into_inner).u64(span);
        Duration::from_millis(ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats() {
        let roll = |seed| {
            let (dice, second) = (Dice::new(seed), Duration::from_secs(1));
            let roll = |_| (dice.happens(0.5), dice.within(&(Duration::ZERO..=second)));
            (0..50).map(roll).collect::<Vec<_>>()
        };
        assert_eq!(roll(7), roll(7));
        assert_ne!(roll(7), roll(8));
    }

    #[test]
    fn never_and_always_are_certain() {
        let dice = Dice::new(1);
        assert!((0..1_000).all(|_| !dice.happens(0.0) && dice.happens(1.0)));
    }
}
