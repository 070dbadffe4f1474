//! One turn of one actor: commands are decided one after another, each on what those before it
//! did, and what they did is committed together.
//!
//! If a commit is lost to another writer, nobody was told of it or of anything behind it: the
//! actor is loaded again, and they are decided again. Here is how a turn is decided; how it ends
//! is in [`settling`](crate::node::settling).
//!
//! Called by [`Kind`](crate::node::kind::Kind) only, one turn of an actor at a time.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{
    limits::{CONFLICTS_MAX, TURN_BYTES_MAX, TURN_MAX},
    model::{
        actor::Actor,
        command_set::Door,
        id::Id,
        timer::{Arming, DISARMED},
    },
    node::{
        activation::{Activation, Decided, Decision, Home, Presence},
        command::Command,
        keys::{Recall, hash_of},
        repeat,
    },
    wire::{
        envelope::Answer,
        failure::{Failure, Status},
    },
};

/// How the commands of an actor get to its handlers, by name.
pub(crate) type Doors<A> = HashMap<&'static str, Door<A>>;

/// A command that waits for its actor's turn, and who is to be told.
#[derive(Debug)]
pub(crate) struct Pending<T> {
    pub(crate) command: Command,
    sender: T,
    /// A commit of it may be stored, or may still be.
    pub(super) is_in_doubt: bool,
    /// How often another writer was first.
    conflicts: u32,
}

/// What a turn has come to so far, in the order in which it was decided.
#[derive(Debug)]
pub(super) struct Draft<T> {
    pub(super) steps: Vec<Step<T>>,
    pub(super) commits: usize,
    bytes: usize,
    keys: HashSet<u64>,
    /// The state is of no more use.
    is_broken: bool,
}

#[derive(Debug)]
pub(super) struct Step<T> {
    pub(super) pending: Pending<T>,
    pub(super) what: What,
}

/// What one command came to.
#[derive(Debug)]
pub(super) enum What {
    Commit(Decided),
    /// An answer that rests on the state.
    Rests(Result<Vec<u8>, Failure>),
    /// An answer that rests on nothing.
    Stands(Result<Vec<u8>, Failure>),
    /// An answer that another commit gave.
    Recorded(Answer),
}

/// The end of a turn.
#[derive(Debug)]
pub(super) struct Settled<T> {
    pub(super) answered: Vec<(Pending<T>, Answer)>,
    /// To be decided again, on another state.
    pub(super) again: Vec<Pending<T>>,
    /// The state includes what is not stored, whatever its senders were told.
    pub(super) is_ahead: bool,
}

/// Pause before deciding again after the `count`-th lost race: the first comes at once.
fn pause_after(count: u32) -> Duration {
    if count <= 1 { Duration::ZERO } else { Duration::from_millis(1 << (count - 1).min(7)) }
}

impl<T> Pending<T> {
    pub(crate) fn new(command: Command, sender: T) -> Self {
        Self { command, sender, is_in_doubt: false, conflicts: 0 }
    }

    pub(crate) fn into_parts(self) -> (Command, T) {
        (self.command, self.sender)
    }

    pub(super) fn fails(self, failure: Failure) -> (Self, Answer) {
        (self, Answer::failed(failure))
    }

    /// It lost a race, and is decided again.
    pub(super) fn overtaken(mut self) -> Self {
        self.conflicts += 1;
        self
    }

    /// What it is told if it came too late, or lost too often.
    fn given_up(&self) -> Option<Failure> {
        if Instant::now() >= self.command.deadline {
            // Only before the first try is it sure that nothing was done.
            let text = if self.conflicts == 0 {
                "the command waited longer than its budget, and was not carried out"
            } else {
                "the command could not be carried out in time, or its answer is not known"
            };
            return Some(Failure::new(Status::Expired, text));
        }
        let text = "other writers were first, again and again";
        (self.conflicts > CONFLICTS_MAX).then(|| Failure::new(Status::Unavailable, text))
    }
}

impl<A: Actor> Presence<A> {
    /// Carries out commands from the front of `queue` on, as many as go together; those that are
    /// done come back with what their senders are to be told. The rest stays in the queue.
    pub(crate) async fn take_turn<T: Send + Sync>(
        &mut self,
        home: &Home,
        id: &Id<A>,
        doors: &Doors<A>,
        queue: &mut VecDeque<Pending<T>>,
    ) -> Vec<(Pending<T>, Answer)> {
        let mut answered = give_up(queue);
        if queue.is_empty() {
            return answered;
        }
        let activation = match self.wake(home, id).await {
            Ok(activation) => activation,
            Err(error) => {
                let failure = error.report::<A>(id);
                answered.extend(queue.drain(..).map(|pending| pending.fails(failure.clone())));
                return answered;
            }
        };
        let draft = activation.draft(home, doors, queue).await;
        let is_broken = draft.is_broken;
        let settled = activation.settle(home, draft).await;
        answered.extend(settled.answered);
        if is_broken || settled.is_ahead || !settled.again.is_empty() {
            *self = Self::Absent { trust_replicas: false };
        }
        if let Some(first) = settled.again.first() {
            let pause = pause_after(first.conflicts);
            settled.again.into_iter().rev().for_each(|pending| queue.push_front(pending));
            sleep(pause).await;
        }
        answered
    }
}

