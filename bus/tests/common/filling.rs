//! Filling a journal fast: commits in their stored shape, published in atomic batches.

use async_nats::{Client, HeaderMap};
use bus::Timestamp;
use serde::Serialize;

use super::TillEvent;

/// A commit as it is stored.
#[derive(Serialize)]
struct Stored {
    commit: String,
    at: Timestamp,
    command: &'static str,
    key: String,
    digest: &'static str,
    events: Vec<TillEvent>,
    reply: u64,
}

/// Adds `count` commits, one after another to each of `tills` tills; each puts 1 in.
pub async fn fill(url: &str, count: u64, tills: u64) {
    let client = async_nats::connect(url).await.expect("the server is there");
    let mut from = 0;
    while from < count {
        let to = (from + 1_000).min(count);
        batch(&client, from..to, tills).await;
        from = to;
    }
}

async fn batch(client: &Client, numbers: std::ops::Range<u64>, tills: u64) {
    let last = numbers.end - 1;
    let batch = uuid::Uuid::new_v4().simple().to_string();
    for (place, n) in numbers.clone().enumerate() {
        let stored = Stored {
            commit: format!("{n:032x}"),
            at: Timestamp::from_millis(1_700_000_000_000 + n),
            command: "put_in",
            key: format!("k{n:030x}"),
            digest: "0123456789abcdef0123456789abcdef",
            events: vec![TillEvent::PutIn { amount: 1 }],
            reply: n,
        };
        let body = rmp_serde::to_vec_named(&stored).expect("plain data");
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Batch-Id", batch.clone());
        headers.insert("Nats-Batch-Sequence", (place + 1).to_string());
        let subject = format!("evt.till.0.t-{}", n % tills);
        if n == last {
            headers.insert("Nats-Batch-Commit", "1");
            let request = client.request_with_headers(subject, headers, body.into());
            let answer = request.await.expect("an answer");
            let answer = String::from_utf8_lossy(&answer.payload).into_owned();
            assert!(!answer.contains("error"), "{answer}");
        } else {
            client.publish_with_headers(subject, headers, body.into()).await.expect("sent");
        }
    }
}
