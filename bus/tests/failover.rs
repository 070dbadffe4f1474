//! Several processes of one role: one of them follows, and when it is killed, paused or stopped
//! another goes on, in order and without doubling anything. Prints how long each took.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::{
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bus::{Bus, Connect, Effect, Host, Id, Patience, Recorded, Retry, Then};
use common::{PutIn, TakeOut, Till, TillEvent, connect, eventually, fresh};
use futures_util::{StreamExt, future::join_all};
use nats_server::TestServer;

/// Carries what is taken out to another till, and tells on the side who does it.
struct Carry {
    node: String,
    client: async_nats::Client,
}

impl Effect<Till> for Carry {
    const NAME: &'static str = "carry";

    async fn run(&self, event: &Recorded<Till>, _: &Bus, then: &mut Then) -> Result<(), Retry> {
        if let TillEvent::TakenOut { amount, to: Some(to) } = &event.event {
            then.ask(to, &PutIn { amount: *amount });
            let seen = format!("seen.{}", self.node);
            self.client.publish(seen, "".into()).await.map_err(Retry::because)?;
        }
        Ok(())
    }
}

/// What each of the processes runs: not a test, but what the test starts.
#[tokio::test]
#[ignore = "a process of the test below"]
async fn a_node_that_follows() {
    let Ok(url) = std::env::var("FOLLOW_AT") else { return };
    let (monitor, node) = (std::env::var("FOLLOW_MONITOR").unwrap(), std::env::var("FOLLOW_AS"));
    let options = Connect { monitor_urls: vec![monitor], ..Connect::to(&url) };
    let bus = Bus::connect(&options).await.unwrap();
    let client = async_nats::connect(&url).await.unwrap();
    let carry = Carry { node: node.unwrap(), client };
    let stopped = bus::shutdown_signal();
    Host::new(bus).effect::<Till, _>(carry).run_until(stopped).await.unwrap();
}

struct Node(Child);

