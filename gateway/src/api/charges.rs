//! `/v1/charges`: a card is authorised, what was authorised is captured or voided, and what was
//! captured is refunded.
//!
//! A charge and a refund have a key; asked again with it, and with the same body, they are
//! answered as before. A capture and a void happen once, so they need none.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};

use super::{
    body::Json,
    error::ApiError,
    extract::{ChargeId, IdempotencyKey},
    terms::{Asked, check_amount},
};
use crate::{
    cards::Reason,
    charge::{self, Charge},
    gateway::Gateway,
};

pub(crate) fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/v1/charges", post(authorise))
        .route("/v1/charges/{charge}", get(show))
        .route("/v1/charges/{charge}/captures", post(capture))
        .route("/v1/charges/{charge}/refunds", post(refund))
        .route("/v1/charges/{charge}/void", post(void))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Amount {
    amount: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pending,
    Authorised,
    Declined,
    Captured,
    Refunded,
    Voided,
}

/// What was decided when the charge was asked for.
#[derive(Debug, Serialize)]
struct Answer {
    charge: String,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

/// What was done to a charge.
#[derive(Debug, Serialize)]
struct Done {
    charge: String,
    status: Status,
    amount: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<String>,
}

/// A charge as it is now.
#[derive(Debug, Serialize)]
struct Shown {
    charge: String,
    reference: String,
    status: Status,
    amount: u64,
    captured: u64,
    refunded: u64,
    currency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

type Response<T> = Result<(StatusCode, axum::Json<T>), ApiError>;

async fn authorise(
    State(gateway): State<Arc<Gateway>>,
    IdempotencyKey(key): IdempotencyKey,
    Json(asked): Json<Asked>,
) -> Response<Answer> {
    match gateway.authorise(key, asked.check()?).await? {
        Some(charge) => Ok((StatusCode::CREATED, axum::Json(charge.into()))),
        None => Err(gateway.stay_silent().await.into()),
    }
}

async fn show(State(gateway): State<Arc<Gateway>>, ChargeId(id): ChargeId) -> Response<Shown> {
    let charge = gateway.charge(&id).await?;
    Ok((StatusCode::OK, axum::Json(charge.into())))
}

async fn capture(
    State(gateway): State<Arc<Gateway>>,
    ChargeId(charge): ChargeId,
    Json(Amount { amount }): Json<Amount>,
) -> Response<Done> {
    let amount = check_amount(amount)?;
    gateway.change(&charge, |charge| charge.capture(amount)).await?;
    let done = Done { charge, status: Status::Captured, amount, refund: None };
    Ok((StatusCode::CREATED, axum::Json(done)))
}

async fn refund(
    State(gateway): State<Arc<Gateway>>,
    ChargeId(charge): ChargeId,
    IdempotencyKey(key): IdempotencyKey,
    Json(Amount { amount }): Json<Amount>,
) -> Response<Done> {
    let amount = check_amount(amount)?;
    gateway.change(&charge, |charge| charge.refund(&key, amount)).await?;
    let done = Done { charge, status: Status::Refunded, amount, refund: Some(key) };
    Ok((StatusCode::CREATED, axum::Json(done)))
}

async fn void(State(gateway): State<Arc<Gateway>>, ChargeId(id): ChargeId) -> Response<Done> {
    let Charge { id: charge, terms, .. } = gateway.change(&id, Charge::void).await?;
    let done = Done { charge, status: Status::Voided, amount: terms.amount, refund: None };
    Ok((StatusCode::OK, axum::Json(done)))
}

impl From<Charge> for Answer {
    fn from(charge: Charge) -> Self {
        let (status, reason) = match (charge.was_pending, charge.reason()) {
            (true, _) => (Status::Pending, None),
            (false, Some(reason)) => (Status::Declined, Some(reason)),
            (false, None) => (Status::Authorised, None),
        };
        Self { charge: charge.id, status, reason }
    }
}

impl From<Charge> for Shown {
    fn from(charge: Charge) -> Self {
        Self {
            status: Status::from(&charge.state),
            captured: charge.captured(),
            refunded: charge.refunded(),
            reason: charge.reason(),
            charge: charge.id,
            reference: charge.terms.reference,
            amount: charge.terms.amount,
            currency: charge.terms.currency,
        }
    }
}

impl From<&charge::State> for Status {
    fn from(state: &charge::State) -> Self {
        match state {
            charge::State::Pending { .. } => Self::Pending,
            charge::State::Authorised => Self::Authorised,
            charge::State::Declined { .. } => Self::Declined,
            charge::State::Captured { .. } => Self::Captured,
            charge::State::Voided => Self::Voided,
        }
    }
}
