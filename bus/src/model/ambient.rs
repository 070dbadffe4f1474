//! What a node takes from its surroundings: the time, and chance. Nothing else in the runtime
//! reads a clock or throws dice, so a simulation that hands out both can be repeated exactly.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::time::Instant;

use crate::model::{
    id::{Key, hex},
    time::Timestamp,
};

/// A source of time and chance. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub(crate) enum Ambient {
    /// The machine's clock and its entropy.
    Real,
    /// Tokio's clock, which a test can pause and move, and a seeded sequence.
    Simulated(Arc<Simulated>),
}

#[derive(Debug)]
pub(crate) struct Simulated {
    /// What the node's clock said at `since`: nodes' clocks may differ.
    origin: Timestamp,
    since: Instant,
    state: AtomicU64,
}

impl Ambient {
    /// A clock that says `origin` now and goes on with tokio's; dice that repeat with `seed`.
    pub(crate) fn simulated(origin: Timestamp, seed: u64) -> Self {
        let state = AtomicU64::new(seed);
        Self::Simulated(Arc::new(Simulated { origin, since: Instant::now(), state }))
    }

    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::Real => Timestamp::now(),
            Self::Simulated(simulated) => simulated.origin.plus(simulated.since.elapsed()),
        }
    }

    /// 32 hexadecimal digits that nobody has seen before.
    pub(crate) fn token(&self) -> String {
        match self {
            Self::Real => uuid::Uuid::new_v4().simple().to_string(),
            Self::Simulated(simulated) => {
                let (high, low) = (simulated.next(), simulated.next());
                hex(&((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
            }
        }
    }

    /// An idempotency key that nobody has used before.
    pub(crate) fn key(&self) -> Key {
        Key::parse(&self.token()).unwrap_or_else(|_| unreachable!("hexadecimal digits are a key"))
    }
}

impl Simulated {
    /// SplitMix64.
    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_simulation_repeats_with_its_seed_and_its_clock_is_moved_by_hand() {
        tokio::time::pause();
        let start = Timestamp::from_millis(1_000);
        let (one, two) = (Ambient::simulated(start, 7), Ambient::simulated(start, 7));
        assert_eq!(one.token(), two.token());
        assert_ne!(one.token(), one.token());
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(one.now(), Timestamp::from_millis(4_000));
    }
}
