//! Promises of letters and schedules.

use std::time::Duration;

use async_nats::HeaderMap;
use tokio::time::sleep;

use super::{Bench, Client, append_many, bytes, deliver, eventually, settle, shard, take, text};
use crate::{
    journal::{
        AppendError, Entry, Source,
        post::{Letter, Schedule, When},
    },
    limits::LETTERS_BATCH,
    model::time::Timestamp,
    wire::subject,
};

pub(super) fn letter(subject: String, body: &str) -> Letter {
    let mut headers = HeaderMap::new();
    headers.insert(subject::CAUSE, "EVT_x_0@1");
    Letter { subject, headers, body: bytes(body) }
}

pub(super) async fn listed(client: &Client, stream: &str, filter: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(0, |entry| entry.sequence);
        let batch = settle(|| client.post.letters(stream, filter, after)).await;
        entries.extend(batch.entries);
        if batch.is_last {
            return entries;
        }
    }
}

fn texts(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| text(&entry.bytes)).collect()
}

pub(super) async fn letters_are_kept_listed_read_and_removed(bench: &mut dyn Bench) {
    let client = bench.client().await;
    settle(|| client.post.provision_post()).await;
    let mut places = Vec::new();
    for (follower, body) in [("l-one", "1"), ("l-two", "2"), ("l-one", "3"), ("l-one", "4")] {
        let letter = letter(subject::dead(follower, "l", "a"), body);
        places.push(settle(|| client.post.store(&letter)).await);
    }
    assert!(places.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
    assert_eq!(&*places[0].stream, subject::DEAD_STREAM);
    let listing = async || {
        eventually("all are listed", async || {
            let found = listed(&client, subject::DEAD_STREAM, "dead.l-one.>").await;
            (texts(&found) == ["1", "3", "4"]).then_some(found)
        })
        .await
    };
    let found = listing().await;
    let cause = found[0].headers.get(subject::CAUSE).expect("headers are kept");
    assert_eq!((cause.as_str(), found[0].headers.len()), ("EVT_x_0@1", 1), "and no others");
    let exact = listed(&client, subject::DEAD_STREAM, &subject::dead("l-two", "l", "a")).await;
    assert_eq!(texts(&exact), ["2"]);
    let third = places[2].sequence;
    let read = client.post.letter(subject::DEAD_STREAM, third).await.expect("readable");
    let read = read.expect("there");
    assert_eq!((text(&read.bytes), read.sequence), ("3".to_owned(), third));
    assert_eq!(&*read.subject, subject::dead("l-one", "l", "a"));
    assert!(client.post.remove(subject::DEAD_STREAM, third).await.expect("removed"));
    assert!(!client.post.remove(subject::DEAD_STREAM, third).await.expect("gone already"));
    eventually("it is gone", async || {
        let left = listed(&client, subject::DEAD_STREAM, "dead.l-one.>").await;
        (texts(&left) == ["1", "4"]).then_some(())
    })
    .await;
    let gone = client.post.letter(subject::DEAD_STREAM, third).await.expect("readable");
    assert!(gone.is_none(), "another letter must not pass for it");
    let nowhere = client.post.store(&letter("nowhere.l".to_owned(), "")).await;
    assert!(matches!(nowhere, Err(AppendError::Refused(_))), "{nowhere:?}");
}

pub(super) async fn many_letters_are_listed_in_batches(bench: &mut dyn Bench) {
    let client = bench.client().await;
    settle(|| client.post.provision_post()).await;
    let count = LETTERS_BATCH * 2 + 1;
    for n in 0..count {
        let letter = letter(subject::dead("l-many", "l", &format!("a{n}")), &n.to_string());
        settle(|| client.post.store(&letter)).await;
    }
    eventually("all are listed", async || {
        let found = texts(&listed(&client, subject::DEAD_STREAM, "dead.l-many.>").await);
        (found == (0..count).map(|n| n.to_string()).collect::<Vec<_>>()).then_some(())
    })
    .await;
}

pub(super) async fn a_tell_is_gone_once_it_is_acknowledged(bench: &mut dyn Bench) {
    let client = bench.client().await;
    settle(|| client.post.provision_post()).await;
    for n in 1..=3 {
        let letter = letter(subject::tell("l-tell", "a", "go"), &n.to_string());
        settle(|| client.post.store(&letter)).await;
    }
    let filter = subject::tells("l-tell");
    let source = Source {
        stream: subject::TELL_STREAM.into(),
        filter: Some(filter.as_str().into()),
        follower: "l-tell".into(),
    };
    let mut deliveries = deliver(&client, &source).await;
    assert_eq!(take(&mut deliveries, 2).await, ["1", "2"]);
    let held = super::next(&mut deliveries).await;
    eventually("the acknowledged ones are gone", async || {
        let left = texts(&listed(&client, subject::TELL_STREAM, &filter).await);
        (left == ["3"]).then_some(())
    })
    .await;
    held.receipt.done().await;
    eventually("all are gone", async || {
        listed(&client, subject::TELL_STREAM, &filter).await.is_empty().then_some(())
    })
    .await;
}

pub(super) async fn only_what_is_acknowledged_is_swept(bench: &mut dyn Bench) {
    let client = bench.client().await;
    settle(|| client.post.provision_post()).await;
    // Between and behind what is swept, letters of another kind.
    for (kind, n) in [("l-own", 1), ("l-other", 2), ("l-own", 3), ("l-own", 4), ("l-other", 5)] {
        let letter = letter(subject::due(kind, "a", "go"), &n.to_string());
        settle(|| client.post.store(&letter)).await;
    }
    let filter = subject::dues("l-own");
    let source = Source {
        stream: subject::TIMER_STREAM.into(),
        filter: Some(filter.as_str().into()),
        follower: "due-l-own".into(),
    };
    settle(|| client.post.sweep(&source, 0)).await;
    let left = async |filter: &str| texts(&listed(&client, subject::TIMER_STREAM, filter).await);
    assert_eq!(left(&filter).await, ["1", "3", "4"], "nobody has acknowledged any");
    let mut deliveries = deliver(&client, &source).await;
    assert_eq!(take(&mut deliveries, 1).await, ["1"]);
    let held = super::next(&mut deliveries).await;
    assert_eq!(take(&mut deliveries, 1).await, ["4"]);
    eventually("what is acknowledged without a gap is gone", async || {
        settle(|| client.post.sweep(&source, 0)).await;
        (left(&filter).await == ["3", "4"]).then_some(())
    })
    .await;
    held.receipt.done().await;
    eventually("all are gone", async || {
        settle(|| client.post.sweep(&source, 0)).await;
        left(&filter).await.is_empty().then_some(())
    })
    .await;
    assert_eq!(left(&subject::dues("l-other")).await, ["2", "5"], "others stay");
}

/// Arms a schedule that stores `body` for the kind.
pub(super) async fn arm(client: &Client, kind: &str, name: &str, when: When, body: &str) {
    arm_from(1, client, kind, name, when, body).await;
}

async fn arm_from(rank: u64, client: &Client, kind: &str, name: &str, when: When, body: &str) {
    settle(|| client.post.provision_post()).await;
    let schedule = Schedule {
        name: format!("at.{kind}.{name}"),
        when,
        rank,
        letter: letter(subject::due(kind, name, "go"), body),
    };
    settle(|| client.post.schedule(&schedule)).await;
}

pub(super) async fn fired(client: &Client, kind: &str) -> Vec<String> {
    texts(&listed(client, subject::TIMER_STREAM, &subject::dues(kind)).await)
}

fn after(bench: &dyn Bench, ms: u64) -> Timestamp {
    bench.now().plus(Duration::from_millis(ms))
}

pub(super) async fn a_schedule_fires_once_and_never_early(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let due: Vec<Timestamp> = (1..=5).map(|n| after(bench, n * 700)).collect();
    for (n, time) in due.iter().enumerate() {
        arm(&client, "s-once", &format!("a{n}"), When::At(*time), &n.to_string()).await;
    }
    let mut seen = 0;
    eventually("all have fired", async || {
        let now = fired(&client, "s-once").await.len();
        for time in due.iter().take(now).skip(seen) {
            assert!(bench.now() >= *time, "early");
        }
        seen = now;
        (seen == due.len()).then_some(())
    })
    .await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(fired(&client, "s-once").await, ["0", "1", "2", "3", "4"], "in order, and once");
    let left = listed(&client, subject::TIMER_STREAM, "at.s-once.>").await;
    assert!(left.is_empty(), "a schedule that has fired is gone");
    let letters = listed(&client, subject::TIMER_STREAM, &subject::dues("s-once")).await;
    let cause = letters[0].headers.get(subject::CAUSE).expect("its headers are kept");
    assert_eq!(cause.as_str(), "EVT_x_0@1");
}

pub(super) async fn a_schedule_of_the_past_fires_now(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let past = Timestamp::from_millis(bench.now().as_millis() - 3_600_000);
    arm(&client, "s-past", "a", When::At(past), "late").await;
    eventually("it has fired", async || (fired(&client, "s-past").await == ["late"]).then_some(()))
        .await;
}

pub(super) async fn a_schedule_is_replaced_by_name(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let (soon, later) = (after(bench, 1_500), after(bench, 3_000));
    arm(&client, "s-replaced", "a", When::At(soon), "first").await;
    arm_from(2, &client, "s-replaced", "a", When::At(later), "second").await;
    eventually("it has fired", async || {
        (!fired(&client, "s-replaced").await.is_empty()).then_some(())
    })
    .await;
    assert!(bench.now() >= later, "the first was not replaced");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(fired(&client, "s-replaced").await, ["second"]);
}

pub(super) async fn a_schedule_can_be_disarmed(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let (soon, later) = (after(bench, 2_000), after(bench, 3_500));
    arm(&client, "s-disarmed", "a", When::At(soon), "never").await;
    arm(&client, "s-disarmed", "b", When::At(later), "stays").await;
    settle(|| client.post.unschedule("at.s-disarmed.a", 1)).await;
    settle(|| client.post.unschedule("at.s-disarmed.nothing", 1)).await;
    eventually("the other has fired", async || {
        (!fired(&client, "s-disarmed").await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(fired(&client, "s-disarmed").await, ["stays"]);
    settle(|| client.post.unschedule("at.s-disarmed.a", 1)).await;
}

pub(super) async fn an_overtaken_schedule_changes_nothing(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let (soon, later) = (after(bench, 1_500), after(bench, 3_000));
    arm_from(7, &client, "s-overtaken", "a", When::At(later), "newer").await;
    arm_from(6, &client, "s-overtaken", "a", When::At(soon), "older").await;
    settle(|| client.post.unschedule("at.s-overtaken.a", 6)).await;
    eventually("it has fired", async || {
        (!fired(&client, "s-overtaken").await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(fired(&client, "s-overtaken").await, ["newer"]);
}

pub(super) async fn a_schedule_recurs(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "s-recurs").await;
    append_many(&client, &shard, "a", 1).await;
    let began = bench.now();
    arm(&client, "s-recurs", "a", When::Every("@every 1s".to_owned()), "tick").await;
    eventually("it has fired three times", async || {
        (fired(&client, "s-recurs").await.len() >= 3).then_some(())
    })
    .await;
    // The first may come at the next whole second.
    assert!(bench.now() >= began.plus(Duration::from_millis(1_900)), "early");
    settle(|| client.post.unschedule("at.s-recurs.a", 1)).await;
    // One may be on its way.
    sleep(Duration::from_millis(500)).await;
    let count = fired(&client, "s-recurs").await.len();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(fired(&client, "s-recurs").await.len(), count, "it was disarmed");
    let wrong = Schedule {
        name: "at.s-recurs.wrong".to_owned(),
        when: When::Every("now and then".to_owned()),
        rank: 1,
        letter: letter(subject::due("s-recurs", "a", "go"), ""),
    };
    let refused = client.post.schedule(&wrong).await;
    assert!(matches!(refused, Err(AppendError::Refused(_))), "{refused:?}");
}
