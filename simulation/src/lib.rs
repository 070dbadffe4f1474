//! The whole shop in a world in memory, under every fault, from a seed.
//!
//! [`run`] plays one seed: three nodes host everything, clients shop, messages are lost, nodes
//! die, sleep and are cut off at seeded moments; then all is healed, and an auditor of its own
//! holds the raw streams against what clients were told. The same seed plays the same story.

mod audit;
mod books;
mod clients;
mod dice;
mod fates;
mod nemesis;
mod nodes;
mod outside;

use std::{collections::BTreeMap, time::Duration};

use actors::{Outbox, inventory::ItemCard, orders::OrderCard};
use bus::{Bus, Faults, Plant, World};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    audit::{Commit, KINDS, Story},
    books::check_books,
    clients::{Client, History, ITEMS},
    dice::Dice,
    nemesis::trouble,
    nodes::Nodes,
    outside::Ledger,
};

const NODES: usize = 3;
const CLIENTS: u64 = 4;
const ORDERS: u32 = 5;

/// How long the shop may take to settle once nothing goes wrong any more, in virtual time.
const SETTLED_WITHIN: Duration = Duration::from_secs(7_200);

/// How long rows may lag behind once nothing goes wrong: folding that failed again and again
/// pauses for up to half a minute.
const ROWS_WITHIN: Duration = Duration::from_secs(120);

/// How long nobody is there once all is settled: longer than any timer of the shop is set for.
const OVERNIGHT: Duration = Duration::from_secs(25 * 3_600);

/// Of how many thousand seeds the card gateway is away at first, for longer than orders wait.
const GATEWAY_AWAY: u64 = 40;

/// What one seed came to.
#[derive(Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// What must never happen and did; empty if all is well.
    pub violations: Vec<String>,
    /// Commits stored.
    pub commits: usize,
    /// Orders confirmed, and orders cancelled.
    pub ends: (usize, usize),
    /// Payments that came too late, and were given back.
    pub refunded: usize,
    /// Nodes that died and were replaced.
    pub replaced: u64,
    /// Asks that had to be sent again by their clients.
    pub asked_again: u64,
    /// How often each fault bit.
    pub bites: BTreeMap<&'static str, u64>,
    /// A digest of the whole history: the same seed has the same.
    pub digest: u64,
}

/// Plays one seed, with a planted bug or none.
///
/// # Panics
/// If a runtime cannot be made.
#[must_use]
pub fn run(seed: u64, plant: Option<Plant>) -> Report {
    #[cfg(feature = "planted-bugs")]
    Plant::plant(plant);
    #[cfg(not(feature = "planted-bugs"))]
    assert!(plant.is_none(), "this build has no planted bugs");
    runtime(seed).block_on(play(seed))
}

fn runtime(seed: u64) -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    // Whom a channel wakes first is chance to tokio; see `.cargo/config.toml`.
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_be_bytes()));
    #[cfg(not(tokio_unstable))]
    compile_error!(
        "a seed repeats only with `--cfg tokio_unstable`: RUSTFLAGS hides .cargo/config.toml"
    );
    let built = builder.enable_time().start_paused(true).build();
    built.expect("a runtime without I/O needs nothing")
}

async fn play(seed: u64) -> Report {
    let world = World::new(seed);
    let is_away = Dice::new(seed, "gateway").chance(GATEWAY_AWAY);
    let (ledger, outbox) = (Ledger::new(is_away), Outbox::default());
    let mut nodes = Nodes::start(&world, NODES, ledger.clone(), outbox.clone()).await;
    let mut opener = client(&world, seed, "opener");
    opener.stock_the_shelves().await;
    let mut history = opener.into_history();

    world.faults(faults(&mut Dice::new(seed, "faults")));
    let mut shopping = JoinSet::new();
    for number in 0..CLIENTS {
        let mut client = client(&world, seed, &format!("client-{number}"));
        shopping.spawn(async move {
            client.shop(ORDERS).await;
            client.into_history()
        });
    }
    trouble(&world, &mut nodes, Dice::new(seed, "nemesis")).await;
    world.heal();
    nodes.replace_the_dead(&world).await;

    let mut late = Vec::new();
    let all_shopped = tokio::time::timeout(SETTLED_WITHIN, async {
        while let Some(done) = shopping.join_next().await {
            match done {
                Ok(one) => history.join(one),
                Err(error) => late.push(format!("a client failed: {error}")),
            }
        }
    });
    if all_shopped.await.is_err() {
        late.push("a client was never answered".to_owned());
    }
    let mut story = settle(&world, &history).await;
    story.found.extend(late);
    story.check(&history, &ledger.read(), &outbox);
    let auditor = world.connect("auditor");
    check_rows(&auditor, &mut story, &history).await;
    check_books(&auditor, &mut story).await;
    if story.found.is_empty() {
        // What timers do then finds all settled, and must leave it so.
        nodes.leave_alone(&world, OVERNIGHT).await;
        story = settle(&world, &history).await;
        story.check(&history, &ledger.read(), &outbox);
    }
    let dead = world.dead_letters();
    if dead > 0 {
        story.found.push(format!("{dead} dead letters, though every target came back"));
    }
    let report = Report {
        seed,
        commits: story.total(),
        ends: story.ends(),
        refunded: story.refunded(),
        replaced: nodes.replaced,
        asked_again: history.asked_again,
        bites: world.bites(),
        digest: story.digest(),
        violations: std::mem::take(&mut story.found),
    };
    nodes.stop_all().await;
    report
}

