//! What a payment does, by given, when, then.

use bus::testing::given;

use super::*;
use crate::{limits::REFUNDS_MAX, money::tests::eur, orders::OrderId};

fn request() -> Request {
    Request {
        order: OrderId::parse("o-1").expect("an id"),
        amount: eur(500),
        card: CardToken::parse("sim-4242").expect("a token"),
    }
}

fn requested() -> PaymentEvent {
    let Request { order, amount, card } = request();
    PaymentEvent::Requested { order, amount, card }
}

fn receipt(text: &str) -> Receipt {
    Receipt::parse(text).expect("a receipt")
}

fn captured() -> PaymentEvent {
    let Request { order, amount, .. } = request();
    PaymentEvent::Captured { order, receipt: receipt("r-1"), amount: Some(amount) }
}

fn declined() -> PaymentEvent {
    PaymentEvent::Declined { order: request().order, reason: DeclineReason::CardDeclined }
}

fn capture(text: &str) -> Capture {
    Capture { receipt: receipt(text), amount: None }
}

fn decline(reason: DeclineReason) -> Decline {
    Decline { reason, charge: None, amount: None }
}

#[test]
fn a_payment_is_requested_once() {
    given::<Payment>([]).when(request()).replies(()).then([requested()]);
    for past in [vec![requested()], vec![requested(), captured()]] {
        given::<Payment>(past).when(request()).replies(()).then([]);
    }
}

#[test]
fn other_terms_are_refused() {
    for other in [
        Request { amount: eur(501), ..request() },
        Request { order: OrderId::parse("o-2").expect("an id"), ..request() },
        Request { card: CardToken::parse("sim-0002").expect("a token"), ..request() },
    ] {
        given::<Payment>([requested()]).when(other).refuses(PaymentError::AlreadyRequested);
    }
}

#[test]
fn an_outcome_is_recorded_once() {
    use DeclineReason::CardDeclined;
    given::<Payment>([requested()]).when(capture("r-1")).replies(()).then([captured()]);
    given::<Payment>([requested(), captured()]).when(capture("r-1")).replies(()).then([]);
    given::<Payment>([requested()]).when(decline(CardDeclined)).replies(()).then([declined()]);
    given::<Payment>([requested(), declined()]).when(decline(CardDeclined)).then([]);
}

#[test]
fn another_outcome_is_refused() {
    use DeclineReason::{CardDeclined, InsufficientFunds};
    let is_captured = || given::<Payment>([requested(), captured()]);
    is_captured().when(decline(CardDeclined)).refuses(PaymentError::AlreadySettled);
    is_captured().when(capture("r-2")).refuses(PaymentError::AlreadySettled);
    let is_declined = || given::<Payment>([requested(), declined()]);
    is_declined().when(capture("r-1")).refuses(PaymentError::AlreadySettled);
    is_declined().when(decline(InsufficientFunds)).refuses(PaymentError::AlreadySettled);
}

fn refund(text: &str) -> Refund {
    Refund { receipt: receipt(text), number: 0, amount: None }
}

fn part(number: u32, amount: i64) -> Refund {
    Refund { number, amount: Some(eur(amount)), ..refund("r-1") }
}

fn confirm_refund(text: &str) -> ConfirmRefund {
    ConfirmRefund { receipt: receipt(text), number: 0, amount: None }
}

fn part_due(number: u32, amount: i64) -> PaymentEvent {
    let (order, amount, receipt) = (request().order, eur(amount), receipt("r-1"));
    PaymentEvent::RefundDue { order, amount, receipt, number }
}

fn part_refunded(number: u32, amount: i64) -> PaymentEvent {
    let (order, amount, receipt) = (request().order, eur(amount), receipt("r-1"));
    PaymentEvent::Refunded { order, amount, receipt, number }
}

fn due() -> PaymentEvent {
    part_due(0, 500)
}

fn refunded() -> PaymentEvent {
    part_refunded(0, 500)
}

