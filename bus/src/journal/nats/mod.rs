//! The journal on JetStream. Only this folder names JetStream.

mod append;
mod cells;
mod deliver;
mod fitness;
mod follow;
mod post;
mod pull;
mod read;
mod schedule;
#[cfg(test)]
mod schedule_tests;
mod streams;

use async_nats::{Client, jetstream};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use super::{
    AppendError, Batch, Bounds, BoxFuture, Delivery, Entry, Journal, Proposal, ReadError, Source,
};
use crate::{
    asking::transport::{Network, nats::NatsNetwork},
    model::time::Timestamp,
    wire::{error::Error, subject::Shard},
};

pub(crate) use self::{fitness::check_server, streams::shards_differ};

/// JetStream, reached through one connection.
#[derive(Debug)]
pub(crate) struct NatsJournal {
    client: Client,
    network: NatsNetwork,
    jetstream: jetstream::Context,
    connections: watch::Receiver<u64>,
    replicas: usize,
    pins: std::sync::Arc<pull::Pins>,
}

impl NatsJournal {
    pub(crate) fn new(network: &NatsNetwork, replicas: usize) -> Self {
        let client = network.client().clone();
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(crate::limits::READ_TIMEOUT);
        let pins = std::sync::Arc::default();
        let (connections, network) = (network.connections(), network.clone());
        Self { client, network, jetstream, connections, replicas, pins }
    }

    /// Resolves when the connection has been replaced by another.
    ///
    /// A consumer on the old one would only notice when its heartbeats stay away, many seconds
    /// later; whoever follows begins anew at once instead.
    fn replaced(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut connections = self.connections.clone();
        connections.mark_unchanged();
        async move {
            if connections.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// One request to the JetStream API; an error answer becomes a [`ReadError`] unless it
    /// only says that there is nothing.
    async fn api<T: Serialize + Sync, R: DeserializeOwned>(
        &self,
        verb: &str,
        body: &T,
    ) -> Result<Option<R>, ReadError> {
        let response = self.jetstream.request(verb.to_owned(), body).await;
        match response.map_err(|e| ReadError(format!("{verb}: {e}")))? {
            jetstream::response::Response::Ok(value) => Ok(Some(value)),
            jetstream::response::Response::Err { error } if error.code() == 404 => Ok(None),
            jetstream::response::Response::Err { error } => {
                Err(ReadError(format!("{verb}: {error}")))
            }
        }
    }
}

impl Journal for NatsJournal {
    fn shards<'a>(&'a self, kind: &'a str) -> BoxFuture<'a, Result<u32, ReadError>> {
        Box::pin(self.shards_of(kind))
    }

    fn provision<'a>(&'a self, shard: &'a Shard) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.provision_shard(shard))
    }

    fn append<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
        expected: u64,
        commit: Bytes,
    ) -> BoxFuture<'a, Result<u64, AppendError>> {
        Box::pin(self.append_commit(shard, id, expected, commit))
    }

    fn append_all<'a>(
        &'a self,
        shard: &'a Shard,
        proposals: Vec<Proposal>,
    ) -> BoxFuture<'a, Result<u64, AppendError>> {
        Box::pin(self.append_batch(shard, proposals))
    }

    fn read<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
        after: u64,
    ) -> BoxFuture<'a, Result<Batch, ReadError>> {
        Box::pin(self.read_batch(shard, id, after))
    }

    fn read_from_leader<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
        after: u64,
    ) -> BoxFuture<'a, Result<Batch, ReadError>> {
        Box::pin(self.read_batch_from_leader(shard, id, after))
    }

    fn last<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>> {
        Box::pin(self.last_of(shard, id))
    }

    fn at<'a>(
        &'a self,
        shard: &'a Shard,
        sequence: u64,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>> {
        Box::pin(self.entry_at(shard, sequence))
    }

    fn before<'a>(
        &'a self,
        shard: &'a Shard,
        time: Timestamp,
    ) -> BoxFuture<'a, Result<u64, ReadError>> {
        Box::pin(self.sequence_before(shard, time))
    }

    fn bounds<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Bounds, ReadError>> {
        Box::pin(self.bounds_of(stream))
    }

    fn follow<'a>(
        &'a self,
        stream: &'a str,
        sequence: u64,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Entry, ReadError>>, ReadError>> {
        Box::pin(self.follow_from(stream, sequence))
    }

    fn deliver<'a>(
        &'a self,
        source: &'a Source,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Delivery, ReadError>>, ReadError>> {
        Box::pin(self.deliver_from(source))
    }

    fn release<'a>(&'a self, source: &'a Source) -> BoxFuture<'a, ()> {
        Box::pin(self.unpin(source))
    }

    fn probe<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.write_probe(node))
    }
}
