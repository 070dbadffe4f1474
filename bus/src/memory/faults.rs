//! What may go wrong in a world, and the dice that decide when it does.

use std::time::Duration;

/// What may go wrong, and how often: chances are in thousandths of the occasions. The default
/// is a world in which nothing does, and nothing takes time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// A write is stored, and its acknowledgement is lost.
    pub ack_lost: u32,
    /// A write is lost itself; its writer hears nothing.
    pub append_lost: u32,
    /// A write comes to the server (which then takes or refuses it) after its writer has given
    /// up waiting.
    pub append_late: u32,
    /// A commit is stored but answered as a conflict, as a repeated publish is.
    pub conflict_reported: u32,
    /// A commit is taken and cannot be read for a while, in which any other one of its actor
    /// conflicts, as while a quorum is asked.
    pub append_slow: u32,
    /// The connection dies right before or right after its commit is stored, half of each.
    pub kill_at_append: u32,
    /// A request, or a read of the journal, is lost on its way.
    pub request_lost: u32,
    /// The answer to one is lost.
    pub reply_lost: u32,
    /// A follower's acknowledgement is forgotten.
    pub ack_dropped: u32,
    /// A delivery comes twice.
    pub redeliver: u32,
    /// A direct read does not see the newest commits.
    pub stale_read: u32,
    /// Everything that travels takes up to this long, each way. In whole milliseconds.
    pub max_delay: Duration,
    /// How far the clocks of connections made from now on are off, at most, either way.
    pub clock_skew_max: Duration,
}

/// A seeded sequence (SplitMix64).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 if that is 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { self.roll() % limit }
    }

    /// A time of whole milliseconds, at most `max`.
    pub(super) fn span(&mut self, max: Duration) -> Duration {
        let max = u64::try_from(max.as_millis()).unwrap_or(u64::MAX - 1);
        if max == 0 { Duration::ZERO } else { Duration::from_millis(self.below(max + 1)) }
    }

    /// Whether something of this chance happens. No dice are thrown for what cannot.
    pub(super) fn per_mille(&mut self, chance: u32) -> bool {
        chance > 0 && self.below(1_000) < u64::from(chance)
    }
}
