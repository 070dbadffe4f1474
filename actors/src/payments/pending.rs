//! A charge that the gateway decides on later: its webhook tells, and if none comes it is asked
//! for again, after growing pauses.

use std::time::Duration;

use bus::{Context, Handle};
use serde::{Deserialize, Serialize};

use super::{
    Authorise, CheckVerdict, NotePending, Payment, PaymentError, PaymentEvent, PaymentStatus,
    Receipt,
    actor::{Outcome, Terms, same_amount},
};
use crate::limits::{VERDICT_CHECKS_MAX, VERDICT_PAUSE, VERDICT_PAUSE_MAX};

/// What is known of a charge before it is decided.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The gateway's number for it.
    pub(super) charge: Option<Receipt>,
    /// It was answered as pending.
    pub(super) is_pending: bool,
    /// It may be charged.
    pub(super) is_authorised: bool,
    /// How often it was asked for since it is pending.
    pub(super) checks: u32,
}

impl Progress {
    /// Whether what is told of `charge` is told of this payment's.
    pub(super) fn same_charge(&self, charge: Option<&Receipt>) -> Result<(), PaymentError> {
        match (&self.charge, charge) {
            (Some(known), Some(told)) if known != told => Err(PaymentError::OtherCharge),
            _ => Ok(()),
        }
    }

    pub(super) fn status(&self) -> PaymentStatus {
        match self {
            Self { is_authorised: true, .. } => PaymentStatus::Authorised,
            Self { is_pending: true, .. } => PaymentStatus::Pending,
            _ => PaymentStatus::Requested,
        }
    }

    fn pause(&self) -> Duration {
        let doubled = 2_u32.checked_pow(self.checks).and_then(|n| VERDICT_PAUSE.checked_mul(n));
        doubled.map_or(VERDICT_PAUSE_MAX, |pause| pause.min(VERDICT_PAUSE_MAX))
    }
}

/// The gateway is to be asked, and to charge the card if it may be.
fn charge_due(Terms { order, amount, card }: &Terms) -> PaymentEvent {
    PaymentEvent::ChargeDue { order: order.clone(), amount: *amount, card: card.clone() }
}

impl Handle<NotePending> for Payment {
    const NAME: &'static str = "note_pending";
    type Reply = ();

    fn handle(&self, command: NotePending, ctx: &mut Context<Self>) -> Result<(), PaymentError> {
        let NotePending { charge } = command;
        let asked = self.asked()?;
        asked.progress.same_charge(Some(&charge))?;
        if asked.outcome.is_some() || asked.progress.is_pending {
            return Ok(());
        }
        ctx.emit(PaymentEvent::Pending { order: asked.terms.order.clone(), charge });
        if asked.progress.is_authorised {
            // The webhook was faster than the answer that it overtook.
            ctx.emit(charge_due(&asked.terms));
        }
        ctx.after(asked.progress.pause(), CheckVerdict {});
        Ok(())
    }
}

impl Handle<Authorise> for Payment {
    const NAME: &'static str = "authorise";
    type Reply = ();

    fn handle(&self, command: Authorise, ctx: &mut Context<Self>) -> Result<(), PaymentError> {
        let Authorise { charge, amount } = command;
        let asked = self.asked()?;
        same_amount(Some(amount), asked.terms.amount)?;
        asked.progress.same_charge(Some(&charge))?;
        match &asked.outcome {
            Some(Outcome::Declined(_)) => return Err(PaymentError::AlreadySettled),
            Some(Outcome::Captured(_)) => return Ok(()),
            None if asked.progress.is_authorised => return Ok(()),
            None => {}
        }
        ctx.emit(PaymentEvent::Authorised { order: asked.terms.order.clone(), charge });
        // Unless it is pending, whoever asked for it is still about it, and has it charged.
        if asked.progress.is_pending {
            ctx.emit(charge_due(&asked.terms));
        }
        Ok(())
    }
}

impl Handle<CheckVerdict> for Payment {
    const NAME: &'static str = "check_verdict";
    type Reply = ();

    fn handle(&self, _: CheckVerdict, ctx: &mut Context<Self>) -> Result<(), PaymentError> {
        let asked = self.asked()?;
        let is_waiting = asked.outcome.is_none() && asked.progress.is_pending;
        if is_waiting && asked.progress.checks < VERDICT_CHECKS_MAX {
            ctx.emit(charge_due(&asked.terms));
            ctx.after(asked.progress.pause(), CheckVerdict {});
        }
        Ok(())
    }
}
