//! What happens to an order after its checkout: buyers call it off and send things back, staff
//! ship it, say that it arrived, and decide on returns.
//!
//! Each answers with the order as it then stands. Whose order it is, the order itself decides.

use actors::{
    Money,
    orders::{
        AcceptReturn, BoardColumn, Cancel, Deliver, Order, OrderCard, OrderId, Parcel, Portion,
        RejectReturn, Return, Ship, Show,
    },
};
use axum::{
    Json as Answer, RequestPartsExt,
    extract::{FromRequestParts, RawPathParams, State},
    http::{StatusCode, request::Parts},
};
use bus::{Ask, Handle, Id, JsonSchema, ListRows, Position, Selection, Wire};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Edge,
    api::{Part, Place, Resource, Route, get, post},
    body::Json,
    error::ApiError,
    extract::{CurrentUser, IdempotencyKey, PathId, Staff},
    limits::{PAGE_ROWS_DEFAULT, ROW_TIMEOUT},
    observe::Trace,
    orders::{OrderShown, OrdersShown},
    position::{After, SEQ_HEADER, Seq},
    query::Query,
};

pub(crate) fn routes() -> Resource {
    let about = "What happens to an order after its checkout. Buyers call it off and send things \
                 back; staff ship it, say that it arrived, and decide on returns.";
    Resource::new("Fulfilment", about)
        .with(
            post("/v1/orders/{id}/cancellation", cancel)
                .says(
                    "cancelOrder",
                    "Call an order off",
                    "As long as nothing has left the house. What was paid goes back.",
                )
                .answers::<OrderShown>(200, "The order, cancelled or revoked.")
                .headers(&[SEQ_HEADER])
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
                .headers(&[SEQ_HEADER])
                .refuses(400, &["EMPTY", "TOO_MANY_LINES", "LINE_REPEATED"])
                .refuses(409, &["NOT_PAID", "TOO_MANY", "TOO_MANY_STEPS"]),
        )
        .with(
            step(post("/v1/orders/{id}/shipments/{number}/delivery", deliver))
                .says("deliverShipment", "Say that a shipment has arrived", "For staff.")
                .answers::<OrderShown>(200, "The order.")
                .headers(&[SEQ_HEADER])
                .refuses(404, &["NO_SUCH_SHIPMENT"]),
        )
        .with(
            step(post("/v1/orders/{id}/returns", give_back))
                .says("returnOrder", "Send things back", "No more than was delivered.")
                .example(json!({
                    "portions": [{ "sku": "TEA", "quantity": 1 }], "reason": "it came broken",
                }))
                .answers::<OrderShown>(201, "The order, with one more return.")
                .headers(&[SEQ_HEADER])
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
                .headers(&[SEQ_HEADER])
                .refuses(404, &["NO_SUCH_RETURN"])
                .refuses(409, &["ALREADY_DECIDED", "NOT_PAID"]),
        )
        .with(
            step(post("/v1/orders/{id}/returns/{number}/rejection", reject))
                .says("rejectReturn", "Refuse to take something back", "For staff.")
                .example(json!({ "reason": "it was used" }))
                .answers::<OrderShown>(200, "The order.")
                .headers(&[SEQ_HEADER])
                .refuses(404, &["NO_SUCH_RETURN"])
                .refuses(409, &["ALREADY_DECIDED"]),
        )
        .with(
            get("/v1/board/orders", board)
                .says("listBoard", "List the orders that wait for one thing", "For staff.")
                .query::<BoardColumn>("column", "What they wait for.")
                .paged()
                .answers::<OrdersShown>(200, "A page, newest first."),
        )
}

/// What every step of an order may be refused for.
fn step(route: Route) -> Route {
    route.refuses(404, &["UNPLACED"])
}

/// Pieces that leave the house.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewShipment {
    /// What leaves.
    portions: Vec<Portion>,
    /// How the parcel can be followed, if it can.
    parcel: Option<Parcel>,
}

/// Pieces that come back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewReturn {
    /// What comes back.
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

/// The order in the path, and the number of one of its shipments or returns.
struct Step {
    order: OrderId,
    number: u32,
}

impl<S: Send + Sync> FromRequestParts<S> for Step {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let params = parts.extract::<RawPathParams>().await;
        let params = params.map_err(|error| ApiError::invalid("path", error.to_string()))?;
        let of = |name| params.iter().find(|(known, _)| *known == name).map(|(_, text)| text);
        let order = Id::parse(of("id").unwrap_or_default());
        let order = order.map_err(|error| ApiError::invalid("id", error.to_string()))?;
        let number = of("number").and_then(|text| text.parse().ok());
        let number = number.ok_or_else(|| ApiError::invalid("number", "a number from 1"))?;
        Ok(Self { order, number })
    }
}

