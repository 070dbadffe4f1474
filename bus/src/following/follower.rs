//! Followers: carry out, surely, what sagas and effects make of each commit.
//!
//! A follower works on many actors at the same time and on the commits of one actor in order.
//! A commit is acknowledged when all that it calls for has been answered; until then it is
//! tried again, with growing pauses, and between its tries holds up its own actor only; while
//! more actors than are tried at once have a target that hangs, others wait for a turn. What
//! cannot be carried out becomes a dead letter ([`crate::following::dead`]), and the actor's later commits go on. How long it
//! is tried before is in [`crate::following::patience`].
//!
//! Deliveries come in rounds: one lasts while the journal gives them to us without a gap. When
//! it is over, perhaps because another node is given them now, what has not begun is let go of.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use crate::{
    asking::bus::Bus,
    following::{
        dead::{Again, again_source},
        patience::{Patience, Tried},
        place::Place,
        reaction::{React, Trouble},
    },
    journal::{Delivery, Entry, Source},
    limits::{
        ACK_WAIT, ACTOR_PENDING_MAX, ASK_AGAIN_AFTER_MAX, DONE_KEPT_MAX, FOLLOWER_PARALLEL_MAX,
        PLACE_AHEAD, PLACE_EVERY,
    },
    planted::Plant,
    wire::subject,
};

/// One saga or effect, following one kind.
pub(crate) struct Follower {
    pub(crate) name: &'static str,
    pub(crate) source: Source,
    pub(crate) reaction: Arc<dyn React>,
    /// Whether what is done is removed from the source.
    pub(crate) sweeps: bool,
    /// Whether it also carries out dead letters again: one does for all shards of a kind.
    pub(crate) repeats: bool,
}

/// What a running follower shares with its tasks.
pub(crate) struct Work {
    pub(crate) follower: Follower,
    pub(crate) bus: Bus,
    pub(crate) patience: Patience,
    stop: CancellationToken,
    permits: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Deliveries that wait for an earlier one of the same actor. An actor with an entry is
    /// being worked on.
    queues: HashMap<Arc<str>, VecDeque<Held>>,
    /// What was accepted in this round and is not done, so that a delivery repeated meanwhile is
    /// not done twice.
    held: BTreeSet<u64>,
    /// The last sequence accepted in this round.
    up_to: u64,
    /// What was done when the round began, by whoever followed before.
    place: Place,
    /// What was done last, so that it is not done again when it is delivered again.
    done: BTreeSet<u64>,
    /// Whether nothing was done since what is done was removed.
    is_swept: bool,
    /// Up to here, what is done was removed.
    swept_to: u64,
}

/// A delivery, and whether it is still ours.
pub(crate) struct Held {
    pub(crate) delivery: Delivery,
    pub(crate) round: CancellationToken,
}

/// What came of a delivery.
pub(crate) enum Outcome {
    /// It was carried out, or is a dead letter.
    Done,
    /// It is a dead letter, and so should be this many that wait behind it; and which dead
    /// letters there are about the actor.
    Crowded((usize, BTreeSet<String>)),
    /// It is no longer ours, or we stop.
    LetGo,
}

impl Follower {
    /// The follower that carries out again what this one could not.
    pub(crate) fn again(&self, bus: &Bus) -> Self {
        let reaction = Again { bus: bus.clone(), reaction: self.reaction.clone() };
        Self {
            name: self.name,
            source: again_source(self.name, &self.source),
            reaction: Arc::new(reaction),
            sweeps: false,
            repeats: false,
        }
    }

    /// Follows until `stop`, then lets go of what has not begun and lets another follow at once.
    /// Never fails: what is not acknowledged is delivered again.
    pub(crate) async fn run(self, bus: Bus, patience: Patience, stop: CancellationToken) {
        let work = Arc::new(Work {
            follower: self,
            bus,
            patience,
            stop,
            permits: Semaphore::new(FOLLOWER_PARALLEL_MAX),
            state: Mutex::default(),
        });
        let tasks = TaskTracker::new();
        while !work.stop.is_cancelled() {
            let round = work.stop.child_token();
            if let Err(error) = work.clone().pull(&round, &tasks).await {
                warn!(follower = work.follower.name, %error, "following was interrupted");
            }
            round.cancel();
            work.let_go();
            tokio::select! {
                biased;
                () = work.stop.cancelled() => {}
                () = sleep(ASK_AGAIN_AFTER_MAX) => {}
            }
        }
        tasks.close();
        tasks.wait().await;
        if work.follower.sweeps {
            work.sweep().await;
        }
        work.bus.journal().release(&work.follower.source).await;
    }
}

