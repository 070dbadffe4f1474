//! The fire-drill: a real card gateway that sends every webhook twice, holds half of them back
//! until others have overtaken them, and decides on some charges later; and beside it somebody who
//! forges, and who sends an hour late. One effect each: the ledger has every cent, and no more.

use std::time::Duration;

use actors::payments::{PaymentId, PaymentStatus};
use bus::{AnyCommit, Live};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    shop::{APPROVED, DECLINED, Shop},
    tokens::SECRET,
    webhooks::{SILENT, balances, now, refused, send, show, unpaid, webhook},
};

const BROKE: &str = "4000 0000 0000 9995";
const APPROVED_LATER: &str = "4000 0000 0000 3063";
const DECLINED_LATER: &str = "4000 0000 0000 3097";

/// How long a webhook is held back at most.
const DELAY: Duration = Duration::from_millis(800);

/// A shop, and the gateway that charges its cards and tells it of them.
struct Drill {
    shop: Shop,
    gateway: JoinHandle<()>,
    _data: TempDir,
}

impl Drill {
    async fn begin() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let shop = Shop::open_with_gateway(url).await;
        let mut settings = gateway::Settings::new(SECRET);
        settings.webhook_url = Some(format!("{}/v1/webhooks/gateway", shop.url));
        settings.data = data.path().to_owned();
        settings.pending = Duration::from_millis(200)..=Duration::from_millis(400);
        settings.first_pause = Duration::from_millis(100);
        settings.mischief.seed = 7;
        settings.mischief.duplicate_chance = 1.0;
        settings.mischief.delay_chance = 0.5;
        settings.mischief.delay = Duration::ZERO..=DELAY;
        let serving = gateway::serve(listener, settings, std::future::pending());
        let gateway = tokio::spawn(async { serving.await.expect("the gateway serves") });
        shop.stock("A1", 1_000, 50).await;
        Self { shop, gateway, _data: data }
    }

    /// An order of one A1 that was paid with `card`, or not, and its buyer.
    async fn buy(&self, card: &str) -> (String, Value) {
        let buyer = self.shop.customer();
        let order = self.shop.order(card, &[("A1", 1)]).token(&buyer).send().await;
        (buyer, order.expect(201))
    }

    async fn until_refunded(&self, payment: &PaymentId) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while show(&self.shop, payment).await.refunded.amount == 0 {
            assert!(Instant::now() < deadline, "{payment} is not refunded");
            sleep(Duration::from_millis(30)).await;
        }
    }

    async fn cancel(&self, buyer: &str, payment: &PaymentId) {
        let path = format!("/v1/orders/{payment}/cancellation");
        self.shop.ask(Method::POST, &path).token(buyer).send().await.expect(200);
    }
}

fn payment_of(order: &Value) -> PaymentId {
    PaymentId::parse(order["id"].as_str().expect("an id")).expect("an id")
}

fn books(gateway: i64, sales: i64, refunds: i64) -> Value {
    let accounts =
        [("gateway", gateway), ("sales", sales), ("refunds", refunds), ("refunds_due", 0)];
    let posting =
        |(account, amount)| json!({ "account": account, "currency": "EUR", "amount": amount });
    accounts.into_iter().map(posting).collect()
}

/// What happened to a payment so far, by name.
async fn history(live: &mut Live, payment: &PaymentId, last: &str) -> Vec<String> {
    let mut names = Vec::new();
    while names.last().is_none_or(|name| name != last) {
        let next = tokio::time::timeout(Duration::from_secs(10), live.next()).await;
        let commit = next.expect("it happens").expect("nothing is missed");
        if *commit.id == *payment.as_str() {
            names.extend(commit.events.iter().map(|event| AnyCommit::named(event).0.to_owned()));
        }
    }
    names
}

