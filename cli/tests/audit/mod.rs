//! An auditor: reads the raw streams with its own decoder and checks what must always hold.
//! It knows the stored shapes and nothing of the code that writes them.
#![allow(dead_code, clippy::unwrap_used, unreachable_pub)] // Each test file uses a part of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use async_nats::jetstream::{self, consumer::pull::OrderedConfig};
use futures_util::StreamExt;
use serde_json::Value;

/// Everything that was ever committed, by kind.
#[derive(Default)]
pub struct Story {
    commits: BTreeMap<&'static str, Vec<Commit>>,
}

struct Commit {
    id: String,
    body: Value,
}

const KINDS: [&str; 7] = ["email", "user", "item", "cart", "order", "payment", "notice"];

impl Commit {
    /// Its events, as (name, fields).
    fn events(&self) -> Vec<(&str, &Value)> {
        let events = self.body["events"].as_array().unwrap().iter();
        events
            .map(|event| match event {
                Value::String(name) => (name.as_str(), &Value::Null),
                Value::Object(map) => {
                    let (name, fields) = map.iter().next().unwrap();
                    (name.as_str(), fields)
                }
                other => panic!("not an event: {other}"),
            })
            .collect()
    }
}

async fn read(nats: &str) -> Story {
    let jetstream = jetstream::new(async_nats::connect(nats).await.unwrap());
    let mut story = Story::default();
    for kind in KINDS {
        let stream = jetstream.get_stream(format!("EVT_{kind}_0")).await.unwrap();
        let last = stream.cached_info().state.last_sequence;
        let mut commits = Vec::new();
        if last > 0 {
            let consumer = stream.create_consumer(OrderedConfig::default()).await.unwrap();
            let mut messages = consumer.messages().await.unwrap();
            while let Some(message) = messages.next().await {
                let message = message.unwrap();
                let id = message.subject.rsplit('.').next().unwrap().to_owned();
                commits.push(Commit { id, body: rmp_serde::from_slice(&message.payload).unwrap() });
                if message.info().unwrap().stream_sequence == last {
                    break;
                }
            }
        }
        story.commits.insert(kind, commits);
    }
    story
}

