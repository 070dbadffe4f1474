//! An item's rules, one by one, and its invariant under any sequence of commands.

use std::collections::BTreeMap;

use bus::{Actor, testing::given};
use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

use super::{
    Create, Item, ItemError, ItemEvent, ItemId, LackReason, Lapse, Receive, Release, Reservation,
    Reserve, Ship, Show, Stock, StockCard, Take,
};
use crate::{
    limits::HOLD_TIME,
    money::tests::{eur, usd},
    orders::OrderId,
    quantity::Quantity,
};

fn pieces(number: u32) -> Quantity {
    Quantity::new(number).expect("a quantity")
}

fn order(id: &str) -> OrderId {
    OrderId::parse(id).expect("an id")
}

fn create() -> Create {
    Create { name: "Lamp".to_owned(), description: "Red.".to_owned(), price: eur(250) }
}

fn created() -> ItemEvent {
    let Create { name, description, price } = create();
    ItemEvent::Created { name, description, price }
}

fn received(number: u32) -> ItemEvent {
    ItemEvent::Received { quantity: pieces(number) }
}

fn reserved(id: &str, number: u32) -> ItemEvent {
    ItemEvent::Reserved { order: order(id), quantity: pieces(number), unit_price: eur(250) }
}

fn lacked(id: &str, number: u32, reason: LackReason) -> ItemEvent {
    ItemEvent::Lacked { order: order(id), quantity: pieces(number), reason }
}

fn released(id: &str, number: u32) -> ItemEvent {
    ItemEvent::Released { order: order(id), quantity: pieces(number) }
}

fn shipped(id: &str, number: u32) -> ItemEvent {
    ItemEvent::Shipped { order: order(id), quantity: pieces(number) }
}

fn taken(id: &str) -> ItemEvent {
    ItemEvent::Taken { order: order(id) }
}

fn lapse(id: &str) -> Lapse {
    Lapse { order: order(id) }
}

fn reserve(id: &str, number: u32) -> Reserve {
    Reserve { order: order(id), quantity: pieces(number), currency: eur(0).currency }
}

fn held(number: u32) -> Reservation {
    Reservation::Held { quantity: pieces(number), unit_price: eur(250) }
}

#[test]
fn an_item_is_created_once() {
    given::<Item>([]).when(create()).replies(()).then([created()]);
    given::<Item>([created()]).when(create()).refuses(ItemError::AlreadyCreated);
}

#[test]
fn a_name_or_description_that_cannot_be_shown_is_malformed() {
    let named = |name: &str| Create { name: name.to_owned(), ..create() };
    for bad in ["", " ", "a\u{7}b", &"x".repeat(201)] {
        given::<Item>([]).when(named(bad)).is_malformed("a name has 1 to 200");
    }
    let described = |description: &str| Create { description: description.to_owned(), ..create() };
    for bad in ["a\u{0}b", &"x".repeat(5_001)] {
        given::<Item>([]).when(described(bad)).is_malformed("a description has at most");
    }
    let Create { name, description, price } = described("Two\nlines.");
    let created = ItemEvent::Created { name, description, price };
    given::<Item>([]).when(described("Two\nlines.")).replies(()).then([created]);
    given::<Item>([]).when(Create { price: eur(-1), ..create() }).is_malformed("an amount is 0");
}

#[test]
fn what_comes_in_is_available() {
    given::<Item>([created(), received(5)])
        .when(Receive { quantity: pieces(3) })
        .replies(Stock { received: 8, available: 8, ..Stock::default() })
        .then([received(3)]);
    given::<Item>([]).when(Receive { quantity: pieces(3) }).refuses(ItemError::UnknownItem);
}

#[test]
fn more_than_can_be_counted_is_refused() {
    let full = std::iter::repeat_n(received(1_000_000), 1_000);
    given::<Item>([created()].into_iter().chain(full))
        .when(Receive { quantity: pieces(1) })
        .refuses(ItemError::TooMuchStock);
}

#[test]
fn what_is_available_is_held_to_the_last_piece() {
    given::<Item>([created(), received(5)])
        .when(reserve("o-1", 5))
        .replies(held(5))
        .then([reserved("o-1", 5)])
        .arms(HOLD_TIME, lapse("o-1"));
}

