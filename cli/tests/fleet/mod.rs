//! Several processes that each host everything, an edge, and clients that never let up.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stdout)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use actors::inventory::{Item, Receive};
use bus::{Bus, Connect, Id, Key};
use futures_util::future::join_all;
use nats_server::{Options, Server};
use serde_json::json;

use crate::{
    audit,
    common::{Client, Process, callboard, eventually, free_port, grant},
};

pub const NODES: usize = 3;
const CLIENTS: u64 = 16;
/// Few enough that every actor always has something in its mailbox.
const ITEMS: u64 = 12;
/// Every so many requests of a client, one is an order.
const ORDER_EVERY: u64 = 40;
const STOCK: u64 = 100_000;
const BURST: u64 = 1_000;

/// All processes, and what has become of those that were ended.
pub struct Fleet {
    folder: tempfile::TempDir,
    nats: Server,
    nodes: Vec<Process>,
    /// How often each node was started: each time has a log of its own.
    starts: Vec<u32>,
    edge: Process,
    pub client: Client,
    pub staff: String,
}

impl Fleet {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nats = Server::start(Options::in_folder(folder.path().join("nats"))).await.unwrap();
        let listen = format!("127.0.0.1:{}", free_port());
        let mut command = callboard();
        command.args(["edge", "--listen", &listen, "--data"]).arg(folder.path().join("edge"));
        command.envs(nats_env(&nats));
        let edge = Process::start(&mut command, &folder.path().join("edge.log"));
        let client = Client::of(&format!("http://{listen}"));
        let (nodes, starts, staff) = (Vec::new(), vec![0; NODES], String::new());
        let mut fleet = Self { folder, nats, nodes, starts, edge, client, staff };
        for n in 0..NODES {
            let process = fleet.run(n);
            fleet.nodes.push(process);
            fleet.wait_until_serving(n).await;
        }
        fleet.open_shop().await;
        fleet
    }

    async fn open_shop(&mut self) {
        self.client.wait_until_ready().await;
        self.client.register("staff@example.com").await;
        let env = nats_env(&self.nats);
        let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        grant("staff", "staff@example.com", &self.folder.path().join("edge"), &env);
        self.staff = self.client.log_in("staff@example.com").await;
        for n in 0..ITEMS {
            self.client.stock(&self.staff, &sku(n), 100, STOCK).await;
        }
    }

    fn log(&self, n: usize) -> PathBuf {
        self.folder.path().join(format!("node{n}-{}.log", self.starts[n]))
    }

    fn run(&mut self, n: usize) -> Process {
        self.starts[n] += 1;
        let data = self.folder.path().join(format!("node{n}"));
        let mut command = callboard();
        command.args(["serve", "--data"]).arg(data).envs(nats_env(&self.nats));
        Process::start(&mut command, &self.log(n))
    }

    async fn wait_until_serving(&self, n: usize) {
        eventually("it serves", Duration::from_secs(60), || async {
            let log = std::fs::read_to_string(self.log(n)).unwrap_or_default();
            log.contains(" serving").then_some(())
        })
        .await;
    }

    /// Stops a node as SIGTERM does, waits until it is gone, and starts it again.
    pub async fn restart(&mut self, n: usize) {
        self.stop(n).await;
        self.nodes[n] = self.run(n);
        self.wait_until_serving(n).await;
    }

    /// Stops a node as SIGTERM does. Says how many of its late writes to `item` were refused.
    pub async fn stop(&mut self, n: usize) -> u64 {
        self.nodes[n].signal("-TERM");
        eventually("it ends", Duration::from_secs(60), || {
            let ended = self.nodes[n].0.try_wait().unwrap();
            async move { ended.map(|status| assert!(status.success(), "{status}")) }
        })
        .await;
        let log = std::fs::read_to_string(self.log(n)).unwrap();
        let line = log.lines().find(|line| line.contains("kind=item") && line.contains(REFUSED));
        let number = line.unwrap().split(REFUSED).nth(1).unwrap();
        number.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Stops a node as SIGSTOP does, and has it go on after `pause`.
    pub async fn pause(&self, n: usize, pause: Duration) {
        self.nodes[n].signal("-STOP");
        tokio::time::sleep(pause).await;
        self.nodes[n].signal("-CONT");
    }

    fn mails(&self) -> Vec<String> {
        let mut mails = BTreeSet::new();
        for n in 0..NODES {
            let folder = self.folder.path().join(format!("node{n}")).join("mail");
            let Ok(files) = std::fs::read_dir(folder) else { continue };
            let names = files.flatten().map(|file| file.file_name().to_string_lossy().into_owned());
            mails.extend(names.filter(|name| name.ends_with(".eml")));
        }
        mails.into_iter().collect()
    }

    /// Reads the raw streams: they tell exactly what the clients were told.
    pub async fn check(&self, told: &Told) {
        let story =
            audit::wait_until_settled(&self.nats.url(), &told.orders, || self.mails()).await;
        story.check(&told.orders, &self.mails());
        for n in 0..ITEMS {
            let acknowledged = told.received.get(&sku(n)).copied().unwrap_or_default();
            assert_eq!(story.received(&sku(n)), STOCK + acknowledged, "{}", sku(n));
        }
        println!("{}", story.figures());
    }
}

