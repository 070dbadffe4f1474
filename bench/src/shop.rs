//! The whole shop, as `callboard dev` runs it, and a member of its staff.

use std::net::SocketAddr;

use actors::{
    MailLinks, Mailer, Outside, Role, SimulatedGateway,
    users::{Grant, Holder, UserRole},
};
use anyhow::{Context, anyhow, ensure};
use bus::{Bus, Connect, Running};
use edge::Edge;
use nats_server::{Options, Server};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{
    http::Pool,
    place::{Settings, folder},
    usage::Processes,
};

/// Items in the catalogue, each with more than will be bought.
pub(crate) const ITEMS: usize = 1_000;
const EMAIL: &str = "bench@example.com";
const PASSWORD: &str = "correct horse battery staple";
const KINDS: [&str; 7] = ["email", "user", "item", "cart", "order", "payment", "notice"];

pub(crate) struct Shop {
    pub(crate) bus: Bus,
    pub(crate) address: SocketAddr,
    pub(crate) pool: Pool,
    /// The header that says who asks, with its line break.
    pub(crate) staff: String,
    server: Server,
    running: Running,
    edge: JoinHandle<()>,
    stop: oneshot::Sender<()>,
    _folder: TempDir,
}

impl Shop {
    pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let folder = folder(&settings.data)?;
        let path = |name: &str| folder.path().join(name);
        let server = Server::start(Options::in_folder(path("nats"))).await?;
        let mut options = Connect::to(&server.url());
        options.monitor_urls = vec![server.monitor_url()];
        let (node, bus) = (Bus::connect(&options).await?, Bus::connect(&options).await?);
        std::fs::create_dir_all(path("mail"))?;
        let mailer = Mailer::folder(path("mail"), "Bench <bench@callboard.invalid>")?;
        let links = MailLinks {
            key: edge::link_key(&path("keys"))?,
            shop: "https://shop.example".to_owned(),
        };
        let outside = Outside { gateway: SimulatedGateway::default(), mailer, links };
        let running = actors::host(node, &Role::ALL, outside).rows_in(path("rows")).start().await?;
        let config = edge::Config {
            keys: path("keys"),
            issuer: "bench".to_owned(),
            audience: "bench".to_owned(),
            trusted_proxies: Vec::new(),
            gateway_secret: None,
        };
        let edge = Edge::new(bus.clone(), &config)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let edge = tokio::spawn(edge::serve(listener, edge, async { drop(stopped.await) }));
        let pool = Pool::new(address);
        let staff = enter(&pool, &bus, &path("keys")).await?;
        let shop = Self { bus, address, pool, staff, server, running, edge, stop, _folder: folder };
        shop.stock_up().await?;
        Ok(shop)
    }

    /// Sends a request as staff; the answer, if its status is one of success.
    pub(crate) async fn post(&self, path: &str, key: &str, body: &str) -> anyhow::Result<Value> {
        let headers = format!("{}Idempotency-Key: {key}\r\n", self.staff);
        let answer = self.pool.send(&format!("POST {path}"), &headers, body).await?;
        let text = String::from_utf8_lossy(&answer.body);
        ensure!((200..300).contains(&answer.status), "{path}: {} {text}", answer.status);
        Ok(serde_json::from_slice(&answer.body)?)
    }

    async fn stock_up(&self) -> anyhow::Result<()> {
        crate::load::each(64, ITEMS, |n| async move {
            let item = json!({"sku": sku(n), "name": format!("Item {n}"),
                              "price": {"amount": 450, "currency": "EUR"}});
            self.post("/v1/items", &format!("make-{n}"), &item.to_string()).await?;
            let stock = format!("/v1/items/{}/stock", sku(n));
            self.post(&stock, &format!("stock-{n}"), r#"{"quantity":1000000}"#).await?;
            Ok(())
        })
        .await
    }

    /// A customer with an account of her own: her mail address.
    pub(crate) async fn register(&self, n: usize) -> anyhow::Result<String> {
        let email = format!("customer-{n}@example.com");
        register(&self.pool, &email).await?;
        Ok(email)
    }

    /// One more session of `email`; whether there is one, for whoever is too many is told to wait.
    pub(crate) async fn log_in(&self, email: &str) -> anyhow::Result<bool> {
        Ok(log_in(&self.pool, email).await?.is_some())
    }

    /// Commits of all kinds so far.
    pub(crate) async fn commits(&self) -> anyhow::Result<u64> {
        let mut all = 0;
        for kind in KINDS {
            for stream in self.bus.streams(kind).await? {
                all += self.bus.last_sequence(&stream).await?;
            }
        }
        Ok(all)
    }

    pub(crate) fn processes(&self) -> Processes {
        Processes { servers: vec![self.server.pid()] }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) async fn close(self) {
        // It may have ended by itself, and then there is nobody to tell.
        let _ = self.stop.send(());
        drop(self.edge.await);
        self.running.stop().await;
        self.server.stop().await;
    }
}

pub(crate) fn sku(n: usize) -> String {
    format!("SKU-{n}")
}

/// Registers, becomes staff, and logs in.
async fn enter(pool: &Pool, bus: &Bus, keys: &std::path::Path) -> anyhow::Result<String> {
    register(pool, EMAIL).await?;
    let holder = bus.actor(&edge::email_id(keys, EMAIL)?).ask(Holder {}).await;
    let user = holder.map_err(|error| anyhow!("{error}"))?.context("nobody is registered")?;
    let granted = bus.actor(&user).ask(Grant { role: UserRole::Staff }).await;
    granted.map_err(|error| anyhow!("{error}"))?;
    log_in(pool, EMAIL).await?.context("told to wait")
}

async fn register(pool: &Pool, email: &str) -> anyhow::Result<()> {
    let user = json!({"email": email, "name": "Bench", "password": PASSWORD}).to_string();
    let answer = pool.send("POST /v1/users", "", &user).await?;
    ensure!(answer.status == 201, "not registered: {}", answer.status);
    Ok(())
}

/// Logs in: the header that says so, with its line break; nothing if there are too many.
async fn log_in(pool: &Pool, email: &str) -> anyhow::Result<Option<String>> {
    let login = json!({"email": email, "password": PASSWORD}).to_string();
    let answer = pool.send("POST /v1/sessions", "", &login).await?;
    if answer.status == 429 {
        return Ok(None);
    }
    ensure!(answer.status == 201, "not logged in: {}", answer.status);
    let session: Value = serde_json::from_slice(&answer.body)?;
    let token = session["token"].as_str().context("no token")?;
    Ok(Some(format!("Authorization: Bearer {token}\r\n")))
}
