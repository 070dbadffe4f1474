//! Tells, against a real server: stored, and then carried out surely, in order and once.
#![allow(clippy::unwrap_used)]

mod common;

use async_nats::{HeaderMap, jetstream};
use bus::{AnyCommit, Bus, Id, Key};
use common::{PutIn, TakeOut, Till, connect, eventually, fresh, host};
use nats_server::TestServer;

/// What was put in, oldest first.
async fn amounts(bus: &Bus, till: &Id<Till>) -> Vec<u64> {
    let history = bus.history("till", till.as_str(), 0).await.unwrap();
    history
        .iter()
        .map(|commit| AnyCommit::named(&commit.events[0]).1["amount"].as_u64().unwrap())
        .collect()
}

async fn until_put_in(bus: &Bus, till: &Id<Till>, count: usize) -> Vec<u64> {
    eventually(&format!("{count} tells are carried out"), || async {
        let amounts = amounts(bus, till).await;
        (amounts.len() >= count).then_some(amounts)
    })
    .await
}

/// Until what is told is carried out, and gone.
async fn until_none_is_left(server: &TestServer) {
    let jetstream = jetstream::new(async_nats::connect(&server.url).await.unwrap());
    let stream = jetstream.get_stream("DO").await.unwrap();
    eventually("nothing is left", || async {
        (stream.get_info().await.unwrap().state.messages == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_while_nobody_is_there_is_carried_out_in_order() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    // The streams are made by whoever hosts something.
    host(&bus).await.stop().await;
    let (one, other) = (fresh("t"), fresh("t"));
    for amount in 1..=50 {
        let position = bus.actor(&one).tell(PutIn { amount }).await.unwrap();
        assert_eq!(&*position.stream, "DO");
        bus.actor(&other).tell(PutIn { amount: 1 }).await.unwrap();
        // Another command keeps its turn, too: before it, it would be refused.
        if amount % 10 == 0 {
            bus.actor(&other).tell(TakeOut { amount: 10, to: None }).await.unwrap();
        }
    }
    assert!(amounts(&bus, &one).await.is_empty());
    let node = host(&bus).await;
    assert_eq!(until_put_in(&bus, &one, 50).await, (1..=50).collect::<Vec<_>>());
    until_none_is_left(&server).await;
    let ten_and_out = [[1; 10].as_slice(), &[10]].concat();
    assert_eq!(amounts(&bus, &other).await, ten_and_out.repeat(5));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_told_twice_or_asked_besides_has_one_effect() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    let (till, key) = (fresh("t"), Key::parse("k-1").unwrap());
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for _ in 0..3 {
        let tell = bus.actor(&till).tell(PutIn { amount: 5 }).key(key.clone());
        tell.principal("u-1").trace(trace).await.unwrap();
    }
    until_put_in(&bus, &till, 1).await;
    until_none_is_left(&server).await;
    assert_eq!(bus.actor(&till).ask(PutIn { amount: 5 }).key(key).await.unwrap(), 5);
    let history = bus.history("till", till.as_str(), 0).await.unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(&*history[0].info.key, "k-1");
    assert_eq!(history[0].info.principal.as_deref(), Some("u-1"));
    assert_eq!(history[0].info.trace.as_deref(), Some(trace));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_client_tells_in_json_with_or_without_headers() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    let till = fresh("t");
    let jetstream = jetstream::new(async_nats::connect(&server.url).await.unwrap());
    let subject = format!("do.till.{till}.put_in");
    let tell = async |headers: HeaderMap| {
        let body = r#"{"amount":5}"#.into();
        let ack = jetstream.publish_with_headers(subject.clone(), headers, body).await.unwrap();
        ack.await.unwrap().sequence
    };
    let mut keyed = HeaderMap::new();
    keyed.insert("Cb-Key", "mine");
    let first = tell(HeaderMap::new()).await;
    tell(keyed.clone()).await;
    tell(keyed).await;
    let last = tell(HeaderMap::new()).await;
    until_none_is_left(&server).await;
    let history = bus.history("till", till.as_str(), 0).await.unwrap();
    let keys: Vec<String> = history.iter().map(|commit| commit.info.key.to_string()).collect();
    assert_eq!(keys, [format!("do/{first}"), "mine".to_owned(), format!("do/{last}")]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_tell_is_done_and_a_bad_one_holds_up_nobody_else() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    let (till, bad) = (fresh("t"), fresh("bad"));
    let client = jetstream::new(async_nats::connect(&server.url).await.unwrap());
    for subject in [format!("do.till.{bad}.put_in"), format!("do.till.{bad}-2.no_such")] {
        client.publish(subject, "{\"amount\":-1}".into()).await.unwrap().await.unwrap();
    }
    bus.actor(&till).tell(TakeOut { amount: 1, to: None }).await.unwrap();
    bus.actor(&till).tell(PutIn { amount: 7 }).await.unwrap();
    assert_eq!(until_put_in(&bus, &till, 1).await, [7]);
    assert!(amounts(&bus, &bad).await.is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_no_tell_and_doubles_none() {
    let mut server = TestServer::own().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    let till = fresh("t");
    for amount in 1..=60 {
        bus.actor(&till)
            .tell(PutIn { amount })
            .timeout(std::time::Duration::from_secs(60))
            .await
            .unwrap();
        if amount % 20 == 10 {
            server.kill_and_restart().await;
        }
    }
    until_put_in(&bus, &till, 60).await;
    until_none_is_left(&server).await;
    assert_eq!(amounts(&bus, &till).await, (1..=60).collect::<Vec<_>>());
    node.stop().await;
}
