//! Delivering: a durable consumer that keeps a follower's place until it acknowledges.
//!
//! The server redelivers what was not acknowledged in time, but behind what is new: followers
//! would see an actor's later commit first. So delivery always begins anew right behind the
//! last commit below which all is acknowledged, and it begins anew whenever one was missed.
//! What is thereby delivered again has the same keys.

use async_nats::jetstream::{
    AckKind, Message,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
};
use futures_util::{StreamExt, stream::BoxStream};
use tracing::debug;

use super::{BoxFuture, Delivery, Entry, NatsJournal, ReadError};
use crate::{
    journal::Receipt,
    limits::{ACK_WAIT, FOLLOWER_PENDING_MAX},
};

impl NatsJournal {
    pub(super) async fn deliver_to(
        &self,
        stream: &str,
        follower: &str,
    ) -> Result<BoxStream<'static, Result<Delivery, ReadError>>, ReadError> {
        let name = format!("{stream}/{follower}");
        let fault = move |e: &dyn std::fmt::Display| ReadError(format!("{name}: {e}"));
        let config = pull::Config {
            durable_name: Some(follower.to_owned()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: FOLLOWER_PENDING_MAX,
            // Giving up is the follower's own decision, never the server's.
            max_deliver: -1,
            ..pull::Config::default()
        };
        let replaced = self.replaced();
        let handle = self.jetstream.get_stream_no_info(stream).await.map_err(|e| fault(&e))?;
        let mut consumer: PullConsumer =
            // Made, or brought to these settings.
            handle.create_consumer(config).await.map_err(|e| fault(&e))?;
        let info = consumer.info().await.map_err(|e| fault(&e))?;
        if info.num_ack_pending > 0 {
            // Without a sequence: to the end of what is acknowledged without a gap.
            consumer.reset(None).await.map_err(|e| fault(&e))?;
        }
        let messages = consumer.messages().await.map_err(|e| fault(&e))?;
        let mut deliveries = consumer.cached_info().delivered.consumer_sequence;
        Ok(messages
            .take_until(replaced)
            .map(move |message| {
                let message = message.map_err(|e| fault(&e))?;
                let info = message.info().map_err(|e| fault(&e))?;
                let (sequence, count) = (info.stream_sequence, info.consumer_sequence);
                if count != deliveries + 1 {
                    return Err(fault(&format!("delivery {} was missed", deliveries + 1)));
                }
                deliveries = count;
                let entry = Entry {
                    subject: message.subject.as_str().into(),
                    sequence,
                    bytes: message.payload.clone(),
                };
                Ok(Delivery { entry, receipt: Box::new(JetStreamReceipt(message)) })
            })
            .boxed())
    }
}

struct JetStreamReceipt(Message);

impl JetStreamReceipt {
    async fn tell(&self, kind: AckKind) {
        // A lost acknowledgement only means one more delivery, whose commands have the same
        // keys.
        if let Err(error) = self.0.ack_with(kind).await {
            debug!(%error, "an acknowledgement was not sent");
        }
    }
}

impl Receipt for JetStreamReceipt {
    fn done(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.tell(AckKind::Ack))
    }

    fn working(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.tell(AckKind::Progress))
    }
}
