//! What orders hold, take and send back.

use bus::testing::given;

use super::*;
use crate::{
    inventory::{Item, ItemError, Release, Stock, Take},
    limits::{HOLD_TIME, RETURNS_MAX},
    money::tests::usd,
};

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
