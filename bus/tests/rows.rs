//! Projections, against a real server: folded exactly once, findable, and never half there.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use bus::{RowError, Selection, Status};
use common::{PutIn, TakeOut, TillCard, connect, fresh, host_with_rows};
use nats_server::TestServer;

#[tokio::test]
async fn a_row_read_after_a_position_includes_it() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    let _node = host_with_rows(&bus, rows.path()).await;
    let till = fresh("t");
    for n in 1..=50 {
        let (_, position) = bus.actor(&till).ask(PutIn { amount: 1 }).positioned().await.unwrap();
        let card = bus.rows::<TillCard>().get(till.as_str()).after(&position).await.unwrap();
        assert_eq!(card.unwrap().amount, n);
    }
}

#[tokio::test]
async fn deleted_rows_come_back_the_same() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    let node = host_with_rows(&bus, rows.path()).await;
    let mut last = None;
    for n in 0..1_200_u64 {
        let till = bus::Id::<common::Till>::parse(&format!("t-{}", n % 40)).unwrap();
        last = Some(bus.actor(&till).ask(PutIn { amount: n % 7 }).positioned().await.unwrap().1);
    }
    let all = || bus.rows::<TillCard>().list(Selection::all()).after(last.as_ref().unwrap());
    let before = all().await.unwrap();
    assert_eq!(before.rows.iter().map(|card| card.events).sum::<u64>(), 1_200);
    node.stop().await;
    let node = host_with_rows(&bus, rows.path()).await;
    assert_eq!(all().await.unwrap().rows, before.rows, "folded once, also over a restart");
    node.stop().await;
    std::fs::remove_dir_all(rows.path()).unwrap();
    let _node = host_with_rows(&bus, rows.path()).await;
    // Asked while they are being folded again: whole, or not at all.
    let without_position = bus.rows::<TillCard>().list(Selection::all()).await.unwrap();
    assert_eq!(without_position.rows, before.rows);
}

