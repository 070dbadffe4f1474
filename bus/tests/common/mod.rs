//! What the tests against a real server share: a till, and a node that hosts it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // Each test file uses a part of it.

pub mod filling;

use std::{path::Path, time::Duration};

use bus::{
    Actor, Bus, Connect, Context, Fold, Handle, Host, Id, IndexEntry, Projection, Recorded,
    Running, Then,
};
use nats_server::TestServer;
use serde::{Deserialize, Serialize};

/// A till holds an amount; what is taken out may not exceed it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Till {
    pub amount: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TillEvent {
    #[serde(rename = "put_in")]
    PutIn { amount: u64 },
    #[serde(rename = "taken_out")]
    TakenOut { amount: u64, to: Option<Id<Till>> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TillError {
    #[error("only {amount} is in the till")]
    TooLittle { amount: u64 },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutIn {
    pub amount: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeOut {
    pub amount: u64,
    #[serde(default)]
    pub to: Option<Id<Till>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Break {}

impl Actor for Till {
    const KIND: &'static str = "till";
    type Event = TillEvent;
    type Error = TillError;
    type Commands = (PutIn, TakeOut, Count, Break);

    fn apply(&mut self, event: &TillEvent) {
        match event {
            TillEvent::PutIn { amount } => self.amount += amount,
            TillEvent::TakenOut { amount, .. } => self.amount -= amount,
        }
    }
}

impl Handle<PutIn> for Till {
    const NAME: &'static str = "put_in";
    type Reply = u64;

    fn handle(&self, PutIn { amount }: PutIn, ctx: &mut Context<Self>) -> Result<u64, TillError> {
        ctx.emit(TillEvent::PutIn { amount });
        Ok(self.amount + amount)
    }
}

impl Handle<TakeOut> for Till {
    const NAME: &'static str = "take_out";
    type Reply = u64;

    fn handle(&self, command: TakeOut, ctx: &mut Context<Self>) -> Result<u64, TillError> {
        let TakeOut { amount, to } = command;
        let left = self.amount.checked_sub(amount);
        let left = left.ok_or(TillError::TooLittle { amount: self.amount })?;
        ctx.emit(TillEvent::TakenOut { amount, to });
        Ok(left)
    }
}

impl Handle<Count> for Till {
    const NAME: &'static str = "count";
    type Reply = u64;

    fn handle(&self, _: Count, _: &mut Context<Self>) -> Result<u64, TillError> {
        Ok(self.amount)
    }
}

impl Handle<Break> for Till {
    const NAME: &'static str = "break";
    type Reply = ();

    fn handle(&self, _: Break, _: &mut Context<Self>) -> Result<(), TillError> {
        panic!("broken on purpose")
    }
}

/// Carries what is taken out of one till to another.
pub fn carry(event: &Recorded<Till>, then: &mut Then) {
    if let TillEvent::TakenOut { amount, to: Some(to) } = &event.event {
        then.ask(to, &PutIn { amount: *amount });
    }
}

/// A till as people see it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TillCard {
    pub id: String,
    pub amount: u64,
    pub events: u64,
    pub opened: bus::Timestamp,
}

impl Projection for TillCard {
    const NAME: &'static str = "tills";

    fn index(&self) -> Vec<IndexEntry> {
        let size = if self.amount >= 100 { "large" } else { "little" };
        let group = self.id.split('-').next().unwrap_or_default();
        vec![IndexEntry::new("group", group).ranked_by(self.opened), IndexEntry::new("size", size)]
    }
}

impl Fold<Till> for TillCard {
    fn fold(&mut self, _: &str, event: &Recorded<Till>) {
        if self.events == 0 {
            self.id = event.id.to_string();
            self.opened = event.commit.at;
        }
        self.events += 1;
        match &event.event {
            TillEvent::PutIn { amount } => self.amount += amount,
            TillEvent::TakenOut { amount, .. } => self.amount -= amount,
        }
    }
}

pub async fn connect(server: &TestServer) -> Bus {
    let options =
        Connect { monitor_urls: vec![server.monitor_url.clone()], ..Connect::to(&server.url) };
    Bus::connect(&options).await.expect("the server is fit")
}

pub async fn host(bus: &Bus) -> Running {
    Host::new(bus.clone()).actor::<Till>().start().await.expect("starts")
}

pub async fn host_with_rows(bus: &Bus, rows: &Path) -> Running {
    let host = Host::new(bus.clone()).rows_in(rows).actor::<Till>();
    host.projection::<TillCard, Till>().start().await.expect("starts")
}

/// An id nobody used before, also on a server that others use.
pub fn fresh(prefix: &str) -> Id<Till> {
    Id::parse(&format!("{prefix}-{}", uuid::Uuid::new_v4().simple())).expect("a token")
}

/// Tries until `check` gives something, and fails the test if it never does.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut check: impl FnMut() -> F,
) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
