//! Notices: whoever bought is told how it ended, and who has an account gets the links it needs.
//!
//! | when              | then                           | undo, if a later step fails |
//! |-------------------|--------------------------------|-----------------------------|
//! | `order.confirmed` | `notice.queue`, to the buyer   | –                           |
//! | `order.cancelled` | `notice.queue`, to the buyer   | –                           |
//! | `order.revoked`, `order.shipped` | `notice.queue`, to the buyer | –              |
//! | `order.return_accepted`, `order.return_rejected` | `notice.queue`, to the buyer | – |
//! | `user.verification_due`, `user.reset_due` | `notice.queue`, to the user | –       |
//!
//! A notice's id is made from its occasion, so that one occasion has one notice.

use bus::{Recorded, Then};

use super::{Letter, NoticeId, Queue};
use crate::{
    orders::{Order, OrderEvent},
    users::{User, UserEvent, UserId},
};

/// Tells the buyer how the order ended.
pub(crate) fn on_order(order: &Recorded<Order>, then: &mut Then) {
    let id = || order.id.clone();
    match &order.event {
        OrderEvent::Confirmed { buyer, total, receipt: _, skus: _ } => {
            let letter = Letter::OrderConfirmed { order: id(), total: *total };
            queue(order.id.as_str(), "confirmed", buyer, letter, then);
        }
        OrderEvent::Cancelled { buyer, reason, skus: _ } => {
            let letter = Letter::OrderCancelled { order: id(), reason: reason.clone() };
            queue(order.id.as_str(), "cancelled", buyer, letter, then);
        }
        OrderEvent::Revoked { buyer, total, .. } => {
            let letter = Letter::OrderRevoked { order: id(), total: *total };
            queue(order.id.as_str(), "revoked", buyer, letter, then);
        }
        OrderEvent::Shipped { number, buyer, parcel, .. } => {
            let (number, parcel) = (*number, parcel.clone());
            let letter = Letter::OrderShipped { order: id(), number, parcel };
            queue(order.id.as_str(), &format!("shipped-{number}"), buyer, letter, then);
        }
        OrderEvent::ReturnAccepted { number, buyer, refund, .. } => {
            let (number, refund) = (*number, *refund);
            let letter = Letter::ReturnAccepted { order: id(), number, refund };
            queue(order.id.as_str(), &format!("return-{number}"), buyer, letter, then);
        }
        OrderEvent::ReturnRejected { number, buyer, reason } => {
            let (number, reason) = (*number, reason.clone());
            let letter = Letter::ReturnRejected { order: id(), number, reason };
            queue(order.id.as_str(), &format!("return-{number}"), buyer, letter, then);
        }
        OrderEvent::Placed { .. }
        | OrderEvent::Delivered { .. }
        | OrderEvent::ReturnRequested { .. }
        | OrderEvent::LineReserved { .. }
        | OrderEvent::LineLacking { .. }
        | OrderEvent::PaymentDue { .. }
        | OrderEvent::PaidTooLate { .. } => {}
    }
}

/// Mails the links that a user asked for.
pub(crate) fn on_user(user: &Recorded<User>, then: &mut Then) {
    let (occasion, letter) = match &user.event {
        UserEvent::VerificationDue { number, at: _ } => {
            (format!("verify-{number}"), Letter::VerifyAddress { number: *number })
        }
        UserEvent::ResetDue { number, at: _ } => {
            (format!("reset-{number}"), Letter::ResetPassword { number: *number })
        }
        _ => return,
    };
    queue(user.id.as_str(), &occasion, &user.id, letter, then);
}

fn queue(about: &str, occasion: &str, user: &UserId, letter: Letter, then: &mut Then) {
    let notice = NoticeId::derived("n", &[about, occasion]);
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
    fn each_step_of_an_order_that_its_buyer_waits_for_has_its_one_notice() {
        let notice =
            |occasion| vec![format!("notice/{}/queue", NoticeId::derived("n", &["o-1", occasion]))];
        let (buyer, total, receipt) = (buyer(), eur(500), receipt());
        let revoked = OrderEvent::Revoked { buyer: buyer.clone(), total, receipt, skus: vec![] };
        assert_eq!(asked_by(on_order, "o-1", revoked), notice("revoked"));
        let shipped = |number| OrderEvent::Shipped {
            number,
            buyer: buyer.clone(),
            portions: vec![],
            parcel: None,
            warehouse: None,
        };
        assert_eq!(asked_by(on_order, "o-1", shipped(1)), notice("shipped-1"));
        assert_eq!(asked_by(on_order, "o-1", shipped(2)), notice("shipped-2"));
        let reason = "used".to_owned();
        let rejected = OrderEvent::ReturnRejected { number: 1, buyer: buyer.clone(), reason };
        assert_eq!(asked_by(on_order, "o-1", rejected), notice("return-1"));
        let delivered = OrderEvent::Delivered { number: 1, buyer };
        assert_eq!(asked_by(on_order, "o-1", delivered), [""; 0]);
    }

    #[test]
    fn nobody_is_told_of_the_steps_between() {
        let late = OrderEvent::PaidTooLate { receipt: receipt() };
        assert_eq!(asked_by(on_order, "o-1", late), [""; 0]);
    }

    #[test]
    fn each_link_has_its_one_notice() {
        let at = bus::Timestamp::from_millis(1);
        let asked = |event| asked_by(on_user, "u-1", event);
        let notice = |occasion: &str| {
            vec![format!("notice/{}/queue", NoticeId::derived("n", &["u-1", occasion]))]
        };
        assert_eq!(asked(UserEvent::VerificationDue { number: 2, at }), notice("verify-2"));
        assert_eq!(asked(UserEvent::ResetDue { number: 2, at }), notice("reset-2"));
        assert_eq!(asked(UserEvent::Verified {}), [""; 0]);
    }
}
