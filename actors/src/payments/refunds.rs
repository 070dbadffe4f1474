//! What of a captured payment goes back: numbered refunds, together never more than was captured.

use serde::{Deserialize, Serialize};

use super::{PaymentError, RefundView, actor::same_amount};
use crate::{limits::REFUNDS_MAX, money::Money};

/// A payment's refunds: few.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Refunds(Vec<RefundView>);

impl Refunds {
    pub(super) fn ask(&mut self, number: u32, amount: Money) {
        self.0.push(RefundView { number, amount, is_done: false });
    }

    pub(super) fn done(&mut self, number: u32) {
        for part in self.0.iter_mut().filter(|part| part.number == number) {
            part.is_done = true;
        }
    }

    pub(super) fn shown(&self) -> Vec<RefundView> {
        self.0.clone()
    }

    fn part(&self, number: u32) -> Option<&RefundView> {
        self.0.iter().find(|part| part.number == number)
    }

    /// How much of `captured` has a refund asked for, and how much has gone back.
    pub(super) fn sums(&self, captured: Money) -> (Money, Money) {
        let sum = |parts: &mut dyn Iterator<Item = &RefundView>| Money {
            amount: parts.map(|part| part.amount.amount).sum(),
            ..captured
        };
        let asked = sum(&mut self.0.iter());
        let given = sum(&mut self.0.iter().filter(|part| part.is_done));
        (asked, given)
    }

    /// How much refund `number` is to be; none if it was asked for before.
    pub(super) fn next(
        &self,
        number: u32,
        amount: Option<Money>,
        captured: Money,
    ) -> Result<Option<Money>, PaymentError> {
        if let Some(known) = self.part(number) {
            let is_same = amount.is_none_or(|amount| amount == known.amount);
            return if is_same { Ok(None) } else { Err(PaymentError::RefundRepeated { number }) };
        }
        if self.0.len() >= REFUNDS_MAX {
            return Err(PaymentError::TooManyRefunds);
        }
        let (asked, _) = self.sums(captured);
        let left = Money { amount: captured.amount - asked.amount, ..captured };
        let amount = amount.unwrap_or(left);
        let is_part = amount.currency == left.currency && amount.amount <= left.amount;
        if is_part { Ok(Some(amount)) } else { Err(PaymentError::RefundTooLarge { left }) }
    }

    /// How much refund `number` gave back just now; none if that is known.
    pub(super) fn confirm(
        &self,
        number: u32,
        told: Option<Money>,
    ) -> Result<Option<Money>, PaymentError> {
        let part = self.part(number).ok_or(PaymentError::RefundNotDue)?;
        same_amount(told, part.amount)?;
        Ok((!part.is_done).then_some(part.amount))
    }
}
