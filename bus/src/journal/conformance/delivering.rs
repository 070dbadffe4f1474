//! Promises of following and delivering.

use std::time::Duration;

use std::collections::BTreeMap;

use futures_util::{StreamExt, future::join_all};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Bench, PATIENCE, append, append_many, bytes, deliver, next, settle, shard, source, take, text,
};
use crate::{
    journal::{Source, post::Letter},
    limits::ACK_WAIT,
    wire::subject,
};

pub(super) async fn following_from_any_place_gets_everything(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-follow").await;
    let sequences = append_many(&client, &shard, "a", 300).await;
    for from in [0, 1, 2, 150, 300] {
        let began = Instant::now();
        let mut following = settle(|| client.journal.follow(&shard.stream, from)).await;
        for wanted in &sequences[usize::try_from(from.max(1) - 1).expect("small")..] {
            let entry = loop {
                match timeout(PATIENCE, following.next()).await.expect("in time").expect("goes on")
                {
                    Ok(entry) => break entry,
                    // A replica that lags says so; who follows begins again where it was.
                    Err(error) => {
                        assert!(began.elapsed() < PATIENCE, "never goes on: {error}");
                        let again = || client.journal.follow(&shard.stream, *wanted);
                        following = settle(again).await;
                    }
                }
            };
            assert_eq!(entry.sequence, *wanted, "from {from}");
            assert_eq!(&*entry.subject, shard.subject("a"));
        }
    }
    let mut following = settle(|| client.journal.follow(&shard.stream, 301)).await;
    let another = bench.client().await;
    append(&another, &shard, "b", 0, "new").await;
    let entry = timeout(PATIENCE, following.next()).await.expect("in time").expect("goes on");
    assert_eq!(text(&entry.expect("readable").bytes), "new");
}

pub(super) async fn deliveries_keep_each_actors_order(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-deliver").await;
    let mut deliveries = deliver(&client, &source(&shard, "f")).await;
    let ids = ["a", "b", "c", "d"];
    join_all(ids.map(|id| append_many(&client, &shard, id, 25))).await;
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for _ in 0..100 {
        let delivery = next(&mut deliveries).await;
        let (_, id) = subject::parse_event(&delivery.entry.subject).expect("a commit's");
        seen.entry(id.to_owned()).or_default().push(text(&delivery.entry.bytes));
        delivery.receipt.done().await;
    }
    for id in ids {
        assert_eq!(seen[id], (1..=25).map(|n| format!("{id}-{n}")).collect::<Vec<_>>());
    }
}

pub(super) async fn what_is_not_acknowledged_is_delivered_again(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-redeliver").await;
    append_many(&client, &shard, "a", 2).await;
    let mut deliveries = deliver(&client, &source(&shard, "f")).await;
    let began = Instant::now();
    let first = next(&mut deliveries).await;
    next(&mut deliveries).await.receipt.done().await;
    let again = next(&mut deliveries).await;
    assert_eq!(again.entry.sequence, first.entry.sequence);
    assert!(began.elapsed() >= ACK_WAIT * 9 / 10, "after {:?}", began.elapsed());
}

pub(super) async fn what_is_worked_on_is_not_delivered_again(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-working").await;
    append_many(&client, &shard, "a", 1).await;
    let mut deliveries = deliver(&client, &source(&shard, "f")).await;
    let held = next(&mut deliveries).await;
    for _ in 0..8 {
        let quiet = timeout(ACK_WAIT / 4, deliveries.next()).await;
        assert!(quiet.is_err(), "it was delivered again");
        held.receipt.working().await;
    }
    held.receipt.done().await;
    append(&client, &shard, "b", 0, "next").await;
    assert_eq!(take(&mut deliveries, 1).await, ["next"]);
}

pub(super) async fn what_is_acknowledged_is_not_delivered_again(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-acked").await;
    append_many(&client, &shard, "a", 5).await;
    let mut deliveries = deliver(&client, &source(&shard, "f")).await;
    assert_eq!(take(&mut deliveries, 5).await.len(), 5);
    let quiet = timeout(ACK_WAIT * 3 / 2, deliveries.next()).await;
    assert!(quiet.is_err(), "it was delivered again");
    drop(deliveries);
    let mut deliveries = deliver(&client, &source(&shard, "f")).await;
    append(&client, &shard, "b", 0, "new").await;
    assert_eq!(take(&mut deliveries, 1).await, ["new"], "to the one who comes back");
    let mut others = deliver(&client, &source(&shard, "g")).await;
    assert_eq!(take(&mut others, 1).await, ["a-1"], "another follower has its own place");
}

