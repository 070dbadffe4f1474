//! A follower's place in a stream: what it was given, what it has acknowledged, and which of
//! its clients is given more.
//!
//! One client has the source at a time. Whoever gets it begins right behind the last message
//! below which all is acknowledged, so that no actor's later commit comes before an earlier one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
};

use tokio::{sync::Notify, time::Instant};

use super::{faults::Dice, link::Link, stream::Kept};
use crate::{
    limits::{ACK_WAIT, FOLLOWER_PENDING_MAX},
    wire::subject,
};

/// A client that asks for the source.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) link: u64,
    /// Gone when nobody waits any more: perhaps the answer to its coming was lost.
    pub(super) wake: Weak<Notify>,
}

/// Who has the source. A client that is gone without a word keeps it for a while.
#[derive(Debug)]
struct Claim {
    link: u64,
    client: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Consumer {
    filter: Option<Arc<str>>,
    /// The next sequence to look at.
    cursor: u64,
    /// What was delivered and not acknowledged, and until when it is not delivered again.
    pending: BTreeMap<u64, Instant>,
    /// What of it is to be delivered again now.
    again: BTreeSet<u64>,
    clients: BTreeMap<u64, Client>,
    claim: Option<Claim>,
    /// Whether somebody looks after what is not acknowledged in time.
    pub(super) is_watched: bool,
}

impl Consumer {
    pub(super) fn new(filter: Option<Arc<str>>) -> Self {
        Self {
            filter,
            cursor: 1,
            pending: BTreeMap::new(),
            again: BTreeSet::new(),
            clients: BTreeMap::new(),
            claim: None,
            is_watched: false,
        }
    }

    pub(super) fn join(&mut self, number: u64, client: Client) {
        self.clients.retain(|_, client| client.wake.strong_count() > 0);
        if client.wake.strong_count() == 0 {
            // It came late, and whoever sent it has given up.
            return;
        }
        let link = client.link;
        self.clients.insert(number, client);
        if self.claim.as_ref().is_some_and(|claim| claim.link == link) {
            self.give(link, number);
        }
    }

    /// The client is gone. Says whether it had the source.
    pub(super) fn leave(&mut self, number: u64) -> bool {
        self.clients.remove(&number);
        match &mut self.claim {
            Some(claim) if claim.client == Some(number) => {
                claim.client = None;
                true
            }
            _ => false,
        }
    }

    pub(super) fn forget_link(&mut self, link: u64) {
        self.clients.retain(|_, client| client.link != link);
        if let Some(claim) = &mut self.claim
            && claim.link == link
        {
            claim.client = None;
        }
    }

    /// Lets another have the source, if the connection has it.
    pub(super) fn end_claim_of(&mut self, link: u64) {
        if self.claim.as_ref().is_some_and(|claim| claim.link == link) {
            self.claim = None;
        }
    }

    /// The same, if no client of the connection has come back for it.
    pub(super) fn end_abandoned_claim(&mut self, link: u64) {
        if self.claim.as_ref().is_some_and(|claim| claim.link == link && claim.client.is_none()) {
            self.claim = None;
        }
    }

    /// Gives the source to one of those who wait, if nobody has it.
    pub(super) fn elect(&mut self, links: &BTreeMap<u64, Arc<Link>>, dice: &mut Dice) {
        if self.claim.is_some() {
            return;
        }
        let able = |client: &Client| {
            client.wake.strong_count() > 0
                && links.get(&client.link).is_some_and(|link| !link.condition().is_stuck())
        };
        let waiting: Vec<(u64, u64)> = self
            .clients
            .iter()
            .filter(|(_, client)| able(client))
            .map(|(number, client)| (client.link, *number))
            .collect();
        let chosen = match waiting.len() {
            0 => return,
            1 => 0,
            many => usize::try_from(dice.below(many as u64)).unwrap_or(0),
        };
        let (link, number) = waiting[chosen];
        self.give(link, number);
    }

    fn give(&mut self, link: u64, client: u64) {
        self.claim = Some(Claim { link, client: Some(client) });
        self.cursor = self.floor() + 1;
        self.pending.clear();
        self.again.clear();
        self.wake();
    }

    /// Below it, all is acknowledged.
    pub(super) fn floor(&self) -> u64 {
        self.pending.first_key_value().map_or(self.cursor, |(first, _)| *first) - 1
    }

    pub(super) fn wake_for(&self, subject: &str) {
        if self.wants(subject) {
            self.wake();
        }
    }

    pub(super) fn wants(&self, subject: &str) -> bool {
        self.filter.as_deref().is_none_or(|filter| subject::matches(filter, subject))
    }

    fn wake(&self) {
        let active = self.claim.as_ref().and_then(|claim| claim.client);
        let active = active.and_then(|number| self.clients.get(&number)?.wake.upgrade());
        if let Some(wake) = active {
            wake.notify_one();
        }
    }

    /// The next message for this client, if the source is its own and there is one. Says also
    /// whether it is delivered for the first time.
    pub(super) fn take(
        &mut self,
        client: u64,
        messages: &BTreeMap<u64, Kept>,
    ) -> Option<(u64, bool)> {
        if self.claim.as_ref().and_then(|claim| claim.client) != Some(client) {
            return None;
        }
        let deadline = Instant::now() + ACK_WAIT;
        if let Some(sequence) = self.again.pop_first() {
            self.pending.insert(sequence, deadline);
            return Some((sequence, false));
        }
        if self.pending.len() >= usize::try_from(FOLLOWER_PENDING_MAX).unwrap_or(usize::MAX) {
            return None;
        }
        let wanted = messages.range(self.cursor..).find(|(_, kept)| self.wants(&kept.subject));
        let Some((&sequence, _)) = wanted else {
            let end = messages.last_key_value().map_or(0, |(last, _)| *last);
            self.cursor = self.cursor.max(end + 1);
            return None;
        };
        self.cursor = sequence + 1;
        self.pending.insert(sequence, deadline);
        Some((sequence, true))
    }

    pub(super) fn deliver_again(&mut self, sequence: u64) {
        if self.pending.contains_key(&sequence) {
            self.again.insert(sequence);
            self.wake();
        }
    }

    /// Delivers again what was not acknowledged in time. Says when to look next.
    pub(super) fn look(&mut self, now: Instant) -> Option<Instant> {
        let late = self.pending.iter().filter(|(_, deadline)| **deadline <= now);
        let late: Vec<u64> = late.map(|(sequence, _)| *sequence).collect();
        for sequence in late {
            self.pending.insert(sequence, now + ACK_WAIT);
            self.deliver_again(sequence);
        }
        let next = self.pending.values().min().copied();
        self.is_watched = next.is_some();
        next
    }

    pub(super) fn acknowledge(&mut self, sequence: u64) {
        self.forget(sequence);
        // It may have been held up by how much it held.
        self.wake();
    }

    pub(super) fn forget(&mut self, sequence: u64) {
        self.pending.remove(&sequence);
        self.again.remove(&sequence);
    }

    pub(super) fn renew(&mut self, sequence: u64) {
        if let Some(deadline) = self.pending.get_mut(&sequence) {
            *deadline = Instant::now() + ACK_WAIT;
        }
    }

    /// Whether everything there is has been acknowledged.
    pub(super) fn is_done(&self, messages: &BTreeMap<u64, Kept>) -> bool {
        let mut left = messages.range(self.cursor..);
        self.pending.is_empty() && !left.any(|(_, kept)| self.wants(&kept.subject))
    }
}