#[tokio::test]
async fn whatever_the_gateway_does_money_moves_once() {
    let drill = Drill::begin().await;
    let cards = [
        (APPROVED, "confirmed"),
        (APPROVED, "confirmed"),
        (APPROVED, "confirmed"),
        (APPROVED, "confirmed"),
        (APPROVED_LATER, "confirmed"),
        (APPROVED_LATER, "confirmed"),
        (DECLINED_LATER, "cancelled"),
        (DECLINED, "cancelled"),
        (BROKE, "cancelled"),
    ];
    let bought = join_all(cards.map(|(card, _)| drill.buy(card))).await;
    for ((card, expected), (_, order)) in cards.iter().zip(&bought) {
        assert_eq!(order["status"], *expected, "{card}: {order}");
    }
    let (buyer, order) = &bought[0];
    drill.cancel(buyer, &payment_of(order)).await;
    drill.until_refunded(&payment_of(order)).await;
    // The last copies come.
    sleep(DELAY + Duration::from_millis(400)).await;
    let balances = balances(&drill.shop, &payment_of(order)).await;
    assert_eq!(balances, books(5_000, -6_000, 1_000));
    // What is the gateway's own is never refused, in whatever order it comes.
    for (_, order) in &bought {
        let refused = refused(&drill.shop, &payment_of(order)).await;
        assert!(refused.is_empty(), "{refused:?}");
    }
    drill.gateway.abort();
}

#[tokio::test]
async fn the_webhook_decides_on_a_pending_charge() {
    let drill = Drill::begin().await;
    let mut live = drill.shop.bus.live("payment").await.expect("the bus is there");
    let (_, order) = drill.buy(APPROVED_LATER).await;
    let happened = history(&mut live, &payment_of(&order), "captured").await;
    // Charged because the webhook came, and not because nobody told.
    assert_eq!(happened, ["requested", "pending", "authorised", "charge_due", "captured"]);
    let (_, order) = drill.buy(DECLINED_LATER).await;
    let happened = history(&mut live, &payment_of(&order), "declined").await;
    assert_eq!(happened, ["requested", "pending", "declined"]);
    drill.gateway.abort();
}

/// The gateway never answers for this card, so what is sent here decides, in just this order.
#[tokio::test]
async fn what_is_forged_late_or_of_another_amount_has_no_effect_and_is_seen() {
    let Drill { shop, gateway, _data } = Drill::begin().await;
    let (buyer, payment) = unpaid(&shop).await;
    assert_eq!(SILENT.replace(' ', ""), "4000000000000119");
    let of = |id: &str, kind: &str| webhook(id, kind, payment.as_str());
    let captured = of("wh_1", "charge.captured");
    send(&shop, "whsec-guessed", now(), &captured).await.expect(401);
    send(&shop, SECRET, now() - 3_600, &captured).await.expect(401);
    let mut dear = of("wh_2", "charge.captured");
    dear["amount"] = json!(1);
    send(&shop, SECRET, now(), &dear).await.expect(409);
    // The refund before the capture.
    let mut given_back = of("wh_3", "charge.refunded");
    given_back["refund"] = json!(format!("{payment}/1"));
    send(&shop, SECRET, now(), &given_back).await.expect(409);
    assert_eq!(show(&shop, &payment).await.status, PaymentStatus::Requested);
    // Captured before authorised, each three times.
    for webhook in [captured, of("wh_4", "charge.authorised")] {
        for _ in 0..3 {
            send(&shop, SECRET, now(), &webhook).await.expect(204);
        }
    }
    assert_eq!(show(&shop, &payment).await.status, PaymentStatus::Captured);
    // The order hears of it, and its buyer calls it off; then the refund comes again, under two names.
    let path = format!("/v1/orders/{payment}");
    let deadline = Instant::now() + Duration::from_secs(10);
    while shop.get(&path).token(&buyer).send().await.expect(200)["status"] != "confirmed" {
        assert!(Instant::now() < deadline, "the order is not confirmed");
        sleep(Duration::from_millis(30)).await;
    }
    shop.ask(Method::POST, &format!("{path}/cancellation")).token(&buyer).send().await.expect(200);
    while show(&shop, &payment).await.refunds.is_empty() {
        assert!(Instant::now() < deadline, "no refund is due");
        sleep(Duration::from_millis(30)).await;
    }
    let mut again = given_back.clone();
    again["id"] = json!("wh_5");
    for webhook in [&given_back, &given_back, &again] {
        send(&shop, SECRET, now(), webhook).await.expect(204);
    }
    assert_eq!(balances(&shop, &payment).await, books(0, -1_000, 1_000));
    let expected =
        [("wh_1", "forged"), ("wh_1", "late"), ("wh_2", "mismatch"), ("wh_3", "out_of_order")];
    let expected = expected.map(|(id, why)| [id, why].map(String::from));
    assert_eq!(refused(&shop, &payment).await, expected);
    gateway.abort();
}
