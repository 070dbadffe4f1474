//! What takes too long undoes itself, on a real server: hours pass by firing timers by hand.
#![allow(clippy::unwrap_used)] // Test code: a failure is a failed test.

#[allow(dead_code)] // This test uses a part of it.
mod shop;

use std::sync::Arc;

use actors::{
    Gateway, SimulatedGateway,
    inventory::Reserve,
    orders::{CancelReason, OrderId, OrderStatus},
    payments::{Charge, Charged, GatewayError, Verdict},
    users::{Claim, EmailId, Holder, UserId},
};
use async_nats::jetstream::{self, stream::LastRawMessageErrorKind};
use bus::AnyCommit;
use serde_json::Value;
use shop::{Shop, currency, eur, eventually, pieces, sku};
use tokio::sync::Semaphore;

const GOOD: &str = "4242 4242 4242 4242";
const NEVER_ANSWERS: &str = "4000 0000 0000 0119";

impl Shop {
    async fn timers(&self) -> jetstream::stream::Stream {
        let client = async_nats::connect(self.url()).await.unwrap();
        jetstream::new(client).get_stream("TIMERS").await.unwrap()
    }

    /// The subjects of the timers that are armed for an actor and a command.
    async fn armed(&self, kind: &str, id: &str, command: &str) -> Vec<String> {
        use futures_util::TryStreamExt;
        let timers = self.timers().await;
        let subjects = timers.info_with_subjects(format!("at.{kind}.{id}.{command}.*"));
        let subjects: Vec<(String, usize)> = subjects.await.unwrap().try_collect().await.unwrap();
        subjects.into_iter().map(|(subject, _)| subject).collect()
    }

    async fn until_disarmed(&self, kind: &str, id: &str, command: &str) {
        eventually(&format!("{kind}/{id}/{command} is disarmed"), async || {
            self.armed(kind, id, command).await.is_empty().then_some(())
        })
        .await;
    }

    /// Makes the armed timer fire now, as if its time had come.
    async fn pass_the_time(&self, kind: &str, id: &str, command: &str) {
        let timers = self.timers().await;
        let (subject, message) =
            eventually(&format!("{kind}/{id}/{command} is armed"), async || {
                let subject = self.armed(kind, id, command).await.pop()?;
                match timers.get_last_raw_message_by_subject(&subject).await {
                    Ok(message) => Some((subject, message)),
                    Err(e) if e.kind() == LastRawMessageErrorKind::NoMessageFound => None,
                    Err(e) => panic!("{e}"),
                }
            })
            .await;
        let mut headers = message.headers.clone();
        headers.insert("Nats-Schedule", "@at 2020-01-01T00:00:00Z");
        let client = jetstream::new(async_nats::connect(self.url()).await.unwrap());
        let ack = client.publish_with_headers(subject, without_checks(&headers), message.payload);
        ack.await.unwrap().await.unwrap();
    }

    async fn until_paying(&self, order: &OrderId) {
        eventually("it is being paid", async || {
            (self.order(order).await.status == OrderStatus::Paying).then_some(())
        })
        .await;
    }

    async fn events(&self, kind: &str, id: &str) -> Vec<Value> {
        let history = self.bus.history(kind, id, 0).await.unwrap();
        history.into_iter().flat_map(|commit| commit.events).collect()
    }

    async fn event_names(&self, kind: &str, id: &str) -> Vec<String> {
        let events = self.events(kind, id).await;
        events.iter().map(|event| AnyCommit::named(event).0.to_owned()).collect()
    }
}

