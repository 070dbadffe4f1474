//! Items: what the shop sells, for everybody to find.
//!
//! Drafts are for staff alone. How staff change items is in `catalogue`.

use std::collections::BTreeMap;

use actors::{
    Currency, Money,
    inventory::{
        Category, Item, ItemCard, ItemId, ItemStatus, Priced, Show, ShowPrices, StockCard,
    },
};
use axum::{Json as Answer, extract::State, response::Response};
use bus::{GetRow, JsonSchema, ListRows, Position, Selection};
use serde::Serialize;
use serde_json::json;

use crate::{
    Edge,
    api::{Resource, get},
    availability,
    conditional::{IfNoneMatch, Version},
    error::ApiError,
    extract::{AnyUser, PathId},
    limits::{PAGE_ROWS_DEFAULT, ROW_TIMEOUT},
    observe::Trace,
    position::After,
    query::Query,
    search::{Sort, Wanted},
};

pub(crate) fn routes() -> Resource {
    Resource::new("Items", "What the shop sells, for everybody to find.")
        .with(
            get("/v1/items", list)
                .says(
                    "listItems",
                    "Find items",
                    "Items that are sold, a page at a time. Without any of the parameters but \
                     `limit` and `cursor` all of them, by SKU. A search may be unavailable for \
                     some seconds after a start.",
                )
                .query::<String>(
                    "search",
                    "Words; each begins a word of the item, and whole words and names count more. \
                     The first 8 count.",
                )
                .query::<Category>("category", "Only items listed under it.")
                .query::<Currency>("currency", "Only items sold in it.")
                .query::<MinorUnits>("min_price", "At least so much, in minor units.")
                .query::<MinorUnits>("max_price", "At most so much, in minor units.")
                .query::<bool>("in_stock", "Whether there are pieces that can be bought.")
                .query::<ItemStatus>("status", "`active` if it is not said; the others for staff.")
                .query::<Sort>(
                    "sort",
                    "By relevance if words are searched for, and the newest first if not. A list \
                     by relevance ends after 1,000 items.",
                )
                .paged()
                .answers::<ItemsShown>(200, "A page."),
        )
        .with(
            get("/v1/items/{sku}", show)
                .says(
                    "showItem",
                    "Show an item",
                    "What it is, and how many pieces there are. A draft is shown to staff alone.",
                )
                .answers::<ItemShown>(200, "The item.")
                .versioned()
                .refuses(404, &["NOT_FOUND"]),
        )
        .with(availability::route())
        .with(
            get("/v1/items/{sku}/prices", prices)
                .says("listPrices", "Show what an item cost", "Its last 100 prices.")
                .answers::<PricesShown>(200, "The prices, the latest first.")
                .refuses(404, &["NOT_FOUND"]),
        )
}

/// A price by itself.
#[derive(JsonSchema)]
#[schemars(inline)]
struct MinorUnits(#[expect(dead_code, reason = "only described")] u64);

/// An item, as shown to everybody.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Item", example = json!({
    "sku": "TEA", "name": "Green tea", "description": "100 g, loose.",
    "price": { "amount": 450, "currency": "EUR" },
    "category": "tea", "attributes": { "origin": "Uji" },
    "pictures": ["https://pictures.example/tea.jpg"], "status": "active",
    "received": 5, "available": 3, "held": 2, "shipped": 0, "written_off": 0,
}))]
pub(crate) struct ItemShown {
    /// At which version it is, for its `ETag`.
    #[serde(skip)]
    pub(crate) version: u64,
    /// Its name for programs, and in its path.
    sku: String,
    /// Its name for people.
    name: String,
    /// What it is, at length.
    description: String,
    /// What one piece costs.
    price: Money,
    /// What it is listed under.
    category: Option<Category>,
    /// What else there is to say of it.
    attributes: BTreeMap<String, String>,
    /// Where its pictures are.
    pictures: Vec<String>,
    /// Whether it is sold.
    status: ItemStatus,
    /// All pieces that ever came in: available + held + shipped + written off.
    received: u64,
    /// Pieces that can be bought.
    available: u64,
    /// Pieces that are held for orders.
    held: u64,
    /// Pieces that left the house and did not come back.
    shipped: u64,
    /// Pieces that came back and cannot be sold again.
    written_off: u64,
}

/// A page of items.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Items")]
struct ItemsShown {
    /// The items.
    items: Vec<ItemShown>,
    /// The next page's `cursor`, if there is one.
    next: Option<String>,
}

/// A price, and since when.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PastPrice")]
struct PriceShown {
    /// What one piece cost.
    price: Money,
    /// From when on, if that was recorded.
    since: Option<String>,
}

/// What an item cost.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Prices")]
struct PricesShown {
    /// The latest first.
    prices: Vec<PriceShown>,
}

