//! Registering and logging in.

use actors::users::{Claim, Confirm, EmailId, Grant, Release, UserId, UserRole};
use futures_util::future::join_all;
use serde_json::json;

use crate::shop::{Answer, Shop, fresh};

async fn register(shop: &Shop, email: &str, password: &str, key: Option<&str>) -> Answer {
    let body = json!({ "email": email, "name": "Ann Lee", "password": password });
    let ask = shop.post("/v1/users", body);
    match key {
        Some(key) => ask.key(key).send().await,
        None => ask.send().await,
    }
}

async fn log_in(shop: &Shop, email: &str, password: &str) -> Answer {
    shop.post("/v1/sessions", json!({ "email": email, "password": password })).send().await
}

#[tokio::test]
async fn who_registers_can_log_in_and_see_herself() {
    let shop = Shop::open().await;
    let user = register(&shop, " Ann@Example.org ", "correct horse", None).await.expect(201);
    assert_eq!(user["email"], "ann@example.org");
    assert_eq!(user["roles"], json!(["customer"]));
    let session = log_in(&shop, "ann@example.org", "correct horse").await.expect(201);
    assert_eq!((&session["token_type"], &session["expires_in"]), (&json!("Bearer"), &json!(600)));
    let token = session["token"].as_str().expect("a token");
    assert_eq!(shop.get("/v1/users/me").token(token).send().await.expect(200), user);
    assert!(!user.to_string().contains("argon2"), "{user}");

    let id = UserId::parse(user["id"].as_str().expect("an id")).expect("an id");
    shop.bus.actor(&id).ask(Grant { role: UserRole::Staff }).await.expect("granted");
    let session = log_in(&shop, "ann@example.org", "correct horse").await.expect(201);
    let staff = session["token"].as_str().expect("a token");
    let item = json!({ "sku": "A1", "name": "x", "price": { "amount": 1, "currency": "EUR" } });
    shop.post("/v1/items", item.clone()).token(token).send().await.expect_error(
        403,
        "FORBIDDEN",
        None,
    );
    shop.post("/v1/items", item).token(staff).send().await.expect(201);
}

#[tokio::test]
async fn a_stranger_learns_nothing_from_a_failed_log_in() {
    let shop = Shop::open().await;
    register(&shop, "ann@example.org", "correct horse", None).await.expect(201);
    let wrong = log_in(&shop, "ann@example.org", "battery staple").await;
    wrong.expect_error(401, "BAD_CREDENTIALS", None);
    let unknown = log_in(&shop, "bob@example.org", "battery staple").await;
    unknown.expect_error(401, "BAD_CREDENTIALS", None);
    assert_eq!(wrong.body, unknown.body);
}

#[tokio::test]
async fn a_repeat_does_not_register_with_an_address_that_is_another_s_by_now() {
    let shop = Shop::open().await;
    let key = fresh("k-");
    let ann = register(&shop, "ann@example.org", "correct horse", Some(&key)).await.expect(201);
    let again = register(&shop, "ann@example.org", "correct horse", Some(&key)).await.expect(201);
    assert_eq!(again, ann);
    let history = shop.bus.history("user", ann["id"].as_str().expect("an id"), 0).await;
    let registered = &history.expect("readable")[0].events[0]["registered"];
    let email = EmailId::parse(registered["email"].as_str().expect("an id")).expect("an id");
    let user = UserId::parse(ann["id"].as_str().expect("an id")).expect("an id");
    // Surely confirmed by now: the saga's confirmation, too, has nothing left to do.
    shop.bus.actor(&email).ask(Confirm { user: user.clone() }).await.expect("confirmed");
    shop.bus.actor(&email).ask(Release { user }).await.expect("released");
    let bob = register(&shop, "ann@example.org", "battery staple", None).await.expect(201);
    assert_ne!(bob["id"], ann["id"]);
    let late = register(&shop, "ann@example.org", "correct horse", Some(&key)).await;
    late.expect_error(409, "EMAIL_TAKEN", Some("email"));
    log_in(&shop, "ann@example.org", "battery staple").await.expect(201);
}

