//! One connection to the world: whether its node is alive, paused or cut off.
//!
//! A dead node's calls never return: for whoever waits for them the node stopped at that very
//! instruction.

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// The state of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) is_dead: bool,
    pub(super) paused_until: Option<Instant>,
    pub(super) cut_until: Option<Instant>,
}

impl Condition {
    /// Whether it can neither send nor take anything now.
    pub(super) fn is_stuck(&self) -> bool {
        self.is_dead || self.paused_until.is_some() || self.cut_until.is_some()
    }
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) name: Box<str>,
    condition: watch::Sender<Condition>,
    /// How many connections were made so far, this one's predecessors included.
    pub(super) connections: watch::Sender<u64>,
}

impl Link {
    pub(super) fn new(number: u64, name: &str) -> Self {
        let condition = watch::Sender::new(Condition::default());
        Self { number, name: name.into(), condition, connections: watch::Sender::new(1) }
    }

    pub(super) fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Condition)) {
        self.condition.send_modify(change);
    }

    /// Which of its successive connections it is on.
    pub(super) fn count(&self) -> u64 {
        *self.connections.borrow()
    }

    /// Waits until the node runs: for ever, if it is dead.
    pub(super) async fn running(&self) {
        if !self.condition().is_stuck() {
            return;
        }
        let mut condition = self.condition.subscribe();
        let runs = condition.wait_for(|now| !now.is_dead && now.paused_until.is_none());
        if runs.await.is_err() {
            unreachable!("the sender is our own field");
        }
    }

    /// Waits until the node runs and is connected. Says whether that was before `deadline`.
    pub(super) async fn connected(&self, deadline: Instant) -> bool {
        if !self.condition().is_stuck() {
            return true;
        }
        let mut condition = self.condition.subscribe();
        let connected = condition.wait_for(|now| !now.is_stuck());
        let in_time = timeout_at(deadline, connected).await.is_ok();
        self.running().await;
        in_time
    }

    /// Resolves when the connection has been replaced by another one than `count`.
    pub(super) async fn replaced(&self, count: u64) {
        let mut connections = self.connections.subscribe();
        if connections.wait_for(|now| *now != count).await.is_err() {
            unreachable!("the sender is our own field");
        }
    }
}
