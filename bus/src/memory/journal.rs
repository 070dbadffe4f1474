//! The journal in memory: as [`Journal`] promises it, with JetStream's way of redelivering.

use std::{collections::BTreeSet, future::ready, sync::Arc, time::Duration};

use async_nats::HeaderMap;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::sync::oneshot;

use super::{
    connection::{Connection, fits},
    state::State,
    stream::{Kept, Stream},
};
use crate::{
    journal::{
        AppendError, Batch, Bounds, BoxFuture, Delivery, Entry, Journal, Proposal, ReadError,
        Source, nats::shards_differ,
    },
    limits::LOAD_BATCH,
    model::time::Timestamp,
    wire::{
        error::Error,
        subject::{self, Shard},
    },
};

/// How many of an actor's newest commits a lagging read misses at most.
const STALE_MAX: u64 = 3;

/// How long a commit may be taken and not yet be read.
const SLOW_MAX: Duration = Duration::from_millis(500);

/// Commits on their way to their stream: all are stored, or none.
#[derive(Debug)]
struct Commits {
    stream: Arc<str>,
    all: Vec<Commit>,
}

#[derive(Debug)]
struct Commit {
    subject: Arc<str>,
    /// None behind another one of the same subject.
    expected: Option<u64>,
    bytes: Bytes,
}

impl State {
    pub(super) fn stream(&mut self, name: &str) -> Result<&mut Stream, ReadError> {
        let missing = || ReadError(format!("{name}: does not exist"));
        self.streams.get_mut(name).ok_or_else(missing)
    }

    pub(super) fn provision(&mut self, name: &str, subjects: &[&str], is_queue: bool) {
        if !self.streams.contains_key(name) {
            let stream = Stream::new(self.now(), subjects, is_queue);
            self.streams.insert(name.into(), stream);
        }
    }

    /// Stores all of them; the first one's sequence.
    fn append(&mut self, commits: Commits) -> Result<u64, AppendError> {
        let at = self.now();
        if commits.all.len() > 1 {
            self.count("batch");
        }
        let stream = self.checked(&commits)?;
        let first = stream.last + 1;
        for Commit { subject, bytes, .. } in commits.all {
            stream.store(Kept { subject, headers: HeaderMap::new(), bytes, at });
        }
        Ok(first)
    }

    /// The commits' stream, if it takes all of them now.
    fn checked(&mut self, commits: &Commits) -> Result<&mut Stream, AppendError> {
        if self.is_overtaken(commits) {
            if commits.all.len() > 1 {
                self.count("batch_refused");
            }
            return Err(AppendError::Conflict);
        }
        let missing = |_| AppendError::Refused("no stream takes it".to_owned());
        self.stream(&commits.stream).map_err(missing)
    }

    fn is_overtaken(&mut self, commits: &Commits) -> bool {
        let Ok(stream) = self.stream(&commits.stream) else { return false };
        let mut seen = BTreeSet::new();
        commits.all.iter().any(|commit| match commit.expected {
            // As a server has it: an actor is checked once, at its first.
            Some(expected) => {
                !seen.insert(&commit.subject)
                    || stream.under_way.contains(&commit.subject)
                    || stream.last_of(&commit.subject) != expected
            }
            None => !seen.contains(&commit.subject),
        })
    }

    /// Takes commits that are stored, and their writer told, a while later.
    fn append_slowly(
        &mut self,
        commits: Commits,
        stored: oneshot::Sender<u64>,
    ) -> Result<(), AppendError> {
        let subjects: Vec<_> = commits.all.iter().map(|commit| commit.subject.clone()).collect();
        self.checked(&commits)?.under_way.extend(subjects.iter().cloned());
        self.count("append_slow");
        let delay = self.dice.span(SLOW_MAX);
        self.after(delay, move |state| {
            if let Ok(stream) = state.stream(&commits.stream) {
                stream.under_way.retain(|subject| !subjects.contains(subject));
            }
            let sequence = state.append(commits).expect("nothing else was taken meanwhile");
            // Its writer may be gone.
            let _ = stored.send(sequence);
        });
        Ok(())
    }
}

impl Connection {
    async fn append_counted(&self, commits: Commits) -> Result<u64, AppendError> {
        let is_batch = commits.all.len() > 1;
        let appended = self.append_commits(commits).await;
        if is_batch && appended == Err(AppendError::Unknown) {
            self.world.lock().count("batch_in_doubt");
        }
        appended
    }

    async fn append_commits(&self, commits: Commits) -> Result<u64, AppendError> {
        let is_slow = {
            let mut state = self.world.lock();
            let chance = state.faults.append_slow;
            state.dice.per_mille(chance)
        };
        if !is_slow {
            return self.write_commit(move |state| state.append(commits)).await;
        }
        let (stored, sequence) = oneshot::channel();
        self.write_commit(move |state| state.append_slowly(commits, stored)).await?;
        let count = self.link.count();
        let sequence = sequence.await.map_err(|_| AppendError::Unknown)?;
        self.link.running().await;
        if self.link.count() == count { Ok(sequence) } else { Err(AppendError::Unknown) }
    }