#[tokio::test]
async fn an_address_has_one_account_even_in_a_race() {
    let shop = Shop::open().await;
    let racers = (0..4).map(|n| {
        let shop = &shop;
        async move {
            let (password, key) = (format!("password number {n}"), fresh("k-"));
            let key = (n % 2 == 0).then_some(key.as_str());
            (register(shop, "ann@example.org", &password, key).await, password)
        }
    });
    let (mut won, mut lost) = (Vec::new(), 0);
    for (answer, password) in join_all(racers).await {
        if answer.status == 201 {
            won.push(password);
        } else {
            answer.expect_error(409, "EMAIL_TAKEN", Some("email"));
            lost += 1;
        }
    }
    assert_eq!((won.len(), lost), (1, 3));
    log_in(&shop, "ann@example.org", &won[0]).await.expect(201);
}

#[tokio::test]
async fn a_registration_sent_twice_under_one_key_is_one() {
    let shop = Shop::open().await;
    let first = register(&shop, "ann@example.org", "correct horse", Some("k-1")).await.expect(201);
    let again = register(&shop, "ann@example.org", "correct horse", Some("k-1")).await.expect(201);
    assert_eq!(again, first);
    let other = register(&shop, "ann@example.org", "battery staple", Some("k-1")).await;
    other.expect_error(422, "KEY_REUSED", None);
    let unkeyed = register(&shop, "ann@example.org", "correct horse", None).await;
    unkeyed.expect_error(409, "EMAIL_TAKEN", Some("email"));
}

#[tokio::test]
async fn a_registration_that_cannot_be() {
    let shop = Shop::open().await;
    let body = |field: &str, value: serde_json::Value| {
        let mut body =
            json!({ "email": "ann@example.org", "name": "Ann", "password": "correct horse" });
        body[field] = value;
        body
    };
    for (field, value, code) in [
        ("email", json!("ann"), "INVALID"),
        ("email", json!("a b@example.org"), "INVALID"),
        ("email", json!(7), "MALFORMED"),
        ("password", json!("short"), "INVALID"),
        ("password", json!("x".repeat(201)), "INVALID"),
        ("name", json!(""), "INVALID_NAME"),
        ("name", json!("a\nb"), "INVALID_NAME"),
        ("name", json!("x".repeat(201)), "INVALID_NAME"),
        ("roles", json!(["admin"]), "MALFORMED"),
    ] {
        println!("{field}: {value}");
        let answer = shop.post("/v1/users", body(field, value)).send().await;
        answer.expect_error(400, code, Some(field));
    }
    // A refused name does not cost the address.
    shop.post("/v1/users", body("name", json!("Ann"))).key("k-2").send().await.expect(201);
}

#[tokio::test]
async fn a_registration_that_was_cut_off_is_finished_by_whoever_comes_next() {
    let shop = Shop::open().await;
    // What a crash between the two steps leaves: an address claimed by a user that is not.
    let email = edge::email_id(&shop.keys(), "ann@example.org").expect("the edge's keys");
    let gone = UserId::parse("u-gone").expect("an id");
    shop.bus.actor(&email).ask(Claim { user: gone }).await.expect("claimed");
    let user = register(&shop, "ann@example.org", "correct horse", Some("second")).await;
    let user = user.expect(201);
    assert_eq!(user["id"], "u-gone");
    let again = register(&shop, "ann@example.org", "correct horse", Some("second")).await;
    assert_eq!(again.expect(201), user, "a repeat gets the same answer");
    log_in(&shop, "ann@example.org", "correct horse").await.expect(201);
    let other = register(&shop, "ann@example.org", "battery staple", Some("third")).await;
    other.expect_error(409, "EMAIL_TAKEN", Some("email"));
}
