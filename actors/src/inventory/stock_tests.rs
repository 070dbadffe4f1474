//! An item's rules, one by one, and its invariant under any sequence of commands.

use std::{collections::BTreeMap, fmt::Debug};

use bus::{
    Actor, Timestamp, Wire,
    testing::{Outcome, given},
};
use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

use super::{
    Activate, Create, Describe, Item, ItemError, ItemEvent, ItemId, ItemStatus, LackReason, Lapse,
    Priced, Receive, Release, Reservation, Reserve, Retire, SetPrice, Ship, Show, ShowPrices,
    Stock, StockCard, Take, TakeBack,
};
use crate::{
    limits::{HOLD_TIME, PRICES_MAX, RETURNS_MAX},
    money::tests::{eur, usd},
    orders::OrderId,
    quantity::Quantity,
};

const NOW: Timestamp = Timestamp::from_millis(5_000);

fn pieces(number: u32) -> Quantity {
    Quantity::new(number).expect("a quantity")
}

fn order(id: &str) -> OrderId {
    OrderId::parse(id).expect("an id")
}

fn create() -> Create {
    Create { description: "Red.".to_owned(), ..Create::new("Lamp".to_owned(), eur(250)) }
}

fn created() -> ItemEvent {
    created_by(create())
}

fn created_by(command: Create) -> ItemEvent {
    let Create { name, description, price, category, attributes, pictures, status } = command;
    let at = Some(NOW);
    ItemEvent::Created { name, description, price, category, attributes, pictures, status, at }
}

