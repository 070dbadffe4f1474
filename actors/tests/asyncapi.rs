//! The document of what is said and heard on NATS, held to a running shop and to itself.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Nothing is bought here.
mod shop;

use std::{collections::BTreeSet, time::Duration};

use actors::SimulatedGateway;
use futures_util::StreamExt;
use serde_json::Value;
use shop::Shop;

/// The subjects of the document's channels, as a host subscribes to them.
fn asked(document: &Value) -> BTreeSet<String> {
    let channels = document["channels"].as_object().unwrap().values();
    let addresses = channels.filter_map(|channel| channel["address"].as_str());
    let asked =
        addresses.filter(|address| address.starts_with("cmd.") || address.starts_with("view."));
    asked.map(|address| address.replace("{id}", "*")).collect()
}

/// The subjects of what a shop that runs tells of itself.
async fn told(url: &str) -> BTreeSet<String> {
    let client = async_nats::connect(url).await.unwrap();
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    client.publish_with_reply("$SRV.INFO", inbox, "".into()).await.unwrap();
    let mut told = BTreeSet::new();
    while let Ok(Some(answer)) = tokio::time::timeout(Duration::from_secs(2), answers.next()).await
    {
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        let endpoints = answer["endpoints"].as_array().unwrap();
        told.extend(
            endpoints.iter().map(|endpoint| endpoint["subject"].as_str().unwrap().to_owned()),
        );
    }
    told
}

#[tokio::test]
async fn all_that_a_shop_can_be_asked_is_in_the_document_and_nothing_else() {
    let shop = Shop::open(SimulatedGateway::default()).await;
    let told = told(shop.url()).await;
    assert!(told.contains("cmd.order.*.place") && told.contains("view.orders.list"), "{told:?}");
    assert_eq!(asked(&actors::asyncapi()), told);
    shop.close().await;
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|inner| references(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_else() {
    let document = actors::asyncapi();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 500, "{} references", found.len());
    for reference in found {
        let there = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        assert!(!matches!(reference, "#" | "#/") && there.is_some(), "{reference}");
    }
}

#[test]
fn an_event_has_its_shape_under_its_name() {
    let document = actors::asyncapi();
    let commit = &document["components"]["messages"]["item.commit"]["payload"]["properties"];
    let event = commit["events"]["items"]["$ref"].as_str().unwrap();
    let event = document.pointer(event.trim_start_matches('#')).unwrap();
    let shapes = event["oneOf"].as_array().unwrap();
    let received = shapes.iter().find_map(|shape| shape["properties"].get("received")).unwrap();
    assert!(received["properties"]["quantity"].is_object(), "{received}");
    assert_eq!(document["channels"]["item.commits"]["address"], "evt.item.{shard}.{id}");
}
