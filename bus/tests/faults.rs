//! Faults of the kind that only show later: stale states, old keys, panics, floods.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bus::{Actor, AskError, Bus, Context, Effect, Handle, Host, Id, Key, Recorded, Retry, Status};
use bus::{Then, Timestamp};
use common::{Count, PutIn, TakeOut, Till, connect, eventually, fresh, host, host_with_rows};
use futures_util::future::join_all;
use nats_server::TestServer;
use serde::{Deserialize, Serialize};

#[tokio::test]
async fn no_answer_rests_on_a_state_that_another_node_has_moved() {
    let server = TestServer::get().await;
    let (one, two, caller) =
        (connect(&server).await, connect(&server).await, connect(&server).await);
    let (_first, _second) = (host(&one).await, host(&two).await);
    let till = fresh("t");
    for total in 1..=30 {
        // Every command goes to either node, whose state the other has just moved.
        caller.actor(&till).ask(PutIn { amount: 1 }).await.unwrap();
        assert_eq!(caller.actor(&till).ask(Count {}).await.unwrap(), total);
        let too_much = TakeOut { amount: total + 1, to: None };
        match caller.actor(&till).ask(too_much).await {
            Err(AskError::Refused(common::TillError::TooLittle { amount })) => {
                assert_eq!(amount, total);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_key_that_memory_has_forgotten_is_found_in_the_journal() {
    let server = TestServer::get().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    let (till, key, long_ago) = (fresh("t"), Key::random(), Timestamp::now());
    let first = bus.actor(&till).ask(PutIn { amount: 5 }).key(key.clone()).positioned().await;
    let first = first.unwrap();
    let fill = (0..17_000).map(|_| async {
        bus.actor(&till).ask(PutIn { amount: 1 }).timeout(Duration::from_secs(60)).await.unwrap();
    });
    // Fewer at once than a mailbox holds.
    let mut fill: Vec<_> = fill.collect();
    while !fill.is_empty() {
        join_all(fill.drain(..fill.len().min(1_000))).await;
    }
    // Only keys older than some seconds are forgotten; a node that loads the actor later sees
    // them as old as they are.
    tokio::time::sleep(bus::limits::KEYS_KEPT_FOR).await;
    bus.actor(&till).ask(PutIn { amount: 1 }).await.unwrap();
    let again = bus.actor(&till).ask(PutIn { amount: 5 }).key(key.clone());
    assert_eq!(again.key_first_sent(long_ago).positioned().await.unwrap(), first);
    let other = bus.actor(&till).ask(PutIn { amount: 6 }).key(key).key_first_sent(long_ago).await;
    match other {
        Err(AskError::Failed(failure)) => assert_eq!(failure.status, Status::KeyReused),
        other => panic!("{other:?}"),
    }
    assert_eq!(bus.actor(&till).ask(Count {}).await.unwrap(), 17_006);
    node.stop().await;
}

/// Panics the first time it is run.
struct PanicOnce(Arc<AtomicU32>);

impl Effect<Till> for PanicOnce {
    const NAME: &'static str = "panic-once";

    async fn run(&self, _: &Recorded<Till>, _: &Bus, _: &mut Then) -> Result<(), Retry> {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "once");
        Ok(())
    }
}

#[tokio::test]
async fn an_effect_that_panics_is_run_again_and_the_next_commits_too() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let runs = Arc::new(AtomicU32::new(0));
    let host = Host::new(bus.clone()).actor::<Till>().effect(PanicOnce(runs.clone()));
    let _node = host.start().await.unwrap();
    let till = fresh("t");
    for amount in 1..=4 {
        bus.actor(&till).ask(PutIn { amount }).await.unwrap();
    }
    eventually("four events and one repeat", || async {
        (runs.load(Ordering::SeqCst) >= 5).then_some(())
    })
    .await;
}

/// An actor whose folding panics on one event.
#[derive(Default, Serialize, Deserialize)]
struct Brittle<const LIMIT: u64>(u64);

#[derive(Clone, Serialize, Deserialize)]
enum Bent {
    #[serde(rename = "bent")]
    Bent(u64),
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
struct No;

#[derive(Serialize, Deserialize)]
struct Bend(u64);

impl<const LIMIT: u64> Actor for Brittle<LIMIT> {
    const KIND: &'static str = "brittle";
    type Event = Bent;
    type Error = No;
    type Commands = (Bend,);

    fn apply(&mut self, Bent::Bent(by): &Bent) {
        assert!(*by < LIMIT, "broken on purpose");
        self.0 += by;
    }
}

impl<const LIMIT: u64> Handle<Bend> for Brittle<LIMIT> {
    const NAME: &'static str = "bend";
    type Reply = u64;

    fn handle(&self, Bend(by): Bend, ctx: &mut Context<Self>) -> Result<u64, No> {
        ctx.emit(Bent::Bent(by));
        Ok(self.0 + by)
    }
}

#[tokio::test]
async fn an_actor_that_cannot_be_folded_answers_so_and_harms_nobody_else() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    // Other code has stored what this code cannot fold.
    let other = Host::new(bus.clone()).actor::<Brittle<1_000>>().start().await.unwrap();
    let broken = Id::<Brittle<1_000>>::parse("broken").unwrap();
    assert_eq!(bus.actor(&broken).ask(Bend(100)).await.unwrap(), 100);
    other.stop().await;
    let bus = connect(&server).await;
    let _node = Host::new(bus.clone()).actor::<Brittle<100>>().start().await.unwrap();
    let bend = async |id: &str, by| {
        let id = Id::<Brittle<100>>::parse(id).unwrap();
        bus.actor(&id).ask(Bend(by)).await
    };
    let fails = |asked| match asked {
        Err(AskError::Failed(failure)) => assert_eq!(failure.status, Status::Internal),
        other => panic!("{other:?}"),
    };
    for by in [100, 1, 2] {
        fails(bend("broken", by).await);
    }
    assert_eq!(bend("sound", 1).await.unwrap(), 1);
    // What cannot be folded is not even stored by the code that cannot.
    fails(bend("sound", 100).await);
    assert_eq!(bend("sound", 1).await.unwrap(), 2);
}

#[tokio::test]
async fn a_node_that_stops_answers_each_of_a_thousand_callers() {
    let server = TestServer::own().await;
    let (one, two) = (connect(&server).await, connect(&server).await);
    let first = host(&one).await;
    // Requests that nobody sends again: one that is dropped is never answered.
    let options = async_nats::ConnectOptions::new().request_timeout(Some(Duration::from_secs(30)));
    let client = options.connect(&server.url).await.unwrap();
    let answered = Arc::new(AtomicU32::new(0));
    let counter = answered.clone();
    let load = tokio::spawn(async move {
        let callers = (0..1_000).map(|_| async {
            let subject = format!("cmd.till.{}.put_in", fresh("t"));
            for total in 1..=10 {
                let reply = client.request(subject.clone(), r#"{"amount":1}"#.into()).await;
                let reply = reply.expect("a request was dropped");
                assert_eq!(reply.payload, total.to_string().as_bytes());
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        join_all(callers).await;
    });
    eventually("the load is on", || async {
        (answered.load(Ordering::Relaxed) > 100).then_some(())
    })
    .await;
    let _second = host(&two).await;
    assert!(!load.is_finished(), "there was no load to stop under");
    first.stop().await;
    load.await.unwrap();
}

#[tokio::test]
async fn queries_that_wait_for_what_never_comes_hold_up_no_others() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    let _node = host_with_rows(&bus, rows.path()).await;
    let client = async_nats::connect(&server.url).await.unwrap();
    let inbox = client.new_inbox();
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Cb-After", "EVT_till_0@999999999");
    headers.insert("Cb-Timeout-Ms", "86400000");
    for _ in 0..1_000 {
        let sent = client.publish_with_reply_and_headers(
            "view.tills.list",
            inbox.clone(),
            headers.clone(),
            "{}".into(),
        );
        sent.await.unwrap();
    }
    client.flush().await.unwrap();
    let asked = tokio::time::Instant::now();
    let rows = bus.rows::<common::TillCard>().list(bus::Selection::all()).await.unwrap();
    assert!(rows.rows.is_empty() && asked.elapsed() < Duration::from_secs(1));
}
