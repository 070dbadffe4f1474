//! A world in memory that stands in for NATS: network, journal, post and cells.
//!
//! Everything in it happens in tokio's time, which a test can pause, and by seeded chance: the
//! same seed and the same callers make the same history, byte for byte. Nodes in it can be
//! killed, paused and cut off; writes, acknowledgements and messages can be lost, late or
//! doubled. With no faults it is a plain bus without a server, which forgets all at the end.

mod cells;
mod connection;
mod consumer;
mod cron;
mod faults;
mod following;
mod journal;
mod link;
mod network;
mod post;
mod state;
mod stream;
mod switchboard;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;

pub use self::faults::Faults;
use self::{
    connection::Connection,
    link::Link,
    state::{Shared, State},
    stream::Stream,
};
use crate::{
    asking::{bus::Bus, live::decode_any},
    model::{ambient::Ambient, commit::AnyCommit, time::Timestamp},
    wire::{
        error::Error,
        subject::{self, Shard},
    },
};

/// When every world of a given seed begins: 2026-01-01, midnight UTC.
const BEGINNING: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// A world in memory: one server, and whoever connects to it. Cheap to clone; clones share it.
///
/// Use it within a tokio runtime. In one of a single thread whose time is paused (see
/// `testing::simulate`, with the feature `testing`), all that happens depends
/// on the seed and the callers alone.
#[derive(Debug, Clone)]
pub struct World {
    shared: Arc<Shared>,
}

