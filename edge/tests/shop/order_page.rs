//! A page made of many parts: each may be missing, and the others are shown.

use std::time::Duration;

use actors::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::shop::{APPROVED, Shop};

/// A buyer who has registered, with her address, and a paid order of hers of which one piece has
/// left.
struct Bought {
    shop: Shop,
    order: String,
    id: String,
    buyer: String,
    staff: String,
}

impl Bought {
    async fn open() -> Self {
        let shop = Shop::open().await;
        shop.stock("A1", 1_000, 5).await;
        let body = json!({
            "email": "ada@example.org", "name": "Ada", "password": "correct horse battery",
        });
        let user = shop.post("/v1/users", body).send().await.expect(201);
        let id = user["id"].as_str().expect("an id").to_owned();
        let (buyer, staff) =
            (shop.token_for(&id, &["customer"]), shop.token_for("u-s", &["staff"]));
        let address = json!({
            "name": "Ada", "street": "1 High Street", "postcode": "AB1 2CD", "town": "Leeds",
            "country": "GB",
        });
        let change = json!({ "addresses": [address] });
        shop.patch("/v1/users/me", &change).token(&buyer).send().await.expect(200);
        let placed = shop.order(APPROVED, &[("A1", 2)]).token(&buyer).send().await;
        let order = placed.header("location").to_owned();
        let one = json!({ "portions": [{ "sku": "A1", "quantity": 1 }] });
        let shipments = format!("{order}/shipments");
        shop.post(&shipments, one).token(&staff).send().await.expect(201);
        Self { shop, order, id, buyer, staff }
    }

    /// The page as `token` is shown it, within three seconds.
    async fn page(&self, token: &str) -> Value {
        let began = Instant::now();
        let page = self.shop.get(&format!("{}/page", self.order)).token(token).send().await;
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        page.expect(200)
    }

    /// Which parts are not there, and why.
    async fn missing(&self, token: &str) -> Vec<(String, Value)> {
        let page = self.page(token).await;
        let parts = page.as_object().expect("parts").iter();
        let missing = parts.filter(|(_, part)| part["status"] != "available");
        missing
            .map(|(name, part)| {
                assert_eq!(part["status"], "unavailable", "{name}: {part}");
                (name.clone(), part["reason"].clone())
            })
            .collect()
    }
}

fn no_answer(part: &str) -> (String, Value) {
    (part.to_owned(), json!("no_answer"))
}

#[tokio::test]
async fn a_page_has_all_parts_while_everybody_answers() {
    let bought = Bought::open().await;
    for token in [&bought.buyer, &bought.staff] {
        let page = bought.page(token).await;
        let order = &page["order"]["value"];
        assert_eq!(order["status"], "confirmed", "{page}");
        assert!(order["shipments"].is_null(), "they are a part of their own");
        let buyer = &page["buyer"]["value"];
        assert_eq!((&buyer["id"], &buyer["name"]), (&json!(bought.id), &json!("Ada")));
        assert_eq!(buyer["address"]["town"], "Leeds");
        assert!(buyer["email"].is_null(), "what an order does not need is not shown");
        let eur = |amount: u32| json!({ "amount": amount, "currency": "EUR" });
        let paid = json!({ "status": "captured", "amount": eur(2_000), "refunded": eur(0) });
        assert_eq!(page["payment"]["value"], paid);
        let left = &page["shipments"]["value"]["shipments"];
        assert_eq!(left[0]["portions"], json!([{ "sku": "A1", "quantity": 1 }]));
    }
    let other = bought.shop.customer();
    let others = bought.shop.get(&format!("{}/page", bought.order)).token(&other).send().await;
    others.expect_error(404, "NOT_FOUND", None);
}

#[tokio::test]
async fn a_part_that_does_not_come_is_left_out_and_the_others_are_shown() {
    let mut bought = Bought::open().await;
    bought.shop.reopen_without(&[Role::Payment]).await;
    for token in [&bought.buyer, &bought.staff] {
        assert_eq!(bought.missing(token).await, [no_answer("payment")]);
    }
    bought.shop.reopen_without(&[Role::User]).await;
    for token in [&bought.buyer, &bought.staff] {
        assert_eq!(bought.missing(token).await, [no_answer("buyer")]);
    }
    bought.shop.reopen_without(&[Role::Order]).await;
    let buyer = ("buyer".to_owned(), json!("unknown"));
    let expected = [buyer, no_answer("order"), no_answer("shipments")];
    assert_eq!(bought.missing(&bought.staff).await, expected);
    // Nobody can say that it is hers.
    let page = bought.shop.get(&format!("{}/page", bought.order)).token(&bought.buyer);
    page.send().await.expect_error(503, "UNAVAILABLE", None);
    bought.shop.reopen().await;
    assert_eq!(bought.missing(&bought.buyer).await, []);
}

#[tokio::test]
async fn what_is_not_there_yet_is_none() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 0).await;
    // Of whom only the token is known; and what cannot be had is never to be paid.
    let buyer = shop.customer();
    let placed = shop.order(APPROVED, &[("A1", 1)]).token(&buyer).send().await;
    let path = format!("{}/page", placed.header("location"));
    let page = shop.ask(Method::GET, &path).token(&buyer).send().await.expect(200);
    assert_eq!(page["order"]["value"]["status"], "cancelled");
    for part in ["buyer", "payment"] {
        assert_eq!(page[part], json!({ "status": "none" }), "{part}");
    }
}
