//! Orders: one's own, as they stand. Placing one is in `placing`, its events in `events`.
//!
//! A row is only ever asked for within the asker's own: somebody else's order is as if it were
//! not there.

use actors::{
    Currency, Money,
    orders::{
        CancelReason, Order, OrderCard, OrderId, OrderStatus, OrderView, PricedLine, Progress,
        Returned, Shipment,
    },
};
use axum::{Json as Answer, extract::State, response::Response};
use bus::{GetRow, JsonSchema, ListRows, Listed, Position, RowError, Selection};
use serde::Serialize;
use serde_json::json;

use crate::{
    Edge,
    api::{LOCATION, RETRY_AFTER, Resource, Route, get, post},
    conditional::{IfNoneMatch, Version},
    error::ApiError,
    extract::{CurrentUser, PathId},
    history,
    limits::{PAGE_ROWS_DEFAULT, ROW_TIMEOUT},
    order_page,
    placing::place,
    position::{After, SEQ_HEADER},
    prefer::APPLIED_HEADER,
    query::Query,
};

pub(crate) fn routes() -> Resource {
    Resource::new("Orders", "One's own orders. Anybody else's are as if they were not there.")
        .with(
            get("/v1/orders", list)
                .says("listOrders", "List one's own orders", "Newest first, a page at a time.")
                .paged()
                .answers::<OrdersShown>(200, "A page."),
        )
        .with(place_route())
        .with(
            get("/v1/orders/{id}", show)
                .says("showOrder", "Show an order", "")
                .answers::<OrderShown>(200, "The order.")
                .versioned()
                .refuses(404, &["NOT_FOUND"]),
        )
        .with(order_page::route())
        .with(history::route())
}

fn place_route() -> Route {
    post("/v1/orders", place)
        .says(
            "placeOrder",
            "Buy things",
            "Every line is held, then the card is charged. What cannot be had or paid cancels the \
             order, and says why.",
        )
        .example(json!({
            "currency": "EUR", "card": "4242 4242 4242 4242",
            "lines": [{ "sku": "TEA", "quantity": 2 }],
        }))
        .answers::<OrderShown>(201, "The order, settled: confirmed or cancelled.")
        .headers(&[LOCATION, SEQ_HEADER, APPLIED_HEADER])
        .then("showOrder", "id", "$response.body#/id")
        .then("followOrder", "id", "$response.body#/id")
        .answers::<OrderBegun>(202, "The order, as it stands after the wait.")
        .headers(&[LOCATION, SEQ_HEADER, APPLIED_HEADER, RETRY_AFTER])
        .then("showOrder", "id", "$response.body#/id")
        .refuses(400, &["INVALID", "EMPTY", "TOO_MANY_LINES", "LINE_REPEATED"])
        .refuses(422, &["UNKNOWN_SKU", "CURRENCY_MISMATCH", "RETIRED"])
}

/// An order, as shown to its buyer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Order", example = json!({
    "id": "o-b3d2fcd7a08dc495937df25b793f223a", "status": "confirmed", "currency": "EUR",
    "lines": [{ "sku": "TEA", "quantity": 2, "unit_price": { "amount": 450, "currency": "EUR" } }],
    "total": { "amount": 900, "currency": "EUR" },
    "placed_at": "2026-11-21T05:16:57.215Z", "settled_at": "2026-11-21T05:16:57.228Z",
}))]
pub(crate) struct OrderShown {
    /// At which version it is, for its `ETag`.
    #[serde(skip)]
    pub(crate) version: u64,
    /// The order.
    id: String,
    /// How it stands, in one word.
    status: OrderStatus,
    /// What it is paid in.
    currency: Currency,
    /// What is bought, with prices once it is held.
    lines: Vec<PricedLine>,
    /// What it costs, once every line is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Money>,
    /// Why it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<CancelReason>,
    /// When it was placed (RFC 3339), if that is known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    placed_at: Option<String>,
    /// When it was confirmed or cancelled (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_at: Option<String>,
    /// How much of it has left the house and arrived, if it is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    /// What left the house.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shipments: Vec<Shipment>,
    /// What comes back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    returns: Vec<Returned>,
}

