//! What an actor is: a state, the events that move it, and the commands it handles.
//!
//! Everything here is pure. A handler judges the state it was given and records what it wants
//! in its [`Context`]; the runtime commits that whole, or not at all.

use serde::{Serialize, de::DeserializeOwned};

use crate::model::{
    arming::TimerIntents,
    command_set::CommandSet,
    id::{Id, Key},
    time::Timestamp,
    upcast::{NoUpcaster, OldEvent},
};

/// What can travel and be stored: commands, replies, rows.
pub trait Wire: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Wire for T {}

/// A kind of actor. `Self` is the state; its default is the state before the first event.
///
/// The state is what [`apply`](Actor::apply) made of all events so far. It can be written and
/// read because it is kept in snapshots, so that an actor with a long past need not be folded
/// from its first event; what it reads back must be equal to what it wrote, with no field left
/// out, and equal states must be written alike: use a `BTreeMap` and not a `HashMap`.
pub trait Actor: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind's name on the wire and in the journal. Never change it.
    const KIND: &'static str;

    /// What can happen to this actor. Stored for ever: give every variant an explicit name, and
    /// use only what JSON can show as well (no raw bytes).
    type Event: Wire + Clone;

    /// Why this actor says no. Serialised as a map whose `code` names the reason, which
    /// `#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]` does.
    type Error: std::error::Error + Wire;

    /// The commands this actor handles, as a tuple: `(Place, Confirm, Cancel)`.
    type Commands: CommandSet<Self>;

    /// The shape in which events are stored now. Raise it when an event that may be in a journal
    /// could no longer be read, and say in [`upcast`](Actor::upcast) how it is. A new event, or a
    /// new field that may be missing (`#[serde(default)]`), needs no new shape.
    ///
    /// Code that knows only a lower shape answers 503 for an actor with a commit of this one, and
    /// its sagas, effects and rows wait there for newer code: roll the reading code out everywhere before anything relies on what it stores.
    const SHAPE: u32 = 1;

    /// The number of the state's layout and of what `apply` makes of events. Raise it whenever
    /// one of them changes: snapshots with another number are ignored, and the state is folded
    /// from its first event once more.
    const STATE: u32 = 1;

    /// Over how many streams the kind's actors are spread: each lives in the one that its id's
    /// hash says. One stream has one writer on the server, and its server keeps about 100 bytes in
    /// memory for each of its actors; more streams share that out. Commits of actors in different
    /// streams have no order, and each stream is followed on its own; nothing else is lost.
    ///
    /// It is fixed when the streams are made, and a node with another number does not start.
    const SHARDS: u32 = 1;

    /// Whether its handlers arm timers. Each commit of a kind that does is followed for what it
    /// arms; one that does not is spared that. A handler that arms one all the same does not
    /// compile.
    const TIMERS: bool = false;

    /// Folds one event into the state. Never fails, decides nothing, reads no clock.
    fn apply(&mut self, event: &Self::Event);

    /// Brings an event that was stored in shape `from` to shape `from + 1`. Called once for each
    /// step up to [`SHAPE`](Actor::SHAPE), for every event of such a commit, also for those that
    /// did not change. Pure, and never changed once its shape has been stored.
    ///
    /// One old event becomes one event, never none or two: what sagas and effects asked because
    /// of it keeps its keys.
    ///
    /// ```
    /// # use bus::{Actor, NoUpcaster, OldEvent};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Default, Serialize, Deserialize)] struct Counter { total: u64 }
    /// # #[derive(Debug, Serialize, Deserialize, thiserror::Error)] #[error("no")] struct No;
    /// # #[derive(Serialize, Deserialize)] struct Look {}
    /// # impl bus::Handle<Look> for Counter { const NAME: &'static str = "look"; type Reply = u64;
    /// #   fn handle(&self, _: Look, _: &mut bus::Context<Self>) -> Result<u64, No> { Ok(self.total) } }
    /// #[derive(Clone, Serialize, Deserialize)]
    /// enum Counted {
    ///     // In shape 1 the field was called `n`.
    ///     #[serde(rename = "added")]
    ///     Added { amount: u64 },
    /// }
    ///
    /// impl Actor for Counter {
    /// #   const KIND: &'static str = "counter";
    /// #   type Event = Counted; type Error = No; type Commands = (Look,);
    /// #   fn apply(&mut self, Counted::Added { amount }: &Counted) { self.total += amount; }
    ///     const SHAPE: u32 = 2;
    ///
    ///     fn upcast(from: u32, event: &mut OldEvent) -> Result<(), NoUpcaster> {
    ///         match (from, event.name()) {
    ///             (1, "added") => event.rename_field("n", "amount"),
    ///             (1, _) => {}
    ///             _ => return Err(NoUpcaster { from }),
    ///         }
    ///         Ok(())
    ///     }
    ///     // …
    /// }
    /// ```
    ///
    /// # Errors
    /// [`NoUpcaster`] for a shape that was never stored.
    fn upcast(from: u32, event: &mut OldEvent) -> Result<(), NoUpcaster> {
        let _ = event;
        Err(NoUpcaster { from })
    }
}

/// How an actor answers the command `C`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle `{C}`",
    note = "write `impl Handle<{C}> for {Self}` and list it in `Actor::Commands`"
)]
pub trait Handle<C: Wire>: Actor {
    /// The command's name on the wire, imperative: `"place"`.
    const NAME: &'static str;

    /// What who asked is told.
    type Reply: Wire;

    /// Decides. What happens is recorded with [`Context::emit`] and takes effect once it is
    /// stored; a handler that emits nothing only answers, and nothing is stored.
    ///
    /// # Errors
    /// The actor's refusal: nothing is stored, and asking again gives the same answer. A "no"
    /// that someone downstream must act on is an event instead.
    fn handle(&self, command: C, ctx: &mut Context<Self>) -> Result<Self::Reply, Self::Error>;
}

/// What a handler knows of its command besides the body, and where it records what happens.
#[derive(Debug)]
pub struct Context<A: Actor> {
    id: Id<A>,
    now: Timestamp,
    key: Key,
    principal: Option<Box<str>>,
    pub(crate) events: Vec<A::Event>,
    pub(crate) timers: TimerIntents,
}

impl<A: Actor> Context<A> {
    pub(crate) fn new(id: Id<A>, now: Timestamp, key: Key, principal: Option<Box<str>>) -> Self {
        Self { id, now, key, principal, events: Vec::new(), timers: TimerIntents::default() }
    }

    /// The actor that handles the command.
    #[must_use]
    pub fn id(&self) -> &Id<A> {
        &self.id
    }

    /// When the command is decided: the only time a decision may use.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The command's idempotency key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// In whose name the command was sent, if somebody vouched for it.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    /// Records that `event` happens. The state does not move before it is stored.
    pub fn emit(&mut self, event: A::Event) {
        self.events.push(event);
    }
}
