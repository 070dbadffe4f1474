//! Order cards: a buyer's orders as they stand, newest first.

use bus::{Fold, IndexEntry, JsonSchema, Projection, Recorded, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CancelReason, Order, OrderEvent, OrderLine, OrderStatus, PricedLine};
use crate::money::{Currency, Money};

/// An order as it is listed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct OrderCard {
    /// The order.
    pub id: String,
    /// Who buys.
    pub buyer: String,
    /// How it stands.
    pub status: OrderStatus,
    /// What it is paid in.
    pub currency: Currency,
    /// What is bought, with prices once they are known.
    pub lines: Vec<PricedLine>,
    /// What it costs, once every line was held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
    /// Why it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<CancelReason>,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When it was confirmed or cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// Whether money came too late and is to be given back.
    #[serde(default)]
    pub paid_too_late: bool,
}

impl Projection for OrderCard {
    const NAME: &'static str = "orders";

    fn index(&self) -> Vec<IndexEntry> {
        vec![IndexEntry::new("buyer", self.buyer.as_str()).ranked_by(self.placed_at)]
    }
}

impl Fold<Order> for OrderCard {
    fn fold(&mut self, _: &str, order: &Recorded<Order>) {
        let at = order.commit.at;
        match &order.event {
            OrderEvent::Placed { buyer, currency, card: _, lines } => {
                order.id.as_str().clone_into(&mut self.id);
                buyer.as_str().clone_into(&mut self.buyer);
                self.currency = *currency;
                self.lines = lines.iter().map(unpriced).collect();
                self.placed_at = at;
            }
            OrderEvent::LineReserved { sku, unit_price, .. } => {
                for line in self.lines.iter_mut().filter(|line| line.sku == *sku) {
                    line.unit_price = Some(*unit_price);
                }
            }
            OrderEvent::PaymentDue { total, .. } => {
                self.status = OrderStatus::Paying;
                self.total = Some(*total);
            }
            OrderEvent::Confirmed { .. } => {
                self.status = OrderStatus::Confirmed;
                self.settled_at = Some(at);
            }
            OrderEvent::Cancelled { reason, .. } => {
                self.status = OrderStatus::Cancelled;
                self.reason = Some(reason.clone());
                self.settled_at = Some(at);
            }
            OrderEvent::PaidTooLate { .. } => self.paid_too_late = true,
            OrderEvent::LineLacking { .. } => {} // Its cancellation says the same.
        }
    }
}

fn unpriced(line: &OrderLine) -> PricedLine {
    PricedLine { sku: line.sku.clone(), quantity: line.quantity, unit_price: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inventory::{ItemId, LackReason},
        money::tests::eur,
        payments::{CardToken, Receipt},
        quantity::Quantity,
        recorded::recorded,
        users::UserId,
    };

    fn sku() -> ItemId {
        ItemId::parse("A1").expect("an id")
    }

    fn buyer() -> UserId {
        UserId::parse("u-1").expect("an id")
    }

    fn receipt() -> Receipt {
        Receipt::parse("r-1").expect("a receipt")
    }

    fn card_after(events: impl IntoIterator<Item = OrderEvent>) -> OrderCard {
        let quantity = Quantity::new(2).expect("a quantity");
        let placed = OrderEvent::Placed {
            buyer: buyer(),
            currency: eur(0).currency,
            card: CardToken::parse("sim-4242").expect("a token"),
            lines: vec![OrderLine { sku: sku(), quantity }],
        };
        let mut card = OrderCard::default();
        for event in std::iter::once(placed).chain(events) {
            card.fold("o-1", &recorded("o-1", event));
        }
        card
    }

    fn held() -> [OrderEvent; 2] {
        let quantity = Quantity::new(2).expect("a quantity");
        let card = CardToken::parse("sim-4242").expect("a token");
        [
            OrderEvent::LineReserved { sku: sku(), quantity, unit_price: eur(250) },
            OrderEvent::PaymentDue { total: eur(500), card },
        ]
    }

    #[test]
    fn a_buyer_finds_her_orders_by_when_they_were_placed() {
        let card = card_after([]);
        assert_eq!((card.id.as_str(), card.buyer.as_str()), ("o-1", "u-1"));
        assert_eq!((card.status, card.settled_at), (OrderStatus::Placed, None));
        let placed_at = Timestamp::from_millis(1_000);
        assert_eq!(card.index(), [IndexEntry::new("buyer", "u-1").ranked_by(placed_at)]);
    }

    #[test]
    fn a_confirmed_order_shows_what_it_cost() {
        let paying = card_after(held());
        assert_eq!((paying.status, paying.total), (OrderStatus::Paying, Some(eur(500))));
        assert_eq!(paying.lines[0].unit_price, Some(eur(250)));
        let skus = Vec::new();
        let confirmed =
            OrderEvent::Confirmed { buyer: buyer(), total: eur(500), receipt: receipt(), skus };
        let card = card_after(held().into_iter().chain([confirmed]));
        assert_eq!(card.status, OrderStatus::Confirmed);
        assert_eq!(card.settled_at, Some(Timestamp::from_millis(1_000)));
        assert_eq!(card.reason, None);
    }

    #[test]
    fn a_cancelled_order_shows_why() {
        let lack = LackReason::OutOfStock { available: 1 };
        let reason = CancelReason::Lacking { sku: sku(), reason: lack };
        let cancelled =
            OrderEvent::Cancelled { buyer: buyer(), reason: reason.clone(), skus: vec![sku()] };
        let lacking = OrderEvent::LineLacking { sku: sku(), reason: lack };
        let card = card_after([lacking, cancelled, OrderEvent::PaidTooLate { receipt: receipt() }]);
        assert_eq!(card.status, OrderStatus::Cancelled);
        assert_eq!(card.reason, Some(reason));
        assert!(card.paid_too_late);
    }
}
