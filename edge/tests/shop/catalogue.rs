//! The catalogue, as staff keep it and as others see it.

use serde_json::{Value, json};

use crate::shop::{APPROVED, Shop};

fn lamp(status: &str) -> Value {
    json!({
        "sku": "LAMP", "name": "Lamp", "price": { "amount": 100, "currency": "EUR" },
        "category": "lamps", "attributes": { "colour": "red" },
        "pictures": ["https://a.example/lamp.jpg"], "status": status,
    })
}

#[tokio::test]
async fn a_draft_is_seen_by_staff_alone_until_it_is_activated() {
    let shop = Shop::open().await;
    let staff = shop.token_for("u-staff", &["staff"]);
    let customer = shop.customer();
    let made = shop.post("/v1/items", lamp("draft")).token(&staff).send().await.expect(201);
    assert_eq!((&made["status"], &made["category"]), (&json!("draft"), &json!("lamps")));
    for path in ["/v1/items/LAMP", "/v1/items/LAMP/prices"] {
        shop.get(path).token(&staff).send().await.expect(200);
        shop.get(path).token(&customer).send().await.expect_error(404, "NOT_FOUND", None);
        shop.get(path).send().await.expect_error(404, "NOT_FOUND", None);
    }
    assert_eq!(shop.get("/v1/items").send().await.expect(200)["items"], json!([]));
    let none = shop.order(APPROVED, &[("LAMP", 1)]).token(&customer).send().await;
    none.expect_error(422, "UNKNOWN_SKU", Some("lines[0].sku"));

    let active = shop.post("/v1/items/LAMP/activation", json!({})).token(&staff).send().await;
    assert_eq!(active.expect(200)["status"], "active");
    let seen = shop.get("/v1/items/LAMP").send().await.expect(200);
    assert_eq!(seen["attributes"], json!({ "colour": "red" }));
    assert_eq!(seen["pictures"], json!(["https://a.example/lamp.jpg"]));
    let listed = shop.get("/v1/items").send().await.expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_retired_item_is_shown_and_not_sold() {
    let shop = Shop::open().await;
    shop.stock("LAMP", 100, 5).await;
    let staff = shop.token_for("u-staff", &["staff"]);
    let retired = shop.post("/v1/items/LAMP/retirement", json!({})).token(&staff).send().await;
    assert_eq!(retired.expect(200)["status"], "retired");
    assert_eq!(shop.get("/v1/items/LAMP").send().await.expect(200)["status"], "retired");
    assert_eq!(shop.get("/v1/items").send().await.expect(200)["items"], json!([]));
    let order = shop.order(APPROVED, &[("LAMP", 1)]).token(&shop.customer()).send().await;
    order.expect_error(422, "RETIRED", Some("lines[0].sku"));
}

#[tokio::test]
async fn an_item_is_described_and_priced_anew() {
    let shop = Shop::open().await;
    shop.stock("LAMP", 100, 5).await;
    let staff = shop.token_for("u-staff", &["staff"]);
    let texts = json!({ "name": "Big lamp", "description": "Bright.", "category": "big-lamps" });
    let changed = shop.put("/v1/items/LAMP", &texts).token(&staff).send().await.expect(200);
    assert_eq!((&changed["name"], &changed["available"]), (&json!("Big lamp"), &json!(5)));
    for amount in [200, 150] {
        let price = json!({ "amount": amount, "currency": "EUR" });
        let priced = shop.put("/v1/items/LAMP/price", &price).token(&staff).send().await;
        assert_eq!(priced.expect(200)["price"]["amount"], amount);
    }
    let prices = shop.get("/v1/items/LAMP/prices").send().await.expect(200);
    let prices = prices["prices"].as_array().expect("prices").clone();
    let amounts: Vec<_> = prices.iter().map(|price| price["price"]["amount"].clone()).collect();
    assert_eq!(amounts, [150, 200, 100]);
    assert!(prices.iter().all(|price| price["since"].as_str().is_some()), "{prices:?}");
}

#[tokio::test]
async fn only_staff_change_the_catalogue_and_only_within_its_bounds() {
    let shop = Shop::open().await;
    shop.stock("LAMP", 100, 5).await;
    let (staff, customer) = (shop.token_for("u-staff", &["staff"]), shop.customer());
    let texts = json!({ "name": "Lamp" });
    let price = json!({ "amount": 1, "currency": "EUR" });
    let tries = |path: &str| match path {
        "" => shop.put("/v1/items/LAMP", &texts),
        "/price" => shop.put("/v1/items/LAMP/price", &price),
        path => shop.post(&format!("/v1/items/LAMP{path}"), json!({})),
    };
    for path in ["", "/price", "/activation", "/retirement"] {
        tries(path).send().await.expect_error(401, "UNAUTHORIZED", None);
        tries(path).token(&customer).send().await.expect_error(403, "FORBIDDEN", None);
    }
    let put = async |path: &str, body: Value| shop.put(path, &body).token(&staff).send().await;
    let gone = put("/v1/items/NONE", texts.clone()).await;
    gone.expect_error(404, "UNKNOWN_ITEM", None);
    for (field, value) in [
        ("name", json!("")),
        ("category", json!("Big Lamps")),
        ("attributes", json!({ "colour": "" })),
        ("pictures", json!(["http://a.example/x"])),
    ] {
        let mut body = json!({ "name": "Lamp" });
        body[field] = value;
        put("/v1/items/LAMP", body.clone()).await.expect_error(400, "MALFORMED", Some(field));
        body["sku"] = json!("OTHER");
        body["price"] = price.clone();
        let made = shop.post("/v1/items", body).token(&staff).send().await;
        assert_eq!(made.status.as_u16(), 400, "{field}: {}", made.body);
    }
}
