//! Cells on JetStream: the streams and messages that key-value buckets are made of, so that
//! `nats kv` and every client's key-value interface read them.

use std::time::Duration;

use async_nats::{
    HeaderMap, Message, header,
    jetstream::consumer::{DeliverPolicy, ReplayPolicy, pull::OrderedConfig},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};

use super::{AppendError, BoxFuture, NatsJournal, ReadError, streams};
use crate::{
    journal::{
        Cells,
        cells::{Cell, Change},
    },
    limits::APPEND_TIMEOUT,
    wire::error::Error,
};

/// What was done to a key; absent from a message that puts a value.
const OPERATION: &str = "KV-Operation";
/// Set by the server on the message that stands for one whose time is over.
const MARKER: &str = "Nats-Marker-Reason";

impl Cells for NatsJournal {
    fn provision_bucket<'a>(&'a self, bucket: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.provision_stream(streams::bucket_stream(bucket, self.replicas)))
    }

    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        value: Bytes,
        time_to_live: Option<Duration>,
    ) -> BoxFuture<'a, Result<(), AppendError>> {
        Box::pin(async move {
            let mut headers = HeaderMap::new();
            if let Some(span) = time_to_live {
                headers.insert(header::NATS_MESSAGE_TTL, format!("{}s", span.as_secs().max(1)));
            }
            self.publish(cell_subject(bucket, key), headers, value).await?;
            Ok(())
        })
    }

    fn get<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<Bytes>, ReadError>> {
        Box::pin(async move {
            let api = format!("$JS.API.DIRECT.GET.KV_{bucket}.{}", cell_subject(bucket, key));
            let request = async_nats::Request::new().timeout(Some(APPEND_TIMEOUT));
            let answer = self.client.send_request(api, request).await;
            let message = answer.map_err(|e| ReadError(format!("{bucket}: {e}")))?;
            match message.status.map(|status| status.as_u16()) {
                None | Some(200) if is_value(&message) => Ok(Some(message.payload)),
                None | Some(200 | 404) => Ok(None),
                Some(status) => Err(ReadError(format!("{bucket}: read answered {status}"))),
            }
        })
    }

    fn take_away<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<(), AppendError>> {
        Box::pin(async move {
            let mut headers = HeaderMap::new();
            headers.insert(OPERATION, "PURGE");
            headers.insert(header::NATS_ROLLUP, "sub");
            // Even that it is gone need not be known for ever.
            headers.insert(header::NATS_MESSAGE_TTL, "60s");
            self.publish(cell_subject(bucket, key), headers, Bytes::new()).await?;
            Ok(())
        })
    }

    fn watch<'a>(
        &'a self,
        bucket: &'a str,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Change, ReadError>>, ReadError>> {
        Box::pin(self.watch_bucket(bucket))
    }
}

impl NatsJournal {
    async fn watch_bucket(
        &self,
        bucket: &str,
    ) -> Result<BoxStream<'static, Result<Change, ReadError>>, ReadError> {
        let name = bucket.to_owned();
        let fault = move |e: &dyn std::fmt::Display| ReadError(format!("{name}: {e}"));
        let config = OrderedConfig {
            // Without a filter the server refuses to send the last of each subject.
            filter_subject: cell_subject(bucket, ">"),
            deliver_policy: DeliverPolicy::LastPerSubject,
            replay_policy: ReplayPolicy::Instant,
            ..OrderedConfig::default()
        };
        let replaced = self.replaced();
        let stream = format!("KV_{bucket}");
        let handle = self.jetstream.get_stream_no_info(&stream).await.map_err(|e| fault(&e))?;
        let mut consumer = handle.create_consumer(config).await.map_err(|e| fault(&e))?;
        let mut is_told = consumer.info().await.map_err(|e| fault(&e))?.num_pending == 0;
        let messages = consumer.messages().await.map_err(|e| fault(&e))?;
        let prefix = cell_subject(bucket, "");
        let told_at_once = stream::iter(is_told.then_some(Ok(Change::Told)));
        let changes = messages.take_until(replaced).flat_map(move |message| {
            let change = match &message {
                Err(error) => Err(fault(&error)),
                Ok(message) => Ok(change(&prefix, message)),
            };
            let has_more = message.is_ok_and(|m| m.info().is_ok_and(|info| info.pending > 0));
            let is_last = !is_told && change.is_ok() && !has_more;
            is_told |= is_last;
            stream::iter([Some(change), is_last.then_some(Ok(Change::Told))].into_iter().flatten())
        });
        Ok(told_at_once.chain(changes).boxed())
    }
}

fn cell_subject(bucket: &str, key: &str) -> String {
    format!("$KV.{bucket}.{key}")
}

fn is_value(message: &Message) -> bool {
    message
        .headers
        .as_ref()
        .is_none_or(|headers| headers.get(OPERATION).is_none() && headers.get(MARKER).is_none())
}

fn change(prefix: &str, message: &Message) -> Change {
    let key = message.subject.strip_prefix(prefix).unwrap_or(&message.subject).to_owned();
    if is_value(message) {
        Change::Put(Cell { key, value: message.payload.clone() })
    } else {
        Change::Gone(key)
    }
}
