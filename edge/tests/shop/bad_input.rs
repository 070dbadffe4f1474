//! Bad input: each with its exact status and code, the field, and words that name the fault.

use reqwest::Method;
use serde_json::{Value, json};

use crate::shop::{APPROVED, Shop, order};

/// What is wrong, the body, and the status, code, field and part of the message it gets.
type Case = (&'static str, Value, u16, &'static str, Option<&'static str>, &'static str);

async fn check(shop: &Shop, path: &str, token: &str, cases: Vec<Case>) {
    for (wrong, body, status, code, field, part) in cases {
        let answer = shop.post(path, body).token(token).send().await;
        println!("{wrong}: {}", answer.body);
        answer.expect_error(status, code, field);
        let message = answer.body["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(part), "{wrong}: {message:?} does not say {part:?}");
    }
}

fn changed(path: &str, value: Value) -> Value {
    let mut body = order(APPROVED, &[("A1", 1)]);
    *body.pointer_mut(path).expect("a field of an order") = value;
    body
}

#[tokio::test]
async fn an_order_that_cannot_be() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let customer = shop.customer();
    let quantity = |value: Value| changed("/lines/0/quantity", value);
    let sku = |value: &str| changed("/lines/0/sku", json!(value));
    let (at_quantity, at_sku) = (Some("lines[0].quantity"), Some("lines[0].sku"));
    let mut coloured = order(APPROVED, &[("A1", 1)]);
    coloured["colour"] = json!("red");
    let mut priced = order(APPROVED, &[("A1", 1)]);
    priced["lines"][0]["unit_price"] = json!(1);
    let many: Vec<_> = (0..51).map(|n| json!({ "sku": format!("A{n}"), "quantity": 1 })).collect();
    let repeated = order(APPROVED, &[("A1", 1), ("A1", 2)]);
    let no_item = order(APPROVED, &[("A1", 1), ("NONE", 1)]);
    check(
        &shop,
        "/v1/orders",
        &customer,
        vec![
            ("unknown field", coloured, 400, "MALFORMED", Some("colour"), "colour"),
            (
                "a price of one's own",
                priced,
                400,
                "MALFORMED",
                Some("lines[0].unit_price"),
                "unit_price",
            ),
            ("no lines", changed("/lines", json!([])), 400, "EMPTY", Some("lines"), "no lines"),
            (
                "51 lines",
                changed("/lines", json!(many)),
                400,
                "TOO_MANY_LINES",
                Some("lines"),
                "50",
            ),
            ("twice", repeated, 400, "LINE_REPEATED", Some("lines[1].sku"), "A1"),
            ("0", quantity(json!(0)), 400, "MALFORMED", at_quantity, "1 to 1,000,000"),
            ("2^63", quantity(json!(1_u64 << 63)), 400, "MALFORMED", at_quantity, "1 to 1,000,000"),
            ("-1", quantity(json!(-1)), 400, "MALFORMED", at_quantity, "1 to 1,000,000"),
            ("1.5", quantity(json!(1.5)), 400, "MALFORMED", at_quantity, "1 to 1,000,000"),
            ("text", quantity(json!("1")), 400, "MALFORMED", at_quantity, "1"),
            ("a dot", sku("A.1"), 400, "MALFORMED", at_sku, "A.1"),
            ("no such item", no_item, 422, "UNKNOWN_SKU", Some("lines[1].sku"), "NONE"),
            (
                "dollars",
                changed("/currency", json!("USD")),
                422,
                "CURRENCY_MISMATCH",
                at_sku,
                "EUR",
            ),
            (
                "no currency",
                changed("/currency", json!("eur")),
                400,
                "MALFORMED",
                Some("currency"),
                "capital letters",
            ),
            ("no card", changed("/card", json!("1234")), 400, "INVALID", Some("card"), "card"),
            ("missing", json!({ "currency": "EUR" }), 400, "MALFORMED", None, "card"),
            ("no object", json!([1]), 400, "MALFORMED", None, "object"),
        ],
    )
    .await;
    let orders = shop.get("/v1/orders").token(&customer).send().await.expect(200);
    assert_eq!(orders, json!({ "orders": [], "next": null }), "nothing was placed");
}

