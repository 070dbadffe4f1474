//! An account: what is on it, and what it answers when it is asked for it.

use std::{collections::VecDeque, time::Duration};

use bus::{Actor, Context, Handle, Id, Timestamp};
use serde::{Deserialize, Serialize};

use crate::TransferId;

/// The id of an account.
pub type AccountId = Id<Account>;

/// A person looks at what takes more than this at once, in cents.
pub const SUSPICIOUS: u64 = 1_000_000;
/// A person looks at whatever takes more after so many withdrawals within an hour.
pub const OFTEN: usize = 5;
const LATELY: Duration = Duration::from_secs(3_600);

/// An account.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Account {
    /// What is on it, once it is open.
    cents: Option<u64>,
    /// When money was taken, the last [`OFTEN`] times.
    taken: VecDeque<Timestamp>,
}

/// What can happen to an account. A "no" is an event, too: the transfer must hear of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AccountEvent {
    #[serde(rename = "opened")]
    Opened { amount: u64 },
    #[serde(rename = "answered")]
    Answered { transfer: TransferId, amount: u64, answer: Answer, at: Timestamp },
}

/// What an account answers a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Withdrawn,
    /// There is too little on it.
    Lacking,
    /// A person is to look at it.
    Suspicious,
    Deposited,
    /// There is no such account, or it can hold no more.
    Bounced,
}

/// Why an account says no to who is no transfer.
#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccountError {
    #[error("the account is open already")]
    AlreadyOpen,
}

/// Open it, with so much on it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Open(pub u64);

/// Give money for a transfer, which a person has approved or not.
#[derive(Debug, Serialize, Deserialize)]
pub struct Withdraw {
    pub transfer: TransferId,
    pub amount: u64,
    pub is_approved: bool,
}

/// Take the money of a transfer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Deposit {
    pub transfer: TransferId,
    pub amount: u64,
}

/// How much is on you, if you are open?
#[derive(Debug, Serialize, Deserialize)]
pub struct Balance {}

impl Actor for Account {
    const KIND: &'static str = "account";
    type Event = AccountEvent;
    type Error = AccountError;
    type Commands = (Open, Withdraw, Deposit, Balance);

    fn apply(&mut self, event: &AccountEvent) {
        match *event {
            AccountEvent::Opened { amount } => self.cents = Some(amount),
            AccountEvent::Answered { amount, answer, at, .. } => match answer {
                Answer::Withdrawn => {
                    self.cents = self.cents.map(|cents| cents - amount);
                    self.taken.push_back(at);
                    self.taken.drain(..self.taken.len().saturating_sub(OFTEN));
                }
                Answer::Deposited => self.cents = self.cents.map(|cents| cents + amount),
                Answer::Lacking | Answer::Suspicious | Answer::Bounced => {}
            },
        }
    }
}

impl Account {
    fn is_suspicious(&self, amount: u64, now: Timestamp) -> bool {
        let lately = self.taken.iter().filter(|taken| taken.plus(LATELY) > now);
        amount > SUSPICIOUS || lately.count() >= OFTEN
    }
}

impl Handle<Open> for Account {
    const NAME: &'static str = "open";
    type Reply = ();

    fn handle(&self, Open(amount): Open, ctx: &mut Context<Self>) -> Result<(), AccountError> {
        if self.cents.is_some() {
            return Err(AccountError::AlreadyOpen);
        }
        ctx.emit(AccountEvent::Opened { amount });
        Ok(())
    }
}

impl Handle<Withdraw> for Account {
    const NAME: &'static str = "withdraw";
    type Reply = ();

    fn handle(&self, asked: Withdraw, ctx: &mut Context<Self>) -> Result<(), AccountError> {
        let Withdraw { transfer, amount, is_approved } = asked;
        let answer = match self.cents {
            Some(cents) if cents >= amount => {
                let is_held = !is_approved && self.is_suspicious(amount, ctx.now());
                if is_held { Answer::Suspicious } else { Answer::Withdrawn }
            }
            _ => Answer::Lacking,
        };
        ctx.emit(AccountEvent::Answered { transfer, amount, answer, at: ctx.now() });
        Ok(())
    }
}

impl Handle<Deposit> for Account {
    const NAME: &'static str = "deposit";
    type Reply = ();

    fn handle(&self, asked: Deposit, ctx: &mut Context<Self>) -> Result<(), AccountError> {
        let Deposit { transfer, amount } = asked;
        let sum = self.cents.and_then(|cents| cents.checked_add(amount));
        let answer = if sum.is_some() { Answer::Deposited } else { Answer::Bounced };
        ctx.emit(AccountEvent::Answered { transfer, amount, answer, at: ctx.now() });
        Ok(())
    }
}

impl Handle<Balance> for Account {
    const NAME: &'static str = "balance";
    type Reply = Option<u64>;

    fn handle(&self, _: Balance, _: &mut Context<Self>) -> Result<Option<u64>, AccountError> {
        Ok(self.cents)
    }
}
