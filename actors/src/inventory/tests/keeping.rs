//! What an item's keepers do: take in, set the books right, and be told when few are left.

use bus::testing::given;

use super::*;
use crate::{
    inventory::{
        Adjust, AdjustReason, Adjustment, Change, Item, ItemError, Release, SetLowStock,
        ShowAdjustments, Stock,
    },
    limits::{ADJUSTMENTS_MAX, WAREHOUSES_MAX},
};

#[test]
fn what_comes_in_is_available() {
    given::<Item>([created(), received(5)])
        .when(receive(3))
        .replies(Stock { received: 8, available: 8, ..Stock::default() })
        .then([received(3)]);
    given::<Item>([]).when(receive(3)).refuses(ItemError::UnknownItem);
}

#[test]
fn more_than_can_be_counted_is_refused() {
    let full = std::iter::repeat_n(received(1_000_000), 1_000);
    given::<Item>([created()].into_iter().chain(full))
        .when(receive(1))
        .refuses(ItemError::TooMuchStock);
}

fn warehouse(id: &str) -> WarehouseId {
    id.parse().expect("a warehouse")
}

fn received_in(id: &str, number: u32) -> ItemEvent {
    ItemEvent::Received { quantity: pieces(number), warehouse: warehouse(id) }
}

fn change(by: i64) -> Change {
    let quantity = pieces(u32::try_from(by.unsigned_abs()).expect("few"));
    if by < 0 { Change::Down(quantity) } else { Change::Up(quantity) }
}

fn adjust(by: i64, id: &str) -> Adjust {
    let (reason, note) = (AdjustReason::Counted, "shelf 3".to_owned());
    Adjust { by: change(by), reason, note, warehouse: warehouse(id) }
}

fn adjusted(by: i64, id: &str) -> ItemEvent {
    let Adjust { by, reason, note, warehouse } = adjust(by, id);
    ItemEvent::Adjusted { by, reason, note, warehouse, who: None, at: NOW }
}

fn low(available: u64, below: u32) -> ItemEvent {
    ItemEvent::StockLow { available, below }
}

fn set_low(below: u32) -> ItemEvent {
    ItemEvent::LowStockSet { below }
}

#[test]
fn the_books_are_set_right_up_and_down() {
    let past = [created(), received(5), reserved("o-1", 2)];
    given::<Item>(past.clone())
        .at(NOW)
        .when(adjust(4, "main"))
        .replies(Stock { received: 9, available: 7, held: 2, ..Stock::default() })
        .then([adjusted(4, "main")]);
    given::<Item>(past.clone())
        .at(NOW)
        .when(adjust(-3, "main"))
        .replies(Stock { received: 5, held: 2, written_off: 3, ..Stock::default() })
        .then([adjusted(-3, "main")]);
    given::<Item>([]).when(adjust(1, "main")).refuses(ItemError::UnknownItem);
    given::<Item>(past.clone())
        .when(Adjust { note: "x".repeat(201), ..adjust(1, "main") })
        .is_malformed("a note has at most 200");
    given::<Item>(past)
        .when(Adjust { note: "a\nb".to_owned(), ..adjust(1, "main") })
        .is_malformed("a note has");
}

#[test]
fn what_orders_hold_is_never_adjusted_away() {
    let main = || warehouse("main");
    given::<Item>([created(), received(5), reserved("o-1", 2)])
        .when(adjust(-4, "main"))
        .refuses(ItemError::TooFewFree { free: 3, warehouse: main() });
    // There are enough, but not there.
    let spread = [created(), received(2), received_in("north", 5), reserved("o-1", 1)];
    given::<Item>(spread.clone())
        .when(adjust(-3, "main"))
        .refuses(ItemError::TooFewFree { free: 2, warehouse: main() });
    given::<Item>(spread).at(NOW).when(adjust(-5, "north")).then([adjusted(-5, "north")]);
    given::<Item>([created()])
        .when(adjust(-1, "south"))
        .refuses(ItemError::TooFewFree { free: 0, warehouse: warehouse("south") });
}

#[test]
fn no_more_is_found_than_can_be_counted() {
    let full = std::iter::repeat_n(received(1_000_000), 1_000);
    given::<Item>([created()].into_iter().chain(full))
        .when(adjust(1, "main"))
        .refuses(ItemError::TooMuchStock);
}

#[test]
fn an_item_remembers_its_latest_adjustments() {
    let remembered = |by: i64| {
        let Adjust { by, reason, note, warehouse } = adjust(by, "north");
        Adjustment { by, reason, note, warehouse, who: None, at: NOW }
    };
    let count = i64::try_from(ADJUSTMENTS_MAX).expect("few") + 1;
    let past = [created()].into_iter().chain((1..=count).map(|by| adjusted(by, "north")));
    given::<Item>(past)
        .when(ShowAdjustments {})
        .replies((2..=count).rev().map(remembered).collect())
        .then([]);
    given::<Item>([]).when(ShowAdjustments {}).refuses(ItemError::UnknownItem);
}

