//! The network as core NATS is it.

use std::{sync::Arc, time::Duration};

use async_nats::{
    Client, ConnectOptions, HeaderMap, RequestErrorKind, Subscriber, message::OutboundMessage,
};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::{sync::watch, time::timeout};
use tracing::{debug, info, warn};

use super::{Message, Network, NoReply, Reply, Subscription, outbox::Outbox, requests::Requests};
use crate::{
    journal::BoxFuture,
    limits::{FLUSH_TIMEOUT, REQUEST_BYTES_PLAIN},
    wire::error::Error,
};

/// The connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct NatsNetwork {
    client: Client,
    outbox: Outbox,
    requests: Requests,
    connections: watch::Receiver<u64>,
}

impl NatsNetwork {
    pub(crate) async fn connect(url: &str) -> Result<Self, Error> {
        let (count, mut connections) = watch::channel(0_u64);
        let options = ConnectOptions::new()
            .name("callboard")
            // A client that gives up for seconds turns a short outage into a long one.
            .reconnect_delay_callback(|attempts| {
                Duration::from_millis((20 << attempts.min(4)).min(250))
            })
            .event_callback(move |event| {
                if matches!(event, async_nats::Event::Connected) {
                    count.send_modify(|count| *count += 1);
                }
                async move { log_event(&event) }
            });
        let client = options.connect(url).await.map_err(|source| Error::Connect {
            url: without_credentials(url),
            source: source.into(),
        })?;
        // The event comes a moment later. Who follows at once must not take it for another
        // connection; and if it never comes, following begins anew once, and that is all.
        drop(timeout(FLUSH_TIMEOUT, connections.wait_for(|count| *count > 0)).await);
        let outbox = Outbox::of(client.clone());
        let requests = Requests::of(&client, outbox.clone()).await?;
        Ok(Self { client, outbox, requests, connections })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

impl Network for NatsNetwork {
    fn request<'a>(
        &'a self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
        budget: Duration,
    ) -> BoxFuture<'a, Result<Reply, NoReply>> {
        if body.len() <= REQUEST_BYTES_PLAIN {
            return Box::pin(self.requests.ask(subject, headers, body, budget));
        }
        Box::pin(async move {
            let request =
                async_nats::Request::new().headers(headers).payload(body).timeout(Some(budget));
            // The limit is ours as well: while disconnected, handing it over can block.
            match timeout(budget, self.client.send_request(subject, request)).await {
                Ok(Ok(message)) => Ok(Reply { headers: message.headers, body: message.payload }),
                Ok(Err(error)) => Err(match error.kind() {
                    RequestErrorKind::NoResponders => NoReply::NobodyThere,
                    RequestErrorKind::MaxPayloadExceeded => NoReply::TooLarge,
                    RequestErrorKind::InvalidSubject => NoReply::NotSent,
                    _ => NoReply::TimedOut,
                }),
                Err(_) => Err(NoReply::TimedOut),
            }
        })
    }

    fn publish<'a>(&'a self, message: Message) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let Message { subject, reply, headers, body } = message;
            let message = OutboundMessage {
                subject: (&*subject).into(),
                reply: reply.map(|reply| (&*reply).into()),
                headers,
                payload: body,
            };
            let closed = || Error::Journal("the connection is closed".to_owned());
            self.outbox.put(message).await.then_some(()).ok_or_else(closed)
        })
    }

    fn subscribe<'a>(
        &'a self,
        subject: String,
        queue: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Box<dyn Subscription>, Error>> {
        Box::pin(async move {
            let subscribed = match queue {
                Some(queue) => self.client.queue_subscribe(subject.clone(), queue.to_owned()).await,
                None => self.client.subscribe(subject.clone()).await,
            };
            let subscriber = subscribed
                .map_err(|e| Error::Journal(format!("cannot subscribe to {subject}: {e}")))?;
            Ok(Box::new(NatsSubscription { subscriber, received: 0 }) as Box<dyn Subscription>)
        })
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let flushing = async {
                self.outbox.emptied().await;
                self.client.flush().await
            };
            // Without a connection it would wait for one.
            match timeout(FLUSH_TIMEOUT, flushing).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!(%error, "could not flush the connection"),
                Err(_) => warn!("what was written last may not have left"),
            }
        })
    }

    fn connections(&self) -> watch::Receiver<u64> {
        self.connections.clone()
    }
}

#[derive(Debug)]
struct NatsSubscription {
    subscriber: Subscriber,
    received: u64,
}

impl Subscription for NatsSubscription {
    fn next(&mut self) -> BoxFuture<'_, Option<Message>> {
        Box::pin(async move {
            let message = self.subscriber.next().await?;
            self.received += 1;
            Some(Message {
                subject: Arc::from(message.subject.as_str()),
                reply: message.reply.map(|reply| Arc::from(reply.as_str())),
                headers: message.headers,
                body: message.payload,
            })
        })
    }

    fn end_after(&mut self, more: u64) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let ended = self.subscriber.unsubscribe_after(self.received + more).await;
            ended.map_err(|e| Error::Journal(format!("cannot unsubscribe: {e}")))
        })
    }
}

fn log_event(event: &async_nats::Event) {
    use async_nats::Event;
    match event {
        Event::Connected => debug!("connected to NATS"),
        Event::Disconnected => warn!("lost the connection to NATS; reconnecting"),
        Event::SlowConsumer(_) => {
            warn!("requests came faster than they were taken, some were dropped");
        }
        Event::ServerError(error) => warn!(%error, "NATS reported an error"),
        Event::ClientError(error) => warn!(%error, "the NATS client reported an error"),
        Event::Closed | Event::Draining => debug!("the connection is closed"),
        other => info!(event = %other, "NATS"),
    }
}

/// A URL may hold a password; an error message may not.
fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            format!("{scheme}://{host}")
        }
        None => url.rsplit_once('@').map_or(url, |(_, host)| host).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(without_credentials("nats://u:p@host:4222"), "nats://host:4222");
        assert_eq!(without_credentials("nats://host"), "nats://host");
        assert_eq!(without_credentials("token@host"), "host");
    }
}
