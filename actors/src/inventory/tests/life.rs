//! Any sequence of commands: no piece is lost or made up, wherever it lies.

use std::{collections::BTreeMap, fmt::Debug};

use bus::{
    Actor, Wire,
    testing::{Outcome, given},
};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::inventory::{Adjust, AdjustReason, Change, Item, ItemError, Release, Stock};

/// A step of a random life: a number of pieces, one of a few orders, one of a few warehouses.
#[derive(Debug, Clone, Copy)]
enum Step {
    Receive(u32, usize),
    Adjust(bool, u32, usize),
    Reserve(usize, u32),
    Release(usize),
    Lapse(usize),
    Ship(usize, u32, Option<usize>),
    TakeBack(usize, u32, bool),
}

const ORDERS: [&str; 4] = ["o-0", "o-1", "o-2", "o-3"];
const WAREHOUSES: [&str; 3] = ["east", "main", "north"];
const MAIN: usize = 1;

/// At or above so many pieces all is well.
const LOW: u32 = 10;

fn step() -> impl Strategy<Value = Step> {
    let some_order = any::<usize>().prop_map(|n| n % ORDERS.len());
    let somewhere = any::<usize>().prop_map(|n| n % WAREHOUSES.len());
    let place = || somewhere.clone();
    prop_oneof![
        (1..20_u32, place()).prop_map(|(n, at)| Step::Receive(n, at)),
        (any::<bool>(), 1..20_u32, place()).prop_map(|(up, n, at)| Step::Adjust(up, n, at)),
        (some_order.clone(), 1..20_u32).prop_map(|(order, n)| Step::Reserve(order, n)),
        some_order.clone().prop_map(Step::Release),
        some_order.clone().prop_map(Step::Lapse),
        (some_order.clone(), 1..20_u32, prop::option::of(place()))
            .prop_map(|(order, n, from)| Step::Ship(order, n, from)),
        (some_order, 1..20_u32, any::<bool>()).prop_map(|(o, n, ok)| Step::TakeBack(o, n, ok)),
    ]
}

/// The piles of a few orders and warehouses, kept in the plainest way.
#[derive(Debug, Default)]
struct Piles {
    held: BTreeMap<usize, u32>,
    out: BTreeMap<usize, u32>,
    lying: [u32; WAREHOUSES.len()],
    written_off: u32,
}

fn place(at: usize) -> WarehouseId {
    WAREHOUSES[at].parse().expect("a warehouse")
}

fn adjust(up: bool, n: u32, at: usize) -> Adjust {
    let by = if up { Change::Up(pieces(n)) } else { Change::Down(pieces(n)) };
    Adjust { by, reason: AdjustReason::Lost, note: String::new(), warehouse: place(at) }
}

/// The rules once more, in the plainest words: what happens to an item with these piles?
fn expected(
    step: Step,
    stock: Stock,
    piles: &Piles,
    number: u32,
) -> Result<Option<ItemEvent>, ItemError> {
    let of = |pile: &BTreeMap<usize, u32>, order| pile.get(&order).copied().unwrap_or_default();
    Ok(match step {
        Step::Receive(n, at) => {
            Some(ItemEvent::Received { quantity: pieces(n), warehouse: place(at) })
        }
        Step::Adjust(up, n, at) => {
            let free = stock.available.min(piles.lying[at].into());
            if !up && u64::from(n) > free {
                return Err(ItemError::TooFewFree { free, warehouse: place(at) });
            }
            let Adjust { by, reason, note, warehouse } = adjust(up, n, at);
            Some(ItemEvent::Adjusted { by, reason, note, warehouse, who: None, at: NOW })
        }
        Step::Reserve(order, _) if piles.held.contains_key(&order) => None,
        Step::Reserve(order, n) if u64::from(n) <= stock.available => {
            Some(reserved(ORDERS[order], n))
        }
        Step::Reserve(order, n) => {
            let reason = LackReason::OutOfStock { available: stock.available };
            Some(lacked(ORDERS[order], n, reason))
        }
        Step::Release(order) | Step::Lapse(order) => {
            piles.held.get(&order).map(|n| released(ORDERS[order], *n))
        }
        Step::Ship(order, n, from) => match of(&piles.held, order) {
            0 => return Err(ItemError::NotHeld),
            held if held < n => return Err(ItemError::TooFewHeld { held: held.into() }),
            _ => Some(piles.shipped(order, n, from)),
        },
        Step::TakeBack(order, n, sellable) => match of(&piles.out, order) {
            out if out < n => return Err(ItemError::NotShipped { out: out.into() }),
            _ => Some(taken_back(ORDERS[order], number, n, sellable)),
        },
    })
}

impl Piles {
    /// The named warehouse as far as it goes, then always the fullest of those not yet asked.
    fn shipped(&self, order: usize, n: u32, named: Option<usize>) -> ItemEvent {
        let (mut lying, mut left) = (self.lying, n);
        let mut from = BTreeMap::new();
        let mut next = named;
        while left > 0 {
            let fullest = || (0..lying.len()).rev().max_by_key(|at| lying[*at]).expect("several");
            let at = next.take().unwrap_or_else(fullest);
            let part = left.min(std::mem::take(&mut lying[at]));
            left -= part;
            if part > 0 {
                from.insert(place(at), pieces(part));
            }
        }
        if from.keys().eq([&WarehouseId::MAIN]) {
            from.clear();
        }
        let order = super::order(ORDERS[order]);
        ItemEvent::Shipped { order, quantity: pieces(n), from }
    }

