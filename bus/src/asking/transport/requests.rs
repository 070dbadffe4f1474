//! Requests that wait for their replies: one subscription for all, and a place for each.
//!
//! As the client's own way of asking, but through the [`Outbox`], and with one clock a request.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, HeaderMap, Message, StatusCode, Subscriber, message::OutboundMessage};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::{sync::oneshot, time::timeout};

use super::{NoReply, Reply, outbox::Outbox};
use crate::wire::{error::Error, subject};

/// All requests of one connection.
#[derive(Debug, Clone)]
pub(super) struct Requests {
    outbox: Outbox,
    inbox: Arc<str>,
    numbers: Arc<AtomicU64>,
    waiting: Arc<Waiting>,
}

/// Who waits, by the number of the request.
#[derive(Debug, Default)]
struct Waiting(Mutex<HashMap<u64, oneshot::Sender<Message>>>);

impl Waiting {
    fn all(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Message>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Requests {
    pub(super) async fn of(client: &Client, outbox: Outbox) -> Result<Self, Error> {
        let inbox: Arc<str> = client.new_inbox().into();
        let replies = client.subscribe(subject::replies(&inbox)).await;
        let replies = replies.map_err(|e| Error::Journal(format!("cannot take replies: {e}")))?;
        let waiting = Arc::new(Waiting::default());
        tokio::spawn(hand_out(replies, waiting.clone()));
        Ok(Self { outbox, inbox, numbers: Arc::default(), waiting })
    }

    /// Asks, and waits for one reply.
    pub(super) async fn ask(
        &self,
        to: String,
        headers: HeaderMap,
        body: Bytes,
        budget: Duration,
    ) -> Result<Reply, NoReply> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        self.waiting.all().insert(number, tell);
        let _place = Place { waiting: &self.waiting, number };
        let message = OutboundMessage {
            subject: to.into(),
            reply: Some(subject::reply(&self.inbox, number).into()),
            headers: Some(headers),
            payload: body,
        };
        let asking = async {
            if !self.outbox.put(message).await {
                return Err(NoReply::NotSent);
            }
            told.await.map_err(|_| NoReply::TimedOut)
        };
        let message = timeout(budget, asking).await.map_err(|_| NoReply::TimedOut)??;
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(NoReply::NobodyThere);
        }
        Ok(Reply { headers: message.headers, body: message.payload })
    }
}

/// Whoever goes away gives the place back.
struct Place<'a> {
    waiting: &'a Waiting,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.all().remove(&self.number);
    }
}

async fn hand_out(mut replies: Subscriber, waiting: Arc<Waiting>) {
    while let Some(reply) = replies.next().await {
        let number = subject::parse_reply(&reply.subject);
        let waits = number.and_then(|number| waiting.all().remove(&number));
        if let Some(tell) = waits {
            // It may just have given up.
            drop(tell.send(reply));
        }
    }
}