#[tokio::test]
async fn rows_of_another_journal_are_forgotten() {
    let rows = tempfile::tempdir().unwrap();
    {
        let server = TestServer::own().await;
        let bus = connect(&server).await;
        let node = host_with_rows(&bus, rows.path()).await;
        let ask = bus.actor(&fresh("old")).ask(PutIn { amount: 1 });
        let (_, position) = ask.positioned().await.unwrap();
        let listed = bus.rows::<TillCard>().list(Selection::all()).after(&position).await;
        assert_eq!(listed.unwrap().rows.len(), 1);
        node.stop().await;
    }
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let _node = host_with_rows(&bus, rows.path()).await;
    let (_, position) =
        bus.actor(&fresh("new")).ask(PutIn { amount: 2 }).positioned().await.unwrap();
    let listed = bus.rows::<TillCard>().list(Selection::all()).after(&position).await.unwrap();
    assert_eq!(listed.rows.iter().map(|card| card.amount).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn lists_come_in_pages_and_follow_the_index() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    let _node = host_with_rows(&bus, rows.path()).await;
    let mut last = None;
    for n in 0..25_u64 {
        let till = bus::Id::<common::Till>::parse(&format!("g{}-{n:02}", n % 2)).unwrap();
        let (_, position) =
            bus.actor(&till).ask(PutIn { amount: n * 10 }).positioned().await.unwrap();
        // Rows are ranked by whole milliseconds.
        tokio::time::sleep(Duration::from_millis(2)).await;
        last = Some(position);
    }
    let group = Selection::all().matching("group", "g0").newest_first().limit(5);
    let (mut cursor, mut ids) = (None, Vec::new());
    loop {
        let page =
            bus.rows::<TillCard>().list(group.clone().from(cursor)).after(last.as_ref().unwrap());
        let page = page.await.unwrap();
        assert!(page.rows.len() <= 5);
        ids.extend(page.rows.into_iter().map(|card| card.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let newest_first: Vec<String> =
        (0..25).rev().step_by(2).map(|n| format!("g0-{n:02}")).collect();
    assert_eq!(ids, newest_first);
    let both = Selection::all().matching("group", "g1").prefix("size", "lar");
    let both = bus.rows::<TillCard>().list(both).await.unwrap();
    assert!(both.rows.iter().all(|card| card.amount >= 100 && card.id.starts_with("g1")));
    assert_eq!(both.rows.len(), 7);
    // A row that leaves an index is not listed there any more.
    let till = bus::Id::<common::Till>::parse("g1-23").unwrap();
    let take = bus.actor(&till).ask(TakeOut { amount: 230, to: None });
    let (_, position) = take.positioned().await.unwrap();
    let large = Selection::all().matching("size", "large");
    let large = bus.rows::<TillCard>().list(large).after(&position).await.unwrap();
    assert!(large.rows.iter().all(|card| card.id != "g1-23"));
}

#[tokio::test]
async fn only_who_may_see_a_row_sees_it() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    let _node = host_with_rows(&bus, rows.path()).await;
    let till = fresh("mine");
    let (_, position) = bus.actor(&till).ask(PutIn { amount: 1 }).positioned().await.unwrap();
    let get = || bus.rows::<TillCard>().get(till.as_str()).after(&position);
    assert!(get().within("group", "mine").await.unwrap().is_some());
    assert!(get().within("group", "yours").await.unwrap().is_none());
    assert!(bus.rows::<TillCard>().get("nobody").await.unwrap().is_none());
}

#[tokio::test]
async fn a_query_that_cannot_be_answered_says_why() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    let _node = host_with_rows(&bus, rows.path()).await;
    let failed = |result: Result<bus::Listed<TillCard>, RowError>| match result {
        Err(RowError::Failed(failure)) => failure,
        other => panic!("expected a failure, got {other:?}"),
    };
    let rows = bus.rows::<TillCard>();
    for cursor in ["zz", "abc", "é", "00", "6900"] {
        let failure = failed(rows.list(Selection::all().from(Some(cursor.to_owned()))).await);
        assert_eq!(
            (failure.status, failure.body.field.as_deref()),
            (Status::BadCommand, Some("from"))
        );
    }
    let elsewhere = "EVT_other_0@1".parse().unwrap();
    assert_eq!(
        failed(rows.list(Selection::all()).after(&elsewhere).await).status,
        Status::BadCommand
    );
    let not_yet = "EVT_till_0@1000".parse().unwrap();
    let waited =
        rows.list(Selection::all()).after(&not_yet).timeout(Duration::from_millis(300)).await;
    assert!(waited.unwrap_err().may_ask_again());
}

#[tokio::test]
async fn what_is_no_commit_is_passed_over_and_counted() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    let node = host_with_rows(&bus, rows.path()).await;
    let till = fresh("t");
    bus.actor(&till).ask(PutIn { amount: 1 }).await.unwrap();
    let stranger = async_nats::connect(&server.url).await.unwrap();
    let stranger = async_nats::jetstream::new(stranger);
    for garbage in ["", "no commit", "{\"commit\":\"c\"}", "\u{0}\u{1}"] {
        let subject = format!("evt.till.0.{}", fresh("g"));
        stranger.publish(subject, garbage.into()).await.unwrap().await.unwrap();
    }
    // An event of a program that is newer than this one.
    let mut unknown = serde_json::json!({
        "commit": "c", "at": 1, "command": "mend", "key": "k", "digest": "d", "events": [],
        "reply": null
    });
    unknown["events"] = serde_json::json!([{ "put_in": { "amount": 5 } }, { "mended": {} }]);
    let body = rmp_serde::to_vec_named(&unknown).unwrap();
    let strange = fresh("s");
    let subject = format!("evt.till.0.{strange}");
    stranger.publish(subject, body.into()).await.unwrap().await.unwrap();
    let ask = bus.actor(&till).ask(PutIn { amount: 2 });
    let (_, position) = ask.positioned().await.unwrap();
    let row = bus.rows::<TillCard>().get(till.as_str()).after(&position).await.unwrap();
    assert_eq!(row.unwrap().amount, 3);
    let half = bus.rows::<TillCard>().get(strange.as_str()).await.unwrap();
    assert_eq!(half, None, "a commit is folded as a whole or not at all");
    let progress = bus.rows::<TillCard>().progress().await.unwrap();
    assert_eq!((progress.streams[0].skipped, progress.streams[0].lag), (5, 0));
    node.stop().await;
    // Counted once, also over a restart.
    let node = host_with_rows(&bus, rows.path()).await;
    bus.rows::<TillCard>().get(till.as_str()).after(&position).await.unwrap();
    assert_eq!(node.projections().await[0].streams[0].skipped, 5);
}

#[tokio::test]
async fn a_query_waits_for_all_positions_it_names() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    let _node = host_with_rows(&bus, rows.path()).await;
    let till = fresh("t");
    let (_, first) = bus.actor(&till).ask(PutIn { amount: 1 }).positioned().await.unwrap();
    let (_, second) = bus.actor(&till).ask(PutIn { amount: 1 }).positioned().await.unwrap();
    let get = || bus.rows::<TillCard>().get(till.as_str());
    let row = get().after(&second).after(&first).await.unwrap().unwrap();
    assert_eq!(row.amount, 2);
    let not_yet = "EVT_till_0@1000".parse().unwrap();
    let waited = get().after(&first).after(&not_yet).timeout(Duration::from_millis(300)).await;
    assert!(waited.unwrap_err().may_ask_again());
}