    fn take(pile: &mut BTreeMap<usize, u32>, order: usize, n: u32) {
        let left = pile[&order] - n;
        pile.insert(order, left);
        pile.retain(|_, n| *n > 0);
    }

    fn follow(&mut self, step: Step, event: &ItemEvent) {
        match (step, event) {
            (Step::Reserve(order, n), ItemEvent::Reserved { .. }) => {
                self.held.insert(order, n);
            }
            (Step::Release(order) | Step::Lapse(order), _) => drop(self.held.remove(&order)),
            (Step::Ship(order, n, _), ItemEvent::Shipped { from, .. }) => {
                Self::take(&mut self.held, order, n);
                *self.out.entry(order).or_default() += n;
                for (at, lying) in self.lying.iter_mut().enumerate() {
                    *lying -= from.get(&place(at)).map_or(0, |part| part.get());
                }
                self.lying[MAIN] -= if from.is_empty() { n } else { 0 };
            }
            (Step::TakeBack(order, n, sellable), _) => {
                Self::take(&mut self.out, order, n);
                *(if sellable { &mut self.lying[MAIN] } else { &mut self.written_off }) += n;
            }
            (Step::Receive(n, at) | Step::Adjust(true, n, at), _) => self.lying[at] += n,
            (Step::Adjust(false, n, at), _) => {
                self.lying[at] -= n;
                self.written_off += n;
            }
            (Step::Reserve(..) | Step::Ship(..), _) => {}
        }
    }
}

/// Has an item with this past carry `step` out, and checks what happens.
fn carry_out(past: &[ItemEvent], step: Step, number: u32, end: &End) {
    let life = given::<Item>(past.iter().cloned()).at(NOW);
    match step {
        Step::Receive(n, at) => {
            check(life.when(Receive { quantity: pieces(n), warehouse: place(at) }), end);
        }
        Step::Adjust(up, n, at) => check(life.when(adjust(up, n, at)), end),
        Step::Reserve(o, n) => check(life.when(reserve(ORDERS[o], n)), end),
        Step::Release(o) => check(life.when(Release { order: order(ORDERS[o]) }), end),
        Step::Lapse(o) => check(life.when(lapse(ORDERS[o])), end),
        Step::Ship(o, n, from) => {
            let warehouse = from.map(place);
            check(life.when(Ship { warehouse, ..ship_some(ORDERS[o], n) }), end);
        }
        Step::TakeBack(o, n, sellable) => {
            check(life.when(take_back(ORDERS[o], number, n, sellable)), end);
        }
    }
}

/// What happens, or why nothing does.
type End = Result<Vec<ItemEvent>, ItemError>;

fn check<R: Wire + PartialEq + Debug>(outcome: Outcome<Item, R>, end: &End) {
    match end.clone() {
        Ok(events) => drop(outcome.then(events)),
        Err(refusal) => outcome.refuses(refusal),
    }
}

/// `event`, and that it makes the stock low if it does.
fn and_low(event: ItemEvent, before: Stock) -> Vec<ItemEvent> {
    let mut after = before;
    after.apply(&event);
    let Stock { available, .. } = after;
    let falls = before.available >= u64::from(LOW) && available < u64::from(LOW);
    let low = falls.then_some(ItemEvent::StockLow { available, below: LOW });
    [event].into_iter().chain(low).collect()
}

proptest! {
    #[test]
    fn no_piece_is_ever_lost_or_made_up(steps in prop::collection::vec(step(), 1..40)) {
        let mut past = vec![created(), ItemEvent::LowStockSet { below: LOW }];
        let mut piles = Piles::default();
        let mut item = Item::default();
        past.iter().for_each(|event| item.apply(event));
        for (number, step) in (0_u32..).zip(steps) {
            let event = expected(step, item.stock, &piles, number);
            let end = event.clone().map(|event| match event {
                Some(event) => and_low(event, item.stock),
                None => Vec::new(),
            });
            carry_out(&past, step, number, &end);
            if let Ok(Some(event)) = event {
                piles.follow(step, &event);
            }
            for event in end.unwrap_or_default() {
                item.apply(&event);
                past.push(event);
            }
            let Stock { received, available, held, shipped, written_off } = item.stock;
            prop_assert_eq!(received, available + held + shipped + written_off);
            prop_assert_eq!(held, piles.held.values().map(|n| u64::from(*n)).sum::<u64>());
            prop_assert_eq!(shipped, piles.out.values().map(|n| u64::from(*n)).sum::<u64>());
            prop_assert_eq!(written_off, u64::from(piles.written_off));
            prop_assert_eq!(item.on_hand.total(), available + held, "all that is in the house lies somewhere");
            for (at, lying) in piles.lying.iter().enumerate() {
                prop_assert_eq!(item.on_hand.at(&place(at)), u64::from(*lying));
            }
            prop_assert!(held <= item.on_hand.total());
        }
    }
}
