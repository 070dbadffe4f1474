//! What happens to an order after its checkout, rule by rule.

use bus::testing::given;

use super::{
    AcceptReturn, Cancel, CancelReason, Deliver, Expire, NotePaid, Order, OrderError, OrderEvent,
    OrderStatus, OrderView, Portion, PricedLine, Progress, RejectReturn, Return, ReturnStatus,
    Returned, Ship, Shipment, Show,
    actor_tests::{
        buyer, cancelled, is_cancelled, is_confirmed, line_reserved, paying, placed, receipt, sku,
    },
};
use crate::{limits::ORDER_SHIPMENTS_MAX, money::tests::eur, quantity::Quantity, users::UserId};

fn pieces(number: u32) -> Quantity {
    Quantity::new(number).expect("a quantity")
}

fn portions(all: &[(&str, u32)]) -> Vec<Portion> {
    let portion =
        |(text, number): &(&str, u32)| Portion { sku: sku(text), quantity: pieces(*number) };
    all.iter().map(portion).collect()
}

fn ship(all: &[(&str, u32)]) -> Ship {
    Ship { portions: portions(all), parcel: None, warehouse: None }
}

fn shipped(number: u32, all: &[(&str, u32)]) -> OrderEvent {
    let (portions, parcel, warehouse) = (portions(all), None, None);
    OrderEvent::Shipped { number, buyer: buyer(), portions, parcel, warehouse }
}

fn delivered(number: u32) -> OrderEvent {
    OrderEvent::Delivered { number, buyer: buyer() }
}

fn give_back(all: &[(&str, u32)]) -> Return {
    Return { buyer: Some(buyer()), portions: portions(all), reason: "broken".to_owned() }
}

fn requested(number: u32, all: &[(&str, u32)]) -> OrderEvent {
    let (buyer, portions, reason) = (buyer(), portions(all), "broken".to_owned());
    OrderEvent::ReturnRequested { number, buyer, portions, reason }
}

fn rejected(number: u32) -> OrderEvent {
    OrderEvent::ReturnRejected { number, buyer: buyer(), reason: "used".to_owned() }
}

fn accepted(number: u32, all: &[(&str, u32)], refund: i64) -> OrderEvent {
    OrderEvent::ReturnAccepted {
        number,
        buyer: buyer(),
        portions: portions(all),
        sellable: true,
        refund: eur(refund),
        receipt: receipt("r-1"),
    }
}

fn revoked() -> OrderEvent {
    let (buyer, skus) = (buyer(), vec![sku("A1")]);
    OrderEvent::Revoked { buyer, total: eur(500), receipt: receipt("r-1"), skus }
}

/// A paid order of two A1 at 2.50, and then `more`.
fn paid(more: &[OrderEvent]) -> Vec<OrderEvent> {
    is_confirmed().into_iter().chain(more.iter().cloned()).collect()
}

fn all_delivered(more: &[OrderEvent]) -> Vec<OrderEvent> {
    let there = [shipped(1, &[("A1", 2)]), delivered(1)];
    paid(&there).into_iter().chain(more.iter().cloned()).collect()
}

#[test]
fn an_unpaid_order_is_cancelled_by_its_buyer_or_by_staff() {
    for past in [vec![placed(&["A1"])], paying()] {
        given::<Order>(past.clone())
            .when(Cancel { buyer: Some(buyer()) })
            .replies(OrderStatus::Cancelled)
            .then([cancelled(CancelReason::CalledOff, &["A1"])])
            .disarms(&Expire {});
        given::<Order>(past)
            .when(Cancel { buyer: None })
            .then([cancelled(CancelReason::ByTheShop, &["A1"])]);
    }
}

#[test]
fn a_paid_order_is_revoked_while_nothing_has_left() {
    given::<Order>(paid(&[]))
        .when(Cancel { buyer: Some(buyer()) })
        .replies(OrderStatus::Revoked)
        .then([revoked()]);
    given::<Order>(paid(&[revoked()]))
        .when(Cancel { buyer: None })
        .replies(OrderStatus::Revoked)
        .then([]);
    given::<Order>(is_cancelled())
        .when(Cancel { buyer: None })
        .replies(OrderStatus::Cancelled)
        .then([]);
    let gone = paid(&[shipped(1, &[("A1", 1)])]);
    given::<Order>(gone).when(Cancel { buyer: None }).refuses(OrderError::AlreadyShipped);
    given::<Order>([]).when(Cancel { buyer: None }).refuses(OrderError::Unplaced);
}

