//! Never more is captured than was authorised, nor more given back than was captured.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn at_most_what_was_authorised_is_captured_and_once() {
    let world = World::open().await;
    let charge = world.authorised("k-1").await;
    let too_much = world.capture(&charge, 1_001).await;
    too_much.expect_error(409, "more_than_authorised", Some("amount"));
    world.refund(&charge, "r-1", 1).await.expect_error(409, "not_captured", None);
    world.capture(&charge, 600).await.expect(201);
    world.capture(&charge, 400).await.expect_error(409, "already_captured", None);
    world.void(&charge).await.expect_error(409, "already_captured", None);
    let shown = world.shown(&charge).await;
    assert_eq!((&shown["status"], &shown["captured"]), (&json!("captured"), &json!(600)));
    let webhooks = world.receiver.wait_for_only(2).await;
    assert_eq!(webhooks[1].text("type"), "charge.captured");
    assert_eq!(webhooks[1].body["amount"], 600);
}

#[tokio::test]
async fn refunds_together_are_at_most_what_was_captured() {
    let world = World::open().await;
    let charge = world.authorised("k-1").await;
    world.capture(&charge, 600).await.expect(201);
    world.refund(&charge, "r-1", 601).await.expect_error(409, "more_than_captured", Some("amount"));
    world.refund(&charge, "r-1", 400).await.expect(201);
    world.refund(&charge, "r-2", 201).await.expect_error(409, "more_than_captured", Some("amount"));
    world.refund(&charge, "r-2", 200).await.expect(201);
    world.refund(&charge, "r-3", 1).await.expect_error(409, "more_than_captured", Some("amount"));
    let shown = world.shown(&charge).await;
    assert_eq!((&shown["captured"], &shown["refunded"]), (&json!(600), &json!(600)));
    let webhooks = world.receiver.wait_for_only(4).await;
    for (webhook, key, amount) in [(&webhooks[2], "r-1", 400), (&webhooks[3], "r-2", 200)] {
        assert_eq!(webhook.text("type"), "charge.refunded");
        assert_eq!((webhook.text("refund"), &webhook.body["amount"]), (key, &json!(amount)));
    }
}

#[tokio::test]
async fn refunds_that_race_are_at_most_what_was_captured() {
    let world = World::open().await;
    let charge = world.authorised("k-1").await;
    world.capture(&charge, 1_000).await.expect(201);
    let keys: Vec<_> = (0..20).map(|number| format!("r-{number}")).collect();
    let refunds = keys.iter().map(|key| world.refund(&charge, key, 300));
    let answers = futures_util::future::join_all(refunds).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(201), count(409)), (3, 17));
    assert_eq!(world.shown(&charge).await["refunded"], 900);
}

#[tokio::test]
async fn a_voided_charge_is_over() {
    let world = World::open().await;
    let charge = world.authorised("k-1").await;
    world.void(&charge).await.expect(200);
    world.capture(&charge, 1).await.expect_error(409, "voided", None);
    world.refund(&charge, "r-1", 1).await.expect_error(409, "voided", None);
    assert_eq!(world.shown(&charge).await["status"], "voided");
    let webhooks = world.receiver.wait_for_only(2).await;
    assert_eq!(webhooks[1].text("type"), "charge.voided");
}
