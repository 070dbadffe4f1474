//! Promises that hold although the server is killed.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{sleep, timeout};

use super::{
    Bench, append, append_many, cells, deliver, letters, next, settle, shard, source, take, text,
};
use crate::{journal::post::When, wire::subject};

pub(super) async fn all_that_was_acknowledged_survives_a_kill(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "k-all").await;
    settle(|| client.post.provision_post()).await;
    settle(|| client.cells.provision_bucket("K_kill")).await;
    let mut version = append_many(&client, &shard, "a", 50).await[49];
    for n in 1..=3 {
        let letter = letters::letter(subject::dead("k-all", "k", "a"), &n.to_string());
        settle(|| client.post.store(&letter)).await;
        cells::put(&client, "K_kill", "a", &n.to_string(), None).await;
    }
    bench.kill().await;
    for client in [bench.client().await, client] {
        let batch = settle(|| client.journal.read_from_leader(&shard, "a", 0)).await;
        assert!(batch.entries.len() >= 50);
        assert_eq!(text(&batch.entries[49].bytes), "a-50");
        version = append(&client, &shard, "a", version, "more").await;
        assert_eq!(cells::get(&client, "K_kill", "a").await.as_deref(), Some("3"));
        let found = letters::listed(&client, subject::DEAD_STREAM, "dead.k-all.>").await;
        assert_eq!(found.len(), 3);
    }
}

pub(super) async fn following_goes_on_after_a_kill(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "k-follow").await;
    let mut version = append_many(&client, &shard, "a", 5).await[4];
    let mut following = settle(|| client.journal.follow(&shard.stream, 1)).await;
    for sequence in 1..=5 {
        let entry = following.next().await.expect("goes on").expect("readable");
        assert_eq!(entry.sequence, sequence);
    }
    bench.kill().await;
    let writer = bench.client().await;
    for n in 6..=10 {
        version = append(&writer, &shard, "a", version, &format!("a-{n}")).await;
    }
    // It may end, or fail, and is then begun again from where it was; nothing is left out.
    let mut read = 5;
    while read < 10 {
        match timeout(super::PATIENCE, following.next()).await.expect("in time") {
            Some(Ok(entry)) => {
                assert_eq!(entry.sequence, read + 1);
                read = entry.sequence;
            }
            Some(Err(_)) | None => {
                following = settle(|| client.journal.follow(&shard.stream, read + 1)).await;
            }
        }
    }
}

pub(super) async fn a_followers_place_survives_a_kill(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "k-place").await;
    let source = source(&shard, "f");
    append_many(&client, &shard, "a", 6).await;
    let mut deliveries = deliver(&client, &source).await;
    assert_eq!(take(&mut deliveries, 3).await, ["a-1", "a-2", "a-3"]);
    next(&mut deliveries).await;
    // A server may forget the acknowledgements of its last tenth of a second.
    sleep(Duration::from_secs(1)).await;
    drop(deliveries);
    bench.kill().await;
    let client = bench.client().await;
    let mut deliveries = deliver(&client, &source).await;
    assert_eq!(take(&mut deliveries, 3).await, ["a-4", "a-5", "a-6"]);
}

pub(super) async fn a_schedule_survives_a_kill(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let due = bench.now().plus(Duration::from_secs(4));
    letters::arm(&client, "k-timer", "a", When::At(due), "late").await;
    bench.kill().await;
    let client = bench.client().await;
    super::eventually("it has fired", async || {
        (letters::fired(&client, "k-timer").await == ["late"]).then_some(())
    })
    .await;
    assert!(bench.now() >= due, "early");
}
