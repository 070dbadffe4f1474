//! An order's rules, one by one.

use bus::testing::given;

use super::{
    CancelReason, Expire, LINES_MAX, NoteDeclined, NoteLacking, NotePaid, NoteReserved, Order,
    OrderError, OrderEvent, OrderLine, OrderStatus, OrderView, Place, PricedLine, Progress, Show,
};
use crate::{
    inventory::{ItemId, LackReason},
    limits::{AMOUNT_MAX, UNPAID_TIME},
    money::{
        Money,
        tests::{eur, usd},
    },
    payments::{CardToken, DeclineReason, Receipt},
    quantity::Quantity,
    users::UserId,
};

pub(super) fn sku(text: &str) -> ItemId {
    ItemId::parse(text).expect("an id")
}

pub(super) fn buyer() -> UserId {
    UserId::parse("u-1").expect("an id")
}

fn two() -> Quantity {
    Quantity::new(2).expect("a quantity")
}

fn card() -> CardToken {
    CardToken::parse("sim-4242").expect("a token")
}

pub(super) fn receipt(text: &str) -> Receipt {
    Receipt::parse(text).expect("a receipt")
}

pub(super) fn place<'a>(skus: impl IntoIterator<Item = &'a str>) -> Place {
    let line = |text| OrderLine { sku: sku(text), quantity: two(), expected_price: None };
    let lines = skus.into_iter().map(line);
    Place { buyer: buyer(), currency: eur(0).currency, card: card(), lines: lines.collect() }
}

pub(super) fn placed(skus: &[&str]) -> OrderEvent {
    let Place { buyer, currency, card, lines } = place(skus.iter().copied());
    OrderEvent::Placed { buyer, currency, card, lines }
}

fn note_reserved(text: &str, unit_price: Money) -> NoteReserved {
    NoteReserved { sku: sku(text), quantity: two(), unit_price }
}

pub(super) fn line_reserved(text: &str, unit_price: Money) -> OrderEvent {
    OrderEvent::LineReserved { sku: sku(text), quantity: two(), unit_price }
}

fn due(total: Money) -> OrderEvent {
    OrderEvent::PaymentDue { total, card: card() }
}

fn confirmed(text: &str) -> OrderEvent {
    let skus = vec![sku("A1")];
    OrderEvent::Confirmed { buyer: buyer(), total: eur(500), receipt: receipt(text), skus }
}

pub(super) fn cancelled(reason: CancelReason, skus: &[&str]) -> OrderEvent {
    let skus = skus.iter().map(|text| sku(text)).collect();
    OrderEvent::Cancelled { buyer: buyer(), reason, skus }
}

fn lacking() -> CancelReason {
    CancelReason::Lacking { sku: sku("A1"), reason: LackReason::OutOfStock { available: 1 } }
}

fn note_lacking() -> NoteLacking {
    NoteLacking { sku: sku("A1"), reason: LackReason::OutOfStock { available: 1 } }
}

fn declined() -> CancelReason {
    CancelReason::Declined { reason: DeclineReason::CardDeclined }
}

fn note_declined() -> NoteDeclined {
    NoteDeclined { reason: DeclineReason::CardDeclined }
}

/// An order of one line in each stage after it was placed.
pub(super) fn paying() -> Vec<OrderEvent> {
    vec![placed(&["A1"]), line_reserved("A1", eur(250)), due(eur(500))]
}

pub(super) fn is_confirmed() -> Vec<OrderEvent> {
    paying().into_iter().chain([confirmed("r-1")]).collect()
}

pub(super) fn is_cancelled() -> Vec<OrderEvent> {
    vec![placed(&["A1"]), cancelled(lacking(), &["A1"])]
}

#[test]
fn an_order_is_placed_once() {
    given::<Order>([])
        .when(place(["A1", "B2"]))
        .replies(OrderStatus::Placed)
        .then([placed(&["A1", "B2"])])
        .arms(UNPAID_TIME, Expire {});
    given::<Order>([placed(&["A1"])]).when(place(["A1"])).refuses(OrderError::AlreadyPlaced);
}

