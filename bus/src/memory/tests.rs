//! The world itself: it repeats with its seed, every fault in it bites, and nothing that the
//! runtime promises is lost by it.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

use super::{Faults, World};
use crate::{
    Actor, AskError, Bus, Context, Handle, Host, Id, Key, Recorded, Running, Then,
    testing::simulate,
};

/// Counts; every commit of one that forwards is also counted by another.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tally {
    total: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum TallyEvent {
    #[serde(rename = "counted")]
    Counted { amount: u64, then: Option<Id<Tally>> },
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code")]
enum Never {}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Count {
    amount: u64,
    then: Option<Id<Tally>>,
}

impl Actor for Tally {
    const KIND: &'static str = "tally";
    type Event = TallyEvent;
    type Error = Never;
    type Commands = (Count,);

    fn apply(&mut self, TallyEvent::Counted { amount, .. }: &TallyEvent) {
        self.total += amount;
    }
}

impl Handle<Count> for Tally {
    const NAME: &'static str = "count";
    type Reply = u64;

    fn handle(&self, command: Count, ctx: &mut Context<Self>) -> Result<u64, Never> {
        let Count { amount, then } = command;
        ctx.emit(TallyEvent::Counted { amount, then });
        Ok(self.total + amount)
    }
}

fn forward(event: &Recorded<Tally>, then: &mut Then) {
    let TallyEvent::Counted { amount, then: next } = &event.event;
    if let Some(next) = next {
        then.ask(next, &Count { amount: *amount, then: None });
    }
}

fn id(text: &str) -> Id<Tally> {
    Id::parse(text).expect("a token")
}

async fn node(world: &World, name: &str) -> Running {
    let host = Host::new(world.connect(name)).actor::<Tally>();
    host.saga::<Tally>("forward", forward).start().await.expect("starts")
}

/// Asks until it is answered, with the same key.
async fn count(bus: &Bus, actor: &str, then: Option<&str>) -> u64 {
    let key = Key::parse(&bus.ambient().token()).expect("a key");
    let sent = bus.ambient().now();
    loop {
        let command = Count { amount: 1, then: then.map(id) };
        let ask = bus.actor(&id(actor)).ask(command).key(key.clone());
        match ask.key_first_sent(sent).await {
            Ok(total) => return total,
            Err(AskError::Refused(never)) => match never {},
            Err(error) => assert!(error.may_ask_again(), "{error}"),
        }
    }
}

const COUNTED: u64 = 60;

struct History {
    commits: Vec<(u64, Box<str>, Bytes)>,
    bites: std::collections::BTreeMap<&'static str, u64>,
    took: Duration,
}

/// Counts on two nodes, one of which may die and is then replaced, until all is forwarded.
fn history(seed: u64, faults: Faults, trouble: bool) -> History {
    simulate(async move {
        let began = Instant::now();
        let world = World::new(seed);
        world.faults(faults);
        let client = world.connect("client");
        let mut nodes = vec![node(&world, "a").await, node(&world, "b").await];
        let watch = async {
            if trouble {
                sleep(Duration::from_millis(300)).await;
                world.kill("a");
                world.pause("b", Duration::from_secs(7));
                sleep(Duration::from_secs(1)).await;
                world.cut("b", Duration::from_secs(8));
                world.outage(Duration::from_secs(1));
            }
            loop {
                for name in ["a", "b"] {
                    if !world.is_alive(name) {
                        nodes.push(node(&world, name).await);
                    }
                }
                sleep(Duration::from_millis(500)).await;
            }
        };
        let work = async {
            for n in 0..COUNTED {
                count(&client, &format!("from-{}", n % 5), Some("sum")).await;
            }
            world.heal();
            // Each lost or doubled forwarding would show here.
            let settled = async {
                while world.commits("tally").len() < 2 * COUNTED as usize
                    || !world.is_settled(world.now())
                {
                    sleep(Duration::from_secs(1)).await;
                }
            };
            timeout(Duration::from_secs(3_600), settled).await.expect("it settles");
        };
        tokio::select! {
            biased;
            () = work => {}
            () = watch => unreachable!("it watches for ever"),
        }
        assert_eq!(count(&client, "sum", None).await, COUNTED + 1, "seed {seed}");
        let commits = world.commits("tally");
        assert_eq!(commits.len(), 2 * COUNTED as usize + 1, "seed {seed}: one commit for each");
        assert_eq!(world.decoded("tally").expect("commits").len(), commits.len());
        History { commits, bites: world.bites(), took: began.elapsed() }
    })
}

fn all_faults() -> Faults {
    Faults {
        ack_lost: 30,
        append_lost: 30,
        append_late: 30,
        conflict_reported: 30,
        append_slow: 100,
        kill_at_append: 10,
        request_lost: 20,
        reply_lost: 20,
        ack_dropped: 50,
        redeliver: 50,
        stale_read: 200,
        max_delay: Duration::from_millis(20),
        clock_skew_max: Duration::from_secs(2),
    }
}

#[test]
fn the_same_seed_makes_the_same_history_byte_for_byte() {
    for faults in [Faults::default(), all_faults()] {
        let (one, two) = (history(7, faults, true), history(7, faults, true));
        assert_eq!(one.commits, two.commits);
        assert_eq!((one.bites, one.took), (two.bites, two.took));
    }
}

#[test]
fn another_seed_makes_another_order() {
    let faults = Faults { max_delay: Duration::from_millis(20), ..Faults::default() };
    let order = |seed| -> Vec<Box<str>> {
        history(seed, faults, false).commits.into_iter().map(|(_, id, _)| id).collect()
    };
    let orders: BTreeSet<_> = (0..8).map(order).collect();
    assert!(orders.len() > 4, "only {} orders", orders.len());
}

#[test]
fn every_fault_bites_and_nothing_is_lost_or_doubled() {
    let mut bites = std::collections::BTreeMap::new();
    for seed in 0..20 {
        for (fault, count) in history(seed, all_faults(), true).bites {
            *bites.entry(fault).or_default() += count;
        }
    }
    let all = [
        "ack_lost",
        "append_lost",
        "append_late",
        "late_stored",
        "late_refused",
        "conflict_reported",
        "append_slow",
        "killed_before_append",
        "killed_after_append",
        "request_lost",
        "reply_lost",
        "ack_dropped",
        "redeliver",
        "stale_read",
        "clock_skew",
        "kill",
        "pause",
        "cut",
        "outage",
    ];
    println!("{bites:?}");
    for fault in all {
        assert!(bites.get(fault).is_some_and(|count: &u64| *count > 0), "{fault}: {bites:?}");
    }
}

#[test]
fn a_dead_node_s_calls_never_return_and_others_go_on() {
    simulate(async {
        let world = World::new(1);
        let running = node(&world, "a").await;
        let client = world.connect("client");
        assert_eq!(count(&client, "x", None).await, 1);
        let own = running_bus(&world).await;
        world.kill("other");
        let history = own.history("tally", "x", 0);
        assert!(timeout(Duration::from_secs(86_400), history).await.is_err(), "it came back");
        assert_eq!(count(&client, "x", None).await, 2);
        world.kill("a");
        assert!(!client.is_served("tally", Duration::from_secs(1)).await);
        drop(running);
    });
}

async fn running_bus(world: &World) -> Bus {
    let bus = world.connect("other");
    assert_eq!(bus.history("tally", "x", 0).await.expect("alive").len(), 1);
    bus
}

#[test]
fn a_paused_node_goes_on_with_what_it_had_begun() {
    simulate(async {
        let world = World::new(1);
        let bus = world.connect("a");
        let _running = node(&world, "b").await;
        world.pause("a", Duration::from_secs(60));
        let began = Instant::now();
        assert_eq!(bus.history("tally", "x", 0).await.expect("goes on").len(), 0);
        assert_eq!(began.elapsed(), Duration::from_secs(60));
    });
}
