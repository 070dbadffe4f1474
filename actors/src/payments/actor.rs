//! A payment: what was asked of the card, and what came of it.
//!
//! One outcome, whichever is recorded first: who reports it again is heard, who reports another
//! one is refused. What was captured may be given back, in one or more numbered refunds, each once
//! and together no more than that.

use bus::{Actor, Context, Handle, Id};
use serde::{Deserialize, Serialize};

use super::{
    Authorise, Capture, CardToken, CheckVerdict, ConfirmRefund, Decline, DeclineReason,
    NotePending, NoteRefusedWebhook, PaymentError, PaymentEvent, PaymentStatus, PaymentView,
    Receipt, Refund, RefusedWebhook, Request, Show, audit::Refused, pending::Progress,
    refunds::Refunds,
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
    Requested(Box<Asked>),
}

/// A payment that was asked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Asked {
    /// What was asked.
    pub(super) terms: Terms,
    /// What is known of the charge.
    pub(super) progress: Progress,
    /// What came of it, once that is known.
    pub(super) outcome: Option<Outcome>,
    /// What of it goes back.
    pub(super) refunds: Refunds,
    /// What was told of it and not believed.
    pub(super) refused: Refused,
}

/// What was asked of the card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Terms {
    pub(super) order: OrderId,
    pub(super) amount: Money,
    pub(super) card: CardToken,
}

/// What came of a payment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// The card was charged.
    Captured(Receipt),
    /// It was not.
    Declined(DeclineReason),
}

impl Actor for Payment {
    const KIND: &'static str = "payment";
    const STATE: u32 = 3;
    const TIMERS: bool = true;
    type Event = PaymentEvent;
    type Error = PaymentError;
    type Commands = (
        Request,
        NotePending,
        Authorise,
        CheckVerdict,
        Capture,
        Decline,
        Refund,
        ConfirmRefund,
        NoteRefusedWebhook,
        Show,
    );

    fn apply(&mut self, event: &PaymentEvent) {
        match (event, self) {
            (PaymentEvent::Requested { order, amount, card }, payment) => {
                let (order, card) = (order.clone(), card.clone());
                let terms = Terms { order, amount: *amount, card };
                *payment = Self::Requested(Box::new(Asked::new(terms)));
            }
            (event, Self::Requested(asked)) => asked.apply(event),
            // The handlers let nothing else happen to what was not requested.
            (_, Self::Unrequested) => {}
        }
    }
}

impl Asked {
    fn new(terms: Terms) -> Self {
        let (progress, outcome) = Default::default();
        Self { terms, progress, outcome, refunds: Refunds::default(), refused: Refused::default() }
    }

    fn apply(&mut self, event: &PaymentEvent) {
        match event {
            PaymentEvent::Requested { .. } => {}
            PaymentEvent::Pending { charge, .. } => {
                self.progress.charge = Some(charge.clone());
                self.progress.is_pending = true;
            }
            PaymentEvent::Authorised { charge, .. } => {
                self.progress.charge = Some(charge.clone());
                self.progress.is_authorised = true;
            }
            PaymentEvent::ChargeDue { .. } => self.progress.checks += 1,
            PaymentEvent::Captured { receipt, .. } => {
                self.progress.charge = Some(receipt.clone());
                self.outcome = Some(Outcome::Captured(receipt.clone()));
            }
            PaymentEvent::Declined { reason, .. } => {
                self.outcome = Some(Outcome::Declined(*reason));
            }
            // The handlers let nothing be given back that was not captured.
            PaymentEvent::RefundDue { number, amount, .. } => self.refunds.ask(*number, *amount),
            PaymentEvent::Refunded { number, .. } => self.refunds.done(*number),
            PaymentEvent::WebhookRefused { webhook, reason, at } => {
                let (webhook, reason, at) = (webhook.clone(), *reason, *at);
                self.refused.add(RefusedWebhook { webhook, reason, at });
            }
        }
    }

    fn stop_checking(&self, ctx: &mut Context<Payment>) {
        if self.progress.is_pending {
            ctx.disarm(&CheckVerdict {});
        }
    }

    /// What was captured with this receipt, and what of it goes back.
    fn captured(&self, receipt: &Receipt) -> Result<(&Terms, &Refunds), PaymentError> {
        match &self.outcome {
            Some(Outcome::Captured(known)) if known == receipt => Ok((&self.terms, &self.refunds)),
            Some(Outcome::Captured(_)) => Err(PaymentError::OtherCharge),
            Some(Outcome::Declined(_)) | None => Err(PaymentError::NotCaptured),
        }
    }

    /// What `reported` is the outcome of; none if it was told before.
    fn undecided(
        &self,
        reported: &Outcome,
        charge: Option<&Receipt>,
        amount: Option<Money>,
    ) -> Result<Option<&Terms>, PaymentError> {
        same_amount(amount, self.terms.amount)?;
        match &self.outcome {
            None => self.progress.same_charge(charge).map(|()| Some(&self.terms)),
            Some(known) if known == reported => Ok(None),
            Some(_) => Err(PaymentError::AlreadySettled),
        }
    }
}

impl Payment {
    pub(super) fn asked(&self) -> Result<&Asked, PaymentError> {
        match self {
            Self::Unrequested => Err(PaymentError::NotRequested),
            Self::Requested(asked) => Ok(asked),
        }
    }
}

/// Whether what was told is what is awaited; who does not say how much does not contradict.
pub(super) fn same_amount(told: Option<Money>, awaited: Money) -> Result<(), PaymentError> {
    match told {
        Some(told) if told.currency != awaited.currency => Err(PaymentError::OtherCurrency),
        Some(told) if told.amount != awaited.amount => Err(PaymentError::OtherAmount),
        _ => Ok(()),
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
            Self::Requested(before) if before.terms == asked => Ok(()), // Asked twice.
            Self::Requested(_) => Err(PaymentError::AlreadyRequested),
        }
    }
}

impl Handle<Capture> for Payment {
    const NAME: &'static str = "capture";
    type Reply = ();

    fn handle(&self, command: Capture, ctx: &mut Context<Self>) -> Result<(), PaymentError> {
        let Capture { receipt, amount } = command;
        let (asked, outcome) = (self.asked()?, Outcome::Captured(receipt.clone()));
        if let Some(terms) = asked.undecided(&outcome, Some(&receipt), amount)? {
            asked.stop_checking(ctx);
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
        let Decline { reason, charge, amount } = command;
        let (asked, outcome) = (self.asked()?, Outcome::Declined(reason));
        if let Some(Terms { order, .. }) = asked.undecided(&outcome, charge.as_ref(), amount)? {
            asked.stop_checking(ctx);
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
        let (Terms { order, amount, .. }, refunds) = self.asked()?.captured(&receipt)?;
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
        let ConfirmRefund { receipt, number, amount: told } = command;
        let (Terms { order, .. }, refunds) = self.asked()?.captured(&receipt)?;
        if let Some(amount) = refunds.confirm(number, told)? {
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
        let Asked { terms, progress, outcome, refunds, refused } = self.asked()?;
        let (_, refunded) = refunds.sums(terms.amount);
        let (status, reason) = match outcome {
            None => (progress.status(), None),
            Some(Outcome::Captured(_)) => (PaymentStatus::Captured, None),
            Some(Outcome::Declined(reason)) => (PaymentStatus::Declined, Some(*reason)),
        };
        Ok(PaymentView {
            order: terms.order.clone(),
            status,
            amount: terms.amount,
            refunded,
            reason,
            charge: progress.charge.clone(),
            refunds: refunds.shown(),
            refused_webhooks: refused.shown(),
        })
    }
}