#[test]
fn an_order_has_one_to_fifty_lines_and_no_item_twice() {
    let skus: Vec<String> = (0..=LINES_MAX).map(|n| format!("S{n}")).collect();
    let first = |count| place(skus.iter().map(String::as_str).take(count));
    given::<Order>([]).when(first(0)).refuses(OrderError::Empty);
    let all: Vec<&str> = skus.iter().map(String::as_str).take(LINES_MAX).collect();
    given::<Order>([]).when(first(LINES_MAX)).replies(OrderStatus::Placed).then([placed(&all)]);
    given::<Order>([]).when(first(LINES_MAX + 1)).refuses(OrderError::TooManyLines);
    given::<Order>([])
        .when(place(["A1", "B2", "A1"]))
        .refuses(OrderError::LineRepeated { sku: sku("A1") });
    assert!(OrderError::TooManyLines.to_string().contains(&LINES_MAX.to_string()));
}

#[test]
fn payment_is_due_once_every_line_is_held() {
    given::<Order>([placed(&["A1", "B2"])])
        .when(note_reserved("B2", eur(100)))
        .replies(())
        .then([line_reserved("B2", eur(100))]);
    given::<Order>([placed(&["A1", "B2"]), line_reserved("B2", eur(100))])
        .when(note_reserved("A1", eur(250)))
        .then([line_reserved("A1", eur(250)), due(eur(700))]);
}

#[test]
fn a_total_beyond_all_amounts_cancels() {
    for past in [
        vec![placed(&["A1"])],
        vec![placed(&["A1", "B2"]), line_reserved("B2", eur(AMOUNT_MAX / 2))],
    ] {
        let skus: &[&str] = if past.len() == 1 { &["A1"] } else { &["A1", "B2"] };
        let price = if past.len() == 1 { eur(AMOUNT_MAX) } else { eur(1) };
        given::<Order>(past)
            .when(note_reserved("A1", price))
            .then([line_reserved("A1", price), cancelled(CancelReason::TotalTooLarge, skus)]);
    }
}

#[test]
fn another_price_than_the_buyer_was_shown_cancels() {
    let expecting = |price| {
        let mut place = place(["A1"]);
        place.lines[0].expected_price = Some(price);
        let Place { buyer, currency, card, lines } = place;
        OrderEvent::Placed { buyer, currency, card, lines }
    };
    given::<Order>([expecting(eur(250))])
        .when(note_reserved("A1", eur(250)))
        .then([line_reserved("A1", eur(250)), due(eur(500))]);
    let reason =
        CancelReason::PriceChanged { sku: sku("A1"), expected: eur(250), unit_price: eur(200) };
    given::<Order>([expecting(eur(250))])
        .when(note_reserved("A1", eur(200)))
        .then([line_reserved("A1", eur(200)), cancelled(reason, &["A1"])])
        .disarms(&Expire {});
}

#[test]
fn the_first_lack_cancels() {
    let NoteLacking { sku: lacked, reason } = note_lacking();
    given::<Order>([placed(&["A1", "B2"]), line_reserved("B2", eur(100))])
        .when(note_lacking())
        .replies(())
        .then([
            OrderEvent::LineLacking { sku: lacked, reason },
            cancelled(lacking(), &["A1", "B2"]),
        ]);
    given::<Order>(is_cancelled()).when(note_lacking()).replies(()).then([]);
}

#[test]
fn a_paid_order_is_confirmed_and_a_declined_one_cancelled() {
    given::<Order>(paying())
        .when(NotePaid { receipt: receipt("r-1") })
        .replies(())
        .then([confirmed("r-1")])
        .disarms(&Expire {});
    given::<Order>(paying())
        .when(note_declined())
        .replies(())
        .then([cancelled(declined(), &["A1"])])
        .disarms(&Expire {});
}

#[test]
fn an_order_that_is_not_paid_in_time_is_cancelled() {
    for past in [vec![placed(&["A1"])], paying()] {
        given::<Order>(past)
            .when(Expire {})
            .replies(())
            .then([cancelled(CancelReason::Unpaid, &["A1"])]);
    }
    for past in [is_confirmed(), is_cancelled()] {
        given::<Order>(past).when(Expire {}).replies(()).then([]).touches_no_timer();
    }
    given::<Order>([]).when(Expire {}).refuses(OrderError::Unplaced);
}

