//! What the ledger promises: it balances after every event, whatever happens.

use std::{collections::BTreeMap, sync::Arc};

use bus::{Fold, Projection, Recorded};

use super::{
    CardToken, DeclineReason, Payment, PaymentEvent, Receipt,
    ledger::{Account, BOOK, Book, EntryEvent, LedgerEntry, LedgerRow},
};
use crate::{
    money::{
        Money,
        tests::{eur, usd},
    },
    orders::OrderId,
    recorded::recorded,
};

/// All rows, as the runtime keeps them.
#[derive(Default)]
struct Rows(BTreeMap<String, LedgerRow>);

impl Rows {
    fn after(events: impl IntoIterator<Item = PaymentEvent>) -> Self {
        let mut rows = Self::default();
        for (place, event) in events.into_iter().enumerate() {
            rows.fold("o-1", event, place as u64 + 1);
        }
        rows
    }

    fn fold(&mut self, id: &str, event: PaymentEvent, sequence: u64) {
        let mut payment: Recorded<Payment> = recorded(id, event);
        Arc::get_mut(&mut payment.commit).expect("ours alone").position.sequence = sequence;
        for key in LedgerRow::rows(&payment) {
            self.0.entry(key.clone()).or_default().fold(&key, &payment);
        }
    }

    fn book(&self) -> Book {
        let Some(LedgerRow::Book(book)) = self.0.get(BOOK) else { return Book::default() };
        book.clone()
    }

    fn balance(&self, account: Account, of: Money) -> i64 {
        let book = self.book();
        let is = |p: &&super::ledger::Posting| (p.account, p.currency) == (account, of.currency);
        book.balances.iter().find(is).map_or(0, |balance| balance.amount)
    }

    /// Entries that can be listed, in order.
    fn entries(&self) -> Vec<LedgerEntry> {
        let rows = self.0.values();
        let mut entries: Vec<_> = rows
            .filter_map(|row| match row {
                LedgerRow::Entry(entry) if !row.index().is_empty() => Some(entry.clone()),
                _ => None,
            })
            .collect();
        entries.sort_by_key(|entry| entry.sequence);
        entries
    }

    /// Each entry and all balances are zero, and the balances are those of the entries.
    fn check(&self) {
        let mut posted: BTreeMap<(Account, String), i64> = BTreeMap::new();
        for entry in self.entries() {
            assert_eq!(entry.postings.iter().map(|p| p.amount).sum::<i64>(), 0, "{entry:?}");
            assert!(entry.postings.iter().all(|p| p.currency == entry.postings[0].currency));
            for p in entry.postings {
                *posted.entry((p.account, p.currency.to_string())).or_default() += p.amount;
            }
        }
        let book = self.book();
        assert!(book.sums().iter().all(|(_, sum)| *sum == 0), "{book:?}");
        let balances = book.balances.into_iter();
        let balances = balances.map(|p| ((p.account, p.currency.to_string()), p.amount));
        assert_eq!(balances.collect::<BTreeMap<_, _>>(), posted);
    }
}

fn paid_for() -> OrderId {
    OrderId::parse("o-1").expect("an id")
}

fn receipt() -> Receipt {
    Receipt::parse("r-1").expect("a receipt")
}

fn requested(amount: Money) -> PaymentEvent {
    let card = CardToken::parse("sim-4242").expect("a token");
    PaymentEvent::Requested { order: paid_for(), amount, card }
}

fn captured(amount: Money) -> PaymentEvent {
    PaymentEvent::Captured { order: paid_for(), receipt: receipt(), amount: Some(amount) }
}

fn declined() -> PaymentEvent {
    PaymentEvent::Declined { order: paid_for(), reason: DeclineReason::CardDeclined }
}

fn due(number: u32, amount: Money) -> PaymentEvent {
    PaymentEvent::RefundDue { order: paid_for(), amount, receipt: receipt(), number }
}

fn refunded(number: u32, amount: Money) -> PaymentEvent {
    PaymentEvent::Refunded { order: paid_for(), amount, receipt: receipt(), number }
}

#[test]
fn what_was_paid_and_partly_given_back_is_where_it_belongs() {
    let rows = Rows::after([
        requested(eur(500)),
        captured(eur(500)),
        due(1, eur(200)),
        due(2, eur(50)),
        refunded(1, eur(200)),
    ]);
    let balance = |account| rows.balance(account, eur(0));
    assert_eq!(balance(Account::Gateway), 300);
    assert_eq!(balance(Account::Sales), -500);
    assert_eq!(balance(Account::Refunds), 250);
    assert_eq!(balance(Account::RefundsDue), -50);
    rows.check();
    let shown: Vec<_> = rows.entries().iter().map(|e| (e.event, e.refund, e.sequence)).collect();
    let expected = [
        (EntryEvent::Captured, None, 2),
        (EntryEvent::RefundDue, Some(1), 3),
        (EntryEvent::RefundDue, Some(2), 4),
        (EntryEvent::Refunded, Some(1), 5),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn what_was_not_charged_is_no_entry() {
    for events in [vec![requested(eur(500))], vec![requested(eur(500)), declined()]] {
        let rows = Rows::after(events);
        assert_eq!((rows.entries(), rows.book().balances), (vec![], vec![]));
    }
    let rows = Rows::after([requested(eur(500)), captured(eur(500))]);
    assert_eq!(rows.book().balances.len(), 2);
}

#[test]
fn a_capture_that_does_not_say_how_much_is_no_entry() {
    let old = PaymentEvent::Captured { order: paid_for(), receipt: receipt(), amount: None };
    assert_eq!(Rows::after([requested(eur(500)), old]).0.len(), 0);
}

/// Numbers that look like chance and are the same every time (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn every_prefix_balances_whatever_happens_in_whatever_order() {
    for seed in 1..=300 {
        let (mut chance, mut rows) = (Chance(seed * 0x9e37_79b9), Rows::default());
        let mut is_paid = [false; 4];
        for step in 1..=60_u32 {
            let id = chance.below(4);
            let cents = i64::try_from(chance.below(10_000)).expect("small");
            let amount = if id % 2 == 0 { eur(cents) } else { usd(cents) };
            let event = match chance.below(5) {
                0 => requested(amount),
                1 if !std::mem::replace(
                    &mut is_paid[usize::try_from(id).expect("small")],
                    true,
                ) =>
                {
                    captured(amount)
                }
                1 | 2 => declined(),
                3 => due(step, amount),
                _ => refunded(step, amount),
            };
            rows.fold(&format!("o-{id}"), event, step.into());
            rows.check();
        }
    }
}
