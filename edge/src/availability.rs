//! What of a list of items can be bought, in one answer: one query of their rows, not one each.

use std::collections::HashMap;

use actors::inventory::{Item, ItemCard, ItemId, ItemStatus};
use axum::{Json as Answer, extract::State};
use bus::{JsonSchema, ListRows, Selection};
use serde::Serialize;
use serde_json::json;

use crate::{
    Edge,
    api::{Route, get},
    error::ApiError,
    limits::AVAILABILITY_SKUS_MAX,
    position::After,
    query::Query,
};

pub(crate) fn route() -> Route {
    get("/v1/availability", show)
        .says(
            "showAvailability",
            "Show what of several items can be bought",
            "In the order in which they are asked for. It is what was so a moment ago: what an \
             order holds is decided when it is placed.",
        )
        .query::<String>("skus", "1 to 100 SKUs with commas between, none twice.")
        .answers::<AvailabilityShown>(200, "One for each SKU.")
}

/// What can be bought of several items.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Availability", example = json!({
    "items": [
        { "sku": "TEA", "is": "for_sale", "available": 3 },
        { "sku": "CUP", "is": "not_for_sale", "available": 0 },
        { "sku": "PAN", "is": "unknown", "available": 0 },
    ],
}))]
struct AvailabilityShown {
    /// In the order in which they were asked for.
    items: Vec<OneShown>,
}

/// What can be bought of one item.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ItemAvailability")]
struct OneShown {
    /// The item.
    sku: ItemId,
    /// Whether there is such an item, and it is sold.
    is: Sold,
    /// How many pieces can be bought.
    available: u64,
}

/// Whether an item is sold.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Sold {
    /// It is, if pieces are available.
    ForSale,
    /// Not any more.
    NotForSale,
    /// There is no such item, or nobody is to know of it yet.
    Unknown,
}

/// `GET /v1/availability?skus=a,b`: what can be bought of each.
async fn show(
    State(edge): State<Edge>,
    after: After,
    mut query: Query,
) -> Result<Answer<AvailabilityShown>, ApiError> {
    let skus = take_skus(&mut query)?;
    query.nothing_else()?;
    let rows = edge.bus().rows::<ItemCard>().list(Selection::rows(skus.iter().map(ItemId::as_str)));
    let page = after.of::<Item>().fold(rows, ListRows::after).await?;
    let cards = page.rows.into_iter().map(|card| (card.sku.clone(), card));
    let cards: HashMap<_, _> = cards.collect();
    let shown = skus.into_iter().map(|sku| {
        let (is, available) = sold(cards.get(sku.as_str()));
        OneShown { sku, is, available }
    });
    Ok(Answer(AvailabilityShown { items: shown.collect() }))
}

fn sold(card: Option<&ItemCard>) -> (Sold, u64) {
    // One that was asked for by an order, but never created, is no item.
    match card.filter(|card| card.is_created()).map(|card| (card.status, card.available)) {
        Some((ItemStatus::Active, available)) => (Sold::ForSale, available),
        Some((ItemStatus::Retired, _)) => (Sold::NotForSale, 0),
        Some((ItemStatus::Draft, _)) | None => (Sold::Unknown, 0),
    }
}

fn take_skus(query: &mut Query) -> Result<Vec<ItemId>, ApiError> {
    let text = query.take("skus").unwrap_or_default();
    let mut skus: Vec<ItemId> = Vec::new();
    for sku in text.split(',') {
        let sku =
            ItemId::parse(sku).map_err(|error| ApiError::invalid("skus", error.to_string()))?;
        if skus.contains(&sku) {
            return Err(ApiError::invalid("skus", format!("`{sku}` is asked for twice")));
        }
        if skus.len() == AVAILABILITY_SKUS_MAX {
            let message = format!("at most {AVAILABILITY_SKUS_MAX} SKUs are asked for at once");
            return Err(ApiError::invalid("skus", message));
        }
        skus.push(sku);
    }
    Ok(skus)
}
