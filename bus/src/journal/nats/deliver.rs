//! Delivering: a durable consumer that keeps a follower's place until it acknowledges.
//!
//! Of all clients of a consumer the server pins one and gives messages to it alone, for as long
//! as it goes on asking; the others stand by. Whoever is pinned anew begins right behind the
//! last message below which all is acknowledged: what the one before was given and did not
//! acknowledge would otherwise come again behind what is new, and an actor's commits out of
//! order. What is thereby delivered again has the same keys. The asking itself is in `pull.rs`.

use async_nats::jetstream::{
    AckKind,
    consumer::{AckPolicy, DeliverPolicy, Info, PriorityPolicy, pull},
};
use futures_util::stream::{BoxStream, StreamExt, try_unfold};
use serde::Deserialize;
use serde_json::json;
use tracing::debug;

use super::{
    BoxFuture, Delivery, NatsJournal, ReadError, Source,
    pull::{Given, PIN_GROUP, Pull},
};
use crate::{
    journal::Receipt,
    limits::{ACK_WAIT, FOLLOWER_PENDING_MAX, PIN_TTL},
};

#[derive(Deserialize)]
struct Done {}

impl NatsJournal {
    pub(super) async fn deliver_from(
        &self,
        source: &Source,
    ) -> Result<BoxStream<'static, Result<Delivery, ReadError>>, ReadError> {
        let fault = |e: &dyn std::fmt::Display| fault(source, e);
        let stream = self.jetstream.get_stream_no_info(&*source.stream).await;
        let stream = stream.map_err(|e| fault(&e))?;
        let replaced = self.replaced();
        // Made, or brought to these settings.
        let consumer = stream.create_consumer(settings(source)).await.map_err(|e| fault(&e))?;
        let pull = Pull::open(self, source).await?;
        if is_abandoned(consumer.cached_info()) {
            pull.rewind().await?;
        }
        let deliveries = try_unfold(pull, |mut pull| async move {
            let Given { entry, reply } = pull.next().await?;
            let receipt = JetStreamReceipt { client: pull.client().clone(), reply };
            Ok(Some((Delivery { entry, receipt: Box::new(receipt) }, pull)))
        });
        Ok(deliveries.take_until(replaced).boxed())
    }

    /// Gives the pin back, if we have it.
    pub(super) async fn unpin(&self, source: &Source) {
        if !self.pins.forget(source) {
            return;
        }
        let verb = format!("CONSUMER.UNPIN.{}.{}", source.stream, source.follower);
        let unpinned: Result<Option<Done>, _> = self.api(&verb, &json!({"group": PIN_GROUP})).await;
        if let Err(error) = unpinned {
            debug!(follower = %source.follower, %error, "the pin is left to expire");
        }
    }
}

fn settings(source: &Source) -> pull::Config {
    pull::Config {
        durable_name: Some(source.follower.to_string()),
        filter_subject: source.filter.as_deref().unwrap_or_default().to_owned(),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: FOLLOWER_PENDING_MAX,
        // Giving up is the follower's own decision, never the server's.
        max_deliver: -1,
        priority_policy: PriorityPolicy::PinnedClient,
        priority_groups: vec![PIN_GROUP.to_owned()],
        priority_timeout: PIN_TTL,
        ..pull::Config::default()
    }
}

/// Whether nobody is pinned though somebody was given what is not acknowledged. The server would
/// only deliver it again when [`ACK_WAIT`] is over.
pub(super) fn is_abandoned(info: &Info) -> bool {
    let is_pinned = info.priority_groups.iter().any(|group| group.pinned_client_id.is_some());
    info.num_ack_pending > 0 && !is_pinned
}

pub(super) fn fault(source: &Source, error: &dyn std::fmt::Display) -> ReadError {
    ReadError(format!("{}/{}: {error}", source.stream, source.follower))
}

/// Where to acknowledge: the message itself may be long gone from memory.
struct JetStreamReceipt {
    client: async_nats::Client,
    reply: async_nats::Subject,
}

impl JetStreamReceipt {
    async fn tell(&self, kind: AckKind) {
        // A lost acknowledgement only means one more delivery, whose commands have the same
        // keys.
        if let Err(error) = self.client.publish(self.reply.clone(), kind.into()).await {
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
