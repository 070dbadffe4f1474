//! Promises of cells.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, stream::BoxStream};
use tokio::time::{Instant, sleep, timeout};

use super::{Bench, Client, PATIENCE, ReadError, bytes, eventually, settle};
use crate::journal::cells::{Cell, Change};

pub(super) async fn get(client: &Client, bucket: &str, key: &str) -> Option<String> {
    settle(|| client.cells.get(bucket, key)).await.map(|value| super::text(&value))
}

pub(super) async fn put(
    client: &Client,
    bucket: &str,
    key: &str,
    value: &str,
    time_to_live: Option<Duration>,
) {
    settle(|| client.cells.put(bucket, key, bytes(value), time_to_live)).await;
}

/// Waits until the value is what it should be: a read may lag.
async fn becomes(client: &Client, bucket: &str, key: &str, wanted: Option<&str>) {
    eventually("the cell has its value", async || {
        (get(client, bucket, key).await.as_deref() == wanted).then_some(())
    })
    .await;
}

pub(super) async fn a_cell_is_put_read_and_taken_away(bench: &mut dyn Bench) {
    let client = bench.client().await;
    settle(|| client.cells.provision_bucket("K_plain")).await;
    settle(|| client.cells.provision_bucket("K_plain")).await;
    assert_eq!(get(&client, "K_plain", "a").await, None);
    put(&client, "K_plain", "a", "1", None).await;
    put(&client, "K_plain", "b", "other", None).await;
    becomes(&client, "K_plain", "a", Some("1")).await;
    put(&client, "K_plain", "a", "2", None).await;
    becomes(&client, "K_plain", "a", Some("2")).await;
    settle(|| client.cells.take_away("K_plain", "a")).await;
    becomes(&client, "K_plain", "a", None).await;
    settle(|| client.cells.take_away("K_plain", "never")).await;
    becomes(&client, "K_plain", "b", Some("other")).await;
    put(&client, "K_plain", "a", "3", None).await;
    becomes(&client, "K_plain", "a", Some("3")).await;
}

pub(super) async fn a_cell_that_is_not_renewed_is_gone(bench: &mut dyn Bench) {
    let client = bench.client().await;
    settle(|| client.cells.provision_bucket("K_ttl")).await;
    let span = Duration::from_secs(3);
    put(&client, "K_ttl", "kept", "k", None).await;
    let began = Instant::now();
    put(&client, "K_ttl", "left", "l", Some(span)).await;
    put(&client, "K_ttl", "renewed", "r", Some(span)).await;
    let renewing = async {
        let mut renewed = began;
        for _ in 0..12 {
            sleep(span / 4).await;
            let value = get(&client, "K_ttl", "renewed").await;
            // Where the machine was too busy to renew it in time, nothing was promised.
            if renewed.elapsed() < span * 9 / 10 {
                assert_eq!(value.as_deref(), Some("r"), "it was renewed");
            }
            renewed = Instant::now();
            put(&client, "K_ttl", "renewed", "r", Some(span)).await;
        }
    };
    let looking = async {
        becomes(&client, "K_ttl", "left", None).await;
        assert!(began.elapsed() >= span * 9 / 10, "gone after {:?}", began.elapsed());
    };
    tokio::join!(renewing, looking);
    assert_eq!(get(&client, "K_ttl", "kept").await.as_deref(), Some("k"));
    becomes(&client, "K_ttl", "renewed", None).await;
}

type Changes = BoxStream<'static, Result<Change, ReadError>>;

async fn next(changes: &mut Changes) -> Change {
    let next = timeout(PATIENCE, changes.next()).await.expect("something changes");
    next.expect("watching goes on").expect("readable")
}

fn is(key: &str, value: &str) -> Change {
    Change::Put(Cell { key: key.to_owned(), value: bytes(value) })
}

pub(super) async fn a_watcher_is_told_what_is_there_and_what_changes(bench: &mut dyn Bench) {
    let (client, other) = (bench.client().await, bench.client().await);
    settle(|| client.cells.provision_bucket("K_watch")).await;
    let mut empty = settle(|| client.cells.watch("K_watch")).await;
    assert_eq!(next(&mut empty).await, Change::Told, "nothing is there");
    put(&other, "K_watch", "a", "1", None).await;
    put(&other, "K_watch", "b", "1", None).await;
    put(&other, "K_watch", "b", "2", None).await;
    let mut present = Vec::new();
    let mut changes = settle(|| client.cells.watch("K_watch")).await;
    loop {
        match next(&mut changes).await {
            Change::Told => break,
            change => present.push(change),
        }
    }
    assert_eq!(present, [is("a", "1"), is("b", "2")]);
    settle(|| other.cells.take_away("K_watch", "a")).await;
    assert_eq!(next(&mut changes).await, Change::Gone("a".to_owned()));
    put(&other, "K_watch", "c", "3", Some(Duration::from_secs(2))).await;
    assert_eq!(next(&mut changes).await, is("c", "3"));
    assert_eq!(next(&mut changes).await, Change::Gone("c".to_owned()), "its time was over");
    // Who looks later may be told the newest only, and of what is gone.
    let mut seen = BTreeMap::new();
    loop {
        match next(&mut empty).await {
            Change::Put(Cell { key, value }) => drop(seen.insert(key, Some(super::text(&value)))),
            Change::Gone(key) if key == "c" => break,
            Change::Gone(key) => drop(seen.insert(key, None)),
            Change::Told => panic!("told twice"),
        }
    }
    seen.remove("c");
    let wanted = [("a".to_owned(), None), ("b".to_owned(), Some("2".to_owned()))];
    assert_eq!(seen, BTreeMap::from(wanted));
}