#[tokio::test]
async fn a_body_that_cannot_be_read() {
    let shop = Shop::open().await;
    let customer = shop.customer();
    let post = |content_type: &str, body: String| {
        let mut ask = shop.ask(Method::POST, "/v1/orders").token(&customer);
        ask = ask.header("Content-Type", content_type);
        ask.0 = ask.0.body(body);
        ask.send()
    };
    let cut = post("application/json", r#"{"currency":"#.to_owned()).await;
    cut.expect_error(400, "MALFORMED", None);
    assert!(cut.body["error"]["message"].to_string().contains("not JSON"), "{}", cut.body);
    post("application/json", String::new()).await.expect_error(400, "MALFORMED", None);

    let large = post("application/json", " ".repeat(2 * 1024 * 1024)).await;
    large.expect_error(413, "TOO_LARGE", None);
    assert!(large.body["error"]["message"].to_string().contains("65536"), "{}", large.body);
    let just_too_large = post("application/json", " ".repeat(64 * 1024 + 1)).await;
    just_too_large.expect_error(413, "TOO_LARGE", None);
    let just_fits = post("application/json", " ".repeat(64 * 1024)).await;
    just_fits.expect_error(400, "MALFORMED", None);

    for other in ["text/plain", "application/x-www-form-urlencoded", "application/msgpack"] {
        post(other, "{}".to_owned()).await.expect_error(415, "UNSUPPORTED_MEDIA_TYPE", None);
    }
}

#[tokio::test]
async fn an_item_that_cannot_be() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let staff = shop.token_for("u-staff", &["staff"]);
    let item = |amount: Value| json!({ "sku": "B1", "name": "A thing", "price": { "amount": amount, "currency": "EUR" } });
    let (mut dotted, mut known) = (item(json!(1)), item(json!(1)));
    dotted["sku"] = json!("B.1");
    known["sku"] = json!("A1");
    let at_amount = Some("price.amount");
    check(
        &shop,
        "/v1/items",
        &staff,
        vec![
            ("a dot", dotted, 400, "MALFORMED", Some("sku"), "B.1"),
            (
                "negative",
                item(json!(-1)),
                400,
                "MALFORMED",
                at_amount,
                "0 to 1,000,000,000,000,000",
            ),
            ("a float", item(json!(9.99)), 400, "MALFORMED", at_amount, "whole minor units"),
            ("known", known, 409, "ALREADY_CREATED", None, ""),
        ],
    )
    .await;
    let zero = json!({ "quantity": 0 });
    check(
        &shop,
        "/v1/items/A1/stock",
        &staff,
        vec![("0", zero, 400, "MALFORMED", Some("quantity"), "1 to 1,000,000")],
    )
    .await;
    let five = json!({ "quantity": 5 });
    check(
        &shop,
        "/v1/items/B1/stock",
        &staff,
        vec![("no such item", five.clone(), 404, "UNKNOWN_ITEM", None, "")],
    )
    .await;
    check(
        &shop,
        "/v1/items/A.1/stock",
        &staff,
        vec![("a dot in the path", five, 400, "INVALID", Some("sku"), "A.1")],
    )
    .await;
    let bad_key = shop.post("/v1/items", item(json!(1))).token(&staff).key("with space").send();
    bad_key.await.expect_error(400, "INVALID", Some("Idempotency-Key"));
}

#[tokio::test]
async fn a_path_or_query_that_leads_nowhere() {
    let shop = Shop::open().await;
    let customer = shop.customer();
    let long = format!("/v1/items/{}", "x".repeat(65));
    for (path, status, code, field) in [
        ("/v1/items/a.b", 400, "INVALID", Some("sku")),
        ("/v1/items/%2A", 400, "INVALID", Some("sku")),
        ("/v1/items/%ff", 400, "INVALID", Some("path")),
        (long.as_str(), 400, "INVALID", Some("sku")),
        ("/v1/items/NONE", 404, "NOT_FOUND", None),
        ("/v1/items?limit=0", 400, "INVALID", Some("limit")),
        ("/v1/items?limit=101", 400, "INVALID", Some("limit")),
        ("/v1/items?limit=1&limit=2", 400, "INVALID", Some("limit")),
        ("/v1/items?cursor=nonsense", 400, "INVALID", Some("cursor")),
        ("/v1/items?serach=x", 400, "INVALID", Some("serach")),
        ("/v1/orders/o.1", 400, "INVALID", Some("id")),
        ("/v1/orders/o.1/events", 400, "INVALID", Some("id")),
        ("/v1/orders/o-1", 404, "NOT_FOUND", None),
        ("/v1/orders/o-1/events", 404, "NOT_FOUND", None),
        ("/v1/nothing", 404, "NOT_FOUND", None),
        ("/", 404, "NOT_FOUND", None),
    ] {
        println!("{path}");
        shop.get(path).token(&customer).send().await.expect_error(status, code, field);
    }
    let deleted = shop.ask(Method::DELETE, "/v1/items").token(&customer).send().await;
    deleted.expect_error(405, "METHOD_NOT_ALLOWED", None);
    assert!(deleted.header("allow").contains("POST"), "{:?}", deleted.headers);
}