#[test]
fn what_is_told_of_the_payment_of_a_revoked_order_counts_once() {
    let note = |text| NotePaid { receipt: receipt(text) };
    given::<Order>(paid(&[revoked()])).when(note("r-1")).replies(()).then([]);
    let late = OrderEvent::PaidTooLate { receipt: receipt("r-2") };
    given::<Order>(paid(&[revoked()])).when(note("r-2")).replies(()).then([late]);
    given::<Order>(paid(&[revoked()])).when(Expire {}).replies(()).then([]);
}

#[test]
fn somebody_elses_order_is_not_touched() {
    let other = Some(UserId::parse("u-2").expect("an id"));
    given::<Order>(paid(&[])).when(Cancel { buyer: other.clone() }).refuses(OrderError::NotYours);
    given::<Order>(all_delivered(&[]))
        .when(Return { buyer: other, ..give_back(&[("A1", 1)]) })
        .refuses(OrderError::NotYours);
    // Whoever asks for another's order learns nothing of it.
    assert_eq!(OrderError::NotYours.to_string(), OrderError::Unplaced.to_string());
}

#[test]
fn a_paid_order_is_shipped_in_parts() {
    given::<Order>(paid(&[])).when(ship(&[("A1", 1)])).replies(1).then([shipped(1, &[("A1", 1)])]);
    let one_left = || paid(&[shipped(1, &[("A1", 1)])]);
    given::<Order>(one_left()).when(ship(&[("A1", 1)])).replies(2).then([shipped(2, &[("A1", 1)])]);
    given::<Order>(one_left())
        .when(ship(&[("A1", 2)]))
        .refuses(OrderError::TooMany { sku: sku("A1"), left: 1 });
    given::<Order>(paid(&[]))
        .when(ship(&[("B2", 1)]))
        .refuses(OrderError::TooMany { sku: sku("B2"), left: 0 });
}

#[test]
fn only_what_is_paid_is_shipped() {
    for past in [vec![placed(&["A1"])], paying(), is_cancelled(), paid(&[revoked()])] {
        given::<Order>(past).when(ship(&[("A1", 1)])).refuses(OrderError::NotPaid);
    }
    given::<Order>(paid(&[])).when(ship(&[])).refuses(OrderError::Empty);
    let twice = ship(&[("A1", 1), ("A1", 1)]);
    given::<Order>(paid(&[])).when(twice).refuses(OrderError::LineRepeated { sku: sku("A1") });
}

#[test]
fn a_shipment_is_delivered_once() {
    let gone = || paid(&[shipped(1, &[("A1", 2)])]);
    given::<Order>(gone()).when(Deliver { shipment: 1 }).replies(()).then([delivered(1)]);
    given::<Order>(all_delivered(&[])).when(Deliver { shipment: 1 }).replies(()).then([]);
    given::<Order>(gone())
        .when(Deliver { shipment: 2 })
        .refuses(OrderError::NoSuchShipment { shipment: 2 });
}

#[test]
fn no_more_is_returned_than_was_delivered() {
    let too_many = |left| OrderError::TooMany { sku: sku("A1"), left };
    let gone = paid(&[shipped(1, &[("A1", 2)])]);
    given::<Order>(gone).when(give_back(&[("A1", 1)])).refuses(too_many(0));
    given::<Order>(all_delivered(&[]))
        .when(give_back(&[("A1", 2)]))
        .replies(1)
        .then([requested(1, &[("A1", 2)])]);
    given::<Order>(all_delivered(&[])).when(give_back(&[("A1", 3)])).refuses(too_many(2));
    let one = [requested(1, &[("A1", 1)])];
    given::<Order>(all_delivered(&one)).when(give_back(&[("A1", 2)])).refuses(too_many(1));
    let taken = [requested(1, &[("A1", 1)]), accepted(1, &[("A1", 1)], 250)];
    given::<Order>(all_delivered(&taken)).when(give_back(&[("A1", 2)])).refuses(too_many(1));
    // What was rejected may be asked for again.
    let no = [requested(1, &[("A1", 2)]), rejected(1)];
    given::<Order>(all_delivered(&no))
        .when(give_back(&[("A1", 2)]))
        .replies(2)
        .then([requested(2, &[("A1", 2)])]);
}

