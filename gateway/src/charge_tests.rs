//! The rules of a charge.

use super::*;

const DECLINED: Verdict = Verdict::Declined { reason: Reason::InsufficientFunds };

fn terms() -> Terms {
    let (reference, currency) = ("o-1".to_owned(), "EUR".to_owned());
    Terms { reference, amount: 1_000, currency, token: "sim-4242".to_owned() }
}

fn decided(verdict: Verdict) -> Charge {
    Charge::decided("ch-1".to_owned(), "k-1".to_owned(), terms(), verdict).0
}

fn pending(then: Verdict) -> Charge {
    Charge::pending("ch-1".to_owned(), "k-1".to_owned(), terms(), 5, then)
}

/// The charge after a change that must be one, and what was told of it.
fn changed(change: Result<Change, Refusal>) -> (Charge, Occurrence) {
    change.expect("not refused").expect("a change")
}

fn captured(amount: u64) -> Charge {
    changed(decided(Verdict::Authorised).capture(amount)).0
}

fn voided() -> Charge {
    changed(decided(Verdict::Authorised).void()).0
}

#[test]
fn a_verdict_is_told() {
    let (charge, told) = Charge::decided("c".to_owned(), "k".to_owned(), terms(), DECLINED);
    assert_eq!(charge.reason(), Some(Reason::InsufficientFunds));
    assert_eq!((told.kind, told.amount, told.reason), (Kind::Declined, 1_000, charge.reason()));
}

#[test]
fn what_is_pending_is_settled_once() {
    let (settled, told) = pending(DECLINED).settle().expect("a change");
    assert_eq!((told.kind, settled.reason()), (Kind::Declined, told.reason));
    assert!(settled.was_pending && !settled.is_pending());
    assert_eq!(settled.settle(), None);
}

#[test]
fn at_most_what_was_authorised_is_captured_and_once() {
    let authorised = decided(Verdict::Authorised);
    let refused = authorised.capture(1_001);
    assert_eq!(refused, Err(Refusal::MoreThanAuthorised { authorised: 1_000 }));
    let (captured, told) = changed(authorised.capture(600));
    assert_eq!((told.kind, told.amount, captured.captured()), (Kind::Captured, 600, 600));
    assert_eq!(captured.capture(600), Ok(None), "asked twice");
    assert_eq!(captured.capture(400), Err(Refusal::AlreadyCaptured));
}

#[test]
fn at_most_what_was_captured_is_given_back() {
    let (once, told) = changed(captured(600).refund("r-1", 250));
    assert_eq!(
        (told.kind, told.amount, told.refund),
        (Kind::Refunded, 250, Some("r-1".to_owned()))
    );
    assert_eq!(once.refund("r-1", 250), Ok(None), "asked twice");
    assert_eq!(once.refund("r-1", 251), Err(Refusal::KeyReused));
    assert_eq!(once.refund("r-2", 351), Err(Refusal::MoreThanCaptured { left: 350 }));
    let (twice, _) = changed(once.refund("r-2", 350));
    assert_eq!((twice.captured(), twice.refunded()), (600, 600));
    assert_eq!(twice.refund("r-3", 1), Err(Refusal::MoreThanCaptured { left: 0 }));
    assert_eq!(twice.refund("r-1", 250), Ok(None), "and much later");
    assert_eq!(twice.capture(600), Ok(None));
}

#[test]
fn refunds_have_a_bound() {
    let mut charge = captured(1_000);
    for number in 0..REFUNDS_MAX {
        charge = changed(charge.refund(&format!("r-{number}"), 1)).0;
    }
    assert_eq!(charge.refund("one-more", 1), Err(Refusal::TooManyRefunds));
    assert_eq!(charge.refund("r-0", 1), Ok(None));
}

#[test]
fn only_what_was_never_captured_is_voided() {
    let (voided, told) = changed(decided(Verdict::Authorised).void());
    assert_eq!((told.kind, told.amount), (Kind::Voided, 1_000));
    assert_eq!(voided.void(), Ok(None), "asked twice");
    assert_eq!(captured(1).void(), Err(Refusal::AlreadyCaptured));
}

#[test]
fn each_state_refuses_in_its_own_words() {
    for (charge, capture, refund, void) in [
        (pending(DECLINED), Refusal::StillPending, Refusal::StillPending, Refusal::StillPending),
        (decided(DECLINED), Refusal::Declined, Refusal::Declined, Refusal::Declined),
    ] {
        assert_eq!(charge.capture(1), Err(capture));
        assert_eq!(charge.refund("r", 1), Err(refund));
        assert_eq!(charge.void(), Err(void));
    }
    assert_eq!(voided().capture(1), Err(Refusal::Voided));
    assert_eq!(voided().refund("r", 1), Err(Refusal::Voided));
    assert_eq!(decided(Verdict::Authorised).refund("r", 1), Err(Refusal::NotCaptured));
}

#[test]
fn a_charge_is_read_as_it_was_written() {
    let refunded = changed(captured(600).refund("r-1", 250)).0;
    for charge in [refunded, voided(), pending(DECLINED), decided(DECLINED)] {
        let written = serde_json::to_string(&charge).expect("JSON");
        assert_eq!(serde_json::from_str::<Charge>(&written).expect(&written), charge);
    }
}
