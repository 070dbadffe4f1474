//! Nothing that was answered is lost, however the process ends.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use gateway::Settings;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::world::{SECRET, World, asked};

const FOLDER: &str = "GATEWAY_TEST_FOLDER";
const WEBHOOKS: &str = "GATEWAY_TEST_WEBHOOKS";

/// Not a test: the process that others start and kill.
#[tokio::test]
#[ignore = "is started by the tests that kill it"]
async fn a_process_of_its_own() {
    let (Ok(folder), Ok(webhooks)) = (std::env::var(FOLDER), std::env::var(WEBHOOKS)) else {
        return;
    };
    let mut settings = Settings::new(SECRET);
    settings.data = PathBuf::from(&folder);
    settings.webhook_url = Some(webhooks);
    settings.pending = Duration::from_millis(500)..=Duration::from_millis(500);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    fs::write(Path::new(&folder).join("url.new"), url).expect("written");
    fs::rename(Path::new(&folder).join("url.new"), Path::new(&folder).join("url")).expect("named");
    gateway::serve(listener, settings, std::future::pending()).await.expect("served until killed");
}

async fn start(folder: &Path, webhooks: &str) -> (Child, String) {
    let child = Command::new(std::env::current_exe().expect("this test's program"))
        .args(["--exact", "restart::a_process_of_its_own", "--ignored"])
        .env(FOLDER, folder)
        .env(WEBHOOKS, webhooks)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("started");
    let file = folder.join("url");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Ok(url) = fs::read_to_string(&file) {
            fs::remove_file(&file).expect("removed");
            return (child, url);
        }
        assert!(Instant::now() < deadline, "the process does not serve");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_killed_gateway_comes_back_with_all_it_answered() {
    let mut world = World::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    // Nobody listens there: what is told waits, over the kill.
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let nowhere = format!("http://{}/", nobody.local_addr().expect("an address"));
    drop(nobody);
    let (mut child, url) = start(folder.path(), &nowhere).await;
    world.url = url;

    let charge = world.authorised("k-1").await;
    world.capture(&charge, 600).await.expect(201);
    world.refund(&charge, "r-1", 100).await.expect(201);
    let declined = world.charge("k-2", "sim-0002").await.expect(201);
    let pending = world.charge("k-3", "sim-3063").await.expect(201);
    child.kill().await.expect("killed");

    let (mut child, url) = start(folder.path(), &world.receiver.url).await;
    world.url = url;
    let shown = world.shown(&charge).await;
    assert_eq!((&shown["captured"], &shown["refunded"]), (&json!(600), &json!(100)));
    assert_eq!(world.authorised("k-1").await, charge);
    assert_eq!(world.charge("k-2", "sim-0002").await.body, declined.body);
    assert_eq!(world.charge("k-3", "sim-3063").await.body, pending.body);
    world.refund(&charge, "r-1", 100).await.expect(201);
    world.refund(&charge, "r-2", 501).await.expect_error(409, "more_than_captured", Some("amount"));

    let webhooks = world.receiver.wait_for_only(5).await;
    let mut types: Vec<_> = webhooks.iter().map(|webhook| webhook.text("type")).collect();
    types.sort_unstable();
    let expected = ["authorised", "authorised", "captured", "declined", "refunded"];
    assert_eq!(types, expected.map(|kind| format!("charge.{kind}")));
    let settled = webhooks.iter().find(|webhook| webhook.body["charge"] == pending.body["charge"]);
    assert_eq!(settled.expect("one").text("type"), "charge.authorised");
    child.kill().await.expect("killed");
}

/// Keys and charges that were answered, until a call is not.
async fn work_until_killed(world: &World, round: usize, worker: usize) -> Vec<(String, String)> {
    let mut answered = Vec::new();
    loop {
        let key = format!("k-{round}-{worker}-{}", answered.len());
        let request = world.request(Method::POST, "/v1/charges").json(&asked("sim-4242"));
        let Ok(answer) = request.header("Idempotency-Key", &key).send().await else {
            return answered;
        };
        let Ok(body) = answer.json::<Value>().await else { return answered };
        answered.push((key, body["charge"].as_str().expect("authorised").to_owned()));
    }
}

#[tokio::test]
async fn killed_while_it_works_it_keeps_every_answer_it_gave() {
    let mut world = World::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut answered: Vec<(String, String)> = Vec::new();
    for round in 0..3 {
        let (mut child, url) = start(folder.path(), &world.receiver.url).await;
        world.url = url;
        let workers = (0..8).map(|worker| work_until_killed(&world, round, worker));
        let (worked, ()) = tokio::join!(futures_util::future::join_all(workers), async {
            sleep(Duration::from_millis(300)).await;
            child.kill().await.expect("killed");
        });
        assert!(worked.iter().all(|answered| !answered.is_empty()), "all were at work");
        answered.extend(worked.into_iter().flatten());
    }
    let (mut child, url) = start(folder.path(), &world.receiver.url).await;
    world.url = url;
    for (key, charge) in &answered {
        assert_eq!(&world.authorised(key).await, charge);
    }
    // What was taken just before a kill may come again; nothing is missing.
    let deadline = Instant::now() + Duration::from_secs(20);
    let told = || {
        let received = world.receiver.received().into_iter();
        received.map(|webhook| webhook.text("charge").to_owned()).collect::<HashSet<_>>()
    };
    while !answered.iter().all(|(_, charge)| told().contains(charge)) {
        assert!(Instant::now() < deadline, "{} of {} were told", told().len(), answered.len());
        sleep(Duration::from_millis(50)).await;
    }
    child.kill().await.expect("killed");
}

#[tokio::test]
async fn a_stopped_gateway_goes_on_where_it_was() {
    let mut world = World::open().await;
    world.receiver.answer([500]);
    let charge = world.authorised("k-1").await;
    let pending = world.charge("k-2", "sim-3097").await.expect(201).text("charge");
    world.reopen_with(|_| {}).await;
    world.capture(&charge, 1_000).await.expect(201);
    let webhooks = world.receiver.wait_for(4).await;
    let declined = webhooks.iter().find(|webhook| webhook.text("charge") == pending);
    assert_eq!(declined.expect("one").text("type"), "charge.declined");
    world.close().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut settings = world.settings.clone();
    fs::write(settings.data.join("gateway.jsonl"), "{\"gateway\":1}\nnonsense\n").expect("written");
    let refused = gateway::serve(listener, settings.clone(), std::future::pending()).await;
    let error = refused.expect_err("what cannot be read is not passed over").to_string();
    assert!(error.contains("gateway.jsonl: line 2"), "{error}");
    settings.secret.clear();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let refused = gateway::serve(listener, settings, std::future::pending()).await;
    assert_eq!(refused.expect_err("no secret").kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn two_gateways_do_not_share_a_folder() {
    let world = World::open().await;
    world.authorised("k-1").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let second = gateway::serve(listener, world.settings.clone(), std::future::pending()).await;
    assert_eq!(second.expect_err("in use").kind(), std::io::ErrorKind::ResourceBusy);
    world.authorised("k-2").await;
}
