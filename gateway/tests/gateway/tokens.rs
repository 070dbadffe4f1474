//! What each card does.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::world::{World, asked};

async fn declined(token: &str, reason: &str) {
    let world = World::open().await;
    let answer = world.charge("k-1", token).await.expect(201);
    let charge = answer.text("charge");
    let expected = json!({ "charge": charge, "status": "declined", "reason": reason });
    assert_eq!(answer.body, expected);
    let webhooks = world.receiver.wait_for_only(1).await;
    assert_eq!(webhooks[0].text("type"), "charge.declined");
    assert_eq!(webhooks[0].text("reason"), reason);
    let shown = world.shown(&charge).await;
    assert_eq!((&shown["status"], &shown["reason"]), (&json!("declined"), &json!(reason)));
    world.capture(&charge, 1_000).await.expect_error(409, "declined", None);
    world.refund(&charge, "r-1", 1_000).await.expect_error(409, "declined", None);
    world.void(&charge).await.expect_error(409, "declined", None);
}

/// Asks and gives up after a while without an answer.
async fn expect_silence(world: &World, key: &str, token: &str) {
    let request = world.request(Method::POST, "/v1/charges").header("Idempotency-Key", key);
    let request = request.json(&asked(token)).timeout(Duration::from_millis(300));
    let error = request.send().await.expect_err("no answer");
    assert!(error.is_timeout(), "{error}");
}

#[tokio::test]
async fn sim_4242_is_authorised() {
    let world = World::open().await;
    let answer = world.charge("k-1", "sim-4242").await.expect(201);
    let charge = answer.text("charge");
    assert_eq!(answer.body, json!({ "charge": charge, "status": "authorised" }));
    let expected = json!({
        "charge": charge, "reference": "o-1", "status": "authorised", "amount": 1_000,
        "captured": 0, "refunded": 0, "currency": "EUR",
    });
    assert_eq!(world.shown(&charge).await, expected);
    let webhooks = world.receiver.wait_for_only(1).await;
    let (id, at) = (webhooks[0].text("id"), &webhooks[0].body["at"]);
    let expected = json!({
        "id": id, "type": "charge.authorised", "reference": "o-1", "charge": charge,
        "amount": 1_000, "currency": "EUR", "at": at,
    });
    assert_eq!(webhooks[0].body, expected);
    assert!(at.as_u64().is_some_and(|at| at > 1_700_000_000_000), "{at}");
}

#[tokio::test]
async fn sim_0002_is_declined() {
    declined("sim-0002", "card_declined").await;
}

#[tokio::test]
async fn sim_9995_has_insufficient_funds() {
    declined("sim-9995", "insufficient_funds").await;
}

#[tokio::test]
async fn any_other_card_is_unknown() {
    declined("sim-unknown-1111", "unknown_card").await;
    declined("sim-4243", "unknown_card").await;
}

#[tokio::test]
async fn sim_0119_never_answers() {
    let world = World::open().await;
    expect_silence(&world, "k-1", "sim-0119").await;
    expect_silence(&world, "k-1", "sim-0119").await;
    assert!(world.receiver.received().is_empty());
    world.charge("k-1", "sim-4242").await.expect_error(422, "key_reused", None);
}

#[tokio::test]
async fn sim_0259_answers_each_keys_second_call() {
    let mut world = World::open().await;
    expect_silence(&world, "k-1", "sim-0259").await;
    expect_silence(&world, "k-2", "sim-0259").await;
    assert!(world.receiver.received().is_empty());
    world.charge("k-1", "sim-4242").await.expect_error(422, "key_reused", None);
    let answer = world.charge("k-1", "sim-0259").await.expect(201);
    assert_eq!(answer.body["status"], "authorised");
    assert_eq!(world.charge("k-1", "sim-0259").await.body, answer.body);
    world.receiver.wait_for_only(1).await;
    // The first call is remembered like all else.
    world.reopen_with(|_| {}).await;
    let answer = world.charge("k-2", "sim-0259").await.expect(201);
    assert_eq!(answer.body["status"], "authorised");
}

#[tokio::test]
async fn only_so_many_calls_are_left_unanswered_at_once() {
    let world = World::open_with(|settings| settings.unanswered_max = 1).await;
    let (first, ()) = tokio::join!(
        async {
            let request = world.request(Method::POST, "/v1/charges").json(&asked("sim-0119"));
            let request = request.header("Idempotency-Key", "k-1").timeout(Duration::from_secs(2));
            request.send().await
        },
        async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let answer = world.charge("k-2", "sim-0119").await;
            answer.expect_error(503, "overloaded", None);
            assert_eq!(answer.headers["retry-after"], "1");
            world.get("/healthz").await.expect(200);
            world.charge("k-3", "sim-4242").await.expect(201);
        }
    );
    assert!(first.expect_err("no answer").is_timeout());
    // Who gave up left a place.
    tokio::time::sleep(Duration::from_millis(300)).await;
    expect_silence(&world, "k-2", "sim-0119").await;
}

async fn pending(token: &str, status: &str, reason: Option<&str>) {
    let world = World::open().await;
    let answer = world.charge("k-1", token).await.expect(201);
    let charge = answer.text("charge");
    assert_eq!(answer.body, json!({ "charge": charge, "status": "pending" }));
    assert_eq!(world.shown(&charge).await["status"], "pending");
    assert!(world.receiver.received().is_empty(), "not yet");
    world.capture(&charge, 1_000).await.expect_error(409, "still_pending", None);
    world.refund(&charge, "r-1", 1).await.expect_error(409, "still_pending", None);
    world.void(&charge).await.expect_error(409, "still_pending", None);
    let webhooks = world.receiver.wait_for_only(1).await;
    assert_eq!(webhooks[0].text("type"), format!("charge.{status}"));
    assert_eq!(webhooks[0].text("charge"), charge);
    assert_eq!(webhooks[0].body["reason"].as_str(), reason);
    let shown = world.shown(&charge).await;
    assert_eq!((shown["status"].as_str(), shown["reason"].as_str()), (Some(status), reason));
    let again = world.charge("k-1", token).await.expect(201);
    assert_eq!(again.body, answer.body, "a key is answered the same for ever");
    let captured = if status == "authorised" { 201 } else { 409 };
    world.capture(&charge, 1_000).await.expect(captured);
}

#[tokio::test]
async fn sim_3063_is_authorised_later() {
    pending("sim-3063", "authorised", None).await;
}

#[tokio::test]
async fn sim_3097_is_declined_later() {
    pending("sim-3097", "declined", Some("card_declined")).await;
}
