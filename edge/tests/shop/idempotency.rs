//! The same key has one effect, and every repeat gets that effect's answer.

use futures_util::future::join_all;
use serde_json::json;

use crate::shop::{APPROVED, Shop, order};

#[tokio::test]
async fn an_order_sent_twice_is_placed_once() {
    let mut shop = Shop::open().await;
    shop.stock("A1", 1_000, 10).await;
    let customer = shop.customer();
    let first = shop.order(APPROVED, &[("A1", 2)]).token(&customer).key("k-1").send().await;
    let again = shop.order(APPROVED, &[("A1", 2)]).token(&customer).key("k-1").send().await;
    assert_eq!(again.header("location"), first.header("location"));
    let first = first.expect(201);
    assert_eq!(again.expect(201), first);

    shop.reopen().await;
    let later = shop.order(APPROVED, &[("A1", 2)]).token(&customer).key("k-1").send().await;
    assert_eq!(later.expect(201), first, "after a restart");

    let orders = shop.get("/v1/orders").token(&customer).send().await.expect(200);
    assert_eq!(orders["orders"], json!([first]));
    let item = shop.get("/v1/items/A1").send().await.expect(200);
    assert_eq!((&item["available"], &item["held"]), (&json!(8), &json!(2)));
}

#[tokio::test]
async fn sixteen_at_once_are_one_order() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 10).await;
    let customer = shop.customer();
    let sent =
        (0..16).map(|_| shop.order(APPROVED, &[("A1", 1)]).token(&customer).key("k-1").send());
    let answers = join_all(sent).await;
    let first = answers[0].clone().expect(201);
    for answer in answers {
        assert_eq!(answer.expect(201), first);
    }
    let item = shop.get("/v1/items/A1").send().await.expect(200);
    assert_eq!((&item["available"], &item["held"]), (&json!(9), &json!(1)));
}

#[tokio::test]
async fn a_key_stands_for_one_request_of_one_user() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 10).await;
    let (ann, bob) = (shop.customer(), shop.customer());
    let first = shop.order(APPROVED, &[("A1", 1)]).token(&ann).key("k-1").send().await.expect(201);
    for (what, body) in [
        ("another quantity", order(APPROVED, &[("A1", 2)])),
        ("an unknown item", order(APPROVED, &[("NONE", 1)])),
    ] {
        println!("{what}");
        let reused = shop.post("/v1/orders", body).token(&ann).key("k-1").send().await;
        reused.expect_error(422, "KEY_REUSED", None);
    }
    let others = shop.order(APPROVED, &[("A1", 1)]).token(&bob).key("k-1").send().await;
    assert_ne!(others.expect(201)["id"], first["id"]);
    let unkeyed = shop.order(APPROVED, &[("A1", 1)]).token(&ann).send().await.expect(201);
    assert_ne!(unkeyed["id"], first["id"]);
}

#[tokio::test]
async fn stock_received_twice_under_one_key_is_received_once() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 10).await;
    let staff = shop.token_for("u-1", &["staff"]);
    let receive = |quantity: u32| {
        let ask = shop.post("/v1/items/A1/stock", json!({ "quantity": quantity }));
        ask.token(&staff).key("delivery-7").send()
    };
    assert_eq!(receive(5).await.expect(200)["available"], 15);
    assert_eq!(receive(5).await.expect(200)["available"], 15);
    receive(6).await.expect_error(422, "KEY_REUSED", None);
    assert_eq!(shop.get("/v1/items/A1").send().await.expect(200)["received"], 15);
}
