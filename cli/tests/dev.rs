//! `callboard dev`: up with one command, down with one signal, nothing left behind.
#![allow(clippy::unwrap_used)]

mod common;

use std::{path::Path, process::Stdio, time::Duration};

use common::{Client, Process, callboard, eventually, grant};
use serde_json::{Value, json};

struct Dev {
    process: Process,
    client: Client,
    folder: tempfile::TempDir,
}

fn read(folder: &Path, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(name)).ok()?;
    text.ends_with('\n').then(|| text.trim().to_owned())
}

async fn start_in(folder: tempfile::TempDir) -> Dev {
    let _ = std::fs::remove_file(folder.path().join("edge-url"));
    let mut command = callboard();
    command.args(["dev", "--listen", "127.0.0.1:0", "--nats-port", "0", "--data"]);
    let mut process = Process::start(command.arg(folder.path()), &folder.path().join("log"));
    let url = eventually("dev says where its edge is", Duration::from_secs(60), || {
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(process.is_running(), "{log}");
        async { read(folder.path(), "edge-url") }
    })
    .await;
    let client = Client::of(&url);
    client.wait_until_ready().await;
    Dev { process, client, folder }
}

async fn start() -> Dev {
    start_in(tempfile::tempdir().unwrap()).await
}

/// The process ids of the nats-servers that use this folder.
fn servers_in(folder: &Path) -> Vec<String> {
    let path = folder.to_string_lossy().into_owned();
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|process| {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains("nats-server\0") && line.contains(&path) && !line.starts_with("sh\0")
        })
        .map(|process| process.file_name().to_string_lossy().into_owned())
        .collect()
}

