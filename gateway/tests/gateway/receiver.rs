//! A receiver of webhooks: believes only what is signed, and answers what it is told to.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::world::{SECRET, unix_seconds};

/// A webhook that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) at: Instant,
    pub(crate) signature: String,
    pub(crate) body: Value,
    pub(crate) bytes: Bytes,
}

impl Received {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_else(|| panic!("{field} of {}", self.body))
    }
}

#[derive(Debug, Default)]
struct Inbox {
    received: Vec<Received>,
    /// What the next ones are answered; then 204.
    answers: VecDeque<StatusCode>,
}

type Shared = Arc<Mutex<Inbox>>;

/// Receives webhooks until it is dropped.
pub(crate) struct Receiver {
    pub(crate) url: String,
    inbox: Shared,
    serving: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/webhooks", listener.local_addr().expect("an address"));
        let inbox = Shared::default();
        let router = Router::new().route("/webhooks", post(receive)).with_state(inbox.clone());
        let serving = tokio::spawn(async { axum::serve(listener, router).await.expect("served") });
        Self { url, inbox, serving }
    }

    /// Answers the next webhooks so.
    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = u16>) {
        let answers = answers.into_iter().map(|code| StatusCode::from_u16(code).expect("a status"));
        self.inbox.lock().expect("no panic").answers.extend(answers);
    }

    /// All that arrived, once there are so many.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Received> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            assert!(Instant::now() < deadline, "{count} webhooks are not {received:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// All that arrived, which must be as many, and no more after a while.
    pub(crate) async fn wait_for_only(&self, count: usize) -> Vec<Received> {
        self.wait_for(count).await;
        sleep(Duration::from_millis(300)).await;
        let received = self.received();
        assert_eq!(received.len(), count, "{received:?}");
        received
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.inbox.lock().expect("no panic").received.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn receive(State(inbox): State<Shared>, headers: HeaderMap, bytes: Bytes) -> StatusCode {
    let signature = headers[gateway::signature::HEADER].to_str().expect("text").to_owned();
    let window = gateway::signature::WINDOW;
    gateway::signature::verify(SECRET.as_bytes(), &signature, &bytes, unix_seconds(), window)
        .expect("signed by the gateway");
    assert_eq!(headers["content-type"], "application/json");
    let body = serde_json::from_slice(&bytes).expect("JSON");
    let mut inbox = inbox.lock().expect("no panic");
    inbox.received.push(Received { at: Instant::now(), signature, body, bytes });
    inbox.answers.pop_front().unwrap_or(StatusCode::NO_CONTENT)
}
