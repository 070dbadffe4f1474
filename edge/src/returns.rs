//! Returns: buyers send things back, staff take them back or do not.

use actors::{
    Money,
    orders::{AcceptReturn, LINES_MAX, Order, Portion, RejectReturn, Return},
};
use axum::{Json as Answer, http::StatusCode};
use bus::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    api::{Resource, post},
    body::Json,
    conditional::{ETAG_HEADER, Version},
    error::ApiError,
    extract::{PathId, Staff},
    orders::OrderShown,
    position::{SEQ_HEADER, Seq},
    steps::{Asking, Made, Shown, Step, step},
};

pub(crate) fn routes() -> Resource {
    Resource::new("Returns", "Buyers send things back; staff decide on what came.")
        .with(
            step(post("/v1/orders/{id}/returns", give_back))
                .says("returnOrder", "Send things back", "No more than was delivered.")
                .example(json!({
                    "portions": [{ "sku": "TEA", "quantity": 1 }], "reason": "it came broken",
                }))
                .answers::<OrderShown>(201, "The order, with one more return.")
                .headers(&[SEQ_HEADER, ETAG_HEADER])
                .refuses(400, &["EMPTY", "TOO_MANY_LINES", "LINE_REPEATED"])
                .refuses(409, &["NOT_PAID", "TOO_MANY", "TOO_MANY_STEPS"]),
        )
        .with(
            step(post("/v1/orders/{id}/returns/{number}/acceptance", accept))
                .says(
                    "acceptReturn",
                    "Take back what was returned",
                    "For staff. Its price goes back to the buyer; what can be sold again is in \
                     stock again.",
                )
                .example(json!({ "sellable": true }))
                .answers::<Refunded>(200, "What goes back, and the order.")
                .headers(&[SEQ_HEADER, ETAG_HEADER])
                .refuses(404, &["NO_SUCH_RETURN"])
                .refuses(409, &["ALREADY_DECIDED", "NOT_PAID"]),
        )
        .with(
            step(post("/v1/orders/{id}/returns/{number}/rejection", reject))
                .says("rejectReturn", "Refuse to take something back", "For staff.")
                .example(json!({ "reason": "it was used" }))
                .answers::<OrderShown>(200, "The order.")
                .headers(&[SEQ_HEADER, ETAG_HEADER])
                .refuses(404, &["NO_SUCH_RETURN"])
                .refuses(409, &["ALREADY_DECIDED"]),
        )
}

/// Pieces that come back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewReturn {
    /// What comes back.
    #[schemars(length(min = 1, max = LINES_MAX))]
    portions: Vec<Portion>,
    /// Why.
    #[schemars(schema_with = "actors::schema::name")]
    reason: String,
}

/// Whether what came back can be sold again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Acceptance {
    /// If not, it is written off.
    sellable: bool,
}

/// Why something is not taken back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rejection {
    /// Why: the buyer reads it.
    #[schemars(schema_with = "actors::schema::name")]
    reason: String,
}

/// What goes back to the buyer.
#[derive(Debug, Serialize, JsonSchema)]
struct Refunded {
    /// How much goes back.
    refund: Money,
    /// The order.
    order: OrderShown,
}

/// `POST /v1/orders/{id}/returns`: 201 with the order; 409 `TOO_MANY` beyond what was delivered.
async fn give_back(
    asking: Asking,
    PathId(order): PathId<Order>,
    Json(NewReturn { portions, reason }): Json<NewReturn>,
) -> Made {
    let command = Return { buyer: asking.user.unless_staff(), portions, reason };
    let (_, position) = asking.ask(&order, command).await?;
    let shown = asking.order(&order, &position).await?;
    Ok((StatusCode::CREATED, Version(shown.version), Seq(position), Answer(shown)))
}

/// `POST /v1/orders/{id}/returns/{number}/acceptance`, for staff: 200 with what goes back.
async fn accept(
    _: Staff,
    asking: Asking,
    Step { order, number }: Step,
    Json(Acceptance { sellable }): Json<Acceptance>,
) -> Result<(Version, Seq, Answer<Refunded>), ApiError> {
    let (refund, position) = asking.ask(&order, AcceptReturn { number, sellable }).await?;
    let order = asking.order(&order, &position).await?;
    Ok((Version(order.version), Seq(position), Answer(Refunded { refund, order })))
}

/// `POST /v1/orders/{id}/returns/{number}/rejection`, for staff: 200 with the order.
async fn reject(
    _: Staff,
    asking: Asking,
    Step { order, number }: Step,
    Json(Rejection { reason }): Json<Rejection>,
) -> Shown {
    let (_, position) = asking.ask(&order, RejectReturn { number, reason }).await?;
    let shown = asking.order(&order, &position).await?;
    Ok((Version(shown.version), Seq(position), Answer(shown)))
}
