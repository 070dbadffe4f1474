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
const SILENT: &str = "4000 0000 0000 0119";

fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

fn webhook(id: &str, kind: &str, payment: &str) -> Value {
    json!({
        "id": id, "type": kind, "reference": payment, "charge": "ch_1",
        "amount": 1_000, "currency": "EUR", "at": now() * 1_000,
    })
}

async fn send(shop: &Shop, secret: &str, at: u64, webhook: &Value) -> Answer {
    let body = webhook.to_string();
    let signature = sign(secret.as_bytes(), at, body.as_bytes());
    shop.post("/v1/webhooks/gateway", webhook.clone()).header(HEADER, &signature).send().await
}

/// An order whose payment is asked for, and undecided.
async fn unpaid(shop: &Shop) -> (String, PaymentId) {
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

async fn show(shop: &Shop, payment: &PaymentId) -> PaymentView {
    shop.bus.actor(payment).ask(Show {}).await.expect("it was asked for")
}

/// The balances of the ledger, in which a second capture of one payment would count.
async fn balances(shop: &Shop, payment: &PaymentId) -> Value {
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
    assert_eq!(show(&shop, &payment).await, undecided);

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
    assert_eq!(balances(&shop, &payment).await, once);
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
    // What a later gateway may tell, and what a payment need not be told.
    for kind in ["charge.authorised", "charge.praised"] {
        send(&shop, SECRET, now(), &with("type", json!(kind))).await.expect(204);
    }
}
