//! The auditor: reads the raw streams with a decoder of its own and holds them against what
//! clients were told and what the world outside remembers.

use std::collections::{BTreeMap, BTreeSet};

use actors::Outbox;
use bus::Position;
use serde_json::Value;

use crate::{
    clients::{History, Outcome},
    fates::Fate,
    outside::Account,
};

/// Kinds in the order in which the shop works.
pub(crate) const KINDS: [&str; 7] = ["email", "user", "item", "cart", "order", "payment", "notice"];

/// A commit as it is stored.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) sequence: u64,
    pub(crate) id: String,
    pub(crate) body: Value,
}

/// Everything that was ever committed, by kind, and what else there is to compare.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) commits: BTreeMap<&'static str, Vec<Commit>>,
    pub(crate) found: Vec<String>,
}

impl Commit {
    fn events(&self) -> impl Iterator<Item = (&str, &Value)> {
        let events = self.body["events"].as_array().into_iter().flatten();
        events.map(|event| match event {
            Value::String(name) => (name.as_str(), &Value::Null),
            Value::Object(map) => map.iter().next().map_or(("?", event), |(n, f)| (n.as_str(), f)),
            _ => ("?", event),
        })
    }
}

impl Story {
    pub(crate) fn events(&self, kind: &str) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.commits[kind].iter().flat_map(|commit| {
            commit.events().map(|(name, fields)| (commit.id.as_str(), name, fields))
        })
    }

    /// How an order ended: `confirmed`, `cancelled`, or both if something is wrong.
    fn outcomes(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut outcomes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (id, name, _) in self.events("order") {
            match name {
                "placed" => drop(outcomes.entry(id).or_default()),
                "confirmed" | "cancelled" => outcomes.entry(id).or_default().push(name),
                _ => {}
            }
        }
        outcomes
    }

    fn ended(&self, how: &str) -> BTreeSet<&str> {
        self.events("order").filter(|(_, name, _)| *name == how).map(|(id, ..)| id).collect()
    }

    fn registered(&self) -> BTreeSet<&str> {
        let users = self.events("user").filter(|(_, name, _)| *name == "registered");
        users.map(|(id, ..)| id).collect()
    }

    /// Whether nothing is under way any more: every order ended, only confirmed ones hold
    /// stock, every letter left.
    pub(crate) fn is_settled(&self, history: &History) -> bool {
        let outcomes = self.outcomes();
        let all_ended = outcomes.values().all(|ends| !ends.is_empty());
        let stock = self.stock();
        let holds = self.held() == self.wanted();
        let moved = |of: fn(&Fate) -> u64| self.fates().values().map(of).sum::<u64>();
        let (left, back) = (
            moved(|fate| fate.shipped.values().sum()),
            moved(|fate| fate.taken_back.values().sum()),
        );
        let have_left: u64 = stock.values().map(|s| s.shipped.values().sum::<u64>()).sum();
        let are_back: u64 = stock.values().map(|s| s.came_back).sum();
        let all_moved = have_left + are_back == left && are_back == back;
        let letters = |event| self.events("notice").filter(|(_, name, _)| *name == event).count();
        let fates = self.fates();
        let owed: usize = fates.values().map(|fate| fate.letters.len()).sum();
        let occasions = owed + self.registered().len();
        let all_told = letters("queued") >= occasions && letters("sent") == letters("queued");
        let payments = |event| self.events("payment").filter(|(_, n, _)| *n == event).count();
        let all_paid = payments("requested") == payments("captured") + payments("declined")
            && payments("refund_due") == self.refunded();
        let all_taken = stock.values().all(|s| s.held.keys().all(|order| s.taken.contains(order)));
        let is_all = outcomes.len() >= history.placed.len() && self.unconfirmed().is_empty();
        all_ended && holds && all_moved && all_told && all_paid && all_taken && is_all
    }

    /// Who holds each address, and whether that is confirmed.
    fn holders(&self) -> BTreeMap<&str, (&str, bool)> {
        let mut holders = BTreeMap::new();
        for (email, name, fields) in self.events("email") {
            let user = fields["user"].as_str().unwrap_or_default();
            match name {
                "claimed" | "confirmed" => drop(holders.insert(email, (user, name == "confirmed"))),
                "released" => drop(holders.remove(email)),
                _ => {}
            }
        }
        holders
    }

    /// Registered users whose address is not, or not surely, their own.
    fn unconfirmed(&self) -> Vec<String> {
        let holders = self.holders();
        let registered = self.events("user").filter(|(_, name, _)| *name == "registered");
        let lacking = registered.filter(|(user, _, fields)| {
            let email = fields["email"].as_str().unwrap_or_default();
            holders.get(email) != Some(&(*user, true))
        });
        lacking.map(|(user, ..)| user.to_owned()).collect()
    }

    /// Every registered user has an address for good, and nobody lost one to another.
    fn check_addresses(&mut self) {
        let unconfirmed = self.unconfirmed();
        if !unconfirmed.is_empty() {
            self.wrong(format!("registered without an address of their own: {unconfirmed:?}"));
        }
        let mut confirmed: BTreeMap<&str, &str> = BTreeMap::new();
        let mut found = Vec::new();
        for (email, name, fields) in self.events("email") {
            let user = fields["user"].as_str().unwrap_or_default();
            let holder = confirmed.get(email).copied();
            if holder.is_some_and(|holder| holder != user) {
                found.push(format!("email/{email} is confirmed, and then {name} for another"));
            }
            match name {
                "confirmed" => drop(confirmed.insert(email, user)),
                "released" => drop(confirmed.remove(email)),
                _ => {}
            }
        }
        self.found.extend(found);
    }

    fn wrong(&mut self, text: String) {
        self.found.push(text);
    }

    pub(crate) fn check(
        &mut self,
        history: &History,
        accounts: &BTreeMap<String, Account>,
        outbox: &Outbox,
    ) {
        self.found.extend(history.wrong.iter().cloned());
        self.check_what_clients_were_told(history);
        self.check_keys();
        self.check_addresses();
        self.check_orders(history);
        self.check_stock();
        self.check_refunds();
        self.check_money(accounts);
        self.check_letters(outbox);
    }

    /// What was acknowledged is there, under its key; what was refused left nothing.
    fn check_what_clients_were_told(&mut self, history: &History) {
        let mut made: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
        for (kind, commits) in &self.commits {
            for commit in commits {
                let key = commit.body["key"].as_str().unwrap_or_default();
                made.entry((kind, &commit.id, key)).or_insert(commit.sequence);
            }
        }
        let mut found = Vec::new();
        for told in &history.told {
            let stored = made.get(&(told.kind, told.id.as_str(), told.key.as_str()));
            match (&told.outcome, stored) {
                (Outcome::Done(position), Some(at)) if *at == position.sequence => {}
                (Outcome::Stands(position), Some(at)) if *at == position.sequence => {}
                (Outcome::Refused | Outcome::Stands(_), None) => {}
                (outcome, stored) => found.push(format!(
                    "{}/{} key {}: the client was told {outcome:?}, and stored is {stored:?}",
                    told.kind, told.id, told.key
                )),
            }
        }
        self.found.extend(found);
    }

    /// No key has two effects, and no commit is stored twice.
    fn check_keys(&mut self) {
        let mut found = Vec::new();
        for (kind, commits) in &self.commits {
            let (mut keys, mut ids) = (BTreeSet::new(), BTreeSet::new());
            for commit in commits {
                let key = commit.body["key"].as_str().unwrap_or_default();
                if !keys.insert((&commit.id, key)) {
                    found.push(format!("{kind}/{}: key {key} took effect twice", commit.id));
                }
                let id = commit.body["commit"].as_str().unwrap_or_default();
                if !ids.insert(id) {
                    found.push(format!("{kind}/{}: commit {id} is stored twice", commit.id));
                }
            }
        }
        self.found.extend(found);
    }

    /// Every acknowledged order is there, and each that is there ended once.
    fn check_orders(&mut self, history: &History) {
        let outcomes = self.outcomes();
        let mut found = Vec::new();
        for (id, ends) in &outcomes {
            if ends.len() != 1 {
                found.push(format!("order/{id} ended as {ends:?}"));
            }
        }
        for order in &history.placed {
            if !outcomes.contains_key(order.as_str()) {
                found.push(format!("order/{order} was acknowledged and is not there"));
            }
        }
        self.found.extend(found);
    }

    /// Received = available + held + shipped + written off, at every step; held is what confirmed orders took.
    fn check_stock(&mut self) {
        let (stock, fates) = (self.stock(), self.fates());
        let mut found: Vec<String> = stock.values().flat_map(|s| s.wrong.clone()).collect();
        found.extend(fates.values().flat_map(|fate| fate.wrong.clone()));
        let (held, wanted) = (self.held(), self.wanted());
        if held != wanted {
            found.push(format!("held is {held:?}, and paid orders wait for {wanted:?}"));
        }
        for (sku, stock) in &stock {
            for order in &stock.given_back {
                if !fates.get(order).is_some_and(|fate| fate.is_revoked) {
                    found.push(format!("item/{sku} is released though {order} took it"));
                }
            }
        }
        self.found.extend(found);
    }

    /// What items hold, by item and order.
    fn held(&self) -> BTreeMap<(String, String), u64> {
        let stock = self.stock();
        let held = stock.iter().flat_map(|(sku, stock)| {
            stock.held.iter().map(|(order, n)| ((sku.clone(), order.clone()), *n))
        });
        held.collect()
    }

    /// What they must hold: of paid orders, whatever has not left the house.
    fn wanted(&self) -> BTreeMap<(String, String), u64> {
        let fates = self.fates();
        let wanted = fates.iter().flat_map(|(order, fate)| {
            fate.held().into_iter().map(|(sku, n)| ((sku, order.clone()), n))
        });
        wanted.collect()
    }

    /// The stock of every item, folded from its raw events.
    pub(crate) fn stock(&self) -> BTreeMap<String, Stock> {
        let mut stock: BTreeMap<String, Stock> = BTreeMap::new();
        for (sku, name, fields) in self.events("item") {
            stock.entry(sku.to_owned()).or_default().apply(sku, name, fields);
        }
        stock
    }

    /// One letter for each step of an order that its buyer waits for, and for each user's address,
    /// which left under one name.
    fn check_letters(&mut self, outbox: &Outbox) {
        let mut letters: BTreeMap<(String, String, u64), u32> = BTreeMap::new();
        let mut notices = BTreeSet::new();
        for (id, name, fields) in self.events("notice") {
            if name == "queued"
                && let Some((letter, facts)) =
                    fields["letter"].as_object().and_then(|m| m.iter().next())
            {
                let about = facts["order"].as_str().or(fields["user"].as_str());
                let about = about.unwrap_or_default().to_owned();
                let number = facts["number"].as_u64().unwrap_or_default();
                *letters.entry((about, letter.clone(), number)).or_default() += 1;
                notices.insert(id.to_owned());
            }
        }
        let mut found = Vec::new();
        for ((about, letter, _), count) in &letters {
            if *count != 1 {
                found.push(format!("{about}: the letter {letter} was queued {count} times"));
            }
        }
        for user in self.registered() {
            let is_told = |(about, letter, _): &&(String, String, u64)| {
                about == user && letter == "verify_address"
            };
            if !letters.keys().any(|key| is_told(&key)) {
                found.push(format!("user/{user} has registered, and has no link to confirm it"));
            }
        }
        for (order, fate) in self.fates() {
            for (letter, number) in fate.letters {
                if !letters.contains_key(&(order.clone(), letter.clone(), number)) {
                    found.push(format!("order/{order}: nobody was told of {letter} {number}"));
                }
            }
        }
        let mailed = outbox.mailed();
        if mailed != notices {
            found.push(format!("mailed are {mailed:?}, and queued were {notices:?}"));
        }
        self.found.extend(found);
    }

    /// A row as it is must be what the log says.
    pub(crate) fn check_item_row(&mut self, sku: &str, row: [u64; 5]) {
        let folded = self.stock().get(sku).map(Stock::piles).unwrap_or_default();
        if row != folded {
            self.wrong(format!("the row of {sku} says {row:?}, and the journal {folded:?}"));
        }
    }

    pub(crate) fn check_order_row(&mut self, order: &str, status: &str) {
        let mut ends = self.outcomes().get(order).cloned().unwrap_or_default();
        if self.fates().get(order).is_some_and(|fate| fate.is_revoked) {
            ends = vec!["revoked"];
        }
        if ends != [status] {
            self.wrong(format!("the row of order/{order} says {status}, and the journal {ends:?}"));
        }
    }

    /// FNV-1a of every commit, in its order.
    pub(crate) fn digest(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for (kind, commits) in &self.commits {
            for commit in commits {
                let text = format!("{kind}/{}@{} {}", commit.id, commit.sequence, commit.body);
                for byte in text.bytes() {
                    hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
                }
            }
        }
        hash
    }

    /// Where the last commit of `kind` is.
    pub(crate) fn position(&self, kind: &str) -> Position {
        let sequence = self.commits[kind].last().map_or(0, |commit| commit.sequence);
        Position { stream: format!("EVT_{kind}_0").into(), sequence }
    }

    pub(crate) fn total(&self) -> usize {
        self.commits.values().map(Vec::len).sum()
    }

    pub(crate) fn refunded(&self) -> usize {
        self.events("payment").filter(|(_, name, _)| *name == "refunded").count()
    }

    pub(crate) fn ends(&self) -> (usize, usize) {
        (self.ended("confirmed").len(), self.ended("cancelled").len())
    }
}

