//! Order cards: a buyer's orders as they stand, newest first.

use bus::{Fold, IndexEntry, JsonSchema, Projection, Recorded, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    CancelReason, History, Order, OrderEvent, OrderLine, OrderStatus, PricedLine, Progress,
    ReturnStatus, Returned, Shipment, fulfilment::Fulfilment,
};
use crate::money::{Currency, Money};

/// An order as it is listed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct OrderCard {
    /// The order.
    pub id: String,
    /// The sequence of the last commit that is in it.
    #[serde(default)]
    pub version: u64,
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
    /// How much of it has left the house and arrived, if it is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What left the house.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shipments: Vec<Shipment>,
    /// What comes back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<Returned>,
    /// What happened to it.
    #[serde(default)]
    pub history: History,
}

/// Where staff find an order on their board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoardColumn {
    /// It is not paid yet.
    Open,
    /// It is paid, and pieces of it are still here.
    ToShip,
    /// All has left, and not all has arrived.
    OnItsWay,
    /// All has arrived.
    Delivered,
    /// A return waits for somebody to look at it.
    ReturnRequested,
    /// It was cancelled or called off.
    Cancelled,
}

impl BoardColumn {
    /// Its name in the index.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::ToShip => "to_ship",
            Self::OnItsWay => "on_its_way",
            Self::Delivered => "delivered",
            Self::ReturnRequested => "return_requested",
            Self::Cancelled => "cancelled",
        }
    }
}

impl OrderCard {
    /// Where staff find it.
    #[must_use]
    pub fn column(&self) -> BoardColumn {
        if self.returns.iter().any(|returned| returned.status == ReturnStatus::Requested) {
            return BoardColumn::ReturnRequested;
        }
        match (self.status, self.progress) {
            (OrderStatus::Placed | OrderStatus::Paying, _) => BoardColumn::Open,
            (OrderStatus::Cancelled | OrderStatus::Revoked, _) => BoardColumn::Cancelled,
            (OrderStatus::Confirmed, Some(Progress::Delivered)) => BoardColumn::Delivered,
            (OrderStatus::Confirmed, Some(Progress::Shipped)) => BoardColumn::OnItsWay,
            (OrderStatus::Confirmed, _) => BoardColumn::ToShip,
        }
    }

    fn fulfil(&mut self, event: &OrderEvent) {
        let mut fulfilment = Fulfilment {
            shipments: std::mem::take(&mut self.shipments),
            returns: std::mem::take(&mut self.returns),
        };
        fulfilment.apply(event);
        self.progress = Some(fulfilment.progress(&self.lines));
        (self.shipments, self.returns) = (fulfilment.shipments, fulfilment.returns);
    }
}

impl Projection for OrderCard {
    const NAME: &'static str = "orders";
    /// 4: they know their history.
    const VERSION: u32 = 4;

    fn index(&self) -> Vec<IndexEntry> {
        vec![
            IndexEntry::new("buyer", self.buyer.as_str()).ranked_by(self.placed_at),
            IndexEntry::new("column", self.column().name()).ranked_by(self.placed_at),
        ]
    }
}

impl Fold<Order> for OrderCard {
    fn fold(&mut self, _: &str, order: &Recorded<Order>) {
        let at = order.commit.at;
        self.version = order.commit.position.sequence;
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
                self.progress = Some(Progress::ToShip);
                self.settled_at = Some(at);
            }
            OrderEvent::Revoked { .. } => {
                self.status = OrderStatus::Revoked;
                self.progress = None;
                self.settled_at = Some(at);
            }
            OrderEvent::Shipped { .. }
            | OrderEvent::Delivered { .. }
            | OrderEvent::ReturnRequested { .. }
            | OrderEvent::ReturnAccepted { .. }
            | OrderEvent::ReturnRejected { .. } => self.fulfil(&order.event),
            OrderEvent::Cancelled { reason, .. } => {
                self.status = OrderStatus::Cancelled;
                self.reason = Some(reason.clone());
                self.settled_at = Some(at);
            }
            OrderEvent::PaidTooLate { .. } => self.paid_too_late = true,
            OrderEvent::LineLacking { .. } => {} // Its cancellation says the same.
        }
        self.history.add(&self.buyer, order);
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
        orders::Portion,
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
            lines: vec![OrderLine { sku: sku(), quantity, expected_price: None }],
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
        assert_eq!((card.id.as_str(), card.buyer.as_str(), card.version), ("o-1", "u-1", 1));
        assert_eq!((card.status, card.settled_at), (OrderStatus::Placed, None));
        let placed_at = Timestamp::from_millis(1_000);
        let entry = |index, value| IndexEntry::new(index, value).ranked_by(placed_at);
        assert_eq!(card.index(), [entry("buyer", "u-1"), entry("column", "open")]);
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
    fn staff_find_an_order_where_its_next_step_is() {
        let (quantity, buyer, number) = (Quantity::new(2).expect("a quantity"), buyer(), 1);
        let (total, receipt, skus) = (eur(500), receipt(), Vec::new());
        let portions = || vec![Portion { sku: sku(), quantity }];
        let steps = [
            (
                OrderEvent::Confirmed {
                    buyer: buyer.clone(),
                    total,
                    receipt: receipt.clone(),
                    skus: skus.clone(),
                },
                BoardColumn::ToShip,
            ),
            (
                OrderEvent::Shipped {
                    number,
                    buyer: buyer.clone(),
                    portions: portions(),
                    parcel: None,
                    warehouse: None,
                },
                BoardColumn::OnItsWay,
            ),
            (OrderEvent::Delivered { number, buyer: buyer.clone() }, BoardColumn::Delivered),
            (
                OrderEvent::ReturnRequested {
                    number,
                    buyer: buyer.clone(),
                    portions: portions(),
                    reason: "broken".to_owned(),
                },
                BoardColumn::ReturnRequested,
            ),
            (
                OrderEvent::ReturnRejected {
                    number,
                    buyer: buyer.clone(),
                    reason: "used".to_owned(),
                },
                BoardColumn::Delivered,
            ),
            (OrderEvent::Revoked { buyer, total, receipt, skus }, BoardColumn::Cancelled),
        ];
        let mut card = card_after(held());
        for (event, column) in steps {
            card.fold("o-1", &recorded("o-1", event));
            assert_eq!(card.column(), column);
        }
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
