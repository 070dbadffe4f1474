//! The world outside the shop: a card gateway that keeps a ledger, outside of every node. It
//! forgets nothing when a node dies, and treats a repeated key as one, as real ones do.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actors::payments::{
    Charge, Charged, Gateway, GatewayError, PaymentId, SimulatedGateway, Verdict,
};

/// What a gateway did for one payment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    /// Taken from the card, in minor units.
    pub(crate) taken: i64,
    /// Given back.
    pub(crate) given_back: i64,
}

/// A gateway that answers as the documented cards say, sometimes late, and remembers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    gateway: SimulatedGateway,
    accounts: Mutex<BTreeMap<PaymentId, Account>>,
}

impl Ledger {
    fn accounts(&self) -> MutexGuard<'_, BTreeMap<PaymentId, Account>> {
        self.inner.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was done for each payment.
    pub(crate) fn read(&self) -> BTreeMap<PaymentId, Account> {
        self.accounts().clone()
    }
}

impl Gateway for Ledger {
    async fn charge(&self, charge: &Charge) -> Result<Verdict, GatewayError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let verdict = self.inner.gateway.charge(charge).await?;
        if let Verdict::Approved { .. } = verdict {
            self.accounts().entry(charge.key.clone()).or_default().taken = charge.amount.amount;
        }
        Ok(verdict)
    }

    async fn give_back(&self, charged: &Charged) -> Result<(), GatewayError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.accounts().entry(charged.key.clone()).or_default().given_back = charged.amount.amount;
        Ok(())
    }
}
