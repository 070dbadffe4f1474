//! One live actor: decide one command, commit, apply, answer.
//!
//! The only writer of an actor's commits. A commit carries the version it was decided on; if
//! another process wrote first the journal refuses it, and we load again and decide again. No
//! answer that rests on a commit leaves before the journal has acknowledged it.
//!
//! Called by [`Kind`](crate::node::kind::Kind) only, one command at a time.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use tracing::{error, warn};

use crate::{
    journal::{AppendError, Cells, Journal},
    limits::{ASK_AGAIN_AFTER, ASK_AGAIN_AFTER_MAX, COMMIT_BYTES_MAX, CONFLICTS_MAX},
    model::{
        actor::{Actor, Context},
        ambient::Ambient,
        command_set::{AnyReply, Door},
        commit::{Position, Stored},
        id::Id,
        time::Timestamp,
        timer::{Armed, Arming, DISARMED, TimerChange},
    },
    node::{
        command::Command,
        counters::Counters,
        keys::KeyMemory,
        loading::LoadError,
        repeat::{self, identity},
        snapshot::{Draft, Origin, Upkeep},
    },
    placement::Placement,
    planted::Plant,
    wire::{
        encoding::Encoding,
        envelope::Answer,
        failure::{Failure, Status},
        subject::Shard,
    },
};

/// Where an actor's commits are.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) cells: Arc<dyn Cells>,
    pub(crate) ambient: Ambient,
    pub(crate) placement: Arc<Placement>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) shard: Shard,
}

/// An actor's state as of its last commit.
#[derive(Debug)]
pub(crate) struct Activation<A: Actor> {
    pub(crate) id: Id<A>,
    pub(crate) state: A,
    pub(crate) version: u64,
    /// What the last commit calls itself; empty before the first.
    pub(crate) commit: Box<str>,
    pub(crate) keys: KeyMemory,
    pub(crate) upkeep: Upkeep,
    pub(crate) armed: Armed,
}

/// What a handler decided.
struct Decided<A: Actor> {
    events: Vec<A::Event>,
    timers: Vec<TimerChange>,
    reply: AnyReply,
}

/// Whether an actor is in memory.
#[derive(Debug)]
pub(crate) enum Presence<A: Actor> {
    /// Loaded.
    Live(Box<Activation<A>>),
    /// To be loaded. After a lost race only the leader's word counts.
    Absent { trust_replicas: bool },
}

/// What one attempt to carry a command out came to.
enum Attempt {
    /// By a commit.
    Answered(Answer),
    /// Without one: nothing was stored.
    Unstored(Answer),
    /// Another commit was first: load and decide again.
    Overtaken,
    /// Ours is not stored, but may still be: load and decide again.
    InDoubt,
}

/// Pause before deciding again after the `count`-th lost race: the first comes at once.
fn pause_after(count: u32) -> Duration {
    if count == 0 { Duration::ZERO } else { Duration::from_millis(1 << count.min(7)) }
}

impl<A: Actor> Presence<A> {
    /// Carries `command` out and says what its sender is to be told.
    pub(crate) async fn carry_out(
        &mut self,
        home: &Home,
        id: &Id<A>,
        door: &Door<A>,
        command: &Command,
    ) -> Answer {
        let mut is_in_doubt = false;
        for conflict in 0..=CONFLICTS_MAX {
            if Instant::now() >= command.deadline {
                // Only before the first try is it sure that nothing was done.
                let text = if conflict == 0 {
                    "the command waited longer than its budget, and was not carried out"
                } else {
                    "the command could not be carried out in time, or its answer is not known"
                };
                return Answer::failed(Failure::new(Status::Expired, text));
            }
            let activation = match self.wake(home, id).await {
                Ok(activation) => activation,
                Err(error) => return Answer::failed(error.report::<A>(id)),
            };
            match activation.attempt(home, door, command).await {
                // What is on its way may be stored yet, and then this would have been wrong.
                Ok(Attempt::Unstored(_)) if is_in_doubt => {
                    let text = "the command may have been carried out";
                    return Answer::failed(Failure::new(Status::Expired, text));
                }
                Ok(Attempt::Answered(answer) | Attempt::Unstored(answer)) => return answer,
                Ok(outcome @ (Attempt::Overtaken | Attempt::InDoubt)) => {
                    is_in_doubt |= matches!(outcome, Attempt::InDoubt);
                    *self = Self::Absent { trust_replicas: false };
                    sleep(pause_after(conflict)).await;
                }
                Err(failure) => {
                    *self = Self::Absent { trust_replicas: false };
                    return Answer::failed(failure);
                }
            }
        }
        let text = "other writers were first, again and again";
        Answer::failed(Failure::new(Status::Unavailable, text))
    }

