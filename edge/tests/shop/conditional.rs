//! `ETag` out; `If-None-Match` spares an answer, `If-Match` a lost update.

use reqwest::Method;
use serde_json::{Value, json};

use crate::shop::{APPROVED, Answer, Shop, fresh};

/// Registers somebody and logs her in: her token.
async fn member(shop: &Shop) -> String {
    let email = format!("{}@example.org", fresh("reader"));
    let password = "correct horse battery";
    let body = json!({ "email": email, "name": "Ada", "password": password });
    shop.post("/v1/users", body).send().await.expect(201);
    let login = json!({ "email": email, "password": password });
    let session = shop.post("/v1/sessions", login).send().await.expect(201);
    session["token"].as_str().expect("a token").to_owned()
}

async fn read(shop: &Shop, token: &str, path: &str) -> Answer {
    shop.get(path).token(token).send().await
}

async fn tag(shop: &Shop, token: &str, path: &str) -> String {
    read(shop, token, path).await.header("etag").to_owned()
}

#[tokio::test]
async fn what_the_client_has_already_is_not_sent_again() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let token = member(&shop).await;
    let order = shop.order(APPROVED, &[("A1", 1)]).token(&token).send().await;
    let order = order.header("location").to_owned();
    // Its item changes a moment later than it, so another one is looked at.
    shop.stock("B2", 1_000, 5).await;
    shop.until("/v1/items/B2", "received", 5).await;
    for path in [order.as_str(), "/v1/items/B2", "/v1/cart", "/v1/users/me"] {
        let etag = tag(&shop, &token, path).await;
        assert!(etag.starts_with('"') && etag.ends_with('"'), "{path}: {etag:?}");
        for has in [etag.clone(), format!("\"0x\", W/{etag}"), "*".to_owned()] {
            let again = shop.get(path).token(&token).header("If-None-Match", &has).send().await;
            let told = (again.status.as_u16(), again.header("etag"), &again.body);
            assert_eq!(told, (304, etag.as_str(), &Value::Null), "{path} {has}");
        }
        let other = shop.get(path).token(&token).header("If-None-Match", "\"99999\"").send().await;
        assert_eq!(other.header("etag"), etag);
        assert!(other.expect(200).is_object());
    }
    let before = tag(&shop, &token, "/v1/items/B2").await;
    let more = shop.post("/v1/items/B2/stock", json!({ "quantity": 1 }));
    let more = more.token(&shop.token_for("u-staff", &["staff"])).send().await;
    let news = shop.get("/v1/items/B2").header("If-None-Match", &before);
    let news = news.header("Cb-After", more.header("cb-seq")).send().await;
    assert_eq!(news.header("etag"), more.header("etag"), "what a change said of itself");
    assert_eq!(news.expect(200)["received"], 6);
}

#[tokio::test]
async fn a_change_of_what_is_another_by_now_changes_nothing() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let staff = shop.token_for("u-staff", &["staff"]);
    let seen = tag(&shop, &staff, "/v1/items/A1").await;
    let describe = |name: &str, etag: &str| {
        let body = json!({ "name": name });
        shop.put("/v1/items/A1", &body).token(&staff).header("If-Match", etag)
    };
    let first = describe("Lamp", &seen).key("once").send().await;
    let after = first.header("etag").to_owned();
    first.expect(200);
    describe("Torch", &seen).send().await.expect_error(412, "VERSION_MISMATCH", Some("If-Match"));
    let item = read(&shop, &staff, "/v1/items/A1").await;
    assert_eq!((item.header("etag"), &item.body["name"]), (after.as_str(), &json!("Lamp")));
    describe("Lamp", &seen).key("once").send().await.expect(200);
    describe("Torch", &after).send().await.expect(200);
    describe("Candle", "*").send().await.expect(200);
    let none = shop.put("/v1/items/NONE", &json!({ "name": "X" })).token(&staff);
    none.header("If-Match", "*").send().await.expect_error(404, "UNKNOWN_ITEM", None);
}

