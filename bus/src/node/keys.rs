//! Which idempotency keys an activation remembers, and when it must look further back.
//!
//! A key is remembered as a hash and the sequence of its commit; the reply itself is read from
//! the commit when a repeat comes. What is forgotten is still in the journal, so forgetting
//! costs a search and never a second effect. What is remembered is a run of the actor's commits
//! without a gap, up to its last; snapshots keep its newest part.
//!
//! Most callers say when they first sent a key, and then few need to be remembered: an older one
//! is searched from that time on. For those who do not, milestones say where the last
//! [`KEYS_KEPT_MIN`] commits begin: there the search for theirs does, once, and what it went
//! through is kept for as long as such callers come.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    limits::{
        CLOCK_SKEW_MAX, KEYS_KEPT_FEW, KEYS_KEPT_FOR, KEYS_KEPT_MAX, KEYS_KEPT_MIN,
        KEYS_SEARCHED_KEPT_FOR, KEYS_UNINDEXED_MAX, MILESTONE_EVERY,
    },
    model::time::Timestamp,
};

/// The keys of an actor's last commits.
#[derive(Debug, Default)]
pub(crate) struct KeyMemory {
    /// Oldest first.
    kept: VecDeque<Remembered>,
    /// From a hash to its newest commit, once there are too many to look through.
    #[expect(clippy::box_collection, reason = "few actors have one, and all have the room for it")]
    index: Option<Box<HashMap<u64, u64>>>,
    /// Keys that were remembered without one. Until they are many it is not worth making: looking
    /// through a snapshot's keys costs microseconds, and indexing them a hundred times as much.
    unindexed: u32,
    /// Sequences of every [`MILESTONE_EVERY`]th commit, oldest first: from the first of them on
    /// there are at least [`KEYS_KEPT_MIN`] commits, or all there are.
    milestones: Vec<u64>,
    /// Commits since the last of them.
    since_milestone: u16,
    /// When the newest forgotten commit was made, if any was forgotten.
    forgotten_until: Option<Timestamp>,
    /// Until then, keys that a search has found are not let go of.
    widened_until: Timestamp,
    /// Until then callers are reckoned with who do not say when they first sent a key.
    untimed_until: Timestamp,
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
    /// It may belong to a forgotten commit: search the journal from here on.
    Unsure(Since),
}

/// Where a search begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// With what was stored at this time.
    Time(Timestamp),
    /// With the commit at this sequence.
    Sequence(u64),
}

/// When a key was first sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Never before: it is one of ours.
    Now,
    /// Then, as its caller says.
    At(Timestamp),
    /// Its caller does not say: at this time, or before.
    Until(Timestamp),
}

