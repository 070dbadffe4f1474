//! One step of an order after its checkout, as every handler asks for it.
//!
//! Whose order it is, the order itself decides; each step answers with the order as it then stands.

use actors::orders::{Order, OrderCard, OrderError, OrderId, Show};
use axum::{
    Json as Answer, RequestPartsExt,
    extract::{FromRequestParts, RawPathParams, State},
    http::{StatusCode, request::Parts},
};
use bus::{
    Ask, AskError, Handle, Id, Position, Status, Wire,
    schemars::{JsonSchema, Schema, SchemaGenerator, json_schema},
};

use crate::{
    Edge,
    api::{Part, Place, Route},
    conditional::{IfMatch, Version},
    error::ApiError,
    extract::{CurrentUser, IdempotencyKey, PathId},
    limits::ROW_TIMEOUT,
    observe::Trace,
    orders::{OrderShown, own},
    position::Seq,
};

/// What every step of an order may be refused for.
pub(crate) fn step(route: Route) -> Route {
    route.refuses(404, &["UNPLACED"])
}

/// The order in the path, and the number of one of its shipments or returns.
pub(crate) struct Step {
    pub(crate) order: OrderId,
    pub(crate) number: u32,
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
        route.takes::<StepNumber>(Place::Path, "number", about, Some("1"));
    }
}

/// As a path has it; 0 is none's.
struct StepNumber;

impl JsonSchema for StepNumber {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StepNumber".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
    }
}

/// Who asks for what, under which key.
pub(crate) struct Asking {
    edge: Edge,
    trace: Trace,
    pub(crate) user: CurrentUser,
    key: IdempotencyKey,
    if_match: IfMatch,
}

impl Asking {
    pub(crate) async fn ask<C: Wire>(
        &self,
        order: &OrderId,
        command: C,
    ) -> Result<(<Order as Handle<C>>::Reply, Position), ApiError>
    where
        Order: Handle<C>,
    {
        let asked: Ask<Order, C> = self.edge.bus().actor(order).ask(command);
        let asked = self.key.put_on(asked, self.user.id.as_str());
        let asked = self.if_match.put_on(asked);
        let asked = asked.principal(self.user.id.as_str()).trace(self.trace.as_str());
        match asked.positioned().await {
            Ok(answered) => Ok(answered),
            Err(AskError::Refused(refusal)) => Err(refused(refusal)),
            Err(AskError::Failed(failure)) if failure.status == Status::VersionMismatch => {
                // Told before the order says whose it is: somebody else's is as if not there.
                match own(&self.edge, &self.user, order).timeout(ROW_TIMEOUT).await? {
                    Some(_) => Err(failure.into()),
                    None => Err(refused(OrderError::Unplaced)),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The order including the commit at `position`: its row, or what the order itself says if
    /// the rows do not come.
    pub(crate) async fn order(
        &self,
        order: &OrderId,
        position: &Position,
    ) -> Result<OrderShown, ApiError> {
        let row = self.edge.bus().rows::<OrderCard>().get(order.as_str()).after(position);
        if let Ok(Some(card)) = row.timeout(ROW_TIMEOUT).await {
            return Ok(card.into());
        }
        let asked = self.edge.bus().actor(order).ask(Show {}).trace(self.trace.as_str());
        let (view, stands_at) = asked.positioned().await?;
        Ok(OrderShown::of(order, view, &stands_at))
    }
}

/// What is wrong with lines is wrong with portions here.
fn refused(refusal: OrderError) -> ApiError {
    let error = ApiError::from(refusal.clone());
    match refusal {
        OrderError::Empty | OrderError::TooManyLines | OrderError::LineRepeated { .. } => {
            error.at("portions")
        }
        _ => error,
    }
}

impl FromRequestParts<Edge> for Asking {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, ApiError> {
        let trace = Trace::from_request_parts(parts, edge).await?;
        let user = CurrentUser::from_request_parts(parts, edge).await?;
        let key = IdempotencyKey::from_request_parts(parts, edge).await?;
        let if_match = IfMatch::from_request_parts(parts, edge).await?;
        Ok(Self { edge: edge.clone(), trace, user, key, if_match })
    }
}

impl Part for Asking {
    fn describe(route: &mut Route) {
        State::<Edge>::describe(route);
        Trace::describe(route);
        CurrentUser::describe(route);
        IdempotencyKey::describe(route);
        IfMatch::describe(route);
    }
}

/// The order as it stands after the step.
pub(crate) type Shown = Result<(Version, Seq, Answer<OrderShown>), ApiError>;
/// The same, with something new in it.
pub(crate) type Made = Result<(StatusCode, Version, Seq, Answer<OrderShown>), ApiError>;
