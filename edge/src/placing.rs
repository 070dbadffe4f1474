//! Placing an order, and waiting for it to settle.
//!
//! The order's id is derived from its buyer and the client's key, and the command from the
//! client's body alone: a repeat is the same command at the same actor and has one effect.
//! Whoever waits listens before the order is placed, so that nothing is missed in between.

use actors::{
    Currency, Money, Quantity,
    carts::CheckOut,
    inventory::{Item, ItemCard, ItemError, ItemId, ItemStatus, Show as ShowItem},
    orders::{
        LINES_MAX, Order, OrderCard, OrderError, OrderId, OrderLine, OrderStatus, Place, Show,
    },
    payments::{CardToken, simulated},
};
use axum::{
    Json as Answer,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bus::{
    AnyCommit, AskError, JsonSchema, Key, Lagged, Live, Position,
    schemars::{Schema, SchemaGenerator, json_schema},
};
use futures_util::future::try_join_all;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::{
    Edge,
    body::Json,
    carts::cart_of,
    conditional::IfMatch,
    error::ApiError,
    extract::{CurrentUser, IdempotencyKey},
    limits::ROW_TIMEOUT,
    observe::Trace,
    orders::{OrderBegun, OrderShown, order_after},
    position::Seq,
    prefer::Wait,
};

/// What is bought, and what it is paid with.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceOrder {
    /// What all lines are sold in.
    currency: Currency,
    /// The number of a card. It is not kept.
    #[schemars(schema_with = "card_number")]
    card: String,
    /// 1 to 50, no item twice.
    #[schemars(length(min = 1, max = LINES_MAX))]
    lines: Vec<LinePlaced>,
}

/// Spaces between its digits are allowed; the last one is a check (Luhn).
fn card_number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^ *([0-9] *){12,19}$" })
}

/// With what the cart is paid.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PayCart {
    /// The card's number.
    #[schemars(schema_with = "card_number")]
    card: String,
}

/// So many pieces of one item.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LinePlaced {
    /// The item.
    sku: ItemId,
    /// How many.
    quantity: Quantity,
    /// What the buyer was shown: at another price the order is cancelled.
    expected_price: Option<Money>,
}

/// An order about to be placed, by whom and under which key.
struct Placing {
    edge: Edge,
    trace: Trace,
    buyer: CurrentUser,
    order: OrderId,
    key: Key,
    /// Whether the client sent the key: only then can this be a repeat.
    may_be_repeat: bool,
}

/// `POST /v1/orders`: 201 with the settled order, or 202 with the order as it stands when the
/// client's wait (`Prefer: wait=N`) is over.
pub(crate) async fn place(
    State(edge): State<Edge>,
    trace: Trace,
    buyer: CurrentUser,
    key: IdempotencyKey,
    wait: Wait,
    Json(body): Json<PlaceOrder>,
) -> Result<Response, ApiError> {
    let deadline = Instant::now() + wait.time;
    let placing = Placing::begin(edge, trace, buyer, &key, &[]);
    let command = placing.command(body)?;
    placing.check_items(&command).await?;
    let (card, position) = placing.place_and_wait(command, deadline).await?;
    Ok(wait.acknowledge((Seq(position), placing.answer(card)).into_response()))
}

/// `POST /v1/cart/order`: the same, of what is in the buyer's cart.
pub(crate) async fn check_out(
    State(edge): State<Edge>,
    trace: Trace,
    buyer: CurrentUser,
    key: IdempotencyKey,
    if_match: IfMatch,
    wait: Wait,
    Json(PayCart { card }): Json<PayCart>,
) -> Result<Response, ApiError> {
    let deadline = Instant::now() + wait.time;
    let placing = Placing::begin(edge, trace, buyer, &key, &["cart"]);
    let card = read_card(&card)?;
    let (card, position) = placing.check_out_and_wait(card, if_match, deadline).await?;
    Ok(wait.acknowledge((Seq(position), placing.answer(card)).into_response()))
}

fn read_card(number: &str) -> Result<CardToken, ApiError> {
    simulated::tokenise(number).map_err(|invalid| ApiError::invalid("card", invalid.to_string()))
}

