//! The network in memory: as core NATS is it.

use std::{sync::Arc, time::Duration};

use async_nats::HeaderMap;
use bytes::Bytes;
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep, timeout_at},
};

use super::{
    connection::{Connection, fits},
    switchboard::Subscribed,
};
use crate::{
    asking::transport::{Message, Network, NoReply, Reply, Subscription},
    journal::BoxFuture,
    limits::FLUSH_TIMEOUT,
    wire::{error::Error, subject},
};

impl Connection {
    async fn ask(&self, message: Message, budget: Duration) -> Result<Reply, NoReply> {
        let deadline = Instant::now() + budget;
        if !fits(message.headers.as_ref(), &message.body) {
            return Err(NoReply::TooLarge);
        }
        self.link.running().await;
        if !self.link.connected(deadline).await {
            return Err(NoReply::TimedOut);
        }
        let count = self.link.count();
        let is_lost = self.loses_request();
        let answered = if is_lost { None } else { self.answer_to(message, deadline).await? };
        self.link.running().await;
        match answered {
            Some(reply) if self.link.count() == count => Ok(reply),
            _ => {
                self.silence(deadline).await;
                Err(NoReply::TimedOut)
            }
        }
    }

    async fn answer_to(
        &self,
        mut message: Message,
        deadline: Instant,
    ) -> Result<Option<Reply>, NoReply> {
        let (answered, answer) = oneshot::channel();
        let number = {
            let mut state = self.world.lock();
            let number = state.number();
            state.switchboard.open_reply_box(number, self.link.number, answered);
            number
        };
        let open = ReplyBoxGuard { connection: self, number };
        message.reply = Some(subject::reply_box(number).into());
        let there = self.world.lock().delay();
        if !there.is_zero() {
            sleep(there).await;
        }
        let is_anybody_there = self.world.lock().route(&message);
        if !is_anybody_there {
            let back = self.world.lock().delay();
            if !back.is_zero() {
                sleep(back).await;
            }
            self.link.running().await;
            return Err(NoReply::NobodyThere);
        }
        let answer = timeout_at(deadline, answer).await;
        drop(open);
        Ok(answer.ok().and_then(Result::ok))
    }
}

/// Nobody waits for the reply any more, however that came.
struct ReplyBoxGuard<'a> {
    connection: &'a Connection,
    number: u64,
}

impl Drop for ReplyBoxGuard<'_> {
    fn drop(&mut self) {
        self.connection.world.lock().switchboard.close_reply_box(self.number);
    }
}

impl Network for Connection {
    fn request<'a>(
        &'a self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
        budget: Duration,
    ) -> BoxFuture<'a, Result<Reply, NoReply>> {
        let subject = subject.into();
        let message = Message { subject, reply: None, headers: Some(headers), body };
        Box::pin(self.ask(message, budget))
    }

    fn publish<'a>(&'a self, message: Message) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            if !fits(message.headers.as_ref(), &message.body) {
                return Err(Error::Journal("cannot publish: it is too large".to_owned()));
            }
            self.link.running().await;
            // A request that is sent on can be lost as any other.
            if message.reply.is_some() && self.loses_request() {
                return Ok(());
            }
            let mut state = self.world.lock();
            if self.link.condition().cut_until.is_some() {
                // As a client does: sent once there is a connection again.
                state.hold_back(self.link.number, move |state| {
                    state.route(&message);
                });
            } else {
                state.route(&message);
            }
            Ok(())
        })
    }

    fn subscribe<'a>(
        &'a self,
        subject: String,
        queue: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Box<dyn Subscription>, Error>> {
        let queue = queue.map(Into::into);
        Box::pin(async move {
            self.link.running().await;
            let mut state = self.world.lock();
            let number = state.number();
            let subscribed = Subscribed::new(self.link.number, subject, queue);
            let wake = subscribed.wake.clone();
            state.switchboard.open(number, subscribed);
            let subscription = MemorySubscription { connection: self.clone(), number, wake };
            Ok(Box::new(subscription) as Box<dyn Subscription>)
        })
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.link.running().await;
            self.link.connected(Instant::now() + FLUSH_TIMEOUT).await;
        })
    }

    fn connections(&self) -> watch::Receiver<u64> {
        self.link.connections.subscribe()
    }
}

#[derive(Debug)]
struct MemorySubscription {
    connection: Connection,
    number: u64,
    wake: Arc<tokio::sync::Notify>,
}

impl Subscription for MemorySubscription {
    fn next(&mut self) -> BoxFuture<'_, Option<Message>> {
        let Self { connection: Connection { world, link }, number, wake } = self;
        Box::pin(async move {
            loop {
                link.running().await;
                {
                    let mut state = world.lock();
                    let subscribed = state.switchboard.get(*number)?;
                    if let Some(message) = subscribed.waiting.pop_front() {
                        subscribed.taken += 1;
                        return Some(message);
                    }
                    // What is under way still comes.
                    if subscribed.has_ended() && subscribed.taken == subscribed.sent {
                        return None;
                    }
                }
                wake.notified().await;
            }
        })
    }

    fn end_after(&mut self, more: u64) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let Connection { world, link } = &self.connection;
            link.running().await;
            if let Some(subscribed) = world.lock().switchboard.get(self.number) {
                subscribed.ends_after = Some(subscribed.taken + more);
                subscribed.wake.notify_one();
            }
            Ok(())
        })
    }
}

impl Drop for MemorySubscription {
    fn drop(&mut self) {
        self.connection.world.lock().switchboard.close(self.number);
    }
}
