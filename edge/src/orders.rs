//! Orders: one's own, as they stand. Placing one is in `placing`, its events in `events`.
//!
//! A row is only ever asked for within the asker's own: somebody else's order is as if it were
//! not there.

use actors::{
    Currency, Money,
    orders::{CancelReason, Order, OrderCard, OrderId, OrderStatus, PricedLine},
};
use axum::{Json as Answer, Router, extract::State, routing::get};
use bus::{GetRow, ListRows, Position, RowError, Selection};
use serde::Serialize;

use crate::{
    Edge,
    error::ApiError,
    extract::{CurrentUser, PathId},
    limits::{PAGE_ROWS_DEFAULT, ROW_TIMEOUT},
    placing::place,
    position::After,
    query::Query,
};

pub(crate) fn router() -> Router<Edge> {
    Router::new().route("/v1/orders", get(list).post(place)).route("/v1/orders/{id}", get(show))
}

/// An order, as shown to its buyer.
#[derive(Debug, Serialize)]
pub(crate) struct OrderShown {
    id: String,
    status: OrderStatus,
    currency: Currency,
    lines: Vec<PricedLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<CancelReason>,
    placed_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct OrdersShown {
    orders: Vec<OrderShown>,
    next: Option<String>,
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
    let orders = page.rows.into_iter().map(OrderShown::from).collect();
    Ok(Answer(OrdersShown { orders, next: page.next }))
}

/// `GET /v1/orders/{id}`: one's own order; anybody else's is 404.
async fn show(
    State(edge): State<Edge>,
    user: CurrentUser,
    after: After,
    PathId(order): PathId<Order>,
) -> Result<Answer<OrderShown>, ApiError> {
    let row = edge.bus().rows::<OrderCard>().get(order.as_str());
    let row = row.within("buyer", user.id.as_str());
    let row = after.of::<Order>().fold(row, GetRow::after).await?;
    row.map(|card| Answer(card.into())).ok_or_else(|| no_such_order(&order))
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
            id: card.id,
            status: card.status,
            currency: card.currency,
            lines: card.lines,
            total: card.total,
            reason: card.reason,
            placed_at: card.placed_at.to_string(),
            settled_at: card.settled_at.map(|at| at.to_string()),
        }
    }
}