impl World {
    /// A world whose chances follow `seed`. It begins at a fixed moment, without faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { shared: Shared::new(BEGINNING, seed) }
    }

    /// A connection of its own for the node or client `name`.
    ///
    /// A node that was killed comes back by connecting again, under the same name or another.
    #[must_use]
    pub fn connect(&self, name: &str) -> Bus {
        let (connection, ambient) = self.open(name);
        let connection = Arc::new(connection);
        Bus::new(connection.clone(), connection, ambient)
    }

    /// As [`connect`](Self::connect), with requests over another network.
    #[cfg(test)]
    pub(crate) fn connect_over(
        &self,
        network: Arc<dyn crate::asking::transport::Network>,
        name: &str,
    ) -> Bus {
        let (connection, ambient) = self.open(name);
        Bus::new(network, Arc::new(connection), ambient)
    }

    fn open(&self, name: &str) -> (Connection, Ambient) {
        let mut state = self.shared.lock();
        let link = Arc::new(Link::new(state.number(), name));
        state.links.insert(link.number, link.clone());
        let max = state.faults.clock_skew_max;
        let ahead = state.dice.span(max * 2).as_millis();
        let now = state.now().plus(Duration::from_millis(u64::try_from(ahead).unwrap_or(0)));
        let skewed = now.as_millis().saturating_sub(u64::try_from(max.as_millis()).unwrap_or(0));
        if max > Duration::ZERO && skewed != state.now().as_millis() {
            state.count("clock_skew");
        }
        let ambient = Ambient::simulated(Timestamp::from_millis(skewed), state.dice.roll());
        drop(state);
        (Connection { world: self.shared.clone(), link }, ambient)
    }

    /// What the server's clock says.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.lock().now()
    }

    /// The node dies at this very instruction, as by SIGKILL: no call of its connections ever
    /// returns again, and the server hears no more of it. Its follower's places pass on, and
    /// what it registered with a time to live ends, as they do after a real one.
    pub fn kill(&self, name: &str) {
        let mut state = self.shared.lock();
        for link in links(&state, name) {
            state.count("kill");
            state.kill(&link);
        }
    }

    /// The node stands still for this long, as by SIGSTOP: what it does next waits until then.
    pub fn pause(&self, name: &str, span: Duration) {
        let mut state = self.shared.lock();
        for link in links(&state, name) {
            state.count("pause");
            state.pause(&link, span);
        }
    }

    /// The node is disconnected for this long, and then connects anew: answers under way are
    /// lost, what it asks meanwhile waits or times out, and what followed begins anew.
    pub fn cut(&self, name: &str, span: Duration) {
        let mut state = self.shared.lock();
        for link in links(&state, name) {
            state.count("cut");
            state.cut(&link, span);
        }
    }

    /// The server is gone for this long, and comes back with all that it had stored.
    pub fn outage(&self, span: Duration) {
        let mut state = self.shared.lock();
        state.count("outage");
        let all: Vec<Arc<Link>> = state.links.values().cloned().collect();
        for link in all {
            state.cut(&link, span);
        }
    }

    /// Whether a connection of this name lives: it was made, and neither killed nor struck by
    /// [`Faults::kill_at_append`] since.
    #[must_use]
    pub fn is_alive(&self, name: &str) -> bool {
        !links(&self.shared.lock(), name).is_empty()
    }

    /// What may go wrong from now on.
    pub fn faults(&self, faults: Faults) {
        self.shared.lock().faults = faults;
    }

    /// Nothing goes wrong from now on, and nothing takes time. Pauses and cuts under way end
    /// when they end; clocks stay as wrong as they are.
    pub fn heal(&self) {
        self.faults(Faults::default());
    }

    /// How often each fault has struck so far.
    #[must_use]
    pub fn bites(&self) -> BTreeMap<&'static str, u64> {
        self.shared.lock().bites.clone()
    }

    /// Whether every follower has acknowledged all there is for it, and no schedule is due
    /// before `time`.
    #[must_use]
    pub fn is_settled(&self, time: Timestamp) -> bool {
        let state = self.shared.lock();
        let mut followed = state.streams.values().flat_map(|stream| {
            stream.consumers.values().map(|consumer| consumer.is_done(&stream.messages))
        });
        followed.all(|is_done| is_done) && !state.fires_before(time)
    }

    /// All commits of `kind` as they are stored, shard after shard, for an auditor: sequence, id
    /// and bytes.
    #[must_use]
    pub fn commits(&self, kind: &str) -> Vec<(u64, Box<str>, Bytes)> {
        let state = self.shared.lock();
        let messages = shards(&state, kind).into_iter().flat_map(|(_, stream)| &stream.messages);
        let commits = messages.filter_map(|(sequence, kept)| {
            let (_, id) = subject::parse_event(&kept.subject)?;
            Some((*sequence, id.into(), kept.bytes.clone()))
        });
        commits.collect()
    }

    /// All commits of `kind`, decoded.
    ///
    /// # Errors
    /// [`Error::Journal`] if one of them is none.
    pub fn decoded(&self, kind: &str) -> Result<Vec<AnyCommit>, Error> {
        let state = self.shared.lock();
        let entries = shards(&state, kind).into_iter().flat_map(|(shard, kept)| {
            let entries = kept.messages.keys().filter_map(|sequence| kept.commit(*sequence));
            entries.map(move |entry| decode_any(&shard.stream, &entry).map_err(Error::Journal))
        });
        entries.collect()
    }

    /// How many dead letters there are.
    #[must_use]
    pub fn dead_letters(&self) -> usize {
        let state = self.shared.lock();
        state.streams.get(subject::DEAD_STREAM).map_or(0, |stream| stream.messages.len())
    }
}

/// The shards of a kind, with what is in them.
fn shards<'a>(state: &'a State, kind: &str) -> Vec<(Shard, &'a Stream)> {
    let count = state.streams.get(&*subject::first_stream(kind)).map_or(0, |first| first.shards);
    let stream = |shard: Shard| state.streams.get(&shard.stream).map(|stream| (shard, stream));
    Shard::all(kind, count).into_iter().filter_map(stream).collect()
}

/// The living connections of this name.
fn links(state: &State, name: &str) -> Vec<Arc<Link>> {
    state.links.values().filter(|link| &*link.name == name).cloned().collect()
}

impl Bus {
    /// A bus of its own in memory, without a server: whole, but gone with the process.
    ///
    /// Its clock is the machine's, moved by tokio's time, so that a test can pause it. For one
    /// that can be repeated exactly, or has faults, see [`World`].
    #[must_use]
    pub fn in_memory() -> Self {
        let seed = uuid::Uuid::new_v4().as_u64_pair().0;
        World { shared: Shared::new(Timestamp::now(), seed) }.connect("in-memory")
    }
}
