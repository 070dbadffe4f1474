//! The whole trade on a real server: from a placed order to its mail, by every way it can end.
#![allow(clippy::unwrap_used)] // Test code: a failure is a failed test.

mod shop;

use actors::{
    SimulatedGateway,
    inventory::{ItemCard, LackReason},
    orders::{CancelReason, OrderCard, OrderStatus},
    payments::DeclineReason,
    users::{EmailEvent, EmailId},
};
use bus::{AnyCommit, Selection};
use shop::{Shop, eur, eventually, sku};

const GOOD: &str = "4242 4242 4242 4242";
const DECLINED: &str = "4000 0000 0000 0002";
const ANSWERS_SECOND_CALL: &str = "4000 0000 0000 0259";

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_many_lines_is_confirmed_and_mailed_once() {
    let shop = Shop::open(SimulatedGateway::default()).await;
    shop.stock("A1", 5, eur(250)).await;
    shop.stock("B2", 7, eur(1_000)).await;
    let order = shop.place("o-1", GOOD, &[("A1", 2), ("B2", 3)]).await;
    let view = shop.settled(&order).await;
    assert_eq!((view.status, view.total), (OrderStatus::Confirmed, Some(eur(3_500))));
    assert_eq!(shop.piles("A1").await, (5, 3, 2, 0));
    assert_eq!(shop.piles("B2").await, (7, 4, 3, 0));
    let mails = shop.mails(1).await;
    assert!(mails[0].contains("Your order o-1 is confirmed"), "{}", mails[0]);
    assert!(mails[0].contains("You paid 35.00 EUR."), "{}", mails[0]);
    assert!(mails[0].contains("<ann@example.org>"), "{}", mails[0]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lack_cancels_and_releases_what_was_held() {
    let shop = Shop::open(SimulatedGateway::default()).await;
    shop.stock("A1", 5, eur(250)).await;
    shop.stock("B2", 1, eur(1_000)).await;
    let order = shop.place("o-1", GOOD, &[("A1", 2), ("B2", 3), ("NONE", 1)]).await;
    let view = shop.settled(&order).await;
    assert_eq!(view.status, OrderStatus::Cancelled);
    let lacks = [
        CancelReason::Lacking { sku: sku("B2"), reason: LackReason::OutOfStock { available: 1 } },
        CancelReason::Lacking { sku: sku("NONE"), reason: LackReason::UnknownItem },
    ];
    assert!(lacks.contains(view.reason.as_ref().unwrap()), "{view:?}");
    shop.piles_become("A1", (5, 5, 0, 0)).await;
    shop.piles_become("B2", (1, 1, 0, 0)).await;
    let mails = shop.mails(1).await;
    assert!(mails[0].contains("Your order o-1 is cancelled"), "{}", mails[0]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_card_cancels_and_releases() {
    let shop = Shop::open(SimulatedGateway::default()).await;
    shop.stock("A1", 5, eur(250)).await;
    let order = shop.place("o-1", DECLINED, &[("A1", 5)]).await;
    let view = shop.settled(&order).await;
    let reason = CancelReason::Declined { reason: DeclineReason::CardDeclined };
    assert_eq!((view.status, view.reason), (OrderStatus::Cancelled, Some(reason)));
    shop.piles_become("A1", (5, 5, 0, 0)).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_does_not_answer_is_asked_again() {
    let shop = Shop::open(SimulatedGateway::default()).await;
    shop.stock("A1", 5, eur(250)).await;
    let order = shop.place("o-1", ANSWERS_SECOND_CALL, &[("A1", 1)]).await;
    assert_eq!(shop.settled(&order).await.status, OrderStatus::Confirmed);
    let history = shop.bus.history("payment", "o-1", 0).await.unwrap();
    let events = history.iter().flat_map(|commit| &commit.events);
    let names: Vec<_> = events.map(|event| AnyCommit::named(event).0).collect();
    assert_eq!(names, ["requested", "captured"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_piece_is_sold_once() {
    let shop = Shop::open(SimulatedGateway::default()).await;
    shop.stock("A1", 3, eur(250)).await;
    let ids: Vec<String> = (0..8).map(|n| format!("o-{n}")).collect();
    let mut orders = Vec::new();
    for id in &ids {
        orders.push(shop.place(id, GOOD, &[("A1", 1)]).await);
    }
    let mut confirmed = 0;
    for order in &orders {
        match shop.settled(order).await.status {
            OrderStatus::Confirmed => confirmed += 1,
            status => assert_eq!(status, OrderStatus::Cancelled),
        }
    }
    assert_eq!(confirmed, 3);
    assert_eq!(shop.piles("A1").await, (3, 0, 3, 0));
    assert_eq!(shop.mails(8).await.len(), 8);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_show_what_the_actors_know() {
    let shop = Shop::open(SimulatedGateway::default()).await;
    shop.stock("LAMP-7", 5, eur(250)).await;
    let order = shop.place("o-1", GOOD, &[("LAMP-7", 2)]).await;
    shop.settled(&order).await;
    let rows = shop.bus.rows::<OrderCard>();
    let card = eventually("the row is confirmed", async || {
        let row = rows.get("o-1").within("buyer", "u-1").await.unwrap();
        row.filter(|card| card.status == OrderStatus::Confirmed)
    })
    .await;
    assert_eq!((card.total, card.lines[0].unit_price), (Some(eur(500)), Some(eur(250))));
    assert!(card.placed_at <= card.settled_at.unwrap());
    assert_eq!(rows.get("o-1").within("buyer", "u-2").await.unwrap(), None);
    let mine = rows.list(Selection::all().matching("buyer", "u-1").newest_first());
    assert_eq!(mine.await.unwrap().rows, [card]);
    // Items have their own rows, which may be behind those of the orders.
    eventually("the item is found, and two are held", async || {
        let found = shop.bus.rows::<ItemCard>().list(Selection::all().prefix("word", "lam"));
        let held: Vec<u64> = found.await.unwrap().rows.iter().map(|card| card.held).collect();
        (held == [2]).then_some(())
    })
    .await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_registers_keeps_the_address() {
    let shop = Shop::open(SimulatedGateway::default()).await;
    let email = EmailId::parse("e-1").unwrap();
    let wanted = [
        EmailEvent::Claimed { user: shop.buyer.clone() },
        EmailEvent::Confirmed { user: shop.buyer.clone() },
    ];
    eventually("the address is confirmed", async || {
        let history = shop.bus.history("email", email.as_str(), 0).await.unwrap();
        let events = history.into_iter().flat_map(|commit| commit.events);
        let events: Vec<EmailEvent> =
            events.map(|event| serde_json::from_value(event).unwrap()).collect();
        (events == wanted).then_some(())
    })
    .await;
    shop.close().await;
}
