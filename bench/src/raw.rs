//! The raw counterpart: async-nats by hand, doing the least that has the same effect.
//!
//! A responder on a core subject, its own connection; a caller on another one. A durable command
//! is one request, one publish that is checked against the slot's last sequence, and one reply
//! after its acknowledgement: no keys, no mailboxes, no snapshots, nobody who follows.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context, anyhow, ensure};
use async_nats::{
    Client, HeaderMap, Message, header,
    jetstream::{self, message::PublishMessage, stream::Config},
};
use bytes::Bytes;
use futures_util::StreamExt;

use crate::actor::payload;

const STREAM: &str = "RAW";
/// More slots than any row uses.
const SLOTS_MAX: usize = 1 << 20;

/// Raw slots: who answers, and who asks.
#[derive(Clone)]
pub(crate) struct RawSlots {
    caller: Client,
    payload: Bytes,
}

struct Responder {
    client: Client,
    jetstream: jetstream::Context,
    /// The last sequence of each slot.
    last: Vec<AtomicU64>,
}

impl RawSlots {
    /// Connects, makes the stream, and answers from now on.
    pub(crate) async fn start(url: &str, replicas: usize) -> anyhow::Result<Self> {
        let (client, caller) = (async_nats::connect(url).await?, async_nats::connect(url).await?);
        let jetstream = jetstream::new(client.clone());
        jetstream
            .create_stream(Config {
                name: STREAM.to_owned(),
                subjects: vec!["raw.slot.*".to_owned()],
                num_replicas: replicas,
                allow_direct: true,
                ..Config::default()
            })
            .await?;
        let last = std::iter::repeat_with(AtomicU64::default).take(SLOTS_MAX).collect();
        let responder = Arc::new(Responder { client, jetstream, last });
        responder.clone().answer("ask.put.*", Responder::put).await?;
        responder.clone().answer("ask.look", Responder::look).await?;
        responder.answer("ask.told", Responder::tell).await?;
        Ok(Self { caller, payload: payload().into() })
    }

    /// A durable command.
    pub(crate) fn put(&self, slot: usize) -> impl Future<Output = anyhow::Result<()>> + use<> {
        let (caller, payload) = (self.caller.clone(), self.payload.clone());
        async move {
            let reply = caller.request(format!("ask.put.{slot}"), payload).await?;
            ensure!(!reply.payload.is_empty(), "the raw publish failed");
            Ok(())
        }
    }

    /// A request that stores nothing, answered with as many bytes.
    pub(crate) async fn look(&self) -> anyhow::Result<()> {
        self.caller.request("ask.look", self.payload.clone()).await?;
        Ok(())
    }

    /// As [`look`](Self::look), with as many headers either way as a command has.
    pub(crate) async fn look_with_headers(&self) -> anyhow::Result<()> {
        let headers = headers([
            ("Content-Type", "application/msgpack"),
            ("Cb-Key", "01234567-89ab-cdef-0123-456789abcdef"),
            ("Cb-Key-Time", "1767225600000"),
            ("Cb-Timeout-Ms", "10000"),
        ]);
        self.caller.request_with_headers("ask.told", headers, self.payload.clone()).await?;
        Ok(())
    }

    /// How many are stored.
    pub(crate) async fn stored(&self) -> anyhow::Result<u64> {
        let jetstream = jetstream::new(self.caller.clone());
        Ok(jetstream.get_stream(STREAM).await?.cached_info().state.last_sequence)
    }

    /// Publishes to one subject, each checked, one after another, until `is_over`.
    pub(crate) async fn hot(&self, is_over: impl Fn() -> bool) -> anyhow::Result<u64> {
        let jetstream = jetstream::new(self.caller.clone());
        let (mut last, mut count) = (self.last_of("hot").await?, 0);
        while !is_over() {
            last = publish(&jetstream, "hot", last, self.payload.clone()).await?;
            count += 1;
        }
        Ok(count)
    }

    async fn last_of(&self, slot: &str) -> anyhow::Result<u64> {
        let stream = jetstream::new(self.caller.clone()).get_stream(STREAM).await?;
        let last = stream.get_last_raw_message_by_subject(&format!("raw.slot.{slot}")).await;
        Ok(last.map_or(0, |message| message.sequence))
    }

