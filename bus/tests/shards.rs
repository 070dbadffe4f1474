//! A kind that is spread over four streams, against a real server and in memory.
#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeMap, time::Duration};

use bus::{
    Actor, AskError, Bus, Context, Error, Fold, Handle, Host, Id, Key, Projection, Recorded,
    Running, Selection, Then,
};
use common::{connect, eventually};
use nats_server::TestServer;
use serde::{Deserialize, Serialize};

/// A box that things are put into; `SHARDS` lets it be the box of another build.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Crate<const SHARDS: u32> {
    count: u64,
    rung: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum CrateEvent {
    #[serde(rename = "packed")]
    Packed { then: Option<String> },
    #[serde(rename = "rung")]
    Rung,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code")]
enum Never {}

/// Puts one thing in, and one into another box as well; a while later its bell rings.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pack {
    then: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Ring {}

impl<const SHARDS: u32> Actor for Crate<SHARDS> {
    const KIND: &'static str = "crate";
    const SHARDS: u32 = SHARDS;
    const TIMERS: bool = true;
    type Event = CrateEvent;
    type Error = Never;
    type Commands = (Pack, Ring);

    fn apply(&mut self, event: &CrateEvent) {
        match event {
            CrateEvent::Packed { .. } => self.count += 1,
            CrateEvent::Rung => self.rung += 1,
        }
    }
}

impl<const SHARDS: u32> Handle<Pack> for Crate<SHARDS> {
    const NAME: &'static str = "pack";
    type Reply = u64;

    fn handle(&self, Pack { then }: Pack, ctx: &mut Context<Self>) -> Result<u64, Never> {
        ctx.emit(CrateEvent::Packed { then });
        ctx.after(Duration::from_millis(200), Ring {});
        Ok(self.count + 1)
    }
}

impl<const SHARDS: u32> Handle<Ring> for Crate<SHARDS> {
    const NAME: &'static str = "ring";
    type Reply = ();

    fn handle(&self, _: Ring, ctx: &mut Context<Self>) -> Result<(), Never> {
        ctx.emit(CrateEvent::Rung);
        Ok(())
    }
}

type Box4 = Crate<4>;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct CrateCard {
    id: String,
    packed: u64,
    rung: u64,
}

impl Projection for CrateCard {
    const NAME: &'static str = "crates";
}

impl Fold<Box4> for CrateCard {
    fn fold(&mut self, _: &str, event: &Recorded<Box4>) {
        event.id.as_str().clone_into(&mut self.id);
        match event.event {
            CrateEvent::Packed { .. } => self.packed += 1,
            CrateEvent::Rung => self.rung += 1,
        }
    }
}

fn pass_on(event: &Recorded<Box4>, then: &mut Then) {
    if let CrateEvent::Packed { then: Some(next) } = &event.event {
        then.ask(&id(next), &Pack { then: None });
    }
}

fn id(text: &str) -> Id<Box4> {
    Id::parse(text).unwrap()
}

async fn node(bus: &Bus) -> Running {
    let host = Host::new(bus.clone()).actor::<Box4>().saga::<Box4>("pass_on", pass_on);
    host.projection::<CrateCard, Box4>().rows_in_memory().start().await.unwrap()
}

const BOXES: usize = 24;

/// Packs each box once, and through it another one.
async fn pack_all(bus: &Bus) -> BTreeMap<String, u64> {
    let mut streams = BTreeMap::new();
    for n in 0..BOXES {
        let pack = Pack { then: Some(format!("second-{n}")) };
        let key = Key::random();
        let ask = || bus.actor(&id(&format!("b-{n}"))).ask(pack.clone()).key(key.clone());
        let (count, position) = ask().positioned().await.unwrap();
        assert_eq!((count, ask().positioned().await.unwrap()), (1, (1, position.clone())));
        let card = bus.rows::<CrateCard>().get(&format!("b-{n}")).after(&position).await.unwrap();
        assert_eq!(card.unwrap().packed, 1, "the rows include what was just written");
        *streams.entry(position.stream.to_string()).or_default() += 1;
    }
    streams
}

/// Waits until every box, and every second one, is packed and rung once.
async fn all_once(bus: &Bus) {
    let done = eventually("all are packed and rung once", || async {
        let rows = bus.rows::<CrateCard>().list(Selection::all()).await.ok()?.rows;
        let once = |card: &CrateCard| (card.packed, card.rung) == (1, 1);
        (rows.len() == 2 * BOXES && rows.iter().all(once)).then_some(())
    });
    done.await;
}

#[tokio::test]
async fn actors_of_four_shards_keep_every_promise_of_one() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let running = node(&bus).await;
    let streams = pack_all(&bus).await;
    assert_eq!(streams.len(), 4, "{streams:?}");
    all_once(&bus).await;
    running.stop().await;
    // Another node finds all of it.
    let bus = connect(&server).await;
    let running = node(&bus).await;
    for n in 0..BOXES {
        let name = format!("b-{n}");
        assert_eq!(bus.history("crate", &name, 0).await.unwrap().len(), 2, "{name}");
        assert_eq!(bus.actor(&id(&name)).ask(Pack { then: None }).await.unwrap(), 2);
    }
    assert_eq!(bus.streams("crate").await.unwrap().len(), 4);
    running.stop().await;
}

#[tokio::test]
async fn a_node_with_another_number_of_shards_does_not_start() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    node(&bus).await.stop().await;
    let one = Host::new(bus.clone()).actor::<Crate<1>>().start().await;
    let eight = Host::new(bus.clone()).actor::<Crate<8>>().start().await;
    for (started, count) in [(one, "1"), (eight, "8")] {
        let Err(Error::WrongStream { setting, .. }) = started else { panic!("it started") };
        assert!(setting.contains("4 shards") && setting.contains(count), "{setting}");
    }
    assert_eq!(bus.streams("crate").await.unwrap().len(), 4, "none was made");
}

#[tokio::test(start_paused = true)]
async fn in_memory_they_are_spread_as_well() {
    let bus = Bus::in_memory();
    let running = node(&bus).await;
    assert_eq!(pack_all(&bus).await.len(), 4);
    all_once(&bus).await;
    let mut live = bus.live("crate").await.unwrap();
    for n in 0..BOXES {
        let (_, position) =
            bus.actor(&id(&format!("b-{n}"))).ask(Pack { then: None }).positioned().await.unwrap();
        // Between them come those of the bells.
        while live.next().await.unwrap().info.position != position {}
    }
    running.stop().await;
    let asked = bus.actor(&id("b-1")).ask(Pack { then: None }).timeout(Duration::from_secs(1));
    assert!(matches!(asked.await, Err(AskError::Failed(_) | AskError::NoReply(_))));
}
