//! What of an order has left the house, has arrived, and comes back.
//!
//! Pieces are counted by item: shipped ≤ ordered, and returned ≤ delivered, where a return that
//! was rejected counts no more.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    OrderError, OrderEvent, Portion, PricedLine, Progress, ReturnStatus, Returned, Shipment,
};
use crate::{
    inventory::ItemId,
    limits::{LINES_MAX, ORDER_SHIPMENTS_MAX, RETURNS_MAX},
    money::{Money, MoneyError},
};

/// An order's shipments and returns. Numbered from 1, in their order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Fulfilment {
    pub(super) shipments: Vec<Shipment>,
    pub(super) returns: Vec<Returned>,
}

impl Fulfilment {
    pub(super) fn apply(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::Shipped { number, portions, parcel, .. } => {
                let (portions, parcel) = (portions.clone(), parcel.clone());
                let is_delivered = false;
                self.shipments.push(Shipment { number: *number, portions, parcel, is_delivered });
            }
            OrderEvent::Delivered { number, .. } => {
                for shipment in self.shipments.iter_mut().filter(|it| it.number == *number) {
                    shipment.is_delivered = true;
                }
            }
            OrderEvent::ReturnRequested { number, portions, reason, .. } => {
                let (portions, reason) = (portions.clone(), reason.clone());
                let status = ReturnStatus::Requested;
                self.returns.push(Returned { number: *number, portions, reason, status });
            }
            OrderEvent::ReturnAccepted { number, refund, .. } => {
                self.settle(*number, &ReturnStatus::Accepted { refund: *refund });
            }
            OrderEvent::ReturnRejected { number, reason, .. } => {
                self.settle(*number, &ReturnStatus::Rejected { reason: reason.clone() });
            }
            _ => {}
        }
    }

    fn settle(&mut self, number: u32, status: &ReturnStatus) {
        for returned in self.returns.iter_mut().filter(|it| it.number == number) {
            returned.status = status.clone();
        }
    }

    /// The number of the shipment that `portions` of `lines` would be.
    pub(super) fn next_shipment(
        &self,
        portions: &[Portion],
        lines: &[PricedLine],
    ) -> Result<u32, OrderError> {
        check_portions(portions)?;
        for portion in portions {
            let ordered = lines.iter().find(|line| line.sku == portion.sku);
            let ordered = ordered.map_or(0, |line| u64::from(line.quantity));
            let left = ordered - self.shipped(&portion.sku);
            check_left(portion, left)?;
        }
        next_number(self.shipments.len(), ORDER_SHIPMENTS_MAX)
    }

    /// The number of the return that `portions` would be.
    pub(super) fn next_return(&self, portions: &[Portion]) -> Result<u32, OrderError> {
        check_portions(portions)?;
        for portion in portions {
            let left = self.delivered(&portion.sku) - self.returned(&portion.sku);
            check_left(portion, left)?;
        }
        next_number(self.returns.len(), RETURNS_MAX)
    }

    pub(super) fn shipment(&self, number: u32) -> Result<&Shipment, OrderError> {
        let found = self.shipments.iter().find(|shipment| shipment.number == number);
        found.ok_or(OrderError::NoSuchShipment { shipment: number })
    }

    pub(super) fn returned_as(&self, number: u32) -> Result<&Returned, OrderError> {
        let found = self.returns.iter().find(|returned| returned.number == number);
        found.ok_or(OrderError::NoSuchReturn { number })
    }

    fn shipped(&self, sku: &ItemId) -> u64 {
        count(sku, self.shipments.iter().map(|shipment| &shipment.portions))
    }

    fn delivered(&self, sku: &ItemId) -> u64 {
        let delivered = self.shipments.iter().filter(|shipment| shipment.is_delivered);
        count(sku, delivered.map(|shipment| &shipment.portions))
    }

    fn returned(&self, sku: &ItemId) -> u64 {
        let counting = self.returns.iter().filter(|returned| match returned.status {
            ReturnStatus::Requested | ReturnStatus::Accepted { .. } => true,
            ReturnStatus::Rejected { .. } => false,
        });
        count(sku, counting.map(|returned| &returned.portions))
    }

    /// How much of `lines` has left the house, and arrived.
    pub(super) fn progress(&self, lines: &[PricedLine]) -> Progress {
        let has_all = |count: &dyn Fn(&ItemId) -> u64| {
            lines.iter().all(|line| count(&line.sku) == u64::from(line.quantity))
        };
        if self.shipments.is_empty() {
            Progress::ToShip
        } else if has_all(&|sku| self.delivered(sku)) {
            Progress::Delivered
        } else if has_all(&|sku| self.shipped(sku)) {
            Progress::Shipped
        } else {
            Progress::PartlyShipped
        }
    }
}

/// What `portions` of `lines` cost.
pub(super) fn price_of(portions: &[Portion], lines: &[PricedLine]) -> Result<Money, MoneyError> {
    let prices = portions.iter().filter_map(|portion| {
        let line = lines.iter().find(|line| line.sku == portion.sku)?;
        Some(line.unit_price?.times(portion.quantity))
    });
    let sum = prices.reduce(|sum, price| sum?.checked_add(price?));
    // There is no return without portions, and none of what has no price.
    sum.unwrap_or(Err(MoneyError::TooLarge))
}

fn check_portions(portions: &[Portion]) -> Result<(), OrderError> {
    match portions.len() {
        0 => return Err(OrderError::Empty),
        1..=LINES_MAX => {}
        _ => return Err(OrderError::TooManyLines),
    }
    let mut seen = BTreeSet::new();
    match portions.iter().find(|portion| !seen.insert(&portion.sku)) {
        Some(repeated) => Err(OrderError::LineRepeated { sku: repeated.sku.clone() }),
        None => Ok(()),
    }
}

fn check_left(portion: &Portion, left: u64) -> Result<(), OrderError> {
    if u64::from(portion.quantity) <= left {
        return Ok(());
    }
    Err(OrderError::TooMany { sku: portion.sku.clone(), left })
}

fn next_number(count: usize, most: usize) -> Result<u32, OrderError> {
    if count >= most {
        return Err(OrderError::TooManySteps);
    }
    Ok(u32::try_from(count + 1).unwrap_or(u32::MAX))
}

fn count<'a>(sku: &ItemId, all: impl Iterator<Item = &'a Vec<Portion>>) -> u64 {
    let of_it = all.flatten().filter(|portion| portion.sku == *sku);
    of_it.map(|portion| u64::from(portion.quantity)).sum()
}
