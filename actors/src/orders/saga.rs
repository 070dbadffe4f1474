//! Checkout: from a placed order to a confirmed one, or back to where nothing is held.
//!
//! | when                  | then                          | undo, if a later step fails |
//! |-----------------------|-------------------------------|-----------------------------|
//! | `order.placed`        | `item.reserve`, for each line | `item.release`              |
//! | `item.reserved`       | `order.note_reserved`         | –                           |
//! | `item.lacked`         | `order.note_lacking`          | –                           |
//! | `order.payment_due`   | `payment.request`             | –                           |
//! | `payment.captured`    | `order.note_paid`             | –                           |
//! | `payment.declined`    | `order.note_declined`         | –                           |
//! | `order.confirmed`     | `item.take`, for each line    | –                           |
//! | `order.cancelled`     | `item.release`, for each line | –                           |
//! | `order.paid_too_late` | `payment.refund`              | –                           |
//! | `order.revoked`       | `item.release`, for each line; `payment.refund` | –         |
//! | `order.shipped`       | `item.ship`, for each portion | –                           |
//! | `order.return_accepted` | `item.take_back`, for each portion; `payment.refund` | –  |
//!
//! What takes too long undoes itself by timers: the order expires unpaid, and an item gives back
//! what no order took. Money that comes for an order that is settled already goes back.
//!
//! It keeps no state: what it must remember, the order remembers. Replaying it is harmless. The
//! commits of one order are followed in turn, each when the last one's commands are answered, so
//! a release never overtakes its reserve.

use bus::{Recorded, Then};

use super::{
    NoteDeclined, NoteLacking, NotePaid, NoteReserved, Order, OrderEvent, OrderId, Portion,
};
use crate::{
    inventory::{Item, ItemEvent, Release, Reserve, Ship, Take, TakeBack},
    money::Money,
    payments::{Payment, PaymentEvent, PaymentId, Receipt, Refund, Request},
};

/// The order's own steps: reserve, have paid, give back.
pub(crate) fn on_order(order: &Recorded<Order>, then: &mut Then) {
    match &order.event {
        OrderEvent::Placed { currency, lines, .. } => {
            for line in lines {
                let (order, quantity) = (order.id.clone(), line.quantity);
                then.ask(&line.sku, &Reserve { order, quantity, currency: *currency });
            }
        }
        OrderEvent::PaymentDue { total, card } => {
            let (amount, card) = (*total, card.clone());
            let request = Request { order: order.id.clone(), amount, card };
            then.ask(&payment_of(&order.id), &request);
        }
        OrderEvent::Cancelled { skus, .. } => {
            for sku in skus {
                then.ask(sku, &Release { order: order.id.clone() });
            }
        }
        OrderEvent::Confirmed { skus, .. } => {
            for sku in skus {
                then.ask(sku, &Take { order: order.id.clone() });
            }
        }
        OrderEvent::PaidTooLate { receipt } => {
            give_back(&order.id, receipt, LATE_MONEY, None, then);
        }
        OrderEvent::Revoked { receipt, total, skus, .. } => {
            for sku in skus {
                then.ask(sku, &Release { order: order.id.clone() });
            }
            give_back(&order.id, receipt, REVOKED, Some(*total), then);
        }
        OrderEvent::Shipped { portions, warehouse, .. } => {
            for Portion { sku, quantity } in portions {
                let (order, quantity) = (order.id.clone(), Some(*quantity));
                then.ask(sku, &Ship { order, quantity, warehouse: warehouse.clone() });
            }
        }
        OrderEvent::ReturnAccepted { number, portions, sellable, refund, receipt, .. } => {
            for Portion { sku, quantity } in portions {
                let (order, quantity) = (order.id.clone(), *quantity);
                let (number, sellable) = (*number, *sellable);
                then.ask(sku, &TakeBack { order, number, quantity, sellable });
            }
            give_back(&order.id, receipt, *number, Some(*refund), then);
        }
        OrderEvent::LineReserved { .. }
        | OrderEvent::LineLacking { .. }
        | OrderEvent::Delivered { .. }
        | OrderEvent::ReturnRequested { .. }
        | OrderEvent::ReturnRejected { .. } => {}
    }
}

/// The number of the refund of money that came too late.
const LATE_MONEY: u32 = 0;

/// The number of the refund of a revoked order, which has no returns; those have their own
/// numbers, from 1.
const REVOKED: u32 = 1;

