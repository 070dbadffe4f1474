//! What leaves together is written together.
//!
//! A client writes what it has as soon as it has it: a hundred replies that become ready at the
//! same moment would be a hundred small writes, each of which costs more than the message. So
//! what is to leave is gathered until everybody who is ready to run has run, and then handed over
//! in one go. With nothing else to do that is at once.

use async_nats::{Client, client::traits::Publisher, message::OutboundMessage};
use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
};
use tracing::warn;

use crate::limits::{OUTBOX_BURST, OUTBOX_MAX};

/// The way out for messages nobody waits for.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    sender: mpsc::Sender<Outgoing>,
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
        tokio::spawn(hand_over(client, receiver));
        Self { sender }
    }

    /// Takes the message; waits while too many are on their way. Says whether it will be sent.
    pub(super) async fn put(&self, message: OutboundMessage) -> bool {
        self.sender.send(Outgoing::Message(message)).await.is_ok()
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

async fn hand_over(client: Client, mut receiver: mpsc::Receiver<Outgoing>) {
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
                    let subject = message.subject.clone();
                    if let Err(error) = client.publish_message(message).await {
                        // Who waits for it asks again with the same key.
                        warn!(%error, %subject, "a message could not be sent");
                    }
                }
                // Who asked may be gone.
                Outgoing::Mark(tell) => drop(tell.send(())),
            }
        }
    }
}