pub(super) async fn delivery_begins_anew_behind_the_last_gap(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-gap").await;
    append_many(&client, &shard, "a", 5).await;
    let mut deliveries = deliver(&client, &source(&shard, "f")).await;
    for n in 1..=4 {
        let delivery = next(&mut deliveries).await;
        if n != 2 {
            delivery.receipt.done().await;
        }
    }
    // What was acknowledged must have come to the server before.
    sleep(ACK_WAIT / 5).await;
    drop(deliveries);
    let mut deliveries = deliver(&client, &source(&shard, "f")).await;
    assert_eq!(take(&mut deliveries, 4).await, ["a-2", "a-3", "a-4", "a-5"]);
}

pub(super) async fn a_filter_lets_only_its_own_through(bench: &mut dyn Bench) {
    let client = bench.client().await;
    settle(|| client.post.provision_post()).await;
    for kind in ["c-mine", "c-other", "c-mine"] {
        let subject = subject::dead("f", kind, "a");
        let letter = Letter { subject, headers: Default::default(), body: bytes(kind) };
        settle(|| client.post.store(&letter)).await;
    }
    let source = Source {
        stream: subject::DEAD_STREAM.into(),
        filter: Some("dead.f.c-mine.>".into()),
        follower: "c-filter".into(),
    };
    let mut deliveries = deliver(&client, &source).await;
    assert_eq!(take(&mut deliveries, 2).await, ["c-mine", "c-mine"]);
}

pub(super) async fn one_client_at_a_time_is_given_a_source(bench: &mut dyn Bench) {
    let (one, two) = (bench.client().await, bench.client().await);
    let shard = shard(&one, "c-one").await;
    let source = source(&shard, "f");
    let mut first = deliver(&one, &source).await;
    append_many(&one, &shard, "a", 1).await;
    assert_eq!(take(&mut first, 1).await, ["a-1"]);
    let mut second = deliver(&two, &source).await;
    append_many(&one, &shard, "b", 30).await;
    let others = timeout(ACK_WAIT / 2, second.next());
    let (all, others) = tokio::join!(take(&mut first, 30), others);
    assert_eq!(all, (1..=30).map(|n| format!("b-{n}")).collect::<Vec<_>>());
    assert!(others.is_err(), "both were given the source");
}

pub(super) async fn another_client_is_given_it_when_the_first_is_gone(bench: &mut dyn Bench) {
    let (one, two) = (bench.client().await, bench.client().await);
    let shard = shard(&one, "c-failover").await;
    let source = source(&shard, "f");
    append_many(&two, &shard, "a", 3).await;
    let mut first = deliver(&one, &source).await;
    assert_eq!(take(&mut first, 1).await, ["a-1"]);
    next(&mut first).await; // Held when its holder dies.
    let mut second = deliver(&two, &source).await;
    sleep(ACK_WAIT / 5).await;
    one.vanish();
    drop(first);
    assert_eq!(take(&mut second, 2).await, ["a-2", "a-3"]);
}

pub(super) async fn a_released_source_is_given_to_another_at_once(bench: &mut dyn Bench) {
    let (one, two) = (bench.client().await, bench.client().await);
    let shard = shard(&one, "c-release").await;
    let source = source(&shard, "f");
    append_many(&two, &shard, "a", 2).await;
    let mut first = deliver(&one, &source).await;
    assert_eq!(take(&mut first, 1).await, ["a-1"]);
    let mut second = deliver(&two, &source).await;
    // Shorter than the first may be silent and keep it.
    let waited = timeout(Duration::from_secs(1), second.next()).await;
    assert!(waited.is_err(), "it is the first's");
    drop(first);
    let began = Instant::now();
    one.journal.release(&source).await;
    assert_eq!(take(&mut second, 1).await, ["a-2"]);
    assert!(began.elapsed() < ACK_WAIT / 2, "after {:?}", began.elapsed());
}