/// What creating an item of this name leaves.
pub(super) fn created_as(name: &str) -> ItemEvent {
    created_by(Create { name: name.to_owned(), description: String::new(), ..create() })
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

fn ship(id: &str) -> Ship {
    Ship { order: order(id), quantity: None }
}

fn ship_some(id: &str, number: u32) -> Ship {
    Ship { order: order(id), quantity: Some(pieces(number)) }
}

fn take_back(id: &str, number: u32, quantity: u32, sellable: bool) -> TakeBack {
    TakeBack { order: order(id), quantity: pieces(quantity), number, sellable }
}

fn taken_back(id: &str, number: u32, quantity: u32, sellable: bool) -> ItemEvent {
    ItemEvent::TakenBack { order: order(id), quantity: pieces(quantity), number, sellable }
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
    given::<Item>([]).at(NOW).when(create()).replies(()).then([created()]);
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
    let created = created_by(described("Two\nlines."));
    given::<Item>([]).at(NOW).when(described("Two\nlines.")).replies(()).then([created]);
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
    given::<Item>(taken).when(ship("o-1")).then([shipped("o-1", 2)]);
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
        .when(ship("o-1"))
        .replies(Stock { received: 5, available: 3, shipped: 2, ..Stock::default() })
        .then([shipped("o-1", 2)])
        .disarms(&lapse("o-1"));
    given::<Item>(past.into_iter().chain([shipped("o-1", 2)]))
        .when(ship("o-1"))
        .refuses(ItemError::NotHeld);
    given::<Item>([created()]).when(ship("o-1")).refuses(ItemError::NotHeld);
}

#[test]
fn a_part_of_what_is_held_is_shipped_and_the_rest_stays_held() {
    let past = vec![created(), received(5), reserved("o-1", 3), taken("o-1")];
    given::<Item>(past.clone())
        .when(ship_some("o-1", 2))
        .replies(Stock { received: 5, available: 2, held: 1, shipped: 2, ..Stock::default() })
        .then([shipped("o-1", 2)])
        .touches_no_timer();
    let sent = [past.clone(), vec![shipped("o-1", 2)]].concat();
    given::<Item>(sent.clone())
        .when(ship_some("o-1", 2))
        .refuses(ItemError::TooFewHeld { held: 1 });
    given::<Item>(sent.clone()).when(ship_some("o-1", 1)).then([shipped("o-1", 1)]);
    given::<Item>(sent.clone()).when(ship("o-1")).then([shipped("o-1", 1)]);
    given::<Item>(sent).when(Release { order: order("o-1") }).then([released("o-1", 1)]);
    given::<Item>(past).when(ship_some("o-1", 4)).refuses(ItemError::TooFewHeld { held: 3 });
}

#[test]
fn what_was_shipped_comes_back_and_once() {
    let past = vec![created(), received(5), reserved("o-1", 3), shipped("o-1", 3)];
    given::<Item>(past.clone())
        .when(take_back("o-1", 1, 2, true))
        .replies(Stock { received: 5, available: 4, shipped: 1, ..Stock::default() })
        .then([taken_back("o-1", 1, 2, true)]);
    let broken =
        Stock { received: 5, available: 2, shipped: 1, written_off: 2, ..Stock::default() };
    given::<Item>(past.clone())
        .when(take_back("o-1", 1, 2, false))
        .replies(broken)
        .then([taken_back("o-1", 1, 2, false)]);
    let back = [past, vec![taken_back("o-1", 1, 2, false)]].concat();
    given::<Item>(back.clone()).when(take_back("o-1", 1, 2, false)).replies(broken).then([]);
    given::<Item>(back.clone())
        .when(take_back("o-1", 2, 1, true))
        .then([taken_back("o-1", 2, 1, true)]);
    given::<Item>(back)
        .when(take_back("o-1", 2, 2, true))
        .refuses(ItemError::NotShipped { out: 1 });
}

#[test]
fn only_what_was_shipped_to_an_order_comes_back_from_it() {
    let past = vec![created(), received(5), reserved("o-1", 2), reserved("o-2", 2)];
    given::<Item>(past.clone())
        .when(take_back("o-1", 1, 1, true))
        .refuses(ItemError::NotShipped { out: 0 });
    given::<Item>([past, vec![shipped("o-2", 2)]].concat())
        .when(take_back("o-1", 1, 1, true))
        .refuses(ItemError::NotShipped { out: 0 });
}

#[test]
fn an_order_sends_back_only_so_often() {
    let sent = [created(), received(100), reserved("o-1", 100), shipped("o-1", 100)];
    let number = |n: usize| u32::try_from(n).expect("few");
    let back = (0..RETURNS_MAX).map(|n| taken_back("o-1", number(n), 1, true));
    given::<Item>(sent.into_iter().chain(back))
        .when(take_back("o-1", number(RETURNS_MAX), 1, true))
        .refuses(ItemError::TooManyReturns);
}

#[test]
fn what_an_item_is_called_and_costs_changes() {
    let Create { name, description, category, attributes, pictures, .. } = create();
    let same = Describe { name, description, category, attributes, pictures };
    given::<Item>([created()]).when(same.clone()).replies(()).then([]);
    let other = Describe {
        category: Some("lamps".parse().expect("a category")),
        attributes: [("colour".to_owned(), "red".to_owned())].into(),
        pictures: vec!["https://a.example/lamp.jpg".to_owned()],
        ..same
    };
    let Describe { name, description, category, attributes, pictures } = other.clone();
    let described = ItemEvent::Described { name, description, category, attributes, pictures };
    given::<Item>([created()]).when(other.clone()).replies(()).then([described]);
    given::<Item>([]).when(other.clone()).refuses(ItemError::UnknownItem);
    let bad = Describe { pictures: vec!["http://a.example/".to_owned()], ..other.clone() };
    given::<Item>([created()]).when(bad).is_malformed("https URL");
    let bad = Describe { attributes: [("a".to_owned(), String::new())].into(), ..other };
    given::<Item>([created()]).when(bad).is_malformed("attributes");

    given::<Item>([created()]).when(SetPrice { price: eur(250) }).replies(()).then([]);
    given::<Item>([created()])
        .at(NOW)
        .when(SetPrice { price: eur(300) })
        .replies(())
        .then([ItemEvent::Priced { price: eur(300), at: NOW }]);
    given::<Item>([]).when(SetPrice { price: eur(1) }).refuses(ItemError::UnknownItem);
}

#[test]
fn an_item_remembers_its_latest_prices_and_orders_pay_the_last() {
    let priced = |amount| ItemEvent::Priced { price: eur(amount), at: NOW };
    let price = |amount| Priced { price: eur(amount), since: Some(NOW) };
    given::<Item>([created(), priced(300)])
        .when(ShowPrices {})
        .replies(vec![price(300), price(250)])
        .then([]);
    let past = [created(), received(5), priced(300)];
    given::<Item>(past).when(reserve("o-1", 1)).then([ItemEvent::Reserved {
        order: order("o-1"),
        quantity: pieces(1),
        unit_price: eur(300),
    }]);
    let count = i64::try_from(PRICES_MAX).expect("few");
    let latest = (0..count).rev().map(|n| price(1_000 + n)).collect();
    given::<Item>([created()].into_iter().chain((0..count).map(|n| priced(1_000 + n))))
        .when(ShowPrices {})
        .replies(latest)
        .then([]);
}

#[test]
fn only_an_active_item_is_sold() {
    let draft = created_by(Create { status: ItemStatus::Draft, ..create() });
    given::<Item>([draft.clone(), received(5)]).when(reserve("o-1", 1)).then([lacked(
        "o-1",
        1,
        LackReason::UnknownItem,
    )]);
    let active = [draft.clone(), received(5), ItemEvent::Activated {}];
    given::<Item>(active.clone()).when(reserve("o-1", 1)).then([reserved("o-1", 1)]);
    given::<Item>(active).when(Activate {}).replies(()).then([]);
    given::<Item>([draft]).when(Activate {}).replies(()).then([ItemEvent::Activated {}]);

    given::<Item>([created()]).when(Retire {}).replies(()).then([ItemEvent::Retired {}]);
    let retired = [created(), received(5), reserved("o-1", 2), ItemEvent::Retired {}];
    given::<Item>(retired.clone()).when(reserve("o-2", 1)).then([lacked(
        "o-2",
        1,
        LackReason::Retired,
    )]);
    given::<Item>(retired.clone()).when(Retire {}).replies(()).then([]);
    given::<Item>(retired.clone()).when(ship("o-1")).then([shipped("o-1", 2)]);
    given::<Item>(retired).when(Activate {}).replies(()).then([ItemEvent::Activated {}]);
    given::<Item>([]).when(Retire {}).refuses(ItemError::UnknownItem);
}

#[test]
fn an_item_shows_what_it_is() {
    let card = StockCard {
        sku: ItemId::parse("A1").expect("an id"),
        name: "Lamp".to_owned(),
        description: "Red.".to_owned(),
        price: eur(250),
        category: None,
        attributes: BTreeMap::new(),
        pictures: Vec::new(),
        status: ItemStatus::Active,
        received: 5,
        available: 3,
        held: 2,
        shipped: 0,
        written_off: 0,
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
    Ship(usize, u32),
    TakeBack(usize, u32, bool),
}

const ORDERS: [&str; 4] = ["o-0", "o-1", "o-2", "o-3"];

fn step() -> impl Strategy<Value = Step> {
    let some_order = any::<usize>().prop_map(|n| n % ORDERS.len());
    prop_oneof![
        (1..20_u32).prop_map(Step::Receive),
        (some_order.clone(), 1..20_u32).prop_map(|(order, n)| Step::Reserve(order, n)),
        some_order.clone().prop_map(Step::Release),
        some_order.clone().prop_map(Step::Lapse),
        (some_order.clone(), 1..20_u32).prop_map(|(order, n)| Step::Ship(order, n)),
        (some_order, 1..20_u32, any::<bool>()).prop_map(|(o, n, ok)| Step::TakeBack(o, n, ok)),
    ]
}

/// The piles of a few orders, kept in the plainest way.
#[derive(Debug, Default)]
struct Piles {
    held: BTreeMap<usize, u32>,
    out: BTreeMap<usize, u32>,
    written_off: u32,
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
        Step::Receive(n) => Some(received(n)),
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
        Step::Ship(order, n) => match of(&piles.held, order) {
            0 => return Err(ItemError::NotHeld),
            held if held < n => return Err(ItemError::TooFewHeld { held: held.into() }),
            _ => Some(shipped(ORDERS[order], n)),
        },
        Step::TakeBack(order, n, sellable) => match of(&piles.out, order) {
            out if out < n => return Err(ItemError::NotShipped { out: out.into() }),
            _ => Some(taken_back(ORDERS[order], number, n, sellable)),
        },
    })
}