#[test]
fn a_return_is_decided_on_once_and_pays_what_was_paid() {
    let asked = || all_delivered(&[requested(1, &[("A1", 2)])]);
    let accept = AcceptReturn { number: 1, sellable: true };
    let reject = RejectReturn { number: 1, reason: "used".to_owned() };
    given::<Order>(asked()).when(accept.clone()).replies(eur(500)).then([accepted(
        1,
        &[("A1", 2)],
        500,
    )]);
    given::<Order>(asked()).when(reject.clone()).replies(()).then([rejected(1)]);
    for decided in [accepted(1, &[("A1", 2)], 500), rejected(1)] {
        let past = || asked().into_iter().chain([decided.clone()]);
        let known = OrderError::AlreadyDecided { number: 1 };
        given::<Order>(past()).when(accept.clone()).refuses(known.clone());
        given::<Order>(past()).when(reject.clone()).refuses(known);
    }
    let none = OrderError::NoSuchReturn { number: 1 };
    given::<Order>(all_delivered(&[])).when(accept).refuses(none.clone());
    given::<Order>(all_delivered(&[])).when(reject).refuses(none);
}

#[test]
fn an_order_has_so_many_shipments_and_no_more() {
    let line = OrderEvent::Placed {
        buyer: buyer(),
        currency: eur(0).currency,
        card: crate::payments::CardToken::parse("sim-4242").expect("a token"),
        lines: vec![super::OrderLine {
            sku: sku("A1"),
            quantity: pieces(1_000),
            expected_price: None,
        }],
    };
    let mut past = vec![line, line_reserved("A1", eur(1))];
    past.extend(is_confirmed().into_iter().skip(2));
    let all = u32::try_from(ORDER_SHIPMENTS_MAX).expect("few");
    past.extend((1..=all).map(|number| shipped(number, &[("A1", 1)])));
    given::<Order>(past).when(ship(&[("A1", 1)])).refuses(OrderError::TooManySteps);
    assert!(OrderError::TooManySteps.to_string().contains(&ORDER_SHIPMENTS_MAX.to_string()));
}

#[test]
fn an_order_shows_what_left_and_what_comes_back() {
    let line = PricedLine { sku: sku("A1"), quantity: pieces(2), unit_price: Some(eur(250)) };
    let view = |progress| OrderView {
        buyer: buyer(),
        status: OrderStatus::Confirmed,
        currency: eur(0).currency,
        lines: vec![line.clone()],
        total: Some(eur(500)),
        receipt: Some(receipt("r-1")),
        reason: None,
        progress: Some(progress),
        shipments: Vec::new(),
        returns: Vec::new(),
    };
    let shipment = |number: u32, count, is_delivered| Shipment {
        number,
        portions: portions(&[("A1", count)]),
        parcel: None,
        is_delivered,
    };
    let shipments = vec![shipment(1, 1, false)];
    given::<Order>(paid(&[shipped(1, &[("A1", 1)])]))
        .when(Show {})
        .replies(OrderView { shipments, ..view(Progress::PartlyShipped) });
    let shipments = vec![shipment(1, 2, true)];
    let returns = vec![Returned {
        number: 1,
        portions: portions(&[("A1", 1)]),
        reason: "broken".to_owned(),
        status: ReturnStatus::Accepted { refund: eur(250) },
    }];
    let past = [requested(1, &[("A1", 1)]), accepted(1, &[("A1", 1)], 250)];
    given::<Order>(all_delivered(&past)).when(Show {}).replies(OrderView {
        shipments,
        returns,
        ..view(Progress::Delivered)
    });
}
