//! What a pending charge does, by given, when, then.

use bus::testing::given;

use super::*;
use crate::{
    limits::{VERDICT_CHECKS_MAX, VERDICT_PAUSE, VERDICT_PAUSE_MAX},
    money::{
        Money,
        tests::{eur, usd},
    },
    orders::OrderId,
};

fn order() -> OrderId {
    OrderId::parse("o-1").expect("an id")
}

fn card() -> CardToken {
    CardToken::parse("sim-3063").expect("a token")
}

fn charge(text: &str) -> Receipt {
    Receipt::parse(text).expect("a receipt")
}

fn requested() -> PaymentEvent {
    PaymentEvent::Requested { order: order(), amount: eur(500), card: card() }
}

fn pending() -> PaymentEvent {
    PaymentEvent::Pending { order: order(), charge: charge("ch-1") }
}

fn authorised() -> PaymentEvent {
    PaymentEvent::Authorised { order: order(), charge: charge("ch-1") }
}

fn charge_due() -> PaymentEvent {
    PaymentEvent::ChargeDue { order: order(), amount: eur(500), card: card() }
}

fn captured() -> PaymentEvent {
    let (receipt, amount) = (charge("ch-1"), Some(eur(500)));
    PaymentEvent::Captured { order: order(), receipt, amount }
}

fn declined() -> PaymentEvent {
    PaymentEvent::Declined { order: order(), reason: DeclineReason::CardDeclined }
}

fn note_pending() -> NotePending {
    NotePending { charge: charge("ch-1") }
}

fn authorise() -> Authorise {
    Authorise { charge: charge("ch-1"), amount: eur(500) }
}

fn capture(amount: Money) -> Capture {
    Capture { receipt: charge("ch-1"), amount: Some(amount) }
}

fn decline(text: &str, amount: Money) -> Decline {
    let (charge, amount) = (Some(charge(text)), Some(amount));
    Decline { reason: DeclineReason::CardDeclined, charge, amount }
}

#[test]
fn what_is_pending_is_charged_once_it_is_authorised() {
    given::<Payment>([requested()])
        .when(note_pending())
        .replies(())
        .then([pending()])
        .arms(VERDICT_PAUSE, CheckVerdict {});
    let is_pending = || given::<Payment>([requested(), pending()]);
    is_pending().when(note_pending()).replies(()).then([]).touches_no_timer();
    is_pending().when(authorise()).replies(()).then([authorised(), charge_due()]);
    let past = || vec![requested(), pending(), authorised(), charge_due()];
    given::<Payment>(past()).when(authorise()).replies(()).then([]);
    given::<Payment>(past())
        .when(capture(eur(500)))
        .replies(())
        .then([captured()])
        .disarms(&CheckVerdict {});
}

#[test]
fn a_webhook_that_overtakes_the_answer_decides_as_well() {
    // The charge is not known to be pending: whoever asked for it has it charged.
    given::<Payment>([requested()]).when(authorise()).replies(()).then([authorised()]);
    let overtaken = given::<Payment>([requested(), authorised()]).when(note_pending());
    overtaken.then([pending(), charge_due()]).arms(VERDICT_PAUSE, CheckVerdict {});
    given::<Payment>([requested(), captured()]).when(note_pending()).then([]).touches_no_timer();
    // Captured before authorised.
    given::<Payment>([requested(), captured()]).when(authorise()).replies(()).then([]);
    let settled = PaymentError::AlreadySettled;
    given::<Payment>([requested(), declined()]).when(authorise()).refuses(settled);
}

#[test]
fn what_nobody_tells_is_asked_for_after_growing_pauses() {
    let after = |checks: u32| {
        let past = (0..checks).map(|_| charge_due());
        given::<Payment>([requested(), pending()].into_iter().chain(past)).when(CheckVerdict {})
    };
    after(0).then([charge_due()]).arms(VERDICT_PAUSE, CheckVerdict {});
    after(3).then([charge_due()]).arms(VERDICT_PAUSE * 8, CheckVerdict {});
    after(99).then([charge_due()]).arms(VERDICT_PAUSE_MAX, CheckVerdict {});
    after(VERDICT_CHECKS_MAX).replies(()).then([]).touches_no_timer();
    let decided = given::<Payment>([requested(), pending(), declined()]);
    decided.when(CheckVerdict {}).replies(()).then([]).touches_no_timer();
}

#[test]
fn what_is_of_another_charge_or_amount_has_no_effect() {
    use PaymentError::{OtherAmount, OtherCharge, OtherCurrency};
    let is_pending = || given::<Payment>([requested(), pending()]);
    is_pending().when(NotePending { charge: charge("ch-2") }).refuses(OtherCharge);
    is_pending().when(Authorise { charge: charge("ch-2"), ..authorise() }).refuses(OtherCharge);
    is_pending().when(Authorise { amount: eur(501), ..authorise() }).refuses(OtherAmount);
    is_pending().when(Authorise { amount: usd(500), ..authorise() }).refuses(OtherCurrency);
    is_pending().when(capture(eur(499))).refuses(OtherAmount);
    is_pending().when(capture(usd(500))).refuses(OtherCurrency);
    let other = Capture { receipt: charge("ch-2"), amount: Some(eur(500)) };
    is_pending().when(other).refuses(OtherCharge);
    is_pending().when(decline("ch-2", eur(500))).refuses(OtherCharge);
    is_pending().when(decline("ch-1", eur(1))).refuses(OtherAmount);
    is_pending().when(decline("ch-1", eur(500))).then([declined()]).disarms(&CheckVerdict {});
    // A repeat that contradicts is no repeat.
    let is_captured = || given::<Payment>([requested(), captured()]);
    is_captured().when(capture(eur(500))).replies(()).then([]);
    is_captured().when(capture(eur(499))).refuses(OtherAmount);
}

#[test]
fn a_refund_of_another_charge_or_amount_has_no_effect() {
    let amount = eur(200);
    let (order, receipt) = (order(), charge("ch-1"));
    let due = PaymentEvent::RefundDue { order, amount, receipt, number: 1 };
    let past = || given::<Payment>([requested(), captured(), due.clone()]);
    let confirm = |text: &str, amount: Money| ConfirmRefund {
        receipt: charge(text),
        number: 1,
        amount: Some(amount),
    };
    past().when(confirm("ch-1", eur(201))).refuses(PaymentError::OtherAmount);
    past().when(confirm("ch-1", usd(200))).refuses(PaymentError::OtherCurrency);
    past().when(confirm("ch-2", eur(200))).refuses(PaymentError::OtherCharge);
    past().when(confirm("ch-1", eur(200))).replies(());
}

#[test]
fn how_a_pending_charge_stands_is_shown() {
    let status = |past: &[PaymentEvent]| {
        let shown = |status, charge| PaymentView {
            order: order(),
            status,
            amount: eur(500),
            refunded: eur(0),
            reason: None,
            charge,
            refunds: Vec::new(),
            refused_webhooks: Vec::new(),
        };
        (given::<Payment>(past.to_vec()).when(Show {}), shown)
    };
    let (asked, shown) = status(&[requested(), pending()]);
    asked.replies(shown(PaymentStatus::Pending, Some(charge("ch-1"))));
    let (asked, shown) = status(&[requested(), pending(), authorised()]);
    asked.replies(shown(PaymentStatus::Authorised, Some(charge("ch-1"))));
}