#[test]
fn what_is_not_taken_in_time_is_given_back() {
    let past = vec![created(), received(5), reserved("o-1", 2)];
    given::<Item>(past.clone()).when(lapse("o-1")).replies(()).then([released("o-1", 2)]);
    let taken = [past.clone(), vec![taken("o-1")]].concat();
    given::<Item>(past)
        .when(Take { order: order("o-1") })
        .replies(())
        .then([self::taken("o-1")])
        .disarms(&lapse("o-1"));
    for command in [lapse("o-1"), lapse("o-2")] {
        given::<Item>(taken.clone()).when(command).replies(()).then([]).touches_no_timer();
    }
    given::<Item>(taken.clone()).when(Take { order: order("o-1") }).replies(()).then([]);
    given::<Item>(taken).when(Ship { order: order("o-1") }).then([shipped("o-1", 2)]);
}

#[test]
fn what_was_shipped_or_never_held_is_not_taken() {
    let past = vec![created(), received(5), reserved("o-1", 2), shipped("o-1", 2)];
    for id in ["o-1", "o-2"] {
        given::<Item>(past.clone()).when(Take { order: order(id) }).refuses(ItemError::NotHeld);
    }
}

#[test]
fn a_second_reserve_for_the_same_order_changes_nothing() {
    given::<Item>([created(), received(5), reserved("o-1", 2)])
        .when(reserve("o-1", 2))
        .replies(held(2))
        .then([]);
    let dearer = Reserve { quantity: pieces(4), ..reserve("o-1", 2) };
    let past = [created(), received(5), reserved("o-1", 2)];
    given::<Item>(past).when(dearer).replies(held(2)).then([]);
}

#[test]
fn a_lack_is_an_event_for_others_to_act_on() {
    let reason = LackReason::OutOfStock { available: 3 };
    given::<Item>([created(), received(5), reserved("o-1", 2)])
        .when(reserve("o-2", 4))
        .replies(Reservation::Lacking { reason })
        .then([lacked("o-2", 4, reason)]);
    given::<Item>([])
        .when(reserve("o-1", 1))
        .replies(Reservation::Lacking { reason: LackReason::UnknownItem })
        .then([lacked("o-1", 1, LackReason::UnknownItem)]);
    given::<Item>([created(), received(5)])
        .when(Reserve { currency: usd(0).currency, ..reserve("o-1", 1) })
        .replies(Reservation::Lacking { reason: LackReason::OtherCurrency })
        .then([lacked("o-1", 1, LackReason::OtherCurrency)]);
}

#[test]
fn what_is_released_is_available_again() {
    given::<Item>([created(), received(5), reserved("o-1", 5)])
        .when(Release { order: order("o-1") })
        .replies(())
        .then([released("o-1", 5)])
        .disarms(&lapse("o-1"));
    given::<Item>([created(), received(5), reserved("o-1", 5), released("o-1", 5)])
        .when(reserve("o-2", 5))
        .then([reserved("o-2", 5)]);
}

#[test]
fn releasing_what_is_not_held_changes_nothing() {
    given::<Item>([created(), received(5)])
        .when(Release { order: order("o-1") })
        .replies(())
        .then([]);
    given::<Item>([]).when(Release { order: order("o-1") }).replies(()).then([]);
}

#[test]
fn only_what_is_held_is_shipped_and_once() {
    let past = [created(), received(5), reserved("o-1", 2)];
    given::<Item>(past.clone())
        .when(Ship { order: order("o-1") })
        .replies(Stock { received: 5, available: 3, held: 0, shipped: 2 })
        .then([shipped("o-1", 2)])
        .disarms(&lapse("o-1"));
    given::<Item>(past.into_iter().chain([shipped("o-1", 2)]))
        .when(Ship { order: order("o-1") })
        .refuses(ItemError::NotHeld);
    given::<Item>([created()]).when(Ship { order: order("o-1") }).refuses(ItemError::NotHeld);
}