/// A memory as a snapshot keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeptKeys {
    forgotten_until: Option<Timestamp>,
    milestones: Vec<u64>,
    since_milestone: u16,
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
        self.pass(sequence);
        self.forget_before(at);
        let newest = Remembered::new(key, sequence, at);
        self.kept.push_back(newest);
        match &mut self.index {
            Some(index) => drop(index.insert(newest.hash, sequence)),
            None => {
                self.unindexed += 1;
                self.index_if_many();
            }
        }
    }

    /// A caller came who does not say when it first sent its key; more may follow.
    pub(crate) fn expect_untimed(&mut self, now: Timestamp) {
        self.untimed_until = self.untimed_until.max(now.plus(KEYS_SEARCHED_KEPT_FOR));
    }

    fn pass(&mut self, sequence: u64) {
        if self.milestones.is_empty() || usize::from(self.since_milestone) >= MILESTONE_EVERY {
            self.milestones.push(sequence);
            self.since_milestone = 0;
        }
        self.since_milestone += 1;
        if self.milestones.len() > KEYS_KEPT_MIN / MILESTONE_EVERY + 1 {
            self.milestones.remove(0);
        }
    }

    /// Makes room for one more.
    fn forget_before(&mut self, now: Timestamp) {
        while self.kept.len() >= KEYS_KEPT_FEW {
            let is_wanted = self.kept[0].at.plus(KEYS_KEPT_FOR) > now
                || self.widened_until > now
                || (self.untimed_until > now
                    && Some(&self.kept[0].sequence) >= self.milestones.first());
            if is_wanted && self.kept.len() < KEYS_KEPT_MAX {
                break;
            }
            self.forget_oldest();
        }
        if self.index.is_some() && self.kept.len() <= KEYS_UNINDEXED_MAX / 2 {
            self.unindex();
        }
        if self.kept.capacity() / 4 > self.kept.len().max(KEYS_KEPT_FEW) {
            self.kept.shrink_to(self.kept.len() * 2);
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

    fn unindex(&mut self) {
        self.index = None;
        self.unindexed = u32::try_from(self.kept.len()).unwrap_or(u32::MAX);
    }

    fn index_if_many(&mut self) {
        let is_worth_it = self.unindexed > KEYS_UNINDEXED_MAX as u32;
        if is_worth_it && self.kept.len() > KEYS_UNINDEXED_MAX {
            // Oldest first, so that of two with one hash the newer stays.
            let index = self.kept.iter().map(|kept| (kept.hash, kept.sequence)).collect();
            self.index = Some(Box::new(index));
        }
    }

    pub(crate) fn recall(&self, key: &str, sent: Sent) -> Recall {
        let hash = hash_of(key);
        let found = match &self.index {
            Some(index) => index.get(&hash).copied(),
            None => self.kept.iter().rev().find(|k| k.hash == hash).map(|k| k.sequence),
        };
        if let Some(sequence) = found {
            return Recall::Perhaps(sequence);
        }
        match self.search_from(sent) {
            Some(since) => Recall::Unsure(since),
            None => Recall::New,
        }
    }

    /// From where on a key that is not remembered would have to be searched for, if it may
    /// belong to a forgotten commit: that was stored after the key was first sent, clocks
    /// permitting; or is among the last, if that is not said.
    pub(crate) fn search_from(&self, sent: Sent) -> Option<Since> {
        let at = match sent {
            Sent::Now => return None,
            Sent::At(at) | Sent::Until(at) => at,
        };
        let milestone = self.milestones.first().filter(|_| matches!(sent, Sent::Until(_)));
        let is_forgotten = |first: &&u64| self.oldest().is_some_and(|oldest| **first < oldest);
        if let Some(first) = milestone.filter(is_forgotten) {
            return Some(Since::Sequence(*first));
        }
        let until = self.forgotten_until?;
        (at <= until.plus(CLOCK_SKEW_MAX)).then(|| Since::Time(at.minus(CLOCK_SKEW_MAX)))
    }

    /// The sequence of the oldest commit whose key is remembered.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.kept.front().map(|oldest| oldest.sequence)
    }

    /// Takes in what a search went through: all the actor's commits since `from`, up to the oldest
    /// that was remembered. Where one old key comes, more follow; and a busy actor that was just
    /// loaded is asked again and again for keys that it knew before.
    pub(crate) fn widen(&mut self, found: Vec<Remembered>, from: Since, now: Timestamp) {
        let room = KEYS_KEPT_MAX.saturating_sub(self.kept.len());
        let too_many = found.len().saturating_sub(room);
        let (dropped, taken) = found.split_at(too_many);
        // A sequence says nothing of when what is forgotten was stored.
        if let Since::Time(from) = from {
            // Whatever else is forgotten was stored before that.
            let before = from.minus(Duration::from_millis(1));
            let newest = dropped.iter().map(|key| key.at).fold(before, Timestamp::max);
            self.forgotten_until = self.forgotten_until.min(Some(newest));
        }
        for key in taken.iter().rev() {
            self.kept.push_front(*key);
        }
        self.unindex();
        self.index_if_many();
        match from {
            Since::Time(_) => self.widened_until = now.plus(KEYS_SEARCHED_KEPT_FOR),
            Since::Sequence(_) => self.expect_untimed(now),
        }
    }

    /// What a snapshot keeps of it: the keys of the last [`KEYS_KEPT_FEW`] commits.
    pub(crate) fn to_kept(&self) -> KeptKeys {
        let dropped = self.kept.len().saturating_sub(KEYS_KEPT_FEW);
        let newest_dropped = self.kept.range(..dropped).map(|key| key.at).max();
        let base = self.kept.get(dropped).map_or((0, 0), |k| (k.sequence, k.at.as_millis()));
        let (mut sequence, mut at) = base;
        let keys = self.kept.range(dropped..).map(|key| {
            let delta = (key.hash, key.sequence - sequence, key.at.as_millis().wrapping_sub(at));
            (sequence, at) = (key.sequence, key.at.as_millis());
            (delta.0, delta.1, delta.2.cast_signed())
        });
        let keys = keys.collect();
        let milestones = self.milestones.clone();
        let forgotten_until = self.forgotten_until.max(newest_dropped);
        let since_milestone = self.since_milestone;
        KeptKeys { forgotten_until, milestones, since_milestone, base, keys }
    }
}

