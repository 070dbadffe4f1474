//! Items: what the shop sells, for everybody to find, and for staff to create and stock.
//!
//! What staff just did is seen by whoever reads next: a change answers with the row that
//! includes it.

use actors::{
    Money, Quantity,
    inventory::{Create, Item, ItemCard, ItemId, Receive, Show, StockCard},
};
use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use bus::{GetRow, JsonSchema, ListRows, Position, Selection};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Edge,
    api::{LOCATION, Resource, get, post},
    body::Json,
    error::ApiError,
    extract::{IdempotencyKey, PathId, Staff},
    limits::{PAGE_ROWS_DEFAULT, ROW_TIMEOUT, SEARCH_WORDS_MAX},
    observe::Trace,
    position::{After, SEQ_HEADER, Seq},
    query::Query,
};

pub(crate) fn routes() -> Resource {
    Resource::new("Items", "What the shop sells: for everybody to find, for staff to stock.")
        .with(
            get("/v1/items", list)
                .says("listItems", "Find items", "Items that are sold, a page at a time.")
                .query::<String>(
                    "search",
                    "Words; each begins a word of the item's name or SKU. The first 8 count.",
                )
                .paged()
                .answers::<ItemsShown>(200, "A page."),
        )
        .with(
            post("/v1/items", create)
                .says("createItem", "Create an item", "For staff. It is sold from now on.")
                .example(json!({
                    "sku": "TEA", "name": "Green tea", "description": "100 g, loose.",
                    "price": { "amount": 450, "currency": "EUR" },
                }))
                .answers::<ItemShown>(201, "The item.")
                .headers(&[LOCATION, SEQ_HEADER])
                .then("showItem", "sku", "$response.body#/sku")
                .then("receiveStock", "sku", "$response.body#/sku")
                .refuses(409, &["ALREADY_CREATED"]),
        )
        .with(
            get("/v1/items/{sku}", show)
                .says("showItem", "Show an item", "What it is, and how many pieces there are.")
                .answers::<ItemShown>(200, "The item.")
                .refuses(404, &["NOT_FOUND"]),
        )
        .with(
            post("/v1/items/{sku}/stock", receive)
                .says("receiveStock", "Receive pieces of an item", "For staff.")
                .example(json!({ "quantity": 5 }))
                .answers::<ItemShown>(200, "The item, with these pieces.")
                .headers(&[SEQ_HEADER])
                .refuses(404, &["UNKNOWN_ITEM"])
                .refuses(409, &["TOO_MUCH_STOCK"]),
        )
}

/// An item to be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateItem {
    /// Its name for programs, and in its path.
    sku: ItemId,
    /// Its name for people.
    #[schemars(schema_with = "actors::schema::name")]
    name: String,
    /// What it is, at length.
    #[serde(default)]
    #[schemars(schema_with = "actors::schema::description")]
    description: String,
    /// What one piece costs.
    price: Money,
}

/// Pieces that came in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReceiveStock {
    /// How many.
    quantity: Quantity,
}

