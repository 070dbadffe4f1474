//! A payment: what was asked of the card, and what came of it.
//!
//! One outcome, whichever is recorded first: who reports it again is heard, who reports another
//! one is refused.

use bus::{Actor, Context, Handle, Id};

use super::{
    Capture, CardToken, Decline, DeclineReason, PaymentError, PaymentEvent, Receipt, Request,
};
use crate::{money::Money, orders::OrderId};

/// The id of a payment: the text of its order's id.
pub type PaymentId = Id<Payment>;

/// A payment.
#[derive(Debug, Default)]
pub enum Payment {
    /// Nobody asked for it.
    #[default]
    Unrequested,
    /// A card is to be charged, or was.
    Requested {
        /// What was asked.
        terms: Terms,
        /// What came of it, once that is known.
        outcome: Option<Outcome>,
    },
}

/// What was asked of the card.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    order: OrderId,
    amount: Money,
    card: CardToken,
}

/// What came of a payment.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The card was charged.
    Captured(Receipt),
    /// It was not.
    Declined(DeclineReason),
}

impl Actor for Payment {
    const KIND: &'static str = "payment";
    type Event = PaymentEvent;
    type Error = PaymentError;
    type Commands = (Request, Capture, Decline);

    fn apply(&mut self, event: &PaymentEvent) {
        match event {
            PaymentEvent::Requested { order, amount, card } => {
                let (order, card) = (order.clone(), card.clone());
                let terms = Terms { order, amount: *amount, card };
                *self = Self::Requested { terms, outcome: None };
            }
            PaymentEvent::Captured { receipt, .. } => {
                self.settle(Outcome::Captured(receipt.clone()));
            }
            PaymentEvent::Declined { reason, .. } => self.settle(Outcome::Declined(*reason)),
        }
    }
}

impl Payment {
    fn settle(&mut self, settled: Outcome) {
        // The handlers let nothing be settled that was not requested.
        if let Self::Requested { outcome, .. } = self {
            *outcome = Some(settled);
        }
    }

    /// The order to tell of `reported`; none if it was told before.
    fn order_to_tell(&self, reported: &Outcome) -> Result<Option<OrderId>, PaymentError> {
        match self {
            Self::Unrequested => Err(PaymentError::NotRequested),
            Self::Requested { terms, outcome: None } => Ok(Some(terms.order.clone())),
            Self::Requested { outcome: Some(known), .. } if known == reported => Ok(None),
            Self::Requested { outcome: Some(_), .. } => Err(PaymentError::AlreadySettled),
        }
    }
}

impl Handle<Request> for Payment {
    const NAME: &'static str = "request";
    type Reply = ();

    fn handle(&self, command: Request, ctx: &mut Context<Self>) -> Result<(), PaymentError> {
        let Request { order, amount, card } = command;
        let asked = Terms { order, amount, card };
        match self {
            Self::Unrequested => {
                let Terms { order, amount, card } = asked;
                ctx.emit(PaymentEvent::Requested { order, amount, card });
                Ok(())
            }
            Self::Requested { terms, .. } if *terms == asked => Ok(()), // Asked twice.
            Self::Requested { .. } => Err(PaymentError::AlreadyRequested),
        }
    }
}

impl Handle<Capture> for Payment {
    const NAME: &'static str = "capture";
    type Reply = ();

    fn handle(&self, command: Capture, ctx: &mut Context<Self>) -> Result<(), PaymentError> {
        let Capture { receipt } = command;
        if let Some(order) = self.order_to_tell(&Outcome::Captured(receipt.clone()))? {
            ctx.emit(PaymentEvent::Captured { order, receipt });
        }
        Ok(())
    }
}

impl Handle<Decline> for Payment {
    const NAME: &'static str = "decline";
    type Reply = ();

    fn handle(&self, command: Decline, ctx: &mut Context<Self>) -> Result<(), PaymentError> {
        let Decline { reason } = command;
        if let Some(order) = self.order_to_tell(&Outcome::Declined(reason))? {
            ctx.emit(PaymentEvent::Declined { order, reason });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bus::testing::given;

    use super::*;
    use crate::money::tests::eur;

    fn request() -> Request {
        Request {
            order: OrderId::parse("o-1").expect("an id"),
            amount: eur(500),
            card: CardToken::parse("sim-4242").expect("a token"),
        }
    }

    fn requested() -> PaymentEvent {
        let Request { order, amount, card } = request();
        PaymentEvent::Requested { order, amount, card }
    }

    fn receipt(text: &str) -> Receipt {
        Receipt::parse(text).expect("a receipt")
    }

    fn captured() -> PaymentEvent {
        PaymentEvent::Captured { order: request().order, receipt: receipt("r-1") }
    }

    fn declined() -> PaymentEvent {
        PaymentEvent::Declined { order: request().order, reason: DeclineReason::CardDeclined }
    }

    fn capture(text: &str) -> Capture {
        Capture { receipt: receipt(text) }
    }

    fn decline(reason: DeclineReason) -> Decline {
        Decline { reason }
    }

    #[test]
    fn a_payment_is_requested_once() {
        given::<Payment>([]).when(request()).replies(()).then([requested()]);
        for past in [vec![requested()], vec![requested(), captured()]] {
            given::<Payment>(past).when(request()).replies(()).then([]);
        }
    }

    #[test]
    fn other_terms_are_refused() {
        for other in [
            Request { amount: eur(501), ..request() },
            Request { order: OrderId::parse("o-2").expect("an id"), ..request() },
            Request { card: CardToken::parse("sim-0002").expect("a token"), ..request() },
        ] {
            given::<Payment>([requested()]).when(other).refuses(PaymentError::AlreadyRequested);
        }
    }

    #[test]
    fn an_outcome_is_recorded_once() {
        use DeclineReason::CardDeclined;
        given::<Payment>([requested()]).when(capture("r-1")).replies(()).then([captured()]);
        given::<Payment>([requested(), captured()]).when(capture("r-1")).replies(()).then([]);
        given::<Payment>([requested()]).when(decline(CardDeclined)).replies(()).then([declined()]);
        given::<Payment>([requested(), declined()]).when(decline(CardDeclined)).then([]);
    }

    #[test]
    fn another_outcome_is_refused() {
        use DeclineReason::{CardDeclined, InsufficientFunds};
        let is_captured = || given::<Payment>([requested(), captured()]);
        is_captured().when(decline(CardDeclined)).refuses(PaymentError::AlreadySettled);
        is_captured().when(capture("r-2")).refuses(PaymentError::AlreadySettled);
        let is_declined = || given::<Payment>([requested(), declined()]);
        is_declined().when(capture("r-1")).refuses(PaymentError::AlreadySettled);
        is_declined().when(decline(InsufficientFunds)).refuses(PaymentError::AlreadySettled);
    }

    #[test]
    fn nothing_settles_what_was_not_requested() {
        let reason = DeclineReason::CardDeclined;
        given::<Payment>([]).when(capture("r-1")).refuses(PaymentError::NotRequested);
        given::<Payment>([]).when(decline(reason)).refuses(PaymentError::NotRequested);
    }
}
