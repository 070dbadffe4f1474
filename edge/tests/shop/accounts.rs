//! Confirming an address, new passwords, one's profile, and what admins may change.

use serde_json::json;

use crate::{
    sessions::{log_in, register, token, try_log_in},
    shop::Shop,
};

const ANN: &str = "ann@example.org";

#[tokio::test]
async fn the_mailed_link_confirms_an_address() {
    let shop = Shop::open().await;
    let user = register(&shop, ANN).await;
    assert_eq!(user["is_verified"], false);
    let link = shop.mailed_link("verify", 1).await;
    let verify = |token: &str| shop.post("/v1/verifications", json!({ "token": token })).send();
    for bad in [link.replace(".1.", ".2."), "garbage".to_owned(), format!("{link}0")] {
        verify(&bad).await.expect_error(400, "INVALID", Some("token"));
    }
    assert_eq!(verify(&link).await.status, 204);
    assert_eq!(verify(&link).await.status, 204, "followed twice");
    let session = log_in(&shop, ANN).await;
    let me = shop.get("/v1/users/me").token(token(&session)).send().await.expect(200);
    assert_eq!(me["is_verified"], true);
    let again = shop.post("/v1/users/me/verification", json!({})).token(token(&session));
    assert_eq!(again.send().await.status, 202);
    // For a new password it is not good.
    let body = json!({ "token": link, "password": "battery staple" });
    shop.post("/v1/passwords", body).send().await.expect_error(400, "INVALID", Some("token"));
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_mail() {
    let shop = Shop::open().await;
    register(&shop, ANN).await;
    let session = log_in(&shop, ANN).await;
    for email in [ANN, "nobody@example.org"] {
        let answer = shop.post("/v1/password-resets", json!({ "email": email })).send().await;
        assert_eq!(answer.status, 202, "told to nobody whether there is such an account");
    }
    let link = shop.mailed_link("new-password", 1).await;
    let body = |password: &str| json!({ "token": link, "password": password });
    shop.post("/v1/passwords", body("short")).send().await.expect_error(
        400,
        "INVALID",
        Some("password"),
    );
    assert_eq!(shop.post("/v1/passwords", body("battery staple")).send().await.status, 204);
    let again = shop.post("/v1/passwords", body("another staple")).send().await;
    again.expect_error(410, "LINK_EXPIRED", None);
    let me = shop.get("/v1/users/me").token(token(&session)).send().await;
    me.expect_error(401, "UNAUTHORIZED", None);
    let old = try_log_in(&shop, ANN, "correct horse").await;
    old.expect_error(401, "BAD_CREDENTIALS", None);
    try_log_in(&shop, ANN, "battery staple").await.expect(201);
    assert_eq!(shop.links_to("new-password").len(), 1, "nobody was mailed who has no account");
}

#[tokio::test]
async fn a_changed_password_closes_the_other_sessions() {
    let shop = Shop::open().await;
    register(&shop, ANN).await;
    let (here, there) = (log_in(&shop, ANN).await, log_in(&shop, ANN).await);
    let change = |old: &str| {
        let body = json!({ "old_password": old, "password": "battery staple" });
        shop.put("/v1/users/me/password", &body).token(token(&here)).send()
    };
    let wrong = change("wrong horse").await;
    wrong.expect_error(403, "BAD_CREDENTIALS", Some("old_password"));
    assert_eq!(change("correct horse").await.status, 204);
    shop.get("/v1/users/me").token(token(&here)).send().await.expect(200);
    let gone = shop.get("/v1/users/me").token(token(&there)).send().await;
    gone.expect_error(401, "UNAUTHORIZED", None);
    try_log_in(&shop, ANN, "battery staple").await.expect(201);
}

#[tokio::test]
async fn a_profile_is_changed_in_parts() {
    let shop = Shop::open().await;
    register(&shop, ANN).await;
    let session = log_in(&shop, ANN).await;
    let patch = |body| shop.patch("/v1/users/me", &body).token(token(&session)).send();
    let address = json!({
        "name": "Ann Lee", "street": "1 High Street", "postcode": "AB1 2CD", "town": "Leeds",
        "country": "GB",
    });
    let me = patch(json!({ "addresses": [address] })).await.expect(200);
    assert_eq!((&me["name"], &me["addresses"]), (&json!("Ann Lee"), &json!([address])));
    let me = patch(json!({ "name": "Anna" })).await.expect(200);
    assert_eq!((&me["name"], &me["addresses"]), (&json!("Anna"), &json!([address])));
    patch(json!({ "name": "" })).await.expect_error(400, "INVALID_NAME", Some("name"));
    patch(json!({ "roles": ["admin"] })).await.expect_error(400, "MALFORMED", Some("roles"));
    assert_eq!(patch(json!({ "addresses": [{}] })).await.status, 400);
}

#[tokio::test]
async fn admins_change_others_at_once_and_nobody_else_does() {
    let shop = Shop::open().await;
    let ann = register(&shop, ANN).await;
    let id = ann["id"].as_str().expect("an id");
    let session = log_in(&shop, ANN).await;
    let (customer, staff) = (shop.customer(), shop.token_for("u-staff", &["staff"]));
    let admin = shop.token_for("u-admin", &["admin"]);
    let (roles, status) = (format!("/v1/users/{id}/roles"), format!("/v1/users/{id}/status"));
    let grant = |token: &str| {
        shop.put(&roles, &json!({ "roles": ["customer", "staff"] })).token(token).send()
    };
    for no in [&customer, &staff] {
        grant(no).await.expect_error(403, "FORBIDDEN", None);
        shop.get(&format!("/v1/users/{id}")).token(no).send().await.expect_error(
            403,
            "FORBIDDEN",
            None,
        );
    }
    assert_eq!(grant(&admin).await.expect(200)["roles"], json!(["customer", "staff"]));
    let item = json!({ "sku": "A1", "name": "x", "price": { "amount": 1, "currency": "EUR" } });
    // The very token of before: the roles are those of now.
    shop.post("/v1/items", item).token(token(&session)).send().await.expect(201);

    let disable = |is_disabled: bool| {
        shop.put(&status, &json!({ "is_disabled": is_disabled })).token(&admin).send()
    };
    assert_eq!(disable(true).await.expect(200)["is_disabled"], true);
    let me = shop.get("/v1/users/me").token(token(&session)).send().await;
    me.expect_error(401, "UNAUTHORIZED", None);
    try_log_in(&shop, ANN, "correct horse").await.expect_error(403, "DISABLED", None);
    let wrong = try_log_in(&shop, ANN, "wrong horse").await;
    wrong.expect_error(401, "BAD_CREDENTIALS", None);
    disable(false).await.expect(200);
    log_in(&shop, ANN).await;

    let own = shop.put("/v1/users/u-admin/roles", &json!({ "roles": ["customer"] })).token(&admin);
    own.send().await.expect_error(400, "INVALID", Some("roles"));
    let unknown = shop.get("/v1/users/u-nobody").token(&admin).send().await;
    unknown.expect_error(404, "UNKNOWN_USER", None);
}
