//! Asking again is harmless.

use serde_json::json;

use crate::world::{World, asked};

#[tokio::test]
async fn the_same_key_charges_once_and_is_answered_the_same() {
    let world = World::open().await;
    let first = world.charge("k-1", "sim-4242").await.expect(201);
    let charge = first.text("charge");
    for _ in 0..3 {
        assert_eq!(world.charge("k-1", "sim-4242").await.expect(201).body, first.body);
    }
    world.void(&charge).await.expect(200);
    assert_eq!(
        world.charge("k-1", "sim-4242").await.expect(201).body,
        first.body,
        "whatever became of it"
    );
    assert_ne!(world.authorised("k-2").await, charge);
    let types: Vec<_> = world.receiver.wait_for_only(3).await;
    let types: Vec<_> = types.iter().map(|webhook| webhook.text("type")).collect();
    assert_eq!(types, ["charge.authorised", "charge.voided", "charge.authorised"]);
}

#[tokio::test]
async fn many_at_once_with_one_key_are_one_charge() {
    let world = World::open().await;
    let asks = (0..30).map(|_| world.charge("k-1", "sim-4242"));
    let answers = futures_util::future::join_all(asks).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
    }
    world.receiver.wait_for_only(1).await;
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let world = World::open().await;
    world.charge("k-1", "sim-4242").await.expect(201);
    for (field, value) in [
        ("reference", json!("o-2")),
        ("amount", json!(1_001)),
        ("currency", json!("USD")),
        ("token", json!("sim-0002")),
    ] {
        let mut other = asked("sim-4242");
        other[field] = value;
        let answer = world.post_with_key("/v1/charges", "k-1", &other).await;
        answer.expect_error(422, "key_reused", None);
    }
    world.receiver.wait_for_only(1).await;
}

#[tokio::test]
async fn a_capture_a_refund_and_a_void_may_be_asked_for_twice() {
    let world = World::open().await;
    let charge = world.authorised("k-1").await;
    let captured = world.capture(&charge, 600).await.expect(201);
    let expected = json!({ "charge": charge, "status": "captured", "amount": 600 });
    assert_eq!(captured.body, expected);
    let refunded = world.refund(&charge, "k-1", 100).await.expect(201);
    let expected =
        json!({ "charge": charge, "status": "refunded", "amount": 100, "refund": "k-1" });
    assert_eq!(refunded.body, expected, "the charge's own key is free for a refund");
    world.refund(&charge, "r-2", 500).await.expect(201);
    assert_eq!(world.capture(&charge, 600).await.expect(201).body, captured.body);
    assert_eq!(world.refund(&charge, "k-1", 100).await.expect(201).body, refunded.body);
    world.refund(&charge, "k-1", 101).await.expect_error(422, "key_reused", None);
    let other = world.authorised("k-2").await;
    let voided = world.void(&other).await.expect(200);
    assert_eq!(voided.body, json!({ "charge": other, "status": "voided", "amount": 1_000 }));
    assert_eq!(world.void(&other).await.expect(200).body, voided.body);
    world.receiver.wait_for_only(6).await;
}

#[tokio::test]
async fn the_oldest_charge_is_forgotten_with_its_key() {
    let world = World::open_with(|settings| settings.charges_max = 2).await;
    let first = world.authorised("k-1").await;
    world.authorised("k-2").await;
    world.authorised("k-3").await;
    world.get(&format!("/v1/charges/{first}")).await.expect_error(404, "not_found", None);
    assert_ne!(world.authorised("k-1").await, first);
}

#[tokio::test]
async fn what_is_pending_is_never_forgotten() {
    let world = World::open_with(|settings| settings.charges_max = 2).await;
    world.charge("k-1", "sim-3063").await.expect(201);
    world.charge("k-2", "sim-3063").await.expect(201);
    world.charge("k-3", "sim-4242").await.expect_error(503, "overloaded", None);
    world.receiver.wait_for(2).await;
    world.charge("k-3", "sim-4242").await.expect(201);
}
