//! Given / when / then: an actor's rules, tested in microseconds and through the wire's own
//! path, so that a command left out of [`Actor::Commands`] fails its first test.
//!
//! ```
//! # use bus::{Actor, Context, Handle, testing::given};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Default, Serialize, Deserialize)] struct Counter { total: u64 }
//! # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)] enum Happened { #[serde(rename = "added")] Added { n: u64 } }
//! # #[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)] #[serde(tag = "code")] enum No {}
//! # impl Actor for Counter { const KIND: &'static str = "counter"; type Event = Happened; type Error = No; type Commands = (Add,);
//! #   fn apply(&mut self, Happened::Added { n }: &Happened) { self.total += n; } }
//! # #[derive(Serialize, Deserialize)] struct Add { n: u64 }
//! # impl Handle<Add> for Counter { const NAME: &'static str = "add"; type Reply = u64;
//! #   fn handle(&self, add: Add, ctx: &mut Context<Self>) -> Result<u64, No> { ctx.emit(Happened::Added { n: add.n }); Ok(self.total + add.n) } }
//! given::<Counter>([Happened::Added { n: 2 }])
//!     .when(Add { n: 3 })
//!     .replies(5)
//!     .then([Happened::Added { n: 3 }]);
//! ```
//!
//! And a whole host in memory, on one thread, with time that the test moves: [`simulate`].
//!
//! ```
//! # use bus::{Actor, Bus, Context, Handle, Host, Id, testing::simulate};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Default, Serialize, Deserialize)] struct Counter { total: u64 }
//! # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)] enum Happened { #[serde(rename = "added")] Added { n: u64 } }
//! # #[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)] #[serde(tag = "code")] enum No {}
//! # impl Actor for Counter { const KIND: &'static str = "counter"; type Event = Happened; type Error = No; type Commands = (Add,);
//! #   fn apply(&mut self, Happened::Added { n }: &Happened) { self.total += n; } }
//! # #[derive(Serialize, Deserialize)] struct Add { n: u64 }
//! # impl Handle<Add> for Counter { const NAME: &'static str = "add"; type Reply = u64;
//! #   fn handle(&self, add: Add, ctx: &mut Context<Self>) -> Result<u64, No> { ctx.emit(Happened::Added { n: add.n }); Ok(self.total + add.n) } }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! simulate(async {
//!     let bus = Bus::in_memory();
//!     let running = Host::new(bus.clone()).actor::<Counter>().start().await?;
//!     let counter = bus.actor(&Id::<Counter>::parse("c-1")?);
//!     assert_eq!(counter.ask(Add { n: 3 }).await?, 3);
//!     // A day, in no time: what is due within it happens, in its order.
//!     tokio::time::sleep(std::time::Duration::from_secs(86_400)).await;
//!     assert_eq!(counter.ask(Add { n: 2 }).await?, 5);
//!     running.stop().await;
//!     Ok(())
//! })
//! # }
//! ```
//!
//! In a `#[tokio::test(start_paused = true)]` the same goes without [`simulate`].

use std::{fmt::Debug, future::Future, time::Duration};

use serde_json::Value;

pub use crate::golden::{Golden, golden};

use crate::{
    journal::post::When,
    model::{
        actor::{Actor, Context, Handle, Wire},
        command_set::CommandSet,
        every::Every,
        id::{Id, Key},
        time::Timestamp,
        timer::TimerChange,
    },
    wire::{encoding::Encoding, failure::Failure},
};

/// Runs `test` to its end on one thread. Time stands still while anything can go on, and then
/// leaps to whatever is due next. With a [`World`](crate::World) of the same seed it happens
/// the same way each time, in a build with `--cfg tokio_unstable`.
///
/// # Panics
/// If the thread runs something asynchronous already.
pub fn simulate<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    // Whom a channel wakes first is chance to tokio, and can be seeded only so.
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(b"simulate"));
    let runtime = builder.enable_all().start_paused(true).build();
    runtime.unwrap_or_else(|e| panic!("no runtime: {e}")).block_on(test)
}

/// An actor to which `events` happened.
pub fn given<A: Actor>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let mut state = A::default();
    for event in events {
        state.apply(&through_the_wire(&event));
    }
    let id = Id::parse("test").unwrap_or_else(|_| unreachable!("a token"));
    Given { state, id, now: Timestamp::from_millis(0), principal: None }
}

/// An actor with a past.
#[derive(Debug)]
pub struct Given<A> {
    state: A,
    id: Id<A>,
    now: Timestamp,
    principal: Option<Box<str>>,
}

/// What came of a command.
#[derive(Debug)]
pub struct Outcome<A: Actor, R> {
    reply: Result<R, Failure>,
    events: Vec<A::Event>,
    timers: Vec<TimerChange>,
    now: Timestamp,
}

impl<A: Actor> Given<A> {
    /// Under this id.
    ///
    /// # Panics
    /// If `id` is none.
    #[must_use]
    #[track_caller]
    pub fn id(mut self, id: &str) -> Self {
        self.id = Id::parse(id).unwrap_or_else(|error| panic!("{error}"));
        self
    }

    /// At this moment.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// In this name.
    #[must_use]
    pub fn principal(mut self, principal: &str) -> Self {
        self.principal = Some(principal.into());
        self
    }

