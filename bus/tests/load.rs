//! Too much at once: what is shed, what it costs, and what those who did not ask for it notice.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::Client;
use bus::{Bus, limits::COMMAND_BYTES_MAX};
use common::{PutIn, connect, fresh, host};
use futures_util::StreamExt;
use nats_server::TestServer;
use serde_json::Value;
use tokio::time::Instant;

const FLOOD: usize = 4_096;

/// Requests of the flood under way: more bytes in flight, and the NATS server itself ends the
/// node's connection as too slow, which is its own way to shed.
const WINDOW: usize = 128;

/// The 99th percentile of asks to actors of their own, while `go_on` says so.
async fn p99_of_others(bus: &Bus, go_on: impl Fn(usize) -> bool) -> Duration {
    let mut took = Vec::new();
    while go_on(took.len()) {
        let asked = Instant::now();
        bus.actor(&fresh("o")).ask(PutIn { amount: 1 }).await.unwrap();
        took.push(asked.elapsed());
    }
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// Memory this process has in use, in MiB.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096 / 1_048_576
}

/// Sends the flood, of the largest bodies there may be, to four actors; counts what was
/// carried out and what was refused.
async fn flood(client: Client) -> (usize, usize, u64) {
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(inbox.clone()).await.unwrap();
    let mut body = br#"{"amount":1}"#.to_vec();
    body.resize(COMMAND_BYTES_MAX, b' ');
    let body = bytes::Bytes::from(body);
    let actors: Vec<_> = std::iter::repeat_with(|| fresh("f")).take(4).collect();
    let window = tokio::sync::Semaphore::new(WINDOW);
    let sending = async {
        for n in 0..FLOOD {
            window.acquire().await.unwrap().forget();
            let subject = format!("cmd.till.{}.put_in", actors[n % actors.len()]);
            client.publish_with_reply(subject, inbox.clone(), body.clone()).await.unwrap();
        }
    };
    let counting = async {
        let (mut done, mut refused, mut most) = (0, 0, 0);
        while done + refused < FLOOD {
            let next = tokio::time::timeout(Duration::from_secs(60), replies.next()).await;
            let reply = next.expect("all are answered, one way or the other").unwrap();
            window.add_permits(1);
            match reply.headers.as_ref().and_then(|map| map.get("Nats-Service-Error-Code")) {
                None => done += 1,
                Some(code) => {
                    assert_eq!(code.as_str(), "429");
                    let error: Value = serde_json::from_slice(&reply.payload).unwrap();
                    assert_eq!(error["error"]["retry"], true);
                    assert!(error["error"]["retry_after_ms"].as_u64().unwrap() >= 20);
                    refused += 1;
                }
            }
            most = most.max(resident());
        }
        (done, refused, most)
    };
    let ((), counted) = tokio::join!(sending, counting);
    counted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_large_bodies_is_shed_and_others_keep_their_pace() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let _node = host(&bus).await;
    // Callers who are not in the flood have connections of their own.
    let others = connect(&server).await;
    let calm = p99_of_others(&others, |asked| asked < 200).await;
    let before = resident();
    let is_over = Arc::new(AtomicBool::new(false));
    let client = async_nats::connect(&server.url).await.unwrap();
    let flooding = tokio::spawn({
        let is_over = is_over.clone();
        async move {
            let counted = flood(client).await;
            is_over.store(true, Ordering::Relaxed);
            counted
        }
    });
    let go_on = |asked| asked < 20 || !is_over.load(Ordering::Relaxed);
    let flooded = p99_of_others(&others, go_on).await;
    let (done, refused, most) = flooding.await.unwrap();
    let growth = most.saturating_sub(before);
    println!(
        "p99 of others: {calm:?} calm, {flooded:?} in the flood of {FLOOD} bodies of 256 KiB; \
         {done} carried out, {refused} refused, memory +{growth} MiB"
    );
    assert!(refused > 0, "nothing has a bound");
    assert!(done > 0, "nothing is carried out");
    // What gets in the way is the connection they share on the node's side, not the work.
    let allowed = (calm * 40).max(Duration::from_millis(1_500));
    assert!(flooded < allowed, "{flooded:?}, without the flood {calm:?}");
    assert!(growth < 300, "the flood of 1 GiB took {growth} MiB");
}

#[tokio::test]
async fn a_command_that_waited_too_long_is_dropped_unhandled() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let _node = host(&bus).await;
    let client = async_nats::connect(&server.url).await.unwrap();
    let till = fresh("t");
    let subject = format!("cmd.till.{till}.put_in");
    // Enough work before it, all sent at once, that one millisecond is over when its turn comes.
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(inbox.clone()).await.unwrap();
    for _ in 0..500 {
        let body = bytes::Bytes::from_static(br#"{"amount":1}"#);
        client.publish_with_reply(subject.clone(), inbox.clone(), body).await.unwrap();
    }
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Cb-Timeout-Ms", "1");
    let body = bytes::Bytes::from_static(br#"{"amount":1000}"#);
    let reply = client.request_with_headers(subject, headers, body).await.unwrap();
    let code = reply.headers.unwrap().get("Nats-Service-Error-Code").unwrap().to_string();
    assert_eq!(code, "504");
    for _ in 0..500 {
        replies.next().await.unwrap();
    }
    let total = bus.actor(&till).ask(common::Count {}).await.unwrap();
    assert_eq!(total, 500, "and not what expired");
}

#[tokio::test]
async fn who_is_refused_comes_back_when_told_to() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    // An actor that is busy once, and says for how long.
    let client = async_nats::connect(&server.url).await.unwrap();
    let till = fresh("t");
    let mut asked = client.subscribe(format!("cmd.till.{till}.put_in")).await.unwrap();
    let busy = tokio::spawn(async move {
        let mut times = Vec::new();
        for told in [Some(400), None] {
            let request = asked.next().await.unwrap();
            times.push(Instant::now());
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("Cb-Seq", "EVT_till_0@1");
            headers
                .insert("Content-Type", told.map_or("application/msgpack", |_| "application/json"));
            let body = match told {
                Some(ms) => {
                    headers.insert("Nats-Service-Error-Code", "429");
                    headers.insert("Nats-Service-Error", "busy");
                    let error = r#"{"error":{"code":"OVERLOADED","message":"busy","retry":true"#;
                    format!(r#"{error},"retry_after_ms":{ms}}}}}"#)
                }
                None => "\u{7}".to_owned(),
            };
            let reply = request.reply.unwrap();
            client.publish_with_headers(reply, headers, body.into()).await.unwrap();
            client.flush().await.unwrap();
        }
        times[1] - times[0]
    });
    let total = bus.actor(&till).ask(PutIn { amount: 7 }).await.unwrap();
    assert_eq!(total, 7);
    let waited = busy.await.unwrap();
    assert!(waited >= Duration::from_millis(395), "came back after {waited:?}");
}
