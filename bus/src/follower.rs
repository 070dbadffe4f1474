//! Followers: carry out, surely, what sagas and effects make of each commit.
//!
//! A follower works on many actors at the same time and on the commits of one actor in order.
//! A commit is acknowledged when all that it calls for has been answered; until then it is
//! tried again, with growing pauses, and holds up its own actor only. Deliveries that can
//! never succeed are to be set aside as dead letters; so far they are tried for ever, and said
//! so in the log.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt};
use tokio::{sync::Semaphore, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, warn};

use crate::{
    journal::{Delivery, Entry, Journal},
    limits::{ACK_WAIT, ASK_AGAIN_AFTER_MAX, FOLLOWER_PARALLEL_MAX, RETRY_AFTER, RETRY_AFTER_MAX},
    reaction::{React, Trouble},
    subject::Shard,
};

/// One saga or effect, following one kind.
pub(crate) struct Follower {
    pub(crate) name: &'static str,
    pub(crate) shard: Shard,
    pub(crate) reaction: Arc<dyn React>,
}

/// What a running follower shares with its tasks.
struct Work {
    follower: Follower,
    stop: CancellationToken,
    permits: Semaphore,
    /// Deliveries that wait for an earlier one of the same actor. An actor with an entry is
    /// being worked on.
    queues: Mutex<HashMap<Arc<str>, VecDeque<Delivery>>>,
    /// What is held, so that a delivery repeated meanwhile is not done twice at once.
    held: Mutex<HashSet<u64>>,
}

impl Follower {
    /// Follows until `stop`, then lets go of what has not begun. Never fails: what is not
    /// acknowledged is delivered again.
    pub(crate) async fn run(self, journal: Arc<dyn Journal>, stop: CancellationToken) {
        let work = Arc::new(Work {
            follower: self,
            stop,
            permits: Semaphore::new(FOLLOWER_PARALLEL_MAX),
            queues: Mutex::default(),
            held: Mutex::default(),
        });
        let tasks = TaskTracker::new();
        while !work.stop.is_cancelled() {
            if let Err(error) = work.clone().pull(&*journal, &tasks).await {
                warn!(follower = work.follower.name, %error, "following was interrupted");
            }
            tokio::select! {
                () = work.stop.cancelled() => {}
                () = sleep(ASK_AGAIN_AFTER_MAX) => {}
            }
        }
        tasks.close();
        tasks.wait().await;
    }
}

impl Work {
    async fn pull(
        self: Arc<Self>,
        journal: &dyn Journal,
        tasks: &TaskTracker,
    ) -> Result<(), crate::journal::ReadError> {
        let Follower { name, shard, .. } = &self.follower;
        let mut deliveries = journal.deliver(&shard.stream, name).await?;
        loop {
            let next = tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                next = deliveries.next() => next,
            };
            let Some(delivery) = next else { return Ok(()) };
            self.clone().accept(delivery?, tasks);
        }
    }

    /// Queues the delivery behind its actor's earlier ones.
    fn accept(self: Arc<Self>, delivery: Delivery, tasks: &TaskTracker) {
        if !lock(&self.held).insert(delivery.entry.sequence) {
            debug!(follower = self.follower.name, "a held commit was delivered again");
            return;
        }
        let subject = delivery.entry.subject.clone();
        let mut queues = lock(&self.queues);
        if let Some(queue) = queues.get_mut(&subject) {
            queue.push_back(delivery);
            return;
        }
        queues.insert(subject, VecDeque::new());
        drop(queues);
        let work = self.clone();
        tasks.spawn(async move { work.carry_out_all(delivery).await });
    }

    /// Carries out `first` and all later deliveries of the same actor.
    async fn carry_out_all(self: Arc<Self>, first: Delivery) {
        let subject = first.entry.subject.clone();
        let mut next = Some(first);
        while let Some(delivery) = next {
            if self.carry_out(&delivery).await {
                delivery.receipt.done().await;
            }
            lock(&self.held).remove(&delivery.entry.sequence);
            let mut queues = lock(&self.queues);
            next = queues.get_mut(&subject).and_then(VecDeque::pop_front);
            if next.is_none() {
                queues.remove(&subject);
            }
        }
    }

    /// Tries until it succeeds, or until the follower stops. Says whether it succeeded.
    async fn carry_out(&self, delivery: &Delivery) -> bool {
        let mut attempt = 0;
        while !self.stop.is_cancelled() {
            attempt += 1;
            match self.try_once(delivery).await {
                Ok(()) => return true,
                Err(trouble) => {
                    self.report(&delivery.entry, attempt, &trouble);
                    let pause =
                        trouble.after.unwrap_or_default().max(backoff(&delivery.entry, attempt));
                    self.wait(delivery, pause).await;
                }
            }
        }
        false
    }

    async fn try_once(&self, delivery: &Delivery) -> Result<(), Trouble> {
        let permit = self.permits.acquire().await.map_err(Trouble::because)?;
        let trying = self.follower.reaction.react(&delivery.entry);
        // A panic must not leave the actor's later commits waiting behind nobody.
        let mut trying = std::pin::pin!(AssertUnwindSafe(trying).catch_unwind());
        let outcome = loop {
            tokio::select! {
                outcome = &mut trying => break outcome,
                () = sleep(ACK_WAIT / 3) => delivery.receipt.working().await,
            }
        };
        drop(permit);
        outcome.unwrap_or_else(|_| Err(Trouble::hopeless("it panicked")))
    }

    /// Waits before the next try, and keeps the delivery ours meanwhile.
    async fn wait(&self, delivery: &Delivery, pause: Duration) {
        let mut left = pause;
        while !left.is_zero() && !self.stop.is_cancelled() {
            let step = left.min(ACK_WAIT / 3);
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = sleep(step) => delivery.receipt.working().await,
            }
            left -= step;
        }
    }

    fn report(&self, entry: &Entry, attempt: u32, trouble: &Trouble) {
        let (follower, subject, sequence) = (self.follower.name, &entry.subject, entry.sequence);
        let reason = &trouble.reason;
        if trouble.is_hopeless {
            error!(follower, %subject, sequence, attempt, reason, "a commit cannot be carried out");
        } else {
            warn!(follower, %subject, sequence, attempt, reason, "a commit is tried again");
        }
    }
}

/// Doubled with every attempt, and spread so that many do not come back at once. The spread is
/// made of the commit's place, so that a run can be repeated exactly.
fn backoff(entry: &Entry, attempt: u32) -> Duration {
    let full = RETRY_AFTER.saturating_mul(1 << attempt.min(16)).min(RETRY_AFTER_MAX);
    let spread = (entry.sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(attempt)) % 512;
    full / 2 + full.mul_f64(f64::from(u32::try_from(spread).unwrap_or(0)) / 1024.0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every step under these locks is whole, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let entry = Entry { subject: "evt.a.0.b".into(), sequence: 9, bytes: bytes::Bytes::new() };
        let pauses: Vec<Duration> = (1..40).map(|attempt| backoff(&entry, attempt)).collect();
        assert!(pauses[0] >= RETRY_AFTER, "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= RETRY_AFTER_MAX));
        assert!(pauses[38] >= RETRY_AFTER_MAX / 2);
    }
}
