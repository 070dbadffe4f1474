//! What happened to an order, step by step: for its buyer, and for staff.

use actors::orders::{HistoryStep, Order, OrderCard, OrderStep, StepBy};
use axum::{extract::State, response::Response};
use bus::{GetRow, JsonSchema};
use serde::Serialize;
use serde_json::json;

use crate::{
    Edge,
    api::{Route, get},
    conditional::{IfNoneMatch, Version},
    error::ApiError,
    extract::{CurrentUser, PathId},
    orders::{no_such_order, own},
    position::After,
};

pub(crate) fn route() -> Route {
    get("/v1/orders/{id}/history", history)
        .says(
            "showOrderHistory",
            "Show what happened to an order",
            "Its first 400 steps, the oldest first: when each was taken, and by whom.",
        )
        .answers::<HistoryShown>(200, "The steps.")
        .versioned()
        .refuses(404, &["NOT_FOUND"])
}

/// What happened to an order.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrderHistory", example = json!({
    "order": "o-b3d2fcd7a08dc495937df25b793f223a",
    "steps": [
        { "step": { "name": "placed" }, "at": "2026-11-21T05:16:57.215Z", "by": "customer" },
        {
            "step": { "name": "cancelled", "reason": { "declined": { "reason": "card_declined" } } },
            "at": "2026-11-21T05:16:57.228Z", "by": "shop",
        },
    ],
    "left_out": 0,
}))]
struct HistoryShown {
    /// The order.
    order: String,
    /// The oldest first.
    steps: Vec<StepShown>,
    /// How many came after those that are kept.
    left_out: u32,
}

/// One thing that happened to an order.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrderHistoryStep")]
struct StepShown {
    /// What.
    step: OrderStep,
    /// When (RFC 3339).
    at: String,
    /// By whom.
    by: StepBy,
    /// Who that was, if it was a person: for staff alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
}

/// `GET /v1/orders/{id}/history`: of one's own order; anybody else's is 404, but for staff.
async fn history(
    State(edge): State<Edge>,
    user: CurrentUser,
    after: After,
    if_none_match: IfNoneMatch,
    PathId(order): PathId<Order>,
) -> Result<Response, ApiError> {
    let row = own(&edge, &user, &order);
    let row = after.of::<Order>().fold(row, GetRow::after).await?;
    let card = row.ok_or_else(|| no_such_order(&order))?;
    let names_people = user.unless_staff().is_none();
    Ok(if_none_match.answer(Version(card.version), HistoryShown::of(card, names_people)))
}

impl HistoryShown {
    fn of(card: OrderCard, names_people: bool) -> Self {
        let shown = |HistoryStep { step, at, by, user }| StepShown {
            step,
            at: at.to_string(),
            by,
            user: user.filter(|_| names_people),
        };
        Self {
            order: card.id,
            steps: card.history.steps.into_iter().map(shown).collect(),
            left_out: card.history.left_out,
        }
    }
}