/// The item including the commit at `position`: its row, or what the actor itself says if the
/// rows do not come.
pub(crate) async fn item_after(
    edge: &Edge,
    sku: &ItemId,
    position: &Position,
    trace: &Trace,
) -> Result<ItemShown, ApiError> {
    let row = edge.bus().rows::<ItemCard>().get(sku.as_str()).after(position);
    if let Ok(Some(card)) = row.timeout(ROW_TIMEOUT).await {
        return Ok(card.into());
    }
    let asked = edge.bus().actor(sku).ask(Show {}).trace(trace.as_str());
    let (stock, position) = asked.positioned().await?;
    Ok(ItemShown { version: position.sequence, ..stock.into() })
}

/// `GET /v1/items/{sku}`: the item, or 404.
async fn show(
    State(edge): State<Edge>,
    user: AnyUser,
    after: After,
    if_none_match: IfNoneMatch,
    PathId(sku): PathId<Item>,
) -> Result<Response, ApiError> {
    let shown = ItemShown::from(visible(&edge, &user, &after, &sku).await?);
    Ok(if_none_match.answer(Version(shown.version), shown))
}

/// `GET /v1/items/{sku}/prices`: what the item cost, the latest price first.
async fn prices(
    State(edge): State<Edge>,
    user: AnyUser,
    trace: Trace,
    after: After,
    PathId(sku): PathId<Item>,
) -> Result<Answer<PricesShown>, ApiError> {
    visible(&edge, &user, &after, &sku).await?;
    let prices = edge.bus().actor(&sku).ask(ShowPrices {}).trace(trace.as_str()).await?;
    let shown =
        |Priced { price, since }| PriceShown { price, since: since.map(|at| at.to_string()) };
    Ok(Answer(PricesShown { prices: prices.into_iter().map(shown).collect() }))
}

/// The item, if this user may see it.
async fn visible(
    edge: &Edge,
    user: &AnyUser,
    after: &After,
    sku: &ItemId,
) -> Result<ItemCard, ApiError> {
    let row = edge.bus().rows::<ItemCard>().get(sku.as_str());
    let card = after.of::<Item>().fold(row, GetRow::after).await?;
    // One that was asked for by an order, but never created, is no item.
    let card = card.filter(ItemCard::is_created);
    card.filter(|card| card.status != ItemStatus::Draft || user.is_staff())
        .ok_or_else(|| ApiError::not_found(format!("there is no item `{sku}`")))
}

/// `GET /v1/items`: a page of items that are sold. Without more than `limit` and `cursor` all of
/// them, by SKU; with any of `search`, `category`, `currency`, `min_price`, `max_price`,
/// `in_stock`, `sort` and, for staff, `status` those that are wanted, in that order.
async fn list(
    State(edge): State<Edge>,
    user: AnyUser,
    after: After,
    mut query: Query,
) -> Result<Answer<ItemsShown>, ApiError> {
    if query.has_only(&["limit", "cursor"]) {
        return list_all(&edge, &after, query).await;
    }
    let wanted = Wanted::take_from(&mut query, user.is_staff())?;
    query.nothing_else()?;
    let page = edge.search().find(edge.bus(), wanted, after.of::<Item>()).await?;
    let items = page.items.into_iter().map(ItemShown::from).collect();
    Ok(Answer(ItemsShown { items, next: page.next }))
}

/// From the rows, which are there also while the search is not.
async fn list_all(
    edge: &Edge,
    after: &After,
    mut query: Query,
) -> Result<Answer<ItemsShown>, ApiError> {
    let selection =
        Selection::all().limit(query.take_limit(PAGE_ROWS_DEFAULT)?).from(query.take("cursor"));
    let selection = selection.matching("status", ItemStatus::Active.name());
    let rows = edge.bus().rows::<ItemCard>().list(selection);
    let page = after.of::<Item>().fold(rows, ListRows::after).await?;
    let items = page.rows.into_iter().map(ItemShown::from).collect();
    Ok(Answer(ItemsShown { items, next: page.next }))
}

impl From<ItemCard> for ItemShown {
    fn from(card: ItemCard) -> Self {
        Self {
            version: card.version,
            sku: card.sku,
            name: card.name,
            description: card.description,
            price: card.price,
            category: card.category,
            attributes: card.attributes,
            pictures: card.pictures,
            status: card.status,
            received: card.received,
            available: card.available,
            held: card.held,
            shipped: card.shipped,
            written_off: card.written_off,
        }
    }
}

impl From<StockCard> for ItemShown {
    fn from(stock: StockCard) -> Self {
        Self {
            version: 0, // It does not know: whoever asks it does.
            sku: stock.sku.to_string(),
            name: stock.name,
            description: stock.description,
            price: stock.price,
            category: stock.category,
            attributes: stock.attributes,
            pictures: stock.pictures,
            status: stock.status,
            received: stock.received,
            available: stock.available,
            held: stock.held,
            shipped: stock.shipped,
            written_off: stock.written_off,
        }
    }
}
