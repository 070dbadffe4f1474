//! Tokens made by the tests: with the shop's own key, or with another.

use std::path::Path;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::shop::{AUDIENCE, ISSUER, Shop};

/// What the card gateway signs with.
pub(crate) const SECRET: &str = "whsec-of-the-test";

/// An edge with the keys in this folder.
pub(crate) fn config(keys: &Path) -> edge::Config {
    edge::Config {
        keys: keys.to_owned(),
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        trusted_proxies: Vec::new(),
        gateway_secret: Some(SECRET.to_owned()),
    }
}

pub(crate) fn claims(user: &str, roles: &[&str]) -> Value {
    let now = jsonwebtoken::get_current_timestamp();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": user,
        "iat": now, "nbf": now, "exp": now + 600, "roles": roles,
    })
}

pub(crate) fn signed(keys: &Path, claims: &Value) -> String {
    let pem = std::fs::read(keys.join("jwt-es256.pem")).expect("the edge made its key");
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some("at+jwt".to_owned());
    let key = EncodingKey::from_ec_pem(&pem).expect("a key");
    jsonwebtoken::encode(&header, claims, &key).expect("a token")
}

#[tokio::test]
async fn nothing_of_ones_own_without_a_valid_token() {
    let shop = Shop::open().await;
    let other_folder = tempfile::tempdir().expect("a folder");
    let config = config(other_folder.path());
    edge::Edge::new(shop.bus.clone(), &config).expect("another edge, with another key");

    let good = claims("u-1", &["customer"]);
    let with = |claim: &str, value: Value| {
        let mut claims = good.clone();
        claims[claim] = value;
        signed(&shop.keys(), &claims)
    };
    let now = jsonwebtoken::get_current_timestamp();
    let bad = [
        ("forged", signed(other_folder.path(), &good), "not valid"),
        ("expired", with("exp", json!(now - 60)), "expired"),
        ("for others", with("aud", json!("others")), "not valid"),
        ("by others", with("iss", json!("others")), "not valid"),
        ("garbage", "garbage".to_owned(), "not valid"),
    ];
    let paths = ["/v1/users/me", "/v1/orders", "/v1/orders/o-1", "/v1/orders/o-1/events"];
    for path in paths {
        let answer = shop.get(path).send().await;
        answer.expect_error(401, "UNAUTHORIZED", None);
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        for (name, token, part) in &bad {
            let answer = shop.get(path).token(token).send().await;
            answer.expect_error(401, "UNAUTHORIZED", None);
            let message = answer.body["error"]["message"].to_string();
            assert!(message.contains(part), "{name}: {message}");
        }
    }
    let basic = shop.get("/v1/orders").header("Authorization", "Basic dTpw").send().await;
    basic.expect_error(401, "UNAUTHORIZED", None);
    shop.get("/v1/orders").token(&signed(&shop.keys(), &good)).send().await.expect(200);
}

#[tokio::test]
async fn only_staff_stocks_the_shop() {
    let shop = Shop::open().await;
    let price = json!({ "amount": 100, "currency": "EUR" });
    let item = json!({ "sku": "A1", "name": "A thing", "price": price });
    let (customer, admin) = (shop.customer(), shop.token_for("u-1", &["admin"]));
    let create = || shop.post("/v1/items", item.clone());
    create().send().await.expect_error(401, "UNAUTHORIZED", None);
    create().token(&customer).send().await.expect_error(403, "FORBIDDEN", None);
    let created = create().token(&admin).send().await;
    assert_eq!(created.header("location"), "/v1/items/A1");
    created.expect(201);

    let receive = || shop.post("/v1/items/A1/stock", json!({ "quantity": 5 }));
    receive().token(&customer).send().await.expect_error(403, "FORBIDDEN", None);
    let stocked = receive().token(&admin).send().await.expect(200);
    assert_eq!((&stocked["available"], &stocked["received"]), (&json!(5), &json!(5)));
    assert_eq!(shop.get("/v1/items/A1").send().await.expect(200), stocked, "seen at once");
}
