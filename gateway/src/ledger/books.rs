//! All that the gateway knows, in memory: what the lines of its file add up to.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::{
    line::{Call, Line},
    outbox::Outbox,
};
use crate::{
    charge::{Charge, State, Terms},
    limits::UNANSWERED_MAX,
};

/// All that the gateway knows.
#[derive(Debug)]
pub(crate) struct Books {
    charges: HashMap<String, Charge>,
    charge_of_key: HashMap<String, String>,
    /// Ids of charges, the oldest first.
    by_age: VecDeque<String>,
    /// When which charge is decided.
    pending: BTreeSet<(u64, String)>,
    unanswered: HashMap<String, Terms>,
    /// Keys, the oldest first; those that were answered since, too.
    unanswered_by_age: VecDeque<String>,
    pub(crate) outbox: Outbox,
    charges_max: usize,
}

impl Books {
    pub(crate) fn new(charges_max: usize) -> Self {
        Self {
            charges: HashMap::new(),
            charge_of_key: HashMap::new(),
            by_age: VecDeque::new(),
            pending: BTreeSet::new(),
            unanswered: HashMap::new(),
            unanswered_by_age: VecDeque::new(),
            outbox: Outbox::default(),
            charges_max,
        }
    }

    pub(crate) fn charge(&self, id: &str) -> Option<&Charge> {
        self.charges.get(id)
    }

    /// The charge that was asked for with this key.
    pub(crate) fn charge_of_key(&self, key: &str) -> Option<&Charge> {
        self.charges.get(self.charge_of_key.get(key)?)
    }

    /// What was asked for by the call of this key that was left unanswered.
    pub(crate) fn unanswered(&self, key: &str) -> Option<&Terms> {
        self.unanswered.get(key)
    }

    /// Whether another charge can be kept: something can be forgotten for it.
    pub(crate) fn has_room(&self) -> bool {
        self.pending.len() < self.charges_max
    }

    /// When the next pending charge is decided, and which.
    pub(crate) fn next_pending(&self) -> Option<(u64, &Charge)> {
        let (until, id) = self.pending.first()?;
        Some((*until, self.charges.get(id)?))
    }

    /// Makes things be as the line says.
    pub(crate) fn apply(&mut self, line: Line) {
        let Line { charge, unanswered, deliveries, delivered } = line;
        if let Some(charge) = charge {
            self.put(charge);
        }
        if let Some(Call { key, terms }) = unanswered
            && self.unanswered.insert(key.clone(), terms).is_none()
        {
            self.unanswered_by_age.push_back(key);
            self.forget_unanswered();
        }
        for delivery in deliveries {
            self.outbox.put(delivery);
        }
        if let Some(number) = delivered {
            self.outbox.remove(number);
        }
    }

    /// One line for each thing: as good as all lines there were.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line> {
        let charges = self.by_age.iter().filter_map(|id| self.charges.get(id));
        let charges = charges.map(|charge| Line::charge(charge.clone(), Vec::new()));
        let unanswered = self.unanswered_by_age.iter().filter_map(|key| {
            let terms = self.unanswered.get(key)?.clone();
            Some(Line::unanswered(Call { key: key.clone(), terms }))
        });
        let deliveries = self.outbox.all().map(|delivery| Line::delivery(delivery.clone()));
        charges.chain(unanswered).chain(deliveries)
    }

    fn put(&mut self, charge: Charge) {
        if let Some(before) = self.charges.get(&charge.id) {
            if let State::Pending { until, .. } = before.state {
                self.pending.remove(&(until, charge.id.clone()));
            }
        } else {
            self.forget_charges();
            self.by_age.push_back(charge.id.clone());
            self.charge_of_key.insert(charge.key.clone(), charge.id.clone());
            // Its place in the queue is left behind: looked up, it leads nowhere.
            self.unanswered.remove(&charge.key);
        }
        if let State::Pending { until, .. } = charge.state {
            self.pending.insert((until, charge.id.clone()));
        }
        self.charges.insert(charge.id.clone(), charge);
    }

    /// Makes room for one charge more.
    fn forget_charges(&mut self) {
        while self.charges.len() >= self.charges_max {
            let settled = |id: &String| self.charges.get(id).is_none_or(|c| !c.is_pending());
            let Some(id) = self.by_age.iter().position(settled) else {
                // Not to be lost, and few: the bound was lowered since they were taken.
                return;
            };
            let forgotten = self.by_age.remove(id).and_then(|id| self.charges.remove(&id));
            if let Some(Charge { key, .. }) = forgotten {
                self.charge_of_key.remove(&key);
            }
        }
    }

    fn forget_unanswered(&mut self) {
        while self.unanswered_by_age.len() > UNANSWERED_MAX {
            if let Some(key) = self.unanswered_by_age.pop_front() {
                self.unanswered.remove(&key);
            }
        }
    }
}

#[cfg(test)]
#[path = "books_tests.rs"]
mod tests;
