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
//! #[derive(Default)]
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

mod id;
mod time;

mod actor;
mod command_set;
mod commit;
mod effect;
mod saga;

mod encoding;
mod envelope;
mod error;
mod failure;
pub mod limits;
mod subject;

mod ask;
mod bus;
mod live;
mod transport;

mod activation;
mod command;
#[cfg(test)]
mod doubt_tests;
mod host;
mod keys;
mod kind;
mod repeat;

mod follower;
mod journal;
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
    effect::{Effect, Retry},
    encoding::{Encoding, Malformed},
    error::{AskError, BoxError, Error},
    failure::{ErrorBody, Failure, Status},
    host::{Host, Running},
    id::{Id, InvalidId, InvalidKey, Key},
    live::{Lagged, Live},
    projection::{
        Fold, GetRow, IndexEntry, ListRows, Listed, Projection, RowError, Rows, Selection,
    },
    saga::Then,
    shutdown::shutdown_signal,
    time::Timestamp,
};
