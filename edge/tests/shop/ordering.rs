//! Ordering: from a basket to a settled order, and who may see it.

use serde_json::json;

use crate::shop::{APPROVED, DECLINED, Shop};

#[tokio::test]
async fn an_order_is_confirmed_and_its_stock_held() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    shop.stock("B1", 250, 5).await;
    let customer = shop.customer();
    let answer = shop.order(APPROVED, &[("A1", 2), ("B1", 1)]).token(&customer).send().await;
    assert_eq!(answer.header("preference-applied"), "wait=30");
    let location = answer.header("location").to_owned();
    let order = answer.expect(201);
    assert_eq!(order["status"], "confirmed");
    assert_eq!(order["total"], json!({ "amount": 2_250, "currency": "EUR" }));
    assert_eq!(order["lines"][0]["unit_price"], json!({ "amount": 1_000, "currency": "EUR" }));
    assert!(order["settled_at"].as_str() >= order["placed_at"].as_str(), "{order}");
    assert_eq!(location, format!("/v1/orders/{}", order["id"].as_str().expect("an id")));
    assert_eq!(shop.get(&location).token(&customer).send().await.expect(200), order);
    let item = shop.get("/v1/items/A1").send().await.expect(200);
    assert_eq!((&item["available"], &item["held"]), (&json!(3), &json!(2)));
}

#[tokio::test]
async fn a_lack_or_a_declined_card_cancels_and_gives_the_stock_back() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    shop.stock("B1", 250, 1).await;
    let customer = shop.customer();
    let lacking = shop.order(APPROVED, &[("A1", 2), ("B1", 2)]).token(&customer).send().await;
    let lacking = lacking.expect(201);
    assert_eq!(lacking["status"], "cancelled", "{lacking}");
    assert!(lacking["reason"].to_string().contains("B1"), "{lacking}");
    let declined = shop.order(DECLINED, &[("A1", 2)]).token(&customer).send().await.expect(201);
    assert_eq!(declined["status"], "cancelled", "{declined}");
    assert!(declined["reason"].to_string().contains("declined"), "{declined}");
    shop.until("/v1/items/A1", "available", 5).await;
    shop.until("/v1/items/B1", "available", 1).await;
}

#[tokio::test]
async fn who_does_not_wait_is_told_where_to_look() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let customer = shop.customer();
    let body = crate::shop::order(APPROVED, &[("A1", 1)]);
    let ask = shop.post("/v1/orders", body).header("Prefer", "wait=0").token(&customer);
    let answer = ask.send().await;
    assert_eq!(answer.header("preference-applied"), "wait=0");
    assert!(answer.header("location").starts_with("/v1/orders/o-"));
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn orders_are_listed_newest_first_in_pages() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 50).await;
    let customer = shop.customer();
    let mut placed = Vec::new();
    for _ in 0..5 {
        let order = shop.order(APPROVED, &[("A1", 1)]).token(&customer).send().await.expect(201);
        placed.insert(0, order);
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/orders?limit=2".to_owned());
    loop {
        let page = shop.get(&path).token(&customer).send().await.expect(200);
        let orders = page["orders"].as_array().expect("a page").clone();
        assert!(orders.len() <= 2);
        seen.extend(orders);
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/orders?limit=2&cursor={next}");
    }
    assert_eq!(seen, placed);
}

#[tokio::test]
async fn an_order_is_its_buyers_business() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let (ann, bob) = (shop.customer(), shop.customer());
    let staff = shop.token_for("u-staff", &["staff"]);
    let order = shop.order(APPROVED, &[("A1", 1)]).token(&ann).send().await;
    let path = order.header("location").to_owned();
    // Staff work with it; it is no more theirs for that.
    shop.get(&path).token(&staff).send().await.expect(200);
    shop.get(&path).token(&bob).send().await.expect_error(404, "NOT_FOUND", None);
    for other in [&bob, &staff] {
        let events = shop.get(&format!("{path}/events")).token(other).send().await;
        events.expect_error(404, "NOT_FOUND", None);
        let list = shop.get("/v1/orders").token(other).send().await.expect(200);
        assert_eq!(list["orders"], json!([]));
    }
}

#[tokio::test]
async fn items_are_found_by_the_beginnings_of_words() {
    let shop = Shop::open().await;
    for sku in ["red-shoe", "red-hat", "blue-hat"] {
        shop.stock(sku, 100, 0).await;
    }
    for (search, expected) in [
        ("red", vec!["red-hat", "red-shoe"]),
        ("HA", vec!["blue-hat", "red-hat"]),
        ("re%20ha", vec!["red-hat"]),
        ("red-hat", vec!["red-hat"]),
        ("green", vec![]),
        ("", vec!["blue-hat", "red-hat", "red-shoe"]),
    ] {
        let page = shop.get(&format!("/v1/items?search={search}")).send().await.expect(200);
        let mut skus: Vec<_> = page["items"]
            .as_array()
            .expect("a page")
            .iter()
            .map(|item| item["sku"].clone())
            .collect();
        skus.sort_by_key(ToString::to_string);
        assert_eq!(json!(skus), json!(expected), "{search}");
    }
}