impl Work {
    async fn pull(
        self: Arc<Self>,
        round: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<(), crate::journal::ReadError> {
        let mut deliveries = self.bus.journal().deliver(&self.follower.source).await?;
        let mut is_first = true;
        let mut note_at = Instant::now() + PLACE_EVERY;
        loop {
            let next = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                () = sleep_until(note_at) => {
                    note_at = Instant::now() + PLACE_EVERY;
                    self.note_place(tasks);
                    self.sweep_on(tasks);
                    continue;
                }
                next = deliveries.next() => next,
            };
            if std::mem::take(&mut is_first) {
                // Only now: while we stood by, another went on.
                let place = Place::read(&self.bus, &self.follower.source).await?;
                self.state().place = place;
            }
            let Some(delivery) = next else { return Ok(()) };
            self.clone().accept(Held { delivery: delivery?, round: round.clone() }, tasks);
        }
    }

    /// Queues the delivery behind its actor's earlier ones.
    fn accept(self: Arc<Self>, held: Held, tasks: &TaskTracker) {
        let entry = &held.delivery.entry;
        let lane = subject::lane(&entry.subject);
        let mut state = self.state();
        state.up_to = state.up_to.max(entry.sequence);
        if !state.held.insert(entry.sequence) {
            debug!(follower = self.follower.name, "a held commit was delivered again");
            return;
        }
        if let Some(queue) = state.queues.get_mut(&lane) {
            queue.push_back(held);
            return;
        }
        state.queues.insert(lane, VecDeque::new());
        drop(state);
        let work = self.clone();
        tasks.spawn(async move { work.carry_out_all(held).await });
    }

    /// Forgets what has not begun: it is delivered again, to us or to another.
    fn let_go(&self) {
        let mut state = self.state();
        state.held.clear();
        state.up_to = 0;
        for queue in state.queues.values_mut() {
            queue.clear();
        }
    }

    /// Carries out `first` and all later deliveries of the same actor.
    async fn carry_out_all(&self, first: Held) {
        let lane = subject::lane(&first.delivery.entry.subject);
        // How many are not to be tried any more, and which dead letters there were before.
        let (mut untried, mut before) = (0, BTreeSet::new());
        let mut next = Some(first);
        while let Some(held) = next {
            if Plant::AckBeforeAsks.is_here() {
                self.note_done(&held.delivery.entry);
                held.delivery.receipt.done().await;
                drop(self.carry_out(&held).await);
                next = self.next_of(&lane, &held);
                continue;
            }
            let outcome = if self.is_done(&held.delivery.entry) {
                Outcome::Done
            } else if untried > 0 {
                untried -= 1;
                self.set_aside_untried(&held, &before).await
            } else {
                self.carry_out(&held).await
            };
            let is_done = !matches!(outcome, Outcome::LetGo);
            if let Outcome::Crowded(behind) = outcome {
                (untried, before) = behind;
            }
            if is_done {
                self.note_done(&held.delivery.entry);
                held.delivery.receipt.done().await;
            }
            next = self.next_of(&lane, &held);
        }
    }

    fn is_done(&self, entry: &Entry) -> bool {
        let state = self.state();
        state.done.contains(&entry.sequence) || state.place.is_done(entry.sequence)
    }

    /// Notes down what is open, if much was done behind it.
    fn note_place(self: &Arc<Self>, tasks: &TaskTracker) {
        let (place, up_to, open) = {
            let state = self.state();
            let Some(oldest) = state.held.first() else { return };
            if state.up_to.saturating_sub(*oldest) < PLACE_AHEAD {
                return;
            }
            (state.place.clone(), state.up_to, state.held.clone())
        };
        let work = self.clone();
        tasks.spawn(async move {
            let Work { follower, bus, .. } = &*work;
            if let Err(error) = place.note(bus, &follower.source, up_to, open).await {
                debug!(follower = follower.name, error, "the place was not noted down");
            }
        });
    }