    async fn batch(&self, shard: &Shard, id: &str, after: u64) -> Result<Batch, ReadError> {
        let (shard, subject) = (shard.clone(), shard.subject(id));
        self.read(move |state| Ok(state.stream(&shard.stream)?.batch(&subject, after, LOAD_BATCH)))
            .await
    }

    /// A direct read: it may come from a replica that has not seen the newest commits.
    async fn direct_batch(&self, shard: &Shard, id: &str, after: u64) -> Result<Batch, ReadError> {
        let mut batch = self.batch(shard, id, after).await?;
        let mut state = self.world.lock();
        let chance = state.faults.stale_read;
        if batch.is_last && !batch.entries.is_empty() && state.bites("stale_read", chance) {
            let missed = usize::try_from(1 + state.dice.below(STALE_MAX)).unwrap_or(1);
            batch.entries.truncate(batch.entries.len().saturating_sub(missed));
        }
        Ok(batch)
    }
}

impl Journal for Connection {
    fn shards<'a>(&'a self, kind: &'a str) -> BoxFuture<'a, Result<u32, ReadError>> {
        let first = subject::first_stream(kind);
        Box::pin(self.read(move |state| Ok(state.stream(&first)?.shards)))
    }

    fn provision<'a>(&'a self, shard: &'a Shard) -> BoxFuture<'a, Result<(), Error>> {
        let (shard, count) = (shard.clone(), shard.count);
        let first = subject::first_stream(&shard.kind);
        let stream = first.clone();
        Box::pin(async move {
            let provisioned = self.read(move |state| {
                let found = state.stream(&first).map_or(count, |first| first.shards);
                if found == count {
                    state.provision(&shard.stream, &[&shard.subjects()], false);
                    state.stream(&shard.stream)?.shards = count;
                }
                Ok(found)
            });
            let found = provisioned.await.map_err(|e| Error::Journal(e.to_string()))?;
            if found == count {
                return Ok(());
            }
            Err(Error::WrongStream { stream, setting: shards_differ(found, count) })
        })
    }

    fn append<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
        expected: u64,
        commit: Bytes,
    ) -> BoxFuture<'a, Result<u64, AppendError>> {
        let proposal = Proposal { id: id.into(), expected: Some(expected), bytes: commit };
        self.append_all(shard, vec![proposal])
    }

    fn append_all<'a>(
        &'a self,
        shard: &'a Shard,
        proposals: Vec<Proposal>,
    ) -> BoxFuture<'a, Result<u64, AppendError>> {
        if !proposals.iter().all(|proposal| fits(None, &proposal.bytes)) {
            return Box::pin(ready(Err(AppendError::TooLarge)));
        }
        let all = proposals.into_iter().map(|Proposal { id, expected, bytes }| Commit {
            subject: shard.subject(&id).into(),
            expected,
            bytes,
        });
        let commits = Commits { stream: shard.stream.clone(), all: all.collect() };
        Box::pin(self.append_counted(commits))
    }

    fn read<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
        after: u64,
    ) -> BoxFuture<'a, Result<Batch, ReadError>> {
        Box::pin(self.direct_batch(shard, id, after))
    }

    fn read_from_leader<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
        after: u64,
    ) -> BoxFuture<'a, Result<Batch, ReadError>> {
        Box::pin(self.batch(shard, id, after))
    }

    fn last<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>> {
        let (shard, subject) = (shard.clone(), shard.subject(id));
        Box::pin(self.read(move |state| {
            let stream = state.stream(&shard.stream)?;
            Ok(stream.commit(stream.last_of(&subject)))
        }))
    }

    fn at<'a>(
        &'a self,
        shard: &'a Shard,
        sequence: u64,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>> {
        let shard = shard.clone();
        Box::pin(self.read(move |state| Ok(state.stream(&shard.stream)?.commit(sequence))))
    }

    fn before<'a>(
        &'a self,
        shard: &'a Shard,
        time: Timestamp,
    ) -> BoxFuture<'a, Result<u64, ReadError>> {
        let shard = shard.clone();
        Box::pin(self.read(move |state| Ok(state.stream(&shard.stream)?.before(time))))
    }

    fn bounds<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Bounds, ReadError>> {
        let name = stream.to_owned();
        Box::pin(self.read(move |state| {
            let stream = state.stream(&name)?;
            Ok(Bounds { created: stream.created, last_sequence: stream.last })
        }))
    }

    fn follow<'a>(
        &'a self,
        stream: &'a str,
        sequence: u64,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Entry, ReadError>>, ReadError>> {
        Box::pin(self.follow_from(stream, sequence))
    }

    fn deliver<'a>(
        &'a self,
        source: &'a Source,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Delivery, ReadError>>, ReadError>> {
        Box::pin(self.deliver_from(source))
    }

    fn release<'a>(&'a self, source: &'a Source) -> BoxFuture<'a, ()> {
        let (source, link) = (source.clone(), self.link.number);
        Box::pin(async move {
            let released = self.read(move |state| {
                state.change_hands(&source, |consumer| consumer.end_claim_of(link));
                Ok(())
            });
            if let Err(error) = released.await {
                tracing::debug!(%error, "a source was not released; it is so after a while");
            }
        })
    }

    fn probe<'a>(&'a self, _node: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(
            async move { self.write(|_| Ok(())).await.map_err(|e| Error::Journal(e.to_string())) },
        )
    }
}
