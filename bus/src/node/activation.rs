//! One live actor in memory: its state, where it stands, and what it must remember.
//!
//! The state moves as commands are decided, before their commits are stored: whoever loses a
//! commit forgets the activation and loads it again. What it knows of its commits (version, keys,
//! timers) moves only once they are stored.
//!
//! Called by [`turn`](crate::node::turn) and [`loading`](crate::node::loading) only.

use std::{panic::AssertUnwindSafe, sync::Arc};

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use tracing::{error, warn};

use crate::{
    journal::{Cells, Journal, ReadError, group::GroupCommit},
    limits::{ASK_AGAIN_AFTER, ASK_AGAIN_AFTER_MAX, COMMIT_BYTES_MAX},
    model::{
        actor::{Actor, Context},
        ambient::Ambient,
        command_set::{AnyReply, Door},
        commit::{Position, Stored},
        id::Id,
        time::Timestamp,
        timer::{Armed, TimerChange},
    },
    node::{
        command::Command,
        counters::Counters,
        keys::KeyMemory,
        loading::LoadError,
        repeat::{identity, is_untimed},
        snapshot::{Draft, Origin, Upkeep},
    },
    placement::Placement,
    wire::{
        encoding::Encoding,
        failure::{Failure, Status},
        subject::Shard,
    },
};

/// Where an actor's commits are, and how they get there.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) cells: Arc<dyn Cells>,
    pub(crate) ambient: Ambient,
    pub(crate) placement: Arc<Placement>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) shard: Shard,
    pub(crate) group: Arc<GroupCommit>,
}

/// An actor's state as of its last commit.
#[derive(Debug)]
pub(crate) struct Activation<A: Actor> {
    pub(crate) id: Id<A>,
    pub(crate) state: A,
    pub(crate) version: u64,
    /// At this sequence of the stream, the version was surely the actor's newest. 0 while nobody has
    /// seen that: it may have been loaded from a replica that lags.
    pub(crate) newest_at: u64,
    /// What the last commit calls itself; empty before the first.
    pub(crate) commit: Box<str>,
    pub(crate) keys: KeyMemory,
    pub(crate) upkeep: Upkeep,
    pub(crate) armed: Armed,
}

/// What an actor remembers of a commit of its own.
#[derive(Debug)]
pub(crate) struct Noted {
    /// What the commit calls itself.
    pub(crate) commit: Box<str>,
    pub(crate) key: Box<str>,
    pub(crate) at: Timestamp,
    pub(crate) timers: Vec<TimerChange>,
    /// Whether its sender did not say when it first sent the key.
    pub(crate) is_untimed: bool,
}

/// A commit that was decided and is not stored yet.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) bytes: Bytes,
    pub(crate) noted: Noted,
    /// What the command's sender is told once it is stored.
    pub(crate) reply: Vec<u8>,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) enum Decision {
    /// A commit, which the state includes already.
    Commit(Decided),
    /// An answer that rests on the state.
    Answer(Result<Vec<u8>, Failure>),
    /// An answer that would be the same in any state.
    Fault(Failure),
    /// As a fault, and the state is of no more use.
    Broken(Failure),
}

/// Whether an actor is in memory.
#[derive(Debug)]
pub(crate) enum Presence<A: Actor> {
    /// Loaded.
    Live(Box<Activation<A>>),
    /// To be loaded. After a lost race only the leader's word counts.
    Absent { trust_replicas: bool },
}

impl Home {
    pub(crate) fn new(
        (journal, cells): (Arc<dyn Journal>, Arc<dyn Cells>),
        ambient: Ambient,
        placement: Arc<Placement>,
        counters: Arc<Counters>,
        shard: Shard,
    ) -> Self {
        let group = Arc::new(GroupCommit::new(journal.clone(), shard.clone()));
        Self { journal, cells, ambient, placement, counters, shard, group }
    }

    pub(crate) fn position(&self, sequence: u64) -> Position {
        Position { stream: self.shard.stream.clone(), sequence }
    }
}