    /// Whether there is nothing to remember: the actor was never loaded, or nothing ever
    /// happened to it.
    pub(crate) fn is_forgettable(&self) -> bool {
        match self {
            Self::Live(activation) => activation.version == 0,
            Self::Absent { trust_replicas } => *trust_replicas,
        }
    }

    /// Whether a snapshot should be written: of an actor `at_rest` also after fewer commits.
    pub(crate) fn wants_snapshot(&self, at_rest: bool) -> bool {
        match self {
            Self::Live(activation) => activation.upkeep.is_due(at_rest),
            Self::Absent { .. } => false,
        }
    }

    /// A snapshot of the actor as it is now.
    pub(crate) fn draft_snapshot(&mut self, home: &Home) -> Option<Draft> {
        let Self::Live(activation) = self else { return None };
        let Activation { id, state, version, commit, keys, armed, upkeep } = &mut **activation;
        let origin = Origin { id: id.as_str(), sequence: *version, commit };
        upkeep.draft(home, &origin, state, keys, armed)
    }

    async fn wake(&mut self, home: &Home, id: &Id<A>) -> Result<&mut Activation<A>, LoadError> {
        if let Self::Absent { trust_replicas } = *self {
            let loaded = Activation::load(home, id.clone(), trust_replicas).await?;
            *self = Self::Live(Box::new(loaded));
        }
        match self {
            Self::Live(activation) => Ok(activation),
            Self::Absent { .. } => unreachable!("it was loaded above"),
        }
    }
}

impl<A: Actor> Activation<A> {
    pub(crate) fn unborn(id: Id<A>) -> Self {
        let (state, keys, armed, upkeep) = Default::default();
        Self { id, state, version: 0, commit: "".into(), keys, armed, upkeep }
    }

    pub(crate) fn advance<R>(&mut self, sequence: u64, commit: Stored<A::Event, R>) {
        for event in &commit.events {
            self.state.apply(event);
        }
        self.version = sequence;
        self.keys.remember(&commit.key, sequence, commit.at);
        self.armed.advance(A::KIND, sequence, &commit.key, &commit.timers);
        self.commit = commit.commit;
        self.upkeep.count_commit();
    }

