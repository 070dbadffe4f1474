//! Core NATS: requests out, requests in, and a way to stop that loses none.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, HeaderMap, RequestErrorKind, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tracing::{debug, info, warn};

use crate::{
    error::Error,
    limits::{DRAIN_REQUESTS, DRAIN_SILENCE, DRAIN_STEP, FLUSH_TIMEOUT},
};

/// The connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    client: Client,
    connections: watch::Receiver<u64>,
}

/// A request that came in.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) subject: async_nats::Subject,
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) body: Bytes,
    reply: Option<async_nats::Subject>,
    client: Client,
}

/// Why a request brought no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoReply {
    /// Nobody serves the subject: nothing was carried out.
    NobodyThere,
    /// It may have been carried out.
    TimedOut,
    /// It was never sent: it is larger than the server allows.
    TooLarge,
    /// It was never sent, for another reason.
    NotSent,
}

impl Transport {
    pub(crate) async fn connect(url: &str) -> Result<Self, Error> {
        let (count, connections) = watch::channel(0_u64);
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
        Ok(Self { client, connections })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Changes whenever a connection is made: what was under way on the last one is gone.
    pub(crate) fn connections(&self) -> watch::Receiver<u64> {
        self.connections.clone()
    }

    pub(crate) async fn request(
        &self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
        budget: Duration,
    ) -> Result<async_nats::Message, NoReply> {
        let request =
            async_nats::Request::new().headers(headers).payload(body).timeout(Some(budget));
        // The limit is ours as well: while disconnected, handing the request over can block.
        let reply = timeout(budget, self.client.send_request(subject, request)).await;
        match reply {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(error)) => Err(match error.kind() {
                RequestErrorKind::NoResponders => NoReply::NobodyThere,
                RequestErrorKind::MaxPayloadExceeded => NoReply::TooLarge,
                RequestErrorKind::InvalidSubject => NoReply::NotSent,
                _ => NoReply::TimedOut,
            }),
            Err(_) => Err(NoReply::TimedOut),
        }
    }

    /// Takes requests on `subject`, shared with everyone in the same queue group.
    pub(crate) async fn serve(&self, subject: String, queue: &str) -> Result<Inbox, Error> {
        let served = self.client.queue_subscribe(subject.clone(), queue.to_owned()).await;
        let subscriber =
            served.map_err(|e| Error::Journal(format!("cannot subscribe to {subject}: {e}")))?;
        Ok(Inbox { subscriber, client: self.client.clone(), received: 0 })
    }

    /// Sends what is still on its way out.
    pub(crate) async fn flush(&self) {
        // Without a connection it would wait for one.
        match timeout(FLUSH_TIMEOUT, self.client.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "could not flush the connection"),
            Err(_) => warn!("what was written last may not have left"),
        }
    }
}

impl Inbound {
    /// Answers the request, if its sender waits for an answer.
    pub(crate) async fn answer(self, headers: HeaderMap, body: Vec<u8>) {
        let Some(reply) = self.reply else { return };
        if let Err(error) = self.client.publish_with_headers(reply, headers, body.into()).await {
            // The sender asks again with the same key, and is then told what was done.
            warn!(%error, subject = %self.subject, "a reply could not be sent");
        }
    }
}

/// The requests of one subscription.
#[derive(Debug)]
pub(crate) struct Inbox {
    subscriber: Subscriber,
    client: Client,
    received: u64,
}

impl Inbox {
    pub(crate) async fn next(&mut self) -> Option<Inbound> {
        let message = self.subscriber.next().await?;
        self.received += 1;
        Some(Inbound {
            subject: message.subject,
            headers: message.headers,
            body: message.payload,
            reply: message.reply,
            client: self.client.clone(),
        })
    }

    /// Hands the last requests to `take`, and ends the subscription.
    ///
    /// The client's own drain forgets what the server has already sent. Instead the server is
    /// told to stop after more requests than can be on their way, and those are served. Where
    /// they come slower, fewer are on their way, and it is told to stop sooner.
    pub(crate) async fn drain(mut self, mut take: impl FnMut(Inbound)) {
        for more in DRAIN_REQUESTS {
            if let Err(error) = self.subscriber.unsubscribe_after(self.received + more).await {
                warn!(%error, "could not unsubscribe");
                return;
            }
            let deadline = Instant::now() + DRAIN_STEP;
            while Instant::now() < deadline {
                match timeout(DRAIN_SILENCE, self.next()).await {
                    Ok(Some(inbound)) => take(inbound),
                    Ok(None) | Err(_) => return,
                }
            }
        }
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
