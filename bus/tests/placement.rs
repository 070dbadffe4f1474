//! Placement: actors live at their owner; nodes join, leave, crash and pause; and nobody who
//! asks sees more of it than a short wait.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::mpsc,
    time::{Duration, Instant},
};

use async_nats::{HeaderMap, jetstream};
use bus::{Bus, Id, Running};
use common::{Count, PutIn, Till, connect, eventually, fresh, host};
use futures_util::StreamExt;
use nats_server::TestServer;

/// How many commits each of the nodes has stored.
fn commits(nodes: &[Bus]) -> Vec<u64> {
    nodes.iter().map(|node| node.counts("till").commits).collect()
}

fn forwarded(nodes: &[Bus]) -> u64 {
    nodes.iter().map(|node| node.counts("till").forwarded).sum()
}

fn late_writes(nodes: &[Bus]) -> u64 {
    nodes.iter().map(|node| node.counts("till").late_writes_refused).sum()
}

async fn connect_all(server: &TestServer, count: usize) -> Vec<Bus> {
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(connect(server).await);
    }
    nodes
}

/// The index of the one node that stores what `ask` has stored.
async fn who_stores(nodes: &[Bus], ask: impl Future<Output = ()>) -> usize {
    let before = commits(nodes);
    ask.await;
    let after = commits(nodes);
    let moved: Vec<usize> = (0..nodes.len()).filter(|n| after[*n] != before[*n]).collect();
    assert_eq!(moved.len(), 1, "{before:?} {after:?}");
    moved[0]
}

async fn put_in(bus: &Bus, till: &Id<Till>) {
    bus.actor(till).ask(PutIn { amount: 1 }).await.unwrap();
}

