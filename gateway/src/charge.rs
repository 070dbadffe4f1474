//! One charge: what it is, and what may become of it. Pure: no clock, no chance.
//!
//! What is asked a second time is answered as before and changes nothing; see the `Ok(None)`s.

use serde::{Deserialize, Serialize};

use crate::{
    cards::{Reason, Verdict},
    limits::REFUNDS_MAX,
    refusal::Refusal,
};

/// A charge, as it is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Charge {
    pub(crate) id: String,
    /// The key it was asked for with.
    pub(crate) key: String,
    pub(crate) terms: Terms,
    /// It was answered as pending, and is to whoever asks again with its key.
    pub(crate) was_pending: bool,
    pub(crate) state: State,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Terms {
    /// What it is for, in the client's words.
    pub(crate) reference: String,
    /// In minor units.
    pub(crate) amount: u64,
    pub(crate) currency: String,
    /// What stands for the card.
    pub(crate) token: String,
}

/// Where a charge is in its life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum State {
    Pending {
        /// Unix milliseconds.
        until: u64,
        then: Verdict,
    },
    Authorised,
    Declined {
        reason: Reason,
    },
    Captured {
        amount: u64,
        refunds: Vec<Refund>,
    },
    Voided,
}

/// Some of what was captured, given back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refund {
    pub(crate) key: String,
    pub(crate) amount: u64,
}

/// Something happened to a charge that its owner is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Occurrence {
    pub(crate) kind: Kind,
    pub(crate) amount: u64,
    pub(crate) reason: Option<Reason>,
    /// The key of the refund.
    pub(crate) refund: Option<String>,
}

/// What can happen to a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    #[serde(rename = "charge.authorised")]
    Authorised,
    #[serde(rename = "charge.declined")]
    Declined,
    #[serde(rename = "charge.captured")]
    Captured,
    #[serde(rename = "charge.refunded")]
    Refunded,
    #[serde(rename = "charge.voided")]
    Voided,
}

/// What a charge becomes, and what its owner is told; none if it is so already.
pub(crate) type Change = Option<(Charge, Occurrence)>;

impl Charge {
    /// A charge that is decided at once.
    pub(crate) fn decided(
        id: String,
        key: String,
        terms: Terms,
        verdict: Verdict,
    ) -> (Self, Occurrence) {
        let occurrence = Occurrence::of_verdict(verdict, terms.amount);
        (Self { id, key, terms, was_pending: false, state: verdict.into() }, occurrence)
    }

    /// A charge that is decided at `until`, in unix milliseconds.
    pub(crate) fn pending(
        id: String,
        key: String,
        terms: Terms,
        until: u64,
        then: Verdict,
    ) -> Self {
        Self { id, key, terms, was_pending: true, state: State::Pending { until, then } }
    }

    /// The bank decides on a pending charge.
    pub(crate) fn settle(&self) -> Change {
        let State::Pending { then, .. } = self.state else {
            return None;
        };
        let occurrence = Occurrence::of_verdict(then, self.terms.amount);
        Some((self.with(then.into()), occurrence))
    }

    /// Takes `amount` of what was authorised, and lets go of the rest.
    pub(crate) fn capture(&self, amount: u64) -> Result<Change, Refusal> {
        match self.state {
            State::Pending { .. } => Err(Refusal::StillPending),
            State::Declined { .. } => Err(Refusal::Declined),
            State::Voided => Err(Refusal::Voided),
            State::Captured { amount: captured, .. } if captured == amount => Ok(None),
            State::Captured { .. } => Err(Refusal::AlreadyCaptured),
            State::Authorised if amount > self.terms.amount => {
                Err(Refusal::MoreThanAuthorised { authorised: self.terms.amount })
            }
            State::Authorised => {
                let captured = self.with(State::Captured { amount, refunds: Vec::new() });
                Ok(Some((captured, Occurrence::of(Kind::Captured, amount))))
            }
        }
    }

    /// Gives `amount` of what was captured back, once for each key.
    pub(crate) fn refund(&self, key: &str, amount: u64) -> Result<Change, Refusal> {
        let (captured, refunds) = match &self.state {
            State::Captured { amount, refunds } => (*amount, refunds),
            State::Pending { .. } => return Err(Refusal::StillPending),
            State::Declined { .. } => return Err(Refusal::Declined),
            State::Voided => return Err(Refusal::Voided),
            State::Authorised => return Err(Refusal::NotCaptured),
        };
        if let Some(before) = refunds.iter().find(|refund| refund.key == key) {
            return if before.amount == amount { Ok(None) } else { Err(Refusal::KeyReused) };
        }
        let left = captured.saturating_sub(self.refunded());
        if amount > left {
            return Err(Refusal::MoreThanCaptured { left });
        }
        if refunds.len() >= REFUNDS_MAX {
            return Err(Refusal::TooManyRefunds);
        }
        let mut refunds = refunds.clone();
        refunds.push(Refund { key: key.to_owned(), amount });
        let refunded = self.with(State::Captured { amount: captured, refunds });
        let occurrence = Occurrence::of(Kind::Refunded, amount);
        Ok(Some((refunded, Occurrence { refund: Some(key.to_owned()), ..occurrence })))
    }

    /// Lets go of what was authorised.
    pub(crate) fn void(&self) -> Result<Change, Refusal> {
        match self.state {
            State::Pending { .. } => Err(Refusal::StillPending),
            State::Declined { .. } => Err(Refusal::Declined),
            State::Captured { .. } => Err(Refusal::AlreadyCaptured),
            State::Voided => Ok(None),
            State::Authorised => {
                let occurrence = Occurrence::of(Kind::Voided, self.terms.amount);
                Ok(Some((self.with(State::Voided), occurrence)))
            }
        }
    }

    pub(crate) fn captured(&self) -> u64 {
        if let State::Captured { amount, .. } = self.state { amount } else { 0 }
    }

    pub(crate) fn refunded(&self) -> u64 {
        match &self.state {
            State::Captured { refunds, .. } => refunds.iter().map(|refund| refund.amount).sum(),
            _ => 0,
        }
    }

    pub(crate) fn reason(&self) -> Option<Reason> {
        if let State::Declined { reason } = self.state { Some(reason) } else { None }
    }

    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending { .. })
    }

    fn with(&self, state: State) -> Self {
        Self { state, ..self.clone() }
    }
}

impl From<Verdict> for State {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Authorised => Self::Authorised,
            Verdict::Declined { reason } => Self::Declined { reason },
        }
    }
}

impl Occurrence {
    fn of(kind: Kind, amount: u64) -> Self {
        Self { kind, amount, reason: None, refund: None }
    }

    fn of_verdict(verdict: Verdict, amount: u64) -> Self {
        match verdict {
            Verdict::Authorised => Self::of(Kind::Authorised, amount),
            Verdict::Declined { reason } => {
                Self { reason: Some(reason), ..Self::of(Kind::Declined, amount) }
            }
        }
    }
}

#[cfg(test)]
#[path = "charge_tests.rs"]
mod tests;
