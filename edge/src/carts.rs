//! One's own cart: the same on every device, until it becomes an order.

use actors::{
    Money, Quantity,
    carts::{Cart, CartId, CartLine, CartView, Clear, Put, Remove, Show},
    inventory::{Item, ItemCard, ItemError, ItemStatus, Show as ShowItem},
};
use axum::{Json as Answer, extract::State, response::Response};
use bus::{Handle, JsonSchema, Wire};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Edge,
    api::{LOCATION, RETRY_AFTER, Resource, delete, get, post, put},
    body::Json,
    conditional::{ETAG_HEADER, IfMatch, IfNoneMatch, Version},
    error::ApiError,
    extract::{CurrentUser, IdempotencyKey, PathId},
    limits::ROW_TIMEOUT,
    observe::Trace,
    orders::{OrderBegun, OrderShown},
    placing::check_out,
    position::{SEQ_HEADER, Seq},
    prefer::APPLIED_HEADER,
};

pub(crate) fn routes() -> Resource {
    Resource::new("Cart", "One's own cart: the same on every device, until it becomes an order.")
        .with(
            get("/v1/cart", show)
                .says("showCart", "Show one's cart", "")
                .answers::<CartShown>(200, "The cart.")
                .versioned(),
        )
        .with(
            put("/v1/cart/lines/{sku}", put_line)
                .says("putInCart", "Put so many pieces of an item into the cart", "")
                .example(json!({ "quantity": 2 }))
                .answers::<CartShown>(200, "The cart.")
                .headers(&[SEQ_HEADER, ETAG_HEADER])
                .refuses(404, &["UNKNOWN_ITEM"])
                .refuses(409, &["CART_FULL", "OTHER_CURRENCY", "TOTAL_TOO_LARGE"]),
        )
        .with(
            delete("/v1/cart/lines/{sku}", remove_line)
                .says("removeFromCart", "Take an item out of the cart", "")
                .answers::<CartShown>(200, "The cart.")
                .headers(&[SEQ_HEADER, ETAG_HEADER]),
        )
        .with(
            delete("/v1/cart", clear)
                .says("clearCart", "Empty the cart", "")
                .answers::<CartShown>(200, "The cart.")
                .headers(&[SEQ_HEADER, ETAG_HEADER]),
        )
        .with(
            post("/v1/cart/order", check_out)
                .says(
                    "orderCart",
                    "Buy what is in the cart",
                    "Where a piece costs something else by now than the cart says, the order is \
                     cancelled, and says so.",
                )
                .example(json!({ "card": "4242 4242 4242 4242" }))
                .answers::<OrderShown>(201, "The order, settled: confirmed or cancelled.")
                .headers(&[LOCATION, SEQ_HEADER, APPLIED_HEADER])
                .then("showOrder", "id", "$response.body#/id")
                .answers::<OrderBegun>(202, "The order, as it stands after the wait.")
                .headers(&[LOCATION, SEQ_HEADER, APPLIED_HEADER, RETRY_AFTER])
                .refuses(400, &["INVALID"])
                .refuses(409, &["CART_EMPTY"]),
        )
}

/// How many pieces.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LinePut {
    quantity: Quantity,
}

/// A cart, as shown to its user.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Cart")]
struct CartShown {
    /// In the order in which they were put in.
    lines: Vec<CartLine>,
    /// What it costs, at the prices that were shown; none of an empty cart.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Money>,
}

impl From<CartView> for CartShown {
    fn from(CartView { lines, total }: CartView) -> Self {
        Self { lines, total }
    }
}

/// A user's cart has the user's id.
pub(crate) fn cart_of(user: &CurrentUser) -> CartId {
    CartId::parse(user.id.as_str()).expect("a user's id is a token, and so is a cart's")
}

type Shown = Result<(Version, Seq, Answer<CartShown>), ApiError>;

async fn ask<C: Wire>(
    edge: &Edge,
    trace: &Trace,
    user: &CurrentUser,
    key: &IdempotencyKey,
    if_match: IfMatch,
    command: C,
) -> Shown
where
    Cart: Handle<C, Reply = CartView>,
{
    let asked = key.put_on(edge.bus().actor(&cart_of(user)).ask(command), user.id.as_str());
    let asked = if_match.put_on(asked).principal(user.id.as_str()).trace(trace.as_str());
    let (view, position) = asked.positioned().await?;
    Ok((Version::from(&position), Seq(position), Answer(view.into())))
}

/// `GET /v1/cart`: the cart, asked of itself.
async fn show(
    State(edge): State<Edge>,
    trace: Trace,
    user: CurrentUser,
    if_none_match: IfNoneMatch,
) -> Result<Response, ApiError> {
    let asked = edge.bus().actor(&cart_of(&user)).ask(Show {}).trace(trace.as_str());
    let (view, position) = asked.positioned().await?;
    Ok(if_none_match.answer(Version::from(&position), CartShown::from(view)))
}

/// `PUT /v1/cart/lines/{sku}`: the cart; 404 `UNKNOWN_ITEM`.
async fn put_line(
    State(edge): State<Edge>,
    trace: Trace,
    user: CurrentUser,
    PathId(sku): PathId<Item>,
    key: IdempotencyKey,
    if_match: IfMatch,
    Json(LinePut { quantity }): Json<LinePut>,
) -> Shown {
    let row = edge.bus().rows::<ItemCard>().get(sku.as_str()).timeout(ROW_TIMEOUT).await;
    let (status, unit_price) = match row {
        Ok(Some(card)) if card.is_created() => (card.status, card.price),
        // It may be newer than the rows, or they are not there.
        _ => {
            let asked = edge.bus().actor(&sku).ask(ShowItem {}).trace(trace.as_str());
            let stock = asked.await?;
            (stock.status, stock.price)
        }
    };
    if status != ItemStatus::Active {
        return Err(ItemError::UnknownItem.into());
    }
    ask(&edge, &trace, &user, &key, if_match, Put { sku, quantity, unit_price }).await
}

/// `DELETE /v1/cart/lines/{sku}`: the cart, without it.
async fn remove_line(
    State(edge): State<Edge>,
    trace: Trace,
    user: CurrentUser,
    PathId(sku): PathId<Item>,
    key: IdempotencyKey,
    if_match: IfMatch,
) -> Shown {
    ask(&edge, &trace, &user, &key, if_match, Remove { sku }).await
}

/// `DELETE /v1/cart`: the cart, empty.
async fn clear(
    State(edge): State<Edge>,
    trace: Trace,
    user: CurrentUser,
    key: IdempotencyKey,
    if_match: IfMatch,
) -> Shown {
    ask(&edge, &trace, &user, &key, if_match, Clear {}).await
}
