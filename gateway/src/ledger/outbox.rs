//! The webhooks that wait, in the order they are due.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::webhook::Delivery;

/// The webhooks that wait: those under way, too.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: BTreeMap<(u64, u64), Delivery>,
    due_of: HashMap<u64, u64>,
    last_number: u64,
}

/// What to send next.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// This one, now.
    Send(Box<Delivery>),
    /// Nothing before then, in unix milliseconds, unless something changes.
    Wait(u64),
    /// Nothing until something changes.
    Idle,
}

impl Outbox {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// A number above all that wait.
    pub(crate) fn next_number(&self) -> u64 {
        self.last_number + 1
    }

    pub(crate) fn put(&mut self, delivery: Delivery) {
        self.last_number = self.last_number.max(delivery.number);
        self.due_of.insert(delivery.number, delivery.due);
        self.waiting.insert((delivery.due, delivery.number), delivery);
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Delivery> {
        let due = self.due_of.remove(&number)?;
        self.waiting.remove(&(due, number))
    }

    /// The delivery failed once more, and is tried again at `due`.
    pub(crate) fn postpone(&mut self, number: u64, due: u64) {
        if let Some(delivery) = self.remove(number) {
            self.put(Delivery { due, failures: delivery.failures + 1, ..delivery });
        }
    }

    /// What is to be sent at `now`, if so much is `written`; of a charge in `busy` another one is
    /// under way, which it must not overtake.
    pub(crate) fn next(&self, now: u64, written: u64, busy: &HashSet<String>) -> Next {
        let free = |delivery: &&Delivery| {
            delivery.after <= written && !busy.contains(&delivery.webhook.charge)
        };
        match self.waiting.values().find(free) {
            Some(delivery) if delivery.due <= now => Next::Send(Box::new(delivery.clone())),
            Some(delivery) => Next::Wait(delivery.due),
            None => Next::Idle,
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Delivery> {
        self.waiting.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{charge::Kind, webhook::Webhook};

    fn delivery(number: u64, due: u64, charge: &str) -> Delivery {
        let webhook = Webhook {
            id: format!("wh-{number}"),
            kind: Kind::Voided,
            reference: "o-1".to_owned(),
            charge: charge.to_owned(),
            amount: 1,
            currency: "EUR".to_owned(),
            reason: None,
            refund: None,
            at: 1,
        };
        Delivery { number, due, webhook, failures: 0, after: number }
    }

    fn outbox() -> Outbox {
        let mut outbox = Outbox::default();
        for delivery in [delivery(1, 20, "a"), delivery(2, 10, "a"), delivery(3, 10, "b")] {
            outbox.put(delivery);
        }
        outbox
    }

    fn next(outbox: &Outbox, now: u64, busy: &[&str]) -> String {
        let busy = busy.iter().map(|&charge| charge.to_owned()).collect();
        match outbox.next(now, 3, &busy) {
            Next::Send(delivery) => delivery.number.to_string(),
            Next::Wait(until) => format!("wait {until}"),
            Next::Idle => "idle".to_owned(),
        }
    }

    #[test]
    fn what_is_due_first_goes_first() {
        let mut outbox = outbox();
        assert_eq!(next(&outbox, 9, &[]), "wait 10");
        assert_eq!(next(&outbox, 10, &[]), "2");
        outbox.remove(2);
        outbox.remove(3);
        assert_eq!(next(&outbox, 10, &[]), "wait 20");
        assert_eq!(next(&outbox, 20, &[]), "1");
        assert_eq!(outbox.next_number(), 4, "above all there were");
    }

    #[test]
    fn one_charge_has_one_under_way() {
        assert_eq!(next(&outbox(), 20, &["a"]), "3");
        assert_eq!(next(&outbox(), 20, &["a", "b"]), "idle");
    }

    #[test]
    fn nothing_is_sent_before_it_is_on_disk() {
        assert_eq!(outbox().next(20, 0, &HashSet::new()), Next::Idle);
        let Next::Send(first) = outbox().next(20, 2, &HashSet::new()) else { panic!("one") };
        assert_eq!(first.number, 2);
    }

    #[test]
    fn what_failed_waits() {
        let mut outbox = outbox();
        outbox.postpone(2, 50);
        assert_eq!(next(&outbox, 15, &["b"]), "wait 20");
        outbox.remove(1);
        assert_eq!(next(&outbox, 50, &["b"]), "2");
        assert_eq!(outbox.remove(2).map(|delivery| delivery.failures), Some(1));
        outbox.postpone(2, 60);
        assert_eq!(outbox.len(), 1, "what is gone stays gone");
    }
}
