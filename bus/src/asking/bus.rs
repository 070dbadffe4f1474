//! The caller's side: address an actor, read rows, listen to commits.
//!
//! How often and how long is tried: [`crate::asking::call`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    asking::{
        ask::ActorRef,
        live::{Live, LiveReaders, decode_any},
        transport::{Inbox, Network, nats::NatsNetwork},
    },
    following::dead::DeadLetters,
    journal::{
        Cells, Journal, Post,
        nats::{NatsJournal, check_server},
    },
    model::{
        actor::Actor,
        ambient::Ambient,
        commit::AnyCommit,
        id::{Id, is_token},
        time::Timestamp,
    },
    node::{
        activation::Home,
        counters::{Counters, Counts},
    },
    placement::Placement,
    projection::{Projection, Rows},
    wire::{
        envelope::RequestHeaders,
        error::Error,
        failure::Status,
        subject::{self, Shard},
    },
};

/// Where NATS is, and what is asked of it.
#[derive(Debug, Clone)]
pub struct Connect {
    /// The server's address: `nats://host:4222`. May hold credentials.
    pub url: String,
    /// Monitoring addresses (`http://host:8222`) of all servers, to see that they sync every
    /// write to disk.
    pub monitor_urls: Vec<String>,
    /// Go on although an acknowledged write may not be on disk yet: for play.
    pub allow_lazy_sync: bool,
    /// How many servers keep each stream that has to be made.
    pub replicas: usize,
}

impl Connect {
    /// One server at `url`, monitored on port 8222 of the same host.
    #[must_use]
    pub fn to(url: &str) -> Self {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        Self {
            url: url.to_owned(),
            monitor_urls: vec![format!("http://{host}:8222")],
            allow_lazy_sync: false,
            replicas: 1,
        }
    }
}

/// The bus: a cheap handle on one connection.
#[derive(Debug, Clone)]
pub struct Bus {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    network: Arc<dyn Network>,
    journal: Arc<dyn Journal>,
    post: Arc<dyn Post>,
    cells: Arc<dyn Cells>,
    ambient: Ambient,
    live: LiveReaders,
    node: String,
    placement: Arc<Placement>,
    counters: Mutex<BTreeMap<Arc<str>, Arc<Counters>>>,
}

impl Bus {
    /// Connects, and checks that the server can keep the bus's promises.
    ///
    /// # Errors
    /// [`Error::Connect`] if nothing answers; [`Error::Unfit`] if the server is too old, has no
    /// JetStream, or acknowledges writes before they are on disk.
    pub async fn connect(options: &Connect) -> Result<Self, Error> {
        let network = NatsNetwork::connect(&options.url).await?;
        check_server(network.client(), &options.monitor_urls, options.allow_lazy_sync).await?;
        let journal = Arc::new(NatsJournal::new(&network, options.replicas));
        Ok(Self::new(Arc::new(network), journal, Ambient::Real))
    }

    /// A bus on any network and journal.
    pub(crate) fn new<J: Journal + Post + Cells>(
        network: Arc<dyn Network>,
        journal: Arc<J>,
        ambient: Ambient,
    ) -> Self {
        let live = LiveReaders::new(journal.clone());
        let node = ambient.token();
        let (post, cells) = (journal.clone(), journal.clone());
        let placement = Placement::new(&node, network.clone(), journal.clone());
        let (placement, counters) = (Arc::new(placement), Mutex::default());
        let inner =
            Inner { network, journal, post, cells, ambient, live, node, placement, counters };
        Self { inner: Arc::new(inner) }
    }

    /// Addresses an actor. It need not exist: its first command brings it to life.
    #[must_use]
    pub fn actor<A: Actor>(&self, id: &Id<A>) -> ActorRef<A> {
        ActorRef { bus: self.clone(), id: id.clone() }
    }

    /// The rows of a projection, wherever it is served.
    #[must_use]
    pub fn rows<P: Projection>(&self) -> Rows<P> {
        Rows::new(self.clone())
    }