/// Reads until every acknowledged order is settled and every letter is sent.
pub async fn wait_until_settled(
    nats: &str,
    acknowledged: &BTreeSet<String>,
    mails: impl Fn() -> Vec<String>,
) -> Story {
    let deadline = Instant::now() + Duration::from_secs(150);
    loop {
        let story = read(nats).await;
        let open: Vec<_> = acknowledged.iter().filter(|id| story.outcomes(id).is_empty()).collect();
        let (queued, sent) = (story.count("notice", "queued"), story.count("notice", "sent"));
        let is_told = queued >= acknowledged.len() && sent == queued && mails().len() >= queued;
        // What settled orders still hold is given back by a last command.
        if open.is_empty() && is_told && story.holds_are_right() {
            return story;
        }
        assert!(
            Instant::now() < deadline,
            "not settled: {} orders {open:?}, {queued} letters queued, {sent} sent, {} mails",
            open.len(),
            mails().len()
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

impl Story {
    fn events(&self, kind: &str) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.commits[kind].iter().flat_map(|commit| {
            commit.events().into_iter().map(|(name, fields)| (commit.id.as_str(), name, fields))
        })
    }

    fn count(&self, kind: &str, event: &str) -> usize {
        self.events(kind).filter(|(_, name, _)| *name == event).count()
    }

    /// How an order ended: `confirmed`, `cancelled`, or both if something is wrong.
    fn outcomes(&self, order: &str) -> Vec<&str> {
        let ends = ["confirmed", "cancelled"];
        let events =
            self.events("order").filter(|(id, name, _)| *id == order && ends.contains(name));
        events.map(|(_, name, _)| name).collect()
    }

    fn confirmed(&self) -> BTreeSet<&str> {
        let events = self.events("order").filter(|(_, name, _)| *name == "confirmed");
        events.map(|(id, _, _)| id).collect()
    }

    /// Whether only confirmed orders hold stock.
    fn holds_are_right(&self) -> bool {
        let confirmed = self.confirmed();
        self.stock().values().all(|stock| stock.held.keys().all(|o| confirmed.contains(o.as_str())))
    }

    pub fn check(&self, acknowledged: &BTreeSet<String>, mails: &[String]) {
        self.check_keys();
        self.check_orders(acknowledged);
        self.check_stock();
        self.check_money();
        self.check_letters(mails);
    }

    /// No key has two effects, and no commit is stored twice.
    fn check_keys(&self) {
        for (kind, commits) in &self.commits {
            let (mut keys, mut ids) = (BTreeSet::new(), BTreeSet::new());
            for commit in commits {
                let key = commit.body["key"].as_str().unwrap();
                assert!(keys.insert((&commit.id, key)), "{kind}/{}: {key} twice", commit.id);
                let id = commit.body["commit"].as_str().unwrap();
                assert!(ids.insert(id), "{kind}: commit {id} twice");
            }
        }
    }

    /// Every acknowledged order is there once and ended once, and there are no others.
    fn check_orders(&self, acknowledged: &BTreeSet<String>) {
        let placed: Vec<&str> = self
            .events("order")
            .filter(|(_, name, _)| *name == "placed")
            .map(|(id, _, _)| id)
            .collect();
        let unique: BTreeSet<String> = placed.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(placed.len(), unique.len(), "an order was placed twice");
        assert_eq!(&unique, acknowledged, "what was acknowledged and what is there differ");
        for id in acknowledged {
            assert_eq!(self.outcomes(id).len(), 1, "{id} ended as {:?}", self.outcomes(id));
        }
    }

    /// Received = available + held + shipped + written off, at every step; held is what confirmed orders took.
    fn check_stock(&self) {
        let mut wanted: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let confirmed = self.confirmed();
        for (id, name, fields) in self.events("order") {
            if name == "placed" && confirmed.contains(id) {
                for line in fields["lines"].as_array().unwrap() {
                    let quantity = line["quantity"].as_u64().unwrap();
                    wanted.insert((line["sku"].as_str().unwrap(), id), quantity);
                }
            }
        }
        let mut held = BTreeMap::new();
        let stock = self.stock();
        for (sku, stock) in &stock {
            for (order, quantity) in &stock.held {
                held.insert((sku.as_str(), order.as_str()), *quantity);
            }
        }
        assert_eq!(held, wanted, "what is held and what was confirmed differ");
    }

    fn stock(&self) -> BTreeMap<String, Stock> {
        let mut stock: BTreeMap<String, Stock> = BTreeMap::new();
        for (sku, name, fields) in self.events("item") {
            let item = stock.entry(sku.to_owned()).or_default();
            item.apply(name, fields);
            let held: u64 = item.held.values().sum();
            let shipped: u64 = item.shipped.values().sum();
            let piles = item.available + held + shipped + item.written_off;
            assert_eq!(item.received, piles, "{sku}");
        }
        stock
    }

    /// How many pieces of an item ever came in.
    pub fn received(&self, sku: &str) -> u64 {
        let received =
            self.events("item").filter(|(id, name, _)| *id == sku && *name == "received");
        received.map(|(_, _, fields)| fields["quantity"].as_u64().unwrap()).sum()
    }

    /// One captured payment for each confirmed order, of what its lines cost; whatever else was
    /// captured went back.
    fn check_money(&self) {
        let taken = self.events("payment").filter(|(_, name, _)| *name == "captured");
        let taken: Vec<&str> = taken.map(|(id, _, _)| id).collect();
        let unique: BTreeSet<&str> = taken.iter().copied().collect();
        assert_eq!(taken.len(), unique.len(), "a payment was taken twice");
        let refunded = self.events("payment").filter(|(_, name, _)| *name == "refunded");
        let refunded: Vec<&str> = refunded.map(|(id, _, _)| id).collect();
        let given_back: BTreeSet<&str> = refunded.iter().copied().collect();
        assert_eq!(refunded.len(), given_back.len(), "money went back twice");
        let kept: BTreeSet<&str> = unique.difference(&given_back).copied().collect();
        assert_eq!(kept, self.confirmed(), "money kept and orders confirmed differ");
        let mut cost: BTreeMap<&str, i64> = BTreeMap::new();
        for (order, name, fields) in self.events("order") {
            if name == "line_reserved" {
                let price = fields["unit_price"]["amount"].as_i64().unwrap();
                *cost.entry(order).or_default() += price * fields["quantity"].as_i64().unwrap();
            }
        }
        for (order, name, fields) in self.events("payment") {
            if name == "requested" {
                assert_eq!(fields["amount"]["amount"].as_i64().unwrap(), cost[order], "{order}");
            }
        }
    }

    /// One letter for each order's end and each user's address, sent once, in one mail.
    fn check_letters(&self, mails: &[String]) {
        let mut letters: BTreeMap<(String, String), u32> = BTreeMap::new();
        let mut notices = BTreeSet::new();
        for (id, name, fields) in self.events("notice") {
            if name == "queued" {
                let (letter, facts) = fields["letter"].as_object().unwrap().iter().next().unwrap();
                let about = facts["order"].as_str().or(fields["user"].as_str()).unwrap().to_owned();
                *letters.entry((about, letter.clone())).or_default() += 1;
                assert!(notices.insert(format!("{id}.eml")), "{id} was queued twice");
            }
        }
        assert!(letters.values().all(|count| *count == 1), "{letters:?}");
        for order in self.confirmed() {
            let letter = (order.to_owned(), "order_confirmed".to_owned());
            assert!(letters.contains_key(&letter), "{order} is confirmed without a letter");
        }
        let mails: BTreeSet<String> = mails.iter().cloned().collect();
        assert_eq!(mails, notices, "mails and notices differ");
    }

    pub fn figures(&self) -> String {
        let total: usize = self.commits.values().map(Vec::len).sum();
        let confirmed = self.confirmed().len();
        let cancelled = self.count("order", "cancelled");
        format!("{total} commits, {confirmed} orders confirmed, {cancelled} cancelled")
    }
}

/// One item's stock, folded from its raw events.
#[derive(Default)]
struct Stock {
    received: u64,
    available: u64,
    written_off: u64,
    held: BTreeMap<String, u64>,
    /// What orders were shipped and did not send back.
    shipped: BTreeMap<String, u64>,
    /// By order and number.
    returns: BTreeSet<(String, u64)>,
}

impl Stock {
    fn apply(&mut self, name: &str, fields: &Value) {
        let quantity = fields["quantity"].as_u64().unwrap_or_default();
        let order = fields["order"].as_str().unwrap_or_default().to_owned();
        let take = |from: &mut u64| *from = from.checked_sub(quantity).expect("never below zero");
        match name {
            "received" => {
                self.received += quantity;
                self.available += quantity;
            }
            "adjusted" => match fields["by"].as_i64().expect("a change") {
                by @ 1.. => {
                    self.received += by.unsigned_abs();
                    self.available += by.unsigned_abs();
                }
                by => {
                    let left = self.available.checked_sub(by.unsigned_abs());
                    self.available = left.expect("never below zero");
                    self.written_off += by.unsigned_abs();
                }
            },
            "reserved" => {
                take(&mut self.available);
                assert!(self.held.insert(order, quantity).is_none(), "held twice");
            }
            "released" => {
                assert_eq!(self.held.remove(&order), Some(quantity), "released what is not held");
                self.available += quantity;
            }
            "shipped" => {
                let held = self.held.remove(&order).expect("shipped what is not held");
                let rest = held.checked_sub(quantity).expect("no more than is held");
                if rest > 0 {
                    self.held.insert(order.clone(), rest);
                }
                *self.shipped.entry(order).or_default() += quantity;
            }
            "taken_back" => {
                take(self.shipped.get_mut(&order).expect("only what was shipped comes back"));
                let is_sellable = fields["sellable"].as_bool().unwrap();
                *(if is_sellable { &mut self.available } else { &mut self.written_off }) +=
                    quantity;
                let number = fields["number"].as_u64().unwrap();
                assert!(self.returns.insert((order, number)), "came back twice");
            }
            "created" | "lacked" | "taken" | "low_stock_set" | "stock_low" => {}
            other => panic!("an event the auditor does not know: {other}"),
        }
    }
}
