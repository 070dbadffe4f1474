//! Durable actors and an event bus on plain NATS.
//!
//! An [`Actor`] is a state, moved by events, that handles commands. [`Handle`] decides, purely;
//! the runtime does the rest: it stores what was decided as one commit in JetStream, answers,
//! and then has sagas ([`Then`]), [`Effect`]s and projections ([`Fold`]) follow the commit.
//! A [`Host`] runs actors on a node; a [`Bus`] asks them from anywhere.
//!
//! ```
//! use bus::{Actor, Context, Handle};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Counter {
//!     total: u64,
//! }
//!
//! #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
//! enum CounterEvent {
//!     #[serde(rename = "added")]
//!     Added { amount: u64 },
//! }
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
//! #[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
//! enum CounterError {
//!     #[error("the counter is full")]
//!     Full,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Add {
//!     amount: u64,
//! }
//!
//! impl Actor for Counter {
//!     const KIND: &'static str = "counter";
//!     type Event = CounterEvent;
//!     type Error = CounterError;
//!     type Commands = (Add,);
//!
//!     fn apply(&mut self, CounterEvent::Added { amount }: &CounterEvent) {
//!         self.total += amount;
//!     }
//! }
//!
//! impl Handle<Add> for Counter {
//!     const NAME: &'static str = "add";
//!     type Reply = u64;
//!
//!     fn handle(&self, Add { amount }: Add, ctx: &mut Context<Self>) -> Result<u64, CounterError> {
//!         let total = self.total.checked_add(amount).ok_or(CounterError::Full)?;
//!         ctx.emit(CounterEvent::Added { amount });
//!         Ok(total)
//!     }
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use bus::{Bus, Connect, Host, Id};
//!
//! let bus = Bus::connect(&Connect::to("nats://127.0.0.1:4222")).await?;
//! let running = Host::new(bus.clone()).actor::<Counter>().start().await?;
//! let total = bus.actor(&Id::<Counter>::parse("c-1")?).ask(Add { amount: 3 }).await?;
//! println!("{total}");
//! running.stop().await;
//! # Ok(())
//! # }
//! ```

mod ambient;
mod id;
mod planted;
mod time;

mod actor;
mod arming;
mod command_set;
mod commit;
mod effect;
mod every;
mod saga;
mod timer;
mod upcast;

mod encoding;
mod envelope;
mod error;
mod failure;
pub mod limits;
#[allow(dead_code)] // Names of what is being built.
mod subject;

mod ask;
mod bus;
mod live;
mod tell;
mod transport;

mod activation;
mod command;
mod counters;
mod desks;
#[cfg(test)]
mod desks_tests;
mod discovery;
#[cfg(test)]
mod doubt_tests;
mod host;
mod keys;
mod kind;
mod placement;
mod repeat;
mod snapshot;

mod aside;
mod dead;
mod follower;
#[cfg(feature = "testing")]
mod golden;
mod journal;
mod letters;
mod memory;
mod patience;
mod place;
mod projection;
mod reaction;
mod shutdown;
#[cfg(feature = "testing")]
pub mod testing;

pub use self::{
    actor::{Actor, Context, Handle, Wire},
    ask::{ActorRef, Ask},
    bus::{Bus, Connect},
    command_set::{CommandSet, Door},
    commit::{AnyCommit, CommitInfo, InvalidPosition, Position, Recorded},
    counters::Counts,
    dead::{DeadLetter, DeadLetters, DeadPage},
    discovery::Described,
    effect::{Effect, Retry},
    encoding::{Encoding, Malformed},
    error::{AskError, BoxError, Error},
    every::{Every, InvalidEvery},
    failure::{ErrorBody, Failure, Status},
    host::{Host, Running},
    id::{Id, InvalidId, InvalidKey, Key},
    live::{Lagged, Live},
    memory::{Faults, World},
    patience::Patience,
    planted::Plant,
    projection::{
        Change, Fold, GetRow, IndexEntry, ListRows, Listed, MemoryRows, Progress, Projection,
        RowError, Rows, Selection, StreamProgress, Watch,
    },
    saga::Then,
    shutdown::shutdown_signal,
    tell::Tell,
    time::Timestamp,
    upcast::{NoUpcaster, OldEvent},
};
/// Schemas for [`Host::described`]. The derive wants `schemars` among a crate's own dependencies,
/// or `#[schemars(crate = "bus::schemars")]` on the type.
pub use schemars::{self, JsonSchema};
