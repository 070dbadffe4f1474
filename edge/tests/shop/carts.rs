//! A cart that survives devices, and becomes an order.

use serde_json::{Value, json};

use crate::shop::{APPROVED, Ask, Shop};

fn put(shop: &Shop, token: &str, sku: &str, quantity: u32) -> Ask {
    let body = json!({ "quantity": quantity });
    shop.put(&format!("/v1/cart/lines/{sku}"), &body).token(token)
}

fn check_out(shop: &Shop, token: &str) -> Ask {
    let card = json!({ "card": APPROVED });
    shop.post("/v1/cart/order", card).token(token).header("Prefer", "wait=30")
}

async fn total(shop: &Shop, token: &str) -> Value {
    let cart = shop.get("/v1/cart").token(token).send().await.expect(200);
    cart["total"]["amount"].clone()
}

#[tokio::test]
async fn a_cart_is_filled_emptied_and_ordered_once() {
    let mut shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    shop.stock("B2", 250, 5).await;
    let token = shop.customer();
    put(&shop, &token, "A1", 2).send().await.expect(200);
    let cart = put(&shop, &token, "B2", 1).send().await.expect(200);
    assert_eq!(
        (cart["lines"][0]["sku"].clone(), total(&shop, &token).await),
        (json!("A1"), json!(2_250))
    );
    put(&shop, &token, "A1", 1).send().await.expect(200);
    shop.delete("/v1/cart/lines/B2").token(&token).send().await.expect(200);
    // Another device, after everything was stopped and started.
    shop.reopen().await;
    assert_eq!(total(&shop, &token).await, 1_000);
    let ordered = check_out(&shop, &token).key("buy-it").send().await;
    let order = ordered.clone().expect(201);
    assert_eq!(
        (order["status"].clone(), order["total"]["amount"].clone()),
        (json!("confirmed"), json!(1_000))
    );
    assert_eq!(total(&shop, &token).await, Value::Null);
    let again = check_out(&shop, &token).key("buy-it").send().await;
    assert_eq!(again.body, ordered.body, "the same order");
    check_out(&shop, &token).key("more").send().await.expect_error(409, "CART_EMPTY", None);
    let orders = shop.get("/v1/orders").token(&token).send().await.expect(200);
    assert_eq!(orders["orders"].as_array().map(Vec::len), Some(1));
    put(&shop, &token, "A1", 1).send().await.expect(200);
    shop.delete("/v1/cart").token(&token).send().await.expect(200);
    assert_eq!(total(&shop, &token).await, Value::Null);
}

#[tokio::test]
async fn what_is_wrong_with_a_cart_is_named() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let token = shop.customer();
    put(&shop, &token, "NONE", 1).send().await.expect_error(404, "UNKNOWN_ITEM", None);
    let none = put(&shop, &token, "A1", 0).send().await;
    none.expect_error(400, "MALFORMED", Some("quantity"));
    check_out(&shop, &token).send().await.expect_error(409, "CART_EMPTY", None);
    put(&shop, &token, "A1", 1).send().await.expect(200);
    let bad = shop.post("/v1/cart/order", json!({ "card": "1234" })).token(&token).send().await;
    bad.expect_error(400, "INVALID", Some("card"));
    assert_eq!(total(&shop, &token).await, 1_000, "nothing was lost");
    assert_eq!(total(&shop, &shop.customer()).await, Value::Null, "a cart is one's own");
}
