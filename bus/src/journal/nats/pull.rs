//! Asking for deliveries: standing by, becoming the one that is pinned, and staying it.
//!
//! Standing by we ask for one message at a time and without a pin. Is one given to us, we are
//! pinned, and it is put back: nothing else can be on its way to us then, so the consumer is
//! rewound and what comes next is counted from one, without a gap. A gap, a pin that was lost,
//! and a process that was paused for longer than its pin lives all end the deliveries; whoever
//! follows asks again and is pinned again, or stands by.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_nats::{
    Client, Message, StatusCode, Subject, Subscriber,
    header::NATS_PIN_ID,
    jetstream::{self, consumer::Info},
};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout};
use tracing::{debug, info};

use super::{
    Entry, NatsJournal, ReadError, Source,
    deliver::{fault, is_abandoned},
    post::without_servers,
};
use crate::{
    limits::{PIN_TTL, PULL_BATCH, PULL_EXPIRES, READ_TIMEOUT},
    wire::subject,
};

/// A consumer has one group of clients, of which one is pinned.
pub(super) const PIN_GROUP: &str = "one";

/// How much longer than a request lives its end may take to be told.
const GRACE: Duration = Duration::from_secs(2);

/// The pins we hold, by stream and follower: they outlive a stream of deliveries, so that after
/// a gap or a new connection the same client is pinned and nobody waits for its pin to expire.
#[derive(Debug, Default)]
pub(super) struct Pins(Mutex<BTreeMap<(String, String), String>>);

impl Pins {
    fn of(&self, source: &Source) -> Option<String> {
        self.lock().get(&key(source)).cloned()
    }

    fn hold(&self, source: &Source, pin: &str) {
        self.lock().insert(key(source), pin.to_owned());
    }

