//! Following: all commits of a stream in order, from a place the reader keeps itself.

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
        Ok(messages
            .take_until(replaced)
            .map(move |message| {
                let message = message.map_err(|e| fault(&e))?;
                let sequence = message.info().map_err(|e| fault(&e))?.stream_sequence;
                let bytes = message.payload.clone();
                Ok(Entry {
                    subject: message.subject.as_str().into(),
                    sequence,
                    headers: HeaderMap::new(),
                    bytes,
                })
            })
            .boxed())
    }
}
