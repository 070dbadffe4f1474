//! One live actor: load its state, decide one command, commit, apply, answer.
//!
//! The only writer of an actor's commits. A commit carries the version it was decided on; if
//! another process wrote first the journal refuses it, and we load again and decide again. No
//! answer that rests on a commit leaves before the journal has acknowledged it.
//!
//! Called by [`Kind`](crate::kind::Kind) only, one command at a time.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use tracing::{error, warn};

use crate::{
    actor::{Actor, Context},
    command::Command,
    command_set::{AnyReply, Door},
    commit::{Events, Position, Stored},
    encoding::Encoding,
    envelope::Answer,
    failure::{Failure, Status},
    id::Id,
    journal::{AppendError, Entry, Journal, ReadError},
    keys::KeyMemory,
    limits::{ASK_AGAIN_AFTER, ASK_AGAIN_AFTER_MAX, COMMIT_BYTES_MAX, CONFLICTS_MAX},
    repeat::{self, identity},
    subject::Shard,
    time::Timestamp,
};

/// Where an actor's commits are.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) shard: Shard,
}

/// An actor's state as of its last commit.
#[derive(Debug)]
pub(crate) struct Activation<A: Actor> {
    id: Id<A>,
    state: A,
    version: u64,
    keys: KeyMemory,
}

/// Whether an actor is in memory.
#[derive(Debug)]
pub(crate) enum Presence<A: Actor> {
    /// Loaded.
    Live(Box<Activation<A>>),
    /// To be loaded. After a lost race only the leader's word counts.
    Absent { trust_replicas: bool },
}

/// Why an actor could not be loaded.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("commit {sequence} cannot be decoded: {reason}")]
    Undecodable { sequence: u64, reason: String },
}

/// What one attempt to carry a command out came to.
enum Attempt {
    Answered(Answer),
    /// Another commit was first, or ours is in doubt and not stored: load and decide again.
    Overtaken,
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
                Err(error) => return not_loaded::<A>(id, &error),
            };
            match activation.attempt(home, door, command).await {
                Ok(Attempt::Answered(answer)) => return answer,
                Ok(Attempt::Overtaken) => {
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
    async fn load(home: &Home, id: Id<A>, trust_replicas: bool) -> Result<Self, LoadError> {
        let mut loaded = Self { id, state: A::default(), version: 0, keys: KeyMemory::default() };
        loop {
            let (journal, id) = (&home.journal, loaded.id.as_str());
            let batch = if trust_replicas {
                journal.read(&home.shard, id, loaded.version).await?
            } else {
                journal.read_from_leader(&home.shard, id, loaded.version).await?
            };
            for entry in &batch.entries {
                loaded.replay(entry)?;
            }
            if batch.is_last {
                return Ok(loaded);
            }
        }
    }

    fn replay(&mut self, entry: &Entry) -> Result<(), LoadError> {
        let commit: Events<A::Event> =
            Encoding::MessagePack.decode(&entry.bytes).map_err(|malformed| {
                let reason = malformed.to_string();
                LoadError::Undecodable { sequence: entry.sequence, reason }
            })?;
        self.advance(entry.sequence, &commit.key, commit.at, &commit.events);
        Ok(())
    }

    fn advance(&mut self, sequence: u64, key: &str, at: Timestamp, events: &[A::Event]) {
        for event in events {
            self.state.apply(event);
        }
        self.version = sequence;
        self.keys.remember(key, sequence, at);
    }

    /// Tries once. An error leaves it open what the state is.
    async fn attempt(
        &mut self,
        home: &Home,
        door: &Door<A>,
        command: &Command,
    ) -> Result<Attempt, Failure> {
        if let Some(commit) = repeat::commit_of(home, &self.id, &self.keys, command).await? {
            return Ok(Attempt::Answered(repeat::recorded_answer(home, door, command, &commit)));
        }
        if let Some(expected) = command.headers.expect_version.filter(|v| *v != self.version) {
            let text = format!("the actor is at version {}, not {expected}", self.version);
            let failure = Failure::new(Status::VersionMismatch, text);
            return self.answer_if_newest(home, Err(failure)).await;
        }
        let principal = command.headers.principal.clone();
        let now = Timestamp::now();
        let mut ctx = Context::new(self.id.clone(), now, command.key.clone(), principal);
        let decided = decide(door, &self.state, command, &mut ctx);
        let events = ctx.into_events();
        match decided {
            Err(failure) if failure.status == Status::Refused => {
                self.answer_if_newest(home, Err(failure)).await
            }
            // The command itself is at fault, whatever the state.
            Err(failure) => Ok(Attempt::Answered(self.answer(home, Err(failure)))),
            Ok(reply) if events.is_empty() => {
                let body = in_encoding(&reply, command.encoding);
                drop(reply);
                self.answer_if_newest(home, body).await
            }
            Ok(reply) => self.commit(home, command, now, events, reply).await,
        }
    }

    /// Stores what was decided, makes it the state, and words the answer.
    async fn commit(
        &mut self,
        home: &Home,
        command: &Command,
        now: Timestamp,
        events: Vec<A::Event>,
        reply: AnyReply,
    ) -> Result<Attempt, Failure> {
        let body = match in_encoding(&reply, command.encoding) {
            Ok(body) => body,
            Err(failure) => return Ok(Attempt::Answered(self.answer(home, Err(failure)))),
        };
        let commit = Stored {
            commit: uuid::Uuid::new_v4().simple().to_string().into(),
            at: now,
            command: command.name.clone(),
            key: command.key.as_str().into(),
            digest: command.digest().into(),
            cause: command.headers.cause.clone(),
            principal: command.headers.principal.clone(),
            trace: command.headers.trace.clone(),
            events,
            reply,
        };
        let bytes = match encoded(&commit) {
            Ok(bytes) => bytes,
            Err(failure) => return Ok(Attempt::Answered(self.answer(home, Err(failure)))),
        };
        let appended =
            home.journal.append(&home.shard, self.id.as_str(), self.version, bytes).await;
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
                return Ok(Attempt::Answered(self.answer(home, Err(failure))));
            }
            Err(AppendError::Conflict | AppendError::Unknown) => {
                match self.find_own(home, &commit.commit, command.deadline).await? {
                    Some(sequence) => sequence,
                    None => return Ok(Attempt::Overtaken),
                }
            }
        };
        self.advance(sequence, &commit.key, now, &commit.events);
        Ok(Attempt::Answered(self.answer(home, Ok(body))))
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
            Ok(Attempt::Answered(self.answer(home, outcome)))
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
    ctx: &mut Context<A>,
) -> Result<AnyReply, Failure> {
    let call = AssertUnwindSafe(|| (door.decide)(state, &command.body, command.encoding, ctx));
    std::panic::catch_unwind(call).unwrap_or_else(|_| {
        error!(kind = A::KIND, command = door.name, trace = ?command.headers.trace, "a handler panicked");
        Err(Failure::new(Status::Internal, format!("the handler of `{}` panicked", door.name)))
    })
}

fn not_loaded<A: Actor>(id: &Id<A>, error: &LoadError) -> Answer {
    Answer::failed(match error {
        LoadError::Read(error) => {
            warn!(kind = A::KIND, %id, %error, "an actor could not be loaded");
            Failure::new(Status::Unavailable, error.to_string())
        }
        LoadError::Undecodable { .. } => {
            error!(kind = A::KIND, %id, %error, "an actor's journal cannot be read");
            Failure::new(Status::Internal, format!("the actor cannot be loaded: {error}"))
        }
    })
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