impl Placing {
    /// The order that the client's key names, apart from those of others and of other routes.
    fn begin(
        edge: Edge,
        trace: Trace,
        buyer: CurrentUser,
        key: &IdempotencyKey,
        route: &[&str],
    ) -> Self {
        let random = Key::random();
        let sent = key.sent().unwrap_or(&random);
        let parts = [&[buyer.id.as_str()], route, &[sent.as_str()]].concat();
        Self {
            order: OrderId::derived("o", &parts),
            key: key.for_sender(buyer.id.as_str()),
            may_be_repeat: key.sent().is_some(),
            edge,
            trace,
            buyer,
        }
    }

    fn command(&self, body: PlaceOrder) -> Result<Place, ApiError> {
        let PlaceOrder { currency, card, lines } = body;
        if lines.is_empty() {
            return Err(OrderError::Empty.into());
        }
        if lines.len() > LINES_MAX {
            return Err(OrderError::TooManyLines.into());
        }
        for (index, line) in lines.iter().enumerate() {
            if lines[..index].iter().any(|earlier| earlier.sku == line.sku) {
                let repeated = OrderError::LineRepeated { sku: line.sku.clone() };
                return Err(ApiError::from(repeated).at(sku_field(index)));
            }
        }
        let card = read_card(&card)?;
        let lines = lines.into_iter().map(|LinePlaced { sku, quantity, expected_price }| {
            OrderLine { sku, quantity, expected_price }
        });
        Ok(Place { buyer: self.buyer.id.clone(), currency, card, lines: lines.collect() })
    }

