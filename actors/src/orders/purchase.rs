//! A placed order: what is bought, and how far its checkout is.
//!
//! The stage says which notes still count: everywhere else they come twice or too late.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    CancelReason, OrderEvent, OrderLine, OrderStatus, OrderView, PricedLine, fulfilment::Fulfilment,
};
use crate::{
    inventory::ItemId,
    money::{Currency, Money, MoneyError},
    payments::{CardToken, Receipt},
    quantity::Quantity,
    users::UserId,
};

/// A placed order.
#[derive(Debug, Serialize, Deserialize)]
pub struct Purchase {
    pub(super) buyer: UserId,
    pub(super) card: CardToken,
    pub(super) stage: Stage,
    currency: Currency,
    pub(super) lines: Vec<PricedLine>,
    /// What the buyer was shown that one piece costs.
    expected: BTreeMap<ItemId, Money>,
    paid_too_late: BTreeSet<Receipt>,
    pub(super) fulfilment: Fulfilment,
}

/// How far the checkout is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Stage {
    Reserving,
    Paying { total: Money },
    Confirmed { total: Money, receipt: Receipt },
    Cancelled { reason: CancelReason },
    Revoked { total: Money, receipt: Receipt },
}

impl Purchase {
    pub(super) fn new(
        buyer: UserId,
        currency: Currency,
        card: CardToken,
        lines: &[OrderLine],
    ) -> Self {
        let unpriced = lines.iter().map(|OrderLine { sku, quantity, .. }| PricedLine {
            sku: sku.clone(),
            quantity: *quantity,
            unit_price: None,
        });
        let expected = lines.iter().filter_map(|it| Some((it.sku.clone(), it.expected_price?)));
        let expected = expected.collect();
        let lines = unpriced.collect();
        Self {
            buyer,
            card,
            stage: Stage::Reserving,
            currency,
            lines,
            expected,
            paid_too_late: BTreeSet::new(),
            fulfilment: Fulfilment::default(),
        }
    }

    /// Folds what happens after the order was placed.
    pub(super) fn apply(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::LineReserved { sku, unit_price, .. } => {
                for line in self.lines.iter_mut().filter(|line| line.sku == *sku) {
                    line.unit_price = Some(*unit_price);
                }
            }
            OrderEvent::PaymentDue { total, .. } => self.stage = Stage::Paying { total: *total },
            OrderEvent::Confirmed { total, receipt, .. } => {
                self.stage = Stage::Confirmed { total: *total, receipt: receipt.clone() };
            }
            OrderEvent::Cancelled { reason, .. } => {
                self.stage = Stage::Cancelled { reason: reason.clone() };
            }
            OrderEvent::PaidTooLate { receipt } => {
                self.paid_too_late.insert(receipt.clone());
            }
            OrderEvent::Revoked { total, receipt, .. } => {
                self.stage = Stage::Revoked { total: *total, receipt: receipt.clone() };
            }
            OrderEvent::Shipped { .. }
            | OrderEvent::Delivered { .. }
            | OrderEvent::ReturnRequested { .. }
            | OrderEvent::ReturnAccepted { .. }
            | OrderEvent::ReturnRejected { .. } => self.fulfilment.apply(event),
            // A lack is followed by its cancellation; placing made this purchase.
            OrderEvent::LineLacking { .. } | OrderEvent::Placed { .. } => {}
        }
    }

    pub(super) fn line(&self, sku: &ItemId) -> Option<&PricedLine> {
        self.lines.iter().find(|line| line.sku == *sku)
    }

    /// The line that asked for just this, if one did.
    pub(super) fn line_of(
        &self,
        sku: &ItemId,
        quantity: Quantity,
        unit_price: Money,
    ) -> Option<&PricedLine> {
        let is_ours = |line: &&PricedLine| line.quantity == quantity;
        self.line(sku).filter(is_ours).filter(|_| unit_price.currency == self.currency)
    }

    /// What the buyer was shown that a piece costs, if that is not `unit_price`.
    pub(super) fn surprised_by(&self, sku: &ItemId, unit_price: Money) -> Option<Money> {
        self.expected.get(sku).copied().filter(|expected| *expected != unit_price)
    }

    /// What the order costs when `sku` costs `unit_price`; none while other lines have no price.
    pub(super) fn total_with(
        &self,
        sku: &ItemId,
        unit_price: Money,
    ) -> Result<Option<Money>, MoneyError> {
        let mut total = Money { amount: 0, currency: self.currency };
        for line in &self.lines {
            let price = if line.sku == *sku { Some(unit_price) } else { line.unit_price };
            let Some(price) = price else { return Ok(None) };
            total = total.checked_add(price.times(line.quantity)?)?;
        }
        Ok(Some(total))
    }

    pub(super) fn cancelled(&self, reason: CancelReason) -> OrderEvent {
        OrderEvent::Cancelled { buyer: self.buyer.clone(), reason, skus: self.skus() }
    }

    /// What may be held for it.
    pub(super) fn skus(&self) -> Vec<ItemId> {
        self.lines.iter().map(|line| line.sku.clone()).collect()
    }

    /// Whether this money is known to have come too late.
    pub(super) fn knows_late(&self, receipt: &Receipt) -> bool {
        self.paid_too_late.contains(receipt)
    }

    pub(super) fn view(&self) -> OrderView {
        let (status, total, receipt, reason) = match &self.stage {
            Stage::Reserving => (OrderStatus::Placed, None, None, None),
            Stage::Paying { total } => (OrderStatus::Paying, Some(*total), None, None),
            Stage::Confirmed { total, receipt } => {
                (OrderStatus::Confirmed, Some(*total), Some(receipt.clone()), None)
            }
            Stage::Cancelled { reason } => {
                (OrderStatus::Cancelled, None, None, Some(reason.clone()))
            }
            Stage::Revoked { total, receipt } => {
                (OrderStatus::Revoked, Some(*total), Some(receipt.clone()), None)
            }
        };
        let (buyer, currency, lines) = (self.buyer.clone(), self.currency, self.lines.clone());
        let is_paid = status == OrderStatus::Confirmed;
        let progress = is_paid.then(|| self.fulfilment.progress(&lines));
        let shipments = self.fulfilment.shipments.clone();
        let returns = self.fulfilment.returns.clone();
        OrderView {
            buyer,
            status,
            currency,
            lines,
            total,
            receipt,
            reason,
            progress,
            shipments,
            returns,
        }
    }
}