#[test]
fn parts_of_what_was_captured_go_back_and_never_more() {
    let past = || vec![requested(), captured(), part_due(1, 200)];
    given::<Payment>(vec![requested(), captured()]).when(part(1, 200)).then([part_due(1, 200)]);
    given::<Payment>(past()).when(part(1, 200)).replies(()).then([]);
    let repeated = PaymentError::RefundRepeated { number: 1 };
    given::<Payment>(past()).when(part(1, 100)).refuses(repeated);
    given::<Payment>(past()).when(part(2, 300)).then([part_due(2, 300)]);
    let too_large = PaymentError::RefundTooLarge { left: eur(300) };
    given::<Payment>(past()).when(part(2, 301)).refuses(too_large.clone());
    let other = Refund { amount: Some(crate::money::tests::usd(1)), ..part(2, 1) };
    given::<Payment>(past()).when(other).refuses(too_large);
    // All that is left, where nothing is said.
    given::<Payment>(past()).when(refund("r-1")).then([part_due(0, 300)]);
    let confirm = ConfirmRefund { number: 1, ..confirm_refund("r-1") };
    given::<Payment>(past()).when(confirm).then([part_refunded(1, 200)]);
    given::<Payment>(past()).when(confirm_refund("r-1")).refuses(PaymentError::RefundNotDue);
}

#[test]
fn a_payment_has_so_many_refunds_and_no_more() {
    let all = u32::try_from(REFUNDS_MAX).expect("few");
    let parts = (1..=all).map(|number| part_due(number, 1));
    let past: Vec<_> = [requested(), captured()].into_iter().chain(parts).collect();
    given::<Payment>(past).when(part(all + 1, 1)).refuses(PaymentError::TooManyRefunds);
    assert!(PaymentError::TooManyRefunds.to_string().contains(&REFUNDS_MAX.to_string()));
}

#[test]
fn a_payment_shows_how_it_stands() {
    let view = |status| PaymentView {
        order: request().order,
        status,
        amount: eur(500),
        refunded: eur(0),
        reason: None,
        charge: None,
        refunds: Vec::new(),
        refused_webhooks: Vec::new(),
    };
    given::<Payment>([requested()]).when(Show {}).replies(view(PaymentStatus::Requested));
    let past = [requested(), captured(), part_due(1, 200), part_refunded(1, 200), part_due(2, 5)];
    let part = |number, amount, is_done| RefundView { number, amount: eur(amount), is_done };
    let shown = PaymentView {
        refunded: eur(200),
        charge: Some(receipt("r-1")),
        refunds: vec![part(1, 200, true), part(2, 5, false)],
        ..view(PaymentStatus::Captured)
    };
    given::<Payment>(past).when(Show {}).replies(shown).then([]);
    let reason = Some(DeclineReason::CardDeclined);
    let shown = PaymentView { reason, ..view(PaymentStatus::Declined) };
    given::<Payment>([requested(), declined()]).when(Show {}).replies(shown);
    given::<Payment>([]).when(Show {}).refuses(PaymentError::NotRequested);
}

#[test]
fn what_was_captured_is_given_back_once() {
    let past = vec![requested(), captured()];
    given::<Payment>(past.clone()).when(refund("r-1")).replies(()).then([due()]);
    let past = [past, vec![due()]].concat();
    given::<Payment>(past.clone()).when(refund("r-1")).replies(()).then([]);
    given::<Payment>(past.clone()).when(confirm_refund("r-1")).then([refunded()]);
    let past = [past, vec![refunded()]].concat();
    given::<Payment>(past.clone()).when(refund("r-1")).replies(()).then([]);
    given::<Payment>(past).when(confirm_refund("r-1")).replies(()).then([]);
}

#[test]
fn nothing_else_is_given_back() {
    for past in [vec![requested()], vec![requested(), declined()]] {
        given::<Payment>(past).when(refund("r-1")).refuses(PaymentError::NotCaptured);
    }
    let is_captured = || given::<Payment>([requested(), captured()]);
    is_captured().when(refund("r-2")).refuses(PaymentError::OtherCharge);
    is_captured().when(confirm_refund("r-1")).refuses(PaymentError::RefundNotDue);
    given::<Payment>([]).when(refund("r-1")).refuses(PaymentError::NotRequested);
}

#[test]
fn nothing_settles_what_was_not_requested() {
    let reason = DeclineReason::CardDeclined;
    given::<Payment>([]).when(capture("r-1")).refuses(PaymentError::NotRequested);
    given::<Payment>([]).when(decline(reason)).refuses(PaymentError::NotRequested);
}