/// An order that has not settled: all of it that is known.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OrderBegun {
    /// The order.
    pub(crate) id: OrderId,
    /// How it stands, in one word.
    pub(crate) status: OrderStatus,
}

/// A page of orders.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Orders")]
pub(crate) struct OrdersShown {
    /// The orders.
    orders: Vec<OrderShown>,
    /// The next page's `cursor`, if there is one.
    next: Option<String>,
}

impl From<Listed<OrderCard>> for OrdersShown {
    fn from(page: Listed<OrderCard>) -> Self {
        let orders = page.rows.into_iter().map(OrderShown::from).collect();
        Self { orders, next: page.next }
    }
}

/// `GET /v1/orders?limit=&cursor=`: a page of one's own orders, newest first.
async fn list(
    State(edge): State<Edge>,
    user: CurrentUser,
    after: After,
    mut query: Query,
) -> Result<Answer<OrdersShown>, ApiError> {
    let selection = Selection::all()
        .matching("buyer", user.id.as_str())
        .newest_first()
        .limit(query.take_limit(PAGE_ROWS_DEFAULT)?)
        .from(query.take("cursor"));
    query.nothing_else()?;
    let rows = edge.bus().rows::<OrderCard>().list(selection);
    let page = after.of::<Order>().fold(rows, ListRows::after).await?;
    Ok(Answer(OrdersShown::from(page)))
}

/// `GET /v1/orders/{id}`: one's own order; anybody else's is 404, but for staff.
async fn show(
    State(edge): State<Edge>,
    user: CurrentUser,
    after: After,
    if_none_match: IfNoneMatch,
    PathId(order): PathId<Order>,
) -> Result<Response, ApiError> {
    let row = own(&edge, &user, &order);
    let row = after.of::<Order>().fold(row, GetRow::after).await?;
    let shown = OrderShown::from(row.ok_or_else(|| no_such_order(&order))?);
    Ok(if_none_match.answer(Version(shown.version), shown))
}

/// The order's row, if this user may see it.
pub(crate) fn own(edge: &Edge, user: &CurrentUser, order: &OrderId) -> GetRow<OrderCard> {
    let row = edge.bus().rows::<OrderCard>().get(order.as_str());
    match user.unless_staff() {
        Some(buyer) => row.within("buyer", buyer.as_str()),
        None => row,
    }
}

/// The buyer's order including the commit at `position`, if the rows come in time.
pub(crate) async fn order_after(
    edge: &Edge,
    order: &OrderId,
    buyer: &str,
    position: &Position,
) -> Result<Option<OrderCard>, RowError> {
    let row = edge.bus().rows::<OrderCard>().get(order.as_str()).within("buyer", buyer);
    row.after(position).timeout(ROW_TIMEOUT).await
}

pub(crate) fn no_such_order(order: &OrderId) -> ApiError {
    ApiError::not_found(format!("there is no order `{order}`"))
}

impl From<OrderCard> for OrderShown {
    fn from(card: OrderCard) -> Self {
        Self {
            version: card.version,
            id: card.id,
            status: card.status,
            currency: card.currency,
            lines: card.lines,
            total: card.total,
            reason: card.reason,
            placed_at: Some(card.placed_at.to_string()),
            settled_at: card.settled_at.map(|at| at.to_string()),
            progress: card.progress,
            shipments: card.shipments,
            returns: card.returns,
        }
    }
}

impl OrderShown {
    /// Takes out what left the house and what comes back, to be shown elsewhere.
    pub(crate) fn take_shipments(&mut self) -> (Vec<Shipment>, Vec<Returned>) {
        (std::mem::take(&mut self.shipments), std::mem::take(&mut self.returns))
    }

    /// The order as it says itself, which does not know when anything happened.
    pub(crate) fn of(order: &OrderId, view: OrderView, position: &Position) -> Self {
        Self {
            version: position.sequence,
            id: order.to_string(),
            status: view.status,
            currency: view.currency,
            lines: view.lines,
            total: view.total,
            reason: view.reason,
            placed_at: None,
            settled_at: None,
            progress: view.progress,
            shipments: view.shipments,
            returns: view.returns,
        }
    }
}