/// What the server wants to hear of a schedule, without what was checked when it was armed.
fn without_checks(headers: &async_nats::HeaderMap) -> async_nats::HeaderMap {
    let is_check = |name: &str| name.starts_with("Nats-Expected");
    let mut kept = async_nats::HeaderMap::new();
    for (name, values) in headers.iter().filter(|(name, _)| !is_check(name.as_ref())) {
        for value in values {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_card_never_answers_is_cancelled_and_gives_back_its_pieces() {
    let shop = Shop::open(SimulatedGateway::default()).await;
    shop.stock("A1", 5, eur(250)).await;
    let order = shop.place("o-1", NEVER_ANSWERS, &[("A1", 2)]).await;
    shop.until_paying(&order).await;
    assert_eq!(shop.piles("A1").await, (5, 3, 2, 0));
    shop.pass_the_time("order", "o-1", "expire").await;
    let view = shop.settled(&order).await;
    assert_eq!((view.status, view.reason), (OrderStatus::Cancelled, Some(CancelReason::Unpaid)));
    shop.piles_become("A1", (5, 5, 0, 0)).await;
    shop.until_disarmed("item", "A1", "lapse").await;
    shop.until_disarmed("order", "o-1", "expire").await;
    let mails = shop.mails(1).await;
    assert!(mails[0].contains("it was not paid in time"), "{}", mails[0]);
    shop.close().await;
}

/// Answers when it is let, and counts what it gives back.
struct Slow {
    may_answer: Arc<Semaphore>,
    given_back: Arc<std::sync::Mutex<Vec<Charged>>>,
}

impl Gateway for Slow {
    async fn charge(&self, charge: &Charge) -> Result<Verdict, GatewayError> {
        let permit = self.may_answer.acquire().await.unwrap();
        permit.forget();
        SimulatedGateway::default().charge(charge).await
    }

    async fn give_back(&self, charged: &Charged) -> Result<(), GatewayError> {
        self.given_back.lock().unwrap().push(charged.clone());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_comes_after_the_cancellation_is_given_back() {
    let (may_answer, given_back) = (Arc::new(Semaphore::new(0)), Arc::default());
    let gateway = Slow { may_answer: may_answer.clone(), given_back: Arc::clone(&given_back) };
    let shop = Shop::open(gateway).await;
    shop.stock("A1", 5, eur(250)).await;
    let order = shop.place("o-1", GOOD, &[("A1", 2)]).await;
    shop.until_paying(&order).await;
    shop.pass_the_time("order", "o-1", "expire").await;
    assert_eq!(shop.settled(&order).await.status, OrderStatus::Cancelled);
    may_answer.add_permits(100);
    let names = eventually("the money is back", async || {
        let names = shop.event_names("payment", "o-1").await;
        (names.last()? == "refunded").then_some(names)
    })
    .await;
    assert_eq!(names, ["requested", "captured", "refund_due", "refunded"]);
    let given_back = given_back.lock().unwrap().clone();
    assert!(!given_back.is_empty());
    assert!(given_back.iter().all(|charged| charged.amount == eur(500)), "{given_back:?}");
    assert_eq!(shop.settled(&order).await.status, OrderStatus::Cancelled, "once and for all");
    shop.piles_become("A1", (5, 5, 0, 0)).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_order_keeps_its_pieces_and_no_timer() {
    let shop = Shop::open(SimulatedGateway::default()).await;
    shop.stock("A1", 5, eur(250)).await;
    let order = shop.place("o-1", GOOD, &[("A1", 2)]).await;
    assert_eq!(shop.settled(&order).await.status, OrderStatus::Confirmed);
    eventually("the item is taken", async || {
        let names = shop.event_names("item", "A1").await;
        names.contains(&"taken".to_owned()).then_some(())
    })
    .await;
    shop.until_disarmed("item", "A1", "lapse").await;
    shop.until_disarmed("order", "o-1", "expire").await;
    assert_eq!(shop.piles("A1").await, (5, 3, 2, 0));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_that_no_order_takes_are_given_back() {
    let shop = Shop::open(SimulatedGateway::default()).await;
    shop.stock("A1", 5, eur(250)).await;
    let order = OrderId::parse("nobody-placed-it").unwrap();
    let reserve = Reserve { order, quantity: pieces(2), currency: currency() };
    shop.bus.actor(&sku("A1")).ask(reserve).await.unwrap();
    assert_eq!(shop.piles("A1").await, (5, 3, 2, 0));
    shop.pass_the_time("item", "A1", "lapse").await;
    shop.piles_become("A1", (5, 5, 0, 0)).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_nobody_registers_with_is_free_again() {
    let shop = Shop::open(SimulatedGateway::default()).await;
    let (email, user) = (EmailId::parse("e-9").unwrap(), UserId::parse("u-9").unwrap());
    shop.bus.actor(&email).ask(Claim { user: user.clone() }).await.unwrap();
    assert_eq!(shop.bus.actor(&email).ask(Holder {}).await.unwrap(), Some(user));
    shop.pass_the_time("email", "e-9", "lapse").await;
    eventually("it is free", async || {
        shop.bus.actor(&email).ask(Holder {}).await.unwrap().is_none().then_some(())
    })
    .await;
    // Who registered keeps hers.
    shop.until_disarmed("email", "e-1", "lapse").await;
    shop.close().await;
}
