//! What the owner of a charge is told, and when it is sent.

use serde::{Deserialize, Serialize};

use crate::{
    cards::Reason,
    charge::{Charge, Kind, Occurrence},
};

/// The body of a webhook. The same one, sent again, has the same id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) reference: String,
    pub(crate) charge: String,
    pub(crate) amount: u64,
    pub(crate) currency: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Reason>,
    /// The key of the refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refund: Option<String>,
    /// When it happened, in unix milliseconds.
    pub(crate) at: u64,
}

impl Webhook {
    pub(crate) fn of(charge: &Charge, occurrence: Occurrence, id: String, at: u64) -> Self {
        let Occurrence { kind, amount, reason, refund } = occurrence;
        Self {
            id,
            kind,
            reference: charge.terms.reference.clone(),
            charge: charge.id.clone(),
            amount,
            currency: charge.terms.currency.clone(),
            reason,
            refund,
            at,
        }
    }
}

/// A webhook to be sent, until it is taken or given up. One that is to arrive twice has two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delivery {
    /// Its own among those that wait.
    pub(crate) number: u64,
    /// Not before then, in unix milliseconds.
    pub(crate) due: u64,
    pub(crate) webhook: Webhook,
    /// Tries that failed. They begin anew with the process.
    #[serde(skip)]
    pub(crate) failures: u32,
    /// How much must be on disk before it is sent: nobody is told what a crash undoes.
    #[serde(skip)]
    pub(crate) after: u64,
}