    /// Removes what was done, if there may be any; for a while after, as acknowledgements are
    /// slower than we are.
    fn sweep_on(self: &Arc<Self>, tasks: &TaskTracker) {
        let is_swept = std::mem::replace(&mut self.state().is_swept, true);
        if self.follower.sweeps && !is_swept {
            let work = self.clone();
            tasks.spawn(async move { work.sweep().await });
        }
    }

    async fn sweep(&self) {
        let swept = self.state().swept_to;
        let swept = self.bus.post().sweep(&self.follower.source, swept).await;
        let mut state = self.state();
        match swept {
            Ok(to) => {
                state.swept_to = to;
                state.is_swept &= state.done.last().is_none_or(|last| *last <= to);
            }
            Err(error) => {
                state.is_swept = false;
                debug!(follower = self.follower.name, %error, "what is done is removed later");
            }
        }
    }

    fn note_done(&self, entry: &Entry) {
        let mut state = self.state();
        state.is_swept = false;
        state.done.insert(entry.sequence);
        if state.done.len() > DONE_KEPT_MAX {
            state.done.pop_first();
        }
    }

    /// The actor's next delivery after `last`; without one, nobody works on the actor any more.
    fn next_of(&self, subject: &Arc<str>, last: &Held) -> Option<Held> {
        let mut state = self.state();
        if !last.round.is_cancelled() {
            state.held.remove(&last.delivery.entry.sequence);
        }
        let next = state.queues.get_mut(subject).and_then(VecDeque::pop_front);
        if next.is_none() {
            state.queues.remove(subject);
        }
        next
    }

    /// Tries until it succeeds, it becomes a dead letter, or it is no longer ours.
    async fn carry_out(&self, held: &Held) -> Outcome {
        let entry = &held.delivery.entry;
        let mut tried = Tried::default();
        while !held.round.is_cancelled() {
            let Err(trouble) = self.try_once(&held.delivery).await else { return Outcome::Done };
            tried.note(&trouble, self.bus.ambient().now());
            let lane = subject::lane(&entry.subject);
            let waiting = self.state().queues.get(&lane).map_or(0, VecDeque::len);
            let is_crowded = waiting > ACTOR_PENDING_MAX;
            if self.patience.is_over(&tried, &trouble, is_crowded) {
                let Some(before) = self.set_aside_before(held).await else { break };
                let given_up = tried.given_up(&trouble.reason);
                if !self.set_aside(held, &given_up, &before).await {
                    break;
                }
                let is_own_fault = trouble.is_hopeless || !is_crowded;
                let behind = (waiting, before);
                return if is_own_fault { Outcome::Done } else { Outcome::Crowded(behind) };
            }
            self.report(entry, &tried, &trouble);
            let pause = self.patience.pause(entry.sequence, tried.attempts);
            self.wait(held, trouble.after.unwrap_or_default().max(pause)).await;
        }
        Outcome::LetGo
    }

    async fn try_once(&self, delivery: &Delivery) -> Result<(), Trouble> {
        let permit = self.permits.acquire().await.map_err(Trouble::because)?;
        let trying = self.follower.reaction.react(&delivery.entry);
        // A panic must not leave the actor's later commits waiting behind nobody.
        let mut trying = std::pin::pin!(AssertUnwindSafe(trying).catch_unwind());
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut trying => break outcome,
                () = sleep(ACK_WAIT / 3) => delivery.receipt.working().await,
            }
        };
        drop(permit);
        outcome.unwrap_or_else(|_| Err(Trouble::because("it panicked")))
    }

    /// Waits before the next try, and keeps the delivery ours meanwhile.
    pub(crate) async fn wait(&self, held: &Held, pause: Duration) {
        let mut left = pause;
        while !left.is_zero() && !held.round.is_cancelled() {
            let step = left.min(ACK_WAIT / 3);
            tokio::select! {
                biased;
                () = held.round.cancelled() => {}
                () = sleep(step) => held.delivery.receipt.working().await,
            }
            left -= step;
        }
    }

    fn report(&self, entry: &Entry, tried: &Tried, trouble: &Trouble) {
        let (follower, subject, sequence) = (self.follower.name, &entry.subject, entry.sequence);
        let (attempt, reason) = (tried.attempts, &trouble.reason);
        if attempt == 1 {
            warn!(follower, %subject, sequence, reason, "a commit is tried again");
        } else {
            debug!(follower, %subject, sequence, attempt, reason, "a commit is tried again");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every step under the lock is whole, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