impl Part for Step {
    fn describe(route: &mut Route) {
        PathId::<Order>::describe(route);
        let about = "Which of the order's, from 1.";
        route.takes::<u32>(Place::Path, "number", about, Some("1"));
    }
}

/// Who asks for what, under which key.
struct Asking {
    edge: Edge,
    trace: Trace,
    user: CurrentUser,
    key: IdempotencyKey,
}

impl Asking {
    async fn ask<C: Wire>(
        &self,
        order: &OrderId,
        command: C,
    ) -> Result<(<Order as Handle<C>>::Reply, Position), ApiError>
    where
        Order: Handle<C>,
    {
        let asked: Ask<Order, C> = self.edge.bus().actor(order).ask(command);
        let asked = self.key.put_on(asked, self.user.id.as_str());
        let asked = asked.principal(self.user.id.as_str()).trace(self.trace.as_str());
        Ok(asked.positioned().await?)
    }

    /// The order including the commit at `position`: its row, or what the order itself says if
    /// the rows do not come.
    async fn order(&self, order: &OrderId, position: &Position) -> Result<OrderShown, ApiError> {
        let row = self.edge.bus().rows::<OrderCard>().get(order.as_str()).after(position);
        if let Ok(Some(card)) = row.timeout(ROW_TIMEOUT).await {
            return Ok(card.into());
        }
        let shown = self.edge.bus().actor(order).ask(Show {}).trace(self.trace.as_str()).await?;
        Ok(OrderShown::of(order, shown))
    }
}

impl FromRequestParts<Edge> for Asking {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, ApiError> {
        let trace = Trace::from_request_parts(parts, edge).await?;
        let user = CurrentUser::from_request_parts(parts, edge).await?;
        let key = IdempotencyKey::from_request_parts(parts, edge).await?;
        Ok(Self { edge: edge.clone(), trace, user, key })
    }
}

impl Part for Asking {
    fn describe(route: &mut Route) {
        State::<Edge>::describe(route);
        Trace::describe(route);
        CurrentUser::describe(route);
        IdempotencyKey::describe(route);
    }
}

type Shown = Result<(Seq, Answer<OrderShown>), ApiError>;
type Made = Result<(StatusCode, Seq, Answer<OrderShown>), ApiError>;

/// `POST /v1/orders/{id}/cancellation`: 200 with the order; 409 `ALREADY_SHIPPED`.
async fn cancel(asking: Asking, PathId(order): PathId<Order>) -> Shown {
    let command = Cancel { buyer: asking.user.unless_staff() };
    let (_, position) = asking.ask(&order, command).await?;
    let shown = asking.order(&order, &position).await?;
    Ok((Seq(position), Answer(shown)))
}

/// `POST /v1/orders/{id}/shipments`, for staff: 201 with the order.
async fn ship(
    _: Staff,
    asking: Asking,
    PathId(order): PathId<Order>,
    Json(NewShipment { portions, parcel }): Json<NewShipment>,
) -> Made {
    let (_, position) = asking.ask(&order, Ship { portions, parcel }).await?;
    let shown = asking.order(&order, &position).await?;
    Ok((StatusCode::CREATED, Seq(position), Answer(shown)))
}

/// `POST /v1/orders/{id}/shipments/{number}/delivery`, for staff: 200 with the order.
async fn deliver(_: Staff, asking: Asking, Step { order, number }: Step) -> Shown {
    let (_, position) = asking.ask(&order, Deliver { shipment: number }).await?;
    let shown = asking.order(&order, &position).await?;
    Ok((Seq(position), Answer(shown)))
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
    Ok((StatusCode::CREATED, Seq(position), Answer(shown)))
}

/// `POST /v1/orders/{id}/returns/{number}/acceptance`, for staff: 200 with what goes back.
async fn accept(
    _: Staff,
    asking: Asking,
    Step { order, number }: Step,
    Json(Acceptance { sellable }): Json<Acceptance>,
) -> Result<(Seq, Answer<Refunded>), ApiError> {
    let (refund, position) = asking.ask(&order, AcceptReturn { number, sellable }).await?;
    let order = asking.order(&order, &position).await?;
    Ok((Seq(position), Answer(Refunded { refund, order })))
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
    Ok((Seq(position), Answer(shown)))
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
