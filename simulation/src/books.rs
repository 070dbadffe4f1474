//! The books: what the shop's ledger says, held against a count of the payments' raw events, and
//! what the card gateway keeps against what is paid for.

use std::collections::{BTreeMap, BTreeSet};

use actors::payments::{Account, BOOK, Book, LedgerRow};
use bus::Bus;
use serde_json::Value;

use crate::{ROWS_WITHIN, audit::Story, fates::Fate, outside};

/// Minor units, by currency.
type Amounts = BTreeMap<String, i64>;

/// What the raw events say together.
#[derive(Default)]
struct Counted {
    captured: Amounts,
    due: Amounts,
    refunded: Amounts,
}

/// The ledger that is shown must be that of what happened.
pub(crate) async fn check_books(bus: &Bus, story: &mut Story) {
    let payments = story.position("payment");
    match bus.rows::<LedgerRow>().get(BOOK).after(&payments).timeout(ROWS_WITHIN).await {
        Ok(Some(LedgerRow::Book(book))) => story.check_book(&book),
        Ok(None | Some(LedgerRow::Empty)) => story.check_book(&Book::default()),
        Ok(Some(LedgerRow::Entry(entry))) => {
            story.found.push(format!("an entry of the ledger has the book's place: {entry:?}"));
        }
        Err(error) => story.found.push(format!("the ledger's book: {error}")),
    }
}

impl Story {
    fn check_book(&mut self, book: &Book) {
        for (currency, sum) in book.sums() {
            if sum != 0 {
                self.found.push(format!("the ledger is {sum} {currency} out of balance"));
            }
        }
        let Counted { captured, due, refunded } = self.counted();
        let minus = |of: &Amounts, less: &Amounts| {
            let left = |(currency, amount): (&String, &i64)| {
                (currency.clone(), amount - less.get(currency).copied().unwrap_or_default())
            };
            of.iter().map(left).collect::<Amounts>()
        };
        let nothing: Amounts = captured.keys().map(|currency| (currency.clone(), 0)).collect();
        for (account, counted) in [
            (Account::Gateway, minus(&captured, &refunded)),
            (Account::Sales, minus(&nothing, &captured)),
            (Account::Refunds, due.clone()),
            (Account::RefundsDue, minus(&refunded, &due)),
        ] {
            let booked = book.balances.iter().filter(|balance| balance.account == account);
            let booked: Amounts =
                booked.map(|balance| (balance.currency.to_string(), balance.amount)).collect();
            let is_same = counted.iter().all(|(of, n)| booked.get(of).copied().unwrap_or(0) == *n);
            if !is_same || booked.len() > counted.len() {
                self.found.push(format!("{account:?} has {booked:?}, and {counted:?} was counted"));
            }
        }
    }

    fn counted(&self) -> Counted {
        let mut requested: BTreeMap<&str, &Value> = BTreeMap::new();
        let mut counted = Counted::default();
        for (payment, name, fields) in self.events("payment") {
            match name {
                "requested" => drop(requested.insert(payment, &fields["amount"])),
                // Not what the capture says of itself: that is what the ledger went by.
                "captured" => add(&mut counted.captured, requested.get(payment).copied()),
                "refund_due" => add(&mut counted.due, Some(&fields["amount"])),
                "refunded" => add(&mut counted.refunded, Some(&fields["amount"])),
                _ => {}
            }
        }
        counted
    }

    /// Money kept is that of paid orders without what was returned; whatever else was taken was
    /// given back, and never more than was taken.
    pub(crate) fn check_money(&mut self, accounts: &BTreeMap<String, outside::Account>) {
        let mut cost: BTreeMap<&str, i64> = BTreeMap::new();
        for (order, name, fields) in self.events("order") {
            if name == "line_reserved" {
                let price = fields["unit_price"]["amount"].as_i64().unwrap_or_default();
                let quantity = fields["quantity"].as_i64().unwrap_or_default();
                *cost.entry(order).or_default() += price * quantity;
            }
        }
        let fates = self.fates();
        let mut found = Vec::new();
        for (payment, account) in accounts {
            let is_kept = |fate: &&Fate| fate.is_confirmed && !fate.is_revoked;
            let due = fates.get(payment).filter(is_kept).map_or(0, |fate| {
                cost.get(payment.as_str()).copied().unwrap_or_default() - fate.refunds
            });
            let kept = account.kept();
            if kept != due {
                found
                    .push(format!("payment/{payment} keeps {kept}, and {due} is due: {account:?}"));
            }
            if kept < 0 {
                found.push(format!("payment/{payment} gave back more than it took: {account:?}"));
            }
        }
        for (order, fate) in &fates {
            if fate.is_confirmed && !accounts.contains_key(order) {
                found.push(format!("order/{order} is confirmed, and nothing was taken"));
            }
        }
        self.found.extend(found);
    }

    /// Of each payment no more goes back than was captured, each refund once.
    pub(crate) fn check_refunds(&mut self) {
        let mut left: BTreeMap<&str, i64> = BTreeMap::new();
        let mut numbers: BTreeSet<(&str, u64)> = BTreeSet::new();
        let (mut asked, mut found) = (BTreeMap::new(), Vec::new());
        for (payment, name, fields) in self.events("payment") {
            let amount = fields["amount"]["amount"].as_i64().unwrap_or_default();
            match name {
                "requested" => drop(asked.insert(payment, amount)),
                "captured" => drop(left.insert(payment, asked.get(payment).copied().unwrap_or(0))),
                "refund_due" => {
                    let number = fields["number"].as_u64().unwrap_or_default();
                    let left = left.entry(payment).or_default();
                    *left -= amount;
                    if *left < 0 || !numbers.insert((payment, number)) {
                        found.push(format!(
                            "payment/{payment}: refund {number} of {amount} leaves {left}"
                        ));
                    }
                }
                _ => {}
            }
        }
        self.found.extend(found);
    }
}

fn add(to: &mut Amounts, money: Option<&Value>) {
    let Some(money) = money else { return };
    let currency = money["currency"].as_str().unwrap_or_default().to_owned();
    *to.entry(currency).or_default() += money["amount"].as_i64().unwrap_or_default();
}
