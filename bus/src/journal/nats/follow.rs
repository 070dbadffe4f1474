//! Following: all commits of a stream in order, from a place the reader keeps itself.

use std::future::ready;

use async_nats::{
    HeaderMap,
    jetstream::consumer::{DeliverPolicy, ReplayPolicy, pull::OrderedConfig},
};
use futures_util::{StreamExt, stream::BoxStream};

use super::{Entry, NatsJournal, ReadError};

impl NatsJournal {
    pub(super) async fn follow_from(
        &self,
        stream: &str,
        sequence: u64,
    ) -> Result<BoxStream<'static, Result<Entry, ReadError>>, ReadError> {
        let name = stream.to_owned();
        let fault = move |e: &dyn std::fmt::Display| ReadError(format!("{name}: {e}"));
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: sequence.max(1) },
            replay_policy: ReplayPolicy::Instant,
            ..OrderedConfig::default()
        };
        let replaced = self.replaced();
        let handle = self.jetstream.get_stream_no_info(stream).await.map_err(|e| fault(&e))?;
        let consumer = handle.create_consumer(config).await.map_err(|e| fault(&e))?;
        let messages = consumer.messages().await.map_err(|e| fault(&e))?;
        let mut expected = Some(sequence.max(1));
        let entries = messages.take_until(replaced).map(move |message| {
            let message = message.map_err(|e| fault(&e))?;
            let sequence = message.info().map_err(|e| fault(&e))?.stream_sequence;
            let bytes = message.payload.clone();
            let subject = message.subject.as_str().into();
            Ok(Entry { subject, sequence, headers: HeaderMap::new(), bytes })
        });
        // A consumer that is lost before it has delivered anything is made anew by the client,
        // and then begins with the first message there is.
        let entries = entries.scan((), move |(), entry| {
            let Some(from) = expected else { return ready(None) };
            let entry = entry.and_then(|entry: Entry| {
                let is_due = entry.sequence >= from;
                let sequence = entry.sequence;
                is_due.then_some(entry).ok_or_else(|| began_anew(sequence, from))
            });
            expected = entry.as_ref().ok().map(|entry| entry.sequence + 1);
            ready(Some(entry))
        });
        Ok(entries.boxed())
    }
}

fn began_anew(sequence: u64, expected: u64) -> ReadError {
    ReadError(format!("following began anew with {sequence} in the place of {expected}"))
}

#[cfg(test)]
mod tests {
    use nats_server::TestServer;

    use super::*;
    use crate::{
        asking::transport::nats::NatsNetwork,
        journal::Journal,
        wire::subject::{self, Shard},
    };

    #[tokio::test]
    async fn a_lost_consumer_never_brings_back_what_came_before() {
        let server = TestServer::own().await;
        let network = NatsNetwork::connect(&server.url).await.expect("up");
        let journal = NatsJournal::new(&network, 1);
        let shard = Shard::of("quiet");
        journal.provision(&shard).await.expect("provisioned");
        for last in 0..2 {
            journal.append(&shard, "a", last, "old".into()).await.expect("stored");
        }
        let mut entries = journal.follow(&shard.stream, 3).await.expect("follows");
        let stream = journal.jetstream.get_stream(subject::first_stream("quiet")).await;
        let stream = stream.expect("there");
        let consumers: Vec<_> = stream.consumer_names().collect().await;
        assert_eq!(consumers.len(), 1);
        for name in consumers {
            stream.delete_consumer(&name.expect("a name")).await.expect("deleted");
        }
        journal.append(&shard, "a", 2, "new".into()).await.expect("stored");
        let seen = loop {
            match entries.next().await {
                Some(Ok(entry)) => break entry,
                Some(Err(_)) => {}
                None => entries = journal.follow(&shard.stream, 3).await.expect("follows"),
            }
        };
        assert_eq!((seen.sequence, &seen.bytes[..]), (3, &b"new"[..]));
    }
}
