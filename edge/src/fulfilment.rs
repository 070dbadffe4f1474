//! What happens to an order after its checkout: buyers call it off, staff ship it and say that it
//! arrived; and the board on which staff find what waits for them.

use actors::{
    WarehouseId,
    orders::{BoardColumn, Cancel, Deliver, LINES_MAX, Order, OrderCard, Parcel, Portion, Ship},
};
use axum::{Json as Answer, extract::State, http::StatusCode};
use bus::{JsonSchema, ListRows, Selection};
use serde::Deserialize;
use serde_json::json;

use crate::{
    Edge,
    api::{Resource, get, post},
    body::Json,
    conditional::{ETAG_HEADER, Version},
    error::ApiError,
    extract::{PathId, Staff},
    limits::PAGE_ROWS_DEFAULT,
    orders::{OrderShown, OrdersShown},
    position::{After, SEQ_HEADER, Seq},
    query::Query,
    steps::{Asking, Made, Shown, Step, step},
};

pub(crate) fn routes() -> Resource {
    let about = "What happens to an order after its checkout: called off by its buyer, or shipped by \
                 staff.";
    Resource::new("Fulfilment", about)
        .with(
            post("/v1/orders/{id}/cancellation", cancel)
                .says(
                    "cancelOrder",
                    "Call an order off",
                    "As long as nothing has left the house. What was paid goes back.",
                )
                .answers::<OrderShown>(200, "The order, cancelled or revoked.")
                .headers(&[SEQ_HEADER, ETAG_HEADER])
                .refuses(404, &["UNPLACED"])
                .refuses(409, &["ALREADY_SHIPPED"]),
        )
        .with(
            step(post("/v1/orders/{id}/shipments", ship))
                .says("shipOrder", "Ship an order, or a part of it", "For staff.")
                .example(json!({
                    "portions": [{ "sku": "TEA", "quantity": 2 }],
                    "parcel": { "carrier": "Post", "tracking": "RR123456785DE" },
                }))
                .answers::<OrderShown>(201, "The order, with one more shipment.")
                .headers(&[SEQ_HEADER, ETAG_HEADER])
                .refuses(400, &["EMPTY", "TOO_MANY_LINES", "LINE_REPEATED"])
                .refuses(409, &["NOT_PAID", "TOO_MANY", "TOO_MANY_STEPS"]),
        )
        .with(
            step(post("/v1/orders/{id}/shipments/{number}/delivery", deliver))
                .says("deliverShipment", "Say that a shipment has arrived", "For staff.")
                .answers::<OrderShown>(200, "The order.")
                .headers(&[SEQ_HEADER, ETAG_HEADER])
                .refuses(404, &["NO_SUCH_SHIPMENT"]),
        )
        .with(
            get("/v1/board/orders", board)
                .says("listBoard", "List the orders that wait for one thing", "For staff.")
                .query::<BoardColumn>("column", "What they wait for.")
                .paged()
                .answers::<OrdersShown>(200, "A page, newest first."),
        )
}

/// Pieces that leave the house.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewShipment {
    /// What leaves.
    #[schemars(length(min = 1, max = LINES_MAX))]
    portions: Vec<Portion>,
    /// How the parcel can be followed, if it can.
    parcel: Option<Parcel>,
    /// From which warehouse, if that is known. What the books do not have there, and all of it if
    /// nothing is said, is taken from where most pieces lie.
    warehouse: Option<WarehouseId>,
}

/// `POST /v1/orders/{id}/cancellation`: 200 with the order; 409 `ALREADY_SHIPPED`.
async fn cancel(asking: Asking, PathId(order): PathId<Order>) -> Shown {
    let command = Cancel { buyer: asking.user.unless_staff() };
    let (_, position) = asking.ask(&order, command).await?;
    let shown = asking.order(&order, &position).await?;
    Ok((Version(shown.version), Seq(position), Answer(shown)))
}

/// `POST /v1/orders/{id}/shipments`, for staff: 201 with the order.
async fn ship(
    _: Staff,
    asking: Asking,
    PathId(order): PathId<Order>,
    Json(NewShipment { portions, parcel, warehouse }): Json<NewShipment>,
) -> Made {
    let (_, position) = asking.ask(&order, Ship { portions, parcel, warehouse }).await?;
    let shown = asking.order(&order, &position).await?;
    Ok((StatusCode::CREATED, Version(shown.version), Seq(position), Answer(shown)))
}

/// `POST /v1/orders/{id}/shipments/{number}/delivery`, for staff: 200 with the order.
async fn deliver(_: Staff, asking: Asking, Step { order, number }: Step) -> Shown {
    let (_, position) = asking.ask(&order, Deliver { shipment: number }).await?;
    let shown = asking.order(&order, &position).await?;
    Ok((Version(shown.version), Seq(position), Answer(shown)))
}

/// `GET /v1/board/orders?column=&limit=&cursor=`, for staff: a page of one column, newest first.
async fn board(
    State(edge): State<Edge>,
    _: Staff,
    after: After,
    mut query: Query,
) -> Result<Answer<OrdersShown>, ApiError> {
    let column = query.take("column").unwrap_or_default();
    let column: BoardColumn = serde_json::from_value(column.into()).map_err(|_| {
        let columns = "`column` is open, to_ship, on_its_way, delivered, return_requested \
                       or cancelled";
        ApiError::invalid("column", columns)
    })?;
    let selection = Selection::all()
        .matching("column", column.name())
        .newest_first()
        .limit(query.take_limit(PAGE_ROWS_DEFAULT)?)
        .from(query.take("cursor"));
    query.nothing_else()?;
    let rows = edge.bus().rows::<OrderCard>().list(selection);
    let page = after.of::<Order>().fold(rows, ListRows::after).await?;
    Ok(Answer(OrdersShown::from(page)))
}
