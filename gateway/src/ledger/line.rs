//! A line of the file: what one request or one timer changed, whole or not at all.
//!
//! It says how things are from now on, not how they became so: reading all lines in their order
//! gives the books, and one line for each thing is as good as all there were before.

use serde::{Deserialize, Serialize};

use crate::{
    charge::{Charge, Terms},
    webhook::Delivery,
};

/// What one request or one timer changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// This charge is so from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) charge: Option<Charge>,
    /// The first call of a key was left unanswered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unanswered: Option<Call>,
    /// These are to be sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) deliveries: Vec<Delivery>,
    /// This one was taken, or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delivered: Option<u64>,
}

/// A call for a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) key: String,
    pub(crate) terms: Terms,
}

impl Line {
    pub(crate) fn charge(charge: Charge, deliveries: Vec<Delivery>) -> Self {
        Self { charge: Some(charge), deliveries, ..Self::default() }
    }

    pub(crate) fn unanswered(call: Call) -> Self {
        Self { unanswered: Some(call), ..Self::default() }
    }

    pub(crate) fn delivery(delivery: Delivery) -> Self {
        Self { deliveries: vec![delivery], ..Self::default() }
    }

    pub(crate) fn delivered(number: u64) -> Self {
        Self { delivered: Some(number), ..Self::default() }
    }

    /// Nothing changed.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