    /// Tries once. An error leaves it open what the state is.
    async fn attempt(
        &mut self,
        home: &Home,
        door: &Door<A>,
        command: &Command,
    ) -> Result<Attempt, Failure> {
        let found = match repeat::commit_of(home, &self.id, &mut self.keys, command).await {
            // The search took too long, and the state is as good as before.
            Err(failure) if failure.status == Status::Expired => {
                return Ok(Attempt::Unstored(self.answer(home, Err(failure))));
            }
            found => found?,
        };
        if let Some(commit) = found {
            return Ok(Attempt::Answered(repeat::recorded_answer(home, door, command, &commit)));
        }
        if let Some((arming, _)) = Arming::behind(command.key.as_str(), &home.shard.stream)
            && !self.armed.may_fire(arming)
        {
            let mut failure =
                Failure::new(Status::Refused, "the timer was disarmed, armed anew, or has fired");
            DISARMED.clone_into(&mut failure.body.code);
            return self.answer_if_newest(home, Err(failure)).await;
        }
        if let Some(expected) = command.headers.expect_version.filter(|v| *v != self.version) {
            let text = format!("the actor is at version {}, not {expected}", self.version);
            let failure = Failure::new(Status::VersionMismatch, text);
            return self.answer_if_newest(home, Err(failure)).await;
        }
        let principal = command.headers.principal.clone();
        let now = home.ambient.now();
        let ctx = Context::new(self.id.clone(), now, command.key.clone(), principal);
        match decide(door, &self.state, command, ctx) {
            Err(failure) if failure.status == Status::Refused => {
                self.answer_if_newest(home, Err(failure)).await
            }
            // The command itself is at fault, whatever the state.
            Err(failure) => Ok(Attempt::Unstored(self.answer(home, Err(failure)))),
            Ok(decided) if decided.events.is_empty() && decided.timers.is_empty() => {
                let body = in_encoding(&decided.reply, command.encoding);
                drop(decided);
                self.answer_if_newest(home, body).await
            }
            Ok(decided) => self.commit(home, command, now, decided).await,
        }
    }

    /// Stores what was decided, makes it the state, and words the answer.
    async fn commit(
        &mut self,
        home: &Home,
        command: &Command,
        now: Timestamp,
        decided: Decided<A>,
    ) -> Result<Attempt, Failure> {
        let Decided { events, timers, reply } = decided;
        let body = match in_encoding(&reply, command.encoding) {
            Ok(body) => body,
            Err(failure) => return Ok(Attempt::Unstored(self.answer(home, Err(failure)))),
        };
        let commit = Stored {
            shape: A::SHAPE,
            commit: home.ambient.token().into(),
            at: now,
            command: command.name.clone(),
            key: command.key.as_str().into(),
            digest: command.digest().into(),
            cause: command.headers.cause.clone(),
            principal: command.headers.principal.clone(),
            trace: command.headers.trace.clone(),
            events,
            timers,
            reply,
        };
        let bytes = match encoded(&commit) {
            Ok(bytes) => bytes,
            Err(failure) => return Ok(Attempt::Unstored(self.answer(home, Err(failure)))),
        };
        let appended = self.append(home, bytes).await;
        let sequence = match appended {
            Ok(sequence) => sequence,
            Err(AppendError::Refused(reason)) => {
                warn!(kind = A::KIND, id = %self.id, reason, "the journal refused a commit");
                let text = format!("the journal does not take the commit: {reason}");
                return Err(Failure::new(Status::Unavailable, text));
            }
            Err(AppendError::TooLarge) => {
                let text = "the commit is larger than the server allows";
                let failure = Failure::new(Status::TooLarge, text);
                return Ok(Attempt::Unstored(self.answer(home, Err(failure))));
            }
            Err(error @ (AppendError::Conflict | AppendError::Unknown)) => {
                match self.find_own(home, &commit.commit, command.deadline).await? {
                    Some(sequence) => sequence,
                    None => {
                        if error == AppendError::Unknown {
                            return Ok(Attempt::InDoubt);
                        }
                        home.counters.count_late_write();
                        return Ok(Attempt::Overtaken);
                    }
                }
            }
        };
        home.counters.count_commit();
        self.advance(sequence, commit);
        Ok(Attempt::Answered(self.answer(home, Ok(body))))
    }

    async fn append(&self, home: &Home, commit: Bytes) -> Result<u64, AppendError> {
        let Home { journal, shard, .. } = home;
        let mut expected = self.version;
        if Plant::NoVersionCheck.is_here() {
            let last = journal.last(shard, self.id.as_str()).await;
            expected = last.map_or(0, |last| last.map_or(0, |entry| entry.sequence));
        }
        if Plant::ReplyBeforeAppend.is_here() {
            let bounds = journal.bounds(&shard.stream).await;
            let guess = bounds.map_or(0, |bounds| bounds.last_sequence) + 1;
            let (journal, shard, id) = (journal.clone(), shard.clone(), self.id.clone());
            tokio::spawn(
                async move { journal.append(&shard, id.as_str(), expected, commit).await },
            );
            return Ok(guess);
        }
        journal.append(shard, self.id.as_str(), expected, commit).await
    }