impl<A: Actor> Presence<A> {
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
        let Activation { id, state, version, commit, keys, armed, upkeep, .. } = &mut **activation;
        let origin = Origin { id: id.as_str(), sequence: *version, commit };
        upkeep.draft(home, &origin, state, keys, armed)
    }

    pub(crate) async fn wake(
        &mut self,
        home: &Home,
        id: &Id<A>,
    ) -> Result<&mut Activation<A>, LoadError> {
        if let Self::Absent { trust_replicas } = *self {
            // On the heap, as all that is rarely needed: it makes every turn's task larger.
            let loading = Box::pin(Activation::load(home, id.clone(), trust_replicas));
            let loaded = loading.await?;
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
        Self { id, state, version: 0, newest_at: 0, commit: "".into(), keys, armed, upkeep }
    }

    /// Folds a stored commit.
    pub(crate) fn advance<R>(&mut self, home: &Home, sequence: u64, commit: Stored<A::Event, R>) {
        for event in &commit.events {
            self.state.apply(event);
        }
        let Stored { commit, key, at, timers, .. } = commit;
        self.note(home, sequence, Noted { commit, key, at, timers, is_untimed: false });
    }

    /// Takes in that a commit which the state includes is stored.
    pub(crate) fn note(&mut self, home: &Home, sequence: u64, noted: Noted) {
        self.version = sequence;
        if noted.is_untimed {
            self.keys.expect_untimed(noted.at);
        }
        self.keys.remember(&noted.key, sequence, noted.at);
        self.armed.advance(&home.shard.stream, sequence, &noted.key, &noted.timers);
        self.commit = noted.commit;
        self.upkeep.count_commit();
    }

    /// Decides, and moves the state by what happens.
    pub(crate) fn decide(&mut self, home: &Home, door: &Door<A>, command: &Command) -> Decision {
        let principal = command.headers.principal.clone();
        let now = home.ambient.now();
        let mut ctx = Context::new(self.id.clone(), now, command.key.clone(), principal);
        let reply = match handle(door, &self.state, command, &mut ctx) {
            Ok(reply) => reply,
            Err(failure) if failure.status == Status::Refused => {
                return Decision::Answer(Err(failure));
            }
            Err(failure) => return Decision::Fault(failure),
        };
        let timers = match ctx.timers.into_changes() {
            Ok(timers) => timers,
            Err(failure) => return Decision::Fault(failure),
        };
        let events = ctx.events;
        // What the actor's own code does to write and to fold may panic as well. Nothing is
        // stored of what cannot be folded.
        let made = AssertUnwindSafe(|| self.make(home, command, (now, events, timers), reply));
        std::panic::catch_unwind(made).unwrap_or_else(|_| {
            error!(kind = A::KIND, id = %self.id, command = door.name, trace = ?command.headers.trace, "an actor panicked");
            let text = "the actor panicked; nothing was carried out";
            Decision::Broken(Failure::new(Status::Internal, text))
        })
    }

    fn make(
        &mut self,
        home: &Home,
        command: &Command,
        (now, events, timers): (Timestamp, Vec<A::Event>, Vec<TimerChange>),
        reply: AnyReply,
    ) -> Decision {
        let body = match in_encoding(&reply, command.encoding) {
            Ok(body) => body,
            Err(failure) => return Decision::Fault(failure),
        };
        if events.is_empty() && timers.is_empty() {
            return Decision::Answer(Ok(body));
        }
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
            Err(failure) => return Decision::Fault(failure),
        };
        for event in &commit.events {
            self.state.apply(event);
        }
        let Stored { commit, key, at, timers, .. } = commit;
        let noted = Noted { commit, key, at, timers, is_untimed: is_untimed(command) };
        Decision::Commit(Decided { bytes, noted, reply: body })
    }

    /// The conflict rule: whether the commit that calls itself `own` is the actor's last one.
    pub(crate) async fn find_own(
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

    /// Whether the state is the actor's newest, now that this is asked.
    ///
    /// Another node may have written since, or an append of ours that was in doubt have landed
    /// late: a refusal or a look at such a state would be wrong.
    pub(crate) async fn is_newest(&mut self, home: &Home) -> Result<bool, ReadError> {
        if self.newest_at > 0 && home.group.is_only_ours_since(self.newest_at).await {
            return Ok(true);
        }
        let known = home.group.known();
        let last = home.journal.last(&home.shard, self.id.as_str()).await?;
        let is_newest = last.map_or(0, |entry| entry.sequence) == self.version;
        if is_newest {
            self.newest_at = known.max(self.version);
        }
        Ok(is_newest)
    }
}

/// Lets the actor decide. A handler that panics fails its own command and nothing else.
fn handle<A: Actor>(
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
