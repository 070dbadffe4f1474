//! Which idempotency keys an activation remembers, and when it must look further back.
//!
//! A key is remembered as a hash and the sequence of its commit; the reply itself is read from
//! the commit when a repeat comes. What is forgotten is still in the journal, so forgetting
//! costs a search and never a second effect.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hasher},
};

use crate::{
    limits::{CLOCK_SKEW_MAX, KEYS_KEPT_FOR, KEYS_KEPT_MAX, KEYS_KEPT_MIN},
    time::Timestamp,
};

/// The keys of an actor's last commits.
#[derive(Debug, Default)]
pub(crate) struct KeyMemory {
    sequences: HashMap<u64, u64>,
    order: VecDeque<Remembered>,
    /// When the newest forgotten commit was made, if any was forgotten.
    forgotten_until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Remembered {
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
    /// It may belong to a forgotten commit: search the journal.
    Unsure,
}

impl KeyMemory {
    pub(crate) fn remember(&mut self, key: &str, sequence: u64, at: Timestamp) {
        let hash = hash_of(key);
        self.sequences.insert(hash, sequence);
        self.order.push_back(Remembered { hash, sequence, at });
        while self.order.len() > KEYS_KEPT_MIN {
            let oldest = self.order[0];
            let is_recent = oldest.at.plus(KEYS_KEPT_FOR) > at;
            if is_recent && self.order.len() <= KEYS_KEPT_MAX {
                break;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.order.pop_front() else { return };
        if self.sequences.get(&oldest.hash) == Some(&oldest.sequence) {
            self.sequences.remove(&oldest.hash);
        }
        self.forgotten_until = self.forgotten_until.max(Some(oldest.at));
    }

    /// `first_sent` is when the caller says it first used the key; without it, now.
    pub(crate) fn recall(&self, key: &str, first_sent: Option<Timestamp>) -> Recall {
        if let Some(sequence) = self.sequences.get(&hash_of(key)) {
            return Recall::Perhaps(*sequence);
        }
        match (self.forgotten_until, first_sent) {
            // The commit of a key is made after the key was first sent, clocks permitting.
            (Some(until), Some(sent)) if sent <= until.plus(CLOCK_SKEW_MAX) => Recall::Unsure,
            _ => Recall::New,
        }
    }
}

fn hash_of(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(key.as_bytes());
    hasher.finish()
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
        assert_eq!(keys.recall("k0", Some(at(0))), Recall::Unsure, "forgotten");
        assert_eq!(keys.recall("k1", Some(at(HOUR))), Recall::Perhaps(2), "kept");
        assert_eq!(keys.recall("new", Some(at(HOUR))), Recall::New);
        assert_eq!(keys.recall("new", Some(at(5_000))), Recall::Unsure, "within the clocks' skew");
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
        assert!(keys.order.len() <= 50_001, "{}", keys.order.len());
    }

    #[test]
    fn memory_is_bounded_even_if_all_keys_are_recent() {
        let mut keys = KeyMemory::default();
        for n in 0..(KEYS_KEPT_MAX as u64 + 500) {
            keys.remember(&format!("k{n}"), n + 1, at(n / 100_000));
        }
        assert_eq!(keys.order.len(), KEYS_KEPT_MAX);
        assert_eq!(keys.sequences.len(), KEYS_KEPT_MAX);
    }
}
