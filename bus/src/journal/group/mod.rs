//! Group commit: what becomes ready while an append is under way is appended together.
//!
//! A lone commit is published at once, by whoever brings it. While it is under way others
//! gather; then all of them go out together, one by one or as an atomic batch, whichever is
//! cheaper for so many. A batch that is refused harms nobody: its commits then go one by one, and
//! only the one that is to blame is told so. One round of one shard is under way at a time.
//!
//! Called by activations, each with at most one chain at a time.

mod cost;
mod frontier;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{runtime::Handle, sync::oneshot, time::Instant};

use self::{
    cost::{Costs, Way},
    frontier::Frontier,
};
use super::{AppendError, Journal, Proposal};
use crate::{
    limits::{BATCH_BYTES_MAX, BATCH_MAX},
    wire::subject::Shard,
};

/// Commits of one actor, to be stored one behind the other.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) id: Arc<str>,
    /// Where the actor's last commit must be.
    pub(crate) expected: u64,
    pub(crate) commits: Vec<Bytes>,
}

/// What became of a chain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    /// Where its first commits are stored.
    pub(crate) stored: Vec<u64>,
    /// Why the next one is not, or may not be: nothing, if all are.
    pub(crate) failed: Option<Failed>,
}

/// Where a chain broke.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) error: AppendError,
    /// So many of those that follow were sent together: all of them are stored, or none. Any
    /// behind them were not sent.
    pub(crate) sent: usize,
}

/// The one way into a shard's journal for all commits that a node makes there.
#[derive(Debug)]
pub(crate) struct GroupCommit {
    journal: Arc<dyn Journal>,
    shard: Shard,
    queue: Mutex<Queue>,
    frontier: Frontier,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Whether a round is under way.
    is_busy: bool,
    costs: Costs,
}

#[derive(Debug)]
struct Waiting {
    chain: Chain,
    done: oneshot::Sender<Appended>,
}

impl GroupCommit {
    pub(crate) fn new(journal: Arc<dyn Journal>, shard: Shard) -> Self {
        let queue = Queue { waiting: VecDeque::new(), is_busy: false, costs: Costs::new() };
        Self { journal, shard, queue: Mutex::new(queue), frontier: Frontier::default() }
    }

    /// Appends the chain, together with what else is ready, and waits until it is on disk.
    pub(crate) async fn append(self: &Arc<Self>, chain: Chain) -> Appended {
        let count = chain.commits.len();
        match self.enter(chain) {
            Ok((_turn, chain)) => {
                let began = Instant::now();
                let appended = self.one_by_one(chain).await;
                if appended.failed.is_none() {
                    self.queue().costs.note(Way::OneByOne, count, began.elapsed());
                }
                self.frontier.note(&appended.stored);
                appended
            }
            // Its sender is gone only if the runtime is, or our own code is at fault.
            Err(appended) => appended.await.unwrap_or_else(|_| Appended::in_doubt(count)),
        }
    }

    /// Whether nobody but us has written to the shard since sequence `seen`, as the leader has it
    /// after this was asked. `false` also where that cannot be told.
    pub(crate) async fn is_only_ours_since(self: &Arc<Self>, seen: u64) -> bool {
        self.frontier.is_only_ours_since(seen, self).await
    }

    /// The sequence up to which all is known: the leader has stored at least that much.
    pub(crate) fn known(&self) -> u64 {
        self.frontier.known()
    }

