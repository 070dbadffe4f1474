//! The ledger: what payments did to the shop's money, as double entry.
//!
//! ```text
//!              debit (+)      credit (−)
//! captured     gateway        sales          the gateway owes us what it took
//! refund_due   refunds        refunds_due    we owe the buyer
//! refunded     refunds_due    gateway        the gateway paid it for us
//! ```
//!
//! So `gateway` is what was captured and not given back, and all balances of a currency are zero
//! together, after every event.
//!
//! Captures that were written before they said how much are not in it.

use std::collections::BTreeMap;

use bus::{Fold, IndexEntry, JsonSchema, Projection, Recorded, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Payment, PaymentEvent};
use crate::{
    money::{Currency, Money},
    orders::OrderId,
};

/// The key of the one row with all balances. Entries' keys have a slash, and this has none.
pub const BOOK: &str = "book";

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LedgerRow {
    /// Nothing yet.
    #[default]
    Empty,
    /// What one event did.
    Entry(LedgerEntry),
    /// All balances.
    Book(Book),
}

/// What one event did to the accounts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerEntry {
    /// The payment.
    pub payment: String,
    /// What it was for.
    pub order: String,
    /// What happened.
    pub event: EntryEvent,
    /// Which of the payment's refunds, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::optional_number")]
    pub refund: Option<u32>,
    /// What it moved: together nothing.
    pub postings: Vec<Posting>,
    /// When.
    pub at: Timestamp,
    /// The commit's sequence, by which entries are in order.
    pub sequence: u64,
}

/// What moves money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntryEvent {
    /// A card was charged.
    Captured,
    /// Money is to be given back.
    RefundDue,
    /// It was given back.
    Refunded,
}

/// Where money is, or came from.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// What the card gateway took for us and has not given back: ours.
    Gateway,
    /// What buyers paid.
    Sales,
    /// What of it went back, or is to.
    Refunds,
    /// What buyers are still to be given back.
    RefundsDue,
}

/// One line of an entry, or the balance of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Posting {
    /// Which account.
    pub account: Account,
    /// What the units are of.
    pub currency: Currency,
    /// Minor units: above zero a debit, below zero a credit.
    #[schemars(schema_with = "crate::schema::signed_amount")]
    pub amount: i64,
}

/// All balances.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Book {
    /// One for each account and currency that anything was posted to, in their order.
    pub balances: Vec<Posting>,
}

impl EntryEvent {
    fn name(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::RefundDue => "refund_due",
            Self::Refunded => "refunded",
        }
    }

    /// The accounts to debit and to credit.
    fn accounts(self) -> (Account, Account) {
        match self {
            Self::Captured => (Account::Gateway, Account::Sales),
            Self::RefundDue => (Account::Refunds, Account::RefundsDue),
            Self::Refunded => (Account::RefundsDue, Account::Gateway),
        }
    }

    fn postings(self, Money { amount, currency }: Money) -> [Posting; 2] {
        let (debit, credit) = self.accounts();
        [
            Posting { account: debit, currency, amount },
            Posting { account: credit, currency, amount: -amount },
        ]
    }
}

/// What an event is in the ledger.
struct Move<'a> {
    event: EntryEvent,
    /// Which refund, if it is one.
    refund: Option<u32>,
    order: &'a OrderId,
    amount: Money,
}

impl<'a> Move<'a> {
    fn of(event: &'a PaymentEvent) -> Option<Self> {
        let (event, refund, order, amount) = match event {
            PaymentEvent::Captured { order, amount, .. } => {
                (EntryEvent::Captured, None, order, (*amount)?)
            }
            PaymentEvent::RefundDue { order, amount, number, .. } => {
                (EntryEvent::RefundDue, Some(*number), order, *amount)
            }
            PaymentEvent::Refunded { order, amount, number, .. } => {
                (EntryEvent::Refunded, Some(*number), order, *amount)
            }
            PaymentEvent::Requested { .. }
            | PaymentEvent::Pending { .. }
            | PaymentEvent::Authorised { .. }
            | PaymentEvent::ChargeDue { .. }
            | PaymentEvent::WebhookRefused { .. }
            | PaymentEvent::Declined { .. } => return None,
        };
        Some(Self { event, refund, order, amount })
    }
}

impl Projection for LedgerRow {
    const NAME: &'static str = "ledger";

    fn index(&self) -> Vec<IndexEntry> {
        match self {
            Self::Entry(entry) => vec![
                IndexEntry::new("entries", "all").ranked(entry.sequence),
                IndexEntry::new("order", entry.order.as_str()).ranked(entry.sequence),
            ],
            Self::Empty | Self::Book(_) => Vec::new(),
        }
    }
}

impl Fold<Payment> for LedgerRow {
    fn rows(payment: &Recorded<Payment>) -> Vec<String> {
        let Some(Move { event, refund, .. }) = Move::of(&payment.event) else { return Vec::new() };
        let number = refund.map(|number| format!("/{number}")).unwrap_or_default();
        vec![BOOK.to_owned(), format!("{}/{}{number}", payment.id, event.name())]
    }

    fn fold(&mut self, row: &str, payment: &Recorded<Payment>) {
        let Some(moved) = Move::of(&payment.event) else { return };
        if row != BOOK {
            *self = Self::Entry(LedgerEntry::of(payment, &moved));
            return;
        }
        if !matches!(self, Self::Book(_)) {
            *self = Self::Book(Book::default());
        }
        if let Self::Book(book) = self {
            moved.event.postings(moved.amount).into_iter().for_each(|posting| book.post(posting));
        }
    }
}

impl LedgerEntry {
    fn of(payment: &Recorded<Payment>, moved: &Move<'_>) -> Self {
        Self {
            payment: payment.id.to_string(),
            order: moved.order.to_string(),
            event: moved.event,
            refund: moved.refund,
            postings: moved.event.postings(moved.amount).into(),
            at: payment.commit.at,
            sequence: payment.commit.position.sequence,
        }
    }
}

impl Book {
    fn post(&mut self, posting: Posting) {
        let key = |of: &Posting| (of.account, of.currency.to_string());
        match self.balances.binary_search_by_key(&key(&posting), key) {
            // A balance that cannot be said stays at its bound, and the sum shows it.
            Ok(at) => {
                let balance = &mut self.balances[at].amount;
                *balance = balance.saturating_add(posting.amount);
            }
            Err(at) => self.balances.insert(at, posting),
        }
    }

    /// The sum of all balances of each currency: zero, or something is wrong.
    #[must_use]
    pub fn sums(&self) -> Vec<(Currency, i64)> {
        let mut sums: BTreeMap<String, (Currency, i64)> = BTreeMap::new();
        for Posting { currency, amount, .. } in &self.balances {
            let (_, sum) = sums.entry(currency.to_string()).or_insert((*currency, 0));
            *sum = sum.saturating_add(*amount);
        }
        sums.into_values().collect()
    }
}
