//! The shapes of stored events, frozen: `wire/<kind>.json` has one of each.
//!
//! A journal outlives its code. Whoever changes a line of those files changes what is stored:
//! a new event is a new line, and an old line stays readable for ever.
#![allow(clippy::unwrap_used)] // Test code: a failure is a failed test.

use std::collections::BTreeSet;

use actors::{
    inventory::{Item, ItemEvent},
    notifications::{Notice, NoticeEvent},
    orders::{Order, OrderEvent},
    payments::{Payment, PaymentEvent},
    users::{Email, EmailEvent, User, UserEvent},
};
use bus::{Actor, AnyCommit, Encoding};
use serde_json::Value;

/// Reads every golden event as `A`'s, stores it as the journal would, and shows it again; `name`
/// has no `_` arm, so a new event asks for its name in `names` and its line in the file.
fn check<A: Actor>(golden: &str, names: &[&str], name: fn(&A::Event) -> &'static str) {
    let lines: Vec<Value> = serde_json::from_str(golden).unwrap();
    let mut seen = BTreeSet::new();
    for line in lines {
        let event: A::Event = serde_json::from_value(line.clone()).unwrap();
        let stored = Encoding::MessagePack.encode(&event).unwrap();
        let event: A::Event = Encoding::MessagePack.decode(&stored).unwrap();
        let shown: Value = Encoding::MessagePack.decode(&stored).unwrap();
        assert_eq!(shown, line, "what is stored of {}", A::KIND);
        assert_eq!(AnyCommit::named(&line).0, name(&event));
        seen.insert(name(&event));
    }
    assert_eq!(seen, names.iter().copied().collect(), "every event of {} is frozen", A::KIND);
}

#[test]
fn events_of_addresses_and_users_stay_as_they_are() {
    let names = ["claimed", "confirmed", "released"];
    check::<Email>(include_str!("wire/email.json"), &names, |event| match event {
        EmailEvent::Claimed { .. } => "claimed",
        EmailEvent::Confirmed { .. } => "confirmed",
        EmailEvent::Released { .. } => "released",
    });
    let names = ["registered", "role_granted", "role_revoked"];
    check::<User>(include_str!("wire/user.json"), &names, |event| match event {
        UserEvent::Registered { .. } => "registered",
        UserEvent::RoleGranted { .. } => "role_granted",
        UserEvent::RoleRevoked { .. } => "role_revoked",
    });
}

#[test]
fn events_of_items_stay_as_they_are() {
    let names = ["created", "received", "reserved", "lacked", "released", "shipped"];
    check::<Item>(include_str!("wire/item.json"), &names, |event| match event {
        ItemEvent::Created { .. } => "created",
        ItemEvent::Received { .. } => "received",
        ItemEvent::Reserved { .. } => "reserved",
        ItemEvent::Lacked { .. } => "lacked",
        ItemEvent::Released { .. } => "released",
        ItemEvent::Shipped { .. } => "shipped",
    });
}

#[test]
fn events_of_orders_stay_as_they_are() {
    let names = [
        "placed",
        "line_reserved",
        "line_lacking",
        "payment_due",
        "confirmed",
        "cancelled",
        "paid_too_late",
    ];
    check::<Order>(include_str!("wire/order.json"), &names, |event| match event {
        OrderEvent::Placed { .. } => "placed",
        OrderEvent::LineReserved { .. } => "line_reserved",
        OrderEvent::LineLacking { .. } => "line_lacking",
        OrderEvent::PaymentDue { .. } => "payment_due",
        OrderEvent::Confirmed { .. } => "confirmed",
        OrderEvent::Cancelled { .. } => "cancelled",
        OrderEvent::PaidTooLate { .. } => "paid_too_late",
    });
}

#[test]
fn events_of_payments_and_notices_stay_as_they_are() {
    let names = ["requested", "captured", "declined"];
    check::<Payment>(include_str!("wire/payment.json"), &names, |event| match event {
        PaymentEvent::Requested { .. } => "requested",
        PaymentEvent::Captured { .. } => "captured",
        PaymentEvent::Declined { .. } => "declined",
    });
    let names = ["queued", "sent", "given_up"];
    check::<Notice>(include_str!("wire/notice.json"), &names, |event| match event {
        NoticeEvent::Queued { .. } => "queued",
        NoticeEvent::Sent {} => "sent",
        NoticeEvent::GivenUp { .. } => "given_up",
    });
}