impl From<KeptKeys> for KeyMemory {
    fn from(snapshot: KeptKeys) -> Self {
        let KeptKeys { forgotten_until, milestones, since_milestone, base, keys } = snapshot;
        let (mut sequence, mut at) = base;
        let kept = keys.into_iter().map(|(hash, further, later)| {
            sequence = sequence.saturating_add(further);
            at = at.wrapping_add_signed(later);
            Remembered { hash, sequence, at: Timestamp::from_millis(at) }
        });
        let kept = kept.collect();
        Self { kept, milestones, since_milestone, forgotten_until, ..Self::default() }
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

    fn time(ms: u64) -> Recall {
        Recall::Unsure(Since::Time(at(ms)))
    }

    /// A memory after `count` commits, an hour apart.
    fn hourly(count: u64) -> KeyMemory {
        let mut keys = KeyMemory::default();
        for n in 0..count {
            keys.remember(&format!("k{n}"), n + 1, at(n * HOUR));
        }
        keys
    }

    #[test]
    fn recent_keys_are_recalled_with_their_commit() {
        let mut keys = KeyMemory::default();
        keys.remember("a", 7, at(1));
        assert_eq!(keys.recall("a", Sent::Now), Recall::Perhaps(7));
        for sent in [Sent::At(at(0)), Sent::Until(at(0)), Sent::Now] {
            assert_eq!(keys.recall("b", sent), Recall::New);
        }
    }

    #[test]
    fn an_old_key_is_searched_for_and_a_young_one_is_new() {
        let keys = hourly(KEYS_KEPT_FEW as u64 + 1);
        let recall = |key, ms| keys.recall(key, Sent::At(at(ms)));
        assert_eq!(recall("k0", 0), time(0), "forgotten");
        assert_eq!(recall("k1", HOUR), Recall::Perhaps(2), "kept");
        assert_eq!(recall("new", HOUR), Recall::New);
        assert_eq!(recall("new", 5_000), time(0), "in the skew");
        assert_eq!(recall("new", 5_001), Recall::New);
    }

    #[test]
    fn a_key_whose_age_nobody_knows_is_searched_for_among_the_last() {
        let (few, many) = (KEYS_KEPT_FEW as u64, KEYS_KEPT_MIN as u64);
        for count in [few + 1, many, many + 1, 3 * many, 3 * many + 200] {
            let keys = hourly(count);
            let until = Sent::Until(at(count * HOUR));
            let Recall::Unsure(Since::Sequence(first)) = keys.recall("new", until) else {
                panic!("after {count} commits the last {many} are not looked at");
            };
            let searched = count + 1 - first;
            let wanted = count.min(many);
            let most = many + MILESTONE_EVERY as u64;
            assert!((wanted..=most).contains(&searched), "{searched} of {count}");
            assert_eq!(keys.recall("new", Sent::At(at(count * HOUR))), Recall::New);
            assert_eq!(keys.recall("new", Sent::Now), Recall::New, "one of ours");
        }
    }

    #[test]
    fn while_callers_come_that_do_not_say_their_keys_age_the_last_are_remembered() {
        let many = KEYS_KEPT_MIN as u64;
        let mut keys = hourly(2 * many);
        let now = 2 * many * HOUR;
        let Recall::Unsure(since @ Since::Sequence(first)) =
            keys.recall("new", Sent::Until(at(now)))
        else {
            panic!("they are not looked at");
        };
        let oldest = keys.oldest().expect("some are remembered");
        let found = (first..oldest).map(|n| Remembered::new(&format!("k{}", n - 1), n, at(n)));
        keys.widen(found.collect(), since, at(now));
        assert_eq!(keys.recall("new", Sent::Until(at(now))), Recall::New);
        let old = format!("k{}", 2 * many - 4_000);
        assert_eq!(keys.recall(&old, Sent::Until(at(now))), Recall::Perhaps(2 * many - 3_999));
        for n in 0..10_000 {
            keys.expect_untimed(at(now + n * 10_000));
            keys.remember(&format!("later-{n}"), 2 * many + 1 + n, at(now + n * 10_000));
            assert!(matches!(
                keys.recall("new", Sent::Until(at(now))),
                Recall::New | Recall::Unsure(Since::Time(_))
            ));
        }
        assert!(keys.kept.len() <= KEYS_KEPT_MIN + MILESTONE_EVERY, "{}", keys.kept.len());
        keys.remember("last", 3 * many + 20_000, at(now * 2));
        assert_eq!(keys.kept.len(), KEYS_KEPT_FEW);
        assert!(keys.kept.capacity() <= 4 * KEYS_KEPT_FEW && keys.index.is_none());
    }

    #[test]
    fn a_busy_actor_knows_a_new_key_without_searching() {
        let mut keys = KeyMemory::default();
        // 5,000 commits a second for a minute.
        for n in 0..300_000_u64 {
            keys.remember(&format!("k{n}"), n + 1, at(n / 5));
        }
        assert_eq!(keys.recall("new", Sent::At(at(60_000))), Recall::New);
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
        let few = KEYS_KEPT_FEW as u64;
        let count = few + 100;
        for n in 0..count {
            // All within the time for which more are kept, and their clocks not in step.
            keys.remember(&format!("k{n}"), 3 * n + 1, at(1_000_000 + n - n % 3));
        }
        assert_eq!(keys.kept.len() as u64, count);
        let bytes = rmp_serde::to_vec_named(&keys.to_kept()).expect("plain data");
        assert!(bytes.len() < KEYS_KEPT_FEW * 15, "{} bytes", bytes.len());
        let read: KeptKeys = rmp_serde::from_slice(&bytes).expect("as written");
        let back = KeyMemory::from(read);
        assert_eq!(back.kept.len(), KEYS_KEPT_FEW);
        for n in 100..count {
            assert_eq!(back.recall(&format!("k{n}"), Sent::Now), Recall::Perhaps(3 * n + 1));
        }
        // The newest of those left out is k99, made at 1,000,099.
        let recall = |key, ms| back.recall(key, Sent::At(at(ms)));
        assert_eq!(recall("k99", 1_000_099), time(995_099));
        assert_eq!(recall("new", 1_005_099), time(1_000_099));
        assert_eq!(recall("new", 1_005_100), Recall::New);
        let among_all = Recall::Unsure(Since::Sequence(1));
        assert_eq!(back.recall("k0", Sent::Until(at(9_000_000))), among_all);
    }

    #[test]
    fn what_a_search_went_through_is_remembered_for_the_next() {
        let few = KEYS_KEPT_FEW as u64;
        let mut keys = hourly(few + 50);
        let recall =
            |keys: &KeyMemory, n: u64| keys.recall(&format!("k{n}"), Sent::At(at(n * HOUR)));
        let Recall::Unsure(from) = recall(&keys, 10) else { panic!("it is forgotten") };
        let found = (10..50).map(|n| Remembered::new(&format!("k{n}"), n + 1, at(n * HOUR)));
        keys.widen(found.collect(), from, at(5_000 * HOUR));
        assert_eq!(recall(&keys, 10), Recall::Perhaps(11));
        assert_eq!(keys.recall("new", Sent::At(at(10 * HOUR))), Recall::New);
        assert!(matches!(recall(&keys, 9), Recall::Unsure(Since::Time(_))));
        assert_eq!(keys.oldest(), Some(11));
    }

    #[test]
    fn what_an_actor_costs_does_not_grow_with_what_it_has_done() {
        let heap = |keys: &KeyMemory| {
            let (kept, milestones) = (keys.kept.capacity(), keys.milestones.capacity());
            kept * size_of::<Remembered>() + milestones * size_of::<u64>()
        };
        let mut keys = KeyMemory::default();
        // One a second, then ten thousand within one, then one a second.
        let moments = (0..100_000).map(|n| n * 1_000).chain((0..10_000).map(|_| 100_000_000));
        let moments = moments.chain((0..1_000).map(|n| 100_001_000 + n * 1_000));
        for (n, moment) in (0..).zip(moments) {
            keys.remember(&format!("k{n}"), n + 1, at(moment));
            assert!(keys.index.is_none() || keys.kept.len() > KEYS_UNINDEXED_MAX / 2, "{n}");
            if n % 1_000 == 999 && n < 100_000 {
                assert!(heap(&keys) <= 4_096, "{} bytes after {n}", heap(&keys));
            }
        }
        assert!(keys.index.is_none() && heap(&keys) <= 16_384, "{} bytes", heap(&keys));
    }

    #[test]
    fn the_memory_of_an_actor_with_a_short_past_is_small() {
        let mut keys = KeyMemory::default();
        for n in 0..4 {
            keys.remember(&format!("k{n}"), n + 1, at(n));
        }
        let heap = keys.kept.capacity() * size_of::<Remembered>();
        assert!(keys.index.is_none());
        assert!(size_of::<KeyMemory>() + heap <= 320, "{}", size_of::<KeyMemory>() + heap);
    }
}
