//! What became of each order after its checkout, folded from its raw events: what left the house,
//! what came back, and which letters its buyer is owed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::audit::Story;

type Pieces = BTreeMap<String, u64>;

/// One order's fate.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// What is held for it, or was, by item.
    pub(crate) ordered: Pieces,
    pub(crate) is_confirmed: bool,
    pub(crate) is_revoked: bool,
    pub(crate) shipped: Pieces,
    /// What came back, by item.
    pub(crate) taken_back: Pieces,
    /// What the buyer gets back for returns, in minor units.
    pub(crate) refunds: i64,
    /// Which letters, by name and number.
    pub(crate) letters: BTreeSet<(String, u64)>,
    pub(crate) wrong: Vec<String>,
    shipments: BTreeMap<u64, Pieces>,
    delivered: Pieces,
    returns: BTreeMap<u64, Pieces>,
}

impl Story {
    /// The fate of every order.
    pub(crate) fn fates(&self) -> BTreeMap<String, Fate> {
        let mut fates: BTreeMap<String, Fate> = BTreeMap::new();
        for (id, name, fields) in self.events("order") {
            fates.entry(id.to_owned()).or_default().apply(id, name, fields);
        }
        fates
    }
}

impl Fate {
    /// What must still be held for it.
    pub(crate) fn held(&self) -> Pieces {
        let mut held = if self.is_confirmed && !self.is_revoked {
            self.ordered.clone()
        } else {
            Pieces::new()
        };
        for (sku, shipped) in &self.shipped {
            let left = held.get(sku).map_or(0, |all| all.saturating_sub(*shipped));
            held.insert(sku.clone(), left);
        }
        held.retain(|_, left| *left > 0);
        held
    }

    fn apply(&mut self, id: &str, name: &str, fields: &Value) {
        let number = fields["number"].as_u64().unwrap_or_default();
        match name {
            "placed" => self.ordered = pieces(&fields["lines"]),
            "confirmed" => {
                self.is_confirmed = true;
                self.owes("order_confirmed", 0);
            }
            "cancelled" => self.owes("order_cancelled", 0),
            "revoked" => {
                if self.is_revoked || !self.is_confirmed || !self.shipped.is_empty() {
                    self.wrong.push(format!("order/{id} was revoked when it could not be"));
                }
                self.is_revoked = true;
                self.owes("order_revoked", 0);
            }
            "shipped" => {
                let pieces = pieces(&fields["portions"]);
                add(&mut self.shipped, &pieces);
                self.shipments.insert(number, pieces);
                self.within(id, name, |fate| (&fate.shipped, &fate.ordered));
                self.owes("order_shipped", number);
            }
            "delivered" => {
                let pieces = self.shipments.get(&number).cloned().unwrap_or_default();
                add(&mut self.delivered, &pieces);
                self.within(id, name, |fate| (&fate.delivered, &fate.shipped));
            }
            "return_requested" => {
                self.returns.insert(number, pieces(&fields["portions"]));
            }
            "return_accepted" => {
                let pieces = self.returns.get(&number).cloned().unwrap_or_default();
                add(&mut self.taken_back, &pieces);
                self.within(id, name, |fate| (&fate.taken_back, &fate.delivered));
                self.refunds += fields["refund"]["amount"].as_i64().unwrap_or_default();
                self.owes("return_accepted", number);
            }
            "return_rejected" => self.owes("return_rejected", number),
            _ => {}
        }
    }

    fn owes(&mut self, letter: &str, number: u64) {
        if !self.letters.insert((letter.to_owned(), number)) {
            self.wrong.push(format!("{letter} {number} happened twice"));
        }
    }

    /// Some pieces are never more than others.
    fn within(&mut self, id: &str, name: &str, of: fn(&Self) -> (&Pieces, &Pieces)) {
        let (few, many) = of(self);
        let is_within = few.iter().all(|(sku, n)| *n <= many.get(sku).copied().unwrap_or_default());
        if !is_within {
            self.wrong.push(format!("order/{id}: {name} makes {few:?} of {many:?}"));
        }
    }
}

fn pieces(lines: &Value) -> Pieces {
    let lines = lines.as_array().into_iter().flatten();
    let piece = |line: &Value| {
        let sku = line["sku"].as_str().unwrap_or_default().to_owned();
        (sku, line["quantity"].as_u64().unwrap_or_default())
    };
    lines.map(piece).collect()
}

fn add(to: &mut Pieces, pieces: &Pieces) {
    for (sku, n) in pieces {
        *to.entry(sku.clone()).or_default() += n;
    }
}