    /// Sends `command`, as the wire would.
    ///
    /// # Panics
    /// If the actor does not list the command, or it or its reply cannot be written.
    #[must_use = "say what is expected: `replies`, `refuses`, `then`, `arms`"]
    #[track_caller]
    pub fn when<C: Wire>(self, command: C) -> Outcome<A, A::Reply>
    where
        A: Handle<C>,
    {
        let name = <A as Handle<C>>::NAME;
        let doors = A::Commands::doors();
        let Some(door) = doors.iter().find(|door| door.name == name) else {
            panic!("`{name}` is not listed in the commands of `{}`", A::KIND);
        };
        let encoding = Encoding::Json;
        let body = encoding.encode(&command).unwrap_or_else(|e| panic!("`{name}`: {e}"));
        let mut ctx = Context::new(self.id, self.now, Key::random(), self.principal);
        let reply = (door.decide)(&self.state, &body, encoding, &mut ctx).map(|reply| {
            let bytes = Encoding::MessagePack.encode(&reply);
            let bytes = bytes.unwrap_or_else(|e| panic!("the reply of `{name}`: {e}"));
            Encoding::MessagePack
                .decode(&bytes)
                .unwrap_or_else(|e| panic!("the reply of `{name}` is not read as written: {e}"))
        });
        let (events, timers) = (ctx.events, ctx.timers.into_changes());
        let (reply, events, timers) = match (reply, timers) {
            (Ok(reply), Ok(timers)) => (Ok(reply), events, timers),
            (Err(failure), _) | (_, Err(failure)) => (Err(failure), Vec::new(), Vec::new()),
        };
        Outcome { reply, events, timers, now: self.now }
    }
}

impl<A: Actor, R> Outcome<A, R> {
    /// The command was answered with `expected`.
    ///
    /// # Panics
    /// If it was not.
    #[track_caller]
    pub fn replies(self, expected: R) -> Self
    where
        R: PartialEq + Debug,
    {
        match &self.reply {
            Ok(reply) => assert_eq!(*reply, expected, "the reply"),
            Err(failure) => panic!("expected the reply {expected:?}, but: {failure}"),
        }
        self
    }

    /// Just these events happened, in this order. Nothing else is expected of the outcome.
    ///
    /// # Panics
    /// If others did, or the command was refused.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) -> Self
    where
        A::Event: PartialEq + Debug,
    {
        if let Err(failure) = &self.reply {
            panic!("expected events, but: {failure}");
        }
        let events: Vec<A::Event> = self.events.iter().map(through_the_wire).collect();
        assert_eq!(events, expected.into_iter().collect::<Vec<_>>(), "the events");
        self
    }

    /// A timer was armed that sends `command` after `delay`; others may have been, too.
    ///
    /// # Panics
    /// If it was not.
    #[track_caller]
    pub fn arms<C: Wire>(self, delay: Duration, command: C) -> Self
    where
        A: Handle<C>,
    {
        let at = self.now.plus(delay);
        self.expect_timer(&command, |body, name| TimerChange::Armed {
            command: name,
            body,
            when: When::At(at),
        })
    }

    /// A timer was armed that sends `command` again and again; others may have been, too.
    ///
    /// # Panics
    /// If it was not.
    #[track_caller]
    pub fn arms_every<C: Wire>(self, schedule: &Every, command: C) -> Self
    where
        A: Handle<C>,
    {
        let when = When::Every(schedule.to_string());
        self.expect_timer(&command, |body, name| TimerChange::Armed { command: name, body, when })
    }

    /// The timer that would send `command` was disarmed; others may have been, too.
    ///
    /// # Panics
    /// If it was not.
    #[track_caller]
    pub fn disarms<C: Wire>(self, command: &C) -> Self
    where
        A: Handle<C>,
    {
        self.expect_timer(command, |body, name| TimerChange::Disarmed { command: name, body })
    }

    /// No timer was armed or disarmed.
    ///
    /// # Panics
    /// If one was.
    #[track_caller]
    pub fn touches_no_timer(self) -> Self {
        assert_eq!(self.timers, [], "the timers");
        self
    }

    #[track_caller]
    fn expect_timer<C: Wire>(
        self,
        command: &C,
        change: impl FnOnce(Value, Box<str>) -> TimerChange,
    ) -> Self
    where
        A: Handle<C>,
    {
        if let Err(failure) = &self.reply {
            panic!("expected a timer, but: {failure}");
        }
        let name = <A as Handle<C>>::NAME;
        let body = serde_json::to_value(command).unwrap_or_else(|e| panic!("`{name}`: {e}"));
        let expected = change(body, name.into());
        assert!(self.timers.contains(&expected), "{expected:?} is not among {:?}", self.timers);
        self
    }

    /// The actor said no, with `expected`, and nothing happened.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn refuses(self, expected: A::Error)
    where
        A::Error: PartialEq + Debug,
    {
        match self.reply {
            Ok(_) => panic!("expected the refusal {expected:?}, but it was carried out"),
            Err(failure) => match failure.as_refusal::<A::Error>() {
                Some(refusal) => assert_eq!(refusal, expected, "the refusal"),
                None => panic!("expected the refusal {expected:?}, but: {failure}"),
            },
        }
    }

    /// The command itself was not well formed; `part` of the message says why.
    ///
    /// # Panics
    /// If it was well formed, or the message does not contain `part`.
    #[track_caller]
    pub fn is_malformed(self, part: &str) {
        match self.reply {
            Ok(_) => panic!("expected a malformed command, but it was carried out"),
            Err(failure) => {
                assert_eq!(failure.status, crate::wire::failure::Status::BadCommand, "{failure}");
                assert!(failure.body.message.contains(part), "{failure}");
            }
        }
    }
}

/// An event as it comes back from the journal.
fn through_the_wire<E: Wire>(event: &E) -> E {
    let bytes = Encoding::MessagePack.encode(event).unwrap_or_else(|e| panic!("an event: {e}"));
    Encoding::MessagePack
        .decode(&bytes)
        .unwrap_or_else(|e| panic!("an event is not read as it is written: {e}"))
}
