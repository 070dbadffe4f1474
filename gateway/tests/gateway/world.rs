//! A gateway of one's own: opened on a free port and a new folder, asked in few words.

use std::{io, time::Duration};

use gateway::Settings;
use reqwest::{Client, Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

use crate::receiver::Receiver;

pub(crate) const SECRET: &str = "whsec-test";

/// A gateway, and who receives its webhooks.
pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) receiver: Receiver,
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<io::Result<()>>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl World {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// With other settings than those of a gateway that is quick and does no mischief.
    pub(crate) async fn open_with(set: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let receiver = Receiver::open().await;
        let mut settings = Settings::new(SECRET);
        settings.webhook_url = Some(receiver.url.clone());
        settings.data = folder.path().join("gateway");
        settings.first_pause = Duration::from_millis(100);
        settings.pending = Duration::from_millis(200)..=Duration::from_millis(300);
        set(&mut settings);
        let (url, stop, serving) = start(settings.clone()).await;
        let client = Client::builder().no_proxy().build().expect("a client");
        Self { url, receiver, client, settings, folder, stop: Some(stop), serving }
    }

    /// Stops the gateway and opens it again on the same folder, with other settings.
    pub(crate) async fn reopen_with(&mut self, set: impl FnOnce(&mut Settings)) {
        self.close().await;
        set(&mut self.settings);
        let (url, stop, serving) = start(self.settings.clone()).await;
        (self.url, self.stop, self.serving) = (url, Some(stop), serving);
    }

    pub(crate) async fn close(&mut self) {
        let stop = self.stop.take().expect("open");
        stop.send(()).expect("still serving");
        let ended = timeout(Duration::from_secs(20), &mut self.serving).await;
        ended.expect("drained").expect("no panic").expect("no error");
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn post_with_key(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path).header("Idempotency-Key", key);
        Answer::of(request.json(body)).await
    }

    /// Asks for 10.00 EUR.
    pub(crate) async fn charge(&self, key: &str, token: &str) -> Answer {
        self.post_with_key("/v1/charges", key, &asked(token)).await
    }

    /// The id of a charge of 10.00 EUR that is authorised.
    pub(crate) async fn authorised(&self, key: &str) -> String {
        let answer = self.charge(key, "sim-4242").await.expect(201);
        assert_eq!(answer.body["status"], "authorised");
        answer.text("charge")
    }

    pub(crate) async fn capture(&self, charge: &str, amount: u64) -> Answer {
        self.post(&format!("/v1/charges/{charge}/captures"), &json!({ "amount": amount })).await
    }

    pub(crate) async fn refund(&self, charge: &str, key: &str, amount: u64) -> Answer {
        let path = format!("/v1/charges/{charge}/refunds");
        self.post_with_key(&path, key, &json!({ "amount": amount })).await
    }

    pub(crate) async fn void(&self, charge: &str) -> Answer {
        Answer::of(self.request(Method::POST, &format!("/v1/charges/{charge}/void"))).await
    }

    pub(crate) async fn shown(&self, charge: &str) -> Value {
        self.get(&format!("/v1/charges/{charge}")).await.expect(200).body
    }

    pub(crate) fn folder(&self) -> &TempDir {
        &self.folder
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.text().await.expect("a body");
        let body = serde_json::from_str(&body).unwrap_or_else(|_| panic!("not JSON: {body}"));
        Self { status, headers, body }
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    #[track_caller]
    pub(crate) fn expect_error(&self, status: u16, code: &str, field: Option<&str>) {
        let error = &self.body["error"];
        assert_eq!(self.status, status, "{error}");
        assert_eq!(error["code"], code, "{error}");
        assert_eq!(error["field"].as_str(), field, "{error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    }

    pub(crate) fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("{field} of {}", self.body)).to_owned()
    }
}

/// The body of a request for 10.00 EUR.
pub(crate) fn asked(token: &str) -> Value {
    json!({ "reference": "o-1", "amount": 1_000, "currency": "EUR", "token": token })
}

#[expect(clippy::disallowed_methods, reason = "the receiver's own clock")]
pub(crate) fn unix_seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

async fn start(settings: Settings) -> (String, oneshot::Sender<()>, JoinHandle<io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(gateway::serve(listener, settings, async {
        // Dropped or told: either way it ends.
        let _ = stopped.await;
    }));
    (url, stop, serving)
}