#[tokio::test]
async fn a_cart_is_changed_and_bought_as_it_was_seen() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let token = shop.customer();
    let empty = tag(&shop, &token, "/v1/cart").await;
    assert_eq!(empty, "\"0\"");
    let put = |quantity: u32, etag: &str| {
        let body = json!({ "quantity": quantity });
        shop.put("/v1/cart/lines/A1", &body).token(&token).header("If-Match", etag)
    };
    let one = put(1, &empty).send().await.header("etag").to_owned();
    put(2, &empty).send().await.expect_error(412, "VERSION_MISMATCH", Some("If-Match"));
    put(3, &one).send().await.expect(200);
    let buy = |etag: &str| {
        let ask = shop.post("/v1/cart/order", json!({ "card": APPROVED })).token(&token);
        ask.header("If-Match", etag).header("Prefer", "wait=30")
    };
    buy(&one).send().await.expect_error(412, "VERSION_MISMATCH", Some("If-Match"));
    let clear = shop.delete("/v1/cart").token(&token).header("If-Match", &one);
    clear.send().await.expect_error(412, "VERSION_MISMATCH", Some("If-Match"));
    let order = buy(&tag(&shop, &token, "/v1/cart").await).send().await.expect(201);
    assert_eq!(order["lines"][0]["quantity"], 3);
}

#[tokio::test]
async fn of_two_who_saw_the_same_one_changes_it() {
    let shop = Shop::open().await;
    let token = member(&shop).await;
    for round in 0..10 {
        let seen = tag(&shop, &token, "/v1/users/me").await;
        let change = |name: String| {
            let home = json!([{
                "name": name, "street": "1 High Street", "postcode": "AB1 2CD", "town": "Leeds",
                "country": "GB",
            }]);
            let ask = shop.patch("/v1/users/me", &json!({ "name": name, "addresses": home }));
            ask.token(&token).header("If-Match", &seen).send()
        };
        let (left, right) = (format!("Left {round}"), format!("Right {round}"));
        let (left, right) = tokio::join!(change(left), change(right));
        let (won, lost) = if left.status == 200 { (left, right) } else { (right, left) };
        lost.expect_error(412, "VERSION_MISMATCH", Some("If-Match"));
        let now = read(&shop, &token, "/v1/users/me").await;
        assert_eq!((now.header("etag"), &now.body), (won.header("etag"), &won.body));
        assert_eq!(now.body["addresses"][0]["name"], now.body["name"], "all of it, at once");
    }
}

#[tokio::test]
async fn a_step_of_an_order_is_taken_as_it_was_seen_and_another_s_is_not_there() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let (token, staff) = (shop.customer(), shop.token_for("u-staff", &["staff"]));
    let placed = shop.order(APPROVED, &[("A1", 1)]).token(&token).send().await;
    let order = placed.header("location").to_owned();
    let seen = tag(&shop, &token, &order).await;
    let cancel = |token: &str, etag: &str| {
        let ask = shop.ask(Method::POST, &format!("{order}/cancellation")).token(token);
        ask.header("If-Match", etag)
    };
    cancel(&token, "\"1\"").send().await.expect_error(412, "VERSION_MISMATCH", Some("If-Match"));
    for etag in ["\"1\"", seen.as_str()] {
        let others = cancel(&shop.customer(), etag).send().await;
        others.expect_error(404, "UNPLACED", None);
    }
    let portions = json!({ "portions": [{ "sku": "A1", "quantity": 1 }] });
    let ship = shop.post(&format!("{order}/shipments"), portions).token(&staff);
    let shipped = ship.header("If-Match", &seen).send().await;
    let after = shipped.header("etag").to_owned();
    shipped.expect(201);
    cancel(&token, &seen).send().await.expect_error(412, "VERSION_MISMATCH", Some("If-Match"));
    let late = cancel(&token, &after).send().await;
    late.expect_error(409, "ALREADY_SHIPPED", None);
    assert_eq!(tag(&shop, &token, &order).await, after, "nothing was changed");
}

#[tokio::test]
async fn what_is_wrong_with_a_version_is_told() {
    let shop = Shop::open().await;
    let token = shop.customer();
    for (bad, part) in [
        ("12", "quotes"),
        ("\"soon\"", "no ETag of ours"),
        ("W/\"12\"", "weak"),
        ("\"1\", \"2\"", "one ETag"),
    ] {
        let clear = shop.delete("/v1/cart").token(&token).header("If-Match", bad).send().await;
        clear.expect_error(400, "INVALID", Some("If-Match"));
        let message = clear.body["error"]["message"].as_str().expect("words");
        assert!(message.contains(part), "{bad}: {message}");
    }
}
