//! Which idempotency keys an activation remembers, and when it must look further back.
//!
//! A key is remembered as a hash and the sequence of its commit; the reply itself is read from
//! the commit when a repeat comes. What is forgotten is still in the journal, so forgetting
//! costs a search and never a second effect. What is remembered is a run of the actor's commits
//! without a gap, up to its last; snapshots keep its newest part.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    limits::{
        CLOCK_SKEW_MAX, KEYS_KEPT_FOR, KEYS_KEPT_MAX, KEYS_KEPT_MIN, KEYS_SEARCHED_KEPT_FOR,
        KEYS_UNINDEXED_MAX,
    },
    model::time::Timestamp,
};

/// The keys of an actor's last commits.
#[derive(Debug, Default)]
pub(crate) struct KeyMemory {
    /// Oldest first.
    kept: VecDeque<Remembered>,
    /// From a hash to its newest commit, once there are too many to look through.
    index: Option<HashMap<u64, u64>>,
    /// Keys that were remembered without one. Until they are many it is not worth making: looking
    /// through a snapshot's keys costs microseconds, and indexing them a hundred times as much.
    unindexed: usize,
    /// When the newest forgotten commit was made, if any was forgotten.
    forgotten_until: Option<Timestamp>,
    /// Until then, keys that a search has found are not let go of.
    widened_until: Timestamp,
}

/// The key of one commit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remembered {
    hash: u64,
    sequence: u64,
    at: Timestamp,
}

/// What the memory knows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recall {
    /// Probably the key of the commit at this sequence: the commit itself tells.
    Perhaps(u64),
    /// Surely new.
    New,
    /// It may belong to a forgotten commit: search the journal from this time on.
    Unsure(Timestamp),
}

/// A memory as a snapshot keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeptKeys {
    forgotten_until: Option<Timestamp>,
    /// Sequence and time of the commit before the first.
    base: (u64, u64),
    /// Hash, and how far sequence and time are from those of the commit before.
    keys: Vec<(u64, u64, i64)>,
}

impl Remembered {
    pub(crate) fn new(key: &str, sequence: u64, at: Timestamp) -> Self {
        Self { hash: hash_of(key), sequence, at }
    }
}