fn give_back(
    order: &OrderId,
    receipt: &Receipt,
    number: u32,
    amount: Option<Money>,
    then: &mut Then,
) {
    then.ask(&payment_of(order), &Refund { receipt: receipt.clone(), number, amount });
}

/// What the stock answers, the order is told: held, or lacking, which cancels it.
pub(crate) fn on_item(item: &Recorded<Item>, then: &mut Then) {
    match &item.event {
        ItemEvent::Reserved { order, quantity, unit_price } => {
            let (sku, quantity, unit_price) = (item.id.clone(), *quantity, *unit_price);
            then.ask(order, &NoteReserved { sku, quantity, unit_price });
        }
        ItemEvent::Lacked { order, reason, .. } => {
            then.ask(order, &NoteLacking { sku: item.id.clone(), reason: *reason });
        }
        ItemEvent::Created { .. }
        | ItemEvent::Described { .. }
        | ItemEvent::Priced { .. }
        | ItemEvent::Activated {}
        | ItemEvent::Retired {}
        | ItemEvent::Received { .. }
        | ItemEvent::Adjusted { .. }
        | ItemEvent::LowStockSet { .. }
        | ItemEvent::StockLow { .. }
        | ItemEvent::Taken { .. }
        | ItemEvent::Released { .. }
        | ItemEvent::Shipped { .. }
        | ItemEvent::TakenBack { .. } => {}
    }
}

/// What became of the payment, the order is told.
pub(crate) fn on_payment(payment: &Recorded<Payment>, then: &mut Then) {
    match &payment.event {
        PaymentEvent::Captured { order, receipt, .. } => {
            then.ask(order, &NotePaid { receipt: receipt.clone() });
        }
        PaymentEvent::Declined { order, reason } => {
            then.ask(order, &NoteDeclined { reason: *reason });
        }
        PaymentEvent::Requested { .. }
        | PaymentEvent::Pending { .. }
        | PaymentEvent::Authorised { .. }
        | PaymentEvent::ChargeDue { .. }
        | PaymentEvent::WebhookRefused { .. }
        | PaymentEvent::RefundDue { .. }
        | PaymentEvent::Refunded { .. } => {}
    }
}

