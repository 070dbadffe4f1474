//! Rows of a new version are folded beside the old ones, which go on answering; a node that
//! still folds has others answer.
#![allow(clippy::unwrap_used)]

mod common;

use std::{path::Path, time::Duration};

use bus::{
    Bus, Fold, Host, IndexEntry, Projection, Recorded, RowError, Running, Selection, Status,
};
use common::{Till, TillEvent, connect, eventually, filling::fill};
use nats_server::TestServer;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

const NAME: &str = "cards";

/// A till's row, as an earlier program knew it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct First {
    amount: u64,
}

/// As a later one knows it, which can read the earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Second {
    amount: u64,
    #[serde(default)]
    events: u64,
}

/// As another one knows it, which cannot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Third {
    sum: u64,
}

impl Projection for First {
    const NAME: &'static str = NAME;

    fn index(&self) -> Vec<IndexEntry> {
        vec![IndexEntry::new("all", "yes")]
    }
}

impl Projection for Second {
    const NAME: &'static str = NAME;
    const VERSION: u32 = 2;

    fn index(&self) -> Vec<IndexEntry> {
        vec![IndexEntry::new("all", "yes"), IndexEntry::new("many", "yes")]
    }
}

impl Projection for Third {
    const NAME: &'static str = NAME;
    const VERSION: u32 = 3;
}

fn amount(event: &Recorded<Till>) -> u64 {
    match event.event {
        TillEvent::PutIn { amount } => amount,
        TillEvent::TakenOut { .. } => 0,
    }
}

impl Fold<Till> for First {
    fn fold(&mut self, _: &str, event: &Recorded<Till>) {
        self.amount += amount(event);
    }
}

impl Fold<Till> for Second {
    fn fold(&mut self, _: &str, event: &Recorded<Till>) {
        self.amount += amount(event);
        self.events += 1;
    }
}

impl Fold<Till> for Third {
    fn fold(&mut self, _: &str, event: &Recorded<Till>) {
        self.sum += amount(event);
    }
}

async fn host<P: Fold<Till>>(bus: &Bus, rows: &Path) -> Running {
    let host = Host::new(bus.clone()).rows_in(rows).actor::<Till>();
    host.projection::<P, Till>().start().await.unwrap()
}

