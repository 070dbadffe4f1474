//! One stream: messages in order, found by subject, and who waits for more of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_nats::HeaderMap;
use bytes::Bytes;
use tokio::sync::Notify;

use super::consumer::Consumer;
use crate::{
    journal::{Batch, Entry},
    model::time::Timestamp,
    wire::subject,
};

/// A stored message.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) subject: Arc<str>,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Bytes,
    pub(super) at: Timestamp,
}

/// Somebody who waits for the stream's next message.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) link: u64,
    pub(super) wake: Arc<Notify>,
}

#[derive(Debug)]
pub(super) struct Stream {
    /// Nanoseconds since 1970.
    pub(super) created: i128,
    subjects: Vec<String>,
    /// Of commits: how many shards the kind has.
    pub(super) shards: u32,
    /// Whether a message is gone once it is acknowledged.
    pub(super) is_queue: bool,
    pub(super) last: u64,
    pub(super) messages: BTreeMap<u64, Kept>,
    by_subject: BTreeMap<Arc<str>, BTreeSet<u64>>,
    /// Subjects with a write that is taken and not yet to be read: any other conflicts.
    pub(super) under_way: BTreeSet<Arc<str>>,
    pub(super) readers: BTreeMap<u64, Reader>,
    pub(super) consumers: BTreeMap<Arc<str>, Consumer>,
}

impl Stream {
    pub(super) fn new(now: Timestamp, subjects: &[&str], is_queue: bool) -> Self {
        Self {
            created: i128::from(now.as_millis()) * 1_000_000,
            subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
            shards: 1,
            is_queue,
            last: 0,
            messages: BTreeMap::new(),
            by_subject: BTreeMap::new(),
            under_way: BTreeSet::new(),
            readers: BTreeMap::new(),
            consumers: BTreeMap::new(),
        }
    }

    /// Whether what is stored under `subject` goes here.
    pub(super) fn takes(&self, subject: &str) -> bool {
        self.subjects.iter().any(|pattern| subject::matches(pattern, subject))
    }

    /// Stores a message and wakes whoever waits for it.
    pub(super) fn store(&mut self, message: Kept) -> u64 {
        self.last += 1;
        let sequences = self.by_subject.entry(message.subject.clone()).or_default();
        sequences.insert(self.last);
        for reader in self.readers.values() {
            reader.wake.notify_one();
        }
        for consumer in self.consumers.values() {
            consumer.wake_for(&message.subject);
        }
        self.messages.insert(self.last, message);
        self.last
    }

    /// Says whether the message was there.
    pub(super) fn remove(&mut self, sequence: u64) -> bool {
        let Some(message) = self.messages.remove(&sequence) else { return false };
        if let Some(sequences) = self.by_subject.get_mut(&message.subject) {
            sequences.remove(&sequence);
            if sequences.is_empty() {
                self.by_subject.remove(&message.subject);
            }
        }
        for consumer in self.consumers.values_mut() {
            consumer.forget(sequence);
        }
        true
    }

    /// Removes all messages of exactly this subject.
    pub(super) fn remove_subject(&mut self, subject: &str) {
        for sequence in self.by_subject.get(subject).cloned().unwrap_or_default() {
            self.remove(sequence);
        }
    }

    /// Removes what the consumer has acknowledged without a gap; the last sequence of that.
    pub(super) fn sweep(&mut self, consumer: &str) -> u64 {
        let Some(consumer) = self.consumers.get(consumer) else { return 0 };
        let floor = consumer.floor();
        let done = self.messages.range(..=floor).filter(|(_, kept)| consumer.wants(&kept.subject));
        let done: Vec<u64> = done.map(|(sequence, _)| *sequence).collect();
        for sequence in done {
            self.remove(sequence);
        }
        floor
    }

    /// The last sequence of exactly this subject; 0 if there is none.
    pub(super) fn last_of(&self, subject: &str) -> u64 {
        self.by_subject.get(subject).and_then(BTreeSet::last).copied().unwrap_or(0)
    }

    /// A commit, as readers of commits are given it.
    pub(super) fn commit(&self, sequence: u64) -> Option<Entry> {
        Some(Entry { headers: HeaderMap::new(), ..self.entry(sequence)? })
    }

    pub(super) fn entry(&self, sequence: u64) -> Option<Entry> {
        let Kept { subject, headers, bytes, .. } = self.messages.get(&sequence)?;
        Some(Entry {
            subject: subject.clone(),
            sequence,
            headers: headers.clone(),
            bytes: bytes.clone(),
        })
    }

    /// At most `limit` messages of exactly this subject, after `after`.
    pub(super) fn batch(&self, subject: &str, after: u64, limit: usize) -> Batch {
        let sequences = self.by_subject.get(subject).into_iter();
        let mut left = sequences.flat_map(|sequences| sequences.range(after + 1..)).copied();
        let entries = left.by_ref().take(limit).filter_map(|seq| self.commit(seq)).collect();
        Batch { entries, is_last: left.next().is_none() }
    }

    /// At most `limit` messages whose subjects match `filter`, after `after`.
    pub(super) fn matching(&self, filter: &str, after: u64, limit: usize) -> Batch {
        let mut left = self
            .messages
            .range(after + 1..)
            .filter(|(_, message)| subject::matches(filter, &message.subject))
            .map(|(sequence, _)| *sequence);
        let entries = left.by_ref().take(limit).filter_map(|seq| self.entry(seq)).collect();
        Batch { entries, is_last: left.next().is_none() }
    }

    /// The last sequence stored before `time`.
    pub(super) fn before(&self, time: Timestamp) -> u64 {
        // All messages up to `low` are older, none after `high` is.
        let (mut low, mut high) = (0, self.last);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let found = self.messages.range(..=middle).next_back();
            if found.is_none_or(|(_, message)| message.at < time) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        low
    }
}