/// Waits until the client asks `count` different owners by itself, and those who know of none
/// are led to the same.
async fn wait_until_placed(client: &Bus, nodes: &[Bus], foreign: &str, count: usize) {
    let foreign = async_nats::connect(foreign).await.unwrap();
    eventually("everybody knows the owners", || async {
        let mut homes = BTreeSet::new();
        for _ in 0..24 {
            let till = fresh("w");
            let before = forwarded(nodes);
            let home = who_stores(nodes, put_in(client, &till)).await;
            if forwarded(nodes) > before {
                return None;
            }
            for _ in 0..3 {
                let subject = format!("cmd.till.{till}.put_in");
                let asked = foreign.request(subject, r#"{"amount":1}"#.into());
                if who_stores(nodes, async { drop(asked.await.unwrap()) }).await != home {
                    return None;
                }
            }
            homes.insert(home);
        }
        (homes.len() == count).then_some(())
    })
    .await;
}

/// The cells of the nodes that are there, as any client sees them.
async fn cells(server: &TestServer) -> Vec<String> {
    let client = async_nats::connect(&server.url).await.unwrap();
    let stream = jetstream::new(client).get_stream("KV_NODES").await.unwrap();
    let mut subjects = stream.info_with_subjects("$KV.NODES.>").await.unwrap();
    let mut keys = Vec::new();
    while let Some(subject) = subjects.next().await {
        let (subject, _) = subject.unwrap();
        let Ok(last) = stream.get_last_raw_message_by_subject(&subject).await else { continue };
        let is_gone = ["KV-Operation", "Nats-Marker-Reason"];
        if is_gone.iter().all(|name| last.headers.get(*name).is_none()) {
            keys.push(subject.trim_start_matches("$KV.NODES.").to_owned());
        }
    }
    keys
}

#[tokio::test]
async fn actors_spread_over_the_nodes_and_each_stays_where_it_is() {
    let server = TestServer::own().await;
    let (nodes, client) = (connect_all(&server, 3).await, connect(&server).await);
    let mut running = Vec::new();
    for node in &nodes {
        running.push(host(node).await);
    }
    wait_until_placed(&client, &nodes, &server.url, 3).await;
    let before = (forwarded(&nodes), late_writes(&nodes));
    let mut lives = BTreeMap::<usize, u32>::new();
    for _ in 0..60 {
        let till = fresh("t");
        let home = who_stores(&nodes, put_in(&client, &till)).await;
        for _ in 0..3 {
            assert_eq!(who_stores(&nodes, put_in(&client, &till)).await, home);
        }
        *lives.entry(home).or_default() += 1;
    }
    assert_eq!(lives.len(), 3, "{lives:?}");
    assert_eq!((forwarded(&nodes), late_writes(&nodes)), before, "sent straight to the owner");
}

#[tokio::test]
async fn whoever_knows_no_owners_is_served_by_the_owner_all_the_same() {
    let server = TestServer::own().await;
    let (nodes, client) = (connect_all(&server, 3).await, connect(&server).await);
    let mut running = Vec::new();
    for node in &nodes {
        running.push(host(node).await);
    }
    wait_until_placed(&client, &nodes, &server.url, 3).await;
    let foreign = async_nats::connect(&server.url).await.unwrap();
    let till = fresh("t");
    let home = who_stores(&nodes, put_in(&client, &till)).await;
    let (before, refused) = (forwarded(&nodes), late_writes(&nodes));
    let subject = format!("cmd.till.{till}.put_in");
    for total in 2..=30_u64 {
        let asked = who_stores(&nodes, async {
            let reply = foreign.request(subject.clone(), r#"{"amount":1}"#.into()).await.unwrap();
            assert_eq!(reply.payload, total.to_string());
            assert!(reply.headers.unwrap().get("Cb-Seq").is_some());
        });
        assert_eq!(asked.await, home);
    }
    // Most of them came to one of the others first.
    assert!(forwarded(&nodes) > before);
    // What nobody waits for goes the same way.
    for _ in 0..30 {
        foreign.publish(subject.clone(), r#"{"amount":1}"#.into()).await.unwrap();
    }
    eventually("all is put in", || async {
        let amount = client.actor(&till).ask(Count {}).await.unwrap();
        (amount == 60).then_some(())
    })
    .await;
    assert_eq!(late_writes(&nodes), refused, "they were all carried out by the owner");
    // What cannot be carried out is told so by whoever gets it.
    let reply = foreign.request(format!("cmd.till.{till}.fly"), "{}".into()).await.unwrap();
    assert_eq!(reply.headers.unwrap().get("Nats-Service-Error-Code").unwrap().as_str(), "404");
}

#[tokio::test]
async fn a_command_is_handed_on_as_it_came_with_what_is_left_of_its_budget() {
    let server = TestServer::own().await;
    let node = connect(&server).await;
    let _running = host(&node).await;
    let foreign = async_nats::connect(&server.url).await.unwrap();
    // A node that is none of ours: it takes what comes, and answers when it likes.
    let mut taken = foreign.subscribe("node.strange.till.>").await.unwrap();
    let inbox = foreign.new_inbox();
    let mut answers = foreign.subscribe(inbox.clone()).await.unwrap();
    let send = async |text: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("Cb-Timeout-Ms", "9000");
        headers.insert("Content-Type", "application/json");
        headers.insert("Their-Own", "kept");
        let till = fresh("t");
        let subject = format!("cmd.till.{till}.put_in");
        let sent =
            foreign.publish_with_reply_and_headers(subject, inbox.clone(), headers, text.into());
        sent.await.unwrap();
        till
    };
    // About half of all actors belong to it.
    let handed_on = loop {
        foreign.publish("$KV.NODES.till.strange", "".into()).await.unwrap();
        send(r#"{ "amount": 7 }"#).await;
        tokio::select! {
            biased;
            command = taken.next() => break command.unwrap(),
            answer = answers.next() => { assert_eq!(answer.unwrap().payload, "7"); },
        }
    };
    let headers = handed_on.headers.clone().unwrap();
    let text = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
    assert_eq!(handed_on.payload, r#"{ "amount": 7 }"#, "not a byte is changed");
    assert_eq!(text("Content-Type").as_deref(), Some("application/json"));
    assert_eq!(text("Their-Own").as_deref(), Some("kept"));
    assert!(text("Cb-Key").is_some() && text("Cb-Key-Time").is_some(), "it has one effect");
    assert!(text("Cb-Forwarded").is_some());
    let left: u64 = text("Cb-Timeout-Ms").unwrap().parse().unwrap();
    assert!(left < 9_000, "{left} ms are left of what had 9000 ms");
    let reply = handed_on.reply.unwrap();
    foreign.publish(reply, "from far away".into()).await.unwrap();
    assert_eq!(answers.next().await.unwrap().payload, "from far away");
    assert_eq!(forwarded(std::slice::from_ref(&node)), 1);

    // Now it takes one more and says nothing: neither an answer, nor that it is there.
    let till = loop {
        foreign.publish("$KV.NODES.till.strange", "".into()).await.unwrap();
        let till = send(r#"{ "amount": 8 }"#).await;
        tokio::select! {
            biased;
            _ = taken.next() => break till,
            answer = answers.next() => assert_eq!(answer.unwrap().payload, "8"),
        }
    };
    let answer = answers.next().await.unwrap();
    assert_eq!(answer.payload, "8", "whoever had it carried it out");
    assert_eq!(node.actor(&till).ask(Count {}).await.unwrap(), 8);
}

#[tokio::test]
async fn a_node_that_leaves_says_so_and_one_that_comes_takes_its_share() {
    let server = TestServer::own().await;
    let (nodes, client) = (connect_all(&server, 2).await, connect(&server).await);
    let first = host(&nodes[0]).await;
    wait_until_placed(&client, &nodes, &server.url, 1).await;
    let second = host(&nodes[1]).await;
    wait_until_placed(&client, &nodes, &server.url, 2).await;
    assert_eq!(cells(&server).await.len(), 2);
    first.stop().await;
    assert_eq!(cells(&server).await.len(), 1);
    let before = commits(&nodes);
    for _ in 0..20 {
        put_in(&client, &fresh("t")).await;
    }
    assert_eq!(commits(&nodes), [before[0], before[1] + 20]);
    // With nobody left, callers wait; and are served once somebody comes.
    second.stop().await;
    let late = tokio::spawn({
        let client = client.clone();
        async move { client.actor(&fresh("t")).ask(PutIn { amount: 3 }).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _again = host(&nodes[0]).await;
    assert_eq!(late.await.unwrap(), 3);
}

/// A node on a thread of its own, which can be stopped without a word, or made to pause.
struct Apart {
    orders: mpsc::Sender<Option<Duration>>,
    thread: std::thread::JoinHandle<()>,
    bus: Bus,
}

impl Apart {
    fn start(server: &TestServer) -> Self {
        let (orders, take) = mpsc::channel::<Option<Duration>>();
        let (send, started) = mpsc::channel();
        let (url, monitor) = (server.url.clone(), server.monitor_url.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.unwrap();
            runtime.block_on(async move {
                let options =
                    bus::Connect { monitor_urls: vec![monitor], ..bus::Connect::to(&url) };
                let bus = Bus::connect(&options).await.unwrap();
                let running = host(&bus).await;
                send.send(bus).unwrap();
                loop {
                    match take.try_recv() {
                        // Nothing on this thread runs meanwhile, as in a stopped process.
                        Ok(Some(pause)) => std::thread::sleep(pause),
                        Ok(None) | Err(mpsc::TryRecvError::Disconnected) => break,
                        Err(mpsc::TryRecvError::Empty) => {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                }
                // Not dropped: that would say goodbye.
                std::mem::forget(running);
            });
            runtime.shutdown_background();
        });
        let bus = started.recv_timeout(Duration::from_secs(60)).unwrap();
        Self { orders, thread, bus }
    }

    fn crash(self) {
        self.orders.send(None).unwrap();
        self.thread.join().unwrap();
    }
}

/// Asks each till once; the longest wait.
async fn longest_wait(client: &Bus, tills: &[Id<Till>]) -> Duration {
    let asks = tills.iter().map(|till| async {
        let asked = Instant::now();
        put_in(client, till).await;
        asked.elapsed()
    });
    futures_util::future::join_all(asks).await.into_iter().max().unwrap()
}

/// A node apart and one beside it, and tills that live on either.
struct Beside {
    client: Bus,
    apart: Apart,
    nodes: [Bus; 2],
    tills: Vec<Id<Till>>,
    running: Running,
}

async fn beside(server: &TestServer) -> Beside {
    let client = connect(server).await;
    let apart = Apart::start(server);
    let node = connect(server).await;
    let running = host(&node).await;
    let nodes = [apart.bus.clone(), node];
    wait_until_placed(&client, &nodes, &server.url, 2).await;
    let tills: Vec<_> = (0..40).map(|_| fresh("t")).collect();
    longest_wait(&client, &tills).await;
    Beside { client, apart, nodes, tills, running }
}

#[tokio::test]
async fn the_actors_of_a_node_that_crashes_go_on_elsewhere() {
    let server = TestServer::own().await;
    let Beside { client, apart: doomed, tills, running: _running, .. } = beside(&server).await;
    doomed.crash();
    // Its subscriptions went with its connection: nobody waits for it.
    let wait = longest_wait(&client, &tills).await;
    println!("longest wait after a crash: {wait:?}");
    for till in &tills {
        assert_eq!(client.actor(till).ask(Count {}).await.unwrap(), 2);
    }
    // And its cell's time is over soon.
    eventually("it is gone", || async { (cells(&server).await.len() == 1).then_some(()) }).await;
}

#[tokio::test]
async fn nobody_waits_long_for_a_node_that_pauses_and_its_late_writes_are_refused() {
    let server = TestServer::own().await;
    let Beside { client, apart: sleepy, nodes, tills, running: _running } = beside(&server).await;
    let (before, pause) = (late_writes(&nodes), Duration::from_secs(8));
    sleepy.orders.send(Some(pause)).unwrap();
    let paused = Instant::now();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut rounds = 1;
    let mut waits = Vec::new();
    while paused.elapsed() < pause + Duration::from_secs(3) {
        waits.push(longest_wait(&client, &tills).await);
        rounds += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let longest = *waits.iter().max().unwrap();
    println!("longest wait beside a paused node: {longest:?}, in {rounds} rounds");
    assert!(longest < pause - Duration::from_secs(1), "the pause was waited for: {longest:?}");
    assert!(rounds > 20, "only {rounds} rounds: somebody waited again and again");
    for till in &tills {
        assert_eq!(client.actor(till).ask(Count {}).await.unwrap(), rounds);
    }
    // What it had taken before it paused, others had carried out when it woke.
    let refused = late_writes(&nodes) - before;
    println!("late writes refused: {refused}");
    assert!(refused > 0, "there was no late write: the test did not bite");
    sleepy.crash();
}

#[tokio::test]
async fn without_the_bucket_all_goes_on_and_it_is_made_anew() {
    let mut server = TestServer::own().await;
    let (nodes, client) = (connect_all(&server, 2).await, connect(&server).await);
    let mut running = Vec::new();
    for node in &nodes {
        running.push(host(node).await);
    }
    wait_until_placed(&client, &nodes, &server.url, 2).await;
    let jetstream = jetstream::new(async_nats::connect(&server.url).await.unwrap());
    jetstream.delete_stream("KV_NODES").await.unwrap();
    let till = fresh("t");
    for total in 1..=10 {
        assert_eq!(client.actor(&till).ask(PutIn { amount: 1 }).await.unwrap(), total);
    }
    eventually("it is there again", || async {
        jetstream.get_stream("KV_NODES").await.ok().map(drop)
    })
    .await;
    // Whoever watched the old one finds out by its silence.
    tokio::time::sleep(bus::limits::NODE_SILENCE).await;
    wait_until_placed(&client, &nodes, &server.url, 2).await;
    // Nor does a server that restarts leave anybody in the dark.
    server.kill_and_restart().await;
    wait_until_placed(&client, &nodes, &server.url, 2).await;
    assert_eq!(client.actor(&till).ask(Count {}).await.unwrap(), 10);
}