    /// Says whether there was one.
    pub(super) fn forget(&self, source: &Source) -> bool {
        self.lock().remove(&key(source)).is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(source: &Source) -> (String, String) {
    (source.stream.to_string(), source.follower.to_string())
}

/// One message that was given to us, and where it is acknowledged.
pub(super) struct Given {
    pub(super) entry: Entry,
    pub(super) reply: Subject,
}

/// What the server said to a request.
enum Heard {
    Message(Message),
    /// This many messages of a request will not come any more.
    Ended(usize),
    /// Somebody else is pinned, or nobody.
    NotPinned,
    /// Nothing at all: the request, or its end, was lost.
    Silence,
}

/// A client of one consumer.
pub(super) struct Pull {
    jetstream: jetstream::Context,
    client: Client,
    pins: std::sync::Arc<Pins>,
    source: Source,
    inbox: String,
    answers: Subscriber,
    /// Deliveries counted since we were pinned and rewound; none while standing by.
    counted: Option<u64>,
    /// Messages asked for that may still come.
    awaited: usize,
    asked_at: Instant,
}

#[derive(Deserialize)]
struct Rewound {}

impl Pull {
    pub(super) async fn open(journal: &NatsJournal, source: &Source) -> Result<Self, ReadError> {
        let client = journal.client.clone();
        let inbox = client.new_inbox();
        let answers = client.subscribe(inbox.clone()).await.map_err(|e| fault(source, &e))?;
        Ok(Self {
            jetstream: journal.jetstream.clone(),
            client,
            pins: journal.pins.clone(),
            source: source.clone(),
            inbox,
            answers,
            counted: None,
            awaited: 0,
            asked_at: Instant::now(),
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The next message, once we are the one that is pinned. Has to be asked for without long
    /// pauses, or the pin is lost.
    pub(super) async fn next(&mut self) -> Result<Given, ReadError> {
        loop {
            match self.counted {
                None => self.stand_by().await?,
                Some(counted) => {
                    if let Some(given) = self.take(counted).await? {
                        return Ok(given);
                    }
                }
            }
        }
    }

    /// Asks for one message; given it, has all begin anew behind what is acknowledged.
    async fn stand_by(&mut self) -> Result<(), ReadError> {
        if self.awaited == 0 {
            self.ask(1).await?;
        }
        match self.hear().await? {
            Heard::Message(message) => {
                let pin = message.headers.as_ref().and_then(|h| h.get_last(NATS_PIN_ID));
                let pin = pin.ok_or_else(|| self.fault("a message came without a pin"))?;
                self.pins.hold(&self.source, pin.as_str());
                self.rewind().await?;
                info!(follower = %self.source.follower, stream = %self.source.stream, "following");
                (self.counted, self.awaited) = (Some(0), 0);
            }
            Heard::NotPinned => drop(self.pins.forget(&self.source)),
            Heard::Ended(_) | Heard::Silence => {
                if is_abandoned(&self.info().await?) {
                    self.rewind().await?;
                }
            }
        }
        self.awaited = 0;
        Ok(())
    }

    /// The next message, if it is the one that must come next.
    async fn take(&mut self, counted: u64) -> Result<Option<Given>, ReadError> {
        if self.awaited <= PULL_BATCH / 4 {
            self.ask(PULL_BATCH).await?;
            self.awaited += PULL_BATCH;
        }
        let message = match self.hear().await? {
            Heard::Message(message) => message,
            Heard::Ended(missing) => {
                self.awaited = self.awaited.saturating_sub(missing);
                return Ok(None);
            }
            Heard::NotPinned => {
                self.pins.forget(&self.source);
                return Err(self.fault("another client is given it now"));
            }
            Heard::Silence => {
                self.awaited = 0;
                return Ok(None);
            }
        };
        if self.asked_at.elapsed() > PIN_TTL {
            // Paused, we kept on holding what has been given to another since.
            return Err(self.fault("we were away for too long"));
        }
        self.awaited = self.awaited.saturating_sub(1);
        self.given(message, counted).map(Some)
    }

    fn given(&mut self, message: Message, counted: u64) -> Result<Given, ReadError> {
        let message = jetstream::Message { message, context: self.jetstream.clone() };
        let info = message.info().map_err(|e| self.fault(&e.to_string()))?;
        let (sequence, count) = (info.stream_sequence, info.consumer_sequence);
        let stored_at = info.published.unix_timestamp_nanos() / 1_000_000;
        if count != counted + 1 {
            let text = format!("delivery {} was missed, {count} came", counted + 1);
            return Err(self.fault(&text));
        }
        self.counted = Some(count);
        let message = message.message;
        let reply = message.reply.ok_or_else(|| self.fault("a message came without a reply"))?;
        let mut headers = without_servers(message.headers.as_ref());
        if self.source.filter.is_some() {
            headers.insert(subject::STORED_AT, stored_at.to_string());
        }
        let entry_subject = message.subject.as_str().into();
        let entry = Entry { subject: entry_subject, sequence, headers, bytes: message.payload };
        Ok(Given { entry, reply })
    }

    async fn ask(&mut self, count: usize) -> Result<(), ReadError> {
        let expires = u64::try_from(PULL_EXPIRES.as_nanos()).unwrap_or(u64::MAX);
        let mut request = json!({"batch": count, "expires": expires, "group": PIN_GROUP});
        if let Some(pin) = self.pins.of(&self.source) {
            request["id"] = pin.into();
        }
        let Source { stream, follower, .. } = &self.source;
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{follower}");
        let request = Bytes::from(request.to_string());
        let asked = self.client.publish_with_reply(next, self.inbox.clone(), request).await;
        asked.map_err(|e| self.fault(&e.to_string()))?;
        self.asked_at = Instant::now();
        Ok(())
    }

    async fn hear(&mut self) -> Result<Heard, ReadError> {
        let Ok(answer) = timeout(PULL_EXPIRES + GRACE, self.answers.next()).await else {
            debug!(follower = %self.source.follower, "a request for messages was lost");
            return Ok(Heard::Silence);
        };
        let message = answer.ok_or_else(|| self.fault("the connection was closed"))?;
        let text = message.description.clone().unwrap_or_default();
        match message.status {
            None | Some(StatusCode::OK) => Ok(Heard::Message(message)),
            Some(StatusCode::IDLE_HEARTBEAT) => Ok(Heard::Ended(0)),
            Some(StatusCode::PIN_ID_MISMATCH) => Ok(Heard::NotPinned),
            Some(StatusCode::TIMEOUT) => {
                let missing = message.headers.as_ref().and_then(|h| h.get("Nats-Pending-Messages"));
                Ok(Heard::Ended(
                    missing.and_then(|n| n.as_str().parse().ok()).unwrap_or(usize::MAX),
                ))
            }
            Some(status) => Err(self.fault(&format!("{status} {text}"))),
        }
    }

    /// Has deliveries begin anew, behind the last message below which all is acknowledged.
    pub(super) async fn rewind(&self) -> Result<(), ReadError> {
        let Rewound {} = self.api("RESET").await?;
        Ok(())
    }

    async fn info(&self) -> Result<Info, ReadError> {
        self.api("INFO").await
    }

    async fn api<T: serde::de::DeserializeOwned>(&self, verb: &str) -> Result<T, ReadError> {
        let Source { stream, follower, .. } = &self.source;
        let verb = format!("CONSUMER.{verb}.{stream}.{follower}");
        let nothing = json!({});
        let asked = self.jetstream.request(verb, &nothing);
        // A second limit: while disconnected, handing the request over can block.
        match timeout(READ_TIMEOUT, asked).await {
            Err(_) => Err(self.fault("no answer")),
            Ok(Err(error)) => Err(self.fault(&error.to_string())),
            Ok(Ok(jetstream::response::Response::Ok(value))) => Ok(value),
            Ok(Ok(jetstream::response::Response::Err { error })) => {
                Err(self.fault(&error.to_string()))
            }
        }
    }

    fn fault(&self, text: &str) -> ReadError {
        fault(&self.source, &text)
    }
}