    /// The conflict rule: whether the commit we are in doubt about is the actor's last one.
    async fn find_own(
        &self,
        home: &Home,
        own: &str,
        deadline: Instant,
    ) -> Result<Option<u64>, Failure> {
        let mut pause = ASK_AGAIN_AFTER;
        loop {
            match home.journal.last(&home.shard, self.id.as_str()).await {
                Ok(None) => return Ok(None),
                Ok(Some(entry)) => {
                    let is_own = identity(&entry).is_some_and(|found| &*found.commit == own);
                    return Ok(is_own.then_some(entry.sequence));
                }
                Err(error) if Instant::now() + pause < deadline => {
                    warn!(kind = A::KIND, id = %self.id, %error, "a commit is in doubt; looking again");
                    sleep(pause).await;
                    pause = (pause * 2).min(ASK_AGAIN_AFTER_MAX);
                }
                Err(_) => {
                    let text = "the journal did not answer in time; the command may have been \
                                carried out";
                    return Err(Failure::new(Status::Expired, text));
                }
            }
        }
    }

    /// Gives an answer that rests on the state and stores nothing, if the state is the newest.
    ///
    /// Another node may have written since, or an append of ours that was in doubt have landed
    /// late: a refusal or a look at such a state would be wrong.
    async fn answer_if_newest(
        &self,
        home: &Home,
        outcome: Result<Vec<u8>, Failure>,
    ) -> Result<Attempt, Failure> {
        let last = home.journal.last(&home.shard, self.id.as_str()).await;
        let last = last.map_err(|e| Failure::new(Status::Unavailable, e.to_string()))?;
        if last.map_or(0, |entry| entry.sequence) == self.version {
            Ok(Attempt::Unstored(self.answer(home, outcome)))
        } else {
            Ok(Attempt::Overtaken)
        }
    }

    fn answer(&self, home: &Home, outcome: Result<Vec<u8>, Failure>) -> Answer {
        let stream = home.shard.stream.clone();
        Answer { outcome, position: Some(Position { stream, sequence: self.version }) }
    }
}

/// Lets the actor decide. A handler that panics fails its own command and nothing else.
fn decide<A: Actor>(
    door: &Door<A>,
    state: &A,
    command: &Command,
    mut ctx: Context<A>,
) -> Result<Decided<A>, Failure> {
    let call = AssertUnwindSafe(|| (door.decide)(state, &command.body, command.encoding, &mut ctx));
    let decided = std::panic::catch_unwind(call).unwrap_or_else(|_| {
        error!(kind = A::KIND, command = door.name, trace = ?command.headers.trace, "a handler panicked");
        Err(Failure::new(Status::Internal, format!("the handler of `{}` panicked", door.name)))
    });
    let reply = decided?;
    Ok(Decided { events: ctx.events, timers: ctx.timers.into_changes()?, reply })
}

fn in_encoding(reply: &AnyReply, encoding: Encoding) -> Result<Vec<u8>, Failure> {
    encoding.encode(reply).map_err(|malformed| {
        error!(%malformed, "a reply cannot be written");
        Failure::new(Status::Internal, format!("the reply cannot be written: {malformed}"))
    })
}

fn encoded<E: serde::Serialize>(commit: &Stored<E, AnyReply>) -> Result<Bytes, Failure> {
    let bytes = Encoding::MessagePack.encode(commit).map_err(|malformed| {
        error!(%malformed, "a commit cannot be written");
        Failure::new(Status::Internal, format!("the commit cannot be written: {malformed}"))
    })?;
    if bytes.len() > COMMIT_BYTES_MAX {
        let text =
            format!("the commit would have {} bytes, at most {COMMIT_BYTES_MAX}", bytes.len());
        return Err(Failure::new(Status::TooLarge, text));
    }
    Ok(bytes.into())
}
