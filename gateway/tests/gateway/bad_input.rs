//! Bad input is refused, and what is wrong with it is named.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, World, asked};

#[tokio::test]
async fn a_wrong_field_is_named() {
    let world = World::open().await;
    for (field, value, code) in [
        ("reference", json!(""), "invalid"),
        ("reference", json!("a b"), "invalid"),
        ("reference", json!(7), "malformed"),
        ("amount", json!(0), "invalid"),
        ("amount", json!(-5), "malformed"),
        ("amount", json!(1.5), "malformed"),
        ("amount", json!(1_000_000_000_000_001_u64), "invalid"),
        ("amount", json!("10"), "malformed"),
        ("currency", json!("euro"), "invalid"),
        ("token", json!("4242424242424242"), "invalid"),
        ("token", json!(null), "malformed"),
        ("colour", json!("red"), "malformed"),
    ] {
        let mut body = asked("sim-4242");
        body[field] = value;
        let answer = world.post_with_key("/v1/charges", "k-1", &body).await;
        answer.expect_error(400, code, Some(field));
    }
    world.receiver.wait_for_only(0).await;
}

#[tokio::test]
async fn a_missing_field_is_named_in_the_message() {
    let world = World::open().await;
    for field in ["reference", "amount", "currency", "token"] {
        let mut body = asked("sim-4242");
        body.as_object_mut().expect("an object").remove(field);
        let answer = world.post_with_key("/v1/charges", "k-1", &body).await;
        answer.expect_error(400, "malformed", None);
        let message = answer.body["error"]["message"].to_string();
        assert!(message.contains(field), "{message}");
    }
}

#[tokio::test]
async fn a_charge_and_a_refund_need_one_key() {
    let world = World::open().await;
    let charge = world.authorised("k-1").await;
    world.capture(&charge, 1_000).await.expect(201);
    let refunds = format!("/v1/charges/{charge}/refunds");
    for (path, body) in [("/v1/charges", asked("sim-4242")), (&refunds, json!({ "amount": 1 }))] {
        let field = Some("Idempotency-Key");
        world.post(path, &body).await.expect_error(400, "invalid", field);
        for key in ["", "a b", "ä", &"x".repeat(201)] {
            world.post_with_key(path, key, &body).await.expect_error(400, "invalid", field);
        }
        let two = world.request(Method::POST, path).json(&body);
        let two = two.header("Idempotency-Key", "k-8").header("Idempotency-Key", "k-9");
        Answer::of(two).await.expect_error(400, "invalid", field);
    }
}

#[tokio::test]
async fn a_wrong_amount_is_named_everywhere() {
    let world = World::open().await;
    let charge = world.authorised("k-1").await;
    world.capture(&charge, 0).await.expect_error(400, "invalid", Some("amount"));
    world.refund(&charge, "r-1", 0).await.expect_error(400, "invalid", Some("amount"));
    let captures = format!("/v1/charges/{charge}/captures");
    world.post(&captures, &json!({})).await.expect_error(400, "malformed", None);
    let body = json!({ "amount": 1, "final": true });
    world.post(&captures, &body).await.expect_error(400, "malformed", Some("final"));
    assert_eq!(world.shown(&charge).await["status"], "authorised");
}

async fn send(world: &World, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = world.request(Method::POST, "/v1/charges").header("Idempotency-Key", "k-1");
    Answer::of(request.header("Content-Type", content_type).body(body)).await
}

#[tokio::test]
async fn a_body_is_one_json_object_of_bounded_size() {
    let world = World::open().await;
    let good = asked("sim-4242").to_string();
    let array = json!(["o-1", 1_000, "EUR", "sim-4242"]).to_string();
    for body in ["", "{", "nonsense", &array, &format!("{good} {good}")] {
        let answer = send(&world, "application/json", body.to_owned()).await;
        answer.expect_error(400, "malformed", None);
    }
    let padded = format!("{}{good}", " ".repeat(17 * 1024));
    send(&world, "application/json", padded).await.expect_error(413, "too_large", None);
    let huge = vec![b' '; 2 * 1024 * 1024];
    send(&world, "application/json", huge).await.expect_error(413, "too_large", None);
    let text = send(&world, "text/plain", good.clone()).await;
    text.expect_error(415, "unsupported_media_type", None);
    send(&world, "application/json; charset=utf-8", good).await.expect(201);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let world = World::open().await;
    world.get("/v1/charges/ch-1").await.expect_error(404, "not_found", None);
    world.capture("ch-1", 1).await.expect_error(404, "not_found", None);
    world.refund("ch-1", "r-1", 1).await.expect_error(404, "not_found", None);
    world.void("ch-1").await.expect_error(404, "not_found", None);
    world.get("/v1/charges/%FF").await.expect_error(400, "invalid", Some("charge"));
    world.get("/v1/nothing").await.expect_error(404, "not_found", None);
    world.get("/v1/charges").await.expect_error(405, "method_not_allowed", None);
    assert_eq!(world.get("/healthz").await.expect(200).body, json!({ "status": "ok" }));
    assert_eq!(world.get("/v1/nothing").await.body["error"]["field"], Value::Null);
}