impl<T> Draft<T> {
    fn new() -> Self {
        let (steps, keys) = Default::default();
        Self { steps, commits: 0, bytes: 0, keys, is_broken: false }
    }

    fn is_full(&self) -> bool {
        self.is_broken || self.steps.len() >= TURN_MAX || self.bytes >= TURN_BYTES_MAX
    }

    fn add(&mut self, pending: Pending<T>, what: What) {
        if let What::Commit(decided) = &what {
            self.commits += 1;
            self.bytes += decided.bytes.len();
            self.keys.insert(hash_of(pending.command.key.as_str()));
        }
        self.steps.push(Step { pending, what });
    }
}

/// Those that are not to be tried any more.
fn give_up<T>(queue: &mut VecDeque<Pending<T>>) -> Vec<(Pending<T>, Answer)> {
    let mut given_up = Vec::new();
    for _ in 0..queue.len() {
        let Some(pending) = queue.pop_front() else { break };
        match pending.given_up() {
            Some(failure) => given_up.push(pending.fails(failure)),
            None => queue.push_back(pending),
        }
    }
    given_up
}

impl<A: Actor> Activation<A> {
    /// Decides what can be decided before anything is stored.
    async fn draft<T>(
        &mut self,
        home: &Home,
        doors: &Doors<A>,
        queue: &mut VecDeque<Pending<T>>,
    ) -> Draft<T> {
        let mut draft = Draft::new();
        while let Some(pending) = queue.pop_front() {
            if draft.is_full() || (draft.commits > 0 && self.must_wait(home, &draft, &pending)) {
                queue.push_front(pending);
                break;
            }
            let what = self.step(home, doors, &mut draft, &pending).await;
            draft.add(pending, what);
        }
        draft
    }

    /// Whether the command asks for what only stored commits tell.
    fn must_wait<T>(&self, home: &Home, draft: &Draft<T>, pending: &Pending<T>) -> bool {
        let command = &pending.command;
        let key = command.key.as_str();
        command.headers.expect_version.is_some()
            || draft.keys.contains(&hash_of(key))
            || Arming::behind(key, &home.shard.stream).is_some()
            || repeat::recall(home, &self.keys, command) != Recall::New
    }

    async fn step<T>(
        &mut self,
        home: &Home,
        doors: &Doors<A>,
        draft: &mut Draft<T>,
        pending: &Pending<T>,
    ) -> What {
        let command = &pending.command;
        let Some(door) = doors.get(&*command.name) else {
            return What::Stands(Err(Failure::new(Status::NotFound, "there is no such command")));
        };
        if repeat::recall(home, &self.keys, command) != Recall::New {
            let looking = Box::pin(repeat::commit_of(home, &self.id, &mut self.keys, command));
            match looking.await {
                Ok(None) => {}
                Ok(Some(entry)) => {
                    return What::Recorded(repeat::recorded_answer(home, door, command, &entry));
                }
                // The search took too long.
                Err(failure) if failure.status == Status::Expired => {
                    return What::Stands(Err(failure));
                }
                Err(failure) => return What::Recorded(Answer::failed(failure)),
            }
        }
        if let Some(failure) = self.objection(home, command) {
            return What::Rests(Err(failure));
        }
        match self.decide(home, door, command) {
            Decision::Commit(decided) => What::Commit(decided),
            Decision::Answer(outcome) => What::Rests(outcome),
            Decision::Fault(failure) => What::Stands(Err(failure)),
            Decision::Broken(failure) => {
                draft.is_broken = true;
                What::Stands(Err(failure))
            }
        }
    }

    /// What speaks against the command before the actor is asked.
    fn objection(&self, home: &Home, command: &Command) -> Option<Failure> {
        if let Some((arming, _)) = Arming::behind(command.key.as_str(), &home.shard.stream)
            && !self.armed.may_fire(arming)
        {
            let text = "the timer was disarmed, armed anew, or has fired";
            let mut failure = Failure::new(Status::Refused, text);
            DISARMED.clone_into(&mut failure.body.code);
            return Some(failure);
        }
        let expected = command.headers.expect_version.filter(|version| *version != self.version)?;
        let text = format!("the actor is at version {}, not {expected}", self.version);
        Some(Failure::new(Status::VersionMismatch, text))
    }
}
