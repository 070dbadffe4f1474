//! The world outside the shop: a card gateway that keeps a ledger, outside of every node. It
//! forgets nothing when a node dies, and treats a repeated key as one, as real ones do.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use actors::payments::{
    Charge, Charged, Gateway, GatewayError, PaymentId, SimulatedGateway, Verdict,
};

/// What a gateway did for one payment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    /// Taken from the card, in minor units.
    pub(crate) taken: i64,
    /// Given back, by the refund's number.
    pub(crate) given_back: BTreeMap<u32, i64>,
}

impl Account {
    /// What was taken and not given back.
    pub(crate) fn kept(&self) -> i64 {
        self.taken - self.given_back.values().sum::<i64>()
    }
}

/// How long a gateway that is away at first stays away: orders expire before it is back.
const AWAY: Duration = Duration::from_secs(20 * 60);

/// A gateway that answers as the documented cards say, sometimes late, and remembers.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    gateway: SimulatedGateway,
    back_at: Instant,
    accounts: Mutex<BTreeMap<PaymentId, Account>>,
}

impl Ledger {
    pub(crate) fn new(is_away: bool) -> Self {
        let away = if is_away { AWAY } else { Duration::ZERO };
        let back_at = Instant::now() + away;
        let (gateway, accounts) = Default::default();
        Self { inner: Arc::new(Inner { gateway, back_at, accounts }) }
    }

    fn check_is_there(&self) -> Result<(), GatewayError> {
        if Instant::now() < self.inner.back_at {
            return Err(GatewayError::Unavailable("it is away".to_owned()));
        }
        Ok(())
    }

    fn accounts(&self) -> MutexGuard<'_, BTreeMap<PaymentId, Account>> {
        self.inner.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was done for each payment.
    pub(crate) fn read(&self) -> BTreeMap<String, Account> {
        let accounts = self.accounts();
        accounts.iter().map(|(id, account)| (id.to_string(), account.clone())).collect()
    }
}

impl Gateway for Ledger {
    async fn charge(&self, charge: &Charge) -> Result<Verdict, GatewayError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.check_is_there()?;
        let verdict = self.inner.gateway.charge(charge).await?;
        if let Verdict::Approved { .. } = verdict {
            let mut accounts = self.accounts();
            once(&mut accounts.entry(charge.key.clone()).or_default().taken, charge.amount.amount);
        }
        Ok(verdict)
    }

    async fn give_back(&self, charged: &Charged) -> Result<(), GatewayError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.check_is_there()?;
        let mut accounts = self.accounts();
        let account = accounts.entry(charged.key.clone()).or_default();
        let amount = charged.amount.amount;
        once(account.given_back.entry(charged.number).or_default(), amount);
        Ok(())
    }
}

/// The same amount under the same key moves once; another one is a mistake, and shows.
fn once(moved: &mut i64, amount: i64) {
    if *moved != amount {
        *moved += amount;
    }
}