impl Node {
    fn start(server: &TestServer, name: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "a_node_that_follows", "--ignored", "--nocapture"]);
        command.env("FOLLOW_AT", &server.url).env("FOLLOW_MONITOR", &server.monitor_url);
        command.env("FOLLOW_AS", name.to_string()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended long ago.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Who follows, as seen from outside.
struct Seen {
    messages: async_nats::Subscriber,
}

impl Seen {
    async fn next(&mut self) -> usize {
        let message = tokio::time::timeout(Duration::from_secs(60), self.messages.next()).await;
        let message = message.expect("somebody follows").unwrap();
        message.subject.as_str().strip_prefix("seen.").unwrap().parse().unwrap()
    }

    /// The next one that is not `gone`, and how long that took.
    async fn other_than(&mut self, gone: usize) -> (usize, Duration) {
        let since = Instant::now();
        loop {
            let node = self.next().await;
            if node != gone {
                return (node, since.elapsed());
            }
        }
    }

    /// Sees that one alone follows for the next `count` events.
    async fn only(&mut self, node: usize, count: usize) {
        for _ in 0..count {
            assert_eq!(self.next().await, node, "the ones that stand by disturb nobody");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_four_processes_follows_and_another_takes_over_in_order() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let _tills = common::host(&bus).await;
    let client = async_nats::connect(&server.url).await.unwrap();
    let mut seen = Seen { messages: client.subscribe("seen.*").await.unwrap() };
    client.flush().await.unwrap();
    let nodes: Vec<Node> = (0..4).map(|name| Node::start(&server, name)).collect();
    let pairs: Vec<(Id<Till>, Id<Till>)> = (0..10).map(|_| (fresh("from"), fresh("to"))).collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(load(bus.clone(), pairs.clone(), is_over.clone()));

    let first = seen.next().await;
    seen.only(first, 300).await;
    nodes[first].signal("-KILL");
    let (second, after_kill) = seen.other_than(first).await;
    seen.only(second, 100).await;
    nodes[second].signal("-STOP");
    let (third, after_pause) = seen.other_than(second).await;
    seen.only(third, 50).await;
    nodes[second].signal("-CONT");
    // Awake again, it may still do what it held for a moment, and then stands by.
    tokio::time::sleep(Duration::from_secs(2)).await;
    nodes[third].signal("-TERM");
    let (_, after_stop) = seen.other_than(third).await;
    println!("killed: {after_kill:?}, paused: {after_pause:?}, stopped: {after_stop:?}");
    is_over.store(true, Ordering::SeqCst);
    let carried = load.await.unwrap();
    for ((_, to), carried) in pairs.iter().zip(&carried) {
        let arrived = eventually("all is carried over", || async {
            let arrived = bus.history("till", to.as_str(), 0).await.unwrap();
            (arrived.len() >= *carried).then_some(arrived)
        })
        .await;
        let amounts: Vec<_> =
            arrived.iter().map(|commit| commit.events[0]["put_in"]["amount"].as_u64()).collect();
        let expected: Vec<_> = (1..=*carried as u64).map(Some).collect();
        assert_eq!(amounts, expected, "in order, and each once");
    }
    assert!(after_kill < Duration::from_secs(20), "{after_kill:?}");
    assert!(after_pause < Duration::from_secs(20), "{after_pause:?}");
}

/// Takes 1, 2, 3, … out of each till until it is over. Says how often.
async fn load(bus: Bus, pairs: Vec<(Id<Till>, Id<Till>)>, is_over: Arc<AtomicBool>) -> Vec<usize> {
    join_all(pairs.iter().map(|(from, to)| async {
        bus.actor(from).ask(PutIn { amount: 1_000_000_000 }).await.unwrap();
        let mut amount = 0;
        while !is_over.load(Ordering::SeqCst) {
            amount += 1;
            bus.actor(from).ask(TakeOut { amount, to: Some(to.clone()) }).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        usize::try_from(amount).unwrap()
    }))
    .await
}

/// Counts what it is run for, and fails for one till while that is broken.
struct Tally {
    broken: Id<Till>,
    is_broken: bool,
    runs: Arc<AtomicUsize>,
}

impl Effect<Till> for Tally {
    const NAME: &'static str = "tally";

    async fn run(&self, event: &Recorded<Till>, _: &Bus, _: &mut Then) -> Result<(), Retry> {
        if event.id == self.broken && self.is_broken {
            return Err(Retry::because("broken"));
        }
        self.runs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn what_was_done_behind_a_failing_commit_is_not_done_again_by_who_takes_over() {
    const OTHERS: usize = 3_000;
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let _tills = common::host(&bus).await;
    let (broken, first, second) = (fresh("broken"), Arc::default(), Arc::default());
    let tally = |is_broken, runs: &Arc<AtomicUsize>| {
        let host_of = Tally { broken: broken.clone(), is_broken, runs: runs.clone() };
        let pause_max = Duration::from_millis(200);
        let patience = Patience { attempts: u32::MAX, pause_max, ..Patience::default() };
        move |bus| Host::new(bus).patience(patience).effect::<Till, _>(host_of)
    };
    // In a runtime of its own, so that it can be cut off as by a kill.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let host = tally(true, &first);
    let (url, monitor_urls) = (server.url.clone(), vec![server.monitor_url.clone()]);
    runtime.spawn(async move {
        let bus = Bus::connect(&Connect { monitor_urls, ..Connect::to(&url) }).await.unwrap();
        host(bus).run_until(std::future::pending()).await
    });
    bus.actor(&broken).ask(PutIn { amount: 1 }).await.unwrap();
    let till = fresh("t");
    for _ in 0..OTHERS / 500 {
        let put_in = || async { bus.actor(&till).ask(PutIn { amount: 1 }).await.unwrap() };
        join_all((0..500).map(|_| put_in())).await;
    }
    let last = bus.last_sequence("EVT_till_0").await.unwrap();
    let jetstream = async_nats::jetstream::new(async_nats::connect(&server.url).await.unwrap());
    eventually("the place is noted down", || async {
        let places = jetstream.get_stream("KV_PLACES").await.ok()?;
        let key = "$KV.PLACES.EVT_till_0.tally";
        let noted = places.get_last_raw_message_by_subject(key).await.ok()?;
        let noted: serde_json::Value = rmp_serde::from_slice(&noted.payload).unwrap();
        let is_all = noted["up_to"] == last && noted["open"].as_array().unwrap().len() == 1;
        is_all.then_some(())
    })
    .await;
    assert_eq!(first.load(Ordering::SeqCst), OTHERS);
    runtime.shutdown_background();
    let _second = tally(false, &second)(connect(&server).await).start().await.unwrap();
    let stream = jetstream.get_stream("EVT_till_0").await.unwrap();
    eventually("nothing is left to be delivered", || async {
        let info = stream.consumer_info("tally").await.unwrap();
        (info.num_pending == 0 && info.num_ack_pending == 0).then_some(())
    })
    .await;
    assert_eq!(second.load(Ordering::SeqCst), 1, "only what was broken");
}

#[tokio::test]
async fn a_consumer_of_an_older_release_goes_on_where_it_was() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let _tills = common::host(&bus).await;
    let till = fresh("t");
    for _ in 0..10 {
        bus.actor(&till).ask(PutIn { amount: 1 }).await.unwrap();
    }
    let jetstream = async_nats::jetstream::new(async_nats::connect(&server.url).await.unwrap());
    let stream = jetstream.get_stream("EVT_till_0").await.unwrap();
    let older = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("tally".to_owned()),
        ack_wait: Duration::from_secs(5),
        max_ack_pending: 1_024,
        max_deliver: -1,
        ..Default::default()
    };
    let older = stream.create_consumer(older).await.unwrap();
    let mut given = older.fetch().max_messages(6).messages().await.unwrap();
    for n in 0..6 {
        let message = given.next().await.unwrap().unwrap();
        if n < 4 {
            message.double_ack().await.unwrap();
        }
    }
    let runs = Arc::default();
    let tally = Tally { broken: fresh("none"), is_broken: false, runs: Arc::clone(&runs) };
    let _node = Host::new(bus).effect::<Till, _>(tally).start().await.unwrap();
    eventually("nothing is left to be delivered", || async {
        let info = stream.consumer_info("tally").await.unwrap();
        (info.num_pending == 0 && info.num_ack_pending == 0).then_some(())
    })
    .await;
    assert_eq!(runs.load(Ordering::SeqCst), 6);
}
