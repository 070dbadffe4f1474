//! Messages that pass and are not kept: requests out, requests in, and a way to stop that
//! loses none.

pub(crate) mod nats;
mod outbox;
mod requests;

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_nats::HeaderMap;
use bytes::Bytes;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tracing::warn;

use crate::{
    journal::BoxFuture,
    limits::{DRAIN_REQUESTS, DRAIN_SILENCE, DRAIN_STEP},
    wire::error::Error,
};

/// One node's connection to everybody else.
pub(crate) trait Network: Debug + Send + Sync + 'static {
    /// Sends a request and waits for one reply, at most `budget`.
    fn request<'a>(
        &'a self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
        budget: Duration,
    ) -> BoxFuture<'a, Result<Reply, NoReply>>;

    /// Sends a message on, without waiting for what comes of it.
    fn publish<'a>(&'a self, message: Message) -> BoxFuture<'a, Result<(), Error>>;

    /// Takes what is sent to `subject` (wildcards allowed): all of it, or, with a queue, what
    /// falls to us among those who share it.
    fn subscribe<'a>(
        &'a self,
        subject: String,
        queue: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Box<dyn Subscription>, Error>>;

    /// Sends what is still on its way out.
    fn flush(&self) -> BoxFuture<'_, ()>;

    /// Changes whenever a connection is made: what was under way on the last one is gone.
    fn connections(&self) -> watch::Receiver<u64>;
}

/// What is sent to one subject.
pub(crate) trait Subscription: Debug + Send {
    /// The next message; `None` when there will be none any more.
    fn next(&mut self) -> BoxFuture<'_, Option<Message>>;

    /// Has the server end the subscription once `more` messages than so far were delivered.
    fn end_after(&mut self, more: u64) -> BoxFuture<'_, Result<(), Error>>;
}

/// A message as it travels.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) subject: Arc<str>,
    /// Where its sender waits for a reply, if it does.
    pub(crate) reply: Option<Arc<str>>,
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) body: Bytes,
}

/// What a request brought.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) body: Bytes,
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

/// A request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Inbound {
    pub(crate) message: Message,
    network: Arc<dyn Network>,
}

impl Inbound {
    pub(crate) fn new(message: Message, network: Arc<dyn Network>) -> Self {
        Self { message, network }
    }

    /// Answers the request, if its sender waits for an answer.
    pub(crate) async fn answer(self, headers: HeaderMap, body: Vec<u8>) {
        let Some(reply) = self.message.reply else { return };
        let answer =
            Message { subject: reply, reply: None, headers: Some(headers), body: body.into() };
        if let Err(error) = self.network.publish(answer).await {
            // The sender asks again with the same key, and is then told what was done.
            warn!(%error, subject = %self.message.subject, "a reply could not be sent");
        }
    }
}

/// The requests of one subscription.
#[derive(Debug)]
pub(crate) struct Inbox {
    subscription: Box<dyn Subscription>,
    network: Arc<dyn Network>,
}

impl Inbox {
    /// Takes requests on `subject`; with a queue, shared with everyone in it.
    pub(crate) async fn open(
        network: &Arc<dyn Network>,
        subject: String,
        queue: Option<&str>,
    ) -> Result<Self, Error> {
        let subscription = network.subscribe(subject, queue).await?;
        Ok(Self { subscription, network: network.clone() })
    }

    pub(crate) async fn next(&mut self) -> Option<Inbound> {
        let message = self.subscription.next().await?;
        Some(Inbound::new(message, self.network.clone()))
    }

    /// Hands the last requests to `take`, and ends the subscription.
    ///
    /// A plain end would forget what the server has already sent. Instead the server is told to
    /// stop after more requests than can be on their way, and those are served. Where they come
    /// slower, fewer are on their way, and it is told to stop sooner.
    pub(crate) async fn drain(mut self, mut take: impl FnMut(Inbound)) {
        for more in DRAIN_REQUESTS {
            if let Err(error) = self.subscription.end_after(more).await {
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
