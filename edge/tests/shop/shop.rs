//! A shop for one test: its own nats-server, host and edge, and verbs to deal with it.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use actors::{HttpGateway, MailLinks, Mailer, Outside, Role, SimulatedGateway};
use bus::{Bus, Connect, Running};
use edge::Edge;
use nats_server::TestServer;
use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};

pub(crate) const APPROVED: &str = "4242 4242 4242 4242";
pub(crate) const DECLINED: &str = "4000000000000002";

pub(crate) const ISSUER: &str = "https://shop.test";
pub(crate) const AUDIENCE: &str = "shop-test";

/// An open shop.
pub(crate) struct Shop {
    pub(crate) url: String,
    pub(crate) bus: Bus,
    pub(crate) folder: TempDir,
    server: Option<TestServer>,
    /// Where a real gateway is, if there is one.
    gateway: Option<String>,
    http: Client,
    open: Option<Open>,
}

struct Open {
    actors: Running,
    stop_edge: oneshot::Sender<()>,
    edge: JoinHandle<()>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_at(None).await
    }

    /// A shop that has its cards charged by the gateway at this address.
    pub(crate) async fn open_with_gateway(url: String) -> Self {
        Self::open_at(Some(url)).await
    }

    async fn open_at(gateway: Option<String>) -> Self {
        let server = TestServer::own().await;
        let folder = tempfile::tempdir().expect("a folder");
        let http = Client::builder().timeout(Duration::from_secs(60)).build().expect("a client");
        let bus = connect(&server).await;
        let server = Some(server);
        let url = String::new();
        let mut shop = Self { url, bus, folder, server, gateway, http, open: None };
        shop.start(&Role::ALL).await;
        shop
    }

    async fn start(&mut self, roles: &[Role]) {
        let mailer = Mailer::folder(self.folder.path().join("mail"), "shop@shop.test");
        let mailer = mailer.expect("a folder and an address");
        let key = edge::link_key(&self.keys()).expect("the edge's keys");
        let links = MailLinks { key, shop: ISSUER.to_owned() };
        let bus = self.bus.clone();
        let host = match &self.gateway {
            None => {
                let outside = Outside { gateway: SimulatedGateway::default(), mailer, links };
                actors::host(bus, roles, outside)
            }
            Some(url) => {
                let gateway = HttpGateway::at(url).expect("an address");
                actors::host(bus, roles, Outside { gateway, mailer, links })
            }
        };
        let actors = host.rows_in(self.rows()).start().await.expect("the actors start");
        let config = crate::tokens::config(&self.keys());
        let edge = Edge::new(self.bus.clone(), &config).expect("the edge starts");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        self.url = format!("http://{}", listener.local_addr().expect("bound"));
        let (stop_edge, stopped) = oneshot::channel::<()>();
        let edge = tokio::spawn(edge::serve(listener, edge, async { drop(stopped.await) }));
        self.open = Some(Open { actors, stop_edge, edge });
    }

    /// Stops edge and actors, as a signal would.
    pub(crate) async fn close(&mut self) {
        if let Some(Open { actors, stop_edge, edge }) = self.open.take() {
            stop_edge.send(()).expect("the edge listens for it");
            edge.await.expect("the edge drains");
            actors.stop().await;
        }
    }

    /// Tells the edge to stop, and hands over what ends when it has.
    pub(crate) fn begin_to_close(&mut self) -> JoinHandle<()> {
        let open = self.open.take().expect("the shop is open");
        open.stop_edge.send(()).expect("the edge listens for it");
        tokio::spawn(async move {
            open.edge.await.expect("the edge drains");
            open.actors.stop().await;
        })
    }

    /// Closes and opens again, as new processes would: nothing is left in memory.
    pub(crate) async fn reopen(&mut self) {
        self.reopen_without(&[]).await;
    }

    /// Closes, and opens again with nobody who plays these roles.
    pub(crate) async fn reopen_without(&mut self, missing: &[Role]) {
        self.close().await;
        self.bus = connect(self.server.as_ref().expect("NATS is there")).await;
        let roles: Vec<_> = Role::ALL.into_iter().filter(|role| !missing.contains(role)).collect();
        self.start(&roles).await;
    }

    /// NATS is gone for good.
    pub(crate) fn lose_nats(&mut self) {
        drop(self.server.take());
    }

    /// NATS dies as by SIGKILL, and comes back.
    pub(crate) async fn restart_nats(&mut self) {
        self.server.as_mut().expect("NATS is there").kill_and_restart().await;
    }

    pub(crate) fn rows(&self) -> std::path::PathBuf {
        self.folder.path().join("rows")
    }

    pub(crate) fn keys(&self) -> std::path::PathBuf {
        self.folder.path().join("keys")
    }

    pub(crate) fn token_for(&self, user: &str, roles: &[&str]) -> String {
        crate::tokens::signed(&self.keys(), &crate::tokens::claims(user, roles))
    }

    /// A customer who is logged in.
    pub(crate) fn customer(&self) -> String {
        self.token_for(&fresh("u-"), &["customer"])
    }

    /// Creates an item and stocks it.
    pub(crate) async fn stock(&self, sku: &str, amount: i64, quantity: u32) {
        let staff = self.token_for("u-staff", &["staff"]);
        let price = json!({ "amount": amount, "currency": "EUR" });
        let item = json!({ "sku": sku, "name": format!("Thing {sku}"), "price": price });
        self.post("/v1/items", item).token(&staff).send().await.expect(201);
        if quantity > 0 {
            let body = json!({ "quantity": quantity });
            self.post(&format!("/v1/items/{sku}/stock"), body)
                .token(&staff)
                .send()
                .await
                .expect(200);
        }
    }

    /// Looks at `path` until its `field` is `value`.
    pub(crate) async fn until(&self, path: &str, field: &str, value: u64) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = self.get(path).send().await;
            if answer.body[field] == value {
                return;
            }
            assert!(Instant::now() < deadline, "{field} is not {value}: {}", answer.body);
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn get(&self, path: &str) -> Ask {
        self.ask(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> Ask {
        Ask(self.ask(Method::POST, path).0.json(&body))
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Ask {
        Ask(self.ask(Method::PUT, path).0.json(body))
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) -> Ask {
        Ask(self.ask(Method::PATCH, path).0.json(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Ask {
        self.ask(Method::DELETE, path)
    }

    /// The token of the newest link in the mails to anybody that leads to `page`, once there are
    /// `count` such mails.
    pub(crate) async fn mailed_link(&self, page: &str, count: usize) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let mut tokens = self.links_to(page);
            if tokens.len() >= count {
                // By the link's number.
                tokens.sort_by_key(|token| {
                    token.split('.').nth(2).and_then(|number| number.parse::<u32>().ok())
                });
                return tokens.pop().expect("at least one");
            }
            assert!(Instant::now() < deadline, "{} mails lead to {page}", tokens.len());
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn links_to(&self, page: &str) -> Vec<String> {
        let Ok(mails) = std::fs::read_dir(self.folder.path().join("mail")) else {
            return Vec::new();
        };
        let start = format!("{ISSUER}/{page}#");
        let texts = mails.filter_map(|mail| std::fs::read_to_string(mail.ok()?.path()).ok());
        let link = |text: String| {
            // Long lines are folded by the mail's encoding.
            let text = text.replace("=\r\n", "").replace("=3D", "=");
            let token = text.split_once(&start)?.1.split_whitespace().next()?;
            Some(token.to_owned())
        };
        texts.filter_map(link).collect()
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> Ask {
        Ask(self.http.request(method, format!("{}{path}", self.url)))
    }

    /// Asks for an order, waiting for it as long as can be.
    pub(crate) fn order(&self, card: &str, lines: &[(&str, u32)]) -> Ask {
        self.post("/v1/orders", order(card, lines)).header("Prefer", "wait=30")
    }
}

pub(crate) fn order(card: &str, lines: &[(&str, u32)]) -> Value {
    let lines: Vec<_> =
        lines.iter().map(|(sku, quantity)| json!({ "sku": sku, "quantity": quantity })).collect();
    json!({ "currency": "EUR", "card": card, "lines": lines })
}

async fn connect(server: &TestServer) -> Bus {
    let mut options = Connect::to(&server.url);
    options.monitor_urls = vec![server.monitor_url.clone()];
    Bus::connect(&options).await.expect("the bus connects")
}

/// A name nobody had before in this process.
pub(crate) fn fresh(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{prefix}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A request about to be sent.
pub(crate) struct Ask(pub(crate) reqwest::RequestBuilder);

impl Ask {
    pub(crate) fn token(self, token: &str) -> Self {
        Self(self.0.bearer_auth(token))
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("Idempotency-Key", key)
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub(crate) async fn send(self) -> Answer {
        let response = self.0.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.expect("a body");
        if body.is_empty() {
            return Answer { status, headers, body: Value::Null };
        }
        let body = serde_json::from_slice(&body).unwrap_or_else(|_| {
            panic!("{status}: not JSON: {}", String::from_utf8_lossy(&body));
        });
        Answer { status, headers, body }
    }
}

impl Answer {
    /// The body, if the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    /// Says no, in the one shape, with just this status, code and field.
    #[track_caller]
    pub(crate) fn expect_error(&self, status: u16, code: &str, field: Option<&str>) {
        let error = &self.body["error"];
        let told = (self.status.as_u16(), error["code"].as_str(), error["field"].as_str());
        assert_eq!(told, (status, Some(code), field), "{}", self.body);
        let message = error["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "{}", self.body);
        let keys = error.as_object().expect("an error").keys();
        assert!(keys.into_iter().all(|key| ["code", "message", "field"].contains(&key.as_str())));
        let problem = json!({
            "type": format!("/docs#{code}"), "title": self.body["title"], "status": status,
            "detail": message, "error": error,
        });
        assert_eq!(self.body, problem, "as RFC 9457 has it, and nothing more");
        assert_eq!(self.header("content-type"), "application/problem+json");
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// Removes a folder and all that is in it.
pub(crate) fn delete(folder: &Path) {
    std::fs::remove_dir_all(folder).expect("it was there");
}