    /// One direct batch get: the first `count` messages of a subject of any stream.
    pub(crate) async fn read(
        &self,
        stream: &str,
        subject: &str,
        count: usize,
    ) -> anyhow::Result<()> {
        let inbox = self.caller.new_inbox();
        let mut answers = self.caller.subscribe(inbox.clone()).await?;
        let query = format!(r#"{{"seq":1,"next_by_subj":"{subject}","batch":{count}}}"#);
        let api = format!("$JS.API.DIRECT.GET.{stream}");
        self.caller.publish_with_reply(api, inbox, query.into()).await?;
        for read in 0..=count {
            let message = answers.next().await.context("the connection was closed")?;
            let is_end = message.status.is_some_and(|status| status.as_u16() == 204);
            ensure!(is_end == (read == count), "{read} of {count} messages came");
        }
        Ok(())
    }
}

impl Responder {
    async fn answer<F>(
        self: Arc<Self>,
        subject: &'static str,
        respond: fn(Arc<Self>, Message) -> F,
    ) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let mut requests = self.client.queue_subscribe(subject, "raw".to_owned()).await?;
        self.client.flush().await?;
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                // Who asked sees no answer, and fails.
                tokio::spawn(respond(self.clone(), request));
            }
        });
        Ok(())
    }

    async fn put(self: Arc<Self>, request: Message) -> anyhow::Result<()> {
        let slot = request.subject.rsplit_once('.').map_or("", |(_, slot)| slot);
        let last = &self.last[slot.parse::<usize>()?];
        // One at a time for each slot: no row asks the same one twice at once.
        let expected = last.load(Ordering::Acquire);
        let stored = publish(&self.jetstream, slot, expected, request.payload.clone()).await?;
        last.store(stored, Ordering::Release);
        let reply = request.reply.context("nobody waits")?;
        self.client.publish(reply, stored.to_string().into()).await?;
        Ok(())
    }

    async fn tell(self: Arc<Self>, request: Message) -> anyhow::Result<()> {
        let reply = request.reply.context("nobody waits")?;
        let headers = headers([
            ("Content-Type", "application/msgpack"),
            ("Cb-Seq", "EVT_slot_0@123456"),
            ("Nats-Service-Error-Code", "409"),
            ("Nats-Service-Error", "nothing is ever taken out"),
        ]);
        Ok(self.client.publish_with_headers(reply, headers, request.payload).await?)
    }

    async fn look(self: Arc<Self>, request: Message) -> anyhow::Result<()> {
        let reply = request.reply.context("nobody waits")?;
        Ok(self.client.publish(reply, request.payload).await?)
    }
}

fn headers(all: [(&'static str, &'static str); 4]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in all {
        headers.insert(name, value);
    }
    headers
}

async fn publish(
    jetstream: &jetstream::Context,
    slot: &str,
    expected: u64,
    payload: Bytes,
) -> anyhow::Result<u64> {
    let message = PublishMessage::build().payload(payload).expected_last_subject_sequence(expected);
    let sent = jetstream.send_publish(format!("raw.slot.{slot}"), message).await?;
    Ok(sent.await.map_err(|error| anyhow!("raw publish: {error}"))?.sequence)
}

/// Fills a stream fast: copies of `commit` under `count` subjects made by `subject`, in atomic
/// batches, one after another.
pub(crate) async fn fill(
    client: &Client,
    commit: &Bytes,
    numbers: std::ops::Range<u64>,
    subject: impl Fn(u64) -> String,
) -> anyhow::Result<()> {
    let (first, mut sent) = (numbers.start, numbers.start);
    while sent < numbers.end {
        let until = numbers.end.min(sent + 1_000);
        let batch = format!("fill-{first}-{sent}");
        for number in sent..until {
            let mut headers = HeaderMap::new();
            headers.insert(header::NATS_BATCH_ID, batch.as_str());
            headers.insert(header::NATS_BATCH_SEQUENCE, (number - sent + 1).to_string());
            if number + 1 < until {
                client.publish_with_headers(subject(number), headers, commit.clone()).await?;
                continue;
            }
            headers.insert(header::NATS_BATCH_COMMIT, header::NATS_BATCH_COMMIT_FINAL);
            let answer =
                client.request_with_headers(subject(number), headers, commit.clone()).await?;
            let text = String::from_utf8_lossy(&answer.payload);
            ensure!(!text.contains("error"), "filling: {text}");
        }
        sent = until;
    }
    Ok(())
}
