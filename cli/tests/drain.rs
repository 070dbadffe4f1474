//! Stopping: SIGTERM answers what was begun, and a role that is taken over loses no request.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use common::{Client, Process, callboard, eventually, free_port, grant};
use nats_server::{Options, Server};
use serde_json::json;

const CLIENTS: u64 = 8;

type Env = [(&'static str, String); 2];

fn run(arguments: &[&str], data: &Path, env: &Env) -> Process {
    let mut command = callboard();
    command.args(arguments).arg("--data").arg(data).envs(env.iter().cloned());
    Process::start(&mut command, &data.with_extension("log"))
}

async fn wait_until_serving(data: &Path) {
    eventually("it serves", Duration::from_secs(30), || async {
        let log = std::fs::read_to_string(data.with_extension("log")).unwrap_or_default();
        log.contains(" serving").then_some(())
    })
    .await;
}

/// Waits for the end of a process that was told to stop.
async fn ended_well(mut process: Process) {
    let status = tokio::task::spawn_blocking(move || process.0.wait().unwrap()).await.unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_moves_and_an_edge_that_stops_answer_every_request() {
    let folder = tempfile::tempdir().unwrap();
    let nats = Server::start(Options::in_folder(folder.path().join("nats"))).await.unwrap();
    let env = [("NATS_URL", nats.url()), ("CALLBOARD_NATS_MONITOR", nats.monitor_url())];
    let data = |name: &str| folder.path().join(name);
    let first = run(&["serve"], &data("first"), &env);
    let listen = format!("127.0.0.1:{}", free_port());
    let edge = run(&["edge", "--listen", &listen], &data("edge"), &env);
    let client = Client::of(&format!("http://{listen}"));
    client.wait_until_ready().await;
    client.register("staff@example.com").await;
    let named: Vec<(&str, &str)> =
        env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    grant("staff", "staff@example.com", &data("edge"), &named);
    let token = client.log_in("staff@example.com").await;
    // One item each, so that nobody waits for anybody but the role that moves.
    for n in 0..CLIENTS {
        client.stock(&token, &format!("TEA-{n}"), 100, 1).await;
    }

    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load = (0..CLIENTS).map(|n| {
        let (sku, stop, count) = (format!("TEA-{n}"), stop.clone(), count.clone());
        tokio::spawn(stock_up(client.clone(), token.clone(), sku, stop, count))
    });
    let load: Vec<_> = load.collect();
    let second = run(&["serve"], &data("second"), &env);
    wait_until_serving(&data("second")).await;
    wait_for_more(&count).await;
    first.signal("-TERM");
    ended_well(first).await;
    wait_for_more(&count).await;
    stop.store(true, Ordering::Relaxed);
    let (mut total, mut longest) = (0, Duration::ZERO);
    for (n, load) in load.into_iter().enumerate() {
        let (count, wait) = load.await.unwrap();
        let (_, item) = client.get(&format!("/v1/items/TEA-{n}"), None).await;
        assert_eq!(item["received"], json!(count + 1), "what was acknowledged and what is there");
        total += count;
        longest = longest.max(wait);
    }
    println!("{total} acknowledged while a role moved; longest wait {longest:?}");
    assert!(longest < Duration::from_secs(5), "somebody waited {longest:?}");

    // An order that does not settle is waited for; the edge is told to stop meanwhile.
    let waiting = tokio::spawn({
        let (client, token) = (client.clone(), token.clone());
        let order = json!({"currency": "EUR", "card": "4000000000000119",
            "lines": [{"sku": "TEA-0", "quantity": 1}]});
        async move {
            let headers = [("Prefer", "wait=30")];
            client.send("POST", "/v1/orders", Some(&token), &headers, Some(&order)).await.unwrap()
        }
    });
    eventually("the order is placed", Duration::from_secs(20), || async {
        let (_, orders) = client.get("/v1/orders", Some(&token)).await;
        (orders["orders"][0]["status"] == json!("paying")).then_some(())
    })
    .await;
    let told_to_stop = Instant::now();
    edge.signal("-TERM");
    let (status, body) = waiting.await.unwrap();
    assert_eq!(status, 202, "{body}");
    assert!(told_to_stop.elapsed() < Duration::from_secs(15), "it waited on");
    ended_well(edge).await;
    second.signal("-TERM");
    ended_well(second).await;
}

/// Waits until the clients have been answered some more times.
async fn wait_for_more(count: &AtomicU64) {
    let enough = count.load(Ordering::Relaxed) + 100;
    eventually("a hundred more answers", Duration::from_secs(60), || async {
        (count.load(Ordering::Relaxed) >= enough).then_some(())
    })
    .await;
}

/// Receives one piece after another; how many, and the longest wait for one.
async fn stock_up(
    client: Client,
    token: String,
    sku: String,
    stop: Arc<AtomicBool>,
    all: Arc<AtomicU64>,
) -> (u64, Duration) {
    let (path, mut count, mut longest) = (format!("/v1/items/{sku}/stock"), 0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let (status, body) = client.post(&path, Some(&token), json!({"quantity": 1})).await;
        assert_eq!(status, 200, "{body}");
        longest = longest.max(asked.elapsed());
        count += 1;
        all.fetch_add(1, Ordering::Relaxed);
    }
    (count, longest)
}
