//! Webhooks: signed, at least once, and with mischief late, twice and out of order.

use std::{collections::HashSet, time::Duration};

use gateway::signature::{InvalidSignature, WINDOW, verify};
use serde_json::Value;

use crate::{
    receiver::Received,
    world::{SECRET, World, unix_seconds},
};

fn ids(webhooks: &[Received]) -> Vec<&str> {
    webhooks.iter().map(|webhook| webhook.text("id")).collect()
}

#[tokio::test]
async fn a_webhook_is_signed_with_the_secret_and_the_time() {
    let world = World::open().await;
    world.authorised("k-1").await;
    let webhooks = world.receiver.wait_for(1).await;
    let Received { signature, bytes, .. } = &webhooks[0];
    let check =
        |secret: &str, body: &[u8], now| verify(secret.as_bytes(), signature, body, now, WINDOW);
    let now = unix_seconds();
    assert_eq!(check(SECRET, bytes, now), Ok(()));
    assert_eq!(check("another", bytes, now), Err(InvalidSignature::Forged));
    assert_eq!(check(SECRET, b"{}", now), Err(InvalidSignature::Forged));
    assert_eq!(check(SECRET, bytes, now + 400), Err(InvalidSignature::Stale));
    assert_eq!(check(SECRET, bytes, now - 400), Err(InvalidSignature::Future));
}

#[tokio::test]
async fn each_occurrence_has_an_id_of_its_own_and_they_arrive_in_order() {
    let world = World::open().await;
    let charge = world.authorised("k-1").await;
    world.capture(&charge, 600).await.expect(201);
    for number in 0..10 {
        world.refund(&charge, &format!("r-{number}"), 10).await.expect(201);
    }
    let webhooks = world.receiver.wait_for_only(12).await;
    assert_eq!(ids(&webhooks).into_iter().collect::<HashSet<_>>().len(), 12);
    let refunds: Vec<_> = webhooks[2..].iter().map(|webhook| webhook.text("refund")).collect();
    assert_eq!(refunds, (0..10).map(|number| format!("r-{number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_after_growing_pauses() {
    let world = World::open().await;
    world.receiver.answer([500, 302, 404]);
    world.authorised("k-1").await;
    let webhooks = world.receiver.wait_for_only(4).await;
    for again in &webhooks[1..] {
        assert_eq!(again.bytes, webhooks[0].bytes, "the same, id and all");
    }
    for (pair, pause_ms) in webhooks.windows(2).zip([100, 200, 400]) {
        let pause = pair[1].at - pair[0].at;
        assert!(pause >= Duration::from_millis(pause_ms - 5), "{pause:?} after {pause_ms}");
    }
}

#[tokio::test]
async fn what_is_never_taken_is_given_up_and_the_queue_is_bounded_until_then() {
    let world = World::open_with(|settings| {
        settings.attempts_max = 3;
        settings.webhooks_max = 1;
    })
    .await;
    world.receiver.answer([500, 500, 500]);
    let charge = world.authorised("k-1").await;
    world.charge("k-2", "sim-4242").await.expect_error(503, "overloaded", None);
    world.capture(&charge, 1).await.expect_error(503, "overloaded", None);
    assert_eq!(world.shown(&charge).await["status"], "authorised", "nothing was done");
    // Decided when there is room again.
    world.charge("k-3", "sim-3063").await.expect(201);
    world.receiver.wait_for(3).await;
    let webhooks = world.receiver.wait_for_only(4).await;
    assert_eq!(ids(&webhooks)[..3], [ids(&webhooks)[0]; 3]);
    assert_ne!(ids(&webhooks)[3], ids(&webhooks)[0]);
    world.charge("k-2", "sim-4242").await.expect(201);
}

#[tokio::test]
async fn mischief_sends_twice() {
    let world = World::open_with(|settings| settings.mischief.duplicate_chance = 1.0).await;
    world.authorised("k-1").await;
    let webhooks = world.receiver.wait_for_only(2).await;
    assert_eq!(webhooks[0].bytes, webhooks[1].bytes);
}

#[tokio::test]
async fn mischief_holds_back_and_so_mixes_up() {
    let world = World::open_with(|settings| {
        settings.mischief.seed = 3;
        settings.mischief.delay_chance = 0.5;
        settings.mischief.delay = Duration::from_millis(500)..=Duration::from_millis(1_000);
    })
    .await;
    let mut made = Vec::new();
    for number in 0..20 {
        made.push(world.authorised(&format!("k-{number}")).await);
    }
    let webhooks = world.receiver.wait_for_only(20).await;
    let told: Vec<_> = webhooks.iter().map(|webhook| webhook.text("charge")).collect();
    assert_ne!(told, made, "some overtook others");
    assert_eq!(told.into_iter().collect::<HashSet<_>>().len(), 20, "all arrived once");
    let spread = webhooks[19].at - webhooks[0].at;
    assert!(spread >= Duration::from_millis(400), "{spread:?}");
}

#[tokio::test]
async fn mischief_holds_answers_back_but_not_what_they_tell() {
    let (latency, soon) = (Duration::from_millis(800), Duration::from_millis(500));
    let world = World::open_with(|settings| settings.mischief.latency = latency..=latency).await;
    let begun = tokio::time::Instant::now();
    let (answered, told) = tokio::join!(
        async {
            world.authorised("k-1").await;
            begun.elapsed()
        },
        async {
            world.receiver.wait_for(1).await;
            begun.elapsed()
        }
    );
    assert!(answered >= latency && told < soon, "answered {answered:?}, told {told:?}");
}

#[tokio::test]
async fn without_an_address_nobody_is_told() {
    let world = World::open_with(|settings| settings.webhook_url = None).await;
    let charge = world.charge("k-1", "sim-3063").await.expect(201).text("charge");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.shown(&charge).await["status"], "authorised");
    assert_eq!(world.receiver.received().len(), 0);
    let file = world.folder().path().join("gateway/gateway.jsonl");
    let file = std::fs::read_to_string(file).expect("a file");
    let lines: Vec<Value> =
        file.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.iter().all(|line| line.get("deliveries").is_none()), "{file}");
}