const REFUSED: &str = "late_writes_refused=";

fn nats_env(nats: &Server) -> [(&'static str, String); 2] {
    [("NATS_URL", nats.url()), ("CALLBOARD_NATS_MONITOR", nats.monitor_url())]
}

fn sku(n: u64) -> String {
    format!("TEA-{n}")
}

pub fn seconds(name: &str, default: u64) -> Duration {
    let given = std::env::var(name).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(given.unwrap_or(default))
}

/// What the clients have been told.
#[derive(Default)]
pub struct Told {
    pub orders: BTreeSet<String>,
    /// Pieces acknowledged, by item.
    pub received: BTreeMap<String, u64>,
    pub requests: u64,
    /// The longest wait for an answer over HTTP, which may wait for rows too.
    pub longest: Duration,
    /// The longest wait for a command's answer, asked without the edge.
    pub longest_command: Duration,
}

/// Clients that ask without a pause. A request that fails ends the test.
pub struct Load {
    stop: Arc<AtomicBool>,
    pub count: Arc<AtomicU64>,
    told: Arc<Mutex<Told>>,
    bus: Bus,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    pub async fn start(fleet: &Fleet) -> Self {
        let url = fleet.nats.url();
        let monitor_urls = vec![fleet.nats.monitor_url()];
        let bus = Bus::connect(&Connect { monitor_urls, ..Connect::to(&url) }).await.unwrap();
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let told = Arc::<Mutex<Told>>::default();
        let clients = (0..CLIENTS).map(|n| {
            let (stop, count, told) = (stop.clone(), count.clone(), told.clone());
            let (client, token) = (fleet.client.clone(), fleet.staff.clone());
            let bus = bus.clone();
            tokio::spawn(async move {
                let mut request = 0;
                while !stop.load(Ordering::Relaxed) {
                    request += 1;
                    if n.is_multiple_of(4) {
                        command(&bus, n, request, &told).await;
                    } else {
                        ask(&client, &token, n, request, &told).await;
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let clients = clients.collect();
        Self { stop, count, told, bus, clients }
    }

    /// Waits until the clients have been answered some more times: there is a load.
    pub async fn wait_for_more(&self, more: u64) {
        let enough = self.count.load(Ordering::Relaxed) + more;
        eventually("there is a load", Duration::from_secs(120), || async {
            let failed = self.clients.iter().any(tokio::task::JoinHandle::is_finished);
            assert!(!failed, "a request failed");
            (self.count.load(Ordering::Relaxed) >= enough).then_some(())
        })
        .await;
    }

    /// Many commands at once, so that every node has some in its hands for a while.
    pub fn burst(&self, number: u64) -> tokio::task::JoinHandle<()> {
        let (bus, told) = (self.bus.clone(), self.told.clone());
        tokio::spawn(async move {
            let commands = (0..BURST).map(|n| command(&bus, CLIENTS + n, number, &told));
            join_all(commands).await;
        })
    }

    pub async fn stop(self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        Arc::into_inner(self.told).unwrap().into_inner().unwrap()
    }
}

/// One command, asked without the edge; also of the same actors.
async fn command(bus: &Bus, n: u64, request: u64, told: &Mutex<Told>) {
    let (item, key) = (sku((n + request) % ITEMS), format!("command-{n}-{request}"));
    let id: Id<Item> = Id::parse(&item).unwrap();
    let receive: Receive = serde_json::from_value(json!({"quantity": 1})).unwrap();
    let asked = Instant::now();
    bus.actor(&id).ask(receive).key(Key::parse(&key).unwrap()).await.unwrap();
    let mut told = told.lock().unwrap();
    told.longest_command = told.longest_command.max(asked.elapsed());
    told.requests += 1;
    *told.received.entry(item).or_default() += 1;
}

/// One request over HTTP; all clients ask the same actors in turn.
async fn ask(client: &Client, token: &str, n: u64, request: u64, told: &Mutex<Told>) {
    let (item, key) = (sku((n + request) % ITEMS), format!("key-{n}-{request}"));
    let is_order = request.is_multiple_of(ORDER_EVERY);
    let (path, body) = if is_order {
        let lines = json!([{"sku": item, "quantity": 1}]);
        let order = json!({"currency": "EUR", "card": "4242424242424242", "lines": lines});
        ("/v1/orders".to_owned(), order)
    } else {
        (format!("/v1/items/{item}/stock"), json!({"quantity": 1}))
    };
    let headers = [("Idempotency-Key", key.as_str()), ("Prefer", "wait=0")];
    let asked = Instant::now();
    let answer = client.send("POST", &path, Some(token), &headers, Some(&body)).await;
    let (status, answer) = answer.unwrap();
    assert!(matches!(status, 200..=202), "{path} {key}: {status} {answer}");
    let mut told = told.lock().unwrap();
    told.longest = told.longest.max(asked.elapsed());
    told.requests += 1;
    if is_order {
        told.orders.insert(answer["id"].as_str().unwrap().to_owned());
    } else {
        *told.received.entry(item).or_default() += 1;
    }
}
