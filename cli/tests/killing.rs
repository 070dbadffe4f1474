//! Killing: everything as separate processes, killed at random moments under load; then the
//! raw streams are read, with a decoder of their own, and must tell one consistent story.
//!
//! The seed is printed; `KILLING_SEED` repeats its choices (not its timing), `KILLING_ORDERS`
//! and `KILLING_KILLS` make it longer.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod audit;
mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use common::{Client, Process, callboard, free_port, grant};
use nats_server::{Options, Server};
use serde_json::{Value, json};

const CLIENTS: u64 = 8;
const ITEMS: u64 = 6;
/// Enough for most orders, so that some are settled by a lack.
const STOCK: u64 = 60;
const ROLES: [&str; 5] = ["email,user", "item", "cart,order", "payment", "notice"];

/// A generator whose choices a seed repeats (SplitMix64).
struct Choices(u64);

impl Choices {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// All processes of the shop.
struct Stack {
    folder: tempfile::TempDir,
    nats: Option<Server>,
    nats_options: Options,
    edge_port: u16,
    processes: BTreeMap<String, Process>,
}

impl Stack {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nats = Server::start(Options::in_folder(folder.path().join("nats"))).await.unwrap();
        let nats_options = nats.options();
        let mut stack = Self {
            folder,
            nats: Some(nats),
            nats_options,
            edge_port: free_port(),
            processes: BTreeMap::new(),
        };
        for name in stack.names() {
            stack.run(&name);
        }
        stack
    }

    fn names(&self) -> Vec<String> {
        ROLES.iter().copied().chain(["edge"]).map(str::to_owned).collect()
    }

    fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(name.replace(',', "-"))
    }

    fn edge(&self) -> String {
        format!("http://127.0.0.1:{}", self.edge_port)
    }

    fn nats_env(&self) -> [(&'static str, String); 2] {
        let nats = self.nats.as_ref().unwrap();
        [("NATS_URL", nats.url()), ("CALLBOARD_NATS_MONITOR", nats.monitor_url())]
    }

    fn run(&mut self, name: &str) {
        let mut command = callboard();
        if name == "edge" {
            command.args(["edge", "--listen", &format!("127.0.0.1:{}", self.edge_port)]);
        } else {
            command.args(["serve", "--only", name]);
        }
        command.arg("--data").arg(self.data(name)).envs(self.nats_env());
        let log = self.folder.path().join(format!("{name}.log"));
        self.processes.insert(name.to_owned(), Process::start(&mut command, &log));
    }

    fn mails(&self) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.data("notice").join("mail")) else { return vec![] };
        let names = files.flatten().map(|file| file.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(".eml")).collect()
    }

    /// Kills one of them, leaves it dead for a moment, and runs it again.
    async fn kill_one(&mut self, is_first: bool, choices: &mut Choices) -> String {
        let mut names = self.names();
        // As often as three of the others, and surely once: all of them depend on it.
        names.extend(std::iter::repeat_n("nats".to_owned(), 3));
        let count = names.len() as u64;
        let victim = names.swap_remove(usize::try_from(choices.next(count)).unwrap());
        let victim = if is_first { "nats".to_owned() } else { victim };
        let pause = Duration::from_millis(choices.next(400));
        if victim == "nats" {
            let mut nats = self.nats.take().unwrap();
            nats.kill().await;
            tokio::time::sleep(pause).await;
            self.nats = Some(Server::start(self.nats_options.clone()).await.unwrap());
        } else {
            self.processes.get_mut(&victim).unwrap().kill();
            tokio::time::sleep(pause).await;
            self.run(&victim);
        }
        // What gave up by itself while its server was away is run again, as a supervisor would.
        for name in self.names() {
            if !self.processes.get_mut(&name).unwrap().is_running() {
                println!("  {name} had ended by itself; run again");
                self.run(&name);
            }
        }
        victim
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What the clients have been told.
#[derive(Default)]
struct Told {
    /// Order id by idempotency key.
    orders: Mutex<BTreeMap<String, String>>,
    retries: AtomicU64,
}

/// Places one order, asking again with the same key until it is acknowledged.
async fn place(client: &Client, token: &str, key: &str, order: &Value, told: &Told) {
    let headers = [("Idempotency-Key", key), ("Prefer", "wait=1")];
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        assert!(Instant::now() < deadline, "no acknowledgement for {key}");
        match client.send("POST", "/v1/orders", Some(token), &headers, Some(order)).await {
            Ok((201 | 202, body)) => {
                let id = body["id"].as_str().unwrap().to_owned();
                told.orders.lock().unwrap().insert(key.to_owned(), id);
                return;
            }
            Ok((429 | 503 | 504, _)) | Err(_) => {
                told.retries.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok((status, body)) => panic!("{key}: {status} {body}"),
        }
    }
}

fn some_order(choices: &mut Choices) -> Value {
    let count = 1 + choices.next(3);
    let first = choices.next(ITEMS);
    let lines: Vec<Value> = (0..count)
        .map(|n| {
            let sku = format!("SKU-{}", (first + n) % ITEMS);
            json!({"sku": sku, "quantity": 1 + choices.next(2)})
        })
        .collect();
    // Mostly approved; some declined; some time out at first.
    let card = match choices.next(10) {
        0 | 1 => "4000000000000002",
        2 => "4000000000000259",
        _ => "4242424242424242",
    };
    json!({"currency": "EUR", "card": card, "lines": lines})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_by_killing() {
    let seed = number("KILLING_SEED", u64::from(std::process::id()));
    let (orders, kills) = (number("KILLING_ORDERS", 200), number("KILLING_KILLS", 12));
    println!("seed {seed}");
    let mut stack = Stack::start().await;
    let client = Client::of(&stack.edge());
    client.wait_until_ready().await;
    let tokens = prepare(&stack, &client).await;

    let told = Arc::new(Told::default());
    let load_is_done = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(load(client, tokens, orders, seed, told.clone(), load_is_done.clone()));
    let mut choices = Choices(seed);
    let mut killed: BTreeMap<String, u64> = BTreeMap::new();
    let mut count = 0;
    while count < kills || !load_is_done.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(300 + choices.next(900))).await;
        let victim = stack.kill_one(count == 0, &mut choices).await;
        *killed.entry(victim).or_default() += 1;
        count += 1;
        assert!(!load.is_finished() || load_is_done.load(Ordering::Relaxed), "the load failed");
    }
    load.await.unwrap();

    let acknowledged: BTreeSet<String> = told.orders.lock().unwrap().values().cloned().collect();
    assert_eq!(acknowledged.len() as u64, orders, "one order for each key");
    let nats = stack.nats.as_ref().unwrap().url();
    let story = audit::wait_until_settled(&nats, &acknowledged, || stack.mails()).await;
    story.check(&acknowledged, &stack.mails());
    let retries = told.retries.load(Ordering::Relaxed);
    println!("kills: {count} {killed:?}; retries of clients: {retries}; {}", story.figures());
    assert!(count >= 10 && killed.contains_key("nats"), "the faults did not bite");
}

/// Registers staff and buyers, and stocks the items.
async fn prepare(stack: &Stack, client: &Client) -> Vec<String> {
    client.register("staff@example.com").await;
    let env = stack.nats_env();
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    grant("staff", "staff@example.com", &stack.data("edge"), &env);
    let staff = client.log_in("staff@example.com").await;
    for n in 0..ITEMS {
        let price = i64::try_from(100 + n * 37).unwrap();
        client.stock(&staff, &format!("SKU-{n}"), price, STOCK).await;
    }
    let mut tokens = Vec::new();
    for n in 0..CLIENTS {
        let email = format!("buyer{n}@example.com");
        client.register(&email).await;
        tokens.push(client.log_in(&email).await);
    }
    tokens
}

async fn load(
    client: Client,
    tokens: Vec<String>,
    orders: u64,
    seed: u64,
    told: Arc<Told>,
    is_done: Arc<AtomicBool>,
) {
    let clients = tokens.into_iter().enumerate().map(|(n, token)| {
        let (client, told) = (client.clone(), told.clone());
        let n = n as u64;
        tokio::spawn(async move {
            let mut choices = Choices(seed ^ (n + 1));
            for number in (n..orders).step_by(usize::try_from(CLIENTS).unwrap()) {
                let order = some_order(&mut choices);
                place(&client, &token, &format!("key-{number}"), &order, &told).await;
                // Spread over the time of the killing.
                tokio::time::sleep(Duration::from_millis(choices.next(500))).await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    is_done.store(true, Ordering::Relaxed);
}
