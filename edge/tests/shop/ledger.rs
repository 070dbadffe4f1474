//! The ledger, as admins see it: it says what was paid and given back, and it balances.

use bus::Position;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::shop::{APPROVED, DECLINED, Shop};

fn posting(account: &str, amount: i64) -> Value {
    json!({ "account": account, "currency": "EUR", "amount": amount })
}

/// Three A1 of 10.00 are bought, two go out, arrive and come back, and the money of two is due.
async fn bought_and_partly_returned(shop: &Shop) -> String {
    shop.stock("A1", 1_000, 5).await;
    let (buyer, staff) = (shop.customer(), shop.token_for("u-staff", &["staff"]));
    shop.order(DECLINED, &[("A1", 1)]).token(&buyer).send().await.expect(201);
    let placed = shop.order(APPROVED, &[("A1", 3)]).token(&buyer).send().await.expect(201);
    let order = placed["id"].as_str().expect("an id").to_owned();
    let path = |step: &str| format!("/v1/orders/{order}/{step}");
    let mut two = json!({ "portions": [{ "sku": "A1", "quantity": 2 }] });
    shop.post(&path("shipments"), two.clone()).token(&staff).send().await.expect(201);
    let delivery = path("shipments/1/delivery");
    shop.ask(Method::POST, &delivery).token(&staff).send().await.expect(200);
    two["reason"] = json!("it came broken");
    shop.post(&path("returns"), two).token(&buyer).send().await.expect(201);
    let accepted = json!({ "sellable": false });
    shop.post(&path("returns/1/acceptance"), accepted).token(&staff).send().await.expect(200);
    order
}

/// Where the payment is once its money has gone back.
async fn refunded(shop: &Shop, order: &str) -> Position {
    let payment = actors::payments::PaymentId::parse(order).expect("an id");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let show = shop.bus.actor(&payment).ask(actors::payments::Show {});
        let (view, position) = show.positioned().await.expect("shown");
        if view.refunded.amount == 2_000 {
            return position;
        }
        assert!(Instant::now() < deadline, "{view:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_was_paid_and_given_back_is_in_the_ledger_which_balances() {
    let shop = Shop::open().await;
    let admin = shop.token_for("u-root", &["admin"]);
    let nothing = shop.get("/v1/ledger").token(&admin).send().await.expect(200);
    assert_eq!(nothing, json!({ "balances": [], "sums": [] }));
    let order = bought_and_partly_returned(&shop).await;
    let after = refunded(&shop, &order).await.to_string();
    let read = |path: &str| shop.get(path).token(&admin).header("Cb-After", &after).send();

    // At once: the read waits for what it has to include.
    let ledger = read("/v1/ledger").await.expect(200);
    let balances = [
        posting("gateway", 1_000),
        posting("sales", -3_000),
        posting("refunds", 2_000),
        posting("refunds_due", 0),
    ];
    assert_eq!(ledger["balances"], json!(balances));
    assert_eq!(ledger["sums"], json!([{ "currency": "EUR", "amount": 0 }]));

    let first = read("/v1/ledger/entries?limit=2").await.expect(200);
    let cursor = first["next"].as_str().expect("another page");
    let second = read(&format!("/v1/ledger/entries?limit=2&cursor={cursor}")).await.expect(200);
    let pages = [&first, &second].map(|page| page["entries"].as_array().expect("entries"));
    let entries: Vec<&Value> = pages.into_iter().flatten().collect();
    assert_eq!(entries.len(), 3, "what was declined is none");
    let wanted = [
        ("refunded", json!(1), [posting("refunds_due", 2_000), posting("gateway", -2_000)]),
        ("refund_due", json!(1), [posting("refunds", 2_000), posting("refunds_due", -2_000)]),
        ("captured", Value::Null, [posting("gateway", 3_000), posting("sales", -3_000)]),
    ];
    for (entry, (event, refund, postings)) in entries.into_iter().zip(wanted) {
        assert_eq!(entry["event"], event);
        assert_eq!((&entry["order"], &entry["refund"]), (&json!(order), &refund));
        assert_eq!(entry["postings"], json!(postings));
    }
    let wrong = shop.get("/v1/ledger?account=sales").token(&admin).send().await;
    wrong.expect_error(400, "INVALID", Some("account"));
}