#[test]
fn an_item_shows_what_it_is() {
    let card = StockCard {
        sku: ItemId::parse("A1").expect("an id"),
        name: "Lamp".to_owned(),
        description: "Red.".to_owned(),
        price: eur(250),
        received: 5,
        available: 3,
        held: 2,
        shipped: 0,
    };
    let past = [created(), received(5), reserved("o-1", 2)];
    given::<Item>(past).id("A1").when(Show {}).replies(card).then([]);
    given::<Item>([lacked("o-1", 1, LackReason::UnknownItem)])
        .when(Show {})
        .refuses(ItemError::UnknownItem);
}

/// A step of a random life: a number of pieces, and one of a few orders.
#[derive(Debug, Clone, Copy)]
enum Step {
    Receive(u32),
    Reserve(usize, u32),
    Release(usize),
    Lapse(usize),
    Ship(usize),
}

const ORDERS: [&str; 4] = ["o-0", "o-1", "o-2", "o-3"];

fn step() -> impl Strategy<Value = Step> {
    let some_order = any::<usize>().prop_map(|n| n % ORDERS.len());
    prop_oneof![
        (1..20_u32).prop_map(Step::Receive),
        (some_order.clone(), 1..20_u32).prop_map(|(order, n)| Step::Reserve(order, n)),
        some_order.clone().prop_map(Step::Release),
        some_order.clone().prop_map(Step::Lapse),
        some_order.prop_map(Step::Ship),
    ]
}

/// The rules once more, in the plainest words: what happens to an item with these piles?
fn expected(step: Step, stock: Stock, holds: &BTreeMap<usize, u32>) -> Option<ItemEvent> {
    match step {
        Step::Receive(n) => Some(received(n)),
        Step::Reserve(order, _) if holds.contains_key(&order) => None,
        Step::Reserve(order, n) if u64::from(n) <= stock.available => {
            Some(reserved(ORDERS[order], n))
        }
        Step::Reserve(order, n) => {
            let reason = LackReason::OutOfStock { available: stock.available };
            Some(lacked(ORDERS[order], n, reason))
        }
        Step::Release(order) | Step::Lapse(order) => {
            holds.get(&order).map(|n| released(ORDERS[order], *n))
        }
        Step::Ship(order) => holds.get(&order).map(|n| shipped(ORDERS[order], *n)),
    }
}

proptest! {
    #[test]
    fn no_piece_is_ever_lost_or_made_up(steps in prop::collection::vec(step(), 1..40)) {
        let mut past = vec![created()];
        let mut holds = BTreeMap::new();
        let mut item = Item::default();
        item.apply(&created());
        for step in steps {
            let event = expected(step, item.stock(), &holds);
            let life = given::<Item>(past.clone());
            match step {
                Step::Receive(n) => {
                    life.when(Receive { quantity: pieces(n) }).then(event.clone());
                }
                Step::Reserve(o, n) => {
                    life.when(reserve(ORDERS[o], n)).then(event.clone());
                }
                Step::Release(o) => {
                    life.when(Release { order: order(ORDERS[o]) }).then(event.clone());
                }
                Step::Lapse(o) => {
                    life.when(lapse(ORDERS[o])).then(event.clone());
                }
                Step::Ship(o) => match event.clone() {
                    Some(event) => {
                        life.when(Ship { order: order(ORDERS[o]) }).then([event]);
                    }
                    None => life.when(Ship { order: order(ORDERS[o]) }).refuses(ItemError::NotHeld),
                },
            }
            match (step, &event) {
                (Step::Reserve(o, n), Some(ItemEvent::Reserved { .. })) => {
                    holds.insert(o, n);
                }
                (Step::Release(o) | Step::Lapse(o) | Step::Ship(o), _) => drop(holds.remove(&o)),
                _ => {}
            }
            if let Some(event) = event {
                item.apply(&event);
                past.push(event);
            }
            let Stock { received, available, held, shipped } = item.stock();
            prop_assert_eq!(received, available + held + shipped);
            prop_assert_eq!(held, holds.values().map(|n| u64::from(*n)).sum::<u64>());
        }
    }
}
