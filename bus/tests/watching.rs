//! Watching rows, against a real server: every change comes, whichever node sends it.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use bus::{Bus, Change, Id, Selection, Watch};
use common::{PutIn, TakeOut, Till, TillCard, connect, fresh, host_with_rows};
use nats_server::TestServer;
use tokio::time::timeout;

async fn put_in(bus: &Bus, till: &Id<Till>, amount: u64) {
    bus.actor(till).ask(PutIn { amount }).timeout(Duration::from_secs(60)).await.unwrap();
}

async fn next(watch: &mut Watch<TillCard>) -> Change<TillCard> {
    timeout(Duration::from_secs(60), watch.next()).await.expect("a change").expect("watched")
}

/// Changes until the row holds `amount`; what was seen on the way only grew.
async fn until(watch: &mut Watch<TillCard>, amount: u64) {
    let mut seen = 0;
    while seen != amount {
        let now = next(watch).await.row.map_or(0, |card| card.amount);
        assert!(now >= seen, "an older state after a newer one: {now} after {seen}");
        seen = now;
    }
}

#[tokio::test]
async fn a_row_is_watched_from_before_it_is_there() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    let _node = host_with_rows(&bus, rows.path()).await;
    let (till, other) = (fresh("t"), fresh("t"));
    let mut watch = bus.rows::<TillCard>().watch(till.as_str());
    assert_eq!(next(&mut watch).await, Change { key: till.to_string(), row: None });
    for amount in 1..=20 {
        put_in(&bus, &other, 1).await;
        put_in(&bus, &till, 1).await;
        let change = next(&mut watch).await;
        assert_eq!((change.key.as_str(), change.row.unwrap().amount), (till.as_str(), amount));
    }
}

#[tokio::test]
async fn rows_come_into_a_selection_and_leave_it() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    let _node = host_with_rows(&bus, rows.path()).await;
    let (first, second) = (fresh("g"), fresh("g"));
    put_in(&bus, &first, 200).await;
    let mut watch = bus.rows::<TillCard>().watch_all(Selection::all().matching("size", "large"));
    let there = next(&mut watch).await;
    assert_eq!((there.key, there.row.unwrap().amount), (first.to_string(), 200));
    put_in(&bus, &second, 1).await;
    put_in(&bus, &second, 100).await;
    let came = next(&mut watch).await;
    assert_eq!((came.key, came.row.unwrap().amount), (second.to_string(), 101));
    bus.actor(&first).ask(TakeOut { amount: 150, to: None }).await.unwrap();
    assert_eq!(next(&mut watch).await, Change { key: first.to_string(), row: None });
}

#[tokio::test]
async fn a_watch_goes_on_at_another_node_and_misses_nothing() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let buses = [connect(&server).await, connect(&server).await];
    let caller = connect(&server).await;
    let till = fresh("t");
    let mut nodes = Vec::new();
    for (n, bus) in buses.iter().enumerate() {
        nodes.push(host_with_rows(bus, &rows.path().join(n.to_string())).await);
    }
    // Some on either node.
    let mut watches: Vec<_> =
        (0..8).map(|_| caller.rows::<TillCard>().watch(till.as_str())).collect();
    put_in(&caller, &till, 1).await;
    for watch in &mut watches {
        until(watch, 1).await;
    }
    nodes.remove(0).stop().await;
    put_in(&caller, &till, 1).await;
    for watch in &mut watches {
        until(watch, 2).await;
    }
}

#[tokio::test]
async fn a_watch_goes_on_when_its_node_falls_silent() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let caller = connect(&server).await;
    let till = fresh("t");
    // A process of its own, as far as can be: ended without a word.
    let folder = rows.path().join("dying");
    let dying = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let options = bus::Connect {
        monitor_urls: vec![server.monitor_url.clone()],
        ..bus::Connect::to(&server.url)
    };
    let serve = async move {
        let bus = Bus::connect(&options).await.unwrap();
        std::mem::forget(host_with_rows(&bus, &folder).await);
    };
    dying.spawn(serve).await.unwrap();
    let mut watch = caller.rows::<TillCard>().watch(till.as_str());
    put_in(&caller, &till, 1).await;
    until(&mut watch, 1).await;
    let bus = connect(&server).await;
    let _node = host_with_rows(&bus, &rows.path().join("living")).await;
    dying.shutdown_background();
    put_in(&caller, &till, 1).await;
    until(&mut watch, 2).await;
}

#[tokio::test]
async fn a_watch_outlives_the_server() {
    let (mut server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    let _node = host_with_rows(&bus, rows.path()).await;
    let till = fresh("t");
    let mut watch = bus.rows::<TillCard>().watch(till.as_str());
    put_in(&bus, &till, 1).await;
    until(&mut watch, 1).await;
    server.kill_and_restart().await;
    put_in(&bus, &till, 1).await;
    until(&mut watch, 2).await;
}

#[tokio::test]
async fn too_many_rows_are_not_watched() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    let node = host_with_rows(&bus, rows.path()).await;
    common::filling::fill(&server.url, 500, 101).await;
    let after = "EVT_till_0@500".parse().unwrap();
    bus.rows::<TillCard>().list(Selection::all()).after(&after).await.unwrap();
    let mut watch = bus.rows::<TillCard>().watch_all(Selection::all());
    assert!(!watch.next().await.unwrap_err().may_ask_again());
    node.stop().await;
}
