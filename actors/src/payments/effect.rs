//! Charging a card because a payment was requested, and giving the money back if that is due.
//!
//! The gateway gets the payment's id as its key, so running again after a crash charges
//! nobody twice. What the gateway does not answer is asked again, later; it is never guessed. What
//! it has not decided on holds nothing up: its webhook decides, or the payment has it asked again.

use bus::{Bus, Effect, Recorded, Retry, Then};
use tokio::time::timeout;

use super::{
    Capture, Charge, Charged, ConfirmRefund, Decline, Gateway, GatewayError, NotePending, Payment,
    PaymentEvent, PaymentId, Verdict,
};
use crate::limits::GATEWAY_TIMEOUT;

/// Charges the card of every requested payment.
#[derive(Debug)]
pub struct ChargeCard<G> {
    /// Who charges it.
    pub gateway: G,
}

impl<G: Gateway> Effect<Payment> for ChargeCard<G> {
    const NAME: &'static str = "charge-card";

    async fn run(
        &self,
        payment: &Recorded<Payment>,
        _: &Bus,
        then: &mut Then,
    ) -> Result<(), Retry> {
        match &payment.event {
            // What is asked again is answered as before, or as it stands now.
            PaymentEvent::Requested { order: _, amount, card }
            | PaymentEvent::ChargeDue { order: _, amount, card } => {
                let (key, card) = (payment.id.clone(), card.clone());
                self.charge(Charge { key, amount: *amount, card }, then).await
            }
            PaymentEvent::RefundDue { order: _, amount, receipt, number } => {
                let (key, receipt) = (payment.id.clone(), receipt.clone());
                let (number, amount) = (*number, *amount);
                self.give_back(Charged { key, number, amount, receipt }, then).await
            }
            PaymentEvent::Pending { .. }
            | PaymentEvent::Authorised { .. }
            | PaymentEvent::WebhookRefused { .. }
            | PaymentEvent::Captured { .. }
            | PaymentEvent::Declined { .. }
            | PaymentEvent::Refunded { .. } => Ok(()),
        }
    }
}

impl<G: Gateway> ChargeCard<G> {
    async fn charge(&self, charge: Charge, then: &mut Then) -> Result<(), Retry> {
        let verdict = timeout(GATEWAY_TIMEOUT, self.gateway.charge(&charge)).await;
        let verdict = verdict.unwrap_or(Err(GatewayError::TimedOut)).map_err(Retry::unreachable)?;
        tell(&charge.key, verdict, then);
        Ok(())
    }

    async fn give_back(&self, charged: Charged, then: &mut Then) -> Result<(), Retry> {
        let given = timeout(GATEWAY_TIMEOUT, self.gateway.give_back(&charged)).await;
        given.unwrap_or(Err(GatewayError::TimedOut)).map_err(Retry::unreachable)?;
        let Charged { key, number, receipt, .. } = charged;
        then.ask(&key, &ConfirmRefund { receipt, number, amount: None });
        Ok(())
    }
}

fn tell(payment: &PaymentId, verdict: Verdict, then: &mut Then) {
    match verdict {
        Verdict::Approved { receipt } => then.ask(payment, &Capture { receipt, amount: None }),
        Verdict::Pending { charge } => then.ask(payment, &NotePending { charge }),
        Verdict::Declined { reason } => {
            then.ask(payment, &Decline { reason, charge: None, amount: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        money::tests::eur,
        payments::{CardToken, DeclineReason, Receipt},
    };

    /// Always the same answer, or none.
    struct Scripted(Option<Result<Verdict, GatewayError>>);

    impl Gateway for Scripted {
        async fn charge(&self, charge: &Charge) -> Result<Verdict, GatewayError> {
            assert_eq!(charge.key.as_str(), "o-1", "the payment's id is the key");
            match &self.0 {
                Some(answer) => answer.clone(),
                None => std::future::pending().await,
            }
        }

        async fn give_back(&self, charged: &Charged) -> Result<(), GatewayError> {
            assert_eq!(charged.key.as_str(), "o-1", "the payment's id is the key");
            match &self.0 {
                Some(Err(error)) => Err(error.clone()),
                Some(Ok(_)) => Ok(()),
                None => std::future::pending().await,
            }
        }
    }

    async fn asked(answer: Option<Result<Verdict, GatewayError>>) -> Result<Vec<String>, Retry> {
        let charge = Charge {
            key: PaymentId::parse("o-1").expect("an id"),
            amount: eur(500),
            card: CardToken::parse("sim-4242").expect("a token"),
        };
        let mut then = Then::default();
        ChargeCard { gateway: Scripted(answer) }.charge(charge, &mut then).await?;
        Ok(then.asked().map(|(kind, id, command)| format!("{kind}/{id}/{command}")).collect())
    }

    #[tokio::test]
    async fn the_payment_hears_the_verdict() {
        let approved = Verdict::Approved { receipt: Receipt::parse("r-1").expect("a receipt") };
        assert_eq!(asked(Some(Ok(approved))).await, Ok(vec!["payment/o-1/capture".to_owned()]));
        let pending = Verdict::Pending { charge: Receipt::parse("ch-1").expect("a receipt") };
        assert_eq!(asked(Some(Ok(pending))).await, Ok(vec!["payment/o-1/note_pending".to_owned()]));
        let declined = Verdict::Declined { reason: DeclineReason::CardDeclined };
        assert_eq!(asked(Some(Ok(declined))).await, Ok(vec!["payment/o-1/decline".to_owned()]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_payment_hears_that_the_money_went_back() {
        let charged = || Charged {
            key: PaymentId::parse("o-1").expect("an id"),
            number: 1,
            amount: eur(500),
            receipt: Receipt::parse("r-1").expect("a receipt"),
        };
        let approved = Verdict::Approved { receipt: charged().receipt };
        let mut then = Then::default();
        let effect = ChargeCard { gateway: Scripted(Some(Ok(approved))) };
        assert_eq!(effect.give_back(charged(), &mut then).await, Ok(()));
        assert_eq!(then.asked().collect::<Vec<_>>(), [("payment", "o-1", "confirm_refund")]);
        let silent = ChargeCard { gateway: Scripted(None) };
        let retry = silent.give_back(charged(), &mut then).await;
        assert_eq!(retry, Err(Retry::unreachable(GatewayError::TimedOut)));
        assert_eq!(then.asked().count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_answered_is_asked_again() {
        let out = GatewayError::Unavailable("503".to_owned());
        assert_eq!(asked(Some(Err(out.clone()))).await, Err(Retry::unreachable(out)));
        assert_eq!(asked(None).await, Err(Retry::unreachable(GatewayError::TimedOut)));
    }
}