fn client(world: &World, seed: u64, name: &str) -> Client {
    Client::new(name.to_owned(), world.connect(name), Dice::new(seed, name))
}

/// Every seed has its own mixture: some faults often, some never.
fn faults(dice: &mut Dice) -> Faults {
    let mut often = |most: u64| {
        if dice.chance(400) { 0 } else { u32::try_from(dice.below(most)).unwrap_or(0) }
    };
    Faults {
        ack_lost: often(60),
        append_lost: often(40),
        append_late: often(40),
        append_slow: often(30),
        conflict_reported: often(40),
        request_lost: often(40),
        reply_lost: often(60),
        ack_dropped: often(100),
        redeliver: often(100),
        stale_read: often(200),
        kill_at_append: often(15),
        max_delay: Duration::from_millis(u64::from(often(60)) + 1),
        clock_skew_max: Duration::from_millis(u64::from(often(2_000))),
    }
}

/// Waits until nothing is under way any more.
async fn settle(world: &World, history: &History) -> Story {
    let mut waited = Duration::ZERO;
    let mut step = Duration::from_secs(5);
    loop {
        let mut story = read(world);
        if story.is_settled(history) && world.is_settled(world.now()) {
            return story;
        }
        if waited >= SETTLED_WITHIN {
            story.found.push("the shop never settled".to_owned());
            return story;
        }
        sleep(step).await;
        waited += step;
        step = (step * 2).min(Duration::from_secs(120));
    }
}

/// The raw streams, decoded by nothing of the runtime's.
fn read(world: &World) -> Story {
    let mut story = Story::default();
    for kind in KINDS {
        let commits = world.commits(kind).into_iter().map(|(sequence, id, bytes)| Commit {
            sequence,
            id: id.into(),
            body: rmp_serde::from_slice(&bytes).unwrap_or_default(),
        });
        story.commits.insert(kind, commits.collect());
    }
    story
}

/// What is listed must be what happened, whichever node is asked.
async fn check_rows(bus: &Bus, story: &mut Story, history: &History) {
    let (items, orders) = (story.position("item"), story.position("order"));
    for _ in 0..3 * NODES {
        for (sku, ..) in ITEMS {
            match bus.rows::<ItemCard>().get(sku).after(&items).timeout(ROWS_WITHIN).await {
                Ok(Some(row)) => {
                    let piles =
                        [row.received, row.available, row.held, row.shipped, row.written_off];
                    story.check_item_row(sku, piles);
                }
                Ok(None) => story.found.push(format!("{sku} has no row")),
                Err(error) => story.found.push(format!("the row of {sku}: {error}")),
            }
        }
        if !story.found.is_empty() {
            return;
        }
    }
    for order in &history.placed {
        match bus.rows::<OrderCard>().get(order.as_str()).after(&orders).timeout(ROWS_WITHIN).await
        {
            Ok(Some(row)) => {
                let status = serde_json::to_value(row.status).unwrap_or_default();
                story.check_order_row(order.as_str(), status.as_str().unwrap_or_default());
            }
            Ok(None) => story.found.push(format!("order/{order} has no row")),
            Err(error) => story.found.push(format!("the row of order/{order}: {error}")),
        }
    }
}