    /// The turn, for a lone commit while nothing is under way; else the chain waits for a round.
    fn enter(self: &Arc<Self>, chain: Chain) -> Result<(Turn, Chain), oneshot::Receiver<Appended>> {
        let mut queue = self.queue();
        let is_idle = !std::mem::replace(&mut queue.is_busy, true);
        if is_idle && chain.commits.len() == 1 {
            return Ok((Turn::begun(self.clone()), chain));
        }
        let (done, appended) = oneshot::channel();
        queue.waiting.push_back(Waiting { chain, done });
        drop(queue);
        if is_idle {
            Turn::hand_on(self.clone(), &Handle::current());
        }
        Err(appended)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every step under the lock is whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn round(&self, round: Vec<Waiting>) {
        let count = round.iter().map(|waiting| waiting.chain.commits.len()).sum();
        let longest = round.iter().map(|waiting| waiting.chain.commits.len()).max().unwrap_or(0);
        let way = self.queue().costs.choose(count, longest);
        let began = Instant::now();
        let (round, is_batches_fault) = match way {
            Way::OneByOne => (round, false),
            Way::Batch => match self.batch(&round).await {
                Ok(first) => {
                    self.queue().costs.note(way, count, began.elapsed());
                    let stored: Vec<u64> = (first..).take(count).collect();
                    self.frontier.note(&stored);
                    return answer(round, &stored);
                }
                Err(AppendError::Unknown) => {
                    return round.into_iter().for_each(Waiting::leave_in_doubt);
                }
                Err(error) => (round, error != AppendError::Conflict),
            },
        };
        let went_well = self.all_one_by_one(round).await;
        // Ways in which commits waited for each other, or lost a race, say little about the price.
        if is_batches_fault || (went_well && way == Way::OneByOne && longest == 1) {
            self.queue().costs.note(way, count, began.elapsed());
        }
    }

    /// Stores all, or none.
    async fn batch(&self, round: &[Waiting]) -> Result<u64, AppendError> {
        let proposals = round.iter().flat_map(|Waiting { chain, .. }| {
            let expected = std::iter::once(Some(chain.expected)).chain(std::iter::repeat(None));
            chain.commits.iter().zip(expected).map(|(bytes, expected)| Proposal {
                id: chain.id.clone(),
                expected,
                bytes: bytes.clone(),
            })
        });
        self.journal.append_all(&self.shard, proposals.collect()).await
    }

    /// Each chain on its own, all under way at once. Whether all are stored.
    async fn all_one_by_one(&self, round: Vec<Waiting>) -> bool {
        let (mut went_well, mut stored) = (true, Vec::new());
        let chains = round
            .into_iter()
            .map(|Waiting { chain, done }| async { (self.one_by_one(chain).await, done) });
        let mut chains: FuturesUnordered<_> = chains.collect();
        while let Some((appended, done)) = chains.next().await {
            went_well &= appended.failed.is_none();
            stored.extend_from_slice(&appended.stored);
            // Whoever waited may be gone.
            drop(done.send(appended));
        }
        stored.sort_unstable();
        self.frontier.note(&stored);
        went_well
    }

    async fn one_by_one(&self, chain: Chain) -> Appended {
        let Chain { id, mut expected, commits } = chain;
        let mut stored = Vec::with_capacity(commits.len());
        for commit in commits {
            match self.journal.append(&self.shard, &id, expected, commit).await {
                Ok(sequence) => {
                    stored.push(sequence);
                    expected = sequence;
                }
                Err(error) => {
                    return Appended { stored, failed: Some(Failed { error, sent: 1 }) };
                }
            }
        }
        Appended { stored, failed: None }
    }
}

/// Rounds, until nobody waits.
async fn rounds(mut turn: Turn) {
    turn.has_begun = true;
    loop {
        let round = turn.group.queue().next_round();
        if round.is_empty() {
            return;
        }
        turn.group.round(round).await;
    }
}

/// All of them are stored, in this order.
fn answer(round: Vec<Waiting>, mut stored: &[u64]) {
    for Waiting { chain, done } in round {
        let (own, rest) = stored.split_at(chain.commits.len());
        stored = rest;
        drop(done.send(Appended { stored: own.to_vec(), failed: None }));
    }
}

impl Queue {
    /// As much of what waits as may go out together.
    fn next_round(&mut self) -> Vec<Waiting> {
        let (mut commits, mut bytes) = (0, 0);
        let fits = self.waiting.iter().take_while(|waiting| {
            commits += waiting.chain.commits.len();
            bytes += waiting.chain.commits.iter().map(Bytes::len).sum::<usize>();
            commits <= BATCH_MAX && bytes <= BATCH_BYTES_MAX
        });
        // The first is taken in any case: a chain is smaller than a batch may be.
        let count = fits.count().max(1).min(self.waiting.len());
        self.waiting.drain(..count).collect()
    }
}

impl Waiting {
    fn leave_in_doubt(self) {
        let count = self.chain.commits.len();
        drop(self.done.send(Appended::in_doubt(count)));
    }
}

impl Appended {
    fn in_doubt(sent: usize) -> Self {
        let failed = Failed { error: AppendError::Unknown, sent };
        Self { stored: Vec::new(), failed: Some(failed) }
    }
}

/// The right to append. Whoever lets go of it, in whatever way, has the others go on.
struct Turn {
    group: Arc<GroupCommit>,
    /// Whether whoever was given it has begun. A task that never does is of a runtime that ends.
    has_begun: bool,
}

impl Turn {
    fn begun(group: Arc<GroupCommit>) -> Self {
        Self { group, has_begun: true }
    }

    /// Has a task go on with those that wait.
    fn hand_on(group: Arc<GroupCommit>, runtime: &Handle) {
        // Not under the lock: a runtime that ends drops the task, and with it the turn, at once.
        drop(runtime.spawn(rounds(Self { group, has_begun: false })));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let runtime = Handle::try_current().ok().filter(|_| self.has_begun);
        {
            let mut queue = self.group.queue();
            if runtime.is_none() {
                // Nobody will go on; those who wait are told so by their senders' end.
                queue.waiting.clear();
            }
            queue.is_busy = !queue.waiting.is_empty();
            if !queue.is_busy {
                return;
            }
        }
        if let Some(runtime) = runtime {
            Self::hand_on(self.group.clone(), &runtime);
        }
    }
}
