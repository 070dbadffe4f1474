//! Notices about orders: whoever bought is told how it ended.
//!
//! | when              | then                           | undo, if a later step fails |
//! |-------------------|--------------------------------|-----------------------------|
//! | `order.confirmed` | `notice.queue`, to the buyer   | –                           |
//! | `order.cancelled` | `notice.queue`, to the buyer   | –                           |
//!
//! A notice's id is made from its occasion, so that one occasion has one notice.

use bus::{Recorded, Then};

use super::{Letter, NoticeId, Queue};
use crate::{
    orders::{Order, OrderEvent, OrderId},
    users::UserId,
};

/// Tells the buyer how the order ended.
pub(crate) fn on_order(order: &Recorded<Order>, then: &mut Then) {
    let id = || order.id.clone();
    match &order.event {
        OrderEvent::Confirmed { buyer, total, receipt: _, skus: _ } => {
            let letter = Letter::OrderConfirmed { order: id(), total: *total };
            queue(&order.id, "confirmed", buyer, letter, then);
        }
        OrderEvent::Cancelled { buyer, reason, skus: _ } => {
            let letter = Letter::OrderCancelled { order: id(), reason: reason.clone() };
            queue(&order.id, "cancelled", buyer, letter, then);
        }
        OrderEvent::Placed { .. }
        | OrderEvent::LineReserved { .. }
        | OrderEvent::LineLacking { .. }
        | OrderEvent::PaymentDue { .. }
        | OrderEvent::PaidTooLate { .. } => {}
    }
}

fn queue(order: &OrderId, occasion: &str, user: &UserId, letter: Letter, then: &mut Then) {
    let notice = NoticeId::derived("n", &[order.as_str(), occasion]);
    then.ask(&notice, &Queue { user: user.clone(), letter });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{money::tests::eur, orders::CancelReason, payments::Receipt, recorded::asked_by};

    fn buyer() -> UserId {
        UserId::parse("u-1").expect("an id")
    }

    fn receipt() -> Receipt {
        Receipt::parse("r-1").expect("a receipt")
    }

    fn confirmed() -> OrderEvent {
        let skus = Vec::new();
        OrderEvent::Confirmed { buyer: buyer(), total: eur(500), receipt: receipt(), skus }
    }

    fn cancelled() -> OrderEvent {
        OrderEvent::Cancelled { buyer: buyer(), reason: CancelReason::TotalTooLarge, skus: vec![] }
    }

    #[test]
    fn each_end_of_an_order_has_its_one_notice() {
        let notice = |occasion| {
            let id = NoticeId::derived("n", &["o-1", occasion]);
            vec![format!("notice/{id}/queue")]
        };
        assert_eq!(asked_by(on_order, "o-1", confirmed()), notice("confirmed"));
        assert_eq!(asked_by(on_order, "o-1", cancelled()), notice("cancelled"));
        assert_ne!(asked_by(on_order, "o-2", confirmed()), notice("confirmed"));
    }

    #[test]
    fn nobody_is_told_of_the_steps_between() {
        let late = OrderEvent::PaidTooLate { receipt: receipt() };
        assert_eq!(asked_by(on_order, "o-1", late), [""; 0]);
    }
}