/// An order's one payment has the order's id.
fn payment_of(order: &OrderId) -> PaymentId {
    PaymentId::parse(order.as_str()).expect("an order's id is a token, and so is a payment's")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inventory::{ItemId, LackReason},
        money::tests::eur,
        orders::{CancelReason, OrderLine},
        payments::{CardToken, DeclineReason},
        quantity::Quantity,
        recorded::asked_by,
        users::UserId,
        warehouse::WarehouseId,
    };

    fn sku(text: &str) -> ItemId {
        ItemId::parse(text).expect("an id")
    }

    fn order() -> OrderId {
        OrderId::parse("o-1").expect("an id")
    }

    fn buyer() -> UserId {
        UserId::parse("u-1").expect("an id")
    }

    fn two() -> Quantity {
        Quantity::new(2).expect("a quantity")
    }

    fn card() -> CardToken {
        CardToken::parse("sim-4242").expect("a token")
    }

    fn receipt() -> Receipt {
        Receipt::parse("r-1").expect("a receipt")
    }

    #[test]
    fn a_placed_order_reserves_every_line() {
        let line = |text| OrderLine { sku: sku(text), quantity: two(), expected_price: None };
        let lines = vec![line("A1"), line("B2")];
        let placed =
            OrderEvent::Placed { buyer: buyer(), currency: eur(0).currency, card: card(), lines };
        assert_eq!(asked_by(on_order, "o-1", placed), ["item/A1/reserve", "item/B2/reserve"]);
    }

    #[test]
    fn a_payment_has_its_orders_id() {
        let due = OrderEvent::PaymentDue { total: eur(5), card: card() };
        assert_eq!(asked_by(on_order, "o-1", due), ["payment/o-1/request"]);
    }

    #[test]
    fn a_cancelled_order_gives_back_every_line() {
        let skus = vec![sku("A1"), sku("B2")];
        let reason = CancelReason::Declined { reason: DeclineReason::CardDeclined };
        let cancelled = OrderEvent::Cancelled { buyer: buyer(), reason, skus };
        assert_eq!(asked_by(on_order, "o-1", cancelled), ["item/A1/release", "item/B2/release"]);
    }

    #[test]
    fn a_confirmed_order_takes_every_line() {
        let (total, skus) = (eur(1_000), vec![sku("A1"), sku("B2")]);
        let confirmed = OrderEvent::Confirmed { buyer: buyer(), total, receipt: receipt(), skus };
        assert_eq!(asked_by(on_order, "o-1", confirmed), ["item/A1/take", "item/B2/take"]);
    }

    #[test]
    fn money_that_comes_too_late_goes_back() {
        let late = OrderEvent::PaidTooLate { receipt: receipt() };
        assert_eq!(asked_by(on_order, "o-1", late), ["payment/o-1/refund"]);
    }

    #[test]
    fn a_revoked_order_gives_back_its_lines_and_its_money() {
        let (total, skus) = (eur(1_000), vec![sku("A1"), sku("B2")]);
        let revoked = OrderEvent::Revoked { buyer: buyer(), total, receipt: receipt(), skus };
        let asked = asked_by(on_order, "o-1", revoked);
        assert_eq!(asked, ["item/A1/release", "item/B2/release", "payment/o-1/refund"]);
    }

    #[test]
    fn what_is_shipped_leaves_its_items_and_what_is_returned_comes_back() {
        let portions = || vec![Portion { sku: sku("A1"), quantity: two() }];
        let (buyer, number) = (buyer(), 1);
        let shipped = OrderEvent::Shipped {
            number,
            buyer: buyer.clone(),
            portions: portions(),
            parcel: None,
            warehouse: None,
        };
        assert_eq!(asked_by(on_order, "o-1", shipped), ["item/A1/ship"]);
        let (refund, receipt, sellable, portions) = (eur(500), receipt(), true, portions());
        let accepted =
            OrderEvent::ReturnAccepted { number, buyer, portions, sellable, refund, receipt };
        let asked = asked_by(on_order, "o-1", accepted);
        assert_eq!(asked, ["item/A1/take_back", "payment/o-1/refund"]);
    }

    #[test]
    fn the_order_hears_of_its_items() {
        let reserved =
            ItemEvent::Reserved { order: order(), quantity: two(), unit_price: eur(250) };
        assert_eq!(asked_by(on_item, "A1", reserved), ["order/o-1/note_reserved"]);
        let reason = LackReason::OutOfStock { available: 1 };
        let lacked = ItemEvent::Lacked { order: order(), quantity: two(), reason };
        assert_eq!(asked_by(on_item, "A1", lacked), ["order/o-1/note_lacking"]);
    }

    #[test]
    fn the_order_hears_of_its_payment() {
        let captured = PaymentEvent::Captured { order: order(), receipt: receipt(), amount: None };
        assert_eq!(asked_by(on_payment, "o-1", captured), ["order/o-1/note_paid"]);
        let reason = DeclineReason::InsufficientFunds;
        let declined = PaymentEvent::Declined { order: order(), reason };
        assert_eq!(asked_by(on_payment, "o-1", declined), ["order/o-1/note_declined"]);
    }

    #[test]
    fn nothing_follows_the_rest() {
        let (nobody, unit_price) = ([""; 0], eur(1));
        let reason = LackReason::UnknownItem;
        for event in [
            OrderEvent::LineReserved { sku: sku("A1"), quantity: two(), unit_price },
            OrderEvent::LineLacking { sku: sku("A1"), reason },
        ] {
            assert_eq!(asked_by(on_order, "o-1", event), nobody);
        }
        for event in [
            ItemEvent::Received { quantity: two(), warehouse: WarehouseId::MAIN },
            ItemEvent::Taken { order: order() },
            ItemEvent::Released { order: order(), quantity: two() },
            ItemEvent::Shipped { order: order(), quantity: two(), from: [].into() },
            ItemEvent::TakenBack { order: order(), quantity: two(), number: 1, sellable: true },
        ] {
            assert_eq!(asked_by(on_item, "A1", event), nobody);
        }
        for event in [
            PaymentEvent::Requested { order: order(), amount: eur(5), card: card() },
            PaymentEvent::RefundDue {
                order: order(),
                amount: eur(5),
                receipt: receipt(),
                number: 0,
            },
            PaymentEvent::Refunded {
                order: order(),
                amount: eur(5),
                receipt: receipt(),
                number: 0,
            },
        ] {
            assert_eq!(asked_by(on_payment, "o-1", event), nobody);
        }
    }
}
