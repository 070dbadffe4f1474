//! The books: what they find again, and what they forget.

use super::*;
use crate::cards::Verdict;

fn terms() -> Terms {
    let (reference, currency) = ("o-1".to_owned(), "EUR".to_owned());
    Terms { reference, amount: 1_000, currency, token: "sim-4242".to_owned() }
}

fn authorised(number: usize) -> Charge {
    let (id, key) = (format!("ch-{number}"), format!("k-{number}"));
    Charge::decided(id, key, terms(), Verdict::Authorised).0
}

fn pending(number: usize) -> Charge {
    let (id, key) = (format!("ch-{number}"), format!("k-{number}"));
    Charge::pending(id, key, terms(), 100 - number as u64, Verdict::Authorised)
}

fn books(charges_max: usize, charges: impl IntoIterator<Item = Charge>) -> Books {
    let mut books = Books::new(charges_max);
    for charge in charges {
        books.apply(Line::charge(charge, Vec::new()));
    }
    books
}

fn unanswered(key: &str) -> Line {
    Line::unanswered(Call { key: key.to_owned(), terms: terms() })
}

#[test]
fn a_charge_is_found_by_its_id_and_by_its_key() {
    let books = books(9, [authorised(1), authorised(2)]);
    assert_eq!(books.charge("ch-2"), Some(&authorised(2)));
    assert_eq!(books.charge_of_key("k-1"), Some(&authorised(1)));
    assert_eq!((books.charge("k-1"), books.charge_of_key("ch-1")), (None, None));
}

#[test]
fn the_oldest_that_is_not_pending_is_forgotten_with_its_key() {
    let mut books = books(2, [pending(1), authorised(2), authorised(3)]);
    assert_eq!(books.charge_of_key("k-2"), None);
    assert!(books.charge("ch-1").is_some() && books.charge("ch-3").is_some());
    // A change of a charge that is kept costs no other its place.
    books.apply(Line::charge(authorised(1), Vec::new()));
    assert_eq!(books.charges.len(), 2);
    assert!(books.has_room());
    books.apply(Line::charge(pending(4), Vec::new()));
    books.apply(Line::charge(pending(5), Vec::new()));
    assert!(!books.has_room(), "all are pending");
}

#[test]
fn pending_charges_are_decided_in_their_order() {
    let mut books = books(9, [pending(1), pending(2)]);
    assert_eq!(books.next_pending(), Some((98, &pending(2))));
    let (settled, _) = pending(2).settle().expect("a change");
    books.apply(Line::charge(settled, Vec::new()));
    assert_eq!(books.next_pending(), Some((99, &pending(1))));
}

#[test]
fn calls_left_unanswered_are_known_until_they_are_answered_or_too_many() {
    let mut books = books(9, []);
    books.apply(unanswered("k-1"));
    assert_eq!(books.unanswered("k-1"), Some(&terms()));
    books.apply(Line::charge(authorised(1), Vec::new()));
    assert_eq!(books.unanswered("k-1"), None);
    for number in 0..=UNANSWERED_MAX {
        books.apply(unanswered(&format!("u-{number}")));
    }
    assert_eq!(books.unanswered("u-0"), None);
    assert!(books.unanswered("u-1").is_some());
    assert_eq!(books.unanswered.len(), UNANSWERED_MAX);
}

#[test]
fn one_line_for_each_thing_is_as_good_as_all_there_were() {
    let mut before = books(3, [pending(1), authorised(2), pending(3), authorised(4)]);
    before.apply(unanswered("k-9"));
    let mut after = Books::new(3);
    for line in before.lines() {
        after.apply(line);
    }
    let told = |books: &Books| books.lines().collect::<Vec<_>>();
    assert_eq!(told(&after), told(&before));
    assert_eq!(told(&after).len(), 4);
    assert_eq!(after.next_pending(), before.next_pending());
    assert_eq!(after.charge_of_key("k-4"), before.charge_of_key("k-4"));
}
