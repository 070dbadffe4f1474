//! Rows in memory on a real journal: they outlive their node, and damage is noticed at work.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use nats_server::TestServer;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use crate::{
    Actor, Bus, Connect, Context, Fold, Handle, Host, Id, IndexEntry, MemoryRows, Position,
    Projection, Recorded, RowError, Running, Selection,
    limits::{PAGE_ROWS_MAX, QUERIES_WAITING_MAX},
    projection::{
        Shelf,
        store::{
            Changes, Checkpoint, Store,
            layout::{INDEX, ROW},
        },
    },
};

#[derive(Debug, Default, Serialize, Deserialize)]
struct Lamp {
    lit: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum LampEvent {
    #[serde(rename = "lit")]
    Lit,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
struct Never;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Light {}

impl Actor for Lamp {
    const KIND: &'static str = "lamp";
    type Event = LampEvent;
    type Error = Never;
    type Commands = (Light,);

    fn apply(&mut self, LampEvent::Lit: &LampEvent) {
        self.lit += 1;
    }
}

impl Handle<Light> for Lamp {
    const NAME: &'static str = "light";
    type Reply = u64;

    fn handle(&self, _: Light, ctx: &mut Context<Self>) -> Result<u64, Never> {
        ctx.emit(LampEvent::Lit);
        Ok(self.lit + 1)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct LampCard {
    lit: u64,
}

impl Projection for LampCard {
    const NAME: &'static str = "lamps";

    fn index(&self) -> Vec<IndexEntry> {
        vec![IndexEntry::new("all", "yes")]
    }
}

impl Fold<Lamp> for LampCard {
    fn fold(&mut self, _: &str, _: &Recorded<Lamp>) {
        self.lit += 1;
    }
}

/// A row for each lamp and one for its street, except for lamps that nobody counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct StreetCard {
    key: String,
    lit: u64,
}

impl Projection for StreetCard {
    const NAME: &'static str = "streets";

    fn index(&self) -> Vec<IndexEntry> {
        vec![IndexEntry::new("all", "yes").ranked(self.lit)]
    }
}

impl Fold<Lamp> for StreetCard {
    fn rows(lamp: &Recorded<Lamp>) -> Vec<String> {
        if lamp.id.as_str() == "l-2" {
            return Vec::new();
        }
        vec![lamp.id.to_string(), "street".to_owned()]
    }

    fn fold(&mut self, row: &str, _: &Recorded<Lamp>) {
        row.clone_into(&mut self.key);
        self.lit += 1;
    }
}

async fn connect(server: &TestServer) -> Bus {
    let options =
        Connect { monitor_urls: vec![server.monitor_url.clone()], ..Connect::to(&server.url) };
    Bus::connect(&options).await.expect("the server is fit")
}

async fn host(bus: &Bus, rows: &MemoryRows) -> Running {
    let host = Host::new(bus.clone()).rows_in_memory_of(rows).actor::<Lamp>();
    host.projection::<LampCard, Lamp>().start().await.expect("starts")
}

async fn light(bus: &Bus, times: u64) -> Position {
    let mut last = None;
    for n in 0..times {
        let id = Id::parse(&format!("l-{}", n % 10)).expect("an id");
        last = Some(bus.actor::<Lamp>(&id).ask(Light {}).positioned().await.expect("lit").1);
    }
    last.expect("at least one")
}

async fn sum(bus: &Bus, after: &Position) -> u64 {
    let list = bus.rows::<LampCard>().list(Selection::all().matching("all", "yes"));
    let page = list.after(after).timeout(Duration::from_secs(30)).await.expect("rows");
    page.rows.iter().map(|card| card.lit).sum()
}

#[tokio::test]
async fn rows_are_listed_by_their_keys() {
    let server = TestServer::own().await;
    let (bus, rows) = (connect(&server).await, MemoryRows::new());
    let _node = host(&bus, &rows).await;
    let last = light(&bus, 23).await;
    let named = async |selection: Selection| {
        let page = bus.rows::<LampCard>().list(selection).after(&last).await?;
        let lit: Vec<_> = page.rows.iter().map(|card| card.lit).collect();
        Ok::<_, RowError>((lit, page.next))
    };
    // Ten lamps, lit twice; the first three a third time.
    let some = || Selection::rows(["l-7", "l-none", "l-2"]);
    assert_eq!(named(some()).await.expect("rows"), (vec![2, 3], None));
    let dark = some().matching("all", "no");
    assert_eq!(named(dark).await.expect("rows"), (vec![], None));
    let many = Selection::rows((0..=PAGE_ROWS_MAX).map(|n| format!("l-{n}")));
    let refused = named(many).await.expect_err("too many");
    assert!(format!("{refused:?}").contains("101 rows"), "{refused:?}");
}

#[tokio::test]
async fn rows_in_memory_outlive_their_node() {
    let server = TestServer::own().await;
    let (bus, rows) = (connect(&server).await, MemoryRows::new());
    let node = host(&bus, &rows).await;
    let last = light(&bus, 100).await;
    assert_eq!(sum(&bus, &last).await, 100);
    // As a crash would end it.
    drop(node);
    let node = host(&bus, &rows).await;
    assert_eq!(sum(&bus, &last).await, 100, "folded once");
    let progress = node.projections().await;
    assert_eq!((progress[0].whole, progress[0].percent), (true, 100));
    let stream = &progress[0].streams[0];
    assert_eq!((stream.folded, stream.last, stream.lag, stream.skipped), (100, 100, 0, 0));
}

#[tokio::test]
async fn rows_that_break_while_they_serve_are_folded_again() {
    let server = TestServer::own().await;
    let (bus, rows) = (connect(&server).await, MemoryRows::new());
    let _node = host(&bus, &rows).await;
    let last = light(&bus, 50).await;
    assert_eq!(sum(&bus, &last).await, 50);
    // Found by a query.
    rows.spoil(ROW);
    assert_eq!(sum(&bus, &last).await, 50);
    rows.spoil(INDEX);
    assert_eq!(sum(&bus, &last).await, 50);
    // Found by the fold.
    rows.spoil(ROW);
    let last = light(&bus, 50).await;
    assert_eq!(sum(&bus, &last).await, 100);
}

#[tokio::test]
async fn an_event_changes_all_the_rows_it_names_and_they_are_listed_by_rank() {
    let bus = Bus::in_memory();
    let host = Host::new(bus.clone()).rows_in_memory().actor::<Lamp>();
    let _node = host.projection::<StreetCard, Lamp>().start().await.expect("starts");
    // l-0 is lit twice, l-1 and l-2 once.
    light(&bus, 3).await;
    let last = light(&bus, 1).await;
    let rows = bus.rows::<StreetCard>();
    let card = |key: &str, lit| StreetCard { key: key.to_owned(), lit };
    assert_eq!(rows.get("l-2").after(&last).await.expect("rows"), None, "it names none");
    let mut ranked = vec![card("l-1", 1), card("l-0", 2), card("street", 3)];
    let all = Selection::all().matching("all", "yes");
    assert_eq!(rows.list(all.clone()).after(&last).await.expect("rows").rows, ranked);
    ranked.reverse();
    assert_eq!(rows.list(all.newest_first()).await.expect("rows").rows, ranked);
}

/// Whether folding the fifth lighting of a lamp panics.
static IS_FRAIL: AtomicBool = AtomicBool::new(true);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct FrailCard {
    lit: u64,
}

impl Projection for FrailCard {
    const NAME: &'static str = "frail";

    fn index(&self) -> Vec<IndexEntry> {
        Vec::new()
    }
}

impl Fold<Lamp> for FrailCard {
    fn fold(&mut self, _: &str, _: &Recorded<Lamp>) {
        self.lit += 1;
        assert!(self.lit != 5 || !IS_FRAIL.load(Ordering::SeqCst), "frail");
    }
}

#[tokio::test]
async fn a_fold_that_panics_stops_before_the_commit_and_throws_nothing_away() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let host = Host::new(bus.clone()).rows_in_memory().actor::<Lamp>();
    let node = host.projection::<FrailCard, Lamp>().start().await.expect("starts");
    // Lamp after lamp; the fifth lighting of the first is commit 41.
    let last = light(&bus, 45).await;
    let stopped = async {
        loop {
            let progress = node.projections().await.remove(0);
            if progress.streams[0].folded >= 40 {
                return progress.streams[0].clone();
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    let stream = timeout(Duration::from_secs(30), stopped).await.expect("it comes so far");
    assert_eq!((stream.folded, stream.skipped), (40, 0));
    IS_FRAIL.store(false, Ordering::SeqCst);
    let list = bus.rows::<FrailCard>().list(Selection::all()).after(&last);
    let page = list.timeout(Duration::from_secs(30)).await.expect("rows");
    assert_eq!(page.rows.iter().map(|card| card.lit).sum::<u64>(), 45, "each is folded once");
}

#[tokio::test]
async fn more_queries_than_there_is_room_for_are_refused() {
    let bus = Bus::in_memory();
    let host = Host::new(bus.clone()).rows_in_memory().actor::<Lamp>();
    let _node = host.projection::<LampCard, Lamp>().start().await.expect("starts");
    // Of a commit that is never made: each waits.
    let never = Position { stream: "EVT_lamp_0".into(), sequence: 1_000_000 };
    let rows = bus.rows::<LampCard>();
    let span = Duration::from_secs(1);
    let waiting = || rows.get("l-0").after(&never).timeout(span).into_future();
    let all = futures_util::future::join_all((0..QUERIES_WAITING_MAX + 100).map(|_| waiting()));
    let refused = all.await.into_iter().filter(|found| {
        found.as_ref().is_err_and(|error| error.to_string().contains("too many queries"))
    });
    assert!((1..=100).contains(&refused.count()));
    let page = rows.list(Selection::all()).await.expect("room again");
    assert!(page.rows.is_empty());
}

#[tokio::test]
async fn rows_of_a_log_that_went_on_differently_are_forgotten() {
    let server = TestServer::own().await;
    let (bus, rows) = (connect(&server).await, MemoryRows::new());
    let node = host(&bus, &rows).await;
    let last = light(&bus, 30).await;
    assert_eq!(sum(&bus, &last).await, 30);
    node.stop().await;
    // As if the rows had been folded before the log was restored from a backup: its name, its
    // creation and its length are the same, and what is in it is not.
    let store = rows.open("lamps-v1").expect("opens");
    let store = Store::new(store, "lamps", 1).expect("adds up");
    let stream = &*last.stream;
    let checkpoint = store.checkpoint(stream).expect("readable").expect("there");
    let (mut changes, before) = (Changes::default(), store.row("l-0").expect("readable"));
    let wrong = rmp_serde::to_vec_named(&LampCard { lit: 77 }).expect("plain data");
    changes.put_row("l-0", &wrong, before.as_ref());
    changes.put_checkpoint(stream, &Checkpoint { mark: "another".into(), ..checkpoint });
    store.write(changes).expect("written");
    let _node = host(&bus, &rows).await;
    assert_eq!(sum(&bus, &last).await, 30);
}