async fn wait_until_no_server_is_in(folder: &Path) {
    eventually("the NATS server is gone", Duration::from_secs(20), || async {
        servers_in(folder).is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn it_says_where_it_is_and_stops_with_all_it_started() {
    let mut dev = start().await;
    let said = std::fs::read_to_string(dev.folder.path().join("log")).unwrap();
    assert!(said.contains(&dev.client.edge) && said.contains("nats://127.0.0.1:"), "{said}");
    assert_eq!(servers_in(dev.folder.path()).len(), 1);
    dev.process.signal("-TERM");
    let status = tokio::task::spawn_blocking(move || {
        let status = dev.process.0.wait().unwrap();
        (status, dev.folder)
    });
    let (status, folder) = status.await.unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(servers_in(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn its_nats_server_does_not_outlive_a_kill() {
    let mut dev = start().await;
    dev.process.kill();
    wait_until_no_server_is_in(dev.folder.path()).await;
}

#[tokio::test]
async fn a_second_one_in_the_same_folder_is_refused() {
    let dev = start().await;
    let mut second = callboard();
    second.args(["dev", "--listen", "127.0.0.1:0", "--nats-port", "0", "--data"]);
    let output = second.arg(dev.folder.path()).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("another `callboard dev`"), "{said}");
}

#[tokio::test]
async fn a_nats_server_that_dies_is_started_again() {
    let dev = start().await;
    dev.client.register("ada@example.com").await;
    grant("staff", "ada@example.com", dev.folder.path(), &[]);
    let pid = servers_in(dev.folder.path()).remove(0);
    assert!(std::process::Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    eventually("another server is up", Duration::from_secs(30), || async {
        let others = servers_in(dev.folder.path());
        (others.len() == 1 && others[0] != pid).then_some(())
    })
    .await;
    dev.client.wait_until_ready().await;
    let token = dev.client.log_in("ada@example.com").await;
    dev.client.stock(&token, "TEA", 100, 5).await;
    // Rows and followers go on at once, and not when a heartbeat is missed.
    let order = json!({"currency": "EUR", "card": "4242424242424242",
        "lines": [{"sku": "TEA", "quantity": 2}]});
    let headers = [("Prefer", "wait=5")];
    let sent = dev.client.send("POST", "/v1/orders", Some(&token), &headers, Some(&order)).await;
    let (status, body) = sent.unwrap();
    assert_eq!((status, &body["status"]), (201, &json!("confirmed")), "{body}");
}

#[tokio::test]
async fn killed_and_started_at_once_it_waits_for_its_old_server() {
    let mut dev = start().await;
    for _ in 0..3 {
        let old = servers_in(dev.folder.path());
        dev.process.kill();
        let Dev { process, folder, .. } = dev;
        drop(process);
        dev = start_in(folder).await;
        let now = servers_in(dev.folder.path());
        assert!(now.len() == 1 && now != old, "{old:?} {now:?}");
    }
}

#[tokio::test]
async fn killed_and_without_its_rows_it_answers_as_before() {
    let mut dev = start().await;
    dev.client.register("staff@example.com").await;
    grant("staff", "staff@example.com", dev.folder.path(), &[]);
    let token = dev.client.log_in("staff@example.com").await;
    for n in 0..5 {
        dev.client.stock(&token, &format!("SKU-{n}"), 100 + n, 10).await;
    }
    for n in 0..5 {
        let order = json!({"currency": "EUR", "card": "4242424242424242",
            "lines": [{"sku": format!("SKU-{n}"), "quantity": 2}]});
        let (status, body) = dev.client.post("/v1/orders", Some(&token), order).await;
        assert_eq!((status, &body["status"]), (201, &json!("confirmed")), "{body}");
    }
    let keyed = json!({"currency": "EUR", "card": "4242424242424242",
        "lines": [{"sku": "SKU-0", "quantity": 1}]});
    let headers = [("Idempotency-Key", "once")];
    let place = async |client: &Client| {
        client.send("POST", "/v1/orders", Some(&token), &headers, Some(&keyed)).await.unwrap()
    };
    let placed = place(&dev.client).await;
    assert_eq!(placed.0, 201);
    let before = all_answers(&dev.client, &token).await;
    dev.process.kill();
    std::fs::remove_dir_all(dev.folder.path().join("rows")).unwrap();
    let Dev { process, folder, .. } = dev;
    drop(process);
    let dev = start_in(folder).await;
    assert_eq!(all_answers(&dev.client, &token).await, before);
    assert_eq!(place(&dev.client).await, placed, "the same key, the same answer");
    assert_eq!(all_answers(&dev.client, &token).await, before, "and no second order");
}

/// What every GET answers, links followed.
async fn all_answers(client: &Client, token: &str) -> Vec<(u16, Value)> {
    let mut paths = vec!["/v1/users/me".to_owned(), "/v1/items?search=item&limit=3".to_owned()];
    paths.extend((0..6).map(|n| format!("/v1/items/SKU-{n}")));
    let orders = client.get("/v1/orders", Some(token)).await;
    for order in orders.1["orders"].as_array().unwrap() {
        paths.push(format!("/v1/orders/{}", order["id"].as_str().unwrap()));
    }
    let mut answers = vec![orders];
    for path in paths {
        answers.push(client.get(&path, Some(token)).await);
    }
    assert!(answers.len() > 12);
    answers
}

#[tokio::test]
async fn events_are_shown_decoded() {
    let dev = start().await;
    dev.client.register("ada@example.com").await;
    let show = |of: &[&str]| {
        let mut command = callboard();
        command.arg("events").args(of).arg("--data").arg(dev.folder.path());
        let output = command.stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let all = eventually("the address is confirmed", Duration::from_secs(20), || async {
        let all = show(&[]);
        all.contains(" confirmed").then_some(all)
    })
    .await;
    let lines: Vec<&str> = all.lines().collect();
    assert!(lines[0].starts_with("EVT_email_0@1 ") && lines[0].contains(" claimed "), "{all}");
    assert!(lines.iter().any(|line| line.contains(" registered ")), "{all}");
    let only_users = show(&["user"]);
    assert!(only_users.lines().all(|line| line.contains(" user/")), "{only_users}");
    let unknown =
        callboard().args(["events", "elephant", "--data"]).arg(dev.folder.path()).output();
    let unknown = unknown.unwrap();
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("elephant"));
}

#[tokio::test]
async fn without_any_server_every_way_to_get_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = callboard();
    command.args(["dev", "--data"]).arg(folder.path());
    // A PATH with a shell and nothing else: no nats-server, no Python.
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    command.env("PATH", &bin).env("XDG_CACHE_HOME", folder.path().join("cache"));
    let output = command.output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for way in ["--nats-url", "NATS_URL", "PATH", "python3"] {
        assert!(said.contains(way), "{said}");
    }
}