/// Waits until the node's rows are whole, and gives the time that took.
async fn until_whole(node: &Running, minutes: u64) -> Duration {
    let begun = Instant::now();
    loop {
        if node.projections().await[0].whole {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(60 * minutes), "never whole");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What a run of queries met while rows were folded.
#[derive(Debug, Default)]
struct Met {
    answers: u64,
    from_older: u64,
    slowest: Duration,
}

/// Folds `commits`, then raises the version, and asks without a break until the new rows are
/// whole: every query is answered.
async fn rebuild(commits: u64, tills: u64) {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    Host::new(bus.clone()).actor::<Till>().start().await.unwrap().stop().await;
    let begun = Instant::now();
    fill(&server.url, commits, tills).await;
    println!("filled {commits} commits in {:?}", begun.elapsed());

    let node = host::<First>(&bus, rows.path()).await;
    let took = until_whole(&node, 20).await;
    println!("folded in {took:?}: {:.0}/s", commits as f64 / took.as_secs_f64());
    node.stop().await;

    let node = host::<Second>(&bus, rows.path()).await;
    let begun = Instant::now();
    let mut met = Met::default();
    let each = commits / tills;
    while !node.projections().await[0].whole {
        let asked = Instant::now();
        let row = bus.rows::<Second>().get(&format!("t-{}", met.answers % tills)).await;
        let row = row.expect("answered throughout").expect("it is there");
        assert_eq!(row.amount, each);
        assert!(row.events == 0 || row.events == each, "half a row: {row:?}");
        let page = bus.rows::<Second>().list(Selection::all().matching("all", "yes").limit(10));
        assert_eq!(page.await.expect("answered throughout").rows.len(), 10);
        met.answers += 2;
        met.from_older += u64::from(row.events == 0);
        met.slowest = met.slowest.max(asked.elapsed());
    }
    let took = begun.elapsed();
    println!(
        "rebuilt in {took:?}: {:.0}/s, with {} answers meanwhile, the slowest two in {:?}",
        commits as f64 / took.as_secs_f64(),
        met.answers,
        met.slowest
    );
    assert!(met.from_older > 0, "older rows answered");
    let row = bus.rows::<Second>().get("t-0").await.unwrap().unwrap();
    assert_eq!((row.amount, row.events), (each, each));
    eventually("older rows are removed", || async {
        (!rows.path().join("cards-v1").exists()).then_some(())
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn older_rows_answer_until_newer_ones_take_over() {
    rebuild(20_000, 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: cargo test --release -p bus --test rebuild -- --ignored --nocapture"]
async fn a_million_commits_are_folded_again_while_queries_are_answered() {
    rebuild(1_000_000, 100_000).await;
}

#[tokio::test]
async fn older_rows_that_cannot_be_read_do_not_answer() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    Host::new(bus.clone()).actor::<Till>().start().await.unwrap().stop().await;
    fill(&server.url, 20_000, 100).await;
    let node = host::<First>(&bus, rows.path()).await;
    until_whole(&node, 5).await;
    node.stop().await;
    let node = host::<Third>(&bus, rows.path()).await;
    let mut told = 0;
    while !node.projections().await[0].whole {
        let ask = bus.rows::<Third>().get("t-0").timeout(Duration::from_millis(50));
        match ask.await {
            Ok(row) => assert_eq!(row.unwrap().sum, 200, "whole, or not at all"),
            Err(RowError::Failed(failure)) => {
                assert_eq!(failure.status, Status::Unavailable, "{failure}");
                assert!(failure.to_string().contains(" %"), "{failure}");
                told += 1;
            }
            Err(RowError::NoReply(_)) => {}
            Err(RowError::Unreadable(why)) => panic!("{why}"),
        }
    }
    println!("{told} queries were told how far it is");
    assert_eq!(bus.rows::<Third>().get("t-0").await.unwrap().unwrap().sum, 200);
    // An index that the older rows did not have is not taken for one without entries.
    node.stop().await;
}

#[tokio::test]
async fn an_index_that_older_rows_lack_is_waited_for() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    Host::new(bus.clone()).actor::<Till>().start().await.unwrap().stop().await;
    fill(&server.url, 5_000, 50).await;
    let node = host::<First>(&bus, rows.path()).await;
    until_whole(&node, 5).await;
    node.stop().await;
    let _node = host::<Second>(&bus, rows.path()).await;
    let page = bus.rows::<Second>().list(Selection::all().matching("many", "yes"));
    assert_eq!(page.timeout(Duration::from_secs(60)).await.unwrap().rows.len(), 50);
}

#[tokio::test]
async fn a_node_that_still_folds_has_others_answer() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let (bus, other) = (connect(&server).await, connect(&server).await);
    let whole = host::<Second>(&bus, &rows.path().join("whole")).await;
    fill(&server.url, 20_000, 100).await;
    until_whole(&whole, 5).await;
    eventually("all is folded", || async {
        let progress = whole.projections().await;
        (progress[0].streams[0].lag == 0).then_some(())
    })
    .await;
    let folding = host::<Second>(&other, &rows.path().join("folding")).await;
    let mut answers = 0;
    while !folding.projections().await[0].whole {
        let row = bus.rows::<Second>().get(&format!("t-{}", answers % 100)).await;
        assert_eq!(row.expect("answered throughout").unwrap().events, 200);
        answers += 1;
    }
    assert!(answers > 10, "only {answers} queries before it was whole");
    // And when the other is gone, it answers itself.
    whole.stop().await;
    assert_eq!(bus.rows::<Second>().get("t-1").await.unwrap().unwrap().events, 200);
    assert!(bus.rows::<Second>().progress().await.unwrap().whole);
}