impl KeyMemory {
    pub(crate) fn remember(&mut self, key: &str, sequence: u64, at: Timestamp) {
        let newest = Remembered::new(key, sequence, at);
        self.kept.push_back(newest);
        match &mut self.index {
            Some(index) => drop(index.insert(newest.hash, sequence)),
            None => {
                self.unindexed += 1;
                self.index_if_many();
            }
        }
        while self.kept.len() > KEYS_KEPT_MIN {
            let is_recent = self.kept[0].at.plus(KEYS_KEPT_FOR) > at || self.widened_until > at;
            if is_recent && self.kept.len() <= KEYS_KEPT_MAX {
                break;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.kept.pop_front() else { return };
        if let Some(index) = &mut self.index
            && index.get(&oldest.hash) == Some(&oldest.sequence)
        {
            index.remove(&oldest.hash);
        }
        self.forgotten_until = self.forgotten_until.max(Some(oldest.at));
    }

    fn index_if_many(&mut self) {
        if self.unindexed > KEYS_UNINDEXED_MAX {
            // Oldest first, so that of two with one hash the newer stays.
            let index = self.kept.iter().map(|kept| (kept.hash, kept.sequence)).collect();
            self.index = Some(index);
        }
    }

    /// `first_sent` is when the caller says it first used the key; without it, now.
    pub(crate) fn recall(&self, key: &str, first_sent: Option<Timestamp>) -> Recall {
        let hash = hash_of(key);
        let found = match &self.index {
            Some(index) => index.get(&hash).copied(),
            None => self.kept.iter().rev().find(|k| k.hash == hash).map(|k| k.sequence),
        };
        if let Some(sequence) = found {
            return Recall::Perhaps(sequence);
        }
        match self.search_from(first_sent) {
            Some(from) => Recall::Unsure(from),
            None => Recall::New,
        }
    }

    /// From when on a key that is not remembered would have to be searched for: its commit was
    /// stored after it was first sent, clocks permitting. `None` if nothing forgotten is as young.
    pub(crate) fn search_from(&self, first_sent: Option<Timestamp>) -> Option<Timestamp> {
        let (until, sent) = (self.forgotten_until?, first_sent?);
        (sent <= until.plus(CLOCK_SKEW_MAX)).then(|| sent.minus(CLOCK_SKEW_MAX))
    }

    /// The sequence of the oldest commit whose key is remembered.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.kept.front().map(|oldest| oldest.sequence)
    }

    /// Takes in what a search went through: all the actor's commits stored since `from`, up to
    /// the oldest that was remembered. Where one old key comes, more follow; and a busy actor
    /// that was just loaded is asked again and again for keys that it knew before.
    pub(crate) fn widen(&mut self, found: Vec<Remembered>, from: Timestamp, now: Timestamp) {
        let room = KEYS_KEPT_MAX.saturating_sub(self.kept.len());
        let too_many = found.len().saturating_sub(room);
        let (dropped, taken) = found.split_at(too_many);
        // Whatever else is forgotten was stored before `from`.
        let before = from.minus(Duration::from_millis(1));
        let newest = dropped.iter().map(|key| key.at).fold(before, Timestamp::max);
        self.forgotten_until = self.forgotten_until.min(Some(newest));
        for key in taken.iter().rev() {
            self.kept.push_front(*key);
        }
        (self.index, self.unindexed) = (None, self.kept.len());
        self.index_if_many();
        self.widened_until = now.plus(KEYS_SEARCHED_KEPT_FOR);
    }

    /// What a snapshot keeps of it: the keys of the last [`KEYS_KEPT_MIN`] commits.
    pub(crate) fn to_kept(&self) -> KeptKeys {
        let dropped = self.kept.len().saturating_sub(KEYS_KEPT_MIN);
        let newest_dropped = self.kept.range(..dropped).map(|key| key.at).max();
        let base = self.kept.get(dropped).map_or((0, 0), |k| (k.sequence, k.at.as_millis()));
        let (mut sequence, mut at) = base;
        let keys = self.kept.range(dropped..).map(|key| {
            let delta = (key.hash, key.sequence - sequence, key.at.as_millis().wrapping_sub(at));
            (sequence, at) = (key.sequence, key.at.as_millis());
            (delta.0, delta.1, delta.2.cast_signed())
        });
        let keys = keys.collect();
        KeptKeys { forgotten_until: self.forgotten_until.max(newest_dropped), base, keys }
    }
}

impl From<KeptKeys> for KeyMemory {
    fn from(snapshot: KeptKeys) -> Self {
        let KeptKeys { forgotten_until, base: (mut sequence, mut at), keys } = snapshot;
        let kept = keys.into_iter().map(|(hash, further, later)| {
            sequence = sequence.saturating_add(further);
            at = at.wrapping_add_signed(later);
            Remembered { hash, sequence, at: Timestamp::from_millis(at) }
        });
        Self { kept: kept.collect(), forgotten_until, ..Self::default() }
    }
}

/// FNV-1a, 64 bits: it is stored, so it must be the same in every build. Two keys with one hash
/// cost a search and nothing else.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

pub(crate) fn hash_of(key: &str) -> u64 {
    fingerprint(key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn recent_keys_are_recalled_with_their_commit() {
        let mut keys = KeyMemory::default();
        keys.remember("a", 7, at(1));
        assert_eq!(keys.recall("a", None), Recall::Perhaps(7));
        assert_eq!(keys.recall("b", Some(at(0))), Recall::New);
    }

    #[test]
    fn an_old_key_is_searched_for_and_a_young_one_is_new() {
        let mut keys = KeyMemory::default();
        for n in 0..=KEYS_KEPT_MIN as u64 {
            keys.remember(&format!("k{n}"), n + 1, at(n * HOUR));
        }
        assert_eq!(keys.recall("k0", Some(at(0))), Recall::Unsure(at(0)), "forgotten");
        assert_eq!(keys.recall("k1", Some(at(HOUR))), Recall::Perhaps(2), "kept");
        assert_eq!(keys.recall("new", Some(at(HOUR))), Recall::New);
        assert_eq!(keys.recall("new", Some(at(5_000))), Recall::Unsure(at(0)), "in the skew");
        assert_eq!(keys.recall("new", Some(at(5_001))), Recall::New);
    }

    #[test]
    fn a_busy_actor_knows_a_new_key_without_searching() {
        let mut keys = KeyMemory::default();
        // 5,000 commits a second for a minute.
        for n in 0..300_000_u64 {
            keys.remember(&format!("k{n}"), n + 1, at(n / 5));
        }
        assert_eq!(keys.recall("new", Some(at(60_000))), Recall::New);
        assert!(keys.kept.len() <= 50_001, "{}", keys.kept.len());
    }

    #[test]
    fn memory_is_bounded_even_if_all_keys_are_recent() {
        let mut keys = KeyMemory::default();
        for n in 0..(KEYS_KEPT_MAX as u64 + 500) {
            keys.remember(&format!("k{n}"), n + 1, at(n / 100_000));
        }
        assert_eq!(keys.kept.len(), KEYS_KEPT_MAX);
        assert_eq!(keys.index.map_or(0, |index| index.len()), KEYS_KEPT_MAX);
    }

    #[test]
    fn a_snapshot_keeps_the_newest_keys_and_until_when_the_others_were_made() {
        let mut keys = KeyMemory::default();
        let count = KEYS_KEPT_MIN as u64 + 100;
        for n in 0..count {
            // All within the time for which more are kept, and their clocks not in step.
            keys.remember(&format!("k{n}"), 3 * n + 1, at(1_000_000 + n - n % 3));
        }
        assert_eq!(keys.kept.len() as u64, count);
        let bytes = rmp_serde::to_vec_named(&keys.to_kept()).expect("plain data");
        assert!(bytes.len() < KEYS_KEPT_MIN * 15, "{} bytes", bytes.len());
        let read: KeptKeys = rmp_serde::from_slice(&bytes).expect("as written");
        let back = KeyMemory::from(read);
        assert_eq!(back.kept.len(), KEYS_KEPT_MIN);
        for n in 100..count {
            assert_eq!(back.recall(&format!("k{n}"), None), Recall::Perhaps(3 * n + 1));
        }
        // The newest of those left out is k99, made at 1,000,099.
        let from = |sent: u64| Recall::Unsure(at(sent - 5_000));
        assert_eq!(back.recall("k99", Some(at(1_000_099))), from(1_000_099));
        assert_eq!(back.recall("new", Some(at(1_005_099))), from(1_005_099));
        assert_eq!(back.recall("new", Some(at(1_005_100))), Recall::New);
    }

    #[test]
    fn what_a_search_went_through_is_remembered_for_the_next() {
        let mut keys = KeyMemory::default();
        for n in 0..=KEYS_KEPT_MIN as u64 + 49 {
            keys.remember(&format!("k{n}"), n + 1, at(n * HOUR));
        }
        let Recall::Unsure(from) = keys.recall("k10", Some(at(10 * HOUR))) else { panic!() };
        let found = (10..50).map(|n| Remembered::new(&format!("k{n}"), n + 1, at(n * HOUR)));
        keys.widen(found.collect(), from, at(5_000 * HOUR));
        assert_eq!(keys.recall("k10", Some(at(10 * HOUR))), Recall::Perhaps(11));
        assert_eq!(keys.recall("new", Some(at(10 * HOUR))), Recall::New);
        assert!(matches!(keys.recall("k9", Some(at(9 * HOUR))), Recall::Unsure(_)));
        assert_eq!(keys.oldest(), Some(11));
    }

    #[test]
    fn the_memory_of_an_actor_with_a_short_past_is_small() {
        let mut keys = KeyMemory::default();
        for n in 0..4 {
            keys.remember(&format!("k{n}"), n + 1, at(n));
        }
        let heap = keys.kept.capacity() * size_of::<Remembered>();
        assert!(keys.index.is_none());
        assert!(size_of::<KeyMemory>() + heap <= 256, "{}", size_of::<KeyMemory>() + heap);
    }
}
