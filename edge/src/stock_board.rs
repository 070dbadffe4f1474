//! The stock board: how many pieces of each item there are and where, for staff.

use std::collections::BTreeMap;

use actors::inventory::{Item, ItemCard, ItemStatus};
use axum::{Json as Answer, extract::State};
use bus::{JsonSchema, ListRows, Listed, Selection};
use serde::Serialize;
use serde_json::json;

use crate::{
    Edge,
    api::{Route, get},
    error::ApiError,
    extract::Staff,
    limits::PAGE_ROWS_DEFAULT,
    position::After,
    query::Query,
};

pub(crate) fn route() -> Route {
    get("/v1/stock", board)
        .says(
            "listStock",
            "List the stock of all items",
            "For staff. By SKU, drafts and retired items too.",
        )
        .query::<bool>("low", "Only items whose stock is low, or only the others.")
        .paged()
        .answers::<BoardShown>(200, "A page.")
}

/// A page of the stock board.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StockBoard", example = json!({
    "stock": [{
        "sku": "TEA", "status": "active", "on_hand": 5, "reserved": 2, "available": 3,
        "low_below": 4, "low": true, "warehouses": { "main": 4, "north": 1 },
    }],
    "next": null,
}))]
struct BoardShown {
    /// The items' stock.
    stock: Vec<StockShown>,
    /// The next page's `cursor`, if there is one.
    next: Option<String>,
}

/// How many pieces of an item there are.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ItemStock")]
struct StockShown {
    /// The item.
    sku: String,
    /// Whether it is sold.
    status: ItemStatus,
    /// All in the house: reserved + available, and the sum of the warehouses.
    on_hand: u64,
    /// Held for orders, of whichever warehouse.
    reserved: u64,
    /// Can be bought.
    available: u64,
    /// It is low while fewer are available; 0 is never.
    low_below: u32,
    /// Whether it is low.
    low: bool,
    /// How many lie where; only warehouses with any.
    warehouses: BTreeMap<String, u64>,
}

/// `GET /v1/stock?low=&limit=&cursor=`, for staff: a page of items, by SKU.
async fn board(
    State(edge): State<Edge>,
    _: Staff,
    after: After,
    mut query: Query,
) -> Result<Answer<BoardShown>, ApiError> {
    let selection = match query.take("low").as_deref() {
        None => Selection::all().matching("created", "yes"),
        Some("true") => Selection::all().matching("low", "yes"),
        Some("false") => Selection::all().matching("low", "no"),
        Some(_) => return Err(ApiError::invalid("low", "`low` is true or false")),
    };
    let limit = query.take_limit(PAGE_ROWS_DEFAULT)?;
    let selection = selection.limit(limit).from(query.take("cursor"));
    query.nothing_else()?;
    let rows = edge.bus().rows::<ItemCard>().list(selection);
    Ok(Answer(after.of::<Item>().fold(rows, ListRows::after).await?.into()))
}

impl From<Listed<ItemCard>> for BoardShown {
    fn from(page: Listed<ItemCard>) -> Self {
        Self { stock: page.rows.into_iter().map(StockShown::from).collect(), next: page.next }
    }
}

impl From<ItemCard> for StockShown {
    fn from(card: ItemCard) -> Self {
        let lying = card.on_hand.iter();
        Self {
            low: card.is_low(),
            on_hand: card.on_hand.total(),
            warehouses: lying.map(|(id, pieces)| (id.to_string(), pieces)).collect(),
            sku: card.sku,
            status: card.status,
            reserved: card.held,
            available: card.available,
            low_below: card.low_below,
        }
    }
}
