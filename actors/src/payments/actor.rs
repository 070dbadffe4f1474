//! A payment: what was asked of the card, and what came of it.
//!
//! One outcome, whichever is recorded first: who reports it again is heard, who reports another
//! one is refused. What was captured may be given back, in one or more numbered refunds, each once
//! and together no more than that.

use bus::{Actor, Context, Handle, Id};
use serde::{Deserialize, Serialize};

use super::{
    Capture, CardToken, ConfirmRefund, Decline, DeclineReason, PaymentError, PaymentEvent,
    PaymentStatus, PaymentView, Receipt, Refund, Request, Show, refunds::Refunds,
};
use crate::{money::Money, orders::OrderId};

/// The id of a payment: the text of its order's id.
pub type PaymentId = Id<Payment>;

/// A payment.
#[derive(Debug, Default, Serialize, Deserialize)]
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
        /// What of it goes back.
        refunds: Refunds,
    },
}

/// What was asked of the card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    order: OrderId,
    amount: Money,
    card: CardToken,
}

/// What came of a payment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// The card was charged.
    Captured(Receipt),
    /// It was not.
    Declined(DeclineReason),
}

impl Actor for Payment {
    const KIND: &'static str = "payment";
    const STATE: u32 = 2;
    type Event = PaymentEvent;
    type Error = PaymentError;
    type Commands = (Request, Capture, Decline, Refund, ConfirmRefund, Show);