impl Piles {
    fn take(pile: &mut BTreeMap<usize, u32>, order: usize, n: u32) {
        let left = pile[&order] - n;
        pile.insert(order, left);
        pile.retain(|_, n| *n > 0);
    }

    fn follow(&mut self, step: Step, event: &ItemEvent) {
        match step {
            Step::Reserve(order, n) if matches!(event, ItemEvent::Reserved { .. }) => {
                self.held.insert(order, n);
            }
            Step::Release(order) | Step::Lapse(order) => drop(self.held.remove(&order)),
            Step::Ship(order, n) => {
                Self::take(&mut self.held, order, n);
                *self.out.entry(order).or_default() += n;
            }
            Step::TakeBack(order, n, sellable) => {
                Self::take(&mut self.out, order, n);
                self.written_off += if sellable { 0 } else { n };
            }
            Step::Receive(_) | Step::Reserve(..) => {}
        }
    }
}

/// Has an item with this past carry `step` out, and checks what happens.
fn carry_out(
    past: &[ItemEvent],
    step: Step,
    number: u32,
    end: &Result<Option<ItemEvent>, ItemError>,
) {
    let life = given::<Item>(past.iter().cloned());
    match step {
        Step::Receive(n) => check(life.when(Receive { quantity: pieces(n) }), end),
        Step::Reserve(o, n) => check(life.when(reserve(ORDERS[o], n)), end),
        Step::Release(o) => check(life.when(Release { order: order(ORDERS[o]) }), end),
        Step::Lapse(o) => check(life.when(lapse(ORDERS[o])), end),
        Step::Ship(o, n) => check(life.when(ship_some(ORDERS[o], n)), end),
        Step::TakeBack(o, n, sellable) => {
            check(life.when(take_back(ORDERS[o], number, n, sellable)), end);
        }
    }
}

