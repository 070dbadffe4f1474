//! Letters: the words of each notice, made from its facts. Pure.

use super::{Letter, markup};
use crate::orders::{CancelReason, Parcel};

/// A mail's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) subject: String,
    /// As plain text.
    pub(super) body: String,
    /// The same as HTML.
    pub(super) html: String,
}

/// The mail's subject, text and HTML. `link` is where a letter that has one leads.
pub(super) fn words(letter: &Letter, name: &str, link: &str) -> Words {
    let (subject, news) = told(letter, link);
    let html = markup::html(&subject, name, &news, link);
    Words { subject, body: format!("Dear {name},\n\n{news}\n\nYour shop\n"), html }
}

/// The subject, and the news.
fn told(letter: &Letter, link: &str) -> (String, String) {
    match letter {
        Letter::VerifyAddress { .. } => (
            "Please confirm your mail address".to_owned(),
            format!(
                "please confirm that this is your mail address:\n\n{link}\n\n\
                 The link is good for a week. If you have no account with us, forget this mail."
            ),
        ),
        Letter::ResetPassword { .. } => (
            "A new password".to_owned(),
            format!(
                "somebody, most likely you, wants a new password for your account:\n\n{link}\n\n\
                 The link is good for an hour, and once. If it was not you, forget this mail:\n\
                 your password stays as it is."
            ),
        ),
        Letter::OrderConfirmed { order, total } => (
            format!("Your order {order} is confirmed"),
            format!("thank you: your order {order} is confirmed. You paid {total}."),
        ),
        Letter::OrderCancelled {
            order,
            reason: reason @ (CancelReason::Unpaid | CancelReason::ByTheShop),
        } => (
            format!("Your order {order} is cancelled"),
            format!(
                "we are sorry: your order {order} is cancelled, because {reason}.\n\
                 Should your card be charged for it all the same, you get your money back."
            ),
        ),
        Letter::OrderCancelled { order, reason: reason @ CancelReason::CalledOff } => (
            format!("Your order {order} is cancelled"),
            format!(
                "your order {order} is cancelled, because {reason}.\n\
                 Should your card be charged for it all the same, you get your money back."
            ),
        ),
        Letter::OrderRevoked { order, total } => (
            format!("Your order {order} is cancelled"),
            format!("your order {order} is cancelled. You get {total} back."),
        ),
        Letter::OrderShipped { order, number, parcel } => (
            format!("Your order {order} is on its way"),
            match parcel {
                None => format!("shipment {number} of your order {order} is on its way."),
                Some(Parcel { carrier, tracking }) => format!(
                    "shipment {number} of your order {order} is on its way.\n\
                     {carrier} carries it; its number there is {tracking}."
                ),
            },
        ),
        Letter::ReturnAccepted { order, number, refund } => (
            format!("Your return of order {order}"),
            format!("we took back return {number} of your order {order}. You get {refund} back."),
        ),
        Letter::ReturnRejected { order, number, reason } => (
            format!("Your return of order {order}"),
            format!(
                "we are sorry: we cannot take back return {number} of your order {order}:\n{reason}"
            ),
        ),
        Letter::OrderCancelled { order, reason } => (
            format!("Your order {order} is cancelled"),
            format!(
                "we are sorry: your order {order} is cancelled, because {reason}.\n\
                 You have not been charged."
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inventory::{ItemId, LackReason},
        money::tests::eur,
        orders::OrderId,
        payments::DeclineReason,
    };

    fn order() -> OrderId {
        OrderId::parse("o-1").expect("an id")
    }

    #[test]
    fn a_confirmed_order_says_what_was_paid() {
        let letter = Letter::OrderConfirmed { order: order(), total: eur(1_205) };
        let Words { subject, body, html } = words(&letter, "Ann", "");
        assert_eq!(subject, "Your order o-1 is confirmed");
        assert!(
            html.contains("<p>thank you: your order o-1 is confirmed. You paid 12.05 EUR.</p>"),
            "{html}"
        );
        assert_eq!(
            body,
            "Dear Ann,\n\nthank you: your order o-1 is confirmed. You paid 12.05 EUR.\n\nYour shop\n"
        );
    }

    #[test]
    fn who_may_still_be_charged_is_not_told_otherwise() {
        let letter = Letter::OrderCancelled { order: order(), reason: CancelReason::Unpaid };
        let Words { body, .. } = words(&letter, "Ann", "");
        assert!(body.contains("because it was not paid in time.\n"), "{body}");
        assert!(body.contains("you get your money back"), "{body}");
        assert!(!body.contains("You have not been charged"), "{body}");
    }

    #[test]
    fn a_cancelled_order_says_why() {
        let sku = ItemId::parse("A1").expect("an id");
        for (reason, because) in [
            (
                CancelReason::Lacking { sku, reason: LackReason::OutOfStock { available: 2 } },
                "because A1 cannot be had: only 2 available.\n",
            ),
            (
                CancelReason::Declined { reason: DeclineReason::CardDeclined },
                "because the payment was declined: the card was declined.\n",
            ),
            (CancelReason::TotalTooLarge, "because the total is too large.\n"),
        ] {
            let letter = Letter::OrderCancelled { order: order(), reason };
            let Words { subject, body, .. } = words(&letter, "Ann", "");
            assert_eq!(subject, "Your order o-1 is cancelled");
            assert!(body.contains(because), "{body}");
            assert!(body.contains("You have not been charged."), "{body}");
        }
    }
}
