//! Server-sent events: every event once, in order, and on from where a client left.

use std::time::Duration;

use reqwest::Response;
use tokio::time::timeout;

use crate::shop::{APPROVED, Shop};

/// One event as it came: id, name, data.
type Seen = (String, String, serde_json::Value);

struct Stream {
    response: Response,
    text: String,
}

async fn open(shop: &Shop, path: &str, token: &str, last: Option<&str>) -> Stream {
    let mut ask = shop.get(&format!("{path}/events")).token(token);
    if let Some(last) = last {
        ask = ask.header("Last-Event-ID", last);
    }
    let response = ask.0.send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    Stream { response, text: String::new() }
}

impl Stream {
    /// The next event; none at the end of the stream.
    async fn next(&mut self) -> Option<Seen> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if !event.starts_with(':') {
                    return Some(parsed(&event));
                }
            }
            let chunk = timeout(Duration::from_secs(20), self.response.chunk()).await;
            let chunk = chunk.expect("an event in time").expect("no broken stream")?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }

    async fn until(&mut self, name: &str) -> Vec<Seen> {
        let mut events = Vec::new();
        while events.last().is_none_or(|(_, last, _): &Seen| last != name) {
            events.push(self.next().await.expect("more events"));
        }
        events
    }
}

fn parsed(event: &str) -> Seen {
    let field = |name: &str| {
        let line = event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {name} in {event:?}")).trim().to_owned()
    };
    (field("id"), field("event"), serde_json::from_str(&field("data")).expect("JSON"))
}

#[tokio::test]
async fn a_client_sees_each_event_once_wherever_it_resumes() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    shop.stock("B1", 100, 5).await;
    let customer = shop.customer();
    let order = shop.order(APPROVED, &[("A1", 2), ("B1", 1)]).token(&customer).send().await;
    let path = order.header("location").to_owned();
    let all = open(&shop, &path, &customer, None).await.until("confirmed").await;
    let names: Vec<_> = all.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ["placed", "line_reserved", "line_reserved", "payment_due", "confirmed"]);
    for (id, name, data) in &all {
        assert!(data["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{id} {name} {data}");
        assert!(!data.to_string().contains("4242"), "the card is not shown: {data}");
    }
    for (index, (id, ..)) in all.iter().enumerate().take(all.len() - 1) {
        let rest = open(&shop, &path, &customer, Some(id)).await.until("confirmed").await;
        assert_eq!(rest, all[index + 1..], "after {id}");
    }
    let bad = shop.get(&format!("{path}/events")).token(&customer).header("Last-Event-ID", "x");
    bad.send().await.expect_error(400, "INVALID", Some("Last-Event-ID"));
}

#[tokio::test]
async fn events_arrive_as_they_happen() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let customer = shop.customer();
    let body = crate::shop::order(APPROVED, &[("A1", 2)]);
    let order = shop.post("/v1/orders", body).header("Prefer", "wait=0").token(&customer).send();
    let path = order.await.header("location").to_owned();
    let live = open(&shop, &path, &customer, None).await.until("confirmed").await;
    let later = open(&shop, &path, &customer, None).await.until("confirmed").await;
    assert_eq!(live, later, "what was seen live is what was recorded");
}

#[tokio::test]
async fn a_stopping_edge_ends_its_streams() {
    let mut shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let customer = shop.customer();
    let order = shop.order(APPROVED, &[("A1", 1)]).token(&customer).send().await;
    let path = order.header("location").to_owned();
    let mut stream = open(&shop, &path, &customer, None).await;
    stream.until("confirmed").await;
    let closing = shop.begin_to_close();
    assert_eq!(stream.next().await, None);
    timeout(Duration::from_secs(10), closing).await.expect("no waiting for it").expect("closed");
}

#[tokio::test]
async fn one_user_has_at_most_ten_streams() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let customer = shop.customer();
    let order = shop.order(APPROVED, &[("A1", 1)]).token(&customer).send().await;
    let path = order.header("location").to_owned();
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(open(&shop, &path, &customer, None).await);
    }
    let refused = shop.get(&format!("{path}/events")).token(&customer).send().await;
    refused.expect_error(429, "OVERLOADED", None);
    assert_eq!(refused.header("retry-after"), "1");
}