/// An item, as shown to everybody.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Item", example = json!({
    "sku": "TEA", "name": "Green tea", "description": "100 g, loose.",
    "price": { "amount": 450, "currency": "EUR" },
    "received": 5, "available": 3, "held": 2, "shipped": 0,
}))]
struct ItemShown {
    /// Its name for programs, and in its path.
    sku: String,
    /// Its name for people.
    name: String,
    /// What it is, at length.
    description: String,
    /// What one piece costs.
    price: Money,
    /// All pieces that ever came in: available + held + shipped.
    received: u64,
    /// Pieces that can be bought.
    available: u64,
    /// Pieces that are held for orders.
    held: u64,
    /// Pieces that left the house.
    shipped: u64,
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

/// `POST /v1/items`, for staff: 201 with the item; 409 `ALREADY_CREATED`.
async fn create(
    State(edge): State<Edge>,
    trace: Trace,
    Staff(user): Staff,
    key: IdempotencyKey,
    Json(body): Json<CreateItem>,
) -> Result<(StatusCode, Seq, [(HeaderName, String); 1], Answer<ItemShown>), ApiError> {
    let CreateItem { sku, name, description, price } = body;
    let asked = edge.bus().actor(&sku).ask(Create { name, description, price });
    let asked = key.put_on(asked, user.id.as_str());
    let asked = asked.principal(user.id.as_str()).trace(trace.as_str());
    let (_, position) = asked.positioned().await?;
    let item = item_after(&edge, &sku, &position, &trace).await?;
    let location = [(header::LOCATION, format!("/v1/items/{sku}"))];
    Ok((StatusCode::CREATED, Seq(position), location, Answer(item)))
}

/// `POST /v1/items/{sku}/stock`, for staff: 200 with the item; 404 for one never created.
async fn receive(
    State(edge): State<Edge>,
    trace: Trace,
    Staff(user): Staff,
    PathId(sku): PathId<Item>,
    key: IdempotencyKey,
    Json(ReceiveStock { quantity }): Json<ReceiveStock>,
) -> Result<(Seq, Answer<ItemShown>), ApiError> {
    let asked = edge.bus().actor(&sku).ask(Receive { quantity });
    let asked = key.put_on(asked, user.id.as_str());
    let asked = asked.principal(user.id.as_str()).trace(trace.as_str());
    let (_, position) = asked.positioned().await?;
    let item = item_after(&edge, &sku, &position, &trace).await?;
    Ok((Seq(position), Answer(item)))
}

/// The item including the commit at `position`: its row, or what the actor itself says if the
/// rows do not come.
async fn item_after(
    edge: &Edge,
    sku: &ItemId,
    position: &Position,
    trace: &Trace,
) -> Result<ItemShown, ApiError> {
    let row = edge.bus().rows::<ItemCard>().get(sku.as_str()).after(position);
    if let Ok(Some(card)) = row.timeout(ROW_TIMEOUT).await {
        return Ok(card.into());
    }
    let stock = edge.bus().actor(sku).ask(Show {}).trace(trace.as_str()).await?;
    Ok(stock.into())
}

/// `GET /v1/items/{sku}`: the item, or 404.
async fn show(
    State(edge): State<Edge>,
    after: After,
    PathId(sku): PathId<Item>,
) -> Result<Answer<ItemShown>, ApiError> {
    let row = edge.bus().rows::<ItemCard>().get(sku.as_str());
    match after.of::<Item>().fold(row, GetRow::after).await? {
        Some(card) if card.is_created() => Ok(Answer(card.into())),
        // Asked for by an order, but never created: there is no such item.
        Some(_) | None => Err(ApiError::not_found(format!("there is no item `{sku}`"))),
    }
}

/// `GET /v1/items?search=&limit=&cursor=`: a page of items; each word of `search` begins a word
/// of the item's name or SKU.
async fn list(
    State(edge): State<Edge>,
    after: After,
    mut query: Query,
) -> Result<Answer<ItemsShown>, ApiError> {
    let mut selection =
        Selection::all().limit(query.take_limit(PAGE_ROWS_DEFAULT)?).from(query.take("cursor"));
    let search = query.take("search").unwrap_or_default();
    query.nothing_else()?;
    for word in actors::inventory::words(&search).take(SEARCH_WORDS_MAX) {
        selection = selection.prefix("word", &word);
    }
    // What was only asked for is in no list, so that a page is as long as it can be.
    let selection = selection.matching("created", "yes");
    let rows = edge.bus().rows::<ItemCard>().list(selection);
    let page = after.of::<Item>().fold(rows, ListRows::after).await?;
    let items = page.rows.into_iter().map(ItemShown::from).collect();
    Ok(Answer(ItemsShown { items, next: page.next }))
}

impl From<ItemCard> for ItemShown {
    fn from(card: ItemCard) -> Self {
        Self {
            sku: card.sku,
            name: card.name,
            description: card.description,
            price: card.price,
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
            sku: stock.sku.to_string(),
            name: stock.name,
            description: stock.description,
            price: stock.price,
            received: stock.received,
            available: stock.available,
            held: stock.held,
            shipped: stock.shipped,
            written_off: stock.written_off,
        }
    }
}
