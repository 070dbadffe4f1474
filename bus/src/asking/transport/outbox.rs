//! What leaves together is written together.
//!
//! A client writes what it has as soon as it has it: a hundred replies that become ready at the
//! same moment would be a hundred small writes, each of which costs more than the message. So
//! what is to leave is gathered until everybody who is ready to run has run, and then handed over
//! in one go. A message that comes alone, with none before it for a while, takes no detour.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, client::traits::Publisher, message::OutboundMessage};
use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
    time::Instant,
};
use tracing::warn;

use crate::limits::{OUTBOX_BURST, OUTBOX_MAX};

/// A message with none this long before it comes alone.
const ALONE: Duration = Duration::from_micros(50);

/// After so many that came alone the next one surely does, and is not the first of a burst.
const ALONE_MIN: u32 = 3;

/// The way out for messages nobody waits for.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    client: Client,
    sender: mpsc::Sender<Outgoing>,
    traffic: Arc<Traffic>,
}

/// What was put lately.
#[derive(Debug)]
struct Traffic {
    began: Instant,
    /// When the last message was put, in microseconds since then.
    last: AtomicU64,
    /// How many came alone since the last one that did not.
    alone: AtomicU32,
    /// Messages on their way to the client.
    waiting: AtomicUsize,
}

impl Traffic {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            last: AtomicU64::new(0),
            alone: AtomicU32::new(0),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Whether a message that is put now comes alone, as those before it, and overtakes nobody.
    fn is_quiet(&self) -> bool {
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let since = now.saturating_sub(self.last.swap(now, Ordering::Relaxed));
        if Duration::from_micros(since) <= ALONE {
            self.alone.store(0, Ordering::Relaxed);
            return false;
        }
        let alone = self.alone.fetch_add(1, Ordering::Relaxed);
        alone >= ALONE_MIN && self.waiting.load(Ordering::Acquire) == 0
    }
}

#[derive(Debug)]
enum Outgoing {
    Message(OutboundMessage),
    /// Tells when all before it was handed over.
    Mark(oneshot::Sender<()>),
}

impl Outbox {
    pub(super) fn of(client: Client) -> Self {
        let (sender, receiver) = mpsc::channel(OUTBOX_MAX);
        let traffic = Arc::new(Traffic::new());
        tokio::spawn(hand_over(client.clone(), receiver, traffic.clone()));
        Self { client, sender, traffic }
    }

    /// Takes the message; waits while too many are on their way. Says whether it will be sent.
    pub(super) async fn put(&self, message: OutboundMessage) -> bool {
        if self.traffic.is_quiet() {
            publish(&self.client, message).await;
            return true;
        }
        let Ok(place) = self.sender.reserve().await else { return false };
        // Counted only now: whoever is dropped while it waits must not count for ever.
        self.traffic.waiting.fetch_add(1, Ordering::AcqRel);
        place.send(Outgoing::Message(message));
        true
    }

    /// Waits until all that was put so far is with the client.
    pub(super) async fn emptied(&self) {
        let (tell, told) = oneshot::channel();
        if self.sender.send(Outgoing::Mark(tell)).await.is_ok() {
            // If nobody tells, there is nobody left who could send.
            let _ = told.await;
        }
    }
}

async fn hand_over(client: Client, mut receiver: mpsc::Receiver<Outgoing>, traffic: Arc<Traffic>) {
    let mut burst = Vec::with_capacity(OUTBOX_BURST);
    while receiver.recv_many(&mut burst, 1).await > 0 {
        yield_now().await;
        while burst.len() < OUTBOX_BURST
            && let Ok(next) = receiver.try_recv()
        {
            burst.push(next);
        }
        for outgoing in burst.drain(..) {
            match outgoing {
                Outgoing::Message(message) => {
                    publish(&client, message).await;
                    traffic.waiting.fetch_sub(1, Ordering::AcqRel);
                }
                // Who asked may be gone.
                Outgoing::Mark(tell) => drop(tell.send(())),
            }
        }
    }
}

async fn publish(client: &Client, message: OutboundMessage) {
    let subject = message.subject.clone();
    if let Err(error) = client.publish_message(message).await {
        // Who waits for it asks again with the same key.
        warn!(%error, %subject, "a message could not be sent");
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_surely_comes_alone_takes_no_detour() {
        let traffic = Traffic::new();
        for before in 0..10 {
            advance(ALONE * 2).await;
            assert_eq!(traffic.is_quiet(), before >= ALONE_MIN, "after {before}");
        }
        // Bursts of two: the first of the next one is not alone.
        assert!(!traffic.is_quiet());
        for _ in 0..10 {
            advance(ALONE * 2).await;
            assert!(!traffic.is_quiet() && !traffic.is_quiet());
        }
        for _ in 0..ALONE_MIN + 1 {
            advance(ALONE * 2).await;
            traffic.is_quiet();
        }
        traffic.waiting.store(1, Ordering::Relaxed);
        advance(ALONE * 2).await;
        assert!(!traffic.is_quiet(), "it would overtake one that waits");
    }
}
