//! What a caller is promised, against a real server: an acknowledged command is never lost and
//! never takes effect twice.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use bus::{AskError, Key, Status};
use common::{Break, Count, PutIn, TakeOut, TillError, connect, fresh, host};
use futures_util::future::join_all;
use nats_server::TestServer;

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let mut server = TestServer::own().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    let till = fresh("t");
    for amount in 1..=20 {
        bus.actor(&till).ask(PutIn { amount }).await.unwrap();
    }
    node.stop().await;
    server.kill_and_restart().await;
    let _node = host(&bus).await;
    assert_eq!(bus.actor(&till).ask(Count {}).await.unwrap(), 210);
}

#[tokio::test]
async fn a_repeated_key_has_one_effect_and_one_answer() {
    let server = TestServer::get().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    let (till, key) = (fresh("t"), Key::random());
    let at_once =
        (0..16).map(|_| bus.actor(&till).ask(PutIn { amount: 5 }).key(key.clone()).positioned());
    let answers: Vec<_> = join_all(at_once).await.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    bus.actor(&till).ask(PutIn { amount: 1 }).await.unwrap();
    node.stop().await;
    let _node = host(&bus).await;
    let later = bus.actor(&till).ask(PutIn { amount: 5 }).key(key.clone()).positioned().await;
    assert_eq!(later.unwrap(), answers[0]);
    let other_body = bus.actor(&till).ask(PutIn { amount: 6 }).key(key.clone()).await;
    assert_status(&other_body, Status::KeyReused);
    let other_command = bus.actor(&till).ask(TakeOut { amount: 5, to: None }).key(key).await;
    assert_status(&other_command, Status::KeyReused);
    assert_eq!(bus.actor(&till).ask(Count {}).await.unwrap(), 6);
}

#[tokio::test]
async fn a_refusal_is_typed_and_leaves_nothing() {
    let server = TestServer::get().await;
    let bus = connect(&server).await;
    let _node = host(&bus).await;
    let till = fresh("t");
    bus.actor(&till).ask(PutIn { amount: 3 }).await.unwrap();
    let key = Key::random();
    let refused = bus.actor(&till).ask(TakeOut { amount: 4, to: None }).key(key.clone()).await;
    assert!(matches!(refused, Err(AskError::Refused(TillError::TooLittle { amount: 3 }))));
    // Nothing was stored, so the same key is decided afresh once it can be granted.
    bus.actor(&till).ask(PutIn { amount: 1 }).await.unwrap();
    assert_eq!(bus.actor(&till).ask(TakeOut { amount: 4, to: None }).key(key).await.unwrap(), 0);
    assert_eq!(bus.history("till", till.as_str(), 0).await.unwrap().len(), 3);
}

#[tokio::test]
async fn two_nodes_that_both_own_an_actor_lose_and_double_nothing() {
    let server = TestServer::get().await;
    let (one, two, caller) =
        (connect(&server).await, connect(&server).await, connect(&server).await);
    let (_first, _second) = (host(&one).await, host(&two).await);
    let till = fresh("t");
    let clients = (0..8).map(|_| async {
        for _ in 0..25 {
            caller.actor(&till).ask(PutIn { amount: 1 }).await.unwrap();
        }
    });
    join_all(clients).await;
    let commits = caller.history("till", till.as_str(), 0).await.unwrap();
    assert_eq!(commits.len(), 200);
    // Each reply is what the till held then: no decision was made on a stale state.
    let replies: Vec<u64> = commits.iter().filter_map(|commit| commit.reply.as_u64()).collect();
    assert_eq!(replies, (1..=200).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_version_that_is_not_there_is_refused() {
    let server = TestServer::get().await;
    let bus = connect(&server).await;
    let _node = host(&bus).await;
    let till = fresh("t");
    let ask = |amount, version| bus.actor(&till).ask(PutIn { amount }).expect_version(version);
    let (_, position) = ask(1, 0).positioned().await.unwrap();
    assert_status(&ask(1, 0).await, Status::VersionMismatch);
    assert_eq!(ask(1, position.sequence).await.unwrap(), 2);
}

#[tokio::test]
async fn a_repeat_is_answered_though_the_version_it_expects_is_past() {
    let server = TestServer::get().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    let (till, key) = (fresh("t"), Key::random());
    let ask = || {
        let ask = bus.actor(&till).ask(PutIn { amount: 4 }).expect_version(0);
        ask.key(key.clone()).positioned()
    };
    let first = ask().await.unwrap();
    assert_eq!(ask().await.unwrap(), first);
    bus.actor(&till).ask(PutIn { amount: 1 }).await.unwrap();
    node.stop().await;
    let _node = host(&bus).await;
    assert_eq!(ask().await.unwrap(), first);
    assert_eq!(bus.actor(&till).ask(Count {}).await.unwrap(), 5);
}

#[tokio::test]
async fn a_handler_that_panics_harms_nobody_else() {
    let server = TestServer::get().await;
    let bus = connect(&server).await;
    let _node = host(&bus).await;
    let till = fresh("t");
    bus.actor(&till).ask(PutIn { amount: 3 }).await.unwrap();
    assert_status(&bus.actor(&till).ask(Break {}).await, Status::Internal);
    assert_eq!(bus.actor(&till).ask(Count {}).await.unwrap(), 3);
}

#[tokio::test]
async fn callers_wait_while_a_service_is_away() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let till = fresh("t");
    let waiting = tokio::spawn({
        let (bus, till) = (bus.clone(), till.clone());
        async move { bus.actor(&till).ask(PutIn { amount: 3 }).await }
    });
    let brief = bus.actor(&till).ask(Count {}).timeout(Duration::from_millis(200)).await;
    assert_status(&brief, Status::Unavailable);
    let _node = host(&bus).await;
    assert_eq!(waiting.await.unwrap().unwrap(), 3);
}

#[tokio::test]
async fn a_node_that_stops_under_load_fails_no_caller() {
    let server = TestServer::get().await;
    let (one, two, caller) =
        (connect(&server).await, connect(&server).await, connect(&server).await);
    let first = host(&one).await;
    let tills: Vec<_> = (0..16).map(|_| fresh("t")).collect();
    let load = tokio::spawn({
        let (caller, tills) = (caller.clone(), tills.clone());
        async move {
            let clients = tills.iter().map(|till| async {
                for _ in 0..200 {
                    caller.actor(till).ask(PutIn { amount: 1 }).await.unwrap();
                }
            });
            join_all(clients).await;
        }
    });
    common::eventually("the load is on", || async {
        (caller.actor(&tills[0]).ask(Count {}).await.unwrap() > 10).then_some(())
    })
    .await;
    let second = host(&two).await;
    first.stop().await;
    load.await.unwrap();
    for till in &tills {
        assert_eq!(caller.actor(till).ask(Count {}).await.unwrap(), 200);
    }
    second.stop().await;
}

#[track_caller]
fn assert_status<T: std::fmt::Debug>(result: &Result<T, AskError<TillError>>, status: Status) {
    match result {
        Err(AskError::Failed(failure)) => assert_eq!(failure.status, status, "{failure}"),
        other => panic!("expected {status:?}, got {other:?}"),
    }
}