#[test]
fn what_is_told_twice_or_too_late_changes_nothing() {
    given::<Order>([placed(&["A1", "B2"]), line_reserved("A1", eur(250))])
        .when(note_reserved("A1", eur(250)))
        .replies(())
        .then([]);
    for past in [paying(), is_confirmed(), is_cancelled()] {
        given::<Order>(past.clone()).when(note_reserved("A1", eur(250))).replies(()).then([]);
        given::<Order>(past).when(note_lacking()).replies(()).then([]);
    }
    for past in [is_confirmed(), is_cancelled()] {
        given::<Order>(past).when(note_declined()).replies(()).then([]);
    }
    given::<Order>(is_confirmed()).when(NotePaid { receipt: receipt("r-1") }).replies(()).then([]);
}

#[test]
fn money_that_comes_too_late_is_recorded_once() {
    let late = OrderEvent::PaidTooLate { receipt: receipt("r-2") };
    for past in [is_cancelled(), is_confirmed()] {
        let note = NotePaid { receipt: receipt("r-2") };
        given::<Order>(past.clone()).when(note.clone()).replies(()).then([late.clone()]);
        given::<Order>(past.into_iter().chain([late.clone()])).when(note).replies(()).then([]);
    }
}

#[test]
fn a_note_about_what_was_not_asked_for_is_refused() {
    let not_ours = OrderError::NoSuchLine { sku: sku("B2") };
    let past = || [placed(&["A1"])];
    given::<Order>(past()).when(note_reserved("B2", eur(1))).refuses(not_ours.clone());
    let lacking = NoteLacking { sku: sku("B2"), reason: LackReason::UnknownItem };
    given::<Order>(past()).when(lacking).refuses(not_ours);
    let other = || OrderError::NoSuchLine { sku: sku("A1") };
    given::<Order>(past()).when(note_reserved("A1", usd(1))).refuses(other());
    let three = Quantity::new(3).expect("a quantity");
    let more = NoteReserved { quantity: three, ..note_reserved("A1", eur(1)) };
    given::<Order>(past()).when(more).refuses(other());
    let paid = NotePaid { receipt: receipt("r-1") };
    given::<Order>(past()).when(paid).refuses(OrderError::NotDue);
    given::<Order>(past()).when(note_declined()).refuses(OrderError::NotDue);
}

#[test]
fn nothing_is_noted_of_what_was_never_placed() {
    let nothing = || given::<Order>([]);
    nothing().when(note_reserved("A1", eur(1))).refuses(OrderError::Unplaced);
    nothing().when(note_lacking()).refuses(OrderError::Unplaced);
    nothing().when(NotePaid { receipt: receipt("r-1") }).refuses(OrderError::Unplaced);
    nothing().when(note_declined()).refuses(OrderError::Unplaced);
    nothing().when(Show {}).refuses(OrderError::Unplaced);
}

#[test]
fn an_order_shows_how_it_stands() {
    let view = |status| OrderView {
        buyer: buyer(),
        status,
        currency: eur(0).currency,
        lines: vec![PricedLine { sku: sku("A1"), quantity: two(), unit_price: Some(eur(250)) }],
        total: Some(eur(500)),
        receipt: None,
        reason: None,
        progress: None,
        shipments: Vec::new(),
        returns: Vec::new(),
    };
    given::<Order>(paying()).when(Show {}).replies(view(OrderStatus::Paying)).then([]);
    let progress = Some(Progress::ToShip);
    let shown =
        OrderView { receipt: Some(receipt("r-1")), progress, ..view(OrderStatus::Confirmed) };
    given::<Order>(is_confirmed()).when(Show {}).replies(shown).then([]);
    let past = paying().into_iter().chain([cancelled(declined(), &["A1"])]);
    let shown = OrderView { total: None, reason: Some(declined()), ..view(OrderStatus::Cancelled) };
    given::<Order>(past).when(Show {}).replies(shown).then([]);
}