    fn apply(&mut self, event: &PaymentEvent) {
        match event {
            PaymentEvent::Requested { order, amount, card } => {
                let (order, card) = (order.clone(), card.clone());
                let terms = Terms { order, amount: *amount, card };
                *self = Self::Requested { terms, outcome: None, refunds: Refunds::default() };
            }
            PaymentEvent::Captured { receipt, .. } => {
                self.settle(Outcome::Captured(receipt.clone()));
            }
            PaymentEvent::Declined { reason, .. } => self.settle(Outcome::Declined(*reason)),
            // The handlers let nothing be given back that was not captured.
            PaymentEvent::RefundDue { number, amount, .. } => {
                if let Self::Requested { refunds, .. } = self {
                    refunds.ask(*number, *amount);
                }
            }
            PaymentEvent::Refunded { number, .. } => {
                if let Self::Requested { refunds, .. } = self {
                    refunds.done(*number);
                }
            }
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

    /// What was captured with this receipt, and what of it goes back.
    fn captured(&self, receipt: &Receipt) -> Result<(&Terms, &Refunds), PaymentError> {
        match self {
            Self::Unrequested => Err(PaymentError::NotRequested),
            Self::Requested { terms, outcome: Some(Outcome::Captured(known)), refunds }
                if known == receipt =>
            {
                Ok((terms, refunds))
            }
            Self::Requested { .. } => Err(PaymentError::NotCaptured),
        }
    }

    /// What `reported` is the outcome of; none if it was told before.
    fn undecided(&self, reported: &Outcome) -> Result<Option<&Terms>, PaymentError> {
        match self {
            Self::Unrequested => Err(PaymentError::NotRequested),
            Self::Requested { terms, outcome: None, .. } => Ok(Some(terms)),
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
        if let Some(terms) = self.undecided(&Outcome::Captured(receipt.clone()))? {
            let (order, amount) = (terms.order.clone(), Some(terms.amount));
            ctx.emit(PaymentEvent::Captured { order, receipt, amount });
        }
        Ok(())
    }
}

impl Handle<Decline> for Payment {
    const NAME: &'static str = "decline";
    type Reply = ();

    fn handle(&self, command: Decline, ctx: &mut Context<Self>) -> Result<(), PaymentError> {
        let Decline { reason } = command;
        if let Some(Terms { order, .. }) = self.undecided(&Outcome::Declined(reason))? {
            let order = order.clone();
            ctx.emit(PaymentEvent::Declined { order, reason });
        }
        Ok(())
    }
}

impl Handle<Refund> for Payment {
    const NAME: &'static str = "refund";
    type Reply = ();

    fn handle(&self, command: Refund, ctx: &mut Context<Self>) -> Result<(), PaymentError> {
        let Refund { receipt, number, amount: wanted } = command;
        let (Terms { order, amount, .. }, refunds) = self.captured(&receipt)?;
        if let Some(amount) = refunds.next(number, wanted, *amount)? {
            let order = order.clone();
            ctx.emit(PaymentEvent::RefundDue { order, amount, receipt, number });
        }
        Ok(())
    }
}

impl Handle<ConfirmRefund> for Payment {
    const NAME: &'static str = "confirm_refund";
    type Reply = ();

    fn handle(&self, command: ConfirmRefund, ctx: &mut Context<Self>) -> Result<(), PaymentError> {
        let ConfirmRefund { receipt, number } = command;
        let (Terms { order, .. }, refunds) = self.captured(&receipt)?;
        if let Some(amount) = refunds.confirm(number)? {
            let order = order.clone();
            ctx.emit(PaymentEvent::Refunded { order, amount, receipt, number });
        }
        Ok(())
    }
}

impl Handle<Show> for Payment {
    const NAME: &'static str = "show";
    type Reply = PaymentView;

    fn handle(&self, _: Show, _: &mut Context<Self>) -> Result<PaymentView, PaymentError> {
        let Self::Requested { terms, outcome, refunds } = self else {
            return Err(PaymentError::NotRequested);
        };
        let (_, refunded) = refunds.sums(terms.amount);
        let (status, reason) = match outcome {
            None => (PaymentStatus::Requested, None),
            Some(Outcome::Captured(_)) => (PaymentStatus::Captured, None),
            Some(Outcome::Declined(reason)) => (PaymentStatus::Declined, Some(*reason)),
        };
        Ok(PaymentView {
            order: terms.order.clone(),
            status,
            amount: terms.amount,
            refunded,
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use bus::testing::given;

    use super::*;
    use crate::{limits::REFUNDS_MAX, money::tests::eur};

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
        let Request { order, amount, .. } = request();
        PaymentEvent::Captured { order, receipt: receipt("r-1"), amount: Some(amount) }
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

    fn refund(text: &str) -> Refund {
        Refund { receipt: receipt(text), number: 0, amount: None }
    }

    fn part(number: u32, amount: i64) -> Refund {
        Refund { number, amount: Some(eur(amount)), ..refund("r-1") }
    }

    fn confirm_refund(text: &str) -> ConfirmRefund {
        ConfirmRefund { receipt: receipt(text), number: 0 }
    }

    fn part_due(number: u32, amount: i64) -> PaymentEvent {
        let (order, amount, receipt) = (request().order, eur(amount), receipt("r-1"));
        PaymentEvent::RefundDue { order, amount, receipt, number }
    }

    fn part_refunded(number: u32, amount: i64) -> PaymentEvent {
        let (order, amount, receipt) = (request().order, eur(amount), receipt("r-1"));
        PaymentEvent::Refunded { order, amount, receipt, number }
    }

    fn due() -> PaymentEvent {
        part_due(0, 500)
    }

    fn refunded() -> PaymentEvent {
        part_refunded(0, 500)
    }

    #[test]
    fn parts_of_what_was_captured_go_back_and_never_more() {
        let past = || vec![requested(), captured(), part_due(1, 200)];
        given::<Payment>(vec![requested(), captured()]).when(part(1, 200)).then([part_due(1, 200)]);
        given::<Payment>(past()).when(part(1, 200)).replies(()).then([]);
        let repeated = PaymentError::RefundRepeated { number: 1 };
        given::<Payment>(past()).when(part(1, 100)).refuses(repeated);
        given::<Payment>(past()).when(part(2, 300)).then([part_due(2, 300)]);
        let too_large = PaymentError::RefundTooLarge { left: eur(300) };
        given::<Payment>(past()).when(part(2, 301)).refuses(too_large.clone());
        let other = Refund { amount: Some(crate::money::tests::usd(1)), ..part(2, 1) };
        given::<Payment>(past()).when(other).refuses(too_large);
        // All that is left, where nothing is said.
        given::<Payment>(past()).when(refund("r-1")).then([part_due(0, 300)]);
        let confirm = ConfirmRefund { number: 1, ..confirm_refund("r-1") };
        given::<Payment>(past()).when(confirm).then([part_refunded(1, 200)]);
        given::<Payment>(past()).when(confirm_refund("r-1")).refuses(PaymentError::RefundNotDue);
    }

    #[test]
    fn a_payment_has_so_many_refunds_and_no_more() {
        let all = u32::try_from(REFUNDS_MAX).expect("few");
        let parts = (1..=all).map(|number| part_due(number, 1));
        let past: Vec<_> = [requested(), captured()].into_iter().chain(parts).collect();
        given::<Payment>(past).when(part(all + 1, 1)).refuses(PaymentError::TooManyRefunds);
        assert!(PaymentError::TooManyRefunds.to_string().contains(&REFUNDS_MAX.to_string()));
    }

    #[test]
    fn a_payment_shows_how_it_stands() {
        let view = |status| PaymentView {
            order: request().order,
            status,
            amount: eur(500),
            refunded: eur(0),
            reason: None,
        };
        given::<Payment>([requested()]).when(Show {}).replies(view(PaymentStatus::Requested));
        let past =
            [requested(), captured(), part_due(1, 200), part_refunded(1, 200), part_due(2, 5)];
        let shown = PaymentView { refunded: eur(200), ..view(PaymentStatus::Captured) };
        given::<Payment>(past).when(Show {}).replies(shown).then([]);
        let reason = Some(DeclineReason::CardDeclined);
        let shown = PaymentView { reason, ..view(PaymentStatus::Declined) };
        given::<Payment>([requested(), declined()]).when(Show {}).replies(shown);
        given::<Payment>([]).when(Show {}).refuses(PaymentError::NotRequested);
    }

    #[test]
    fn what_was_captured_is_given_back_once() {
        let past = vec![requested(), captured()];
        given::<Payment>(past.clone()).when(refund("r-1")).replies(()).then([due()]);
        let past = [past, vec![due()]].concat();
        given::<Payment>(past.clone()).when(refund("r-1")).replies(()).then([]);
        given::<Payment>(past.clone()).when(confirm_refund("r-1")).then([refunded()]);
        let past = [past, vec![refunded()]].concat();
        given::<Payment>(past.clone()).when(refund("r-1")).replies(()).then([]);
        given::<Payment>(past).when(confirm_refund("r-1")).replies(()).then([]);
    }

    #[test]
    fn nothing_else_is_given_back() {
        for past in [vec![requested()], vec![requested(), declined()]] {
            given::<Payment>(past).when(refund("r-1")).refuses(PaymentError::NotCaptured);
        }
        let is_captured = || given::<Payment>([requested(), captured()]);
        is_captured().when(refund("r-2")).refuses(PaymentError::NotCaptured);
        is_captured().when(confirm_refund("r-1")).refuses(PaymentError::RefundNotDue);
        given::<Payment>([]).when(refund("r-1")).refuses(PaymentError::NotRequested);
    }

    #[test]
    fn nothing_settles_what_was_not_requested() {
        let reason = DeclineReason::CardDeclined;
        given::<Payment>([]).when(capture("r-1")).refuses(PaymentError::NotRequested);
        given::<Payment>([]).when(decline(reason)).refuses(PaymentError::NotRequested);
    }
}