    /// What followers could not carry out.
    #[must_use]
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(self.clone())
    }

    /// The commits of one actor after sequence `after`, oldest first.
    ///
    /// # Errors
    /// [`Error::Journal`] if the journal cannot be read now, or a commit in it not at all.
    pub async fn history(&self, kind: &str, id: &str, after: u64) -> Result<Vec<AnyCommit>, Error> {
        let count = self.shards(kind).await?;
        let shard = Shard::of_id(kind, id, count);
        let mut after = after;
        let mut commits = Vec::new();
        loop {
            let batch = self.inner.journal.read(&shard, id, after).await;
            let batch = batch.map_err(|e| Error::Journal(e.to_string()))?;
            for entry in &batch.entries {
                after = entry.sequence;
                commits.push(decode_any(&shard.stream, entry).map_err(Error::Journal)?);
            }
            if batch.is_last {
                return Ok(commits);
            }
        }
    }

    /// The commits of `kind` stored from now on. All listeners of one process share a reader.
    ///
    /// # Errors
    /// [`Error::Journal`] if the kind's stream does not exist yet or cannot be read now.
    pub async fn live(&self, kind: &str) -> Result<Live, Error> {
        self.inner.live.listen(kind).await
    }

    /// The streams that hold the commits of `kind`: one for each shard.
    ///
    /// # Errors
    /// [`Error::Journal`] if the kind's first stream does not exist or cannot be read.
    pub async fn streams(&self, kind: &str) -> Result<Vec<Arc<str>>, Error> {
        let shards = Shard::all(kind, self.shards(kind).await?);
        Ok(shards.into_iter().map(|shard| shard.stream).collect())
    }

    async fn shards(&self, kind: &str) -> Result<u32, Error> {
        let count = self.inner.journal.shards(kind).await;
        count.map_err(|e| Error::Journal(e.to_string()))
    }

    /// All commits of `stream` from sequence `from` on, then those to come.
    ///
    /// # Errors
    /// [`Error::Journal`] if the stream does not exist or cannot be read.
    pub async fn commits(
        &self,
        stream: &Arc<str>,
        from: u64,
    ) -> Result<impl futures_util::Stream<Item = Result<AnyCommit, Error>> + use<>, Error> {
        use futures_util::StreamExt;
        let stream = stream.clone();
        let entries = self.inner.journal.follow(&stream, from).await;
        let entries = entries.map_err(|e| Error::Journal(e.to_string()))?;
        Ok(entries.map(move |entry| {
            let entry = entry.map_err(|e| Error::Journal(e.to_string()))?;
            decode_any(&stream, &entry).map_err(Error::Journal)
        }))
    }

    /// The sequence of the last commit of `stream`.
    ///
    /// # Errors
    /// [`Error::Journal`] if the stream does not exist or cannot be read.
    pub async fn last_sequence(&self, stream: &str) -> Result<u64, Error> {
        let bounds = self.inner.journal.bounds(stream).await;
        Ok(bounds.map_err(|e| Error::Journal(e.to_string()))?.last_sequence)
    }

    /// Whether the server answers and a write to its disk is acknowledged.
    ///
    /// # Errors
    /// [`Error::Journal`] if it is not.
    pub async fn check_writes(&self) -> Result<(), Error> {
        self.inner.journal.probe(&self.inner.node).await
    }

    /// Whether anybody hosts the actors of `kind`.
    pub async fn is_served(&self, kind: &str, timeout: Duration) -> bool {
        // No kind has a command of this name, so the answer is that there is none: and whoever
        // says so hosts the kind.
        if !is_token(kind) {
            return false;
        }
        let subject = subject::command(kind, "anybody", "there-");
        // Anybody's answer will do, not only that of the actor's owner.
        let headers = RequestHeaders { is_forwarded: true, ..RequestHeaders::default() };
        let called = self.call(&subject, headers, Bytes::new(), timeout).await;
        called.is_ok_and(|answer| {
            answer.outcome.is_err_and(|failure| failure.status == Status::NotFound)
        })
    }

    /// What an actor of the shard needs of the bus.
    pub(crate) fn home(&self, shard: Shard) -> Home {
        let Inner { journal, cells, ambient, placement, .. } = &*self.inner;
        let counters = self.counters(&shard.kind);
        let (ambient, placement) = (ambient.clone(), placement.clone());
        Home::new((journal.clone(), cells.clone()), ambient, placement, counters, shard)
    }

    /// What happened to the actors of `kind` in this process.
    #[must_use]
    pub fn counts(&self, kind: &str) -> Counts {
        self.counters(&kind.into()).counts()
    }

    fn counters(&self, kind: &Arc<str>) -> Arc<Counters> {
        let counters = self.inner.counters.lock();
        let mut counters = counters.unwrap_or_else(PoisonError::into_inner);
        counters.entry(kind.clone()).or_default().clone()
    }

    pub(crate) fn placement(&self) -> &Arc<Placement> {
        &self.inner.placement
    }

    /// Takes requests on `subject`, shared with everyone in the same queue group.
    pub(crate) async fn inbox(&self, subject: String, queue: &str) -> Result<Inbox, Error> {
        Inbox::open(&self.inner.network, subject, Some(queue)).await
    }

    /// Takes all that is sent to `subject`.
    pub(crate) async fn listen(&self, subject: String) -> Result<Inbox, Error> {
        Inbox::open(&self.inner.network, subject, None).await
    }

    pub(crate) fn network(&self) -> &Arc<dyn Network> {
        &self.inner.network
    }

    pub(crate) fn post(&self) -> &Arc<dyn Post> {
        &self.inner.post
    }

    pub(crate) fn cells(&self) -> &Arc<dyn Cells> {
        &self.inner.cells
    }

    /// What this bus's clock says: in a simulation, the simulation's.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.ambient.now()
    }

    /// The name of this node, which nobody else has.
    pub(crate) fn node(&self) -> &str {
        &self.inner.node
    }

    pub(crate) fn ambient(&self) -> &Ambient {
        &self.inner.ambient
    }

    pub(crate) fn journal(&self) -> &Arc<dyn Journal> {
        &self.inner.journal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monitor_is_on_the_servers_host() {
        assert_eq!(Connect::to("nats://u:p@db:4222").monitor_urls, ["http://db:8222"]);
        assert_eq!(Connect::to("127.0.0.1:4333").monitor_urls, ["http://127.0.0.1:8222"]);
    }
}