#[test]
fn an_item_is_in_so_many_warehouses_and_no_more() {
    let others = (1..WAREHOUSES_MAX).map(|n| received_in(&format!("w{n}"), 1));
    let past: Vec<_> = [created()].into_iter().chain(others).collect();
    let into = |id: &str| Receive { warehouse: warehouse(id), ..receive(1) };
    given::<Item>(past.clone()).when(into("more")).refuses(ItemError::TooManyWarehouses);
    given::<Item>(past.clone()).when(adjust(1, "more")).refuses(ItemError::TooManyWarehouses);
    given::<Item>(past.clone()).when(into("main")).then([received(1)]);
    given::<Item>(past.clone()).when(into("w1")).then([received_in("w1", 1)]);
    // One that is empty takes no place.
    let emptied = past.into_iter().chain([adjusted(-1, "w1")]);
    given::<Item>(emptied).when(into("more")).then([received_in("more", 1)]);
}

#[test]
fn pieces_leave_from_the_named_warehouse_or_from_where_most_are() {
    let past = [created(), received(2), received_in("north", 5), reserved("o-1", 6)];
    let left = |parts: &[(&str, u32)]| ItemEvent::Shipped {
        order: order("o-1"),
        quantity: pieces(parts.iter().map(|(_, n)| n).sum()),
        from: parts.iter().map(|(id, n)| (warehouse(id), pieces(*n))).collect(),
    };
    given::<Item>(past.clone()).when(ship_some("o-1", 4)).then([left(&[("north", 4)])]);
    let from = |id: &str, n| Ship { warehouse: Some(warehouse(id)), ..ship_some("o-1", n) };
    given::<Item>(past.clone()).when(from("main", 2)).then([shipped("o-1", 2)]);
    // The books have fewer there than have left: the others make up for it.
    let both = left(&[("main", 2), ("north", 1)]);
    given::<Item>(past.clone()).when(from("main", 3)).then([both.clone()]);
    let rest = past.into_iter().chain([both]);
    given::<Item>(rest).when(ship("o-1")).then([left(&[("north", 3)])]);
}

#[test]
fn low_stock_is_told_once_until_it_has_risen() {
    let past = vec![created(), received(5), set_low(3)];
    let with = |more: &[ItemEvent]| [past.clone(), more.to_vec()].concat();
    given::<Item>(past.clone()).when(reserve("o-1", 2)).then([reserved("o-1", 2)]);
    given::<Item>(past.clone())
        .when(reserve("o-1", 3))
        .replies(held(3))
        .then([reserved("o-1", 3), low(2, 3)]);
    given::<Item>(past.clone())
        .at(NOW)
        .when(adjust(-3, "main"))
        .then([adjusted(-3, "main"), low(2, 3)]);
    let is_low = with(&[reserved("o-1", 3), low(2, 3)]);
    given::<Item>(is_low.clone()).when(reserve("o-2", 1)).then([reserved("o-2", 1)]);
    let release = Release { order: order("o-1") };
    given::<Item>(is_low.clone()).when(release).then([released("o-1", 3)]);
    let again = [is_low, vec![released("o-1", 3)]].concat();
    given::<Item>(again).when(reserve("o-2", 4)).then([reserved("o-2", 4), low(1, 3)]);
    // Risen to it is risen.
    let just = with(&[reserved("o-1", 3), low(2, 3), received(1)]);
    given::<Item>(just).when(reserve("o-2", 1)).then([reserved("o-2", 1), low(2, 3)]);
}

#[test]
fn a_threshold_is_set_moved_and_taken_away() {
    let set = |below| SetLowStock { below };
    let past = [created(), received(5)];
    given::<Item>(past.clone()).when(set(5)).replies(()).then([set_low(5)]);
    given::<Item>(past.clone()).when(set(0)).replies(()).then([]);
    given::<Item>(past.clone()).when(set(6)).replies(()).then([set_low(6), low(5, 6)]);
    let is_low = [created(), received(5), set_low(6), low(5, 6)];
    given::<Item>(is_low.clone()).when(set(9)).replies(()).then([set_low(9)]);
    given::<Item>(is_low).when(set(0)).replies(()).then([set_low(0)]);
    given::<Item>([]).when(set(1)).refuses(ItemError::UnknownItem);
    given::<Item>(past).when(set(1_000_001)).is_malformed("a threshold is 0 to 1,000,000");
}