    /// Tells a client of an unknown item or a wrong currency before anything is placed. An
    /// order that was placed already stands as it is: its recorded answer counts.
    async fn check_items(&self, command: &Place) -> Result<(), ApiError> {
        let checks = command.lines.iter().enumerate();
        let checks =
            checks.map(|(index, line)| self.check_item(index, &line.sku, command.currency));
        match try_join_all(checks).await {
            Ok(_) => Ok(()),
            Err(_) if self.is_placed_already().await? => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn check_item(
        &self,
        index: usize,
        sku: &ItemId,
        currency: Currency,
    ) -> Result<(), ApiError> {
        let row = self.edge.bus().rows::<ItemCard>().get(sku.as_str()).timeout(ROW_TIMEOUT);
        let unknown = || {
            let message = format!("there is no item `{sku}`");
            unprocessable("UNKNOWN_SKU", message, index)
        };
        let (status, price) = match row.await {
            Ok(Some(card)) if card.is_created() => (card.status, card.price),
            // The rows may be behind, or not be there at all; the item itself knows.
            _ => match self.edge.bus().actor::<Item>(sku).ask(ShowItem {}).await {
                Ok(stock) => (stock.status, stock.price),
                Err(AskError::Refused(ItemError::UnknownItem)) => return Err(unknown()),
                Err(error) => return Err(error.into()),
            },
        };
        match status {
            ItemStatus::Draft => return Err(unknown()),
            ItemStatus::Retired => {
                return Err(unprocessable("RETIRED", format!("`{sku}` is sold no longer"), index));
            }
            ItemStatus::Active if price.currency == currency => return Ok(()),
            ItemStatus::Active => {}
        }
        let message = format!("`{sku}` is sold in {}, not in {currency}", price.currency);
        Err(unprocessable("CURRENCY_MISMATCH", message, index))
    }

    async fn is_placed_already(&self) -> Result<bool, ApiError> {
        if !self.may_be_repeat {
            return Ok(false);
        }
        let asked = self.edge.bus().actor::<Order>(&self.order).ask(Show {});
        match asked.trace(self.trace.as_str()).await {
            Ok(_) => Ok(true),
            Err(AskError::Refused(OrderError::Unplaced)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The order as it stands when it has settled or the deadline has come, and where it then
    /// is in the journal; no order if no row came.
    async fn place_and_wait(
        &self,
        command: Place,
        deadline: Instant,
    ) -> Result<(Option<OrderCard>, Position), ApiError> {
        // Before the order is placed, so that nothing that happens to it is missed.
        let live = self.edge.bus().live("order").await.map_err(ApiError::unavailable)?;
        let asked = self.edge.bus().actor(&self.order).ask(command).key(self.key.clone());
        let asked = asked.principal(self.buyer.id.as_str()).trace(self.trace.as_str());
        let (_, placed_at) = asked.positioned().await?;
        let stands_at = if self.may_be_repeat { self.position().await? } else { placed_at };
        let card = self.row(&stands_at).await;
        match card {
            Some(card) if !card.status.is_settled() => {
                let settled = self.until_settled(live, deadline).await;
                let (card, position) = settled.unwrap_or((card, stands_at));
                Ok((Some(card), position))
            }
            other => Ok((other, stands_at)),
        }
    }

    /// The same, of what is in the cart: the order follows from that a moment later.
    async fn check_out_and_wait(
        &self,
        card: CardToken,
        if_match: IfMatch,
        deadline: Instant,
    ) -> Result<(Option<OrderCard>, Position), ApiError> {
        let live = self.edge.bus().live("order").await.map_err(ApiError::unavailable)?;
        let order = self.order.clone();
        let asked = self.edge.bus().actor(&cart_of(&self.buyer)).ask(CheckOut { order, card });
        let asked = if_match.put_on(asked.key(self.key.clone()));
        let asked = asked.principal(self.buyer.id.as_str());
        let (_, checked_out_at) = asked.trace(self.trace.as_str()).positioned().await?;
        // A repeat's order may have settled before we listened.
        if self.is_placed_already().await? {
            let stands_at = self.position().await?;
            let card = self.row(&stands_at).await;
            if card.as_ref().is_some_and(|card| card.status.is_settled()) {
                return Ok((card, stands_at));
            }
        }
        match self.until_settled(live, deadline).await {
            Some((card, position)) => Ok((Some(card), position)),
            None => Ok((None, checked_out_at)),
        }
    }

    /// Where the order stands now: a repeat's own commit may lie far behind, and what happened
    /// since then, before we listened.
    async fn position(&self) -> Result<Position, ApiError> {
        let asked = self.edge.bus().actor::<Order>(&self.order).ask(Show {});
        let (_, position) = asked.trace(self.trace.as_str()).positioned().await?;
        Ok(position)
    }

    async fn row(&self, position: &Position) -> Option<OrderCard> {
        let row = order_after(&self.edge, &self.order, self.buyer.id.as_str(), position).await;
        row.unwrap_or_else(|error| {
            tracing::warn!(order = %self.order, %error, trace = %self.trace, "no row came");
            None
        })
    }

    /// The settled order, if it settles before the deadline.
    async fn until_settled(
        &self,
        mut live: Live,
        deadline: Instant,
    ) -> Option<(OrderCard, Position)> {
        loop {
            let next = tokio::select! {
                // The client is told how things stand, rather than nothing.
                () = self.edge.stopping().cancelled() => return None,
                next = timeout_at(deadline, live.next()) => next.ok()?,
            };
            let position = match next {
                Ok(commit) if *commit.id == *self.order.as_str() && settles(&commit) => {
                    commit.info.position.clone()
                }
                Ok(_) => continue,
                // Something was missed: look where the order stands now.
                Err(Lagged) => timeout_at(deadline, self.position()).await.ok()?.ok()?,
            };
            let card = self.row(&position).await?;
            if card.status.is_settled() {
                return Some((card, position));
            }
        }
    }

    fn answer(&self, card: Option<OrderCard>) -> Response {
        let location = [(header::LOCATION, format!("/v1/orders/{}", self.order))];
        let retry_after = [(header::RETRY_AFTER, "1")];
        match card {
            Some(card) if card.status.is_settled() => {
                (StatusCode::CREATED, location, Answer(OrderShown::from(card))).into_response()
            }
            Some(card) => {
                let order = Answer(OrderShown::from(card));
                (StatusCode::ACCEPTED, location, retry_after, order).into_response()
            }
            None => {
                let begun = OrderBegun { id: self.order.clone(), status: OrderStatus::Placed };
                let order = Answer(begun);
                (StatusCode::ACCEPTED, location, retry_after, order).into_response()
            }
        }
    }
}

/// Whether a commit holds an event after which nothing more happens to the order.
fn settles(commit: &AnyCommit) -> bool {
    let is_last = |event| matches!(AnyCommit::named(event).0, "confirmed" | "cancelled");
    commit.events.iter().any(is_last)
}

fn sku_field(index: usize) -> String {
    format!("lines[{index}].sku")
}

fn unprocessable(code: &'static str, message: String, index: usize) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, code, message).at(sku_field(index))
}