/// One item's stock, folded from its raw events.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    received: u64,
    available: u64,
    written_off: u64,
    /// What lies in each warehouse.
    lying: BTreeMap<String, u64>,
    /// The threshold, and whether it was told that fewer are available.
    low: (u64, bool),
    held: BTreeMap<String, u64>,
    /// What orders were shipped and did not send back.
    shipped: BTreeMap<String, u64>,
    /// Pieces that came back.
    came_back: u64,
    /// Orders that took their pieces, and gave them back.
    given_back: BTreeSet<String>,
    /// By order and number.
    returns: BTreeSet<(String, u64)>,
    /// The orders that what is held is sold to.
    taken: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Stock {
    /// Received, available, held, shipped, written off.
    pub(crate) fn piles(&self) -> [u64; 5] {
        let (held, shipped) = (self.held.values().sum(), self.shipped.values().sum());
        [self.received, self.available, held, shipped, self.written_off]
    }

    fn apply(&mut self, sku: &str, name: &str, fields: &Value) {
        let quantity = fields["quantity"].as_u64().unwrap_or_default();
        let order = fields["order"].as_str().unwrap_or_default().to_owned();
        match name {
            "received" => self.bring(fields, quantity),
            "adjusted" => self.adjust(sku, fields),
            "low_stock_set" => self.low.0 = fields["below"].as_u64().unwrap_or_default(),
            "stock_low" => self.note_low(sku),
            "reserved" => {
                match self.available.checked_sub(quantity) {
                    Some(left) => self.available = left,
                    None => self.wrong.push(format!("item/{sku} sold what it had not")),
                }
                if self.held.insert(order.clone(), quantity).is_some() {
                    self.wrong.push(format!("item/{sku} is held twice for {order}"));
                }
            }
            "taken" => {
                if !self.held.contains_key(&order) {
                    self.wrong.push(format!("item/{sku}: taken is what {order} did not hold"));
                }
                self.taken.insert(order);
            }
            "released" => {
                if self.taken.contains(&order) {
                    self.given_back.insert(order.clone());
                }
                if self.held.remove(&order) != Some(quantity) {
                    self.wrong.push(format!("item/{sku}: released what {order} did not hold"));
                }
                self.available += quantity;
            }
            "shipped" => {
                self.ship(sku, order, quantity);
                self.leave_the_house(sku, fields, quantity);
            }
            "taken_back" => {
                let number = fields["number"].as_u64().unwrap_or_default();
                let is_sellable = fields["sellable"].as_bool().unwrap_or_default();
                self.take_back(sku, (order, number), quantity, is_sellable);
            }
            _ => {}
        }
        let [received, available, held, shipped, written_off] = self.piles();
        if received != available + held + shipped + written_off {
            self.wrong.push(format!("item/{sku} does not add up after {name}"));
        }
        if self.lying.values().sum::<u64>() != available + held {
            self.wrong.push(format!("item/{sku} does not lie where it should after {name}"));
        }
        if available >= self.low.0 {
            self.low.1 = false;
        }
    }

    fn adjust(&mut self, sku: &str, fields: &Value) {
        let by = fields["by"].as_i64().unwrap_or_default();
        let pieces = by.unsigned_abs();
        if by > 0 {
            self.bring(fields, pieces);
            return;
        }
        match self.available.checked_sub(pieces) {
            Some(left) => self.available = left,
            None => self.wrong.push(format!("item/{sku} adjusted away what is held")),
        }
        self.written_off += pieces;
        self.leave(sku, fields["warehouse"].as_str().unwrap_or("main"), pieces);
    }

    fn note_low(&mut self, sku: &str) {
        if self.low.1 || self.available >= self.low.0 {
            self.wrong.push(format!("item/{sku}: it was told that it is low, and is not"));
        }
        self.low.1 = true;
    }

    fn leave_the_house(&mut self, sku: &str, fields: &Value, quantity: u64) {
        let Some(from) = fields["from"].as_object() else {
            return self.leave(sku, "main", quantity);
        };
        for (warehouse, part) in from {
            self.leave(sku, warehouse, part.as_u64().unwrap_or_default());
        }
    }

    fn bring(&mut self, fields: &Value, quantity: u64) {
        self.received += quantity;
        self.available += quantity;
        let warehouse = fields["warehouse"].as_str().unwrap_or("main").to_owned();
        *self.lying.entry(warehouse).or_default() += quantity;
    }

    fn leave(&mut self, sku: &str, warehouse: &str, quantity: u64) {
        let lying = self.lying.entry(warehouse.to_owned()).or_default();
        match lying.checked_sub(quantity) {
            Some(rest) => *lying = rest,
            None => self.wrong.push(format!("item/{sku}: {quantity} left {warehouse}, not there")),
        }
    }

    fn ship(&mut self, sku: &str, order: String, quantity: u64) {
        match self.held.get(&order).and_then(|held| held.checked_sub(quantity)) {
            Some(0) => drop(self.held.remove(&order)),
            Some(rest) => drop(self.held.insert(order.clone(), rest)),
            None => self.wrong.push(format!("item/{sku}: shipped what {order} did not hold")),
        }
        *self.shipped.entry(order).or_default() += quantity;
    }

    fn take_back(&mut self, sku: &str, of: (String, u64), quantity: u64, is_sellable: bool) {
        let shipped = self.shipped.entry(of.0.clone()).or_default();
        match shipped.checked_sub(quantity) {
            Some(rest) => *shipped = rest,
            None => self.wrong.push(format!("item/{sku}: {of:?} brings what was not shipped")),
        }
        self.came_back += quantity;
        *(if is_sellable { &mut self.available } else { &mut self.written_off }) += quantity;
        if is_sellable {
            *self.lying.entry("main".to_owned()).or_default() += quantity;
        }
        if !self.returns.insert(of.clone()) {
            self.wrong.push(format!("item/{sku}: {of:?} came back twice"));
        }
    }
}
