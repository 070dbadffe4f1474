//! What happened to an order, as its buyer and staff are told.

use reqwest::Method;
use serde_json::{Value, json};

use crate::shop::{APPROVED, DECLINED, Shop};

/// Each step's name, and by whom it was taken.
fn told(history: &Value) -> Vec<(&str, &str, Option<&str>)> {
    let steps = history["steps"].as_array().expect("steps").iter();
    steps
        .map(|step| {
            assert!(step["at"].is_string(), "{step}");
            let name = step["step"]["name"].as_str().expect("a name");
            (name, step["by"].as_str().expect("somebody"), step["user"].as_str())
        })
        .collect()
}

#[tokio::test]
async fn every_step_is_told_with_who_took_it() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let buyer = shop.token_for("u-buyer", &["customer"]);
    let staff = shop.token_for("u-staff", &["staff"]);
    let placed = shop.order(APPROVED, &[("A1", 2)]).token(&buyer).send().await.expect(201);
    let order = placed["id"].as_str().expect("an id").to_owned();
    let path = |step: &str| format!("/v1/orders/{order}/{step}");
    let mut one = json!({ "portions": [{ "sku": "A1", "quantity": 1 }] });
    shop.post(&path("shipments"), one.clone()).token(&staff).send().await.expect(201);
    let delivery = path("shipments/1/delivery");
    shop.ask(Method::POST, &delivery).token(&staff).send().await.expect(200);
    one["reason"] = json!("it came broken");
    shop.post(&path("returns"), one).token(&buyer).send().await.expect(201);
    let refused = json!({ "reason": "it was used" });
    let last = shop.post(&path("returns/1/rejection"), refused).token(&staff).send().await;
    let after = last.header("cb-seq").to_owned();

    let read = |token: &str| shop.get(&path("history")).token(token).header("Cb-After", &after);
    let answer = read(&staff).send().await;
    assert_eq!(answer.header("etag"), last.header("etag"), "the version that was read");
    let history = answer.expect(200);
    let expected = [
        ("placed", "customer", Some("u-buyer")),
        ("reserved", "shop", None),
        ("payment_due", "shop", None),
        ("confirmed", "shop", None),
        ("shipped", "staff", Some("u-staff")),
        ("delivered", "staff", Some("u-staff")),
        ("return_requested", "customer", Some("u-buyer")),
        ("return_rejected", "staff", Some("u-staff")),
    ];
    assert_eq!(told(&history), expected);
    assert_eq!((&history["order"], &history["left_out"]), (&json!(order), &json!(0)));
    let steps = &history["steps"];
    assert_eq!(steps[3]["step"]["total"], json!({ "amount": 2_000, "currency": "EUR" }));
    assert_eq!(
        steps[7]["step"],
        json!({ "name": "return_rejected", "return": 1, "reason": "it was used" })
    );

    // The buyer is told the same, but not which of the staff it was.
    let own = read(&buyer).send().await.expect(200);
    let nameless = expected.map(|(name, by, _)| (name, by, None));
    assert_eq!(told(&own), nameless);
    let other = shop.customer();
    read(&other).send().await.expect_error(404, "NOT_FOUND", None);
}

#[tokio::test]
async fn a_cancelled_order_says_why_in_its_history() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let buyer = shop.customer();
    let placed = shop.order(DECLINED, &[("A1", 1)]).token(&buyer).send().await;
    let path = format!("{}/history", placed.header("location"));
    let history = shop.get(&path).token(&buyer).send().await.expect(200);
    let steps = history["steps"].as_array().expect("steps");
    let why =
        json!({ "name": "cancelled", "reason": { "declined": { "reason": "card_declined" } } });
    assert_eq!(steps.last().expect("one")["step"], why);
}
