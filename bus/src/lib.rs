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

mod asking;
mod discovery;
mod following;
#[cfg(feature = "testing")]
mod golden;
mod journal;
pub mod limits;
mod memory;
mod model;
mod node;
mod placement;
mod planted;
mod projection;
mod shutdown;
#[cfg(feature = "testing")]
pub mod testing;
mod wire;

pub use self::{
    asking::{
        ask::{ActorRef, Ask},
        bus::{Bus, Connect},
        live::{Lagged, Live},
        tell::Tell,
    },
    discovery::{AsyncApi, Described},
    following::{
        dead::{DeadLetter, DeadLetters, DeadPage},
        patience::Patience,
    },
    memory::{Faults, World},
    model::{
        actor::{Actor, Context, Handle, Wire},
        command_set::{CommandSet, Door},
        commit::{AnyCommit, CommitInfo, InvalidPosition, Position, Recorded},
        effect::{Effect, Retry},
        every::{Every, InvalidEvery},
        id::{Id, InvalidId, InvalidKey, Key},
        saga::Then,
        time::Timestamp,
        upcast::{NoUpcaster, OldEvent},
    },
    node::{counters::Counts, host::Host, running::Running},
    planted::Plant,
    projection::{
        Change, Fold, GetRow, IndexEntry, ListRows, Listed, MemoryRows, Progress, Projection,
        RowError, Rows, Selection, StreamProgress, Watch,
    },
    shutdown::shutdown_signal,
    wire::{
        encoding::{Encoding, Malformed},
        error::{AskError, BoxError, Error},
        failure::{ErrorBody, Failure, Status},
    },
};
/// Schemas for [`Host::described`]. The derive wants `schemars` among a crate's own dependencies,
/// or `#[schemars(crate = "bus::schemars")]` on the type.
pub use schemars::{self, JsonSchema};
