//! The card gateway's webhooks: twice, out of order, forged, an hour late. One effect each.

use actors::payments::{PaymentId, PaymentStatus, PaymentView, Show};
use futures_util::future::join_all;
use gateway::signature::{HEADER, sign};
use serde_json::{Value, json};

use crate::{
    shop::{Answer, Shop, order},
    tokens::SECRET,
};

/// The gateway never answers whoever charges it: what it tells by webhook alone decides.
pub(crate) const SILENT: &str = "4000 0000 0000 0119";

pub(crate) fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

pub(crate) fn webhook(id: &str, kind: &str, payment: &str) -> Value {
    json!({
        "id": id, "type": kind, "reference": payment, "charge": "ch_1",
        "amount": 1_000, "currency": "EUR", "at": now() * 1_000,
    })
}

pub(crate) async fn send(shop: &Shop, secret: &str, at: u64, webhook: &Value) -> Answer {
    let body = webhook.to_string();
    let signature = sign(secret.as_bytes(), at, body.as_bytes());
    shop.post("/v1/webhooks/gateway", webhook.clone()).header(HEADER, &signature).send().await
}

/// An order whose payment is asked for, and undecided.
pub(crate) async fn unpaid(shop: &Shop) -> (String, PaymentId) {
    let buyer = shop.customer();
    let asked = shop.post("/v1/orders", order(SILENT, &[("A1", 1)])).token(&buyer);
    let placed = asked.header("Prefer", "respond-async").send().await.expect(202);
    let payment = PaymentId::parse(placed["id"].as_str().expect("an id")).expect("an id");
    for _ in 0..200 {
        if shop.bus.actor(&payment).ask(Show {}).await.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    (buyer, payment)
}

pub(crate) async fn show(shop: &Shop, payment: &PaymentId) -> PaymentView {
    shop.bus.actor(payment).ask(Show {}).await.expect("it was asked for")
}

/// The balances of the ledger, in which a second capture of one payment would count.
pub(crate) async fn balances(shop: &Shop, payment: &PaymentId) -> Value {
    let (_, position) = shop.bus.actor(payment).ask(Show {}).positioned().await.expect("shown");
    let admin = shop.token_for("u-root", &["admin"]);
    let read = shop.get("/v1/ledger").token(&admin).header("Cb-After", &position.to_string());
    read.send().await.expect(200)["balances"].take()
}

#[tokio::test]
async fn what_the_gateway_tells_takes_effect_once_and_what_is_not_its_own_never() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let (buyer, payment) = unpaid(&shop).await;
    let captured = webhook("wh_1", "charge.captured", payment.as_str());
    let undecided = show(&shop, &payment).await;
    assert_eq!(undecided.status, PaymentStatus::Requested);

    // Forged, and late, and both: a forgery is told nothing of its time.
    let field = Some("Gateway-Signature");
    let hour_ago = now() - 3_600;
    let forged = send(&shop, "whsec-guessed", now(), &captured).await;
    forged.expect_error(401, "SIGNATURE_FORGED", field);
    let late = send(&shop, SECRET, hour_ago, &captured).await;
    late.expect_error(401, "SIGNATURE_STALE", field);
    let both = send(&shop, "whsec-guessed", hour_ago, &captured).await;
    both.expect_error(401, "SIGNATURE_FORGED", field);
    let early = send(&shop, SECRET, now() + 3_600, &captured).await;
    early.expect_error(401, "SIGNATURE_FUTURE", field);
    let unsigned = shop.post("/v1/webhooks/gateway", captured.clone()).send().await;
    unsigned.expect_error(401, "SIGNATURE_MALFORMED", field);

    // The gateway's, and of another amount or currency than is awaited.
    let mut other = webhook("wh_5", "charge.captured", payment.as_str());
    other["amount"] = json!(999);
    send(&shop, SECRET, now(), &other).await.expect_error(409, "OTHER_AMOUNT", Some("amount"));
    other["amount"] = json!(1_000);
    other["currency"] = json!("USD");
    send(&shop, SECRET, now(), &other).await.expect_error(409, "OTHER_CURRENCY", Some("currency"));
    let still = show(&shop, &payment).await;
    assert_eq!(PaymentView { refused_webhooks: Vec::new(), ..still }, undecided);

    // Out of order: a refund of what is not captured yet.
    let mut refunded = webhook("wh_2", "charge.refunded", payment.as_str());
    refunded["refund"] = json!(format!("{payment}/1"));
    send(&shop, SECRET, now(), &refunded).await.expect_error(409, "NOT_CAPTURED", None);

    // Ten times at once, and under another name: one capture.
    let again = webhook("wh_3", "charge.captured", payment.as_str());
    let sent = (0..10).map(|n| send(&shop, SECRET, now(), if n < 8 { &captured } else { &again }));
    for answer in join_all(sent).await {
        answer.expect(204);
    }
    assert_eq!(show(&shop, &payment).await.status, PaymentStatus::Captured);
    let once = json!([
        { "account": "gateway", "currency": "EUR", "amount": 1_000 },
        { "account": "sales", "currency": "EUR", "amount": -1_000 },
    ]);
    assert_eq!(balances(&shop, &payment).await, once);
    let path = format!("/v1/orders/{payment}");
    for _ in 0..200 {
        if shop.get(&path).token(&buyer).send().await.expect(200)["status"] == "confirmed" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let order = shop.get(&path).token(&buyer).send().await.expect(200);
    assert_eq!(order["status"], "confirmed");

    // What contradicts it is not believed even from the gateway.
    let mut declined = webhook("wh_4", "charge.declined", payment.as_str());
    declined["reason"] = json!("card_declined");
    send(&shop, SECRET, now(), &declined).await.expect_error(409, "ALREADY_SETTLED", None);
    // The refund that came too early comes again; none is due.
    send(&shop, SECRET, now(), &refunded).await.expect_error(409, "REFUND_NOT_DUE", None);
    refunded["charge"] = json!("ch_2");
    send(&shop, SECRET, now(), &refunded).await.expect_error(409, "OTHER_CHARGE", Some("charge"));
    assert_eq!(balances(&shop, &payment).await, once);

    let expected = [
        ("wh_1", "forged"),
        ("wh_1", "late"),
        ("wh_1", "future"),
        ("wh_1", "unsigned"),
        ("wh_5", "mismatch"),
        ("wh_2", "out_of_order"),
        ("wh_4", "contradiction"),
        ("wh_2", "mismatch"),
    ];
    assert_eq!(
        refused(&shop, &payment).await,
        expected.map(|(id, why)| [id, why].map(String::from))
    );
}

/// What staff are shown of the webhooks that were refused: id and reason.
pub(crate) async fn refused(shop: &Shop, payment: &PaymentId) -> Vec<[String; 2]> {
    let staff = shop.token_for("u-staff", &["staff"]);
    let shown = shop.get(&format!("/v1/payments/{payment}")).token(&staff).send().await.expect(200);
    let refused = shown["refused_webhooks"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    refused.map(|it| [text(&it["webhook"]), text(&it["reason"])]).collect()
}

#[tokio::test]
async fn forgeries_fill_half_of_what_is_remembered_and_nothing_else() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let (_, payment) = unpaid(&shop).await;
    for number in 1..=15 {
        let forged = webhook(&format!("wh_{number}"), "charge.captured", payment.as_str());
        let answer = send(&shop, "whsec-guessed", now(), &forged).await;
        answer.expect_error(401, "SIGNATURE_FORGED", Some("Gateway-Signature"));
    }
    assert_eq!(refused(&shop, &payment).await.len(), 10);
    let late = webhook("wh_99", "charge.captured", payment.as_str());
    send(&shop, SECRET, now() - 3_600, &late).await.expect(401);
    let expected = ["wh_99", "late"].map(String::from);
    assert_eq!(refused(&shop, &payment).await.last(), Some(&expected));
    // Of no payment none is kept, and the answer does not tell whether there is one.
    let nobodys = webhook("wh_1", "charge.captured", "o-nobodys");
    let answer = send(&shop, "whsec-guessed", now(), &nobodys).await;
    answer.expect_error(401, "SIGNATURE_FORGED", Some("Gateway-Signature"));
    let staff = shop.token_for("u-staff", &["staff"]);
    let shown = shop.get("/v1/payments/o-nobodys").token(&staff).send().await;
    shown.expect_error(404, "NOT_REQUESTED", None);
}

#[tokio::test]
async fn what_is_wrong_in_a_webhook_is_named() {
    let shop = Shop::open().await;
    let good = || webhook("wh_1", "charge.captured", "o-1");
    let with = |field: &str, value: Value| {
        let mut webhook = good();
        webhook[field] = value;
        webhook
    };
    for (bad, field) in [
        (with("reference", json!("o 1")), "reference"),
        (with("charge", json!("")), "charge"),
        (with("amount", json!(-1)), "amount"),
        (with("id", json!("")), "id"),
        (with("id", json!("x".repeat(65))), "id"),
        (with("type", json!("charge.declined")), "reason"),
        (with("type", json!("charge.refunded")), "refund"),
    ] {
        let answer = send(&shop, SECRET, now(), &bad).await;
        answer.expect_error(400, "INVALID", Some(field));
    }
    let nobodys = send(&shop, SECRET, now(), &good()).await;
    nobodys.expect_error(409, "NOT_REQUESTED", None);
    // What a later gateway may tell.
    send(&shop, SECRET, now(), &with("type", json!("charge.praised"))).await.expect(204);
}
