//! What left the house for whom, so that no more comes back than went.
//!
//! A popular item is shipped to more orders than it can remember. The latest are remembered one by
//! one; of the others only how many pieces they were sent in all. So a return is held against its
//! own order while that is remembered, and never does more come back than ever left: beyond that,
//! the order itself knows what was delivered to it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{limits::SHIPMENTS_MAX, orders::OrderId, quantity::Quantity};

/// What was shipped to orders and did not come back.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Shipments {
    latest: BTreeMap<OrderId, Shipment>,
    /// How many orders were ever shipped to: the age of the next.
    count: u64,
    /// Pieces shipped to orders that are forgotten, and not come back.
    forgotten: u64,
}

/// What one order was sent.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Shipment {
    age: u64,
    /// Pieces that are out.
    out: u64,
    /// The numbers of what came back.
    returns: BTreeSet<u32>,
}

impl Shipments {
    /// Pieces of an order that are out and can come back.
    pub(super) fn out(&self, order: &OrderId) -> u64 {
        self.latest.get(order).map_or(self.forgotten, |shipment| shipment.out)
    }

    /// Whether this return of an order came back before.
    pub(super) fn has_returned(&self, order: &OrderId, number: u32) -> bool {
        self.latest.get(order).is_some_and(|shipment| shipment.returns.contains(&number))
    }

    /// How many returns of an order came back.
    pub(super) fn returns(&self, order: &OrderId) -> usize {
        self.latest.get(order).map_or(0, |shipment| shipment.returns.len())
    }

    pub(super) fn ship(&mut self, order: &OrderId, quantity: Quantity) {
        self.of(order).out += u64::from(quantity);
        self.forget_the_oldest();
    }

    /// The handler sees to it that they are out.
    pub(super) fn take_back(&mut self, order: &OrderId, quantity: Quantity, number: u32) {
        if !self.latest.contains_key(order) {
            self.forgotten -= u64::from(quantity);
            self.of(order).out += u64::from(quantity);
        }
        let shipment = self.of(order);
        shipment.out -= u64::from(quantity);
        shipment.returns.insert(number);
        self.forget_the_oldest();
    }

    fn of(&mut self, order: &OrderId) -> &mut Shipment {
        self.latest.entry(order.clone()).or_insert_with(|| {
            self.count += 1;
            Shipment { age: self.count, ..Shipment::default() }
        })
    }

    fn forget_the_oldest(&mut self) {
        if self.latest.len() <= SHIPMENTS_MAX {
            return;
        }
        let oldest = self.latest.iter().min_by_key(|(_, shipment)| shipment.age);
        if let Some(order) = oldest.map(|(order, _)| order.clone())
            && let Some(shipment) = self.latest.remove(&order)
        {
            self.forgotten += shipment.out;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(n: usize) -> OrderId {
        OrderId::parse(&format!("o-{n}")).expect("an id")
    }

    fn pieces(n: u32) -> Quantity {
        Quantity::new(n).expect("a quantity")
    }

    #[test]
    fn what_is_forgotten_still_bounds_what_comes_back() {
        let mut shipments = Shipments::default();
        shipments.ship(&order(0), pieces(3));
        assert_eq!(shipments.out(&order(SHIPMENTS_MAX + 1)), 0, "it was sent nothing");
        for n in 1..=SHIPMENTS_MAX {
            shipments.ship(&order(n), pieces(1));
        }
        assert_eq!(shipments.latest.len(), SHIPMENTS_MAX);
        assert_eq!((shipments.out(&order(0)), shipments.forgotten), (3, 3));

        // It comes back, is remembered again, and another is forgotten in its place.
        shipments.take_back(&order(0), pieces(2), 7);
        assert!(shipments.has_returned(&order(0), 7));
        assert_eq!(shipments.out(&order(0)), 0, "no more is known to be out for it");
        assert_eq!(shipments.latest.len(), SHIPMENTS_MAX);
        assert_eq!((shipments.out(&order(1)), shipments.forgotten), (2, 2));
    }
}