fn check<R: Wire + PartialEq + Debug>(
    outcome: Outcome<Item, R>,
    end: &Result<Option<ItemEvent>, ItemError>,
) {
    match end.clone() {
        Ok(event) => drop(outcome.then(event)),
        Err(refusal) => outcome.refuses(refusal),
    }
}

proptest! {
    #[test]
    fn no_piece_is_ever_lost_or_made_up(steps in prop::collection::vec(step(), 1..40)) {
        let mut past = vec![created()];
        let mut piles = Piles::default();
        let mut item = Item::default();
        item.apply(&created());
        for (number, step) in (0_u32..).zip(steps) {
            let end = expected(step, item.stock(), &piles, number);
            carry_out(&past, step, number, &end);
            if let Ok(Some(event)) = end {
                piles.follow(step, &event);
                item.apply(&event);
                past.push(event);
            }
            let Stock { received, available, held, shipped, written_off } = item.stock();
            prop_assert_eq!(received, available + held + shipped + written_off);
            prop_assert_eq!(held, piles.held.values().map(|n| u64::from(*n)).sum::<u64>());
            prop_assert_eq!(shipped, piles.out.values().map(|n| u64::from(*n)).sum::<u64>());
            prop_assert_eq!(written_off, u64::from(piles.written_off));
        }
    }
}
