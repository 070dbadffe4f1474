//! An actor with a long past: loaded from its snapshot, and still exact about its oldest keys.
//!
//! Figures, of an actor with a million commits:
//! `cargo test --release -p bus --test long_past -- --ignored --nocapture`
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_nats::{Client, HeaderMap};
use bus::{
    Actor, AskError, Bus, Context, Encoding, Handle, Host, Id, Key, Running, Status, Timestamp,
};
use nats_server::TestServer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// Events folded so far, by all meters of this process.
static FOLDED: AtomicU64 = AtomicU64::new(0);
/// Messages of one atomic batch.
const BATCH: u64 = 1_000;
/// A load may take long without a snapshot.
const PATIENCE: Duration = Duration::from_secs(900);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Meter {
    total: u64,
    count: u64,
    by_amount: BTreeMap<String, u64>,
}

#[derive(Clone, Serialize, Deserialize)]
enum Metered {
    #[serde(rename = "recorded")]
    Recorded { amount: u64 },
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
struct No;

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    amount: u64,
}

#[derive(Serialize, Deserialize)]
struct Show {}

impl Actor for Meter {
    const KIND: &'static str = "meter";
    type Event = Metered;
    type Error = No;
    type Commands = (Record, Show);

    fn apply(&mut self, Metered::Recorded { amount }: &Metered) {
        FOLDED.fetch_add(1, Ordering::Relaxed);
        self.total += amount;
        self.count += 1;
        *self.by_amount.entry(format!("a{amount}")).or_default() += 1;
    }
}

impl Handle<Record> for Meter {
    const NAME: &'static str = "record";
    type Reply = u64;

    fn handle(&self, Record { amount }: Record, ctx: &mut Context<Self>) -> Result<u64, No> {
        ctx.emit(Metered::Recorded { amount });
        Ok(self.total + amount)
    }
}

impl Handle<Show> for Meter {
    const NAME: &'static str = "show";
    type Reply = Meter;

    fn handle(&self, _: Show, _: &mut Context<Self>) -> Result<Meter, No> {
        Ok(self.clone())
    }
}

/// A commit as the runtime stores it.
#[derive(Serialize)]
struct Commit {
    commit: String,
    at: Timestamp,
    command: &'static str,
    key: String,
    digest: String,
    events: [Metered; 1],
    reply: u64,
}

/// What the `n`-th command recorded; the first is 1.
fn amount_of(n: u64) -> u64 {
    n % 7
}

fn total_after(n: u64) -> u64 {
    (1..=n).map(amount_of).sum()
}

fn commit(n: u64, total: u64) -> Vec<u8> {
    let amount = amount_of(n);
    let body = Encoding::MessagePack.encode(&Record { amount }).unwrap();
    let digest = Sha256::new().chain_update("record").chain_update([0]).chain_update(body);
    let digest: String = digest.finalize()[..16].iter().map(|b| format!("{b:02x}")).collect();
    Encoding::MessagePack
        .encode(&Commit {
            commit: format!("{n:032x}"),
            at: Timestamp::now(),
            command: "record",
            key: format!("k{n}"),
            digest,
            events: [Metered::Recorded { amount }],
            reply: total,
        })
        .unwrap()
}

/// Stores the commits `from..=to` of `id`, in atomic batches.
async fn fill(client: &Client, id: &str, from: u64, to: u64) {
    let subject = format!("evt.meter.0.{id}");
    let mut total = total_after(from - 1);
    for first in (from..=to).step_by(usize::try_from(BATCH).unwrap()) {
        let last = (first + BATCH - 1).min(to);
        for n in first..=last {
            total += amount_of(n);
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Batch-Id", format!("fill-{first}"));
            headers.insert("Nats-Batch-Sequence", (n - first + 1).to_string());
            let body = commit(n, total).into();
            if n < last {
                client.publish_with_headers(subject.clone(), headers, body).await.unwrap();
            } else {
                headers.insert("Nats-Batch-Commit", "1");
                let stored = client.request_with_headers(subject.clone(), headers, body).await;
                let stored = stored.unwrap().payload;
                assert!(!String::from_utf8_lossy(&stored).contains("error"), "{stored:?}");
            }
        }
    }
}

async fn host(bus: &Bus) -> Running {
    Host::new(bus.clone()).actor::<Meter>().start().await.unwrap()
}

async fn show(bus: &Bus, id: &Id<Meter>) -> (Meter, Duration) {
    let asked = Instant::now();
    let meter = bus.actor(id).ask(Show {}).timeout(PATIENCE).await.unwrap();
    (meter, asked.elapsed())
}

