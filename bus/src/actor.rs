//! What an actor is: a state, the events that move it, and the commands it handles.
//!
//! Everything here is pure. A handler judges the state it was given and records what it wants
//! in its [`Context`]; the runtime commits that whole, or not at all.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    command_set::CommandSet,
    id::{Id, Key},
    time::Timestamp,
};

/// What can travel and be stored: commands, replies, rows.
pub trait Wire: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Wire for T {}

/// A kind of actor. `Self` is the state; its default is the state before the first event.
pub trait Actor: Default + Send + Sync + 'static {
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

    /// Folds one event into the state. Never fails, decides nothing, reads no clock.
    fn apply(&mut self, event: &Self::Event);
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
    events: Vec<A::Event>,
}

impl<A: Actor> Context<A> {
    pub(crate) fn new(id: Id<A>, now: Timestamp, key: Key, principal: Option<Box<str>>) -> Self {
        Self { id, now, key, principal, events: Vec::new() }
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

    pub(crate) fn into_events(self) -> Vec<A::Event> {
        self.events
    }
}