/// The same promises for a past of any length; `early` commits are older than the others by
/// more than the clocks' skew if it is long.
async fn a_long_past(count: u64, early: u64, gap: Duration) {
    let server = TestServer::own().await;
    let bus = common::connect(&server).await;
    host(&bus).await.stop().await;
    let client = async_nats::connect(&server.url).await.unwrap();
    let id = Id::<Meter>::parse("m-1").unwrap();
    let filling = Instant::now();
    fill(&client, id.as_str(), 1, early).await;
    let early_were_sent = Timestamp::now();
    tokio::time::sleep(gap).await;
    fill(&client, id.as_str(), early + 1, count).await;
    println!("{count} commits stored in {:?}", filling.elapsed());

    let node = host(&bus).await;
    let (folded, without) = show(&bus, &id).await;
    assert_eq!((folded.total, folded.count), (total_after(count), count));
    node.stop().await; // Its snapshot is written by then.
    println!("loaded without a snapshot in {without:?}");

    let node = host(&bus).await;
    let (_, elsewhere) = show(&bus, &Id::parse("m-2").unwrap()).await;
    println!("another actor, without a past, answered in {elsewhere:?}");
    FOLDED.store(0, Ordering::Relaxed);
    let (restored, with) = show(&bus, &id).await;
    assert_eq!(restored, folded);
    let refolded = FOLDED.load(Ordering::Relaxed);
    println!("loaded with a snapshot in {with:?}, {refolded} events folded");
    // A debug build folds a few thousand again, to check.
    assert!(refolded <= if cfg!(debug_assertions) { 2_000 } else { 500 });

    repeats_are_exact(&bus, &id, count, early, early_were_sent, gap).await;
    let (changed, _) = show(&bus, &id).await;
    let new = if gap.is_zero() { 1 } else { 2 };
    assert_eq!(changed.count, count + new, "only what was new has taken effect");
    node.stop().await;

    let spoilt = client.request(format!("$KV.SNAP_meter.{id}"), "spoilt".into()).await.unwrap();
    assert!(!String::from_utf8_lossy(&spoilt.payload).contains("error"));
    let _node = host(&bus).await;
    assert_eq!(show(&bus, &id).await.0, changed, "from all commits");
}

async fn repeats_are_exact(
    bus: &Bus,
    id: &Id<Meter>,
    count: u64,
    early: u64,
    sent: Timestamp,
    gap: Duration,
) {
    let ask = |n: u64, amount: u64| {
        let key = Key::parse(&format!("k{n}")).unwrap();
        bus.actor(id).ask(Record { amount }).key(key).timeout(PATIENCE)
    };
    let old = early - 7;
    let asked = Instant::now();
    let repeat = ask(old, amount_of(old)).key_first_sent(sent).positioned().await.unwrap();
    println!("a repeat {} commits later was answered in {:?}", count - old, asked.elapsed());
    assert_eq!((repeat.0, repeat.1.sequence), (total_after(old), old));
    let other = ask(old, amount_of(old) + 1).key_first_sent(sent).await;
    match other {
        Err(AskError::Failed(failure)) => assert_eq!(failure.status, Status::KeyReused),
        other => panic!("{other:?}"),
    }
    // Of the last ones it need not be said when they were sent.
    for recent in [count, count - 4_000] {
        assert_eq!(ask(recent, amount_of(recent)).await.unwrap(), total_after(recent));
    }
    // Without its time, an old key counts as sent now.
    let again = u64::from(!gap.is_zero());
    if again == 1 {
        assert_eq!(ask(8, 1).await.unwrap(), total_after(count) + 1);
    }
    // A new key that was first sent long ago is searched for in vain, and carried out.
    let asked = Instant::now();
    let key = Key::parse("as-old").unwrap();
    let new = bus.actor(id).ask(Record { amount: 1 }).key(key).key_first_sent(sent);
    let new = new.timeout(PATIENCE).await.unwrap();
    assert_eq!(new, total_after(count) + again + 1);
    println!("a new key as old was searched for and carried out in {:?}", asked.elapsed());
}

#[tokio::test]
async fn an_actor_with_twenty_thousand_commits_is_loaded_from_its_snapshot() {
    a_long_past(20_000, 1_000, Duration::ZERO).await;
}

#[tokio::test]
#[ignore = "takes minutes: for figures"]
async fn an_actor_with_a_million_commits_is_loaded_from_its_snapshot() {
    a_long_past(1_000_000, 10_000, Duration::from_secs(6)).await;
}
